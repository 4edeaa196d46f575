//! Updates the record of an entry that went or came back.

use super::claim::Claim;
use super::clock;
use super::prune::prune;
use crate::base::limits::{PROPAGATION_TIMEOUT_MAX, SETTLE_MAX};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time;
use crate::issuance::solver::{clean_up_each, remove};
use crate::issuance::{AttemptError, Context};
use crate::policy::retention::RetentionStep;
use crate::record::{OrphanedSecret, RecordData, subject};

/// Updates the record `at` after its entry went or came back. Presented values are removed at once. A forgotten record keeps the times of
/// its orders, which the CA counts, too.
///
/// # Errors
/// When the record cannot be read or written.
pub fn release_record(context: &Context, at: &ObjectRef, fate: RetentionStep) -> Result<(), AttemptError> {
    let mut claim = Claim::open_record(&context.store, at.clone())?;
    clock::check(None)?;
    claim.check_free(context, PROPAGATION_TIMEOUT_MAX + SETTLE_MAX, time::now())?;
    let body = &mut claim.record.body;
    let secret = subject(at);
    let secret = secret.as_ref().unwrap_or(at);
    match fate {
        RetentionStep::Reclaim => {
            body.orphaned = None;
            claim.save()?;
            event!(info, "wanted-again", secret = secret);
        }
        RetentionStep::Orphan(orphaned) => {
            let is_new = body.orphaned.replace(orphaned).is_none_or(|before| before != orphaned);
            withdraw_all(context, body);
            claim.save()?;
            if is_new {
                event!(
                    warn,
                    "orphaned",
                    secret = secret,
                    until = orphaned.until,
                    consequence = "no entry has this Secret any more: it is not renewed; its copy, key and history are kept until then"
                );
            }
        }
        RetentionStep::KeepSecret => {
            // The object may have come back meanwhile.
            if let Some(orphaned) = &mut body.orphaned {
                orphaned.secret = OrphanedSecret::Kept;
                claim.save()?;
            }
        }
        RetentionStep::Prune(decided) if body.orphaned == Some(decided) => prune(context, &mut claim, secret)?,
        RetentionStep::Prune(_) => {}
        RetentionStep::Forget => {
            withdraw_all(context, body);
            (body.accepted, body.stored, body.in_flight, body.orphaned) = (None, None, None, None);
            (claim.record.copy, claim.record.next_key) = (None, None);
            claim.save()?;
            event!(info, "forgotten", secret = secret);
        }
    }
    Ok(())
}

/// Removes all presented values. A pending order stays without a holder.
fn withdraw_all(context: &Context, body: &mut RecordData) {
    let in_flight = body.in_flight.as_mut().map(|flight| {
        flight.holder.clear();
        std::mem::take(&mut flight.published)
    });
    let left: Vec<_> = std::mem::take(&mut body.leftovers).into_iter().map(|left| left.published).collect();
    let all = [in_flight.unwrap_or_default(), left].concat();
    body.leftovers = clean_up_each(&mut |presented| remove(context, presented), all, time::now());
}
