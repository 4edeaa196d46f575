//! One entry of the list `certificates`, with each field checked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::csr;
use super::dns::DnsSettings;
use super::fields::{FieldError, MapReader, duration, one_of, require, text};
use super::http::HttpSettings;
use super::metadata::{Metadata, check_annotation, check_annotations, check_label, check_labels};
use super::namespaces::Namespaces;
use super::node::YamlNode;
use super::table::{CHALLENGES, DNS, ENTRY, KEY_TYPES};
use crate::base::challenge_type::ChallengeType;
use crate::base::limits::SECRETS_PER_ENTRY_MAX;
use crate::base::name::{ClusterName, DnsName, Domain, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::base::time::duration_text;
pub use crate::cert::key::KeyType;
use crate::cert::request::CertificateRequest;
use crate::dns::zone_policy::{ZonePolicy, ZoneRule};

/// The wish for one certificate in one or several Secrets.
///
/// [`Entry::form`] reads back through [`Entry::read`], so that a record keeps the last accepted form in the words
/// of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The Secrets that hold the certificate; at least one, all in one cluster. The first names the record.
    #[serde(flatten, serialize_with = "placed")]
    pub secrets: Vec<ObjectRef>,
    /// The names, sorted, each once; at least one. Those of the CSR where there is one.
    pub domains: Vec<Domain>,
    /// The CSR to order with. No key is made then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csr: Option<CertificateRequest>,
    /// The contact of the ACME account, lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<SharedStr>,
    /// The issuer by its name in the key `issuers`; the directory of the command line when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<SharedStr>,
    /// The profile to order; the issuer's when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<SharedStr>,
    /// The Secret that holds the TSIG key.
    #[serde(rename = "tsigSecretName", skip_serializing_if = "Option::is_none")]
    pub tsig_secret: Option<ObjectRef>,
    /// The type of challenge; that of the zone or of the issuer when not set. Wildcards are proved by dns-01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeType>,
    /// True where names without a TSIG key are proved by http-01 where nothing says a type of challenge. An Ingress asks for that by its
    /// annotation; no field of the configuration does.
    #[serde(rename = "httpWithoutKey", skip_serializing_if = "std::ops::Not::not")]
    pub http_without_key: bool,
    /// The settings of the http-01 challenge, where they are not the defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Box<HttpSettings>>,
    /// The DNS settings of the challenge.
    #[serde(serialize_with = "shared")]
    pub dns: Arc<DnsSettings>,
    /// The kind of the certificate's key, where it is made here.
    pub key_type: KeyType,
    /// True where the type of a held key is kept, so that [`Entry::key_type`] counts for the first key only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_key_type: bool,
    /// True if a renewal keeps the key of the certificate that it replaces.
    pub reuse_key: bool,
    /// The time before the expiry at which to renew, where the default is not wanted.
    #[serde(serialize_with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<Duration>,
    /// The same as a share of the lifetime in percent, where [`Entry::renew_before`] is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before_percent: Option<u32>,
    /// True if a Secret that another program owns is taken over.
    pub adopt: bool,
    /// True if the record keeps a copy of the stored pair, to restore a lost Secret without the CA.
    pub keep_copy: bool,
    /// Labels for the Secret.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub labels: Metadata,
    /// Annotations for the Secret.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub annotations: Metadata,
}

/// The fields `secret` and `cluster`.
fn placed<S: Serializer>(secrets: &[ObjectRef], s: S) -> Result<S::Ok, S::Error> {
    let names: Vec<String> = secrets.iter().map(|at| format!("{}/{}", at.namespace, at.name)).collect();
    let mut map = s.serialize_map(None)?;
    map.serialize_entry("secret", &names)?;
    if let Some(cluster) = secrets.first().and_then(|at| at.cluster.name()) {
        map.serialize_entry("cluster", cluster)?;
    }
    map.end()
}

fn optional_duration<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&d.map(duration_text).unwrap_or_default())
}

fn shared<S: Serializer>(dns: &Arc<DnsSettings>, s: S) -> Result<S::Ok, S::Error> {
    dns.serialize(s)
}

/// An entry that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidEntry {
    /// The place: the ConfigMap key and the entry's number from 1.
    pub place: String,
    /// The Secret, when that much can be read; its record holds the last accepted form.
    pub secret: Option<ObjectRef>,
    /// Every fault.
    pub faults: Vec<FieldError>,
}

impl fmt::Display for InvalidEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(secret) = &self.secret {
            write!(f, " ({secret})")?;
        }
        let faults: Vec<String> = self.faults.iter().map(FieldError::to_string).collect();
        write!(f, ": {}", faults.join("; "))
    }
}

impl Entry {
    /// The zones, servers and keys that the configuration gives for the names of this entry.
    pub fn zone_policy<'a>(&'a self, zones: &'a [ZoneRule]) -> ZonePolicy<'a> {
        ZonePolicy { domains: &self.domains, dns: &self.dns, tsig_secret: self.tsig_secret.as_ref(), zones }
    }

    /// Reads an entry; names without a namespace are in notariat's own.
    ///
    /// # Errors
    /// Every fault, in the order of the fields.
    pub fn read(node: &YamlNode, namespaces: &Namespaces) -> Result<Entry, Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut fields = MapReader::of(node, ENTRY, "", &mut faults);
        let before = faults.len();
        let cluster = fields.text("cluster", &mut faults, |t| namespaces.target(t)).unwrap_or_default();
        // Of a cluster that is refused the Secrets are judged as names only.
        let is_known = faults.len() == before;
        let mut secrets = secrets(fields.take("secret"), &mut faults, &|t| match is_known {
            true => namespaces.reference(t, &cluster),
            false => ObjectRef::parse(t, namespaces.own()).map_err(|e| e.to_string()),
        });
        secrets.shrink_to_fit();
        let domains = fields.list("domains", &mut faults, Domain::parse);
        let csr = fields.text("csr", &mut faults, CertificateRequest::from_pem);
        let email = fields.text("email", &mut faults, |t| email(t).map(|t| SharedStr::intern(&t)));
        let issuer = fields.text("issuer", &mut faults, |t| Ok::<_, String>(SharedStr::intern(t)));
        let profile = fields.text("profile", &mut faults, |t| profile(t).map(|t| SharedStr::intern(&t)));
        let tsig_secret = fields.text("tsigSecretName", &mut faults, |t| secret_name(t, namespaces));
        let challenge = fields.text("challenge", &mut faults, |t| one_of(t, &CHALLENGES));
        let http = fields.take("http").map(|node| Box::new(HttpSettings::read(node, &mut faults)));
        let dns = match fields.take("dns") {
            Some(node) => DnsSettings::read(node, &mut faults),
            None => DnsSettings::default(),
        };
        let key_type = fields.text("keyType", &mut faults, key_type);
        let keep_key_type = fields.bool("keepKeyType", &mut faults);
        let reuse_key = fields.bool("reuseKey", &mut faults);
        let renew_before = fields.text("renewBefore", &mut faults, duration);
        let renew_before_percent = fields.number("renewBeforePercent", &mut faults);
        let adopt = fields.bool("adopt", &mut faults);
        let keep_copy = fields.bool("keepCopy", &mut faults);
        let labels = Metadata::from(fields.texts("labels", &mut faults, check_label).unwrap_or_default());
        let annotations = fields.texts("annotations", &mut faults, check_annotation).unwrap_or_default();
        let annotations = Metadata::from(annotations);
        faults.extend(metadata_faults(&labels, &annotations));
        // A node that is no mapping is reported already.
        if matches!(node, YamlNode::Map(_)) {
            fields.finish_with(&mut faults, misplaced);
        }

        let domains = csr::names(node, domains, csr.as_ref(), &mut faults);
        if secrets.is_empty() {
            require("secret", "the name of the Secret that holds the certificate", node, &mut faults);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Entry {
            secrets,
            domains,
            csr,
            email,
            issuer,
            profile,
            tsig_secret,
            challenge,
            http_without_key: false,
            http,
            dns: Arc::new(dns),
            key_type: key_type.unwrap_or(KeyType::EcdsaP256),
            keep_key_type: keep_key_type.unwrap_or(false),
            reuse_key: reuse_key.unwrap_or(false),
            renew_before,
            renew_before_percent,
            adopt: adopt.unwrap_or(false),
            keep_copy: keep_copy.unwrap_or(true),
            labels,
            annotations,
        })
    }

    /// The entry in the format of the configuration, from which it reads back. Beside a CSR that format refuses the fields of keys that are made here.
    pub fn form(&self) -> serde_json::Value {
        let mut form = serde_json::to_value(self).expect("an entry is plain data with text keys");
        if let Some(fields) = form.as_object_mut().filter(|_| self.csr.is_some()) {
            csr::OF_OWN_KEYS.iter().for_each(|field| drop(fields.remove(*field)));
        }
        form
    }

    /// The time before the expiry at which a certificate of this lifetime is renewed; `None` for the default.
    pub fn renew_before_of(&self, lifetime: Duration) -> Option<Duration> {
        self.renew_before.or_else(|| lifetime.saturating_mul(self.renew_before_percent?).checked_div(100))
    }

    /// The Secret that names the entry, its record and its log lines.
    #[expect(clippy::indexing_slicing, reason = "an entry without a Secret is refused")]
    pub fn main_secret(&self) -> &ObjectRef {
        &self.secrets[0]
    }

    /// The word for the key: its type, or the word of the CSR.
    pub fn key_word(&self) -> &str {
        self.csr.as_ref().map_or(self.key_type.name(), |csr| csr.word())
    }

    /// The names to order: without those that a wildcard of the entry covers, which Boulder refuses as redundant.
    pub fn order_names(&self) -> Vec<Domain> {
        order_names(&self.domains)
    }
}

/// Names that other programs have for fields of an entry.
const OTHER_NAMES: [(&str, &str); 4] =
    [("secretName", "secret"), ("dnsNames", "domains"), ("commonName", "domains"), ("issuerRef", "issuer")];

/// The sentence for a field that stands at the wrong level, or under the name of another program.
fn misplaced(key: &str) -> Option<String> {
    let field = key.strip_prefix("dns.").unwrap_or(key);
    if DNS.iter().any(|row| row.name == field) {
        return Some(format!("belongs below `dns`, one level deeper: write `dns: {{{field}: …}}`"));
    }
    let (_, ours) = OTHER_NAMES.iter().find(|(theirs, _)| *theirs == key)?;
    Some(format!("is not a field; here it is `{ours}`"))
}

/// The faults of labels and annotations as a whole.
pub(super) fn metadata_faults(labels: &Metadata, annotations: &Metadata) -> Vec<FieldError> {
    let fault = |field: &str, checked: Result<(), String>| {
        checked.err().map(|sentence| FieldError { field: field.to_owned(), sentence })
    };
    let labels = fault("labels", check_labels(labels));
    labels.into_iter().chain(fault("annotations", check_annotations(annotations))).collect()
}

/// The names without those that a wildcard among them covers.
pub fn order_names(domains: &[Domain]) -> Vec<Domain> {
    let covered = |d: &Domain| domains.iter().any(|w| w != d && w.covers(d));
    domains.iter().filter(|d| !covered(d)).cloned().collect()
}

/// The first readable Secret of a faulty node, even one that may not be used: it names the entry in messages and finds
/// its record.
pub fn main_secret_of(node: &YamlNode, namespaces: &Namespaces) -> Option<ObjectRef> {
    let mut ignored = Vec::new();
    let YamlNode::Map(pairs) = node else { return None };
    let named = |(key, _): &&(YamlNode, YamlNode)| *key == YamlNode::Text("secret".to_owned());
    let value = pairs.iter().find(named).map(|(_, value)| value);
    let cluster = node.get("cluster").and_then(|node| ClusterName::parse(node.text()?).ok()).unwrap_or_default();
    let parse = |t: &str| ObjectRef::parse(t, namespaces.own()).map_err(|e| e.to_string());
    let found = secrets(value, &mut ignored, &parse).into_iter().next()?;
    Some(ObjectRef { cluster, ..found })
}

fn secrets(
    node: Option<&YamlNode>,
    faults: &mut Vec<FieldError>,
    parse: &impl Fn(&str) -> Result<ObjectRef, String>,
) -> Vec<ObjectRef> {
    let mut found: Vec<ObjectRef> = Vec::new();
    let items: Vec<(String, &YamlNode)> = match node {
        None => return found,
        Some(YamlNode::List(items)) if items.is_empty() => {
            faults.push(FieldError { field: "secret".into(), sentence: "is an empty list".into() });
            return found;
        }
        Some(YamlNode::List(items)) => {
            if items.len() > SECRETS_PER_ENTRY_MAX {
                let sentence = format!("names {} Secrets; {SECRETS_PER_ENTRY_MAX} are possible", items.len());
                faults.push(FieldError { field: "secret".into(), sentence });
            }
            let looked_at = if items.len() > SECRETS_PER_ENTRY_MAX { 1 } else { items.len() };
            items.iter().take(looked_at).enumerate().map(|(i, n)| (format!("secret[{i}]"), n)).collect()
        }
        Some(one) => vec![("secret".to_owned(), one)],
    };
    for (path, item) in items {
        match text(item, &path, faults, parse) {
            Some(secret) if found.contains(&secret) => {
                faults.push(FieldError { field: path, sentence: format!("names {secret} a second time") });
            }
            Some(secret) => found.push(secret),
            None => {}
        }
    }
    found
}

/// Reads the name of a Secret. The text itself is never repeated: some people put the key here.
pub fn secret_name(text: &str, namespaces: &Namespaces) -> Result<ObjectRef, String> {
    let at = ObjectRef::parse(text, namespaces.own()).map(|at| ObjectRef { name: SharedStr::intern(&at.name), ..at });
    let at = at.map_err(|_| {
        "is not the name of a Secret (`name` or `namespace/name`); the key itself goes into that Secret, under the data key `key`"
    })?;
    namespaces.check_input(&at)?;
    Ok(at)
}

/// Reads an email address.
///
/// # Errors
/// The rest of a sentence that begins with the text.
pub fn email(text: &str) -> Result<String, &'static str> {
    let printable = text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'?' | b'<' | b'>' | b'"'));
    match text.split_once('@') {
        Some((local, host)) if printable && text.len() <= 254 && !local.is_empty() && !local.starts_with("mailto:") => {
            DnsName::parse(host).map_err(|_| "is not an email address: what follows the @ is no host name")?;
            Ok(text.to_ascii_lowercase())
        }
        _ => Err("is not an email address; write it alone, as in `admin@example.com`"),
    }
}

/// Reads the name of a profile. Only the CA knows which profiles exist.
///
/// # Errors
/// The rest of a sentence that begins with the text.
pub fn profile(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    match (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("is not the name of a profile"),
    }
}

/// Reads the name of a key type.
///
/// # Errors
/// The rest of a sentence about a name that is none, or that this build can not serve.
pub fn key_type(text: &str) -> Result<KeyType, &'static str> {
    let known = KEY_TYPES.iter().find(|(name, _)| *name == text).map(|(_, key_type)| *key_type);
    let known =
        known.ok_or("is not a key type; ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 and rsa-4096 are possible")?;
    if known.rsa_bits().is_some() && !cfg!(feature = "rsa") {
        return Err("asks for an RSA key, and this program was built without the feature `rsa`");
    }
    Ok(known)
}
