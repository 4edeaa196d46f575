//! The layers of the design hold: the graph of modules, computed from the source, has no cycle and no edge upwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// The layers from the lowest up (src/lib.rs). A folder uses its own modules, lower layers, and what `SIBLINGS` allows.
const LAYERS: &[&[&str]] = &[
    &["base"],
    &["http", "acme", "dns", "cert", "kube"],
    &["config", "record", "policy", "cert_manager"],
    &["gardener"],
    &["sources", "store"],
    &["issuance"],
    &["worker"],
    &["status"],
    &["server"],
    &["controller"],
    &["cli"],
    &["start"],
    &["tools", "main"],
];

/// Edges inside one layer. All others are refused: `acme`, `dns`, `cert` and `kube` never see each other.
const SIBLINGS: &[(&str, &str)] = &[
    ("acme", "http"),
    ("kube", "http"),
    ("record", "config"),
    ("policy", "config"),
    ("policy", "record"),
    ("sources", "store"),
    ("main", "tools"),
];

/// Modules and folders that only compute: no socket, file, thread, environment, clock or log call.
const PURE: &str = "
    acme::challenge acme::directory acme::jws acme::order acme::poll acme::wire
    base::address base::limits base::name base::pem base::retry base::sanitize
    cert cert_manager config gardener policy record sources::dependencies sources::merge sources::selection sources::serving sources::wish sources::wish_index
    controller::settling
    sources::annotations sources::draft sources::gateway sources::hosts sources::ingress sources::kept sources::service
    dns::settings dns::target dns::tsig dns::tsig_key dns::update dns::update_error dns::wire dns::zone_policy
    dns::zone::answer
    kube::body kube::correlator kube::credential kube::kubeconfig kube::leader_election kube::managed_fields kube::object
    kube::refusal kube::status
    server::metrics server::page server::request server::snapshot
    status::certificate status::config_map status::evaluate status::json status::report status::resource status::state status::table
    tools::check::caa tools::check::report tools::check::resources::judge tools::check::resources::seen tools::check::secrets tools::convert
";

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

/// The source of a module without its tests, comments and texts.
struct Module {
    code: String,
    tokens: Vec<String>,
    uses: Vec<Used>,
    inline: Vec<Vec<String>>,
}

type Modules = BTreeMap<String, Module>;

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if path.file_name().unwrap() != "tests" => source_files(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") && path.file_name().unwrap() != "tests.rs" => {
                found.push(path)
            }
            _ => {}
        }
    }
}

/// Every module by its path: `acme::wire` for src/acme/wire.rs.
fn modules() -> Modules {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    let module = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        let code = without_comments(text.split("#[cfg(test)]").next().unwrap());
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let parts: Vec<_> = path.iter().map(|p| p.to_str().unwrap()).filter(|p| *p != "mod").collect();
        let tokens = tokens(&code);
        let (uses, inline) = paths(&tokens);
        (parts.join("::"), Module { code, tokens, uses, inline })
    };
    files.iter().map(module).filter(|(name, _)| name != "lib").collect()
}

/// The text with comments cut off and the contents of text literals emptied. Lines stay.
fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let raw = ["r#\"", "r\""].iter().find(|r| rest.starts_with(**r) && !code.ends_with(char::is_alphanumeric));
        let skipped = match (c, raw) {
            (_, Some(start)) => {
                let end = if start.len() == 3 { "\"#" } else { "\"" };
                start.len() + rest[start.len()..].find(end).unwrap() + end.len()
            }
            ('/', _) if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            ('"', _) => quoted(rest),
            ('\'', _) if rest.starts_with("'\\") || rest[1..].chars().nth(1) == Some('\'') => quoted(rest),
            _ => {
                code.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
        };
        code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        rest = &rest[skipped..];
    }
    code
}

/// The length of the literal at the start, with its quotes.
fn quoted(text: &str) -> usize {
    let mut signs = text.char_indices();
    let (_, quote) = signs.next().unwrap();
    while let Some((at, c)) = signs.next() {
        match c {
            '\\' => drop(signs.next()),
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    panic!("a text without end");
}

/// Words, `::` and single signs.
fn tokens(code: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in code.chars() {
        let word = c.is_alphanumeric() || c == '_';
        match found.last_mut() {
            Some(last) if word && in_word => last.push(c),
            Some(last) if c == ':' && last == ":" => last.push(c),
            _ if !c.is_whitespace() => found.push(c.to_string()),
            _ => {}
        }
        in_word = word;
    }
    found
}

/// A path as written: `["crate", "base", "time"]`, and the name it has in this file.
type Used = (Vec<String>, String);

/// Reads one tree of a `use` line from `at`: the position after it.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Used>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = use_tree(tokens, at, &path, found);
                    at += usize::from(tokens[at] == ",");
                    assert_ne!(tokens[at], ";", "a `use` line that does not end");
                }
                return at + 1;
            }
            "as" => {
                found.push((path, tokens[at + 1].clone()));
                return at + 2;
            }
            "," | "}" | ";" => {
                let name = path.last().unwrap().clone();
                found.push((path, name));
                return at;
            }
            // `use a::{self}` names `a`.
            "self" if !path.is_empty() => at += 1,
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
}

/// The paths of `use` lines, and the paths inside the code.
fn paths(tokens: &[String]) -> (Vec<Used>, Vec<Vec<String>>) {
    let (mut uses, mut inline) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let starts = at == 0 || tokens[at - 1] != "::";
        if tokens[at] == "use" && tokens[at + 1] != "<" {
            at = use_tree(tokens, at + 1, &[], &mut uses);
        } else if starts && tokens.get(at + 1).is_some_and(|t| t == "::") {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|t| t == "::") && at + 2 < tokens.len() {
                path.push(tokens[at + 2].clone());
                at += 2;
            }
            inline.push(path);
            at += 1;
        } else {
            at += 1;
        }
    }
    (uses, inline)
}

/// The modules that a path, written in `module`, leads to; re-exports are followed.
fn resolve(modules: &Modules, module: &str, path: &[String], depth: usize) -> Option<String> {
    let mut at: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    match path[0].as_str() {
        "crate" => (at, rest) = (Vec::new(), &path[1..]),
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|p| p == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        // A path from a child module of this one.
        child if modules.contains_key(&format!("{module}::{child}")) => {}
        _ => return None,
    }
    while let Some(next) = rest.first() {
        let deeper = [&at[..], &[next.as_str()]].concat();
        if !modules.contains_key(&deeper.join("::")) {
            break;
        }
        (at, rest) = (deeper, &rest[1..]);
    }
    let found = at.join("::");
    let here = modules.get(&found)?;
    let name = rest.first();
    let exported = name.filter(|_| depth < 8 && found != module).and_then(|name| {
        let (path, _) = here.uses.iter().find(|(_, called)| called == name)?;
        resolve(modules, &found, path, depth + 1)
    });
    Some(exported.unwrap_or(found))
}

/// Every module with those that it uses.
fn graph(modules: &Modules) -> BTreeMap<String, BTreeSet<String>> {
    let edges = |name: &str, module: &Module| {
        let mut all: Vec<Vec<String>> = module.uses.iter().map(|(path, _)| path.clone()).collect();
        for path in &module.inline {
            // A path may begin with the name of a `use` line.
            let used = module.uses.iter().find(|(_, called)| *called == path[0]);
            all.push(used.map_or(path.clone(), |(used, _)| [&used[..], &path[1..]].concat()));
        }
        all.iter().filter_map(|path| resolve(modules, name, path, 0)).filter(|to| to != name).collect()
    };
    modules.iter().filter(|(_, m)| !is_facade(m)).map(|(name, m)| (name.clone(), edges(name, m))).collect()
}

/// A folder's own file that holds nothing but `mod` and `use` lines.
fn is_facade(module: &Module) -> bool {
    let items =
        module.code.split(';').map(|item| item.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub "));
    items.filter(|item| !item.is_empty()).all(|item| item.starts_with("mod ") || item.starts_with("use "))
}

fn folder(module: &str) -> &str {
    module.split("::").next().unwrap()
}

fn layer(module: &str) -> usize {
    let name = folder(module);
    LAYERS.iter().position(|names| names.contains(&name)).unwrap_or_else(|| panic!("{module} stands in no layer"))
}

#[test]
fn no_module_uses_a_higher_layer_or_a_stranger_in_its_own() {
    let modules = modules();
    let mut wrong = Vec::new();
    for (from, uses) in graph(&modules) {
        for to in uses.iter().filter(|to| folder(to) != folder(&from)) {
            let allowed = layer(to) < layer(&from) || SIBLINGS.contains(&(folder(&from), folder(to)));
            if !allowed {
                wrong.push(format!("{from} uses {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layers:\n{}", wrong.join("\n"));
}

/// The shortest way from `start` back to it.
fn cycle(graph: &BTreeMap<String, BTreeSet<String>>, start: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in graph.get(way.last()?)? {
            if next == start {
                return Some([&way[..], std::slice::from_ref(next)].concat());
            }
            if graph.contains_key(next) && seen.insert(next.clone()) {
                ways.push_back([&way[..], std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

#[test]
fn no_two_modules_use_each_other() {
    let graph = graph(&modules());
    assert!(graph.len() > 100);
    let cycles: BTreeSet<_> = graph.keys().filter_map(|start| cycle(&graph, start)).map(|c| (c.len(), c)).collect();
    let shortest = cycles.first().map(|(_, way)| way.join(" -> "));
    assert!(shortest.is_none(), "a cycle of modules: {}", shortest.unwrap());
}

#[test]
fn pure_modules_do_nothing() {
    let modules = modules();
    for name in PURE.split_whitespace() {
        let inside = |m: &String| *m == name || m.starts_with(&format!("{name}::"));
        assert!(modules.keys().any(inside), "{name} is no module");
        for (module, text) in modules.iter().filter(|(m, _)| inside(m)) {
            for word in IMPURE {
                assert!(!text.code.contains(word), "{module} is pure and has {word}");
            }
        }
    }
}

#[test]
fn the_clock_is_read_in_one_file_and_every_pause_can_be_ended() {
    for (module, text) in modules() {
        for (word, only) in [
            ("SystemTime::now", "base::time"),
            ("Instant::now", "base::time"),
            ("thread::sleep", ""),
            ("process::exit", ""),
        ] {
            assert!(module == only || !text.code.contains(word), "{module} has {word}");
        }
    }
}

#[test]
fn every_limit_is_used() {
    let modules = modules();
    for (limits, text) in modules.iter().filter(|(m, _)| m.starts_with("base::limits")) {
        let names = text.code.lines().filter_map(|l| l.trim().strip_prefix("pub const ")?.split(':').next());
        for name in names {
            let elsewhere = modules.iter().any(|(m, t)| m != limits && t.tokens.iter().any(|t| t == name));
            let used = elsewhere || text.tokens.iter().filter(|t| *t == name).count() > 1;
            assert!(used, "{name} is used nowhere");
        }
    }
}

#[test]
fn files_stay_short() {
    for (module, text) in modules() {
        let lines = text.code.lines().count();
        assert!(lines <= 400, "{module} has {lines} lines without its tests; cut it at an idea");
    }
}

/// The types that a file declares; its tests have their own.
fn types(text: &Module) -> impl Iterator<Item = &str> {
    let declared = |pair: &&[String]| ["struct", "enum", "trait"].contains(&pair[0].as_str());
    text.tokens.windows(2).filter(declared).map(|pair| pair[1].as_str())
}

#[test]
fn one_type_name_stands_for_one_thing() {
    let modules = modules();
    let mut declared: BTreeMap<&str, &str> = BTreeMap::new();
    for (module, text) in &modules {
        // Types inside of a function are seen nowhere else, and are a visitor or the like.
        let at_the_left = |name: &&str| {
            text.code.lines().any(|line| {
                let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                !line.starts_with(' ')
                    && words.contains(name)
                    && ["struct", "enum", "trait"].iter().any(|w| words.contains(w))
            })
        };
        for name in types(text).filter(at_the_left) {
            if let Some(other) = declared.insert(name, module) {
                panic!("{name} is a type of {other} and of {module}");
            }
        }
    }
    assert!(declared.len() > 200);
}
