//! The page in headless Chromium, with 0, 3, 60 and 500 certificates of a real daemon: what the browser makes of it is counted, measured at
//! every width, judged by axe-core, and drawn for people to look at.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "nobody uses this program as a library; parts are those of tests/it"
)]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]

mod chromium;
#[path = "../it/support/run.rs"]
mod run;
mod site;
#[path = "../it/support/x509.rs"]
mod x509;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chromium::{Chromium, View};
use notariat_lab::tools::{output, tool};
use site::{Site, Store};

/// Words in the configuration that would be a tag if somebody forgot to make text of them.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// The name of a Secret, 69 characters.
const LONG: &str = "shop-frontend-with-a-name-that-is-much-longer-than-anybody-would-like";

/// The widths of the pictures: a telephone, a tablet, a desk.
const DRAWN: [u32; 3] = [390, 768, 1440];

/// Octets of the page for a certificate, at most.
const OCTETS_EACH: usize = 2_200;

/// How long the server takes for a page of 500 certificates, at most. The build is not optimised, and the machine may be busy.
const SERVED_WITHIN: Duration = Duration::from_millis(100);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page");
    let pictures = arguments.first().map_or(default, PathBuf::from);
    fs::create_dir_all(&pictures).unwrap();
    let mut browser = Chromium::start();
    let look = Look { pictures: &pictures, browser: &mut browser };
    all(look);
    println!("the page is well in a browser; the pictures are in {}", pictures.display());
}

fn all(mut look: Look<'_>) {
    let none = Store::new("[]").daemon();
    let tree = look.at(&none, "0");
    assert!(tree.contains("No certificates yet") && count(&tree, "<tr") == 0, "{tree}");
    look.is_accessible("0");
    look.has_no_sideways_scroll(10);

    three(&mut look);
    sixty(&mut look);
    many(&mut look);
}

/// Three certificates, of which one is failing and one expired, and words that want to be tags.
fn three(look: &mut Look<'_>) {
    let store = Store::new(&format!(
        "- {{secret: web, domains: [www.page.test, '*.apps.page.test'], tsigSecretName: key}}\n\
         - {{secret: old, domains: [old.page.test], tsigSecretName: key}}\n\
         - {{secret: missing, domains: [new.page.test, b.page.test, c.page.test, d.page.test], tsigSecretName: key}}\n\
         - {{secret: odd, domains: [odd.page.test], '{HOSTILE}': 1}}\n"
    ));
    store.certificate("web", &["www.page.test", "*.apps.page.test"], "R10", -20, 70);
    store.certificate("old", &["old.page.test"], HOSTILE, -95, -5);
    let key = store.key.clone();
    let site = store.daemon();
    site.daemon.until_it_says("failed secret=default/missing");
    site.daemon.until_it_says("failed secret=default/old");
    site.daemon.until("both wait for the next attempt", || count(&site.page(), "BackingOff</b>") == 2);
    let tree = look.at(&site, "3");
    assert_eq!((count(&tree, "<tbody"), count(&tree, "<svg")), (3, 2), "a row each, a line for what there is: {tree}");
    assert_eq!(count(&tree, "class=\"past\" x="), 2, "of what there is: {tree}");
    assert_eq!((count(&tree, "class=\"now\" x="), count(&tree, "class=\"renewal\" x=")), (2, 2), "{tree}");
    for part in ["1 expired", "Valid</b>", "and 1 more", "failed attempts in a row: ", "class=\"fault\""] {
        assert!(tree.contains(part), "{part} in {tree}");
    }
    assert_eq!(count(&tree, "<img"), 0, "text of others is no tag");
    assert!(tree.contains("&lt;img src=x"), "{tree}");
    let order = ["<wbr>old<", "<wbr>missing<", "<wbr>web<"].map(|secret| tree.find(secret).unwrap());
    assert!(order.is_sorted(), "what fails first: {tree}");
    for secret in ["BEGIN", key.as_str()] {
        assert!(!tree.contains(secret), "no secret value");
    }
    assert!(!tree.contains("http://") && !tree.contains("https://") && count(&tree, "<script") == 0, "{tree}");
    look.is_accessible("3");
    look.has_no_sideways_scroll(10);
    look.reads_as_cards();
    // Links of the page lead where they say, and a query can not place a tag.
    look.browser.value("[...document.querySelectorAll('nav a')].find(a => a.textContent == '1 Valid').click()");
    site.daemon.until("one is shown", || look.browser.value("document.querySelectorAll('tbody').length") == 1);
    look.browser.load(&format!("{}?state={HOSTILE}&namespace=\"><img src=x>&{HOSTILE}", site.url()));
    let tree = look.browser.tree();
    assert_eq!((count(&tree, "<img"), count(&tree, "role=\"status\""), count(&tree, "<tbody")), (0, 3, 3), "{tree}");
    assert_eq!(site.daemon.terminate(), 0);
}

/// Sixty certificates in three namespaces and many states, with long names.
fn sixty(look: &mut Look<'_>) {
    let long = format!(
        "{0}.{0}.page.test",
        "label-of-sixty-three-characters-which-is-all-that-dns-will-take".get(..63).unwrap()
    );
    let entry =
        |secret: &str, domains: &str| format!("- {{secret: {secret}, domains: [{domains}], tsigSecretName: key}}\n");
    let away = |secret: &str| {
        format!(
            "- {{secret: {secret}, domains: [{secret}.page.test], tsigSecretName: key, dns: {{server: '127.0.0.1:9', zone: page.test}}}}\n"
        )
    };
    let mut config: String =
        (0..46).map(|n| entry(&format!("team-{}/web-{n:02}", ["a", "b"][n % 2]), &format!("h{n}.page.test"))).collect();
    config += &(0..6).map(|n| away(&format!("api-{n}"))).collect::<String>();
    config += &entry(LONG, &format!("long.page.test, '{long}'"));
    config += &entry("old", "old.page.test");
    config += &entry("foreign", "foreign.page.test");
    config += &entry("[team-a/shared, team-b/shared, default/shared]", "shared.page.test");
    config += &entry("staged", "staged.page.test");
    config += &entry("next-gateway", "gw.page.test");
    config += &entry("due", "due.page.test");
    config += &entry("fresh", "fresh.page.test");
    let store = Store::new(&config);
    for variant in 0..8_usize {
        let days = i64::try_from(variant).unwrap();
        let pair = x509::make(&["*.page.test"], ["R10", "E5", "WE1"][variant % 3], -6 * days - 1, 89 - 6 * days);
        (variant..46)
            .step_by(8)
            .for_each(|n| store.store_pair(&format!("team-{}/web-{n:02}", ["a", "b"][n % 2]), &pair));
        if variant == 0 {
            ["team-a/shared", "team-b/shared", "default/shared", "fresh"]
                .iter()
                .for_each(|secret| store.store_pair(secret, &pair));
        }
    }
    store.certificate(
        LONG,
        &["long.page.test", &long],
        "Corporate Issuing Authority for Internal Web Servers 2026 G3",
        -30,
        60,
    );
    store.certificate("old", &["old.page.test"], "R10", -95, -5);
    store.certificate("due", &["due.page.test"], "R10", -65, 25);
    store.certificate("staged", &["staged.page.test"], "(STAGING) Counterfeit Cashew R10", -3, 87);
    store.write("default/secrets/foreign/type", "Opaque");
    store.write("default/secrets/foreign/password", "x");
    let site = store.daemon();
    site.daemon.until("all are decided about", || {
        let page = site.page();
        count(&page, "<tbody") == 60 && count(&page, "Refused</b>") == 1 && count(&page, "BackingOff</b>") >= 4
    });
    let tree = look.at(&site, "60");
    assert!(tree.contains("60 certificates") && tree.contains(LONG) && tree.contains(&long), "{tree}");
    look.is_accessible("60");
    look.has_no_sideways_scroll(10);
    look.reads_as_cards();
    assert_eq!(site.daemon.terminate(), 0);
}

/// Five hundred certificates.
fn many(look: &mut Look<'_>) {
    let entry = |n: usize| format!("- {{secret: web-{n:03}, domains: [h{n}.page.test], tsigSecretName: key}}\n");
    let store = Store::new(&(0..500).map(entry).collect::<String>());
    for (variant, chunk) in (0..500).collect::<Vec<usize>>().chunks(50).enumerate() {
        let variant = i64::try_from(variant).unwrap();
        let pair = x509::make(&["*.page.test"], "R10", -5 * variant - 1, 89 - 5 * variant);
        chunk.iter().for_each(|n| store.store_pair(&format!("web-{n:03}"), &pair));
    }
    let site = store.daemon();
    site.daemon.until("all are decided about", || count(&site.daemon.log(), "valid secret=") == 500);
    let tree = look.at(&site, "500");
    assert_eq!((count(&tree, "<tbody"), count(&tree, "class=\"rest\" x=")), (500, 500));
    assert!(tree.contains("500 certificates"));
    look.has_no_sideways_scroll(160);
    let page = site.page();
    assert!(page.len() < 500 * OCTETS_EACH, "{} octets", page.len());
    let served = served(&site);
    assert!(served < SERVED_WITHIN, "{served:?}");
    println!("500 certificates: {} octets, {served:?} on the server (not optimised)", page.len());
    assert_eq!(site.daemon.terminate(), 0);
}

/// The shortest of some requests of the page, from the connection to its last octet.
fn served(site: &Site) -> Duration {
    let url = site.url();
    let ask = |_| {
        let began = Instant::now();
        output(Command::new(tool("curl")).args(["-sS", "-o", "/dev/null", &url]));
        began.elapsed()
    };
    (0..10).map(ask).min().unwrap()
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// Looks at pages.
struct Look<'l> {
    pictures: &'l Path,
    browser: &'l mut Chromium,
}

impl Look<'_> {
    /// Loads the page, draws it light and dark at each width, and as on paper. Returns the tree that the browser makes of it.
    fn at(&mut self, site: &Site, name: &str) -> String {
        self.browser.load(&site.url());
        for (width, dark) in DRAWN.into_iter().flat_map(|width| [(width, false), (width, true)]) {
            self.browser.set(View { dark, ..View::of(width) });
            let scheme = if dark { "dark" } else { "light" };
            self.browser.draw(&self.pictures.join(format!("{name}-{width}-{scheme}.png")), 2_400);
        }
        // A4 between its margins.
        self.browser.set(View { print: true, ..View::of(718) });
        self.browser.draw(&self.pictures.join(format!("{name}-print.png")), 2_400);
        assert_eq!(self.browser.value(TOO_WIDE), serde_json::json!([]), "{name} on paper");
        self.browser.set(View::of(1440));
        self.browser.tree()
    }

    fn is_accessible(&mut self, name: &str) {
        for (width, dark) in [(390, false), (390, true), (1440, false), (1440, true)] {
            self.browser.set(View { dark, ..View::of(width) });
            let found = self.browser.axe();
            assert!(found.is_empty(), "{name} at {width}, dark {dark}:\n{}", found.join("\n"));
        }
    }

    /// Nothing is wider than the window or than its own cell, at widths from 320 to 1920.
    fn has_no_sideways_scroll(&mut self, step: usize) {
        for width in (320..=1920).step_by(step) {
            self.browser.set(View::of(width));
            assert_eq!(self.browser.value(TOO_WIDE), serde_json::json!([]), "at {width}");
        }
    }

    /// On a telephone the parts of a certificate stand below each other, on a desk beside each other, with an issuer.
    fn reads_as_cards(&mut self) {
        self.browser.set(View::of(390));
        let below = self.browser.value(
            "[...document.querySelectorAll('tbody')].every(card => { const at = part => \
             card.querySelector(part).getBoundingClientRect(); const parts = ['th', '.state', '.names', '.ends', '.renews', \
             '.line'].map(at).filter(part => part.height > 0); return parts.every((part, n) => n == 0 || parts[n - 1].bottom <= part.top + 0.5 && part.left \
             == parts[0].left) })",
        );
        assert_eq!(below, true, "the parts of each card stand below each other");
        for (width, shows) in [(390, false), (768, false), (1440, true)] {
            self.browser.set(View::of(width));
            let shown = self.browser.value("document.querySelector('td.issuer').getBoundingClientRect().width > 50");
            assert_eq!(shown, shows, "the issuer at {width}");
        }
        let beside = self.browser.value(
            "[...document.querySelectorAll('tbody')].every(row => { const parts = [...row.rows[0].cells].map(cell => \
             cell.getBoundingClientRect()); return parts.every((part, n) => n == 0 || parts[n - 1].right <= part.left + 0.5) })",
        );
        assert_eq!(beside, true, "the parts of each row stand beside each other");
    }
}

/// The elements that are wider than their place.
const TOO_WIDE: &str = "(() => { const page = document.documentElement; const wide = [...document.querySelectorAll('th, td, p, li, \
    h1, footer')].filter(of => of.offsetParent && of.scrollWidth > of.clientWidth + 1 && getComputedStyle(of).display != 'inline'); \
    return [...(page.scrollWidth > page.clientWidth ? ['the page: ' + page.scrollWidth] : []), ...wide.slice(0, 3).map(of => \
    of.outerHTML.slice(0, 200) + ' ' + of.scrollWidth + ' > ' + of.clientWidth)] })()";
