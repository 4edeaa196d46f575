//! Queries and UPDATEs to one address. The callers decide which server is next.
//!
//! Untrusted: every answer. The answer to a query is matched on source, id and question; that to an UPDATE counts only
//! when `dns::tsig` has verified it. The only state is the clock offset of each server, taken from its signed BADTIME.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::transport::{Take, over_tcp, over_udp};
use super::tsig::{self, ClientTransaction, ValidationError, Verified};
use super::tsig_key::TsigKey;
use super::update::Update;
use super::wire::{DnsResponse, Question, Rcode, RecordType, ResponseError};
use crate::base::address::shown;
use crate::base::clock::ClockDoubt;
use crate::base::limits::{DNS_QUERY_UDP_WAITS, DNS_UDP_PAYLOAD, DNS_UPDATE_UDP_WAITS, OFFSETS_KEPT_MAX};
use crate::base::log::event;
use crate::base::metrics::{self, Peer};
use crate::base::name::DnsName;
use crate::base::time::{self, Deadline, Time};
use crate::dns::settings::Transport;

/// The way a server is asked.
#[derive(Clone, Copy, Debug)]
pub enum QueryMode<'k> {
    /// A resolver, recursively.
    Recursive,
    /// A server of the zone, unsigned.
    Plain,
    /// A server of the zone, signed with this key: BIND's views can show the holder of a key another zone.
    Signed(&'k TsigKey),
}

/// The other form in which a question may be answered.
#[derive(Clone, Copy, Debug)]
enum Again {
    /// Without the EDNS record.
    WithoutOpt,
    /// Signed by the server's clock.
    ByTheirClock(Time),
}

/// The failure of an UPDATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// No answer over any transport, with the error of each. The UPDATE may have arrived.
    Unreachable(String),
    /// No answer over any transport, and the UPDATE cannot have arrived.
    NotSent(String),
    /// An answer that does not verify.
    Rejected(ValidationError),
    /// A verified answer that refuses.
    Refused(Rcode),
}

impl UpdateError {
    /// Tells whether the server says that it changed nothing, or was never asked. An answer that does not verify may be
    /// forged, but the worst result of believing it here is a value that is left behind.
    pub fn is_refusal(&self) -> bool {
        match self {
            UpdateError::Refused(_) | UpdateError::NotSent(_) => true,
            UpdateError::Rejected(ValidationError::Unsigned(rcode)) => *rcode != Rcode::NOERROR,
            UpdateError::Rejected(rejected) => {
                matches!(rejected, ValidationError::Explained(_) | ValidationError::BadTime { .. })
            }
            UpdateError::Unreachable(_) => false,
        }
    }
}

/// A DNS client, shared by all workers.
#[derive(Debug, Default)]
pub struct DnsClient {
    /// The server's clock minus ours in seconds, where the difference is larger than TSIG allows.
    offsets: Mutex<HashMap<SocketAddr, i64>>,
}

impl DnsClient {
    /// Asks `server` for `name` over UDP, and over TCP when the answer was truncated or lost.
    ///
    /// # Errors
    /// When no answer to the question came within `deadline`. An RCODE other than NOERROR is no error here.
    pub fn query(
        &self,
        server: SocketAddr,
        name: &DnsName,
        kind: RecordType,
        way: QueryMode<'_>,
        deadline: Deadline,
    ) -> Result<DnsResponse, String> {
        let (mut with_opt, mut by_their_clock, mut kept) = (true, false, None);
        loop {
            let (result, again) = self.ask(server, name, kind, (way, with_opt), deadline);
            match again {
                // The answer of a server that does not know EDNS (RFC 6891 section 6.2.2).
                Some(Again::WithoutOpt) if with_opt => (with_opt, kept) = (false, result.ok()),
                Some(Again::ByTheirClock(server_time)) if !by_their_clock => {
                    self.learn_clock(server, server_time);
                    by_their_clock = true;
                }
                _ => return result.or_else(|e| kept.ok_or(e)),
            }
        }
    }

    /// One question in one form, and whether another form is worth a try.
    fn ask(
        &self,
        server: SocketAddr,
        name: &DnsName,
        kind: RecordType,
        (way, with_opt): (QueryMode<'_>, bool),
        deadline: Deadline,
    ) -> (Result<DnsResponse, String>, Option<Again>) {
        let question = Question { id: random_id(), name: name.clone(), kind };
        let plain = question.message(matches!(way, QueryMode::Recursive), with_opt);
        let (message, pending) = match way {
            QueryMode::Recursive | QueryMode::Plain => (plain, None),
            QueryMode::Signed(key) => {
                let (message, pending) = tsig::sign(key, &plain, self.clock(server));
                (message, Some(pending))
            }
        };
        let again = Cell::new(None);
        let read = |bytes: &[u8]| {
            let answer = question.read(bytes);
            if answer.as_ref().is_ok_and(|a| a.rcode.may_mean_opt()) {
                again.set(Some(Again::WithoutOpt));
            }
            if let Some(pending) = &pending
                && let Err(e) = pending.check(bytes, self.clock(server))
            {
                if let ValidationError::BadTime { server_time } = e {
                    again.set(Some(Again::ByTheirClock(server_time)));
                }
                return Err(not_counted(&e));
            }
            answer.map_err(|e| match e {
                ResponseError::Stray => "an answer to another question".to_owned(),
                ResponseError::Garbage(e) => format!("an answer that is not DNS ({e})"),
            })
        };
        // BADTIME is signed: no better answer will come.
        let is_last = || matches!(again.get(), Some(Again::ByTheirClock(_)));
        let take = |bytes: &[u8]| match read(bytes) {
            Err(why) if !is_last() => Take::Next(why),
            read => Take::Answer(read),
        };
        let udp = match over_udp(server, &message, &DNS_QUERY_UDP_WAITS, deadline, take) {
            Ok(Ok(answer)) if !answer.truncated => return (Ok(answer), again.get()),
            Ok(Ok(_)) => "a cut answer".to_owned(),
            Ok(Err(why)) => return (Err(format!("UDP: {why}")), again.get()),
            Err(lost) => lost.why,
        };
        let tcp = over_tcp(server, &message, deadline).map_err(|lost| lost.why).and_then(|bytes| read(&bytes));
        // The part that is cut off may be the one asked for.
        let whole = tcp.and_then(|answer| if answer.truncated { Err("a cut answer".to_owned()) } else { Ok(answer) });
        (whole.map_err(|tcp| format!("UDP: {udp}; TCP: {tcp}")), again.get())
    }

    /// Signs one UPDATE and sends it. `Auto` tries TCP first, which has no size limit and leaves no doubt about
    /// arrival; UDP is the fallback and repeats the same octets, so that a repetition changes nothing. A server with
    /// another clock says so under its signature; the UPDATE is then signed once more by that clock.
    ///
    /// # Errors
    /// When the server did not answer, the answer does not verify, or the server refuses.
    pub fn update(
        &self,
        server: SocketAddr,
        update: &Update<'_>,
        key: &TsigKey,
        transport: Transport,
        deadline: Deadline,
    ) -> Result<(), UpdateError> {
        let mut result = self.update_once(server, update, key, transport, deadline);
        if let Err(UpdateError::Rejected(ValidationError::BadTime { server_time })) = result {
            self.learn_clock(server, server_time);
            result = self.update_once(server, update, key, transport, deadline);
        }
        match result?.rcode() {
            Rcode::NOERROR => Ok(()),
            rcode => Err(UpdateError::Refused(rcode)),
        }
    }

    fn update_once(
        &self,
        server: SocketAddr,
        update: &Update<'_>,
        key: &TsigKey,
        transport: Transport,
        deadline: Deadline,
    ) -> Result<Verified, UpdateError> {
        let (signed, pending) = tsig::sign(key, &update.message(random_id()), self.clock(server));
        let (mut failed, mut is_sent) = (Vec::new(), false);
        if transport != Transport::Udp {
            match over_tcp(server, &signed, deadline) {
                Ok(answer) => return pending.check(&answer, self.clock(server)).map_err(UpdateError::Rejected),
                Err(lost) => {
                    failed.push(format!("TCP: {}", lost.why));
                    is_sent |= lost.is_sent;
                }
            }
        }
        if transport != Transport::Tcp {
            if signed.len() > usize::from(DNS_UDP_PAYLOAD) {
                failed.push(format!("UDP: the UPDATE is too large for it ({} octets)", signed.len()));
            } else {
                match self.update_over_udp(server, &signed, &pending, deadline) {
                    Err(UpdateError::NotSent(e)) => failed.push(format!("UDP: {e}")),
                    Err(UpdateError::Unreachable(e)) => {
                        failed.push(format!("UDP: {e}"));
                        is_sent = true;
                    }
                    other => return other,
                }
            }
        }
        let failed = failed.join("; ");
        Err(if is_sent { UpdateError::Unreachable(failed) } else { UpdateError::NotSent(failed) })
    }

    /// Anybody can send a datagram, so one that proves nothing does not end the wait; one that explains a refusal does.
    fn update_over_udp(
        &self,
        server: SocketAddr,
        signed: &[u8],
        pending: &ClientTransaction,
        deadline: Deadline,
    ) -> Result<Verified, UpdateError> {
        let take = |bytes: &[u8]| match pending.check(bytes, self.clock(server)) {
            Ok(verified) => Take::Answer(Ok(verified)),
            Err(
                e @ (ValidationError::Stray
                | ValidationError::Malformed(_)
                | ValidationError::WrongMac
                | ValidationError::OtherKey
                | ValidationError::Stale { .. }
                | ValidationError::Unsigned(Rcode::NOERROR)),
            ) => Take::Next(not_counted(&e)),
            Err(
                e @ (ValidationError::Unsigned(_)
                | ValidationError::Explained(_)
                | ValidationError::BadTime { .. }
                | ValidationError::Error(_)),
            ) => Take::Answer(Err(e)),
        };
        match over_udp(server, signed, &DNS_UPDATE_UDP_WAITS, deadline, take) {
            Ok(result) => result.map_err(UpdateError::Rejected),
            Err(lost) if lost.is_sent => Err(UpdateError::Unreachable(lost.why)),
            Err(lost) => Err(UpdateError::NotSent(lost.why)),
        }
    }

    /// Remembers the clock offset of a server, as its signed BADTIME gives it.
    fn learn_clock(&self, server: SocketAddr, server_time: Time) {
        let offset = server_time.unix().saturating_sub(time::now().unix());
        metrics::clock_seen(Peer::Dns, server_time);
        let mut offsets = self.offsets();
        // The next answer of a server gives its offset again.
        if offsets.len() >= OFFSETS_KEPT_MAX {
            offsets.clear();
        }
        offsets.insert(server, offset);
        drop(offsets);
        let hint = format!("this machine's clock is {} the server's; set the clocks (NTP)", ClockDoubt { offset });
        event!(warn, "clocks-differ", server = shown(server), hint = hint);
    }

    /// Our clock, set to the server's where the two are known to differ.
    fn clock(&self, server: SocketAddr) -> Time {
        let now = time::now();
        match self.offsets().get(&server) {
            None => now,
            Some(seconds) => match u64::try_from(*seconds) {
                Ok(ahead) => now + Duration::from_secs(ahead),
                Err(_) => now - Duration::from_secs(seconds.unsigned_abs()),
            },
        }
    }

    fn offsets(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, i64>> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The phrase for an answer that does not count.
fn not_counted(rejected: &ValidationError) -> String {
    match rejected {
        ValidationError::Stray => "an answer to another request".to_owned(),
        ValidationError::Malformed(what) => format!("an answer that {what}"),
        ValidationError::Stale { signed } => format!("an answer that was signed at {signed}, too far from our clock"),
        ValidationError::BadTime { server_time } => format!("BADTIME, for there it is {server_time}"),
        ValidationError::Explained(error) | ValidationError::Error(error) => error.tsig_name(),
        ValidationError::Unsigned(Rcode::NOERROR) | ValidationError::WrongMac | ValidationError::OtherKey => {
            "an answer that our key did not sign".to_owned()
        }
        ValidationError::Unsigned(rcode) => format!("{rcode}, which our key did not sign"),
    }
}

fn random_id() -> u16 {
    let mut id = [0; 2];
    // Without randomness nothing here is safe; TLS and key generation fail then as well.
    SystemRandom::new().fill(&mut id).expect("the system gives random octets");
    u16::from_be_bytes(id)
}
