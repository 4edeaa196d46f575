use std::collections::BTreeMap;

use super::*;
use crate::base::secret::Secret;

const NOW: Time = Time::from_unix(1_800_000_000);

/// A record with this JSON.
fn record(json: &str) -> SecretObject {
    let mut secret = SecretObject::new(ObjectRef::new("ns", "notariat-record.ns.web"), record::TYPE);
    secret.data = BTreeMap::from([("record".to_owned(), Secret::new(json.as_bytes().to_vec()))]);
    secret
}

#[test]
fn a_record_of_ours_is_emptied_and_any_other_left_alone() {
    let is_ours = |source: &str| source == "configmap ns/certs";
    let step = |json: &str| super::step(&record(json), &is_ours, NOW);
    let entry = |source: &str| format!(r#"{{"version":1,"accepted":{{"entry":{{}},"source":"{source}"}}}}"#);
    assert_eq!(step(&entry("configmap ns/certs")), ForgetStep::Empty(Vec::new()));
    assert_eq!(step(r#"{"version":1,"restores":[1]}"#), ForgetStep::Empty(Vec::new()), "it names no source");
    assert_eq!(step(r#"{"version":1}"#), ForgetStep::Nothing);
    for (json, part) in [
        (entry("configmap ns/other"), "it belongs to configmap ns/other"),
        (r#"{"version":2}"#.to_owned(), "written by a newer notariat"),
        ("no json".to_owned(), "does not read"),
    ] {
        let ForgetStep::Leave(why) = step(&json) else { panic!("{json}") };
        assert!(why.contains(part), "{why}");
    }
    let mut with_key = record(r#"{"version":1}"#);
    with_key.data.insert("tls.key".to_owned(), Secret::new(b"k".to_vec()));
    assert_eq!(super::step(&with_key, &is_ours, NOW), ForgetStep::Empty(Vec::new()), "a key is no empty record");
}

#[test]
fn what_stays_at_a_name_server_is_told_with_the_command_that_removes_it() {
    let values = r#"{"zone":"a.test","server":"ns1.a.test","address":"192.0.2.1:53","key":"ns/key",
        "values":[{"owner":"_acme-challenge.a.test","value":"v1"}]}"#;
    let left = values.replacen('{', "{\"since\":1800000000,", 1);
    let flight = format!(
        r#""inFlight":{{"holder":"","at":1800000000,"directory":"d","names":["a.test"],"keyType":"ecdsa-p256","published":[{values}]}}"#
    );
    for json in [format!(r#"{{"version":1,"leftovers":[{left}]}}"#), format!(r#"{{"version":1,{flight}}}"#)] {
        let ForgetStep::Empty(removals) = step(&record(&json), &|_| true, NOW) else { panic!("{json}") };
        assert!(removals.len() == 1 && removals[0].contains("update delete _acme-challenge.a.test"), "{removals:?}");
    }
}

#[test]
fn a_lease_is_released_unless_its_holder_renewed_it_lately() {
    let lease = |holder: &str, renewed: &str| {
        let spec = json!({"holderIdentity": holder, "renewTime": renewed, "leaseTransitions": 3});
        released(LeaseObject(json!({"metadata": {"name": "notariat"}, "spec": spec})), NOW)
    };
    assert_eq!(lease("", "2027-01-15T08:00:00.000000Z"), Ok(None));
    for (renewed, is_alive) in [
        ("2027-01-15T07:59:00.000000Z", true),
        ("2027-01-15T08:03:00Z", true),
        ("2027-01-15T07:50:00Z", false),
        ("", false),
    ] {
        match lease("pod-1", renewed) {
            Err(why) => assert!(is_alive && why.contains("held by \"pod-1\""), "{renewed}: {why}"),
            Ok(Some(LeaseObject(lease))) => {
                assert!(!is_alive && lease["spec"]["holderIdentity"] == "" && lease["spec"]["leaseTransitions"] == 3);
            }
            Ok(None) => panic!("{renewed}"),
        }
    }
}

#[test]
fn a_path_is_one_word_of_a_shell() {
    assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
}
