//! The layers of the design hold: lower ones never use higher ones, and some never see each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The layers from the words up. A module may use its own layer and those before it.
const LAYERS: &[&[&str]] = &[
    &[
        "address", "clock", "limits", "log", "metrics", "name", "pulse", "redact", "secret", "stop", "text", "time",
        "turns", "word",
    ],
    &[
        "acme::jws",
        "acme::wire",
        "cert",
        "config",
        "dns::key",
        "dns::tsig",
        "dns::update",
        "dns::wire",
        "kube::access",
        "kube::credential",
        "kube::event",
        "kube::kubeconfig",
        "kube::object",
        "kube::permission",
        "kube::body",
        "kube::page",
        "kube::refusal",
        "kube::status",
        "kube::writer",
        "serve::request",
    ],
    &[
        "acme::challenge",
        "acme::order",
        "acme::pace",
        "check::caa",
        "check::report",
        "check::secrets",
        "convert",
        "decide",
        "dns::rules",
        "kube::correlator",
        "kube::lease",
        "kube::pace",
        "kube::watch_state",
        "record",
        "serve::axis",
        "serve::exposition",
        "serve::page",
        "serve::snapshot",
        "sources",
        "status::bulletin",
        "status::json",
        "status::row",
        "status::table",
    ],
    &[
        "acme::client",
        "acme::error",
        "acme::requests",
        "dns::client",
        "dns::explain",
        "dns::resolver",
        "dns::transport",
        "dns::visible",
        "dns::zone",
        "http",
        "kube::auth",
        "kube::client",
        "kube::plugin",
        "kube::reporter",
        "kube::review",
        "kube::session",
        "kube::watch",
        "serve::port",
        "serve::process",
    ],
    &["issue", "store"],
    &["work"],
    &["daemon"],
    &["cli", "manifest", "start"],
    &["check", "commands", "conversion", "role", "status::run", "status::view"],
    &["dns_policy"],
    &["main"],
];

/// Pure layers contain no socket, file, thread, environment, clock or log call.
const IMPURE: &[&str] = &[
    "std::net::Tcp",
    "std::net::Udp",
    "UdpSocket",
    "TcpStream",
    "std::fs",
    "File::",
    "thread::",
    "std::env",
    "time::now",
    "event!",
    "log::",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") && path.file_name().unwrap() != "tests.rs" => {
                found.push(path)
            }
            false => {}
        }
    }
}

/// `acme::wire` for src/acme/wire.rs, and the text without its tests.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let module = |path: &Path| {
        let path = path.strip_prefix(&root).unwrap().with_extension("");
        let parts: Vec<_> = path.iter().map(|p| p.to_str().unwrap()).filter(|p| *p != "mod").collect();
        (parts.join("::"), std::fs::read_to_string(root.join(path.with_extension("rs"))).unwrap())
    };
    let all = files.iter().map(|p| module(p)).filter(|(m, _)| m != "lib");
    all.map(|(m, text)| (m, text.split("#[cfg(test)]").next().unwrap().to_owned())).collect()
}

fn layer(module: &str) -> usize {
    let is = |name: &&&str| module == **name || module.starts_with(&format!("{name}::"));
    let place = LAYERS.iter().position(|names| names.iter().find(is).is_some());
    // A folder's own file (`acme`) only lists its parts.
    place.unwrap_or_else(|| panic!("the module {module} stands in no layer"))
}

/// Every path after `crate::` in a text: `use crate::a::{b, c::d}` gives a::b and a::c::d.
fn used(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest: String =
            text[at + 7..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
        let base = rest.trim_end_matches(':').to_owned();
        let after = &text[at + 7 + rest.len()..];
        match after.strip_prefix('{').filter(|_| rest.ends_with("::")) {
            Some(list) => {
                let list = &list[..list.find('}').unwrap()];
                found.extend(list.split(',').map(|item| format!("{base}::{}", item.trim())));
            }
            None => found.push(base),
        }
    }
    found
}

#[test]
fn no_layer_uses_a_higher_one() {
    let modules = modules();
    assert!(modules.len() > 40);
    for (module, text) in modules.iter().filter(|(m, _)| !is_folder(m)) {
        let own = layer(module);
        for path in used(text) {
            let target = target(&path);
            if target.is_empty() {
                continue;
            }
            assert!(layer(&target) <= own, "{module} (layer {own}) uses {path} (layer {})", layer(&target));
        }
    }
}

/// A file that only declares the parts of its folder.
fn is_folder(module: &str) -> bool {
    ["acme", "cert", "dns", "kube", "serve", "status"].contains(&module)
}

/// The module a path leads into, with as many parts as the layers tell apart.
fn target(path: &str) -> String {
    let parts: Vec<&str> = path.split("::").filter(|p| !p.is_empty()).collect();
    match parts[..] {
        [] => String::new(),
        [first, second, ..] if is_folder(first) => format!("{first}::{second}"),
        // `use crate::dns` alone would hide what is used.
        [first] if is_folder(first) => panic!("`crate::{first}` is used as a whole: name the part"),
        [first, ..] if first.chars().next().is_some_and(char::is_uppercase) => String::new(),
        [first, ..] => first.to_owned(),
    }
}

#[test]
fn acme_dns_and_kube_never_see_each_other() {
    for (module, text) in modules() {
        for path in used(&text) {
            let (from, to) = (module.split("::").next().unwrap(), path.split("::").next().unwrap());
            let apart = ["acme", "dns", "kube"];
            assert!(from == to || !(apart.contains(&from) && apart.contains(&to)), "{module} uses {path}");
        }
    }
}

#[test]
fn pure_layers_do_nothing() {
    for (module, text) in modules().iter().filter(|(m, _)| !is_folder(m) && matches!(layer(m), 1 | 2)) {
        let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for word in IMPURE {
            assert!(!code.contains(word), "{module} is pure and has {word}");
        }
    }
}

#[test]
fn the_clock_is_read_in_one_file_and_every_pause_can_be_ended() {
    for (module, text) in modules() {
        for (word, only) in
            [("SystemTime::now", "time"), ("Instant::now", "time"), ("thread::sleep", ""), ("process::exit", "")]
        {
            assert!(module == only || !text.contains(word), "{module} has {word}");
        }
    }
}

#[test]
fn every_limit_is_used() {
    let modules = modules();
    let limits = &modules["limits"];
    let names = limits.lines().filter_map(|l| l.strip_prefix("pub const ")?.split(':').next());
    for name in names {
        let used =
            modules.iter().any(|(m, text)| m != "limits" && text.contains(name)) || limits.matches(name).count() > 1;
        assert!(used, "{name} is used nowhere");
    }
}

#[test]
fn files_stay_short() {
    for (module, text) in modules() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{module} has {lines} lines without its tests; cut it at an idea");
    }
}
