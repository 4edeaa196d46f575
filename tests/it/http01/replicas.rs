//! HTTP-01 on the API server: every replica answers, and the Role of deploy/ is enough.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use notariat_lab::process::{self, Server};
use notariat_lab::{Pebble, Place, Port, Scratch};

use crate::support::Site;
use crate::support::api::{Api, Then};
use crate::support::cluster::Cluster;
use crate::support::kill_proxy::{self, KillProxy, Side};
use crate::support::run::{Daemon, until};

/// Two replicas behind HAProxy, which spreads requests over both.
struct Pair {
    cluster: Cluster,
    ports: [Port; 2],
    /// The ports of status and metrics.
    shown: [Port; 2],
    front: Port,
    _haproxy: Server,
    _files: Scratch,
}

impl Pair {
    fn new() -> Pair {
        Pair::behind("", "")
    }

    /// Behind HAProxy with further lines of its frontend and of its backend.
    fn behind(frontend: &str, backend: &str) -> Pair {
        let pair = || [Port::new(), Port::new()];
        let (ports, shown, front, files) = (pair(), pair(), Port::new(), Scratch::new("front"));
        let mut cluster = Cluster::new();
        cluster.site = Site::with_ca(Pebble::setup().http_port(front.number()));
        let key = format!("--from-literal=key={}", cluster.site.key.secret_text());
        let made = cluster.kubectl(&["create", "secret", "generic", "tsigkey", &key, "--dry-run=client", "-o", "yaml"]);
        cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "apply", "-f", "-"], &made);
        let servers = ports.iter().zip(&shown).map(|(port, shown)| {
            let (port, shown) = (port.number(), shown.number());
            format!(" server s{port} 127.0.0.1:{port} check port {shown} inter 100ms fall 1 rise 1\n")
        });
        let configuration = files.write(
            "haproxy.cfg",
            &format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n retries 3\n option redispatch\nfrontend f\n bind 127.0.0.1:{}\n{frontend} default_backend b\nbackend b\n balance roundrobin\n{backend}{}",
                front.number(),
                servers.collect::<String>()
            ),
        );
        let mut command = std::process::Command::new("haproxy");
        command.args(["-db", "-f"]).arg(configuration);
        let haproxy = Server::start("haproxy", &command, &files.join("log"));
        let haproxy = haproxy.until_it_listens(&Place::Host, &format!("127.0.0.1:{}", front.number()));
        Pair { cluster, ports, shown, front, _haproxy: haproxy, _files: files }
    }

    fn replica(&self, number: usize) -> Daemon {
        let mut command = self.command(number, &self.cluster.service_account());
        Daemon::start(command.arg("-acme").arg(self.cluster.site.pebble.directory()))
    }

    /// A replica without a CA.
    fn command(&self, number: usize, kubeconfig: &std::path::Path) -> Command {
        let [at, shown] = [&self.ports, &self.shown].map(|ports| format!("127.0.0.1:{}", ports[number].number()));
        self.cluster.command_without_ca(kubeconfig, &["-http-listen", &at, "-listen", &shown, "-log-level", "debug"])
    }

    /// The answer of a replica at its port of status and metrics.
    fn shows(&self, number: usize, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.shown[number].number());
        let told = Command::new("curl").args(["--silent", "--max-time", "5", &url]).output().unwrap();
        String::from_utf8(told.stdout).unwrap().trim_end().to_owned()
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

/// Kills the leader when it asks the CA to look: the standby goes on with the same order, and gives every answer that the CA asks for then.
fn killed_when_the_ca_is_asked(side: Side) {
    // Each connection waits, so that the leader is dead when it is answered.
    let wait = " mode tcp\n tcp-request inspect-delay 2s\n tcp-request content accept if WAIT_END\n";
    let pair = Pair::behind(wait, " mode tcp\n");
    pair.config("web", "www.site.test");
    let ca = KillProxy::before_ca(&pair.cluster.site.pebble);
    let replica = |number| {
        let mut command = pair.command(number, &pair.cluster.service_account());
        Daemon::start(command.arg("-acme").arg(ca.directory()))
    };
    let leader = replica(0);
    let (pid, is_over) = (leader.pid(), AtomicBool::new(false));
    ca.trap.set(move |moment| {
        let is_asked = moment.kind == "chalZ" && moment.side == side && !is_over.swap(true, SeqCst);
        if !is_asked {
            return kill_proxy::Then::GoOn;
        }
        process::signal(pid, "KILL");
        kill_proxy::Then::Drop
    });
    let standby = replica(1);
    standby.until_it_says("issued secret=");
    leader.kill();
    pair.cluster.assert_valid("web", &["www.site.test"]);
    assert_eq!((ca.trap.count("order-plz"), ca.trap.count("chalZ")), (1, 1), "{:?}", ca.trap.asked());
    // Pebble asks three times, each time when the leader is dead.
    let metrics = pair.shows(1, "/metrics");
    let answered =
        metrics.lines().find_map(|line| line.strip_prefix("notariat_challenge_requests_total{result=\"answered\"} "));
    assert!(answered.is_some_and(|count| count.parse::<u32>().unwrap() >= 3), "{metrics}");
    assert_eq!(standby.terminate(), 0);
}

#[test]
fn killed_before_the_ca_is_asked_the_standby_asks_for_the_same_order() {
    killed_when_the_ca_is_asked(Side::Before);
}

#[test]
fn killed_after_the_ca_was_asked_the_standby_answers_and_ends_the_order() {
    killed_when_the_ca_is_asked(Side::After);
}

#[test]
fn a_replica_without_a_watch_of_the_records_is_not_ready_and_the_other_one_answers() {
    let pair = Pair::behind("", " option httpchk GET /readyz\n");
    pair.config("first", "a.site.test");
    let leader = pair.replica(0);
    leader.until_it_says("issued secret=");
    let api = Api::start(pair.cluster.kube, |_| Then::Pass);
    let token = pair.cluster.kube.service_account_token(&pair.cluster.namespace, "notariat");
    let mut command = pair.command(1, &api.kubeconfig(&format!("token: {token}")));
    let standby = Daemon::start(command.arg("-acme").arg(pair.cluster.site.pebble.directory()));
    let ready = |number| pair.shows(number, "/readyz");
    standby.until("both are ready", || (0..2).all(|number| ready(number) == "ok"));

    api.then(|asked| {
        let is_of_records = asked.path.contains("/secrets?") && asked.path.contains("record");
        if is_of_records { Then::CutBefore } else { Then::Pass }
    });
    api.hang_up();
    let lacks = "not ready: the watch of the records shows nothing, and with it no answers to challenges";
    standby.until("it is not ready", || ready(1) == lacks);
    assert_eq!(ready(0), "ok");
    pair.config("web", "www.site.test");
    leader.until("it is issued", || leader.log().matches("issued secret=").count() == 2);
    pair.cluster.assert_valid("web", &["www.site.test"]);
    assert_eq!(orders(&pair.cluster.site), 2);
    let asked = "notariat_challenge_requests_total{result=\"none\"} 0";
    assert!(pair.shows(1, "/metrics").contains(asked), "nobody asked the one that is not ready");

    api.then(|_| Then::Pass);
    until("it is ready again", || ready(1) == "ok");
    assert_eq!((leader.terminate(), standby.terminate()), (0, 0));
}
