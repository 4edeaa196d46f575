//! Sends Events to the API server, in a thread of its own. Best effort: no caller waits, an Event beyond its budget or that finds the queue
//! full is dropped, and an API server that fails or refuses costs Events and nothing else. What is dropped is counted, and said once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::api::DryRun;
use super::client::{KubeClient, KubeError};
use super::correlator::Correlator;
use super::events::{EventReason, EventSeries, NewEvent};
use super::metadata::ObjectReference;
use super::refusal::Refuser;
use super::status::ApiError;
use crate::base::limits::{EVENT_FLUSH, EVENT_OFF, EVENT_PAUSE, EVENT_QUEUE, EVENT_TRIES, EVENT_UID_KEPT};
use crate::base::log::event;
use crate::base::metrics;
use crate::base::name::ClusterName;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Deadline};

/// Takes Events about any object. The default one sends none.
#[derive(Clone, Debug, Default)]
pub struct EventRecorder {
    /// The queue for the objects at home.
    home: Option<EventQueue>,
    /// The queues for the objects of other clusters, each with a thread and a budget of its own.
    others: BTreeMap<ClusterName, EventQueue>,
}

#[derive(Clone, Debug)]
struct EventQueue {
    messages: Sender<Message>,
    correlator: Arc<Mutex<Correlator>>,
    dropped: Arc<Dropped>,
}

/// A mark that is set once the log has said that Events are dropped.
#[derive(Debug, Default)]
struct Dropped(AtomicBool);

#[derive(Debug)]
enum Message {
    Publish(Box<NewEvent>),
    /// Answers once all messages before it are handled.
    Flush(Sender<()>),
}

impl EventRecorder {
    /// Starts the thread. `instance` names this process in the Events.
    ///
    /// # Errors
    /// When the thread can not be started.
    pub fn start(client: Arc<KubeClient>, instance: String, stop: Shutdown) -> Result<EventRecorder, String> {
        let (messages, queue) = bounded(EVENT_QUEUE);
        let (dropped, correlator) = (Arc::<Dropped>::default(), Arc::<Mutex<Correlator>>::default());
        let sink = EventSink {
            client,
            instance,
            stop,
            correlator: correlator.clone(),
            uid: None,
            off: None,
            refused: false,
            dropped: dropped.clone(),
        };
        let spawned = thread::Builder::new().name("events".to_owned()).spawn(move || sink.run(&queue));
        spawned.map_err(|e| format!("the thread for Events can not be started: {e}"))?;
        let home = Some(EventQueue { messages, correlator, dropped });
        Ok(EventRecorder { home, others: BTreeMap::new() })
    }

    /// The same, which sends Events about objects of another cluster as `other` does, whose cluster that is.
    #[must_use]
    pub fn with(mut self, cluster: &ClusterName, other: EventRecorder) -> EventRecorder {
        self.others.extend(other.home.map(|queue| (cluster.clone(), queue)));
        self
    }

    /// Publishes an Event about `subject`, where there is one; `related` begins the message. Returns at once. `text` holds no secret.
    pub fn publish(
        &self,
        reason: EventReason,
        subject: Option<ObjectReference>,
        related: Option<ObjectReference>,
        text: String,
    ) {
        let Some(subject) = subject else { return };
        let queue = match subject.at.cluster.is_home() {
            true => self.home.as_ref(),
            false => self.others.get(&subject.at.cluster),
        };
        let Some(queue) = queue else { return };
        let event = Box::new(NewEvent { reason, subject, related, text });
        if !lock(&queue.correlator).admits(&event, time::now()) {
            return queue
                .dropped
                .note(&event, &format!("too many of its reason at this {}", event.subject.resource.kind));
        }
        // What fails finds a place also where everything else has filled its own.
        if !reason.is_warning() && queue.messages.len() >= EVENT_QUEUE / 2 {
            return queue.dropped.note(&event, FULL);
        }
        if let Err(full) = queue.messages.try_send(Message::Publish(event))
            && let Message::Publish(event) = full.into_inner()
        {
            queue.dropped.note(&event, FULL);
        }
    }

    /// Waits until all Events so far are sent, [`EVENT_FLUSH`] at most.
    pub fn flush(&self) {
        let deadline = Deadline::after(EVENT_FLUSH);
        let left = || deadline.left().unwrap_or_default();
        let flushed: Vec<Receiver<()>> = self
            .home
            .iter()
            .chain(self.others.values())
            .filter_map(|queue| {
                let (done, flushed) = bounded(1);
                queue.messages.send_timeout(Message::Flush(done), left()).is_ok().then_some(flushed)
            })
            .collect();
        // Events that are not sent in time are lost: nothing depends on them.
        for flushed in flushed {
            flushed.recv_timeout(left()).ok();
        }
    }
}

/// Why an Event is dropped that finds no place in the queue.
const FULL: &str = "the queue is full";

impl Dropped {
    /// Counts an Event that is not sent, and says so at the first one.
    fn note(&self, event: &NewEvent, why: &str) {
        metrics::event_dropped();
        event!(debug, "event-dropped", reason = event.reason, message = event.message(), why = why);
        if !self.0.swap(true, Ordering::Relaxed) {
            let hint = "said once; all are counted in notariat_events_dropped_total, and the log has each line";
            event!(warn, "events-dropped", reason = event.reason, why = why, hint = hint);
        }
    }
}

/// A poisoned lock is taken over: it guards numbers and texts only.
fn lock(correlator: &Mutex<Correlator>) -> MutexGuard<'_, Correlator> {
    correlator.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The state of the thread.
struct EventSink {
    client: Arc<KubeClient>,
    instance: String,
    stop: Shutdown,
    correlator: Arc<Mutex<Correlator>>,
    /// The subject whose uid was read last, with the uid, and until when the uid is used.
    uid: Option<(ObjectReference, Deadline)>,
    /// Until when no Event is tried, because the last one was refused.
    off: Option<Deadline>,
    /// The last Event that was tried was refused, which was logged.
    refused: bool,
    dropped: Arc<Dropped>,
}

impl EventSink {
    fn run(mut self, queue: &Receiver<Message>) {
        for message in queue {
            match message {
                Message::Publish(event) => {
                    if let Err(why) = self.publish((*event).clone()) {
                        self.dropped.note(&event, &why);
                    }
                }
                Message::Flush(done) => {
                    // The receiver may have ceased to wait.
                    done.send(()).ok();
                }
            }
        }
    }

    fn publish(&mut self, mut event: NewEvent) -> Result<(), String> {
        if self.off.is_some_and(|until| until.left().is_some()) {
            return Err("Events are off".to_owned());
        }
        let sent = match self.identified(&event.subject) {
            Ok(subject) => {
                event.subject = subject;
                let series = lock(&self.correlator).count(&event, time::now(), unique());
                let verb = if series.count == 1 { "create" } else { "update" };
                self.tried(|client| send(client, &series, &self.instance)).map_err(|e| (verb, "events", e))
            }
            Err(e) => Err(("get", event.subject.resource.plural, e)),
        };
        match &sent {
            Ok(()) => self.refused = false,
            Err((verb, resource, KubeError::Api(e))) if is_refused(e) => {
                self.off = Some(Deadline::after(EVENT_OFF));
                if !self.refused {
                    let hint = Refuser::of(e).hint(verb, resource, &event.subject.at.namespace, e);
                    let hint = hint.map(|hint| format!("{hint}; ")).unwrap_or_default();
                    event!(warn, "events-off", error = e, hint = format!("{hint}everything else goes on"));
                }
                self.refused = true;
            }
            Err(_) => {}
        }
        sent.map_err(|(_, _, e)| e.to_string())
    }

    /// The subject with its uid, by which `kubectl describe` finds its Events; without one when it does not exist. An object that is deleted
    /// and created again is another one.
    fn identified(&mut self, subject: &ObjectReference) -> Result<ObjectReference, KubeError> {
        if subject.uid.is_some() {
            return Ok(subject.clone());
        }
        if let Some((known, until)) = &self.uid
            && (known.resource, &known.at) == (subject.resource, &subject.at)
            && until.left().is_some()
        {
            return Ok(known.clone());
        }
        let object = self.tried(|client| client.get_json(subject.resource, &subject.at))?;
        let uid = object.and_then(|object| Some(object.get("metadata")?.get("uid")?.as_str()?.to_owned()));
        let found = ObjectReference { uid, ..subject.clone() };
        self.uid = found.uid.is_some().then(|| (found.clone(), Deadline::after(EVENT_UID_KEPT)));
        Ok(found)
    }

    /// Asks again after a pause where there was no answer, or a fault of the server. Not while the program ends.
    fn tried<T>(&self, ask: impl Fn(&KubeClient) -> Result<T, KubeError>) -> Result<T, KubeError> {
        let mut tries = 1u32;
        loop {
            match ask(&self.client) {
                Err(KubeError::Api(e)) if e.code < 500 => return Err(KubeError::Api(e)),
                Err(_) if tries < EVENT_TRIES && !self.stop.wait(EVENT_PAUSE) => tries = tries.saturating_add(1),
                result => return result,
            }
        }
    }
}

/// Tells whether the next Event would be refused as well. An Event that is not valid says nothing about the next one.
fn is_refused(e: &ApiError) -> bool {
    match Refuser::of(e) {
        Refuser::Role | Refuser::Quota(_) | Refuser::Admission => true,
        Refuser::Policy(_) | Refuser::Webhook(_) => e.code < 500 && e.code != 429,
        Refuser::Authentication | Refuser::Namespace | Refuser::Validation | Refuser::Nobody => false,
    }
}

fn send(client: &KubeClient, series: &EventSeries, instance: &str) -> Result<(), KubeError> {
    let event = series.object(instance);
    let sent = match series.count {
        1 => client.create(&event, DryRun::Real),
        // The API server forgets Events after an hour, and creates those anew that are replaced then (measured on 1.20).
        _ => client.replace(&event, DryRun::Real),
    };
    match sent {
        // The Event was sent twice, because the answer to the first request was lost.
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
    use crate::base::name::ObjectRef;
    use crate::base::time::Stopwatch;
    use crate::kube::config::{AuthInfo, ClusterConfig, TlsConfig};
    use crate::kube::resource::Resource;

    #[test]
    fn a_server_that_never_answers_holds_up_nobody() {
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let config = ClusterConfig {
            server: format!("https://{}", silent.local_addr().unwrap()),
            tls: TlsConfig { skipped: true, ..TlsConfig::default() },
            proxy: None,
            auth: AuthInfo::default(),
            impersonation: Vec::new(),
            namespace: None,
        };
        let client = Arc::new(KubeClient::new(config, Shutdown::new()).unwrap());
        let (recorder, watch) =
            (EventRecorder::start(client, "pod".to_owned(), Shutdown::new()).unwrap(), Stopwatch::start());
        let dropped = || metrics::Counts::now().events_dropped;
        let before = dropped();
        let object =
            |n: usize| Some(ObjectReference::new(Resource::CONFIG_MAPS, &ObjectRef::new("team", &format!("c{n}"))));
        for n in 0..2 * EVENT_QUEUE {
            recorder.publish(EventReason::Issued, object(n), None, "x".to_owned());
        }
        let normal = dropped() - before;
        // The thread may have taken one.
        let places = 3 * EVENT_QUEUE / 2;
        assert!((places - 1..=places).contains(&usize::try_from(normal).unwrap()), "{normal}");
        assert!(recorder.home.as_ref().unwrap().dropped.0.load(Ordering::Relaxed), "it was said");
        for n in 0..EVENT_QUEUE / 2 {
            recorder.publish(EventReason::Refused, object(n), None, "x".to_owned());
        }
        assert_eq!(dropped() - before, normal, "what is refused finds a place");
        recorder.publish(EventReason::Issued, None, None, "x".to_owned());
        recorder.flush();
        assert!(watch.elapsed() < EVENT_FLUSH * 10, "{:?}", watch.elapsed());
        EventRecorder::default().flush();
    }
}
