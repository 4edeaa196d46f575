//! The page in headless Chromium: with no certificate, with three of which one is failing and one expired, and with 500.
//!
//! The daemon is the real one, on a directory store whose Secrets openssl made; the CA is one that nobody is at. What the browser made of
//! the page is counted in its tree, and drawn for people to look at.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "nobody uses this program as a library; parts are those of tests/it"
)]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]

#[path = "../it/support/run.rs"]
mod run;
#[path = "../it/support/x509.rs"]
mod x509;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::Scratch;
use notariat_lab::tools::{output, tool};
use run::{Daemon, notariat};

/// Words in the configuration that would be a tag if somebody forgot to make text of them.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page");
    let pictures = arguments.first().map_or(default, PathBuf::from);
    fs::create_dir_all(&pictures).unwrap();

    let none = Store::new("[]").daemon();
    let tree = none.look(&pictures, "none", 900);
    assert!(tree.contains("No certificates yet") && count(&tree, "<tr") == 0, "{tree}");

    let few = Store::new(&format!(
        "- {{secret: web, domains: [www.page.test, '*.apps.page.test'], tsigSecretName: key}}\n\
         - {{secret: old, domains: [old.page.test], tsigSecretName: key}}\n\
         - {{secret: missing, domains: [new.page.test, b.page.test, c.page.test, d.page.test], tsigSecretName: key}}\n\
         - {{secret: odd, domains: [odd.page.test], '{HOSTILE}': 1}}\n"
    ));
    few.certificate("web", &["www.page.test", "*.apps.page.test"], "R10", -20, 70);
    few.certificate("old", &["old.page.test"], HOSTILE, -95, -5);
    let key = few.key.clone();
    let few = few.daemon();
    few.daemon.until_it_says("failed secret=default/missing");
    few.daemon.until_it_says("failed secret=default/old");
    let url = few.url();
    let backs_off = || count(&output(Command::new(tool("curl")).args(["-sS", &url])), "BackingOff</b>") == 2;
    few.daemon.until("both wait for the next attempt", backs_off);
    let tree = few.look(&pictures, "three", 900);
    let body = tree.split("<tbody>").nth(1).unwrap();
    assert_eq!((count(body, "<tr"), count(body, "<svg")), (3, 3), "a row and a line each: {tree}");
    assert_eq!(count(body, "class=\"past\""), 2, "of what there is: {tree}");
    assert_eq!((count(body, "class=\"now\""), count(body, "class=\"renewal\"")), (3, 2), "{tree}");
    for part in [
        "1 expired",
        "expired ",
        "Valid</b>",
        "BackingOff</b>",
        "and 1 more",
        "failed attempts in a row: ",
        "class=\"fault\"",
    ] {
        assert!(tree.contains(part), "{part} in {tree}");
    }
    assert_eq!(count(&tree, "<img"), 0, "text of others is no tag");
    assert!(tree.contains("&lt;img src=x"), "{tree}");
    let order: Vec<usize> =
        ["default/missing<", "default/old<", "default/web<"].map(|s| body.find(s).unwrap()).to_vec();
    assert!(order.is_sorted(), "the most urgent first: {body}");
    for secret in ["BEGIN", key.as_str()] {
        assert!(!tree.contains(secret), "no secret value");
    }
    assert!(
        !tree.contains("http://") && !tree.contains("https://") && count(&tree, "<script") == 0,
        "nothing from elsewhere"
    );

    let entry = |n: usize| format!("- {{secret: web-{n:03}, domains: [h{n}.page.test], tsigSecretName: key}}\n");
    let many = Store::new(&(0..500).map(entry).collect::<String>());
    for (variant, chunk) in (0..500).collect::<Vec<usize>>().chunks(50).enumerate() {
        let variant = i64::try_from(variant).unwrap();
        let pair = x509::make(&["*.page.test"], "R10", -5 * variant - 1, 89 - 5 * variant);
        chunk.iter().for_each(|n| many.store_pair(&format!("web-{n:03}"), &pair));
    }
    let many = many.daemon();
    many.daemon.until("all are decided about", || count(&many.daemon.log(), "valid secret=") == 500);
    let tree = many.look(&pictures, "many", 2_000);
    let body = tree.split("<tbody>").nth(1).unwrap();
    assert_eq!((count(body, "<tr"), count(body, "class=\"rest\"")), (500, 500));
    assert!(tree.contains("500 certificates"));
    println!("the page is well in a browser; the pictures are in {}", pictures.display());
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// A directory store.
struct Store {
    store: Scratch,
    key: String,
}

impl Store {
    fn new(config: &str) -> Store {
        let (store, key) = (Scratch::new("page"), "c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=".to_owned());
        let write = |path: &str, text: &str| {
            let path = store.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("default/configmaps/certs/certificates", config);
        write("default/secrets/key/key", &format!("hmac-sha256:k:{key}"));
        Store { store, key }
    }

    /// Starts a daemon on it that has a page.
    fn daemon(self) -> Site {
        let Store { store, .. } = self;
        let mut command = notariat();
        // Nobody is at the CA and at the resolver: what is asked of them fails at once.
        command.arg("-local").arg(store.path()).args(["-config", "certs", "-acme", "https://127.0.0.1:9/directory"]);
        command.args(["-resolver", "127.0.0.1:9", "-listen", "127.0.0.1:0", "-page"]);
        let daemon = Daemon::start(&mut command);
        Site { daemon, _store: store }
    }

    fn certificate(&self, secret: &str, names: &[&str], issuer: &str, from_days: i64, to_days: i64) {
        self.store_pair(secret, &x509::make(names, issuer, from_days, to_days));
    }

    fn store_pair(&self, secret: &str, (chain, key): &(String, String)) {
        let folder = self.store.join(&format!("default/secrets/{secret}"));
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [("tls.key", key.as_str()), ("type", "kubernetes.io/tls"), ("tls.crt", chain)] {
            fs::write(folder.join(file), text).unwrap();
        }
    }
}

/// A daemon with a page.
struct Site {
    daemon: Daemon,
    _store: Scratch,
}

impl Site {
    fn url(&self) -> String {
        self.daemon.until_it_says("listening address=");
        let log = self.daemon.log();
        let at = log.split("listening address=").nth(1).unwrap().split_whitespace().next().unwrap();
        format!("http://{at}/")
    }

    /// The tree that the browser makes of the page; draws it light and dark.
    fn look(&self, pictures: &Path, name: &str, height: u32) -> String {
        let url = self.url();
        for (mode, scheme) in [("dark", 0), ("light", 1)] {
            let picture = pictures.join(format!("{name}-{mode}.png"));
            let more = [format!("--screenshot={}", picture.display()), format!("--window-size=1300,{height}")];
            self.browse(&url, &[&more[0], &more[1], &format!("--blink-settings=preferredColorScheme={scheme}")]);
            assert!(fs::metadata(&picture).is_ok_and(|found| found.len() > 5_000), "{} is drawn", picture.display());
        }
        self.browse(&url, &["--dump-dom"])
    }

    fn browse(&self, url: &str, more: &[&str]) -> String {
        let profile = Scratch::new("browser");
        let mut command = Command::new(tool("chromium"));
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).args(more).arg(url);
        output(&mut command)
    }
}
