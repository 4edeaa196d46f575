//! Brings a record up to date without the CA: the accepted form, values left behind, an order whose certificate is stored, an
//! entry that went or came back.

use super::{Attempt, clock};
use crate::base::limits::{LEFTOVERS_KEPT, PROPAGATION_TIMEOUT_MAX, SETTLE_MAX};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time;
use crate::cert::bundle::CheckedBundle;
use crate::cert::facts;
use crate::issuance::claim::Claim;
use crate::issuance::dns_update::withdraw_each;
use crate::issuance::{AttemptError, Context};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::retention::RetentionStep;
use crate::record::{Presented, RecordData, subject};
use crate::store::StoreError;

/// Brings the record `at` in line with an entry that went or came back. What was published for it is withdrawn at once. Where it is
/// forgotten the times of its orders stay, because the CA remembers them, too.
///
/// # Errors
/// When its record can not be read or written.
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

/// Withdraws everything that was published. An order in flight stays, free for whoever continues it.
fn withdraw_all(context: &Context, body: &mut RecordData) {
    let in_flight = body.in_flight.as_mut().map(|flight| {
        flight.holder.clear();
        std::mem::take(&mut flight.published)
    });
    let left: Vec<_> = std::mem::take(&mut body.leftovers).into_iter().map(|left| left.published).collect();
    body.leftovers = withdraw_each(context, [in_flight.unwrap_or_default(), left].concat(), time::now());
}

impl Attempt<'_> {
    pub(super) fn clean_up(&self, claim: &mut Claim<'_>) -> Result<(), AttemptError> {
        let now = time::now();
        self.note_revocations(claim)?;
        let mut changed = self.accept(claim);
        if claim.record.body.in_flight.is_some() {
            self.adopt_stored(claim)?;
            claim.record.next_key = None;
            let published = claim.record.body.in_flight.take().map(|f| f.published).unwrap_or_default();
            claim.record.body.leftovers.extend(withdraw_each(self.context, published, now));
            changed = true;
        }
        if !claim.record.body.to_revoke.is_empty() {
            let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
            let held = self.context.store.secret(self.entry().main_secret()).map_err(told)?;
            let chain = held.as_ref().and_then(|s| s.value("tls.crt"));
            let facts = chain.and_then(|chain| facts::read(chain.expose()).ok()).map(|(_, facts)| facts);
            self.revoke_replaced(claim, facts.as_ref().map(|f| f.serial.as_str()));
            changed = true;
        }
        let leftovers = std::mem::take(&mut claim.record.body.leftovers);
        changed |= !leftovers.is_empty();
        for leftover in leftovers {
            if now > leftover.since.min(now) + LEFTOVERS_KEPT {
                let owners: Vec<&str> = leftover.published.values.iter().map(|v| v.owner.as_str()).collect();
                event!(
                    error,
                    "left-for-good",
                    zone = leftover.published.zone,
                    names = owners.join(","),
                    hint = by_hand(&leftover.published)
                );
                continue;
            }
            let left = withdraw_each(self.context, vec![leftover.published], leftover.since);
            claim.record.body.leftovers.extend(left);
        }
        if changed { claim.save() } else { Ok(()) }
    }

    /// A crash between the write of the Secret and that of the record: what the Secret holds is what the order in flight gave.
    pub(super) fn adopt_stored(&self, claim: &mut Claim<'_>) -> Result<(), AttemptError> {
        let Some(next_key) = claim.record.next_key.clone() else {
            return Ok(());
        };
        let told = |e: StoreError| AttemptError::new(Stage::Store, RetryClass::Transient, e.to_string());
        let Some(secret) = self.context.store.secret(self.entry().main_secret()).map_err(told)? else {
            return Ok(());
        };
        let chain = secret.value("tls.crt").map(|c| c.expose().clone()).unwrap_or_default();
        if secret.value("tls.key") == Some(&next_key)
            && let Ok(bundle) = CheckedBundle::check(&chain, next_key, &self.entry().domains, time::now())
        {
            self.record_result(claim, &bundle);
        }
        Ok(())
    }
}

/// The commands that remove values left behind.
fn by_hand(published: &Presented) -> String {
    let deletes: Vec<String> =
        published.values.iter().map(|v| format!("update delete {}. TXT \"{}\"", v.owner, v.value)).collect();
    format!(
        "nsupdate -k KEYFILE: server {} {}; zone {}; {}; send",
        published.address.ip(),
        published.address.port(),
        published.zone,
        deletes.join("; ")
    )
}
