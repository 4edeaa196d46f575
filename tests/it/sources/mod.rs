//! Certificates for Ingresses, Gateways and Services, end to end: a real API server, name server and CA.

mod budget;
mod cascade;
mod everything;
mod gateway;
mod ingress;
mod kinds;
mod lifecycle;
mod merging;
mod ownership;
mod permission;
mod prune;
mod routes;
mod scale;
mod secret_keys;
pub(crate) mod seeds;
mod tenancy;

use std::collections::BTreeSet;

use crate::docs::root;

/// The rules for objects have numbers; the tests here say which ones they show.
#[test]
fn each_of_the_53_rules_is_shown_end_to_end() {
    let mut shown = BTreeSet::new();
    for file in std::fs::read_dir(root().join("tests/it/sources")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for comment in text.lines().filter_map(|line| line.trim().strip_prefix("// Rule")) {
            let list = comment.split([':', '.']).next().unwrap();
            shown.extend(list.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    assert_eq!(shown, (1..=53).collect());
}
