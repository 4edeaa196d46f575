//! The static release binary in an empty root: nothing there but the binary, /etc/resolv.conf, and what it works on.
//!
//! In a network namespace of its own, where every server has port 53: zone, primary and name servers are found, not configured.

#[path = "../peers/binary.rs"]
pub mod binary;

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use notariat_lab::tools::output;
use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Place, Resolver, Scratch, Software, Zone};

use crate::support::{Run, x509};

/// The static release binary; built by the first test that asks.
pub fn release_binary() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| binary::static_binary(true)).clone()
}

/// The static release binary without the feature `tools`.
fn binary_without_tools() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| binary::static_binary(false)).clone()
}

/// An empty root with the binary in it.
fn empty_root(resolv_conf: &str) -> Scratch {
    let root = Scratch::new("root");
    std::fs::create_dir(root.join("etc")).unwrap();
    std::fs::write(root.join("etc/resolv.conf"), resolv_conf).unwrap();
    std::fs::copy(release_binary(), root.join("notariat")).unwrap();
    root
}

fn in_root(place: &Place, root: &Scratch, arguments: &[&str]) -> Command {
    let mut command = place.command("chroot");
    command.args(["--userspec=65532:65532"]).arg(root.path()).arg("/notariat").args(arguments);
    command
}

/// Both sizes are printed; docs/auditing.md has them.
#[test]
#[expect(clippy::print_stdout, reason = "tests/run shows the sizes")]
fn it_is_static_and_small() {
    let bounds = [(release_binary(), "with tools", 33 << 18), (binary_without_tools(), "without tools", 29 << 18)];
    for (binary, which, most) in bounds {
        let kind = output(Command::new("ldd").arg(&binary));
        assert!(kind.contains("statically linked"), "{kind}");
        let octets = std::fs::metadata(&binary).unwrap().len();
        #[expect(clippy::cast_precision_loss, reason = "two digits are printed")]
        let mib = octets as f64 / 1_048_576.0;
        println!("static binary {which}: {octets} octets, {mib:.2} MiB");
        assert!(octets <= most, "{which}: {octets} octets, more than {most}");
    }
}

#[test]
fn without_tools_the_controller_works_and_refuses_the_commands() {
    let store = Scratch::new("no-tools");
    let mut command = Command::new(binary_without_tools());
    command.args(["-config", "none", "-once", "-local"]).arg(store.path());
    Run::of(&mut command).ends(78).says(&["config_map=default/none"]);
    for word in ["renew", "status", "man"] {
        let run = Run::of(Command::new(binary_without_tools()).args([word, "web"])).ends(78);
        assert_eq!(run.log.lines().count(), 1, "{}", run.log);
        assert!(run.log.contains("notariat: this build has no tools: ") && run.stdout.is_empty(), "{}", run.log);
    }
    let help = Run::of(Command::new(binary_without_tools()).arg("-h")).ends(0).stdout;
    assert!(help.contains("  -config NAME ") && !help.contains("notariat renew"), "{help}");
}

#[test]
fn in_an_empty_root_everything_is_found_through_resolv_conf() {
    let place = Place::new_namespace();
    let key = Key::new("k", Hmac::Sha256);
    let own = |ip: &str| ip.parse::<std::net::IpAddr>().unwrap();
    // Hidden primary: the SOA names a server that no NS record names.
    let knot_zone = Zone::new("knot.test")
        .grant(Grant::Zone(&key))
        .name_server("ns1.knot.test", own("127.0.0.3"))
        .primary("hidden.knot.test")
        .line("hidden A 127.0.0.2")
        .line("www A 127.0.0.1");
    let knot = NameServer::setup(Software::Knot)
        .place(&place)
        .address("127.0.0.2:53")
        .zone(knot_zone)
        .transfer_key(&key)
        .also_notify("127.0.0.3:53".parse().unwrap())
        .start();
    let secondary = NameServer::setup(Software::Knot)
        .place(&place)
        .address("127.0.0.3:53")
        .secondary_of(knot.addr(), &key, &["knot.test"])
        .start();
    let lab = Zone::new("lab").line("acme A 127.0.0.1");
    let site = Zone::new("site.test").grant(Grant::Zone(&key)).line("child NS ns1.child").line("ns1.child A 127.0.0.1");
    let child = Zone::new("child.site.test").grant(Grant::Zone(&key)).line("deep A 127.0.0.1");
    let bind = NameServer::setup(Software::Bind)
        .place(&place)
        .address("127.0.0.1:53")
        .zone(lab)
        .zone(site)
        .zone(child)
        .start();
    let resolver = Resolver::setup().place(&place).address("127.0.0.53:53");
    let zones = [
        ("lab", bind.addr()),
        ("site.test", bind.addr()),
        ("child.site.test", bind.addr()),
        ("knot.test", knot.addr()),
    ];
    let resolver = zones.into_iter().fold(resolver, |r, (zone, addr)| r.forward(zone, addr)).start();
    let pebble = Pebble::setup().place(&place).dns_server(resolver.addr()).start();

    let root = empty_root("search some.where else.where\nnameserver 127.0.0.53\noptions ndots:5\n");
    std::fs::copy(pebble.ca_file(), root.join("ca.pem")).unwrap();
    let store = |path: &str, text: &str| {
        let path = root.join("store/default").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    store("secrets/tsigkey/key", &key.secret_text());
    let names = ["www.site.test", "*.site.test", "deep.child.site.test", "www.knot.test"];
    let domains = names.map(|n| format!("'{n}'")).join(", ");
    store(
        "configmaps/certs/certificates",
        &format!("- {{secret: web, domains: [{domains}], email: a@site.test, tsigSecretName: tsigkey}}\n"),
    );
    output(Command::new("chown").args(["-R", "65532:65532"]).arg(root.join("store")));
    output(Command::new("chmod").args(["755"]).arg(root.path()));

    let acme = pebble.directory().replace("127.0.0.1", "acme.lab");
    let arguments =
        ["-local", "/store", "-config", "certs", "-acme", &acme, "-acme-ca", "/ca.pem", "-once", "-log-level", "debug"];
    Run::of(&mut in_root(&place, &root, &arguments)).ends(0).says(&[
        "zone=site.test server=\"ns1.site.test (127.0.0.1)\"",
        "zone=child.site.test server=\"ns1.child.site.test (127.0.0.1)\"",
        "zone=knot.test server=\"hidden.knot.test (127.0.0.2)\"",
    ]);
    x509::assert_valid(
        &root.join("store/default/secrets/web"),
        &pebble.root_pem(),
        &["*.site.test", "deep.child.site.test", "www.knot.test"],
    );
    assert_eq!(
        (bind.updates(), knot.updates(), secondary.updates()),
        (4, 2, 0),
        "two zones on BIND, one on Knot, to add and to withdraw"
    );
}

#[test]
fn without_resolv_conf_the_message_says_what_to_do() {
    let root = empty_root("");
    std::fs::remove_file(root.join("etc/resolv.conf")).unwrap();
    output(Command::new("chmod").args(["755"]).arg(root.path()));
    Run::of(&mut in_root(&Place::Host, &root, &["-config", "c"])).ends(78).says(&["not in a pod", "-kubeconfig FILE"]);
}

/// The surroundings of a pod: the service account's files and two environment variables.
#[test]
fn in_a_pod_the_service_account_is_used() {
    let kube = Kube::shared();
    let namespace = kube.namespace();
    crate::support::cluster::deploy(kube, &namespace);
    let root = empty_root("nameserver 127.0.0.1\n");
    let folder = root.join("var/run/secrets/kubernetes.io/serviceaccount");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(kube.ca_file(), folder.join("ca.crt")).unwrap();
    std::fs::write(folder.join("namespace"), &namespace).unwrap();
    std::fs::write(folder.join("token"), kube.service_account_token(&namespace, "notariat")).unwrap();
    output(Command::new("chmod").args(["-R", "a+rX"]).arg(root.path()));
    let api = kube.api_url();
    let (host, port) = api.strip_prefix("https://").unwrap().rsplit_once(':').unwrap();
    kube.kubectl(&["-n", &namespace, "create", "configmap", "notariat", "--from-literal=certificates=[]"]);
    let mut command = in_root(&Place::Host, &root, &["-config", "notariat", "-once"]);
    command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
    Run::of(&mut command).ends(0).says(&[&format!("configuration-read config_map={namespace}/notariat")]);
}
