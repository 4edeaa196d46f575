//! The signed UPDATE for one zone: the values, the servers to try and the keys.

use super::update::{UpdateOutcome, send, zone_of_key};
use crate::base::log::event;
use crate::base::name::DnsName;
use crate::config::dns::Transport;
use crate::dns::client::DnsClient;
use crate::dns::tsig_key::TsigKey;
use crate::dns::update::{Action, Update};
use crate::dns::zone::NameServer;
use crate::issuance::circuits::Slot;
use crate::issuance::error::AttemptError;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::circuit::{CallResult, DnsTarget};
use crate::record::PresentedTxt;

/// The values of one zone, and how to send them.
#[derive(Debug)]
pub struct ZoneUpdate {
    /// The part that the record keeps. Names the server that is tried first, until another one took the values.
    pub published: PresentedTxt,
    pub(super) servers: Vec<NameServer>,
    pub(super) primary_first: bool,
    pub(super) keys: Vec<TsigKey>,
    pub(super) dns_target: DnsTarget,
    /// A remark for the operator about the way to the zone; see [`crate::dns::zone::ChallengeLocation`].
    pub remark: Option<String>,
    /// Zones that may be meant instead; see [`crate::dns::zone::ChallengeLocation`].
    pub(super) other_zones: Vec<DnsName>,
    /// Names right above their challenge name. A name that answers from a wildcard record stops answering while the value exists.
    pub(super) hosts: Vec<DnsName>,
    /// The names that stop answering.
    pub(super) vanishing: Vec<DnsName>,
    /// The key that the server accepted.
    pub(super) used: Option<TsigKey>,
    /// The values were added, or may have been.
    pub may_be_there: bool,
}

impl ZoneUpdate {
    /// Deletes exactly the values; those of a probe were never written. Returns the server and the key. Afterwards `published.zone` is the
    /// zone that the server shows to the holder of the key.
    ///
    /// # Errors
    /// The answer of each server that was tried.
    pub fn delete(
        &mut self,
        client: &DnsClient,
        permits: &[Slot<'_>],
        transport: Transport,
    ) -> Result<(NameServer, TsigKey), String> {
        loop {
            let PresentedTxt { zone, values, .. } = &self.published;
            let update = Update { zone, action: Action::Delete, values };
            let done = send(client, (&self.servers, self.primary_first), &self.keys, &update, transport);
            self.went(&done, permits);
            match done {
                Ok(done) => return Ok(done),
                Err(not_done) if self.moves(client, &not_done) => {}
                Err(not_done) => return Err(self.told(&not_done.said)),
            }
        }
    }

    /// Reports a call to the circuit. A verified refusal proves that server and key work, so it fails this certificate alone.
    pub(super) fn went<T>(&self, done: &Result<T, UpdateOutcome>, permits: &[Slot<'_>]) {
        let passage = if done.as_ref().err().is_none_or(|e| e.verified) { CallResult::Good } else { CallResult::Bad };
        permits.iter().filter(|p| *p.dns_target() == self.dns_target).for_each(|p| p.went(passage));
    }

    /// Switches once to the zone that the server shows to the holder of the key, after a server answered that it is not primary for the
    /// public one. Returns whether there is such a zone.
    pub(super) fn moves(&mut self, client: &DnsClient, not_done: &UpdateOutcome) -> bool {
        let others = std::mem::take(&mut self.other_zones);
        let zone = match others.is_empty() {
            true => None,
            false => zone_of_key(client, not_done, &self.published.values).filter(|zone| others.contains(zone)),
        };
        zone.map(|zone| {
            event!(info, "zone-of-key", zone = zone, hint = format!("{} is shown to others", self.published.zone));
            self.published.zone = zone;
        })
        .is_some()
    }

    /// The answers of the servers, after the remark about the way to them.
    pub(super) fn told(&self, said: &str) -> String {
        self.remark.as_ref().map_or(String::new(), |remark| format!("{remark}. ")) + said
    }
}

/// Why a host that answers from a wildcard record is a problem, and the remedy.
pub const WILDCARD_HOST: &str = "it answers from a wildcard record and vanishes while its challenge is there: give it records of its own, or \
                             lead its challenge elsewhere by a CNAME";

/// The refusal of a host by `dns.onWildcardHost: refuse`.
pub(super) fn refused(host: &DnsName) -> AttemptError {
    let sentence = format!("{host}: {WILDCARD_HOST}; refused by `dns.onWildcardHost: refuse`");
    AttemptError::new(Stage::Publish, RetryClass::Policy, sentence)
}
