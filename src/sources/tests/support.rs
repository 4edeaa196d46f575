//! Short forms for objects and for what they want. A name without `.test` at the end is short for one below `a.test`; `=` before a text
//! takes it as it is.

use serde_json::{Map, Value, json};

use crate::base::name::Domain;
use crate::sources::SourceRef;
use crate::sources::ingress::IngressFacts;
use crate::sources::wish::{ObjectWishes, WishSettings};

/// The long form of a name.
pub(crate) fn long(name: &str) -> String {
    match name.strip_prefix('=') {
        Some(text) => text.to_owned(),
        None if name.ends_with(".test") => name.to_owned(),
        None => format!("{name}.a.test"),
    }
}

/// The short form of a name.
pub(crate) fn short(name: &Domain) -> String {
    let text = name.to_string();
    text.strip_suffix(".a.test").filter(|rest| *rest != "*").map(str::to_owned).unwrap_or(text)
}

/// A domain by its long form.
pub(crate) fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// Annotations from lines `key: value`. Short keys: `k/` for kube-lego's, `n/`, `g/` and `c/` for ours, Gardener's and cert-manager's.
pub(crate) fn annotations(lines: &str) -> Map<String, Value> {
    let long_key = |key: &str| match key.split_once('/') {
        Some(("k", rest)) => format!("kubernetes.io/{rest}"),
        Some(("n", rest)) => format!("notariat/{rest}"),
        Some(("g", rest)) => format!("cert.gardener.cloud/{rest}"),
        Some(("c", rest)) => format!("cert-manager.io/{rest}"),
        _ => key.to_owned(),
    };
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""))).fold(
        Map::new(),
        |mut map, (k, v)| {
            map.insert(long_key(k), json!(v));
            map
        },
    )
}

/// The metadata of the object `t/NAME`.
pub(crate) fn metadata(name: &str, lines: &str) -> Value {
    json!({"namespace": "t", "name": name, "uid": format!("uid-{name}"), "annotations": annotations(lines)})
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(long).collect()
}

/// The Ingress `t/i`. Items as in `s:x,y r:y`, `:x` without a Secret, `-` without anything; rules as in `x,y`, `_` without a host.
pub(crate) fn ingress(lines: &str, tls: &str, rules: &str) -> Value {
    let item = |item: &str| {
        let (secret, hosts) = item.split_once(':').unwrap_or_default();
        let mut item = Map::new();
        if !secret.is_empty() {
            item.insert("secretName".to_owned(), json!(secret));
        }
        if !hosts.is_empty() {
            item.insert("hosts".to_owned(), json!(names(hosts)));
        }
        Value::Object(item)
    };
    let rule = |host: &str| match host {
        "_" => json!({"http": {"paths": []}}),
        host => json!({"host": long(host), "http": {"paths": []}}),
    };
    let tls: Vec<Value> = tls.split_whitespace().map(item).collect();
    let rules: Vec<Value> = rules.split(',').filter(|host| !host.is_empty()).map(rule).collect();
    json!({"metadata": metadata("i", lines), "spec": {"tls": tls, "rules": rules}})
}

/// The settings of most tests: cert-manager's issuer `prod` is ours.
pub(crate) fn settings() -> WishSettings {
    let mut settings = WishSettings::default();
    settings.replaces.insert("prod".to_owned(), "le".to_owned());
    settings
}

/// What an Ingress wants.
pub(crate) fn of_ingress(object: &Value, settings: &WishSettings) -> ObjectWishes {
    let source = SourceRef::parse("Ingress t/i").unwrap();
    IngressFacts::read(&source, object, !settings.ingress_all.is_empty()).wishes(settings)
}

/// Wishes as in `s: x,y; Invalid spec.tls[0]`.
pub(crate) fn shown(wishes: &ObjectWishes) -> String {
    let of = |wish: &crate::sources::wish::Wish| {
        let names: Vec<String> = wish.names.keys().map(short).collect();
        let namespace = if wish.secret.namespace.as_str() == "t" { "" } else { &format!("{}/", wish.secret.namespace) };
        format!("{namespace}{}: {}", wish.secret.name, names.join(","))
    };
    let problem = |problem: &crate::sources::wish::WishProblem| {
        let sentence = &problem.sentence;
        assert!(sentence.len() > 15 && !sentence.contains('\n'), "no sentence: {sentence:?}");
        format!("{:?} {}", problem.reason, problem.place).trim_end().to_owned()
    };
    let parts: Vec<String> = wishes.wishes.iter().map(of).chain(wishes.problems.iter().map(problem)).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}
