//! `-secret-keys`: Secrets of the type Opaque whose pair has other names, as faythe left them.

use serde_json::json;

use crate::support::run::notariat;
use crate::support::tenants::Tenants;
use crate::support::{Run, x509};

const FLAGS: &str =
    "-sources config,ingress -ingress-all a.site.test -secret-hostlabel host -secret-keys cert,key -secret-namespace";

#[test]
fn a_secret_of_faythe_is_taken_over_renewed_and_restored_under_its_keys() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}")]);
    let (chain, key) = x509::make(&["old.a.site.test"], "somebody", -1, 80);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": tenants.b, "name": "old.a.site.test", "labels": {"host": "old.a.site.test"}},
        "stringData": {"cert": chain, "key": key, "note": "x"},
    });
    tenants.apply(&secret.to_string());
    let hosts = |name: &str, annotations: &str, hosts: &[&str]| {
        let rule = |host: &&str| {
            json!({"host": format!("{host}.a.site.test"), "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "x", "port": {"number": 80}}}}]}})
        };
        let rules: Vec<_> = hosts.iter().map(rule).collect();
        let annotations: serde_json::Value = serde_json::from_str(annotations).unwrap();
        let metadata = json!({"namespace": tenants.a, "name": name, "annotations": annotations});
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata,
            "spec": {"rules": rules}});
        tenants.apply(&ingress.to_string());
    };
    let flags: Vec<&str> = FLAGS.split_whitespace().chain([tenants.b.as_str()]).collect();
    let held = |secret: &str, key: &str| {
        let path = format!("go-template={{{{with .data.{key}}}}}{{{{base64decode .}}}}{{{{end}}}}");
        let name = format!("{secret}.a.site.test");
        tenants.kubectl(&["-n", "{b}", "get", "secret", &name, "--ignore-not-found", "-o", &path])
    };
    hosts("web", "{}", &["old", "fresh"]);
    let daemon = tenants.daemon(&flags);
    let is_issued = || tenants.names_under("cert", "{b}", "fresh.a.site.test").is_some();
    daemon.until("the new one is stored", is_issued);
    tenants.until_told("{a}", "web", "Warning NotOurs Secret {b}/old.a.site.test: ", "notariat/adopt");
    assert_eq!((held("old", "cert") == chain, tenants.orders()), (true, 1));
    // Taken over, the valid one stays until somebody asks.
    hosts("web", r#"{"notariat/adopt": "true"}"#, &["old", "fresh"]);
    daemon.until_it_says(&tenants.filled("valid secret={b}/old.a.site.test"));
    assert_eq!((held("old", "cert") == chain, tenants.orders()), (true, 1));
    tenants.kubectl(&["-n", "{b}", "annotate", "secret", "old.a.site.test", "notariat/renew=1"]);
    daemon.until("it is renewed", || held("old", "cert") != chain);
    let path = "go-template={{.type}} {{range $key, $value := .data}}{{$key}} {{end}}";
    let shape = || tenants.kubectl(&["-n", "{b}", "get", "secret", "old.a.site.test", "-o", path]);
    assert_eq!((shape().as_str(), held("old", "note").as_str()), ("Opaque cert key note ", "x"));
    assert!(held("old", "key").contains("PRIVATE KEY") && tenants.orders() == 2);
    // The copy in the record restores a Secret that was deleted, and one that lost its key.
    let fresh = held("fresh", "cert");
    tenants.kubectl(&["-n", "{b}", "delete", "secret", "fresh.a.site.test"]);
    tenants.kubectl(&[
        "-n",
        "{b}",
        "patch",
        "secret",
        "old.a.site.test",
        "--type=merge",
        "-p",
        r#"{"data": {"key": null}}"#,
    ]);
    daemon.until("both are restored", || held("fresh", "cert") == fresh && held("old", "key").contains("PRIVATE KEY"));
    assert_eq!(tenants.orders(), 2);
    let cluster = &tenants.cluster;
    let command =
        cluster.command(&cluster.service_account(), &[&["-allow-namespaces", &tenants.b], &flags[..]].concat());
    let status = Run::of(notariat().arg("status").args(command.get_args()));
    assert_eq!((status.code, status.stdout.matches(" Valid ").count()), (0, 2), "{}", status.stdout);
    assert_eq!(daemon.terminate(), 0);
    // A new start finds them as they are.
    let daemon = tenants.daemon(&flags);
    for secret in ["old", "fresh"] {
        daemon.until_it_says(&tenants.filled(&format!("valid secret={{b}}/{secret}.a.site.test")));
    }
    assert_eq!((held("fresh", "cert") == fresh, tenants.orders()), (true, 2));
    daemon.kill();
}
