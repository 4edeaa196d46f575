use super::*;

fn names() -> Vec<Domain> {
    ["a.test", "*.a.test"].map(|n| n.parse().unwrap()).to_vec()
}

fn authorization(json: &str) -> Authorization {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_dns01_challenge_is_found_among_unknown_ones() {
    let given = authorization(
        r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"wildcard":true,"challenges":[
        {"type":"dns-persist-01","url":"u0"},{"type":"http-01","url":"u1","token":"t1"},{"type":"dns-01","url":"u2","token":"t-2_"}]}"#,
    );
    let (name, token, url) = dns01(&given, &names()).unwrap();
    assert_eq!((name.to_string().as_str(), token, url), ("*.a.test", "t-2_", "u2"));
}

#[test]
fn what_the_ca_may_not_ask_is_refused() {
    for (json, part) in [
        (
            r#"{"status":"pending","identifier":{"type":"dns","value":"evil.test"},"challenges":[]}"#,
            "\"evil.test\", which was not ordered",
        ),
        (
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"http-01","token":"t"}]}"#,
            "no dns-01 challenge for a.test, only http-01",
        ),
        (
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01"}]}"#,
            "no usable token",
        ),
        (
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01","token":""}]}"#,
            "no usable token",
        ),
        (
            r#"{"status":"pending","identifier":{"type":"dns","value":"a.test"},"challenges":[{"type":"dns-01","token":"a.b"}]}"#,
            "no usable token",
        ),
    ] {
        let error = dns01(&authorization(json), &names()).unwrap_err().error;
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_order_is_for_exactly_our_names_in_any_order() {
    let order = |names: &str| {
        serde_json::from_str::<Order>(&format!(r#"{{"status":"pending","identifiers":[{names}]}}"#)).unwrap()
    };
    let id = |value: &str| format!(r#"{{"type":"dns","value":"{value}"}}"#);
    assert!(same_names(&order(&[id("*.a.test"), id("a.test")].join(",")), &names()));
    assert!(!same_names(&order(&id("a.test")), &names()));
    assert!(!same_names(&order(&[id("*.a.test"), id("a.test"), id("b.test")].join(",")), &names()));
    let with_ip = [id("*.a.test"), id("a.test"), r#"{"type":"ip","value":"192.0.2.1"}"#.to_owned()].join(",");
    assert!(!same_names(&order(&with_ip), &names()));
}
