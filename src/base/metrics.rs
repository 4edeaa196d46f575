//! What is counted while the program runs: requests where they are sent, attempts where they end. Nothing here names an object.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::PeerTime;
use crate::base::time::{self, Stopwatch, Time};

/// Whom a request goes to.
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
    /// All.
    pub const ALL: [Peer; 3] = [Peer::Acme, Peer::Dns, Peer::Kubernetes];

    /// Its name in a label.
    pub const fn name(self) -> &'static str {
        match self {
            Peer::Acme => "acme",
            Peer::Dns => "dns",
            Peer::Kubernetes => "kubernetes",
        }
    }
}

/// The kinds of answers: of DNS any answer is the first, none is the last.
pub const CODES: [&str; 4] = ["2xx", "4xx", "5xx", "error"];

/// Of one peer.
struct Requests {
    /// By the places of [`CODES`].
    codes: [AtomicU64; CODES.len()],
    microseconds: AtomicU64,
    /// The peer's clock, as it was seen last.
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
static REDACTED: AtomicU64 = AtomicU64::new(0);

/// What a Role lacks: resource and verb.
static MISSING: Mutex<Vec<(&'static str, &'static str)>> = Mutex::new(Vec::new());

/// A request under way; counted when it is dropped, as one without an answer unless that was said.
#[derive(Debug)]
pub struct Exchange {
    peer: Peer,
    began: Stopwatch,
    code: usize,
}

impl Exchange {
    /// A request is sent.
    pub fn begin(peer: Peer) -> Exchange {
        Exchange { peer, began: Stopwatch::start(), code: CODES.len() - 1 }
    }

    /// An answer came, of HTTP with this status.
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

/// A peer said what time it is there.
pub fn clock_seen(peer: Peer, there: Time) {
    *lock(&REQUESTS[peer as usize].clock) = Some(PeerTime::now(there));
}

/// The peer's clock minus ours in seconds, where it was seen.
pub fn offset(peer: Peer) -> Option<i64> {
    let seen = *lock(&REQUESTS[peer as usize].clock);
    seen.map(|seen| seen.offset(time::now()))
}

/// An attempt gave a certificate that is stored.
pub fn issued() {
    ISSUED.fetch_add(1, Ordering::Relaxed);
}

/// An attempt failed.
pub fn failed(stage: &'static str) {
    *lock(&FAILED).entry(stage).or_default() += 1;
}

/// The last filter took known secrets out of a text, at so many places.
pub fn redacted(places: u64) {
    REDACTED.fetch_add(places, Ordering::Relaxed);
}

/// The Role lacks this.
pub fn missing(resource: &'static str, verb: &'static str) {
    let mut missing = lock(&MISSING);
    if !missing.contains(&(resource, verb)) {
        missing.push((resource, verb));
    }
}

/// What was counted of a peer.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Requests by the places of [`CODES`].
    pub codes: [u64; CODES.len()],
    /// How long all of them took together.
    pub took: Duration,
    /// The peer's clock minus ours in seconds, where it was seen.
    pub offset: Option<i64>,
}

/// Everything that was counted, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By the places of [`Peer::ALL`].
    pub peers: [Counted; Peer::ALL.len()],
    /// Attempts that gave a certificate.
    pub issued: u64,
    /// Attempts that failed, by their stage.
    pub failed: BTreeMap<&'static str, u64>,
    /// Places where the last filter took a known secret out of a text.
    pub redacted: u64,
    /// What the Role lacks: resource and verb.
    pub missing: Vec<(&'static str, &'static str)>,
}

impl Counts {
    /// What was counted so far.
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
            failed: lock(&FAILED).clone(),
            redacted: REDACTED.load(Ordering::Relaxed),
            missing: lock(&MISSING).clone(),
        }
    }
}

/// The locks guard numbers only.
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
