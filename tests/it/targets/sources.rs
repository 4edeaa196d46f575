//! Certificates of Gardener in another cluster as sources: policy, accounts, zones and records are at home, and the other cluster gets its
//! Secrets, statuses and Events.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use notariat_lab::{Kube, Scratch};
use serde_json::Value;

use super::Clusters;
use crate::port::{LISTEN, address, get};
use crate::support::cluster::OwnKube;
use crate::support::run::{Daemon, Run, until};

/// The flags that make the Certificates of the other cluster a source.
const SOURCES: [&str; 2] = ["-sources", "config,edge:gardener"];

/// The line of the namespace in the other cluster.
const LINE: &str = "domains: [site.test], certificatesPerWeek: 20, maxCertificates: 3";

/// Home, another cluster with Gardener's definitions, and the text of the key `namespaces`.
struct Place {
    clusters: Clusters,
    scratch: Scratch,
}

impl Place {
    fn new() -> Place {
        static EDGE: OnceLock<Kube> = OnceLock::new();
        let edge = EDGE.get_or_init(|| {
            let edge = Kube::start();
            define(&edge);
            edge
        });
        Place::with(edge)
    }

    fn with(edge: &'static Kube) -> Place {
        let place = Place { clusters: Clusters::with(edge), scratch: Scratch::new("sources") };
        place.rights("[get, list, watch]");
        place
    }

    /// The rights of the identity in the other cluster: Secrets, Events, statuses, and these verbs on Certificates.
    fn rights(&self, verbs: &str) {
        let role = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: notariat}}\nrules:\n\
             - {{apiGroups: [''], resources: [secrets], verbs: [get, list, watch, create, update]}}\n\
             - {{apiGroups: [''], resources: [events], verbs: [create, update]}}\n\
             - {{apiGroups: [cert.gardener.cloud], resources: [certificates], verbs: {verbs}}}\n\
             - {{apiGroups: [cert.gardener.cloud], resources: [certificates/status], verbs: [update]}}\n"
        );
        self.clusters.edge.kubectl_stdin(&["-n", self.namespace(), "apply", "-f", "-"], &role);
    }

    fn namespace(&self) -> &str {
        self.clusters.namespace()
    }

    /// Writes the ConfigMap with this line for the other cluster; empty for none.
    fn config(&self, line: &str) {
        self.config_with(line, "[]");
    }

    fn config_with(&self, line: &str, certificates: &str) {
        let site = &self.clusters.home.site;
        let ca = site.pebble.directory();
        let server = site.dns.addr().to_string();
        let defaults = format!(
            "{{email: admin@site.test, tsigSecretName: tsigkey, dns: {{server: '{server}', propagation: primary}}}}"
        );
        let issuers = format!("{{first: {{directory: '{ca}'}}, second: {{directory: '{ca}'}}}}");
        let line = if line.is_empty() { String::new() } else { format!("edge:{}: {{{line}}}", self.namespace()) };
        let mut arguments: Vec<String> =
            ["create", "configmap", "notariat", "--dry-run=client", "-o", "yaml"].map(str::to_owned).to_vec();
        for (key, text) in
            [("defaults", &*defaults), ("issuers", &*issuers), ("namespaces", &*line), ("certificates", certificates)]
        {
            arguments.push(format!("--from-file={key}={}", self.scratch.write(key, text).display()));
        }
        let made = self.clusters.home.kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        self.clusters.home.kube.kubectl_stdin(&["-n", self.namespace(), "apply", "-f", "-"], &made);
    }

    fn command(&self, kubeconfig: &Path, more: &[&str]) -> Command {
        self.clusters.command(kubeconfig, &[&SOURCES, more].concat())
    }

    fn daemon(&self, more: &[&str]) -> Daemon {
        let more = [&["-lease=off"], more].concat();
        Daemon::start(&mut self.command(&self.clusters.kubeconfig(), &more))
    }

    /// Creates a Certificate in the other cluster.
    fn certificate(&self, name: &str, spec: &str) {
        let yaml = format!(
            "apiVersion: cert.gardener.cloud/v1alpha1\nkind: Certificate\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"
        );
        self.clusters.edge.kubectl_stdin(&["-n", self.namespace(), "apply", "-f", "-"], &yaml);
    }

    fn delete(&self, name: &str) {
        self.clusters.there(&["delete", "certificates.cert.gardener.cloud", name]);
    }

    fn object(&self, name: &str) -> Value {
        serde_json::from_str(&self.clusters.there(&["get", "certificates.cert.gardener.cloud", name, "-o", "json"]))
            .unwrap()
    }

    /// Waits until the status of a Certificate has this state, and this in its message.
    #[track_caller]
    fn until_state(&self, name: &str, state: &str, part: &str) {
        let mut last = Value::Null;
        let mut is_so = || {
            last = self.object(name)["status"].clone();
            last["state"] == state && last["message"].as_str().is_some_and(|message| message.contains(part))
        };
        until(&format!("{name}: {state} … {part}"), &mut is_so);
    }

    /// The Events about a Certificate in the other cluster.
    fn events(&self, name: &str) -> String {
        let path = r#"jsonpath={range .items[*]}{.type} {.reason} {.message}{"\n"}{end}"#;
        let selector = format!("involvedObject.name={name},involvedObject.kind=Certificate");
        self.clusters.there(&["get", "events", "--field-selector", &selector, "-o", path])
    }

    fn at(&self, name: &str) -> String {
        format!("edge:{}/{name}", self.namespace())
    }

    fn orders(&self) -> usize {
        let lines = self.clusters.home.site.pebble.request_lines();
        lines.iter().filter(|line| line.contains("/order-plz")).count()
    }
}

fn define(kube: &Kube) {
    let file = format!("{}/deploy/crds/certificates.yaml", env!("CARGO_MANIFEST_DIR"));
    kube.kubectl(&["apply", "-f", &file]);
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
}

#[test]
fn a_certificate_of_another_cluster_gets_its_secret_its_status_and_its_events_there() {
    let place = Place::new();
    place.certificate("web", "commonName: www.site.test, dnsNames: [a.site.test], secretName: web-tls, issuerRef: {name: second}, secretLabels: {team: x}, privateKey: {algorithm: ECDSA, size: 384}");
    // Without a line nothing is served, also where the own namespace of home is the only one.
    place.config("");
    let daemon = place.daemon(&[LISTEN]);
    place.until_state("web", "Error", "add `edge:");
    let refused = place.events("web");
    assert!(refused.contains("Warning Refused") && refused.contains("maxCertificates"), "{refused}");
    // An issuer that the line does not have.
    place.config(LINE);
    place.until_state("web", "Error", "the issuer second is not for the namespace");
    assert_eq!(place.orders(), 0);

    place.config(&format!("{LINE}, issuers: [first, second]"));
    daemon.until_it_says(&format!("issued secret={}", place.at("web-tls")));
    place.clusters.assert_valid("web-tls", &["www.site.test", "a.site.test"]);
    place.until_state("web", "Ready", "");
    let object = place.object("web");
    let status = &object["status"];
    assert_eq!(
        (&status["commonName"], &status["issuerRef"]),
        (&Value::from("www.site.test"), &Value::Null),
        "{status}"
    );
    assert!(status["expirationDate"].is_string() && status["observedGeneration"] == 1, "{status}");
    until("told", || place.events("web").contains("Normal Issued"));
    assert_eq!(place.clusters.field("web-tls", "{.metadata.labels.team}"), "x");
    let source = format!("Certificate.cert.gardener.cloud edge:{}/web", place.namespace());
    assert_eq!(place.clusters.field("web-tls", "{.metadata.annotations.notariat/source}"), source);

    // Everything else is at home, and the identity there did no more than its Role allows.
    let there = Clusters::secrets(place.clusters.edge, place.namespace());
    assert_eq!(there, ["web-tls kubernetes.io/tls"]);
    let here = Clusters::secrets(place.clusters.home.kube, place.namespace());
    assert!(here.contains(&format!("notariat-record-edge.{}.web-tls notariat/record", place.namespace())), "{here:?}");
    // Its orders of a week count for that namespace, and not for the one of the same name at home.
    let record =
        place.clusters.home.get(&format!("notariat-record-edge.{}.web-tls", place.namespace()), "{.data.record}");
    let record = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(record).unwrap()).unwrap();
    assert!(record.contains(&format!("\"edge:{}\"", place.namespace())), "{record}");
    let user = format!("system:serviceaccount:{}:notariat", place.namespace());
    let asked: Vec<_> = place.clusters.edge.audit().into_iter().filter(|asked| asked.user == user).collect();
    assert!(asked.iter().all(|asked| asked.code != 403), "{asked:#?}");

    // The figures name the cluster; the spec is never written.
    let figures = get(address(&daemon), "/metrics").1;
    let watched = "notariat_source_watched{source_cluster=\"edge\",kind=\"Certificate.cert.gardener.cloud\"} 1";
    assert!(figures.contains(watched) && figures.contains("secret_cluster=\"edge\""), "{figures}");
    assert_eq!(object["metadata"]["generation"], 1);
    let rows = place.clusters.status(&place.clusters.kubeconfig());
    assert!(
        rows.iter().any(|row| row["state"] == "Valid" && row.to_string().contains(&place.at("web-tls"))),
        "{rows:?}"
    );

    // Deleted and created again it is the same wish: nothing is ordered, and the new object has its status.
    let (held, orders) = (place.clusters.field("web-tls", "{.data.tls\\.crt}"), place.orders());
    place.delete("web");
    place.certificate("web", "commonName: www.site.test, dnsNames: [a.site.test], secretName: web-tls, issuerRef: {name: second}, secretLabels: {team: x}, privateKey: {algorithm: ECDSA, size: 384}");
    place.until_state("web", "Ready", "");
    assert_eq!((place.clusters.field("web-tls", "{.data.tls\\.crt}"), place.orders()), (held, orders));
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn a_tenant_there_gets_no_foreign_name_no_input_and_no_more_objects_than_the_line_says() {
    let place = Place::new();
    let near = "domains: [a.site.test], certificatesPerWeek: 20, maxCertificates: 8, issuers: [first]";
    place.config(near);
    let home = place.namespace();
    for (name, spec) in [
        ("foreign", "dnsNames: [www.site.test]"),
        ("wildcard", "dnsNames: ['*.a.site.test']"),
        ("far", "dnsNames: [x.a.site.test], issuerRef: {name: first, namespace: default}"),
        ("url", "dnsNames: [x.a.site.test], issuerRef: {name: 'https://ca.test/dir'}"),
        ("secret", "dnsNames: [x.a.site.test], secretRef: {name: tls, namespace: kube-system}"),
        ("cluster", "dnsNames: [x.a.site.test], secretName: 'moon:tls'"),
        ("own", "dnsNames: [x.a.site.test], secretName: notariat-acme-x"),
    ] {
        place.certificate(name, spec);
    }
    let daemon = place.daemon(&[]);
    for (name, part) in [
        ("foreign", "is in no range of the namespace edge:"),
        ("wildcard", "wildcards: true"),
        ("far", "by its name alone"),
        ("url", "the issuer"),
        ("secret", "a Secret of its own namespace"),
        ("cluster", "moon:tls"),
        ("own", "notariat uses for itself"),
    ] {
        place.until_state(name, "Error", part);
    }
    assert_eq!(place.orders(), 0, "{}", daemon.log());
    assert!(Clusters::secrets(place.clusters.edge, home).is_empty());
    // A status that a tenant may write is no input.
    let status = r#"{"status":{"state":"Ready","message":"renew now","issuerRef":{"name":"second","namespace":"x"}}}"#;
    place.clusters.there(&[
        "patch",
        "certificates.cert.gardener.cloud",
        "foreign",
        "--subresource=status",
        "--type=merge",
        "-p",
        status,
    ]);
    place.until_state("foreign", "Error", "is in no range");
    assert_eq!(place.orders(), 0);

    // The oldest ones are served; one that goes makes room.
    place.certificate("first", "dnsNames: [one.a.site.test]");
    daemon.until_it_says(&format!("issued secret={}", place.at("first")));
    place.certificate("second", "dnsNames: [two.a.site.test]");
    place.until_state("second", "Error", "the 8 oldest are served");
    place.delete("foreign");
    daemon.until_it_says(&format!("issued secret={}", place.at("second")));
    daemon.kill();
}

#[test]
fn the_same_name_at_home_and_there_are_two_certificates() {
    let place = Place::new();
    let entry = place.clusters.home.site.entry("web", "www.site.test", "");
    place.config_with(LINE, &entry);
    place.certificate("web", "dnsNames: [a.site.test]");
    // A Secret that an entry fills there is not the object's.
    place.certificate("taken", "dnsNames: [b.site.test]");
    let both = [entry, place.clusters.home.site.entry("taken", "c.site.test", ", cluster: edge")].concat();
    place.config_with(LINE, &both);
    let daemon = place.daemon(&[]);
    for at in [place.at("web"), place.at("taken"), format!("{}/web", place.namespace())] {
        daemon.until_it_says(&format!("issued secret={at}"));
    }
    place.clusters.assert_valid("web", &["a.site.test"]);
    place.clusters.assert_valid("taken", &["c.site.test"]);
    place.clusters.home.assert_valid("web", &["www.site.test"]);
    until("told", || place.events("taken").contains("Warning Conflict"));
    daemon.kill();
}

#[test]
fn while_the_cluster_is_away_nobody_else_waits_and_its_certificates_are_kept() {
    let own = OwnKube::start();
    let edge = own.kube();
    define(edge);
    let place = Place::with(edge);
    let entry = place.clusters.home.site.entry("here", "here.site.test", "");
    place.config_with(LINE, &entry);
    place.certificate("web", "dnsNames: [a.site.test]");
    let kubeconfig = place.clusters.kubeconfig();
    edge.stop_api();
    let here = format!("{}/here", place.namespace());

    // At the start: home is served at once.
    let daemon = Daemon::start(&mut place.command(&kubeconfig, &["-lease=off", LISTEN]));
    daemon.until_it_says(&format!("issued secret={here}"));
    daemon.until_it_says("cluster-away cluster=edge");
    let at = address(&daemon);
    daemon.until("ready", || get(at, "/readyz").0 == 200);
    edge.start_api();
    daemon.until_it_says(&format!("issued secret={}", place.at("web")));
    place.until_state("web", "Ready", "");

    // While everything runs: its object still counts, and a Secret of home is restored at once.
    edge.stop_api();
    daemon.until("away", || daemon.log().matches("cluster-away cluster=edge").count() == 2);
    place.clusters.home.kubectl(&["delete", "secret", "here"]);
    let watch = Instant::now();
    daemon.until_it_says(&format!("restored secret={here}"));
    assert!(watch.elapsed() < Duration::from_secs(20), "{:?}", watch.elapsed());
    let rows = place.clusters.status(&kubeconfig);
    assert!(!rows.iter().any(|row| row["state"] == "Orphaned"), "{rows:?}");
    // A single pass beside a cluster that is away says so, and finds nothing gone.
    let once = Run::of(&mut place.command(&kubeconfig, &["-once"])).ends(75);
    once.says(&["source-unread what=edge:"]);
    edge.start_api();
    daemon.until_it_says("cluster-back cluster=edge");
    place.clusters.there(&["delete", "secret", "web"]);
    daemon.until_it_says(&format!("restored secret={}", place.at("web")));
    assert_eq!(place.orders(), 2, "{}", daemon.log());
    assert!(!daemon.log().contains("orphaned"), "{}", daemon.log());
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn role_and_check_say_what_a_source_needs_there_and_a_dry_run_tells_and_does_nothing() {
    let place = Place::new();
    place.config(LINE);
    place.certificate("web", "dnsNames: [a.site.test]");
    let kubeconfig = place.clusters.kubeconfig();
    let tool = |words: &[&str]| place.clusters.tool(&kubeconfig, &[words, &SOURCES].concat());
    let dry = Run::of(&mut place.command(&kubeconfig, &["-once", "-dry-run"]));
    dry.says(&[&place.at("web")]);
    assert!(place.orders() == 0 && place.object("web")["status"].is_null() && place.events("web").is_empty());

    let check = |part: &str| {
        let said = tool(&["check"]).stdout;
        assert!(said.contains(part), "{part}: {said}");
        said
    };
    let whole = check("certificates: get, list, watch; update of the status");
    assert!(whole.contains("Permissions in edge:") && !whole.contains("edge: lacks"), "{whole}");
    place.rights("[get]");
    let lacks = check("lacks the verb `list` on `certificates`");
    assert!(lacks.contains("`notariat role -cluster edge` prints a Role"), "{lacks}");
    let daemon = place.daemon(&[]);
    daemon.until_it_says("source-denied what=edge:");
    daemon.kill();

    let role = tool(&["role", "-cluster", "edge"]).ends(0).stdout;
    assert!(role.contains("certificates/status") && !role.contains("issuers") && !role.contains("delete"), "{role}");
    assert!(!role.contains("patch") && !role.contains("ClusterRole"), "{role}");
    place.clusters.edge.kubectl_stdin(&["apply", "-f", "-"], &role);
    let daemon = place.daemon(&[]);
    daemon.until_it_says(&format!("issued secret={}", place.at("web")));
    place.until_state("web", "Ready", "");
    until("told", || place.events("web").contains("Normal Issued"));
    daemon.kill();

    let away =
        std::fs::read_to_string(&kubeconfig).unwrap().replace(&place.clusters.edge.api_url(), "https://127.0.0.1:9");
    let away = place.scratch.write("away", &away);
    let said = place.clusters.tool(&away, &[&["check"][..], &SOURCES].concat());
    assert_eq!(said.stdout.matches("the cluster edge could not be asked").count(), 1, "{said:?}");
    let refused =
        Run::of(&mut place.clusters.command(&kubeconfig, &["-sources", "edge:cert-manager", "-once"])).ends(78);
    refused.says(&["holds cert-manager's Lease at home only"]);
}
