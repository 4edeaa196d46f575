//! The part of the cluster that refused a request, and the remedy. Pure.
//!
//! The API server names who refused in front of the text of that part, and each has its own form (kube-apiserver 1.20 to 1.36):
//!
//! | who | code | words |
//! |---|---|---|
//! | authorizer (RBAC) | 403 | `secrets "web" is forbidden: User "x" cannot update resource "secrets" in API group "" …` |
//! | ResourceQuota | 403 | `secrets "web" is forbidden: exceeded quota: NAME, requested: …` |
//! | ValidatingAdmissionPolicy | of the policy's `reason`: 401, 403, 413, 422 (the default) | `secrets "web" is forbidden: ValidatingAdmissionPolicy 'NAME' with binding 'NAME' denied request: …` |
//! | admission webhook | any from 400 up, as the webhook wants | `admission webhook "NAME" denied the request: …` |
//! | validation | 422 | `Secret "web" is invalid: FIELD: …` |
//!
//! Untrusted: everything behind those words, which is the text of policies and webhooks. So the beginning decides who refused, and the rest
//! counts only where the API server itself refused. A word in the text of others never becomes advice.

use super::status::ApiError;

/// The part of the cluster that refused a request. A name is empty where Kubernetes does not allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// The token or client certificate was not accepted.
    Authentication,
    /// The authorizer: no Role grants the verb.
    Role,
    /// The namespace is being deleted.
    Namespace,
    /// The ResourceQuota of this name.
    Quota(String),
    /// The ValidatingAdmissionPolicy of this name, or another policy of the API server.
    Policy(String),
    /// The admission webhook of this name.
    Webhook(String),
    /// Another admission rule.
    Admission,
    /// The API server itself: the object is not valid, or the change not allowed for it.
    Validation,
    /// No part: the error is an outage, a conflict, a missing object.
    Nobody,
}

impl Refuser {
    /// Reads from an answer of the API server who refused.
    pub fn of(e: &ApiError) -> Refuser {
        let message = e.message.as_str();
        let words = message.split_once(" is forbidden: ").map_or(message, |(_, words)| words);
        let between = |before: &str, after: char| {
            let name = words.strip_prefix(before)?.split(after).next()?;
            Some(if is_name(name) { name.to_owned() } else { String::new() })
        };
        let policy = ["ValidatingAdmissionPolicy '", "MutatingAdmissionPolicy '", "policy '"];
        if let Some(name) = policy.iter().find_map(|before| between(before, '\'')) {
            return Refuser::Policy(name);
        }
        if let Some(name) = between("admission webhook \"", '"') {
            return Refuser::Webhook(name);
        }
        if let Some(name) = between("exceeded quota: ", ',').or_else(|| between("failed quota: ", ':')) {
            return Refuser::Quota(name);
        }
        match e.code {
            401 => Refuser::Authentication,
            403 if e.cause == "NamespaceTerminating" => Refuser::Namespace,
            403 if words.starts_with("User ") || words.starts_with("forbidden: User ") => Refuser::Role,
            403 if words.contains("quota") => Refuser::Quota(String::new()),
            403 => Refuser::Admission,
            400 | 413 | 422 => Refuser::Validation,
            _ => Refuser::Nobody,
        }
    }

    /// The refuser without the name, which is part of the message of the API server.
    pub fn unnamed(self) -> Refuser {
        match self {
            Refuser::Quota(_) => Refuser::Quota(String::new()),
            Refuser::Policy(_) => Refuser::Policy(String::new()),
            Refuser::Webhook(_) => Refuser::Webhook(String::new()),
            other => other,
        }
    }

    /// The remedy, for a request of this verb on a resource in a namespace. `None` where the answer says enough.
    pub fn hint(&self, verb: &str, resource: &str, namespace: &str, e: &ApiError) -> Option<String> {
        Some(match self {
            Refuser::Authentication => EXPIRED.to_owned(),
            Refuser::Role => {
                format!("the Role lacks the verb `{verb}` on `{resource}` in the namespace {namespace}")
            }
            Refuser::Namespace => format!("the namespace {namespace} is being deleted"),
            Refuser::Quota(name) => {
                let quota = named("ResourceQuota", name);
                format!("raise the {quota} of the namespace {namespace}, or remove what it counts")
            }
            Refuser::Policy(name) => {
                let policy = named("ValidatingAdmissionPolicy", name);
                format!("the {policy} of the cluster denies it; its owner knows why, and can exempt notariat")
            }
            Refuser::Webhook(name) if e.message.contains("does not support dry run") => {
                let webhook = named("admission webhook", name);
                format!(
                    "declare `sideEffects: None` in the configuration of the {webhook}: every write is tried before an order"
                )
            }
            Refuser::Webhook(name) => {
                let webhook = named("admission webhook", name);
                format!("the {webhook} of the cluster denies it; its owner knows why, and can exempt notariat")
            }
            Refuser::Admission => "an admission rule of the cluster denies it".to_owned(),
            Refuser::Validation | Refuser::Nobody => return None,
        })
    }
}

const EXPIRED: &str = "the token or client certificate is not accepted: has it expired? Or is a clock wrong?";

/// A kind of object, with its name where the name is known.
fn named(kind: &str, name: &str) -> String {
    if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") }
}

/// Tells whether a text can be the name of an object or of a webhook.
fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/' | ':');
    !text.is_empty() && text.len() <= 253 && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> ApiError {
        let body = serde_json::json!({"kind": "Status", "message": message, "code": code});
        ApiError::read(code, body.to_string().as_bytes())
    }

    #[test]
    fn who_refused_is_read_from_the_words_in_front_of_its_text() {
        let name = |name: &str| name.to_owned();
        let policy = "ValidatingAdmissionPolicy 'no-secrets.example.com' with binding 'all' denied request: ";
        for (code, message, refuser) in [
            (422, format!("secrets \"web\" is forbidden: {policy}data is immutable"), Refuser::Policy(name("no-secrets.example.com"))),
            (401, format!("secrets \"web\" is forbidden: {policy}no"), Refuser::Policy(name("no-secrets.example.com"))),
            (413, format!("secrets \"web\" is forbidden: {policy}no"), Refuser::Policy(name("no-secrets.example.com"))),
            (403, format!("leases.coordination.k8s.io \"notariat\" is forbidden: {policy}User \"x\" cannot lead"), Refuser::Policy(name("no-secrets.example.com"))),
            (422, "secrets \"web\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: x".to_owned(), Refuser::Policy(name("p"))),
            (403, "policy 'p' with binding 'b' denied request: x".to_owned(), Refuser::Policy(name("p"))),
            (422, "secrets \"web\" is forbidden: ValidatingAdmissionPolicy 'a b<c' denied request: x".to_owned(), Refuser::Policy(name(""))),
            (400, "admission webhook \"w.example.com\" denied the request: exceeded quota: of mine".to_owned(), Refuser::Webhook(name("w.example.com"))),
            (409, "admission webhook \"w\" denied the request without explanation".to_owned(), Refuser::Webhook(name("w"))),
            (403, "secrets \"web\" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=9, limited: count/secrets=9".to_owned(), Refuser::Quota(name("q"))),
            (403, "events \"x\" is forbidden: status unknown for quota: q, resources: count/events".to_owned(), Refuser::Quota(name(""))),
            (403, "secrets \"web\" is forbidden: User \"quota\" cannot update resource \"secrets\" in API group \"\" in the namespace \"team\"".to_owned(), Refuser::Role),
            (403, "secrets \"web\" is forbidden: x".to_owned(), Refuser::Admission),
            (401, "Unauthorized".to_owned(), Refuser::Authentication),
            (422, "Secret \"web\" is invalid: data: Forbidden: field is immutable when `immutable` is set".to_owned(), Refuser::Validation),
            (409, "Operation cannot be fulfilled on secrets \"quota\": the object has been modified".to_owned(), Refuser::Nobody),
            (500, "etcdserver: leader changed".to_owned(), Refuser::Nobody),
        ] {
            assert_eq!(Refuser::of(&api(code, &message)), refuser, "{code} {message}");
        }
        let terminating =
            ApiError { cause: "NamespaceTerminating".to_owned(), ..api(403, "secrets \"web\" is forbidden: x") };
        assert_eq!(Refuser::of(&terminating), Refuser::Namespace);
    }

    #[test]
    fn the_cure_names_whom_to_ask_and_never_what_to_delete() {
        let policy = "secrets \"web\" is forbidden: ValidatingAdmissionPolicy 'keep' with binding 'b' denied request: immutable, cannot ";
        for (code, message, part) in [
            (422, policy, "the ValidatingAdmissionPolicy `keep` of the cluster denies it"),
            (
                403,
                "x is forbidden: exceeded quota: q, requested: secrets=1",
                "raise the ResourceQuota `q` of the namespace team",
            ),
            (
                403,
                "x is forbidden: insufficient quota to match these scopes",
                "raise the ResourceQuota of the namespace team",
            ),
            (
                400,
                "admission webhook \"w\" denied the request: immutable",
                "the admission webhook `w` of the cluster denies it",
            ),
            (
                400,
                "admission webhook \"w\" does not support dry run",
                "declare `sideEffects: None` in the configuration of the admission webhook `w`",
            ),
            (401, "Unauthorized", "has it expired? Or is a clock wrong?"),
            (
                403,
                "x is forbidden: User \"u\" cannot create resource \"events\"",
                "the Role lacks the verb `create` on `events` in the namespace team",
            ),
        ] {
            let e = api(code, message);
            let hint = Refuser::of(&e).hint("create", "events", "team", &e).unwrap();
            assert!(hint.contains(part) && !hint.contains("delete"), "{hint}");
        }
        let e = api(422, "Secret \"web\" is invalid: type: Invalid value: \"x\": field is immutable");
        assert_eq!(Refuser::of(&e).hint("update", "secrets", "team", &e), None);
    }
}
