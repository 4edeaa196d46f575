//! References to the objects that want certificates. Pure.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::kube::metadata::ObjectReference;
use crate::kube::resource::Resource;

/// The kind and the name of an object that wishes something. The order is that in which objects go first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The name of the kind, `Ingress` say.
    pub kind: &'static str,
    /// Namespace and name.
    pub at: ObjectRef,
}

impl ObjectKey {
    /// The key of the object of this kind.
    pub fn of(resource: Resource, at: &ObjectRef) -> ObjectKey {
        ObjectKey { kind: resource.text_kind(), at: at.clone() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.at)
    }
}

/// A reference to the object that wants a certificate. Reads as text wherever text is wanted: `ConfigMap ns/name`, the form of records and
/// annotations.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceRef(Arc<SourceId>);

#[derive(PartialEq, Eq)]
struct SourceId {
    /// The kind, a space, and the object.
    text: Box<str>,
    object: ObjectRef,
    uid: Option<SharedStr>,
}

impl SourceRef {
    /// The reference to `object` of this kind, which has no space; `uid` where it is known.
    pub fn new(kind: &str, object: &ObjectRef, uid: Option<&str>) -> SourceRef {
        let text = format!("{kind} {object}").into();
        SourceRef(Arc::new(SourceId { text, object: object.clone(), uid: uid.map(SharedStr::new) }))
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<SourceRef> {
        let (kind, object) = text.split_once(' ')?;
        Some(SourceRef::new(kind, &ObjectRef::parse_anywhere(object, "").ok()?, None))
    }

    /// The key of an object that wishes something; `None` for the objects that hold a configuration.
    pub fn object_key(&self) -> Option<ObjectKey> {
        let kind = Resource::of_kind(self.kind())?.text_kind();
        let holds_entries = kind == Resource::CONFIG_MAPS.kind || kind == Resource::SECRETS.kind;
        (!holds_entries).then(|| ObjectKey { kind, at: self.0.object.clone() })
    }

    /// The kind of the object.
    pub fn kind(&self) -> &str {
        self.0.text.split_once(' ').map_or("", |(kind, _)| kind)
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &str {
        &self.0.object.namespace
    }

    /// The name of the object.
    pub fn name(&self) -> &str {
        &self.0.object.name
    }

    /// The reference under which people find Events about the object; `None` for a kind that is not known here.
    pub fn reference(&self) -> Option<ObjectReference> {
        let resource = Resource::of_kind(self.kind())?;
        Some(ObjectReference { resource, at: self.0.object.clone(), uid: self.uid().map(str::to_owned) })
    }

    /// The object.
    pub fn object(&self) -> &ObjectRef {
        &self.0.object
    }

    /// The uid of the object, where it is known.
    pub fn uid(&self) -> Option<&str> {
        self.0.uid.as_deref()
    }

    /// The same, to be kept elsewhere as well.
    pub fn shared_uid(&self) -> Option<&SharedStr> {
        self.0.uid.as_ref()
    }
}

impl Deref for SourceRef {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
impl From<&str> for SourceRef {
    fn from(text: &str) -> SourceRef {
        SourceRef::parse(text).unwrap_or_else(|| SourceRef::new("Test", &ObjectRef::new("test", "test"), None))
    }
}
