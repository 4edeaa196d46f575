//! A Certificate as a wish. Pure.
//!
//! Untrusted: anybody writes a Certificate who may create one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::SourceRef;
use super::super::hosts::{quoted, sentence};
use super::super::resource::{IssuerOfObject, ResourceOptions};
use super::super::wish::{ObjectWishes, Wish, WishOptions, WishProblem, WishReason};
use super::issuer::{IssuerFacts, NotServed, ServedIssuer};
use crate::base::limits::{DOMAINS_MAX, OBJECT_OCTETS_MAX, OBJECT_PROBLEMS_MAX};
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::cert_manager::fields::is_unset;
use crate::cert_manager::{Certificate, IssuerKind, IssuerReference, SolverKind, choose};
use crate::config::ZoneRule;
use crate::config::challenge::ChallengeType;
use crate::config::entry::KeyType;
use crate::config::fields::duration;
use crate::config::metadata::{check_annotation, check_label};

/// The prefix of cert-manager's own marks on Secrets.
const THEIR_PREFIX: &str = "cert-manager.io/";

/// The prefix of the annotations that change how a name is proved.
const ROUTE_PREFIX: &str = "acme.cert-manager.io/";

/// The fields of `spec` that each Certificate has for itself.
const OWN: [&str; 3] = ["secretName", "dnsNames", "commonName"];

/// A Certificate as its watch showed it. There may be 10,000: the text of what counts is kept, and read again when it is needed. The status
/// does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateObject {
    /// The Certificate.
    pub source: SourceRef,
    /// The time at which it was created.
    pub created: Option<Time>,
    /// The values of [`OWN`], in JSON; empty where the object has too many octets.
    text: Box<str>,
    settings: Arc<SharedSettings>,
}

/// The settings and the issuer that most Certificates have in common. There may be 10,000 of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SharedSettings {
    /// The labels, the annotations that count, and the other fields of `spec`, in JSON.
    text: Box<str>,
    /// The issuer that the Certificate names; `None` where that is none of cert-manager's, or nothing is read.
    issuer: Option<IssuerKey>,
}

/// An issuer, named by kind and place.
pub type IssuerKey = (IssuerKind, ObjectRef);

impl CertificateObject {
    /// Reads a Certificate.
    pub fn read(source: &SourceRef, object: &Value) -> CertificateObject {
        let metadata = &object["metadata"];
        let created = metadata["creationTimestamp"].as_str().and_then(Time::parse_rfc3339);
        let all = metadata["annotations"].as_object().into_iter().flatten();
        let annotations: Map<String, Value> = all
            .filter(|(key, _)| key.starts_with(ROUTE_PREFIX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let own = Value::from(OWN.map(|field| object["spec"][field].clone()).to_vec());
        let spec = object["spec"].as_object().into_iter().flatten();
        let spec = spec.filter(|(field, _)| !OWN.contains(&field.as_str()));
        let spec: Map<String, Value> = spec.map(|(field, value)| (field.clone(), value.clone())).collect();
        let mut kept = json!({"spec": spec});
        for (field, value) in [("labels", metadata["labels"].clone()), ("annotations", annotations.into())] {
            if !is_unset(&value) {
                kept["metadata"][field] = value;
            }
        }
        let (text, settings) = (own.to_string(), kept.to_string());
        let is_kept = text.len().saturating_add(settings.len()) <= OBJECT_OCTETS_MAX;
        let (text, settings) = if is_kept { (text, settings) } else { Default::default() };
        let shared = |issuer| Arc::new(SharedSettings { text: settings.clone().into(), issuer });
        let unread = CertificateObject { source: source.clone(), created, text: text.into(), settings: shared(None) };
        let issuer = unread.certificate().ok().and_then(|certificate| issuer_key(&certificate));
        CertificateObject { settings: shared(issuer), ..unread }
    }

    /// The same, which shares its settings and the name of its issuer with the Certificate that was read before, where they are equal.
    pub fn sharing(self, before: &mut Arc<SharedSettings>) -> CertificateObject {
        if *before != self.settings {
            *before = self.settings;
        }
        CertificateObject { settings: before.clone(), ..self }
    }

    /// The issuer that the Certificate names; `None` where that is none of cert-manager's, or nothing is read.
    pub fn issuer(&self) -> Option<&IssuerKey> {
        self.settings.issuer.as_ref()
    }

    /// The octets that are kept of the Certificate.
    #[cfg(test)]
    pub fn octets(&self) -> usize {
        size_of::<CertificateObject>() + self.text.len() + self.settings.text.len()
    }

    /// The Certificate.
    ///
    /// # Errors
    /// Why there can be no certificate.
    pub fn certificate(&self) -> Result<Certificate, String> {
        if self.text.is_empty() {
            return Err(format!("it has more than {OBJECT_OCTETS_MAX} octets"));
        }
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON that was written here reads back");
        let (own, mut object) = (read(&self.text), read(&self.settings.text));
        for (place, field) in OWN.iter().enumerate().filter(|(place, _)| !own[*place].is_null()) {
            object["spec"][field] = own[place].clone();
        }
        object["metadata"]["namespace"] = self.source.namespace().into();
        object["metadata"]["name"] = self.source.name().into();
        let certificate = Certificate::read(&object)?;
        match certificate.domains.len() {
            count if count > DOMAINS_MAX => Err(format!("it has {count} names, and CAs allow {DOMAINS_MAX}")),
            _ => Ok(certificate),
        }
    }

    /// The wish, served by the issuer as it is now. `listens` says whether http-01 challenges are answered.
    pub fn wishes(&self, issuer: Option<&IssuerFacts>, listens: bool) -> ObjectWishes {
        let (mut wishes, mut problems) = (Vec::new(), Vec::new());
        match &self.certificate() {
            Err(why) => problems.push(problem(WishReason::Invalid, "spec", why.clone())),
            Ok(certificate) => {
                let by = self.served(certificate, issuer, listens);
                let notes = notes(certificate, issuer).into_iter().take(OBJECT_PROBLEMS_MAX);
                problems.extend(notes.map(|note| problem(WishReason::Skipped, "spec", note)));
                wishes.push(self.wish(certificate, by));
            }
        }
        ObjectWishes { source: self.source.clone(), wishes, problems }
    }

    fn wish(&self, certificate: &Certificate, issuer: Result<IssuerOfObject, WishProblem>) -> Wish {
        let key = &certificate.key;
        let resource = ResourceOptions {
            revocations: Arc::default(),
            created: self.created,
            issuer: issuer.map(Some),
            renew_before_percent: percent(certificate).and_then(Result::ok),
            renewal: None,
            csr: None,
            reuse_key: key.is_kept,
            keep_key_type: !key.is_asked,
        };
        let options = WishOptions {
            key_type: Some(if key.is_asked { key.key_type } else { KeyType::EcdsaP256 }),
            renew_before: certificate.renew_before.as_deref().and_then(|text| duration(text).ok()),
            labels: kept(&certificate.secret_labels, check_label),
            annotations: kept(&certificate.secret_annotations, check_annotation),
            resource: Some(Arc::new(resource)),
            ..WishOptions::default()
        };
        Wish::of_resource(&certificate.secret, &certificate.domains, options)
    }

    /// The issuer with a rule for each name.
    ///
    /// # Errors
    /// Why nothing can be ordered for the Certificate.
    fn served(
        &self,
        certificate: &Certificate,
        issuer: Option<&IssuerFacts>,
        listens: bool,
    ) -> Result<IssuerOfObject, WishProblem> {
        let refused = |why: String| problem(WishReason::Refused, "spec", why);
        let named = issuer_words(&certificate.issuer);
        if self.issuer().is_none() {
            let why = format!(
                "{named} is not an ACME issuer of cert-manager, and notariat serves no other: the Secret stays as it is"
            );
            return Err(problem(WishReason::Skipped, "spec.issuerRef", why));
        }
        let Some(facts) = issuer else {
            let why = format!("{named} does not exist; the certificate is ordered as soon as it does");
            return Err(problem(WishReason::Waiting, "spec.issuerRef", why));
        };
        let served = match &facts.served {
            Ok(served) => served,
            Err(NotServed::NotAcme) => {
                let why =
                    format!("{named} is not an ACME issuer, and notariat serves no other: the Secret stays as it is");
                return Err(problem(WishReason::Skipped, "spec.issuerRef", why));
            }
            Err(NotServed::Faulty(why)) => {
                return Err(problem(WishReason::Waiting, "spec.issuerRef", format!("{named} {why}")));
            }
        };
        let faults =
            [&certificate.refused[..], &served.acme.refuses(certificate), &template_faults(certificate)].concat();
        if !faults.is_empty() {
            return Err(refused(faults.join("; ")));
        }
        let zones = zones(certificate, served, listens).map_err(|why| refused(format!("{why} ({named})")))?;
        Ok(IssuerOfObject { issuer: served.issuer.clone(), zones: Some(zones.into()) })
    }
}

/// The issuer that a Certificate names, where it is one of cert-manager's.
fn issuer_key(certificate: &Certificate) -> Option<IssuerKey> {
    let IssuerReference { group, kind, name } = &certificate.issuer;
    let kind = IssuerKind::parse(if kind.is_empty() { IssuerKind::Issuer.name() } else { kind })?;
    let is_theirs = group.is_empty() || group == "cert-manager.io";
    let namespace = if kind == IssuerKind::Issuer { certificate.namespace.as_str() } else { "" };
    is_theirs.then(|| (kind, ObjectRef::new(namespace, name)))
}

fn problem(reason: WishReason, place: &str, text: String) -> WishProblem {
    WishProblem { reason, place: place.to_owned(), sentence: sentence(&text) }
}

/// The issuer, for sentences.
fn issuer_words(IssuerReference { group, kind, name }: &IssuerReference) -> String {
    let kind = if kind.is_empty() { IssuerKind::Issuer.name() } else { kind };
    match group.as_str() {
        "" | "cert-manager.io" => format!("the {} {}", plain(kind), quoted(name)),
        group => format!("the {} {} of {}", plain(kind), quoted(name), quoted(group)),
    }
}

/// A kind, which only a word may be.
fn plain(kind: &str) -> String {
    if kind.chars().all(|c| c.is_ascii_alphanumeric()) { kind.chars().take(64).collect() } else { quoted(kind) }
}

/// Sentences about fields that change nothing, each said once.
fn notes(certificate: &Certificate, issuer: Option<&IssuerFacts>) -> Vec<String> {
    let acme = issuer.and_then(|facts| facts.served.as_ref().ok()).map(|served| &served.acme);
    let of_issuer = acme.into_iter().flat_map(|acme| acme.without_effect.iter().chain(&acme.unknown));
    let mut all: Vec<String> = certificate.without_effect.iter().chain(&certificate.unknown).cloned().collect();
    if let Some(text) = &certificate.renew_before
        && let Err(e) = duration(text)
    {
        all.push(format!("renewBefore {} {e}: the usual time counts", quoted(text)));
    }
    if let Some(Err(given)) = percent(certificate) {
        all.push(format!("renewBeforePercentage {given} would renew for ever: the usual time counts"));
    }
    all.extend(of_issuer.map(|said| format!("of its issuer {said}")));
    all
}

/// `renewBeforePercentage`; an error where it is none below two thirds of the lifetime.
fn percent(certificate: &Certificate) -> Option<Result<u32, u64>> {
    let given = certificate.renew_before_percentage.filter(|_| certificate.renew_before.is_none())?;
    Some(u32::try_from(given).ok().filter(|percent| (1..=66).contains(percent)).ok_or(given))
}

/// The labels or annotations of `secretTemplate` that may be written.
fn kept(all: &BTreeMap<String, String>, check: impl Fn(&str, &str) -> Result<(), String>) -> BTreeMap<String, String> {
    let is_kept = |key: &str, value: &str| !key.starts_with(THEIR_PREFIX) && check(key, value).is_ok();
    let kept = all.iter().filter(|(key, value)| is_kept(key, value));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The faults of `secretTemplate`.
fn template_faults(certificate: &Certificate) -> Vec<String> {
    let allowed = |key: &str| key == "cert-manager.io/allow-direct-injection";
    let fault = |(key, value): (&String, &String), check: &dyn Fn(&str, &str) -> Result<(), String>| match key
        .starts_with(THEIR_PREFIX)
    {
        true if allowed(key) => None,
        true => Some(format!("secretTemplate: {} is a mark that only the issuer of a Secret writes", quoted(key))),
        false => check(key, value).err().map(|e| format!("secretTemplate: {}: {e}", quoted(key))),
    };
    let labels = certificate.secret_labels.iter().filter_map(|pair| fault(pair, &check_label));
    let annotations = certificate.secret_annotations.iter().filter_map(|pair| fault(pair, &check_annotation));
    labels.chain(annotations).collect()
}

/// A rule for each name: the server and the key of the solver that cert-manager would choose.
///
/// # Errors
/// The first name that can not be proved, and why.
fn zones(certificate: &Certificate, served: &ServedIssuer, listens: bool) -> Result<Vec<ZoneRule>, String> {
    let mut rules: BTreeMap<&str, ZoneRule> = BTreeMap::new();
    for name in &certificate.domains {
        let rule = rule(certificate, served, listens, name)?;
        match rules.get_mut(name.base().as_str()) {
            None => drop(rules.insert(name.base().as_str(), rule)),
            Some(known) => {
                // The name and its wildcard are proved at one place by DNS-01; only the name itself can be proved by HTTP-01.
                let both_dns = known.server.is_some() && rule.server.is_some();
                if both_dns && (&known.server, known.key()) != (&rule.server, rule.key()) {
                    return Err(format!(
                        "{} and its wildcard are proved at one place, and have two solvers",
                        name.base()
                    ));
                }
                let http = [known.challenge, rule.challenge].contains(&Some(ChallengeType::Http01));
                let (server, tsig_secret, tsig_key) = match known.server.is_some() {
                    true => (known.server.take(), known.tsig_secret.take(), known.tsig_key.take()),
                    false => (rule.server, rule.tsig_secret, rule.tsig_key),
                };
                let challenge = Some(if http { ChallengeType::Http01 } else { ChallengeType::Dns01 });
                *known = ZoneRule { server, tsig_secret, tsig_key, challenge, ..known.clone() };
            }
        }
    }
    Ok(rules.into_values().collect())
}

/// The rule for one name.
fn rule(certificate: &Certificate, served: &ServedIssuer, listens: bool, name: &Domain) -> Result<ZoneRule, String> {
    let solvers = &served.acme.solvers;
    let choice = choose(solvers, name, &certificate.labels).ok_or_else(|| format!("{name} has no solver"))?;
    let at = solvers.iter().position(|solver| std::ptr::eq(solver, choice.solver)).unwrap_or_default();
    if choice.solver.waits_instead {
        return Err(format!(
            "{name} has a solver with waitInsteadOfSelfCheck: notariat looks whether a challenge can be seen before it asks the CA"
        ));
    }
    let zone = name.base().clone();
    let rule = ZoneRule { zone, server: None, tsig_secret: None, tsig_key: None, find_zone: true, challenge: None };
    match &choice.solver.challenge {
        SolverKind::Update(_) => {
            let access =
                served.access.get(at).and_then(Option::as_ref).ok_or_else(|| format!("{name} has no solver"))?;
            let access = access.as_ref().map_err(|why| format!("{name} has a solver that can not be used: {why}"))?;
            let (server, challenge) = (Some(access.server.clone()), Some(ChallengeType::Dns01));
            let (tsig_secret, tsig_key) = (Some(access.secret.clone()), Some(access.parts.clone()));
            Ok(ZoneRule { server, tsig_secret, tsig_key, challenge, ..rule })
        }
        SolverKind::Http if listens => Ok(ZoneRule { challenge: Some(ChallengeType::Http01), ..rule }),
        SolverKind::Http => Err(format!(
            "{name} is proved by HTTP-01, and this notariat answers no such challenge: start it with -http-listen, and lead the path to it (`notariat http-route`)"
        )),
        SolverKind::Provider(provider) => Err(format!(
            "{name} is proved by DNS-01 at the provider {}, and notariat sends DNS UPDATE: lead the challenge into a zone of your own by a CNAME",
            quoted(provider)
        )),
        SolverKind::Unknown => Err(format!("{name} has a solver that proves nothing that is known here")),
    }
}
