//! The status of a CertificateRevocation of Gardener, by the record of the certificate that it is about. Pure.

use serde_json::{Value, json};

use crate::base::name::ObjectRef;
use crate::cert_manager::status::{StateField, StateFields, StateVerdict};
use crate::policy::revocation::RevocationState;
use crate::record::ObjectRevocation;

/// The state while something is left to do.
const PENDING: &str = "Pending";
/// The state after the CA revoked the certificate.
const APPLIED: &str = "Applied";
/// The state of an object of which nothing comes.
const ERROR: &str = "Error";

/// The certificate that a CertificateRevocation is about, as it is known now.
#[derive(Clone, Copy, Debug)]
pub struct RevokedCertificate<'c> {
    /// The Certificate.
    pub object: &'c ObjectRef,
    /// The Secret.
    pub secret: &'c ObjectRef,
    /// The serial number of the certificate in the Secret.
    pub serial: Option<&'c str>,
    /// The reason why the certificate is not as it should be, in words.
    pub finding: Option<&'c str>,
}

/// The verdict on an object that asks for nothing that may be done.
pub fn refused(generation: i64, why: &str) -> StateVerdict {
    verdict(generation, ERROR, why.to_owned(), [("objects", None), ("secrets", None)], None)
}

/// The verdict on an object whose request has this state. `renew` is that of the object.
pub fn of_request(
    generation: i64,
    renew: bool,
    state: &RevocationState<'_>,
    certificate: RevokedCertificate<'_>,
) -> StateVerdict {
    let RevokedCertificate { object, secret, serial, finding } = certificate;
    let objects = |list: &str| Some(json!({list: [{"namespace": &*object.namespace, "name": &*object.name}]}));
    let secrets = |list: &str, serial: &str| {
        let certificate = json!({"namespace": &*secret.namespace, "name": &*secret.name, "serialNumber": serial});
        Some(json!({list: [certificate]}))
    };
    let waits = |serial: &str| {
        let begins = if renew {
            "the certificate is being renewed, and the old one is revoked then"
        } else {
            "the certificate is being revoked"
        };
        let why = finding.filter(|_| renew).map(|why| format!(": {why}")).unwrap_or_default();
        let lists = [("objects", objects("processing")), ("secrets", secrets("processing", serial))];
        verdict(generation, PENDING, format!("{begins}{why}"), lists, None)
    };
    let begun = match state {
        RevocationState::Nothing(why) => return refused(generation, &format!("the Secret {secret} {why}")),
        RevocationState::Due => return waits(serial.unwrap_or_default()),
        RevocationState::Begun(begun) => begun,
    };
    let ObjectRevocation { serial: revoked, alone, end, .. } = begun;
    let done = objects(if *alone { "revoked" } else { "renewed" });
    match end {
        None if serial == Some(revoked.as_str()) => waits(revoked),
        None => {
            let message = "another certificate is stored; the old one is being revoked".to_owned();
            verdict(
                generation,
                PENDING,
                message,
                [("objects", done), ("secrets", secrets("processing", revoked))],
                None,
            )
        }
        Some(end) => match &end.error {
            None => {
                let message =
                    if *alone { "certificate revoked" } else { "certificate renewed and old certificate revoked" };
                let lists = [("objects", done), ("secrets", secrets("revoked", revoked))];
                verdict(generation, APPLIED, message.to_owned(), lists, Some(json!(end.at.to_string())))
            }
            Some(error) => {
                let objects = if *alone { objects("failed") } else { done };
                let lists = [("objects", objects), ("secrets", secrets("failed", revoked))];
                verdict(generation, ERROR, format!("the CA did not revoke the certificate: {error}"), lists, None)
            }
        },
    }
}

fn verdict(
    generation: i64,
    state: &'static str,
    message: String,
    lists: [(&'static str, Option<Value>); 2],
    applied: Option<Value>,
) -> StateVerdict {
    let field = |value: Option<Value>| value.map_or(StateField::Absent, StateField::Is);
    let mut fields: StateFields = lists.into_iter().map(|(name, value)| (name, field(value))).collect();
    fields.insert("revocationApplied", field(applied));
    StateVerdict { generation, state, is_ready: state == APPLIED, message, fields }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Time;
    use crate::record::RevocationEnd;

    #[test]
    fn each_state_of_a_request_has_its_words_and_lists() {
        let at = Time::from_unix(1_800_000_000);
        let begun = |alone: bool, end: Option<Option<&str>>| ObjectRevocation {
            uid: "u".into(),
            object: "a/r".into(),
            serial: "01".into(),
            alone,
            tried: None,
            end: end.map(|error| RevocationEnd { at, error: error.map(Into::into) }),
        };
        let (refused, applied) = (Some(Some("it is not ours")), Some(None));
        for (renew, begun, held, expected) in [
            (
                true,
                None,
                "01",
                "Pending objects.processing secrets.processing: the certificate is being renewed, and the old one is revoked then: Capped",
            ),
            (false, None, "01", "Pending objects.processing secrets.processing: the certificate is being revoked"),
            (
                true,
                Some(begun(false, None)),
                "01",
                "Pending objects.processing secrets.processing: the certificate is being renewed",
            ),
            (
                true,
                Some(begun(false, None)),
                "02",
                "Pending objects.renewed secrets.processing: another certificate is stored",
            ),
            (
                true,
                Some(begun(false, applied)),
                "02",
                "Applied objects.renewed secrets.revoked since: certificate renewed and",
            ),
            (
                false,
                Some(begun(true, applied)),
                "01",
                "Applied objects.revoked secrets.revoked since: certificate revoked",
            ),
            (
                false,
                Some(begun(true, refused)),
                "01",
                "Error objects.failed secrets.failed: the CA did not revoke the certificate: it is",
            ),
            (true, Some(begun(false, refused)), "02", "Error objects.renewed secrets.failed: the CA did not"),
        ] {
            let state = begun.as_ref().map_or(RevocationState::Due, RevocationState::Begun);
            let (object, secret) = (ObjectRef::new("a", "c"), ObjectRef::new("a", "s"));
            let certificate =
                RevokedCertificate { object: &object, secret: &secret, serial: Some(held), finding: Some("Capped") };
            let found = of_request(7, renew, &state, certificate);
            assert_eq!((found.generation, found.is_ready), (7, found.state == "Applied"));
            let list = |field: &str| match &found.fields[field] {
                StateField::Is(value) => {
                    let (list, items) = value.as_object().unwrap().iter().next().unwrap();
                    assert_eq!(items[0]["namespace"], "a");
                    if field == "secrets" {
                        assert_eq!((&items[0]["name"], &items[0]["serialNumber"]), (&json!("s"), &json!("01")));
                    }
                    format!(" {field}.{list}")
                }
                _ => String::new(),
            };
            let since =
                if found.fields["revocationApplied"] == StateField::Is(json!(at.to_string())) { " since" } else { "" };
            let said = format!("{}{}{}{since}: {}", found.state, list("objects"), list("secrets"), found.message);
            assert!(said.starts_with(expected), "{said}\n{expected}");
        }
        let nothing = RevocationState::Nothing("holds no certificate".to_owned());
        let (object, secret) = (ObjectRef::new("a", "c"), ObjectRef::new("a", "s"));
        let certificate = RevokedCertificate { object: &object, secret: &secret, serial: None, finding: None };
        let found = of_request(1, true, &nothing, certificate);
        assert_eq!((found.state, found.message.as_str()), ("Error", "the Secret a/s holds no certificate"));
        assert!(found.fields.values().all(|field| *field == StateField::Absent), "{found:?}");
    }
}
