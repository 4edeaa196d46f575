//! A cluster whose objects are sources: the own namespace of notariat, and namespaces of tenants that it may write Secrets in.

use notariat_lab::Scratch;
use serde_json::Value;

use super::cluster::Cluster;
use super::run::{Daemon, until};

/// The names of the tenants' namespaces differ in each test; a text means them by `{own}`, `{a}`, `{b}`.
pub struct Tenants {
    pub cluster: Cluster,
    pub a: String,
    pub b: String,
    scratch: Scratch,
}

impl Tenants {
    /// Two tenants, and the rights for all kinds.
    pub fn new() -> Tenants {
        Tenants::on(Cluster::new())
    }

    pub fn on(cluster: Cluster) -> Tenants {
        let (a, b) = (cluster.kube.namespace(), cluster.kube.namespace());
        let tenants = Tenants { cluster, a, b, scratch: Scratch::new("tenants") };
        tenants.apply(RIGHTS);
        tenants
    }

    /// The text with the names of the namespaces and of the servers.
    pub fn filled(&self, text: &str) -> String {
        let Tenants { cluster, a, b, .. } = self;
        let server = cluster.site.dns.addr().to_string();
        let named = text.replace("{own}", &cluster.namespace).replace("{a}", a).replace("{b}", b);
        named.replace("{server}", &server).replace("{ca}", &cluster.site.pebble.directory())
    }

    /// Applies manifests, which name their namespaces.
    pub fn apply(&self, yaml: &str) {
        self.cluster.kube.kubectl_stdin(&["apply", "-f", "-"], &self.filled(yaml));
    }

    /// Writes the ConfigMap: the usual defaults and these keys.
    pub fn config(&self, keys: &[(&str, &str)]) {
        let mut arguments: Vec<String> =
            ["create", "configmap", "notariat", "--dry-run=client", "-o", "yaml"].map(str::to_owned).to_vec();
        let defaults = ("defaults", DEFAULTS);
        let is_given = keys.iter().any(|(key, _)| *key == "defaults");
        for (key, text) in keys.iter().chain((!is_given).then_some(&defaults)) {
            let file = self.scratch.write(key, &self.filled(text));
            arguments.push(format!("--from-file={key}={}", file.display()));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let made = self.cluster.kubectl(&arguments);
        self.cluster.kube.kubectl_stdin(&["-n", &self.cluster.namespace, "apply", "-f", "-"], &made);
    }

    /// An Ingress of the tenant `namespace` (`{a}` say): annotations as YAML pairs, and its `spec.tls`.
    pub fn ingress(&self, namespace: &str, name: &str, annotations: &str, tls: &str) {
        let metadata = format!("{{namespace: '{namespace}', name: {name}, annotations: {{{annotations}}}}}");
        let backend = "{service: {name: x, port: {number: 80}}}";
        self.apply(&format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {metadata}\nspec: {{tls: {tls}, defaultBackend: {backend}}}\n"
        ));
    }

    /// Starts the controller for these sources with the rights of its ServiceAccount.
    pub fn daemon(&self, more: &[&str]) -> Daemon {
        let allowed = format!("{},{}", self.a, self.b);
        self.cluster.daemon(&[&["-allow-namespaces", &allowed], more].concat())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.filled(argument)).collect();
        self.cluster.kube.kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The names in the certificate of a Secret, sorted; `None` while there is none.
    pub fn names(&self, namespace: &str, secret: &str) -> Option<Vec<String>> {
        self.names_under("tls.crt", namespace, secret)
    }

    /// The same for a certificate under another data key.
    pub fn names_under(&self, key: &str, namespace: &str, secret: &str) -> Option<Vec<String>> {
        let found = self.kubectl(&["-n", namespace, "get", "secret", secret, "--ignore-not-found", "-o", "json"]);
        let secret: Value = serde_json::from_str(&found).ok()?;
        let chain = base64_of(secret["data"].get(key)?.as_str()?);
        let (_, facts) = notariat::cert::facts::read(&chain).ok()?;
        let mut names: Vec<String> = facts.names.iter().map(ToString::to_string).collect();
        names.sort();
        Some(names)
    }

    /// Waits until a Secret holds a certificate for exactly these names, below `site.test`.
    #[track_caller]
    pub fn until_issued(&self, daemon: &Daemon, namespace: &str, secret: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| format!("{name}.site.test")).collect();
        let what = format!("{namespace}/{secret} is for {names:?}");
        daemon.until(&what, || self.names(namespace, secret).as_ref() == Some(&names));
    }

    /// Events about an object: type, reason, message.
    pub fn events(&self, namespace: &str, object: &str) -> Vec<String> {
        let path = r#"jsonpath={range .items[*]}{.type} {.reason} {.message}{"\n"}{end}"#;
        let selector = format!("involvedObject.name={object}");
        let found = self.kubectl(&["-n", namespace, "get", "events", "--field-selector", &selector, "-o", path]);
        found.lines().map(str::to_owned).collect()
    }

    /// Waits for an Event about an object that begins and goes on like this.
    #[track_caller]
    pub fn until_told(&self, namespace: &str, object: &str, start: &str, part: &str) {
        let mut last = Vec::new();
        let mut is_told = || {
            last = self.events(namespace, object);
            last.iter().any(|event| event.starts_with(&self.filled(start)) && event.contains(&self.filled(part)))
        };
        until(&format!("{namespace}/{object}: {start} … {part}"), &mut is_told);
    }

    /// Orders that the CA has had.
    pub fn orders(&self) -> usize {
        self.cluster.site.pebble.request_lines().iter().filter(|line| line.contains("/order-plz")).count()
    }
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

pub const DEFAULTS: &str =
    "{email: admin@site.test, tsigSecretName: tsigkey, dns: {server: '{server}', propagation: primary}}";

pub const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: 'notariat-sources-{own}'}
rules:
- {apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]}
- {apiGroups: [''], resources: [services, namespaces], verbs: [get, list, watch]}
- {apiGroups: [cert-manager.io], resources: [certificates, issuers, clusterissuers], verbs: [get, list, watch]}
- {apiGroups: [cert.gardener.cloud], resources: [certificates, certificaterevocations, issuers], verbs: [get, list, watch]}
- {apiGroups: [cert.gardener.cloud], resources: [certificates/status, certificaterevocations/status, issuers/status], verbs: [update]}
- {apiGroups: [cert-manager.io], resources: [certificates/status, issuers/status, clusterissuers/status], verbs: [update]}
- {apiGroups: [gateway.networking.k8s.io], resources: [gateways, listenersets, httproutes, grpcroutes, tlsroutes], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: 'notariat-sources-{own}'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'notariat-sources-{own}'}
subjects: [{kind: ServiceAccount, name: notariat, namespace: '{own}'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: kube-system, name: 'notariat-cert-manager-lease-{own}'}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [cert-manager-controller], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: kube-system, name: 'notariat-cert-manager-lease-{own}'}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: 'notariat-cert-manager-lease-{own}'}
subjects: [{kind: ServiceAccount, name: notariat, namespace: '{own}'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: '{a}', name: notariat}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create, update]}
- {apiGroups: [''], resources: [events], verbs: [create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: '{a}', name: notariat}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: notariat}
subjects: [{kind: ServiceAccount, name: notariat, namespace: '{own}'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: '{b}', name: notariat}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create, update]}
- {apiGroups: [''], resources: [events], verbs: [create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: '{b}', name: notariat}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: notariat}
subjects: [{kind: ServiceAccount, name: notariat, namespace: '{own}'}]
";
