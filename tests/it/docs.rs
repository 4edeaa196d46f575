//! README.md and docs/: what they say is true of the program, and what one can copy from them works.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat::cli::flags::{FLAGS, Flag};
use notariat::config;
use notariat_lab::{Scratch, tools};
use serde_json::Value;

use crate::support::Run;
use crate::support::run::notariat;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every page for people, with its text.
pub fn pages() -> BTreeMap<PathBuf, String> {
    let mut found =
        vec![PathBuf::from("README.md"), PathBuf::from("deploy/monitoring/README.md"), "examples/README.md".into()];
    let in_docs = std::fs::read_dir(root().join("docs")).unwrap();
    let names = in_docs.map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    found.extend(names.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    found.into_iter().map(|path| (path.clone(), read(path))).collect()
}

/// The blocks of a page that stand between fences of this kind.
pub fn blocks<'t>(page: &'t str, kind: &str) -> Vec<&'t str> {
    let fence = format!("```{kind}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// From the line of a heading to the next one of its rank.
pub fn section<'t>(page: &'t str, heading: &str) -> &'t str {
    let start = page.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}")) + 1;
    let rest = &page[start..];
    &rest[..rest[1..].find("\n## ").map_or(rest.len(), |end| end + 1)]
}

/// All code of src/, texts that go over several lines joined.
pub fn code() -> String {
    fn add(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => add(&path, all),
                false => *all += &std::fs::read_to_string(path).unwrap(),
            }
        }
    }
    let mut all = String::new();
    add(&root().join("src"), &mut all);
    let mut parts = all.split("\\\n");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |joined, part| joined + part.trim_start())
}

/// Name and level of each event that the code logs.
fn events(code: &str) -> BTreeSet<(&str, &str)> {
    let calls = code.split("event!(").skip(1).filter_map(|call| {
        let (level, rest) = call.trim_start().split_once(',')?;
        let name = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        ["error", "warn", "info", "debug"].contains(&level).then_some((name, level))
    });
    calls.collect()
}

#[test]
fn every_event_of_the_log_is_explained_and_nothing_that_there_is_not() {
    let (code, page) = (code(), read("docs/troubleshooting.md"));
    let events = events(&code);
    assert!(events.len() > 50);
    let rows = section(&page, "Log").lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeMap<&str, &str> = rows
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            let [level, meaning, ..] = rest.split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
            assert!(!meaning.is_empty(), "{row}");
            (name, level)
        })
        .collect();
    for (name, level) in &events {
        // One that has two levels stands there with the higher one.
        let levels = events.iter().filter(|(other, _)| other == name).count();
        assert!(
            explained.get(name).is_some_and(|told| told == level || levels > 1),
            "`{name}` ({level}) is not explained in docs/troubleshooting.md, section Log: {:?}",
            explained.get(name)
        );
    }
    for name in explained.keys() {
        assert!(events.iter().any(|(known, _)| known == name), "`{name}` is explained, and nothing logs it");
    }
}

/// The names of an enum's variants.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = read(file);
    let body = text.split(&format!("pub enum {name} {{")).nth(1).unwrap().split("\n}").next().unwrap();
    let words = body.lines().map(str::trim).filter_map(|line| line.strip_suffix(','));
    words.filter(|word| word.chars().all(char::is_alphabetic)).map(str::to_owned).collect()
}

#[test]
fn every_stage_event_reason_and_state_is_explained() {
    let page = read("docs/troubleshooting.md");
    let stages = section(&page, "Stages of a failure");
    for stage in variants("src/record/values.rs", "Stage") {
        assert!(stages.contains(&format!("\n| {} | ", stage.to_lowercase())), "the stage {stage}");
    }
    let told = section(&page, "Events");
    for event in variants("src/kube/events.rs", "EventReason") {
        assert!(told.contains(&event), "the Event {event}");
    }
    let page = read("docs/secrets.md");
    let reasons = section(&page, "What it does with a Secret");
    for reason in variants("src/policy/violation.rs", "Reason") {
        assert!(reasons.contains(&reason), "the reason {reason}");
    }
    let states = read("docs/status.md");
    for state in variants("src/status/state.rs", "CertificateState") {
        assert!(states.contains(&format!("\n| {state} | ")), "the state {state}");
    }
}

/// Messages are quoted as the program says them, but for what differs from case to case (`…`).
#[test]
fn the_messages_that_are_explained_are_those_of_the_program() {
    let (code, page) = (code(), read("docs/troubleshooting.md"));
    let mut parts = 0;
    for row in ["Nothing happens at all", "Zones"].iter().flat_map(|name| section(&page, name).lines().skip(4)) {
        let Some(message) = row.strip_prefix("| ").and_then(|row| row.split(" | ").next()) else { continue };
        for quoted in message.split('`').skip(1).step_by(2) {
            for part in quoted.split('…').map(str::trim).filter(|part| part.len() > 3) {
                parts += 1;
                assert!(code.contains(part), "nothing says {part:?}: {row}");
            }
        }
    }
    assert!(parts > 20, "{parts}");
}

#[test]
fn every_yaml_block_is_an_object_and_every_config_map_is_read_without_a_fault() {
    let mut config_maps = 0;
    let mut files: Vec<(PathBuf, String)> = vec![("deploy/example.yaml".into(), read("deploy/example.yaml"))];
    for (path, page) in pages() {
        files.extend(blocks(&page, "yaml").into_iter().map(|block| (path.clone(), block.to_owned())));
    }
    for (path, block) in files {
        for document in serde_yaml::Deserializer::from_str(&block) {
            let object: Value =
                serde::Deserialize::deserialize(document).unwrap_or_else(|e| panic!("{path:?}: {e}: {block}"));
            let kind = object["kind"].as_str().unwrap_or_else(|| panic!("{path:?}: no kind: {block}"));
            assert!(object["apiVersion"].is_string() && object["metadata"]["name"].is_string(), "{path:?}: {block}");
            if kind != "ConfigMap" {
                continue;
            }
            config_maps += 1;
            let data = object["data"].as_object().unwrap().iter();
            let data = data.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
            let allowed = ["team-a", "team-b"].map(str::to_owned);
            let namespaces = config::namespaces::Namespaces::new("default", &allowed);
            let namespaces =
                namespaces.with_target("edge", &BTreeSet::new()).with_target("lab", &["shop".to_owned()].into());
            let read = config::read(&data, &namespaces);
            let config = read.unwrap_or_else(|e| panic!("{path:?}: {e}: {block}"));
            let refused: Vec<String> =
                config.entries.iter().filter_map(|e| Some(e.as_ref().err()?.to_string())).collect();
            assert!(refused.is_empty() && config.warnings.is_empty(), "{path:?}: {refused:?} {:?}", config.warnings);
        }
    }
    assert!(config_maps >= 3, "{config_maps}");
}

/// The first sentence says what the page is for, so that nobody reads the wrong one.
#[test]
fn every_page_says_first_what_it_is_for() {
    for (path, page) in pages() {
        let (title, rest) = page.split_once("\n\n").unwrap();
        assert!(title.starts_with("# ") && !title.contains('\n'), "{path:?}");
        let is_readme = path == Path::new("README.md") || path.starts_with("examples");
        assert!(is_readme || rest.starts_with("This page "), "{path:?}: {}", rest.lines().next().unwrap());
    }
    let lines = read("README.md").lines().count();
    assert!((100..=140).contains(&lines), "README.md has {lines} lines; what is more belongs into docs/");
    let contents = section(&read("README.md"), "Contents").to_owned();
    for page in pages().keys().filter(|path| **path != Path::new("README.md")) {
        assert!(contents.contains(&format!("]({})", page.display())), "README lists no {page:?}");
    }
}

/// Pages lead to pages, files and headings that there are.
#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for (path, page) in pages() {
        for target in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if target.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file =
                if file.is_empty() { root().join(&path) } else { root().join(&path).parent().unwrap().join(file) };
            let text = match file.is_dir() || target.ends_with(".png") {
                true => file.metadata().map(|_| String::new()).unwrap_or_else(|e| panic!("{path:?}: {target}: {e}")),
                false => std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{path:?}: {target}: {e}")),
            };
            let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| {
                let word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-');
                line.trim_start_matches('#').trim().to_lowercase().replace(|c| !word(c), "").replace(' ', "-")
            });
            assert!(anchor.is_empty() || headings.into_iter().any(|h| h == anchor), "{path:?}: {target}");
        }
    }
    assert!(links > 10, "{links}");
}

/// The table of settings has a row for each flag of all commands, under its name and value, with its default; `-h` and `man` are made of
/// the same table.
#[test]
fn every_flag_and_no_other_is_in_the_table_of_settings() {
    let page = read("docs/settings.md");
    let rows = section(&page, "Flags").lines().filter_map(|line| line.strip_prefix("| `-")?.split_once("` | "));
    let mut told: BTreeMap<String, &str> = BTreeMap::new();
    for (names, meaning) in rows {
        let names = names.split("`, `-").map(|name| (format!("-{}", name.replace("\\|", "|")), meaning));
        told.extend(names);
    }
    let flags: BTreeMap<String, &Flag> =
        FLAGS.iter().filter(|flag| flag.is_shared()).map(|flag| (flag.head(), flag)).collect();
    assert_eq!(told.keys().collect::<Vec<_>>(), flags.keys().collect::<Vec<_>>());
    for (head, flag) in flags {
        let default = [format!("`{}`", flag.default), flag.default.to_owned()]
            .map(|word| [format!("default {word}"), format!("{word} (default)")]);
        let has_default = flag.default.is_empty() || default.iter().flatten().any(|part| told[&head].contains(part));
        assert!(has_default, "{head}: {}", told[&head]);
    }
}

/// Every flag and variable that a page names is one of the table.
#[test]
fn no_page_names_a_flag_or_variable_that_there_is_not() {
    let names: BTreeSet<&str> = FLAGS.iter().map(Flag::name).collect();
    let variables: BTreeSet<String> = FLAGS.iter().filter_map(Flag::variable).collect();
    for (path, page) in pages() {
        for quoted in page.split("`-").skip(1).filter_map(|rest| rest.split(['`', ' ', '=']).next()) {
            // One letter may be a flag of another program, two dashes are one's.
            let is_word = quoted.len() > 1
                && !quoted.starts_with('-')
                && quoted.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            assert!(
                !is_word || names.contains(quoted) || ["h", "help", "version"].contains(&quoted),
                "{path:?}: -{quoted}"
            );
        }
        let is_part = |c: char| c.is_ascii_uppercase() || c == '_';
        for (at, _) in page.match_indices("NOTARIAT_") {
            let variable: String = page[at..].chars().take_while(|c| is_part(*c)).collect();
            assert!(variables.contains(&variable), "{path:?}: {variable}");
        }
    }
}

/// The page has the text that tests/it/dns_policy.rs tries on the real servers.
#[test]
fn the_lines_for_name_servers_are_those_that_the_program_prints() {
    let page = read("docs/dns-servers.md");
    let store = Scratch::new("docs");
    for (path, text) in [
        (
            "default/secrets/tsigkey/key",
            "hmac-sha256:notariat.example.com:c2VjcmV0LXRvLXJlcGxhY2Utc2VjcmV0LXRvLXJlcGxhY2U=",
        ),
        (
            "default/configmaps/notariat/certificates",
            "- secret: web\n  domains: [example.com, www.example.com, '*.apps.example.com']\n  tsigSecretName: tsigkey\n  dns: {zone: example.com}\n",
        ),
    ] {
        let path = store.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let run = Run::of(notariat().args(["dns-policy", "-config", "notariat", "-local"]).arg(store.path())).ends(0);
    let lines: BTreeSet<&str> = page.lines().map(str::trim).collect();
    for line in run.stdout.lines().map(str::trim).filter(|line| !line.starts_with(['#', '-']) || line.starts_with("- "))
    {
        assert!(lines.contains(line), "docs/dns-servers.md lacks {line:?}");
    }
    let checked = |program: &str, arguments: &[&str], block: &str, replaced: &str| {
        let text = blocks(&page, block)[0].replace(replaced, &store.path().display().to_string());
        let file = store.write(block, &text);
        let file = file.to_str().unwrap();
        let arguments: Vec<&str> = arguments.iter().map(|a| if *a == "FILE" { file } else { a }).collect();
        tools::try_output(Command::new(tools::tool(program)).args(arguments), "").unwrap_or_else(|e| panic!("{e}"));
    };
    checked("named-checkconf", &["FILE"], "named", "/var/lib/bind");
    checked("knotc", &["-c", "FILE", "conf-check"], "knot", "/var/lib/knot");
}

/// The files and folders of src/ that a page names.
#[test]
fn every_file_that_a_page_names_is_there() {
    let mut pages = pages();
    for page in ["SECURITY.md", "CONTRIBUTING.md"] {
        pages.insert(page.into(), read(page));
    }
    let mut count = 0;
    for (page, text) in &pages {
        for name in text.split('`').skip(1).step_by(2).filter(|name| !name.contains(char::is_whitespace)) {
            let in_src = name.strip_prefix("src/").unwrap_or(name);
            let folder: &str = in_src.split('/').next().unwrap();
            // Other names with a slash are annotations, URLs and the like.
            let is_ours = !folder.is_empty() && in_src.contains('/') && root().join("src").join(folder).is_dir();
            if !is_ours || in_src.contains(['<', '*', '{', ':']) {
                continue;
            }
            let path = root().join("src").join(in_src);
            assert!(path.exists() || path.with_extension("rs").exists(), "{}: `{name}`", page.display());
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
