//! The objects of an API server, and its refusals in words that say what to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Backend, StoreError};
use crate::kube::client::{Client, KubeError, Mode, Resource};
use crate::kube::object::{SecretObject, texts, wipe};
use crate::kube::status::ApiError;
use crate::kube::watch_state::{Selector, Target};
use crate::name::ObjectRef;

#[derive(Debug)]
pub(super) struct Kubernetes(pub(super) Arc<Client>);

impl Backend for Kubernetes {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<BTreeMap<String, String>>, StoreError> {
        let object = self.0.get(Resource::ConfigMaps, at).map_err(|e| told("get", "ConfigMap", at, e))?;
        Ok(object.map(|object| texts(object.get("data"))))
    }

    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        let object = self.0.get(Resource::Secrets, at).map_err(|e| told("get", "Secret", at, e))?;
        object.map(|object| read(at, object)).transpose()
    }

    fn list(&self, namespace: &str, kind: &'static str, each: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError> {
        let selector = Selector::Type(kind);
        let target = Target { resource: Resource::Secrets, namespace: namespace.to_owned(), selector };
        let at = ObjectRef::new(namespace, &format!("({kind})"));
        let mut odd = Ok(());
        let listed = self.0.list(&target, &mut |item| match read(&at, item) {
            Ok(secret) => each(secret),
            Err(e) => odd = Err(e),
        });
        listed.map_err(|e| told("list", "Secret", &at, e)).and(odd)
    }

    fn write(&self, secret: &SecretObject, mode: Mode) -> Result<SecretObject, StoreError> {
        let (at, mut json) = (&secret.reference, secret.to_json());
        let (verb, written) = match &secret.version {
            None => ("create", self.0.create(Resource::Secrets, &at.namespace, &json, mode)),
            Some(_) => ("update", self.0.update(Resource::Secrets, at, &json, mode)),
        };
        wipe(&mut json["data"]);
        let written = written.map_err(|e| match secret.holds_secrets() {
            true => told_without_words(verb, "Secret", at, e),
            false => told(verb, "Secret", at, e),
        })?;
        match mode {
            Mode::Real => read(at, written),
            // What would be created has no resourceVersion.
            Mode::DryRun => Ok(secret.clone()),
        }
    }
}

fn read(at: &ObjectRef, object: Value) -> Result<SecretObject, StoreError> {
    SecretObject::from_json(object).map_err(|e| StoreError::Unreachable(format!("Secret {at}: {e}")))
}

const TOO_LARGE: &str = "a Secret holds at most 1 MiB, with what others keep in it";

fn told(verb: &str, kind: &str, at: &ObjectRef, error: KubeError) -> StoreError {
    sentence(verb, kind, at, error, ApiError::to_string)
}

/// The same where secret data was sent: the server's words quote it, at times a whole Secret in a 422.
fn told_without_words(verb: &str, kind: &str, at: &ObjectRef, error: KubeError) -> StoreError {
    sentence(verb, kind, at, error, ApiError::without_words)
}

fn sentence(verb: &str, kind: &str, at: &ObjectRef, error: KubeError, said: fn(&ApiError) -> String) -> StoreError {
    let e = match error {
        KubeError::Network(_) | KubeError::Unusable(_) | KubeError::Credential(_) | KubeError::NotNow(_) => {
            return StoreError::Unreachable(format!("{kind} {at}: {error}"));
        }
        KubeError::Api(e) => e,
    };
    let resource = match kind {
        "Secret" => "secrets",
        _ => "configmaps",
    };
    let said = said(&e);
    let sentence = match hint(verb, resource, at, &e) {
        Some(hint) => format!("{kind} {at}: {said}: {hint}"),
        None => format!("{kind} {at}: {said}"),
    };
    match (e.code, verb) {
        (409, _) if e.reason != "AlreadyExists" && e.message.contains("quota") => StoreError::Denied(sentence),
        // Deleted since it was read.
        (404, "update") | (409, _) => StoreError::Conflict,
        (401 | 403, _) => StoreError::Denied(sentence),
        (400, _) if is_denied(&e) => StoreError::Denied(sentence),
        (400 | 404 | 413 | 422, _) => StoreError::Invalid(sentence),
        _ => StoreError::Unreachable(sentence),
    }
}

/// A webhook chooses the code of its denial; without one it is 400.
fn is_denied(e: &ApiError) -> bool {
    e.message.contains("denied the request")
}

fn hint(verb: &str, resource: &str, at: &ObjectRef, e: &ApiError) -> Option<String> {
    let namespace = &at.namespace;
    Some(match e.code {
        401 => "the token or client certificate is not accepted: has it expired?".to_owned(),
        403 if e.cause == "NamespaceTerminating" => {
            format!("the namespace {namespace} is being deleted")
        }
        403 if e.message.contains("exceeded quota") => {
            format!("raise the ResourceQuota of the namespace {namespace}, or remove what it counts")
        }
        403 if e.message.contains("cannot ") => {
            format!("the Role lacks the verb `{verb}` on `{resource}` in the namespace {namespace}")
        }
        400 if e.message.contains("does not support dry run") => {
            "declare `sideEffects: None` in the configuration of that admission webhook: every write is tried before an order".to_owned()
        }
        _ if is_denied(e) => "an admission webhook of the cluster denies it; its owner knows why".to_owned(),
        403 => "an admission rule or policy of the cluster denies it".to_owned(),
        404 => format!("does the namespace {namespace} exist?"),
        413 => TOO_LARGE.to_owned(),
        422 if e.message.contains("Too long") => TOO_LARGE.to_owned(),
        422 if e.message.contains("immutable") => "delete the Secret, or make it without `immutable: true`".to_owned(),
        500 if e.message.contains("failed calling webhook") => {
            "that admission webhook of the cluster does not answer; with `failurePolicy: Fail` nothing is written until it does".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpError;
    use crate::secret::Secret;

    #[test]
    fn the_words_of_a_refused_write_of_a_secret_are_never_said() {
        let at = ObjectRef::parse("team/web", "").unwrap();
        for (code, message) in [
            (422, "Secret \"web\" is invalid: data[tls.key]: Invalid value: \"hunter2\""),
            (403, "exceeded quota: hunter2"),
            (400, "admission webhook \"p\" denied the request: hunter2"),
            (500, "failed calling webhook \"p\": hunter2"),
            (422, "hunter2 is immutable"),
            (413, "hunter2"),
        ] {
            let error = |verb| {
                let (reason, message) = ("Invalid".to_owned(), message.to_owned());
                told_without_words(
                    verb,
                    "Secret",
                    &at,
                    KubeError::Api(ApiError { code, reason, message, cause: String::new(), fields: Vec::new() }),
                )
            };
            for verb in ["create", "update"] {
                let said = format!("{:?}", error(verb));
                assert!(!said.contains("hunter2") && said.contains(&format!("answers {code} Invalid")), "{said}");
            }
        }
    }

    /// The trial of a write where there is no Secret yet sends none, and the server's words say best what is wrong.
    #[test]
    fn what_a_trial_sends_for_a_secret_that_is_not_there_is_no_secret() {
        let with = |values: &[(&str, &str)]| {
            let mut secret = SecretObject::new(ObjectRef::new("team", "web"), "x");
            let values = values.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(value.as_bytes().to_vec())));
            secret.data.extend(values);
            secret.holds_secrets()
        };
        assert!(!with(&[]) && !with(&[("tls.crt", "\n"), ("tls.key", "")]));
        assert!(
            with(&[("tls.crt", "\n"), ("tls.key", "k")])
                && with(&[("other", "k")])
                && with(&[("tls.crt", "PRIVATE KEY")])
        );
    }

    #[test]
    fn each_refusal_becomes_its_kind_with_a_hint() {
        let at = ObjectRef::parse("team/web", "").unwrap();
        let api = |code: u16, reason: &str, message: &str, cause: &str| {
            KubeError::Api(ApiError {
                code,
                reason: reason.into(),
                message: message.into(),
                cause: cause.into(),
                fields: Vec::new(),
            })
        };
        let forbidden = r#"secrets "web" is forbidden: User "x" cannot update resource "secrets""#;
        for (verb, error, kind, part) in [
            (
                "update",
                api(403, "Forbidden", forbidden, ""),
                "Denied",
                "lacks the verb `update` on `secrets` in the namespace team",
            ),
            ("create", api(403, "Forbidden", "x", "NamespaceTerminating"), "Denied", "is being deleted"),
            ("create", api(403, "Forbidden", "exceeded quota: q", ""), "Denied", "ResourceQuota"),
            (
                "create",
                api(403, "Forbidden", "admission webhook \"p\" denied the request", ""),
                "Denied",
                "an admission webhook of the cluster denies it",
            ),
            (
                "update",
                api(400, "", "admission webhook \"p\" denied the request: no", ""),
                "Denied",
                "an admission webhook of the cluster denies it",
            ),
            (
                "create",
                api(403, "Forbidden", "secrets \"web\" is forbidden: x", ""),
                "Denied",
                "an admission rule or policy",
            ),
            (
                "update",
                api(400, "BadRequest", "admission webhook \"p\" does not support dry run", ""),
                "Invalid",
                "declare `sideEffects: None`",
            ),
            ("update", api(400, "BadRequest", "x", ""), "Invalid", "400: x"),
            ("update", api(413, "RequestEntityTooLarge", "limit is 3145728", ""), "Invalid", "at most 1 MiB"),
            (
                "update",
                api(422, "Invalid", "data: Too long: must have at most 1048576 bytes", ""),
                "Invalid",
                "at most 1 MiB",
            ),
            (
                "create",
                api(500, "InternalError", "Internal error occurred: failed calling webhook \"p\": x", ""),
                "Unreachable",
                "does not answer; with `failurePolicy: Fail`",
            ),
            ("get", api(401, "Unauthorized", "Unauthorized", ""), "Denied", "expired"),
            (
                "create",
                api(404, "NotFound", "namespaces \"team\" not found", ""),
                "Invalid",
                "does the namespace team exist",
            ),
            (
                "update",
                api(422, "Invalid", "field is immutable when `immutable` is set", ""),
                "Invalid",
                "delete the Secret",
            ),
            ("get", api(503, "ServiceUnavailable", "x", ""), "Unreachable", "503"),
            ("get", api(429, "", "Too many requests", ""), "Unreachable", "429"),
            ("get", KubeError::Network(HttpError("x".into())), "Unreachable", "does not answer"),
            ("get", KubeError::Credential("x".into()), "Unreachable", "no credential for the API server: x"),
        ] {
            let error = told(verb, "Secret", &at, error);
            let shown = format!("{error:?}");
            assert!(shown.starts_with(kind) && shown.contains("Secret team/web: ") && shown.contains(part), "{shown}");
        }
        for (verb, code, reason) in
            [("update", 409, "Conflict"), ("create", 409, "AlreadyExists"), ("update", 404, "NotFound")]
        {
            assert_eq!(told(verb, "Secret", &at, api(code, reason, "m", "")), StoreError::Conflict, "{verb} {code}");
        }
    }
}
