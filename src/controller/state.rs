//! What is known of the world, and what is decided about it: the ConfigMaps as last accepted, the wishes they make, facts of the objects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::Options;
use super::accepted_specs::{AcceptedSpecs, LastAccepted};
use super::config_maps::{ConfigHealth, ConfigMaps};
use super::informers::{InformerEvent, Informers, WatchSet, by_name};
use super::log_dedup::LogDedup;
use super::observed::ObjectEvent;
use super::secret_cache::{Affected, SecretCache};
use crate::base::limits::{BULLETIN_NOTES_MAX, LOOK_AT_ALL, POLL_INTERVAL, TABLE_KEPT_MIN};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::base::shared_str::SharedStr;
use crate::base::time::{self, Time};
use crate::issuance::{Context, account};
use crate::kube::resource::{Resource, Selector};
use crate::policy::Orders;
use crate::policy::ca_limits::{OrderLog, counted, made_lately};
use crate::server::snapshot::{CertificateSnapshot, Snapshot};
use crate::sources::Desired;
use crate::status::row::{NoteKind, Parked};
use crate::worker::{Job, Task};

/// What is known between two looks.
#[derive(Debug)]
pub(super) struct ControllerState {
    pub(super) context: Arc<Context>,
    pub(super) configs: ConfigMaps,
    pub(super) secrets: SecretCache,
    /// What the ConfigMaps say, all together.
    pub(super) desired: Desired,
    pub(super) log_dedup: LogDedup,
    pub(super) cleaned_up: HashMap<ObjectRef, Time>,
    pub(super) probing: ProbeMode,
    /// When each certificate's zones were probed last.
    pub(super) probed: HashMap<ObjectRef, Time>,
    /// When orders were made lately, with those that are wanted now, by directory.
    pub(super) order_logs: HashMap<SharedStr, OrderLog>,
    /// What is shown of each certificate, where somebody may look.
    pub(super) statuses: Option<HashMap<ObjectRef, Arc<CertificateSnapshot>>>,
    /// The watches that see nothing for the moment.
    lost_watches: BTreeSet<usize>,
    /// The wishes lack something that could not be read.
    rebuild_again: bool,
    /// The forms in which what is refused was last accepted.
    forms: AcceptedSpecs,
    /// When something is to be done about a record whose entry went.
    pub(super) next_fate: Option<Time>,
}

/// Which zones are probed.
#[derive(Clone, Copy, Debug)]
pub(super) enum ProbeMode {
    /// None.
    Never,
    /// All, and nothing else is done.
    Only,
    /// Those of certificates whose turn it is.
    Daily { started: Time },
}

/// What was found out about one certificate.
#[derive(Debug, Default)]
pub(super) struct ReconcileResult {
    /// What is to be done, if anything.
    pub(super) job: Option<Box<Job>>,
    /// When it has to be looked at again, at the latest.
    pub(super) due: Option<Time>,
    /// Something could not be read.
    pub(super) unknown: bool,
    /// A Secret is not as it should be.
    pub(super) unsound: bool,
    /// What is to be done makes an order at this directory; whether it is a renewal.
    pub(super) order: Option<Box<(SharedStr, bool)>>,
    /// It is to be made in another way, which failed: it waits.
    pub(super) change_waits: bool,
    /// Its entry went and came back, and nothing is done that would write so into its record.
    pub(super) is_back: bool,
}

/// What one look shares over all certificates.
pub(super) struct ReconcilePass {
    pub(super) now: Time,
    pub(super) orders: Orders,
    /// Hashes of what the inputs hold.
    pub(super) contents: HashMap<ObjectRef, String>,
}

impl ControllerState {
    /// Nothing is known yet.
    pub(super) fn new(
        context: Arc<Context>,
        plan: &Options,
        watching: Option<Informers>,
        now: Time,
    ) -> ControllerState {
        let probing = match plan.pass {
            super::RunMode::Forever if !plan.dry_run => ProbeMode::Daily { started: now },
            super::RunMode::Forever | super::RunMode::Once => ProbeMode::Never,
            super::RunMode::Probe => ProbeMode::Only,
        };
        ControllerState {
            secrets: SecretCache::new(context.clone(), watching),
            context,
            configs: ConfigMaps::new(&plan.config_maps),
            desired: Desired::default(),
            log_dedup: LogDedup::default(),
            cleaned_up: HashMap::new(),
            probing,
            probed: HashMap::new(),
            order_logs: HashMap::new(),
            statuses: plan.port.as_ref().map(|_| HashMap::new()),
            lost_watches: BTreeSet::new(),
            rebuild_again: false,
            forms: AcceptedSpecs::default(),
            next_fate: None,
        }
    }

    /// Whether changes are told to us; else everything is read now and then.
    pub(super) fn is_watching(&self) -> bool {
        self.secrets.watching.is_some()
    }

    /// Whether nothing can be decided now: the first lists are not complete, or nothing is seen.
    pub(super) fn waits_for_caches(&self) -> bool {
        let watching = self.secrets.watching.as_ref();
        watching.is_some_and(|w| !w.have_synced()) || (self.is_watching() && !self.configs.are_known())
    }

    /// What is not known yet, in words: until then nothing can be decided.
    pub(super) fn not_ready(&self) -> Option<String> {
        let blind = || self.waits_for_caches().then(|| "the first lists of the API server are not complete".to_owned());
        self.configs.not_ready().map(|lacks| one_line(&lacks)).or_else(blind)
    }

    /// Takes note of what a watch saw. Returns what has to be looked at again.
    ///
    /// # Errors
    /// When a thread for another watch can not be had.
    pub(super) fn handle_event(&mut self, mut change: InformerEvent, now: Time) -> Result<Affected, String> {
        let watching = self.secrets.watching.as_mut();
        let Some((target, list, was_live)) = watching.and_then(|w| w.handle_event(&change, now)) else {
            return Ok(Affected::Nothing);
        };
        let (was_blind, denied) = (!self.lost_watches.is_empty(), matches!(change.seen, ObjectEvent::Denied(_)));
        match &change.seen {
            ObjectEvent::Lost(_) => {
                self.lost_watches.insert(change.watch);
            }
            ObjectEvent::Listed | ObjectEvent::Found | ObjectEvent::Denied(_) => {
                self.lost_watches.remove(&change.watch);
            }
            _ => {}
        }
        match (&change.seen, was_blind, self.lost_watches.is_empty()) {
            (ObjectEvent::Lost(e), false, false) => {
                event!(error, "api-server-away", error = e, consequence = "nothing is ordered until it is back");
            }
            (_, true, true) => event!(info, "api-server-back"),
            _ => {}
        }
        if let ObjectEvent::Denied(e) = &change.seen {
            event!(warn, "not-watched", what = target, error = e, consequence = "it is read now and then");
        }
        if target.resource != Resource::CONFIG_MAPS {
            if let ObjectEvent::Certificate(at, ..) = &mut change.seen
                && let Some(known) = self.desired.owner_of(at)
                && known == at
            {
                // Equal names share their memory.
                *at = known.clone();
            }
            let news = self.secrets.handle_event(change, &target, list, was_live);
            if denied {
                self.watch(now)?;
            }
            return Ok(news);
        }
        let Selector::Name(name) = target.selector else { return Ok(Affected::Nothing) };
        let name = ObjectRef::new(&target.namespace, &name);
        match change.seen {
            ObjectEvent::Config(read) => self.configs.accept(&name, Ok(Some(read))),
            ObjectEvent::Gone(_) => self.configs.accept(&name, Ok(None)),
            ObjectEvent::Listed if !self.configs.is_known(&name) => self.configs.accept(&name, Ok(None)),
            ObjectEvent::Denied(_) => self.configs.read(&self.context, &name),
            _ => return Ok(Affected::Nothing),
        }
        self.watch(now)?;
        Ok(Affected::All)
    }

    /// Reads the ConfigMaps that no watch shows. Returns whether the wishes have to be made again: for those, or because they lack
    /// something.
    pub(super) fn read_configs(&mut self) -> bool {
        let mut again = self.rebuild_again;
        for name in self.configs.names().cloned().collect::<Vec<_>>() {
            let watched = |w: &Informers| w.has(&by_name(Resource::CONFIG_MAPS, &name));
            if !self.secrets.watching.as_ref().is_some_and(watched) {
                self.configs.read(&self.context, &name);
                again = true;
            }
        }
        again
    }

    /// Makes the wishes of the ConfigMaps.
    pub(super) fn rebuild_desired(&mut self) -> ConfigHealth {
        // Not beside the new ones: there may be many.
        self.desired = Desired::default();
        let (now, look) = (time::now(), self.forms.look());
        let form = |secret: &ObjectRef| look.form(secret, &self.secrets, &self.context, now);
        let (wishes, mut overall) = self.configs.desired(&self.context, &mut self.log_dedup, form);
        overall.unread = look.end();
        overall.unknown |= overall.unread;
        (self.desired, self.rebuild_again) = (wishes, overall.unread);
        // While a ConfigMap does not read nobody knows what is wanted.
        if !self.desired.incomplete {
            self.secrets.prune(&self.desired);
            prune(&mut self.probed, |secret, _| self.desired.wanted.contains_key(secret));
        }
        overall
    }

    /// A form that a worker is to read.
    pub(super) fn form_to_read(&mut self) -> Option<ObjectRef> {
        self.forms.take()
    }

    /// How many forms are being read.
    pub(super) fn forms_being_read(&self) -> usize {
        self.forms.being_read()
    }

    /// A worker has read a form. Returns whether the wishes can be made again, with all of them.
    pub(super) fn form_read(&mut self, secret: ObjectRef, form: Result<LastAccepted, String>) -> bool {
        self.forms.read(secret, form)
    }

    /// Watches what the wishes need to be seen.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub(super) fn watch(&mut self, now: Time) -> Result<(), String> {
        if !self.is_watching() {
            return Ok(());
        }
        let mut interest = WatchSet { config_maps: self.configs.names().cloned().collect(), ..WatchSet::default() };
        if self.configs.are_known() {
            self.rebuild_desired();
            for (secret, wanted) in &self.desired.wanted {
                interest.certificates.extend(wanted.entry.secrets.iter().cloned());
                interest.recorded.push(secret.clone());
                interest.contents.extend(wanted.inputs().cloned());
            }
        }
        self.secrets.watch(&interest, now)?;
        // A watch that ended while it saw nothing never says that it sees again.
        if let Some(watching) = &self.secrets.watching {
            self.lost_watches.retain(|number| watching.is_wanted(*number));
        }
        Ok(())
    }

    /// Tries again what was not allowed.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub(super) fn retry_watches(&mut self, now: Time) -> Result<(), String> {
        let again = self.secrets.watching.as_ref().and_then(Informers::next_retry);
        if again.is_some_and(|at| at <= now) { self.watch(now) } else { Ok(()) }
    }

    /// The clock was set back: what counts until a time by it would count until that time comes again.
    pub(super) fn clock_set_back(&mut self) {
        self.secrets.invalidate_readings();
        self.cleaned_up.clear();
    }

    /// Whether a certificate is wanted.
    pub(super) fn is_wanted(&self, secret: &ObjectRef) -> bool {
        self.desired.wanted.contains_key(secret)
    }

    /// Begins a look: what counts for all certificates. `under_way` are the orders that are wanted or being made: directory, renewal.
    pub(super) fn begin_pass<'j>(
        &mut self,
        under_way: impl Iterator<Item = &'j (SharedStr, bool)>,
        now: Time,
    ) -> ReconcilePass {
        let bodies = || self.secrets.records.facts().filter_map(|(_, known)| Some(&known.as_ref().ok()?.body));
        let orders = counted(bodies(), now);
        self.order_logs = made_lately(bodies(), now);
        for (directory, renewal) in under_way {
            self.order_logs.entry(directory.clone()).or_default().add(now, *renewal);
        }
        ReconcilePass { now, orders, contents: HashMap::new() }
    }

    /// Decides about one certificate.
    pub(super) fn reconcile(&mut self, secret: &ObjectRef, look: &mut ReconcilePass) -> ReconcileResult {
        let Some(wanted) = self.desired.wanted.get(secret).cloned() else { return ReconcileResult::default() };
        if let ProbeMode::Only = self.probing {
            return ReconcileResult {
                job: Some(Box::new(Job::new(wanted, Task::Probe))),
                ..ReconcileResult::default()
            };
        }
        self.log_dedup.begin(secret);
        let mut verdict = self.evaluate(secret, &wanted, look).unwrap_or_else(|e| {
            if self.log_dedup.changed("unread", &e) {
                event!(warn, "unread", secret = secret, error = e);
            }
            if let Some(shown) = &mut self.statuses {
                let certificate = CertificateSnapshot::unknown(&wanted, &self.context.clients.directory(&wanted), &e);
                shown.insert(secret.clone(), Arc::new(certificate));
            }
            ReconcileResult { unknown: true, due: Some(look.now + POLL_INTERVAL), ..ReconcileResult::default() }
        });
        let latest = if self.is_watching() { LOOK_AT_ALL } else { POLL_INTERVAL };
        verdict.due = Some(verdict.due.map_or(look.now + latest, |due| due.min(look.now + latest)));
        verdict
    }

    /// What the port shows of the certificates that are wanted, of which those `ordering` are being ordered and others are parked.
    pub(super) fn snapshot(
        &mut self,
        ordering: BTreeSet<ObjectRef>,
        parked: BTreeMap<ObjectRef, Parked>,
        now: Time,
    ) -> Snapshot {
        let wanted = &self.desired.wanted;
        let (entries, faults) = (wanted.len(), self.problems());
        let certificates = self.statuses.as_mut().map(|shown| {
            shown.retain(|secret, _| wanted.contains_key(secret));
            wanted.keys().filter_map(|secret| shown.get(secret).cloned()).collect()
        });
        let certificates = certificates.unwrap_or_default();
        let gates = if self.context.limits.is_open() { Vec::new() } else { self.circuits(now) };
        let orphaned = self.orphans().count();
        Snapshot { certificates, ordering, parked, faults, entries, orphaned, gates, ..Snapshot::default() }
    }

    /// What is to be said besides the certificates.
    pub(super) fn notes(&self) -> Vec<(NoteKind, String)> {
        let problems = self.configs.problems().map(|problem| (NoteKind::Unreadable, problem));
        let refused = self.desired.refused.iter().map(|refused| (NoteKind::Refused, refused.to_string()));
        let warnings = self.desired.warnings.iter().map(|warning| (NoteKind::Warning, warning.clone()));
        let all = problems.chain(refused).chain(warnings).take(BULLETIN_NOTES_MAX);
        all.map(|(kind, sentence)| (kind, one_line(&sentence))).collect()
    }

    fn problems(&self) -> Vec<String> {
        let refused = self.desired.refused.iter().map(ToString::to_string);
        self.configs.problems().chain(refused).map(|fault| one_line(&fault)).collect()
    }

    /// The directories that take no order of an account.
    fn circuits(&self, now: Time) -> Vec<(String, Time)> {
        let Context { clients: cas, limits, namespace, .. } = &*self.context;
        let mut closed = BTreeMap::new();
        for wanted in self.desired.wanted.values() {
            let directory = cas.directory(wanted);
            if let Some(until) = limits.closed_to_all(&account::reference(directory.url(), wanted, namespace), now) {
                let latest = closed.entry(directory.url().to_owned()).or_insert(until);
                *latest = until.max(*latest);
            }
        }
        closed.into_iter().collect()
    }
}

/// Forgets what is over in a table, once it is larger than what one look fills.
pub(super) fn prune<K: Eq + Hash, V>(table: &mut HashMap<K, V>, is_kept: impl Fn(&K, &V) -> bool) {
    if table.len() > TABLE_KEPT_MIN {
        table.retain(|key, value| is_kept(key, value));
    }
}

/// The next moment at which the world is looked at again, as a pause.
pub(super) fn pause_until(wake: Option<Time>, now: Time) -> Duration {
    let pause = wake.map_or(POLL_INTERVAL, |at| at.since(now));
    pause.clamp(Duration::from_secs(1), POLL_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::TIDY_INTERVAL;

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
