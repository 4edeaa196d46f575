//! A CertificateRevocation of `cert.gardener.cloud/v1alpha1`. Pure.

use serde_json::Value;

use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::cert_manager::fields::{object_id, set_fields, some_text, text};

/// The fields of `spec` that are read.
const KNOWN: [&str; 3] = ["certificateRef", "qualifyingDate", "renew"];

/// A CertificateRevocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GardenerRevocation {
    /// The Certificate. Without a namespace in the reference it is in that of the object.
    pub certificate: ObjectRef,
    /// The qualifying date: a certificate that was obtained later is not revoked. At the latest, and where none is given, the creation of the
    /// object, so that one object never concerns a certificate that was obtained because of it.
    pub before: Time,
    /// True where another certificate is stored before this one is revoked.
    pub renew: bool,
    /// The fields that are set and change nothing here.
    pub without_effect: Vec<String>,
}

impl GardenerRevocation {
    /// Reads an object of the kind. `administrators` is the namespace whose objects may name Certificates of every namespace.
    ///
    /// # Errors
    /// One sentence: the fault, or that the object may not name this Certificate.
    pub fn read(object: &Value, administrators: &str) -> Result<GardenerRevocation, String> {
        let (namespace, _) = object_id(object);
        let spec = &object["spec"];
        let reference = &spec["certificateRef"];
        let name = some_text(&reference["name"]).ok_or("certificateRef names no Certificate")?;
        let elsewhere = some_text(&reference["namespace"]).filter(|at| at != namespace);
        if name.contains('/') {
            return Err(format!("certificateRef.name {name:?} has a `/` in it"));
        }
        if let Some(other) = elsewhere.as_deref().filter(|_| namespace != administrators) {
            return Err(format!(
                "certificateRef.namespace {other:?}: a CertificateRevocation names a Certificate of its own namespace; those of the namespace \
                 {administrators} (-issuer-namespace) may name others"
            ));
        }
        let within = elsewhere.as_deref().unwrap_or(namespace);
        let certificate =
            ObjectRef::parse(&name, within).map_err(|e| format!("certificateRef {within:?} {name:?} {e}"))?;
        let created = Time::parse_rfc3339(text(&object["metadata"]["creationTimestamp"]));
        let created = created.ok_or("its creationTimestamp is no time")?;
        let before = match some_text(&spec["qualifyingDate"]) {
            None => created,
            Some(date) => {
                let date = Time::parse_rfc3339(&date).ok_or_else(|| format!("qualifyingDate {date:?} is no time"))?;
                date.min(created)
            }
        };
        let others = set_fields(spec).filter(|(field, _)| !KNOWN.contains(field));
        Ok(GardenerRevocation {
            certificate,
            before,
            renew: spec["renew"] == true,
            without_effect: others.map(|(field, _)| field.to_owned()).collect(),
        })
    }
}
