//! Sends Events to the API server, in a thread of its own. Best effort: nobody waits for it, what finds the queue full is dropped, and
//! an API server that fails or refuses costs Events and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::client::{DryRun, KubeClient, KubeError, Resource};
use super::correlator::Correlator;
use super::events::{EventObject, EventReason, NewEvent};
use super::refusal::Refuser;
use super::status::ApiError;
use crate::base::limits::{EVENT_FLUSH, EVENT_OFF, EVENT_PAUSE, EVENT_QUEUE, EVENT_TRIES, EVENT_UID_KEPT};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline};
use crate::sources::configmap;

/// Takes what is to be told. The default one tells nobody.
#[derive(Clone, Debug, Default)]
pub struct EventRecorder(Option<EventQueue>);

#[derive(Clone, Debug)]
struct EventQueue {
    messages: Sender<Message>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Tell(NewEvent),
    /// All before it was told: say so.
    Flush(Sender<()>),
}

impl EventRecorder {
    /// Starts the thread. `instance` names this process in the Events.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(client: Arc<KubeClient>, instance: String, stop: Shutdown) -> Result<EventRecorder, String> {
        let (messages, queue) = bounded(EVENT_QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let correlator = Correlator::default();
        let teller = EventSink {
            client,
            instance,
            stop,
            correlator,
            uid: None,
            off: None,
            refused: false,
            dropped: dropped.clone(),
        };
        let spawned = thread::Builder::new().name("events".to_owned()).spawn(move || teller.run(&queue));
        spawned.map_err(|e| format!("the thread for Events can not be started: {e}"))?;
        Ok(EventRecorder(Some(EventQueue { messages, dropped })))
    }

    /// Tells `text` at the object that `source` names, as [`configmap::source`] writes it. Returns at once. No secret may be in it.
    pub fn publish(&self, reason: EventReason, source: &str, secret: Option<&ObjectRef>, text: String) {
        let (Some(queue), Some(config_map)) = (&self.0, configmap::named(source)) else { return };
        let notice = NewEvent { reason, config_map, secret: secret.cloned(), text };
        if let Err(full) = queue.messages.try_send(Message::Tell(notice))
            && let Message::Tell(notice) = full.into_inner()
        {
            note_dropped(&queue.dropped, &notice, "the queue is full");
        }
    }

    /// Waits until all that was said is sent, for a moment at most.
    pub fn flush(&self) {
        let Some(queue) = &self.0 else { return };
        let (done, told) = bounded(1);
        let deadline = Deadline::after(EVENT_FLUSH);
        if queue.messages.send_timeout(Message::Flush(done), EVENT_FLUSH).is_ok() {
            // Nothing follows from it that not all were sent.
            told.recv_timeout(deadline.left().unwrap_or_default()).ok();
        }
    }
}

fn note_dropped(dropped: &AtomicU64, notice: &NewEvent, why: &str) {
    let in_all = dropped.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    event!(debug, "event-dropped", reason = notice.reason, message = notice.message(), why = why, in_all = in_all);
}

/// The thread's state.
struct EventSink {
    client: Arc<KubeClient>,
    instance: String,
    stop: Shutdown,
    correlator: Correlator,
    /// The uid of the ConfigMap that was told about last, and until when it is taken for its.
    uid: Option<(ObjectRef, String, Deadline)>,
    /// The Role does not allow Events: until when none is tried.
    off: Option<Deadline>,
    /// The last one that was tried was refused, which was said.
    refused: bool,
    dropped: Arc<AtomicU64>,
}

impl EventSink {
    fn run(mut self, queue: &Receiver<Message>) {
        for message in queue {
            match message {
                Message::Tell(notice) => {
                    if let Err(why) = self.tell(&notice) {
                        note_dropped(&self.dropped, &notice, &why);
                    }
                }
                Message::Flush(done) => {
                    // Who asked may have ceased to wait.
                    done.send(()).ok();
                }
            }
        }
    }

    fn tell(&mut self, notice: &NewEvent) -> Result<(), String> {
        if self.off.is_some_and(|until| until.left().is_some()) {
            return Err("Events are off".to_owned());
        }
        if !self.correlator.admits(notice, time::now()) {
            return Err("too many at this ConfigMap".to_owned());
        }
        let sent = match self.uid_of(&notice.config_map) {
            Ok(uid) => {
                let event = self.correlator.count(notice, uid, time::now(), unique());
                let verb = if event.count == 1 { "create" } else { "update" };
                self.tried(|client| send(client, &event, &self.instance)).map_err(|e| (verb, "events", e))
            }
            Err(e) => Err(("get", "configmaps", e)),
        };
        match &sent {
            Ok(()) => self.refused = false,
            Err((verb, resource, KubeError::Api(e))) if is_refused(e) => {
                self.off = Some(Deadline::after(EVENT_OFF));
                if !self.refused {
                    let hint = Refuser::of(e).hint(verb, resource, &notice.config_map.namespace, e);
                    let hint = hint.map(|hint| format!("{hint}; ")).unwrap_or_default();
                    event!(warn, "events-off", error = e, hint = format!("{hint}everything else goes on"));
                }
                self.refused = true;
            }
            Err(_) => {}
        }
        sent.map_err(|(_, _, e)| e.to_string())
    }

    /// The uid of a ConfigMap; none when it does not exist. One that was deleted and made again is another one.
    fn uid_of(&mut self, config_map: &ObjectRef) -> Result<Option<String>, KubeError> {
        if let Some((of, uid, until)) = &self.uid
            && of == config_map
            && until.left().is_some()
        {
            return Ok(Some(uid.clone()));
        }
        let object = self.tried(|client| client.get(Resource::ConfigMaps, config_map))?;
        let uid = object.and_then(|object| Some(object.get("metadata")?.get("uid")?.as_str()?.to_owned()));
        self.uid = uid.clone().map(|uid| (config_map.clone(), uid, Deadline::after(EVENT_UID_KEPT)));
        Ok(uid)
    }

    /// Asks again after a while where there was no answer, or the fault of the server. Not while the program ends.
    fn tried<T>(&self, ask: impl Fn(&KubeClient) -> Result<T, KubeError>) -> Result<T, KubeError> {
        let mut tries = 1;
        loop {
            match ask(&self.client) {
                Err(KubeError::Api(e)) if e.code < 500 => return Err(KubeError::Api(e)),
                Err(_) if tries < EVENT_TRIES && !self.stop.wait(EVENT_PAUSE) => tries += 1,
                result => return result,
            }
        }
    }
}

/// Whether the next Event would be refused as well. One that is not valid says nothing about the next one.
fn is_refused(e: &ApiError) -> bool {
    match Refuser::of(e) {
        Refuser::Role | Refuser::Quota(_) | Refuser::Admission => true,
        Refuser::Policy(_) | Refuser::Webhook(_) => e.code < 500 && e.code != 429,
        Refuser::Authentication | Refuser::Namespace | Refuser::Validation | Refuser::Nobody => false,
    }
}

fn send(client: &KubeClient, event: &EventObject, instance: &str) -> Result<(), KubeError> {
    let ObjectRef { namespace, .. } = &event.notice.config_map;
    let at = ObjectRef::new(namespace, &event.name);
    let json = event.to_json(instance);
    let sent = match event.count {
        1 => client.create(Resource::Events, namespace, &json, DryRun::Real),
        // The API server forgets Events after an hour, and makes those anew that are updated then (measured on 1.20).
        _ => client.update(Resource::Events, &at, &json, DryRun::Real),
    };
    match sent {
        // It was sent twice, because the answer to the first was lost.
        Err(KubeError::Api(e)) if e.reason == "AlreadyExists" => Ok(()),
        sent => sent.map(|_| ()),
    }
}

fn unique() -> u64 {
    let mut octets = [0; 8];
    SystemRandom::new().fill(&mut octets).expect("the system gives random octets");
    u64::from_be_bytes(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Stopwatch;
    use crate::kube::config::{AuthInfo, ClusterConfig, TlsConfig};

    #[test]
    fn a_server_that_never_answers_holds_up_nobody() {
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let access = ClusterConfig {
            server: format!("https://{}", silent.local_addr().unwrap()),
            checks: TlsConfig { skipped: true, ..TlsConfig::default() },
            proxy: None,
            identity: AuthInfo::default(),
            impersonation: Vec::new(),
            namespace: None,
        };
        let client = Arc::new(KubeClient::new(access, Shutdown::new()).unwrap());
        let (reporter, watch) =
            (EventRecorder::start(client, "pod".to_owned(), Shutdown::new()).unwrap(), Stopwatch::start());
        for _ in 0..2 * EVENT_QUEUE {
            reporter.publish(EventReason::Issued, "ConfigMap team/certs", None, "x".to_owned());
        }
        reporter.publish(EventReason::Issued, "Something else", None, "x".to_owned());
        reporter.flush();
        assert!(watch.elapsed() < EVENT_FLUSH * 10, "{:?}", watch.elapsed());
        let dropped = reporter.0.unwrap().dropped.load(Ordering::Relaxed);
        // The thread may have taken one.
        assert!((EVENT_QUEUE - 1..=EVENT_QUEUE).contains(&usize::try_from(dropped).unwrap()), "{dropped}");
        EventRecorder::default().flush();
    }
}
