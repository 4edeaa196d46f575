//! An API server of its own with cert-manager's kinds, two tenants, and issuers for the name server and the CA of the site.

use serde_json::Value;

use crate::support::Site;
use crate::support::cluster::Cluster;
use crate::support::run::Daemon;
use crate::support::tenants::Tenants;

/// The kinds as far as a server must know them.
pub const CRDS: &str = include_str!("../convert/crds.yaml");

/// Both tenants have the names below their own, and every ClusterIssuer.
pub const LINES: &str = "{a}: {domains: [a.site.test], wildcards: true}\n{b}: {domains: [b.site.test]}";

/// A ClusterIssuer of the site's CA with these solvers. `{key}` is the base64 text of the TSIG key.
const CLUSTER_ISSUER: &str = "
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: '{name}'}
spec: {acme: {server: '{ca}', email: admin@site.test, privateKeySecretRef: {name: '{name}-account'}, solvers: [{solvers}]{more}}}
";

/// A solver by DNS UPDATE with the key of the site; `{selector}` selects names.
pub const UPDATE: &str = "{{selector}dns01: {rfc2136: {nameserver: '{server}', tsigKeyName: notariat.key, tsigAlgorithm: HMACSHA256, tsigSecretSecretRef: {name: tsig, key: secret}}}}";

/// A cluster where cert-manager's objects are.
pub struct Place {
    pub tenants: Tenants,
    /// The cluster resource namespace.
    pub resources: String,
}

impl Place {
    pub fn new() -> Place {
        Place::on(Cluster::alone(Site::new()))
    }

    /// With definitions that lack the status.
    pub fn without_status() -> Place {
        let cluster = Cluster::alone(Site::new());
        Place::with(cluster, &CRDS.replace("subresources: {status: {}}, ", ""))
    }

    pub fn on(cluster: Cluster) -> Place {
        Place::with(cluster, CRDS)
    }

    fn with(cluster: Cluster, definitions: &str) -> Place {
        let kube = cluster.kube;
        kube.kubectl_stdin(&["apply", "-f", "-"], definitions);
        kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
        let resources = kube.namespace();
        let place = Place { tenants: Tenants::on(cluster), resources };
        place.secret(&place.resources);
        place.readable(&place.resources);
        place
    }

    /// The base64 text of the site's key as the Secret `tsig`.
    pub fn secret(&self, namespace: &str) {
        let key = self.tenants.cluster.site.key.secret_text();
        let text = format!("--from-literal=secret={}", key.rsplit(':').next().unwrap());
        self.kubectl(&["-n", namespace, "create", "secret", "generic", "tsig", &text]);
    }

    /// Lets notariat read Secrets of a namespace, as `notariat role` says.
    pub fn readable(&self, namespace: &str) {
        let role = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: '{in}', name: notariat-inputs}
rules: [{apiGroups: [''], resources: [secrets], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: '{in}', name: notariat-inputs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: notariat-inputs}
subjects: [{kind: ServiceAccount, name: notariat, namespace: '{own}'}]
";
        self.apply(&role.replace("{in}", namespace));
    }

    pub fn apply(&self, yaml: &str) {
        self.tenants.apply(&yaml.replace("{resources}", &self.resources));
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.tenants.kubectl(arguments)
    }

    /// A ClusterIssuer with these solvers, and more fields of `acme`.
    pub fn cluster_issuer(&self, name: &str, solvers: &[&str], more: &str) {
        let solvers: Vec<String> = solvers.iter().map(|solver| solver.replace("{selector}", "")).collect();
        let text = CLUSTER_ISSUER.replace("{name}", name).replace("{solvers}", &solvers.join(", "));
        self.apply(&text.replace("{more}", more));
    }

    /// A Certificate of a tenant for names below `site.test`, with more fields of the spec.
    pub fn certificate(&self, namespace: &str, name: &str, names: &[&str], more: &str) {
        let names: Vec<String> = names.iter().map(|name| format!("'{name}.site.test'")).collect();
        self.apply(&format!(
            "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{namespace: '{namespace}', name: {name}}}\n\
             spec: {{secretName: {name}, dnsNames: [{}], issuerRef: {{name: lab, kind: ClusterIssuer}}{more}}}\n",
            names.join(", ")
        ));
    }

    /// Starts the controller with these lines of `namespaces`.
    pub fn daemon(&self, lines: &str, more: &[&str]) -> Daemon {
        self.tenants.config(&[("namespaces", lines), ("defaults", "{dns: {propagation: primary}}")]);
        self.start(more)
    }

    /// Starts the controller with the configuration that is there.
    pub fn start(&self, more: &[&str]) -> Daemon {
        let flags = ["-sources", "config,cert-manager", "-cluster-resource-namespace", &self.resources];
        self.tenants.daemon(&[&flags[..], more].concat())
    }

    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["-n", namespace, "get", kind, name, "-o", "json"])).unwrap()
    }
}
