//! HTTPRoutes, GRPCRoutes and TLSRoutes: the host names with which they attach to listeners. Pure.
//!
//! Untrusted: anybody writes a route who may create one.

use serde_json::Value;

use super::listener::GatewayListener;
use super::namespaces::NamespaceLabels;
use super::reference::{RouteKind, is_vetoed, parent};
use crate::base::limits::{OBJECT_HOSTS_MAX, OBJECT_ITEMS_MAX};
use crate::base::name::{Domain, ObjectRef};
use crate::sources::SourceRef;
use crate::sources::hosts::{HostList, text, texts};

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFacts {
    namespace: Box<str>,
    /// The Gateways and ListenerSets that it attaches to.
    pub parents: Box<[RouteParent]>,
    /// The host names.
    pub hosts: HostList,
}

/// A Gateway or ListenerSet that a route attaches to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteParent {
    /// The kind: that of Gateways or of ListenerSets.
    pub kind: &'static str,
    /// The name.
    pub at: ObjectRef,
    section: Option<Box<str>>,
    port: Option<u64>,
    /// True if the status says that this is not allowed.
    is_vetoed: bool,
}

impl RouteFacts {
    /// Reads a route.
    pub fn read(source: &SourceRef, object: &Value) -> RouteFacts {
        let field = |name: &str| object.get("spec").and_then(|spec| spec.get(name));
        let references = field("parentRefs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let statuses = object.get("status").and_then(|status| status.get("parents")).and_then(Value::as_array);
        let statuses: Vec<(&Value, Option<RouteParent>)> = statuses
            .into_iter()
            .flatten()
            .take(OBJECT_ITEMS_MAX)
            .map(|status| (status, status.get("parentRef").and_then(|r| RouteParent::read(r, source.namespace()))))
            .collect();
        let read = |reference: &Value| {
            let parent = RouteParent::read(reference, source.namespace())?;
            let mut same = statuses.iter().filter(|(_, of)| of.as_ref() == Some(&parent));
            let is_vetoed = same.any(|(status, _)| is_vetoed(object, Some(status)));
            Some(RouteParent { is_vetoed, ..parent })
        };
        RouteFacts {
            namespace: source.namespace().into(),
            parents: references.iter().take(OBJECT_ITEMS_MAX).filter_map(read).collect(),
            hosts: HostList::read(texts(field("hostnames")), &mut { OBJECT_HOSTS_MAX }),
        }
    }

    /// The namespace of the route.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The host names that the route and a listener of `owner` have in common; none where the route does not attach. `labels` finds those of
    /// the route's namespace.
    pub fn names_at<'l>(
        &self,
        kind: RouteKind,
        owner: &SourceRef,
        listener: &GatewayListener,
        labels: impl FnOnce() -> Option<&'l NamespaceLabels>,
    ) -> Vec<Domain> {
        let attaches = self.parents.iter().any(|parent| parent.names(owner, listener) && !parent.is_vetoed);
        if !attaches || !listener.kinds.contains(&kind) {
            return Vec::new();
        }
        let allowed = &listener.allowed_routes;
        let labels = if allowed.needs_labels() { labels() } else { None };
        if !allowed.allows(&self.namespace, owner.namespace(), labels) {
            return Vec::new();
        }
        self.hosts.names().iter().filter_map(|host| in_common(listener.host(), host)).collect()
    }
}

impl RouteParent {
    fn read(reference: &Value, own: &str) -> Option<RouteParent> {
        let (kind, at) = parent(reference, own)?;
        let section = text(reference.get("sectionName"));
        let port = reference.get("port").filter(|port| !port.is_null()).map(|port| port.as_u64().unwrap_or_default());
        Some(RouteParent { kind, at, section, port, is_vetoed: false })
    }

    fn names(&self, owner: &SourceRef, listener: &GatewayListener) -> bool {
        self.kind == owner.kind()
            && self.at == *owner.object()
            && self.section.as_ref().is_none_or(|section| *section == listener.name)
            && self.port.is_none_or(|port| port == listener.port)
    }
}

/// The host names that a listener and a route have in common. A wildcard of the Gateway API spans several labels.
fn in_common(listener: Option<&Domain>, route: &Domain) -> Option<Domain> {
    let spans = |wildcard: &Domain, host: &Domain| {
        let below = host.base() != wildcard.base() || host.is_wildcard();
        wildcard.is_wildcard() && below && host.base().is_within(wildcard.base())
    };
    match listener {
        None => Some(route.clone()),
        Some(listener) if listener == route || spans(listener, route) => Some(route.clone()),
        Some(listener) if spans(route, listener) => Some(listener.clone()),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_and_a_route_have_host_names_in_common() {
        let domain = |text: &str| Domain::parse(text).unwrap();
        for (listener, route, common) in [
            ("", "x.a.test", "x.a.test"),
            ("", "*.a.test", "*.a.test"),
            ("x.a.test", "x.a.test", "x.a.test"),
            ("x.a.test", "y.a.test", ""),
            ("x.a.test", "*.a.test", "x.a.test"),
            ("x.y.a.test", "*.a.test", "x.y.a.test"),
            ("a.test", "*.a.test", ""),
            ("*.a.test", "x.a.test", "x.a.test"),
            ("*.a.test", "x.y.a.test", "x.y.a.test"),
            ("*.a.test", "a.test", ""),
            ("*.a.test", "xa.test", ""),
            ("*.a.test", "*.a.test", "*.a.test"),
            ("*.a.test", "*.b.a.test", "*.b.a.test"),
            ("*.b.a.test", "*.a.test", "*.b.a.test"),
            ("*.b.a.test", "*.c.a.test", ""),
            ("*.b.a.test", "x.a.test", ""),
        ] {
            let at = (!listener.is_empty()).then(|| domain(listener));
            let found = in_common(at.as_ref(), &domain(route)).map(|name| name.to_string()).unwrap_or_default();
            assert_eq!(found, common, "{listener} and {route}");
        }
    }
}
