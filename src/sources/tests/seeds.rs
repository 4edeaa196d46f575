//! The examples of the documentation of the older systems, under tests/vectors/seeds: what each leads to.

use serde::Deserialize as _;
use serde_json::Value;

use super::support::*;
use crate::kube::resource::{Resource, Selector};
use crate::sources::ingress::IngressFacts;
use crate::sources::kept::read_object;
use crate::sources::service::ServiceFacts;
use crate::sources::wish::{ObjectKey, ObjectWishes, WishSettings};
use crate::sources::{Source as _, SourceEvent, gateway::GatewaySource};

/// The settings of flags.
fn settings_of(flags: &str) -> WishSettings {
    let mut settings = WishSettings::default();
    let mut words = flags.split_whitespace();
    while let Some(flag) = words.next() {
        match flag {
            "-ingress-all" => settings.ingress_all = words.next().unwrap().split(',').map(domain).collect(),
            "-secret-namespace" => settings.secret_namespace = words.next().map(str::to_owned),
            "-secret-hostlabel" => settings.secret_host_label = words.next().map(str::to_owned),
            "-wildcards" => settings.wildcards = true,
            other => panic!("{other}"),
        }
    }
    settings
}

fn wishes(object: &Value, settings: &WishSettings) -> ObjectWishes {
    let all = !settings.ingress_all.is_empty();
    match object["kind"].as_str().unwrap() {
        "Ingress" => {
            let read =
                read_object(Resource::INGRESSES, object, |source, object| IngressFacts::read(source, object, all));
            read.unwrap().facts.unwrap().wishes(settings)
        }
        "Service" => {
            let read = read_object(Resource::SERVICES, object, ServiceFacts::read);
            read.unwrap().facts.unwrap().wishes(settings)
        }
        "Gateway" => {
            let mut source = GatewaySource::new(Selector::All);
            let target = source.targets().remove(0);
            let parsed = (source.parser(&target).0)()(object);
            source.apply(&target, SourceEvent::Present(parsed));
            let at = source.wishing().remove(0).at;
            source.wishes_of(&ObjectKey { kind: Resource::GATEWAYS.kind, at }, settings).unwrap()
        }
        other => panic!("{other}"),
    }
}

/// Wishes as the files have them, with namespaces and whole names.
fn in_full(wishes: &ObjectWishes) -> String {
    let wish = |wish: &crate::sources::wish::Wish| {
        let names: Vec<String> = wish.names.keys().map(ToString::to_string).collect();
        format!("{}: {}", wish.secret, names.join(","))
    };
    let problems = wishes.problems.iter().map(|p| format!("{:?} {}", p.reason, p.place));
    let parts: Vec<String> = wishes.wishes.iter().map(wish).chain(problems).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}

#[test]
fn each_example_of_the_older_systems_leads_to_its_secret() {
    let mut count = 0;
    for text in [
        include_str!("../../../tests/vectors/seeds/kube-lego.yaml"),
        include_str!("../../../tests/vectors/seeds/gardener.yaml"),
        include_str!("../../../tests/vectors/seeds/faythe.yaml"),
    ] {
        let mut settings = WishSettings::default();
        for document in text.split("\n---\n") {
            let header = |key: &str| document.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(key));
            if let Some(flags) = header("flags: ") {
                settings = settings_of(flags);
            }
            let object = Value::deserialize(serde_yaml::Deserializer::from_str(document)).unwrap();
            let found = wishes(&object, &settings);
            assert_eq!(in_full(&found), header("wants: ").unwrap(), "{}", object["metadata"]["name"]);
            // Every example is about one namespace, and so is who vouches for its names.
            let mut by = found.wishes.iter().flat_map(|wish| wish.names.values()).flatten();
            assert!(by.all(|by| object["metadata"]["namespace"] == by.as_str()));
            count += 1;
        }
    }
    assert_eq!(count, 19);
}

#[test]
fn the_options_of_gardeners_example_are_served() {
    let text = include_str!("../../../tests/vectors/seeds/gardener.yaml");
    let document = text.split("\n---\n").find(|document| document.contains("name: echoheaders-tuned")).unwrap();
    let object = Value::deserialize(serde_yaml::Deserializer::from_str(document)).unwrap();
    let found = wishes(&object, &WishSettings::default());
    let options = &found.wishes[0].options;
    assert_eq!(
        (options.issuer.as_deref(), options.preferred_chain.as_deref()),
        (Some("issuer-name"), Some("chain name"))
    );
    assert_eq!(
        (options.key_type.map(|k| k.name()), options.renew_before.map(|d| d.as_secs())),
        (Some("ecdsa-p384"), Some(1_440 * 3_600))
    );
    assert_eq!(
        options.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
        ["key1=value1", "key2=value2"]
    );
    let unused = "cert.gardener.cloud/dnsrecord-provider-type, cert.gardener.cloud/dnsrecord-secret-ref, cert.gardener.cloud/private-key-encoding";
    assert!(found.problems[0].sentence.starts_with(unused), "{:?}", found.problems);
}
