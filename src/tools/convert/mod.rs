//! `notariat convert`: cert-manager's Certificates, Issuers and ClusterIssuers on standard input -> our ConfigMaps. Asks no server.
//!
//! Input: the output of `kubectl get certificates,issuers,clusterissuers -A -o json`. The input is untrusted: the author of a Certificate
//! chose its values, and an operator with more rights applies and pastes the output. Hence each value is quoted on one line of printable
//! ASCII, commands contain only names that Kubernetes or the DNS allow, and each entry and issuer passes the reader of the controller
//! before it is printed. tests/it/convert.rs has the inputs of tests/vectors/cert-manager/.

mod certificate;
mod issuer;
mod object;
mod placement;
mod print;
mod solver;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use serde_json::Value;

use crate::base::limits::CONVERT_OCTETS_MAX;
use crate::base::name::ObjectRef;
use crate::cli::Arguments;
use certificate::CertManagerCertificate;
use issuer::CertManagerIssuer;
use object::{key, objects};
use placement::Placement;

/// The result of a conversion.
#[derive(Debug)]
pub struct Converted {
    /// The ConfigMaps as YAML, one for each namespace.
    pub yaml: String,
    /// The settings without a counterpart here, one sentence each.
    pub lost: Vec<String>,
}

/// The name of a ConfigMap where none is given: that of `deploy/`.
const NAME: &str = "notariat";

/// Converts standard input.
///
/// # Errors
/// When `-config` has several names, or standard input can not be read or is not what kubectl prints.
pub fn run(arguments: &Arguments) -> Result<Converted, String> {
    if arguments.config.len() > 1 {
        return Err("-config has several names; convert gives its ConfigMaps one".to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(CONVERT_OCTETS_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| format!("standard input can not be read: {e}"))?;
    if text.len() as u64 > CONVERT_OCTETS_MAX {
        return Err(format!("standard input has more than {CONVERT_OCTETS_MAX} octets; give one namespace at a time"));
    }
    convert(&text, arguments.config.first().map_or(NAME, String::as_str), arguments.namespace.as_deref())
}

/// Converts the Certificates of `only`, or of all namespaces, into ConfigMaps with the name `name`.
///
/// # Errors
/// When the text is not a List of such objects in JSON.
fn convert(text: &str, name: &str, only: Option<&str>) -> Result<Converted, String> {
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
    let mut said = BTreeSet::new();
    lost.retain(|sentence| said.insert(sentence.clone()));
    Ok(Converted { yaml: manifests.join("---\n"), lost })
}
