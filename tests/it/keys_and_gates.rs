//! TSIG keys as operators keep and exchange them, the transports, and dark servers that must not hold up the others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::tools::{tool, try_output};
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Port, Resolver, Software, Zone};

use crate::main_job::annotate;
use crate::support::cluster::Cluster;
use crate::support::run::{Daemon, notariat};
use crate::support::{Run, Site, x509};

#[test]
fn several_keys_are_tried_in_order_and_the_one_that_worked_is_named() {
    for software in Software::ALL {
        let site = Site::with(software, Hmac::Sha256);
        let (unknown, other) = (Key::new("unknown.key", Hmac::Sha512), Key::new("notariat.key", Hmac::Sha512));
        // BADKEY, BADKEY for the algorithm, BADSIG; PowerDNS says REFUSED to each.
        let keys = [&unknown, &other, &site.key.with_another_secret(), &site.key].map(Key::secret_text);
        site.secret("tsigkey", &[("key", &keys.join("\n"))]);
        site.config(&site.entry("web", "www.site.test", ""));
        let used = format!("key-used server={} zone=site.test key=\"notariat.key (hmac-sha256)\"", site.dns.addr());
        let run = site.once().ends(0).says(&[&used]);
        site.assert_valid("web", &["www.site.test"]);
        assert!(site.dns.txt("_acme-challenge.www.site.test").is_empty());

        // The right one first: nothing to tell.
        site.secret("tsigkey", &[("key", &[site.key.secret_text(), unknown.secret_text()].join("\n"))]);
        annotate(&site.folder("web"), "notariat/renew", "please");
        site.once().ends(0).says(&["issued"]).never_says("key-used");
        drop(run);
    }
}

/// Makes a server know another secret for its key, as its operator would.
fn exchange(dns: &NameServer, old: &Key, new: &Key) {
    let file = |name: &str| dns.directory().join(name);
    let replace = |name: &str| {
        let text = std::fs::read_to_string(file(name)).unwrap();
        assert!(text.contains(&old.secret), "{name}");
        std::fs::write(file(name), text.replace(&old.secret, &new.secret)).unwrap();
    };
    match dns.software() {
        Software::Bind => {
            replace("named.conf");
            dns.control(&["reconfig"]).unwrap();
        }
        Software::Knot => {
            replace("knot.conf");
            dns.control(&["reload"]).unwrap();
        }
        Software::PowerDns => {
            let change = format!("update tsigkeys set secret = '{}' where name = '{}';", new.secret, new.name);
            let mut sqlite = std::process::Command::new(tool("sqlite3"));
            try_output(sqlite.arg(file("zones.sqlite3")), &change).unwrap();
        }
    }
}

/// The Secret holds both keys before the server knows the new one; the daemon runs all the while.
#[test]
fn a_key_is_exchanged_without_a_gap() {
    thread::scope(|scope| {
        for software in Software::ALL {
            scope.spawn(move || {
                let site = Site::with(software, Hmac::Sha256);
                let (old, new) = (&site.key, site.key.with_another_secret());
                let text = [old.secret_text(), new.secret_text()].join("\n");
                site.config(&site.entry("web", "www.site.test", ""));
                let daemon = site.daemon();
                daemon.until_it_says("valid secret=default/web");
                site.secret("tsigkey", &[("key", &text)]);
                exchange(&site.dns, old, &new);
                assert!(
                    site.dns.nsupdate(old, "site.test", "add x 60 TXT x").is_err(),
                    "the server forgot the old one"
                );
                // Pebble may use an authorization again, and then nothing is published.
                for please in 1.. {
                    let serial = x509::serial(&site.folder("web"));
                    annotate(&site.folder("web"), "notariat/renew", &format!("please {please}"));
                    daemon.until("renewed", || x509::serial(&site.folder("web")) != serial);
                    if daemon.log().contains("key-used") {
                        break;
                    }
                    assert!(please < 4, "{}", daemon.log());
                }
                assert!(!daemon.log().contains("failed"), "{}", daemon.log());
                site.assert_valid("web", &["www.site.test"]);
                daemon.until("withdrawn", || site.dns.txt("_acme-challenge.www.site.test").is_empty());
                assert_eq!(daemon.terminate(), 0);
            });
        }
    });
}

#[test]
fn keys_are_read_in_every_form_operators_have_them() {
    let key = Key::new("notariat.key", Hmac::Sha512);
    let plain = Key::new("plain.key", Hmac::Sha256);
    let (secret, clause) = (&key.secret, key.bind_clause());
    let forms = [
        format!("{}:{}", plain.name, plain.secret),
        format!("hmac-sha512.:notariat.key.:{secret}"),
        format!("HMACSHA512:NOTARIAT.Key:{secret}\n"),
        format!(" hmac_sha512 : notariat.key : {secret}\r\n"),
        format!(
            "# hmac-sha512:notariat.key:{secret}\nkey:\n  - id: notariat.key\n    algorithm: hmac-sha512\n    secret: {secret}\n"
        ),
        clause.clone(),
        format!(
            "// made by tsig-keygen\n{}",
            clause.replace("hmac-sha512", "HMAC-SHA512").replace("\"notariat.key\"", "NOTARIAT.KEY")
        ),
    ];
    let hosts: Vec<String> = (0..forms.len()).map(|n| format!("h{n}")).collect();
    let zone = Zone::new("site.test").grant(Grant::Zone(&key)).grant(Grant::Zone(&plain));
    let zone = hosts.iter().fold(zone, |zone, host| zone.line(&format!("{host} A 127.0.0.1")));
    let site = Site::on(NameServer::setup(Software::Bind).zone(zone).start(), key.clone());
    let mut config = String::new();
    for (host, form) in hosts.iter().zip(&forms) {
        site.secret(&format!("tsig-{host}"), &[("key", form)]);
        config += &entry_with_key(&site, host, &format!("tsig-{host}"));
    }
    site.config(&config);
    site.once().ends(0);
    for host in &hosts {
        site.assert_valid(host, &[&format!("{host}.site.test")]);
    }
}

fn entry_with_key(site: &Site, host: &str, key: &str) -> String {
    site.entry(host, &format!("{host}.site.test"), "")
        .replace("tsigSecretName: tsigkey", &format!("tsigSecretName: {key}"))
}

#[test]
fn what_is_no_key_is_refused_by_a_sentence_that_does_not_repeat_it() {
    let site = Site::new();
    const SECRET: &str = "c2VjcmV0LXdvcmQtb2YtbWluZQ==";
    let many: Vec<String> = (0..5).map(|n| format!("key{n}.lab:{SECRET}")).collect();
    let rows = [
        (
            "md5",
            format!("hmac-md5:old.lab:{SECRET}"),
            "uses hmac-md5, which RFC 8945 retired: make a key with `tsig-keygen",
        ),
        ("md5-in-full", format!("hmac-md5.sig-alg.reg.int.:old.lab:{SECRET}"), "uses hmac-md5"),
        ("md5-clause", format!("key old.lab {{ algorithm hmac-md5; secret \"{SECRET}\"; }};"), "uses hmac-md5"),
        ("gss", format!("gss-tsig:old.lab:{SECRET}"), "uses gss-tsig (Kerberos), which is not supported"),
        ("no-hmac", format!("{SECRET}:old.lab:{SECRET}"), "begins with an algorithm that is none of hmac-sha1"),
        ("no-name", SECRET.to_owned(), "lacks the key's name: write `hmac-sha256:NAME:` before the secret"),
        ("no-base64", format!("old.lab:{SECRET}!?"), "has a secret that is not base64"),
        ("swapped", format!("{SECRET}{SECRET}:old.lab"), "has a key name that is not a domain name"),
        ("half", format!("key old.lab {{ secret \"{SECRET}\"; }};"), "looks like a BIND key file and is none"),
        ("many", many.join("\n"), "has more keys than are tried; remove the old ones"),
        ("empty", " \n".to_owned(), "is empty"),
    ];
    let mut config = String::new();
    for (name, text, _) in &rows {
        site.secret(&format!("tsig-{name}"), &[("key", text)]);
        config += &entry_with_key(&site, name, &format!("tsig-{name}"));
    }
    site.secret("tsig-other", &[("secret", SECRET)]);
    config += &entry_with_key(&site, "other", "tsig-other");
    config += &entry_with_key(&site, "none", "tsig-none");
    site.config(&config);
    let mut run = site.once().ends(1).never_says(SECRET).never_says("c2Vj").never_says("old.lab");
    for (name, _, sentence) in &rows {
        run = run.says(&[&format!("the TSIG key in the Secret default/tsig-{name} {sentence}")]);
    }
    run.says(&[
        "the Secret default/tsig-other has no data key `key` with a TSIG key (`[hmac:]name:base64`); it has `secret`",
        "the Secret default/tsig-none with the TSIG key does not exist",
    ]);
    assert_eq!(site.pebble.requests(), 0, "{:?}", site.pebble.request_lines());
    assert_eq!(site.dns.updates(), 0);
}

/// A way to a server over UDP alone: connections to it are refused. Counts the UPDATEs that pass.
fn udp_only(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    udp_relay(Port::new(), server)
}

/// The same at a port of which the address is known before.
fn udp_relay(port: Port, server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let updates = Arc::new(AtomicUsize::new(0));
    let (at, counted) = (port.at(Ipv4Addr::LOCALHOST), Arc::downgrade(&updates));
    let (here, there) = (port.hear(Ipv4Addr::LOCALHOST), UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    here.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    there.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    there.connect(server).unwrap();
    thread::spawn(move || {
        let (_port, mut buffer) = (port, [0; 4096]);
        // Until nobody counts any more.
        while let Some(updates) = counted.upgrade() {
            let Ok((length, from)) = here.recv_from(&mut buffer) else { continue };
            updates.fetch_add(usize::from(buffer[2] >> 3 & 15 == 5), Ordering::SeqCst);
            there.send(&buffer[..length]).unwrap();
            if let Ok(length) = there.recv(&mut buffer) {
                here.send_to(&buffer[..length], from).unwrap();
            }
        }
    });
    (at, updates)
}

/// The commonest first day: the name server was not reached, it is mended, and there is no Secret that could bear a request.
#[test]
fn renew_tries_at_once_what_waits_without_a_secret() {
    let site = Site::new();
    let port = Port::new();
    let at = port.at(Ipv4Addr::LOCALHOST);
    let entry =
        |secret: &str, name: &str| site.entry(secret, name, "").replace(&site.dns.addr().to_string(), &at.to_string());
    let renew = |more: &[&str], secret: &str| {
        let mut command = notariat();
        command.arg("renew").args(more).arg("-local").arg(site.store.path()).arg(secret);
        Run::of(&mut command)
    };
    // The second Secret of an entry names it as well; the record is that of the first.
    site.config(&(entry("[web, copy]", "www.site.test") + &entry("other", "a.site.test")));
    let failed = "failed secret=default/web stage=zone";
    site.once().ends(1).says(&[failed, "open port"]);
    let (_, relayed) = udp_relay(port, site.dns.addr());
    site.once().ends(1).says(&["waiting secret=default/web state=BackingOff"]).never_says("issued secret=default/web");
    renew(&[], "wbe")
        .ends(1)
        .says(&["the Secret default/wbe does not exist, and neither does its record", "-config NAME"]);
    renew(&["-config", "certs"], "wbe").ends(1).says(&["no entry wants it; there are default/"]);
    let run = renew(&["-config", "certs"], "copy").ends(0);
    assert!(run.stdout.starts_with("default/copy: does not exist yet; an attempt is asked for"), "{}", run.stdout);
    site.once().says(&["issued secret=default/web"]);
    site.assert_valid("copy", &["www.site.test"]);
    assert!(relayed.load(Ordering::SeqCst) > 0);
    // What was asked once asks for nothing more.
    site.once().ends(1).says(&["valid secret=default/web", "waiting secret=default/other"]).never_says("issued ");
}

/// The state that a daemon keeps in memory: the circuit of the name server.
#[test]
fn renew_opens_the_circuit_of_the_name_server_for_one_try() {
    let site = Site::new();
    let port = Port::new();
    let at = port.at(Ipv4Addr::LOCALHOST);
    let entry = site.entry("web", "www.site.test", "").replace(&site.dns.addr().to_string(), &at.to_string());
    site.config(&entry);
    let daemon = site.daemon();
    daemon.until_it_says("failed secret=default/web");
    let _relay = udp_relay(port, site.dns.addr());
    let mut command = notariat();
    Run::of(command.args(["renew", "web", "-local"]).arg(site.store.path())).ends(0);
    daemon.until_it_says("issued secret=default/web");
    let log = daemon.log();
    let next = log.split("next_attempt=").nth(1).unwrap().split_whitespace().next().unwrap();
    let issued = log.lines().find(|line| line.contains(" issued ")).unwrap();
    // Both begin with date and time to the second.
    assert!(issued.split_whitespace().next().unwrap()[..19] < next[..19], "not before {next}:\n{log}");
    assert_eq!(daemon.terminate(), 0);
}

/// As `kubectl exec deploy/notariat -- /notariat renew` does it: with the rights of the pod, for one that only waited for another's failure and
/// so has no record either.
#[test]
fn renew_works_with_the_rights_of_the_pod_for_what_is_parked() {
    let cluster = Cluster::new();
    let (site, port) = (&cluster.site, Port::new());
    let at = port.at(Ipv4Addr::LOCALHOST);
    let entry = |secret: &str, name: &str| {
        site.entry_with(secret, name, "zone: site.test, propagation: primary")
            .replace(&site.dns.addr().to_string(), &at.to_string())
    };
    cluster.config(&(entry("web", "www.site.test") + &entry("other", "a.site.test")));
    let daemon = cluster.daemon(&["-workers", "1"]);
    daemon.until_it_says("failed secret=");
    daemon.until_it_says("state=Parked");
    let log = daemon.log();
    let parked = if log.contains(&format!("failed secret={}/web", cluster.namespace)) { "other" } else { "web" };
    let until = log.split("state=Parked until=").nth(1).unwrap().split_whitespace().next().unwrap();
    let _relay = udp_relay(port, site.dns.addr());
    let account = cluster.service_account();
    let renew = |secret: &str| {
        let mut command = notariat();
        command.args(["renew", secret, "-config", "notariat", "-namespace", &cluster.namespace]);
        Run::of(command.arg("-kubeconfig").arg(&account))
    };
    renew("othr").ends(1).says(&["no entry wants it; there are "]);
    renew(parked).ends(0);
    daemon.until_it_says(&format!("issued secret={}/{parked}", cluster.namespace));
    let log = daemon.log();
    let issued = log.lines().find(|line| line.contains(" issued ")).unwrap();
    assert!(issued.split_whitespace().next().unwrap()[..19] < until[..19], "not before {until}:\n{log}");
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn updates_go_over_the_transport_that_is_set() {
    for software in Software::ALL {
        let site = Site::with(software, Hmac::Sha256);
        let (relay, updates) = udp_only(site.dns.addr());
        // Each order has a name of its own: Pebble takes an authorization for valid once in a hundred times.
        let at_relay = |host: &str, dns: &str| {
            let entry = site.entry_with("web", &format!("{host}.site.test"), dns);
            entry.replace(&site.dns.addr().to_string(), &relay.to_string())
        };
        let renewed = |entry: &str| {
            std::fs::remove_file(site.folder("web")).ok();
            std::fs::remove_dir_all(site.folder("notariat-record.default.web")).ok();
            site.config(entry);
            site.once()
        };
        let count = || updates.swap(0, Ordering::SeqCst);
        for (host, transport) in [("www", "auto"), ("a", "tcp"), ("b", "udp")] {
            let name = format!("{host}.site.test");
            renewed(&site.entry_with("web", &name, &format!("propagation: primary, transport: {transport}")))
                .ends(0)
                .says(&["issued"]);
            site.assert_valid("web", &[&name]);
        }
        assert_eq!(count(), 0);
        let (over_auto, over_udp) = ("propagation: primary", "propagation: primary, transport: udp");
        renewed(&at_relay("c", over_auto)).ends(0).says(&["issued"]);
        assert_eq!(count(), 2, "{software:?}: one to add and one to withdraw");
        // Where connections would be taken and then be dead.
        let listener = TcpListener::bind(relay).unwrap();
        listener.set_nonblocking(true).unwrap();
        renewed(&at_relay("d", over_udp)).ends(0).says(&["issued"]);
        assert!(count() == 2 && listener.accept().is_err(), "{software:?}: nobody connected");
        drop(listener);
        let run = renewed(&at_relay("one", "propagation: primary, transport: tcp")).ends(1);
        run.says(&[
            &format!("UPDATE of site.test at {relay} with the key"),
            "no usable answer (TCP: connection refused",
        ]);
        assert_eq!(count(), 0, "{software:?}");
    }
}

/// An address where connections are taken and questions are heard, and nothing is ever said.
struct Dark {
    udp: UdpSocket,
    _tcp: TcpListener,
    _port: Port,
}

impl Dark {
    fn new() -> Dark {
        let port = Port::new();
        let (udp, tcp) = (port.hear(Ipv4Addr::LOCALHOST), port.listen(Ipv4Addr::LOCALHOST));
        udp.set_nonblocking(true).unwrap();
        Dark { udp, _tcp: tcp, _port: port }
    }

    fn addr(&self) -> SocketAddr {
        self.udp.local_addr().unwrap()
    }

    /// From how many sockets questions came. Each attempt asks its first question, again and again, from one.
    fn attempts(&self) -> usize {
        let from = std::iter::from_fn(|| self.udp.recv_from(&mut [0; 2048]).ok());
        from.map(|(_, from)| from).collect::<std::collections::BTreeSet<_>>().len()
    }
}

#[test]
fn a_hundred_certificates_on_a_dark_server_do_not_hold_up_one_on_a_good_server() {
    let dns = |server: SocketAddr| {
        [format!("dns: {{server: '{server}'}}"), format!("dns: {{server: '{server}', zone: dark.test}}")]
    };
    thread::scope(|scope| {
        for (workers, form) in [("4", 0), ("2", 0), ("4", 1), ("2", 1)] {
            scope.spawn(move || {
                let (site, dark) = (Site::new(), Dark::new());
                let settings = &dns(dark.addr())[form];
                let entry = |n| {
                    format!("- {{secret: a{n}, domains: [h{n}.dark.test], email: a@site.test, tsigSecretName: tsigkey, {settings}}}\n")
                };
                // They come before the good one.
                let config: String = (0..100).map(entry).collect();
                site.config(&(config + &site.entry("good", "www.site.test", "")));
                let start = Instant::now();
                let daemon = Daemon::start(&mut site.command(&["-workers", workers]));
                daemon.until_it_says("issued secret=default/good");
                assert!(start.elapsed() < Duration::from_secs(5), "{:?}: {}", start.elapsed(), daemon.log());
                thread::sleep(Duration::from_secs(5).saturating_sub(start.elapsed()));
                let attempts = dark.attempts();
                assert!((1..workers.parse().unwrap()).contains(&attempts), "{workers} {settings}: {attempts}");
                daemon.kill();
            });
        }
    });
}

/// Whoever is at a server already may go on there: otherwise it would wait for itself.
#[test]
fn a_certificate_with_many_zones_on_one_server_needs_no_more_than_one_worker() {
    for workers in ["1", "4"] {
        let key = Key::new("k", Hmac::Sha256);
        let zones: Vec<String> = (0..6).map(|n| format!("zone{n}.site.test")).collect();
        let setup = zones.iter().fold(NameServer::setup(Software::Bind), |setup, zone| {
            let zone = Zone::new(zone).grant(Grant::Zone(&key));
            setup.zone(zone.line("w0 A 127.0.0.1").line("w1 A 127.0.0.1").line("w2 A 127.0.0.1"))
        });
        let mut site = Site::on(setup.start(), key);
        let resolver = zones.iter().fold(Resolver::setup(), |setup, zone| setup.forward(zone, site.dns.addr()));
        site.resolver = resolver.start();
        site.pebble = Pebble::setup().dns_server(site.resolver.addr()).start();
        // Of their own for each: Pebble takes an authorization for valid once in a hundred times.
        let names = |n: usize| -> Vec<String> { zones.iter().map(|zone| format!("w{n}.{zone}")).collect() };
        let entries: Vec<String> = (0..3).map(|n| site.entry(&format!("web{n}"), &names(n).join(", "), "")).collect();
        site.config(&entries.concat());
        Run::of(&mut site.command(&["-once", "-workers", workers])).ends(0);
        site.assert_valid("web2", &names(2).iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(site.dns.updates(), 3 * 2 * 6);
    }
}
