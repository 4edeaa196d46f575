//! Many objects: what an instance asks the API server for at rest, and what a deployment that replaces everything orders.

use std::time::Duration;

use crate::support::tenants::Tenants;

/// Ingresses of the wave, of which four share a Secret.
const COUNT: usize = 40;

/// The Ingresses of a chart. Each four of them name one Secret.
fn chart() -> String {
    let one = |i: usize| {
        format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{namespace: '{{a}}', name: web-{i}, labels: {{wave: 'yes'}}, annotations: {{kubernetes.io/tls-acme: 'true'}}}}\n\
             spec: {{tls: [{{secretName: web-{}, hosts: [w{i}.a.site.test]}}], defaultBackend: {{service: {{name: x, port: {{number: 80}}}}}}}}\n",
            i / 4
        )
    };
    (0..COUNT).map(one).collect()
}

#[test]
fn a_chart_that_goes_and_comes_back_orders_nothing_and_at_rest_there_are_watches_only() {
    let tenants = Tenants::new();
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test], certificatesPerWeek: 100}")]);
    tenants.apply(&chart());
    let daemon = tenants.daemon(&["-sources", "config,ingress", "-workers", "4"]);
    let is_whole = |i: usize| tenants.names("{a}", &format!("web-{i}")).is_some_and(|names| names.len() == 4);
    daemon.until("every Secret has the names of four Ingresses", || (0..COUNT / 4).all(is_whole));
    assert_eq!(tenants.orders(), COUNT / 4, "an order for each Secret");

    let user = format!("system:serviceaccount:{}:notariat", tenants.cluster.namespace);
    let asked = |skip: usize| -> Vec<String> {
        let all = tenants.cluster.kube.audit().into_iter().filter(|asked| asked.user == user);
        all.skip(skip).map(|asked| format!("{} {}", asked.verb, asked.resource)).collect()
    };
    // Events and statuses about the new certificates are written within seconds.
    std::thread::sleep(Duration::from_secs(6));
    let before = asked(0).len();
    std::thread::sleep(Duration::from_secs(25));
    let at_rest = asked(before);
    let is_rest = |asked: &String| asked.starts_with("watch ") || asked.ends_with(" leases");
    assert!(at_rest.iter().all(is_rest), "{at_rest:?}");
    assert!(at_rest.len() <= 12, "a watch lasts for minutes: {at_rest:?}");

    // Once within the rest of the wishes, and once beyond it.
    for pause in [Duration::ZERO, Duration::from_secs(6)] {
        tenants.kubectl(&["-n", "{a}", "delete", "ingress", "-l", "wave=yes"]);
        std::thread::sleep(pause);
        tenants.apply(&chart());
        std::thread::sleep(Duration::from_secs(8));
        assert_eq!(tenants.orders(), COUNT / 4, "nothing is ordered for what goes and comes back");
    }
    // The instance has not just stopped: a new one is served.
    tenants.ingress("{a}", "last", "kubernetes.io/tls-acme: 'true'", "[{secretName: last, hosts: [last.a.site.test]}]");
    tenants.until_issued(&daemon, "{a}", "last", &["last.a"]);
    assert_eq!(tenants.orders(), COUNT / 4 + 1);
    daemon.kill();
}
