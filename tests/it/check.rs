//! `notariat check -config`: what it says of a sound site and of each mistake, and that it writes nothing.

use std::fs;
use std::process::Command;

use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone};
use serde_json::Value;

use crate::support::ca::{Ca, Kind, Reply};
use crate::support::cluster::Cluster;
use crate::support::run::notariat;
use crate::support::site::ZONE;
use crate::support::{Run, Site};

/// `check` with the arguments of another command.
fn check(of: &Command, more: &[&str]) -> Run {
    Run::of(notariat().arg("check").args(of.get_args()).args(more))
}

/// Asserts the exit code, and that one line begins with each text and goes on with the parts.
#[track_caller]
fn assert_says(run: &Run, code: i32, lines: &[(&str, &[&str])]) {
    for (start, parts) in lines {
        let is = |line: &&str| line.starts_with(start) && parts.iter().all(|part| line.contains(part));
        assert!(run.stdout.lines().any(|line| is(&line)), "{start} … {parts:?} is not in:\n{}{}", run.stdout, run.log);
    }
    assert_eq!(run.code, code, "{}{}", run.stdout, run.log);
}

/// A site whose zone has further lines, and whose key may do what is granted.
fn site(lines: &[&str], grant: impl Fn(&Key) -> Grant<'_>) -> Site {
    let key = Key::new("k", Hmac::Sha256);
    let zone = lines.iter().fold(Zone::new(ZONE).grant(grant(&key)), |zone, line| zone.line(line));
    let dns = NameServer::setup(Software::Bind).zone(zone).start();
    let resolver = Resolver::setup().forward(ZONE, dns.addr()).start();
    let pebble = Pebble::setup().dns_server(resolver.addr()).start();
    let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
    site.secret("tsigkey", &[("key", &site.key.secret_text())]);
    site
}

#[test]
fn a_sound_site_is_found_sound_and_nothing_is_written() {
    let site = Site::new();
    site.config(
        &[site.entry("web", "www.site.test, '*.a.site.test'", ""), site.entry("b", "b.site.test", "")].concat(),
    );
    let (before, serial) = (site.files(), site.dns.serial(ZONE));
    let run = check(&site.command(&[]), &[]);
    let ca = format!("ok       CA {}: ", site.pebble.directory());
    assert_says(
        &run,
        0,
        &[
            ("ok       ConfigMap default/certs: 2 entries", &[]),
            ("ok       Secret default/web: Waiting; SecretMissing (it does not exist); the next pass orders", &[]),
            (&ca, &["reached; terms of service ", "; profiles "]),
            (&ca, &["an account is registered with the first order"]),
            (
                "ok       DNS www.site.test: TXT at _acme-challenge.www.site.test can be written: zone site.test, server ",
                &["key notariat.key (hmac-sha256) of the Secret default/tsigkey"],
            ),
            ("ok       DNS *.a.site.test: TXT at _acme-challenge.a.site.test can be written", &[]),
            ("ok       Zone site.test: primary ", &["name servers "]),
            ("ok       CAA www.site.test: no records: every CA may issue", &[]),
        ],
    );
    assert!(run.stdout.lines().all(|line| line.starts_with("ok ")) && run.log.is_empty(), "{}{}", run.stdout, run.log);
    assert_eq!((site.files(), site.dns.serial(ZONE)), (before, serial));
    assert!(site.dns.txt("_acme-challenge.www.site.test").is_empty());
    assert_eq!(site.pebble.requests(), 1, "the directory and nothing else: {:?}", site.pebble.request_lines());

    // Beside a daemon, and when all is done.
    let daemon = site.daemon();
    daemon.until("both are there", || daemon.log().matches("issued secret=").count() == 2);
    daemon.until_it_says("valid secret=default/b");
    let run = check(&site.command(&[]), &["-o", "json"]).ends(0);
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["sound"], true);
    let has = |object: &str, part: &str| {
        let mut lines = json["lines"].as_array().unwrap().iter();
        let is = |line: &Value| line["object"] == object && line["sentence"].as_str().unwrap().contains(part);
        assert!(lines.any(is), "{object} {part}: {json:#}");
    };
    has("Secret default/web", "Valid; expires in ");
    has("Secret default/web", "; renewed in ");
    has(&format!("CA {}", site.pebble.directory()), " is registered");
    assert_eq!(daemon.terminate(), 0);
    let before = site.files();
    check(&site.command(&[]), &[]).ends(0);
    assert_eq!(site.files(), before);
}

#[test]
fn mistakes_in_dns_are_found() {
    let site = Site::new();
    let entry = |domains: &str, dns: &str| {
        format!(
            "- {{secret: web, domains: [{domains}], tsigSecretName: tsigkey, dns: {{server: '{}'{dns}}}}}\n",
            site.dns.addr()
        )
    };
    let says = |line: (&str, &[&str])| assert_says(&check(&site.command(&[]), &[]), 1, &[line]);
    site.config(&entry("www.site.test", ", zone: www.site.test"));
    says(("fault    DNS www.site.test: ", &["NOTAUTH: it is not primary for www.site.test. Is `dns.zone` right"]));
    site.config(&entry("www.elsewhere.test", ""));
    says(("fault    DNS www.elsewhere.test: ", &["REFUSED for the SOA of www.elsewhere.test"]));
    site.config(&entry("www.site.test", "").replace(&site.dns.addr().to_string(), "127.0.0.1:1"));
    says(("fault    DNS www.site.test: ", &["127.0.0.1:1 does not answer"]));
    // One server that fails is asked once, and not for each of a thousand names.
    let silent =
        entry("www.site.test, b.site.test", ", zone: site.test").replace(&site.dns.addr().to_string(), "127.0.0.1:1");
    site.config(&silent);
    let run = check(&site.command(&[]), &[]);
    assert_says(
        &run,
        1,
        &[
            ("fault    DNS b.site.test: ", &["127.0.0.1:1 does not answer"]),
            ("warning  DNS www.site.test: not looked at: ", &["127.0.0.1:1"]),
        ],
    );
    site.config(&entry("www.site.test", "").replace("tsigkey", "nokey"));
    says(("fault    DNS www.site.test: ", &["the Secret default/nokey with the TSIG key does not exist"]));
    site.config(&entry("www.site.test", ", propagation: all"));
    let waits = "ns1.site.test is waited for until it shows a value (`dns.propagation: all`), and it does not answer for the zone";
    assert_says(&check(&site.command(&[]), &[]), 0, &[(&format!("warning  Zone site.test: {waits}"), &[])]);
    site.config(&entry("www.site.test, b.site.test", ", propagation: primary"));
    site.secret("tsigkey", &[("key", &site.key.with_another_secret().secret_text())]);
    says(("fault    DNS www.site.test: ", &["BADSIG: copy the secret of the key from the server into the Secret"]));
    says(("fault    DNS b.site.test: ", &["BADSIG"]));
    assert_eq!(site.pebble.requests(), 8, "each time the directory");
}

#[test]
fn names_that_the_key_may_not_write_are_told_from_those_that_it_may() {
    let lines = [
        "www A 127.0.0.1",
        "b A 127.0.0.1",
        "*.apps A 127.0.0.1",
        "_acme-challenge.c CNAME _acme-challenge.www",
        "c A 127.0.0.1",
    ];
    let site = site(&lines, |key| Grant::Name(key, "_acme-challenge.www.site.test"));
    site.config(&site.entry("web", "www.site.test, b.site.test", ""));
    assert_says(
        &check(&site.command(&[]), &[]),
        1,
        &[
            (
                "fault    DNS b.site.test: ",
                &["REFUSED: let the key change TXT at", "_acme-challenge.b.site.test", "grant k name"],
            ),
            ("ok       DNS www.site.test: TXT at _acme-challenge.www.site.test can be written", &[]),
        ],
    );
    site.config(&site.entry_with("web", "c.site.test", "zone: site.test, propagation: primary"));
    assert_says(
        &check(&site.command(&[]), &[]),
        0,
        &[(
            "ok       DNS c.site.test: TXT at _acme-challenge.www.site.test can be written: by CNAME _acme-challenge.c.site.test -> _acme-challenge.www.site.test, zone site.test",
            &[],
        )],
    );
}

#[test]
fn hosts_that_live_from_a_wildcard_record_are_named() {
    let site = site(&["*.apps A 127.0.0.1", "www A 127.0.0.1"], |key| Grant::Zone(key));
    let serial = site.dns.serial(ZONE);
    site.config(&site.entry("web", "www.site.test, x.apps.site.test", ""));
    let line = "DNS x.apps.site.test: it answers from a wildcard record and vanishes while its challenge is there";
    let run = check(&site.command(&[]), &[]);
    assert_says(&run, 0, &[(&format!("warning  {line}"), &["by a CNAME"])]);
    assert_eq!(run.stdout.matches("wildcard record").count(), 1, "{}", run.stdout);
    site.config(&site.entry_with("web", "x.apps.site.test", "propagation: primary, onWildcardHost: refuse"));
    assert_says(&check(&site.command(&[]), &[]), 1, &[(&format!("fault    {line}"), &[])]);
    assert_eq!(site.dns.serial(ZONE), serial);
}

#[test]
fn caa_records_are_compared_with_what_the_ca_says_of_itself() {
    let lines = [
        "www A 127.0.0.1",
        "www CAA 0 issue \"pebble.letsencrypt.org; validationmethods=dns-01\"",
        "b A 127.0.0.1",
        "b CAA 0 issue \"other.test\"",
        "c CNAME b",
        "d CAA 0 issue \"pebble.letsencrypt.org; validationmethods=http-01\"",
        "d CAA 0 issuewild \"pebble.letsencrypt.org\"",
        "@ CAA 0 issuewild \";\"",
    ];
    let site = site(&lines, |key| Grant::Zone(key));
    site.config(&site.entry(
        "web",
        "www.site.test, b.site.test, c.site.test, d.site.test, '*.d.site.test', '*.e.site.test'",
        "",
    ));
    assert_says(
        &check(&site.command(&[]), &[]),
        1,
        &[
            ("ok       CAA www.site.test: the records at www.site.test let the CA issue", &[]),
            (
                "fault    CAA b.site.test: the records at b.site.test forbid it: issue \"other.test\" does not name this CA: add `CAA 0 issue \"pebble.letsencrypt.org\"`",
                &[],
            ),
            ("fault    CAA c.site.test: the records at c.site.test forbid it: issue \"other.test\"", &[]),
            ("fault    CAA d.site.test: ", &["leaves out dns-01"]),
            ("ok       CAA *.d.site.test: the records at d.site.test let the CA issue", &[]),
            (
                "fault    CAA *.e.site.test: the records at site.test forbid it: issuewild \";\" does not name this CA",
                &[],
            ),
        ],
    );
    // By another type of challenge: what was right is wrong, and the other way around. No TSIG key is asked for.
    site.config("- {secret: web, domains: [www.site.test, d.site.test], email: a@site.test, challenge: http-01}\n");
    assert_says(
        &check(&site.command(&[]), &[]),
        1,
        &[
            ("fault    CAA www.site.test: ", &["leaves out http-01"]),
            ("ok       CAA d.site.test: the records at d.site.test let the CA issue", &[]),
        ],
    );
    site.config(&site.entry("web", "www.site.test, b.site.test", ""));
    // One that does not say who it is.
    let ca = Ca::start(&site.pebble, |asked, reply| {
        if asked.kind == Kind::Directory {
            reply.edit(|directory| directory["meta"]["caaIdentities"] = serde_json::json!([]));
        }
    });
    let unsaid = "warning  CAA b.site.test: there are records at b.site.test, and the CA does not say by which name they mean it";
    assert_says(&check(&ca.command(&site, &[]), &[]), 0, &[(unsaid, &[])]);
}

#[test]
fn mistakes_about_the_ca_are_found() {
    let site =
        Site::with_ca(Pebble::setup().eab("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"));
    site.config(&site.entry("web", "www.site.test", ""));
    let missing = "wants an external account binding: set `eabSecretName` in the issuer";
    assert_says(&check(&site.command(&[]), &[]), 1, &[("fault    CA https://", &[missing])]);

    let issuer = format!("lab: {{directory: '{}', eabSecretName: eab, profile: hasty}}", site.pebble.directory());
    site.config_key("issuers", &issuer);
    site.config(&site.entry("web", "www.site.test", ", issuer: lab"));
    let run = check(&site.command(&[]), &[]);
    assert_says(
        &run,
        1,
        &[
            ("fault    CA https://", &["`eabSecretName`: the Secret default/eab does not exist"]),
            (
                "fault    CA https://",
                &["has no profile \"hasty\", which the entry for default/web names in `profile`: it has "],
            ),
        ],
    );
    site.secret("eab", &[("kid", "kid-1"), ("hmacKey", "c2VjcmV0")]);
    site.config_key("issuers", &issuer.replace(", profile: hasty", ""));
    assert_says(
        &check(&site.command(&[]), &[]),
        0,
        &[("ok       CA https://", &["an account is registered with the first order, with its EAB"])],
    );

    let ca = Ca::start(&site.pebble, |_, reply: &mut Reply| reply.set("date", "Sun, 06 Nov 2044 08:49:37 GMT"));
    assert_says(&check(&ca.command(&site, &[]), &[]), 0, &[]);
    site.config_key("issuers", "{}");
    site.config(&site.entry("web", "www.site.test", ""));
    let run = check(&ca.command(&site, &[]), &[]);
    assert_says(
        &run,
        1,
        &[("fault    CA https://", &["this machine's clock is ", " behind the CA's: set the clocks (NTP)"])],
    );

    let mut command = site.command_without_ca(&[]);
    command.args(["-acme", "https://127.0.0.1:1/dir"]);
    assert_says(
        &check(&command, &[]),
        75,
        &[("fault    CA https://127.0.0.1:1/dir: ", &["is the URL right", "may this machine reach it?"])],
    );
}

#[test]
fn a_config_map_that_is_not_there_and_one_with_faults() {
    let site = Site::new();
    let not_there = "fault    ConfigMap default/certs: it does not exist: are -config and -namespace right?";
    assert_says(&check(&site.command(&[]), &[]), 78, &[(not_there, &[])]);
    site.config(
        &[
            &site.entry("web", "www..site.test", ""),
            "- {secret: x, domains: [x.site.test], color: red, ttl: 1}\n",
            &site.entry("b", "b.site.test", ""),
        ]
        .concat(),
    );
    assert_says(
        &check(&site.command(&[]), &[]),
        1,
        &[
            (
                "fault    ConfigMap default/certs: certificates entry 1 (default/web): domains[0]: \"www..site.test\"",
                &[],
            ),
            ("fault    ConfigMap default/certs: certificates entry 2 (default/x): color: ", &[]),
            ("fault    ConfigMap default/certs: certificates entry 2 (default/x): ttl: ", &[]),
            ("ok       DNS b.site.test: TXT at _acme-challenge.b.site.test can be written", &[]),
        ],
    );
    Run::of(notariat().args(["check", "-config", "c", "-role", "r"])).ends(78).says(&["-role goes with -f"]);
}

#[test]
fn a_cluster_is_asked_what_is_allowed_and_nothing_is_written() {
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let account = cluster.service_account();
    let secrets = |cluster: &Cluster| cluster.kubectl(&["get", "secrets,configmaps,leases,events", "-o", "name"]);
    let before = secrets(&cluster);
    let at = format!("Permissions in {}", cluster.namespace);
    assert_says(
        &check(&cluster.command(&account, &[]), &[]),
        0,
        &[
            (&format!("ok       {at}: secrets: create, get, list, update, watch"), &[]),
            (&format!("ok       {at}: leases: create, get, update"), &[]),
        ],
    );
    assert_eq!(secrets(&cluster), before);
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    for asked in cluster.kube.audit().iter().filter(|asked| asked.user == user) {
        let reads = ["get", "list"].contains(&asked.verb.as_str()) || asked.resource.starts_with("selfsubject");
        assert!(reads && (asked.code < 400 || asked.code == 404), "{asked:#?}");
    }

    let role = cluster.kubectl(&["get", "role", "notariat", "-o", "yaml"]);
    let take = |verb: &str| {
        let is_kept = |line: &&str| line.trim() != format!("- {verb}") && !line.contains("resourceVersion");
        let without: String = role.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
        cluster.kube.kubectl_stdin(&["-n", &cluster.namespace, "replace", "-f", "-"], &without);
    };
    take("update");
    assert_says(
        &check(&cluster.command(&account, &[]), &[]),
        1,
        &[
            (
                &format!("fault    {at}: lacks the verb `update` on `secrets`"),
                &["nothing is renewed or restored, and nothing is ordered"],
            ),
            (&format!("warning  {at}: lacks the verb `update` on `leases`"), &[]),
            (&format!("ok       {at}: secrets: create, get, list, watch"), &[]),
        ],
    );

    take("get");
    assert_says(
        &check(&cluster.command(&account, &[]), &[]),
        1,
        &[
            (&format!("fault    ConfigMap {}/notariat: ", cluster.namespace), &["the Role lacks the verb"]),
            (
                &format!("fault    {at}: lacks the verb `get` on `configmaps` of notariat: what it wants is not known"),
                &[],
            ),
        ],
    );

    let away = cluster
        .site
        .store
        .write("away", &fs::read_to_string(&account).unwrap().replace(&cluster.kube.api_url(), "https://127.0.0.1:1"));
    assert_says(&check(&cluster.command(&away, &[]), &[]), 75, &[("fault    ConfigMap ", &["127.0.0.1:1"])]);
}
