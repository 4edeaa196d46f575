//! A Certificate of Gardener as a wish. Pure.
//!
//! Untrusted: anybody writes a Certificate who may create one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::SourceRef;
use super::super::hosts::{quoted, sentence};
use super::super::kept::Kept;
use super::super::resource::{IssuerOfObject, ResourceOptions};
use super::super::selection::GardenerSettings;
use super::super::wish::{ObjectKey, ObjectWishes, Wish, WishOptions, WishProblem, WishReason};
use super::issuer::GardenerIssuerFacts;
use crate::base::limits::DOMAINS_MAX;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::cert_manager::status::{StateField, StateFields};
use crate::config::fields::duration;
use crate::config::issuers::issuer_name;
use crate::config::metadata::check_label;
use crate::gardener::{GardenerCertificate, IssuerName, best};
use crate::kube::resource::Resource;
use crate::policy::revocation::RevocationRequest;

/// The cluster of an Issuer, in Gardener's words.
const CLUSTER: &str = "default";

/// The annotation with the class of an object.
pub(super) const CLASS: &str = "cert.gardener.cloud/class";

/// Tells whether an object is of a class; one that names none is of Gardener's own.
pub(super) fn is_of_class(class: &str, object: &Value) -> bool {
    let own = object["metadata"]["annotations"][CLASS].as_str().filter(|class| !class.is_empty());
    own.unwrap_or(GardenerSettings::CLASS) == class
}

/// The key of a Certificate.
pub(super) fn key(at: &ObjectRef) -> ObjectKey {
    ObjectKey::of(Resource::GARDENER_CERTIFICATES, at)
}

/// A Certificate of our class as its watch showed it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GardenerCertificateFacts {
    source: SourceRef,
    created: Option<Time>,
    /// The wish; or the sentence why there can be none.
    read: Result<Box<GardenerCertificate>, String>,
}

impl GardenerCertificateFacts {
    /// Reads a Certificate.
    pub(super) fn read(source: &SourceRef, object: &Value) -> GardenerCertificateFacts {
        let metadata = &object["metadata"];
        let read = GardenerCertificate::read(object).and_then(|certificate| match certificate.domains.len() {
            count if count > DOMAINS_MAX => Err(format!("it has {count} names, and CAs allow {DOMAINS_MAX}")),
            _ => Ok(Box::new(GardenerCertificate {
                // A Certificate fills a Secret beside it.
                secret: ObjectRef { cluster: source.object().cluster.clone(), ..certificate.secret },
                ..certificate
            })),
        });
        GardenerCertificateFacts {
            source: source.clone(),
            created: metadata["creationTimestamp"].as_str().and_then(Time::parse_rfc3339),
            read,
        }
    }

    /// The time at which the object was created.
    pub(super) fn created(&self) -> Option<Time> {
        self.created
    }

    /// The wish of a Certificate of another cluster, served by an issuer of the configuration. `hindrance` is why it is not served.
    pub(super) fn wishes_elsewhere(&self, hindrance: Option<WishProblem>) -> ObjectWishes {
        let (mut wishes, mut problems) = (Vec::new(), Vec::new());
        match &self.read {
            Err(why) => problems.push(problem(WishReason::Invalid, "spec", why)),
            Ok(certificate) => {
                let notes = notes(certificate, None);
                if !notes.is_empty() {
                    problems.push(problem(WishReason::Skipped, "spec", &notes.join("; ")));
                }
                let served = hindrance.map_or(Ok(()), Err).and_then(|()| configured_issuer(certificate));
                let served = served.and_then(|()| honoured(certificate)).map(|()| None);
                let mut wish = self.wish(certificate, served, Arc::default());
                wish.options.issuer = certificate.issuer.as_ref().map(|issuer| issuer.name.clone());
                wishes.push(wish);
            }
        }
        ObjectWishes { source: self.source.clone(), wishes, problems }
    }

    /// The fields of the status of a Certificate of another cluster that say what is wanted. No field names an issuer: Gardener's form would say
    /// where at home it is.
    pub(super) fn status_fields_elsewhere(&self) -> StateFields {
        self.read.as_ref().map(|certificate| names_of(certificate)).unwrap_or_default()
    }

    /// The wish, served by the Issuers as they are now.
    pub(super) fn wishes(
        &self,
        issuers: &Kept<GardenerIssuerFacts>,
        settings: &GardenerSettings,
        revocations: Arc<[RevocationRequest]>,
    ) -> ObjectWishes {
        let (mut wishes, mut problems) = (Vec::new(), Vec::new());
        match &self.read {
            Err(why) => problems.push(problem(WishReason::Invalid, "spec", why)),
            Ok(certificate) => {
                let issuer = issuer_of(certificate, issuers, settings);
                let notes = notes(certificate, issuer.as_ref().ok().map(|(_, facts)| *facts));
                if !notes.is_empty() {
                    problems.push(problem(WishReason::Skipped, "spec", &notes.join("; ")));
                }
                let served = issuer.and_then(|(at, facts)| served(certificate, at, facts));
                wishes.push(self.wish(certificate, served.map(Some), revocations));
            }
        }
        ObjectWishes { source: self.source.clone(), wishes, problems }
    }

    /// The fields of the status that say what is wanted, and of which Issuer.
    pub(super) fn status_fields(
        &self,
        issuers: &Kept<GardenerIssuerFacts>,
        settings: &GardenerSettings,
    ) -> StateFields {
        let Ok(certificate) = &self.read else { return StateFields::new() };
        let (namespace, name) = match (&certificate.issuer, issuer_of(certificate, issuers, settings)) {
            (Some(IssuerName { namespace: Some(namespace), name }), _) => (&**namespace, &**name),
            (Some(IssuerName { namespace: None, name }), _) => (&*settings.issuer_namespace, &**name),
            (None, Ok((at, _))) => (&*at.namespace, &*at.name),
            (None, Err(_)) => (&*settings.issuer_namespace, &*settings.default_issuer),
        };
        let issuer = json!({"cluster": CLUSTER, "namespace": namespace, "name": name});
        let mut fields = names_of(certificate);
        fields.insert("issuerRef", StateField::Is(issuer));
        fields
    }

    fn wish(
        &self,
        certificate: &GardenerCertificate,
        issuer: Result<Option<IssuerOfObject>, WishProblem>,
        revocations: Arc<[RevocationRequest]>,
    ) -> Wish {
        let resource = ResourceOptions {
            created: self.created,
            issuer,
            renew_before_percent: None,
            renewal: certificate.renewal.clone(),
            csr: certificate.csr.clone(),
            reuse_key: false,
            keep_key_type: certificate.key_type.is_none() && certificate.csr.is_none(),
            revocations,
        };
        let labels = certificate.secret_labels.iter().filter(|(key, value)| check_label(key, value).is_ok());
        let options = WishOptions {
            key_type: certificate.key_type,
            preferred_chain: certificate.preferred_chain.clone().filter(|chain| chain.len() <= 256),
            renew_before: certificate.renew_before.as_deref().and_then(|text| duration(text).ok()),
            labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
            resource: Some(Arc::new(resource)),
            ..WishOptions::default()
        };
        Wish::of_resource(&certificate.secret, &certificate.domains, options)
    }
}

/// The fields of the status that say what is wanted.
fn names_of(certificate: &GardenerCertificate) -> StateFields {
    let is = |value: Option<Value>| value.map_or(StateField::Absent, StateField::Is);
    let other_names = Some(&certificate.dns_names).filter(|names| !names.is_empty());
    StateFields::from([
        ("commonName", is(certificate.common_name.as_ref().map(|name| json!(name)))),
        ("dnsNames", is(other_names.map(|names| json!(names)))),
    ])
}

/// Checks that a Certificate of another cluster names an issuer as the key `issuers` has it, or none.
///
/// # Errors
/// The field with the namespace or the name that can not be.
fn configured_issuer(certificate: &GardenerCertificate) -> Result<(), WishProblem> {
    let refused = |text: String| problem(WishReason::Refused, "spec.issuerRef", &text);
    match &certificate.issuer {
        Some(IssuerName { namespace: Some(namespace), .. }) => Err(refused(format!(
            "its namespace {} is refused: a Certificate of this cluster names an issuer of notariat's key `issuers`, by its name alone",
            quoted(namespace)
        ))),
        Some(IssuerName { namespace: None, name }) => {
            issuer_name(name).map(drop).map_err(|e| refused(format!("the issuer {} {e}", quoted(name))))
        }
        None => Ok(()),
    }
}

fn problem(reason: WishReason, place: &str, text: &str) -> WishProblem {
    WishProblem { reason, place: place.to_owned(), sentence: sentence(text) }
}

/// The Issuer that the Certificate names, else the best one for its names, else the default one.
///
/// # Errors
/// Why there is none.
fn issuer_of<'i>(
    certificate: &GardenerCertificate,
    issuers: &'i Kept<GardenerIssuerFacts>,
    settings: &GardenerSettings,
) -> Result<(&'i ObjectRef, &'i GardenerIssuerFacts), WishProblem> {
    let own = &settings.issuer_namespace;
    let found = |name: &str| issuers.get_key_value(&ObjectRef::new(own, name)).map(|(at, facts)| (at, &**facts));
    match &certificate.issuer {
        Some(IssuerName { namespace: Some(namespace), name }) if namespace != own => Err(problem(
            WishReason::Refused,
            "spec.issuerRef",
            &format!(
                "the Issuer {} of the namespace {} is not served: Issuers are those of the namespace {own} (-issuer-namespace)",
                quoted(name),
                quoted(namespace)
            ),
        )),
        Some(IssuerName { name, .. }) => found(name).ok_or_else(|| {
            problem(
                WishReason::Waiting,
                "spec.issuerRef",
                &format!("the Issuer {} does not exist in the namespace {own}; the certificate is ordered as soon as it does", quoted(name)),
            )
        }),
        None => {
            let ranges = issuers.iter().filter_map(|(at, facts)| Some((at, &facts.served.as_ref().ok()?.issuer.domains)));
            let best = best(ranges, &certificate.domains).and_then(|at| found(&at.name));
            best.or_else(|| found(&settings.default_issuer)).ok_or_else(|| {
                problem(
                    WishReason::Waiting,
                    "spec",
                    &format!(
                        "it names no Issuer, no Issuer of the namespace {own} has ranges for all of its names, and there is none with the name {} \
                         (-default-issuer)",
                        settings.default_issuer
                    ),
                )
            })
        }
    }
}

/// The issuer, where everything that the Certificate asks for can be had of it.
///
/// # Errors
/// Why nothing can be ordered.
fn served(
    certificate: &GardenerCertificate,
    at: &ObjectRef,
    facts: &GardenerIssuerFacts,
) -> Result<IssuerOfObject, WishProblem> {
    let issuer = facts
        .served
        .as_ref()
        .map_err(|why| problem(WishReason::Waiting, "spec.issuerRef", &format!("the Issuer {} {why}", at.name)))?;
    honoured(certificate).map(|()| IssuerOfObject { issuer: issuer.clone(), zones: None })
}

/// Checks that everything can be honoured that the Certificate asks for.
///
/// # Errors
/// The fields that can not.
fn honoured(certificate: &GardenerCertificate) -> Result<(), WishProblem> {
    let faults = certificate.secret_labels.iter().filter_map(|(key, value)| {
        check_label(key, value).err().map(|e| format!("secretLabels: {}: {e}", quoted(key)))
    });
    let faults: Vec<String> = certificate.refused.iter().cloned().chain(faults).collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(problem(WishReason::Refused, "spec", &faults.join("; "))),
    }
}

/// Sentences about fields that change nothing, each said once.
fn notes(certificate: &GardenerCertificate, issuer: Option<&GardenerIssuerFacts>) -> Vec<String> {
    let mut all = certificate.without_effect.clone();
    if let Some(text) = &certificate.renew_before
        && let Err(e) = duration(text)
    {
        all.push(format!("renewBefore {} {e}: the usual time counts", quoted(text)));
    }
    all.extend(issuer.into_iter().flat_map(|facts| &facts.notes).map(|said| format!("of its Issuer {said}")));
    all
}
