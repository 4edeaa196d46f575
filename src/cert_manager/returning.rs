//! The answer of cert-manager's controller to a Secret when it comes back: the conditions under which it orders a certificate anew, in the
//! order in which it looks at them (the trigger policies of its package `policies`).
//!
//! Untrusted: the Certificate and the Secret. Nothing here decides what notariat does; a check prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::certificate::IssuerReference;
use super::fields::{go_duration, is_unset, object_id, text, texts};
use super::issuer::IssuerKind;
use crate::base::time::Time;
use crate::cert::facts::{self, PublicKeyKind};
use crate::cert::key::{KeyError, public_digest};
use crate::cert::request::CertificateRequest;

/// A Secret as cert-manager looks at it.
#[derive(Clone, Copy)]
pub struct ReturnedSecret<'s> {
    /// The annotations.
    pub annotations: &'s BTreeMap<String, String>,
    /// `tls.crt`; empty where it is missing.
    pub chain: &'s [u8],
    /// `tls.key`; empty where it is missing.
    pub key: &'s [u8],
}

/// Why cert-manager would order a certificate anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reissue {
    /// The word of cert-manager for it, which its condition Issuing and its Event then have.
    pub word: &'static str,
    /// The rest of a sentence that begins with the Certificate's Secret or its certificate.
    pub why: String,
}

/// Decides whether cert-manager would order anew for a Certificate. `held` is its Secret; `request` is the CertificateRequest of the revision
/// in its status, where there is one. `None`: the certificate stays.
pub fn reissue(
    certificate: &Value,
    held: Option<ReturnedSecret<'_>>,
    request: Option<&Value>,
    now: Time,
) -> Option<Reissue> {
    let because = |word: &'static str, why: String| Some(Reissue { word, why });
    let mut conditions = certificate["status"]["conditions"].as_array().into_iter().flatten();
    if conditions.any(|condition| condition["type"] == "Issuing" && condition["status"] == "True") {
        return because("Issuing", "an order is under way by the status (condition Issuing)".to_owned());
    }
    let Some(held) = held else { return because("DoesNotExist", "the Secret does not exist".to_owned()) };
    if held.chain.is_empty() || held.key.is_empty() {
        return because("MissingData", "the Secret lacks tls.crt or tls.key".to_owned());
    }
    let (all, facts) = match facts::read(held.chain) {
        Ok(read) => read,
        Err(why) => return because("InvalidCertificate", format!("tls.crt {why}")),
    };
    match public_digest(held.key) {
        Ok(public) if !facts.fits(&public) => {
            return because("InvalidKeyPair", "tls.key does not belong to tls.crt".to_owned());
        }
        Err(KeyError::Unparsable) => return because("InvalidKeyPair", "tls.key is no private key".to_owned()),
        Ok(_) | Err(KeyError::UnknownKind) => {}
    }
    let spec = &certificate["spec"];
    let leaf = all.first()?;
    if let Some(why) = other_key(&spec["privateKey"], facts::public_key_kind(leaf)) {
        return because("SecretMismatch", why);
    }
    if let Some(why) = other_issuer(&spec["issuerRef"], held.annotations) {
        return because("IncorrectIssuer", why);
    }
    let (_, name) = object_id(certificate);
    if let Some(of) = held.annotations.get("cert-manager.io/certificate-name").filter(|of| *of != name) {
        return because("IncorrectCertificate", format!("the Secret was made for the Certificate {of:?}"));
    }
    let names: BTreeSet<String> = texts(&spec["dnsNames"]).map(str::to_owned).collect();
    let wanted: BTreeSet<String> = names.iter().cloned().chain(super::fields::some_text(&spec["commonName"])).collect();
    match request {
        Some(request) => {
            if let Some((word, why)) = other_request(spec, request, &facts.public_key, &names) {
                return because(word, why);
            }
        }
        // Without a request the names of the certificate are compared: all of them, and no others.
        None => {
            let of_subject = facts::common_name(leaf).into_iter().filter(|name| !name.is_empty());
            let held: BTreeSet<String> = facts.names.iter().map(ToString::to_string).chain(of_subject).collect();
            if held != wanted {
                return because("SecretMismatch", difference(&wanted, &held));
            }
        }
    }
    let renewal = renewal(spec, facts.not_before, facts.not_after);
    (renewal <= now).then(|| Reissue { word: "Renewing", why: format!("its certificate is due since {renewal}") })
}

/// Why the key is not of the kind that a Certificate asks for. Where it asks for none, cert-manager asks for RSA of 2048 bits.
fn other_key(asked: &Value, held: PublicKeyKind) -> Option<String> {
    let size = asked["size"].as_u64().filter(|size| *size > 0).and_then(|size| usize::try_from(size).ok());
    let wanted = match text(&asked["algorithm"]) {
        "" | "RSA" => PublicKeyKind::Rsa(size.unwrap_or(2048)),
        "ECDSA" => PublicKeyKind::Ecdsa(size.unwrap_or(256)),
        _ => PublicKeyKind::Other,
    };
    let words = |kind: PublicKeyKind| match kind {
        PublicKeyKind::Rsa(bits) => format!("RSA {bits}"),
        PublicKeyKind::Ecdsa(bits) => format!("ECDSA {bits}"),
        PublicKeyKind::Other => "one of another kind".to_owned(),
    };
    let by = if is_unset(&asked["algorithm"]) && size.is_none() { ", cert-manager's default" } else { "" };
    (wanted != held).then(|| format!("its key is {}, and the Certificate asks for {}{by}", words(held), words(wanted)))
}

/// Why the annotations are not about the issuer that a Certificate names. cert-manager means to leave Secrets without annotations alone, and
/// does so for its kind Issuer only: it compares kind and group in any case.
fn other_issuer(reference: &Value, annotations: &BTreeMap<String, String>) -> Option<String> {
    let mark = |name: &str| annotations.get(&format!("cert-manager.io/issuer-{name}")).map(String::as_str);
    let (name, kind, group) = (mark("name"), mark("kind"), mark("group"));
    let has_marks = name.is_some() || kind.is_some() || group.is_some();
    let wanted = |field: &str| text(&reference[field]).to_owned();
    let wanted = IssuerReference { group: wanted("group"), kind: wanted("kind"), name: wanted("name") };
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    let of_kind = |text: &str| or(text, IssuerKind::Issuer.name());
    let of_group = |text: &str| or(text, "cert-manager.io");
    let (held_name, held_kind) = (name.unwrap_or_default(), of_kind(kind.unwrap_or_default()));
    let differs = (has_marks && held_name != wanted.name)
        || held_kind != of_kind(&wanted.kind)
        || of_group(group.unwrap_or_default()) != of_group(&wanted.group);
    differs.then(|| match has_marks {
        true => format!("the Secret was made by the {held_kind} {held_name:?}"),
        false => format!(
            "the Secret does not say by which issuer it was made, and its {} counts as another one",
            wanted.kind
        ),
    })
}

/// Why the request of the present revision is not the one that cert-manager would make now, with its word. A request that can not be read
/// here is taken for the right one, and its subject is not compared.
fn other_request(
    spec: &Value,
    request: &Value,
    held_key: &[u8; 32],
    names: &BTreeSet<String>,
) -> Option<(&'static str, String)> {
    const CHANGED: &str = "RequestChanged";
    let asked = &request["spec"];
    if let Ok(csr) = CertificateRequest::from_base64(text(&asked["request"])) {
        if csr.public_key() != held_key {
            return Some(("SecretMismatch", "the CertificateRequest of its revision is for another key".to_owned()));
        }
        let requested: BTreeSet<String> = csr.names().iter().map(ToString::to_string).collect();
        if requested != *names {
            return Some((
                CHANGED,
                format!("by the CertificateRequest of its revision {}", difference(names, &requested)),
            ));
        }
    }
    let sorted = |list: &Value| {
        let mut all: Vec<String> = texts(list).map(str::to_owned).collect();
        all.sort();
        all
    };
    let durations = (go_duration(text(&asked["duration"])), go_duration(text(&spec["duration"])));
    let field = [
        ("isCA", (asked["isCA"] == true) != (spec["isCA"] == true)),
        ("usages", sorted(&asked["usages"]) != sorted(&spec["usages"])),
        ("duration", matches!(durations, (Some(asked), Some(wanted)) if asked != wanted)),
        (
            "issuerRef",
            ["name", "kind", "group"].iter().any(|f| text(&asked["issuerRef"][f]) != text(&spec["issuerRef"][f])),
        ),
    ];
    let (field, _) = field.into_iter().find(|(_, differs)| *differs)?;
    Some((CHANGED, format!("the CertificateRequest of its revision has another value of {field}")))
}

/// The names that are missing and those that are too many.
fn difference(wanted: &BTreeSet<String>, held: &BTreeSet<String>) -> String {
    let list = |of: &BTreeSet<String>, without: &BTreeSet<String>| {
        let names: Vec<&str> = of.difference(without).map(String::as_str).take(NAMES_SHOWN).collect();
        names.join(", ")
    };
    let (missing, extra) = (list(wanted, held), list(held, wanted));
    match (missing.is_empty(), extra.is_empty()) {
        (_, true) => format!("its certificate lacks {missing}"),
        (true, false) => format!("its certificate is also for {extra}"),
        (false, false) => format!("its certificate lacks {missing} and is also for {extra}"),
    }
}

/// The names that one sentence shows of each kind.
const NAMES_SHOWN: usize = 5;

/// The time from which on cert-manager renews: `renewBefore`, or the share of the lifetime, or a third of it.
fn renewal(spec: &Value, begin: Time, end: Time) -> Time {
    let lifetime = end.since(begin);
    let asked = go_duration(text(&spec["renewBefore"])).filter(|before| *before < lifetime);
    let share = spec["renewBeforePercentage"].as_u64().filter(|percent| (1..100).contains(percent));
    let share = share.and_then(|percent| u32::try_from(percent).ok()).map(|percent| lifetime * percent / 100);
    let before: Duration = asked.or(share).unwrap_or(lifetime / 3);
    end - before
}

#[cfg(test)]
mod tests;
