//! What is kept of an object: facts, never its body. Pure.

use std::cell::RefCell;
use std::sync::Arc;

use serde_json::Value;

use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::{self, Config, InvalidConfig};
use crate::issuance::Context;
use crate::kube::object::Resource;
use crate::kube::object::{SecretObject, config_data};
use crate::kube::reflector::ReflectorEvent;
use crate::kube::watch_event::{Selector, WatchTarget};
use crate::policy::secret_state::SecretState;
use crate::record::{self, Fingerprint, Record, RecordData, UnusableRecord};
use crate::sources::dependencies::content_hash;
use crate::worker::{WriteBase, backup_facts};

/// A record, as far as decisions look at it.
#[derive(Debug, Default)]
pub(super) struct RecordSummary {
    /// Without the accepted form, which is large and seldom asked for.
    pub(super) body: RecordData,
    pub(super) accepted: Option<AcceptedSummary>,
    pub(super) copy: Option<Arc<CertificateFacts>>,
}

/// What is kept of an accepted form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AcceptedSummary {
    pub(super) fingerprint: Fingerprint,
    pub(super) source: Option<SharedStr>,
}

impl RecordSummary {
    /// What a record's Secret, which was read successfully, says.
    pub(super) fn of(secret: Option<&SecretObject>, now: Time) -> Result<Box<RecordSummary>, UnusableRecord> {
        let Record { mut body, copy, .. } = Record::read(secret)?;
        let copy = backup_facts(copy.as_ref());
        body.compact(copy.as_deref(), now);
        let accepted = body.accepted.take().map(|accepted| AcceptedSummary {
            fingerprint: accepted.fingerprint(),
            source: accepted.source.as_deref().map(SharedStr::intern),
        });
        Ok(Box::new(RecordSummary { body, accepted, copy }))
    }
}

/// A certificate's Secret, as far as decisions and writes look at it.
#[derive(Debug)]
pub(super) struct HeldSecret {
    pub(super) state: SecretState,
    /// What a replacement carries over, where that is known.
    pub(super) base: Option<WriteBase>,
}

/// What was seen of the objects that one watch follows.
#[derive(Debug)]
pub(super) enum ObjectEvent {
    /// A ConfigMap, read as configuration.
    Config(Result<Arc<Config>, InvalidConfig>),
    /// A Secret that may hold a certificate.
    Certificate(ObjectRef, String, HeldSecret),
    /// A record, by its own name.
    Record(ObjectRef, String, Result<Box<RecordSummary>, String>),
    /// A Secret that was followed by its name, as a certificate and as a key: a hash of its content.
    Named(ObjectRef, String, HeldSecret, String),
    /// An object is not there any more.
    Gone(ObjectRef),
    /// A list begins.
    Listing,
    /// A list is complete.
    Listed,
    /// Nothing is seen for the moment, and why.
    Lost(String),
    /// All is seen again.
    Found,
    /// It is not allowed: the API server's words.
    Denied(String),
    /// An object that does not read, and why.
    Unreadable(ObjectRef, String),
}

/// Makes facts of what a watch tells now. `config` is what it told before, if it follows a ConfigMap.
pub(super) fn object_event(
    target: &WatchTarget,
    told: ReflectorEvent,
    context: &Context,
    config: &RefCell<Arc<Config>>,
    now: Time,
) -> ObjectEvent {
    if let Selector::Name(name) = &target.selector {
        let (at, watched) = (ObjectRef::new(&target.namespace, name), &context.store.watched);
        match &told {
            ReflectorEvent::Gone(_) | ReflectorEvent::Listing | ReflectorEvent::Denied(_) => watched.forget(&at),
            ReflectorEvent::Listed | ReflectorEvent::Found => watched.set_live(&at, true),
            ReflectorEvent::Lost(_) => watched.set_live(&at, false),
            ReflectorEvent::Object(_) => {}
        }
    }
    match told {
        ReflectorEvent::Object(object) if target.resource == Resource::ConfigMaps => {
            let read = config::read_after(&config_data(&object), &context.namespaces, &config.borrow());
            let read = read.map(Arc::new);
            if let Ok(read) = &read {
                config.replace(read.clone());
            }
            ObjectEvent::Config(read)
        }
        ReflectorEvent::Object(object) => secret_event(target, object, context, now),
        ReflectorEvent::Gone(at) => ObjectEvent::Gone(at),
        ReflectorEvent::Listing => ObjectEvent::Listing,
        ReflectorEvent::Listed => ObjectEvent::Listed,
        ReflectorEvent::Found => ObjectEvent::Found,
        ReflectorEvent::Lost(e) => ObjectEvent::Lost(e.to_string()),
        ReflectorEvent::Denied(e) => ObjectEvent::Denied(e.to_string()),
    }
}

fn secret_event(target: &WatchTarget, object: Value, context: &Context, now: Time) -> ObjectEvent {
    let metadata =
        |field: &str| object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default();
    let at = ObjectRef::new(metadata("namespace"), metadata("name"));
    let base = WriteBase::of(&object);
    let secret = match SecretObject::from_json(object) {
        Ok(secret) => secret,
        Err(e) => return ObjectEvent::Unreadable(at, e),
    };
    let version = secret.version.as_ref().map(|v| v.resource_version.clone()).unwrap_or_default();
    let held = |secret: &SecretObject| HeldSecret { state: SecretState::of(Some(secret), &context.instance), base };
    match &target.selector {
        Selector::Type(record::TYPE) => ObjectEvent::Record(at, version, known(&secret, now)),
        Selector::Type(_) => ObjectEvent::Certificate(at, version, held(&secret)),
        Selector::Name(_) if secret.type_ == record::TYPE => ObjectEvent::Record(at, version, known(&secret, now)),
        Selector::Name(_) => {
            let (held, content) = (held(&secret), content_hash(&secret));
            // Keys, roots and bindings are used as the watch shows them.
            if !held.state.is_certificate() {
                context.store.watched.show(secret);
            }
            ObjectEvent::Named(at, version, held, content)
        }
    }
}

fn known(secret: &SecretObject, now: Time) -> Result<Box<RecordSummary>, String> {
    RecordSummary::of(Some(secret), now).map_err(|e| e.to_string())
}
