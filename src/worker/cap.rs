//! The cap on orders, checked again before an order is made: the decision may be older than the last order.

use super::attempt::Attempt;
use crate::base::time;
use crate::issuance::AttemptError;
use crate::policy::backoff::{CAP_ORDERS, RetryClass, Stage, capped};
use crate::policy::is_forced;

impl Attempt<'_> {
    /// Compares the cap with the orders in the claimed record.
    ///
    /// # Errors
    /// When the cap is reached. Not counted as a failure: the next decision sees the same record.
    pub(super) fn check_cap(&self, counted: bool) -> Result<(), AttemptError> {
        let (names, body) = (self.entry().order_names(), &self.claim.record.body);
        let is_counted = body.in_flight.as_ref().is_some_and(|flight| flight.counted && self.is_for_this(flight));
        let forced = self.job.basis.held.iter().any(is_forced);
        let orders = body.history(&names, self.directory.url()).map_or(&[][..], |history| &history.orders);
        match capped(orders, time::now()).filter(|_| counted && !is_counted && !forced) {
            None => Ok(()),
            Some(until) => {
                let error =
                    format!("{CAP_ORDERS} certificates of these names were ordered within a week; next at {until}");
                Err(AttemptError { uncounted: true, ..AttemptError::new(Stage::Order, RetryClass::Transient, error) })
            }
        }
    }
}
