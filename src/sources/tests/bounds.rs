//! Random and broken objects: nothing panics, and what is made of an object stays small whatever it holds.

use serde_json::{Map, Value, json};

use super::support::*;
use super::tenants::stays_at_home;
use crate::base::limits::{OBJECT_HOSTS_MAX, OBJECT_ITEMS_MAX, OBJECT_PROBLEMS_MAX, OBJECT_SENTENCE_CHARS_MAX};
use crate::sources::Source as _;
use crate::sources::wish::{ObjectWishes, WishSettings};

/// Numbers that look random and are the same in each run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A value as objects have them, or as no API server would send it.
    fn value(&mut self, depth: usize) -> Value {
        const TEXTS: &[&str] = &[
            "",
            "s",
            "x.a.test",
            "*.a.test",
            "a..test",
            "*",
            "10.0.0.1",
            "true",
            "managed",
            "prod",
            "Bad_Name/x",
            "ü.test",
            "xn--a.test",
            "\u{202e}x",
            "a\u{0}b",
            "HTTPS",
            "TLS",
            "Terminate",
            "Same",
            "All",
            "Selector",
            "Gateway",
            "Secret",
            "LoadBalancer",
            "…",
            "=",
            ",",
        ];
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(3) as i64 - 1),
            2 => json!(self.below(2) == 0),
            3..=5 => match self.below(12) {
                0 => json!("é".repeat(self.below(5_000))),
                1 => json!("a".repeat(self.below(20_000))),
                _ => json!(self.one_of(TEXTS)),
            },
            6 => Value::Array((0..self.below(5)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let keys = self.below(5);
                (0..keys)
                    .map(|_| ((*self.one_of(KEYS)).to_owned(), self.value(depth - 1)))
                    .collect::<Map<_, _>>()
                    .into()
            }
        }
    }
}

const KEYS: &[&str] = &[
    "metadata",
    "annotations",
    "labels",
    "spec",
    "status",
    "tls",
    "hosts",
    "secretName",
    "rules",
    "host",
    "ingressClassName",
    "namespace",
    "name",
    "uid",
    "listeners",
    "hostname",
    "protocol",
    "mode",
    "certificateRefs",
    "kind",
    "group",
    "allowedRoutes",
    "allowedListeners",
    "namespaces",
    "from",
    "selector",
    "matchLabels",
    "parentRefs",
    "parentRef",
    "sectionName",
    "hostnames",
    "parents",
    "conditions",
    "type",
    "reason",
    "port",
    "kubernetes.io/tls-acme",
    "notariat/certificate",
    "notariat/domains",
    "notariat/secret",
    "notariat/ignore",
    "cert.gardener.cloud/purpose",
    "cert.gardener.cloud/dnsnames",
    "cert.gardener.cloud/secretname",
    "cert-manager.io/issuer",
    "cert-manager.io/secret-template",
    "generation",
    "observedGeneration",
];

/// Replaces some values within an object by random ones.
fn spoil(value: &mut Value, random: &mut Random) {
    if random.below(12) == 0 {
        *value = random.value(3);
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, random)),
        Value::Object(fields) => fields.values_mut().for_each(|field| spoil(field, random)),
        _ => {}
    }
}

/// Fails where the wishes are larger than any object may make them.
fn check(wishes: &ObjectWishes, settings: &WishSettings, what: &str) {
    stays_at_home(wishes, settings, what);
    let names: usize = wishes.wishes.iter().map(|wish| wish.names.len()).sum();
    assert!(wishes.wishes.len() <= OBJECT_ITEMS_MAX + OBJECT_HOSTS_MAX, "{what}");
    assert!(names <= OBJECT_ITEMS_MAX * OBJECT_HOSTS_MAX, "{what}");
    assert!(wishes.wishes.iter().all(|wish| !wish.names.is_empty()), "{what}: a certificate without a name");
    assert!(wishes.problems.len() <= OBJECT_PROBLEMS_MAX + 1, "{what}");
    for problem in &wishes.problems {
        let most = 5 * OBJECT_SENTENCE_CHARS_MAX;
        assert!(problem.sentence.chars().count() <= most && problem.place.len() <= 100, "{what}: {problem:?}");
        let is_plain = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}');
        assert!(problem.sentence.chars().all(is_plain), "{what}: {problem:?}");
    }
}

fn settings_of(random: &mut Random) -> WishSettings {
    let mut settings = settings();
    if random.below(2) == 0 {
        settings.ingress_all = vec![domain("a.test"), domain("b.test")];
        settings.wildcards = random.below(2) == 0;
        settings.secret_host_label = Some("host".to_owned());
    }
    settings
}

#[test]
fn random_ingresses_do_no_harm() {
    let mut random = Random(0x2026_1129);
    let sound = ingress(
        "k/tls-acme: true\nc/alt-names: z.a.test\nn/ignore: q\nn/secret-labels: a=b",
        "s:x,y r:z :p q:u",
        "x,y,_",
    );
    let mut served = 0;
    for round in 0..4_000 {
        let mut object = if round % 4 == 0 { random.value(6) } else { sound.clone() };
        spoil(&mut object, &mut random);
        let settings = settings_of(&mut random);
        let found = of_ingress(&object, &settings);
        served += usize::from(!found.wishes.is_empty());
        check(&found, &settings, &format!("round {round}"));
    }
    assert!(served > 500, "only {served} of the objects were served: the test tests little");
}

#[test]
fn random_gateways_do_no_harm() {
    let mut random = Random(0x2026_1130);
    let mut parent = gateway(
        "c/issuer: prod\nn/secret-labels: a=b",
        "l https secret=s from=All\nm tls host=x secret=r from=Selector",
    );
    parent["spec"]["allowedListeners"] = json!({"namespaces": {"from": "All"}});
    let sound = [
        with_condition(parent, "listener", ["Accepted", "True", "Accepted"], 2),
        listener_set("u", "n/issuer: own", "l https host=*.a.test secret=s from=All"),
        with_condition(route("HTTPRoute", "u/r", "t/g", "x,y"), "parent", ["Accepted", "False", "NoReadyListeners"], 2),
        route("TLSRoute", "t/r", "t/g#m", "x"),
        route("GRPCRoute", "v/r", "ListenerSet!u/l", "x,*.b.a.test"),
        labelled("u"),
    ];
    let mut served = 0;
    for round in 0..2_000 {
        let mut source = gateways(&[]);
        for object in &sound {
            let kind = object["kind"].clone();
            let mut object = if random.below(20) == 0 { random.value(6) } else { object.clone() };
            spoil(&mut object, &mut random);
            if let Value::Object(fields) = &mut object {
                fields.insert("kind".to_owned(), kind);
                let _ = show(&mut source, &object, true);
            }
        }
        for key in source.wishing() {
            let settings = settings_of(&mut random);
            let found = source.wishes_of(&key, &settings).unwrap();
            served += usize::from(!found.wishes.is_empty());
            check(&found, &settings, &format!("round {round}: {key}"));
        }
    }
    assert!(served > 500, "only {served} of the objects were served: the test tests little");
}

#[test]
fn random_services_do_no_harm() {
    let mut random = Random(0x2026_1201);
    let sound = service("g/secretname: s\ng/dnsnames: x.a.test\ng/secret-labels: a=b", "LoadBalancer");
    let mut served = 0;
    for round in 0..2_000 {
        let mut object = if round % 4 == 0 { random.value(6) } else { sound.clone() };
        spoil(&mut object, &mut random);
        let settings = settings();
        let found = of_service(&object, &settings);
        served += usize::from(!found.wishes.is_empty());
        check(&found, &settings, &format!("round {round}"));
    }
    assert!(served > 300, "only {served} of the objects were served: the test tests little");
}
