//! Named issuers: each entry from its own CA, with its profile, chain and quota, and the way there.

mod accounts;

use std::process::Command;

use notariat::base::time::now;
use notariat_lab::tools::{output, tool};
use notariat_lab::{Pebble, Scratch};

use crate::support::proxy::Proxy;
use crate::support::run::notariat;
use crate::support::{Run, Site, x509};

const DAY: u64 = 86_400;

/// notariat with neither a directory nor roots of trust on the command line: all that comes from the issuers.
fn command(site: &Site, more: &[&str]) -> Command {
    let mut command = notariat();
    command.arg("-local").arg(site.store.path()).args(["-config", "certs", "-once"]);
    command.arg(format!("-resolver={}", site.resolver.addr())).args(more);
    command
}

fn once(site: &Site) -> Run {
    Run::of(&mut command(site, &[]))
}

/// The line of an issuer in the key `issuers`; its CA is trusted through a Secret that is written here, too.
fn issuer(site: &Site, name: &str, ca: &Pebble, more: &str) -> String {
    site.secret(&format!("roots-{name}"), &[("ca.crt", &std::fs::read_to_string(ca.ca_file()).unwrap())]);
    format!("{name}: {{directory: '{}', caSecretName: roots-{name}{more}}}\n", ca.directory())
}

/// An entry for one name of an issuer; the account's contact is the issuer's.
fn entry(site: &Site, secret: &str, issuer: &str, more: &str) -> String {
    let entry = site.entry(secret, &format!("{secret}.site.test"), &format!(", issuer: {issuer}{more}"));
    entry.replace("email: admin@site.test, ", "")
}

fn count(ca: &Pebble, request: &str) -> usize {
    ca.request_lines().iter().filter(|line| *line == request).count()
}

fn orders(ca: &Pebble) -> usize {
    count(ca, "POST /order-plz")
}

#[track_caller]
fn assert_from(site: &Site, secret: &str, ca: &Pebble) {
    x509::assert_valid(&site.folder(secret), &ca.root_pem(), &[&format!("{secret}.site.test")]);
    let annotations = site.read(secret, "annotations.json").unwrap();
    assert!(annotations.contains(&ca.directory()), "{annotations}");
}

#[test]
fn each_entry_comes_from_its_issuer_and_what_an_issuer_is_not_for_is_refused() {
    let site = Site::new();
    let second = Pebble::setup().dns_server(site.resolver.addr()).start();
    let issuers = [
        issuer(&site, "one", &site.pebble, ", email: one@site.test"),
        issuer(&site, "two", &second, ", domains: {include: [site.test], exclude: [no.site.test]}"),
        issuer(&site, "wrong-roots", &second, "").replace("caSecretName: roots-wrong-roots", "caSecretName: roots-one"),
        issuer(&site, "no-roots", &second, "").replace("caSecretName: roots-no-roots", "caSecretName: nothing"),
    ];
    site.config_key("issuers", &issuers.concat());
    let wanted = [
        ("from-one", "one"),
        ("from-two", "two"),
        ("also-one", "one"),
        ("x.no", "two"),
        ("nowhere", "three"),
        ("distrust", "wrong-roots"),
        ("rootless", "no-roots"),
    ];
    site.config(&wanted.map(|(secret, issuer)| entry(&site, secret, issuer, "")).concat());
    once(&site).ends(1).says(&[
        "certificates entry 4 (default/x.no): domains: x.no.site.test is not for the issuer two, which serves names at and below site.test but not no.site.test",
        "certificates entry 5 (default/nowhere): issuer: \\\"three\\\" is not in the key `issuers`; there are letsencrypt, letsencrypt-staging, no-roots, one, two, wrong-roots",
        "failed secret=default/rootless stage=account error=\"`caSecretName`: the Secret default/nothing does not exist\"",
        "failed secret=default/distrust stage=order",
    ]);
    assert_from(&site, "from-one", &site.pebble);
    assert_from(&site, "also-one", &site.pebble);
    assert_from(&site, "from-two", &second);
    assert_eq!((orders(&site.pebble), orders(&second)), (2, 1));
    assert_eq!([&site.pebble, &second].map(|ca| count(ca, "POST /sign-me-up")), [1, 1]);
    assert!(["x.no", "nowhere", "distrust", "rootless"].iter().all(|s| site.read(s, "tls.crt").is_none()));
}

/// On the way to a CA that is built in stands a proxy that lets nobody through to it.
#[test]
fn the_proxy_is_used_when_it_is_given_and_never_from_the_environment() {
    let site = Site::new();
    let proxy = Proxy::start(site.pebble.addr());
    site.config_key("issuers", &issuer(&site, "lab", &site.pebble, ""));
    site.config(&entry(&site, "proxied", "lab", ""));
    Run::of(&mut command(&site, &["-acme-proxy", &proxy.url()])).ends(0);
    assert_from(&site, "proxied", &site.pebble);
    assert_eq!(proxy.asked(), [site.pebble.addr().to_string()]);

    let built_in = entry(&site, "le", "letsencrypt", "") + &entry(&site, "test", "letsencrypt-staging", "");
    site.config(&built_in);
    let refused = ["failed secret=default/le stage=order", "failed secret=default/test stage=order"];
    let run = Run::of(&mut command(&site, &["-acme-proxy", &proxy.url()])).ends(1).says(&refused);
    let hosts = ["acme-staging-v02.api.letsencrypt.org:443", "acme-v02.api.letsencrypt.org:443"];
    assert_eq!(proxy.asked()[1..], hosts, "{}", run.log);

    let other = Proxy::start(site.pebble.addr());
    site.config(&entry(&site, "direct", "lab", ""));
    let mut direct = command(&site, &[]);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        direct.env(name, other.url());
    }
    Run::of(direct.env_remove("NO_PROXY").env_remove("no_proxy")).ends(0);
    assert_from(&site, "direct", &site.pebble);
    assert_eq!(other.asked(), [""; 0]);
}

/// Tells whether a certificate that was just made lives so many days.
fn lives(site: &Site, secret: &str, days: u64) -> bool {
    let file = site.folder(secret).join("tls.crt");
    let beyond = |seconds: u64| {
        let mut openssl = Command::new(tool("openssl"));
        openssl.args(["x509", "-noout", "-checkend", &seconds.to_string(), "-in"]).arg(&file);
        openssl.output().unwrap().status.success()
    };
    beyond((days - 1) * DAY) && !beyond(days * DAY)
}

#[test]
fn a_profile_is_ordered_and_one_that_is_not_offered_costs_no_order() {
    let ca = Pebble::setup().profile("long", "90 days", 90 * DAY, false).profile("week", "a week", 7 * DAY, false);
    let site = Site::with_ca(ca);
    let both = |profile: &str| {
        issuer(&site, "plain", &site.pebble, "") + &issuer(&site, "set", &site.pebble, &format!(", profile: {profile}"))
    };
    site.config_key("issuers", &both("week"));
    let of_issuer = ["set-a", "set-b", "set-c"].map(|secret| entry(&site, secret, "set", "")).concat();
    let own = entry(&site, "own", "set", ", profile: long");
    let fast = entry(&site, "fast", "plain", ", profile: fast");
    let all = of_issuer + &own;
    site.config(&(all.clone() + &fast));
    once(&site).ends(1).says(&[&format!(
        "failed secret=default/fast stage=order error=\"the CA {} has no profile \\\"fast\\\"; it offers long, week\"",
        site.pebble.directory()
    )]);
    assert_eq!(orders(&site.pebble), 4);
    let is = |secret: &str, days: u64, profile: &str| {
        let annotations = site.read(secret, "annotations.json").unwrap();
        assert!(annotations.contains(&format!("\"notariat/profile\": \"{profile}\"")), "{secret}: {annotations}");
        assert!(lives(&site, secret, days), "{secret}: not {days} days");
    };
    ["set-a", "set-b", "set-c"].iter().for_each(|secret| is(secret, 7, "week"));
    is("own", 90, "long");

    // A mistake costs one attempt and no order.
    site.config(&all);
    site.config_key("issuers", &both("lang"));
    let run = once(&site).ends(1).says(&["has no profile \\\"lang\\\""]);
    assert_eq!((run.log.matches("failed secret").count(), orders(&site.pebble)), (1, 4), "{}", run.log);

    site.config_key("issuers", &both("long"));
    let run = once(&site).ends(0);
    ["set-a", "set-b", "set-c"].iter().for_each(|secret| is(secret, 90, "long"));
    let at = |event: &str, secret: &str| run.log.find(&format!("{event} secret=default/{secret} ")).unwrap();
    // The one that expires first.
    let set = ["set-a", "set-b", "set-c"];
    let first = set.map(|secret| at(" issued", secret)).into_iter().min().unwrap();
    let begun = set.iter().filter(|secret| at(" issuing", secret) < first).count();
    assert!(run.log.contains("reason=ProfileChanged"), "{}", run.log);
    assert_eq!(begun, 1, "one goes first:\n{}", run.log);
    assert_eq!(orders(&site.pebble), 7);
    once(&site).ends(0).never_says("issuing");
}

/// The common name of a certificate's issuer or subject (`-issuer`, `-subject`).
fn common_name(pem: &str, of: &str) -> String {
    let scratch = Scratch::new("name");
    let file = scratch.write("crt", pem);
    let text =
        output(Command::new(tool("openssl")).args(["x509", "-noout", of, "-nameopt", "multiline", "-in"]).arg(file));
    text.split("commonName").nth(1).unwrap().trim_start_matches([' ', '=']).lines().next().unwrap().to_owned()
}

#[test]
fn the_preferred_chain_is_stored_and_one_that_is_not_offered_is_warned_of() {
    let site = Site::with_ca(Pebble::setup().alternate_roots(2));
    let roots = [0, 1, 2].map(|n| site.pebble.alternate_root_pem(n));
    let names = roots.each_ref().map(|root| common_name(root, "-subject"));
    let preferred = [names[0].as_str(), &names[1], &names[2], "Root of Nobody"];
    let secrets = ["chain-0", "chain-1", "chain-2", "chain-3"];
    let issuers = secrets
        .iter()
        .zip(preferred)
        .map(|(name, root)| issuer(&site, name, &site.pebble, &format!(", preferredChain: '{root}'")));
    site.config_key("issuers", &issuers.collect::<String>());
    site.config(&secrets.map(|secret| entry(&site, secret, secret, "")).concat());
    let run = once(&site).ends(0);
    assert_eq!(run.log.matches("no-such-chain").count(), 1, "{}", run.log);
    let run =
        run.says(&["WARN  [notariat] no-such-chain secret=default/chain-3 preferred=\"Root of Nobody\" offered="]);
    let offered = run.log.split("offered=").nth(1).unwrap().lines().next().unwrap();
    assert!(names.iter().all(|name| offered.contains(name)), "{offered}");
    for (secret, number) in secrets.iter().zip([0, 1, 2, 0]) {
        let chain = site.read(secret, "tls.crt").unwrap();
        let last = chain.rfind("-----BEGIN").unwrap();
        assert_eq!(common_name(&chain[last..], "-issuer"), names[number], "{secret}");
        x509::assert_valid(&site.folder(secret), &roots[number], &[&format!("{secret}.site.test")]);
    }
}

#[test]
fn more_orders_than_the_issuer_allows_for_a_day_wait_and_it_is_said_until_when() {
    let site = Site::new();
    site.config_key("issuers", &issuer(&site, "lab", &site.pebble, ", ordersPerDay: 2"));
    let secrets = ["quota-a", "quota-b", "quota-c"];
    site.config(&secrets.map(|secret| entry(&site, secret, "lab", "")).concat());
    let waits = ["waiting secret=default/quota-c state=RateLimited until=", "as many orders as"];
    let run = once(&site).ends(1).says(&waits);
    let until = run.log.split("state=RateLimited until=").nth(1).unwrap().split(' ').next().unwrap();
    let wait = notariat::base::time::Time::parse_rfc3339(until).unwrap().since(now()).as_secs();
    assert!((DAY - 600..=DAY).contains(&wait), "{until}");
    assert_eq!(orders(&site.pebble), 2);
    once(&site).ends(1).says(&waits).never_says("issuing");

    // A day later the first one is out of the window.
    let file = site.folder("notariat-record.default.quota-a").join("record");
    let mut record: serde_json::Value = serde_json::from_str(&site.record("quota-a").unwrap()).unwrap();
    let at = record["stored"]["at"].as_u64().unwrap();
    record["stored"]["at"] = (at - DAY).into();
    std::fs::write(file, record.to_string()).unwrap();
    once(&site).ends(0).says(&["issued secret=default/quota-c"]);
    secrets.iter().for_each(|secret| assert_from(&site, secret, &site.pebble));
}
