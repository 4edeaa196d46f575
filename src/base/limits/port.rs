//! Bounds of the HTTP port, of liveness and of the status that is shown.

use std::time::Duration;

/// Octets of a request's head. Kubelets and Prometheus send some hundred; browsers add cookies of other services on the
/// host.
pub const PORT_HEAD_OCTETS_MAX: usize = 8 * 1024;

/// Longest time for a connection, to its last octet.
pub const PORT_WITHIN: Duration = Duration::from_secs(5);

/// Connections without a complete request, and long answers that wait to be written.
pub const PORT_WAITING_MAX: usize = 16;

/// Connections to the responder of challenges without a complete request. A load balancer opens some for itself and holds them, and scanners find
/// port 80 at once: eight times as many as elsewhere, and of a few KiB each.
pub const CHALLENGE_PORT_WAITING_MAX: usize = 128;

/// Connections accepted before the open ones are served again.
pub const PORT_ACCEPTED_AT_ONCE: usize = 64;

/// The pause between two looks at open connections: the delay of a request that comes in two parts.
pub const PORT_LOOK: Duration = Duration::from_millis(10);

/// Longest wait for the peer's close after the answer.
pub const PORT_LINGER: Duration = Duration::from_secs(1);

/// Reads discarded at one look from a peer that goes on sending after the answer.
pub const PORT_DRAINED_AT_ONCE: usize = 16;

/// Octets of a long answer that are written at once.
pub const PORT_BUFFER_OCTETS: usize = 16 * 1024;

/// The grace time after which a late thread is overdue. The longest exchange without a pause takes a fifth of it.
pub const PULSE_GRACE: Duration = Duration::from_secs(300);

/// The shortest interval at which the shown status is made anew: with 10,000 certificates it takes a millisecond.
pub const SHOWN_EVERY: Duration = Duration::from_secs(1);

/// Rows of the status ConfigMap, the most urgent ones; `notariat status` shows all.
pub const BULLETIN_ROWS_MAX: usize = 200;

/// Notes of the status ConfigMap: refused entries and warnings.
pub const BULLETIN_NOTES_MAX: usize = 100;

/// Octets of the status ConfigMap's data: half of the bound for an object.
pub const BULLETIN_OCTETS_MAX: usize = 512 * 1024;

/// The shortest interval between two writes of the status ConfigMap.
pub const BULLETIN_EVERY: Duration = Duration::from_secs(60);

/// The age up to which the parked certificates of the status ConfigMap are believed: a little longer than a circuit
/// stays open.
pub const BULLETIN_TRUSTED: Duration = Duration::from_secs(35 * 60);

/// Certificates on the page, the most urgent ones: a browser shows as many without delay.
pub const PAGE_CERTIFICATES_MAX: usize = 1_000;

/// Faults of the configuration on the page: a ConfigMap has room for more than 200,000 invalid entries.
pub const PAGE_FAULTS_MAX: usize = 100;

/// Names of a certificate that the page shows.
pub const PAGE_NAMES_MAX: usize = 3;

/// Namespaces that the page links to; a query shows any other.
pub const PAGE_NAMESPACES_MAX: usize = 100;

/// The span of the time line before and after now: longer than the lifetime of public certificates.
pub const PAGE_AXIS_MAX: Duration = Duration::from_secs(400 * 86_400);

// HTTP-01 ---------------------------------------------------------------------------------------------------------------------

/// Octets of a web server's answer that the self-test reads: a key authorization has 87.
pub const REACH_BODY_OCTETS: usize = 512;

/// Octets of another server's answer that a sentence shows.
pub const REACH_BODY_SHOWN_OCTETS: usize = 40;

/// The longest URL that a redirect may lead to; Boulder's bound for a path.
pub const REACH_URL_OCTETS_MAX: usize = 2_000;

/// Redirects that the self-test follows: as many as Pebble, one less than Boulder.
pub const REACH_REDIRECTS_MAX: usize = 9;

/// The time for one answer of a web server; CAs wait for 10 to 15 s.
pub const REACH_WITHIN: Duration = Duration::from_secs(10);

/// The pauses between two self-tests of a name: the first, and the longest.
pub const REACH_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// The time after which a name whose web server answers wrongly fails, where `http.wait` says nothing else.
pub const REACH_WAIT_DEFAULT: Duration = Duration::from_secs(120);

/// The longest `http.wait`.
pub const REACH_WAIT_MAX: Duration = Duration::from_secs(1800);

/// Names that are tested at a time.
pub const REACH_AT_ONCE: usize = 8;

/// The time after which `check` asks no further web server: by then 96 were asked that say nothing, or thousands that answer.
pub const REACH_ALL_WITHIN: Duration = Duration::from_secs(120);

/// Addresses of a name that are tested.
pub const REACH_ADDRESSES_MAX: usize = 8;

/// Names whose web server can not be reached from inside but was by a CA, and that are not warned about again.
pub const REACH_KNOWN_MAX: usize = 10_000;

/// The time within which a replica's own watch shows the record that it has just written.
pub const ANSWERS_SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// Octets of a token and of a key authorization: 43 and 87 are usual.
pub const ANSWER_OCTETS_MAX: usize = 1_200;
