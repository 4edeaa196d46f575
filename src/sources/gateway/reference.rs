//! What listeners and routes have in common: the kinds of routes, references to parents, and conditions of a status. Pure.

use serde_json::Value;

use crate::base::name::ObjectRef;
use crate::kube::resource::Resource;
use crate::sources::hosts::text;

/// A kind of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// HTTPRoute
    Http,
    /// GRPCRoute
    Grpc,
    /// TLSRoute
    Tls,
}

impl RouteKind {
    /// All kinds.
    pub const ALL: [RouteKind; 3] = [RouteKind::Http, RouteKind::Grpc, RouteKind::Tls];

    /// The kind of its objects.
    pub fn resource(self) -> Resource {
        match self {
            RouteKind::Http => Resource::HTTP_ROUTES,
            RouteKind::Grpc => Resource::GRPC_ROUTES,
            RouteKind::Tls => Resource::TLS_ROUTES,
        }
    }
}

/// The kind and the name of the Gateway or ListenerSet that a reference names; `None` for an object of another kind.
pub fn parent(reference: &Value, own: &str) -> Option<(&'static str, ObjectRef)> {
    let word = |name: &str, default| reference.get(name).and_then(Value::as_str).unwrap_or(default);
    let kinds = [Resource::GATEWAYS.kind, Resource::LISTENER_SETS.kind];
    let kind = kinds.into_iter().find(|kind| *kind == word("kind", Resource::GATEWAYS.kind))?;
    let name = text(reference.get("name"))?;
    let namespace = text(reference.get("namespace"));
    let is_ours = word("group", Resource::GATEWAYS.group) == Resource::GATEWAYS.group;
    is_ours.then(|| (kind, ObjectRef::new(namespace.as_deref().unwrap_or(own), &name)))
}

/// The reasons of a controller for which an object may not attach.
const FORBIDDEN: [&str; 2] = ["NotAllowedByListeners", "NotAllowed"];

/// The reasons of a controller for which a listener stands back behind another one.
const CONFLICTS: [&str; 2] = ["HostnameConflict", "ProtocolConflict"];

/// Tells whether the conditions of a status take the certificate away: attaching is forbidden, or another listener has the host or the port.
/// Conditions for an older form of the object do not count, and neither do others: some controllers accept nothing until the Secret exists.
pub fn is_vetoed(object: &Value, status: Option<&Value>) -> bool {
    let generation = object.get("metadata").and_then(|metadata| metadata.get("generation")).and_then(Value::as_u64);
    let conditions = status.and_then(|status| status.get("conditions")).and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        let word = |name: &str| condition.get(name).and_then(Value::as_str).unwrap_or_default();
        let observed = condition.get("observedGeneration").and_then(Value::as_u64);
        let forbids = |reasons: &[&str]| reasons.contains(&word("reason"));
        (observed.is_none() || observed == generation)
            && match (word("type"), word("status")) {
                ("Accepted", "False") => forbids(&FORBIDDEN) || forbids(&CONFLICTS),
                ("Conflicted", "True") => forbids(&CONFLICTS),
                _ => false,
            }
    })
}
