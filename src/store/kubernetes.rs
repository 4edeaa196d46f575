//! The objects of an API server. Its refusals become sentences that say what to do.

use std::sync::Arc;

use crate::base::name::{ClusterName, ObjectRef};
use crate::config::Data;
use crate::kube::api::DryRun;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::metadata::{InvalidObject, Object};
use crate::kube::object::{ConfigMapObject, Preconditions, SecretObject};
use crate::kube::refusal::Refuser;
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::kube::status::ApiError;
use crate::store::backend::{StoreBackend, StoreError};

#[derive(Debug)]
pub(super) struct KubernetesStore(pub(super) Arc<KubeClient>);

impl StoreBackend for KubernetesStore {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError> {
        let object = self.0.get(at).map_err(|e| told("get", Resource::CONFIG_MAPS, at, e))?;
        Ok(object.as_ref().map(config_data))
    }

    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        self.0.get(at).map_err(|e| told("get", Resource::SECRETS, at, e))
    }

    fn list(&self, namespace: &str, kind: &'static str, each: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError> {
        let selector = Selector::Type(kind);
        let target = WatchTarget {
            resource: Resource::SECRETS,
            namespace: namespace.to_owned(),
            selector,
            cluster: ClusterName::HOME,
        };
        let at = ObjectRef::new(namespace, &format!("({kind})"));
        let told = |e| told("list", Resource::SECRETS, &at, e);
        let mut odd = Ok(());
        let listed = self.0.list(&target, &mut |item: Result<SecretObject, InvalidObject>| match item {
            Ok(secret) => each(secret),
            Err(e) => odd = Err(KubeError::Object(e)),
        });
        listed.and(odd).map_err(told)
    }

    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError> {
        let (verb, written) = match &secret.version {
            None => ("create", self.0.create(secret, mode)),
            Some(_) => ("update", self.0.replace(secret, mode)),
        };
        let written = written.map_err(|e| match secret.holds_secrets() {
            true => told_without_words(verb, SecretObject::RESOURCE, &secret.reference, e),
            false => told(verb, SecretObject::RESOURCE, &secret.reference, e),
        })?;
        Ok(written)
    }

    fn delete(&self, at: &ObjectRef, version: &Preconditions) -> Result<(), StoreError> {
        let deleted = self.0.delete(Resource::SECRETS, at, version);
        deleted.map_err(|e| told_without_words("delete", Resource::SECRETS, at, e))
    }
}

/// The data of a ConfigMap, as configuration is read from it.
pub fn config_data(object: &ConfigMapObject) -> Data {
    let mut data = Data::from(object.data());
    object.binary_data().for_each(|(key, octets)| data.add_binary(key.clone(), &octets));
    data
}

const TOO_LARGE: &str = "a Secret holds at most 1 MiB, with what others keep in it";

fn told(verb: &str, resource: Resource, at: &ObjectRef, error: KubeError) -> StoreError {
    sentence(verb, resource, at, error, true)
}

/// The same without the server's words, for a request with secret data: a 422 at times quotes a whole Secret.
fn told_without_words(verb: &str, resource: Resource, at: &ObjectRef, error: KubeError) -> StoreError {
    sentence(verb, resource, at, error, false)
}

fn sentence(
    verb: &str,
    Resource { plural, kind, .. }: Resource,
    at: &ObjectRef,
    error: KubeError,
    with_words: bool,
) -> StoreError {
    let e = match error {
        KubeError::Api(e) => e,
        KubeError::Network(_)
        | KubeError::Unusable(_)
        | KubeError::Object(_)
        | KubeError::Credential(_)
        | KubeError::NotNow(_) => return StoreError::Unreachable(format!("{kind} {at}: {error}")),
    };
    let refuser = Refuser::of(&e);
    let (refuser, said) = match with_words {
        true => (refuser, e.to_string()),
        false => (refuser.unnamed(), e.without_words()),
    };
    let hint = refuser.hint(verb, plural, &at.namespace, &e).or_else(|| hint(&refuser, at, &e));
    let hint = hint.map(|hint| hint + named_otherwise(&refuser, kind));
    let sentence = match hint {
        Some(hint) => format!("{kind} {at}: {said}: {hint}"),
        None => format!("{kind} {at}: {said}"),
    };
    match (&refuser, e.code) {
        // Policies and webhooks choose the code of their denials.
        (Refuser::Policy(_) | Refuser::Webhook(_), 400..500) if e.code != 429 => StoreError::Denied(sentence),
        // The ResourceQuota changed at the same moment, not the object: a later try succeeds.
        (_, 409) if e.message.contains(" on resourcequotas \"") => StoreError::Denied(sentence),
        (_, 409) => StoreError::Conflict,
        // Deleted since it was read.
        (_, 404) if verb == "update" => StoreError::Conflict,
        (_, 401 | 403) => StoreError::Denied(sentence),
        (_, 400 | 404 | 413 | 422) => StoreError::Invalid(sentence),
        _ => StoreError::Unreachable(sentence),
    }
}

/// The other cause of a refusal by the Role: most Roles name the ConfigMap, so that another name is refused whether it exists or not.
fn named_otherwise(refuser: &Refuser, kind: &str) -> &'static str {
    match (refuser, kind) {
        (Refuser::Role, "ConfigMap") => {
            "; or -config is misspelt: a Role that names its ConfigMap refuses every other name, also one that does not exist"
        }
        _ => "",
    }
}

/// The cure for a refusal of the API server itself, and for an outage of a webhook that it asks.
fn hint(refuser: &Refuser, at: &ObjectRef, e: &ApiError) -> Option<String> {
    Some(match (refuser, e.code) {
        (_, 404) => format!("does the namespace {} exist?", at.namespace),
        (Refuser::Validation, 413) => TOO_LARGE.to_owned(),
        (Refuser::Validation, 422) if e.message.contains("annotations: Too long") => {
            "all annotations of a Secret together hold at most 256 KiB".to_owned()
        }
        (Refuser::Validation, 422) if e.message.contains("data: Too long") => TOO_LARGE.to_owned(),
        (Refuser::Validation, 422) if e.message.contains(IMMUTABLE) => {
            "delete the Secret, or make it without `immutable: true`".to_owned()
        }
        (_, 500) if e.message.contains("failed calling webhook") => {
            "that admission webhook of the cluster does not answer; with `failurePolicy: Fail` nothing is written until it does".to_owned()
        }
        _ => return None,
    })
}

/// The words of kube-apiserver for a Secret with `immutable: true`, and for nothing else.
const IMMUTABLE: &str = "field is immutable when `immutable` is set";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::http::HttpError;

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
                    Resource::SECRETS,
                    &at,
                    KubeError::Api(ApiError { code, reason, message, ..ApiError::default() }),
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
                ..ApiError::default()
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
                "the admission webhook `p` of the cluster denies it",
            ),
            (
                "update",
                api(400, "", "admission webhook \"p\" denied the request: no", ""),
                "Denied",
                "the admission webhook `p` of the cluster denies it",
            ),
            (
                "create",
                api(403, "Forbidden", "secrets \"web\" is forbidden: x", ""),
                "Denied",
                "an admission rule of the cluster",
            ),
            (
                "update",
                api(400, "BadRequest", "admission webhook \"p\" does not support dry run", ""),
                "Denied",
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
            let error = told(verb, Resource::SECRETS, &at, error);
            let shown = format!("{error:?}");
            assert!(shown.starts_with(kind) && shown.contains("Secret team/web: ") && shown.contains(part), "{shown}");
        }
        let of_config = r#"configmaps "certz" is forbidden: User "x" cannot get resource "configmaps""#;
        for (resource, is_named) in [(Resource::CONFIG_MAPS, true), (Resource::SECRETS, false)] {
            let StoreError::Denied(told) = told("get", resource, &at, api(403, "Forbidden", of_config, "")) else {
                panic!("403 is a denial");
            };
            assert_eq!(told.contains("; or -config is misspelt: a Role that names its ConfigMap"), is_named, "{told}");
        }
        // The text of a policy or a webhook is nobody's advice, and its code is no conflict.
        let denied = "secrets \"web\" is forbidden: ValidatingAdmissionPolicy 'keep' with binding 'b' denied request: \
                      field is immutable when `immutable` is set; data: Too long";
        for (code, reason) in
            [(401, "Unauthorized"), (403, "Forbidden"), (413, "RequestEntityTooLarge"), (422, "Invalid")]
        {
            let StoreError::Denied(told) = told("update", Resource::SECRETS, &at, api(code, reason, denied, "")) else {
                panic!("{code} is a denial");
            };
            let part = "the ValidatingAdmissionPolicy `keep` of the cluster denies it";
            assert!(told.contains(part) && !told.contains("delete the Secret"), "{told}");
            assert!(!told.contains("expired") && !told.contains("1 MiB") && !told.contains("Role"), "{told}");
        }
        for code in [404, 409] {
            let webhook = api(code, "Conflict", "admission webhook \"w\" denied the request: no", "");
            assert!(matches!(told("update", Resource::SECRETS, &at, webhook), StoreError::Denied(_)), "{code}");
        }
        let quota = "Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified";
        assert!(matches!(
            told("create", Resource::SECRETS, &at, api(409, "Conflict", quota, "")),
            StoreError::Denied(_)
        ));
        let named = "Operation cannot be fulfilled on secrets \"quota\": the object has been modified";
        assert_eq!(told("update", Resource::SECRETS, &at, api(409, "Conflict", named, "")), StoreError::Conflict);
        for (verb, code, reason) in
            [("update", 409, "Conflict"), ("create", 409, "AlreadyExists"), ("update", 404, "NotFound")]
        {
            assert_eq!(
                told(verb, Resource::SECRETS, &at, api(code, reason, "m", "")),
                StoreError::Conflict,
                "{verb} {code}"
            );
        }
    }
}
