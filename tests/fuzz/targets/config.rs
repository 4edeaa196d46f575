//! The data of a ConfigMap: reading it twice gives the same; an accepted entry reads back from its serialized form; no fault repeats an address with a
//! password or what stands at `tsigSecretName`. Time and memory are linear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::config::entry::Entry;
use notariat::config::namespaces::Namespaces;
use notariat::config::node::YamlNode;
use notariat::config::{self, Data};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, repeated, text};
use notariat_fuzz::planted;
use notariat_fuzz::tree::{Scalar, is_hidden, may_explode};

const COST: Bound = Bound { steps_per_octet: 10_000, steps: 400_000, octets_per_octet: 4_000, octets: 512 * 1024 };

const ALIASES: Bound = Bound { steps: 2_000_000_000, octets: 64 * 1024 * 1024, ..COST };

/// An address that stands for the mark, with the secret as its password.
fn address() -> String {
    format!("https://me:{}@ca.test", planted::BASE64.replace('/', "-"))
}

/// The keys of a ConfigMap: a line `%% KEY` begins one; before the first it is `certificates`.
fn data(text: &str, choice: u8) -> Data {
    let mut sections = text.split("\n%% ");
    let first = sections.next().unwrap_or_default();
    let rest = sections.filter_map(|section| section.split_once('\n'));
    let all = [("certificates", first)].into_iter().chain(rest);
    all.map(|(key, text)| (key.to_owned(), repeated(text, choice))).collect()
}

fn is_secret(scalar: &Scalar) -> bool {
    let at_key = scalar.path.last().is_some_and(|field| field == "tsigSecretName");
    scalar.text == address() || (at_key && scalar.text == planted::BASE64)
}

fuzz_target!(|octets: &[u8]| {
    let mut input = Input::new(octets);
    let (choice, namespaces) = (input.octet(), Namespaces::new("team", &["other".to_owned()]));
    let raw = text(input.rest());
    if planted::is_hinted(&raw) || may_explode(&raw) {
        return;
    }
    let text = raw.replace(planted::MARK, &address()).replace('\u{2}', planted::BASE64);
    let data = data(&text, choice);
    let length = data.texts.values().map(String::len).sum();
    // What aliases repeat is bounded, but not by the length of the text.
    let bound = if text.contains('&') { ALIASES } else { COST };
    let read = linear(length, bound, || config::read(&data, &namespaces));
    let faults = match &read {
        Err(e) => e.to_string(),
        Ok(config) => {
            config.entries.iter().filter_map(|entry| Some(entry.as_ref().err()?.to_string() + "\n")).collect()
        }
    };
    // Names of keys are repeated; a text without the secret hides it as well.
    let hides =
        |(key, text): (&String, &String)| !planted::is_in(key) && (!planted::is_in(text) || is_hidden(text, is_secret));
    if data.texts.iter().all(hides) {
        planted::assert_absent(&faults);
    }
    let Ok(first) = read else { return };
    let again = config::read_after(&data, &namespaces, &first).expect("the same data");
    assert!(again.entries == first.entries, "reading depends on what was read before");
    for entry in first.entries.iter().filter_map(|entry| entry.as_ref().ok()) {
        assert!(!entry.secrets.is_empty() && !entry.domains.is_empty());
        assert!(entry.domains.windows(2).all(|pair| pair[0] < pair[1]), "names are sorted and stand once");
        let form = entry.form();
        let node: YamlNode = serde_json::from_str(&form.to_string()).expect("JSON is a tree");
        assert_eq!(Entry::read(&node, &namespaces).as_ref(), Ok(&**entry), "an entry reads back: {form}");
    }
});
