//! HTTP-01 needs no right on Ingresses or routes: the printed Role has none, and nothing is asked about them.

use notariat_lab::{Pebble, Port};

use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::{Run, Site};
use notariat_lab::Kube;

#[test]
fn the_printed_role_is_enough_and_nothing_is_asked_about_ingresses() {
    let port = Port::new();
    let at = format!("127.0.0.1:{}", port.number());
    let cluster = Cluster::at(Kube::shared(), Site::with_ca(Pebble::setup().http_port(port.number())));
    cluster.kubectl(&["delete", "secret", "tsigkey"]);
    cluster.config(&format!(
        "- {{secret: web, domains: [www.site.test], email: a@site.test, challenge: http-01, http: {{via: '{at}'}}}}\n"
    ));
    let command = cluster.command(cluster.kube.admin_kubeconfig(), &["-http-listen", &at]);
    let role = Run::of(notariat().arg("role").args(command.get_args())).ends(0).stdout;
    for word in ["ingress", "route", "gateway", "service", "patch", "delete"] {
        assert!(!role.contains(word), "{word}: {role}");
    }
    cluster.kubectl(&["delete", "role", "notariat"]);
    cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "apply", "-f", "-"], &role);

    let daemon = cluster.daemon(&["-http-listen", &at]);
    daemon.until_it_says("issued secret=");
    cluster.assert_valid("web", &["www.site.test"]);
    cluster.kubectl(&["annotate", "secret", "web", "notariat/renew=now"]);
    daemon.until("it is renewed", || daemon.log().matches("issued secret=").count() == 2);
    assert!(!daemon.log().contains("permission-missing"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(cluster.site.dns.updates(), 0);
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked: Vec<_> = cluster.kube.audit().into_iter().filter(|asked| asked.user == user).collect();
    assert!(asked.len() > 10, "{asked:#?}");
    let known = ["secrets", "configmaps", "events", "leases"];
    for one in &asked {
        assert!(one.code != 403, "{one:#?}");
        assert!(known.contains(&one.resource.as_str()) || one.resource.starts_with("selfsubject"), "{one:#?}");
    }
}
