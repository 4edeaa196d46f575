use serde_json::json;

use super::*;

fn solvers(list: Value) -> Vec<IssuerSolver> {
    list.as_array().unwrap().iter().map(IssuerSolver::read).collect()
}

/// A DNS-01 solver that is known by the name of its key.
fn dns(key: &str, selector: Value) -> Value {
    let secret = json!({"name": "tsig", "key": "secret"});
    let update = json!({"nameserver": "192.0.2.53", "tsigKeyName": key, "tsigAlgorithm": "HMACSHA256", "tsigSecretSecretRef": secret});
    json!({"selector": selector, "dns01": {"rfc2136": update}})
}

fn http(selector: Value) -> Value {
    json!({"selector": selector, "http01": {"ingress": {}}})
}

/// The name of the chosen solver's key, and the zone that counted.
fn chosen(list: Value, name: &str, labels: &[(&str, &str)]) -> String {
    let solvers = solvers(list);
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let Some(choice) = choose(&solvers, &Domain::parse(name).unwrap(), &labels) else { return "none".to_owned() };
    let zone = choice.zone.map(|zone| format!(" by {zone}")).unwrap_or_default();
    match &choice.solver.challenge {
        SolverKind::Update(update) => format!("{}{zone}", update.key_name),
        SolverKind::Provider(provider) => format!("{provider}{zone}"),
        other => format!("{other:?}{zone}"),
    }
}

/// Solvers, a name, the labels of the Certificate, and what is chosen.
type Row = (Value, &'static str, &'static [(&'static str, &'static str)], &'static str);

#[test]
fn the_solver_is_the_one_that_cert_manager_chooses() {
    let everything = || json!(null);
    let zones = |zones: &[&str]| json!({"dnsZones": zones});
    let names = |names: &[&str]| json!({"dnsNames": names});
    let labelled = |key: &str, value: &str| json!({"matchLabels": {key: value}});
    let table: Vec<Row> = vec![
        (json!([]), "a.example.org", &[], "none"),
        // No selector and an empty one are alike; the first wins.
        (json!([dns("a", everything()), dns("b", json!({}))]), "a.example.org", &[], "a"),
        (json!([dns("b", json!({})), dns("a", everything())]), "a.example.org", &[], "b"),
        // The conditions of one selector all have to hold.
        (
            json!([
                dns("wrong", json!({"dnsNames": ["a.example.org"], "dnsZones": ["example.org"]})),
                dns("right", everything())
            ]),
            "b.example.org",
            &[],
            "right",
        ),
        (
            json!([dns("wrong", json!({"dnsNames": ["a.example.org"], "dnsZones": ["example.com"]}))]),
            "a.example.org",
            &[],
            "none",
        ),
        (
            json!([
                dns("wrong", json!({"matchLabels": {"x": "1"}, "dnsZones": ["example.org"]})),
                dns("all", everything())
            ]),
            "a.example.org",
            &[("x", "2")],
            "all",
        ),
        // A solver that can not serve the name is skipped.
        (json!([http(everything()), dns("d", everything())]), "*.example.org", &[], "d"),
        (json!([http(names(&["*.example.org"])), dns("d", everything())]), "*.example.org", &[], "d"),
        (json!([http(everything())]), "*.example.org", &[], "none"),
        (json!([http(everything()), dns("d", everything())]), "example.org", &[], "Http"),
        (json!([{"selector": {}}, dns("d", everything())]), "example.org", &[], "d"),
        // A name beats a zone, a longer zone beats a shorter one, a zone beats everything without one.
        (json!([dns("z", zones(&["example.org"])), dns("n", names(&["a.example.org"]))]), "a.example.org", &[], "n"),
        (
            json!([dns("s", zones(&["example.org"])), dns("l", zones(&["org", "b.example.org"]))]),
            "a.b.example.org",
            &[],
            "l by b.example.org",
        ),
        (json!([dns("e", everything()), dns("z", zones(&["Example.ORG"]))]), "a.example.org", &[], "z by Example.ORG"),
        (json!([dns("z", zones(&["example.org"])), dns("e", everything())]), "example.org", &[], "z by example.org"),
        (json!([dns("z", zones(&["ample.org"])), dns("e", everything())]), "example.org", &[], "e"),
        (json!([dns("z", zones(&["example.org."])), dns("e", everything())]), "a.example.org", &[], "e"),
        (json!([dns("z", zones(&["example.org"]))]), "*.example.org", &[], "z by example.org"),
        // Of two that name it the zone counts, then the labels, then the first.
        (
            json!([
                dns("first", json!({"dnsNames": ["a.example.org"], "dnsZones": ["org"]})),
                dns("zone", json!({"dnsNames": ["a.example.org"], "dnsZones": ["example.org"]}))
            ]),
            "a.example.org",
            &[],
            "zone",
        ),
        (
            json!([
                dns("first", names(&["a.example.org"])),
                dns("labels", json!({"dnsNames": ["a.example.org"], "matchLabels": {"x": "1"}}))
            ]),
            "a.example.org",
            &[("x", "1")],
            "labels",
        ),
        (
            json!([dns("1", zones(&["example.org"])), dns("2", zones(&["example.org"]))]),
            "example.org",
            &[],
            "1 by example.org",
        ),
        // A zone beats labels; labels beat nothing at all.
        (
            json!([dns("l", labelled("x", "1")), dns("z", zones(&["example.org"]))]),
            "example.org",
            &[("x", "1")],
            "z by example.org",
        ),
        (json!([dns("e", everything()), dns("l", labelled("x", "1"))]), "example.org", &[("x", "1"), ("y", "2")], "l"),
        (json!([dns("e", everything()), dns("l", labelled("x", "1"))]), "example.org", &[], "e"),
        // Names are compared as they are written.
        (json!([dns("n", names(&["A.example.org"])), dns("e", everything())]), "a.example.org", &[], "e"),
        (json!([dns("n", names(&["example.org"])), dns("e", everything())]), "*.example.org", &[], "e"),
        (json!([{"dns01": {"cnameStrategy": "Follow", "cloudflare": {}}}]), "example.org", &[], "cloudflare"),
    ];
    for (list, name, labels, expected) in table {
        assert_eq!(chosen(list.clone(), name, labels), expected, "{name} {labels:?} {list}");
    }
}

#[test]
fn an_update_has_a_server_and_a_key_or_a_sentence() {
    let access = |update: Value| {
        let [solver] = &solvers(json!([{"dns01": {"rfc2136": update}}]))[..] else { panic!() };
        let SolverKind::Update(update) = &solver.challenge else { panic!("{solver:?}") };
        update.access()
    };
    let secret = json!({"name": "tsig", "key": "secret"});
    let found = access(json!({"nameserver": "[2001:db8::53]:53", "tsigKeyName": "Key.", "tsigAlgorithm": "HMACSHA512", "tsigSecretSecretRef": secret.clone()})).unwrap();
    assert_eq!(
        (found.server.to_string().as_str(), found.key_name.as_str(), found.algorithm),
        ("2001:db8::53", "key", "hmac-sha512")
    );
    for (update, part) in [
        (json!({"nameserver": "192.0.2.1"}), "without a key"),
        (json!({"nameserver": "192.0.2.1", "tsigKeyName": "k", "tsigSecretSecretRef": secret.clone()}), "hmac-md5"),
        (json!({"nameserver": "a;b", "tsigKeyName": "k", "tsigSecretSecretRef": secret.clone()}), "its nameserver"),
        (
            json!({"nameserver": "192.0.2.1", "tsigKeyName": "", "tsigAlgorithm": "HMACSHA256", "tsigSecretSecretRef": secret}),
            "lacks the key's name",
        ),
    ] {
        let error = access(update.clone()).expect_err(part);
        assert!(error.contains(part), "{update}: {error}");
    }
}
