//! What is known of the world, and what is decided about it: the ConfigMaps as last accepted, the wishes they make, facts of the objects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::Options;
use super::accepted_specs::{AcceptedSpecs, LastAccepted};
use super::config_maps::{ConfigHealth, Configs};
use super::informers::{InformerEvent, Informers, WatchSet, named};
use super::log_dedup::LogDedup;
use super::observed::Seen;
use super::secret_cache::{Affected, SecretCache};
use crate::base::limits::{BULLETIN_NOTES_MAX, LOOK_AT_ALL, POLL_INTERVAL, TABLE_KEPT_MIN};
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::base::shared_str::SharedStr;
use crate::base::time::{self, Time};
use crate::issuance::{Context, account};
use crate::kube::client::Resource;
use crate::kube::watch_event::Selector;
use crate::policy::Orders;
use crate::policy::ca_limits::{OrderLog, counted, made_lately};
use crate::server::snapshot::{Certificate, Snapshot};
use crate::sources::Desired;
use crate::status::row::{Kind, Parked};
use crate::worker::{Job, Task};

/// What is known between two looks.
#[derive(Debug)]
pub(super) struct World {
    pub(super) context: Arc<Context>,
    pub(super) configs: Configs,
    pub(super) objects: SecretCache,
    /// What the ConfigMaps say, all together.
    pub(super) wishes: Desired,
    pub(super) said: LogDedup,
    pub(super) tidied: HashMap<ObjectRef, Time>,
    pub(super) probing: Probing,
    /// When each certificate's zones were probed last.
    pub(super) probed: HashMap<ObjectRef, Time>,
    /// When orders were made lately, with those that are wanted now, by directory.
    pub(super) made: HashMap<SharedStr, OrderLog>,
    /// What is shown of each certificate, where somebody may look.
    pub(super) shown: Option<HashMap<ObjectRef, Arc<Certificate>>>,
    /// The watches that see nothing for the moment.
    blind: BTreeSet<usize>,
    /// The wishes lack something that could not be read.
    wish_again: bool,
    /// The forms in which what is refused was last accepted.
    forms: AcceptedSpecs,
    /// When something is to be done about a record whose entry went.
    pub(super) next_fate: Option<Time>,
}

/// Which zones are probed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probing {
    /// None.
    Never,
    /// All, and nothing else is done.
    Only,
    /// Those of certificates whose turn it is.
    Daily { started: Time },
}

/// What was found out about one certificate.
#[derive(Debug, Default)]
pub(super) struct Verdict {
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
pub(super) struct Look {
    pub(super) now: Time,
    pub(super) orders: Orders,
    /// Hashes of what the inputs hold.
    pub(super) contents: HashMap<ObjectRef, String>,
}

impl World {
    /// Nothing is known yet.
    pub(super) fn new(context: Arc<Context>, plan: &Options, watching: Option<Informers>, now: Time) -> World {
        let probing = match plan.pass {
            super::Pass::Forever if !plan.dry_run => Probing::Daily { started: now },
            super::Pass::Forever | super::Pass::Once => Probing::Never,
            super::Pass::Probe => Probing::Only,
        };
        World {
            objects: SecretCache::new(context.clone(), watching),
            context,
            configs: Configs::new(&plan.config_maps),
            wishes: Desired::default(),
            said: LogDedup::default(),
            tidied: HashMap::new(),
            probing,
            probed: HashMap::new(),
            made: HashMap::new(),
            shown: plan.port.as_ref().map(|_| HashMap::new()),
            blind: BTreeSet::new(),
            wish_again: false,
            forms: AcceptedSpecs::default(),
            next_fate: None,
        }
    }

    /// Whether changes are told to us; else everything is read now and then.
    pub(super) fn is_watching(&self) -> bool {
        self.objects.watching.is_some()
    }

    /// Whether nothing can be decided now: the first lists are not complete, or nothing is seen.
    pub(super) fn is_blind(&self) -> bool {
        let watching = self.objects.watching.as_ref();
        watching.is_some_and(|w| !w.is_complete()) || (self.is_watching() && !self.configs.are_known())
    }

    /// What is not known yet, in words: until then nothing can be decided.
    pub(super) fn lacks(&self) -> Option<String> {
        let blind = || self.is_blind().then(|| "the first lists of the API server are not complete".to_owned());
        self.configs.lacks().map(|lacks| one_line(&lacks)).or_else(blind)
    }

    /// Takes note of what a watch saw. Returns what has to be looked at again.
    ///
    /// # Errors
    /// When a thread for another watch can not be had.
    pub(super) fn note(&mut self, mut change: InformerEvent, now: Time) -> Result<Affected, String> {
        let watching = self.objects.watching.as_mut();
        let Some((target, list, was_live)) = watching.and_then(|w| w.note(&change, now)) else {
            return Ok(Affected::Nothing);
        };
        let (was_blind, denied) = (!self.blind.is_empty(), matches!(change.seen, Seen::Denied(_)));
        match &change.seen {
            Seen::Lost(_) => {
                self.blind.insert(change.watch);
            }
            Seen::Listed | Seen::Found | Seen::Denied(_) => {
                self.blind.remove(&change.watch);
            }
            _ => {}
        }
        match (&change.seen, was_blind, self.blind.is_empty()) {
            (Seen::Lost(e), false, false) => {
                event!(error, "api-server-away", error = e, consequence = "nothing is ordered until it is back");
            }
            (_, true, true) => event!(info, "api-server-back"),
            _ => {}
        }
        if let Seen::Denied(e) = &change.seen {
            event!(warn, "not-watched", what = target, error = e, consequence = "it is read now and then");
        }
        if target.resource != Resource::ConfigMaps {
            if let Seen::Certificate(at, ..) = &mut change.seen
                && let Some(known) = self.wishes.holder(at)
                && known == at
            {
                // Equal names share their memory.
                *at = known.clone();
            }
            let news = self.objects.note(change, &target, list, was_live);
            if denied {
                self.follow(now)?;
            }
            return Ok(news);
        }
        let Selector::Name(name) = target.selector else { return Ok(Affected::Nothing) };
        let name = ObjectRef::new(&target.namespace, &name);
        match change.seen {
            Seen::Config(read) => self.configs.accept(&name, Ok(Some(read))),
            Seen::Gone(_) => self.configs.accept(&name, Ok(None)),
            Seen::Listed if !self.configs.is_known(&name) => self.configs.accept(&name, Ok(None)),
            Seen::Denied(_) => self.configs.read(&self.context, &name),
            _ => return Ok(Affected::Nothing),
        }
        self.follow(now)?;
        Ok(Affected::All)
    }

    /// Reads the ConfigMaps that no watch shows. Returns whether the wishes have to be made again: for those, or because they lack
    /// something.
    pub(super) fn read_configs(&mut self) -> bool {
        let mut again = self.wish_again;
        for name in self.configs.names().cloned().collect::<Vec<_>>() {
            let watched = |w: &Informers| w.has(&named(Resource::ConfigMaps, &name));
            if !self.objects.watching.as_ref().is_some_and(watched) {
                self.configs.read(&self.context, &name);
                again = true;
            }
        }
        again
    }

    /// Makes the wishes of the ConfigMaps.
    pub(super) fn wish(&mut self) -> ConfigHealth {
        // Not beside the new ones: there may be many.
        self.wishes = Desired::default();
        let (now, look) = (time::now(), self.forms.look());
        let form = |secret: &ObjectRef| look.form(secret, &self.objects, &self.context, now);
        let (wishes, mut overall) = self.configs.wishes(&self.context, &mut self.said, form);
        overall.unread = look.end();
        overall.unknown |= overall.unread;
        (self.wishes, self.wish_again) = (wishes, overall.unread);
        // While a ConfigMap does not read nobody knows what is wanted.
        if !self.wishes.incomplete {
            self.objects.prune(&self.wishes);
            prune(&mut self.probed, |secret, _| self.wishes.wanted.contains_key(secret));
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
    pub(super) fn follow(&mut self, now: Time) -> Result<(), String> {
        if !self.is_watching() {
            return Ok(());
        }
        let mut interest = WatchSet { config_maps: self.configs.names().cloned().collect(), ..WatchSet::default() };
        if self.configs.are_known() {
            self.wish();
            for (secret, wanted) in &self.wishes.wanted {
                interest.certificates.extend(wanted.entry.secrets.iter().cloned());
                interest.recorded.push(secret.clone());
                interest.contents.extend(wanted.inputs().cloned());
            }
        }
        self.objects.follow(&interest, now)?;
        // A watch that ended while it saw nothing never says that it sees again.
        if let Some(watching) = &self.objects.watching {
            self.blind.retain(|number| watching.is_wanted(*number));
        }
        Ok(())
    }

    /// Tries again what was not allowed.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub(super) fn follow_again(&mut self, now: Time) -> Result<(), String> {
        let again = self.objects.watching.as_ref().and_then(Informers::again);
        if again.is_some_and(|at| at <= now) { self.follow(now) } else { Ok(()) }
    }

    /// The clock was set back: what counts until a time by it would count until that time comes again.
    pub(super) fn clock_set_back(&mut self) {
        self.objects.doubt_readings();
        self.tidied.clear();
    }

    /// Whether a certificate is wanted.
    pub(super) fn is_wanted(&self, secret: &ObjectRef) -> bool {
        self.wishes.wanted.contains_key(secret)
    }

    /// Begins a look: what counts for all certificates. `under_way` are the orders that are wanted or being made: directory, renewal.
    pub(super) fn look<'j>(&mut self, under_way: impl Iterator<Item = &'j (SharedStr, bool)>, now: Time) -> Look {
        let bodies = || self.objects.records.facts().filter_map(|(_, known)| Some(&known.as_ref().ok()?.body));
        let orders = counted(bodies(), now);
        self.made = made_lately(bodies(), now);
        for (directory, renewal) in under_way {
            self.made.entry(directory.clone()).or_default().add(now, *renewal);
        }
        Look { now, orders, contents: HashMap::new() }
    }

    /// Decides about one certificate.
    pub(super) fn decide(&mut self, secret: &ObjectRef, look: &mut Look) -> Verdict {
        let Some(wanted) = self.wishes.wanted.get(secret).cloned() else { return Verdict::default() };
        if let Probing::Only = self.probing {
            return Verdict { job: Some(Box::new(Job::new(wanted, Task::Probe))), ..Verdict::default() };
        }
        self.said.begin(secret);
        let mut verdict = self.judge(secret, &wanted, look).unwrap_or_else(|e| {
            if self.said.is_news("unread", &e) {
                event!(warn, "unread", secret = secret, error = e);
            }
            if let Some(shown) = &mut self.shown {
                let certificate = Certificate::unknown(&wanted, &self.context.cas.directory(&wanted), &e);
                shown.insert(secret.clone(), Arc::new(certificate));
            }
            Verdict { unknown: true, due: Some(look.now + POLL_INTERVAL), ..Verdict::default() }
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
        let wanted = &self.wishes.wanted;
        let (entries, faults) = (wanted.len(), self.faults());
        let certificates = self.shown.as_mut().map(|shown| {
            shown.retain(|secret, _| wanted.contains_key(secret));
            wanted.keys().filter_map(|secret| shown.get(secret).cloned()).collect()
        });
        let certificates = certificates.unwrap_or_default();
        let gates = if self.context.limits.is_open() { Vec::new() } else { self.gates(now) };
        let orphaned = self.orphans().count();
        Snapshot { certificates, ordering, parked, faults, entries, orphaned, gates, ..Snapshot::default() }
    }

    /// What is to be said besides the certificates.
    pub(super) fn notes(&self) -> Vec<(Kind, String)> {
        let problems = self.configs.problems().map(|problem| (Kind::Unreadable, problem));
        let refused = self.wishes.refused.iter().map(|refused| (Kind::Refused, refused.to_string()));
        let warnings = self.wishes.warnings.iter().map(|warning| (Kind::Warning, warning.clone()));
        let all = problems.chain(refused).chain(warnings).take(BULLETIN_NOTES_MAX);
        all.map(|(kind, sentence)| (kind, one_line(&sentence))).collect()
    }

    fn faults(&self) -> Vec<String> {
        let refused = self.wishes.refused.iter().map(ToString::to_string);
        self.configs.problems().chain(refused).map(|fault| one_line(&fault)).collect()
    }

    /// The directories that take no order of an account.
    fn gates(&self, now: Time) -> Vec<(String, Time)> {
        let Context { cas, limits, namespace, .. } = &*self.context;
        let mut closed = BTreeMap::new();
        for wanted in self.wishes.wanted.values() {
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
