//! An Issuer of `cert.gardener.cloud/v1alpha1`. Pure.

use serde_json::Value;

use crate::base::name::{DnsName, ObjectRef};
use crate::cert_manager::fields::{is_unset, object_id, some_text, text, texts};
use crate::config::entry::email;
use crate::config::issuers::{DomainFilter, Issuer, directory_url};

/// The data key of an account key in the Secret that an Issuer names.
const ACCOUNT_KEY: &str = "privateKey";

/// An ACME Issuer: the settings of orders, in the words of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GardenerIssuer {
    /// The settings. Their domains are the ranges of the Issuer.
    pub issuer: Issuer,
    /// A sentence for each field that is set and changes nothing here.
    pub without_effect: Vec<String>,
}

impl GardenerIssuer {
    /// Reads an object of the kind.
    ///
    /// # Errors
    /// Why it serves nobody: the rest of a sentence that begins with the Issuer.
    pub fn read(object: &Value) -> Result<GardenerIssuer, String> {
        let (namespace, name) = object_id(object);
        let spec = &object["spec"];
        let acme = &spec["acme"];
        if acme.is_null() {
            return Err("is no ACME Issuer, and notariat serves no other".to_owned());
        }
        if acme["skipDNSChallengeValidation"] == true {
            return Err("has skipDNSChallengeValidation: notariat proves each name".to_owned());
        }
        // The text may hold a password, so it is not repeated.
        let directory = directory_url(text(&acme["server"])).map_err(|e| format!("has a server that {e}"))?;
        let contact = some_text(&acme["email"]).as_deref().map(email).transpose();
        let contact = contact.map_err(|e| format!("has an email that {e}"))?;
        let account_secret = reference(&acme["privateKeySecretRef"], namespace, "privateKeySecretRef")?;
        let registers = acme["autoRegistration"] == true;
        if account_secret.is_none() && !registers {
            return Err("has neither privateKeySecretRef nor autoRegistration: true".to_owned());
        }
        let binding = &acme["externalAccountBinding"];
        let eab_secret = reference(&binding["keySecretRef"], namespace, "externalAccountBinding")?;
        let mut without_effect = Vec::new();
        if !is_unset(&acme["precheckNameservers"]) {
            without_effect.push("precheckNameservers is left out: the servers of the zone are asked".to_owned());
        }
        let quota = spec["requestsPerDayQuota"].as_u64().and_then(|quota| u32::try_from(quota).ok());
        Ok(GardenerIssuer {
            issuer: Issuer {
                name: format!("Issuer.cert.gardener.cloud/{name}"),
                directory,
                email: contact,
                ca_secret: None,
                ca: None,
                eab_key_id: eab_secret.as_ref().and_then(|_| some_text(&binding["keyID"])),
                eab_secret,
                eab_secret_key: None,
                account_secret_optional: account_secret.is_some() && registers,
                account_secret_key: account_secret.as_ref().map(|_| ACCOUNT_KEY.to_owned()),
                account_secret,
                preferred_chain: None,
                profile: None,
                challenge: None,
                domains: DomainFilter {
                    include: zones(&acme["domains"]["include"])?,
                    exclude: zones(&acme["domains"]["exclude"])?,
                },
                orders_per_day: quota.filter(|quota| *quota > 0),
                replaces: Vec::new(),
            },
            without_effect,
        })
    }
}

/// The Secret that a field names, in the namespace of the Issuer only.
fn reference(value: &Value, namespace: &str, field: &str) -> Result<Option<ObjectRef>, String> {
    let Some(name) = some_text(&value["name"]) else { return Ok(None) };
    let elsewhere = text(&value["namespace"]);
    if name.contains('/') || (!elsewhere.is_empty() && elsewhere != namespace) {
        return Err(format!("names in {field} a Secret of another namespace"));
    }
    ObjectRef::parse(&name, namespace).map(Some).map_err(|e| format!("has a fault in {field}: {name:?} {e}"))
}

/// Domain ranges. A `*.` in front says no more than the zone below it.
fn zones(list: &Value) -> Result<Vec<DnsName>, String> {
    let zone = |text: &str| {
        let plain = text.trim().trim_start_matches("*.").trim_end_matches('.');
        DnsName::parse_unicode(plain).map_err(|e| format!("has the domain range {text:?}, which {e}"))
    };
    texts(list).map(zone).collect()
}
