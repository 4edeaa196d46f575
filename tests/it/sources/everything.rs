//! Classes of Ingresses, and every host below a zone without an annotation.

use crate::support::tenants::Tenants;

const ACME: &str = "kubernetes.io/tls-acme: 'true'";
const PASSTHROUGH: &str = "nginx.ingress.kubernetes.io/ssl-passthrough: 'true'";

/// An Ingress with rules for hosts of the tenant `a`; the text `more` stands before the rules in its spec.
fn rules(tenants: &Tenants, name: &str, metadata: &str, more: &str, hosts: &[&str]) {
    let http = "http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: x, port: {number: 80}}}}]}";
    let rule = |&host: &&str| match host {
        "" => format!("{{{http}}}"),
        host => format!("{{host: '{host}.site.test', {http}}}"),
    };
    let rules: Vec<String> = hosts.iter().map(rule).collect();
    tenants.apply(&format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{namespace: '{{a}}', name: {name}, {metadata}}}\n\
         spec: {{{more}rules: [{}]}}\n",
        rules.join(", ")
    ));
}

#[test]
fn the_class_and_the_items_of_an_ingress_decide() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test], certificatesPerWeek: 100}")]);
    let annotated = format!("annotations: {{{ACME}}}");
    let item = |name: &str| format!("tls: [{{secretName: {name}, hosts: [{name}.a.site.test]}}], ");
    // Rules 8 and 9.
    rules(&tenants, "eight", &annotated, "tls: [{secretName: eight}], ", &[""]);
    rules(&tenants, "nine", &annotated, &format!("ingressClassName: nginx, {}", item("nine")), &["nine.a", "z.a"]);
    // Rule 35: the class of the spec wins over that of an annotation that was added later.
    rules(&tenants, "spec", &annotated, &format!("ingressClassName: nginx, {}", item("spec")), &["x.a"]);
    tenants.kubectl(&["-n", "{a}", "annotate", "ingress", "spec", "kubernetes.io/ingress.class=other"]);
    rules(&tenants, "other", &annotated, &format!("ingressClassName: other, {}", item("other")), &["x.a"]);
    tenants.kubectl(&["-n", "{a}", "annotate", "ingress", "other", "kubernetes.io/ingress.class=nginx"]);
    // Rule 36.
    tenants.ingress("{a}", "classless", ACME, "[{secretName: classless, hosts: [classless.a.site.test]}]");
    // Rule 12: the API server refuses such a name in v1, and an item of it never stops another one; of v1beta1 it takes it.
    tenants.apply(
        "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {namespace: '{a}', name: twelve, annotations: {kubernetes.io/tls-acme: 'true', \
         kubernetes.io/ingress.class: nginx}}\nspec: {tls: [{secretName: Bad_Name/x, hosts: [b.a.site.test]}, {secretName: twelve, hosts: [twelve.a.site.test]}], \
         backend: {serviceName: x, servicePort: 80}}\n",
    );
    let daemon = tenants.daemon(&["-sources", "config,ingress", "-ingress-class", "nginx"]);
    for secret in ["nine", "spec", "twelve"] {
        tenants.until_issued(&daemon, "{a}", secret, &[&format!("{secret}.a")]);
    }
    tenants.until_told("{a}", "twelve", "Warning Invalid spec.tls[0]: ", "Bad_Name/x");
    tenants.until_told("{a}", "other", "Normal Skipped ", "other");
    tenants.until_told("{a}", "classless", "Normal Skipped ", "");
    assert_eq!(tenants.orders(), 3);
    assert_eq!(daemon.terminate(), 0);
    let daemon = tenants.daemon(&["-sources", "config,ingress", "-ingress-class", "nginx,none"]);
    tenants.until_issued(&daemon, "{a}", "classless", &["classless.a"]);
    tenants.until_told("{a}", "eight", "Warning Invalid spec.tls[0]: ", "");
    assert_eq!((tenants.orders(), tenants.names("{a}", "other")), (4, None));
    daemon.kill();
}

#[test]
fn every_host_below_the_zone_gets_its_certificate_but_those_of_leftovers() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test], wildcards: true, certificatesPerWeek: 100}")]);
    // Rules 37, 38, 39, 53.
    rules(&tenants, "lego", "annotations: {kubernetes.io/tls-acme-challenge-endpoints: 'true'}", "", &["lego.a"]);
    rules(&tenants, "solver", "labels: {acme.cert-manager.io/http01-solver: 'true'}", "", &["solver.a"]);
    rules(&tenants, "through", &format!("annotations: {{{PASSTHROUGH}}}"), "", &["through.a"]);
    let shared = "tls: [{secretName: shared, hosts: [w.a.site.test]}], ";
    rules(&tenants, "main", "", shared, &["w.a"]);
    rules(&tenants, "canary", "annotations: {nginx.ingress.kubernetes.io/canary: 'true'}", shared, &["w.a"]);
    rules(&tenants, "all", "", "", &["x.a", "y.a", "z"]);
    let label = "l".repeat(60);
    rules(&tenants, "long", "", "", &[&format!("{label}.a")]);
    let flags = ["-sources", "config,ingress", "-ingress-all", "a.site.test", "-secret-hostlabel", "host"];
    let daemon = tenants.daemon(&flags);
    for (secret, name) in [("shared", "w.a"), ("x.a.site.test", "x.a"), ("y.a.site.test", "y.a")] {
        tenants.until_issued(&daemon, "{a}", secret, &[name]);
    }
    let long = format!("{label}.a");
    tenants.until_issued(&daemon, "{a}", &format!("{long}.site.test"), &[&long]);
    tenants.until_told("{a}", "long", "Warning Invalid spec.rules", "");
    let of = |secret: &str| {
        let path = "jsonpath={.metadata.labels.host}";
        tenants.kubectl(&["-n", "{a}", "get", "secret", secret, "-o", path])
    };
    assert_eq!((of("x.a.site.test"), of(&format!("{long}.site.test"))), ("x.a.site.test".to_owned(), String::new()));
    assert_eq!(tenants.orders(), 4, "one for two Ingresses of one Secret, none for leftovers and for z");
    assert_eq!(daemon.terminate(), 0);
    // With wildcards two hosts share one.
    rules(&tenants, "folded", "", "", &["p.w.a", "q.w.a"]);
    let daemon = tenants.daemon(&[&flags[..], &["-wildcards"]].concat());
    tenants.until_issued(&daemon, "{a}", "wild--card.w.a.site.test", &["*.w.a"]);
    for ingress in ["lego", "solver", "through"] {
        assert_eq!(tenants.events("{a}", ingress), [""; 0], "{ingress}");
    }
    daemon.kill();
}
