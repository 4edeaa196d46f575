//! The key `issuers` of a ConfigMap: named CAs with their settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::domain_filter;
pub use super::domain_filter::DomainFilter;
use super::entry::{Entry, email, profile, secret_name};
use super::fields::{FieldError, MapReader, one_of, require};
use super::namespaces::Namespaces;
use super::node::YamlNode;
use super::table::{BUILT_IN_ISSUERS, CHALLENGES, ISSUER};
use super::zones::data_key;
use crate::base::challenge_type::ChallengeType;
use crate::base::limits::{CA_OCTETS_MAX, ISSUERS_MAX};
use crate::base::name::{ObjectRef, check_namespace};
use crate::base::sanitize::{CREDENTIALS, has_credentials};
use crate::cert::facts::certificates;

/// Tells whether every ConfigMap has this issuer.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN_ISSUERS.iter().any(|(known, _)| *known == name)
}

/// A named CA. The serialized form reads back, so that a record keeps the issuer with which an entry was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// The name that entries use.
    #[serde(skip)]
    pub name: String,
    /// The URL of its ACME directory.
    pub directory: String,
    /// The contact of accounts, where an entry has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The Secret with further roots of trust for the CA's server, data key `ca.crt`.
    #[serde(rename = "caSecretName", skip_serializing_if = "Option::is_none")]
    pub ca_secret: Option<ObjectRef>,
    /// Further roots of trust in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The Secret of the external account binding, data keys `kid` and `hmacKey`.
    #[serde(rename = "eabSecretName", skip_serializing_if = "Option::is_none")]
    pub eab_secret: Option<ObjectRef>,
    /// The key ID of the binding, where the Secret has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eab_key_id: Option<String>,
    /// The data key of the MAC key; `hmacKey` when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eab_secret_key: Option<String>,
    /// The Secret of an account key that exists already.
    #[serde(rename = "accountSecretName", skip_serializing_if = "Option::is_none")]
    pub account_secret: Option<ObjectRef>,
    /// The data key of the account key; one of some usual names when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_secret_key: Option<String>,
    /// True where an account of our own is made where that Secret does not exist.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub account_secret_optional: bool,
    /// The common name of the issuer of the last certificate in the wanted chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_chain: Option<String>,
    /// The profile of entries that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The type of challenge of entries and zones that say none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeType>,
    /// The names that the issuer may be used for.
    #[serde(skip_serializing_if = "DomainFilter::is_all")]
    pub domains: DomainFilter,
    /// Orders that may be made within 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders_per_day: Option<u32>,
    /// The issuers of cert-manager, by name, whose objects are served with this one. No part of what a record keeps: they choose objects
    /// and change no certificate.
    #[serde(skip)]
    pub replaces: Vec<String>,
}

/// All issuers of a ConfigMap.
pub type Issuers = BTreeMap<String, Arc<Issuer>>;

/// Reads the key `issuers`: a mapping from names to issuers, besides those that are built in. Faults begin with the key.
pub(super) fn read(node: Option<&YamlNode>, namespaces: &Namespaces, errors: &mut Vec<String>) -> Issuers {
    let mut all: Issuers = BUILT_IN_ISSUERS
        .into_iter()
        .map(|(name, directory)| {
            let fields = vec![(YamlNode::Text("directory".to_owned()), YamlNode::Text(directory.to_owned()))];
            (
                name.to_owned(),
                Arc::new(Issuer::read(name, &YamlNode::Map(fields), namespaces).expect("a directory is enough")),
            )
        })
        .collect();
    let items = match node {
        None => return all,
        Some(YamlNode::Map(items)) if items.len() <= ISSUERS_MAX => items,
        Some(YamlNode::Map(items)) => {
            errors.push(format!("key `issuers`: has {} issuers; {ISSUERS_MAX} are possible", items.len()));
            return all;
        }
        Some(other) => {
            errors.push(format!(
                "key `issuers`: is {}; it must be a mapping, each line `name: {{directory: …}}`",
                other.kind()
            ));
            return all;
        }
    };
    let mut seen: Vec<&str> = Vec::new();
    for (key, item) in items {
        let YamlNode::Text(name) = key else {
            errors.push(format!("key `issuers`: has a name that is {}", key.kind()));
            continue;
        };
        if seen.contains(&name.as_str()) {
            errors.push(format!("key `issuers`: {name:?} stands here twice"));
        }
        seen.push(name);
        if check_namespace(name).is_err() {
            errors.push(format!("key `issuers`: {name:?} is not a name of lower-case letters, digits and `-`"));
        }
        // A built-in issuer may be extended without repeating its URL.
        let whole = super::defaults::merged(item, &all.get(name).map_or(YamlNode::Null, |i| directory_of(i)), &mut 0);
        match Issuer::read(name, &whole, namespaces) {
            Ok(issuer) => {
                all.insert(name.clone(), Arc::new(issuer));
            }
            Err(faults) => errors.extend(faults.iter().map(|f| format!("key `issuers` {name}: {f}"))),
        }
    }
    errors.extend(replaced_twice(&all));
    all
}

/// The issuers of cert-manager that these replace: their name to the name of ours.
pub fn replaced(issuers: &Issuers) -> BTreeMap<String, String> {
    let pairs = |(name, issuer): (&String, &Arc<Issuer>)| -> Vec<(String, String)> {
        issuer.replaces.iter().map(|theirs| (theirs.clone(), name.clone())).collect()
    };
    issuers.iter().flat_map(pairs).collect()
}

fn replaced_twice(issuers: &Issuers) -> Vec<String> {
    let mut by: BTreeMap<&str, &str> = BTreeMap::new();
    let names = issuers.iter().flat_map(|(name, issuer)| issuer.replaces.iter().map(move |theirs| (name, theirs)));
    let fault = |(name, theirs): (&'_ String, &'_ String), other: &str| {
        format!(
            "key `issuers` {name}: replaces: {theirs:?} is replaced by {other} already; one issuer of cert-manager has one of notariat"
        )
    };
    names.filter_map(|(name, theirs)| Some(fault((name, theirs), by.insert(theirs, name)?))).collect()
}

/// Faults of entries that would write into a Secret which an issuer reads: its contents would be lost.
pub(super) fn input_faults(entry: &Entry, issuers: &Issuers) -> Vec<FieldError> {
    let mut faults = Vec::new();
    for (name, issuer) in issuers {
        for (field, input) in [("accountSecretName", &issuer.account_secret), ("eabSecretName", &issuer.eab_secret)] {
            if let Some(at) = input.as_ref().filter(|at| entry.secrets.contains(at)) {
                let sentence =
                    format!("{at} is `{field}` of the issuer {name}, which is never overwritten: name another one");
                faults.push(FieldError { field: "secret".to_owned(), sentence });
            }
        }
    }
    faults
}

fn directory_of(issuer: &Issuer) -> YamlNode {
    YamlNode::Map(vec![(YamlNode::Text("directory".to_owned()), YamlNode::Text(issuer.directory.clone()))])
}

impl Issuer {
    /// Reads one issuer.
    ///
    /// # Errors
    /// Every fault.
    pub fn read(name: &str, node: &YamlNode, namespaces: &Namespaces) -> Result<Issuer, Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut fields = MapReader::of(node, ISSUER, "", &mut faults);
        let secret = |t: &str| secret_name(t, namespaces);
        let directory = fields.text("directory", &mut faults, directory_url);
        let issuer = Issuer {
            name: name.to_owned(),
            email: fields.text("email", &mut faults, email),
            ca_secret: fields.text("caSecretName", &mut faults, secret),
            ca: fields.text("ca", &mut faults, roots),
            eab_key_id: fields.text("eabKeyId", &mut faults, some_text),
            eab_secret_key: fields.text("eabSecretKey", &mut faults, data_key),
            account_secret_key: fields.text("accountSecretKey", &mut faults, data_key),
            account_secret_optional: fields.bool("accountSecretOptional", &mut faults).unwrap_or_default(),
            eab_secret: fields.text("eabSecretName", &mut faults, secret),
            account_secret: fields.text("accountSecretName", &mut faults, secret),
            preferred_chain: fields.text("preferredChain", &mut faults, some_text),
            profile: fields.text("profile", &mut faults, profile),
            challenge: fields.text("challenge", &mut faults, |t| one_of(t, &CHALLENGES)),
            domains: match fields.take("domains") {
                Some(node) => domain_filter::read(node, &mut faults),
                None => DomainFilter::default(),
            },
            orders_per_day: fields.number("ordersPerDay", &mut faults),
            replaces: fields.list("replaces", &mut faults, issuer_name).unwrap_or_default(),
            directory: directory.clone().unwrap_or_default(),
        };
        if matches!(node, YamlNode::Map(_)) {
            fields.finish(&mut faults);
            if directory.is_none() {
                require("directory", "the URL of the ACME directory", node, &mut faults);
            }
        }
        if faults.is_empty() { Ok(issuer) } else { Err(faults) }
    }
}

/// Reads an https URL, as RFC 8555 section 6.1 demands.
///
/// # Errors
/// When the text is none.
pub fn directory_url(text: &str) -> Result<String, &'static str> {
    match text.strip_prefix("https://") {
        _ if has_credentials(text) => Err(CREDENTIALS),
        Some(rest)
            if !rest.is_empty()
                && !rest.starts_with(['/', ':', '?', '#'])
                && text.len() <= 2048
                && !text.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("is not an https URL"),
    }
}

/// Reads the name of an Issuer or ClusterIssuer: a DNS subdomain.
pub fn issuer_name(text: &str) -> Result<String, String> {
    let named = ObjectRef::parse(text, "any").ok().filter(|_| !text.contains('/'));
    named
        .map(|at| at.name.to_string())
        .ok_or_else(|| "is not the name of an issuer of cert-manager; write it without its namespace".to_owned())
}

/// Reads certificates in PEM.
///
/// # Errors
/// The rest of a sentence that begins with the text.
pub fn roots(text: &str) -> Result<String, String> {
    match text.len() {
        octets if octets > CA_OCTETS_MAX => Err(format!("has {octets} octets; {CA_OCTETS_MAX} are possible")),
        _ => {
            certificates(text.as_bytes()).map(|_| text.to_owned()).map_err(|e| format!("is no certificate in PEM: {e}"))
        }
    }
}

fn some_text(text: &str) -> Result<String, &'static str> {
    match (1..=256).contains(&text.trim().len()) {
        true => Ok(text.trim().to_owned()),
        false => Err("is empty or too long"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Domain;
    use crate::config::node;

    fn issuers(yaml: &str) -> Result<Issuers, String> {
        let mut errors = Vec::new();
        let found = read(Some(&node::read(yaml).unwrap()), &Namespaces::new("ns", &["x".to_owned()]), &mut errors);
        if errors.is_empty() { Ok(found) } else { Err(errors.join("; ")) }
    }

    #[test]
    fn issuers_are_read_and_two_are_built_in() {
        let found = issuers(
            "lab: {directory: 'https://ca.test/dir', email: A@b.test, caSecretName: roots, eabSecretName: x/eab, accountSecretName: acct, preferredChain: 'Root X', profile: short, ordersPerDay: 50, domains: {include: [b.test], exclude: [no.b.test]}}\nletsencrypt: {email: me@b.test}",
        )
        .unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["lab", "letsencrypt", "letsencrypt-staging"]);
        let own = &found["letsencrypt"];
        assert_eq!((own.directory.as_str(), own.email.as_deref()), (BUILT_IN_ISSUERS[0].1, Some("me@b.test")));
        let lab = &found["lab"];
        assert_eq!(lab.eab_secret.as_ref().unwrap().to_string(), "x/eab");
        for (name, held) in [
            ("b.test", true),
            ("*.b.test", true),
            ("a.b.test", true),
            ("no.b.test", false),
            ("x.no.b.test", false),
            ("c.test", false),
            ("ab.test", false),
        ] {
            assert_eq!(lab.domains.holds(&Domain::parse(name).unwrap()), held, "{name}");
        }
        assert_eq!(lab.domains.to_string(), "names at and below b.test but not no.b.test");
        assert!(lab.replaces.is_empty() && replaced(&found).is_empty());
        // The record keeps it in the words of the configuration.
        let kept: YamlNode = serde_json::from_value(serde_json::to_value(&**lab).unwrap()).unwrap();
        assert_eq!(Issuer::read("lab", &kept, &Namespaces::new("ns", &["x".to_owned()])).unwrap(), **lab);
    }

    #[test]
    fn issuers_of_cert_manager_are_replaced_by_name() {
        let found = issuers(
            "lab: {directory: 'https://ca.test/dir', replaces: [old.staging, two]}\nletsencrypt: {replaces: [prod]}",
        )
        .unwrap();
        let pairs: Vec<_> = replaced(&found).into_iter().collect();
        let expected = [("old.staging", "lab"), ("prod", "letsencrypt"), ("two", "lab")];
        assert_eq!(pairs, expected.map(|(theirs, ours)| (theirs.to_owned(), ours.to_owned())));
        let text = serde_json::to_string(&*found["lab"]).unwrap();
        assert!(!text.contains("replaces"), "the form that a record keeps does not change with it: {text}");
        let many = format!(
            "letsencrypt: {{replaces: [{}]}}",
            (0..101).map(|i| format!("n{i}")).collect::<Vec<_>>().join(", ")
        );
        assert!(issuers(&many).unwrap_err().contains("has 101 names"));
    }

    #[test]
    fn each_fault_has_its_sentence() {
        for (yaml, part) in [
            ("[]", "must be a mapping"),
            ("lab: {}", "key `issuers` lab: directory: is missing"),
            ("lab: text", "is text; it must be a mapping"),
            ("lab: {directory: 'http://ca.test'}", "directory: \"http://ca.test\" is not an https URL"),
            ("lab: {directory: \"https://ca.test/\\e[2J\"}", "is not an https URL"),
            ("lab: {directory: 'https://me:hunter2@ca.test'}", "directory: has a user name or password in it"),
            ("lab: {directory: 'http://me:hunter2@ca.test'}", "directory: has a user name or password in it"),
            ("lab: {directory: 'https:///dir'}", "directory: \"https:///dir\" is not an https URL"),
            ("lab: {directory: 'https://ca.test', ordersPerDay: 0}", "ordersPerDay"),
            ("lab: {directory: 'https://ca.test', color: red}", "color"),
            ("lab: {directory: 'https://ca.test', domains: {only: [a.test]}}", "domains.only"),
            ("Lab: {directory: 'https://ca.test'}", "\"Lab\" is not a name"),
            ("lab: {directory: 'https://ca.test', profile: 'a b'}", "is not the name of a profile"),
            ("7: {directory: 'https://ca.test'}", "has a name that is"),
            ("letsencrypt: {replaces: text}", "replaces"),
            ("letsencrypt: {replaces: [team/prod]}", "without its namespace"),
            ("letsencrypt: {replaces: [Prod]}", "replaces[0]: \"Prod\" is not the name of an issuer of cert-manager"),
            ("letsencrypt: {replaces: [7]}", "replaces[0]"),
            ("letsencrypt: {replaces: [a, a]}", "\"a\" is replaced by letsencrypt already"),
            (
                "lab: {directory: 'https://ca.test', replaces: [b, a]}\nletsencrypt: {replaces: [a]}",
                "\"a\" is replaced by lab already",
            ),
        ] {
            let error = issuers(yaml).expect_err(yaml);
            assert!(error.contains(part) && !error.contains("hunter2"), "{yaml}: {error}");
        }
    }
}
