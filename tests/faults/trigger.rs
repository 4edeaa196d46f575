//! When the fault of a cell begins: at a step of the attempt, which the proxies see from outside.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notariat_lab::{Fault, FaultProxy, process};

use crate::matrix::Peer;
use crate::support::api::Asked;

/// The fault at a step.
#[derive(Clone, Copy, Debug)]
pub struct Armed {
    pub peer: Peer,
    pub step: &'static str,
    pub fault: Fault,
    pub lasts: Duration,
    /// notariat is killed there as well.
    pub kills: bool,
}

#[derive(Default)]
pub struct Trigger {
    state: Mutex<State>,
    /// The process under test.
    pub pid: AtomicU32,
}

#[derive(Default)]
struct State {
    proxies: Vec<(Peer, Arc<FaultProxy>)>,
    armed: Option<Armed>,
    begun: Option<Instant>,
    seen: BTreeSet<(Peer, &'static str)>,
}

impl Trigger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The proxies before each peer. Without them what waits at their ports would never end.
    pub fn set(&self, proxies: Vec<(Peer, Arc<FaultProxy>)>) {
        self.state().proxies = proxies;
    }

    /// Waits for a step from now on.
    pub fn arm(&self, armed: Armed) {
        let mut state = self.state();
        (state.armed, state.begun) = (Some(armed), None);
        state.seen.clear();
    }

    /// When the fault began.
    pub fn begun(&self) -> Option<Instant> {
        self.state().begun
    }

    /// Begins the fault whatever the step.
    pub fn begin(&self) {
        let mut state = self.state();
        if let Some(armed) = state.armed.take() {
            if let Some((_, proxy)) = state.proxies.iter().find(|(peer, _)| *peer == armed.peer) {
                proxy.begin(armed.fault, armed.lasts);
            }
            state.begun = Some(Instant::now());
            drop(state);
            if armed.kills {
                process::signal(self.pid.load(SeqCst), "KILL");
            }
        }
    }

    /// A request for this step is on its way to the peer.
    pub fn saw(&self, peer: Peer, step: &str) {
        let mut state = self.state();
        let is_it = state.armed.is_some_and(|armed| (armed.peer, armed.step) == (peer, step));
        if let Some(step) = STEPS.iter().find(|known| **known == step) {
            state.seen.insert((peer, step));
        }
        drop(state);
        if is_it {
            self.begin();
        }
    }

    /// A request for this is on its way to the API server.
    pub fn saw_api(&self, asked: &Asked) {
        let has = |peer, step| self.state().seen.contains(&(peer, step));
        let is_write = asked.method != "GET";
        let step = match asked {
            _ if asked.path.contains("selfsubject") => "review",
            _ if asked.path.contains("/leases") => "lease",
            _ if asked.path.contains("/events") => "event",
            _ if asked.path.contains("watch=") => "watch",
            _ if asked.path.contains("limit=") => "list",
            _ if asked.path.contains("dryRun") => "trial",
            _ if is_write && asked.name.starts_with("notariat-record.") => {
                match (has(Peer::Api, "store"), has(Peer::Ca, "order")) {
                    (true, _) => "settle",
                    (false, true) => "note",
                    (false, false) => "claim",
                }
            }
            _ if is_write && asked.name.starts_with("notariat-acme-") => "account",
            _ if is_write && asked.name == "web" => "store",
            _ if is_write => "status",
            _ => "read",
        };
        self.saw(Peer::Api, step);
    }

    /// A message is on its way to a name server.
    pub fn saw_dns(&self, peer: Peer, part: &[u8]) {
        // Over TCP it stands behind its length.
        let framed = part.len() > 2 && usize::from(u16::from_be_bytes([part[0], part[1]])) == part.len() - 2;
        if let Some(step) = dns_step(if framed { &part[2..] } else { part }) {
            self.saw(peer, step);
        }
    }
}

/// The steps that are remembered.
const STEPS: [&str; 2] = ["order", "store"];

fn dns_step(message: &[u8]) -> Option<&'static str> {
    let number = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let after_name = |mut at: usize| loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    };
    let question = after_name(12)?;
    if message[2] >> 3 & 0xf != 5 {
        let is_text = number(question)? == 16 && message[12..].starts_with(b"\x0f_acme-challenge");
        return Some(if is_text { "look-up" } else { "find" });
    }
    // RFC 2136 section 2: prerequisites, then updates. What is added has the class of the zone, IN.
    let mut at = question + 4;
    for _ in 0..number(6)? {
        at = after_name(at)? + 8;
        at += 2 + usize::from(number(at)?);
    }
    // A replaced set is deleted and added again: what is added last counts.
    let mut class = 0;
    for _ in 0..number(8)? {
        at = after_name(at)?;
        class = number(at + 2)?;
        at += 8;
        at += 2 + usize::from(number(at)?);
    }
    Some(if class == 1 { "publish" } else { "withdraw" })
}
