//! Bounds of configurations and manifests.

use std::time::Duration;

/// Open collections in a text of the configuration. An entry needs five; the parser looks at each for every token.
pub const CONFIG_DEPTH_MAX: usize = 32;

/// Beginnings and ends of collections, scalars and aliases in all keys of a ConfigMap together: 20,000 entries of three fields. The parser
/// keeps some 150 octets for each (measured).
pub const CONFIG_NODES_MAX: usize = 240_000;

/// Lines of a text that begin with `%`: the parser compares each with all before.
pub const CONFIG_DIRECTIVES_MAX: usize = 4;

/// Octets of one key of a ConfigMap as a tree, with all aliases expanded. Without aliases the tree of 1 MiB stays below it.
pub const CONFIG_TREE_OCTETS_MAX: usize = 12 * 1024 * 1024;

/// Octets that `defaults` may add to all entries of a ConfigMap, besides labels and annotations, which entries share: 20,000 entries get 800
/// each.
pub const DEFAULTS_ADDED_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// Fields of a mapping, and items of a list in an entry. A certificate has 100 names at the most.
pub const FIELDS_MAX: usize = 1_000;

/// Octets of the name of a field that a sentence repeats.
pub const FIELD_SHOWN_OCTETS: usize = 64;

/// Faults shown for one entry.
pub const FAULTS_SHOWN_MAX: usize = 20;

/// Octets of all sentences about the entries of a ConfigMap. After that, an entry's sentence only refers to those
/// before it.
pub const FAULTS_OCTETS_MAX: usize = 2 * 1024 * 1024;

/// Octets of all annotations of an object (Kubernetes' `TotalAnnotationSizeLimitB`), less some room for the annotations
/// of notariat and others.
pub const ANNOTATIONS_OCTETS_MAX: usize = 256 * 1024 - 8 * 1024;

/// Labels of a Secret. Kubernetes has no bound; each label may have 380 octets, so that these fit into an object beside
/// a certificate.
pub const LABELS_MAX: usize = 500;

/// Zones in each list of an issuer's `domains`: every name of every entry is compared with each.
pub const ISSUER_ZONES_MAX: usize = 200;

/// Open collections in a manifest. The schemas of CustomResourceDefinitions have 30 to 60.
pub const MANIFEST_DEPTH_MAX: usize = 100;

/// Events of a manifest, as [`CONFIG_NODES_MAX`] counts them: a ConfigMap is one of them, its Role some hundred.
pub const MANIFEST_NODES_MAX: usize = 1_000_000;

/// Names in one certificate. Let's Encrypt allows 100, others fewer.
pub const DOMAINS_MAX: usize = 100;

/// Octets of a CSR in PEM, or in the base64 of PEM: one with 100 long names and an RSA key has 15,000.
pub const CSR_OCTETS_MAX: usize = 32 * 1024;
/// Octets of `ca` of an issuer: some 30 certificates.
pub const CA_OCTETS_MAX: usize = 64 * 1024;

/// Octets of `http.webroot`.
pub const WEBROOT_OCTETS_MAX: usize = 1_024;

/// Secrets that one entry may fill.
pub const SECRETS_PER_ENTRY_MAX: usize = 100;

/// Issuers in the key `issuers`.
pub const ISSUERS_MAX: usize = 100;

/// Entries of a ConfigMap. One MiB has room for as many valid ones; of invalid ones there could be 262,000, and every
/// fault is kept and shown.
pub const ENTRIES_MAX: usize = 20_000;

/// Entries of the previous ConfigMap that an entry is compared with, so that equal ones are kept once: as many may be
/// removed in one place.
pub const ENTRIES_COMPARED_MAX: usize = 16;

/// Zones in the key `zones`.
pub const ZONES_MAX: usize = 1_000;

/// The TTL of TXT records in seconds where none is set: long enough for a CA's second look, short enough for a second try.
pub const TTL_DEFAULT_SECS: u32 = 60;

/// The longest TTL: a day. A longer one only keeps dead values in caches.
pub const TTL_MAX_SECS: u32 = 86_400;

/// The default time for servers to show a value. BIND's `notify-delay` alone is 5 s.
pub const PROPAGATION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// Octets of all values of a ConfigMap together; the API server takes no larger one.
pub const CONFIG_MAP_OCTETS_MAX: usize = 1024 * 1024;

/// Two thirds of the usual 90 days: a `renewBefore` from here on is refused for such certificates, and `check` warns
/// about it.
pub const RENEW_BEFORE_USUAL: Duration = Duration::from_secs(60 * 86_400);

/// The longest `settle`: the wait occupies a worker.
pub const SETTLE_MAX: Duration = Duration::from_secs(600);

/// The longest `propagationTimeout`: the wait occupies a worker.
pub const PROPAGATION_TIMEOUT_MAX: Duration = Duration::from_secs(7_200);

/// Problems of one object of the cluster that are kept and reported: an object may have 10,000 bad items.
pub const PROBLEMS_OF_OBJECT_MAX: usize = 8;

/// How long the wishes for a Secret must stay as they are before an order: `helm` and people change an object several times in a row. Times
/// are whole seconds, so that at least two of them pass.
pub const WISHES_SETTLE: Duration = Duration::from_secs(3);

/// How long changes that follow each other delay an order at most.
pub const WISHES_SETTLE_MAX: Duration = Duration::from_secs(10);

/// How long an object must be gone before its certificate counts as unwanted: `helm upgrade` and GitOps tools delete and create again.
pub const OBJECT_GONE_FOR: Duration = Duration::from_secs(60);

/// The shortest time for which copy, key and history of an object's certificate are kept once the object is gone, whatever `-forget-after`
/// says.
pub const OBJECT_KEPT_MIN: Duration = Duration::from_secs(24 * 3600);

/// How long the wish for a Secret must be gone before `-prune` deletes the Secret. No longer than [`OBJECT_KEPT_MIN`]: the record tells it.
pub const PRUNE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Lines of the key `namespaces`. A cluster has some thousand namespaces at the most, and a ConfigMap room for as many lines.
pub const NAMESPACE_LINES_MAX: usize = 10_000;

/// Ranges of names in one line of the key `namespaces`.
pub const NAMESPACE_RANGES_MAX: usize = 200;

/// The largest `maxCertificates` of a namespace of another cluster. So many objects are looked at where one of them changes.
pub const MOST_ELSEWHERE_MAX: u32 = 10_000;

/// Orders within a week for the objects of a namespace, where its line sets no number; renewals are not counted. Let's Encrypt grants 50
/// certificates a week for each registered domain.
pub const NAMESPACE_ORDERS_DEFAULT: u32 = 20;

/// Zones of `-ingress-all`.
pub const INGRESS_ZONES_MAX: usize = 100;

/// Lines of the key `namespaces` that `check` shows.
pub const POLICY_LINES_SHOWN_MAX: usize = 100;

/// Hostnames of one HTTPRoute that `http-route` prints: the Gateway API takes no more.
pub const HOSTNAMES_PER_ROUTE: usize = 16;
