//! Tests of [`super`].

use super::*;
use crate::config::entry::Entry;
use crate::config::fields::FieldError;
use crate::config::issuers::{Issuer, Issuers};
use crate::config::namespaces::Namespaces;
use crate::config::{name_policy, node, zones_of};

/// A mapping that reads, where it stands, and the faults of one that does not.
type Case = (&'static str, FieldTable, &'static str, fn(&str) -> Vec<FieldError>);

fn entry(yaml: &str) -> Vec<FieldError> {
    Entry::read(&node::read(yaml).unwrap(), &Namespaces::from("team")).err().unwrap_or_default()
}

fn issuer(yaml: &str) -> Vec<FieldError> {
    Issuer::read("lab", &node::read(yaml).unwrap(), &Namespaces::from("team")).err().unwrap_or_default()
}

fn zone(yaml: &str) -> Vec<FieldError> {
    let faults = zones_of(&node::read(&format!("[{yaml}]")).unwrap(), &Namespaces::from("team")).err();
    let fault = |text: &str| text.strip_prefix("key `zones` item 1: ").unwrap().split_once(": ").map(parts).unwrap();
    faults.iter().flat_map(|all| all.0.split("; ")).filter(|text| text.starts_with("key")).map(fault).collect()
}

fn parts((field, sentence): (&str, &str)) -> FieldError {
    FieldError { field: field.to_owned(), sentence: sentence.to_owned() }
}

fn line(yaml: &str) -> Vec<FieldError> {
    let policy = name_policy::read(
        Some(&node::read(&format!("{{team: {yaml}}}")).unwrap()),
        &Issuers::default(),
        &|_| true,
        &mut Vec::new(),
    );
    policy.lines["team"].fault.iter().map(|text| parts(text.split_once(": ").unwrap())).collect()
}

const CASES: [Case; 7] = [
    ("", ENTRY, "secret: web, domains: [a.test]", entry),
    ("dns.", DNS, "", entry),
    ("http.", HTTP, "", entry),
    ("", ISSUER, "directory: 'https://ca.test'", issuer),
    ("domains.", DOMAIN_FILTER, "", issuer),
    ("", ZONE, "zone: a.test", zone),
    ("", NAMESPACE, "", line),
];

/// A mapping with `field: value` besides what it needs, and what stands around it.
fn with(case: &Case, field: &str, value: &str) -> String {
    let (at, _, needed, _) = case;
    let own = needed.split(", ").filter(|own| !own.is_empty() && !own.starts_with(&format!("{field}:")));
    let own = own.chain(std::iter::once(value).filter(|v| !v.is_empty())).collect::<Vec<_>>().join(", ");
    match *at {
        "dns." | "http." => {
            format!("{{secret: web, domains: [a.test], {}: {{{own}}}}}", at.trim_end_matches('.'))
        }
        "domains." => format!("{{directory: 'https://ca.test', domains: {{{own}}}}}"),
        _ => format!("{{{own}}}"),
    }
}

#[test]
fn every_row_is_taken_and_what_is_required_is_missed() {
    for case in &CASES {
        let (at, rows, _, read) = case;
        assert_eq!(read(&with(case, "-", "")), [], "{at}");
        for FieldRow { name, required, .. } in *rows {
            let yaml = with(case, name, &format!("{name}: [[1]]"));
            assert!(read(&yaml).iter().any(|f| f.field.starts_with(&format!("{at}{name}"))), "{yaml}");
            assert_eq!(!read(&with(case, name, "")).is_empty(), *required, "{at}{name}");
            let empty = with(case, name, &format!("{name}: ~"));
            assert_eq!(!read(&empty).is_empty(), *required, "{empty}");
        }
    }
}

#[test]
fn words_numbers_and_lists_are_taken_as_the_rows_say_and_no_others() {
    for case in &CASES {
        let (at, rows, _, read) = case;
        for FieldRow { name, form, .. } in *rows {
            let reads = |value: &str| {
                let yaml = with(case, name, &format!("{name}: {value}"));
                !read(&yaml).iter().any(|f| f.field.starts_with(&format!("{at}{name}")))
            };
            match form {
                FieldForm::Word(words) => {
                    // A build without RSA keys has these words and says why it does not take them.
                    let mut taken = words.iter().filter(|word| cfg!(feature = "rsa") || !word.starts_with("rsa-"));
                    assert!(taken.all(|word| reads(word)) && !reads("other"), "{name}");
                }
                FieldForm::Number(range, _) => {
                    assert!(reads(&range.start().to_string()) && reads(&range.end().to_string()), "{name}");
                    assert!(!reads(&(u64::from(*range.end()) + 1).to_string()) && !reads("-1"), "{name}");
                }
                FieldForm::List(_, count) | FieldForm::OneOrList(_, count) => {
                    let list = |n: usize| {
                        let scheme = if *name == "ownIssuers" { "https://" } else { "" };
                        let items = (0..n).map(|i| format!("'{scheme}a{i}.test'")).collect::<Vec<_>>();
                        format!("[{}]", items.join(", "))
                    };
                    assert!(reads(&list(count.least)) && reads(&list(count.most)), "{name}");
                    assert!(!reads(&list(count.most + 1)) && (count.least == 0 || !reads("[]")), "{name}");
                }
                FieldForm::Bool => assert!(reads("true") && reads("false") && !reads("'true'"), "{name}"),
                _ => {}
            }
        }
    }
}
