//! The wishes of objects in the loop: watched objects change them, and a pass merges them. No object is decided about before every source had
//! its first list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::control::Controller;
use super::elsewhere::Elsewhere;
use super::informers::{Informers, by_name, of_type};
use super::observed::ObjectEvent;
use super::secret_cache::Affected;
use super::state::ControllerState;
use crate::base::limits::TARGET_REQUEST;
use crate::base::log::event;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::time::Time;
use crate::kube::client::KubeClient;
use crate::kube::events::EventReason;
use crate::kube::object::TYPE_TLS;
use crate::kube::resource::{Resource, WatchTarget};
use crate::server::snapshot::SourceFigures;
use crate::sources::wish::{ObjectKey, WishReason};
use crate::sources::{CertificateSpec, Source, SourceEvent};

impl Controller<'_> {
    /// Merges the wishes that changed. The certificates are reconciled once the wishes have settled.
    pub(super) fn merge_wishes(&mut self, now: Time) -> Result<(), String> {
        for secret in self.state.merge_wishes(now)? {
            if self.state.is_wanted(&secret) {
                self.state.objects.settling.note(&secret, now);
                self.state.objects.unlooked.insert(secret.clone());
                self.queue.drop_job(&secret).iter().for_each(|order| self.state.release(order));
            } else {
                self.all_changed = true;
            }
        }
        for secret in self.state.objects.settling.take(now) {
            self.queue.add_now(&secret);
        }
        Ok(())
    }
}

impl ControllerState {
    /// Applies what a watch saw of objects that have wishes. A pass merges the wishes later.
    ///
    /// # Errors
    /// When a thread for another watch can not be started.
    pub(super) fn handle_object(
        &mut self,
        target: &WatchTarget,
        seen: ObjectEvent,
        now: Time,
    ) -> Result<Affected, String> {
        let had_synced = self.sources.have_synced();
        match seen {
            ObjectEvent::Source(event) => drop(self.sources.apply(target, event)),
            ObjectEvent::Listing => drop(self.sources.apply(target, SourceEvent::Listing)),
            ObjectEvent::Listed => {
                self.sources.apply(target, SourceEvent::Listed);
                self.sources.set_denied(target, false);
                if self.sources.set_absent(target, false) {
                    event!(info, "source-present", what = target);
                }
            }
            ObjectEvent::Absent => {
                self.sources.apply(target, SourceEvent::Listed);
                if self.sources.set_absent(target, true) {
                    let hint = "the API server does not serve this kind; it is a source as soon as its definition is installed";
                    event!(info, "source-absent", what = target, hint = hint);
                }
            }
            ObjectEvent::Denied(e) => {
                let is_first = !self.sources.has_synced(target);
                if is_first {
                    // The other sources need not wait for one that says nothing.
                    self.sources.apply(target, SourceEvent::Listing);
                    self.sources.apply(target, SourceEvent::Listed);
                }
                if self.sources.set_denied(target, true) {
                    let consequence = match is_first {
                        true => "nothing is taken from these objects until they may be read",
                        false => "the objects that were seen last hold, and changes of them are not noticed",
                    };
                    let hint = match target.cluster.name() {
                        None => "`notariat role -sources …` prints a ClusterRole that is enough",
                        Some(_) => "`notariat role -cluster NAME -sources …` prints a Role that is enough",
                    };
                    event!(error, "source-denied", what = target, error = e, consequence = consequence, hint = hint);
                }
                self.watch_wanted(now)?;
            }
            _ => {}
        }
        if had_synced || !self.sources.have_synced() {
            return Ok(Affected::Nothing);
        }
        self.watch(now)?;
        Ok(Affected::All)
    }

    /// Applies the same of another cluster, whose first list nobody waits for. After that list records may turn out to have no object.
    ///
    /// # Errors
    /// As [`ControllerState::handle_object`].
    pub(super) fn handle_object_elsewhere(
        &mut self,
        target: &WatchTarget,
        seen: ObjectEvent,
        now: Time,
    ) -> Result<Affected, String> {
        let had_synced = self.sources.has_synced(target);
        self.handle_object(target, seen, now)?;
        match !had_synced && self.sources.has_synced(target) && self.sources.have_synced() {
            true => Ok(Affected::All),
            false => Ok(Affected::Nothing),
        }
    }

    /// Merges the wishes that changed since the last call. Returns the Secrets whose certificate is wanted otherwise.
    ///
    /// # Errors
    /// When a thread for another watch can not be started.
    pub(super) fn merge_wishes(&mut self, now: Time) -> Result<Vec<ObjectRef>, String> {
        if !self.sources.have_synced() {
            return Ok(Vec::new());
        }
        let lookup = self.forms.look();
        let form = |secret: &ObjectRef| {
            lookup.form(secret, |record| self.secrets.was_never_accepted(record, now), &self.context)
        };
        let held = |at: &ObjectRef| self.secrets.held_names(at).to_vec();
        let (desired, namespaces) = (&mut self.desired, &self.context.namespaces);
        let change = self.objects.update(&mut self.sources, desired, namespaces, &held, &form, false);
        self.rebuild_again |= lookup.unread.get();
        self.say_problems(&change.objects);
        let wanted = change.secrets.iter().filter_map(|secret| self.desired.wanted.get(secret));
        let (home, elsewhere) = (self.secrets.watching.as_ref(), &self.secrets.elsewhere);
        let is_watched = |spec: &CertificateSpec| home.is_none_or(|home| covers(home, elsewhere, spec));
        if !wanted.into_iter().all(|spec| is_watched(spec)) {
            self.watch_wanted(now)?;
        }
        if let Some(statuses) = self.statuses.as_ref().filter(|_| change.secrets.iter().any(|at| !self.is_wanted(at))) {
            statuses.retain(|secret| self.desired.wanted.contains_key(secret));
        }
        Ok(change.secrets)
    }

    /// Says what is not served of these objects, where that is news.
    pub(super) fn say_problems(&mut self, objects: &BTreeSet<ObjectKey>) {
        let leads = self.context.leader.leading();
        let mut all = BTreeSet::new();
        if leads && !std::mem::replace(&mut self.objects.told, leads) {
            // Who did not lead told nobody.
            all = self.objects.index.problems().map(|(object, _)| object.clone()).collect();
        }
        self.objects.told = leads;
        for object in objects.union(&all) {
            self.log_dedup.begin(&("wishes", object));
            let Some(source) = self.objects.source_of(&self.sources, object) else { continue };
            for problem in self.objects.index.problems_of(object) {
                let text = problem.to_string();
                let reason = event_reason(problem.reason);
                // A watch of all namespaces shows the objects of those that are not served, too; Events are allowed where Secrets are.
                let is_served = self.context.namespaces.check(&object.at).is_ok();
                if self.log_dedup.changed("wish", &text) {
                    match is_served && problem.reason != WishReason::Skipped {
                        true => event!(warn, "not-served", object = object, reason = reason, why = text),
                        false => event!(debug, "not-served", object = object, reason = reason, why = text),
                    }
                }
                if leads && is_served && self.log_dedup.changed("wish Event", &text) {
                    self.context.recorder.publish(reason, source.reference(), None, text);
                }
            }
        }
    }

    /// The figures of the kinds of objects that are sources.
    pub(super) fn source_figures(&self) -> Vec<SourceFigures> {
        let figures = |target: WatchTarget| {
            let (kind, cluster) = (target.resource.text_kind(), &target.cluster);
            let mut problems = BTreeMap::new();
            let is_of = |object: &ObjectKey| object.kind == kind && object.at.cluster == *cluster;
            for (_, problem) in self.objects.index.problems().filter(|(object, _)| is_of(object)) {
                *problems.entry(problem.reason.name()).or_default() += 1;
            }
            let objects = self.objects.index.len_of(kind, cluster);
            let is_served = target.resource.group != Resource::CERTIFICATES.group || self.context.acting.holds();
            let (is_watched, cluster) = (self.sources.is_read(&target), cluster.name().map(str::to_owned));
            SourceFigures { kind, cluster, is_watched, is_served, objects, problems }
        };
        let mut all = Vec::<SourceFigures>::new();
        for target in self.sources.all().filter(|source| source.has_wishes()).flat_map(Source::targets) {
            // In another cluster each namespace has a watch.
            let same = |of: &&mut SourceFigures| {
                (of.kind, of.cluster.as_deref()) == (target.resource.text_kind(), target.cluster.name())
            };
            match all.iter_mut().find(same).filter(|of| of.cluster.is_some()) {
                Some(of) => of.is_watched &= self.sources.is_read(&target),
                None => all.push(figures(target)),
            }
        }
        all
    }

    /// The client of a cluster. No answer of another cluster is waited for as long as one of home.
    fn client_of(&self, cluster: &ClusterName) -> Option<Arc<KubeClient>> {
        if cluster.is_home() {
            return self.context.kube.clone();
        }
        let client = self.context.store.others().find(|(name, _)| *name == cluster)?.1.client.clone()?;
        Some(Arc::new(client.with_timeout(TARGET_REQUEST)))
    }

    /// Reads the objects of `target` for a run without watches. Returns whether that was done.
    pub(super) fn list_objects(&mut self, target: &WatchTarget) -> bool {
        let Some(client) = self.client_of(&target.cluster).filter(|_| !self.is_watching()) else { return false };
        let Some(factory) = self.sources.all().find(|s| s.targets().contains(target)).map(|s| s.parser(target)) else {
            return false;
        };
        let (mut parser, mut parsed) = ((factory.0)(), Vec::new());
        let listed = client.list_json(target, &mut |object: Value| parsed.push(parser(&object)));
        if let Err(e) = listed {
            event!(error, "source-unread", what = target, error = e);
            if !target.cluster.is_home() {
                // Nothing is known of its objects.
                return false;
            }
        }
        self.sources.apply(target, SourceEvent::Listing);
        for object in parsed {
            self.sources.apply(target, SourceEvent::Present(object));
        }
        self.sources.apply(target, SourceEvent::Listed);
        true
    }
}

/// Tells whether the watches that run show everything that a certificate depends on.
fn covers(home: &Informers, elsewhere: &Elsewhere, spec: &CertificateSpec) -> bool {
    let of = |at: &ObjectRef| if at.cluster.is_home() { Some(home) } else { elsewhere.of(at) };
    let is_watched = |at: &ObjectRef| of(at).is_none_or(|watching| watching.has(&by_name(Resource::SECRETS, at)));
    let holds = |at: &ObjectRef| {
        of(at).is_none_or(|watching| watching.has(&of_type(&at.namespace, TYPE_TLS))) || is_watched(at)
    };
    spec.entry.secrets.iter().all(holds) && spec.inputs().all(is_watched)
}

/// The reason of the Event about a problem.
fn event_reason(reason: WishReason) -> EventReason {
    match reason {
        WishReason::Skipped => EventReason::Skipped,
        WishReason::Invalid => EventReason::Invalid,
        WishReason::Refused => EventReason::Refused,
        WishReason::Conflict => EventReason::Conflict,
        WishReason::Waiting => EventReason::Waiting,
    }
}
