//! Counters of the running program: requests are counted where they are sent, attempts where they end. No counter names
//! an object.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::PeerTime;
use crate::base::time::{self, Stopwatch, Time};

/// The kind of server that a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A CA.
    Acme,
    /// A DNS server or resolver.
    Dns,
    /// The API server.
    Kubernetes,
}

impl Peer {
    /// Every kind of server.
    pub const ALL: [Peer; 3] = [Peer::Acme, Peer::Dns, Peer::Kubernetes];

    /// The value of the label `peer`.
    pub const fn name(self) -> &'static str {
        match self {
            Peer::Acme => "acme",
            Peer::Dns => "dns",
            Peer::Kubernetes => "kubernetes",
        }
    }
}

/// The classes of answers. Every DNS answer counts as the first class, no answer as the last.
pub const CODES: [&str; 4] = ["2xx", "4xx", "5xx", "error"];

/// The counters of one peer.
struct Requests {
    /// Requests, indexed like [`CODES`].
    codes: [AtomicU64; CODES.len()],
    microseconds: AtomicU64,
    /// The peer's clock, as last seen.
    clock: Mutex<Option<PeerTime>>,
}

static REQUESTS: [Requests; Peer::ALL.len()] = [const {
    Requests {
        codes: [const { AtomicU64::new(0) }; CODES.len()],
        microseconds: AtomicU64::new(0),
        clock: Mutex::new(None),
    }
}; Peer::ALL.len()];

/// Attempts that failed, by their stage.
static FAILED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());
static ISSUED: AtomicU64 = AtomicU64::new(0);
static PRUNED: AtomicU64 = AtomicU64::new(0);
static REDACTED: AtomicU64 = AtomicU64::new(0);
static EVENTS_DROPPED: AtomicU64 = AtomicU64::new(0);

/// Requests at the responder of challenges: without an answer, and with one.
static CHALLENGES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Permissions that a Role lacks: resource and verb.
static MISSING: Mutex<Vec<(&'static str, &'static str)>> = Mutex::new(Vec::new());

/// The other clusters, and whether each shows its Secrets.
static CLUSTERS: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());

/// A request under way. Counted when dropped: as an error unless [`Exchange::answered`] was called.
#[derive(Debug)]
pub struct Exchange {
    peer: Peer,
    began: Stopwatch,
    code: usize,
}

impl Exchange {
    /// Starts the count and the time of one request.
    pub fn begin(peer: Peer) -> Exchange {
        Exchange { peer, began: Stopwatch::start(), code: CODES.len() - 1 }
    }

    /// Notes that an answer came, with its HTTP status.
    pub fn answered(&mut self, status: u16) {
        self.code = match status {
            200..300 => 0,
            400..500 => 1,
            500..600 => 2,
            _ => CODES.len() - 1,
        };
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let of = &REQUESTS[self.peer as usize];
        of.codes[self.code].fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        of.microseconds.fetch_add(took, Ordering::Relaxed);
    }
}

/// Notes the wall time of a peer.
pub fn clock_seen(peer: Peer, there: Time) {
    *lock(&REQUESTS[peer as usize].clock) = Some(PeerTime::now(there));
}

/// The peer's clock minus ours in seconds, where it was seen.
pub fn offset(peer: Peer) -> Option<i64> {
    let seen = *lock(&REQUESTS[peer as usize].clock);
    seen.map(|seen| seen.offset(time::now()))
}

/// Counts an attempt that stored a certificate.
pub fn issued() {
    ISSUED.fetch_add(1, Ordering::Relaxed);
}

/// Counts a Secret that was deleted.
pub fn pruned() {
    PRUNED.fetch_add(1, Ordering::Relaxed);
}

/// Counts a request at the responder of challenges, and whether there was an answer.
pub fn challenge_asked(found: bool) {
    CHALLENGES[usize::from(found)].fetch_add(1, Ordering::Relaxed);
}

/// Counts an attempt that failed in `stage`.
pub fn failed(stage: &'static str) {
    *lock(&FAILED).entry(stage).or_default() += 1;
}

/// Counts the places at which the last filter removed a known secret.
pub fn redacted(places: u64) {
    REDACTED.fetch_add(places, Ordering::Relaxed);
}

/// Counts a Kubernetes Event that was not sent.
pub fn event_dropped() {
    EVENTS_DROPPED.fetch_add(1, Ordering::Relaxed);
}

/// Notes a permission that the Role lacks.
pub fn missing(resource: &'static str, verb: &'static str) {
    let mut missing = lock(&MISSING);
    if !missing.contains(&(resource, verb)) {
        missing.push((resource, verb));
    }
}

/// Notes whether another cluster shows its Secrets.
pub fn cluster_seen(name: &str, is_shown: bool) {
    lock(&CLUSTERS).insert(name.to_owned(), is_shown);
}

/// The counters of one peer at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Requests, indexed like [`CODES`].
    pub codes: [u64; CODES.len()],
    /// The total time of all requests.
    pub took: Duration,
    /// The peer's clock minus ours in seconds, where it was seen.
    pub offset: Option<i64>,
}

/// All counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The peers, indexed like [`Peer::ALL`].
    pub peers: [Counted; Peer::ALL.len()],
    /// Attempts that gave a certificate.
    pub issued: u64,
    /// Secrets that were deleted.
    pub pruned: u64,
    /// Attempts that failed, by their stage.
    pub failed: BTreeMap<&'static str, u64>,
    /// Places where the last filter took a known secret out of a text.
    pub redacted: u64,
    /// Kubernetes Events that were not sent.
    pub events_dropped: u64,
    /// Requests at the responder of challenges: without an answer, and with one.
    pub challenges: [u64; 2],
    /// Permissions that the Role lacks: resource and verb.
    pub missing: Vec<(&'static str, &'static str)>,
    /// The other clusters, and whether each shows its Secrets.
    pub clusters: BTreeMap<String, bool>,
}

impl Counts {
    /// The values of all counters now.
    pub fn now() -> Counts {
        let of = |peer: Peer| {
            let of = &REQUESTS[peer as usize];
            Counted {
                codes: std::array::from_fn(|code| of.codes[code].load(Ordering::Relaxed)),
                took: Duration::from_micros(of.microseconds.load(Ordering::Relaxed)),
                offset: offset(peer),
            }
        };
        Counts {
            peers: Peer::ALL.map(of),
            issued: ISSUED.load(Ordering::Relaxed),
            pruned: PRUNED.load(Ordering::Relaxed),
            failed: lock(&FAILED).clone(),
            redacted: REDACTED.load(Ordering::Relaxed),
            events_dropped: EVENTS_DROPPED.load(Ordering::Relaxed),
            challenges: [0, 1].map(|found: usize| CHALLENGES[found].load(Ordering::Relaxed)),
            missing: lock(&MISSING).clone(),
            clusters: lock(&CLUSTERS).clone(),
        }
    }
}

/// A poisoned lock is taken over: it guards numbers only.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_its_answer_and_one_without_as_an_error() {
        let before = Counts::now().peers[Peer::Acme as usize].codes;
        for status in [200, 201, 404, 503, 302] {
            Exchange::begin(Peer::Acme).answered(status);
        }
        drop(Exchange::begin(Peer::Acme));
        let after = Counts::now().peers[Peer::Acme as usize].codes;
        let more: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        // Other tests of this process may ask a CA as well.
        assert!(more[0] >= 2 && more[1] >= 1 && more[2] >= 1 && more[3] >= 2, "{more:?}");
    }
}
