//! docs/http-01.md: its snippets, which the tests in front of real servers run as they stand there, and its sentences.

use notariat::issuance::solver::http01::RouteFault;

use super::{RESPONDER, Web};
use crate::docs::{blocks, code, read, section};

/// The only block of a kind, with what a reader puts there for `words`. Each word must stand in it.
fn block(kind: &str, words: &[(&str, &str)]) -> String {
    let page = read("docs/http-01.md");
    let [block] = blocks(&page, kind)[..] else { panic!("one block of {kind}") };
    words.iter().fold(block.to_owned(), |block, (word, by)| {
        assert!(block.contains(word), "{word}: {block}");
        block.replace(word, by)
    })
}

/// The Service as the page names it.
const SERVICE: &str = "notariat-acme.NS.svc.cluster.local";

/// The location of nginx, for the resolver of the lab, whose zone knows the Service.
pub(super) fn nginx(web: &Web) -> String {
    let (service, resolver) = ("notariat-acme.site.test:8089", web.site.resolver.addr().to_string());
    block("nginx", &[("DNS", &resolver), (SERVICE, service)])
}

/// The frontend and the backend of HAProxy.
pub(super) fn haproxy() -> String {
    block("haproxy", &[(&format!("{SERVICE}:80"), RESPONDER), ("bind :80", "bind 127.0.0.1:80")])
}

/// The site of Caddy, for a name.
pub(super) fn caddy(name: &str) -> String {
    block("caddy", &[(&format!("{SERVICE}:80"), RESPONDER), ("www.example.com", name)])
}

/// The location of nginx that serves a folder.
pub(super) fn nginx_for_folder(root: &str) -> String {
    let page = read("docs/http-01.md");
    let line = section(&page, "Without Kubernetes").split("nginx: `").nth(1).unwrap().split('`').next().unwrap();
    assert!(line.contains("root /srv/www;"), "{line}");
    line.replace("/srv/www", root)
}

/// The rows of the first table of a section.
fn rows(section: &str) -> Vec<(&str, &str)> {
    let lines = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = lines.take_while(|line| line.starts_with('|')).map(|line| line.trim_matches('|').split_once(" | "));
    rows.map(|row| row.map(|(sentence, change)| (sentence.trim(), change.trim())).unwrap()).collect()
}

#[test]
fn each_sentence_of_the_page_is_one_of_the_program_and_says_what_to_change() {
    let (page, code) = (read("docs/http-01.md"), code());
    let rows = rows(section(&page, "What the sentences ask for"));
    assert!(rows.len() >= 16, "{rows:?}");
    for (sentence, change) in rows {
        assert!(!change.is_empty(), "{sentence}");
        // Statuses are numbers in the code, and what stands between is filled in.
        let statuses = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b", ".contains(&b));
        let sentence = match sentence.split_once(": ") {
            Some((first, rest)) if statuses(&first.replace(" or ", ", ")) => rest,
            _ => sentence,
        };
        for part in sentence.split('…').map(str::trim) {
            assert!(code.contains(part), "{part:?} is in no sentence of the program: {sentence}");
        }
    }
}

#[test]
fn each_front_has_its_line_for_each_fault() {
    let page = read("docs/http-01.md");
    for fault in RouteFault::ALL {
        for (front, line) in fault.lines() {
            let has = rows(section(&page, front)).iter().any(|(_, change)| change.starts_with(line));
            assert!(has, "{front}: no row begins with {line:?}");
        }
    }
    for front in ["nginx", "HAProxy", "Traefik", "Gateway API", "Caddy"] {
        let said: String = rows(section(&page, front)).iter().map(|(sentence, _)| format!("{sentence}; ")).collect();
        for word in ["404", "another server answers", "redirected", "401, 403", "50"] {
            assert!(said.contains(word), "{front}: {word}");
        }
    }
}
