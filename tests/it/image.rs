//! The image of a release, run as a kubelet would run it: its one layer is the whole root, which is read-only; user 65532, no capability.
//!
//! `IMAGE_MACHINE=aarch64` does the same with the image for arm64, in qemu, after tests/lab/install arm64.

use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::tools::{output, tool};
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Resolver, Scratch, Software, Zone};
use serde_json::Value;

use crate::static_binary::{binary, release_binary};
use crate::support::cluster::Cluster;
use crate::support::run::Daemon;
use crate::support::{Run, x509};

/// An unpacked image: its root, and what it says about how to be run.
struct Image {
    root: Scratch,
    config: Value,
    /// The emulator, where the image is for another machine.
    emulator: Option<PathBuf>,
}

impl Image {
    /// Makes the layout with `deploy/release-image`, and unpacks it.
    fn new() -> Image {
        let machine = std::env::var("IMAGE_MACHINE").unwrap_or_else(|_| "x86_64".to_owned());
        let (program, emulator) = match machine.as_str() {
            "x86_64" => (release_binary(), None),
            "aarch64" => (binary::static_binary_for_arm(), Some(tool("qemu-aarch64-static"))),
            other => panic!("IMAGE_MACHINE is x86_64 or aarch64, not {other}"),
        };
        let (work, root) = (Scratch::new("layout"), Scratch::new("image"));
        let tar = work.join("image.tar");
        output(
            Command::new("python3")
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .arg("deploy/release-image")
                .arg(&tar)
                .args([env!("CARGO_PKG_VERSION"), "0123abc"])
                .arg(format!("{machine}={}", program.display())),
        );
        output(Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(work.path()));
        // From digest to digest, as an engine reads it; release.rs looks at the layout itself.
        let json = |path: PathBuf| -> Value { serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap() };
        let blob = |descriptor: &Value| {
            work.join("blobs/sha256").join(descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap())
        };
        let index = json(blob(&json(work.join("index.json"))["manifests"][0]));
        let manifest = json(blob(&index["manifests"][0]));
        let [layer] = &manifest["layers"].as_array().unwrap()[..] else { panic!("one layer: {manifest}") };
        output(Command::new("tar").arg("-xf").arg(blob(layer)).arg("-C").arg(root.path()));
        output(Command::new("chmod").arg("755").arg(root.path()));
        assert_eq!(names(root.path()), ["notariat"]);
        Image { root, config: json(blob(&manifest["config"]))["config"].clone(), emulator }
    }

    /// The image's entry point with its user and environment, and with these arguments. `options` are those of runtime.py.
    fn command(&self, place: &Place, options: &[(&str, String)], arguments: &[&str]) -> Command {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |key: &str| self.config[key].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let mut command = place.command("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/image/runtime.py"));
        command.arg(self.root.path()).arg(text(&self.config["User"]));
        for (option, value) in options {
            command.args([option, value.as_str()]);
        }
        for variable in list("Env") {
            command.args(["--env", &variable]);
        }
        if let Some(emulator) = &self.emulator {
            command.arg("--bind").arg(format!("{}:/emulator", emulator.display())).args(["--", "/emulator"]);
        } else {
            command.arg("--");
        }
        command.args(list("Entrypoint")).args(arguments);
        command
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The facts of the kernel about a running process: user, groups, capabilities, and how its root is mounted.
fn assert_confined(pid: u32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap().trim();
    for (key, expected) in [
        ("Uid", "65532\t65532\t65532\t65532"),
        ("Gid", "65532\t65532\t65532\t65532"),
        ("Groups", ""),
        ("CapInh", "0000000000000000"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
    ] {
        assert_eq!(value(key), expected, "{key}");
    }
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
    let writable: Vec<_> = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|fields| !fields[5].split(',').any(|option| option == "ro"))
        .map(|fields| fields[4])
        .collect();
    assert_eq!(writable, ["/store"], "nothing else can be written:\n{mounts}");
    assert!(mounts.lines().any(|line| line.split(' ').nth(4) == Some("/")), "{mounts}");
}

#[test]
fn with_a_directory_store_it_issues_in_an_empty_read_only_root() {
    let image = Image::new();
    let place = Place::new_namespace();
    let key = Key::new("k", Hmac::Sha256);
    let zone = Zone::new("site.test").grant(Grant::Zone(&key)).line("www A 127.0.0.1");
    let address = "127.0.0.1:53";
    let bind = NameServer::setup(Software::Bind)
        .place(&place)
        .address(address)
        .zone(Zone::new("lab").line("acme A 127.0.0.1"))
        .zone(zone)
        .start();
    let resolver = Resolver::setup().place(&place).address("127.0.0.53:53");
    let resolver = ["lab", "site.test"].into_iter().fold(resolver, |r, zone| r.forward(zone, bind.addr())).start();
    let pebble = Pebble::setup().place(&place).dns_server(resolver.addr()).start();

    let given = Scratch::new("given");
    let resolv_conf = given.write("resolv.conf", "nameserver 127.0.0.53\n");
    let store = |path: &str, text: &str| {
        let path = given.join("store/default").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    store("secrets/tsigkey/key", &key.secret_text());
    store(
        "configmaps/certs/certificates",
        "- {secret: web, domains: ['*.site.test', www.site.test], email: a@site.test, tsigSecretName: tsigkey}\n",
    );
    output(Command::new("chmod").arg("-R").arg("a+rX").arg(given.path()));
    let options = [
        ("--tmpfs", format!("{}:/store", given.join("store").display())),
        ("--bind", format!("{}:/etc/resolv.conf", resolv_conf.display())),
        ("--bind", format!("{}:/ca.pem", pebble.ca_file().display())),
    ];
    let acme = pebble.directory().replace("127.0.0.1", "acme.lab");
    let arguments = ["-local", "/store", "-config", "certs", "-acme", &acme, "-acme-ca", "/ca.pem"];
    let daemon = Daemon::start(&mut image.command(&place, &options, &arguments));
    daemon.until_it_says("issued secret=default/web");
    // Nothing of the machine is seen from inside, and nothing was written but the store.
    let root = PathBuf::from(format!("/proc/{}/root", daemon.pid()));
    let mut expected = vec!["ca.pem", "etc", "notariat", "store"];
    if image.emulator.is_some() {
        expected.insert(1, "emulator");
    }
    assert_eq!(
        (names(&root), names(&root.join("etc"))),
        (expected.iter().map(|n| (*n).to_owned()).collect(), vec!["resolv.conf".to_owned()])
    );
    assert_confined(daemon.pid());
    x509::assert_valid(&root.join("store/default/secrets/web"), &pebble.root_pem(), &["*.site.test"]);
    assert_eq!(daemon.terminate(), 0);
}

#[test]
fn in_a_pod_it_writes_the_secret_of_the_cluster() {
    let image = Image::new();
    let cluster = Cluster::new();
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    let given = Scratch::new("given");
    given.write("resolv.conf", "nameserver 127.0.0.1\n");
    let account = given.join("account");
    std::fs::create_dir(&account).unwrap();
    std::fs::copy(cluster.kube.ca_file(), account.join("ca.crt")).unwrap();
    std::fs::write(account.join("namespace"), &cluster.namespace).unwrap();
    std::fs::write(account.join("token"), cluster.kube.service_account_token(&cluster.namespace, "notariat")).unwrap();
    output(Command::new("chmod").arg("-R").arg("a+rX").arg(given.path()));
    let api = cluster.kube.api_url();
    let (host, port) = api.strip_prefix("https://").unwrap().rsplit_once(':').unwrap();
    let options = [
        ("--bind", format!("{}:/etc/resolv.conf", given.join("resolv.conf").display())),
        ("--bind", format!("{}:/var/run/secrets/kubernetes.io/serviceaccount", account.display())),
        ("--bind", format!("{}:/ca.pem", cluster.site.pebble.ca_file().display())),
        ("--env", format!("KUBERNETES_SERVICE_HOST={host}")),
        ("--env", format!("KUBERNETES_SERVICE_PORT={port}")),
    ];
    let resolver = format!("-resolver={}", cluster.site.resolver.addr());
    let acme = cluster.site.pebble.directory();
    let arguments = ["-config", "notariat", "-once", "-acme", &acme, "-acme-ca", "/ca.pem", &resolver];
    let issued = format!("issued secret={}/web", cluster.namespace);
    Run::of(&mut image.command(&Place::Host, &options, &arguments)).ends(0).says(&[&issued]);
    cluster.assert_valid("web", &["www.site.test"]);
}
