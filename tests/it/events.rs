//! The news for users of a cluster: Events on the ConfigMap, on a real API server.

use notariat_lab::{Grant, Hmac, Key, NameServer, Software, Zone};

use crate::support::cluster::Cluster;
use crate::support::site::ZONE;
use crate::support::x509;

/// The Events in the namespace, a line each: uid of the object, count, type, reason, message.
fn events(cluster: &Cluster) -> Vec<String> {
    let path = r#"jsonpath={range .items[*]}{.involvedObject.uid} {.count} {.type} {.reason} {.message}{"\n"}{end}"#;
    cluster.kubectl(&["get", "events", "-o", path]).lines().map(str::to_owned).collect()
}

/// Asserts that there is one Event that starts and goes on like this.
#[track_caller]
fn assert_told(cluster: &Cluster, start: &str, part: &str) {
    let uid = cluster.kubectl(&["get", "configmap", "notariat", "-o", "jsonpath={.metadata.uid}"]);
    let (events, start) = (events(cluster), format!("{uid} {start}"));
    let found = events.iter().filter(|event| event.starts_with(&start) && event.contains(part)).count();
    assert_eq!(found, 1, "{start:?} … {part:?} in {events:#?}");
}

#[test]
fn kubectl_describe_shows_what_became_of_each_entry() {
    let cluster = Cluster::new();
    let (site, namespace) = (&cluster.site, &cluster.namespace);
    let web = site.entry("web", "www.site.test", "");
    cluster.config(&web);
    cluster.once().ends(0);
    let stored = format!("Issued Secret {namespace}/web: a certificate that is valid until 2");
    assert_told(
        &cluster,
        &format!("1 Normal {stored}"),
        "is stored: SecretMissing (it does not exist); it is for www.site.test",
    );
    cluster.kubectl(&["annotate", "secret", "web", "notariat/renew=now"]);
    cluster.once().ends(0);
    assert_told(&cluster, &format!("1 Normal Renewed Secret {namespace}/web: "), "RenewalRequested");
    cluster.kubectl(&["patch", "secret", "web", "-p", r#"{"data": {"tls.crt": ""}}"#]);
    cluster.once().ends(0);
    assert_told(
        &cluster,
        &format!("1 Normal Restored Secret {namespace}/web: "),
        "last written by \"kubectl-patch\" at 20",
    );

    let wrong = format!("--from-literal=key={}", Key::new("notariat.key", Hmac::Sha256).secret_text());
    cluster.kubectl(&["create", "secret", "generic", "wrongkey", &wrong]);
    cluster.tls("foreign", &x509::make(&["a.site.test"], "somebody", -62, 28));
    cluster.kubectl(&["annotate", "secret", "foreign", "cert-manager.io/certificate-name=web"]);
    cluster.tls("fixed", &x509::make(&["b.site.test"], "somebody", -90, -1));
    cluster.kubectl(&["patch", "secret", "fixed", "-p", r#"{"immutable": true}"#]);
    // One with a zone of its own of this name, which neither the first one's UPDATEs nor the CA gets to see.
    let other = Zone::new(ZONE).grant(Grant::Zone(&site.key)).line("d A 127.0.0.1");
    let other = NameServer::setup(Software::Bind).zone(other).start();
    let unseen = format!("propagationNameservers: ['{}'], propagationTimeout: 1s", other.addr());
    let entries = [
        web.clone(),
        site.entry("elsewhere", "www.elsewhere.test", ""),
        site.entry("unsigned", "c.site.test", "").replace("tsigkey", "wrongkey"),
        site.entry("foreign", "a.site.test", ""),
        site.entry("fixed", "b.site.test", ""),
        site.entry("bad", "'b..site.test'", ""),
        site.entry("web", "d.site.test", ""),
        site.entry_with("unseen", "three.site.test", &unseen),
        site.entry("misled", "d.site.test", "").replace(&site.dns.addr().to_string(), &other.addr().to_string()),
    ];
    cluster.config(&entries.concat());
    cluster.once().ends(1);
    for (start, part) in [
        ("OrderFailed Secret NS/elsewhere: ", "; next attempt at 20"),
        ("UpdateRefused Secret NS/unsigned: ", "BADSIG"),
        ("NotPropagated Secret NS/unseen: ", "were not seen on every server in time"),
        ("ValidationFailed Secret NS/misled: ", "d.site.test"),
        ("StoreFailed Secret NS/fixed: ", "so nothing was ordered"),
        ("Refused Secret NS/foreign: OwnedByAnother (it belongs to cert-manager", "adopt: true"),
        ("Refused certificates entry 6 (NS/bad): ", "b..site.test"),
        (
            "Refused certificates entry 7 (NS/web): the Secret NS/web is already filled by certificates entry 1",
            "one Secret holds one certificate",
        ),
    ] {
        assert_told(&cluster, &format!("1 Warning {}", start.replace("NS", namespace)), part);
    }

    cluster.config("- {secret: web, domains: [*.site.test]}");
    cluster.once().ends(78);
    assert_told(&cluster, "1 Warning ConfigInvalid ", "nothing is done for it until it can be read");
    cluster.config(&web);
    for n in 0..4 {
        cluster.kubectl(&["patch", "secret", "web", "-p", r#"{"data": {"tls.crt": ""}}"#]);
        cluster.once().ends(i32::from(n >= 2));
    }
    let contested = format!("1 Warning Contested Secret {namespace}/web: somebody else writes it again and again; ");
    let contested = events(&cluster).into_iter().filter(|event| event.contains(&contested)).collect::<Vec<_>>();
    assert_eq!(contested.len(), 2, "one of each process");
    assert!(contested[0].contains("last written by \"kubectl-patch\" at 20"), "{contested:?}");

    let described = cluster.kubectl(&["describe", "configmap", "notariat"]);
    for part in ["Warning  Contested", "Normal   Issued", "notariat  Secret "] {
        assert!(described.contains(part), "{part:?} in\n{described}");
    }
    let user = format!("system:serviceaccount:{namespace}:notariat");
    assert!(cluster.kube.audit().into_iter().filter(|a| a.user == user).all(|a| a.code != 403));
}

#[test]
fn what_repeats_is_counted_up_also_when_its_event_is_gone() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster.once().ends(0);
    let delete = || cluster.kubectl(&["delete", "secret", "web"]);
    let restored = |count: u32| {
        let start = format!(" {count} Normal Restored Secret {}/web: ", cluster.namespace);
        let events = events(&cluster);
        events.iter().filter(|event| event.contains(" Restored ")).count() == 1
            && events.iter().any(|event| event.contains(&start))
    };
    delete();
    let daemon = cluster.daemon(&[]);
    daemon.until("the first is told", || restored(1));
    delete();
    daemon.until("the second is counted", || restored(2));
    // As the API server does after an hour.
    cluster.kubectl(&["delete", "events", "--all"]);
    delete();
    daemon.until("the third is told anew, with all of them in its count", || restored(3));
    assert_eq!(daemon.terminate(), 0);
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user && a.resource == "events");
    // The first certificate and three restores; what is updated and gone is made anew.
    let asked: Vec<_> = asked.map(|a| format!("{} {}", a.verb, a.code)).collect();
    assert_eq!(asked, ["create 201", "create 201", "update 200", "update 201"]);
}

/// A first start of many: what is refused and what fails is told, however many are issued.
#[test]
fn forty_certificates_that_are_issued_hide_nothing_that_went_wrong() {
    let cluster = Cluster::new();
    let site = &cluster.site;
    let good: Vec<String> = (0..40).map(|n| site.entry(&format!("web{n}"), &format!("w{n}.site.test"), "")).collect();
    let bad: Vec<String> = (0..6).map(|n| site.entry(&format!("bad{n}"), "'b..site.test'", "")).collect();
    let lost = site.entry("lost", "www.elsewhere.test", "");
    cluster.config(&[good.concat(), bad.concat(), lost].concat());
    let run = cluster.once().ends(1);
    let events = events(&cluster);
    let of = |reason: &str| events.iter().filter(|event| event.contains(&format!(" {reason} "))).count();
    assert_eq!((of("Refused"), of("OrderFailed")), (6, 1), "{events:#?}");
    assert_eq!(of("Issued"), 25, "{events:#?}");
    assert_eq!(run.log.matches(" events-dropped ").count(), 1, "{}", run.log);
}

#[test]
fn without_the_permission_everything_else_goes_on() {
    let cluster = Cluster::new();
    cluster.kubectl(&["patch", "role", "notariat", "--type=json", "-p", r#"[{"op": "remove", "path": "/rules/4"}]"#]);
    let entries = ["a", "b"].map(|name| cluster.site.entry(name, &format!("{name}.site.test"), ""));
    cluster.config(&entries.concat());
    let run = cluster.once().ends(0).says(&["events-off", "the Role lacks the verb `create` on `events`"]);
    assert_eq!(run.log.matches("events-off").count(), 1, "{}", run.log);
    cluster.assert_valid("a", &["a.site.test"]);
    cluster.assert_valid("b", &["b.site.test"]);
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked = cluster.kube.audit().into_iter().filter(|a| a.user == user && a.resource == "events").count();
    assert_eq!((asked, events(&cluster).len()), (1, 0), "after the first refusal none is tried");
}
