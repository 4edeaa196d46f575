//! The cached Secrets: kept up to date by a watch where there is one, else read now and then.
//!
//! A failed read is never "missing". A Secret that a synced watch does not show is missing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::cache::{Cache, CacheEntry, Freshness};
use super::elsewhere::Elsewhere;
use super::informers::{Informers, WatchSet, by_name, of_type};
pub(super) use super::observed::Affected;
use super::observed::{HeldSecret, InformerEvent, ObjectEvent, ReadRecord, RecordSummary, is_left, share, version};
use super::record_index::RecordIndex;
use crate::base::limits::{READ_AGAIN, READINGS_A_SECOND};
use crate::base::log::event;
use crate::base::name::{Domain, ObjectRef};
use crate::base::time::Time;
use crate::issuance::Context;
use crate::issuance::answers::Feed;
use crate::kube::object::TYPE_TLS;
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::policy::secret_state::SecretState;
use crate::record;
use crate::sources::Desired;
use crate::sources::dependencies::{NONE, content_hash};
use crate::store::StoreError;
use crate::worker::KnownSecret;

/// The Secrets that matter.
#[derive(Debug)]
pub(super) struct SecretCache {
    context: Arc<Context>,
    /// None where objects are files, and for a single pass.
    pub(super) watching: Option<Informers>,
    /// The watches of other clusters.
    pub(super) elsewhere: Elsewhere,
    held: Cache<HeldSecret>,
    pub(super) records: Cache<ReadRecord, RecordIndex>,
    contents: Cache<String>,
    /// The record of a certificate that has none.
    nothing: RecordSummary,
    /// How long a reading counts.
    holds: Duration,
}

/// A fact, and until when it counts where no watch shows changes.
pub(super) type Reading<T> = (T, Option<Time>);

impl SecretCache {
    pub(super) fn new(context: Arc<Context>, watching: Option<Informers>, now: Time) -> SecretCache {
        let (held, mut records, contents) = (Cache::default(), Cache::<_, RecordIndex>::default(), Cache::default());
        records.index.answers = context.answers.clone();
        let elsewhere = watching.as_ref().map(|home| Elsewhere::new(&context, home, now)).unwrap_or_default();
        SecretCache {
            context,
            watching,
            elsewhere,
            held,
            records,
            contents,
            nothing: RecordSummary::default(),
            holds: Duration::ZERO,
        }
    }

    /// Watches the objects of interest, where that is possible.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn watch(&mut self, interest: &WatchSet, now: Time) -> Result<(), String> {
        let Some(watching) = &mut self.watching else { return Ok(()) };
        for ended in [watching.watch(interest, now)?, self.elsewhere.watch(interest, now)?].concat() {
            self.held.drop_watch(ended);
            self.records.drop_watch(ended);
            self.contents.drop_watch(ended);
        }
        let read = u32::try_from(2 * (interest.certificates.len() + interest.elsewhere.len())).unwrap_or(u32::MAX);
        self.holds = READ_AGAIN.max(Duration::from_secs(1) * read / READINGS_A_SECOND);
        Ok(())
    }

    /// Drops readings of Secrets that nobody wants, and of records that are empty.
    pub(super) fn prune(&mut self, desired: &Desired) {
        let own = &self.context.namespace;
        let is_held = |at: &ObjectRef| desired.owner_of(at).is_some();
        self.held.prune(|at, _| is_held(at));
        // The records whose name is a hash.
        let mut hashed: Option<HashSet<ObjectRef>> = None;
        let mut is_recorded = |at: &ObjectRef| match record::subject(at) {
            Some(secret) => is_held(&secret),
            None => {
                let records = || desired.wanted.keys().map(|secret| record::reference(secret, own));
                let all = || records().filter(|record| record::subject(record).is_none()).collect();
                hashed.get_or_insert_with(all).contains(at)
            }
        };
        self.records.prune(|at, known| known.is_some_and(is_left) || is_recorded(at));
        let mut inputs: Option<HashSet<&ObjectRef>> = None;
        self.contents.prune(|at, _| {
            let all = || desired.wanted.values().flat_map(|wanted| wanted.inputs()).collect();
            inputs.get_or_insert_with(all).contains(at)
        });
    }

    /// The records that are not empty.
    pub(super) fn left_records(&self) -> impl Iterator<Item = &ObjectRef> {
        self.records.facts().filter(|(_, known)| is_left(known)).map(|(at, _)| at)
    }

    /// Applies what a watch saw of Secrets. `target` and `list` are those of the watch; `was_live` says whether it had synced before.
    pub(super) fn handle_event(
        &mut self,
        change: InformerEvent,
        target: &WatchTarget,
        list: u32,
        was_live: bool,
    ) -> Affected {
        let vouched = Freshness::Watch(change.watch, list);
        match change.seen {
            ObjectEvent::Certificate(at, version, mut held) => {
                let record = self.records.get(&record::reference(&at, &self.context.namespace), Time::from_unix(0));
                let copy = record.and_then(|slot| slot.fact.as_ref()?.as_ref().ok()?.copy.as_ref());
                share(held.state.facts_mut(), copy);
                affected(self.held.put(at.clone(), &version, Some(held), vouched), at)
            }
            ObjectEvent::Record(at, version, mut known) => {
                let secret = record::subject(&at).and_then(|secret| self.held.get(&secret, Time::from_unix(0)));
                let facts = secret.and_then(|slot| slot.fact.as_ref()?.state.facts());
                share(known.as_mut().ok().and_then(|known| known.copy.as_mut()), facts);
                affected(self.records.put(at.clone(), &version, Some(known), vouched), at)
            }
            ObjectEvent::Named(at, version, held, content) => {
                // The watch of the certificates shows what this Secret holds, unless the Secret has another type. A fact that this watch
                // put and does not keep up would be swept at the next list, as if the Secret had gone.
                if !held.state.is_certificate() || !self.has_synced(TYPE_TLS, &at) {
                    self.held.put(at.clone(), &version, Some(held), vouched);
                }
                let known = self.contents.get(&at, Time::from_unix(0)).and_then(|slot| slot.fact.clone());
                let changed = known.as_ref() != Some(&content);
                self.contents.put(at.clone(), &version, Some(content), vouched);
                if changed { Affected::Content(at) } else { Affected::Object(at) }
            }
            ObjectEvent::Gone(at) => match &target.selector {
                Selector::Type(record::TYPE) => affected(self.records.remove(&at), at),
                Selector::Type(_) => affected(self.held.remove(&at), at),
                Selector::All | Selector::Labels(_) | Selector::Name(_) => {
                    self.held.remove(&at);
                    self.records.remove(&at);
                    self.contents.remove(&at);
                    Affected::Content(at)
                }
            },
            ObjectEvent::Listed => {
                let swept = [
                    self.held.replace(change.watch, list),
                    self.records.replace(change.watch, list),
                    self.contents.replace(change.watch, list),
                ];
                // A list that is read anew tells changed objects one by one.
                if was_live && swept.iter().all(Vec::is_empty) { Affected::Nothing } else { Affected::All }
            }
            ObjectEvent::Denied(_) => {
                self.held.drop_watch(change.watch);
                self.records.drop_watch(change.watch);
                self.contents.drop_watch(change.watch);
                Affected::All
            }
            ObjectEvent::Unreadable(at, e) => {
                event!(error, "unreadable", secret = at, error = e);
                // The object exists: its content has to be read.
                self.invalidate(&at);
                Affected::Object(at)
            }
            ObjectEvent::Found if !was_live => Affected::All,
            ObjectEvent::Source(_)
            | ObjectEvent::Listing
            | ObjectEvent::Lost(_)
            | ObjectEvent::Found
            | ObjectEvent::Absent => Affected::Nothing,
        }
    }

    /// Says what keeps the answers to challenges up to date.
    pub(super) fn note_feed(&self) {
        let records = of_type(&self.context.namespace, record::TYPE);
        self.context.answers.set_feed(match &self.watching {
            Some(watching) if watching.has_synced(&records) => Feed::Watch,
            Some(watching) if watching.has(&records) => Feed::LostWatch,
            Some(_) | None => Feed::Presenter,
        });
    }

    /// The watches of the cluster that an object is in.
    fn informers(&self, at: &ObjectRef) -> Option<&Informers> {
        if at.cluster.is_home() { self.watching.as_ref() } else { self.elsewhere.of(at) }
    }

    fn has_synced(&self, kind: &'static str, at: &ObjectRef) -> bool {
        self.informers(at).is_some_and(|w| w.has_synced(&of_type(&at.namespace, kind)))
    }

    /// Tells whether a watch would show the object `at` if it were there, and had it this type.
    fn is_watched(&self, kind: &'static str, at: &ObjectRef) -> bool {
        let by_name = |w: &Informers| w.has_synced(&by_name(Resource::SECRETS, at));
        let by_type = kind != TYPE_TLS || !self.context.store.is_unwatched(at);
        (by_type && self.has_synced(kind, at)) || self.informers(at).is_some_and(by_name)
    }

    /// The content of a certificate's Secret.
    ///
    /// # Errors
    /// When it could not be read.
    pub(super) fn held(&mut self, at: &ObjectRef, now: Time) -> Result<Reading<SecretState>, StoreError> {
        if let Some(why) = self.elsewhere.away(at) {
            return Err(StoreError::Unreachable(why));
        }
        if let Some(slot) = self.held.get(at, now) {
            let state = slot.fact.as_ref().map_or(SecretState::Missing, |held| held.state.clone());
            return Ok((state, self.ends(slot)));
        }
        // One that has another type is not shown by the watch of its type: once seen, it is read.
        let watched = self.is_watched(TYPE_TLS, at);
        if watched && !self.held.is_stale(at, now) {
            return Ok((SecretState::Missing, None));
        }
        let secret = self.context.store.secret(at)?;
        if watched && secret.is_none() {
            self.held.remove(at);
            return Ok((SecretState::Missing, None));
        }
        let held = secret.as_ref().map(|secret| SecretState::of(Some(secret), &self.context.instance));
        let fact = held.clone().map(|state| HeldSecret { state, base: None });
        self.held.read(at.clone(), &version(secret.as_ref()), fact, self.until(now));
        let again = self.held.get(at, now).and_then(|slot| self.ends(slot));
        Ok((held.unwrap_or(SecretState::Missing), again))
    }

    /// The names of the certificate that a Secret was last seen with.
    pub(super) fn held_names(&self, at: &ObjectRef) -> &[Domain] {
        let held = self.held.get(at, Time::from_unix(0)).and_then(|slot| slot.fact.as_ref());
        held.and_then(|held| held.state.facts()).map_or(&[], |facts| &facts.names)
    }

    /// A certificate's Secret as a running watch shows it, for a write without a read.
    pub(super) fn known(&self, at: &ObjectRef, now: Time) -> KnownSecret {
        match self.held.get(at, now) {
            Some(slot) if slot.until().is_none() => {
                let base = slot.fact.as_ref().and_then(|held| held.base.clone());
                base.map_or(KnownSecret::Unknown, |base| KnownSecret::Base(slot.version.to_string(), base))
            }
            None if self.is_watched(TYPE_TLS, at) && !self.held.is_stale(at, now) => KnownSecret::Absent,
            Some(_) | None => KnownSecret::Unknown,
        }
    }

    /// Tells whether a running watch shows that there is no such record.
    pub(super) fn is_record_absent(&self, at: &ObjectRef, now: Time) -> bool {
        self.records.get(at, now).is_none() && self.is_watched(record::TYPE, at) && !self.records.is_stale(at, now)
    }

    /// Puts what a worker has just read of a certificate's Secret.
    pub(super) fn found(&mut self, at: &ObjectRef, held: SecretState, now: Time) {
        match held {
            SecretState::Missing => {
                self.held.remove(at);
            }
            SecretState::Present(_) => {
                let fact = HeldSecret { state: held, base: None };
                self.held.read(at.clone(), "", Some(fact), now + READ_AGAIN);
            }
        }
    }

    /// Reads the record `at`, unless it is cached. Returns until when the cached one counts.
    ///
    /// # Errors
    /// When it could not be read, or does not read.
    pub(super) fn read_record(&mut self, at: &ObjectRef, now: Time) -> Result<Option<Time>, String> {
        if self.records.get(at, now).is_none() {
            let watched = self.is_watched(record::TYPE, at);
            if watched && !self.records.is_stale(at, now) {
                return Ok(None);
            }
            let secret = self.context.store.secret(at).map_err(|e| e.to_string())?;
            if watched && secret.is_none() {
                self.records.remove(at);
                return Ok(None);
            }
            let known = RecordSummary::of(secret.as_ref(), now).map_err(|e| e.to_string());
            self.records.read(at.clone(), &version(secret.as_ref()), Some(known), self.until(now));
        }
        let slot = self.records.get(at, now);
        match slot.and_then(|slot| slot.fact.as_ref()) {
            Some(Err(e)) => Err(format!("the record {at} {e}")),
            Some(Ok(_)) | None => Ok(slot.and_then(|slot| self.ends(slot))),
        }
    }

    /// The record `at` and its version; an empty record and version where there is none.
    pub(super) fn record(&self, at: &ObjectRef, now: Time) -> (&RecordSummary, &str) {
        let slot = self.records.get(at, now);
        let known = slot.and_then(|slot| Some((&**slot.fact.as_ref()?.as_ref().ok()?, &*slot.version)));
        known.unwrap_or((&self.nothing, ""))
    }

    /// Tells whether the cache says that the entry of the record `at` was never accepted: the record has no form, or a watch shows that it does not
    /// exist. `None` while the watches have not synced.
    pub(super) fn was_never_accepted(&self, at: &ObjectRef, now: Time) -> Option<bool> {
        match self.records.get(at, now) {
            Some(slot) => match &slot.fact {
                Some(Ok(known)) => Some(known.accepted.is_none()),
                Some(Err(_)) => Some(false),
                None => Some(true),
            },
            None if self.watching.as_ref().is_some_and(|w| !w.have_synced()) => None,
            None => Some(self.is_watched(record::TYPE, at) && !self.records.is_stale(at, now)),
        }
    }

    /// A hash of the content of a Secret that is only read: a key, roots, a binding.
    ///
    /// # Errors
    /// When it could not be read.
    pub(super) fn content(&mut self, at: &ObjectRef, now: Time) -> Result<String, StoreError> {
        if let Some(slot) = self.contents.get(at, now) {
            return Ok(slot.fact.clone().unwrap_or_else(|| NONE.to_owned()));
        }
        if self.watching.as_ref().is_some_and(|w| w.has_synced(&by_name(Resource::SECRETS, at))) {
            return Ok(NONE.to_owned());
        }
        let secret = self.context.store.secret(at)?;
        let hash = secret.as_ref().map(content_hash);
        self.contents.read(at.clone(), &version(secret.as_ref()), hash.clone(), self.until(now));
        Ok(hash.unwrap_or_else(|| NONE.to_owned()))
    }

    /// Lists the records, also those whose entries went while the program did not run.
    pub(super) fn find_records(&mut self, now: Time) {
        let records = match self.context.store.records(&self.context.namespace) {
            Ok(records) => records,
            // Without the permission to list, what went while we were away is not noticed; nothing else depends on it.
            Err(e) => return event!(debug, "records-not-listed", error = e),
        };
        for secret in records {
            let known = RecordSummary::of(Some(&secret), now).map_err(|e| e.to_string());
            let version = version(Some(&secret));
            self.records.read(secret.reference, &version, Some(known), self.until(now));
        }
    }

    /// Tells whether the cache has this version of an object.
    pub(super) fn has_version(&self, at: &ObjectRef, version: &str) -> bool {
        let long_ago = Time::from_unix(0);
        let held = self.held.get(at, long_ago).map(|slot| &*slot.version);
        let record = self.records.get(at, long_ago).map(|slot| &*slot.version);
        held == Some(version) || record == Some(version)
    }

    /// The numbers of objects in the tables of certificates and of records.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.held.len(), self.records.len())
    }

    /// Marks an object stale: it is read when it is asked for. Each object is in the table of its kind alone. In another namespace a certificate may
    /// have the name of a record.
    pub(super) fn invalidate(&mut self, at: &ObjectRef) {
        match record::is_one(at) && at.namespace == self.context.namespace {
            true => self.records.invalidate(at),
            false => self.held.invalidate(at),
        }
    }

    /// Marks everything stale that was read and not shown by a watch.
    pub(super) fn invalidate_readings(&mut self) {
        self.held.invalidate_readings();
        self.records.invalidate_readings();
        self.contents.invalidate_readings();
    }

    /// Tells whether a watch shows when this Secret changes.
    pub(super) fn is_watched_object(&self, at: &ObjectRef) -> bool {
        self.is_watched(TYPE_TLS, at) || (at.namespace == self.context.namespace && self.is_watched(record::TYPE, at))
    }

    /// When a fact ceases to count, if it counts longer than for one pass.
    fn ends<T>(&self, slot: &CacheEntry<T>) -> Option<Time> {
        slot.until().filter(|_| !self.holds.is_zero()).map(|until| until + Duration::from_secs(1))
    }

    fn until(&self, now: Time) -> Time {
        now + self.holds
    }
}

fn affected(is_news: bool, at: ObjectRef) -> Affected {
    if is_news { Affected::Object(at) } else { Affected::Nothing }
}
