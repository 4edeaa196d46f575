//! The zones and keys of the names of an order, and the UPDATE for each zone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::update::{NEVER_WRITTEN, read_keys};
use super::zone_update::ZoneUpdate;
use crate::base::name::{DnsName, Domain};
use crate::base::shared_str::SharedStr;
use crate::config::dns::Transport;
use crate::dns::tsig_key::TsigKey;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::update::TxtValue;
use crate::dns::zone::{ChallengeLocation, LocationError, ZoneFinder};
use crate::issuance::circuits::{Slot, TrialCall};
use crate::issuance::context::Context;
use crate::issuance::error::AttemptError;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::circuit::{CallResult, DnsTarget};
use crate::record::PresentedTxt;
use crate::sources::CertificateSpec;

/// The zones of the names of an entry, the keys to sign with, and the reserved first calls to circuits that were open.
#[derive(Debug)]
pub struct Dns01Solver<'c> {
    pub(super) context: &'c Context,
    targets: BTreeMap<Domain, ChallengeLocation>,
    keys: BTreeMap<TsigSecret, Vec<TsigKey>>,
    transport: Transport,
    pub(super) ca: SharedStr,
    pub(super) trials: Vec<TrialCall<'c>>,
}

impl<'c> Dns01Solver<'c> {
    /// Finds the zone of each name and reads the keys.
    ///
    /// # Errors
    /// The first name without a zone or a key, and why; or the circuit that admits nobody now.
    pub fn find(
        context: &'c Context,
        wanted: &CertificateSpec,
        names: &[Domain],
    ) -> Result<Dns01Solver<'c>, AttemptError> {
        Dns01Solver::find_some(context, wanted, names, &|_| true)
    }

    /// The same for the zones that `is_of_use` accepts. The keys of other zones are not read.
    ///
    /// # Errors
    /// As [`Dns01Solver::find`].
    pub fn find_some(
        context: &'c Context,
        wanted: &CertificateSpec,
        names: &[Domain],
        is_of_use: &dyn Fn(&ChallengeLocation) -> bool,
    ) -> Result<Dns01Solver<'c>, AttemptError> {
        let ca = SharedStr::intern(context.clients.directory(wanted).url());
        // Slots are held while the zones are looked up, and released at the end of this function.
        let permits: RefCell<Vec<Slot<'c>>> = RefCell::default();
        let trials: RefCell<Vec<TrialCall<'c>>> = RefCell::default();
        let entered: RefCell<Option<DnsTarget>> = RefCell::default();
        let answered = Cell::new(false);
        let admit = |dns_target: &DnsTarget| {
            if !permits.borrow().iter().any(|p| p.dns_target() == dns_target) {
                let trial = context.circuits.reserve(dns_target)?;
                trials.borrow_mut().extend(trial);
                let permit = context.circuits.enter(dns_target, &ca, &permits.borrow(), &trials.borrow())?;
                permits.borrow_mut().push(permit);
            }
            answered.set(false);
            *entered.borrow_mut() = Some(dns_target.clone());
            Ok(())
        };
        let first_key = |key: &TsigSecret| read_keys(&context.store, key).ok()?.into_iter().next();
        let Context { dns, resolver, store, .. } = context;
        let (entry, zones) = (&wanted.entry, &*wanted.zones);
        let rules = entry.zone_policy(zones);
        let finder =
            ZoneFinder { client: dns, resolver, rules, admit: &admit, answered: &answered, first_key: &first_key };
        let (mut targets, mut keys) = (BTreeMap::<Domain, ChallengeLocation>::new(), BTreeMap::new());
        let failed =
            |name: &Domain, e: String| AttemptError::new(Stage::Zone, RetryClass::Transient, format!("{name}: {e}"));
        for name in names {
            // `N` and `*.N` share their challenge name.
            let known =
                targets.iter().find(|(domain, _)| domain.base() == name.base()).map(|(_, target)| target.clone());
            let target = match known.map_or_else(|| finder.find(name), Ok) {
                Ok(target) => target,
                Err(LocationError::Barred(dns_target, barred)) => return Err(AttemptError::barred(dns_target, barred)),
                Err(LocationError::Failed(e)) => {
                    // A silent server counts against its circuit. An answer is a failure of this name alone.
                    let dns_target = entered.borrow().clone().filter(|_| !answered.get());
                    let permits = permits.borrow();
                    permits
                        .iter()
                        .filter(|p| Some(p.dns_target()) == dns_target.as_ref())
                        .for_each(|p| p.went(CallResult::Bad));
                    return Err(AttemptError { dns_target: dns_target.map(Box::new), ..failed(name, e) });
                }
            };
            // Targets without a key were only queried, and answered.
            permits.borrow().iter().filter(|p| p.dns_target().key.is_none()).for_each(|p| p.went(CallResult::Good));
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

    /// The CNAME chain from the challenge name of `name` to the owner of its value; one element where there is no CNAME.
    pub fn way(&self, name: &Domain) -> &[DnsName] {
        self.targets.get(name).map_or(&[], |target| &target.chain)
    }

    /// Groups the values of an order into one update per zone.
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

    /// One update per zone with a value that was never written. Deleting it tests key, clock, policy and reachability.
    pub fn probes(&self) -> Vec<ZoneUpdate> {
        let values: Vec<_> = self.targets.keys().map(|name| (name.clone(), NEVER_WRITTEN.to_owned())).collect();
        self.batches(&values)
    }

    fn batch(&self, target: &ChallengeLocation) -> ZoneUpdate {
        ZoneUpdate {
            published: PresentedTxt {
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
            dns_target: target.target.clone(),
            remark: target.remark.clone(),
            other_zones: target.other_zones.clone(),
            hosts: Vec::new(),
            vanishing: Vec::new(),
            used: None,
            may_be_there: false,
        }
    }
}
