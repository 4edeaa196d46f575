//! A Certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::fields::{is_unset, object_id, set_fields, some_text, text, text_map, texts};
use super::route::RouteOverride;
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::cert::key::KeyType;

/// The fields of `spec` that are read. `usages` are compared with [`USAGES`].
const KNOWN: [&str; 8] = [
    "secretName",
    "dnsNames",
    "commonName",
    "issuerRef",
    "privateKey",
    "renewBefore",
    "renewBeforePercentage",
    "secretTemplate",
];

/// The fields that change no certificate of an ACME CA, and the reason.
const WITHOUT_EFFECT: [(&str, &str); 5] = [
    ("subject", "public CAs put no subject into certificates"),
    ("duration", "the CA says how long a certificate lives; where it offers a choice, `profile` names it"),
    ("signatureAlgorithm", "the CA says how it signs"),
    ("encodeUsagesInRequest", "the CA sets the usages"),
    ("revisionHistoryLimit", "notariat keeps no requests as objects"),
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
    ("renewal", "notariat renews whenever it is due, and has no windows of time for that"),
];

/// The key usages that an ACME CA sets by itself. Two are names of one usage.
const USAGES: [&str; 5] = ["digital signature", "signing", "key encipherment", "server auth", "client auth"];

/// A Certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// `renewBeforePercentage`: the share of the lifetime that is left when the certificate is renewed.
    pub renew_before_percentage: Option<u64>,
    /// The lifetime of the certificate that is there, by the status.
    pub lifetime: Option<Duration>,
    /// The Certificate has a `duration`.
    pub has_duration: bool,
    /// Labels for the Secret.
    pub secret_labels: BTreeMap<String, String>,
    /// Annotations for the Secret.
    pub secret_annotations: BTreeMap<String, String>,
    /// The changes to the routes of HTTP-01 solvers.
    pub route: RouteOverride,
    /// A sentence for each field that is set and has no effect on a certificate.
    pub without_effect: Vec<String>,
    /// A sentence for each field that is not known here.
    pub unknown: Vec<String>,
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
    /// The key is an RSA key, asked for or by default.
    pub is_rsa: bool,
    /// The kind of key was asked for. Else it is cert-manager's default, RSA with 2048 bits.
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
        let mut classes = FieldClasses::of(spec);
        let key = WantedKey::read(&spec["privateKey"], &mut classes);
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
            renew_before_percentage: spec["renewBeforePercentage"].as_u64(),
            lifetime: lifetime(&object["status"]),
            has_duration: !is_unset(&spec["duration"]),
            secret_labels: text_map(&spec["secretTemplate"]["labels"]),
            secret_annotations: text_map(&spec["secretTemplate"]["annotations"]),
            route: RouteOverride::read(&object["metadata"]["annotations"]),
            without_effect: classes.without_effect,
            unknown: classes.unknown,
            refused: classes.refused,
        })
    }
}

/// The time from `notBefore` to `notAfter`.
fn lifetime(status: &Value) -> Option<Duration> {
    let time = |field: &str| status[field].as_str().and_then(Time::parse_rfc3339);
    let (begin, end) = (time("notBefore")?, time("notAfter")?);
    (begin < end).then(|| end.since(begin))
}

/// The sentences about the fields that are not honoured, by class.
#[derive(Debug, Default)]
struct FieldClasses {
    without_effect: Vec<String>,
    unknown: Vec<String>,
    refused: Vec<String>,
}

impl FieldClasses {
    fn of(spec: &Value) -> FieldClasses {
        let mut classes = FieldClasses::default();
        let find =
            |table: &[(&str, &'static str)], field: &str| table.iter().find(|(f, _)| *f == field).map(|(_, why)| *why);
        for (field, value) in set_fields(spec).filter(|(field, _)| !KNOWN.contains(field)) {
            match (find(&WITHOUT_EFFECT, field), find(&REFUSED, field)) {
                (Some(why), _) => classes.without_effect.push(format!("{field} has no effect: {why}")),
                (None, Some(why)) => classes.refused.push(format!("{field}: {why}")),
                (None, None) if field == "usages" => {
                    let others = texts(value).filter(|usage| !USAGES.contains(usage));
                    let why = |usage| format!("the usage {usage:?}: an ACME CA gives certificates for servers");
                    classes.refused.extend(others.map(why));
                }
                (None, None) => classes.unknown.push(format!("{field:?} has nothing like it here and is left out")),
            }
        }
        classes
    }
}

impl WantedKey {
    fn read(key: &Value, classes: &mut FieldClasses) -> WantedKey {
        let (algorithm, size) = (some_text(&key["algorithm"]), key["size"].as_u64().filter(|size| *size != 0));
        let key_type = match (algorithm.as_deref().unwrap_or("RSA"), size) {
            ("ECDSA", None | Some(256)) => KeyType::EcdsaP256,
            ("ECDSA", Some(384)) => KeyType::EcdsaP384,
            ("RSA", None | Some(2048)) => KeyType::Rsa2048,
            ("RSA", Some(3072)) => KeyType::Rsa3072,
            ("RSA", Some(4096)) => KeyType::Rsa4096,
            (algorithm, size) => {
                let size = size.map(|size| format!(" of {size} bits")).unwrap_or_default();
                classes.refused.push(format!(
                    "a key {algorithm:?}{size}: ECDSA on P-256 and P-384 and RSA with 2048, 3072 and 4096 bits are made"
                ));
                KeyType::EcdsaP256
            }
        };
        if key["encoding"] == "PKCS1" {
            classes.without_effect.push("encoding has no effect: a key is written as PKCS#8, not as PKCS1".to_owned());
        }
        let is_asked = algorithm.is_some() || size.is_some();
        let is_rsa = key_type.rsa_bits().is_some();
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The Certificate with a `spec` of these fields besides names, Secret and issuer.
    fn certificate(mut spec: Value) -> Certificate {
        for (field, value) in [("secretName", json!("web")), ("dnsNames", json!(["www.site.test"]))] {
            spec[field] = value;
        }
        spec["issuerRef"] = json!({"name": "ca"});
        Certificate::read(&json!({"metadata": {"namespace": "team", "name": "web"}, "spec": spec})).unwrap()
    }

    #[test]
    fn each_key_has_its_kind_or_a_sentence() {
        for (key, kind, is_asked) in [
            (json!(null), "rsa-2048", false),
            (json!({}), "rsa-2048", false),
            (json!({"rotationPolicy": "Never"}), "rsa-2048", false),
            (json!({"algorithm": "RSA"}), "rsa-2048", true),
            (json!({"size": 4096}), "rsa-4096", true),
            (json!({"algorithm": "RSA", "size": 3072}), "rsa-3072", true),
            (json!({"algorithm": "ECDSA"}), "ecdsa-p256", true),
            (json!({"algorithm": "ECDSA", "size": 256}), "ecdsa-p256", true),
            (json!({"algorithm": "ECDSA", "size": 384}), "ecdsa-p384", true),
        ] {
            let read = certificate(json!({"privateKey": key}));
            assert_eq!((read.key.key_type.name(), read.key.is_asked), (kind, is_asked), "{key}");
            assert_eq!(read.key.is_rsa, kind.starts_with("rsa"), "{key}");
            assert!(read.refused.is_empty(), "{key}: {:?}", read.refused);
        }
        for (key, part) in [
            (json!({"algorithm": "RSA", "size": 8192}), "a key \"RSA\" of 8192 bits: "),
            (json!({"algorithm": "ECDSA", "size": 521}), "a key \"ECDSA\" of 521 bits: "),
            (json!({"algorithm": "Ed25519"}), "a key \"Ed25519\": "),
        ] {
            let refused = certificate(json!({"privateKey": key})).refused;
            assert!(refused.len() == 1 && refused[0].starts_with(part), "{key}: {refused:?}");
        }
    }

    /// Each field of cert-manager.io/v1 once: honoured, without effect, refused, unknown.
    #[test]
    fn each_field_is_of_one_class() {
        let honoured = [
            ("commonName", json!("www.site.test")),
            ("renewBefore", json!("360h")),
            ("renewBeforePercentage", json!(30)),
            ("privateKey", json!({"algorithm": "ECDSA", "rotationPolicy": "Never", "encoding": "PKCS8"})),
            ("secretTemplate", json!({"labels": {"a": "b"}, "annotations": {"c": "d"}})),
            ("usages", json!(["digital signature", "signing", "key encipherment", "server auth", "client auth"])),
            ("isCA", json!(false)),
            ("keystores", json!({})),
            ("ipAddresses", json!([])),
        ];
        let without_effect = [
            ("duration", json!("2160h")),
            ("subject", json!({"organizations": ["x"]})),
            ("encodeUsagesInRequest", json!(true)),
            ("signatureAlgorithm", json!("SHA256WithRSA")),
            ("revisionHistoryLimit", json!(1)),
            ("privateKey", json!({"encoding": "PKCS1"})),
        ];
        let refused = [
            ("renewal", json!({"policy": "Disabled"})),
            ("usages", json!(["code signing"])),
            ("keystores", json!({"jks": {"create": true}})),
            ("additionalOutputFormats", json!([{"type": "CombinedPEM"}])),
            ("ipAddresses", json!(["192.0.2.1"])),
            ("uris", json!(["spiffe://a"])),
            ("emailAddresses", json!(["a@site.test"])),
            ("otherNames", json!([{"oid": "1.2"}])),
            ("literalSubject", json!("CN=a")),
            ("nameConstraints", json!({"critical": true})),
            ("privateKey", json!({"algorithm": "Ed25519"})),
        ];
        let unknown = [("somethingNew", json!({"a": 1}))];
        let classes =
            [(&honoured[..], [0; 3]), (&without_effect, [1, 0, 0]), (&refused, [0, 1, 0]), (&unknown, [0, 0, 1])];
        for (fields, counts) in classes {
            for (field, value) in fields {
                let read = certificate(json!({*field: value}));
                let found = [read.without_effect.len(), read.refused.len(), read.unknown.len()];
                assert_eq!(found, counts, "{field} {value}: {read:?}");
            }
        }
    }

    #[test]
    fn the_lifetime_is_that_of_the_status() {
        let of = |begin: &str, end: &str| lifetime(&json!({"notBefore": begin, "notAfter": end}));
        let days = |n: u64| Some(Duration::from_secs(n * 86_400));
        assert_eq!(of("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"), days(90));
        for (begin, end) in [("2026-01-01T00:00:00Z", "x"), ("2026-04-01T00:00:00Z", "2026-01-01T00:00:00Z"), ("", "")]
        {
            assert_eq!(of(begin, end), None, "{begin} {end}");
        }
    }
}
