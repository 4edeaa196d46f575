//! Whose a Secret is: of two Certificates, of cert-manager, of nobody.

use super::place::{LINES, Place, UPDATE};
use crate::support::x509;

#[test]
fn secrets_that_cert_manager_issued_are_taken_over_without_an_order() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    let (chain, key) = x509::make_rsa(&["t.a.site.test"], "other", -10, 80);
    let secret = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n\
             metadata: {{namespace: '{{a}}', name: {name}, annotations: {{cert-manager.io/certificate-name: {name}, cert-manager.io/issuer-name: lab}}}}\n\
             stringData: {{tls.crt: {:?}, tls.key: {:?}}}\n",
            chain, key
        )
    };
    let all: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    place.apply(&all.iter().map(|name| secret(name)).collect::<Vec<_>>().join("---\n"));
    let certificate = |name: &String| {
        format!(
            "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{namespace: '{{a}}', name: {name}}}\n\
             spec: {{secretName: {name}, dnsNames: [t.a.site.test], issuerRef: {{name: lab, kind: ClusterIssuer}}}}\n"
        )
    };
    place.apply(&all.iter().map(certificate).collect::<Vec<_>>().join("---\n"));
    let daemon = place.daemon(LINES, &[]);
    daemon.until("all are kept", || daemon.log().matches("valid secret=").count() == 50);
    assert_eq!(place.tenants.orders(), 0, "{}", daemon.log());
    // When one is renewed the type of its key stays, RSA, because the Certificate asks for none.
    place.kubectl(&["-n", "{a}", "annotate", "secret", "t7", "notariat/renew=1"]);
    daemon.until("it is stored", || {
        place.get("{a}", "secret", "t7")["metadata"]["annotations"]["notariat/renewed"] == "1"
    });
    let renewed = place.get("{a}", "secret", "t7");
    assert_eq!(renewed["metadata"]["annotations"]["notariat/key-type"], "rsa-2048", "{}", renewed["metadata"]);
    assert_eq!(renewed["metadata"]["annotations"]["cert-manager.io/issuer-kind"], "ClusterIssuer");
    // Nothing follows from that.
    assert_eq!(daemon.terminate(), 0);
    let daemon = place.start(&[]);
    daemon.until("all are kept", || daemon.log().matches("valid secret=").count() == 50);
    assert_eq!(place.tenants.orders(), 1, "{}", daemon.log());
    daemon.kill();
}

#[test]
fn a_secret_is_of_the_oldest_certificate_and_never_somebody_elses() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    place.certificate("{a}", "z", &["z.a"], "");
    // A later one by age, and before it by name.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let second = "
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {namespace: '{a}', name: b}
spec: {secretName: z, dnsNames: [b.a.site.test], issuerRef: {name: lab, kind: ClusterIssuer}}
";
    place.apply(second);
    // Secrets of others: one of nobody with a pair, one of another Certificate, an empty one, others of other types.
    let (chain, key) = x509::make(&["n.a.site.test"], "other", -10, 80);
    let pair = |name: &str, annotations: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{namespace: '{{a}}', name: {name}, annotations: {{{annotations}}}}}\n\
             stringData: {{tls.crt: {chain:?}, tls.key: {key:?}}}\n"
        )
    };
    place.apply(&pair("nobodys", ""));
    place.apply(&pair("theirs", "cert-manager.io/certificate-name: another"));
    place.apply(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {namespace: '{a}', name: empty}\nstringData: {tls.crt: '', tls.key: ''}\n",
    );
    place.kubectl(&["-n", "{a}", "create", "secret", "generic", "opaque", "--from-literal=a=b"]);
    for name in ["nobodys", "theirs", "empty", "opaque"] {
        place.certificate("{a}", name, &["n.a"], "");
    }
    place.certificate("{own}", "notariat-record.x.y", &["n.c"], "");
    let daemon = place.daemon(&format!("{LINES}\n{{own}}: {{domains: [c.site.test]}}"), &[]);
    place.tenants.until_issued(&daemon, "{a}", "z", &["z.a"]);
    place.tenants.until_issued(&daemon, "{a}", "empty", &["n.a"]);
    place.tenants.until_told("{a}", "b", "Warning Conflict ", "Certificate {a}/z is older and fills the Secret {a}/z");
    place.tenants.until_told(
        "{a}",
        "nobodys",
        "Warning NotOurs ",
        "nothing says that it was made for this Certificate",
    );
    place.tenants.until_told("{a}", "theirs", "Warning NotOurs ", "cert-manager (Certificate \"another\")");
    place.tenants.until_told("{a}", "opaque", "Warning NotOurs ", "its type is Opaque");
    place.tenants.until_told(
        "{own}",
        "notariat-record.x.y",
        "Warning Refused ",
        "a name that notariat uses for itself",
    );
    assert_eq!(place.tenants.orders(), 2, "{}", daemon.log());

    // When the older one goes, the younger one takes its place.
    place.kubectl(&["-n", "{a}", "delete", "certificate", "z"]);
    place.tenants.until_issued(&daemon, "{a}", "z", &["b.a"]);
    let mark = &place.get("{a}", "secret", "z")["metadata"]["annotations"]["cert-manager.io/certificate-name"];
    assert_eq!(mark, "b");
    daemon.kill();
}
