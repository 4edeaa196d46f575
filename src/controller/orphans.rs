//! Certificates whose entry went or came back: what is to be done to their records, and when.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::state::{ControllerState, ProbeMode, prune};
use super::steps::step;
use crate::base::limits::{OBJECT_GONE_FOR, OBJECT_KEPT_MIN, TIDY_INTERVAL};
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::retention::{RecordOwner, RetentionStep, fate};
use crate::record;
use crate::status::certificate::CertificateStatus;

impl ControllerState {
    /// The records whose entry went or came back, and what is to be done to each. Those of `worked_on` are left out: a job under way would go
    /// on publishing what was withdrawn.
    pub(super) fn orphaned_records<'s>(
        &mut self,
        worked_on: impl Iterator<Item = &'s ObjectRef>,
        forget_after: Duration,
        now: Time,
    ) -> Vec<(ObjectRef, RetentionStep)> {
        self.next_fate = None;
        if matches!(self.probing, ProbeMode::Only) {
            return Vec::new();
        }
        let of = |secret: &ObjectRef| record::reference(secret, &self.context.namespace);
        let worked_on: BTreeSet<ObjectRef> = worked_on.map(of).collect();
        // A refused entry still wants its certificate, though perhaps in no form that can be served.
        let refused: BTreeSet<ObjectRef> = self.refused().collect();
        let (mut due, mut next) = (Vec::new(), None);
        let (gone, mut still_gone) = (std::mem::take(&mut self.gone), HashMap::new());
        for (at, known) in self.secrets.records.facts().filter(|(at, _)| !worked_on.contains(at)) {
            step();
            let Ok(known) = known else { continue };
            let claimed = match &known.accepted {
                // A certificate whose entry came back is reconciled, and its job says so in the record.
                _ if self.owner(at).is_some() => continue,
                _ if refused.contains(at) => RecordOwner::Wanted,
                _ if self.desired.incomplete => continue,
                None => RecordOwner::Emptied,
                // A record of another instance in this namespace is not ours to miss.
                // The objects of a source that may not be read may exist.
                Some(a) if a.source.as_ref().is_some_and(|source| self.sources.is_denied(source)) => continue,
                Some(a) if a.source.as_ref().is_none_or(|source| self.sources.own(source)) => RecordOwner::Gone,
                Some(_) => continue,
            };
            if let Some(until) =
                known.body.orphaned.map(|orphaned| orphaned.until).filter(|_| claimed == RecordOwner::Gone)
            {
                next = sooner(next, until);
            }
            let is_of_object =
                known.accepted.as_ref().and_then(|a| a.source.as_ref()).is_some_and(|source| self.sources.wish(source));
            // Deleted and created again is the usual way of some tools.
            if is_of_object && claimed == RecordOwner::Gone && known.body.orphaned.is_none() {
                let since = gone.get(at).copied().filter(|since| *since <= now).unwrap_or(now);
                if now < since + OBJECT_GONE_FOR {
                    still_gone.insert(at.clone(), since);
                    next = sooner(next, since + OBJECT_GONE_FOR);
                    continue;
                }
            }
            let kept = if is_of_object { forget_after.max(OBJECT_KEPT_MIN) } else { forget_after };
            let Some(fate) = fate(&known.body, claimed, kept, now) else { continue };
            match self.cleaned_up.get(at).map(|last| *last + TIDY_INTERVAL).filter(|rested| *rested > now) {
                Some(rested) => next = sooner(next, rested),
                None => due.push((at.clone(), fate)),
            }
        }
        prune(&mut self.cleaned_up, |_, last| *last + TIDY_INTERVAL > now);
        for (at, _) in &due {
            next = sooner(next, now + TIDY_INTERVAL);
            self.cleaned_up.insert(at.clone(), now);
        }
        (self.next_fate, self.gone) = (next, still_gone);
        due
    }

    /// Whether something is to be done about a record only because of the time.
    pub(super) fn fates_are_due(&self, now: Time) -> bool {
        self.next_fate.is_some_and(|next| next <= now)
    }

    /// The records of entries that are refused.
    fn refused(&self) -> impl Iterator<Item = ObjectRef> {
        let own = &self.context.namespace;
        let refused = self.desired.refused.iter().filter_map(|refused| refused.secret.as_ref());
        refused.map(|secret| record::reference(secret, own))
    }

    /// The certificates whose entry went and whose record is not emptied yet.
    pub(super) fn orphans(&self) -> impl Iterator<Item = CertificateStatus> {
        let records = &self.secrets.records;
        records.index.orphaned.iter().filter_map(|at| {
            step();
            let known = records.fact(at)?.as_ref().ok()?;
            let orphaned = known.body.orphaned?;
            if self.owner(at).is_some() || self.refused().any(|refused| refused == *at) {
                return None;
            }
            let stored = known.body.stored.as_ref();
            Some(CertificateStatus::orphaned(at, orphaned, stored, known.copy.as_deref()))
        })
    }
}

fn sooner(one: Option<Time>, other: Time) -> Option<Time> {
    Some(one.map_or(other, |one| one.min(other)))
}
