//! Gateways and ListenerSets: their listeners, as far as they say which certificates are wanted. Pure.
//!
//! Untrusted: anybody writes a ListenerSet who may create one. The status is written by the Gateway's controller and may only take away.

use serde_json::Value;

use super::namespaces::AllowedNamespaces;
use super::reference::{RouteKind, is_vetoed, parent};
use crate::base::limits::{OBJECT_HOSTS_MAX, OBJECT_ITEMS_MAX};
use crate::base::name::{Domain, ObjectRef};
use crate::kube::resource::Resource;
use crate::sources::SourceRef;
use crate::sources::annotations::Annotations;
use crate::sources::hosts::{HostList, text};

/// A Gateway or a ListenerSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayFacts {
    /// The Gateway or ListenerSet.
    pub source: SourceRef,
    /// The annotations.
    pub annotations: Annotations,
    /// The listeners.
    pub listeners: Box<[GatewayListener]>,
    /// Listeners beyond the bound, which were not read.
    pub beyond: usize,
    /// The namespaces whose ListenerSets may attach to this Gateway.
    pub allowed_listeners: AllowedNamespaces,
    /// The Gateway that a ListenerSet adds its listeners to.
    pub parent: Option<ObjectRef>,
    /// True if the status says that the Gateway does not allow the ListenerSet.
    pub is_vetoed: bool,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayListener {
    /// The name of the listener.
    pub name: Box<str>,
    /// The port.
    pub port: u64,
    /// The host name; empty for every host.
    pub hostname: HostList,
    /// The protocol.
    pub protocol: ListenerProtocol,
    /// The references to certificates: one is a good one.
    pub certificates: Box<[CertificateRef]>,
    /// The namespaces whose routes may attach.
    pub allowed_routes: AllowedNamespaces,
    /// The kinds of routes that may attach.
    pub kinds: Box<[RouteKind]>,
    /// True if the status says that the listener is in conflict with another one.
    pub is_vetoed: bool,
}

/// The use of TLS at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerProtocol {
    /// HTTPS: TLS ends at the Gateway.
    Https,
    /// TLS that ends at the Gateway.
    Tls,
    /// No TLS, or TLS that passes through.
    Other,
}

/// A reference to a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRef {
    /// True if it names a Secret.
    pub is_secret: bool,
    /// Another namespace than that of the listener.
    pub namespace: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

impl GatewayFacts {
    /// Reads a Gateway or a ListenerSet.
    pub fn read(source: &SourceRef, object: &Value) -> GatewayFacts {
        let spec = object.get("spec");
        let field = |name: &str| spec.and_then(|spec| spec.get(name));
        let listeners = field("listeners").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut room = OBJECT_HOSTS_MAX;
        let annotations = Annotations::read(object.get("metadata").unwrap_or(&Value::Null));
        let read: Box<[GatewayListener]> = listeners
            .iter()
            .take(OBJECT_ITEMS_MAX)
            .map(|listener| GatewayListener::read(listener, source.namespace(), object, &mut room))
            .collect();
        let allowed = field("allowedListeners").and_then(|allowed| allowed.get("namespaces"));
        GatewayFacts {
            source: source.clone(),
            annotations,
            beyond: listeners.len() - read.len(),
            listeners: read,
            allowed_listeners: AllowedNamespaces::read(allowed, AllowedNamespaces::None),
            parent: field("parentRef").and_then(|parent| gateway_of(parent, source.namespace())),
            is_vetoed: is_vetoed(object, object.get("status")),
        }
    }
}

impl GatewayFacts {
    /// The Secrets that the listeners name, of other namespaces as well.
    pub fn named(&self) -> impl Iterator<Item = ObjectRef> {
        let own = self.source.namespace();
        let secrets = self.listeners.iter().flat_map(|listener| &listener.certificates).filter(|named| named.is_secret);
        secrets.map(move |named| ObjectRef::new(named.namespace.as_deref().unwrap_or(own), &named.name))
    }
}

impl GatewayListener {
    fn read(listener: &Value, namespace: &str, object: &Value, room: &mut usize) -> GatewayListener {
        let field = |name: &str| listener.get(name).filter(|value| !value.is_null());
        let word = |name: &str| field(name).and_then(Value::as_str).unwrap_or_default();
        let name = text(field("name")).unwrap_or_default();
        let tls = field("tls");
        let mode = tls.and_then(|tls| tls.get("mode")).and_then(Value::as_str);
        let protocol = match (word("protocol"), mode.unwrap_or("Terminate")) {
            ("HTTPS", "Terminate") => ListenerProtocol::Https,
            ("TLS", "Terminate") => ListenerProtocol::Tls,
            _ => ListenerProtocol::Other,
        };
        let references = tls.and_then(|tls| tls.get("certificateRefs")).and_then(Value::as_array);
        let certificates =
            references.into_iter().flatten().take(OBJECT_ITEMS_MAX).map(|r| CertificateRef::read(r, namespace));
        let allowed = field("allowedRoutes");
        let statuses = object.get("status").and_then(|status| status.get("listeners")).and_then(Value::as_array);
        let same = |status: &&Value| status.get("name").and_then(Value::as_str) == Some(&*name);
        GatewayListener {
            port: field("port").and_then(Value::as_u64).unwrap_or_default(),
            hostname: HostList::read(field("hostname").filter(|host| **host != "").map(Value::as_str), room),
            protocol,
            certificates: certificates.collect(),
            allowed_routes: AllowedNamespaces::read(
                allowed.and_then(|allowed| allowed.get("namespaces")),
                AllowedNamespaces::Same,
            ),
            kinds: kinds(protocol, allowed.and_then(|allowed| allowed.get("kinds"))),
            is_vetoed: statuses.into_iter().flatten().find(same).is_some_and(|status| is_vetoed(object, Some(status))),
            name,
        }
    }

    /// The host name; `None` for every host.
    pub fn host(&self) -> Option<&Domain> {
        self.hostname.names().first()
    }
}

impl CertificateRef {
    fn read(reference: &Value, own: &str) -> CertificateRef {
        let word = |name: &str, default| match reference.get(name) {
            None | Some(Value::Null) => default,
            Some(value) => value.as_str().unwrap_or("?"),
        };
        CertificateRef {
            is_secret: word("group", "").is_empty() && word("kind", "Secret") == "Secret",
            namespace: text(reference.get("namespace")).filter(|namespace| **namespace != *own),
            name: text(reference.get("name")).unwrap_or_default(),
        }
    }
}

/// The kinds of routes that a protocol knows, as far as the listener allows them.
fn kinds(protocol: ListenerProtocol, allowed: Option<&Value>) -> Box<[RouteKind]> {
    let known: &[RouteKind] = match protocol {
        ListenerProtocol::Https => &[RouteKind::Http, RouteKind::Grpc],
        ListenerProtocol::Tls => &[RouteKind::Tls],
        ListenerProtocol::Other => &[],
    };
    let listed = allowed.and_then(Value::as_array).filter(|listed| !listed.is_empty());
    let names = |kind: &RouteKind, entry: &Value| {
        let group = entry.get("group").and_then(Value::as_str).unwrap_or(Resource::GATEWAYS.group);
        let name = entry.get("kind").and_then(Value::as_str);
        group == Resource::GATEWAYS.group && name == Some(kind.resource().kind)
    };
    let is_allowed = |kind: &&RouteKind| listed.is_none_or(|listed| listed.iter().any(|entry| names(kind, entry)));
    known.iter().filter(is_allowed).copied().collect()
}

/// The Gateway that a reference names; `None` for an object of another kind.
fn gateway_of(reference: &Value, own: &str) -> Option<ObjectRef> {
    let (kind, at) = parent(reference, own)?;
    (kind == Resource::GATEWAYS.kind).then_some(at)
}
