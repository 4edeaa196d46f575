//! Statuses that are a state with fields, as the kinds of Gardener have them.

use serde_json::{Value, json};

use super::readers::{Kstatus, kstatus, wait};
use super::{NOW, later, object, seen};
use crate::cert_manager::status::{Condition, ResourceStatus, SeenResource, StateField, StateFields, StateVerdict};

fn verdict(state: &'static str, fields: StateFields) -> StateVerdict {
    StateVerdict { generation: 1, state, is_ready: state == "Ready", message: format!("it is {state}"), fields }
}

/// The status after a write `seconds` later; it must read back as it was and not be written again.
fn after(verdict: &StateVerdict, before: &Value, seconds: u64) -> Value {
    let Some(next) = verdict.next(&seen(before), later(seconds)) else { return before.clone() };
    let json = next.to_json();
    assert_eq!(ResourceStatus::read(&json), next, "{json}");
    assert_eq!(verdict.next(&seen(&json), later(999_999)), None, "what was written is not written again: {json}");
    json
}

#[test]
fn a_state_goes_its_way_and_each_field_with_it() {
    let pending = |fields: StateFields| verdict("Pending", fields);
    let since = || StateFields::from([("lastPendingTimestamp", StateField::Since)]);
    let first = after(&pending(since()), &Value::Null, 0);
    let now = json!(NOW.to_string());
    assert_eq!(
        first,
        json!({
            "state": "Pending", "message": "it is Pending", "observedGeneration": 1, "lastPendingTimestamp": now,
            "conditions": [{"type": "Ready", "status": "False", "reason": "Pending", "message": "it is Pending",
                "lastTransitionTime": now, "observedGeneration": 1}]
        })
    );
    // The state is the same: its time stays.
    let other = StateVerdict { message: "other".to_owned(), ..pending(since()) };
    let second = after(&other, &first, 5);
    assert_eq!((&second["lastPendingTimestamp"], &second["message"]), (&now, &json!("other")));
    // A field that is not named stays; the time of the next pending state is its own.
    let third = after(&verdict("Error", StateFields::new()), &second, 6);
    assert_eq!((&third["lastPendingTimestamp"], &third["state"]), (&now, &json!("Error")));
    assert_eq!(third["conditions"][0]["lastTransitionTime"], now, "it is as little ready as before");
    let fourth = after(&pending(since()), &third, 7);
    assert_eq!(fourth["lastPendingTimestamp"], json!(later(7).to_string()));
    let ready = verdict("Ready", [("lastPendingTimestamp", StateField::Absent)].into());
    let fifth = after(&ready, &fourth, 8);
    assert_eq!(fifth.get("lastPendingTimestamp"), None);
    assert_eq!(fifth["conditions"][0]["lastTransitionTime"], json!(later(8).to_string()));
}

#[test]
fn each_field_is_as_it_is_to_be_and_those_of_others_stay() {
    let status = |more: Value| {
        let mut status = json!({
            "state": "Ready", "message": "it is Ready", "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "it is Ready",
                "lastTransitionTime": NOW.to_string(), "observedGeneration": 1}]
        });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        status
    };
    let uri = || StateField::Known("uri", json!({"uri": "u", "hash": "ours"}));
    let time = |seconds| json!(later(seconds).to_string());
    for (field, before, expected) in [
        (StateField::Absent, json!({"f": 1, "g": 2}), json!({"g": 2})),
        (StateField::Is(json!(["a"])), json!({"f": ["b"], "g": 2}), json!({"f": ["a"], "g": 2})),
        (uri(), json!({}), json!({"f": {"uri": "u", "hash": "ours"}})),
        (uri(), json!({"f": {"uri": "u", "hash": "h"}}), json!({"f": {"uri": "u", "hash": "h"}})),
        (uri(), json!({"f": {"uri": "v", "hash": "h"}}), json!({"f": {"uri": "u", "hash": "ours"}})),
        (uri(), json!({"f": {}}), json!({"f": {"uri": "u", "hash": "ours"}})),
        (StateField::About(later(59)), json!({"f": time(0)}), json!({"f": time(0)})),
        (StateField::About(later(60)), json!({"f": time(0)}), json!({"f": time(60)})),
        (StateField::About(later(60)), json!({"f": "soon"}), json!({"f": time(60)})),
        (StateField::Since, json!({"f": "soon"}), json!({"f": time(99)})),
    ] {
        let shown = format!("{field:?} {before}");
        assert_eq!(after(&verdict("Ready", [("f", field)].into()), &status(before), 99), status(expected), "{shown}");
    }
    // Conditions of others stay, too.
    let mut theirs = status(json!({}));
    theirs["conditions"].as_array_mut().unwrap().push(json!({"type": "Other", "status": "True"}));
    assert_eq!(after(&verdict("Ready", StateFields::new()), &theirs, 1), theirs);
}

#[test]
fn readers_of_the_condition_and_of_the_generation_understand_it() {
    let pending = after(&verdict("Pending", StateFields::new()), &Value::Null, 0);
    let ready = after(&verdict("Ready", StateFields::new()), &pending, 1);
    for (status, generation, is_ready, found) in [
        (&pending, 1, false, Kstatus::InProgress),
        (&ready, 1, true, Kstatus::Current),
        (&ready, 2, false, Kstatus::InProgress),
    ] {
        let object = object(generation, status);
        assert_eq!((wait(&object), kstatus(&object)), (is_ready, found), "{object}");
    }
    let edited = after(&StateVerdict { generation: 2, ..verdict("Ready", StateFields::new()) }, &ready, 2);
    let generations = (&edited["observedGeneration"], &edited["conditions"][0]["observedGeneration"]);
    assert_eq!(generations, (&json!(2), &json!(2)));
    assert_eq!(edited["conditions"][0]["lastTransitionTime"], ready["conditions"][0]["lastTransitionTime"]);
}

#[test]
fn what_is_kept_of_a_status_is_small() {
    let time = || StateField::Is(json!(NOW.to_string()));
    let fields = StateFields::from([
        ("commonName", StateField::Is(json!("www.example.com"))),
        ("dnsNames", StateField::Is(json!(["shop.example.com", "*.shop.example.com"]))),
        ("issuerRef", StateField::Is(json!({"cluster": "default", "namespace": "default", "name": "letsencrypt"}))),
        ("issuanceDate", time()),
        ("expirationDate", time()),
        ("renewalDate", time()),
    ]);
    let message = format!("certificate valid from {NOW} to {NOW}");
    let verdict = StateVerdict { message: message.clone(), ..verdict("Ready", fields) };
    let seen = seen(&after(&verdict, &Value::Null, 0));
    let others = Value::Object(seen.status.others()).to_string().len();
    let octets = size_of::<SeenResource>() + size_of::<Condition>() + message.len() + others + 36 + 10;
    assert!(octets < 1024, "{octets}");
}
