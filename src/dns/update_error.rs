//! One sentence for each way in which an UPDATE can fail: the server and the request, the answer and what to do; then, as a list, where
//! that is done on each server, and how to try it by hand.
//!
//! Pure. The answers of BIND 9.18, Knot 3.2 and PowerDNS 4.7 to each situation were measured; tests/it/update_errors.rs
//! produces each on the real servers. No sentence holds a secret: a key is shown by name and algorithm.

use std::fmt;

use super::client::UpdateError;
use super::tsig::{FUDGE, ValidationError};
use super::tsig_key::TsigKey;
use super::update::Update;
use super::wire::Rcode;
use super::zone::NameServer;
use crate::base::address::to_reach;
use crate::base::clock::ClockDoubt;
use crate::base::limits::OWNERS_SHOWN_MAX;
use crate::base::name::DnsName;
use crate::base::sanitize::ITEM;
use crate::base::time::{Time, human};

/// An UPDATE that failed.
#[derive(Clone, Copy, Debug)]
pub struct UpdateAttempt<'a> {
    /// The server of the UPDATE.
    pub server: &'a NameServer,
    /// The UPDATE itself.
    pub update: &'a Update<'a>,
    /// The key that signed it.
    pub key: &'a TsigKey,
    /// The time of the signature, by our clock.
    pub at: Time,
}

/// The names that an error is about.
struct About {
    /// The names, at least one.
    names: Vec<DnsName>,
    /// The error is about each of them. Otherwise it is about at least one, and the answer does not say which.
    is_known: bool,
}

impl About {
    /// The phrase for each name, with a bound on their number.
    fn each(&self, say: impl Fn(&DnsName) -> String) -> String {
        let shown = self.names.iter().take(OWNERS_SHOWN_MAX);
        let text = shown.map(say).collect::<Vec<_>>().join(" ");
        match self.names.len().saturating_sub(OWNERS_SHOWN_MAX) {
            0 => text,
            more => format!("{text} … ({more} more)"),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_known && self.names.len() > 1 {
            f.write_str("one of ")?;
        }
        let shown = self.names.iter().take(OWNERS_SHOWN_MAX).map(DnsName::as_str);
        f.write_str(&shown.collect::<Vec<_>>().join(", "))?;
        match self.names.len().saturating_sub(OWNERS_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl UpdateAttempt<'_> {
    /// The sentence for `error`, with a command that repeats the UPDATE by hand. The command names a file for the
    /// secret (`-k`).
    pub fn sentence(&self, error: &UpdateError) -> String {
        self.sentence_about(error, &[])
    }

    /// Like [`UpdateAttempt::sentence`], where the names that `error` is about are known.
    pub fn sentence_about(&self, error: &UpdateError, names: &[DnsName]) -> String {
        let UpdateAttempt { server, update: Update { zone, .. }, key, .. } = self;
        let about =
            About { names: if names.is_empty() { self.owners() } else { names.to_vec() }, is_known: !names.is_empty() };
        let what = self.what(error, &about);
        format!(
            "UPDATE of {zone} at {server} with the key {key}: {what} {ITEM}By hand: {}",
            self.by_hand(about.names.first().unwrap_or(zone))
        )
    }

    /// The owners of the values, or the zone where there are none; never empty.
    fn owners(&self) -> Vec<DnsName> {
        let mut owners: Vec<DnsName> = self.update.values.iter().map(|v| v.owner.clone()).collect();
        owners.sort();
        owners.dedup();
        if owners.is_empty() {
            owners.push(self.update.zone.clone());
        }
        owners
    }

    fn by_hand(&self, owner: &DnsName) -> String {
        let zone = self.update.zone;
        let (ip, port) = (self.server.address.ip(), self.server.address.port());
        format!(
            "`dig +norec -p {port} @{ip} {owner} TXT`, `(echo server {ip} {port}; echo zone {zone}; echo update add {owner}. 60 TXT test; echo send) | nsupdate -k KEYFILE`"
        )
    }

    fn what(&self, error: &UpdateError, about: &About) -> String {
        let UpdateAttempt { update: Update { zone, .. }, key, .. } = self;
        let owner = about;
        let name = &key.name;
        let bind = about.each(|owner| format!("grant {name} name {owner}. TXT;"));
        let acl = format!("an acl with `key: {name}`, `action: update`, `update-type: [TXT]`");
        let algorithm = key.algorithm;
        let known = format!(
            "{ITEM}BIND: `key {name} {{ algorithm {algorithm}; secret …; }};` {ITEM}Knot: `id: {name}` in the section `key` {ITEM}PowerDNS: `pdnsutil list-tsig-keys`"
        );
        match error {
            UpdateError::Unreachable(how) | UpdateError::NotSent(how) => {
                format!("no usable answer ({how}): {}, or correct the address (`dns.server`)", to_reach(self.server.address))
            }
            UpdateError::Refused(Rcode::REFUSED) => {
                format!("REFUSED: let the key change TXT at {owner}; the server knows the key and does not allow that. {ITEM}BIND: `{bind}` in the zone's update-policy; `rndc thaw {zone}` where the zone is frozen {ITEM}Knot: {acl} {ITEM}PowerDNS: `pdnsutil add-meta {zone} TSIG-ALLOW-DNSUPDATE {name}`; `dnsupdate=yes`, and this address in `allow-dnsupdate-from` or ALLOW-DNSUPDATE-FROM {ITEM}Each: the zone's name may not be {zone}, or this server a secondary")
            }
            UpdateError::Refused(Rcode::NOTAUTH) | UpdateError::Rejected(ValidationError::Unsigned(Rcode::NOTAUTH)) => {
                format!("NOTAUTH: it is not primary for {zone}. Is `dns.zone` right, and is `dns.server` the primary?")
            }
            UpdateError::Refused(Rcode::NOTZONE) => format!("NOTZONE: {owner} is not inside {zone}. Is `dns.zone` right?"),
            UpdateError::Refused(Rcode::YXRRSET) => {
                format!("YXRRSET: {owner} has a CNAME of its own, beside which no TXT can stand; remove it, or let it lead to where the TXT is written")
            }
            UpdateError::Refused(Rcode::SERVFAIL) | UpdateError::Rejected(ValidationError::Unsigned(Rcode::SERVFAIL)) => {
                "SERVFAIL: the server failed inside (journal, disk, forwarding to its primary; Knot: the folder `database.storage` must exist); its log says more".to_owned()
            }
            UpdateError::Refused(Rcode::NOTIMP) | UpdateError::Rejected(ValidationError::Unsigned(Rcode::NOTIMP)) => {
                "NOTIMP: the server or its backend has no dynamic update (PowerDNS: the bind backend has none)".to_owned()
            }
            UpdateError::Refused(rcode) => format!("it says {rcode}"),
            UpdateError::Rejected(ValidationError::Explained(Rcode::BADKEY)) => {
                format!("BADKEY: give the server the key {name} with {algorithm}, or write its name and algorithm into the Secret as the server has them. {ITEM}BIND: `key {name} {{ algorithm {algorithm}; secret …; }};` {ITEM}Knot: `id: {name}` in the section `key`; it says BADKEY also where it is a secondary, and where the key may not change TXT at {owner}: {acl} {ITEM}PowerDNS: `pdnsutil list-tsig-keys`")
            }
            UpdateError::Rejected(ValidationError::Explained(_)) => {
                format!("BADSIG: copy the secret of the key from the server into the Secret; the two differ. {known}")
            }
            UpdateError::Rejected(ValidationError::BadTime { server_time }) => {
                let offset = ClockDoubt { offset: server_time.unix().saturating_sub(self.at.unix()) };
                format!("BADTIME: this machine's clock is {offset} the server's; TSIG allows {}. Set the clocks (NTP)", human(FUDGE))
            }
            UpdateError::Rejected(ValidationError::Unsigned(Rcode::REFUSED)) => format!(
                "REFUSED, unsigned: compare name, algorithm and secret of the key with the server's, and the clocks. PowerDNS says this for an unknown key, a wrong secret or algorithm, and a clock that is more than {} off. {known}",
                human(FUDGE)
            ),
            UpdateError::Rejected(ValidationError::Unsigned(Rcode::NOERROR)) => {
                "it agreed without a signature, so anybody may have answered; nothing is known to have changed (RFC 8945 section 5.4)".to_owned()
            }
            UpdateError::Rejected(ValidationError::Unsigned(rcode)) => format!("it says {rcode}, unsigned"),
            UpdateError::Rejected(ValidationError::Malformed(what)) => format!("its answer {what}"),
            UpdateError::Rejected(ValidationError::Stray) => "its answer is to another request".to_owned(),
            UpdateError::Rejected(ValidationError::Error(error)) => format!("it says {}", error.tsig_name()),
            UpdateError::Rejected(ValidationError::OtherKey) => "its answer is signed by another key".to_owned(),
            UpdateError::Rejected(ValidationError::WrongMac) => "the signature of its answer is wrong: somebody in between, or another secret under the same name".to_owned(),
            UpdateError::Rejected(ValidationError::Stale { signed }) => format!("its answer was signed at {signed}, too far from our clock"),
        }
    }
}
