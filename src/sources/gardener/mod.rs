//! The Certificates of Gardener's cert-management as a source, served by its Issuers. Pure.
//!
//! Untrusted: the Certificates. One asks for one Secret of its own namespace, which is its alone. The Issuers of one namespace, which is the
//! administrators', give CA and account; servers and keys are those of the configuration, because these objects have none.

mod certificate;
mod elsewhere;
mod issuer;
mod revocation;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::kept::{self, Kept};
use super::resource::{DescribedIssuer, DescribedRevocation};
use super::selection::GardenerSettings;
use super::wish::{ObjectKey, ObjectWishes, WishSettings};
use super::{AcceptedSpec, Desired, ParserFactory, Source, SourceEvent, SourceObject, SourceRef};
use crate::base::name::{ClusterName, ObjectRef};
use crate::cert_manager::status::{SeenResource, StateFields};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::store::Store;
use certificate::{GardenerCertificateFacts, is_of_class, key};
pub use elsewhere::GardenerElsewhere;
use issuer::GardenerIssuerFacts;
use revocation::{GardenerRevocationFacts, GardenerRevocations};

/// The Certificates and CertificateRevocations of a cluster, and the Issuers of one namespace.
#[derive(Debug)]
pub struct GardenerSource {
    targets: [WatchTarget; 3],
    settings: GardenerSettings,
    certificates: Kept<GardenerCertificateFacts>,
    issuers: Kept<GardenerIssuerFacts>,
    revocations: GardenerRevocations,
    /// The versions and the statuses of the Certificates and of the Issuers of our class.
    seen: Kept<Option<SeenResource>>,
    seen_issuers: Kept<Option<SeenResource>>,
}

impl GardenerSource {
    /// The Certificates that `selector` selects in all namespaces.
    pub fn new(selector: Selector, settings: &GardenerSettings) -> GardenerSource {
        let issuers = WatchTarget {
            resource: Resource::GARDENER_ISSUERS,
            namespace: settings.issuer_namespace.clone(),
            selector: Selector::All,
            cluster: ClusterName::HOME,
        };
        let everywhere = |resource| WatchTarget {
            resource,
            namespace: String::new(),
            selector: selector.clone(),
            cluster: ClusterName::HOME,
        };
        let [certificates, revocations] =
            [Resource::GARDENER_CERTIFICATES, Resource::GARDENER_REVOCATIONS].map(everywhere);
        GardenerSource {
            targets: [certificates, issuers, revocations],
            settings: settings.clone(),
            certificates: Kept::default(),
            issuers: Kept::default(),
            revocations: GardenerRevocations::default(),
            seen: Kept::default(),
            seen_issuers: Kept::default(),
        }
    }
}

fn issuer_key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::GARDENER_ISSUERS, at)
}

fn revocation_key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::GARDENER_REVOCATIONS, at)
}

impl Source for GardenerSource {
    fn targets(&self) -> Vec<WatchTarget> {
        self.targets.to_vec()
    }

    fn parser(&self, target: &WatchTarget) -> ParserFactory {
        let class = self.settings.class.clone();
        if target.resource == Resource::GARDENER_ISSUERS {
            return kept::parser_of(
                target.resource,
                move |object| is_of_class(&class, object),
                |_, object| (GardenerIssuerFacts::read(object), SeenResource::read(object)),
            );
        }
        if target.resource == Resource::GARDENER_REVOCATIONS {
            let administrators = self.settings.issuer_namespace.clone();
            return kept::parser_of(
                target.resource,
                move |object| is_of_class(&class, object),
                move |source, object| {
                    (GardenerRevocationFacts::read(&administrators, source, object), SeenResource::read(object))
                },
            );
        }
        kept::parser_of(
            target.resource,
            move |object| is_of_class(&class, object),
            |source, object| (GardenerCertificateFacts::read(source, object), SeenResource::read(object)),
        )
    }

    fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool {
        match target.resource {
            Resource::GARDENER_ISSUERS => kept::apply_pair(&mut self.issuers, &mut self.seen_issuers, event),
            Resource::GARDENER_REVOCATIONS => self.revocations.apply(event),
            _ => kept::apply_pair(&mut self.certificates, &mut self.seen, event),
        }
    }

    fn poll(&mut self, _: &WatchTarget, _: &Store) {}

    fn has_synced(&self) -> bool {
        self.certificates.has_synced() && self.issuers.has_synced() && self.revocations.has_synced()
    }

    fn not_ready(&self) -> Option<String> {
        None
    }

    fn objects(&self) -> Vec<SourceObject> {
        Vec::new()
    }

    fn owns(&self, source: &str) -> bool {
        SourceRef::parse(source).is_some_and(|source| source.kind() == Resource::GARDENER_CERTIFICATES.text_kind())
    }

    fn add_to(&self, _: &mut Desired, _: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {}

    fn has_wishes(&self) -> bool {
        true
    }

    fn take_changed(&mut self) -> BTreeSet<ObjectKey> {
        let mut changed = self.certificates.take_changed();
        changed.append(&mut self.revocations.take_changed());
        // An Issuer may be the best one of any Certificate.
        match self.issuers.take_changed().is_empty() {
            true => changed.iter().map(key).collect(),
            false => changed.iter().chain(self.certificates.iter().map(|(at, _)| at)).map(key).collect(),
        }
    }

    fn take_seen(&mut self) -> BTreeSet<ObjectKey> {
        let (certificates, issuers) = (self.seen.take_changed(), self.seen_issuers.take_changed());
        let revocations = self.revocations.seen.take_changed();
        let of_others = issuers.iter().map(issuer_key).chain(revocations.iter().map(revocation_key));
        certificates.iter().map(key).chain(of_others).collect()
    }

    fn all_seen(&self) -> Vec<ObjectKey> {
        let issuers = self.seen_issuers.iter().map(|(at, _)| issuer_key(at));
        let revocations = self.revocations.seen.iter().map(|(at, _)| revocation_key(at));
        self.seen.iter().map(|(at, _)| key(at)).chain(issuers).chain(revocations).collect()
    }

    fn seen(&self, object: &ObjectKey) -> Option<Arc<SeenResource>> {
        let kept = match Resource::of_kind(object.kind)? {
            Resource::GARDENER_CERTIFICATES => &self.seen,
            Resource::GARDENER_ISSUERS => &self.seen_issuers,
            Resource::GARDENER_REVOCATIONS => &self.revocations.seen,
            _ => return None,
        };
        (**kept.get(&object.at)?).clone().map(Arc::new)
    }

    fn issuer_of(&self, object: &ObjectKey) -> Option<DescribedIssuer> {
        let is_issuer = object.kind == Resource::GARDENER_ISSUERS.text_kind();
        self.issuers.get(&object.at).filter(|_| is_issuer).map(|facts| facts.described())
    }

    fn revocation_of(&self, object: &ObjectKey) -> Option<DescribedRevocation> {
        let is_one = object.kind == Resource::GARDENER_REVOCATIONS.text_kind();
        self.revocations.described(&object.at).filter(|_| is_one)
    }

    fn status_fields(&self, object: &ObjectKey) -> Option<StateFields> {
        match Resource::of_kind(object.kind)? {
            Resource::GARDENER_CERTIFICATES => {
                Some(self.certificates.get(&object.at)?.status_fields(&self.issuers, &self.settings))
            }
            Resource::GARDENER_ISSUERS => Some(self.issuers.get(&object.at)?.status_fields()),
            _ => None,
        }
    }

    fn wishing(&self) -> Vec<ObjectKey> {
        self.certificates.iter().map(|(at, _)| key(at)).collect()
    }

    fn wishes_of(&self, object: &ObjectKey, _: &WishSettings) -> Option<ObjectWishes> {
        let is_ours = object.kind == Resource::GARDENER_CERTIFICATES.text_kind();
        let facts = self.certificates.get(&object.at).filter(|_| is_ours)?;
        Some(facts.wishes(&self.issuers, &self.settings, self.revocations.requests(&object.at)))
    }
}

#[cfg(test)]
mod tests;
