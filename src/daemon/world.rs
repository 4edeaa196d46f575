//! What is known of the world, and what is decided about it: the ConfigMaps as last accepted, the wishes they make, facts of the objects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::Plan;
use super::configs::{Configs, Overall};
use super::facts::Seen;
use super::objects::{News, Objects};
use super::said::Said;
use super::watching::{Change, Interest, Watching, named};
use crate::decide::Orders;
use crate::decide::limits::{Made, counted, made_lately, turn};
use crate::issue::{Context, account};
use crate::kube::client::Resource;
use crate::kube::watch_state::Selector;
use crate::limits::{BULLETIN_NOTES_MAX, LOOK_AT_ALL, POLL_INTERVAL, TABLE_KEPT_MIN, TIDY_INTERVAL};
use crate::log::event;
use crate::name::ObjectRef;
use crate::record;
use crate::serve::snapshot::{Certificate, Snapshot};
use crate::sources::{Wanted, Wishes, configmap};
use crate::status::row::Kind;
use crate::text::one_line;
use crate::time::Time;
use crate::word::Word;
use crate::work::{Job, Task};

/// What is known between two looks.
#[derive(Debug)]
pub(super) struct World {
    pub(super) context: Arc<Context>,
    configs: Configs,
    pub(super) objects: Objects,
    /// What the ConfigMaps say, all together.
    pub(super) wishes: Wishes,
    pub(super) said: Said,
    pub(super) tidied: HashMap<ObjectRef, Time>,
    pub(super) probing: Probing,
    /// When each certificate's zones were probed last.
    pub(super) probed: HashMap<ObjectRef, Time>,
    /// When orders were made lately, with those that are wanted now, by directory.
    pub(super) made: HashMap<Word, Made>,
    /// What is shown of each certificate, where somebody may look.
    pub(super) shown: Option<HashMap<ObjectRef, Arc<Certificate>>>,
    /// The watches that see nothing for the moment.
    blind: BTreeSet<usize>,
    /// The wishes lack something that could not be read.
    wish_again: bool,
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
    pub(super) order: Option<Box<(Word, bool)>>,
    /// It is to be made in another way, which failed: it waits.
    pub(super) change_waits: bool,
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
    pub(super) fn new(context: Arc<Context>, plan: &Plan, watching: Option<Watching>, now: Time) -> World {
        let probing = match plan.pass {
            super::Pass::Forever if !plan.dry_run => Probing::Daily { started: now },
            super::Pass::Forever | super::Pass::Once => Probing::Never,
            super::Pass::Probe => Probing::Only,
        };
        World {
            objects: Objects::new(context.clone(), watching),
            context,
            configs: Configs::new(&plan.config_maps),
            wishes: Wishes::default(),
            said: Said::default(),
            tidied: HashMap::new(),
            probing,
            probed: HashMap::new(),
            made: HashMap::new(),
            shown: plan.port.as_ref().map(|_| HashMap::new()),
            blind: BTreeSet::new(),
            wish_again: false,
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
    pub(super) fn note(&mut self, mut change: Change, now: Time) -> Result<News, String> {
        let watching = self.objects.watching.as_mut();
        let Some((target, list)) = watching.and_then(|w| w.note(&change, now)) else { return Ok(News::Nothing) };
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
            let news = self.objects.note(change, &target, list);
            if denied {
                self.follow(now)?;
            }
            return Ok(news);
        }
        let Selector::Name(name) = target.selector else { return Ok(News::Nothing) };
        let name = ObjectRef::new(&target.namespace, &name);
        match change.seen {
            Seen::Config(read) => self.configs.accept(&name, Ok(Some(read))),
            Seen::Gone(_) => self.configs.accept(&name, Ok(None)),
            Seen::Listed if !self.configs.is_known(&name) => self.configs.accept(&name, Ok(None)),
            Seen::Denied(_) => self.configs.read(&self.context, &name),
            _ => return Ok(News::Nothing),
        }
        self.follow(now)?;
        Ok(News::All)
    }

    /// Reads the ConfigMaps that no watch shows. Returns whether the wishes have to be made again: for those, or because they lack
    /// something.
    pub(super) fn read_configs(&mut self) -> bool {
        let mut again = self.wish_again;
        for name in self.configs.names().cloned().collect::<Vec<_>>() {
            let watched = |w: &Watching| w.has(&named(Resource::ConfigMaps, &name));
            if !self.objects.watching.as_ref().is_some_and(watched) {
                self.configs.read(&self.context, &name);
                again = true;
            }
        }
        again
    }

    /// Makes the wishes of the ConfigMaps.
    pub(super) fn wish(&mut self) -> Overall {
        // Not beside the new ones: there may be many.
        self.wishes = Wishes::default();
        let (wishes, overall) = self.configs.wishes(&self.context, &mut self.said);
        (self.wishes, self.wish_again) = (wishes, overall.unread);
        // While a ConfigMap does not read nobody knows what is wanted.
        if !self.wishes.incomplete {
            self.objects.prune(&self.wishes);
            prune(&mut self.probed, |secret, _| self.wishes.wanted.contains_key(secret));
        }
        overall
    }

    /// Watches what the wishes need to be seen.
    ///
    /// # Errors
    /// When a thread can not be had.
    pub(super) fn follow(&mut self, now: Time) -> Result<(), String> {
        if !self.is_watching() {
            return Ok(());
        }
        let mut interest = Interest { config_maps: self.configs.names().cloned().collect(), ..Interest::default() };
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
        let again = self.objects.watching.as_ref().and_then(Watching::again);
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

    /// Certificates in the order in which their turn to be ordered comes.
    pub(super) fn in_turn(&self, secrets: &[ObjectRef], now: Time) -> Vec<ObjectRef> {
        let namespace = &self.context.namespace;
        let mut wanted: Vec<&ObjectRef> = secrets.iter().filter(|secret| self.is_wanted(secret)).collect();
        let records = &self.objects.records;
        wanted.sort_by_cached_key(|secret| {
            let slot = records.get(&record::reference(secret, namespace), now);
            slot.and_then(|slot| slot.fact.as_ref()?.as_ref().ok()).map(|known| turn(&known.body))
        });
        wanted.into_iter().cloned().collect()
    }

    /// The certificates that a change concerns.
    pub(super) fn concerned(&self, news: &News) -> Vec<ObjectRef> {
        match news {
            News::Nothing => Vec::new(),
            News::All => self.wishes.wanted.keys().cloned().collect(),
            News::Object(at) => self.owner(at).into_iter().collect(),
            News::Content(at) => {
                let using = |(secret, wanted): (&ObjectRef, &Arc<Wanted>)| {
                    wanted.inputs().any(|used| used == at).then(|| secret.clone())
                };
                self.wishes.wanted.iter().filter_map(using).chain(self.owner(at)).collect()
            }
        }
    }

    /// The certificate that a Secret belongs to, or a record by its own name.
    fn owner(&self, at: &ObjectRef) -> Option<ObjectRef> {
        let by_name = self.wishes.holder(at);
        by_name.cloned().or_else(|| {
            let own = &self.context.namespace;
            match record::subject(at) {
                Some(secret) => self.wishes.wanted.contains_key(&secret).then_some(secret),
                None => self.wishes.wanted.keys().find(|secret| record::reference(secret, own) == *at).cloned(),
            }
        })
    }

    /// Begins a look: what counts for all certificates. `under_way` are the orders that are wanted or being made: directory, renewal.
    pub(super) fn look<'j>(&mut self, under_way: impl Iterator<Item = &'j (Word, bool)>, now: Time) -> Look {
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

    /// What the port shows of the certificates that are wanted, of which those `ordering` are being ordered.
    pub(super) fn snapshot(&mut self, ordering: BTreeSet<ObjectRef>, now: Time) -> Snapshot {
        let wanted = &self.wishes.wanted;
        let (entries, faults) = (wanted.len(), self.faults());
        let certificates = self.shown.as_mut().map(|shown| {
            shown.retain(|secret, _| wanted.contains_key(secret));
            wanted.keys().filter_map(|secret| shown.get(secret).cloned()).collect()
        });
        let certificates = certificates.unwrap_or_default();
        let gates = if self.context.limits.is_open() { Vec::new() } else { self.gates(now) };
        Snapshot { certificates, ordering, faults, entries, gates, ..Snapshot::default() }
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

    /// Records of certificates that nobody wants any more and of which something is left. Not those of `worked_on`: a job under way
    /// would go on publishing what was withdrawn.
    pub(super) fn gone<'s>(&mut self, worked_on: impl Iterator<Item = &'s ObjectRef>, now: Time) -> Vec<ObjectRef> {
        if self.wishes.incomplete || matches!(self.probing, Probing::Only) {
            return Vec::new();
        }
        let sources: Vec<String> = self.configs.names().map(configmap::source).collect();
        // What is refused is wanted all the same, though perhaps in no form that we may serve.
        let refused = self.wishes.refused.iter().filter_map(|refused| refused.secret.as_ref());
        let of = |secret: &ObjectRef| record::reference(secret, &self.context.namespace);
        let kept: BTreeSet<ObjectRef> = refused.map(of).chain(worked_on.map(of)).collect();
        let is_kept = |at: &ObjectRef| kept.contains(at) || self.owner(at).is_some();
        let mut gone = Vec::new();
        for (at, known) in self.objects.records.facts().filter(|(at, _)| !is_kept(at)) {
            let Ok(known) = known else { continue };
            // Those of another instance in this namespace are not ours to miss.
            let ours = known
                .accepted
                .as_ref()
                .is_some_and(|a| a.source.as_ref().is_none_or(|s| sources.iter().any(|own| *s == *own)));
            let left = known.accepted.is_none() && !known.body.leftovers.is_empty();
            let rested = self.tidied.get(at).is_none_or(|last| *last + TIDY_INTERVAL <= now);
            if (ours || left) && rested {
                gone.push(at.clone());
            }
        }
        prune(&mut self.tidied, |_, last| *last + TIDY_INTERVAL > now);
        for at in &gone {
            self.tidied.insert(at.clone(), now);
        }
        gone
    }
}

/// Forgets what is over in a table, once it is larger than what one look fills.
fn prune<K: Eq + Hash, V>(table: &mut HashMap<K, V>, is_kept: impl Fn(&K, &V) -> bool) {
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
