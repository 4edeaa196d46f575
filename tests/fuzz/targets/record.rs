//! A record: what is read and written is read again as the same, and what is written has no part of a known secret. A record of another version or form
//! is an error. Time and memory are linear.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use notariat::base::name::ObjectRef;
use notariat::base::secret::Secret;
use notariat::base::time::Time;
use notariat::kube::metadata::Object as _;
use notariat::kube::object::SecretObject;
use notariat::record::{self, Record};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, text};
use notariat_fuzz::planted;

const COST: Bound = Bound { steps_per_octet: 3_000, steps: 100_000, octets_per_octet: 3_000, octets: 64 * 1024 };
const NOW: Time = Time::from_unix(1_800_000_000);

static KNOWN: LazyLock<Secret<String>> =
    LazyLock::new(|| Secret::known("a planted secret", planted::BASE64.to_owned()));

fn secret(json: &[u8]) -> SecretObject {
    let mut secret = SecretObject::new(ObjectRef::new("team", "notariat-record.team.web"), record::TYPE);
    secret.data.insert("record".to_owned(), Secret::new(json.to_vec()));
    secret
}

fn written(record: &mut Record) -> Vec<u8> {
    record.data(NOW)["record"].expose().clone()
}

fuzz_target!(|data: &[u8]| {
    LazyLock::force(&KNOWN);
    let raw = text(data);
    if planted::is_hinted(&raw) {
        return;
    }
    let json = planted::filled(&raw);
    match linear(json.len(), COST, || Record::read(Some(&secret(json.as_bytes())))) {
        Err(e) => planted::assert_absent(&e.to_string()),
        Ok(mut read) => {
            let first = linear(json.len(), COST, || written(&mut read));
            planted::assert_absent(&text(&first));
            let mut again = Record::read(Some(&secret(&first))).expect("a record that was written");
            if !json.contains(planted::BASE64) {
                assert_eq!(again.body, read.body, "written and read again");
            }
            let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("a record is JSON");
            // What passed the filter has its fields in another order.
            assert_eq!(value(&written(&mut again)), value(&first), "written twice");
            if let Some(accepted) = &read.body.accepted {
                let namespaces = "team".into();
                if let Some(spec) = accepted.read(&namespaces) {
                    let again = record::Accepted::new(
                        &spec.entry,
                        &spec.zones,
                        spec.issuer.as_ref(),
                        "ConfigMap team/notariat",
                    );
                    assert_eq!(again.read(&namespaces), Some(spec), "the accepted form");
                }
            }
            for presented in read.body.in_flight.iter().flat_map(|flight| &flight.published) {
                assert!(presented.is_same(presented) && !presented.place().as_str().is_empty());
            }
        }
    }
    // The same text as an object of the API server.
    let mut input = Input::new(data);
    if let Ok(object) = serde_json::from_slice(input.take(data.len()))
        && let Ok(object) = SecretObject::from_json(object)
    {
        let again = SecretObject::from_json(object.to_json()).expect("a Secret that was written");
        assert_eq!(again.to_json(), object.to_json());
        drop(Record::read(Some(&again)));
    }
});
