//! The input of a decision. Pure.

use super::ca_limits::RateLimitBlock;
use super::order_index::Orders;
use super::renewal::{Renewal, renewal_time};
use super::renewal_wish::RenewalWish;
use super::secret_state::SecretState;
use crate::acme::directory::Directory;
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::entry::Entry;
use crate::record::RecordData;

/// The request of an object to revoke the certificate of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRequest {
    /// The object.
    pub at: ObjectRef,
    /// The uid of the object.
    pub uid: Box<str>,
    /// The qualifying date: a certificate that was obtained later is not concerned.
    pub before: Time,
    /// True where another certificate is stored first.
    pub renew: bool,
}

/// Everything that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationInput<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The state of each Secret of the entry, in its order.
    pub secrets: &'a [SecretState],
    /// The record.
    pub record: &'a RecordData,
    /// The facts of the record's copy of the pair.
    pub copy: Option<&'a CertificateFacts>,
    /// The directory of the issuer.
    pub directory: &'a Directory,
    /// The wanted profile.
    pub profile: Option<&'a str>,
    /// The fingerprint of the entry and its keys. A wait after a failure ends when it changes.
    pub inputs: &'a str,
    /// The times of counted orders, over all entries.
    pub orders: &'a Orders,
    /// The rate limit in force for these names at the CA.
    pub closed: Option<&'a RateLimitBlock>,
    /// The time until which the namespace has used up its orders of a week.
    pub week_is_full: Option<Time>,
    /// The type that the Secrets must have.
    pub secret_type: &'a str,
    /// True if objects of the cluster want the certificate, and no entry of the configuration.
    pub of_objects: bool,
    /// The name of cert-manager's Certificate that wants it.
    pub certificate: Option<&'a str>,
    /// The renewal that the object asks for.
    pub renewal: Option<&'a RenewalWish>,
    /// The revocations that objects ask for.
    pub revocations: &'a [RevocationRequest],
    /// The time.
    pub now: Time,
}

impl EvaluationInput<'_> {
    /// Tells whether a certificate for the key of the entry's CSR was revoked because the key is known to others.
    pub(super) fn csr_is_compromised(&self) -> bool {
        self.entry.csr.as_ref().is_some_and(|csr| self.record.is_compromised(csr.public_key()))
    }

    /// The time from which on a certificate is to be renewed because the object asks for it.
    pub(super) fn renewal_wished(&self, held: &CertificateFacts) -> Option<Time> {
        self.renewal?.due(self.record, held, self.now)
    }

    pub(super) fn orders_of(&self, names: &[Domain]) -> &[Time] {
        self.orders.get(self.directory.url()).and_then(|of| of.get(names)).map_or(&[], Vec::as_slice)
    }
}

/// The renewal time of a certificate of the entry.
pub(super) fn renewal_time_of(input: &EvaluationInput<'_>, facts: &CertificateFacts) -> Renewal {
    let window = input.record.window.as_ref().filter(|w| w.serial == facts.serial);
    renewal_time(facts, &input.entry.main_secret().to_string(), input.entry.renew_before_of(facts.lifetime()), window)
}
