//! The keys of annotations, by whose they are. Pure.

pub(super) const CERTIFICATE: &str = "notariat/certificate";
pub(super) const IGNORE: &str = "notariat/ignore";
pub(super) const ADOPT: &str = "notariat/adopt";
pub(super) const ISSUER: &str = "notariat/issuer";
pub(super) const DOMAINS: &str = "notariat/domains";
pub(super) const KEY_TYPE: &str = "notariat/key-type";
pub(super) const PREFERRED_CHAIN: &str = "notariat/preferred-chain";
pub(super) const RENEW_BEFORE: &str = "notariat/renew-before";
pub(super) const SECRET_LABELS: &str = "notariat/secret-labels";
/// The Secret of a Service.
pub const SECRET: &str = "notariat/secret";

pub(super) const TLS_ACME: &str = "kubernetes.io/tls-acme";
/// The class of an Ingress without `ingressClassName`.
pub const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
/// Marks the Ingress by which kube-lego answered challenges.
pub const LEGO_SOLVER: &str = "kubernetes.io/tls-acme-challenge-endpoints";
/// A label of the Ingress by which cert-manager answers a challenge.
pub const SOLVER: &str = "acme.cert-manager.io/http01-solver";
/// Hosts whose TLS ends behind the ingress controller.
pub const PASSTHROUGH: [&str; 3] = [
    "nginx.ingress.kubernetes.io/ssl-passthrough",
    "ingress.kubernetes.io/ssl-passthrough",
    "haproxy.org/ssl-passthrough",
];

pub(super) const GARDENER: &str = "cert.gardener.cloud/";
pub(super) const PURPOSE: &str = "cert.gardener.cloud/purpose";
pub(super) const OLD_PURPOSE: &str = "garden.sapcloud.io/purpose";
pub(super) const COMMON_NAME: &str = "cert.gardener.cloud/commonname";
pub(super) const DNS_NAMES: &str = "cert.gardener.cloud/dnsnames";
pub(super) const GARDENER_ISSUER: &str = "cert.gardener.cloud/issuer";
pub(super) const GARDENER_LABELS: &str = "cert.gardener.cloud/secret-labels";
pub(super) const GARDENER_CHAIN: &str = "cert.gardener.cloud/preferred-chain";
pub(super) const GARDENER_RENEW: &str = "cert.gardener.cloud/renew-before";
pub(super) const GARDENER_ALGORITHM: &str = "cert.gardener.cloud/private-key-algorithm";
pub(super) const GARDENER_SIZE: &str = "cert.gardener.cloud/private-key-size";
/// Challenges follow CNAMEs always.
pub(super) const FOLLOW_CNAME: &str = "cert.gardener.cloud/follow-cname";
/// Gardener's Secret of a Service.
pub const GARDENER_SECRET: &str = "cert.gardener.cloud/secretname";
/// Gardener's namespace for the Secret of a Service.
pub const SECRET_NAMESPACE: &str = "cert.gardener.cloud/secret-namespace";
/// The names of a Service that Gardener publishes in DNS.
pub const PUBLISHED_NAMES: &str = "dns.gardener.cloud/dnsnames";

pub(super) const CERT_MANAGER: &str = "cert-manager.io/";
pub(super) const CM_CLUSTER_ISSUER: &str = "cert-manager.io/cluster-issuer";
pub(super) const CM_ISSUER: &str = "cert-manager.io/issuer";
pub(super) const CM_ISSUER_KIND: &str = "cert-manager.io/issuer-kind";
pub(super) const CM_ISSUER_GROUP: &str = "cert-manager.io/issuer-group";
pub(super) const CM_NAMES: &str = "cert-manager.io/alt-names";
pub(super) const CM_RENEW: &str = "cert-manager.io/renew-before";
pub(super) const CM_ALGORITHM: &str = "cert-manager.io/private-key-algorithm";
pub(super) const CM_SIZE: &str = "cert-manager.io/private-key-size";
pub(super) const CM_TEMPLATE: &str = "cert-manager.io/secret-template";
/// The listeners of a Gateway that cert-manager leaves alone.
pub const CM_IGNORED_LISTENERS: &str = "cert-manager.io/ignore-tls-listeners";

/// The annotations that mean something here.
pub(super) const KNOWN: &[&str] = &[
    CERTIFICATE,
    IGNORE,
    ADOPT,
    ISSUER,
    DOMAINS,
    KEY_TYPE,
    PREFERRED_CHAIN,
    RENEW_BEFORE,
    SECRET_LABELS,
    SECRET,
    TLS_ACME,
    INGRESS_CLASS,
    LEGO_SOLVER,
    PASSTHROUGH[0],
    PASSTHROUGH[1],
    PASSTHROUGH[2],
    PURPOSE,
    COMMON_NAME,
    DNS_NAMES,
    GARDENER_ISSUER,
    GARDENER_LABELS,
    GARDENER_CHAIN,
    GARDENER_RENEW,
    GARDENER_ALGORITHM,
    GARDENER_SIZE,
    FOLLOW_CNAME,
    GARDENER_SECRET,
    SECRET_NAMESPACE,
    PUBLISHED_NAMES,
    CM_CLUSTER_ISSUER,
    CM_ISSUER,
    CM_ISSUER_KIND,
    CM_ISSUER_GROUP,
    CM_NAMES,
    CM_RENEW,
    CM_ALGORITHM,
    CM_SIZE,
    CM_TEMPLATE,
    CM_IGNORED_LISTENERS,
];

/// The labels that count as annotations do.
pub(super) const KNOWN_LABELS: [&str; 2] = [OLD_PURPOSE, SOLVER];
