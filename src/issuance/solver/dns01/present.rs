//! Adds the values of an order to their zones and waits until they are visible.

use super::update::{UpdateOutcome, send, withdraw};
use super::zone_update::{WILDCARD_HOST, ZoneUpdate, refused};
use super::zones::Dns01Solver;
use crate::acme::jws::AccountKey;
use crate::base::challenge_type::ChallengeType;
use crate::base::limits::{DNS_PLACE_WAIT, WILDCARD_HOST_WAIT};
use crate::base::log::event;
use crate::base::name::{DnsName, Domain};
use crate::base::time::Deadline;
use crate::config::dns::{DnsSettings, OnWildcardHost};
use crate::dns::propagation::PropagationCheck;
use crate::dns::update::{Action, Update};
use crate::dns::zone::NameServer;
use crate::issuance::circuits::Slot;
use crate::issuance::context::Context;
use crate::issuance::error::AttemptError;
use crate::issuance::solver::challenge::{ChallengeRequest, NotPresented, Solver};
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::circuit::DnsTarget;
use crate::record::{Presented, PresentedTxt};
use crate::sources::CertificateSpec;

/// The dns-01 challenges of one order.
#[derive(Debug)]
pub struct Dns01<'c> {
    zones: Dns01Solver<'c>,
    wanted: &'c CertificateSpec,
    updates: Vec<ZoneUpdate>,
    /// Held from the preparation until the values are visible.
    slots: Vec<Slot<'c>>,
}

impl<'c> Dns01<'c> {
    /// Finds the zone and the key of each name. Nothing is changed.
    ///
    /// # Errors
    /// The first name without a zone or a key, and why; or the circuit that admits nobody now.
    pub fn find(
        context: &'c Context,
        wanted: &'c CertificateSpec,
        names: &[Domain],
    ) -> Result<Dns01<'c>, AttemptError> {
        let zones = Dns01Solver::find(context, wanted, names)?;
        Ok(Dns01 { zones, wanted, updates: Vec::new(), slots: Vec::new() })
    }

    /// Releases slots and reserved first calls, which others wait for.
    fn release(&mut self) {
        self.slots.clear();
        self.zones.trials.clear();
    }
}

impl Solver for Dns01<'_> {
    fn challenge_type(&self, _: &Domain) -> ChallengeType {
        ChallengeType::Dns01
    }

    fn check(&self) -> Result<(), AttemptError> {
        self.zones.check_hosts(self.wanted)
    }

    fn prepare(
        &mut self,
        account: &AccountKey,
        challenges: &[ChallengeRequest],
    ) -> Result<Vec<Presented>, AttemptError> {
        let value = |challenge: &ChallengeRequest| (challenge.name.clone(), account.dns01_value(&challenge.token));
        let values: Vec<(Domain, String)> = challenges.iter().map(value).collect();
        self.updates = self.zones.batches(&values);
        self.slots = self.zones.enter(&self.updates)?;
        Ok(presented(self.updates.iter()))
    }

    fn present(&mut self) -> Result<Vec<Presented>, NotPresented> {
        match self.zones.add_all(&mut self.updates, &self.slots, self.wanted) {
            Ok(()) => Ok(presented(self.updates.iter())),
            Err(failed) => Err(NotPresented {
                failed: Box::new(failed),
                left: presented(self.updates.iter().filter(|update| update.may_be_there)),
            }),
        }
    }

    fn wait_visible(&mut self) -> Result<(), AttemptError> {
        let slots = std::mem::take(&mut self.slots);
        let seen = self.zones.see_all(&self.updates, slots, self.wanted);
        self.release();
        seen
    }

    fn clean_up(&mut self, presented: &Presented) -> Result<(), String> {
        self.release();
        match presented {
            Presented::Dns01(presented) => withdraw(self.zones.context, presented),
            Presented::Http01(_) => Ok(()),
        }
    }
}

fn presented<'u>(updates: impl Iterator<Item = &'u ZoneUpdate>) -> Vec<Presented> {
    let updates = updates.filter(|update| !update.published.values.is_empty());
    updates.map(|update| Presented::Dns01(update.published.clone())).collect()
}

impl<'c> Dns01Solver<'c> {
    /// Takes a slot at the server of each zone. Waits a while for a slot, and never for a circuit to close.
    ///
    /// # Errors
    /// The circuit that admits nobody now, and why.
    pub fn enter(&self, batches: &[ZoneUpdate]) -> Result<Vec<Slot<'c>>, AttemptError> {
        let mut lanes: Vec<DnsTarget> = Vec::new();
        for batch in batches {
            if !lanes.contains(&batch.dns_target) {
                lanes.push(batch.dns_target.clone());
            }
        }
        let Context { circuits: gates, stop, .. } = self.context;
        let entered = gates.enter_all(&lanes, &self.ca, &self.trials, DNS_PLACE_WAIT, stop);
        entered.map_err(|(dns_target, barred)| AttemptError::barred(dns_target, barred))
    }

    /// Adds the values of all zones. A zone with a host that stops answering meanwhile comes last.
    ///
    /// # Errors
    /// The answer of each server that was tried.
    fn add_all(
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

    /// Adds the values at the first server that accepts them under one of the keys. Another server is tried only when one does not answer
    /// or is not primary, so that a signature of the key reaches no more servers than needed.
    fn add(
        &self,
        batch: &mut ZoneUpdate,
        permits: &[Slot<'_>],
        settings: &DnsSettings,
        in_use: &[DnsName],
    ) -> Result<(), AddError> {
        self.context.leader.check().map_err(|failed| AddError { is_unused_name: false, failed })?;
        let PresentedTxt { zone, values, .. } = &batch.published;
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
                let dns_target = Some(Box::new(batch.dns_target.clone()));
                let failed =
                    AttemptError { dns_target, ..AttemptError::new(Stage::Publish, RetryClass::Transient, said) };
                Err(AddError { is_unused_name: false, failed })
            }
        }
    }

    /// Waits until the values of all zones are visible, and then releases the slots: other attempts use the servers while the values settle
    /// and the CA validates.
    ///
    /// # Errors
    /// The answer of each server of the first zone whose values are not visible in time.
    fn see_all(
        &self,
        batches: &[ZoneUpdate],
        permits: Vec<Slot<'_>>,
        wanted: &CertificateSpec,
    ) -> Result<(), AttemptError> {
        let (settings, secret) = (&wanted.entry.dns, wanted.entry.main_secret());
        // One deadline for all zones, which were updated together.
        let deadline = Deadline::after(settings.propagation_timeout);
        for batch in batches {
            let PresentedTxt { zone, server, address, values, .. } = &batch.published;
            let Context { dns: client, resolver, stop, .. } = self.context;
            let primary = NameServer { label: server.clone(), address: *address };
            let Some(key) = &batch.used else { continue };
            // The host does not answer its users meanwhile.
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
                    let dns_target = Some(Box::new(batch.dns_target.clone()));
                    return Err(AttemptError {
                        dns_target,
                        ..AttemptError::new(Stage::Propagation, RetryClass::Transient, sentence)
                    });
                }
            }
        }
        drop(permits);
        // Once for all zones, and the only pause where no server is checked.
        self.context.stop.wait(settings.settle);
        Ok(())
    }
}

/// Why the values of a zone were not added.
struct AddError {
    /// A name that the prerequisite names has no records.
    is_unused_name: bool,
    failed: AttemptError,
}
