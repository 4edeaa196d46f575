//! Reflects objects: a list, then a watch of what changes, without end.
//!
//! Trusted: the API server, as far as TLS proves it. Its answers are bounded, and each silence has an end. The events are complete at
//! [`ReflectorEvent::Listed`]: an object without an event since [`ReflectorEvent::Listing`] does not exist. A list that breaks off is never
//! taken for a short one. Tested by tests/it/following.rs and tests/it/watching.rs, too.

mod state;

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use zeroize::Zeroizing;

use super::client::{KubeClient, KubeError};
use super::list::{ListError, ListPage};
use super::resource::WatchTarget;
use super::watch_event::WatchEvent;
use crate::base::limits::{
    API_REQUEST, PAGE_OBJECTS, PAGE_OCTETS_MAX, REFUSAL_DOUBTED, RELIST_AFTER, RELIST_PAUSE_MAX, WATCH_GRACE,
    WATCH_LASTS, WATCH_LINE_OCTETS_MAX, WATCH_PAUSE_MAX, WATCH_SHORT,
};
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{Deadline, Stopwatch};
use crate::http::{HttpError, Stream};
use state::{Failures, Input, State, pause};

/// An event of a reflector.
#[derive(Debug)]
pub enum ReflectorEvent {
    /// An object exists, or has changed.
    Object(Value),
    /// An object does not exist any more.
    Gone(ObjectRef),
    /// A list begins: an object that has no event before [`ReflectorEvent::Listed`] does not exist.
    Listing,
    /// The list is complete, and a watch follows.
    Listed,
    /// The API server does not answer. The reflector tries again.
    Lost(KubeError),
    /// The API server answers again, and no event was missed.
    Found,
    /// The API server does not serve the kind, so that no object exists. The reflector looks again now and then.
    Absent,
    /// The API server refuses. This is the last event.
    Denied(KubeError),
}

/// How long watches last and how long silence is accepted.
#[derive(Clone, Copy, Debug)]
pub struct WatchTimeouts {
    /// The shortest and the longest time for which the server is asked to let a watch last.
    pub lasts: [Duration; 2],
    /// How much later than that the connection counts as dead.
    pub grace: Duration,
    /// How long a refusal is doubted: an API server that has just started refuses everything until it has read its Roles.
    pub doubt: Duration,
    /// The pause before a kind is looked for again that the API server does not serve; none where that is a refusal.
    pub absent: Option<Duration>,
}

impl Default for WatchTimeouts {
    fn default() -> WatchTimeouts {
        WatchTimeouts { lasts: WATCH_LASTS, grace: WATCH_GRACE, doubt: REFUSAL_DOUBTED, absent: None }
    }
}

/// Reflects a target; `tell` takes the events and returns whether more are wanted.
pub struct Reflector<'a, F> {
    /// The client.
    pub client: &'a KubeClient,
    /// The objects.
    pub target: &'a WatchTarget,
    /// Set when no more events are wanted.
    pub stop: &'a Shutdown,
    /// How long watches last.
    pub timeouts: WatchTimeouts,
    /// Takes the events.
    pub tell: F,
}

impl<F: FnMut(ReflectorEvent) -> bool> Reflector<'_, F> {
    /// Runs until the API server refuses or no more events are wanted.
    pub fn run(self) {
        let mut run = RunningReflector {
            reflector: self,
            age: Stopwatch::start(),
            failures: Failures::default(),
            expired: 0,
            listed: Stopwatch::start(),
            relist: Deadline::after(RELIST_AFTER),
            heard: Stopwatch::start(),
        };
        let mut state = State::Empty;
        while let Some(input) = run.step(&mut state) {
            state = state.next(input);
        }
    }
}

/// An open watch.
struct Watch {
    lines: Stream,
    /// Since its request was sent.
    age: Stopwatch,
}

/// A reflector that runs, with what it remembers across states.
struct RunningReflector<'a, F> {
    reflector: Reflector<'a, F>,
    age: Stopwatch,
    failures: Failures,
    /// Lists in a row whose versions expired at once.
    expired: u32,
    /// Since the list was complete.
    listed: Stopwatch,
    /// When the list is read anew in any case.
    relist: Deadline,
    /// Since the last line of a watch. A healthy server sends bookmarks; one whose etcd was restored from a backup has lower versions than
    /// ours and is silent.
    heard: Stopwatch,
}

impl<F: FnMut(ReflectorEvent) -> bool> RunningReflector<'_, F> {
    /// Does what is next in a state. `None` ends the run.
    fn step(&mut self, state: &mut State<Watch>) -> Option<Input<Watch>> {
        match state {
            State::Empty => {
                self.tell(ReflectorEvent::Listing)?;
                Some(Input::Started)
            }
            State::InitPage { continue_token } => self.read_page(continue_token.as_deref()),
            State::InitListed { resource_version } => self.open_watch(resource_version),
            State::Watching { watch, .. } => self.read_event(watch),
        }
    }

    fn read_page(&mut self, continue_token: Option<&str>) -> Option<Input<Watch>> {
        let Reflector { client, target, stop, tell, .. } = &mut self.reflector;
        if stop.is_set() {
            return None;
        }
        let stream = client.stream(&target.list_path(PAGE_OBJECTS, continue_token), API_REQUEST);
        let page = stream.and_then(|stream| {
            match ListPage::read(stream.body(PAGE_OCTETS_MAX), |item| tell(ReflectorEvent::Object(item))) {
                Ok(page) => Ok(Some(page)),
                Err(ListError::Unwanted) => Ok(None),
                Err(e) => Err(e.into()),
            }
        });
        let failed = match page {
            Ok(page) => {
                let page = page?;
                if page.continue_token.is_none() {
                    self.tell(ReflectorEvent::Listed)?;
                    self.failures = Failures::default();
                    self.listed = Stopwatch::start();
                    self.relist = Deadline::after(RELIST_AFTER.mul_f64(1.0 + draw() / 4.0));
                    self.heard = Stopwatch::start();
                }
                return Some(Input::Page(page));
            }
            Err(KubeError::Api(e)) if e.is_expired() => {
                KubeError::Unusable("the list was too old before it was read".to_owned())
            }
            Err(e) => e,
        };
        if let Some(pause) = self.absence(&failed) {
            self.tell(ReflectorEvent::Absent)?;
            self.failures = Failures::default();
            return (!self.reflector.stop.wait(pause)).then_some(Input::Outdated);
        }
        self.backoff(failed)?;
        Some(Input::Outdated)
    }

    /// The pause after an answer that says that the kind is not served.
    fn absence(&self, failed: &KubeError) -> Option<Duration> {
        self.reflector.timeouts.absent.filter(|_| matches!(failed, KubeError::Api(e) if e.code == 404))
    }

    fn open_watch(&mut self, resource_version: &str) -> Option<Input<Watch>> {
        let Some(left) = self.relist.left() else { return Some(Input::Outdated) };
        let WatchTimeouts { lasts: [shortest, longest], grace, .. } = self.reflector.timeouts;
        let lasts = shortest
            .saturating_add(longest.saturating_sub(shortest).mul_f64(draw()))
            .min(left.saturating_add(WATCH_SHORT));
        let path = self.reflector.target.watch_path(resource_version, lasts);
        let age = Stopwatch::start();
        match self.reflector.client.stream(&path, lasts.saturating_add(grace)) {
            Ok(lines) => {
                // An open watch is no success yet: only an event is, or that the watch lasts.
                if self.failures.count > 0 {
                    self.tell(ReflectorEvent::Found)?;
                }
                Some(Input::Opened(Watch { lines, age }))
            }
            Err(e) => self.close_watch(age, Some(e)),
        }
    }

    fn read_event(&mut self, watch: &mut Watch) -> Option<Input<Watch>> {
        let line = match watch.lines.line(WATCH_LINE_OCTETS_MAX) {
            Ok(Some(line)) => Zeroizing::new(line),
            Ok(None) => return self.close_watch(watch.age, None),
            Err(HttpError(e)) => {
                let broken = KubeError::Network(HttpError(format!("a watch broke off: {e}")));
                return self.close_watch(watch.age, Some(broken));
            }
        };
        self.heard = Stopwatch::start();
        let (event, reached) = match WatchEvent::read(&line) {
            Ok((WatchEvent::Failed(e), _)) => return self.close_watch(watch.age, Some(KubeError::Api(e))),
            Ok((WatchEvent::Object(object), reached)) => (Some(ReflectorEvent::Object(object)), reached),
            Ok((WatchEvent::Gone(at), reached)) => (Some(ReflectorEvent::Gone(at)), reached),
            Ok((WatchEvent::Bookmark, reached)) => (None, reached),
            Err(e) => return self.close_watch(watch.age, Some(KubeError::Unusable(e))),
        };
        self.failures = Failures::default();
        // The event comes before the version: the next watch repeats an event that was not told.
        if let Some(event) = event {
            self.tell(event)?;
        }
        Some(Input::Reached(reached))
    }

    /// A watch of this age ended: by the server (`None`), or with an error.
    fn close_watch(&mut self, age: Stopwatch, failed: Option<KubeError>) -> Option<Input<Watch>> {
        let was_short = age.elapsed() < WATCH_SHORT;
        if !was_short {
            self.failures = Failures::default();
        }
        let was_silent = self.heard.elapsed() >= self.reflector.timeouts.lasts[0];
        let input = if was_silent { Input::Outdated } else { Input::Closed };
        let failed = match failed {
            Some(KubeError::Api(e)) if e.is_expired() => return self.expire(),
            // The list says whether the kind is gone.
            Some(e) if self.absence(&e).is_some() => {
                return (!self.reflector.stop.wait(pause(1, draw()))).then_some(Input::Outdated);
            }
            Some(e) => e,
            None if was_short => KubeError::Unusable("it ends watches at once".to_owned()),
            None => return Some(input),
        };
        self.backoff(failed)?;
        Some(input)
    }

    /// The version expired. A server that forgets at once what it listed is asked less and less.
    fn expire(&mut self) -> Option<Input<Watch>> {
        self.expired = if self.listed.elapsed() < WATCH_PAUSE_MAX { self.expired.saturating_add(1) } else { 1 };
        let pause = match self.expired {
            1 => RELIST_PAUSE_MAX.mul_f64(draw()),
            many => pause(many, draw()),
        };
        (!self.reflector.stop.wait(pause)).then_some(Input::Outdated)
    }

    /// Counts a failure, reports it where it is an outage, and pauses. `None` when there is no next try.
    fn backoff(&mut self, failed: KubeError) -> Option<()> {
        if self.failures.add(&failed, self.age.elapsed(), self.reflector.timeouts.doubt) {
            self.tell(ReflectorEvent::Denied(failed));
            return None;
        }
        if self.failures.are_outage() {
            self.tell(ReflectorEvent::Lost(failed))?;
        }
        (!self.reflector.stop.wait(pause(self.failures.count, draw()))).then_some(())
    }

    /// Passes an event on. `None` when no more are wanted.
    fn tell(&mut self, event: ReflectorEvent) -> Option<()> {
        (self.reflector.tell)(event).then_some(())
    }
}

/// A number in [0, 1], another each time.
fn draw() -> f64 {
    let mut octets = [0; 2];
    match SystemRandom::new().fill(&mut octets) {
        Ok(()) => f64::from(u16::from_be_bytes(octets)) / f64::from(u16::MAX),
        Err(_) => 1.0,
    }
}
