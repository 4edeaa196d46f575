//! Reads what a daemon with the same arguments would look at, decides with the same [`decide`], and writes nothing.
//!
//! Secrets are listed by their type where that is allowed, else read one by one. A key that may not be read is taken to be unchanged.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::config_map;
use super::row::{CertificateState, CertificateStatus, NoteKind, Progress, StatusReport};
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config;
use crate::config::namespaces::Namespaces;
use crate::issuance::account::{gates_of, reference};
use crate::issuance::clients::AcmeClients;
use crate::kube::object::{SecretObject, TYPE_TLS};
use crate::policy::ca_limits::{
    OrderLog, RateLimitBlock, closed, counted, is_renewal, made_lately, out_of_quota, quota_rank,
};
use crate::policy::secret_state::SecretState;
use crate::policy::{Decision, Directory, EvaluationInput, Orders, evaluate};
use crate::record::{self, AcceptedSpec, Record, RecordData};
use crate::sources::dependencies::{self, NONE, content_hash};
use crate::sources::{CertificateSpec, Desired, configmap};
use crate::store::{Store, StoreError};
use crate::worker::backup_facts;

/// Where to look, and as whom.
#[derive(Debug)]
pub struct StatusReader {
    /// Secrets and ConfigMaps.
    pub store: Store,
    /// The directories of issuers.
    pub cas: AcmeClients,
    /// The namespaces that may be used.
    pub namespaces: Namespaces,
    /// The owner in the annotations of Secrets.
    pub instance: String,
    /// The ConfigMaps.
    pub config_maps: Vec<ObjectRef>,
}

/// A record as far as decisions look at it, or why it does not read.
type Known = Result<(RecordData, Option<Arc<CertificateFacts>>), String>;

/// Which forms are in force while a ConfigMap does not read.
const IN_FORCE: &str =
    "the last accepted one stays in force while the daemon runs; one that is started now waits until it reads";

/// What was read for all certificates.
struct ReadObjects<'v> {
    view: &'v StatusReader,
    held: HashMap<ObjectRef, SecretState>,
    records: HashMap<ObjectRef, Known>,
    gates: HashMap<ObjectRef, Vec<RateLimitBlock>>,
    orders: Orders,
    made: HashMap<SharedStr, OrderLog>,
    now: Time,
}

impl StatusReader {
    /// Reads everything and decides about each certificate.
    pub fn read(&self, now: Time) -> StatusReport {
        let (wishes, notes) = self.wishes();
        let mut read = ReadObjects {
            view: self,
            held: HashMap::new(),
            records: HashMap::new(),
            gates: HashMap::new(),
            orders: Orders::new(),
            made: HashMap::new(),
            now,
        };
        read.gather(&wishes);
        let bodies = || read.records.values().filter_map(|known| Some(&known.as_ref().ok()?.0));
        (read.orders, read.made) = (counted(bodies(), now), made_lately(bodies(), now));
        let made = read.made.clone();
        // In the order in which a quota is shared out.
        let mut wanted: Vec<&Arc<CertificateSpec>> = wishes.wanted.values().collect();
        wanted.sort_by_cached_key(|wanted| {
            let known = read.records.get(&self.record_of(wanted)).and_then(|known| known.as_ref().ok());
            known.map(|(body, _)| quota_rank(body))
        });
        let mut rows: Vec<CertificateStatus> = wanted.iter().map(|wanted| read.row(wanted)).collect();
        self.mark_parked(&mut rows, now);
        rows.extend(read.orphans(&wishes));
        rows.sort_by_cached_key(CertificateStatus::urgency);
        let of_directory = |url: &str| wishes.wanted.values().find(|w| self.cas.directory(w).url() == url);
        let per_day = |url: &str| of_directory(url)?.orders_per_day();
        let progress = Progress::of(&rows, |url| made.get(url), per_day, now);
        let notes = notes.into_iter().map(|(kind, sentence)| (kind, one_line(&sentence))).collect();
        StatusReport { rows, notes, progress }
    }

    /// Which certificates wait for a peer only the daemon knows, and says in the ConfigMap that shows the state. Where that is not there, can
    /// not be read or is old, they are shown as waiting for their turn.
    fn mark_parked(&self, rows: &mut [CertificateStatus], now: Time) {
        if !rows.iter().any(|row| row.state == CertificateState::Waiting) {
            return;
        }
        let data = self.store.config_map(&ObjectRef::new(self.namespaces.own(), config_map::NAME));
        let json = data.ok().flatten().and_then(|mut data| data.texts.remove("json"));
        let parked = json.map(|json| config_map::parked(&json, now)).unwrap_or_default();
        for row in rows.iter_mut().filter(|row| row.state == CertificateState::Waiting) {
            if let Some(parked) = row.secrets.first().and_then(|secret| parked.get(secret)) {
                (row.state, row.next_attempt, row.finding) =
                    (CertificateState::Parked, parked.until, Some(one_line(&parked.why)));
            }
        }
    }

    fn record_of(&self, wanted: &CertificateSpec) -> ObjectRef {
        record::reference(wanted.entry.main_secret(), self.namespaces.own())
    }

    /// What the ConfigMaps wish, and what is wrong with them. What is refused is looked at in its last accepted form, as it is served.
    fn wishes(&self) -> (Desired, Vec<(NoteKind, String)>) {
        let (mut wishes, mut notes) = (Desired::default(), Vec::new());
        for name in &self.config_maps {
            let read = self.store.config_map(name).map(|data| data.map(|data| config::read(&data, &self.namespaces)));
            let (kind, said) = match read {
                Ok(Some(Ok(config))) => {
                    configmap::add(&mut wishes, name, &config, |secret| {
                        let at = record::reference(secret, self.namespaces.own());
                        let stored = self.store.secret(&at).ok()?;
                        Record::read(stored.as_ref()).ok()?.body.accepted?.read(&self.namespaces)
                    });
                    continue;
                }
                Ok(Some(Err(e))) => (NoteKind::Unreadable, format!("{}: {e}", configmap::source(name))),
                Ok(None) => (NoteKind::Unreadable, format!("{}: {}", configmap::source(name), configmap::MISSING)),
                Err(e) => (NoteKind::Unknown, e.to_string()),
            };
            wishes.incomplete = true;
            let in_force = match self.add_accepted(&mut wishes, name) {
                0 => "nothing is done for it until it can be read".to_owned(),
                1 => format!("{IN_FORCE} (1 entry)"),
                many => format!("{IN_FORCE} ({many} entries)"),
            };
            notes.push((kind, format!("{said}; {in_force}")));
        }
        notes.extend(wishes.refused.iter().map(|refused| (NoteKind::Refused, refused.to_string())));
        notes.extend(wishes.warnings.iter().map(|warning| (NoteKind::Warning, warning.clone())));
        (wishes, notes)
    }

    /// Adds what the ConfigMap `name` wanted when it could be read, as the records say. Returns how many entries that are.
    fn add_accepted(&self, wishes: &mut Desired, name: &ObjectRef) -> usize {
        let source: Arc<str> = configmap::source(name).into();
        let mut forms = Vec::new();
        let listed = self.store.list(self.namespaces.own(), record::TYPE, &mut |secret| {
            let Ok(Record { body, .. }) = Record::read(Some(&secret)) else { return };
            let accepted = body.accepted.filter(|a| a.source.as_deref() == Some(&*source) && body.orphaned.is_none());
            forms.extend(accepted.and_then(|accepted| accepted.read(&self.namespaces)));
        });
        // Without the list nothing is known of them, and nothing said.
        listed.ok();
        for AcceptedSpec { entry, zones, issuer } in forms.iter().cloned() {
            let mut wanted = CertificateSpec::new(Arc::new(entry), zones.into(), issuer.map(Arc::new), source.clone());
            wanted.last_accepted = true;
            wishes.add(wanted);
        }
        forms.len()
    }
}

impl ReadObjects<'_> {
    /// Lists what can be listed; the rest is read by its name, which tells what is wrong if something is.
    fn gather(&mut self, wishes: &Desired) {
        let store = &self.view.store;
        let namespaces: BTreeSet<&str> =
            wishes.wanted.values().flat_map(|w| &w.entry.secrets).map(|at| at.namespace.as_str()).collect();
        for namespace in namespaces {
            let held = &mut self.held;
            let listed = store.list(namespace, TYPE_TLS, &mut |secret| {
                if wishes.owner_of(&secret.reference).is_some() {
                    held.insert(secret.reference.clone(), SecretState::of(Some(&secret), &self.view.instance));
                }
            });
            // What came before a fault is as good as the rest; what did not come is read when it is asked for.
            listed.ok();
        }
        let records = &mut self.records;
        let listed = store.list(self.view.namespaces.own(), record::TYPE, &mut |secret| {
            records.insert(secret.reference.clone(), known(Some(&secret)));
        });
        for wanted in wishes.wanted.values() {
            let at = self.view.record_of(wanted);
            if listed.is_err() && !self.records.contains_key(&at) {
                let read = store.secret(&at).map_err(|e| e.to_string()).and_then(|secret| known(secret.as_ref()));
                self.records.insert(at, read);
            }
        }
    }

    /// The certificates whose entry went and that are not forgotten yet. Where records can not be listed nothing is known of them.
    fn orphans(&self, wishes: &Desired) -> Vec<CertificateStatus> {
        let own = self.view.namespaces.own();
        let refused = wishes.refused.iter().filter_map(|refused| refused.secret.as_ref());
        let claimed: BTreeSet<ObjectRef> =
            refused.chain(wishes.wanted.keys()).map(|secret| record::reference(secret, own)).collect();
        let ours: Vec<String> = self.view.config_maps.iter().map(configmap::source).collect();
        let row = |(at, known): (&ObjectRef, &Known)| {
            let (body, copy) = known.as_ref().ok()?;
            let orphaned = body.orphaned.filter(|_| !claimed.contains(at))?;
            let source = body.accepted.as_ref()?.source.as_deref();
            let is_ours = source.is_none_or(|source| ours.iter().any(|own| own == source));
            is_ours.then(|| CertificateStatus::orphaned(at, orphaned, body.stored.as_ref(), copy.as_deref()))
        };
        self.records.iter().filter_map(row).collect()
    }

    /// Decides about one certificate.
    fn row(&mut self, wanted: &CertificateSpec) -> CertificateStatus {
        let directory = self.view.cas.directory(wanted);
        self.judged(wanted, &directory)
            .unwrap_or_else(|said| CertificateStatus::unknown(wanted, directory.url(), &said))
    }

    fn judged(&mut self, wanted: &CertificateSpec, directory: &Directory) -> Result<CertificateStatus, String> {
        let (view, now, entry) = (self.view, self.now, &wanted.entry);
        let held = entry.secrets.iter().map(|at| self.held(at)).collect::<Result<Vec<_>, _>>()?;
        let nothing = (RecordData::default(), None);
        let (body, copy) = match self.records.get(&view.record_of(wanted)) {
            Some(known) => known.as_ref().map_err(Clone::clone)?,
            None => &nothing,
        };
        let (body, copy) = (body.clone(), copy.clone());
        let names = entry.order_names();
        let waiting = body.histories.iter().find(|h| h.next_attempt.is_some_and(|next| next > now));
        let content = |at: &ObjectRef| {
            let secret = view.store.secret(at)?;
            Ok::<_, StoreError>(secret.as_ref().map_or_else(|| NONE.to_owned(), content_hash))
        };
        let inputs = waiting.map(|history| {
            dependencies::fingerprint(wanted, &held, content).unwrap_or_else(|_| history.inputs.clone())
        });
        let renewal = is_renewal(&held, &names, directory.url(), now);
        let gates = self.gates(reference(directory.url(), wanted, view.namespaces.own()));
        let closed = closed(gates, &names, now).cloned().or_else(|| {
            out_of_quota(self.made.get(directory.url())?, directory.url(), wanted.orders_per_day(), renewal, now)
        });
        let judgement = evaluate(&EvaluationInput {
            entry,
            secrets: &held,
            record: &body,
            copy: copy.as_deref(),
            directory,
            profile: wanted.profile(),
            inputs: inputs.as_deref().unwrap_or_default(),
            orders: &self.orders,
            closed: closed.as_ref(),
            now,
        });
        if let Decision::Issue { .. } = judgement.decision {
            self.made.entry(directory.url().into()).or_default().add(now, renewal);
        }
        Ok(CertificateStatus::of(wanted, &held, &body, directory.url(), &judgement, now))
    }

    /// What a Secret holds. One that no list shows may have another type.
    fn held(&self, at: &ObjectRef) -> Result<SecretState, String> {
        if let Some(held) = self.held.get(at) {
            return Ok(held.clone());
        }
        let secret = self.view.store.secret(at).map_err(|e| e.to_string())?;
        Ok(SecretState::of(secret.as_ref(), &self.view.instance))
    }

    /// The gates that its CA closed for an account.
    fn gates(&mut self, account: ObjectRef) -> &[RateLimitBlock] {
        let store = &self.view.store;
        self.gates.entry(account).or_insert_with_key(|at| {
            // Without it the daemon's own view is missing, and an order that waits for a gate is shown as waiting for its turn.
            store.secret(at).ok().flatten().map(|secret| gates_of(&secret)).unwrap_or_default()
        })
    }
}

fn known(secret: Option<&SecretObject>) -> Known {
    let record = Record::read(secret).map_err(|e| match secret {
        Some(secret) => format!("the record {} {e}", secret.reference),
        None => e.to_string(),
    })?;
    let mut body = record.body;
    // It is large and not looked at.
    body.accepted = body.accepted.filter(|_| body.orphaned.is_some());
    Ok((body, backup_facts(record.copy.as_ref())))
}
