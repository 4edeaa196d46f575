//! A manifest: the data of a ConfigMap comes out as it was written, whatever it is, and no fault or debug output has a part of the key in a Secret.
//! Time and memory are linear.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use notariat::config;
use notariat::tools::manifest;
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, repeated, text};
use notariat_fuzz::planted;
use notariat_fuzz::tree::{Scalar, is_hidden, may_explode};
use serde_json::json;

const COST: Bound = Bound { steps_per_octet: 3_000, steps: 200_000, octets_per_octet: 3_000, octets: 256 * 1024 };
const ALIASES: Bound = Bound { steps: 2_000_000_000, octets: 64 * 1024 * 1024, ..COST };

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let (choice, separator) = (input.octet(), "\n---\n");
    let raw = text(input.rest());
    if planted::is_hinted(&raw) || may_explode(&raw) {
        return;
    }
    let text = repeated(&(planted::filled(&raw) + separator), choice);
    // What aliases repeat is bounded, but not by the length of the text.
    let bound = if text.contains('&') { ALIASES } else { COST };
    let read = linear(text.len(), bound, || manifest::read(&text, Some("team")));
    // Only the data of Secrets is secret.
    let is_key = |scalar: &Scalar| scalar.path.iter().rev().map(String::as_str).take(2).eq(["key", "stringData"]);
    if is_hidden(&text, is_key) {
        planted::assert_absent(&format!("{read:?}"));
    }
    if let Ok(found) = read {
        for map in found.config_maps {
            drop(config::inspect(&map.data, &"team".into()));
        }
    }

    // JSON is YAML: what is written into an object is read as it was written.
    let (key, value) = raw.split_once('\n').unwrap_or(("certificates", &raw));
    if value.len() > 4096
        || !value.chars().all(|c| c == '\n' || c == '\t' || !c.is_control() && c != '\u{feff}' && (c as u32) < 0xfffe)
    {
        return;
    }
    let written = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "team"}, "data": written});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [object]});
    if let Ok(found) = manifest::read(&list.to_string(), None) {
        let [map] = &found.config_maps[..] else { panic!("one ConfigMap: {found:?}") };
        assert_eq!(map.data.texts, written, "{list}");
        assert_eq!(map.at.to_string(), "team/c");
    }
});
