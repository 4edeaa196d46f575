//! The certificates that a change affects, and the order in which they share a quota. Pure.

use std::sync::Arc;

use super::secret_cache::Affected;
use super::state::ControllerState;
use super::steps::step;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::ca_limits::quota_rank;
use crate::record;
use crate::sources::CertificateSpec;

impl ControllerState {
    /// Certificates in the order in which they share a quota; without those that are not wanted.
    pub(super) fn quota_order(&self, secrets: &[ObjectRef], now: Time) -> Vec<ObjectRef> {
        let namespace = &self.context.namespace;
        let mut wanted: Vec<&ObjectRef> = secrets.iter().filter(|secret| self.is_wanted(secret)).collect();
        let records = &self.secrets.records;
        wanted.sort_by_cached_key(|secret| {
            let slot = records.get(&record::reference(secret, namespace), now);
            slot.and_then(|slot| slot.fact.as_ref()?.as_ref().ok()).map(|known| quota_rank(&known.body))
        });
        wanted.into_iter().cloned().collect()
    }

    /// The certificates that a change affects.
    pub(super) fn affected(&self, news: &Affected) -> Vec<ObjectRef> {
        match news {
            Affected::Nothing => Vec::new(),
            Affected::Cluster(cluster) => {
                let wanted = self.desired.wanted.keys().inspect(|_| step());
                wanted.filter(|secret| secret.cluster == *cluster).cloned().collect()
            }
            Affected::All => self.desired.wanted.keys().cloned().collect(),
            Affected::Object(at) => self.owner(at).into_iter().collect(),
            Affected::Content(at) => {
                let using = |(secret, wanted): (&ObjectRef, &Arc<CertificateSpec>)| {
                    step();
                    wanted.inputs().any(|used| used == at).then(|| secret.clone())
                };
                self.desired.wanted.iter().filter_map(using).chain(self.owner(at)).collect()
            }
        }
    }

    /// The certificate that a Secret or a record belongs to.
    pub(super) fn owner(&self, at: &ObjectRef) -> Option<ObjectRef> {
        let by_name = self.desired.owner_of(at);
        by_name.cloned().or_else(|| {
            let own = &self.context.namespace;
            match record::subject(at) {
                Some(secret) => self.desired.wanted.contains_key(&secret).then_some(secret),
                // A long name is a hash in that of the record.
                None if record::is_one(at) => {
                    let is_of = |secret: &&ObjectRef| {
                        step();
                        record::reference(secret, own) == *at
                    };
                    self.desired.wanted.keys().find(is_of).cloned()
                }
                None => None,
            }
        })
    }
}
