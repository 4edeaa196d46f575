//! One Certificate -> one entry.

use serde_json::{Map, Value};

use super::issuer::CertManagerIssuer;
use super::object::{is_unset, texts};
use super::placement::{FieldMap, Placement, UpdateAccess};
use super::print::item;
use super::solver::choose;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::config::entry::Entry;
use crate::config::fields::{FieldError, duration};
use crate::config::metadata::{check_annotation, check_label};
use crate::config::node::{self, YamlNode};

/// The fields of `spec` that are converted, or that do not change the certificate.
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

/// The fields that have no counterpart, and the reason.
const WITHOUT: [(&str, &str); 13] = [
    ("subject", "public CAs put no subject into certificates"),
    ("literalSubject", "public CAs put no subject into certificates"),
    ("duration", "the CA says how long a certificate lives; where it offers a choice, `profile` names it"),
    ("renewBeforePercentage", "write `renewBefore` as a duration, or leave it to the CA's renewal information"),
    ("ipAddresses", "DNS-01 proves names only"),
    ("uris", "DNS-01 proves names only"),
    ("emailAddresses", "DNS-01 proves names only"),
    ("otherNames", "DNS-01 proves names only"),
    ("keystores", "a Secret gets `tls.crt` and `tls.key` only"),
    ("additionalOutputFormats", "a Secret gets `tls.crt` and `tls.key` only"),
    ("nameConstraints", "they are for CAs"),
    ("signatureAlgorithm", "the CA says how it signs"),
    ("renewal", "notariat has no windows of time for renewals"),
];

/// The key usages that an ACME CA always sets.
const USAGES: [&str; 4] = ["digital signature", "key encipherment", "server auth", "client auth"];

/// A Certificate before its issuer is known.
#[derive(Debug)]
pub(super) struct CertManagerCertificate<'v> {
    /// The Secret of the certificate.
    pub(super) secret: ObjectRef,
    domains: Vec<Domain>,
    spec: &'v Value,
    labels: &'v Value,
}

impl<'v> CertManagerCertificate<'v> {
    /// Reads the mandatory fields.
    ///
    /// # Errors
    /// Why the Certificate has no entry.
    pub(super) fn read(object: &'v Value, namespace: &str) -> Result<CertManagerCertificate<'v>, String> {
        let spec = &object["spec"];
        let secret = spec["secretName"].as_str().unwrap_or_default();
        let secret = ObjectRef::parse(secret, namespace).map_err(|e| format!("its secretName {secret:?} {e}"))?;
        if secret.namespace != namespace {
            return Err("its secretName has a `/` in it".to_owned());
        }
        if spec["isCA"] == true {
            return Err("it is a CA's, and an ACME CA gives none of those (isCA)".to_owned());
        }
        let common = spec["commonName"].as_str().filter(|name| !name.is_empty());
        let mut domains = Vec::new();
        for name in texts(&spec["dnsNames"]).chain(common) {
            let domain = Domain::parse(name).map_err(|e| format!("the name {name:?} {e}"))?;
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        if domains.is_empty() {
            return Err("it has no DNS name".to_owned());
        }
        Ok(CertManagerCertificate { secret, domains, spec, labels: &object["metadata"]["labels"] })
    }

    /// Returns the entry; `say` gets a sentence for each loss.
    ///
    /// # Errors
    /// Why the Certificate has no entry.
    pub(super) fn entry(
        &self,
        issuer: &CertManagerIssuer<'_>,
        place: &mut Placement,
        namespace: &str,
        say: &mut impl FnMut(String),
    ) -> Result<FieldMap, String> {
        let names = Value::from_iter(self.domains.iter().map(ToString::to_string));
        let mut fields: FieldMap = vec![
            ("secret", self.secret.name.as_str().into()),
            ("domains", names),
            ("issuer", issuer.name.as_str().into()),
        ];
        self.left_out(say);
        fields.extend(self.key(place, say));
        if let Some(text) = self.spec["renewBefore"].as_str() {
            match duration(text) {
                Ok(_) => fields.push(("renewBefore", text.into())),
                Err(e) => say(format!("renewBefore {text:?} {e}")),
            }
        }
        fields.extend(template(&self.spec["secretTemplate"]["labels"], "labels", check_label, say));
        fields.extend(template(&self.spec["secretTemplate"]["annotations"], "annotations", check_annotation, say));
        let updates = self.proofs(issuer, place, namespace, say);
        fields.extend(updates);
        check(&fields, namespace)?;
        Ok(fields)
    }

    /// Reports the fields that have no counterpart.
    fn left_out(&self, say: &mut impl FnMut(String)) {
        for (field, value) in self.spec.as_object().into_iter().flatten().filter(|(_, value)| !is_unset(value)) {
            match WITHOUT.iter().find(|(without, _)| field == without) {
                Some((_, why)) => say(format!("{field} is left out: {why}")),
                None if field == "usages" => {
                    for usage in texts(value).filter(|usage| !USAGES.contains(usage)) {
                        say(format!("the usage {usage:?} is left out: an ACME CA gives certificates for servers"));
                    }
                }
                None if KNOWN.contains(&field.as_str()) => {}
                None => say(format!("{field:?} has nothing like it here and is left out")),
            }
        }
    }

    /// `keyType` and `reuseKey`.
    fn key(&self, place: &mut Placement, say: &mut impl FnMut(String)) -> FieldMap {
        let key = &self.spec["privateKey"];
        let mut fields = FieldMap::new();
        let is_kept = key["rotationPolicy"] == "Never";
        let size = key["size"].as_u64();
        match (key["algorithm"].as_str(), size) {
            (Some("ECDSA"), None | Some(256)) => {}
            (Some("ECDSA"), Some(384)) => fields.push(("keyType", "ecdsa-p384".into())),
            (Some("ECDSA"), Some(size)) => {
                say(format!("its key of {size} bits becomes ECDSA on P-384, the largest that is made here"));
                fields.push(("keyType", "ecdsa-p384".into()));
            }
            (Some("RSA"), _) | (None, _) if is_kept => {}
            (None, None) => place.remind(
                "know that new keys are ECDSA on P-256, where cert-manager made RSA keys because nothing else was said"
                    .to_owned(),
            ),
            (None | Some("RSA"), _) => {
                say("its new keys are ECDSA on P-256, not RSA; `reuseKey: true` keeps an RSA key that is there"
                    .to_owned());
            }
            (Some(algorithm), _) => say(format!("its new keys are ECDSA on P-256, not {algorithm:?}")),
        }
        if is_kept {
            fields.push(("reuseKey", true.into()));
        }
        if key["encoding"] == "PKCS1" {
            say("its key is written as PKCS#8, not in the encoding PKCS1".to_owned());
        }
        fields
    }

    /// The TSIG key and server of the names: in the entry where all names share them, else by `zones`.
    fn proofs(
        &self,
        issuer: &CertManagerIssuer<'_>,
        place: &mut Placement,
        namespace: &str,
        say: &mut impl FnMut(String),
    ) -> FieldMap {
        let mut found: Vec<(&Domain, UpdateAccess, Option<DnsName>)> = Vec::new();
        for domain in &self.domains {
            let solution = choose(issuer.solvers, domain, self.labels, namespace, issuer.secrets_in);
            match solution.update {
                Ok(update) => {
                    if solution.follows {
                        place.remind(
                            "add to `zones` those that CNAMEs of challenges lead to (cnameStrategy: Follow)".to_owned(),
                        );
                    }
                    place.needs_key(&update);
                    found.push((domain, update, solution.zone));
                }
                Err(why) => {
                    say(format!(
                        "{domain} needs a TSIG key and has none: {why}; set `tsigSecretName` in the entry, in `defaults` or in `zones`"
                    ));
                }
            }
        }
        let Some((_, first, _)) = found.first() else { return FieldMap::new() };
        if found.iter().all(|(_, update, _)| update == first) {
            place.alone.extend(found.iter().map(|(domain, update, _)| ((*domain).clone(), update.clone())));
            return first.entry_fields();
        }
        for (domain, update, zone) in &found {
            let known = zone.as_ref().map(|zone| place.zones.entry(zone.to_string()).or_insert_with(|| update.clone()));
            if known.is_none_or(|known| known != update) {
                say(format!(
                    "{domain} has a solver that its other names have not, and that no zone selects: give it an entry of its own"
                ));
            }
        }
        place.remind(
            "see that each of `zones` is a zone of its own (has a SOA record): they were cert-manager's dnsZones"
                .to_owned(),
        );
        FieldMap::new()
    }
}

/// The labels or annotations that are allowed here.
fn template(
    texts: &Value,
    field: &'static str,
    check: impl Fn(&str, &str) -> Result<(), String>,
    say: &mut impl FnMut(String),
) -> Option<(&'static str, Value)> {
    let mut taken = Map::new();
    for (key, value) in texts.as_object().into_iter().flatten() {
        match check(key, value.as_str().unwrap_or_default()) {
            Ok(()) => {
                taken.insert(key.clone(), value.clone());
            }
            Err(e) => say(format!("of its secretTemplate {key:?} {e}")),
        }
    }
    (!taken.is_empty()).then_some((field, Value::Object(taken)))
}

/// Reads the entry as the controller will read it.
fn check(fields: &FieldMap, namespace: &str) -> Result<(), String> {
    let YamlNode::List(items) = node::read(&item(fields, "").join("\n"))? else { return Ok(()) };
    let faults = |faults: Vec<FieldError>| faults.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; ");
    items.iter().try_for_each(|item| Entry::read(item, &namespace.into()).map(drop).map_err(faults))
}
