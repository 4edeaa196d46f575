//! The orders of the loop to the writer: the verdict on each object whose version, certificate or problem changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::control::Controller;
use super::super::gather::ReconcilePass;
use super::super::state::ControllerState;
use super::slots::{ObjectVerdict, PutEnd, StatusRoom, StatusWrite};
use crate::base::log::event;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::time::Time;
use crate::cert_manager::status::{IssuerReason, IssuerVerdict, SeenResource};
use crate::issuance::acting::Acting;
use crate::kube::resource::Resource;
use crate::policy::secret_state::SecretState;
use crate::sources::resource::DescribedIssuer;
use crate::sources::wish::ObjectKey;
use crate::status::certificate::CertificateStatus;
use crate::status::gardener;
use crate::status::resource::{of_certificate, of_unserved};
use crate::status::state::CertificateState;
use std::sync::Arc;

impl Controller<'_> {
    /// Has the statuses written that may differ.
    pub(crate) fn show_objects(&mut self, now: Time) {
        let unlooked = std::mem::take(&mut self.state.objects.unlooked);
        if self.object_status.is_some() {
            unlooked.iter().for_each(|secret| self.state.look(secret, now));
        }
        let back = self.state.secrets.elsewhere.take_back();
        self.object_status.iter().for_each(|writer| back.iter().for_each(|cluster| writer.retry(cluster)));
        let mut objects = self.state.sources.take_seen();
        objects.append(&mut self.state.objects.unshown);
        let Some(accounts) = self.issuer_accounts.as_ref().filter(|_| self.object_status.is_some()) else { return };
        objects.append(&mut accounts.take_fresh());
        let (acts, down) = (self.context.acting.holds(), self.context.acting.stood_down());
        let down: BTreeSet<String> = down.into_iter().map(|(namespace, _)| namespace).collect();
        let acted = std::mem::replace(&mut self.showing.acted, acts);
        let before = std::mem::replace(&mut self.showing.down, down);
        if acts != acted || before.iter().any(|namespace| !self.showing.down.contains(namespace)) {
            // The certificates may have been decided about before that: all are first, and then shown at the next pass.
            objects.append(&mut self.state.sources.all_seen().collect());
            self.state.objects.unshown = objects;
            return self.add_all_now();
        }
        if objects.is_empty() {
            return;
        }
        let ordering: BTreeSet<ObjectRef> = self.queue.ordering().cloned().collect();
        // A single pass ends with all that it has put, and has no time for another look.
        let mut room = self.object_status.as_ref().filter(|_| !self.once()).map(|writer| writer.room());
        let mut pass = ReconcilePass::new(now);
        objects.retain(|object| self.show_object(object, &ordering, room.as_mut(), &mut pass));
        self.state.objects.unshown.append(&mut objects);
    }

    /// Has the status of one object written where it differs. Returns whether there is no room for that yet.
    fn show_object(
        &mut self,
        object: &ObjectKey,
        ordering: &BTreeSet<ObjectRef>,
        room: Option<&mut BTreeMap<ClusterName, StatusRoom>>,
        pass: &mut ReconcilePass,
    ) -> bool {
        let Some(writer) = &self.object_status else { return false };
        let Some(seen) = self.state.sources.seen(object) else {
            self.issuer_accounts.iter().for_each(|accounts| accounts.forget(object));
            writer.forget(object);
            return false;
        };
        let mut room = room.and_then(|room| room.get_mut(&object.at.cluster));
        if room.as_mut().is_some_and(|room| !room.admits(&seen)) && !writer.waits(object) {
            return true;
        }
        let Some(write) = self.status_write(object, &seen, ordering, pass) else { return false };
        match self.object_status.as_ref().map(|writer| writer.put(write)) {
            Some(PutEnd::Waits) => room.into_iter().for_each(|room| room.count(&seen)),
            Some(PutEnd::Overwritten) => self.stand_down(object),
            Some(PutEnd::Needless) | None => {}
        }
        false
    }

    /// The write of a status by what is known about its object; `None` for one that is not this program's, and while nothing is known.
    fn status_write(
        &mut self,
        object: &ObjectKey,
        seen: &Arc<SeenResource>,
        ordering: &BTreeSet<ObjectRef>,
        pass: &mut ReconcilePass,
    ) -> Option<StatusWrite> {
        let write = |verdict| StatusWrite { object: object.clone(), seen: seen.clone(), verdict, renewal: None };
        // A watch of all namespaces shows the objects of those that are not served, too.
        if let Some(described) = self.state.sources.revocation_of(object) {
            let verdict = self.state.revocation_verdict(object, seen, &described, pass)?;
            return Some(write(ObjectVerdict::State(Box::new(verdict))));
        }
        let namespace = &object.at.namespace;
        let is_everyones = namespace.is_empty() || object.kind == Resource::GARDENER_ISSUERS.text_kind();
        let is_served = is_everyones || self.context.namespaces.check(&object.at).is_ok();
        // One that may act since a moment ago has not decided about the certificates since.
        let acts = self.showing.acted || !Acting::is_about(object);
        if !is_served || !acts || self.context.acting.check_object(object).is_err() {
            return None;
        }
        if let Some(described) = self.state.sources.issuer_of(object) {
            let verdict = self.issuer_verdict(object, seen.generation, described)?;
            return Some(write(match has_states(object) {
                true => {
                    ObjectVerdict::State(Box::new(gardener::of_issuer(verdict, self.state.sources.fields_of(object))))
                }
                false => ObjectVerdict::Issuer(Box::new(verdict)),
            }));
        }
        let status = self.state.status_of(object, pass);
        let status = status.map(|status| {
            let secret = &status.secrets()[0];
            let parked = self.parked_for(secret);
            status.with_job(ordering.contains(secret), parked.as_ref())
        });
        let verdict = self.state.verdict(object, seen.generation, status.as_deref(), pass.now)?;
        let asked = seen.status.renewal_asked().zip(status.filter(|s| s.state != CertificateState::Refused));
        let renewal = asked.map(|(at, status)| Box::new((status.secrets()[0].clone(), format!("cmctl {at}"))));
        Some(StatusWrite { renewal, ..write(verdict) })
    }

    /// The knowledge about an issuer; `None` while its CA is asked.
    fn issuer_verdict(&self, object: &ObjectKey, generation: i64, described: DescribedIssuer) -> Option<IssuerVerdict> {
        let fault = |reason, message| Some(IssuerVerdict { generation, reason, message, account: None });
        let issuer = match described {
            DescribedIssuer::Faulty(reason, message) => return fault(reason, message),
            DescribedIssuer::Usable(issuer) => issuer,
        };
        match self.state.objects.account_spec(object, &issuer)? {
            Ok(spec) => self.issuer_accounts.as_ref()?.verdict(object, generation, &issuer.print, || spec),
            Err(why) => fault(IssuerReason::InvalidConfig, why),
        }
    }

    fn stand_down(&mut self, object: &ObjectKey) {
        let namespace = &object.at.namespace;
        if let Some(writer) = &self.object_status {
            writer.clear(namespace);
        }
        if self.context.acting.stand_down(namespace) {
            let consequence = "nothing is done for the Certificates of the namespace for an hour";
            let hint = "scale cert-manager's controller to 0, or start notariat without this source";
            event!(error, "stood-down", namespace = namespace, object = object, consequence = consequence, hint = hint);
            self.showing.down.insert(namespace.to_string());
            self.add_all_now();
        }
    }

    /// Ends the writer. No object says any more that an order is under way.
    pub(crate) fn finish_objects(&mut self, ordered: &BTreeSet<ObjectRef>, within: Duration, now: Time) {
        let objects = ordered.iter().flat_map(|secret| self.state.objects.index.objects_of(secret).to_vec());
        let mut pass = ReconcilePass::new(now);
        for object in objects.collect::<Vec<_>>() {
            self.show_object(&object, &BTreeSet::new(), None, &mut pass);
        }
        if let Some(writer) = self.object_status.take() {
            writer.finish(within);
        }
    }
}

/// True where the status of an object is a state with fields.
fn has_states(object: &ObjectKey) -> bool {
    let group = Resource::of_kind(object.kind).map(|resource| resource.group);
    group == Some(Resource::GARDENER_CERTIFICATES.group)
}

impl ControllerState {
    /// The knowledge about an object; `None` while that is nothing.
    fn verdict(
        &mut self,
        object: &ObjectKey,
        generation: i64,
        status: Option<&CertificateStatus>,
        now: Time,
    ) -> Option<ObjectVerdict> {
        let problem = self.objects.index.hindrance_of(object).cloned();
        let fields = has_states(object).then(|| self.sources.fields_of(object));
        if let Some(status) = status {
            return Some(match fields {
                Some(fields) => {
                    let verdict = gardener::of_certificate(generation, status, problem.as_ref(), fields, now)?;
                    ObjectVerdict::State(Box::new(verdict))
                }
                None => {
                    let verdict = of_certificate(generation, status, problem.as_ref(), now)?;
                    ObjectVerdict::Certificate(Box::new(verdict))
                }
            });
        }
        let problem = problem?;
        let wish = self.objects.wish_of(&self.sources, object);
        let held = wish.as_ref().map(|wish| self.secrets.held(&wish.secret, now).map(|(held, _)| held));
        let held: Option<SecretState> = held.transpose().ok()?;
        if let Some(fields) = fields {
            let verdict = gardener::of_unserved(generation, &problem, held.as_ref(), fields);
            return Some(ObjectVerdict::State(Box::new(verdict)));
        }
        let names: Vec<_> = wish.iter().flat_map(|wish| wish.names.keys().cloned()).collect();
        let verdict = of_unserved(generation, &problem, held.as_ref(), &names, now);
        Some(ObjectVerdict::Certificate(Box::new(verdict)))
    }

    /// Evaluates a certificate before its wishes have settled, so that its status is shown at once. Nothing else follows.
    pub(crate) fn look(&mut self, secret: &ObjectRef, now: Time) {
        let Some(wanted) = self.desired.wanted.get(secret).cloned().filter(|wanted| wanted.is_of_objects()) else {
            return;
        };
        if let Some(status) = self.status_now(&wanted, &mut ReconcilePass::new(now)) {
            self.keep_status(secret, status);
        }
    }
}
