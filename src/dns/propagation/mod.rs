//! Waits until the values are seen: read back from the primary, then on every authoritative server in parallel.
//!
//! NOERROR does not mean visible: PowerDNS may have refused by policy, a secondary may lag, a delegated zone may hide what was
//! written to its parent. Untrusted: the answers; a server that lies can make us ask the CA too early, which costs one attempt.

mod witness;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::client::{DnsClient, QueryMode};
use super::resolver::Resolver;
use super::tsig_key::TsigKey;
use super::update::TxtValue;
use super::wire::{DnsResponse, RData, Rcode, RecordType};
use super::zone::NameServer;
use crate::base::limits::{
    DNS_SERIAL, SERVER_ADDRESSES_MAX, VISIBLE_FAILURES_MAX, VISIBLE_LOOK, VISIBLE_PATIENCE_PART, VISIBLE_PAUSE_MAX,
    VISIBLE_PAUSE_MIN, ZONE_SERVERS_MAX,
};
use crate::base::name::DnsName;
use crate::base::shutdown::Shutdown;
use crate::base::time::{Deadline, Stopwatch};
use crate::config::dns::{DnsSettings, Propagation};
use witness::Witness;

/// What one server showed when we stopped looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// The server.
    pub server: NameServer,
    /// What it said.
    pub seen: Visibility,
    /// The serial of its zone, where it was asked for.
    pub serial: Option<u32>,
}

/// How a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every value is there.
    All,
    /// This owner lacks its values; with the RCODE of the answer.
    Missing(DnsName, Rcode),
    /// It does not say: no answer, or one that is not about the zone.
    Silent(String),
}

impl fmt::Display for ServerView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.seen {
            Visibility::All => write!(f, "{}: present", self.server)?,
            Visibility::Missing(owner, rcode) => write!(f, "{}: {rcode} without the value at {owner}", self.server)?,
            Visibility::Silent(why) => write!(f, "{}: {why}", self.server)?,
        }
        self.serial.map_or(Ok(()), |serial| write!(f, ", serial {serial}"))
    }
}

/// What is looked for where.
#[derive(Clone, Copy, Debug)]
pub struct PropagationCheck<'a> {
    /// Asks.
    pub client: &'a DnsClient,
    /// For the addresses of name servers.
    pub resolver: &'a Resolver,
    /// Ends the wait.
    pub stop: &'a Shutdown,
    /// The zone.
    pub zone: &'a DnsName,
    /// The server that has just taken the values.
    pub primary: &'a NameServer,
    /// The key it took them under.
    pub key: &'a TsigKey,
    /// The values.
    pub values: &'a [TxtValue],
    /// Who must show them.
    pub settings: &'a DnsSettings,
    /// Until when.
    pub deadline: Deadline,
}

/// Why the CA must not be asked yet: a failed validation counts against its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropagationError {
    /// What each server shows.
    pub looks: Vec<ServerView>,
    /// Only a hidden primary shows the values, which no CA ever asks.
    pub is_hidden: bool,
}

impl fmt::Display for PropagationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looks: Vec<String> = self.looks.iter().map(ServerView::to_string).collect();
        f.write_str(&looks.join("; "))?;
        match self.is_hidden {
            true => f.write_str(HIDDEN),
            false => Ok(()),
        }
    }
}

const HIDDEN: &str = "; no name server of the zone besides the primary, which the CA does not ask, shows them: where they can not be reached from here, \
                      name others in `dns.propagationNameservers`, or look at the primary alone by `dns.propagation: primary`";

/// What the watchers of one wait share.
#[derive(Debug)]
struct CheckProgress {
    /// For how long a server may be silent before it is given up.
    patience: Duration,
    /// A server that the CA may ask shows the values.
    is_shown: AtomicBool,
    /// The authoritative servers that are asked: one that two names lead to once.
    asked: Mutex<BTreeSet<SocketAddr>>,
}

/// How long a server has not answered.
struct Silence {
    failures: u32,
    since: Stopwatch,
}

impl PropagationCheck<'_> {
    /// Waits. Returns the servers that were given up although others show the values: the CA may still meet them.
    ///
    /// # Errors
    /// When the time is up, what each server shows. The CA must not be asked then.
    pub fn wait(&self) -> Result<Vec<ServerView>, PropagationError> {
        if self.settings.propagation == Propagation::None {
            return Ok(Vec::new());
        }
        let patience = self.deadline.left().unwrap_or_default() / VISIBLE_PATIENCE_PART;
        let first = self.primary();
        let not_seen = |looks, is_hidden| Err(PropagationError { looks: self.with_serials(looks), is_hidden });
        if first.seen != Visibility::All {
            return not_seen(vec![first], false);
        }
        let mut looks = vec![first];
        let witnesses = match self.witnesses() {
            Ok(witnesses) => witnesses,
            Err(why) => {
                looks.push(silent(&self.primary.label, self.primary.address, why));
                return not_seen(looks, true);
            }
        };
        let shared = CheckProgress { patience, is_shown: AtomicBool::new(false), asked: Mutex::default() };
        let mut is_silent = false;
        std::thread::scope(|scope| {
            let watchers: Vec<_> = witnesses.iter().map(|w| scope.spawn(|| self.watch(w, &shared))).collect();
            for (watcher, witness) in watchers.into_iter().zip(&witnesses) {
                let why = || "the check failed inside".to_owned();
                let failed = |_| (vec![silent(&witness.label(), self.primary.address, why())], false);
                let (found, shows) = watcher.join().unwrap_or_else(failed);
                is_silent |= witness.is_required() && !shows;
                looks.extend(found);
            }
        });
        let is_hidden = self.settings.propagation == Propagation::All && !shared.is_shown.into_inner();
        if is_silent || is_hidden || looks.iter().any(|l| matches!(l.seen, Visibility::Missing(..))) {
            return not_seen(looks, is_hidden);
        }
        looks.retain(|l| l.seen != Visibility::All);
        Ok(looks)
    }

    /// Reads back from the primary: as anybody, then as the holder of the key, for BIND's views match on keys.
    fn primary(&self) -> ServerView {
        let ways = [QueryMode::Plain, QueryMode::Signed(self.key)];
        let never = |_: &Silence| false;
        self.until_seen(&self.primary.label, self.primary.address, never, |owner| {
            let mut seen = self.look(self.primary.address, owner, ways[0]);
            if seen != Visibility::All && self.look(self.primary.address, owner, ways[1]) == Visibility::All {
                seen = Visibility::All;
            }
            seen
        })
    }

    /// Watches one server at all of its addresses. An address that is silent is given up soon where another one of the same server shows
    /// the values, as IPv6 is in many a cluster without it; the server itself only after a good part of the time, and only when another
    /// server that the CA may ask shows them. Returns also whether one address shows them.
    fn watch(&self, witness: &Witness<'_>, shared: &CheckProgress) -> (Vec<ServerView>, bool) {
        let label = witness.label();
        let is_over = |silence: &Silence| {
            let others_show = !witness.is_required() && shared.is_shown.load(Ordering::Relaxed);
            others_show && silence.since.elapsed() >= shared.patience
        };
        let addresses = match self.until_resolved(witness, is_over) {
            Ok(addresses) => addresses,
            // The primary's own address stands here: nothing better is known of a server without one.
            Err(why) => return (vec![silent(&label, self.primary.address, why)], false),
        };
        let shows = AtomicBool::new(false);
        let seen = || {
            shows.store(true, Ordering::Relaxed);
            shared.is_shown.fetch_or(!witness.is_required(), Ordering::Relaxed);
        };
        // What the primary shows is known.
        if addresses.contains(&self.primary.address) {
            seen();
        }
        let addresses = self.new_ones(addresses, witness, shared);
        let watch = |address| {
            let is_over = |silence: &Silence| {
                is_over(silence) || shows.load(Ordering::Relaxed) && silence.failures >= VISIBLE_FAILURES_MAX
            };
            let look = self.until_seen(&label, address, is_over, |o| self.look(address, o, witness.way()));
            if look.seen == Visibility::All {
                seen();
            }
            look
        };
        let looks = std::thread::scope(|scope| {
            let watchers: Vec<_> = addresses.iter().map(|address| scope.spawn(|| watch(*address))).collect();
            let failed = |address| silent(&label, address, "the check failed inside".to_owned());
            watchers.into_iter().zip(&addresses).map(|(w, a)| w.join().unwrap_or_else(|_| failed(*a))).collect()
        });
        (looks, shows.load(Ordering::Relaxed))
    }

    /// The addresses that nobody watches yet, the primary's left out.
    fn new_ones(&self, addresses: Vec<SocketAddr>, witness: &Witness<'_>, shared: &CheckProgress) -> Vec<SocketAddr> {
        let mut asked = shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = |address: &SocketAddr| {
            let has_room = asked.len() < ZONE_SERVERS_MAX;
            *address != self.primary.address && (witness.is_required() || has_room && asked.insert(*address))
        };
        addresses.into_iter().filter(&mut is_new).take(SERVER_ADDRESSES_MAX).collect()
    }

    /// Looks until every value is shown, the time is up, or `is_over` says that the server has been silent for long enough.
    fn until_seen(
        &self,
        label: &str,
        address: SocketAddr,
        is_over: impl Fn(&Silence) -> bool,
        look: impl Fn(&DnsName) -> Visibility,
    ) -> ServerView {
        let mut owners: Vec<&DnsName> =
            self.values.iter().map(|v| &v.owner).collect::<BTreeSet<_>>().into_iter().collect();
        let (mut pause, mut missing, mut silence) = (VISIBLE_PAUSE_MIN, None, None);
        loop {
            let began = Stopwatch::start();
            // An UPDATE is atomic and its names arrive together, so one owner that lacks its value is enough to wait.
            let mut seen = Visibility::All;
            while let (Visibility::All, Some(owner)) = (&seen, owners.last()) {
                seen = look(owner);
                if seen == Visibility::All {
                    owners.pop();
                }
            }
            match &seen {
                Visibility::All => silence = None,
                Visibility::Missing(..) => (missing, silence) = (Some(seen.clone()), None),
                Visibility::Silent(_) => silence.get_or_insert(Silence { failures: 0, since: began }).failures += 1,
            }
            let given_up = silence.as_ref().is_some_and(&is_over);
            if given_up || seen == Visibility::All || self.is_time_up(pause) {
                // One look that failed does not make a server that lacks the values one that is out of reach.
                let seen = match seen {
                    Visibility::Silent(_) if !given_up => missing.unwrap_or(seen),
                    seen => seen,
                };
                return ServerView { server: NameServer { label: label.to_owned(), address }, seen, serial: None };
            }
            pause = (pause * 2).min(VISIBLE_PAUSE_MAX);
        }
    }

    /// Pauses. Returns whether there is no time for another look.
    fn is_time_up(&self, pause: Duration) -> bool {
        self.deadline.at_most(pause).is_none_or(|pause| self.stop.wait(pause))
    }

    fn look(&self, server: SocketAddr, owner: &DnsName, way: QueryMode<'_>) -> Visibility {
        // Of its own: one that the end of the wait cuts off would look like a server that does not answer, and be given up.
        let deadline = Deadline::after(VISIBLE_LOOK);
        let answer = match self.client.query(server, owner, RecordType::Txt, way, deadline) {
            Ok(answer) => answer,
            Err(e) => return Visibility::Silent(format!("no answer ({e})")),
        };
        if !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            return Visibility::Silent(format!("{} for {owner}", answer.rcode));
        }
        let shown: Vec<&[u8]> = txt(&answer, owner).collect();
        let mut wanted = self.values.iter().filter(|v| v.owner == *owner);
        match wanted.all(|v| shown.contains(&v.value.as_bytes())) {
            true => Visibility::All,
            false => Visibility::Missing(owner.clone(), answer.rcode),
        }
    }

    /// The serials tell who lags. They are no proof: inline signing and PowerDNS's SOA-EDIT serve others than they hold.
    fn with_serials(&self, mut looks: Vec<ServerView>) -> Vec<ServerView> {
        for look in looks.iter_mut().filter(|l| !matches!(l.seen, Visibility::Silent(_))) {
            let deadline = Deadline::after(DNS_SERIAL);
            let answer = self.client.query(look.server.address, self.zone, RecordType::Soa, QueryMode::Plain, deadline);
            look.serial = answer.ok().and_then(|a| {
                a.answers.iter().find_map(|r| match r.data {
                    RData::Soa { serial, .. } => Some(serial),
                    _ => None,
                })
            });
        }
        looks
    }
}

fn silent(label: &str, address: SocketAddr, why: String) -> ServerView {
    ServerView { server: NameServer { label: label.to_owned(), address }, seen: Visibility::Silent(why), serial: None }
}

fn txt<'a>(answer: &'a DnsResponse, owner: &'a DnsName) -> impl Iterator<Item = &'a [u8]> {
    answer.answers.iter().filter_map(move |r| match &r.data {
        RData::Txt(text) if r.owner == *owner => Some(text.as_slice()),
        _ => None,
    })
}
