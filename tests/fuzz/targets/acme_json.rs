//! The JSON of a CA: an unknown field changes nothing, a URL that is not https is never kept, and a problem becomes one line of bounded length
//! without control characters and without a known secret. Time and memory are linear.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use notariat::acme::challenge::{of_authorization, of_challenge};
use notariat::acme::order;
use notariat::acme::wire::{
    AccountObject, Authorization, Challenge, DirectoryObject, Order, Problem, RenewalInfo, alternates,
};
use notariat::base::secret::Secret;
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, text};
use notariat_fuzz::planted;
use serde::de::DeserializeOwned;
use serde_json::Value;

const COST: Bound = Bound { steps_per_octet: 10_000, steps: 100_000, octets_per_octet: 3_000, octets: 64 * 1024 };

static KNOWN: LazyLock<Secret<String>> =
    LazyLock::new(|| Secret::known("a planted secret", planted::BASE64.to_owned()));

/// Reads an object, also with a field more.
fn object<T: DeserializeOwned + Debug>(text: &str) -> Option<T> {
    let read = linear(text.len(), COST, || serde_json::from_str::<T>(text)).ok()?;
    if let Ok(Value::Object(mut fields)) = serde_json::from_str(text) {
        // A field that stands twice is refused as text, and stands once in a map.
        fields.insert("notariat-unknown".to_owned(), serde_json::json!([{"status": "valid"}]));
        let more = serde_json::from_value::<T>(Value::Object(fields)).expect("a field more");
        assert_eq!(format!("{more:?}"), format!("{read:?}"), "an unknown field counts");
    }
    Some(read)
}

fn problem(problem: &Problem) {
    let line = problem.to_string();
    assert!(!line.is_empty() && line.chars().count() < 40_000 && !line.chars().any(char::is_control), "{line:?}");
    planted::assert_absent(&line);
}

fuzz_target!(|data: &[u8]| {
    LazyLock::force(&KNOWN);
    let mut input = Input::new(data);
    let kind = input.octet();
    let raw = text(input.rest());
    if planted::is_hinted(&raw) {
        return;
    }
    let text = planted::filled(&raw);
    match kind % 7 {
        0 => {
            if let Some(mut directory) = object::<DirectoryObject>(&text) {
                directory.retain_optional_urls(|url| url.starts_with("https://"));
                let mandatory = directory.mandatory_urls().count();
                assert!(mandatory == 3 && directory.urls().skip(3).all(|url| url.starts_with("https://")));
                planted::assert_absent(&directory.meta.profile_names());
            }
        }
        1 => {
            if let Some(found) = object::<Order>(&text) {
                for finalized in [false, true] {
                    if let order::NextStep::Failed(why) = order::next(&found, finalized) {
                        problem(&why);
                    }
                }
            }
        }
        2 => {
            if let Some(found) = object::<Authorization>(&text) {
                for challenge in &found.challenges {
                    drop((of_authorization(&found, &challenge.url, false), of_challenge(challenge, true)));
                }
            }
        }
        3 => {
            object::<Problem>(&text).iter().for_each(problem);
            problem(&linear(text.len(), COST, || Problem::from_any_body(text.as_bytes())));
        }
        4 => drop(object::<RenewalInfo>(&text)),
        5 => drop((object::<AccountObject>(&text), object::<Challenge>(&text))),
        _ => {
            let found: Vec<String> = linear(text.len(), COST, || alternates(&text).collect());
            assert!(found.iter().all(|url| text.contains(url.as_str())));
        }
    }
});
