//! The wishes of the objects of a cluster (Ingress, Gateway, Service), before the policy is asked and before wishes are merged. Pure.
//!
//! A reader makes [`ObjectWishes`] of one object. The merger in this folder makes one [`CertificateSpec`](super::CertificateSpec) of all
//! wishes for one Secret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use super::problem::{WishProblem, WishReason};
pub use super::reference::ObjectKey;
use super::reference::SourceRef;
use super::resource::ResourceOptions;
use crate::base::name::{Domain, ObjectRef};
use crate::config::entry::KeyType;
use crate::store::DataKeys;

/// The wishes of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectWishes {
    /// The object.
    pub source: SourceRef,
    /// The wishes, in the order of the object. Two wishes for one Secret add up; they differ in the namespaces that vouch for a name, and
    /// one of them is enough.
    pub wishes: Vec<Wish>,
    /// The wishes that are not served, in the order of the object.
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
    /// True if a Secret that nobody owns, or another program, is taken over.
    pub adopt: bool,
}

impl Wish {
    /// The wish of a resource for a Secret that is its alone. The namespace of the Secret vouches for the names.
    pub fn of_resource(secret: &ObjectRef, names: &[Domain], options: WishOptions) -> Wish {
        let by = BTreeSet::from([secret.place().into_owned()]);
        let names = names.iter().map(|name| (name.clone(), by.clone())).collect();
        Wish { secret: secret.clone(), place: "spec".to_owned(), names, options, adopt: false }
    }
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
    /// True where names without a TSIG key are proved by http-01, as kube-lego did; `kubernetes.io/tls-acme` asks for that.
    pub http_without_key: bool,
    /// Further options of a resource, which has its Secret for itself.
    pub resource: Option<Arc<ResourceOptions>>,
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
    /// `-secret-keys`: the data keys of the Secrets in that namespace.
    pub secret_keys: Option<DataKeys>,
    /// `-secret-hostlabel`: the label that holds the host, for `-ingress-all`.
    pub secret_host_label: Option<String>,
    /// `-wildcards`: hosts of `-ingress-all` are folded into `*.parent`.
    pub wildcards: bool,
    /// `-cascade`: the Secret of a single object goes with it.
    pub cascade: bool,
    /// cert-manager's issuers that ours replace (`issuers.NAME.replaces`): their name to the name in `issuers`.
    pub replaces: BTreeMap<String, String>,
    /// True where the responder of http-01 challenges runs (`-http-listen`).
    pub listens_for_challenges: bool,
    /// The number of Certificates that are served in each namespace of another cluster (`maxCertificates`), by [`ObjectRef::place`].
    pub most: BTreeMap<String, usize>,
    /// The zones of the configuration: a wildcard is never at or above an apex.
    pub zones: Vec<Domain>,
}
