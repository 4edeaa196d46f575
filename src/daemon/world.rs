//! What is known of the world: the ConfigMaps as last accepted, the records, what was said about each. One pass reads, decides for
//! every entry, and returns what is to be done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::Plan;
use super::queue::Queue;
use crate::cert::facts::{Facts, hex};
use crate::config::{self, Config};
use crate::decide::Orders;
use crate::decide::limits::{Made, made_lately, turn};
use crate::issue::Context;
use crate::kube::object::SecretObject;
use crate::limits::POLL_INTERVAL;
use crate::log::event;
use crate::name::ObjectRef;
use crate::record::{self, Accepted, Body, Form, Record};
use crate::secret::Secret;
use crate::sources::{Wanted, Wishes, configmap};
use crate::store::StoreError;
use crate::time::Time;
use crate::work::{Job, Task, copy_facts};

/// What is known between two passes.
#[derive(Debug)]
pub(super) struct World {
    pub(super) context: Arc<Context>,
    /// The ConfigMaps, each as last accepted; `None` until it was readable once.
    configs: BTreeMap<ObjectRef, Option<Config>>,
    pub(super) known: HashMap<ObjectRef, Known>,
    /// What was said last about each subject, and whether it was this time: it is said again only when it changes or comes back.
    said: HashMap<String, (String, bool)>,
    pub(super) tidied: HashMap<ObjectRef, Time>,
    pub(super) probing: Probing,
    /// When orders were made lately, with those that the pass under way wants, by directory.
    pub(super) made: HashMap<String, Made>,
}

/// Which zones are probed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Probing {
    /// None.
    Never,
    /// All, and nothing else is done.
    Only,
    /// Those of certificates whose turn it is.
    Daily { started: Time, last_pass: Time },
}

/// A record as it was read last.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) body: Body,
    pub(super) copy: Option<Facts>,
}

/// What a pass found.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// What is to be done.
    pub(super) queue: Queue,
    /// When something is due, at the latest.
    pub(super) wake: Option<Time>,
    /// Certificates that nobody wants any more.
    pub(super) gone: Vec<ObjectRef>,
    /// Something could not be read.
    pub(super) unknown: bool,
    /// A ConfigMap is missing or unreadable.
    pub(super) unreadable: bool,
    /// An entry was refused, or a Secret is not as it should be.
    pub(super) unsound: bool,
}

impl World {
    /// Nothing is known yet.
    pub(super) fn new(context: Arc<Context>, plan: &Plan, now: Time) -> World {
        let probing = match plan.pass {
            super::Pass::Forever => Probing::Daily { started: now, last_pass: now },
            super::Pass::Once => Probing::Never,
            super::Pass::Probe => Probing::Only,
        };
        World {
            context,
            configs: plan.config_maps.iter().map(|name| (name.clone(), None)).collect(),
            known: HashMap::new(),
            said: HashMap::new(),
            tidied: HashMap::new(),
            probing,
            made: HashMap::new(),
        }
    }

    /// Reads everything and decides. Certificates in `busy` are being worked on and left out.
    pub(super) fn pass(&mut self, now: Time, busy: &HashSet<ObjectRef>) -> Pass {
        let mut pass = Pass { wake: Some(now + POLL_INTERVAL), ..Pass::default() };
        self.read_configs(&mut pass);
        let wishes = self.wishes(&mut pass);
        if let Probing::Only = self.probing {
            for (_, wanted) in wishes.wanted.iter().filter(|(secret, _)| !busy.contains(*secret)) {
                let (task, inputs) = (Task::Probe, String::new());
                pass.queue.push(Job { wanted: wanted.clone(), task, inputs, short_lived: false });
            }
            return pass;
        }
        for secret in wishes.wanted.keys().filter(|s| !busy.contains(*s)) {
            if !self.known.contains_key(secret) {
                self.reload(secret, &mut pass);
            }
        }
        let orders = self.orders();
        self.made = made_lately(self.known.values().map(|known| &known.body), now);
        let mut keys = HashMap::new();
        let mut wanted: Vec<(&ObjectRef, &Arc<Wanted>)> =
            wishes.wanted.iter().filter(|(s, _)| !busy.contains(*s)).collect();
        wanted.sort_by_cached_key(|(s, _)| self.known.get(*s).map(|known| turn(&known.body)));
        for (secret, wanted) in wanted {
            if let Err(e) = self.judge(secret, wanted, now, &orders, &mut keys, &mut pass) {
                pass.unknown = true;
                self.say(secret.to_string(), format!("unread {e}"), || {
                    event!(warn, "unread", secret = secret, error = e)
                });
            }
        }
        if !wishes.incomplete && !pass.unreadable {
            pass.gone =
                self.known.keys().filter(|s| !wishes.wanted.contains_key(*s) && !busy.contains(*s)).cloned().collect();
        }
        if let Probing::Daily { last_pass, .. } = &mut self.probing {
            *last_pass = now;
        }
        let at_work = |subject: &String| busy.iter().any(|s| s.to_string() == *subject);
        self.said.retain(|subject, (_, this_time)| *this_time || at_work(subject));
        pass
    }

    /// Takes note of the records that are there although nothing here asked for them yet: of entries that went while we were away.
    pub(super) fn find_records(&mut self) {
        let records = match self.context.store.records(&self.context.namespace) {
            Ok(records) => records,
            // Without the permission to list, what went while we were away is not noticed; nothing else depends on it.
            Err(e) => return event!(debug, "records-not-listed", error = e),
        };
        let sources: Vec<String> = self.configs.keys().map(configmap::source).collect();
        for secret in records {
            let Ok(record) = Record::read(Some(&secret)) else {
                continue;
            };
            // Those of another instance in this namespace are not ours to miss.
            let accepted = record.body.accepted.as_ref();
            let ours = |a: &&Accepted| a.source.as_ref().is_none_or(|source| sources.contains(source));
            let accepted = accepted.filter(ours).and_then(|a| a.read(&self.context.namespace));
            if let Some(Form { entry, .. }) = accepted {
                let copy = copy_facts(record.copy.as_ref());
                self.known.insert(entry.main_secret().clone(), Known { body: record.body, copy });
            }
        }
    }

    /// Reads a record anew at the next pass: a worker has written it.
    pub(super) fn forget_record(&mut self, secret: &ObjectRef) {
        self.known.remove(secret);
    }

    fn read_configs(&mut self, pass: &mut Pass) {
        let names: Vec<ObjectRef> = self.configs.keys().cloned().collect();
        for name in names {
            let problem = match self.context.store.config_map(&name) {
                Ok(Some(data)) => match config::read(&data, &name.namespace) {
                    Ok(config) => {
                        self.configs.insert(name.clone(), Some(config));
                        self.say(format!("ConfigMap {name}"), String::new(), || {
                            event!(info, "configuration-read", config_map = name)
                        });
                        continue;
                    }
                    Err(e) => e.to_string(),
                },
                Ok(None) => "it does not exist".to_owned(),
                Err(e) => {
                    pass.unknown = true;
                    e.to_string()
                }
            };
            pass.unreadable = true;
            let in_force = match self.configs[&name] {
                Some(_) => "the last accepted one stays in force",
                None => "nothing is done for it until it can be read",
            };
            self.say(format!("ConfigMap {name}"), problem.clone(), || {
                event!(error, "configuration-unreadable", config_map = name, error = problem, consequence = in_force);
            });
        }
    }

    fn wishes(&mut self, pass: &mut Pass) -> Wishes {
        let mut wishes = Wishes::default();
        for (name, config) in &self.configs {
            match config {
                None => wishes.incomplete = true,
                Some(config) => configmap::add(&mut wishes, name, config, |secret| self.last_accepted(secret)),
            }
        }
        pass.unsound |= !wishes.refused.is_empty();
        for refused in &wishes.refused {
            self.say(format!("refused {refused}"), String::new(), || event!(error, "refused", error = refused));
        }
        for warning in &wishes.warnings {
            self.say(format!("warning {warning}"), String::new(), || event!(warn, "configuration", warning = warning));
        }
        wishes
    }

    fn last_accepted(&self, secret: &ObjectRef) -> Option<Form> {
        let namespace = &self.context.namespace;
        let read = |accepted: Option<&Accepted>| accepted.and_then(|a| a.read(namespace));
        match self.known.get(secret) {
            Some(known) => read(known.body.accepted.as_ref()),
            None => {
                let stored = self.context.store.secret(&record::reference(secret, namespace)).ok()?;
                read(Record::read(stored.as_ref()).ok()?.body.accepted.as_ref())
            }
        }
    }

    /// Reads the record of a certificate. One that can not be read is not known: nothing is done without it.
    fn reload(&mut self, secret: &ObjectRef, pass: &mut Pass) {
        let at = record::reference(secret, &self.context.namespace);
        let read = self.context.store.secret(&at).map_err(|e| e.to_string());
        let read = read.and_then(|stored| Record::read(stored.as_ref()).map_err(|e| format!("the record {at} {e}")));
        match read {
            Ok(record) => {
                let copy = copy_facts(record.copy.as_ref());
                self.known.insert(secret.clone(), Known { body: record.body, copy });
            }
            Err(e) => {
                pass.unknown = true;
                self.say(format!("record {secret}"), e.clone(), || {
                    event!(error, "record-unreadable", secret = secret, error = e)
                });
            }
        }
    }

    /// The times of counted orders by name set and directory, over all records.
    fn orders(&self) -> Orders {
        let mut orders = Orders::new();
        for history in self.known.values().flat_map(|k| &k.body.histories).filter(|h| !h.orders.is_empty()) {
            let of = orders.entry(history.directory.clone()).or_default();
            of.entry(history.names.clone()).or_default().extend(&history.orders);
        }
        orders
    }

    /// What an attempt depends on: when it changes, a wait after a failure is over. Keys, roots and bindings by a hash of their Secret's
    /// content.
    pub(super) fn inputs(
        &self,
        wanted: &Wanted,
        keys: &mut HashMap<ObjectRef, String>,
        asked: Option<&str>,
    ) -> Result<String, StoreError> {
        let mut parts = vec![wanted.accepted().fingerprint()];
        parts.extend(asked.map(str::to_owned));
        let used = wanted.entry.tsig_secret.iter().chain(wanted.zones.iter().filter_map(|z| z.tsig_secret.as_ref()));
        let issuer = wanted.issuer.as_deref().into_iter();
        let of_issuer = issuer.flat_map(|i| [&i.ca_secret, &i.eab_secret, &i.account_secret]).flatten();
        for at in used.chain(of_issuer) {
            let hash = match keys.get(at) {
                Some(hash) => hash.clone(),
                None => {
                    let secret = self.context.store.secret(at)?;
                    let hash = secret.as_ref().map_or_else(|| "none".to_owned(), content_hash);
                    keys.insert(at.clone(), hash.clone());
                    hash
                }
            };
            parts.push(format!("{at} {hash}"));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(record::fingerprint(&parts))
    }

    /// Says something about a subject when it is not what was said last.
    pub(super) fn say(&mut self, subject: String, text: String, log: impl FnOnce()) {
        if self.said.get(&subject).is_none_or(|(last, _)| *last != text) {
            log();
        }
        self.said.insert(subject, (text, true));
    }
}

/// A hash of all that a Secret holds.
fn content_hash(secret: &SecretObject) -> String {
    let hashed =
        |(key, value): (&String, &Secret<Vec<u8>>)| format!("{key} {}", hex(digest(&SHA256, value.expose()).as_ref()));
    let parts: Vec<String> = secret.data.iter().map(hashed).collect();
    record::fingerprint(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The next moment at which the world is looked at again, as a pause.
pub(super) fn pause_until(wake: Option<Time>, now: Time) -> Duration {
    let pause = wake.map_or(POLL_INTERVAL, |at| at.since(now));
    pause.clamp(Duration::from_secs(1), POLL_INTERVAL)
}
