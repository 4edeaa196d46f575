//! The pending order in the record: what is written before and after each step of an attempt.

use super::attempt::Attempt;
use super::present::PresentStep;
use crate::base::limits::CLAIM_RENEWED_AFTER;
use crate::base::time;
use crate::issuance::AttemptError;
use crate::issuance::solver::clean_up_each;
use crate::record::{PendingOrder, Presented};

impl Attempt<'_> {
    /// Writes what is presented into the record.
    pub(super) fn note(&mut self, note: PresentStep<'_>, counted: bool) -> Result<(), AttemptError> {
        let now = time::now();
        match note {
            PresentStep::Presenting(presented) => {
                let pending = self.pending();
                pending.at = now;
                let new = presented.iter().filter(|new| !pending.published.contains(new)).cloned().collect::<Vec<_>>();
                pending.published.extend(new);
                if counted {
                    self.claim.record.body.count_order(now);
                }
                self.save()
            }
            // In the order in which they were presented. The server that was tried first may be unreachable or a secondary.
            PresentStep::Presented(presented) => {
                let published = &mut self.pending().published;
                let moved = presented.iter().any(|presented| !published.contains(presented));
                for presented in presented {
                    published.retain(|known| !known.is_same(presented));
                    published.push(presented.clone());
                }
                if moved { self.save() } else { Ok(()) }
            }
            PresentStep::Refused(left) => {
                self.pending().published.retain(|known| left.iter().any(|left| left.is_same(known)));
                Ok(())
            }
        }
    }

    /// Writes the record before the order is finalized, where the order is not written or counted yet, or the claim is old.
    pub(super) fn renew_claim(&mut self, counted: bool) -> Result<(), AttemptError> {
        let now = time::now();
        let is_old = now > self.pending().at + CLAIM_RENEWED_AFTER;
        let is_uncounted = counted && !self.pending().counted;
        if !is_old && !is_uncounted && !self.is_unsaved {
            return Ok(());
        }
        self.pending().at = now;
        if counted {
            self.claim.record.body.count_order(now);
        }
        self.save()
    }

    fn save(&mut self) -> Result<(), AttemptError> {
        self.is_unsaved = false;
        self.claim.save()
    }

    /// Removes what the record knows to be presented. Values that cannot be removed are left to a later job and block nothing.
    pub(super) fn clean_up_presented(&mut self, remove: &mut dyn FnMut(&Presented) -> Result<(), String>) {
        let Some(pending) = &mut self.claim.record.body.in_flight else { return };
        let published = std::mem::take(&mut pending.published);
        self.claim.record.body.leftovers.extend(clean_up_each(remove, published, time::now()));
    }

    /// Takes back the count of an order that never became a certificate.
    pub(super) fn uncount(&mut self) {
        if !self.may_be_issued {
            self.claim.record.body.uncount_order(time::now());
        }
    }

    pub(super) fn give_up_order(&mut self) {
        self.uncount();
        self.claim.record.body.in_flight = None;
    }

    pub(super) fn is_for_this(&self, pending: &PendingOrder) -> bool {
        pending.is_for(
            &self.entry().order_names(),
            self.directory.url(),
            self.entry().key_word(),
            self.wanted.profile(),
        )
    }

    pub(super) fn pending(&mut self) -> &mut PendingOrder {
        let (holder, way) = (&self.context.holder, (self.entry().key_word(), self.wanted.profile()));
        let (names, directory) = (self.entry().order_names(), self.directory.url());
        let new = || Box::new(PendingOrder::new(holder, time::now(), &names, directory, way));
        self.claim.record.body.in_flight.get_or_insert_with(new)
    }
}
