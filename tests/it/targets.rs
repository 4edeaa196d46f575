//! Certificates in other clusters (`-target`): written, watched, renewed and restored there, while everything else stays at home. A cluster that
//! is away stops nobody else.

mod sources;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use notariat_lab::{Kube, Scratch, tools};
use serde_json::{Value, json};

use crate::port::{LISTEN, address, get};
use crate::support::api::{self, Api, Then};
use crate::support::cluster::{Cluster, OwnKube};
use crate::support::https::Reply;
use crate::support::run::{Daemon, Run, notariat, until};
use crate::support::x509;

/// The rights in a target: Secrets of one namespace, and nothing else.
const ROLE: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: notariat}
rules:
  - {apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: notariat}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: notariat}
subjects: [{kind: ServiceAccount, name: notariat}]
";

/// Home, and a namespace of its name in another cluster.
struct Clusters {
    home: Cluster,
    edge: &'static Kube,
}

impl Clusters {
    fn new() -> Clusters {
        static EDGE: OnceLock<Kube> = OnceLock::new();
        Clusters::with(EDGE.get_or_init(Kube::start))
    }

    fn with(edge: &'static Kube) -> Clusters {
        let home = Cluster::new();
        edge.kubectl(&["create", "namespace", &home.namespace]);
        edge.kubectl_stdin(&["-n", &home.namespace, "apply", "-f", "-"], ROLE);
        Clusters { home, edge }
    }

    /// The namespace, in both clusters.
    fn namespace(&self) -> &str {
        &self.home.namespace
    }

    /// The identity in the target: a token, and the rights of [`ROLE`].
    fn kubeconfig(&self) -> PathBuf {
        self.edge.kubeconfig_with_bearer(&self.edge.service_account_token(self.namespace(), "notariat"))
    }

    fn command(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        let mut command = self.home.command(&self.home.service_account(), more);
        command.arg("-target").arg(format!("edge={}", kubeconfig.display()));
        command
    }

    fn daemon(&self) -> Daemon {
        // Without a Lease nobody waits for one that was killed.
        Daemon::start(&mut self.command(&self.kubeconfig(), &["-lease=off"]))
    }

    /// A command that reads or asks, with the flags of the controller.
    fn tool(&self, kubeconfig: &Path, words: &[&str]) -> Run {
        let mut command = notariat();
        command.args(words).args(self.command(kubeconfig, &[]).get_args());
        Run::of(&mut command)
    }

    fn status(&self, kubeconfig: &Path) -> Vec<Value> {
        let shown = self.tool(kubeconfig, &["status", "-o", "json"]);
        let json: Value = serde_json::from_str(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {shown:?}"));
        json["certificates"].as_array().unwrap_or_else(|| panic!("{json:#}")).clone()
    }

    fn there(&self, arguments: &[&str]) -> String {
        self.edge.kubectl(&[&["-n", self.namespace()], arguments].concat())
    }

    fn field(&self, secret: &str, path: &str) -> String {
        self.there(&["get", "secret", secret, "-o", &format!("jsonpath={path}")])
    }

    /// The Secret holds a valid certificate for these names.
    #[track_caller]
    fn assert_valid(&self, secret: &str, names: &[&str]) {
        use base64::Engine as _;
        let folder = Scratch::new("judged");
        for file in ["tls.crt", "tls.key"] {
            let encoded = self.field(secret, &format!("{{.data.{}}}", file.replace('.', "\\.")));
            let octets = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
            folder.write(file, std::str::from_utf8(&octets).unwrap());
        }
        x509::assert_valid(folder.path(), &self.home.site.pebble.root_pem(), names);
    }

    /// The Secrets of a cluster that are no token, with their types.
    fn secrets(kube: &Kube, namespace: &str) -> Vec<String> {
        let path = "jsonpath={range .items[*]}{.metadata.name} {.type}{\"\\n\"}{end}";
        let all = kube.kubectl(&["-n", namespace, "get", "secrets", "-o", path]);
        let mut all: Vec<String> =
            all.lines().filter(|line| !line.contains("service-account-token")).map(str::to_owned).collect();
        all.sort();
        all
    }
}

fn in_edge(clusters: &Clusters, secret: &str, name: &str) -> String {
    clusters.home.site.entry(secret, name, ", cluster: edge")
}

#[test]
fn a_certificate_is_stored_renewed_and_restored_in_another_cluster_and_all_else_stays_at_home() {
    let clusters = Clusters::new();
    let (namespace, kubeconfig) = (clusters.namespace(), clusters.kubeconfig());
    let at = format!("edge:{namespace}/web");
    clusters.home.config(&in_edge(&clusters, "web", "www.site.test"));
    let daemon = clusters.daemon();
    daemon.until_it_says(&format!("issued secret={at}"));
    // While the first list is under way, nobody is told that nothing is known.
    assert!(!daemon.log().contains("unread"), "{}", daemon.log());
    clusters.assert_valid("web", &["www.site.test"]);
    let mark = "{.metadata.annotations.notariat/owner}";
    assert_eq!(clusters.field("web", mark), format!("{namespace}/edge {namespace}/web"));

    // Nothing but the certificate is there, and the certificate is not here.
    assert_eq!(Clusters::secrets(clusters.edge, namespace), ["web kubernetes.io/tls"]);
    let here = Clusters::secrets(clusters.home.kube, namespace);
    let record = format!("notariat-record-edge.{namespace}.web");
    assert!(here.contains(&format!("{record} notariat/record")), "{here:?}");
    assert!(here.iter().any(|name| name.starts_with("notariat-acme-")) && here.len() == 3, "{here:?}");

    // A renewal that a person asks for.
    let first = clusters.field("web", "{.data.tls\\.crt}");
    clusters.tool(&kubeconfig, &["renew", &at]).ends(0);
    daemon.until("renewed", || daemon.log().matches(&format!("issued secret={at}")).count() == 2);
    clusters.assert_valid("web", &["www.site.test"]);
    assert_ne!(clusters.field("web", "{.data.tls\\.crt}"), first);

    // Restored from the copy at home, without the CA.
    let (held, orders) = (clusters.field("web", "{.data.tls\\.crt}"), clusters.home.site.pebble.requests());
    clusters.there(&["delete", "secret", "web"]);
    daemon.until_it_says(&format!("restored secret={at}"));
    assert_eq!(clusters.field("web", "{.data.tls\\.crt}"), held);
    assert_eq!(clusters.home.site.pebble.requests(), orders);

    let rows = clusters.status(&kubeconfig);
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &Value::from("Valid")), "{rows:?}");
    assert!(rows[0].to_string().contains(&at), "{rows:?}");
    assert_eq!(daemon.terminate(), 0);

    // The identity there had use of no more than it has.
    let user = format!("system:serviceaccount:{namespace}:notariat");
    let asked: Vec<_> = clusters.edge.audit().into_iter().filter(|asked| asked.user == user).collect();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.resource == "secrets"), "{asked:#?}");
    assert!(asked.iter().all(|asked| asked.code != 403), "{asked:#?}");
    let events = clusters.home.kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"]);
    assert!(events.contains(&format!("Secret {at}: ")), "{events}");
}

#[test]
fn after_a_kill_a_secret_that_was_deleted_meanwhile_comes_from_the_copy_at_home() {
    let clusters = Clusters::new();
    let at = format!("edge:{}/web", clusters.namespace());
    clusters.home.config(&in_edge(&clusters, "web", "www.site.test"));
    let daemon = clusters.daemon();
    daemon.until_it_says(&format!("issued secret={at}"));
    let held = clusters.field("web", "{.data.tls\\.crt}");
    daemon.kill();
    clusters.there(&["delete", "secret", "web"]);
    let requests = clusters.home.site.pebble.requests();
    let daemon = clusters.daemon();
    daemon.until_it_says(&format!("restored secret={at}"));
    assert_eq!(clusters.field("web", "{.data.tls\\.crt}"), held);
    assert!(!daemon.log().contains("issuing"), "{}", daemon.log());
    assert!(clusters.home.site.pebble.requests() <= requests + 2, "the directory and renewal information at the most");

    // The entry goes: the Secret stays, and the record is kept for a while.
    clusters.home.config("[]");
    let record = format!("notariat-record-edge.{}.web", clusters.namespace());
    let kept = || clusters.home.get(&record, "{.data.record}");
    daemon.until("orphaned", || {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.decode(kept()).unwrap();
        String::from_utf8(text).unwrap().contains("\"orphaned\"")
    });
    let rows = clusters.status(&clusters.kubeconfig());
    assert!(rows[0]["state"] == "Orphaned" && rows[0].to_string().contains(&at), "{rows:?}");
    assert_eq!(clusters.field("web", "{.data.tls\\.crt}"), held);
}

#[test]
fn a_cluster_that_is_away_stops_nobody_else_and_is_served_when_it_comes_back() {
    let own = OwnKube::start();
    let clusters = Clusters::with(own.kube());
    let (namespace, kubeconfig) = (clusters.namespace(), clusters.kubeconfig());
    let both = [clusters.home.site.entry("here", "www.site.test", ""), in_edge(&clusters, "there", "a.site.test")];
    let [here, there] = [format!("{namespace}/here"), format!("edge:{namespace}/there")];
    clusters.edge.stop_api();
    clusters.home.config(&both.concat());

    // A single pass says what it could not find out.
    let watch = Instant::now();
    let once = Run::of(&mut clusters.command(&kubeconfig, &["-once"])).ends(75);
    once.says(&[&format!("issued secret={here}"), &format!("unread secret={there}"), "the cluster edge: "]);
    assert!(watch.elapsed() < Duration::from_secs(60), "{:?}", watch.elapsed());
    clusters.home.kubectl(&["delete", "secret", "here"]);

    let daemon = Daemon::start(&mut clusters.command(&kubeconfig, &[LISTEN]));
    daemon.until_it_says(&format!("restored secret={here}"));
    let at = address(&daemon);
    daemon.until("ready", || get(at, "/readyz").0 == 200);
    daemon.until_it_says("cluster-away cluster=edge");
    let figures = || get(at, "/metrics").1;
    daemon.until("both are shown", || figures().contains("secret_name=\"there\""));
    let state = format!(
        "{{secret_cluster=\"edge\",secret_namespace=\"{namespace}\",secret_name=\"there\",state=\"Unknown\"}} 1"
    );
    daemon.until("the figures say so", || figures().contains(&state));
    assert!(figures().contains("notariat_target_up{target=\"edge\"} 0"), "{}", figures());
    let rows = clusters.status(&kubeconfig);
    let row = rows.iter().find(|row| row.to_string().contains(&there)).unwrap();
    assert!(row["state"] == "Unknown" && row.to_string().contains("the cluster edge: "), "{row:#}");

    clusters.edge.start_api();
    daemon.until_it_says("cluster-back cluster=edge");
    daemon.until_it_says(&format!("issued secret={there}"));
    clusters.assert_valid("there", &["a.site.test"]);
    daemon.until("the figures say so", || figures().contains("notariat_target_up{target=\"edge\"} 1"));
    let held = clusters.field("there", "{.data.tls\\.crt}");

    // Away again, while everything runs: home is served as if nothing were.
    clusters.edge.stop_api();
    daemon.until("away", || daemon.log().matches("cluster-away cluster=edge").count() == 2);
    daemon.until("the figures say so", || figures().contains("notariat_target_up{target=\"edge\"} 0"));
    clusters.home.kubectl(&["delete", "secret", "here"]);
    let watch = Instant::now();
    until("restored", || daemon.log().matches(&format!("restored secret={here}")).count() == 2);
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    assert!(!daemon.log().contains("api-server-away"), "{}", daemon.log());

    // Deleted while nobody looked.
    clusters.edge.start_api();
    clusters.there(&["delete", "secret", "there"]);
    daemon.until_it_says(&format!("restored secret={there}"));
    assert_eq!(clusters.field("there", "{.data.tls\\.crt}"), held);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_cluster_that_takes_connections_and_never_answers_costs_one_waiting_time() {
    let clusters = Clusters::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Scratch::new("silent");
    let text = std::fs::read_to_string(clusters.kubeconfig()).unwrap();
    let deaf = text.replace(&clusters.edge.api_url(), &format!("https://{}", silent.local_addr().unwrap()));
    assert_ne!(text, deaf);
    let deaf = folder.write("config", &deaf);
    let mut config = clusters.home.site.entry("here", "www.site.test", "");
    (0..30).for_each(|n| config += &in_edge(&clusters, &format!("s{n}"), "a.site.test"));
    clusters.home.config(&config);

    let watch = Instant::now();
    let once = Run::of(&mut clusters.command(&deaf, &["-once"])).ends(75);
    once.says(&[&format!("issued secret={}/here", clusters.namespace())]);
    let took = watch.elapsed();
    assert!(took < Duration::from_secs(45), "30 certificates cost {took:?}");

    let daemon = Daemon::start(&mut clusters.command(&deaf, &[]));
    daemon.until_it_says(&format!("valid secret={}/here", clusters.namespace()));
    clusters.home.kubectl(&["delete", "secret", "here"]);
    let watch = Instant::now();
    daemon.until_it_says("restored secret=");
    assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
    assert_eq!(daemon.terminate(), 0);
    drop(silent);
}

#[test]
fn a_kubeconfig_with_a_program_is_refused_at_the_start_and_so_is_one_that_is_not_there() {
    let clusters = Clusters::new();
    clusters.home.config(&in_edge(&clusters, "web", "www.site.test"));
    let folder = Scratch::new("exec");
    let mark = folder.path().join("ran");
    let text = std::fs::read_to_string(clusters.kubeconfig()).unwrap();
    let (begin, _) = text.split_once("token: ").unwrap();
    let program = format!(
        "{begin}exec: {{apiVersion: client.authentication.k8s.io/v1, command: touch, args: ['{}'], interactiveMode: Never}}\n",
        mark.display()
    );
    let program = folder.write("config", &program);
    for mode in [&[][..], &["-once"], &["-dry-run"]] {
        let refused = Run::of(&mut clusters.command(&program, mode)).ends(78);
        refused.says(&["-target edge: kubeconfig ", "gets a credential from a program (touch)", "notariat runs none"]);
    }
    clusters.tool(&program, &["status"]).ends(78).says(&["notariat runs none"]);
    assert!(!mark.exists(), "it ran");
    let none = Run::of(&mut clusters.command(&folder.path().join("none"), &["-once"])).ends(78);
    none.says(&["-target edge: kubeconfig ", "can not be read"]);
    assert_eq!(clusters.home.site.pebble.requests(), 0);
}

#[test]
fn an_entry_names_no_other_cluster_and_no_other_namespace_than_the_command_line() {
    let clusters = Clusters::new();
    let (namespace, kubeconfig) = (clusters.namespace(), clusters.kubeconfig());
    let unnamed = in_edge(&clusters, "web", "www.site.test").replace("cluster: edge", "cluster: moon");
    clusters.home.config(&unnamed);
    let once = || Run::of(&mut clusters.command(&kubeconfig, &["-once"]));
    once().ends(1).says(&[
        &format!("certificates entry 1 (moon:{namespace}/web): cluster: "),
        "is a cluster that no -target names (there are edge)",
    ]);
    let elsewhere = in_edge(&clusters, "kube-system/web", "www.site.test");
    clusters.home.config(&elsewhere);
    once().ends(1).says(&["is in the namespace kube-system of the cluster edge", "there it is edge:kube-system"]);
    // Inputs are at home: no key is read elsewhere.
    let keys = in_edge(&clusters, "web", "www.site.test")
        .replace("tsigSecretName: tsigkey", "tsigSecretName: 'edge:x/tsigkey'");
    clusters.home.config(&keys);
    once().ends(1).says(&["tsigSecretName: ", "is not the name of a Secret"]);
    assert_eq!(clusters.home.site.pebble.requests(), 0);
    assert!(Clusters::secrets(clusters.edge, namespace).is_empty());

    // What was accepted once is neither renewed nor restored without its -target.
    clusters.home.config(&in_edge(&clusters, "web", "www.site.test"));
    once().ends(0).says(&["issued secret=edge:"]);
    clusters.there(&["delete", "secret", "web"]);
    clusters.home.once().ends(1).says(&["is a cluster that no -target names (none is given)"]).never_says("restored");
    assert!(Clusters::secrets(clusters.edge, namespace).is_empty());
    once().ends(0).says(&["restored secret=edge:"]);
}

#[test]
fn a_secret_of_another_owner_is_left_alone_there_also_a_copy_of_one_of_home() {
    let clusters = Clusters::new();
    let namespace = clusters.namespace();
    // The same name in both clusters, by two entries: two certificates with two records.
    let both = [clusters.home.site.entry("web", "www.site.test", ""), in_edge(&clusters, "web", "a.site.test")];
    clusters.home.config(&both[0]);
    let once = || Run::of(&mut clusters.command(&clusters.kubeconfig(), &["-once"]));
    once().ends(0);
    let copied = clusters.home.kubectl(&["get", "secret", "web", "-o", "json"]);
    let mut copied: Value = serde_json::from_str(&copied).unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
        copied["metadata"].as_object_mut().unwrap().remove(field);
    }
    clusters.edge.kubectl_stdin(&["apply", "-f", "-"], &copied.to_string());
    let version = || clusters.field("web", "{.metadata.resourceVersion}");
    let before = version();
    clusters.home.config(&both.concat());
    let requests = clusters.home.site.pebble.requests();
    once()
        .ends(1)
        .says(&[&format!("left-alone secret=edge:{namespace}/web reason=OwnedByAnother"), "the notariat instance"]);
    assert_eq!((version(), clusters.home.site.pebble.requests()), (before, requests));

    clusters.there(&["delete", "secret", "web"]);
    once().ends(0).says(&[&format!("issued secret=edge:{namespace}/web")]);
    clusters.assert_valid("web", &["a.site.test"]);
    clusters.home.assert_valid("web", &["www.site.test"]);
    let here = Clusters::secrets(clusters.home.kube, namespace);
    for record in [format!("notariat-record.{namespace}.web"), format!("notariat-record-edge.{namespace}.web")] {
        assert!(here.contains(&format!("{record} notariat/record")), "{here:?}");
    }
}

#[test]
fn the_role_that_is_printed_for_a_cluster_is_enough_there_and_names_its_secrets() {
    let clusters = Clusters::new();
    let (namespace, kubeconfig) = (clusters.namespace(), clusters.kubeconfig());
    clusters.home.config(
        &[clusters.home.site.entry("here", "www.site.test", ""), in_edge(&clusters, "web", "a.site.test")].concat(),
    );
    let role = |more: &[&str]| clusters.tool(&kubeconfig, &[&["role"], more].concat());
    let (home, edge) = (role(&[]).ends(0).stdout, role(&["-cluster", "edge"]).ends(0).stdout);
    assert!(home.contains("- \"here\"") && !home.contains("- \"web\""), "{home}");
    assert!(home.contains(&format!("- \"notariat-record-edge.{namespace}.web\"")), "{home}");
    assert!(edge.contains("- \"web\"") && !edge.contains("here") && !edge.contains("tsigkey"), "{edge}");
    assert!(!edge.contains("configmaps") && !edge.contains("leases") && !edge.contains("notariat-"), "{edge}");
    role(&["-cluster", "moon"]).ends(1).says(&["-cluster \"moon\" is a cluster that no -target names"]);

    // In the place of the one that allows all Secrets.
    clusters.edge.kubectl_stdin(&["apply", "-f", "-"], &edge);
    Run::of(&mut clusters.command(&kubeconfig, &["-once"])).ends(0).says(&["issued secret=edge:"]);
    let daemon = clusters.daemon();
    daemon.until_it_says(&format!("valid secret=edge:{namespace}/web"));
    clusters.there(&["delete", "secret", "web"]);
    daemon.until_it_says("restored secret=edge:");
    assert!(daemon.log().contains("not-watched what=\"edge:"), "{}", daemon.log());
    let read = clusters.edge.try_kubectl_as(&kubeconfig, &["-n", namespace, "get", "secret", "other"]);
    assert!(read.unwrap_err().contains("forbidden"), "no other Secret may be read");
}

#[test]
fn the_clock_of_another_cluster_is_not_heard() {
    let clusters = Clusters::new();
    let format = ["-u", "-d", "+3 hours", "+%a, %d %b %Y %H:%M:%S GMT"];
    let date = tools::output(Command::new("date").env("LC_ALL", "C").args(format)).trim().to_owned();
    // A cluster that takes everything and is three hours ahead.
    let mut stored = None;
    let api = Api::start(clusters.edge, move |asked| {
        if asked.method != "GET" {
            let mut object: Value = serde_json::from_str(&asked.body).unwrap();
            (object["metadata"]["uid"], object["metadata"]["resourceVersion"]) = ("u".into(), "1".into());
            object["kind"] = "Secret".into();
            stored = Some(object).filter(|_| asked.writes("web"));
        }
        let refused = |code, reason: &str, message: &str| match api::status(code, reason, message, &json!({})) {
            Then::Say(reply) => reply,
            _ => unreachable!("it says something"),
        };
        let mut answer = match &stored {
            _ if asked.method == "GET" && !asked.path.contains("/secrets/") => {
                refused(403, "Forbidden", "secrets is forbidden: list")
            }
            None if asked.method == "GET" => refused(404, "NotFound", "secrets \"web\" not found"),
            None => Reply { status: 201, headers: Vec::new(), body: asked.body.clone().into_bytes(), length: None },
            Some(object) => {
                Reply { status: 200, headers: Vec::new(), body: object.to_string().into_bytes(), length: None }
            }
        };
        answer.set("content-type", "application/json");
        answer.set("date", &date);
        Then::Say(answer)
    });
    clusters.home.config(&in_edge(&clusters, "web", "www.site.test"));
    let kubeconfig = api.kubeconfig("token: x");
    let once = Run::of(&mut clusters.command(&kubeconfig, &["-once"]));
    once.ends(0).says(&["issued secret=edge:"]).never_says("clock");
    assert!(api.asked().iter().any(|asked| asked.writes("web")), "{:?}", api.asked());

    // Its Secret may not be watched there and is read: while nothing happens at home, that is the last answer.
    let daemon = Daemon::start(&mut clusters.command(&kubeconfig, &[LISTEN, "-lease=off"]));
    daemon.until_it_says("valid secret=edge:");
    let figures = get(address(&daemon), "/metrics").1;
    let offset =
        figures.lines().find_map(|line| line.strip_prefix("notariat_clock_offset_seconds{peer=\"kubernetes\"} "));
    assert!(offset.is_some_and(|offset| offset.parse::<f64>().unwrap().abs() < 3600.0), "{offset:?}");
    assert_eq!(daemon.terminate(), 0);
}
