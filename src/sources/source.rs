//! The seam between the controller and the kinds of objects that want certificates.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::desired::Desired;
use super::reference::{ObjectKey, SourceRef};
use super::resource::{DescribedIssuer, DescribedRevocation};
use super::wish::{ObjectWishes, WishSettings};
use crate::base::name::ObjectRef;
use crate::cert_manager::status::{SeenResource, StateFields};
use crate::config::Config;
use crate::kube::resource::WatchTarget;
use crate::record::AcceptedSpec;
use crate::store::Store;

/// A source of certificates: some kind of object that says which are wanted.
///
/// The controller watches [`Source::targets`], parses each object on the thread of its watch, and applies what it sees on its own thread.
/// Objects that no watch shows are polled.
pub trait Source: fmt::Debug + Send {
    /// The objects to watch.
    fn targets(&self) -> Vec<WatchTarget>;

    /// Makes the parser for the objects of `target`.
    fn parser(&self, target: &WatchTarget) -> ParserFactory;

    /// Applies what a watch of `target` saw. Returns whether what is wanted may have changed.
    fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool;

    /// Reads the objects of `target` from `store`, where no watch shows them.
    fn poll(&mut self, target: &WatchTarget, store: &Store);

    /// Tells whether every object was looked for. Until then no certificate is known to be unwanted.
    fn has_synced(&self) -> bool;

    /// The first object that could not be used yet, and why.
    fn not_ready(&self) -> Option<String>;

    /// The objects that an operator named, and others only while they have a problem.
    fn objects(&self) -> Vec<SourceObject>;

    /// Tells whether a record's source, as text, is an object of this source: only then its certificate is ours to miss.
    fn owns(&self, source: &str) -> bool;

    /// Adds the wanted certificates and the problems. `last_accepted` finds the form in which the entry for a Secret was last accepted,
    /// which stays in force while the present one is refused.
    fn add_to(&self, desired: &mut Desired, last_accepted: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>);

    /// The configurations by which the wishes of objects are served, in the order of the command line; `None` while one of them is unknown,
    /// and for a source of objects.
    fn configs(&self) -> Option<Vec<Arc<Config>>> {
        None
    }

    /// Takes the objects whose wishes may differ since the last call. A source of entries has none.
    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        BTreeSet::new()
    }

    /// Tells whether the wishes are those of objects, which are merged, and not entries.
    fn has_wishes(&self) -> bool {
        false
    }

    /// Every object with a wish or a problem.
    fn wishing(&self) -> Vec<ObjectKey> {
        Vec::new()
    }

    /// The Secrets that objects name, whether they ask for a certificate or not.
    fn named(&self) -> Vec<ObjectRef> {
        Vec::new()
    }

    /// Takes the objects whose version differs since the last call. Only a source that has statuses written has any.
    fn take_seen(&mut self) -> BTreeSet<ObjectKey> {
        BTreeSet::new()
    }

    /// Every object that has its status written.
    fn all_seen(&self) -> Vec<ObjectKey> {
        Vec::new()
    }

    /// The issuer that an object describes; `None` for other objects, and for an issuer that is none of ours.
    fn issuer_of(&self, _object: &ObjectKey) -> Option<DescribedIssuer> {
        None
    }

    /// The request of a CertificateRevocation; `None` for other objects.
    fn revocation_of(&self, _object: &ObjectKey) -> Option<DescribedRevocation> {
        None
    }

    /// The fields that an object itself gives to its status, where that is a state with fields; `None` for other objects.
    fn status_fields(&self, _object: &ObjectKey) -> Option<StateFields> {
        None
    }

    /// The version and the status of an object as its watch showed it last; `None` when it does not exist.
    fn seen(&self, _object: &ObjectKey) -> Option<Arc<SeenResource>> {
        None
    }

    /// The wishes of one object; `None` when it does not exist or is being deleted.
    fn wishes_of(&self, _object: &ObjectKey, _settings: &WishSettings) -> Option<ObjectWishes> {
        None
    }
}

/// A parsed object; only its source knows the type.
pub type Parsed = Box<dyn Any + Send>;

/// Parses the objects of one watch. May keep what it needs of the object before.
pub type Parser = Box<dyn FnMut(&Value) -> Parsed>;

/// Makes a [`Parser`] on the thread of a watch.
#[derive(Clone)]
pub struct ParserFactory(pub Arc<dyn Fn() -> Parser + Send + Sync>);

impl fmt::Debug for ParserFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParserFactory")
    }
}

/// An event of a watch about the objects of a source.
#[derive(Debug)]
pub enum SourceEvent {
    /// An object exists.
    Present(Parsed),
    /// An object does not exist any more.
    Gone(ObjectRef),
    /// A list begins.
    Listing,
    /// A list is complete: objects that were not seen since it began do not exist.
    Listed,
}

/// An object of a source, and its problem.
#[derive(Debug)]
pub struct SourceObject {
    /// The object.
    pub source: SourceRef,
    /// The problem of the object; `None` when it is in force.
    pub problem: Option<SourceProblem>,
}

/// The problem of an object of a source.
#[derive(Clone, Debug)]
pub struct SourceProblem {
    /// The problem, one sentence.
    pub sentence: String,
    /// The consequence: what is in force meanwhile.
    pub in_force: &'static str,
    /// True if the object could not be fetched, and may be sound.
    pub unread: bool,
}
