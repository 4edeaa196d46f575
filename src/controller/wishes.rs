//! The wishes of objects in the loop: watched objects change them, and a pass merges them. No object is decided about before every source had
//! its first list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::control::Controller;
use super::informers::{Informers, by_name, of_type};
use super::objects::TableChange;
use super::observed::ObjectEvent;
use super::secret_cache::Affected;
use super::state::ControllerState;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::kube::events::EventReason;
use crate::kube::object::TYPE_TLS;
use crate::kube::resource::{Resource, WatchTarget};
use crate::server::snapshot::SourceFigures;
use crate::sources::wish::{ObjectKey, WishReason};
use crate::sources::{CertificateSpec, Desired, Source, SourceEvent};

impl Controller<'_> {
    /// Merges the wishes that changed. The certificates are reconciled once the wishes have settled.
    pub(super) fn merge_wishes(&mut self, now: Time) -> Result<(), String> {
        for secret in self.state.merge_wishes(now)? {
            if self.state.is_wanted(&secret) {
                self.state.objects.settling.note(&secret, now);
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
                    let hint = "`notariat role -sources …` prints a ClusterRole that is enough";
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

    /// Merges the wishes that changed since the last call. Returns the Secrets whose certificate is wanted otherwise.
    ///
    /// # Errors
    /// When a thread for another watch can not be started.
    pub(super) fn merge_wishes(&mut self, now: Time) -> Result<Vec<ObjectRef>, String> {
        if !self.sources.have_synced() {
            return Ok(Vec::new());
        }
        let mut desired = std::mem::take(&mut self.desired);
        let change = self.update_objects(&mut desired, false);
        self.desired = desired;
        self.say_problems(&change.objects);
        let wanted = change.secrets.iter().filter_map(|secret| self.desired.wanted.get(secret));
        let is_watched = |spec: &CertificateSpec| self.secrets.watching.as_ref().is_none_or(|w| covers(w, spec));
        if !wanted.into_iter().all(|spec| is_watched(spec)) {
            self.watch_wanted(now)?;
        }
        if let Some(statuses) = self.statuses.as_ref().filter(|_| change.secrets.iter().any(|at| !self.is_wanted(at))) {
            statuses.retain(|secret| self.desired.wanted.contains_key(secret));
        }
        Ok(change.secrets)
    }

    /// Puts what objects want into `desired`; with `all`, what all objects want.
    pub(super) fn update_objects(&mut self, desired: &mut Desired, all: bool) -> TableChange {
        let held = |at: &ObjectRef| self.secrets.held_names(at).to_vec();
        self.objects.update(&mut self.sources, desired, &self.context.namespaces, &held, all)
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
            let kind = target.resource.kind;
            let mut problems = BTreeMap::new();
            for (_, problem) in self.objects.index.problems().filter(|(object, _)| object.kind == kind) {
                *problems.entry(problem.reason.name()).or_default() += 1;
            }
            let objects = self.objects.index.len_of(kind);
            SourceFigures { kind, is_watched: self.sources.is_read(&target), objects, problems }
        };
        self.sources.all().filter(|source| source.has_wishes()).flat_map(Source::targets).map(figures).collect()
    }

    /// Reads the objects of `target` for a run without watches. Returns whether that was done.
    pub(super) fn list_objects(&mut self, target: &WatchTarget) -> bool {
        let Some(client) = self.context.kube.clone().filter(|_| !self.is_watching()) else { return false };
        let Some(factory) = self.sources.all().find(|s| s.targets().contains(target)).map(|s| s.parser(target)) else {
            return false;
        };
        let (mut parser, mut parsed) = ((factory.0)(), Vec::new());
        let listed = client.list_json(target, &mut |object: Value| parsed.push(parser(&object)));
        if let Err(e) = listed {
            event!(error, "source-unread", what = target, error = e);
        }
        self.sources.apply(target, SourceEvent::Listing);
        for object in parsed {
            self.sources.apply(target, SourceEvent::Present(object));
        }
        self.sources.apply(target, SourceEvent::Listed);
        true
    }
}

/// Whether the watches that run show everything that a certificate depends on.
fn covers(watching: &Informers, spec: &CertificateSpec) -> bool {
    let is_watched = |at: &ObjectRef| watching.has(&by_name(Resource::SECRETS, at));
    let holds = |at: &ObjectRef| watching.has(&of_type(&at.namespace, TYPE_TLS)) || is_watched(at);
    spec.entry.secrets.iter().all(holds) && spec.inputs().all(is_watched)
}

/// The reason of the Event about a problem.
fn event_reason(reason: WishReason) -> EventReason {
    match reason {
        WishReason::Skipped => EventReason::Skipped,
        WishReason::Invalid => EventReason::Invalid,
        WishReason::Refused => EventReason::Refused,
        WishReason::Conflict => EventReason::Conflict,
    }
}
