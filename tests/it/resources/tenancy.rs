//! The bounds of a tenant: names of others, issuers of its own, and a start past the policies of approver-policy.

use super::place::{LINES, Place, UPDATE};
use crate::support::Run;
use crate::support::run::notariat;

/// An Issuer of the tenant with its own solver and key.
fn issuer(name: &str, server: &str) -> String {
    format!(
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {{namespace: '{{a}}', name: {name}}}\n\
         spec: {{acme: {{server: '{server}', privateKeySecretRef: {{name: {name}-account}}, solvers: [{}]}}}}\n",
        UPDATE.replace("{selector}", "")
    )
}

fn certificate(name: &str, dns_name: &str, reference: &str) -> String {
    format!(
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{namespace: '{{a}}', name: {name}}}\n\
         spec: {{secretName: {name}, dnsNames: [{dns_name}], issuerRef: {{{reference}}}}}\n"
    )
}

#[test]
fn a_tenant_gets_its_names_by_issuers_that_an_administrator_allows() {
    let place = Place::new();
    place.cluster_issuer("lab", &[UPDATE], "");
    place.cluster_issuer("other", &[UPDATE], "");
    place.secret("{a}");
    // Nothing listens there; a request would fail otherwise than by the policy.
    place.apply(&issuer("inside", "http://127.0.0.1:1/dir"));
    place.apply(&issuer("elsewhere", "https://127.0.0.1:1/dir"));
    place.apply(&issuer("own", "{ca}"));
    place.apply("apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {namespace: '{a}', name: self}\nspec: {selfSigned: {}}\n");
    for (name, dns_name, reference) in [
        ("foreign", "x.b.site.test", "name: lab, kind: ClusterIssuer"),
        ("unlisted", "u.a.site.test", "name: other, kind: ClusterIssuer"),
        ("inside", "i.a.site.test", "name: inside"),
        ("elsewhere", "e.a.site.test", "name: elsewhere, kind: Issuer"),
        ("own", "o.a.site.test", "name: own"),
        ("self", "s.a.site.test", "name: self"),
        ("aws", "w.a.site.test", "name: pca, kind: AWSPCAIssuer, group: awspca.cert-manager.io"),
    ] {
        place.apply(&certificate(name, dns_name, reference));
    }
    let lines = format!(
        "{{a}}: {{domains: [a.site.test], clusterIssuers: [lab], ownIssuers: ['{{ca}}']}}\n{}",
        LINES.lines().nth(1).unwrap()
    );
    let daemon = place.daemon(&lines, &[]);
    place.tenants.until_issued(&daemon, "{a}", "own", &["o.a"]);
    for (name, start, part) in [
        ("foreign", "Warning Refused ", "belongs to another namespace"),
        ("unlisted", "Warning Refused ", "the ClusterIssuer other is not for the namespace"),
        ("inside", "Warning Waiting ", "is not an https URL"),
        ("elsewhere", "Warning Refused ", "an Issuer of the namespace {a} may not name https://127.0.0.1:1/dir"),
        ("self", "Normal Skipped ", "is not an ACME issuer"),
        ("aws", "Normal Skipped ", "is not an ACME issuer of cert-manager"),
    ] {
        place.tenants.until_told("{a}", name, start, part);
    }
    assert_eq!(place.tenants.orders(), 1, "{}", daemon.log());
    // Without the permission nothing is ordered by the tenant's own issuer any more.
    assert_eq!(daemon.terminate(), 0);
    place.kubectl(&["-n", "{a}", "delete", "secret", "own"]);
    let daemon = place.daemon(LINES, &[]);
    place.tenants.until_told("{a}", "own", "Warning Refused ", "may not name");
    place.tenants.until_issued(&daemon, "{a}", "unlisted", &["u.a"]);
    assert_eq!((place.tenants.orders(), place.tenants.names("{a}", "own")), (2, None), "{}", daemon.log());
    daemon.kill();
}

#[test]
fn where_approver_policy_is_installed_the_start_needs_a_word() {
    let place = Place::new();
    place.tenants.config(&[("namespaces", LINES)]);
    let cluster = &place.tenants.cluster;
    let once = |more: &[&str]| {
        let flags = ["-once", "-sources", "config,cert-manager", "-cluster-resource-namespace", &place.resources];
        let command = cluster.command(&cluster.service_account(), &[&flags[..], more].concat());
        Run::of(notariat().args(command.get_args()))
    };
    once(&[]).ends(0);
    place.apply(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: certificaterequestpolicies.policy.cert-manager.io}\n\
         spec: {group: policy.cert-manager.io, scope: Cluster, names: {kind: CertificateRequestPolicy, plural: certificaterequestpolicies}, \
         versions: [{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}\n",
    );
    place.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    once(&[]).ends(78).says(&["approver-policy is installed", "-without-approval"]);
    once(&["-without-approval"]).ends(0);
}
