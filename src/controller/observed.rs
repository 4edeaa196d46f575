//! The facts that are kept of an object that a watch shows, never its body. Pure.

use std::sync::Arc;

use serde_json::Value;

use crate::base::name::{ClusterName, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::issuance::Context;
use crate::kube::metadata::{InvalidObject, Object as _};
use crate::kube::object::SecretObject;
use crate::kube::reflector::ReflectorEvent;
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::policy::secret_state::SecretState;
use crate::record::{self, Fingerprint, Record, RecordData, UnusableRecord};
use crate::sources::dependencies::content_hash;
use crate::sources::{Parser, SourceEvent};
use crate::worker::{WriteBase, backup_facts};

/// The part of a record that decisions look at.
#[derive(Debug, Default)]
pub(super) struct RecordSummary {
    /// The record without the accepted form, which is large and seldom needed.
    pub(super) body: RecordData,
    pub(super) accepted: Option<AcceptedSummary>,
    pub(super) copy: Option<Arc<CertificateFacts>>,
}

/// The part of an accepted form that decisions look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AcceptedSummary {
    pub(super) fingerprint: Fingerprint,
    pub(super) source: Option<SharedStr>,
}

/// Tells whether many certificates name this source: a ConfigMap. An object names few, and its text would push shared ones out.
fn is_of_many(source: &str) -> bool {
    source.starts_with(Resource::CONFIG_MAPS.kind)
}

impl RecordSummary {
    /// The summary of a record's Secret that was read successfully.
    pub(super) fn of(secret: Option<&SecretObject>, now: Time) -> Result<Box<RecordSummary>, UnusableRecord> {
        let Record { mut body, copy, .. } = Record::read(secret)?;
        let copy = backup_facts(copy.as_ref(), body.stored.as_ref());
        body.compact(copy.as_deref(), now);
        let accepted = body.accepted.take().map(|accepted| AcceptedSummary {
            fingerprint: accepted.fingerprint(),
            source: accepted.source.map(|source| if is_of_many(&source) { SharedStr::intern(&source) } else { source }),
        });
        Ok(Box::new(RecordSummary { body, accepted, copy }))
    }
}

/// A certificate's Secret, as far as decisions and writes look at it.
#[derive(Debug)]
pub(super) struct HeldSecret {
    pub(super) state: SecretState,
    /// The fields that a replacement carries over, where they are known.
    pub(super) base: Option<WriteBase>,
}

/// A record as it was read, or why it is unusable.
pub(super) type ReadRecord = Result<Box<RecordSummary>, String>;

/// Tells whether something is left to do for a record once its entry went.
pub(super) fn is_left(known: &ReadRecord) -> bool {
    known.as_ref().map_or(true, |known| known.accepted.is_some() || !known.body.leftovers.is_empty())
}

/// The certificates that a change affects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Affected {
    /// None.
    Nothing,
    /// The certificate that this Secret or record belongs to.
    Object(ObjectRef),
    /// The certificates that use this Secret as a key, and the one that it belongs to.
    Content(ObjectRef),
    /// The certificates of another cluster.
    Cluster(ClusterName),
    /// All certificates.
    All,
}

/// An event of the watch of this number.
#[derive(Debug)]
pub(super) struct InformerEvent {
    pub(super) watch: usize,
    pub(super) seen: ObjectEvent,
}

/// An event about the objects of one watch.
#[derive(Debug)]
pub(super) enum ObjectEvent {
    /// An event about the objects of a source.
    Source(SourceEvent),
    /// A Secret that may hold a certificate.
    Certificate(ObjectRef, String, HeldSecret),
    /// A record, by its own name.
    Record(ObjectRef, String, ReadRecord),
    /// A Secret that is watched by its name, as a certificate and as a key: a hash of its content.
    Named(ObjectRef, String, HeldSecret, String),
    /// An object does not exist any more.
    Gone(ObjectRef),
    /// A list begins.
    Listing,
    /// A list is complete.
    Listed,
    /// The watch shows nothing for the moment, and why.
    Lost(String),
    /// The watch shows everything again.
    Found,
    /// The watch is not allowed, in the API server's words.
    Denied(String),
    /// The API server does not serve the kind.
    Absent,
    /// An object that is unreadable, and why.
    Unreadable(ObjectRef, String),
}

/// Makes facts of what a watch of `cluster` tells. `parser` is that of the source, for a watch of source objects.
pub(super) fn object_event(
    (cluster, target): (&ClusterName, &WatchTarget),
    told: ReflectorEvent,
    context: &Context,
    parser: Option<&mut Parser>,
    now: Time,
) -> ObjectEvent {
    if let Selector::Name(name) = &target.selector {
        let at = ObjectRef { cluster: cluster.clone(), ..ObjectRef::new(&target.namespace, name) };
        let watched = &context.store.watched;
        match &told {
            ReflectorEvent::Gone(_) | ReflectorEvent::Listing | ReflectorEvent::Denied(_) => watched.forget(&at),
            ReflectorEvent::Listed | ReflectorEvent::Found => watched.set_live(&at, true),
            ReflectorEvent::Lost(_) => watched.set_live(&at, false),
            ReflectorEvent::Object(_) | ReflectorEvent::Absent => {}
        }
    }
    match (told, parser) {
        (ReflectorEvent::Object(object), Some(parse)) => ObjectEvent::Source(SourceEvent::Present(parse(&object))),
        (ReflectorEvent::Object(object), None) => secret_event((cluster, target), object, context, now),
        (ReflectorEvent::Gone(at), Some(_)) => {
            ObjectEvent::Source(SourceEvent::Gone(ObjectRef { cluster: cluster.clone(), ..at }))
        }
        (ReflectorEvent::Gone(at), None) => ObjectEvent::Gone(ObjectRef { cluster: cluster.clone(), ..at }),
        (ReflectorEvent::Listing, _) => ObjectEvent::Listing,
        (ReflectorEvent::Listed, _) => ObjectEvent::Listed,
        (ReflectorEvent::Found, _) => ObjectEvent::Found,
        (ReflectorEvent::Lost(e), _) => ObjectEvent::Lost(e.to_string()),
        (ReflectorEvent::Absent, _) => ObjectEvent::Absent,
        (ReflectorEvent::Denied(e), _) => ObjectEvent::Denied(e.to_string()),
    }
}

fn secret_event(
    (cluster, target): (&ClusterName, &WatchTarget),
    object: Value,
    context: &Context,
    now: Time,
) -> ObjectEvent {
    let metadata =
        |field: &str| object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default();
    let at = ObjectRef { cluster: cluster.clone(), ..ObjectRef::new(metadata("namespace"), metadata("name")) };
    let base = WriteBase::of(&object);
    let secret = match SecretObject::from_json(object) {
        Ok(mut secret) => {
            secret.reference = at.clone();
            context.store.shown(secret)
        }
        Err(InvalidObject(e)) => return ObjectEvent::Unreadable(at, e),
    };
    let version = secret.version.as_ref().map(|v| v.resource_version.clone()).unwrap_or_default();
    let held = |secret: &SecretObject| HeldSecret { state: SecretState::of(Some(secret), &context.instance), base };
    match &target.selector {
        Selector::Type(record::TYPE) => ObjectEvent::Record(at, version, known(&secret, now)),
        Selector::Type(_) => ObjectEvent::Certificate(at, version, held(&secret)),
        _ if secret.type_ == record::TYPE => ObjectEvent::Record(at, version, known(&secret, now)),
        Selector::All | Selector::Labels(_) | Selector::Name(_) => {
            let (held, content) = (held(&secret), content_hash(&secret));
            // Keys, roots and bindings are used as the watch shows them.
            if !held.state.is_certificate() {
                context.store.watched.show(secret);
            }
            ObjectEvent::Named(at, version, held, content)
        }
    }
}

fn known(secret: &SecretObject, now: Time) -> ReadRecord {
    RecordSummary::of(Some(secret), now).map_err(|e| e.to_string())
}

/// Shares the facts of a certificate with those of its copy in the record, where they are equal.
pub(super) fn share(facts: Option<&mut Arc<CertificateFacts>>, known: Option<&Arc<CertificateFacts>>) {
    if let (Some(facts), Some(known)) = (facts, known)
        && facts == known
    {
        *facts = known.clone();
    }
}

/// The resourceVersion of a Secret; empty where there is none.
pub(super) fn version(secret: Option<&SecretObject>) -> String {
    secret.and_then(|s| s.version.as_ref()).map(|v| v.resource_version.clone()).unwrap_or_default()
}
