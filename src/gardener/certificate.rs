//! A Certificate of `cert.gardener.cloud/v1alpha1`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::base::name::{Domain, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::request::CertificateRequest;
use crate::cert_manager::fields::{is_unset, object_id, set_fields, some_text, text, text_map, texts};
use crate::config::entry::KeyType;
use crate::policy::RenewalWish;

/// The fields of `spec` that are read.
const KNOWN: [&str; 12] = [
    "commonName",
    "dnsNames",
    "csr",
    "renew",
    "ensureRenewedAfter",
    "issuerRef",
    "secretName",
    "secretRef",
    "secretLabels",
    "renewBefore",
    "preferredChain",
    "privateKey",
];

/// The fields that change nothing, and the reason.
const WITHOUT_EFFECT: [(&str, &str); 1] =
    [("followCNAME", "CNAMEs are always followed, into zones of the configuration only")];

/// The fields that ask for something that notariat does not make, and the reason.
const REFUSED: [(&str, &str); 6] = [
    ("emailAddresses", "DNS challenges prove names only"),
    ("ipAddresses", "DNS challenges prove names only"),
    ("uris", "DNS challenges prove names only"),
    ("isCA", "an ACME CA gives no certificate of a CA"),
    ("duration", "the CA says how long a certificate lives"),
    ("keystores", "a Secret gets `tls.crt` and `tls.key`, and an old keystore beside them would never be renewed"),
];

/// The name of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerName {
    /// The namespace, where one is given.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// A Certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GardenerCertificate {
    /// The Secret.
    pub secret: ObjectRef,
    /// `commonName` as it is written.
    pub common_name: Option<String>,
    /// `dnsNames` as they are written.
    pub dns_names: Vec<String>,
    /// The names, each once, sorted.
    pub domains: Vec<Domain>,
    /// The CSR, where it gives the names.
    pub csr: Option<CertificateRequest>,
    /// The renewal that is asked for, where one is.
    pub renewal: Option<RenewalWish>,
    /// The issuer; the best one for the names where none is given.
    pub issuer: Option<IssuerName>,
    /// The type of the key, where one is asked for.
    pub key_type: Option<KeyType>,
    /// `renewBefore`, as it is written.
    pub renew_before: Option<String>,
    /// The common name of the wanted chain's last issuer.
    pub preferred_chain: Option<String>,
    /// Labels for the Secret.
    pub secret_labels: BTreeMap<String, String>,
    /// A sentence for each field that is set and changes nothing here.
    pub without_effect: Vec<String>,
    /// A sentence for each field that can not be honoured.
    pub refused: Vec<String>,
}

impl GardenerCertificate {
    /// Reads an object of the kind.
    ///
    /// # Errors
    /// Why there is no certificate to be made: the Secret or the names can not be read.
    pub fn read(object: &Value) -> Result<GardenerCertificate, String> {
        let spec = &object["spec"];
        let (secret, mut refused) = secret(object)?;
        let mut names = BTreeSet::new();
        for name in texts(&spec["dnsNames"]).chain(some_text(&spec["commonName"]).as_deref()) {
            let plain = name.strip_suffix('.').unwrap_or(name);
            names.insert(Domain::parse(plain).map_err(|e| format!("the name {name:?} {e}"))?);
        }
        if names.is_empty() && spec["csr"].is_null() {
            return Err("it has no DNS name".to_owned());
        }
        let (mut common_name, mut dns_names) =
            (some_text(&spec["commonName"]), texts(&spec["dnsNames"]).map(str::to_owned).collect());
        let csr = csr(spec, &mut refused);
        if let Some(csr) = csr.as_ref().filter(|_| names.is_empty()) {
            names.extend(csr.names().iter().cloned());
            common_name = csr.common_name().map(Domain::to_string);
            let others = csr.names().iter().filter(|name| csr.common_name() != Some(*name));
            dns_names = others.map(Domain::to_string).collect();
        }
        let mut without_effect = Vec::new();
        let renewal = renewal(object, &mut without_effect);
        for (field, _) in set_fields(spec).filter(|(field, _)| !KNOWN.contains(field)) {
            let why =
                |table: &[(&str, &'static str)]| table.iter().find(|(known, _)| *known == field).map(|(_, why)| *why);
            match why(&REFUSED) {
                Some(why) => refused.push(format!("{field}: {why}")),
                None => {
                    let why = why(&WITHOUT_EFFECT).unwrap_or("there is nothing like it here");
                    without_effect.push(format!("{field:?} is left out: {why}"));
                }
            }
        }
        let issuer = &spec["issuerRef"];
        Ok(GardenerCertificate {
            secret,
            common_name,
            dns_names,
            domains: names.into_iter().collect(),
            renewal,
            issuer: some_text(&issuer["name"])
                .map(|name| IssuerName { namespace: some_text(&issuer["namespace"]), name }),
            key_type: match &csr {
                None => key_type(&spec["privateKey"], &mut refused),
                Some(_) => {
                    if !is_unset(&spec["privateKey"]) {
                        without_effect.push("\"privateKey\" is left out: the csr is for a key that exists".to_owned());
                    }
                    None
                }
            },
            csr,
            renew_before: some_text(&spec["renewBefore"]),
            preferred_chain: some_text(&spec["preferredChain"]),
            secret_labels: text_map(&spec["secretLabels"]),
            without_effect,
            refused,
        })
    }
}

/// The Secret, and what can not be honoured of its reference. Where none is named it has the name of the Certificate.
fn secret(object: &Value) -> Result<(ObjectRef, Vec<String>), String> {
    let (namespace, own_name) = object_id(object);
    let spec = &object["spec"];
    let (short, reference) = (text(&spec["secretName"]), &spec["secretRef"]);
    let long = text(&reference["name"]);
    let mut refused = Vec::new();
    if !short.is_empty() && !long.is_empty() && short != long {
        refused.push(format!("secretName {short:?} and secretRef.name {long:?} differ"));
    }
    let elsewhere = text(&reference["namespace"]);
    if !elsewhere.is_empty() && elsewhere != namespace {
        refused.push(format!("secretRef.namespace {elsewhere:?}: a Certificate fills a Secret of its own namespace"));
    }
    let name = [short, long, own_name].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    if name.contains('/') {
        return Err("the name of its Secret has a `/` in it".to_owned());
    }
    let secret = ObjectRef::parse(name, namespace).map_err(|e| format!("the name of its Secret {name:?} {e}"))?;
    Ok((secret, refused))
}

/// The CSR of a Certificate. It gives all names.
fn csr(spec: &Value, refused: &mut Vec<String>) -> Option<CertificateRequest> {
    let text = some_text(&spec["csr"])?;
    if !is_unset(&spec["commonName"]) || !is_unset(&spec["dnsNames"]) {
        refused.push("csr: it has its own names; leave out commonName and dnsNames".to_owned());
    }
    CertificateRequest::from_base64(&text).map_err(|e| refused.push(format!("csr: it {e}"))).ok()
}

/// The renewal that an object asks for: with `renew` one for each of its generations.
fn renewal(object: &Value, notes: &mut Vec<String>) -> Option<RenewalWish> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    if spec["renew"] == true {
        let note = "\"renew\" renews once for each change of the object, which is never written here: remove it";
        notes.push(note.to_owned());
        let mark = format!("{} {}", text(&metadata["uid"]), metadata["generation"].as_i64().unwrap_or_default());
        return Some(RenewalWish::Mark(SharedStr::new(&mark)));
    }
    let after = some_text(&spec["ensureRenewedAfter"])?;
    let time = Time::parse_rfc3339(&after);
    if time.is_none() {
        notes.push(format!("\"ensureRenewedAfter\" is left out: {after:?} is no time"));
    }
    time.map(RenewalWish::After)
}

fn key_type(key: &Value, refused: &mut Vec<String>) -> Option<KeyType> {
    let (algorithm, size) = (text(&key["algorithm"]), key["size"].as_u64());
    match (algorithm, size) {
        ("", None) => None,
        ("ECDSA", None | Some(256)) => Some(KeyType::EcdsaP256),
        ("ECDSA", Some(384)) => Some(KeyType::EcdsaP384),
        ("" | "RSA", None | Some(2048)) => Some(KeyType::Rsa2048),
        ("" | "RSA", Some(3072)) => Some(KeyType::Rsa3072),
        ("" | "RSA", Some(4096)) => Some(KeyType::Rsa4096),
        (algorithm, size) => {
            let size = size.map(|size| format!(" of {size} bits")).unwrap_or_default();
            refused.push(format!("privateKey: a key {algorithm:?}{size} is none that is made here"));
            None
        }
    }
}
