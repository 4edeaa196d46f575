//! The controller's state: the sources, the certificates that they want, the caches, and what was said and done lately.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::accepted_specs::{AcceptedSpecs, LastAccepted};
use super::elsewhere::SeenElsewhere;
use super::informers::{Informers, WatchSet};
use super::log_dedup::LogDedup;
use super::objects::ObjectTable;
use super::observed::{InformerEvent, ObjectEvent};
use super::options::{Options, RunMode};
use super::secret_cache::{Affected, SecretCache};
use super::sources::{ConfigHealth, Sources};
use crate::base::limits::{POLL_INTERVAL, TABLE_KEPT_MIN};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::base::time::{self, Time};
use crate::issuance::Context;
use crate::kube::resource::WatchTarget;
use crate::policy::order_index::ReservedOrder;
use crate::record;
use crate::server::snapshot::StatusTable;
use crate::sources::{Desired, Source, SourceEvent};

/// The state between two passes.
#[derive(Debug)]
pub(super) struct ControllerState {
    pub(super) context: Arc<Context>,
    pub(super) sources: Sources,
    /// The wishes of objects, apart from the entries of the configuration.
    pub(super) objects: ObjectTable,
    /// Since when the objects of each record are gone whose record does not say so yet.
    pub(super) gone: HashMap<ObjectRef, Time>,
    pub(super) secrets: SecretCache,
    /// The certificates that the sources want.
    pub(super) desired: Desired,
    pub(super) log_dedup: LogDedup,
    /// When each record was cleaned up last.
    pub(super) cleaned_up: HashMap<ObjectRef, Time>,
    pub(super) probing: ProbeMode,
    /// When the zones of each certificate were probed last.
    pub(super) probed: HashMap<ObjectRef, Time>,
    /// The statuses of the certificates, as they were decided about last; none where nobody can look at them.
    pub(super) statuses: Option<StatusTable>,
    /// True if Secrets that no object wants any more are deleted. A single pass lists the objects once, and deletes nothing.
    pub(super) prunes: bool,
    /// The watches that show nothing for the moment.
    pub(super) lost_watches: BTreeSet<usize>,
    /// True if `desired` lacks a form that could not be read.
    pub(super) rebuild_again: bool,
    /// The last accepted forms of refused entries.
    pub(super) forms: AcceptedSpecs,
    /// When something is to be done about a record whose entry went.
    pub(super) next_fate: Option<Time>,
}

/// The zones that are probed.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeMode {
    /// None.
    Never,
    /// All, and nothing else is done.
    Only,
    /// Each once a day, counted from the start.
    Daily { started: Time },
}

impl ControllerState {
    /// The state in which nothing was read yet. `statuses` is the table that is kept up to date.
    pub(super) fn new(
        context: Arc<Context>,
        sources: Vec<Box<dyn Source>>,
        options: &Options,
        statuses: Option<StatusTable>,
        watching: Option<Informers>,
        now: Time,
    ) -> ControllerState {
        let probing = match options.pass {
            RunMode::Forever if !options.dry_run => ProbeMode::Daily { started: now },
            RunMode::Forever | RunMode::Once => ProbeMode::Never,
            RunMode::Probe => ProbeMode::Only,
        };
        let mut state = ControllerState {
            secrets: SecretCache::new(context.clone(), watching, now),
            context,
            sources: Sources::new(sources, options.selection.settings.clone()),
            objects: ObjectTable::default(),
            gone: HashMap::new(),
            desired: Desired::default(),
            log_dedup: LogDedup::default(),
            cleaned_up: HashMap::new(),
            probing,
            probed: HashMap::new(),
            statuses,
            prunes: options.selection.prunes && options.pass == RunMode::Forever,
            lost_watches: BTreeSet::new(),
            rebuild_again: false,
            forms: AcceptedSpecs::default(),
            next_fate: None,
        };
        state.set_time(now);
        state
    }

    /// Sets the time by which orders in records count as recent.
    pub(super) fn set_time(&mut self, now: Time) {
        self.secrets.records.index.now = now;
    }

    /// Tells whether watches show changes; else everything is read now and then.
    pub(super) fn is_watching(&self) -> bool {
        self.secrets.watching.is_some()
    }

    /// Tells whether nothing can be decided now: the first lists are not complete, or a watch shows nothing.
    pub(super) fn waits_for_caches(&self) -> bool {
        let watching = self.secrets.watching.as_ref();
        watching.is_some_and(|w| !w.have_synced()) || (self.is_watching() && !self.sources.have_synced())
    }

    /// True where a certificate is in another cluster whose first list is under way.
    pub(super) fn waits_for_cluster(&self, secret: &ObjectRef) -> bool {
        let wanted = self.desired.wanted.get(secret).filter(|_| !secret.cluster.is_home());
        wanted.is_some_and(|wanted| wanted.entry.secrets.iter().any(|at| self.secrets.elsewhere.is_starting(at)))
    }

    /// The reason why nothing can be decided yet, in words.
    pub(super) fn not_ready(&self) -> Option<String> {
        let blind = || self.waits_for_caches().then(|| "the first lists of the API server are not complete".to_owned());
        self.sources.not_ready().map(|lacks| one_line(&lacks)).or_else(blind)
    }

    /// Applies what a watch saw. Returns the certificates that it affects.
    ///
    /// # Errors
    /// When a thread for another watch can not be started.
    pub(super) fn handle_event(&mut self, change: InformerEvent, now: Time) -> Result<Affected, String> {
        if let Some(seen) = self.secrets.elsewhere.handle_event(&change, &self.context, now) {
            return self.handle_elsewhere(seen, change, now);
        }
        let watching = self.secrets.watching.as_mut();
        let Some((target, list, was_live)) = watching.and_then(|w| w.handle_event(&change, now)) else {
            return Ok(Affected::Nothing);
        };
        let is_back = self.note_lost(&change);
        let affected = self.apply_event(change, &target, list, was_live, now)?;
        // What changed unseen may concern any certificate, whichever watch was lost.
        Ok(if is_back { Affected::All } else { affected })
    }

    /// Applies what a watch of this cluster saw. `target` and `list` are those of the watch; `was_live` says whether it had synced before.
    fn apply_event(
        &mut self,
        mut change: InformerEvent,
        target: &WatchTarget,
        list: u32,
        was_live: bool,
        now: Time,
    ) -> Result<Affected, String> {
        let is_denied = matches!(change.seen, ObjectEvent::Denied(_));
        if let ObjectEvent::Denied(e) = &change.seen
            && !self.sources.have_wishes(target)
        {
            event!(warn, "not-watched", what = target, error = e, consequence = "it is read now and then");
        }
        if !self.sources.watch(target) {
            if let ObjectEvent::Certificate(at, ..) = &mut change.seen
                && let Some(known) = self.desired.owner_of(at)
                && known == at
            {
                // Equal names share their memory.
                *at = known.clone();
            }
            let affected = self.secrets.handle_event(change, target, list, was_live);
            if is_denied {
                self.watch(now)?;
            }
            return Ok(affected);
        }
        if self.sources.have_wishes(target) {
            return self.handle_object(target, change.seen, now);
        }
        let has_changed = match change.seen {
            ObjectEvent::Source(event) => self.sources.apply(target, event),
            ObjectEvent::Listing => self.sources.apply(target, SourceEvent::Listing),
            ObjectEvent::Listed => self.sources.apply(target, SourceEvent::Listed),
            ObjectEvent::Denied(_) => {
                self.sources.poll(target, &self.context.store);
                true
            }
            _ => false,
        };
        if !has_changed {
            return Ok(Affected::Nothing);
        }
        self.watch(now)?;
        Ok(Affected::All)
    }

    /// Applies what a watch of another cluster saw.
    fn handle_elsewhere(&mut self, seen: SeenElsewhere, change: InformerEvent, now: Time) -> Result<Affected, String> {
        if self.sources.have_wishes(&seen.target) {
            let is_lost = matches!(change.seen, ObjectEvent::Lost(_));
            let affected = self.handle_object_elsewhere(&seen.target, change.seen, now)?;
            return Ok(seen.affected(affected, is_lost));
        }
        let is_lost = matches!(change.seen, ObjectEvent::Lost(_));
        let is_denied = matches!(change.seen, ObjectEvent::Denied(_));
        if is_denied || matches!(change.seen, ObjectEvent::Listed | ObjectEvent::Found) {
            // What is known of Secrets is shown of those objects, too, of which nothing is served.
            self.objects.unshown.extend(self.sources.all_seen().filter(|object| object.at.cluster == seen.cluster));
        }
        let affected = self.secrets.handle_event(change, &seen.target, seen.list, seen.was_live);
        if is_denied {
            self.watch_wanted(now)?;
        }
        Ok(seen.affected(affected, is_lost))
    }

    /// Notes which watches show nothing, and says when the first one is lost and the last one is back. Returns true for the latter.
    pub(super) fn note_lost(&mut self, change: &InformerEvent) -> bool {
        let was_blind = !self.lost_watches.is_empty();
        match &change.seen {
            ObjectEvent::Lost(_) => {
                self.lost_watches.insert(change.watch);
            }
            ObjectEvent::Listed | ObjectEvent::Found | ObjectEvent::Absent | ObjectEvent::Denied(_) => {
                self.lost_watches.remove(&change.watch);
            }
            _ => {}
        }
        match (&change.seen, was_blind, self.lost_watches.is_empty()) {
            (ObjectEvent::Lost(e), false, false) => {
                event!(error, "api-server-away", error = e, consequence = "nothing is ordered until it is back");
            }
            (_, true, true) => {
                event!(info, "api-server-back");
                return true;
            }
            _ => {}
        }
        false
    }

    /// Reads the source objects that no watch shows. Returns whether `desired` has to be made again: for those, or because it lacks a form.
    pub(super) fn poll_sources(&mut self) -> bool {
        let mut again = self.rebuild_again;
        let targets: Vec<_> = self.sources.all().flat_map(Source::targets).collect();
        for target in targets {
            if self.sources.have_wishes(&target) {
                again |= self.list_objects(&target);
            } else if !self.secrets.watching.as_ref().is_some_and(|w| w.has(&target)) {
                self.sources.poll(&target, &self.context.store);
                again = true;
            }
        }
        again
    }

    /// Makes `desired` anew.
    pub(super) fn rebuild_desired(&mut self) -> ConfigHealth {
        // The old one goes first: there may be many certificates.
        self.desired = Desired::default();
        let (now, lookup) = (time::now(), self.forms.look());
        let form = |secret: &ObjectRef| {
            lookup.form(secret, |record| self.secrets.was_never_accepted(record, now), &self.context)
        };
        let (mut desired, mut health) = self.sources.desired(&self.context, &mut self.log_dedup, &form);
        let held = |at: &ObjectRef| self.secrets.held_names(at).to_vec();
        let namespaces = &self.context.namespaces;
        let change = self.objects.update(&mut self.sources, &mut desired, namespaces, &held, &form, true);
        health.unread = lookup.end();
        // A single pass lists each cluster once, and what one does not tell it does not know.
        health.unknown |= health.unread || (!self.is_watching() && self.sources.lack_a_cluster());
        (self.desired, self.rebuild_again) = (desired, health.unread);
        self.say_problems(&change.objects);
        // While a source object is unreadable nobody knows what is wanted.
        if !self.desired.incomplete {
            self.secrets.prune(&self.desired);
            prune(&mut self.probed, |secret, _| self.desired.wanted.contains_key(secret));
        }
        if let Some(statuses) = &self.statuses {
            statuses.retain(|secret| self.desired.wanted.contains_key(secret));
            for (secret, wanted) in &mut self.desired.wanted {
                // What was made anew and did not change is kept once, with the status that holds it.
                if let Some((status, wanted)) = statuses.get(secret).zip(Arc::get_mut(wanted)) {
                    status.share(wanted);
                    self.objects.index.share(secret, &wanted.objects);
                }
            }
        }
        health
    }

    /// The next form that a worker is to read.
    pub(super) fn form_to_read(&mut self) -> Option<ObjectRef> {
        self.forms.take()
    }

    /// The number of forms being read.
    pub(super) fn forms_being_read(&self) -> usize {
        self.forms.being_read()
    }

    /// Puts a form that a worker has read. Returns whether `desired` can be made again, with all of them.
    pub(super) fn form_read(&mut self, secret: ObjectRef, form: Result<LastAccepted, String>) -> bool {
        self.forms.read(secret, form)
    }

    /// Makes `desired` anew and watches the objects that it needs.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn watch(&mut self, now: Time) -> Result<(), String> {
        if !self.is_watching() {
            return Ok(());
        }
        if self.sources.have_synced() {
            self.rebuild_desired();
        }
        self.watch_wanted(now)
    }

    /// Watches the objects that `desired` needs.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn watch_wanted(&mut self, now: Time) -> Result<(), String> {
        let sources = self.sources.all();
        let parsers =
            |s: &'_ dyn Source| -> Vec<_> { s.targets().into_iter().map(|t| (t.clone(), s.parser(&t))).collect() };
        let sources = sources.flat_map(parsers).collect();
        let mut interest = WatchSet { sources, ..WatchSet::default() };
        if self.sources.have_synced() {
            for (secret, wanted) in &self.desired.wanted {
                let (here, there) =
                    wanted.entry.secrets.iter().cloned().partition::<Vec<_>, _>(|at| at.cluster.is_home());
                interest.certificates.extend(here);
                interest.elsewhere.extend(there);
                interest.records.push(record::reference(secret, &self.context.namespace));
                interest.contents.extend(wanted.inputs().cloned());
            }
            // A record whose entry went is followed until it is emptied.
            let left = self.secrets.left_records().filter(|at| self.owner(at).is_none());
            interest.records.extend(left.cloned());
        }
        self.secrets.watch(&interest, now)?;
        // A lost watch that ended never says that it is back.
        if let Some(watching) = &self.secrets.watching {
            self.lost_watches.retain(|number| watching.is_wanted(*number));
        }
        Ok(())
    }

    /// Tries again what was not allowed.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn retry_watches(&mut self, now: Time) -> Result<(), String> {
        let home = self.secrets.watching.as_ref().and_then(Informers::next_retry);
        let again = home.into_iter().chain(self.secrets.elsewhere.next_retry()).min();
        if again.is_some_and(|at| at <= now) { self.watch(now) } else { Ok(()) }
    }

    /// The clock was set back: what counts until a time by it would count until that time comes again.
    pub(super) fn clock_set_back(&mut self) {
        self.secrets.invalidate_readings();
        self.cleaned_up.clear();
    }

    /// Counts a reserved order no longer.
    pub(super) fn release(&mut self, order: &ReservedOrder) {
        self.secrets.records.index.orders.release(order);
    }

    /// Tells whether a certificate is wanted.
    pub(super) fn is_wanted(&self, secret: &ObjectRef) -> bool {
        self.desired.wanted.contains_key(secret)
    }
}

/// Drops entries of a table, once it is larger than what one pass fills.
pub(super) fn prune<K: Eq + Hash, V>(table: &mut HashMap<K, V>, is_kept: impl Fn(&K, &V) -> bool) {
    if table.len() > TABLE_KEPT_MIN {
        table.retain(|key, value| is_kept(key, value));
    }
}

/// The pause until `wake`, within bounds.
pub(super) fn pause_until(wake: Option<Time>, now: Time) -> Duration {
    let pause = wake.map_or(POLL_INTERVAL, |at| if at > now { time::until(at) } else { Duration::from_secs(1) });
    pause.min(POLL_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::TIDY_INTERVAL;

    #[test]
    fn a_moment_to_come_is_met_at_its_begin_and_one_that_passed_a_second_later() {
        let now = time::now();
        let most = |seconds| Duration::from_secs(seconds);
        let soon = pause_until(Some(now + most(3)), now);
        assert!(soon <= most(3) && soon + most(2) > most(3), "{soon:?}: a part of this second is over");
        assert_eq!(pause_until(Some(now), now), most(1));
        assert_eq!(pause_until(Some(Time::from_unix(0)), now), most(1));
        assert_eq!(pause_until(Some(now + 2 * POLL_INTERVAL), now), POLL_INTERVAL);
        assert_eq!(pause_until(None, now), POLL_INTERVAL);
        // The pass took longer than the time that was left.
        assert_eq!(pause_until(Some(now), Time::from_unix(now.unix() - 5)), Duration::ZERO);
    }

    #[test]
    fn a_hundred_thousand_records_that_were_tidied_are_forgotten_when_their_rest_is_over() {
        let mut tidied = HashMap::new();
        for i in 0..100_000_u32 {
            let now = Time::from_unix(1_800_000_000) + Duration::from_secs(u64::from(i));
            prune(&mut tidied, |_, last: &Time| *last + TIDY_INTERVAL > now);
            tidied.insert(i, now);
        }
        assert!(tidied.len() <= TABLE_KEPT_MIN + 1, "{}", tidied.len());
    }
}
