//! The wait: one thread for each server, which looks until every value is shown.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::check::{PAUSE, PropagationCheck, PropagationError, ServerView, Silence, Visibility, Witness, silent};
use crate::base::limits::{
    DNS_SERIAL, SERVER_ADDRESSES_MAX, VISIBLE_FAILURES_MAX, VISIBLE_LOOK, VISIBLE_PATIENCE_PART, ZONE_SERVERS_MAX,
};
use crate::base::name::DnsName;
use crate::base::time::{Deadline, Stopwatch};
use crate::dns::client::QueryMode;
use crate::dns::settings::Propagation;
use crate::dns::wire::{DnsResponse, RData, Rcode, RecordType};
use crate::dns::zone::NameServer;

/// The state that the threads of one wait share.
#[derive(Debug)]
struct CheckProgress {
    /// The time a server may be silent before it is given up.
    patience: Duration,
    /// A public server shows the values.
    is_shown: AtomicBool,
    /// The authoritative servers that are asked; an address with two names is asked once.
    asked: Mutex<BTreeSet<SocketAddr>>,
}

impl PropagationCheck<'_> {
    /// Waits. Returns the servers that were given up while others show the values: the CA may still meet them.
    ///
    /// # Errors
    /// When the time is up: the view of each server. The CA must not be asked then.
    pub fn wait(&self) -> Result<Vec<ServerView>, PropagationError> {
        if self.settings.propagation == Propagation::None {
            return Ok(Vec::new());
        }
        let patience = self.deadline.left().unwrap_or_default().checked_div(VISIBLE_PATIENCE_PART).unwrap_or_default();
        let first = self.primary();
        let not_seen = |views, is_hidden| Err(PropagationError { views: self.with_serials(views), is_hidden });
        if first.seen != Visibility::All {
            return not_seen(vec![first], false);
        }
        let mut views = vec![first];
        let witnesses = match self.witnesses() {
            Ok(witnesses) => witnesses,
            Err(why) => {
                views.push(silent(&self.primary.label, self.primary.address, why));
                return not_seen(views, true);
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
                views.extend(found);
            }
        });
        let is_hidden = self.settings.propagation == Propagation::All && !shared.is_shown.into_inner();
        if is_silent || is_hidden || views.iter().any(|l| matches!(l.seen, Visibility::Missing(..))) {
            return not_seen(views, is_hidden);
        }
        views.retain(|l| l.seen != Visibility::All);
        Ok(views)
    }

    /// Reads back from the primary: unsigned, then signed with the key, because BIND's views match on keys.
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

    /// Watches one server at all of its addresses. A silent address is given up soon where another address of the same
    /// server shows the values, as with IPv6 in a cluster without it. The server itself is given up only after a good
    /// part of the time, and only when another public server shows the values. Returns also whether one address shows
    /// them.
    fn watch(&self, witness: &Witness<'_>, shared: &CheckProgress) -> (Vec<ServerView>, bool) {
        let label = witness.label();
        let is_over = |silence: &Silence| {
            let others_show = !witness.is_required() && shared.is_shown.load(Ordering::Relaxed);
            others_show && silence.since.elapsed() >= shared.patience
        };
        let addresses = match self.until_resolved(witness, is_over) {
            Ok(addresses) => addresses,
            // The primary's address is a placeholder: the server has none.
            Err(why) => return (vec![silent(&label, self.primary.address, why)], false),
        };
        let shows = AtomicBool::new(false);
        let seen = || {
            shows.store(true, Ordering::Relaxed);
            shared.is_shown.fetch_or(!witness.is_required(), Ordering::Relaxed);
        };
        // The primary was read back already.
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
        let views = std::thread::scope(|scope| {
            let watchers: Vec<_> = addresses.iter().map(|address| scope.spawn(|| watch(*address))).collect();
            let failed = |address| silent(&label, address, "the check failed inside".to_owned());
            watchers.into_iter().zip(&addresses).map(|(w, a)| w.join().unwrap_or_else(|_| failed(*a))).collect()
        });
        (views, shows.load(Ordering::Relaxed))
    }

    /// The addresses without a watcher, except the primary's.
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
        let (mut pause, mut missing, mut silence) = (PAUSE.first, None, None);
        loop {
            let began = Stopwatch::start();
            // An UPDATE is atomic and its names arrive together, so one owner without its value is enough to wait.
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
                Visibility::Silent(_) => {
                    let silence = silence.get_or_insert(Silence { failures: 0, since: began });
                    silence.failures = silence.failures.saturating_add(1);
                }
            }
            let given_up = silence.as_ref().is_some_and(&is_over);
            if given_up || seen == Visibility::All || self.is_time_up(pause) {
                // One failed look does not turn a server that lacks the values into one that is unreachable.
                let seen = match seen {
                    Visibility::Silent(_) if !given_up => missing.unwrap_or(seen),
                    seen => seen,
                };
                return ServerView { server: NameServer { label: label.to_owned(), address }, seen, serial: None };
            }
            pause = PAUSE.after(pause);
        }
    }

    fn look(&self, server: SocketAddr, owner: &DnsName, way: QueryMode<'_>) -> Visibility {
        // A deadline of its own: a look cut off by the end of the wait would count as silence, and the server would be
        // given up.
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

    /// Adds the serials, which show a lagging server. They prove nothing: inline signing and PowerDNS's SOA-EDIT serve
    /// other serials than they hold.
    fn with_serials(&self, mut views: Vec<ServerView>) -> Vec<ServerView> {
        for look in views.iter_mut().filter(|l| !matches!(l.seen, Visibility::Silent(_))) {
            let deadline = Deadline::after(DNS_SERIAL);
            let answer = self.client.query(look.server.address, self.zone, RecordType::Soa, QueryMode::Plain, deadline);
            look.serial = answer.ok().and_then(|a| {
                a.answers.iter().find_map(|r| match r.data {
                    RData::Soa { serial, .. } => Some(serial),
                    _ => None,
                })
            });
        }
        views
    }
}

fn txt<'a>(answer: &'a DnsResponse, owner: &'a DnsName) -> impl Iterator<Item = &'a [u8]> {
    answer.answers.iter().filter_map(move |r| match &r.data {
        RData::Txt(text) if r.owner == *owner => Some(text.as_slice()),
        _ => None,
    })
}
