//! The route on which a solver leads the path of an HTTP-01 challenge.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{is_unset, some_text, text};

/// The route that an HTTP-01 solver makes for its challenges. Names are as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpRoute {
    /// An Ingress of this class; without one the cluster's default class.
    Ingress(Option<String>),
    /// A further rule in the Ingress of this name, in the namespace of the Certificate.
    WithinIngress(String),
    /// HTTPRoutes below these parents.
    HttpRoutes(Vec<GatewayParent>),
}

/// A Gateway, or another parent of an HTTPRoute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GatewayParent {
    /// The kind; empty is Gateway.
    pub kind: String,
    /// The namespace; empty is that of the Certificate.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The listener; empty for all of them.
    pub section: String,
}

/// The annotations of a Certificate that change the route of its solvers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteOverride {
    class: Option<String>,
    ingress: Option<String>,
    parent: Option<GatewayParent>,
}

impl HttpRoute {
    /// Reads `http01` of a solver.
    pub(super) fn read(http: &Value) -> HttpRoute {
        let gateway = &http["gatewayHTTPRoute"];
        if gateway.is_object() {
            let parents = gateway["parentRefs"].as_array().into_iter().flatten();
            return HttpRoute::HttpRoutes(parents.map(GatewayParent::read).collect());
        }
        let ingress = &http["ingress"];
        match some_text(&ingress["name"]) {
            Some(name) => HttpRoute::WithinIngress(name),
            None => {
                HttpRoute::Ingress(some_text(&ingress["ingressClassName"]).or_else(|| some_text(&ingress["class"])))
            }
        }
    }

    /// The route for a Certificate with these annotations.
    pub fn with(&self, changes: &RouteOverride) -> HttpRoute {
        let RouteOverride { class, ingress, parent } = changes;
        match (self, ingress, class, parent) {
            (HttpRoute::HttpRoutes(parents), .., Some(parent)) if parents.is_empty() => {
                HttpRoute::HttpRoutes(vec![parent.clone()])
            }
            (HttpRoute::HttpRoutes(_), ..) => self.clone(),
            (_, Some(name), ..) => HttpRoute::WithinIngress(name.clone()),
            (_, None, Some(class), _) => HttpRoute::Ingress(Some(class.clone())),
            (_, None, None, _) => self.clone(),
        }
    }
}

impl GatewayParent {
    fn read(parent: &Value) -> GatewayParent {
        let owned = |field: &str| text(&parent[field]).to_owned();
        let section = owned("sectionName");
        GatewayParent { kind: owned("kind"), namespace: owned("namespace"), name: owned("name"), section }
    }
}

impl RouteOverride {
    /// Reads the annotations of a Certificate.
    pub(super) fn read(annotations: &Value) -> RouteOverride {
        let own = |name: &str| some_text(&annotations[format!("acme.cert-manager.io/http01-{name}")]);
        let parent = own("parentrefname").map(|name| GatewayParent {
            kind: own("parentrefkind").unwrap_or_default(),
            namespace: String::new(),
            name,
            section: String::new(),
        });
        let class = own("override-ingress-ingressclassname").or_else(|| own("override-ingress-class"));
        RouteOverride { class, ingress: own("override-ingress-name"), parent }
    }
}

/// The fields of `http01` that shape the pods and objects of cert-manager.
pub(super) fn without_effect(http: &Value) -> BTreeMap<&'static str, &'static str> {
    let of = |kind: &str, field: &str| !is_unset(&http[kind][field]);
    let is_set = |field: &str| of("ingress", field) || of("gatewayHTTPRoute", field);
    let why = "notariat answers by itself and makes no pods and no routes";
    let fields = ["podTemplate", "ingressTemplate", "serviceType", "labels"];
    fields.into_iter().filter(|field| is_set(field)).map(|field| (field, why)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_route_is_that_of_the_solver_unless_the_certificate_changes_it() {
        let parent = |kind: &str, namespace: &str, name: &str, section: &str| {
            let [kind, namespace, name, section] = [kind, namespace, name, section].map(str::to_owned);
            HttpRoute::HttpRoutes(vec![GatewayParent { kind, namespace, name, section }])
        };
        let class = |name: &str| HttpRoute::Ingress(Some(name.to_owned()));
        let gateway = json!({"gatewayHTTPRoute": {"parentRefs": [{"name": "public", "namespace": "edge", "sectionName": "http", "kind": "Gateway"}]}});
        let bare = json!({"gatewayHTTPRoute": {}});
        for (http, annotations, expected) in [
            (json!({"ingress": {}}), json!(null), HttpRoute::Ingress(None)),
            (json!({"ingress": {"ingressClassName": "nginx"}}), json!({}), class("nginx")),
            (json!({"ingress": {"class": "old"}}), json!({}), class("old")),
            (json!({"ingress": {"name": "web"}}), json!({}), HttpRoute::WithinIngress("web".to_owned())),
            (json!({"ingress": {"class": "old"}}), json!({"override-ingress-class": "new"}), class("new")),
            (json!({"ingress": {"name": "web"}}), json!({"override-ingress-ingressclassname": "new"}), class("new")),
            (
                json!({"ingress": {"class": "old"}}),
                json!({"override-ingress-name": "shop", "override-ingress-class": "new"}),
                HttpRoute::WithinIngress("shop".to_owned()),
            ),
            (gateway.clone(), json!({"parentrefname": "other"}), parent("Gateway", "edge", "public", "http")),
            (gateway, json!({"override-ingress-class": "new"}), parent("Gateway", "edge", "public", "http")),
            (
                bare.clone(),
                json!({"parentrefname": "other", "parentrefkind": "ListenerSet"}),
                parent("ListenerSet", "", "other", ""),
            ),
            (bare, json!({}), HttpRoute::HttpRoutes(Vec::new())),
        ] {
            let annotations = annotations.as_object().into_iter().flatten();
            let annotations = annotations.map(|(key, v)| (format!("acme.cert-manager.io/http01-{key}"), v.clone()));
            let changes = RouteOverride::read(&Value::Object(annotations.collect()));
            assert_eq!(HttpRoute::read(&http).with(&changes), expected, "{http} {changes:?}");
        }
    }

    #[test]
    fn what_shapes_pods_has_no_effect() {
        let http = json!({"ingress": {"class": "a", "podTemplate": {"spec": {}}, "serviceType": "NodePort"}, "gatewayHTTPRoute": {"labels": {"a": "b"}}});
        assert_eq!(without_effect(&http).into_keys().collect::<Vec<_>>(), ["labels", "podTemplate", "serviceType"]);
        assert!(without_effect(&json!({"ingress": {"podTemplate": {}}})).is_empty());
    }
}
