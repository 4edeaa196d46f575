//! The CertificateRevocations of Gardener, by the Certificate that each names. Pure.
//!
//! Untrusted: anybody writes one who may create one. It names a Certificate of its own namespace, unless it is in the administrators'.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::super::kept::{self, Kept};
use super::super::resource::DescribedRevocation;
use super::super::wish::ObjectKey;
use super::super::{SourceEvent, SourceRef};
use crate::base::limits::REVOCATIONS_KEPT_MAX;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::cert_manager::status::SeenResource;
use crate::gardener::GardenerRevocation;
use crate::kube::resource::Resource;
use crate::policy::revocation::RevocationRequest;

/// A CertificateRevocation as its watch showed it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GardenerRevocationFacts {
    uid: Box<str>,
    read: Result<GardenerRevocation, String>,
}

impl GardenerRevocationFacts {
    /// Reads a CertificateRevocation. `administrators` is the namespace whose objects may name all Certificates.
    pub(super) fn read(administrators: &str, source: &SourceRef, object: &Value) -> GardenerRevocationFacts {
        let read = GardenerRevocation::read(object, administrators);
        GardenerRevocationFacts { uid: source.uid().unwrap_or_default().into(), read }
    }
}

/// All CertificateRevocations.
#[derive(Debug, Default)]
pub(super) struct GardenerRevocations {
    objects: Kept<GardenerRevocationFacts>,
    /// The versions and the statuses.
    pub(super) seen: Kept<Option<SeenResource>>,
    /// The Certificate that each names, and the qualifying date, as they were noted last.
    named: BTreeMap<ObjectRef, (ObjectRef, Time)>,
    /// The objects that name a Certificate, by qualifying date: a tenant may have made thousands.
    by_certificate: BTreeMap<ObjectRef, BTreeSet<(Time, ObjectRef)>>,
    /// The Certificates about which something else is asked since they were taken last.
    changed: BTreeSet<ObjectRef>,
}

impl GardenerRevocations {
    /// Applies what the watch saw. Returns whether anything changed.
    pub(super) fn apply(&mut self, event: SourceEvent) -> bool {
        let has_changed = kept::apply_pair(&mut self.objects, &mut self.seen, event);
        for at in self.objects.take_changed() {
            if let Some((certificate, date)) = self.named.remove(&at) {
                if let Some(of) = self.by_certificate.get_mut(&certificate) {
                    of.remove(&(date, at.clone()));
                    if of.is_empty() {
                        self.by_certificate.remove(&certificate);
                    }
                }
                self.changed.insert(certificate);
            }
            if let Some(Ok(read)) = self.objects.get(&at).map(|facts| &facts.read) {
                self.named.insert(at.clone(), (read.certificate.clone(), read.before));
                self.by_certificate.entry(read.certificate.clone()).or_default().insert((read.before, at.clone()));
                self.changed.insert(read.certificate.clone());
            }
        }
        has_changed
    }

    pub(super) fn has_synced(&self) -> bool {
        self.objects.has_synced()
    }

    /// Takes the Certificates about which something else is asked.
    pub(super) fn take_changed(&mut self) -> BTreeSet<ObjectRef> {
        std::mem::take(&mut self.changed)
    }

    /// The requests about a Certificate: of many the newest, the oldest of them first.
    pub(super) fn requests(&self, certificate: &ObjectRef) -> Arc<[RevocationRequest]> {
        let of = self.by_certificate.get(certificate).into_iter().flatten();
        let newest = of.rev().take(REVOCATIONS_KEPT_MAX);
        let mut all: Vec<RevocationRequest> = newest.filter_map(|(_, at)| self.request(at)).collect();
        all.reverse();
        all.into()
    }

    fn request(&self, at: &ObjectRef) -> Option<RevocationRequest> {
        let facts = self.objects.get(at)?;
        let read = facts.read.as_ref().ok()?;
        Some(RevocationRequest { at: at.clone(), uid: facts.uid.clone(), before: read.before, renew: read.renew })
    }

    /// One of them; `None` for an object that does not exist.
    pub(super) fn described(&self, at: &ObjectRef) -> Option<DescribedRevocation> {
        let facts = self.objects.get(at)?;
        let read = match &facts.read {
            Ok(read) => read,
            Err(why) => return Some(DescribedRevocation::Refused(why.clone())),
        };
        let request = self.request(at)?;
        let is_looked_at = self.requests(&read.certificate).contains(&request);
        Some(DescribedRevocation::Asks {
            certificate: ObjectKey::of(Resource::GARDENER_CERTIFICATES, &read.certificate),
            request,
            is_looked_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn see(all: &mut GardenerRevocations, name: &str, certificate: &str, date: &str) {
        see_of(all, name, ("t", certificate), date);
    }

    fn see_of(all: &mut GardenerRevocations, name: &str, (namespace, certificate): (&str, &str), date: &str) {
        let factory = kept::parser(Resource::GARDENER_REVOCATIONS, |source, object| {
            (GardenerRevocationFacts::read("admin", source, object), SeenResource::read(object))
        });
        let metadata = json!({"namespace": "t", "name": name, "uid": format!("uid-{name}"), "creationTimestamp": date});
        let object =
            json!({"metadata": metadata, "spec": {"certificateRef": {"namespace": namespace, "name": certificate}}});
        all.apply(SourceEvent::Present((factory.0)()(&object)));
    }

    fn names(all: &GardenerRevocations, certificate: &str) -> Vec<String> {
        let requests = all.requests(&ObjectRef::new("t", certificate));
        requests.iter().map(|request| request.at.name.to_string()).collect()
    }

    #[test]
    fn each_certificate_has_its_requests_and_hears_of_each_change() {
        let (mut all, at) = (GardenerRevocations::default(), |name: &str| ObjectRef::new("t", name));
        see(&mut all, "late", "c", "2026-11-29T12:00:00Z");
        see(&mut all, "early", "c", "2026-11-28T12:00:00Z");
        assert_eq!(
            (names(&all, "c"), all.take_changed()),
            (vec!["early".to_owned(), "late".to_owned()], [at("c")].into())
        );
        see(&mut all, "late", "d", "2026-11-29T12:00:00Z");
        assert_eq!((names(&all, "c").len(), names(&all, "d").len()), (1, 1));
        assert_eq!(all.take_changed(), [at("c"), at("d")].into(), "the one that it named before hears of it, too");
        all.apply(SourceEvent::Gone(at("early")));
        assert_eq!((names(&all, "c").len(), all.take_changed()), (0, [at("c")].into()));
        assert!(all.described(&at("early")).is_none());
    }

    #[test]
    fn one_that_may_not_name_its_certificate_is_refused_and_no_request() {
        let (mut all, at) = (GardenerRevocations::default(), |name: &str| ObjectRef::new("t", name));
        see(&mut all, "r", "c", "2026-11-29T12:00:00Z");
        all.take_changed();
        see_of(&mut all, "r", ("u", "c"), "2026-11-29T12:00:00Z");
        let Some(DescribedRevocation::Refused(why)) = all.described(&at("r")) else { panic!("it is refused") };
        assert!(why.contains("a Certificate of its own namespace"), "{why}");
        let asked = all.requests(&ObjectRef::new("u", "c")).len() + all.requests(&at("c")).len();
        assert_eq!((asked, all.take_changed()), (0, [at("c")].into()));
    }

    #[test]
    fn of_many_requests_the_newest_are_looked_at() {
        let mut all = GardenerRevocations::default();
        for minute in 0..=REVOCATIONS_KEPT_MAX {
            see(&mut all, &format!("r{minute}"), "c", &format!("2026-11-29T12:{minute:02}:00Z"));
        }
        let looked_at = |name: &str| match all.described(&ObjectRef::new("t", name)) {
            Some(DescribedRevocation::Asks { is_looked_at, .. }) => is_looked_at,
            other => panic!("{other:?}"),
        };
        assert_eq!((names(&all, "c").len(), looked_at("r0"), looked_at("r1")), (REVOCATIONS_KEPT_MAX, false, true));
    }
}
