//! docs/threats.md, and the cases of docs/testing.md: every test that they name is there, and every right that the program asks for has its row.

use std::collections::BTreeSet;

use notariat::kube::rbac::{RBAC_RULES, SOURCE_VERBS};

use crate::docs::{read, root};

/// The file or folder of a module below `folder`.
fn text_of(folder: &str, module: &str) -> String {
    let place = root().join(folder).join(module);
    let file = place.with_extension("rs");
    if file.is_file() {
        return read(file);
    }
    let entries = std::fs::read_dir(&place).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
    let mut text = String::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let inner = path.strip_prefix(root().join(folder)).unwrap().with_extension("");
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "rs") {
            text += &text_of(folder, inner.to_str().unwrap());
        }
    }
    text
}

/// The number of tests that a page names: `module::test` of tests/it, or `src/module: test`. Each of them must be there.
fn named_tests(page: &str) -> usize {
    let mut count = 0;
    for quoted in page.split('`').skip(1).step_by(2) {
        let (text, name) = if let Some((module, name)) = quoted.strip_prefix("src/").and_then(|q| q.split_once(": ")) {
            (text_of("src", module), name)
        } else if let Some((module, name)) = quoted.rsplit_once("::").filter(|(_, name)| name.contains('_')) {
            (text_of("tests/it", &module.replace("::", "/")), name)
        } else {
            continue;
        };
        assert!(text.contains(&format!("fn {name}()")), "{quoted}");
        count += 1;
    }
    count
}

#[test]
fn every_named_test_is_there() {
    let threats = named_tests(&read("docs/threats.md"));
    assert!(threats > 40, "{threats}");
    let testing = read("docs/testing.md");
    let cases = testing.split("\n## ").find(|section| section.starts_with("Certificates of cert-manager")).unwrap();
    let cases = named_tests(cases);
    assert!(cases > 25, "{cases}");
}

#[test]
fn every_threat_has_what_stops_it_and_a_test() {
    let page = read("docs/threats.md");
    let mut count = 0;
    for table in
        page.split("\n\n").filter(|part| part.starts_with('|') && part.lines().next().unwrap().ends_with("| test |"))
    {
        for row in table.lines().skip(2) {
            let test = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
            assert!(test.starts_with('`') && test.contains('_'), "{row}");
            count += 1;
        }
    }
    assert!(count > 25, "{count}");
}

#[test]
fn every_right_has_its_row() {
    let page = read("docs/threats.md");
    let section = page.split("\n## ").find(|section| section.starts_with("What each right")).unwrap();
    let rows: Vec<(BTreeSet<&str>, &str)> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| verb"))
        .map(|line| {
            let mut cells = line.trim_matches('|').split(" | ").map(str::trim);
            (cells.next().unwrap().split(", ").collect(), cells.next().unwrap())
        })
        .collect();
    for rule in RBAC_RULES {
        let is_row =
            |(verbs, on): &(BTreeSet<&str>, &str)| verbs.contains(rule.verb) && on.contains(rule.resource.plural);
        assert!(rows.iter().any(is_row), "no row for {} {}", rule.verb, rule.resource.plural);
    }
    let sources = rows.iter().find(|(_, on)| on.starts_with("the kinds of")).unwrap();
    assert_eq!(sources.0, SOURCE_VERBS.into());
}
