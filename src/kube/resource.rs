//! Kinds of objects, selections of them, and the paths under which the API server has them. Pure.
//!
//! A kind is a constant: a new one needs a [`Resource`] and an [`Object`](super::metadata::Object), and nothing else in this folder.

use std::fmt;
use std::time::Duration;

use crate::base::name::{ClusterName, ObjectRef};
use crate::base::sanitize::percent_encoded;

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The version of the group.
    pub version: &'static str,
    /// The plural in paths and Roles.
    pub plural: &'static str,
    /// The name of the kind in objects.
    pub kind: &'static str,
    /// False for kinds whose objects are in no namespace.
    pub namespaced: bool,
}

impl Resource {
    /// core/v1 Secret
    pub const SECRETS: Resource = Resource::core("secrets", "Secret");
    /// core/v1 ConfigMap
    pub const CONFIG_MAPS: Resource = Resource::core("configmaps", "ConfigMap");
    /// core/v1 Event
    pub const EVENTS: Resource = Resource::core("events", "Event");
    /// coordination.k8s.io/v1 Lease
    pub const LEASES: Resource =
        Resource { group: "coordination.k8s.io", plural: "leases", kind: "Lease", ..Resource::SECRETS };
    /// networking.k8s.io/v1 Ingress
    pub const INGRESSES: Resource =
        Resource { group: "networking.k8s.io", version: "v1", plural: "ingresses", kind: "Ingress", namespaced: true };
    /// core/v1 Service
    pub const SERVICES: Resource = Resource::core("services", "Service");
    /// core/v1 Namespace
    pub const NAMESPACES: Resource = Resource { namespaced: false, ..Resource::core("namespaces", "Namespace") };
    /// gateway.networking.k8s.io/v1 Gateway
    pub const GATEWAYS: Resource = Resource::gateway("gateways", "Gateway");
    /// gateway.networking.k8s.io/v1 ListenerSet
    pub const LISTENER_SETS: Resource = Resource::gateway("listenersets", "ListenerSet");
    /// gateway.networking.k8s.io/v1 HTTPRoute
    pub const HTTP_ROUTES: Resource = Resource::gateway("httproutes", "HTTPRoute");
    /// gateway.networking.k8s.io/v1 GRPCRoute
    pub const GRPC_ROUTES: Resource = Resource::gateway("grpcroutes", "GRPCRoute");
    /// gateway.networking.k8s.io/v1 TLSRoute
    pub const TLS_ROUTES: Resource = Resource::gateway("tlsroutes", "TLSRoute");
    /// cert-manager.io/v1 Certificate
    pub const CERTIFICATES: Resource = Resource::cert_manager("certificates", "Certificate");
    /// cert-manager.io/v1 Issuer
    pub const ISSUERS: Resource = Resource::cert_manager("issuers", "Issuer");
    /// cert-manager.io/v1 ClusterIssuer
    pub const CLUSTER_ISSUERS: Resource =
        Resource { namespaced: false, ..Resource::cert_manager("clusterissuers", "ClusterIssuer") };
    /// cert.gardener.cloud/v1alpha1 Certificate
    pub const GARDENER_CERTIFICATES: Resource = Resource::gardener("certificates", "Certificate");
    /// cert.gardener.cloud/v1alpha1 Issuer
    pub const GARDENER_ISSUERS: Resource = Resource::gardener("issuers", "Issuer");
    /// cert.gardener.cloud/v1alpha1 CertificateRevocation
    pub const GARDENER_REVOCATIONS: Resource = Resource::gardener("certificaterevocations", "CertificateRevocation");
    /// authorization.k8s.io/v1 SelfSubjectRulesReview
    pub const RULES_REVIEWS: Resource = Resource::review("selfsubjectrulesreviews", "SelfSubjectRulesReview");
    /// authorization.k8s.io/v1 SelfSubjectAccessReview
    pub const ACCESS_REVIEWS: Resource = Resource::review("selfsubjectaccessreviews", "SelfSubjectAccessReview");

    /// The kinds whose objects references name as text. A source of another kind adds its resource here.
    const NAMED: &[Resource] = &[
        Resource::CONFIG_MAPS,
        Resource::SECRETS,
        Resource::INGRESSES,
        Resource::GATEWAYS,
        Resource::LISTENER_SETS,
        Resource::SERVICES,
        Resource::CERTIFICATES,
        Resource::GARDENER_CERTIFICATES,
        Resource::GARDENER_ISSUERS,
        Resource::GARDENER_REVOCATIONS,
        Resource::ISSUERS,
        Resource::CLUSTER_ISSUERS,
    ];

    /// The resource of a kind that references name as text; `None` for another kind.
    pub fn of_kind(kind: &str) -> Option<Resource> {
        Resource::NAMED.iter().find(|resource| resource.text_kind() == kind).copied()
    }

    /// The kind in the text of a reference. Two groups have a Certificate and an Issuer: those of Gardener have their group behind them, as
    /// kubectl writes it.
    pub fn text_kind(self) -> &'static str {
        match self {
            Resource::GARDENER_CERTIFICATES => "Certificate.cert.gardener.cloud",
            Resource::GARDENER_ISSUERS => "Issuer.cert.gardener.cloud",
            _ => self.kind,
        }
    }

    const fn core(plural: &'static str, kind: &'static str) -> Resource {
        Resource { group: "", version: "v1", plural, kind, namespaced: true }
    }

    const fn gateway(plural: &'static str, kind: &'static str) -> Resource {
        Resource { group: "gateway.networking.k8s.io", version: "v1", plural, kind, namespaced: true }
    }

    const fn cert_manager(plural: &'static str, kind: &'static str) -> Resource {
        Resource { group: "cert-manager.io", version: "v1", plural, kind, namespaced: true }
    }

    const fn gardener(plural: &'static str, kind: &'static str) -> Resource {
        Resource { group: "cert.gardener.cloud", version: "v1alpha1", plural, kind, namespaced: true }
    }

    const fn review(plural: &'static str, kind: &'static str) -> Resource {
        Resource { group: "authorization.k8s.io", version: "v1", plural, kind, namespaced: false }
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The path of its objects in a namespace. With an empty namespace, and for cluster-scoped kinds, the path of all of them.
    pub(super) fn path(self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let namespace = match self.namespaced && !namespace.is_empty() {
            true => format!("/namespaces/{namespace}"),
            false => String::new(),
        };
        format!("/{root}/{}{namespace}/{}", self.api_version(), self.plural)
    }

    /// The path under which the API server says what it serves of the group.
    pub(super) fn group_path(self) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{root}/{}", self.api_version())
    }

    /// The path of one object. The namespace of a cluster-scoped object is empty.
    pub(super) fn path_of(self, object: &ObjectRef) -> String {
        format!("{}/{}", self.path(&object.namespace), object.name)
    }
}

/// A selection of objects, to be listed or watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchTarget {
    /// The kind.
    pub resource: Resource,
    /// The namespace; empty for all of them, and for cluster-scoped kinds.
    pub namespace: String,
    /// The selected objects of that namespace.
    pub selector: Selector,
    /// The cluster of source objects. The client decides which cluster is asked, and Secrets are told apart by it alone: theirs is home.
    pub cluster: ClusterName,
}

/// A selection by labels or fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// All objects.
    All,
    /// Objects with these labels: a label selector, `app=web,tier!=test` say.
    Labels(String),
    /// Secrets of this type, by a field selector.
    Type(&'static str),
    /// One object, which need not exist, by a field selector.
    Name(String),
}

impl Selector {
    /// The query parameter and its value, not encoded. `None` for all objects.
    fn parameter(&self) -> Option<(&'static str, String)> {
        match self {
            Selector::All => None,
            Selector::Labels(labels) => Some(("labelSelector", labels.clone())),
            Selector::Type(kind) => Some(("fieldSelector", format!("type={kind}"))),
            Selector::Name(name) => Some(("fieldSelector", format!("metadata.name={name}"))),
        }
    }

    fn query(&self) -> String {
        let parameter = self.parameter();
        parameter.map(|(name, value)| format!("&{name}={}", percent_encoded(&value))).unwrap_or_default()
    }
}

impl fmt::Display for WatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(cluster) = self.cluster.name() {
            write!(f, "{cluster}:")?;
        }
        write!(f, "{}/{}", self.namespace, self.resource.plural)?;
        self.selector.parameter().map_or(Ok(()), |(_, value)| write!(f, " {value}"))
    }
}

impl WatchTarget {
    /// The path of a page of the list with at most `limit` objects: the first page, or that of a token.
    pub(super) fn list_path(&self, limit: usize, continue_token: Option<&str>) -> String {
        let (path, query) = (self.resource.path(&self.namespace), self.selector.query());
        let token = continue_token.map(|token| format!("&continue={}", percent_encoded(token))).unwrap_or_default();
        format!("{path}?limit={limit}{query}{token}")
    }

    /// The path of a watch that begins after `resource_version` and that the server is to end after `timeout`.
    pub(super) fn watch_path(&self, resource_version: &str, timeout: Duration) -> String {
        let (path, query) = (self.resource.path(&self.namespace), self.selector.query());
        let (version, seconds) = (percent_encoded(resource_version), timeout.as_secs());
        format!("{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}{query}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INGRESS_CLASSES: Resource =
        Resource { plural: "ingressclasses", kind: "IngressClass", namespaced: false, ..Resource::INGRESSES };

    #[test]
    fn each_kind_has_its_paths() {
        for (resource, namespace, path) in [
            (Resource::SECRETS, "team", "/api/v1/namespaces/team/secrets"),
            (Resource::SECRETS, "", "/api/v1/secrets"),
            (Resource::LEASES, "team", "/apis/coordination.k8s.io/v1/namespaces/team/leases"),
            (Resource::INGRESSES, "team", "/apis/networking.k8s.io/v1/namespaces/team/ingresses"),
            (Resource::SERVICES, "team", "/api/v1/namespaces/team/services"),
            (Resource::NAMESPACES, "", "/api/v1/namespaces"),
            (Resource::GATEWAYS, "", "/apis/gateway.networking.k8s.io/v1/gateways"),
            (Resource::LISTENER_SETS, "team", "/apis/gateway.networking.k8s.io/v1/namespaces/team/listenersets"),
            (Resource::HTTP_ROUTES, "", "/apis/gateway.networking.k8s.io/v1/httproutes"),
            (Resource::GRPC_ROUTES, "", "/apis/gateway.networking.k8s.io/v1/grpcroutes"),
            (Resource::TLS_ROUTES, "", "/apis/gateway.networking.k8s.io/v1/tlsroutes"),
            (INGRESS_CLASSES, "", "/apis/networking.k8s.io/v1/ingressclasses"),
            (INGRESS_CLASSES, "team", "/apis/networking.k8s.io/v1/ingressclasses"),
            (Resource::RULES_REVIEWS, "", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"),
        ] {
            assert_eq!(resource.path(namespace), path);
            assert_eq!(resource.path_of(&ObjectRef::new(namespace, "a")), format!("{path}/a"));
        }
    }

    #[test]
    fn lists_and_watches_carry_selector_token_and_version() {
        let target = |resource, namespace: &str, selector| WatchTarget {
            resource,
            namespace: namespace.to_owned(),
            selector,
            cluster: ClusterName::HOME,
        };
        let labels = || Selector::Labels("app=web,tier!=test".to_owned());
        for (target, list, watch, shown) in [
            (
                target(Resource::SECRETS, "team", Selector::Type("kubernetes.io/tls")),
                "/api/v1/namespaces/team/secrets?limit=100&fieldSelector=type%3Dkubernetes.io%2Ftls&continue=a%3Db",
                "/api/v1/namespaces/team/secrets?watch=1&allowWatchBookmarks=true&timeoutSeconds=200&resourceVersion=17\
                 &fieldSelector=type%3Dkubernetes.io%2Ftls",
                "team/secrets type=kubernetes.io/tls",
            ),
            (
                target(Resource::CONFIG_MAPS, "team", Selector::Name("web".to_owned())),
                "/api/v1/namespaces/team/configmaps?limit=100&fieldSelector=metadata.name%3Dweb&continue=a%3Db",
                "/api/v1/namespaces/team/configmaps?watch=1&allowWatchBookmarks=true&timeoutSeconds=200\
                 &resourceVersion=17&fieldSelector=metadata.name%3Dweb",
                "team/configmaps metadata.name=web",
            ),
            (
                target(Resource::INGRESSES, "", labels()),
                "/apis/networking.k8s.io/v1/ingresses?limit=100&labelSelector=app%3Dweb%2Ctier%21%3Dtest&continue=a%3Db",
                "/apis/networking.k8s.io/v1/ingresses?watch=1&allowWatchBookmarks=true&timeoutSeconds=200\
                 &resourceVersion=17&labelSelector=app%3Dweb%2Ctier%21%3Dtest",
                "/ingresses app=web,tier!=test",
            ),
            (
                target(INGRESS_CLASSES, "", Selector::All),
                "/apis/networking.k8s.io/v1/ingressclasses?limit=100&continue=a%3Db",
                "/apis/networking.k8s.io/v1/ingressclasses?watch=1&allowWatchBookmarks=true&timeoutSeconds=200\
                 &resourceVersion=17",
                "/ingressclasses",
            ),
        ] {
            assert_eq!(target.list_path(100, Some("a=b")), list);
            assert_eq!(target.list_path(100, None), list.trim_end_matches("&continue=a%3Db"));
            assert_eq!(target.watch_path("17", Duration::from_secs(200)), watch);
            assert_eq!(target.to_string(), shown);
        }
    }
}
