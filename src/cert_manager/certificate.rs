//! A Certificate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{is_unset, object_id, set_fields, some_text, text, text_map, texts};
use crate::base::name::{Domain, ObjectRef};
use crate::cert::key::KeyType;

/// The fields of `spec` that are read, or that change no certificate.
const KNOWN: [&str; 9] = [
    "secretName",
    "dnsNames",
    "commonName",
    "issuerRef",
    "privateKey",
    "renewBefore",
    "secretTemplate",
    "revisionHistoryLimit",
    "encodeUsagesInRequest",
];

/// The fields that an ACME CA does not heed, and the reason.
const WITHOUT_EFFECT: [(&str, &str); 4] = [
    ("subject", "public CAs put no subject into certificates"),
    ("duration", "the CA says how long a certificate lives; where it offers a choice, `profile` names it"),
    ("renewBeforePercentage", "write `renewBefore` as a duration, or leave it to the CA's renewal information"),
    ("signatureAlgorithm", "the CA says how it signs"),
];

/// The fields that ask for something that notariat does not make, and the reason.
const REFUSED: [(&str, &str); 9] = [
    ("ipAddresses", "DNS challenges prove names only"),
    ("uris", "DNS challenges prove names only"),
    ("emailAddresses", "DNS challenges prove names only"),
    ("otherNames", "DNS challenges prove names only"),
    ("literalSubject", "public CAs put no subject into certificates"),
    ("keystores", "a Secret gets `tls.crt` and `tls.key`, and an old keystore beside them would never be renewed"),
    (
        "additionalOutputFormats",
        "a Secret gets `tls.crt` and `tls.key`, and an old file beside them would never be renewed",
    ),
    ("nameConstraints", "those are for CAs"),
    ("renewal", "notariat has no windows of time for renewals"),
];

/// The key usages that an ACME CA always sets.
const USAGES: [&str; 4] = ["digital signature", "key encipherment", "server auth", "client auth"];

/// A Certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The namespace, as it is written.
    pub namespace: String,
    /// The name, as it is written.
    pub name: String,
    /// The labels, which solvers select by.
    pub labels: BTreeMap<String, String>,
    /// The object whose controller made the Certificate.
    pub owner: Option<ControllerReference>,
    /// An order of cert-manager is under way (condition Issuing).
    pub is_issuing: bool,
    /// The Secret.
    pub secret: ObjectRef,
    /// The names, each once, in the order of the Certificate.
    pub domains: Vec<Domain>,
    /// The issuer.
    pub issuer: IssuerReference,
    /// The key.
    pub key: WantedKey,
    /// `renewBefore`, as it is written.
    pub renew_before: Option<String>,
    /// The Certificate has a `duration`.
    pub has_duration: bool,
    /// Labels for the Secret.
    pub secret_labels: BTreeMap<String, String>,
    /// Annotations for the Secret.
    pub secret_annotations: BTreeMap<String, String>,
    /// A sentence for each field that is set and changes nothing here.
    pub without_effect: Vec<String>,
    /// A sentence for each field that notariat can not honour.
    pub refused: Vec<String>,
}

/// The controller of an object, by its ownerReference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ControllerReference {
    /// The API group, without the version.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// A reference to an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerReference {
    /// The API group; empty is cert-manager's.
    pub group: String,
    /// The kind; empty is Issuer.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// The wanted key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKey {
    /// The kind of new keys.
    pub key_type: KeyType,
    /// cert-manager makes RSA keys for the Certificate, asked or by default.
    pub is_rsa: bool,
    /// The kind of key was asked for.
    pub is_asked: bool,
    /// Renewals keep the key.
    pub is_kept: bool,
}

impl Certificate {
    /// Reads an object of the kind Certificate.
    ///
    /// # Errors
    /// Why there is no certificate to be made: the Secret or the names can not be read.
    pub fn read(object: &Value) -> Result<Certificate, String> {
        let (namespace, name) = object_id(object);
        let spec = &object["spec"];
        let secret = text(&spec["secretName"]);
        let secret = ObjectRef::parse(secret, namespace).map_err(|e| format!("its secretName {secret:?} {e}"))?;
        if *secret.namespace != *namespace {
            return Err("its secretName has a `/` in it".to_owned());
        }
        if spec["isCA"] == true {
            return Err("it is a CA's, and an ACME CA gives none of those (isCA)".to_owned());
        }
        let (mut domains, mut seen) = (Vec::new(), BTreeSet::new());
        for name in texts(&spec["dnsNames"]).chain(some_text(&spec["commonName"]).as_deref()) {
            let domain = Domain::parse(name).map_err(|e| format!("the name {name:?} {e}"))?;
            if seen.insert(domain.clone()) {
                domains.push(domain);
            }
        }
        if domains.is_empty() {
            return Err("it has no DNS name".to_owned());
        }
        let (mut without_effect, mut refused) = classify(spec);
        let key = WantedKey::read(&spec["privateKey"], &mut without_effect, &mut refused);
        let reference = |field| text(&spec["issuerRef"][field]).to_owned();
        let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        Ok(Certificate {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: text_map(&object["metadata"]["labels"]),
            owner: ControllerReference::of(object),
            is_issuing: conditions.any(|c| c["type"] == "Issuing" && c["status"] == "True"),
            secret,
            domains,
            issuer: IssuerReference { group: reference("group"), kind: reference("kind"), name: reference("name") },
            key,
            renew_before: some_text(&spec["renewBefore"]),
            has_duration: !is_unset(&spec["duration"]),
            secret_labels: text_map(&spec["secretTemplate"]["labels"]),
            secret_annotations: text_map(&spec["secretTemplate"]["annotations"]),
            without_effect,
            refused,
        })
    }
}

/// The sentences for the fields that change nothing, and for those that can not be honoured.
fn classify(spec: &Value) -> (Vec<String>, Vec<String>) {
    let (mut without_effect, mut refused) = (Vec::new(), Vec::new());
    let find =
        |table: &[(&str, &'static str)], field: &str| table.iter().find(|(f, _)| *f == field).map(|(_, why)| *why);
    for (field, value) in set_fields(spec).filter(|(field, _)| !KNOWN.contains(field)) {
        match (find(&WITHOUT_EFFECT, field), find(&REFUSED, field)) {
            (Some(why), _) => without_effect.push(format!("{field} is left out: {why}")),
            (None, Some(why)) => refused.push(format!("{field}: {why}")),
            (None, None) if field == "usages" => {
                let others = texts(value).filter(|usage| !USAGES.contains(usage));
                refused.extend(
                    others.map(|usage| format!("the usage {usage:?}: an ACME CA gives certificates for servers")),
                );
            }
            (None, None) => without_effect.push(format!("{field:?} has nothing like it here and is left out")),
        }
    }
    (without_effect, refused)
}

impl WantedKey {
    fn read(key: &Value, without_effect: &mut Vec<String>, refused: &mut Vec<String>) -> WantedKey {
        let size = key["size"].as_u64();
        let (key_type, is_rsa) = match (key["algorithm"].as_str(), size) {
            (Some("ECDSA"), None | Some(256)) => (KeyType::EcdsaP256, false),
            (Some("ECDSA"), Some(384)) => (KeyType::EcdsaP384, false),
            (Some("RSA") | None, _) => (KeyType::EcdsaP256, true),
            (Some(algorithm), size) => {
                let size = size.map(|size| format!(" of {size} bits")).unwrap_or_default();
                refused.push(format!(
                    "a key {algorithm:?}{size}: ECDSA on P-256 and P-384 are made, which every ACME CA takes"
                ));
                (KeyType::EcdsaP256, false)
            }
        };
        if key["encoding"] == "PKCS1" {
            without_effect.push("its key is written as PKCS#8, not in the encoding PKCS1".to_owned());
        }
        let is_asked = !is_unset(&key["algorithm"]) || size.is_some();
        WantedKey { key_type, is_rsa, is_asked, is_kept: key["rotationPolicy"] == "Never" }
    }
}

impl ControllerReference {
    fn of(object: &Value) -> Option<ControllerReference> {
        let references = object["metadata"]["ownerReferences"].as_array()?;
        let reference = references.iter().find(|reference| reference["controller"] == true)?;
        let (group, _) = text(&reference["apiVersion"]).split_once('/')?;
        let owned = |field| text(&reference[field]).to_owned();
        Some(ControllerReference { group: group.to_owned(), kind: owned("kind"), name: owned("name") })
    }
}
