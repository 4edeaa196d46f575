//! Gardener's Certificates and Issuers, with the definitions of `deploy/crds/`.

use serde_json::Value;

use crate::support::Site;
use crate::support::cluster::Cluster;
use crate::support::run::Daemon;
use crate::support::tenants::Tenants;

const LINES: &str = "{a}: {domains: [a.site.test], wildcards: true}\n{b}: {domains: [b.site.test]}";

pub struct Place {
    pub tenants: Tenants,
}

impl Place {
    pub fn new() -> Place {
        let cluster = Cluster::alone(Site::new());
        let kube = cluster.kube;
        for kind in ["certificates", "issuers", "certificaterevocations"] {
            let file = format!("{}/deploy/crds/{kind}.yaml", env!("CARGO_MANIFEST_DIR"));
            kube.kubectl(&["apply", "-f", &file]);
        }
        kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
        Place { tenants: Tenants::on(cluster) }
    }

    /// An Issuer of the site's CA, with more fields of `acme`.
    pub fn issuer(&self, namespace: &str, name: &str, more: &str) {
        self.issuer_at("{ca}", namespace, name, more);
    }

    /// The same of the CA at `directory`.
    pub fn issuer_at(&self, directory: &str, namespace: &str, name: &str, more: &str) {
        self.tenants.apply(&format!(
            "apiVersion: cert.gardener.cloud/v1alpha1\nkind: Issuer\nmetadata: {{namespace: '{namespace}', name: {name}}}\n\
             spec: {{acme: {{server: '{directory}', email: admin@site.test, autoRegistration: true{more}}}}}\n"
        ));
    }

    pub fn certificate(&self, namespace: &str, name: &str, spec: &str) {
        self.annotated(namespace, name, "", spec);
    }

    pub fn annotated(&self, namespace: &str, name: &str, annotations: &str, spec: &str) {
        self.tenants.apply(&format!(
            "apiVersion: cert.gardener.cloud/v1alpha1\nkind: Certificate\n\
             metadata: {{namespace: '{namespace}', name: {name}, annotations: {{{annotations}}}}}\nspec: {{{spec}}}\n"
        ));
    }

    pub fn daemon(&self, more: &[&str]) -> Daemon {
        self.tenants.config(&[("namespaces", LINES)]);
        let own = self.tenants.filled("{own}");
        self.tenants.daemon(&[&["-sources", "config,gardener", "-issuer-namespace", &own], more].concat())
    }

    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Value {
        serde_json::from_str(&self.tenants.kubectl(&["-n", namespace, "get", kind, name, "-o", "json"])).unwrap()
    }
}

#[test]
fn the_documented_certificate_leads_to_its_secret() {
    let place = Place::new();
    place.issuer("{own}", "staging", "");
    place.certificate(
        "{a}",
        "simple",
        "commonName: one.a.site.test, dnsNames: [two.a.site.test], issuerRef: {name: staging}, \
         secretRef: {name: one-tls, namespace: '{a}'}, secretLabels: {team: x}, privateKey: {algorithm: ECDSA, size: 384}",
    );
    // Nothing but names: the Secret has the name of the object, the issuer is the default one.
    place.certificate("{b}", "plain", "dnsNames: [x.b.site.test]");
    let daemon = place.daemon(&["-default-issuer", "staging"]);
    place.tenants.until_issued(&daemon, "{a}", "one-tls", &["one.a", "two.a"]);
    place.tenants.until_issued(&daemon, "{b}", "plain", &["x.b"]);
    assert_eq!(place.tenants.orders(), 2);
    let secret = place.get("{a}", "secret", "one-tls");
    assert_eq!(secret["metadata"]["labels"]["team"], "x", "{secret}");
    let source = place.tenants.filled("Certificate.cert.gardener.cloud {a}/simple");
    assert_eq!(secret["metadata"]["annotations"]["notariat/source"], source);
    assert!(secret["metadata"]["annotations"]["cert-manager.io/certificate-name"].is_null(), "{secret}");
    place.tenants.until_told("{a}", "simple", "Normal Issued", "");
    // The objects are as they were: no finalizer, no name written into the spec.
    let object = place.get("{b}", "certificate.cert.gardener.cloud", "plain");
    assert_eq!((&object["spec"]["secretRef"], &object["metadata"]["finalizers"]), (&Value::Null, &Value::Null));
    daemon.kill();
}

#[test]
fn the_issuer_is_the_named_one_or_the_best_for_all_names_and_never_a_tenants() {
    let place = Place::new();
    place.issuer("{own}", "wide", ", domains: {include: [site.test]}");
    place.issuer("{own}", "narrow", ", domains: {include: [x.a.site.test]}");
    place.issuer("{a}", "theirs", "");
    place.certificate("{a}", "best", "dnsNames: [y.x.a.site.test], secretName: best");
    place.certificate("{a}", "both", "dnsNames: [y.x.a.site.test, y.a.site.test], secretName: both");
    place.certificate("{a}", "named", "dnsNames: [y.a.site.test], secretName: named, issuerRef: {name: narrow}");
    place.certificate(
        "{a}",
        "own",
        "dnsNames: [z.a.site.test], secretName: own, issuerRef: {name: theirs, namespace: '{a}'}",
    );
    place.certificate("{a}", "none", "dnsNames: [z.a.site.test], secretName: none, issuerRef: {name: theirs}");
    place.certificate("{a}", "foreign", "dnsNames: [x.b.site.test], secretName: foreign");
    let daemon = place.daemon(&[]);
    for (name, issuer, names) in [("best", "narrow", &["y.x.a"][..]), ("both", "wide", &["y.a", "y.x.a"])] {
        place.tenants.until_issued(&daemon, "{a}", name, names);
        let log = daemon.log();
        assert!(
            log.lines().any(|line| line.contains("issued secret=") && line.contains(&format!("/{name} "))),
            "{issuer}: {log}"
        );
    }
    for (name, told, part) in [
        ("named", "Warning Refused ", "not for the issuer"),
        ("own", "Warning Refused ", "Issuers are those of the namespace"),
        ("none", "Warning Waiting ", "does not exist in the namespace"),
        ("foreign", "Warning Refused ", "x.b.site.test"),
    ] {
        place.tenants.until_told("{a}", name, told, part);
    }
    assert_eq!(place.tenants.orders(), 2, "{}", daemon.log());
    // An Issuer that comes serves at once who waits for it.
    place.issuer("{own}", "theirs", "");
    place.tenants.until_issued(&daemon, "{a}", "none", &["z.a"]);
    daemon.kill();
}

#[test]
fn another_class_is_not_touched_and_what_can_not_be_given_is_refused() {
    let place = Place::new();
    place.issuer("{own}", "default-issuer", "");
    place.annotated(
        "{a}",
        "other",
        "cert.gardener.cloud/class: private",
        "dnsNames: [o.a.site.test], secretName: other",
    );
    place.annotated(
        "{a}",
        "ours",
        "cert.gardener.cloud/class: gardencert",
        "dnsNames: [p.a.site.test], secretName: ours",
    );
    for (name, field) in [
        ("keystore", "keystores: {jks: {create: true}}"),
        ("ca", "isCA: true"),
        ("elsewhere", "secretRef: {name: s, namespace: kube-system}"),
        ("spiffe", "uris: ['spiffe://a']"),
    ] {
        place.certificate("{a}", name, &format!("dnsNames: [{name}.a.site.test], {field}"));
    }
    let daemon = place.daemon(&[]);
    place.tenants.until_issued(&daemon, "{a}", "ours", &["p.a"]);
    for (name, part) in
        [("keystore", "keystore"), ("ca", "isCA"), ("elsewhere", "of its own namespace"), ("spiffe", "uris")]
    {
        place.tenants.until_told("{a}", name, "Warning Refused ", part);
    }
    assert_eq!(place.tenants.orders(), 1, "{}", daemon.log());
    assert!(!daemon.log().contains("/other"), "{}", daemon.log());
    daemon.kill();
}
