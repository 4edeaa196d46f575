//! Reads what a controller with the same arguments would look at, evaluates it the same way ([`evaluate`]), and writes nothing.
//!
//! Secrets are listed by their type where that is allowed, else read one by one. A key that may not be read counts as unchanged.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::certificate::CertificateStatus;
use super::config_map;
use super::evaluate::{Facts, evaluate};
use super::report::{NoteKind, Progress, StatusReport};
use super::state::CertificateState;
use crate::base::name::{ClusterName, Domain, ObjectRef};
use crate::base::sanitize::one_line;
use crate::base::time::Time;
use crate::cert::facts::CertificateFacts;
use crate::config::namespaces::Namespaces;
use crate::issuance::account::{gates_of, reference};
use crate::issuance::clients::AcmeClients;
use crate::kube::object::{SecretObject, TYPE_TLS};
use crate::policy::Directory;
use crate::policy::ca_limits::{RateLimitBlock, closed, quota_rank};
use crate::policy::order_index::OrderIndex;
use crate::policy::secret_state::SecretState;
use crate::record::{self, AcceptedSpec, Record, RecordData};
use crate::sources::dependencies::{self, NONE, content_hash};
use crate::sources::{CertificateSpec, Desired, Source, SourceProblem, SourceRef, registry};
use crate::store::{DataKeys, Store, StoreError};
use crate::worker::backup_facts;

/// The objects to read, and the identity to evaluate them as.
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
    /// True if Secrets are deleted that no object wants any more.
    pub prunes: bool,
    /// The data keys of some Secrets.
    pub secret_keys: Option<DataKeys>,
}

/// A record with the facts of its copy, or why it is unusable.
type ReadRecord = Result<(RecordData, Option<Arc<CertificateFacts>>), String>;

/// The entries that stay in force while a ConfigMap is unreadable.
const IN_FORCE: &str =
    "the last accepted one stays in force while the daemon runs; one that is started now waits until it reads";

/// The objects of all certificates.
struct ReadObjects<'v> {
    view: &'v StatusReader,
    held: HashMap<ObjectRef, SecretState>,
    records: HashMap<ObjectRef, ReadRecord>,
    gates: HashMap<ObjectRef, Vec<RateLimitBlock>>,
    orders: OrderIndex,
    /// The record of a certificate that has none.
    no_record: RecordData,
    now: Time,
}

impl StatusReader {
    /// Reads everything and evaluates each certificate.
    pub fn read(&self, now: Time) -> StatusReport {
        let mut sources = registry::all(&self.config_maps, &self.namespaces);
        let (desired, notes) = self.desired(&mut sources);
        let mut read = ReadObjects {
            view: self,
            held: HashMap::new(),
            records: HashMap::new(),
            gates: HashMap::new(),
            orders: OrderIndex::default(),
            no_record: RecordData::default(),
            now,
        };
        read.gather(&desired);
        for (body, _) in read.records.values().flatten() {
            read.orders.add(body, now);
        }
        let made = read.orders.clone();
        // A quota is shared out in this order.
        let mut wanted: Vec<&Arc<CertificateSpec>> = desired.wanted.values().collect();
        wanted.sort_by_cached_key(|wanted| {
            let known =
                read.records.get(&self.record_of(wanted.entry.main_secret())).and_then(|known| known.as_ref().ok());
            known.map(|(body, _)| quota_rank(body))
        });
        let mut rows: Vec<CertificateStatus> = wanted.iter().map(|wanted| read.row(wanted)).collect();
        self.mark_parked(&mut rows, now);
        rows.extend(read.orphans(&desired, &sources));
        rows.sort_by_cached_key(CertificateStatus::urgency);
        let rows: Vec<Arc<CertificateStatus>> = rows.into_iter().map(Arc::new).collect();
        let of_directory = |url: &str| desired.wanted.values().find(|w| self.cas.directory(w).url() == url);
        let per_day = |url: &str| of_directory(url)?.orders_per_day();
        let progress = Progress::of(&rows, |url| made.log(url), per_day, now);
        let notes = notes.into_iter().map(|(kind, sentence)| (kind, one_line(&sentence))).collect();
        StatusReport { rows, notes, progress }
    }

    /// Marks the certificates that wait for a peer. Only the running controller knows them and writes them into the status ConfigMap; where
    /// that is missing, unreadable or old, they stay "Waiting".
    fn mark_parked(&self, rows: &mut [CertificateStatus], now: Time) {
        if !rows.iter().any(|row| row.state == CertificateState::Waiting) {
            return;
        }
        let data = self.store.config_map(&ObjectRef::new(self.namespaces.own(), config_map::NAME));
        let json = data.ok().flatten().and_then(|mut data| data.texts.remove("json"));
        let parked = json.map(|json| config_map::parked(&json, now)).unwrap_or_default();
        for row in rows.iter_mut().filter(|row| row.state == CertificateState::Waiting) {
            if let Some(parked) = parked.get(&row.secrets()[0]) {
                (row.state, row.next_attempt, row.finding) =
                    (CertificateState::Parked, parked.until, Some(one_line(&parked.why).into()));
            }
        }
    }

    fn record_of(&self, secret: &ObjectRef) -> ObjectRef {
        record::reference(secret, self.namespaces.own())
    }

    /// The certificates that the sources want, and their problems. A refused entry counts in its last accepted form, as the controller serves
    /// it.
    fn desired(&self, sources: &mut [Box<dyn Source>]) -> (Desired, Vec<(NoteKind, String)>) {
        let (mut desired, mut notes) = (Desired::default(), Vec::new());
        let last_accepted = |secret: &ObjectRef| {
            let stored = self.store.secret(&self.record_of(secret)).ok()?;
            Record::read(stored.as_ref()).ok()?.body.accepted?.read(&self.namespaces)
        };
        for source in sources {
            for target in source.targets() {
                source.poll(&target, &self.store);
            }
            source.add_to(&mut desired, &last_accepted);
            for object in source.objects() {
                let Some(SourceProblem { sentence, unread, .. }) = object.problem else { continue };
                let (kind, said) = match unread {
                    true => (NoteKind::Unknown, sentence),
                    false => (NoteKind::Unreadable, format!("{}: {sentence}", object.source)),
                };
                let in_force = match self.add_accepted(&mut desired, &object.source) {
                    0 => "nothing is done for it until it can be read".to_owned(),
                    1 => format!("{IN_FORCE} (1 entry)"),
                    many => format!("{IN_FORCE} ({many} entries)"),
                };
                notes.push((kind, format!("{said}; {in_force}")));
            }
        }
        self.add_of_objects(&mut desired);
        notes.extend(desired.refused.iter().map(|refused| (NoteKind::Refused, refused.to_string())));
        notes.extend(desired.warnings.iter().map(|warning| (NoteKind::Warning, warning.clone())));
        (desired, notes)
    }

    /// Adds the certificates that objects of the cluster want, as the records say: whoever asks for the status may not read the objects. The
    /// record names the first object.
    fn add_of_objects(&self, desired: &mut Desired) {
        let mut found = Vec::new();
        let listed = self.store.list(self.namespaces.own(), record::TYPE, &mut |secret| {
            let Ok(Record { body, .. }) = Record::read(Some(&secret)) else { return };
            let Some(accepted) = body.accepted.filter(|_| body.orphaned.is_none()) else { return };
            let Some(source) = accepted.source.as_deref().and_then(SourceRef::parse) else { return };
            let Some(object) = source.object_key() else { return };
            found.extend(accepted.read(&self.namespaces).map(|form| (form, source, object)));
        });
        // Without the list nothing is known of these certificates.
        listed.ok();
        for (AcceptedSpec { entry, zones, issuer }, source, object) in found {
            let secret = entry.main_secret().clone();
            let wanted = CertificateSpec::new(Arc::new(entry), zones.into(), issuer.map(Arc::new), source);
            let wanted = wanted.of_objects(vec![object]).stored_by(self.secret_keys.as_ref());
            desired.put_of_objects(&secret, Some(wanted));
        }
    }

    /// Adds what a source object wanted when it was readable, as the records say. Returns the number of entries.
    fn add_accepted(&self, desired: &mut Desired, source: &SourceRef) -> usize {
        let mut forms = Vec::new();
        let listed = self.store.list(self.namespaces.own(), record::TYPE, &mut |secret| {
            let Ok(Record { body, .. }) = Record::read(Some(&secret)) else { return };
            let accepted = body.accepted.filter(|a| a.source.as_deref() == Some(source) && body.orphaned.is_none());
            forms.extend(accepted.and_then(|accepted| accepted.read(&self.namespaces)));
        });
        // Without the list nothing is known of these entries.
        listed.ok();
        for AcceptedSpec { entry, zones, issuer } in forms.iter().cloned() {
            let mut wanted = CertificateSpec::new(Arc::new(entry), zones.into(), issuer.map(Arc::new), source.clone());
            wanted.last_accepted = true;
            desired.add(wanted);
        }
        forms.len()
    }
}

impl ReadObjects<'_> {
    /// Lists what can be listed; the rest is read by name later, and that read reports the error.
    fn gather(&mut self, desired: &Desired) {
        let store = &self.view.store;
        let places: BTreeSet<(&ClusterName, &str)> = desired
            .wanted
            .values()
            .flat_map(|w| &w.entry.secrets)
            .map(|at| (&at.cluster, at.namespace.as_str()))
            .collect();
        for (cluster, namespace) in places {
            let held = &mut self.held;
            let listed = store.list_in(cluster, namespace, TYPE_TLS, &mut |secret| {
                if desired.owner_of(&secret.reference).is_some() {
                    held.insert(secret.reference.clone(), SecretState::of(Some(&secret), &self.view.instance));
                }
            });
            // Secrets that a failed list did not deliver are read one by one.
            listed.ok();
        }
        let records = &mut self.records;
        let listed = store.list(self.view.namespaces.own(), record::TYPE, &mut |secret| {
            records.insert(secret.reference.clone(), known(Some(&secret)));
        });
        for wanted in desired.wanted.values() {
            let at = self.view.record_of(wanted.entry.main_secret());
            if listed.is_err() && !self.records.contains_key(&at) {
                let read = store.secret(&at).map_err(|e| e.to_string()).and_then(|secret| known(secret.as_ref()));
                self.records.insert(at, read);
            }
        }
    }

    /// The certificates whose entry went and whose record is not emptied yet; none where records cannot be listed.
    fn orphans(&self, desired: &Desired, sources: &[Box<dyn Source>]) -> Vec<CertificateStatus> {
        let own = self.view.namespaces.own();
        let refused = desired.refused.iter().filter_map(|refused| refused.secret.as_ref());
        let claimed: BTreeSet<ObjectRef> =
            refused.chain(desired.wanted.keys()).map(|secret| record::reference(secret, own)).collect();
        let row = |(at, known): (&ObjectRef, &ReadRecord)| {
            let (body, copy) = known.as_ref().ok()?;
            let orphaned = body.orphaned.filter(|_| !claimed.contains(at))?;
            let source = body.accepted.as_ref()?.source.as_deref();
            let is_ours = source.is_none_or(|source| sources.iter().any(|own| own.owns(source)));
            // Whoever asks for the status may not read the objects.
            let is_of_object = source.and_then(SourceRef::parse).is_some_and(|source| source.object_key().is_some());
            let prunes = self.view.prunes && is_of_object;
            let status = || CertificateStatus::orphaned(at, orphaned, body.stored.as_ref(), copy.as_deref(), prunes);
            (is_ours || is_of_object).then(status)
        };
        self.records.iter().filter_map(row).collect()
    }

    /// Evaluates one certificate. An order that it is to make counts for the next ones.
    fn row(&mut self, wanted: &Arc<CertificateSpec>) -> CertificateStatus {
        match evaluate(self, wanted, self.now) {
            Ok(evaluated) => {
                if let Some(order) = &evaluated.order {
                    self.orders.reserve(order);
                }
                evaluated.status
            }
            Err(error) => CertificateStatus::unknown(wanted, self.view.cas.directory(wanted).url(), &error),
        }
    }
}

impl Facts for ReadObjects<'_> {
    fn secret(&mut self, at: &ObjectRef) -> Result<SecretState, String> {
        if let Some(held) = self.held.get(at) {
            return Ok(held.clone());
        }
        // A Secret of another type stands in no list.
        let secret = self.view.store.secret(at).map_err(|e| e.to_string())?;
        Ok(SecretState::of(secret.as_ref(), &self.view.instance))
    }

    fn read_record(&mut self, secret: &ObjectRef) -> Result<(), String> {
        match self.records.get(&self.view.record_of(secret)) {
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    fn record(&self, secret: &ObjectRef) -> (&RecordData, Option<&CertificateFacts>) {
        match self.records.get(&self.view.record_of(secret)) {
            Some(Ok((body, copy))) => (body, copy.as_deref()),
            Some(Err(_)) | None => (&self.no_record, None),
        }
    }

    fn dependencies(&mut self, wanted: &CertificateSpec, held: &[SecretState]) -> Result<String, String> {
        let content = |at: &ObjectRef| {
            let secret = self.view.store.secret(at)?;
            Ok::<_, StoreError>(secret.as_ref().map_or_else(|| NONE.to_owned(), content_hash))
        };
        let waiting = |body: &RecordData| {
            body.histories.iter().find(|h| h.next_attempt.is_some_and(|next| next > self.now)).map(|h| h.inputs.clone())
        };
        let (body, _) = self.record(wanted.entry.main_secret());
        let unchanged = || waiting(body).unwrap_or_default();
        Ok(dependencies::fingerprint(wanted, held, body.asked.as_deref(), content).unwrap_or_else(|_| unchanged()))
    }

    fn directory(&self, wanted: &CertificateSpec) -> Directory {
        self.view.cas.directory(wanted)
    }

    fn rate_limit(&mut self, wanted: &CertificateSpec, directory: &str, names: &[Domain]) -> Option<RateLimitBlock> {
        let (store, account) = (&self.view.store, reference(directory, wanted, self.view.namespaces.own()));
        let gates = self.gates.entry(account).or_insert_with_key(|at| {
            // Without the account's Secret an order that waits for a limit is shown as waiting for its turn.
            store.secret(at).ok().flatten().map(|secret| gates_of(&secret)).unwrap_or_default()
        });
        closed(gates, names, self.now).cloned()
    }

    fn orders(&self) -> &OrderIndex {
        &self.orders
    }
}

fn known(secret: Option<&SecretObject>) -> ReadRecord {
    let record = Record::read(secret).map_err(|e| match secret {
        Some(secret) => format!("the record {} {e}", secret.reference),
        None => e.to_string(),
    })?;
    let mut body = record.body;
    // The accepted form is large; only orphaned records need its source.
    body.accepted = body.accepted.filter(|_| body.orphaned.is_some());
    let copy = backup_facts(record.copy.as_ref(), body.stored.as_ref());
    Ok((body, copy))
}
