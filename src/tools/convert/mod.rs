//! cert-manager's Certificates, Issuers and ClusterIssuers -> our ConfigMaps. Pure.
//!
//! Input: what `kubectl get certificates,issuers,clusterissuers -A -o json` prints. Whoever may write a Certificate chose the values in
//! it, and what is printed here is applied and pasted by somebody who may do more: hence every value stands quoted on one line of printable ASCII, and a
//! command is printed only of names that Kubernetes or the DNS allow. Every entry and issuer has passed our own reader before it is
//! printed. Tested by tests/it/convert.rs with the inputs of tests/vectors/cert-manager/.

mod certificate;
mod issuer;
mod print;
mod solver;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::name::{DnsName, Domain, ObjectRef};
use certificate::CertManagerCertificate;
use issuer::CertManagerIssuer;
use solver::Update;

/// What came of it.
#[derive(Debug)]
pub struct Converted {
    /// The ConfigMaps as YAML, one for each namespace.
    pub yaml: String,
    /// What could not be carried over, a sentence each.
    pub lost: Vec<String>,
}

/// What one namespace gets.
#[derive(Debug, Default)]
struct Placement {
    issuers: BTreeMap<String, FieldMap>,
    zones: BTreeMap<String, Update>,
    entries: Vec<FieldMap>,
    /// The names whose entries say how their UPDATEs are sent.
    alone: Vec<(Domain, Update)>,
    /// What a person has to do, each once.
    to_do: Vec<String>,
}

impl Placement {
    fn remind(&mut self, sentence: String) {
        if !self.to_do.contains(&sentence) {
            self.to_do.push(sentence);
        }
    }

    /// The names that a rule in `zones`, which another Certificate needs, leads elsewhere than their entry says.
    fn misled(&self) -> impl Iterator<Item = String> {
        let zones: Vec<_> =
            self.zones.iter().filter_map(|(zone, update)| Some((DnsName::parse(zone).ok()?, update))).collect();
        self.alone.iter().filter_map(move |(domain, update)| {
            let enclosing = zones.iter().filter(|(zone, _)| domain.base().is_within(zone));
            let (zone, _) = enclosing.max_by_key(|(zone, _)| zone.as_str().len()).filter(|(_, rule)| *rule != update)?;
            Some(format!("{domain}: the rule for {zone} in `zones` leads it to another server or key than its solver: give it a ConfigMap of its own"))
        })
    }
}

/// The fields of a mapping in the order in which they are printed.
type FieldMap = Vec<(&'static str, Value)>;

/// Converts the Certificates of `only`, or of all namespaces, into ConfigMaps with the name `name`.
///
/// # Errors
/// When the text is not such JSON.
pub fn convert(text: &str, name: &str, only: Option<&str>) -> Result<Converted, String> {
    let objects = objects(text)?;
    let of = |kind| objects.iter().filter(move |object| object["kind"] == kind);
    let issuers: BTreeMap<(&str, &str, &str), &Value> =
        of("Issuer").chain(of("ClusterIssuer")).map(|object| (key(object), object)).collect();
    let (mut places, mut lost) = (BTreeMap::<String, Placement>::new(), Vec::new());
    let mut seen: Vec<ObjectRef> = Vec::new();
    for object in of("Certificate") {
        let (_, namespace, own) = key(object);
        if only.is_some_and(|only| only != namespace) {
            continue;
        }
        let title = format!("Certificate {namespace}/{own}").escape_debug().to_string();
        let place = places.entry(namespace.to_owned()).or_default();
        let mut say = |sentence: String| lost.push(format!("{title}: {sentence}"));
        let certificate = match CertManagerCertificate::read(object, namespace) {
            Ok(certificate) if seen.contains(&certificate.secret) => {
                say(format!("is left out: another Certificate fills the Secret {}, too", certificate.secret));
                continue;
            }
            Ok(certificate) => certificate,
            Err(why) => {
                say(format!("is left out: {why}"));
                continue;
            }
        };
        let found = issuer::named(&object["spec"]["issuerRef"], namespace, &issuers);
        let issuer = match found.and_then(|found| CertManagerIssuer::read(found, namespace, &issuers)) {
            Ok(issuer) => issuer,
            Err(why) => {
                say(format!("is left out: {why}"));
                continue;
            }
        };
        match certificate.entry(&issuer, place, namespace, &mut say) {
            Ok(entry) => {
                place.entries.push(entry);
                issuer.add(place, &mut lost);
                seen.push(certificate.secret);
            }
            Err(why) => say(format!("is left out: {why}")),
        }
    }
    lost.extend(places.values().flat_map(Placement::misled));
    places.retain(|_, place| !place.entries.is_empty());
    let manifests: Vec<String> =
        places.iter().map(|(namespace, place)| print::manifest(namespace, name, place)).collect();
    let mut once: Vec<String> = Vec::new();
    lost.retain(|sentence| {
        !once.contains(sentence) && {
            once.push(sentence.clone());
            true
        }
    });
    Ok(Converted { yaml: manifests.join("---\n"), lost })
}

/// The objects of a List, or the one that the text holds.
fn objects(text: &str) -> Result<Vec<Value>, String> {
    const HOW: &str = "give the output of `kubectl get certificates,issuers,clusterissuers -A -o json`";
    let value: Value = serde_json::from_str(text).map_err(|e| format!("standard input is not JSON ({e}); {HOW}"))?;
    let objects = match value {
        Value::Object(mut fields) if fields.contains_key("items") => match fields.remove("items") {
            Some(Value::Array(items)) => items,
            _ => return Err(format!("standard input has no list under `items`; {HOW}")),
        },
        one => vec![one],
    };
    let ours = |object: &Value| {
        let kind = matches!(object["kind"].as_str(), Some("Certificate" | "Issuer" | "ClusterIssuer"));
        kind && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("cert-manager.io/"))
    };
    match objects.iter().find(|object| !ours(object)) {
        Some(other) => {
            let (kind, version) = (&other["kind"], &other["apiVersion"]);
            Err(format!(
                "standard input has an object of kind {kind} ({version}), which is none of cert-manager's; {HOW}"
            ))
        }
        None if objects.iter().any(|object| object["apiVersion"] != "cert-manager.io/v1") => {
            Err(format!("standard input has objects of an API before cert-manager.io/v1; {HOW}"))
        }
        None => Ok(objects),
    }
}

/// The kind, the namespace (empty for those without) and the name.
fn key(object: &Value) -> (&str, &str, &str) {
    let text = |value: &'static str| object["metadata"][value].as_str().unwrap_or_default();
    (object["kind"].as_str().unwrap_or_default(), text("namespace"), text("name"))
}

/// The texts of a list; what is no text is passed over, for the API server would not have taken it.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a field says nothing: not there, empty, or `false`.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
