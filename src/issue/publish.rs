//! The DNS half of an order: where each name's value goes, one signed UPDATE per zone to add and one to withdraw.

mod hosts;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::gates::Permit;
use super::{Context, Failed};
use crate::config::entry::{DnsSettings, OnWildcardHost, Transport};
use crate::decide::attempts::{Severity, Stage};
use crate::decide::gate::{Lane, Passage};
use crate::dns::client::{Client, UpdateError};
use crate::dns::explain::Attempt;
use crate::dns::key::{TsigKey, parse_keys};
use crate::dns::rules::Rules;
use crate::dns::tsig::Rejected;
use crate::dns::update::{Action, TxtValue, Update};
use crate::dns::visible::Watch;
use crate::dns::wire::Rcode;
use crate::dns::zone::{Finder, NoTarget, Server, Target};
use crate::limits::{DNS_UPDATE_IN_ALL, WILDCARD_HOST_WAIT};
use crate::log::event;
use crate::name::{DnsName, Domain, ObjectRef};
use crate::record::{Leftover, Published};
use crate::sources::Wanted;
use crate::store::Store;
use crate::time::{self, Deadline, Time};
use hosts::{WILDCARD_HOST, refused};

/// Where the values of the names of an entry go, the keys to sign with, and the permits to be there.
#[derive(Debug)]
pub struct Places<'c> {
    context: &'c Context,
    targets: BTreeMap<Domain, Target>,
    keys: BTreeMap<ObjectRef, Vec<TsigKey>>,
    transport: Transport,
    permits: Vec<Permit<'c>>,
}

/// The values of one zone.
#[derive(Debug)]
pub struct Batch {
    /// What the record keeps of it: with the server that is tried first, until another one took it.
    pub published: Published,
    servers: Vec<Server>,
    primary_first: bool,
    keys: Vec<TsigKey>,
    lane: Lane,
    /// Names whose challenge lies right below them: those of them that live from a wildcard record vanish while it is there.
    hosts: Vec<DnsName>,
    /// Those that do.
    vanishing: Vec<DnsName>,
    /// The key that worked.
    used: Option<TsigKey>,
    /// The values may be there: they were added, or nobody knows.
    pub may_be_there: bool,
}

impl<'c> Places<'c> {
    /// Finds the places of all `names`.
    ///
    /// # Errors
    /// The first name that has none, and why; or that its server is not to be asked now.
    pub fn find(context: &'c Context, wanted: &Wanted, names: &[Domain]) -> Result<Places<'c>, Failed> {
        let permits: RefCell<Vec<Permit<'c>>> = RefCell::default();
        let entered: RefCell<Option<Lane>> = RefCell::default();
        let admit = |lane: &Lane| {
            if !permits.borrow().iter().any(|p| p.lane() == lane) {
                let further = permits.borrow().iter().any(|p| p.lane().server == lane.server);
                permits.borrow_mut().push(context.gates.enter(lane, further)?);
            }
            *entered.borrow_mut() = Some(lane.clone());
            Ok(())
        };
        let first_key = |at: &ObjectRef| read_keys(&context.store, at).ok()?.into_iter().next();
        let Context { dns, resolver, store, .. } = context;
        let (entry, zones) = (&wanted.entry, &*wanted.zones);
        let rules = Rules { entry, zones };
        let finder = Finder { client: dns, resolver, rules, admit: &admit, first_key: &first_key };
        let (mut targets, mut keys) = (BTreeMap::<Domain, Target>::new(), BTreeMap::new());
        let failed = |name: &Domain, e: String| Failed::new(Stage::Zone, Severity::Transient, format!("{name}: {e}"));
        for name in names {
            // `N` and `*.N` share their place.
            let known =
                targets.iter().find(|(domain, _)| domain.base() == name.base()).map(|(_, target)| target.clone());
            let target = match known.map_or_else(|| finder.find(name), Ok) {
                Ok(target) => target,
                Err(NoTarget::Barred(lane, barred)) => return Err(Failed::barred(lane, barred)),
                Err(NoTarget::Failed(e)) => {
                    // What failed after a server was to be asked is that server's.
                    let lane = entered.borrow();
                    let permits = permits.borrow();
                    permits.iter().filter(|p| Some(p.lane()) == lane.as_ref()).for_each(|p| p.went(Passage::Bad));
                    return Err(failed(name, e));
                }
            };
            // Those without a key were to tell the way, and did.
            permits.borrow().iter().filter(|p| p.lane().key.is_none()).for_each(|p| p.went(Passage::Good));
            if !keys.contains_key(&target.key) {
                keys.insert(target.key.clone(), read_keys(store, &target.key).map_err(|e| failed(name, e))?);
            }
            targets.insert(name.clone(), target);
        }
        let transport = entry.dns.transport;
        Ok(Places { context, targets, keys, transport, permits: permits.into_inner() })
    }

    /// Groups the values of an order into one batch per zone.
    pub fn batches(&self, values: &[(Domain, String)]) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        for (name, value) in values {
            let Some(target) = self.targets.get(name) else { continue };
            let value = TxtValue { owner: target.owner.clone(), value: value.clone() };
            let same = |b: &&mut Batch| {
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
    pub fn probes(&self) -> Vec<Batch> {
        const NEVER_WRITTEN: &str = "notariat-probe-this-value-is-never-written";
        let values: Vec<_> = self.targets.keys().map(|name| (name.clone(), NEVER_WRITTEN.to_owned())).collect();
        self.batches(&values)
    }

    fn batch(&self, target: &Target) -> Batch {
        Batch {
            published: Published {
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
            lane: target.lane.clone(),
            hosts: Vec::new(),
            vanishing: Vec::new(),
            used: None,
            may_be_there: false,
        }
    }

    /// Adds the values of all batches; those with a host that vanishes while they are there come last.
    ///
    /// # Errors
    /// What each server that was tried said.
    pub fn publish(&self, batches: &mut [Batch], wanted: &Wanted) -> Result<(), Failed> {
        let settings = &wanted.entry.dns;
        for batch in batches.iter_mut() {
            let hosts = std::mem::take(&mut batch.hosts);
            match self.add(batch, settings, &hosts) {
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
            self.add(batch, settings, &[]).map_err(|e| e.failed)?;
        }
        Ok(())
    }

    /// Adds the values at the first server that takes them under the first key that it knows. Another server is tried only when one
    /// does not answer or is not primary: the key's signature goes to no more servers than needed.
    fn add(&self, batch: &mut Batch, settings: &DnsSettings, in_use: &[DnsName]) -> Result<(), NotAdded> {
        let Published { zone, values, .. } = &batch.published;
        let update = Update { zone, action: Action::Add { ttl: settings.ttl, in_use }, values };
        let done =
            send(&self.context.dns, (&batch.servers, batch.primary_first), &batch.keys, &update, settings.transport);
        let permit = self.permits.iter().find(|p| *p.lane() == batch.lane);
        batch.may_be_there = done.as_ref().err().is_none_or(|e| !e.refused);
        match done {
            Ok((server, key)) => {
                (batch.published.server, batch.published.address) = (server.label, server.address);
                batch.used = Some(key);
                Ok(())
            }
            Err(NotDone { unused_name: true, said, .. }) => {
                let failed = Failed::new(Stage::Publish, Severity::Transient, said);
                Err(NotAdded { is_unused_name: !in_use.is_empty(), failed })
            }
            Err(NotDone { said, .. }) => {
                permit.into_iter().for_each(|p| p.went(Passage::Bad));
                Err(NotAdded { is_unused_name: false, failed: Failed::new(Stage::Publish, Severity::Transient, said) })
            }
        }
    }

    /// Waits until the values of all batches are seen.
    ///
    /// # Errors
    /// What each server of the first zone that fails shows.
    pub fn see(&self, batches: &[Batch], wanted: &Wanted) -> Result<(), Failed> {
        let (settings, secret) = (&wanted.entry.dns, wanted.entry.main_secret());
        // One for all zones: they were published together.
        let deadline = Deadline::after(settings.propagation_timeout);
        for batch in batches {
            let Published { zone, server, address, values, .. } = &batch.published;
            let Context { dns: client, resolver, stop, .. } = self.context;
            let primary = Server { label: server.clone(), address: *address };
            let Some(key) = &batch.used else { continue };
            // Its users wait with us.
            let deadline = if batch.vanishing.is_empty() { deadline } else { deadline.sooner(WILDCARD_HOST_WAIT) };
            let watch = Watch { client, resolver, stop, zone, primary: &primary, key, values, settings, deadline };
            let permit = self.permits.iter().find(|p| *p.lane() == batch.lane);
            match watch.wait() {
                Ok(given_up) => {
                    permit.into_iter().for_each(|p| p.went(Passage::Good));
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
                Err(looks) => {
                    permit.into_iter().for_each(|p| p.went(Passage::Bad));
                    let table: Vec<String> = looks.iter().map(ToString::to_string).collect();
                    let sentence = format!(
                        "the TXT values in {zone} were not seen on every server in time, so the CA was not asked: {}",
                        table.join("; ")
                    );
                    return Err(Failed::new(Stage::Propagation, Severity::Transient, sentence));
                }
            }
        }
        // Once for all zones, and also where nobody was looked at: then it is all that is waited.
        self.context.stop.wait(settings.settle);
        Ok(())
    }
}

/// Why values were not added.
struct NotAdded {
    /// A name that had to be in use is not.
    is_unused_name: bool,
    failed: Failed,
}

/// Why an UPDATE was done nowhere.
struct NotDone {
    unused_name: bool,
    /// Each server that was asked said no: nothing was changed.
    refused: bool,
    /// What each server said to each key.
    said: String,
}

/// Sends an UPDATE to the first server that does it under the first key that it knows. What the primary refuses is refused; of other
/// servers nobody knows whether they are secondaries, which refuse as well.
fn send(
    client: &Client,
    (servers, primary_first): (&[Server], bool),
    keys: &[TsigKey],
    update: &Update<'_>,
    transport: Transport,
) -> Result<(Server, TsigKey), NotDone> {
    let deadline = Deadline::after(DNS_UPDATE_IN_ALL);
    let (mut said, mut refused) = (Vec::new(), true);
    for (rank, server) in servers.iter().enumerate() {
        let mut elsewhere = false;
        for (number, key) in keys.iter().enumerate() {
            let at = time::now();
            let Err(error) = client.update(server.address, update, key, transport, deadline) else {
                if number > 0 {
                    event!(
                        info,
                        "key-used",
                        server = server,
                        zone = update.zone,
                        key = key,
                        hint = "the ones before it were refused"
                    );
                }
                return Ok((server.clone(), key.clone()));
            };
            if error == UpdateError::Refused(Rcode::NXDOMAIN) {
                return Err(NotDone {
                    unused_name: true,
                    refused,
                    said: format!("{}: a name is not in use", update.zone),
                });
            }
            said.push(Attempt { server, update, key, at }.sentence(&error));
            refused &= error.is_refusal();
            elsewhere = matches!(
                error,
                UpdateError::Unreachable(_)
                    | UpdateError::Refused(Rcode::NOTAUTH)
                    | UpdateError::Rejected(Rejected::Unsigned(Rcode::NOTAUTH))
            );
            elsewhere |= !(primary_first && rank == 0) && is_secondarys(&error);
            // The server does not know this key, or says nothing else to a wrong one (PowerDNS): perhaps it knows the next.
            let another_key =
                matches!(error, UpdateError::Rejected(Rejected::Explained(_) | Rejected::Unsigned(Rcode::REFUSED)));
            if !another_key {
                break;
            }
        }
        if !elsewhere {
            break;
        }
    }
    Err(NotDone { unused_name: false, refused, said: said.join("; ") })
}

/// What secondaries say to an UPDATE: BIND REFUSED, Knot BADKEY whatever the key, PowerDNS SERVFAIL (measured).
fn is_secondarys(error: &UpdateError) -> bool {
    match error {
        UpdateError::Refused(rcode) | UpdateError::Rejected(Rejected::Unsigned(rcode)) => {
            matches!(*rcode, Rcode::REFUSED | Rcode::SERVFAIL)
        }
        UpdateError::Rejected(rejected) => matches!(rejected, Rejected::Explained(_)),
        UpdateError::Unreachable(_) => false,
    }
}

/// Reads the TSIG keys of a Secret.
///
/// # Errors
/// One sentence that names the Secret and nothing of its content.
pub fn read_keys(store: &Store, at: &ObjectRef) -> Result<Vec<TsigKey>, String> {
    let secret = store.secret(at).map_err(|e| format!("the TSIG key: {e}"))?;
    let secret = secret.ok_or_else(|| format!("the Secret {at} with the TSIG key does not exist"))?;
    let value = secret
        .value("key")
        .ok_or_else(|| format!("the Secret {at} has no data key `key` with a TSIG key ([hmac:]name:base64)"))?;
    let text =
        std::str::from_utf8(value.expose()).map_err(|_| format!("the TSIG key in the Secret {at} is not text"))?;
    parse_keys(text).map_err(|e| format!("the TSIG key in the Secret {at} {e}"))
}

/// Deletes exactly the values of a batch, which for a probe nobody ever wrote. Returns who did it under which key.
///
/// # Errors
/// What each server that was tried said.
pub fn delete(client: &Client, batch: &Batch, transport: Transport) -> Result<(Server, TsigKey), String> {
    let Published { zone, values, .. } = &batch.published;
    let update = Update { zone, action: Action::Delete, values };
    send(client, (&batch.servers, batch.primary_first), &batch.keys, &update, transport).map_err(|e| e.said)
}

/// Deletes exactly these values.
fn withdraw(context: &Context, published: &Published) -> Result<(), String> {
    let keys = read_keys(&context.store, &published.key)?;
    let Published { zone, server, address, transport, values, .. } = published;
    let server = Server { label: server.clone(), address: *address };
    let update = Update { zone, action: Action::Delete, values };
    send(&context.dns, (&[server], true), &keys, &update, *transport).map(|_| ()).map_err(|e| {
        let owners: BTreeSet<&str> = values.iter().map(|v| v.owner.as_str()).collect();
        let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
        format!("TXT values at {owners} are left behind: {}", e.said)
    })
}

/// Withdraws each, the last published first, and returns what is left behind.
pub fn withdraw_each(context: &Context, published: Vec<Published>, since: Time) -> Vec<Leftover> {
    let mut left = Vec::new();
    for published in published.into_iter().rev() {
        if let Err(error) = withdraw(context, &published) {
            event!(warn, "left-behind", zone = published.zone, error = error);
            left.push(Leftover { since, published });
        }
    }
    left
}
