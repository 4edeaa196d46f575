//! cert-manager's Certificates as a source, served by its Issuers and ClusterIssuers. Pure.
//!
//! Untrusted: the objects. A Certificate asks for one Secret of its own namespace, which is its alone. The issuers give the CA, the account,
//! and a server and a key for each name; a change of an issuer is a change of each Certificate that names it.

pub mod certificate;
pub mod issuer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::kept::{self, Kept};
use super::resource::DescribedIssuer;
use super::wish::{ObjectKey, ObjectWishes, WishSettings};
use super::{AcceptedSpec, Desired, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use crate::base::name::{ClusterName, ObjectRef};
use crate::cert_manager::status::SeenResource;
use crate::cert_manager::{CertManagerIssuer, IssuerKind};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::store::Store;
use certificate::{CertificateObject, IssuerKey, SharedSettings};
use issuer::IssuerFacts;

/// The Certificates of a cluster, and the issuers that they name.
#[derive(Debug)]
pub struct CertManagerSource {
    targets: [WatchTarget; 3],
    /// The namespace of the Secrets of ClusterIssuers.
    cluster_resources: String,
    /// The Certificates, with their versions and their statuses, which change nothing of what is wanted.
    certificates: Kept<SeenCertificate>,
    issuers: BTreeMap<IssuerKind, Kept<IssuerFacts>>,
    /// The versions and the statuses of the issuers.
    seen_issuers: BTreeMap<IssuerKind, Kept<Option<SeenResource>>>,
}

/// A Certificate, and its version and status. One value: there may be 10,000.
type SeenCertificate = (CertificateObject, Option<Arc<SeenResource>>);

/// Takes over the version and the status. The wanted certificate shares the reference to the Certificate, and with it the uid.
fn take_over(own: &mut SeenCertificate, new: SeenCertificate) -> Result<(), SeenCertificate> {
    if own.0 != new.0 {
        return Err(new);
    }
    own.1 = new.1.map(|seen| with_uid_of(&own.0.source, Arc::unwrap_or_clone(seen)));
    Ok(())
}

/// The version and the status of an object, with the uid where the reference to it has that.
fn with_uid_of(source: &SourceRef, mut seen: SeenResource) -> Arc<SeenResource> {
    seen.version.uid = source.shared_uid().filter(|uid| **uid == seen.version.uid).unwrap_or(&seen.version.uid).clone();
    Arc::new(seen)
}

impl CertManagerSource {
    /// The Certificates that `selector` selects in all namespaces.
    pub fn new(selector: Selector, cluster_resources: &str) -> CertManagerSource {
        let target = |resource, selector| WatchTarget {
            resource,
            namespace: String::new(),
            selector,
            cluster: ClusterName::HOME,
        };
        let all = [IssuerKind::Issuer, IssuerKind::ClusterIssuer];
        CertManagerSource {
            targets: [
                target(Resource::CERTIFICATES, selector),
                target(Resource::ISSUERS, Selector::All),
                target(Resource::CLUSTER_ISSUERS, Selector::All),
            ],
            cluster_resources: cluster_resources.to_owned(),
            certificates: Kept::with_part(take_over),
            issuers: all.into_iter().map(|kind| (kind, Kept::default())).collect(),
            seen_issuers: all.into_iter().map(|kind| (kind, Kept::default())).collect(),
        }
    }

    fn issuer(&self, (kind, at): &IssuerKey) -> Option<&IssuerFacts> {
        self.issuers[kind].get(at).map(|facts| &**facts)
    }
}

fn key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::CERTIFICATES, at)
}

impl Source for CertManagerSource {
    fn targets(&self) -> Vec<WatchTarget> {
        self.targets.to_vec()
    }

    fn parser(&self, target: &WatchTarget) -> ParserFactory {
        if target.resource == Resource::CERTIFICATES {
            // The lock is the thread's of the watch alone.
            let before = Mutex::new(Arc::<SharedSettings>::default());
            return kept::parser(target.resource, move |source, object| {
                let seen = SeenResource::read(object).map(|seen| with_uid_of(source, seen));
                let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
                (CertificateObject::read(source, object).sharing(&mut before), seen)
            });
        }
        let (kind, cluster_resources) = (target.resource.kind, self.cluster_resources.clone());
        kept::parser(target.resource, move |_, object| {
            let seen = SeenResource::read(object);
            // Items of a list do not say their kind.
            let mut object = object.clone();
            object["kind"] = kind.into();
            let facts = CertManagerIssuer::read(&object).map_or_else(
                || IssuerFacts { served: Err(issuer::NotServed::NotAcme) },
                |read| IssuerFacts::read(&read, &cluster_resources),
            );
            (facts, seen)
        })
    }

    fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool {
        let kind = IssuerKind::parse(target.resource.kind);
        let of_kind = kind.and_then(|kind| self.issuers.get_mut(&kind).zip(self.seen_issuers.get_mut(&kind)));
        match of_kind {
            Some((issuers, seen)) => kept::apply_pair(issuers, seen, event),
            None => self.certificates.apply(event),
        }
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {}

    fn has_synced(&self) -> bool {
        self.certificates.has_synced() && self.issuers.values().all(Kept::has_synced)
    }

    fn not_ready(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    fn owns(&self, source: &str) -> bool {
        SourceRef::parse(source).is_some_and(|source| source.kind() == Resource::CERTIFICATES.kind)
    }

    fn add_to(&self, _: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {}

    fn has_wishes(&self) -> bool {
        true
    }

    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        let mut changed: BTreeSet<ObjectKey> = self.certificates.take_changed().iter().map(key).collect();
        let of_kind = |(kind, issuers): (&IssuerKind, &mut Kept<IssuerFacts>)| -> Vec<IssuerKey> {
            issuers.take_changed().into_iter().map(|at| (*kind, at)).collect()
        };
        let issuers: BTreeSet<IssuerKey> = self.issuers.iter_mut().flat_map(of_kind).collect();
        if !issuers.is_empty() {
            let names = |(facts, _): &SeenCertificate| facts.issuer().is_some_and(|issuer| issuers.contains(issuer));
            changed.extend(self.certificates.iter().filter(|(_, facts)| names(facts)).map(|(at, _)| key(at)));
        }
        changed
    }

    fn take_seen(&mut self) -> BTreeSet<ObjectKey> {
        let mut changed: BTreeSet<ObjectKey> = self.certificates.take_touched().iter().map(key).collect();
        for (kind, seen) in &mut self.seen_issuers {
            changed.extend(seen.take_changed().into_iter().map(|at| ObjectKey { kind: kind.name(), at }));
        }
        changed
    }

    fn all_seen(&self) -> Vec<ObjectKey> {
        let of_kind = |(kind, seen): (&IssuerKind, &Kept<Option<SeenResource>>)| -> Vec<ObjectKey> {
            seen.iter().map(|(at, _)| ObjectKey { kind: kind.name(), at: at.clone() }).collect()
        };
        self.certificates.iter().map(|(at, _)| key(at)).chain(self.seen_issuers.iter().flat_map(of_kind)).collect()
    }

    fn seen(&self, object: &ObjectKey) -> Option<Arc<SeenResource>> {
        match IssuerKind::parse(object.kind) {
            Some(kind) => (**self.seen_issuers.get(&kind)?.get(&object.at)?).clone().map(Arc::new),
            None if object.kind == Resource::CERTIFICATES.kind => self.certificates.get(&object.at)?.1.clone(),
            None => None,
        }
    }

    fn issuer_of(&self, object: &ObjectKey) -> Option<DescribedIssuer> {
        let facts = self.issuer(&(IssuerKind::parse(object.kind)?, object.at.clone()))?;
        facts.described()
    }

    fn wishing(&self) -> Vec<ObjectKey> {
        self.certificates.iter().map(|(at, _)| key(at)).collect()
    }

    fn wishes_of(&self, object: &ObjectKey, settings: &WishSettings) -> Option<ObjectWishes> {
        let (facts, _) = &**self.certificates.get(&object.at).filter(|_| object.kind == Resource::CERTIFICATES.kind)?;
        let issuer = facts.issuer().and_then(|key| self.issuer(key));
        Some(facts.wishes(issuer, settings.listens_for_challenges))
    }
}

#[cfg(test)]
mod tests;
