//! What a decision looks at. Pure.

use super::ca_limits::{Orders, RateLimitBlock};
use super::renewal::{Renewal, renewal_time};
use super::secret_state::SecretState;
use crate::acme::directory::Directory;
use crate::base::name::Domain;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::entry::Entry;
use crate::record::RecordData;

/// Everything a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationInput<'a> {
    /// What is wanted.
    pub entry: &'a Entry,
    /// What each Secret of the entry holds, in its order.
    pub secrets: &'a [SecretState],
    /// What is remembered.
    pub record: &'a RecordData,
    /// The facts of the record's copy, when it has one.
    pub copy: Option<&'a CertificateFacts>,
    /// Where certificates come from.
    pub directory: &'a Directory,
    /// The profile that is wanted.
    pub profile: Option<&'a str>,
    /// The fingerprint of the entry and its keys: when it differs from that of a failed attempt, the wait is over.
    pub inputs: &'a str,
    /// The times of counted orders, over all entries.
    pub orders: &'a Orders,
    /// Until when the CA takes no order of these names from the account, and its words.
    pub closed: Option<&'a RateLimitBlock>,
    /// The time.
    pub now: Time,
}

impl EvaluationInput<'_> {
    pub(super) fn orders_of(&self, names: &[Domain]) -> &[Time] {
        self.orders.get(self.directory.url()).and_then(|of| of.get(names)).map_or(&[], Vec::as_slice)
    }
}

/// The renewal time of a certificate of the entry.
pub(super) fn renewal_time_of(input: &EvaluationInput<'_>, facts: &CertificateFacts) -> Renewal {
    let window = input.record.window.as_ref().filter(|w| w.serial == facts.serial);
    renewal_time(facts, &input.entry.main_secret().to_string(), input.entry.renew_before, window)
}
