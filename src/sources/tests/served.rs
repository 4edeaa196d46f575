//! The rules about what is served of the wishes: merging, the policy, Secrets that exist, and time. The numbers are those of `rules`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::*;
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::namespaces::Namespaces;
use crate::config::{self, Config};
use crate::kube::resource::Resource;
use crate::policy::order_index::OrderIndex;
use crate::policy::secret_state::{Owner, PairState, Present, SecretState};
use crate::policy::{self, Decision, Directory, EvaluationInput};
use crate::record::RecordData;
use crate::sources::config_map;
use crate::sources::ingress::IngressFacts;
use crate::sources::kept::read_object;
use crate::sources::merge::{ObjectClaim, merge};
use crate::sources::serving::ServingRules;
use crate::sources::wish::{ObjectKey, ObjectWishes, WishSettings};
use crate::sources::wish_index::WishIndex;
use crate::sources::{CertificateSpec, Desired, SourceRef};

const ACME: &str = "k/tls-acme: true";
const DEFAULTS: &str = "email: a@a.test\ntsigSecretName: key";
const ISSUERS: &str = "own: {directory: 'https://own.test/dir'}\nle: {directory: 'https://le.test/dir'}";
const CA: &str = "https://ca.test/dir";
const NOW: Time = Time::from_unix(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// A configuration that serves the namespaces `t` and `u`.
struct World {
    rules: ServingRules,
    entries: Desired,
}

impl World {
    fn new(lines: &str, entries: &str) -> World {
        let namespaces = Namespaces::new("own", &["t".to_owned(), "u".to_owned()]);
        let data = [("namespaces", lines), ("certificates", entries), ("defaults", DEFAULTS), ("issuers", ISSUERS)];
        let data: BTreeMap<_, _> = data.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let config: Arc<Config> = Arc::new(config::read(&data.into(), &namespaces).unwrap());
        let mut entries = Desired::default();
        config_map::add(&mut entries, &ObjectRef::new("own", "notariat"), &config, |_| None);
        World { rules: ServingRules::of(vec![config], &WishSettings::default(), &namespaces).unwrap(), entries }
    }

    /// The certificates of these Ingresses of one namespace, and what is not served, as in `s: x,y; Refused i spec.tls[0]`.
    fn served(&self, namespace: &str, ingresses: &[(&str, Value)], held: &[Domain]) -> (String, Vec<CertificateSpec>) {
        let (mut index, mut wishes) = (WishIndex::default(), BTreeMap::new());
        for (name, object) in ingresses {
            let key = ObjectKey { kind: Resource::INGRESSES.kind, at: ObjectRef::new(namespace, name) };
            let source = SourceRef::new(key.kind, &key.at, Some("uid"));
            let found = IngressFacts::read(&source, object, false).wishes(&self.rules.settings);
            index.note(&key, Some(&found), &mut Vec::new());
            wishes.insert(key, found);
        }
        let (mut parts, mut refused, mut specs) = (Vec::new(), Vec::new(), Vec::new());
        let told = |object: &ObjectKey, reason, place: &str| format!("{reason:?} {} {place}", object.at.name);
        for secret in index.secrets().cloned().collect::<Vec<_>>() {
            let claim = |object: &ObjectKey| {
                let ObjectWishes { source, wishes, .. } = &wishes[object];
                let own = wishes.iter().filter(|wish| wish.secret == secret).cloned();
                own.map(|wish| ObjectClaim { object: object.clone(), source: source.clone(), wish: Arc::new(wish) })
                    .collect::<Vec<_>>()
            };
            let claims: Vec<ObjectClaim> = index.objects_of(&secret).iter().flat_map(claim).collect();
            let entry = self.entries.entry_for(&secret).map(|wanted| wanted.entry.clone());
            let merged = self.rules.with(|rules| merge(&secret, &claims, entry.as_deref(), held, rules));
            refused
                .extend(merged.problems.iter().map(|(object, problem)| told(object, problem.reason, &problem.place)));
            specs.extend(merged.wanted.map(|wish| self.rules.spec(&secret, wish)));
        }
        for spec in &specs {
            let names: Vec<String> = spec.entry.domains.iter().map(short).collect();
            parts.push(format!("{}: {}", spec.entry.main_secret().name, names.join(",")));
        }
        let own = wishes.iter().flat_map(|(object, found)| found.problems.iter().map(move |problem| (object, problem)));
        refused.extend(own.map(|(object, problem)| told(object, problem.reason, &problem.place)));
        let text = [parts, refused].concat().join("; ");
        (if text.is_empty() { "none".to_owned() } else { text }, specs)
    }
}

#[test]
fn the_policy_and_the_others_decide_what_is_served() {
    let item = |lines: &str, items: &str| ingress(lines, items, "");
    let tls = |items: &str| ingress(ACME, items, "");
    let t = "t: {domains: [a.test]}";
    let both = "t: {domains: [a.test], wildcards: true}\nu: {domains: [b.a.test]}";
    let entry = "[{secret: t/s, domains: [x.a.test]}]";
    let issuers = "t: {domains: [a.test], issuers: [own]}";
    let keys = |type_: &str, host: &str| item(&format!("{ACME}\nn/key-type: {type_}"), &format!("s:{host}"));
    for (rule, lines, entries, namespace, ingresses, expected) in [
        (14, t, "", "t", vec![("i", tls("s:x")), ("j", tls("s:y"))], "s: x,y"),
        (15, t, "", "t", vec![("i", tls("s:x")), ("j", tls("s:evil.b.test"))], "s: x; Refused j spec.tls[0]"),
        (
            16,
            t,
            "",
            "t",
            vec![("i", keys("ecdsa-p384", "x")), ("j", keys("ecdsa-p256", "y"))],
            "s: x,y; Conflict j spec.tls[0]",
        ),
        (18, t, entry, "t", vec![("i", tls("s:x"))], "none"),
        (18, t, entry, "t", vec![("i", tls("s:y"))], "Conflict i spec.tls[0]"),
        (25, issuers, "", "t", vec![("i", item("k/tls-acme: true\nn/issuer: le", "s:x"))], "Refused i spec.tls[0]"),
        (25, issuers, "", "t", vec![("i", item("k/tls-acme: true\nn/issuer: own", "s:x"))], "s: x"),
        (26, "u: {domains: [a.test]}", "", "t", vec![("i", tls("s:x"))], "Refused i spec.tls[0]"),
        (26, "'*': {domains: ['{namespace}.a.test']}", "", "t", vec![("i", tls("s:x.t"))], "s: x.t"),
        (26, "'*': {domains: ['{namespace}.a.test']}", "", "t", vec![("i", tls("s:x.u"))], "Refused i spec.tls[0]"),
        (27, t, "", "t", vec![("i", tls("s:xa.test"))], "Refused i spec.tls[0]"),
        (28, t, "", "t", vec![("i", tls("s:*.a.test"))], "Refused i spec.tls[0]"),
        (28, "t: {domains: [a.test], wildcards: true}", "", "t", vec![("i", tls("s:*.a.test"))], "s: *.a.test"),
        (
            29,
            both,
            "",
            "t",
            vec![("i", tls("s:*.a.test")), ("j", tls("r:p.b"))],
            "Refused j spec.tls[0]; Refused i spec.tls[0]",
        ),
        (29, both, "", "u", vec![("j", in_namespace("u", tls("r:p.b")))], "r: p.b"),
    ] {
        let world = World::new(lines, entries);
        assert_eq!(world.served(namespace, &ingresses, &[]).0, expected, "rule {rule}: {ingresses:?}");
    }
}

fn in_namespace(namespace: &str, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!(namespace);
    object
}

#[test]
fn neither_order_nor_age_changes_a_certificate_and_bounds_hold() {
    let world = World::new("t: {domains: [a.test]}", "");
    let item = |type_: &str, host: &str| ingress(&format!("{ACME}\nn/key-type: {type_}"), &format!("s:{host}"), "");
    let (first, second) = (("i", item("ecdsa-p384", "x")), ("j", item("ecdsa-p256", "y")));
    // Rules 14, 16: listed, or created again, in any order.
    let (one, other) =
        (world.served("t", &[first.clone(), second.clone()], &[]).1, world.served("t", &[second, first], &[]).1);
    assert_eq!((one.len(), one[0].fingerprint), (1, other[0].fingerprint));
    assert_eq!((one[0].entry.key_type.name(), &*one[0].source), ("ecdsa-p384", "Ingress t/i"));
    // Rule 17: held names go first.
    for (count, held, in_it, told) in [(101, 100, 100, 1), (101, 0, 100, 1), (10_000, 999, 100, 2)] {
        let hosts: Vec<String> = (0..count).map(|n| format!("x{n:05}")).collect();
        let held = domain(&format!("x{held:05}.a.test"));
        let object = ingress(ACME, &format!("s:{}", hosts.join(",")), "");
        let (text, specs) = world.served("t", &[("i", object)], std::slice::from_ref(&held));
        let domains = &specs[0].entry.domains;
        assert!(domains.len() == in_it && domains.contains(&held), "{count}");
        assert_eq!(text.matches("spec.tls[0]").count(), told, "{count}");
    }
    // Rule 19: without a configuration nothing is decided.
    let namespaces = Namespaces::new("own", &["t".to_owned()]);
    assert!(ServingRules::of(Vec::new(), &WishSettings::default(), &namespaces).is_none());
    // Rule 30: an object that is being deleted is absent.
    let mut deleted = ingress(ACME, "s:x", "");
    deleted["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let read = read_object(Resource::INGRESSES, &deleted, |source, object| IngressFacts::read(source, object, false));
    assert!(read.unwrap().facts.is_none());
}

fn facts(names: &[&str], age_days: u32, left_days: u32) -> CertificateFacts {
    let facts = CertificateFacts::example(&[], NOW - DAY * age_days, NOW + DAY * left_days);
    CertificateFacts { names: names.iter().map(|name| domain(&long(name))).collect(), ..facts }
}

fn holds(names: &[&str], owner: Owner, kind: &str, (age, left): (u32, u32)) -> SecretState {
    let (kind, directory) = (kind.into(), (owner == Owner::Us).then(|| CA.into()));
    let pair = PairState::Sound(facts(names, age, left).into());
    SecretState::Present(Box::new(Present { kind, owner, directory, ..Present::example(pair) }))
}

/// The decision about the certificate that an Ingress wants in `s`, in one line.
fn decided(object: &Value, held: SecretState, copy: Option<&CertificateFacts>, record: &RecordData) -> String {
    let spec = World::new("t: {domains: [a.test]}", "").served("t", &[("i", object.clone())], &[]).1.remove(0);
    let mut orders = OrderIndex::default();
    orders.add(record, NOW);
    let evaluation = policy::evaluate(&EvaluationInput {
        revocations: &[],
        entry: &spec.entry,
        secrets: &[held],
        record,
        copy,
        directory: &Directory::new(CA, true),
        profile: None,
        inputs: "",
        orders: orders.counted(),
        closed: None,
        week_is_full: spec.orders_per_week.and_then(|orders_| orders.week_is_full(&"t".into(), orders_, NOW)),
        secret_type: spec.secret_type,
        of_objects: spec.is_of_objects(),
        renewal: None,
        certificate: spec.certificate(),
        now: NOW,
    });
    match evaluation.decision {
        Decision::Keep { .. } => "kept".to_owned(),
        Decision::Wait { waiting, .. } => format!("{waiting}"),
        Decision::Refuse { finding } => format!("{}", finding.reason),
        Decision::Restore { .. } => "restored".to_owned(),
        Decision::Issue { .. } => {
            let names: Vec<String> = spec.entry.domains.iter().map(short).collect();
            format!("order {}", names.join(","))
        }
    }
}

#[test]
fn secrets_that_exist_decide_whether_anything_is_ordered() {
    const TLS: &str = "kubernetes.io/tls";
    let asks = |lines: &str, hosts: &str| ingress(&format!("{ACME}\n{lines}"), &format!("s:{hosts}"), "");
    let manager = || Owner::Another("cert-manager".to_owned());
    let (young, due, overdue) = ((10, 80), (70, 20), (89, 1));
    let copy = facts(&["x", "y"], 10, 80);
    let (plain, mut full) = (RecordData::default(), RecordData::default());
    (0..20).for_each(|n: u32| full.count_for_namespace("t", NOW - DAY * (n % 6)));
    // As a restart reads it.
    let full: RecordData = serde_json::from_value(serde_json::to_value(&full).unwrap()).unwrap();
    for (rule, lines, hosts, held, has_copy, record, expected) in [
        (20, "", "x", holds(&["x"], Owner::Nobody, TLS, young), false, &plain, "OwnedByAnother"),
        (20, "n/adopt: true", "x", holds(&["x"], Owner::Nobody, TLS, young), false, &plain, "kept"),
        (21, "", "x", holds(&["x"], Owner::KubeLego, TLS, young), false, &plain, "kept"),
        (21, "", "x", holds(&["x"], Owner::Nobody, "Opaque", young), false, &plain, "WrongType"),
        (22, "", "x", holds(&["x"], manager(), TLS, young), false, &plain, "OwnedByAnother"),
        (22, "", "x", holds(&["x"], manager(), TLS, overdue), false, &plain, "order x"),
        (31, "", "x,y", holds(&["x", "y"], Owner::Us, TLS, young), true, &plain, "kept"),
        (31, "", "x,y", SecretState::Missing, true, &plain, "restored"),
        (33, "", "x", holds(&["x", "y"], Owner::Us, TLS, young), true, &plain, "kept"),
        (33, "", "x", holds(&["x", "y"], Owner::Us, TLS, due), true, &plain, "order x"),
        (51, "", "x", SecretState::Missing, false, &plain, "order x"),
        (51, "", "x", SecretState::Missing, false, &full, "NamespaceCapped"),
    ] {
        let found = decided(&asks(lines, hosts), held, has_copy.then_some(&copy), record);
        assert_eq!(found, expected, "rule {rule}: {lines} {hosts}");
    }
}

/// The rules that comments name.
fn named(text: &str) -> impl Iterator<Item = u32> {
    let comments = text.lines().filter_map(|line| line.trim().strip_prefix("// Rule"));
    let lists = comments.map(|comment| comment.split([':', '.']).next().unwrap_or_default());
    lists.flat_map(|list| list.split(|c: char| !c.is_ascii_digit())).filter_map(|word| word.parse().ok())
}

/// The rules that have a row in a table: the number stands first, behind the parenthesis or on the next line.
fn in_rows(text: &str) -> impl Iterator<Item = u32> {
    let lines = text.lines().zip(text.lines().skip(1)).map(|(line, next)| (line.trim(), next.trim()));
    let rows = lines.filter_map(|(line, next)| if line == "(" { Some(next) } else { line.strip_prefix('(') });
    rows.filter_map(|row| row.split(',').next()?.parse().ok())
}

#[test]
fn each_of_the_53_rules_stands_in_a_table_or_beside_what_keeps_it() {
    let tables = [include_str!("rules.rs"), include_str!("served.rs")];
    // What waits, what a watch shows, what is deleted and what is written have their tests where they are.
    let beside = [
        include_str!("../../controller/settling.rs"),
        include_str!("../kept.rs"),
        include_str!("../../policy/prune.rs"),
        include_str!("../../store/tests.rs"),
    ];
    let mut found: BTreeSet<u32> = tables.iter().flat_map(|text| in_rows(text)).collect();
    found.extend(tables.iter().chain(&beside).flat_map(|text| named(text)));
    assert_eq!(found, (1..=53).collect());
}

#[test]
fn the_name_of_a_route_needs_its_own_namespace_and_that_of_the_gateway() {
    let world = World::new("t: {domains: [a.test, c.test]}\nu: {domains: [b.test, c.test]}", "");
    let secret = ObjectRef::new("t", "s");
    for (from, host, expected) in [
        ("u", "x.c.test", "x.c.test"),
        // The namespace of the Gateway alone, and that of the route alone, are not enough.
        ("u", "x.a.test", "Refused"),
        ("u", "x.b.test", "Refused"),
        ("v", "x.c.test", "Refused"),
        ("t", "x.a.test", "x.a.test"),
    ] {
        let objects = [
            gateway("n/certificate: true", "l https secret=s from=All"),
            route("HTTPRoute", &format!("{from}/r"), "t/g", host),
        ];
        let found = of_gateway(&objects, None, &world.rules.settings);
        let object = ObjectKey { kind: Resource::GATEWAYS.kind, at: ObjectRef::new("t", "g") };
        let claim = |wish| ObjectClaim { object: object.clone(), source: found.source.clone(), wish: Arc::new(wish) };
        let claims: Vec<ObjectClaim> = found.wishes.iter().cloned().map(claim).collect();
        let merged = world.rules.with(|rules| merge(&secret, &claims, None, &[], rules));
        let names = merged.wanted.map(|wish| wish.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
        let told = merged.problems.first().map(|(_, problem)| format!("{:?}", problem.reason));
        assert_eq!(names.or(told).as_deref(), Some(expected), "{from} {host}");
    }
}
