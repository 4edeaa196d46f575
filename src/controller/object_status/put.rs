//! Writes one status, by a PUT that carries uid and version.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::slots::{StatusWrite, WriteEnd};
use crate::base::limits::{STATUS_CONFLICTS_MAX, STATUS_RETRY, STORE_TRIES};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time::{self, Stopwatch};
use crate::cert_manager::status::SeenResource;
use crate::issuance::Context;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::events::EventReason;
use crate::kube::metadata::ObjectReference;
use crate::kube::refusal::Refuser;
use crate::kube::resource::Resource;
use crate::policy::secret_state::annotation;
use crate::store::StoreError;

/// The hand that writes.
pub(super) struct StatusPutter {
    pub(super) client: KubeClient,
    pub(super) context: Arc<Context>,
    /// The kinds that were asked about, each with the answer (its status can be written alone) and the time of the question.
    statuses: BTreeMap<Resource, (bool, Stopwatch)>,
    /// The last failure, so that it is said once.
    said: String,
}

impl StatusPutter {
    pub(super) fn new(client: KubeClient, context: Arc<Context>) -> StatusPutter {
        StatusPutter { client, context, statuses: BTreeMap::new(), said: String::new() }
    }

    /// Writes a status, after the request for a renewal that belongs to it.
    pub(super) fn put(&mut self, write: &StatusWrite) -> WriteEnd {
        let Some(resource) = Resource::of_kind(write.object.kind) else { return WriteEnd::Dropped };
        if self.context.leader.check().is_err() || self.context.acting.check_object(&write.object).is_err() {
            // Whoever acts now writes it.
            return WriteEnd::Dropped;
        }
        if let Some((secret, mark)) = write.renewal.as_deref()
            && let Err(e) = self.ask_for_renewal(secret, mark)
        {
            self.say(write, &e, "the request for a renewal is tried again");
            return WriteEnd::Later;
        }
        match self.has_status(resource) {
            Ok(true) => {}
            Ok(false) => return WriteEnd::Refused,
            Err(e) => return self.failed(write, resource, &e),
        }
        let mut seen = write.seen.clone();
        for _ in 0..=STATUS_CONFLICTS_MAX {
            let Some(next) = write.verdict.next(&seen, time::now()) else { return WriteEnd::Dropped };
            let version = (&*seen.version.uid, &*seen.version.version);
            match self.client.put_status(resource, &write.object.at, version, &next.to_json()) {
                Ok(object) => {
                    self.said.clear();
                    let Some(stored) = SeenResource::read(&object) else { return WriteEnd::Dropped };
                    return WriteEnd::Written { over: write.seen.version.clone(), stored: Arc::new(stored) };
                }
                Err(KubeError::Api(e)) if e.code == 409 => {
                    match self.client.get_json(resource, &write.object.at) {
                        Ok(found) => match found.as_ref().and_then(SeenResource::read) {
                            Some(found) if found.version.uid == seen.version.uid => seen = Arc::new(found),
                            // The object is gone, or another one has its name and comes by its own event.
                            Some(_) | None => return WriteEnd::Dropped,
                        },
                        Err(e) => return self.failed(write, resource, &e),
                    }
                }
                Err(KubeError::Api(e)) if e.code == 404 => return WriteEnd::Dropped,
                Err(e) => return self.failed(write, resource, &e),
            }
        }
        WriteEnd::Dropped
    }

    /// Tells whether the status of a kind can be written. A kind whose definition says no is asked about again now and then.
    fn has_status(&mut self, resource: Resource) -> Result<bool, KubeError> {
        if let Some((has, asked)) = self.statuses.get(&resource)
            && (*has || asked.elapsed() < STATUS_RETRY[1])
        {
            return Ok(*has);
        }
        let has = self.client.has_status(resource)?;
        if !has && !self.statuses.contains_key(&resource) {
            let hint = "its definition lacks `subresources: {status: {}}`; Certificates are served all the same";
            event!(error, "no-status", kind = resource.text_kind(), hint = hint);
        }
        self.statuses.insert(resource, (has, Stopwatch::start()));
        Ok(has)
    }

    fn failed(&mut self, write: &StatusWrite, resource: Resource, error: &KubeError) -> WriteEnd {
        let consequence = "certificates are issued and renewed all the same";
        let KubeError::Api(e) = error else {
            self.say(write, &error.to_string(), consequence);
            return WriteEnd::Later;
        };
        let webhook = e.message.split_once("failed calling webhook \"").and_then(|(_, rest)| rest.split_once('"'));
        let hint = match webhook {
            Some((name, _)) => format!(
                "the webhook {name} does not answer; `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations` shows whose it is"
            ),
            None => {
                let plural = format!("{}/status", resource.plural);
                let hint = Refuser::of(e).hint("update", &plural, &write.object.at.namespace, e);
                hint.unwrap_or_else(|| consequence.to_owned())
            }
        };
        self.say(write, &error.to_string(), &hint);
        match e.code {
            429 | 500.. => WriteEnd::Later,
            422 => {
                let subject = ObjectReference {
                    uid: Some(write.seen.version.uid.to_string()),
                    ..ObjectReference::new(resource, &write.object.at)
                };
                let text = format!("the API server does not take its status: {}", e.message);
                self.context.recorder.publish(EventReason::StatusNotWritten, Some(subject), None, text);
                WriteEnd::Refused
            }
            _ => WriteEnd::Refused,
        }
    }

    /// Says a failure, unless it was the last one said: a dead webhook fails each write.
    fn say(&mut self, write: &StatusWrite, error: &str, hint: &str) {
        if self.said != hint {
            event!(error, "status-not-written", object = write.object, error = error, hint = hint);
            self.said = hint.to_owned();
        }
    }

    /// Asks for a renewal as `notariat renew` does, by the annotation on the Secret. A request that stands there or was served is not
    /// repeated.
    fn ask_for_renewal(&self, at: &ObjectRef, mark: &str) -> Result<(), String> {
        let store = &self.context.store;
        for _ in 0..STORE_TRIES {
            // Where there is no Secret a certificate is being obtained anyway.
            let Some(secret) = store.secret(at).map_err(|e| e.to_string())? else { return Ok(()) };
            let is = |name: &str| secret.annotations.get(name).is_some_and(|value| value == mark);
            if is(annotation::RENEW) || is(annotation::RENEWED) {
                return Ok(());
            }
            match store.annotate(&secret, annotation::RENEW, mark) {
                Ok(()) => {
                    event!(info, "renewal-asked", secret = at, by = mark);
                    return Ok(());
                }
                Err(StoreError::Conflict) => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Err(StoreError::Conflict.to_string())
    }
}
