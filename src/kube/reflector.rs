//! Follows objects: a list, then a watch, for ever; told as they are, are not any more, or can not be seen.
//!
//! Trusted: the API server, as far as TLS proves it. Its answers are bounded, and each silence has an end. What is told is complete after
//! [`ReflectorEvent::Listed`]: whatever was not told since the list began is not there. A list that breaks off is never taken for a short one.

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use zeroize::Zeroizing;

use super::client::{KubeClient, KubeError};
use super::list::{ListError, ListPage};
use super::watch_event::{WatchEvent, WatchTarget, is_expired, pause};
use crate::base::limits::{
    API_REQUEST, PAGE_OBJECTS, PAGE_OCTETS_MAX, REFUSAL_DOUBTED, RELIST_AFTER, RELIST_PAUSE_MAX, WATCH_GRACE,
    WATCH_LASTS, WATCH_LINE_OCTETS_MAX, WATCH_PAUSE_MAX, WATCH_SHORT,
};
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{Deadline, Stopwatch};
use crate::http::HttpError;

/// What is told about the objects that are followed.
#[derive(Debug)]
pub enum ReflectorEvent {
    /// An object is there, or is otherwise.
    Object(Value),
    /// An object is not there any more.
    Gone(ObjectRef),
    /// A list begins: what is not told before [`ReflectorEvent::Listed`] is not there.
    Listing,
    /// All that is there was told, and is watched from now on.
    Listed,
    /// Nothing is known for the moment. It is tried again.
    Lost(KubeError),
    /// They are seen again, and nothing was missed.
    Found,
    /// It is not allowed, and no more is told.
    Denied(KubeError),
}

/// Why a watch or a list ended.
enum WatchEnd {
    /// The server ended it, as it does.
    Served,
    /// The version is too old: the list has to be read anew.
    Gone,
    /// Nobody listens any more, or the program stops.
    Unwanted,
    Failed(KubeError),
}

impl From<KubeError> for WatchEnd {
    fn from(e: KubeError) -> WatchEnd {
        match &e {
            KubeError::Api(api) if is_expired(api) => WatchEnd::Gone,
            _ => WatchEnd::Failed(e),
        }
    }
}

/// What went wrong lately.
#[derive(Default)]
struct Failures {
    /// In a row.
    count: u32,
    /// Since when it is refused, without anything else between.
    refused: Option<Stopwatch>,
}

impl Failures {
    fn succeed(&mut self) {
        *self = Failures::default();
    }

    /// Takes note of a failure. Returns whether it is a refusal that has to be believed.
    fn add(&mut self, failed: &KubeError, doubt: Duration) -> bool {
        self.count = self.count.saturating_add(1);
        if !matches!(failed, KubeError::Api(e) if matches!(e.code, 403 | 404)) {
            self.refused = None;
            return false;
        }
        self.refused.get_or_insert_with(Stopwatch::start).elapsed() >= doubt
    }
}

/// How long watches last and silence is borne.
#[derive(Clone, Copy, Debug)]
pub struct WatchTimeouts {
    /// The shortest and the longest time for which the server is asked to let a watch last.
    pub lasts: [Duration; 2],
    /// How much later than that the connection counts as dead.
    pub grace: Duration,
    /// How long a refusal is not believed: an API server that has just started refuses everything until it has read its Roles.
    pub doubt: Duration,
}

impl Default for WatchTimeouts {
    fn default() -> WatchTimeouts {
        WatchTimeouts { lasts: WATCH_LASTS, grace: WATCH_GRACE, doubt: REFUSAL_DOUBTED }
    }
}

/// One who follows a target and tells what happens; `tell` returns whether anybody listens.
pub struct Reflector<'a, F> {
    /// Where.
    pub client: &'a KubeClient,
    /// What.
    pub target: &'a WatchTarget,
    /// Set when nobody listens any more.
    pub stop: &'a Shutdown,
    /// How long watches last.
    pub patience: WatchTimeouts,
    /// Takes what is told.
    pub tell: F,
}

impl<F: FnMut(ReflectorEvent) -> bool> Reflector<'_, F> {
    /// Follows until it is not allowed or not wanted any more.
    pub fn run(mut self) {
        let (mut failures, mut gone) = (Failures::default(), 0);
        while let Some(version) = self.list_again(&mut failures) {
            let watch = Stopwatch::start();
            match self.watch_on(version, &mut failures) {
                WatchEnd::Gone => {
                    // A server that forgets at once what it just listed is not asked for it all the time.
                    gone = if watch.elapsed() < WATCH_PAUSE_MAX { gone + 1 } else { 1 };
                    let jitter = RELIST_PAUSE_MAX.mul_f64(draw());
                    if self.stop.wait(if gone == 1 { jitter } else { pause(gone, draw()) }) {
                        return;
                    }
                }
                WatchEnd::Served => {}
                WatchEnd::Unwanted | WatchEnd::Failed(_) => return,
            }
        }
    }

    /// Lists until that works. `None` when it is not allowed or not wanted.
    fn list_again(&mut self, failures: &mut Failures) -> Option<String> {
        loop {
            let failed = match self.pages() {
                Ok(version) => {
                    failures.succeed();
                    return Some(version);
                }
                Err(WatchEnd::Failed(e)) => e,
                // Between two pages: the next list begins anew.
                Err(WatchEnd::Gone) => KubeError::Unusable("the list was too old before it was read".to_owned()),
                Err(WatchEnd::Served | WatchEnd::Unwanted) => return None,
            };
            if !self.backoff(failed, failures) {
                return None;
            }
        }
    }

    /// Reads all pages; returns the version to watch from.
    fn pages(&mut self) -> Result<String, WatchEnd> {
        let mut proceed: Option<String> = None;
        self.say(ReflectorEvent::Listing)?;
        loop {
            if self.stop.is_set() {
                return Err(WatchEnd::Unwanted);
            }
            let path = self.target.list_path(PAGE_OBJECTS, proceed.as_deref());
            let body = self.client.stream(&path, API_REQUEST)?.body(PAGE_OCTETS_MAX);
            let page = ListPage::read(body, |item| (self.tell)(ReflectorEvent::Object(item))).map_err(|e| match e {
                ListError::Unwanted => WatchEnd::Unwanted,
                ListError::Broken(e) => {
                    WatchEnd::Failed(KubeError::Network(HttpError(format!("a list broke off: {e}"))))
                }
                ListError::Unusable(e) => WatchEnd::Failed(KubeError::Unusable(e)),
            })?;
            proceed = page.continue_token;
            if proceed.is_none() {
                self.say(ReflectorEvent::Listed)?;
                return Ok(page.version);
            }
        }
    }

    /// Watches again and again from where it was, until the list has to be read anew: after a long time, or after a whole period without
    /// one line. A healthy server sends bookmarks; one whose etcd was restored from a backup has versions below ours and is silent.
    fn watch_on(&mut self, mut version: String, failures: &mut Failures) -> WatchEnd {
        let relist = Deadline::after(RELIST_AFTER.mul_f64(1.0 + draw() / 4.0));
        let mut heard = Stopwatch::start();
        while let Some(left) = relist.left() {
            let watch = Stopwatch::start();
            let end = self.watch(&mut version, left, failures, &mut heard);
            let was_short = watch.elapsed() < WATCH_SHORT;
            if !was_short {
                failures.succeed();
            }
            let was_silent = heard.elapsed() >= self.patience.lasts[0];
            let failed = match end {
                WatchEnd::Served if !was_short && was_silent => return WatchEnd::Served,
                WatchEnd::Served if !was_short => continue,
                WatchEnd::Served => KubeError::Unusable("it ends watches at once".to_owned()),
                WatchEnd::Failed(e) => e,
                end @ (WatchEnd::Gone | WatchEnd::Unwanted) => return end,
            };
            if !self.backoff(failed, failures) {
                return WatchEnd::Unwanted;
            }
            if was_silent {
                return WatchEnd::Served;
            }
        }
        WatchEnd::Served
    }

    fn watch(
        &mut self,
        version: &mut String,
        left: Duration,
        failures: &mut Failures,
        heard: &mut Stopwatch,
    ) -> WatchEnd {
        let [shortest, longest] = self.patience.lasts;
        let lasts = (shortest + (longest - shortest).mul_f64(draw())).min(left + WATCH_SHORT);
        let path = self.target.watch_path(version, lasts);
        let mut lines = match self.client.stream(&path, lasts + self.patience.grace) {
            Ok(lines) => lines,
            Err(e) => return e.into(),
        };
        // That it was opened is no success yet: only what comes of it is, or that it lasts.
        if failures.count > 0
            && let Err(end) = self.say(ReflectorEvent::Found)
        {
            return end;
        }
        loop {
            let line = match lines.line(WATCH_LINE_OCTETS_MAX) {
                Ok(Some(line)) => Zeroizing::new(line),
                Ok(None) => return WatchEnd::Served,
                Err(HttpError(e)) => {
                    return WatchEnd::Failed(KubeError::Network(HttpError(format!("a watch broke off: {e}"))));
                }
            };
            *heard = Stopwatch::start();
            let said = match WatchEvent::read(&line) {
                Ok((WatchEvent::Failed(e), _)) => return KubeError::Api(e).into(),
                Ok((WatchEvent::Object(object), reached)) => (Some(ReflectorEvent::Object(object)), reached),
                Ok((WatchEvent::Gone(at), reached)) => (Some(ReflectorEvent::Gone(at)), reached),
                Ok((WatchEvent::Bookmark, reached)) => (None, reached),
                Err(e) => return WatchEnd::Failed(KubeError::Unusable(e)),
            };
            failures.succeed();
            let (told, reached) = said;
            // Told first: what was not told must be told by the next watch.
            if let Some(Err(end)) = told.map(|told| self.say(told)) {
                return end;
            }
            *version = reached.unwrap_or_else(|| std::mem::take(version));
        }
    }

    /// Bears a failure: says so, and pauses before the next try. Returns whether there is one.
    fn backoff(&mut self, failed: KubeError, failures: &mut Failures) -> bool {
        if failures.add(&failed, self.patience.doubt) {
            (self.tell)(ReflectorEvent::Denied(failed));
            return false;
        }
        // The first may be a server that restarts: its successor answers at the next try. A refusal that is doubted is no outage.
        let is_told = failures.count > 1 && failures.refused.is_none();
        let goes_on = !is_told || (self.tell)(ReflectorEvent::Lost(failed));
        goes_on && !self.stop.wait(pause(failures.count, draw()))
    }

    fn say(&mut self, told: ReflectorEvent) -> Result<(), WatchEnd> {
        if (self.tell)(told) { Ok(()) } else { Err(WatchEnd::Unwanted) }
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
