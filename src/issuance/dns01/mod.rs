//! The DNS half of an order: where each name's value goes, one signed UPDATE per zone to add and one to withdraw.

mod hosts;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::circuits::{Slot, TrialCall};
use super::dns_update::{NEVER_WRITTEN, UpdateOutcome, read_keys, send, zone_of_key};
use super::{AttemptError, Context};
use crate::base::limits::{DNS_PLACE_WAIT, WILDCARD_HOST_WAIT};
use crate::base::log::event;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::base::shared_str::SharedStr;
use crate::base::time::Deadline;
use crate::config::dns::{DnsSettings, OnWildcardHost, Transport};
use crate::dns::client::DnsClient;
use crate::dns::propagation::PropagationCheck;
use crate::dns::tsig_key::TsigKey;
use crate::dns::update::{Action, TxtValue, Update};
use crate::dns::zone::{ChallengeLocation, LocationError, NameServer, ZoneFinder};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::circuit::{CallResult, DnsTarget};
use crate::record::Presented;
use crate::sources::CertificateSpec;
pub use hosts::WILDCARD_HOST;
use hosts::refused;

/// Where the values of the names of an entry go, the keys to sign with, and the trials of circuits that failed before.
#[derive(Debug)]
pub struct Dns01Solver<'c> {
    context: &'c Context,
    targets: BTreeMap<Domain, ChallengeLocation>,
    keys: BTreeMap<ObjectRef, Vec<TsigKey>>,
    transport: Transport,
    ca: SharedStr,
    trials: Vec<TrialCall<'c>>,
}

/// The values of one zone.
#[derive(Debug)]
pub struct ZoneUpdate {
    /// What the record keeps of it: with the server that is tried first, until another one took it.
    pub published: Presented,
    servers: Vec<NameServer>,
    primary_first: bool,
    keys: Vec<TsigKey>,
    lane: DnsTarget,
    /// What the user should know of the way to the zone; see [`Target`].
    pub remark: Option<String>,
    /// Zones that may be meant instead; see [`Target`].
    other_zones: Vec<DnsName>,
    /// Names whose challenge lies right below them: those of them that live from a wildcard record vanish while it is there.
    hosts: Vec<DnsName>,
    /// Those that do.
    vanishing: Vec<DnsName>,
    /// The key that worked.
    used: Option<TsigKey>,
    /// The values may be there: they were added, or nobody knows.
    pub may_be_there: bool,
}

impl ZoneUpdate {
    /// Deletes exactly its values, which for a probe nobody ever wrote. Returns who did it under which key. The zone may be another
    /// afterwards: the one that the holder of the key is shown.
    ///
    /// # Errors
    /// What each server that was tried said.
    pub fn delete(
        &mut self,
        client: &DnsClient,
        permits: &[Slot<'_>],
        transport: Transport,
    ) -> Result<(NameServer, TsigKey), String> {
        loop {
            let Presented { zone, values, .. } = &self.published;
            let update = Update { zone, action: Action::Delete, values };
            let done = send(client, (&self.servers, self.primary_first), &self.keys, &update, transport);
            self.went(&done, permits);
            match done {
                Ok(done) => return Ok(done),
                Err(not_done) if self.moves(client, &not_done) => {}
                Err(not_done) => return Err(self.told(&not_done.said)),
            }
        }
    }

    /// A verified answer proves that server and key work, be it a refusal: that is this certificate's failure and nobody else's.
    fn went<T>(&self, done: &Result<T, UpdateOutcome>, permits: &[Slot<'_>]) {
        let passage = if done.as_ref().err().is_none_or(|e| e.verified) { CallResult::Good } else { CallResult::Bad };
        permits.iter().filter(|p| *p.lane() == self.lane).for_each(|p| p.went(passage));
    }

    /// Turns to the zone that the holder of the key is shown, once, where a server said that it is not primary for the one that anybody is
    /// shown. Returns whether there is such a zone.
    fn moves(&mut self, client: &DnsClient, not_done: &UpdateOutcome) -> bool {
        let others = std::mem::take(&mut self.other_zones);
        let zone = match others.is_empty() {
            true => None,
            false => zone_of_key(client, not_done, &self.published.values).filter(|zone| others.contains(zone)),
        };
        zone.map(|zone| {
            event!(info, "zone-of-key", zone = zone, hint = format!("{} is shown to others", self.published.zone));
            self.published.zone = zone;
        })
        .is_some()
    }

    /// What the servers said, after what is to be known of the way to them.
    fn told(&self, said: &str) -> String {
        self.remark.as_ref().map_or(String::new(), |remark| format!("{remark}. ")) + said
    }
}

impl<'c> Dns01Solver<'c> {
    /// Finds the places of all `names`.
    ///
    /// # Errors
    /// The first name that has none, and why; or that its server is not to be asked now.
    pub fn find(
        context: &'c Context,
        wanted: &CertificateSpec,
        names: &[Domain],
    ) -> Result<Dns01Solver<'c>, AttemptError> {
        Dns01Solver::find_some(context, wanted, names, &|_| true)
    }

    /// The same for those places that are of use: of no other the key is read.
    ///
    /// # Errors
    /// As above.
    pub fn find_some(
        context: &'c Context,
        wanted: &CertificateSpec,
        names: &[Domain],
        is_of_use: &dyn Fn(&ChallengeLocation) -> bool,
    ) -> Result<Dns01Solver<'c>, AttemptError> {
        let ca = SharedStr::intern(context.clients.directory(wanted).url());
        // They surround the questions by which the places are found, and end with them.
        let permits: RefCell<Vec<Slot<'c>>> = RefCell::default();
        let trials: RefCell<Vec<TrialCall<'c>>> = RefCell::default();
        let entered: RefCell<Option<DnsTarget>> = RefCell::default();
        let answered = Cell::new(false);
        let admit = |lane: &DnsTarget| {
            if !permits.borrow().iter().any(|p| p.lane() == lane) {
                let trial = context.circuits.reserve(lane)?;
                trials.borrow_mut().extend(trial);
                let permit = context.circuits.enter(lane, &ca, &permits.borrow(), &trials.borrow())?;
                permits.borrow_mut().push(permit);
            }
            answered.set(false);
            *entered.borrow_mut() = Some(lane.clone());
            Ok(())
        };
        let first_key = |at: &ObjectRef| read_keys(&context.store, at).ok()?.into_iter().next();
        let Context { dns, resolver, store, .. } = context;
        let (entry, zones) = (&wanted.entry, &*wanted.zones);
        let rules = entry.zone_policy(zones);
        let finder =
            ZoneFinder { client: dns, resolver, rules, admit: &admit, answered: &answered, first_key: &first_key };
        let (mut targets, mut keys) = (BTreeMap::<Domain, ChallengeLocation>::new(), BTreeMap::new());
        let failed =
            |name: &Domain, e: String| AttemptError::new(Stage::Zone, RetryClass::Transient, format!("{name}: {e}"));
        for name in names {
            // `N` and `*.N` share their place.
            let known =
                targets.iter().find(|(domain, _)| domain.base() == name.base()).map(|(_, target)| target.clone());
            let target = match known.map_or_else(|| finder.find(name), Ok) {
                Ok(target) => target,
                Err(LocationError::Barred(lane, barred)) => return Err(AttemptError::barred(lane, barred)),
                Err(LocationError::Failed(e)) => {
                    // A server that says nothing fails all who come to it; one that answers fails this name.
                    let lane = entered.borrow().clone().filter(|_| !answered.get());
                    let permits = permits.borrow();
                    permits.iter().filter(|p| Some(p.lane()) == lane.as_ref()).for_each(|p| p.went(CallResult::Bad));
                    return Err(AttemptError { lane: lane.map(Box::new), ..failed(name, e) });
                }
            };
            // Those without a key were to tell the way, and did.
            permits.borrow().iter().filter(|p| p.lane().key.is_none()).for_each(|p| p.went(CallResult::Good));
            if !is_of_use(&target) {
                continue;
            }
            if !keys.contains_key(&target.key) {
                keys.insert(target.key.clone(), read_keys(store, &target.key).map_err(|e| failed(name, e))?);
            }
            targets.insert(name.clone(), target);
        }
        let transport = entry.dns.transport;
        drop(permits);
        Ok(Dns01Solver { context, targets, keys, transport, ca, trials: trials.into_inner() })
    }

    /// The way by CNAMEs from the challenge name of one of the names to where its value goes; the one name where there is none.
    pub fn way(&self, name: &Domain) -> &[DnsName] {
        self.targets.get(name).map_or(&[], |target| &target.chain)
    }

    /// Groups the values of an order into one batch per zone.
    pub fn batches(&self, values: &[(Domain, String)]) -> Vec<ZoneUpdate> {
        let mut batches: Vec<ZoneUpdate> = Vec::new();
        for (name, value) in values {
            let Some(target) = self.targets.get(name) else { continue };
            let value = TxtValue { owner: target.owner.clone(), value: value.clone() };
            let same = |b: &&mut ZoneUpdate| {
                b.published.zone == target.zone && b.servers == target.servers && b.published.key == target.key
            };
            let batch = match batches.iter_mut().find(same) {
                Some(batch) => batch,
                None => {
                    batches.push(self.batch(target));
                    batches.last_mut().expect("pushed in the line above")
                }
            };
            batch.published.values.push(value);
            let below = target.owner == name.challenge_name() && *name.base() != target.zone;
            if below && name.base().is_within(&target.zone) && !batch.hosts.contains(name.base()) {
                batch.hosts.push(name.base().clone());
            }
        }
        batches
    }

    /// The batches with a value that nobody ever wrote: deleting it tests key, clock, policy and reachability.
    pub fn probes(&self) -> Vec<ZoneUpdate> {
        let values: Vec<_> = self.targets.keys().map(|name| (name.clone(), NEVER_WRITTEN.to_owned())).collect();
        self.batches(&values)
    }

    fn batch(&self, target: &ChallengeLocation) -> ZoneUpdate {
        ZoneUpdate {
            published: Presented {
                zone: target.zone.clone(),
                server: target.servers[0].label.clone(),
                address: target.servers[0].address,
                key: target.key.clone(),
                transport: self.transport,
                values: Vec::new(),
            },
            servers: target.servers.clone(),
            primary_first: target.primary_first,
            keys: self.keys[&target.key].clone(),
            lane: target.target.clone(),
            remark: target.remark.clone(),
            other_zones: target.other_zones.clone(),
            hosts: Vec::new(),
            vanishing: Vec::new(),
            used: None,
            may_be_there: false,
        }
    }

    /// Goes to the servers of all batches, to add their values and to look at them. Waits a while for a place there, and never for a circuit
    /// to open.
    ///
    /// # Errors
    /// Which server is not to be asked now, and why.
    pub fn enter(&self, batches: &[ZoneUpdate]) -> Result<Vec<Slot<'c>>, AttemptError> {
        let mut lanes: Vec<DnsTarget> = Vec::new();
        for batch in batches {
            if !lanes.contains(&batch.lane) {
                lanes.push(batch.lane.clone());
            }
        }
        let Context { circuits: gates, stop, .. } = self.context;
        let entered = gates.enter_all(&lanes, &self.ca, &self.trials, DNS_PLACE_WAIT, stop);
        entered.map_err(|(lane, barred)| AttemptError::barred(lane, barred))
    }

    /// Adds the values of all batches; those with a host that vanishes while they are there come last.
    ///
    /// # Errors
    /// What each server that was tried said.
    pub fn present(
        &self,
        batches: &mut [ZoneUpdate],
        permits: &[Slot<'_>],
        wanted: &CertificateSpec,
    ) -> Result<(), AttemptError> {
        let settings = &wanted.entry.dns;
        for batch in batches.iter_mut() {
            let hosts = std::mem::take(&mut batch.hosts);
            match self.add(batch, permits, settings, &hosts) {
                Ok(()) => {}
                Err(failed) if failed.is_unused_name => {
                    batch.vanishing = self.vanishing(batch, hosts, settings);
                    batch.used = None;
                }
                Err(failed) => return Err(failed.failed),
            }
        }
        batches.sort_by_key(|b| b.used.is_none());
        for batch in batches.iter_mut().filter(|b| b.used.is_none()) {
            if settings.on_wildcard_host == OnWildcardHost::Refuse {
                batch.vanishing.first().map_or(Ok(()), |host| Err(refused(host)))?;
            }
            for host in &batch.vanishing {
                let (secret, hint) = (wanted.entry.main_secret(), WILDCARD_HOST);
                event!(warn, "wildcard-host", secret = secret, host = host, hint = hint);
            }
            self.add(batch, permits, settings, &[]).map_err(|e| e.failed)?;
        }
        Ok(())
    }

    /// Adds the values at the first server that takes them under the first key that it knows. Another server is tried only when one
    /// does not answer or is not primary: the key's signature goes to no more servers than needed.
    fn add(
        &self,
        batch: &mut ZoneUpdate,
        permits: &[Slot<'_>],
        settings: &DnsSettings,
        in_use: &[DnsName],
    ) -> Result<(), AddError> {
        self.context.leader.check().map_err(|failed| AddError { is_unused_name: false, failed })?;
        let Presented { zone, values, .. } = &batch.published;
        let update = Update { zone, action: Action::Add { ttl: settings.ttl, in_use }, values };
        let done =
            send(&self.context.dns, (&batch.servers, batch.primary_first), &batch.keys, &update, settings.transport);
        batch.went(&done, permits);
        batch.may_be_there = done.as_ref().err().is_none_or(|e| !e.refused);
        match done {
            Ok((server, key)) => {
                (batch.published.server, batch.published.address) = (server.label, server.address);
                batch.used = Some(key);
                Ok(())
            }
            Err(UpdateOutcome { unused_name: true, said, .. }) => {
                let failed = AttemptError::new(Stage::Publish, RetryClass::Transient, said);
                Err(AddError { is_unused_name: !in_use.is_empty(), failed })
            }
            Err(not_done) if batch.moves(&self.context.dns, &not_done) => self.add(batch, permits, settings, in_use),
            Err(UpdateOutcome { said, .. }) => {
                let said = batch.told(&said);
                let lane = Some(Box::new(batch.lane.clone()));
                let failed = AttemptError { lane, ..AttemptError::new(Stage::Publish, RetryClass::Transient, said) };
                Err(AddError { is_unused_name: false, failed })
            }
        }
    }

    /// Waits until the values of all batches are seen. The permits end there: others may use the servers while the values settle and the CA
    /// looks.
    ///
    /// # Errors
    /// What each server of the first zone that fails shows.
    pub fn wait_visible(
        &self,
        batches: &[ZoneUpdate],
        permits: Vec<Slot<'_>>,
        wanted: &CertificateSpec,
    ) -> Result<(), AttemptError> {
        let (settings, secret) = (&wanted.entry.dns, wanted.entry.main_secret());
        // One for all zones: they were published together.
        let deadline = Deadline::after(settings.propagation_timeout);
        for batch in batches {
            let Presented { zone, server, address, values, .. } = &batch.published;
            let Context { dns: client, resolver, stop, .. } = self.context;
            let primary = NameServer { label: server.clone(), address: *address };
            let Some(key) = &batch.used else { continue };
            // Its users wait with us.
            let deadline = if batch.vanishing.is_empty() { deadline } else { deadline.sooner(WILDCARD_HOST_WAIT) };
            let watch =
                PropagationCheck { client, resolver, stop, zone, primary: &primary, key, values, settings, deadline };
            match watch.wait() {
                Ok(given_up) => {
                    event!(
                        debug,
                        "seen",
                        secret = secret,
                        zone = zone,
                        server = primary,
                        key = key,
                        values = values.len()
                    );
                    for look in given_up {
                        event!(warn, "server-given-up", secret = secret, zone = zone, server = look);
                    }
                }
                Err(not_seen) => {
                    let sentence = format!(
                        "the TXT values in {zone} were not seen on every server in time, so the CA was not asked: {not_seen}"
                    );
                    let lane = Some(Box::new(batch.lane.clone()));
                    return Err(AttemptError {
                        lane,
                        ..AttemptError::new(Stage::Propagation, RetryClass::Transient, sentence)
                    });
                }
            }
        }
        drop(permits);
        // Once for all zones, and also where nobody was looked at: then it is all that is waited.
        self.context.stop.wait(settings.settle);
        Ok(())
    }
}

/// Why values were not added.
struct AddError {
    /// A name that had to be in use is not.
    is_unused_name: bool,
    failed: AttemptError,
}
