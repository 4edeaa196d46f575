//! HTTP-01 on the API server: every replica answers, and the Role of deploy/ is enough.

use notariat_lab::process::Server;
use notariat_lab::{Pebble, Port, Scratch};

use crate::support::Site;
use crate::support::cluster::Cluster;
use crate::support::run::Daemon;

/// Two replicas behind HAProxy, which spreads requests over both.
struct Pair {
    cluster: Cluster,
    ports: [Port; 2],
    front: Port,
    _haproxy: Server,
    _files: Scratch,
}

impl Pair {
    fn new() -> Pair {
        let (ports, front, files) = ([Port::new(), Port::new()], Port::new(), Scratch::new("front"));
        let mut cluster = Cluster::new();
        cluster.site = Site::with_ca(Pebble::setup().http_port(front.number()));
        let key = format!("--from-literal=key={}", cluster.site.key.secret_text());
        let made = cluster.kubectl(&["create", "secret", "generic", "tsigkey", &key, "--dry-run=client", "-o", "yaml"]);
        cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "apply", "-f", "-"], &made);
        let servers = ports.iter().map(|port| format!(" server s{0} 127.0.0.1:{0} check inter 100ms\n", port.number()));
        let configuration = files.write(
            "haproxy.cfg",
            &format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n retries 3\n option redispatch\nfrontend f\n bind 127.0.0.1:{}\n default_backend b\nbackend b\n balance roundrobin\n{}",
                front.number(),
                servers.collect::<String>()
            ),
        );
        let mut command = std::process::Command::new("haproxy");
        command.args(["-db", "-f"]).arg(configuration);
        let haproxy = Server::start("haproxy", &command, &files.join("log"));
        Pair { cluster, ports, front, _haproxy: haproxy, _files: files }
    }

    fn replica(&self, number: usize) -> Daemon {
        let at = format!("127.0.0.1:{}", self.ports[number].number());
        self.cluster.daemon(&["-http-listen", &at, "-log-level", "debug"])
    }

    fn config(&self, secret: &str, name: &str) {
        self.cluster.config(&format!(
            "- {{secret: {secret}, domains: [{name}], challenge: http-01, http: {{via: '127.0.0.1:{}'}}}}\n",
            self.front.number()
        ));
    }
}

/// How many orders the CA was asked for.
pub(super) fn orders(site: &Site) -> usize {
    site.pebble.request_lines().iter().filter(|line| line.contains("order-plz")).count()
}

#[test]
fn both_replicas_answer_and_after_a_kill_the_other_ends_the_same_order() {
    let pair = Pair::new();
    pair.config("web", "www.site.test");
    let leader = pair.replica(0);
    leader.until_it_says("lead");
    let standby = pair.replica(1);
    leader.until_it_says("issued secret=");
    pair.cluster.assert_valid("web", &["www.site.test"]);
    let orders = || orders(&pair.cluster.site);
    assert_eq!(orders(), 1);
    assert_eq!(pair.cluster.site.dns.updates(), 0);

    // The answer stands in the record that both watch: killed after that, the other one goes on with the order.
    pair.config("api", "a.site.test");
    leader.until_it_says("secret=");
    leader.until("the order is made", || orders() == 2);
    leader.kill();
    standby.until_it_says("issued secret=");
    pair.cluster.assert_valid("api", &["a.site.test"]);
    assert!(orders() <= 3, "{:#?}", pair.cluster.site.pebble.request_lines());
    assert_eq!(standby.terminate(), 0);
}
