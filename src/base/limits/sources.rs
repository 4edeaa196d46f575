//! Bounds of the objects that sources read: Ingresses, Gateways, routes, Services.

/// Host names of one object that are read. A certificate has 100; an object of many items may want several. The API server takes 10,000.
pub const OBJECT_HOSTS_MAX: usize = 1_000;

/// TLS items of an Ingress, and parents of a route, that are read. A Gateway has 64 listeners at most.
pub const OBJECT_ITEMS_MAX: usize = 250;

/// Problems that are told of one object. Each may become an Event.
pub const OBJECT_PROBLEMS_MAX: usize = 20;

/// Unreadable names that one sentence shows; the others are counted.
pub const BAD_NAMES_SHOWN_MAX: usize = 3;

/// Octets of a text in an object that stands for a name: a name has 253 characters, some of them of several octets.
pub const OBJECT_NAME_OCTETS_MAX: usize = 1_024;

/// Octets of what is kept of a Certificate: 100 names take some 25 KB at the most.
pub const OBJECT_OCTETS_MAX: usize = 64 * 1024;

/// Characters of a sentence about one text of an object.
pub const OBJECT_SENTENCE_CHARS_MAX: usize = 300;

/// Octets of an annotation that is read: a hundred names of eighty characters. Kubernetes allows 256 KiB in all annotations.
pub const ANNOTATION_READ_OCTETS_MAX: usize = 8 * 1024;

/// Annotations of one object that are not used and that a sentence names.
pub const UNUSED_ANNOTATIONS_SHOWN_MAX: usize = 5;

/// Requirements of a label selector for namespaces. One that has more selects nothing.
pub const SELECTOR_REQUIREMENTS_MAX: usize = 50;
