//! The claims that are merged, the rules for that, and the result. Pure.

use std::sync::Arc;

use crate::base::name::{Domain, ObjectRef};
use crate::sources::SourceRef;
use crate::sources::wish::{ObjectKey, Wish, WishOptions, WishProblem};

/// The wish of one object for the Secret.
#[derive(Clone, Debug)]
pub struct ObjectClaim {
    /// The object.
    pub object: ObjectKey,
    /// The reference to the object.
    pub source: SourceRef,
    /// The wish.
    pub wish: Arc<Wish>,
}

/// The rules that a merge asks; each refusal is a sentence.
pub struct Rules<'a> {
    /// True if the Secrets of a namespace may be written.
    pub secret: &'a dyn Fn(&ObjectRef) -> Result<(), String>,
    /// True if an object of this namespace may have a name.
    pub name: &'a dyn Fn(&str, &Domain) -> Result<(), String>,
    /// The options that an object of this namespace gets.
    pub options: &'a dyn Fn(&str, &WishOptions) -> Result<WishOptions, String>,
    /// True if a name can be served with these options.
    pub issuer: &'a dyn Fn(&WishOptions, &Domain) -> Result<(), String>,
}

/// The served part of the claims for one Secret.
#[derive(Debug, Default)]
pub struct Merged {
    /// The wanted certificate; none where nothing is left.
    pub wanted: Option<MergedWish>,
    /// The resource that is not served as it is: its certificate goes on in the form in which it was last accepted.
    pub goes_on: Option<(ObjectKey, SourceRef)>,
    /// The problems, by object.
    pub problems: Vec<(ObjectKey, WishProblem)>,
}

/// One certificate that objects want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedWish {
    /// The names, sorted, each once; at least one.
    pub names: Vec<Domain>,
    /// The options of the first object.
    pub options: WishOptions,
    /// True if a Secret that nobody owns, or another program, is taken over.
    pub adopt: bool,
    /// The first object.
    pub source: SourceRef,
    /// The objects whose names are in it, in their order.
    pub objects: Vec<ObjectKey>,
}
