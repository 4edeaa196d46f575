//! The contents of a Secret, parsed once, so that the checks need not look at octets.

use std::sync::Arc;

use crate::base::name::ObjectRef;
use crate::base::pem::{ENCRYPTED, is_encrypted};
use crate::base::shared_str::SharedStr;
use crate::cert::facts::{self, CertificateFacts};
use crate::cert::key::{KeyError, public_digest};
use crate::config::entry::Entry;
use crate::config::metadata::PREFIX;
use crate::kube::object::{SecretObject, TYPE_TLS};

/// A Secret as the checks see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretState {
    /// The Secret does not exist. Only a successful read says so.
    Missing,
    /// The Secret exists.
    Present(Box<Present>),
}

/// An existing Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// `type`
    pub kind: SharedStr,
    /// The owner, as far as marks on the Secret tell.
    pub owner: Owner,
    /// Certificate and key.
    pub pair: PairState,
    /// The ACME directory of the certificate.
    pub directory: Option<SharedStr>,
    /// The key type of the order.
    pub key_type: Option<SharedStr>,
    /// The profile of the order.
    pub profile: Option<SharedStr>,
    /// A requested renewal that is not done yet.
    pub renewal_asked: Option<Box<str>>,
    /// The reason of a requested replacement and revocation.
    pub revocation_asked: Option<Box<str>>,
    /// The uid of the object whose deletion deletes the Secret.
    pub cascade: Option<Box<str>>,
    /// The last writer of certificate or key, when that was another program, in words.
    pub writer: Option<Box<str>>,
}

/// The owner of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// No mark: nobody, or a person.
    Nobody,
    /// No mark, and neither certificate nor key: nobody's, and nothing is lost by a write.
    Empty,
    /// cert-manager, for the Certificate of this name.
    CertManager(SharedStr),
    /// kube-lego, which nobody runs any more.
    KubeLego,
    /// This instance.
    Us,
    /// Another owner, in words.
    Another(String),
}

impl Owner {
    /// Another owner than this instance, in words. `certificate` is the name of cert-manager's Certificate that wants the Secret: what was
    /// made for it is its own.
    pub fn another(&self, certificate: Option<&str>) -> Option<String> {
        match self {
            Owner::Another(words) => Some(words.clone()),
            Owner::CertManager(name) if certificate == Some(name) => None,
            Owner::CertManager(name) => Some(format!("cert-manager (Certificate {:?})", name.as_str())),
            Owner::Nobody | Owner::Empty | Owner::KubeLego | Owner::Us => None,
        }
    }

    /// Tells whether nobody made the Secret for an object. An empty one is as good as none for a Certificate of cert-manager.
    pub fn is_nobody(&self, certificate: Option<&str>) -> bool {
        *self == Owner::Nobody || (*self == Owner::Empty && certificate.is_none())
    }
}

/// Certificate and key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairState {
    /// The certificate is missing or does not parse; with the fault.
    Broken(String),
    /// The key is missing or does not parse; with the fault. The facts count for the certificate of a CSR alone.
    Keyless(Arc<CertificateFacts>, String),
    /// The key does not fit the certificate. The facts count for the certificate of a CSR alone.
    Mismatch(Arc<CertificateFacts>),
    /// The key fits the certificate.
    Sound(Arc<CertificateFacts>),
    /// A key of a kind that cannot be checked; treated as sound.
    Unchecked(Arc<CertificateFacts>),
}

impl PairState {
    /// The facts of a certificate that is treated as sound.
    pub fn facts(&self) -> Option<&Arc<CertificateFacts>> {
        match self {
            PairState::Sound(facts) | PairState::Unchecked(facts) => Some(facts),
            PairState::Broken(_) | PairState::Keyless(..) | PairState::Mismatch(_) => None,
        }
    }

    /// The facts of a certificate, whatever its key.
    fn certificate(&self) -> Option<&Arc<CertificateFacts>> {
        match self {
            PairState::Keyless(facts, _) | PairState::Mismatch(facts) => Some(facts),
            PairState::Broken(_) | PairState::Sound(_) | PairState::Unchecked(_) => self.facts(),
        }
    }

    /// The pair as the entry of a CSR sees it: a key of its own is no part of it, and another one beside the certificate does no harm.
    fn without_key(self) -> PairState {
        match self {
            PairState::Keyless(facts, fault) if fault.ends_with(NOT_THERE) => PairState::Sound(facts),
            PairState::Keyless(facts, _) | PairState::Mismatch(facts) => PairState::Unchecked(facts),
            PairState::Broken(_) | PairState::Sound(_) | PairState::Unchecked(_) => self,
        }
    }
}

/// The end of the sentence about a value that is not there.
const NOT_THERE: &str = "is missing or empty";

/// Our annotations; written only together with a certificate.
pub mod annotation {
    /// `<instance> <namespace>/<name>`, or `<instance>/<cluster> <namespace>/<name>`.
    pub const OWNER: &str = "notariat/owner";
    /// The directory URL.
    pub const DIRECTORY: &str = "notariat/directory";
    /// The key type of the entry.
    pub const KEY_TYPE: &str = "notariat/key-type";
    /// The profile of the order; absent when none was ordered.
    pub const PROFILE: &str = "notariat/profile";
    /// Set by a person: any value other than [`RENEWED`] asks for a renewal.
    pub const RENEW: &str = crate::record::RENEW;
    /// Set by `notariat revoke`: a reason and the serial number of the certificate to replace and revoke.
    pub const REVOKE: &str = "notariat/revoke";
    /// The value of [`RENEW`] that was served last.
    pub const RENEWED: &str = "notariat/renewed";
    /// The object that wants the certificate.
    pub const SOURCE: &str = "notariat/source";
    /// The uid of the owner that `-cascade` set.
    pub const CASCADE: &str = "notariat/cascade";
}

const TLS_CRT: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";

/// The part of a pair that a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultyPart {
    /// Certificate or key is missing or empty.
    Missing,
    /// The certificate.
    Certificate,
    /// The key.
    Key,
}

/// The part that the fault of [`PairState::Broken`] is about.
pub fn faulty_part(fault: &str) -> FaultyPart {
    match fault.strip_prefix(TLS_CRT) {
        _ if fault.contains(NOT_THERE) => FaultyPart::Missing,
        Some(_) => FaultyPart::Certificate,
        None => FaultyPart::Key,
    }
}

/// The value of the owner annotation: `instance namespace/name`, or `instance/cluster namespace/name` in another cluster. A copy of the Secret
/// in another place has a mark that does not fit.
pub fn owner_mark(instance: &str, secret: &ObjectRef) -> String {
    match secret.cluster.name() {
        None => format!("{instance} {secret}"),
        Some(cluster) => format!("{instance}/{cluster} {}", secret.in_cluster()),
    }
}

impl SecretState {
    /// The facts of a certificate that is treated as sound.
    pub fn facts(&self) -> Option<&Arc<CertificateFacts>> {
        match self {
            SecretState::Present(present) => present.pair.facts(),
            SecretState::Missing => None,
        }
    }

    /// The facts of a certificate, whatever its key.
    pub fn certificate(&self) -> Option<&Arc<CertificateFacts>> {
        match self {
            SecretState::Present(present) => present.pair.certificate(),
            SecretState::Missing => None,
        }
    }

    /// Tells whether the Secret is ours and goes with another object than the one of this uid.
    pub fn cascades_otherwise(&self, uid: Option<&str>) -> bool {
        matches!(self, SecretState::Present(present) if present.owner == Owner::Us && present.cascade.as_deref() != uid)
    }

    /// Tells whether the Secret has the type of a certificate, which the watch of that type shows.
    pub fn is_certificate(&self) -> bool {
        matches!(self, SecretState::Present(present) if *present.kind == *TYPE_TLS)
    }

    /// Mutable access to the facts, to replace them by a shared copy.
    pub fn facts_mut(&mut self) -> Option<&mut Arc<CertificateFacts>> {
        match self {
            SecretState::Present(present) => match &mut present.pair {
                PairState::Sound(facts)
                | PairState::Unchecked(facts)
                | PairState::Keyless(facts, _)
                | PairState::Mismatch(facts) => Some(facts),
                PairState::Broken(_) => None,
            },
            SecretState::Missing => None,
        }
    }

    /// The state for an entry: the certificate of a CSR needs no key beside it.
    pub fn seen_by(self, entry: &Entry) -> SecretState {
        match self {
            SecretState::Present(present) if entry.csr.is_some() => {
                let Present { pair, .. } = *present;
                SecretState::Present(Box::new(Present { pair: pair.without_key(), ..*present }))
            }
            other => other,
        }
    }

    /// The state of `secret`, which was read successfully, for this instance.
    pub fn of(secret: Option<&SecretObject>, instance: &str) -> SecretState {
        let Some(secret) = secret else {
            return SecretState::Missing;
        };
        let annotation = |name: &str| secret.annotations.get(name).cloned();
        let word = |name: &str| secret.annotations.get(name).map(|text| SharedStr::intern(text));
        let (asked, served) = (annotation(annotation::RENEW), annotation(annotation::RENEWED));
        let pair = pair(secret);
        let revocation_asked = annotation(annotation::REVOKE).and_then(|value| {
            let (reason, serial) = value.split_once(' ')?;
            (pair.certificate()?.serial == serial).then(|| reason.to_owned())
        });
        SecretState::Present(Box::new(Present {
            kind: SharedStr::intern(&secret.type_),
            owner: owner(secret, instance),
            pair,
            revocation_asked: revocation_asked.map(String::into_boxed_str),
            directory: word(annotation::DIRECTORY),
            key_type: word(annotation::KEY_TYPE),
            profile: word(annotation::PROFILE),
            renewal_asked: asked.filter(|a| !a.is_empty() && Some(a) != served.as_ref()).map(String::into_boxed_str),
            cascade: annotation(annotation::CASCADE).map(String::into_boxed_str),
            writer: secret.writer().map(String::into_boxed_str),
        }))
    }
}

/// The owner by the marks. Our mark names the Secret itself: another name means that a replicator copied it with our
/// annotations.
fn owner(secret: &SecretObject, instance: &str) -> Owner {
    debug_assert!(annotation::OWNER.starts_with(PREFIX));
    match secret.annotations.get(annotation::OWNER) {
        Some(mark) if *mark == owner_mark(instance, &secret.reference) => return Owner::Us,
        Some(mark) => {
            return Owner::Another(match mark.split_once(' ') {
                Some((_, of)) if of != secret.reference.in_cluster().to_string() => {
                    format!("a replicator (it is a copy of {of})")
                }
                Some((other, _)) => format!("the notariat instance {other:?}"),
                None => format!("the notariat instance {mark:?}"),
            });
        }
        None => {}
    }
    if let Some(name) = secret.annotations.get("cert-manager.io/certificate-name") {
        return Owner::CertManager(SharedStr::intern(name));
    }
    if secret.labels.contains_key("cert.gardener.cloud/certificate") {
        return Owner::Another("Gardener's cert-management".to_owned());
    }
    match &secret.controller {
        Some(controller) => Owner::Another(format!("the controller {controller}")),
        None if secret.annotations.contains_key("kubernetes.io/tls-acme") => Owner::KubeLego,
        None if secret.value(TLS_CRT).is_none() && secret.value(TLS_KEY).is_none() => Owner::Empty,
        None => Owner::Nobody,
    }
}

fn pair(secret: &SecretObject) -> PairState {
    let missing: Vec<&str> = [TLS_CRT, TLS_KEY].into_iter().filter(|k| secret.value(k).is_none()).collect();
    let missing = format!("{} {NOT_THERE}", missing.join(" and "));
    let Some(chain) = secret.value(TLS_CRT) else { return PairState::Broken(missing) };
    let facts = match facts::read(chain.expose()) {
        Ok((_, facts)) => Arc::new(facts),
        Err(e) => return PairState::Broken(format!("{TLS_CRT}: {e}")),
    };
    let Some(key) = secret.value(TLS_KEY) else { return PairState::Keyless(facts, missing) };
    match public_digest(key.expose()) {
        Ok(public) if facts.fits(&public) => PairState::Sound(facts),
        Ok(_) => PairState::Mismatch(facts),
        Err(KeyError::Unparsable) if is_encrypted(key.expose()) => {
            PairState::Keyless(facts, format!("{TLS_KEY} {ENCRYPTED}"))
        }
        Err(KeyError::Unparsable) => PairState::Keyless(facts, format!("{TLS_KEY} is no private key in PEM")),
        Err(KeyError::UnknownKind) => PairState::Unchecked(facts),
    }
}

#[cfg(test)]
impl Present {
    /// A Secret of this instance, of which nobody asks anything; a test changes what it is about.
    pub(crate) fn example(pair: PairState) -> Present {
        Present {
            kind: TYPE_TLS.into(),
            owner: Owner::Us,
            pair,
            directory: None,
            key_type: None,
            profile: None,
            renewal_asked: None,
            revocation_asked: None,
            cascade: None,
            writer: None,
        }
    }
}
