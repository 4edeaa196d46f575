//! `notariat dns-policy`: with what it prints, and nothing else, a full run works on each server, and another name is refused.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notariat_lab::{Hmac, Key, NameServer, Place, Resolver, Scratch, Software, Zone};

use crate::support::run::notariat;
use crate::support::{Run, Site};

const NAMES: &str = "www.site.test, '*.a.site.test'";

/// The output for the names, with a key that can be read.
fn printed(key: &Key, zone: &str) -> String {
    let store = Scratch::new("policy");
    for (path, text) in [
        ("default/secrets/tsigkey/key", key.secret_text()),
        (
            "default/configmaps/certs/certificates",
            format!("- {{secret: web, domains: [{NAMES}], tsigSecretName: tsigkey{zone}}}"),
        ),
    ] {
        let path = store.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let run = Run::of(notariat().args(["dns-policy", "-config", "certs", "-local"]).arg(store.path())).ends(0);
    assert_eq!(run.log, "");
    run.stdout
}

/// The part of a server, up to the next.
fn part<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let text = &text[text.find(from).unwrap_or_else(|| panic!("{from}: {text}"))..];
    &text[..text.find(to).unwrap_or(text.len())]
}

fn zone() -> Zone {
    Zone::new("site.test").line("www A 127.0.0.1").line("a A 127.0.0.1").line("other A 127.0.0.1")
}

/// A run works; another name and another type are refused.
fn works_and_no_more(dns: NameServer, key: Key) {
    let site = works(dns, key);
    for change in [
        "add _acme-challenge.other.site.test 60 TXT v",
        "add _acme-challenge.www.site.test 60 CAA 0 issue \"x\"",
        "add www.site.test 60 TXT v",
    ] {
        let answer = site.dns.nsupdate(&site.key, "site.test", change);
        // Its script leaves out what it denies.
        assert_eq!(answer.is_err(), site.dns.software() != Software::PowerDns, "{change}: {answer:?}");
    }
    for name in ["_acme-challenge.other.site.test", "www.site.test"] {
        assert!(site.dns.txt(name).is_empty(), "{name}");
    }
    let granted = "prereq nxrrset _acme-challenge.www.site.test. CAA\nadd _acme-challenge.www.site.test 60 TXT v";
    site.dns.nsupdate(&site.key, "site.test", granted).unwrap();
    assert_eq!(site.dns.txt("_acme-challenge.www.site.test").len(), 1);
    let other = Key::new("other.key", Hmac::Sha256);
    assert!(site.dns.nsupdate(&other, "site.test", "add _acme-challenge.a.site.test 60 TXT v").is_err());
}

fn works(dns: NameServer, key: Key) -> Site {
    let site = Site::on(dns, key);
    site.config(&site.entry("web", NAMES, ""));
    site.once().ends(0).says(&["issued secret=default/web"]);
    site
}

#[test]
fn on_bind_and_knot_the_printed_lines_are_enough_and_not_too_much() {
    for software in [Software::Bind, Software::Knot] {
        let key = Key::new("notariat.key", Hmac::Sha256);
        let text = printed(&key, "");
        let setup = NameServer::setup(software).key(&key);
        let dns = match software {
            Software::Knot => {
                let acl = part(&text, "acl:\n", "\n\n");
                setup.option(acl).zone(zone().server_line("acl: [notariat-1]"))
            }
            _ => {
                let grants = part(&text, "# ZONE:\n", "\n\n");
                setup.zone(zone().server_line(&format!("update-policy {{\n{grants}\n}};")))
            }
        };
        works_and_no_more(dns.start(), key);
    }
}

#[test]
fn on_powerdns_the_metadata_are_enough_and_the_script_limits_names() {
    let key = Key::new("notariat.key", Hmac::Sha256);
    let text = printed(&key, ", dns: {zone: site.test}");
    let mut with_metadata = zone();
    for line in text.lines().filter_map(|line| line.strip_prefix("pdnsutil ")) {
        let [_, zone, kind, content] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(zone, "site.test");
        with_metadata = with_metadata.server_line(&format!("{kind} {}", content.replace("NETWORK", "127.0.0.0/8")));
    }
    works(NameServer::setup(Software::PowerDns).key(&key).zone(with_metadata).start(), key.clone());
    let folder = Scratch::new("policy");
    let script = folder.write("policy.lua", part(&text, "local granted", "\0"));
    let setting = format!("lua-dnsupdate-policy-script={}", script.display());
    let other = Key::new("known.key", Hmac::Sha256);
    works_and_no_more(
        NameServer::setup(Software::PowerDns).key(&key).key(&other).option(&setting).zone(zone()).start(),
        key,
    );
}

#[test]
fn zones_and_keys_are_those_of_the_configuration() {
    let folder = Scratch::new("policy");
    let manifest = folder.write(
        "manifest.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: team}\ndata:\n  zones: |\n    - {zone: a.test, tsigSecretName: ruled}\n  \
         certificates: |\n    - {secret: x, domains: [a.test, '*.a.test', www.a.test, www.b.test], tsigSecretName: own}\n",
    );
    let run = |extra: &str| {
        let file = folder.write("more.yaml", &(std::fs::read_to_string(&manifest).unwrap() + extra));
        Run::of(notariat().args(["dns-policy", "-f"]).arg(file))
    };
    let text = run("").ends(0).stdout;
    assert_eq!(
        part(&text, "# ZONE:", "\n\n"),
        "# ZONE:\ngrant \"KEY-IN-team-own\" name _acme-challenge.www.b.test. TXT;\n# a.test:\ngrant \"KEY-IN-team-ruled\" name _acme-challenge.a.test. TXT;\n\
         grant \"KEY-IN-team-ruled\" name _acme-challenge.www.a.test. TXT;"
    );
    run("    - {secret: y, domains: [c.test]}\n").ends(1).says(&["entry team/y: c.test: no TSIG key is configured"]);
}

/// A manifest with one entry for these names, and further documents.
fn manifest(domains: &str, data: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c, namespace: team}}\ndata:\n{data}  certificates: |\n    \
         - {{secret: x, domains: [{domains}], tsigSecretName: tsigkey}}\n---\n{more}"
    )
}

#[test]
fn a_secret_of_the_same_file_tells_the_name_of_its_key_and_nothing_else() {
    let folder = Scratch::new("policy");
    let key = Key::new("notariat.key", Hmac::Sha512);
    let text = key.secret_text();
    let secret =
        |metadata: &str, data: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{{metadata}}}\n{data}\n");
    let run = |more: &str, flags: &[&str]| {
        let file = folder.write("manifest.yaml", &manifest("a.test", "", more));
        let run = Run::of(notariat().args(["dns-policy", "-f"]).arg(file).args(flags)).ends(0);
        assert!(!run.stdout.contains(&key.secret) && !run.log.contains(&key.secret));
        run.stdout
    };
    let in_base64 = format!("data: {{key: {}}}", STANDARD.encode(&text));
    for (data, flags) in [(format!("stringData: {{key: '{text}'}}"), &[][..]), (in_base64, &["-namespace=team"])] {
        for at in ["name: tsigkey, namespace: team", "name: tsigkey"] {
            let printed = run(&secret(at, &data), flags);
            // A Secret without a namespace is in that of the command line, else in `default`.
            let is_there = at.contains("team") || !flags.is_empty();
            let name = if is_there { "notariat.key" } else { "KEY-IN-team-tsigkey" };
            assert!(printed.contains(&format!("grant \"{name}\" name _acme-challenge.a.test. TXT;")), "{printed}");
            assert_eq!(printed.contains("# KEY-IN-"), !is_there, "{printed}");
        }
    }
    let at = "name: tsigkey, namespace: team";
    for (data, remark) in [
        ("data: {key: '%%'}", "# the Secret team/tsigkey: data.key: is not base64"),
        ("data: {kay: eA==}", "# the Secret team/tsigkey has no data key `key`"),
        ("stringData: {key: x}", "# the TSIG key in the Secret team/tsigkey "),
    ] {
        let printed = run(&secret(at, data), &[]);
        assert!(printed.contains(remark) && printed.contains("\"KEY-IN-team-tsigkey\""), "{data}: {printed}");
    }
}

#[test]
fn with_a_resolver_zones_and_cnames_are_found_and_what_is_not_found_is_told() {
    // Where port 53 is free, as zones that nobody configured are found there.
    let (place, folder) = (Place::new_namespace(), Scratch::new("policy"));
    let address = SocketAddr::from(([127, 0, 0, 2], 53));
    let served = |name: &str| Zone::new(name).name_server(&format!("ns1.{name}"), address.ip());
    let site =
        served("site.test").line("_acme-challenge.a CNAME a.acme.test.").line("_acme-challenge.www CNAME w.far.test.");
    let dns = NameServer::setup(Software::Bind).place(&place).address(address);
    let dns = dns.zone(site).zone(served("acme.test")).zone(served("far.test")).start();
    let zones = ["site.test", "acme.test", "far.test"];
    let resolver = Resolver::setup().place(&place).address("127.0.0.53:53");
    let resolver = zones.iter().fold(resolver, |setup, zone| setup.forward(zone, dns.addr())).start();
    let names = "other.site.test, '*.a.site.test', www.site.test, no.test";
    let file = folder.write("manifest.yaml", &manifest(names, "  zones: '[{zone: acme.test}]'\n", ""));
    let run = |flags: &[&str]| {
        let mut command = place.command(notariat().get_program());
        Run::of(command.args(["dns-policy", "-f"]).arg(&file).args(flags)).ends(0).stdout
    };
    let printed = run(&[]);
    let grants = ["a.site", "no", "other.site", "www.site"]
        .map(|host| format!("grant \"KEY-IN-team-tsigkey\" name _acme-challenge.{host}.test. TXT;\n"));
    assert!(printed.contains(&grants.concat()) && printed.contains("`-resolver ADDRESS` finds both"), "{printed}");
    let printed = run(&["-resolver", &resolver.addr().to_string()]);
    assert_eq!(
        part(&printed, "# ZONE:", "\n\n").replace("\"KEY-IN-team-tsigkey\" name ", ""),
        "# ZONE:\ngrant _acme-challenge.no.test. TXT;\ngrant _acme-challenge.www.site.test. TXT;\n# acme.test:\ngrant a.acme.test. TXT;\n\
         # site.test:\ngrant _acme-challenge.other.site.test. TXT;"
    );
    let far = "# www.site.test: _acme-challenge.www.site.test -> w.far.test leads to the zone far.test, which is not configured";
    for remark in [far, "# no.test: resolver 127.0.0.53 says SERVFAIL"] {
        assert!(printed.contains(remark), "{remark}: {printed}");
    }
}

#[test]
fn names_that_are_proved_by_http_01_need_no_grant() {
    let scratch = Scratch::new("policy");
    let file = scratch.join("config.yaml");
    let certificates = "[{secret: web, domains: [www.site.test], challenge: http-01}, \
        {secret: both, domains: [shop.site.test, '*.shop.site.test'], challenge: http-01, tsigSecretName: k}, \
        {secret: dns, domains: [dns.site.test, www.inside.test], tsigSecretName: k}]";
    let data = serde_json::json!({"certificates": certificates, "zones": "[{zone: inside.test, challenge: http-01}]"});
    let metadata = serde_json::json!({"name": "notariat", "namespace": "team"});
    let config_map = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    std::fs::write(&file, config_map.to_string()).unwrap();
    let printed = Run::of(notariat().args(["dns-policy", "-f"]).arg(&file)).ends(0).stdout;
    let grants: Vec<&str> = printed.lines().filter(|line| line.starts_with("grant ")).collect();
    // The wildcard is always proved by dns-01.
    assert_eq!(grants.len(), 2, "{printed}");
    for name in ["dns", "shop"] {
        assert!(grants.iter().any(|grant| grant.contains(&format!(" name _acme-challenge.{name}.site.test. TXT;"))));
    }
}
