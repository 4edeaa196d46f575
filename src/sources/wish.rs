//! What the objects of a cluster (Ingress, Gateway, Service) want, before the policy is asked and before wishes are merged. Pure.
//!
//! A reader makes [`ObjectWishes`] of one object. The merger in this folder makes one [`CertificateSpec`](super::CertificateSpec) of all
//! wishes for one Secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

pub use super::reference::ObjectKey;
use super::reference::SourceRef;
use crate::base::name::{Domain, ObjectRef};
use crate::config::entry::KeyType;

/// The wishes of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectWishes {
    /// The object.
    pub source: SourceRef,
    /// The wishes, in the order of the object. Two wishes for one Secret add up; they differ in the namespaces that vouch for a name, and
    /// one of them is enough.
    pub wishes: Vec<Wish>,
    /// What is not served, in the order of the object.
    pub problems: Vec<WishProblem>,
}

/// The wish of one object for one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The Secret.
    pub secret: ObjectRef,
    /// The place in the object, such as `spec.tls[1]`.
    pub place: String,
    /// Each name with the namespaces whose ranges it must lie in: that of the object, and for the name of a route also that of the Gateway.
    pub names: BTreeMap<Domain, BTreeSet<String>>,
    /// The options that the object gives.
    pub options: WishOptions,
    /// Whether a Secret that nobody owns, or another program, is taken over.
    pub adopt: bool,
}

/// The options of a wish; those that are not set are the configuration's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WishOptions {
    /// The issuer by its name in the key `issuers`.
    pub issuer: Option<String>,
    /// The kind of the key.
    pub key_type: Option<KeyType>,
    /// The chain to prefer, by its root's name.
    pub preferred_chain: Option<String>,
    /// The time before the expiry at which to renew.
    pub renew_before: Option<Duration>,
    /// Labels for the Secret.
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secret.
    pub annotations: BTreeMap<String, String>,
}

/// What an object asks for and does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WishProblem {
    /// The reason of the Event.
    pub reason: WishReason,
    /// The place in the object, such as `spec.tls[1]`; empty for the whole object.
    pub place: String,
    /// One sentence: what is wrong, and what to do.
    pub sentence: String,
}

impl fmt::Display for WishProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => f.write_str(&self.sentence),
            place => write!(f, "{place}: {}", self.sentence),
        }
    }
}

/// Why a wish is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WishReason {
    /// The wish is none of notariat's, and that is normal.
    Skipped,
    /// The wish can not be read or can not be served by anybody.
    Invalid,
    /// The policy forbids it.
    Refused,
    /// Another object or the configuration wants something else for the same Secret.
    Conflict,
}

impl WishReason {
    /// The reason of the Event.
    pub const fn name(self) -> &'static str {
        match self {
            WishReason::Skipped => "Skipped",
            WishReason::Invalid => "Invalid",
            WishReason::Refused => "Refused",
            WishReason::Conflict => "Conflict",
        }
    }
}

/// The settings of the command line and of the ConfigMap that the readers of objects need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WishSettings {
    /// `-ingress-class`: the classes that are served; empty serves all. `none` in the flag is the empty text here.
    pub ingress_classes: BTreeSet<String>,
    /// `-ingress-all`: every host below these zones is wanted without an annotation.
    pub ingress_all: Vec<Domain>,
    /// `-secret-namespace`: where the Secrets of `-ingress-all` are; the object's own namespace when not set.
    pub secret_namespace: Option<String>,
    /// `-secret-hostlabel`: the label that holds the host, for `-ingress-all`.
    pub secret_host_label: Option<String>,
    /// `-wildcards`: hosts of `-ingress-all` are folded into `*.parent`.
    pub wildcards: bool,
    /// cert-manager's issuers that ours replace (`issuers.NAME.replaces`): their name to the name in `issuers`.
    pub replaces: BTreeMap<String, String>,
    /// The zones of the configuration: a wildcard is never at or above an apex.
    pub zones: Vec<Domain>,
}
