//! Labels and annotations of the Secrets that notariat writes.

use super::cert_manager_marks;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::config::entry::Entry;
use crate::kube::metadata::OwnerReference;
use crate::kube::object::SecretObject;
use crate::policy::secret_state::{annotation, owner_mark};

/// How a certificate was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The directory URL.
    pub directory: String,
    /// The key type that was asked for, or the word of the CSR.
    pub key_type: String,
    /// The profile that was ordered.
    pub profile: Option<String>,
}

/// The marks of a certificate's Secret besides the certificate.
#[derive(Clone, Copy, Debug)]
pub struct Marks<'a> {
    /// The instance that owns it.
    pub instance: &'a str,
    /// The entry: its labels and annotations.
    pub entry: &'a Entry,
    /// How the certificate was ordered.
    pub origin: &'a Origin,
    /// The object that wants it.
    pub source: &'a str,
    /// The type of a Secret that does not exist yet.
    pub secret_type: &'a str,
    /// The object with which the Secret goes.
    pub cascade: Option<&'a OwnerReference>,
    /// The name of cert-manager's Certificate that wants it.
    pub certificate: Option<&'a str>,
}

/// The purpose of a Secret of our own; the value of its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// An ACME account.
    Account,
    /// A record.
    Record,
}

impl Component {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Component::Account => "account",
            Component::Record => "record",
        }
    }
}

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const COMPONENT: &str = "app.kubernetes.io/component";
const MANAGER: &str = "notariat";

/// A new Secret with the two labels of its origin. Only a Secret that we create gets them; an existing value stays.
pub(super) fn created(at: &ObjectRef, kind: &str, component: &str) -> SecretObject {
    let mut secret = SecretObject::new(at.clone(), kind);
    secret.labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    secret.labels.insert(COMPONENT.to_owned(), component.to_owned());
    secret
}

/// Tells whether a label is one that [`created`] sets.
pub(super) fn is_of_origin(name: &str, value: &str) -> bool {
    (name == MANAGED_BY && value == MANAGER)
        || (name == COMPONENT && ["certificate", "account", "record"].contains(&value))
}

/// The Secret with a certificate in it: a new one, or `current` with all else that is in it.
pub(super) fn with_certificate(
    at: &ObjectRef,
    current: Option<&SecretObject>,
    chain: &[u8],
    key: &Secret<Vec<u8>>,
    marks: &Marks<'_>,
) -> SecretObject {
    let mut secret = current.cloned().unwrap_or_else(|| created(at, marks.secret_type, "certificate"));
    secret.data.insert("tls.crt".to_owned(), Secret::new(chain.to_vec()));
    secret.data.insert("tls.key".to_owned(), key.clone());
    secret.labels.extend((*marks.entry.labels).clone());
    secret.annotations.extend((*marks.entry.annotations).clone());
    let mut mark = |name: &str, value: String| secret.annotations.insert(name.to_owned(), value);
    mark(annotation::OWNER, owner_mark(marks.instance, at));
    mark(annotation::DIRECTORY, marks.origin.directory.clone());
    mark(annotation::KEY_TYPE, marks.origin.key_type.clone());
    mark(annotation::SOURCE, marks.source.to_owned());
    match &marks.origin.profile {
        Some(profile) => secret.annotations.insert(annotation::PROFILE.to_owned(), profile.clone()),
        None => secret.annotations.remove(annotation::PROFILE),
    };
    set_owner(&mut secret, marks.cascade);
    if let Some(certificate) = marks.certificate {
        cert_manager_marks::mark(&mut secret, certificate, marks.entry.issuer.as_deref(), chain);
    }
    // Any new certificate serves a renewal that was requested.
    if let Some(asked) = secret.annotations.get(annotation::RENEW).cloned() {
        secret.annotations.insert(annotation::RENEWED.to_owned(), asked);
    }
    secret
}

/// Sets the owner with which the Secret goes, and the annotation by which it is found again.
pub(super) fn set_owner(secret: &mut SecretObject, owner: Option<&OwnerReference>) {
    let before = secret.annotations.remove(annotation::CASCADE);
    secret.replace_owner(before.as_deref(), owner);
    secret.annotations.extend(owner.map(|owner| (annotation::CASCADE.to_owned(), owner.uid.clone())));
}
