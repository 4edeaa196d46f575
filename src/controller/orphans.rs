//! Certificates whose entry went or came back: what is to be done to their records, and when.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::observed::RecordSummary;
use super::state::{ControllerState, ProbeMode, prune};
use super::steps::step;
use crate::base::limits::{OBJECT_GONE_FOR, OBJECT_KEPT_MIN, TIDY_INTERVAL};
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::prune::{self, PruneStep, SourcesSeen};
use crate::policy::retention::{RecordOwner, RetentionStep, fate};
use crate::record::{self, Orphaned, OrphanedSecret};
use crate::sources::SourceRef;
use crate::status::certificate::CertificateStatus;

/// The facts that are found out once, for all records whose object went.
#[derive(Default)]
struct PruneView {
    kinds: OnceCell<BTreeSet<&'static str>>,
    named: OnceCell<HashSet<ObjectRef>>,
}

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
        let view = PruneView::default();
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
            let of_secret = match known.body.orphaned {
                Some(orphaned) if is_of_object && claimed == RecordOwner::Gone => {
                    self.prune_step(at, known, orphaned, &view, now)
                }
                Some(_) | None => PruneStep::Nothing,
            };
            let fate = match of_secret {
                PruneStep::Delete => known.body.orphaned.map(RetentionStep::Prune),
                PruneStep::Keep => Some(RetentionStep::KeepSecret),
                PruneStep::Unknown => {
                    next = sooner(next, now + TIDY_INTERVAL);
                    continue;
                }
                PruneStep::Until(due) => {
                    next = sooner(next, due);
                    fate(&known.body, claimed, kept, now)
                }
                PruneStep::Nothing => fate(&known.body, claimed, kept, now),
            };
            let fate = fate.map(|fate| match fate {
                // The kind turned empty at once, as the next step would say, too late for an object that comes first.
                RetentionStep::Orphan(orphaned) if is_of_object && !self.seen(known, &view).has_others => {
                    RetentionStep::Orphan(Orphaned { secret: OrphanedSecret::Kept, ..orphaned })
                }
                fate => fate,
            });
            let Some(fate) = fate else { continue };
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

    /// The step for the Secret of an object's certificate that is orphaned.
    fn prune_step(
        &self,
        at: &ObjectRef,
        known: &RecordSummary,
        orphaned: Orphaned,
        view: &PruneView,
        now: Time,
    ) -> PruneStep {
        // A record whose name is a hash does not tell its Secret.
        // In another cluster no Secret is deleted.
        let Some(secret) = record::subject(at).filter(|secret| secret.cluster.is_home()) else {
            return PruneStep::Nothing;
        };
        let seen = self.seen(known, view);
        let index = &self.objects.index;
        let is_named = || {
            !index.objects_of(&secret).is_empty() || view.named.get_or_init(|| self.sources.named()).contains(&secret)
        };
        prune::step(orphaned, seen, self.prunes, is_named, now)
    }

    /// The objects that the sources show besides the object of a record, which went.
    fn seen(&self, known: &RecordSummary, view: &PruneView) -> SourcesSeen {
        let source = known.accepted.as_ref().and_then(|accepted| accepted.source.as_deref());
        let object = source.and_then(SourceRef::parse).and_then(|source| source.object_key());
        let kinds = view.kinds.get_or_init(|| self.desired.kinds());
        SourcesSeen {
            are_whole: self.sources.are_whole() && self.lost_watches.is_empty(),
            has_others: object.is_some_and(|object| kinds.contains(object.kind)),
        }
    }

    /// Tells whether something is to be done about a record only because of the time.
    pub(super) fn fates_are_due(&self, now: Time) -> bool {
        self.next_fate.is_some_and(|next| next <= now)
    }

    /// The records of entries that are refused.
    fn refused(&self) -> impl Iterator<Item = ObjectRef> {
        let own = &self.context.namespace;
        let refused = self.desired.refused.iter().filter_map(|refused| refused.secret.as_ref());
        refused.chain(&self.desired.kept).map(|secret| record::reference(secret, own))
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
            let source = known.accepted.as_ref().and_then(|accepted| accepted.source.as_deref());
            let is_at_home = record::subject(at).is_none_or(|secret| secret.cluster.is_home());
            let prunes = self.prunes && is_at_home && source.is_some_and(|source| self.sources.wish(source));
            Some(CertificateStatus::orphaned(at, orphaned, stored, known.copy.as_deref(), prunes))
        })
    }
}

fn sooner(one: Option<Time>, other: Time) -> Option<Time> {
    Some(one.map_or(other, |one| one.min(other)))
}
