//! The bounds of the HTTP port and of the signs of life that it tells.

use std::time::Duration;

/// Octets of a request's head. Those of kubelets and Prometheus have some hundred; browsers send cookies of other services on the host.
pub const PORT_HEAD_OCTETS_MAX: usize = 8 * 1024;

/// How long a connection may take in all, to its last octet.
pub const PORT_WITHIN: Duration = Duration::from_secs(5);

/// Connections that are held while they have not asked yet, and long answers that wait to be written.
pub const PORT_WAITING_MAX: usize = 16;

/// Connections that are let in before those inside are looked at again.
pub const PORT_ACCEPTED_AT_ONCE: usize = 64;

/// The pause between two looks while a connection is open: what a request that comes in two parts loses.
pub const PORT_LOOK: Duration = Duration::from_millis(10);

/// How long the end of a connection is waited for after the answer.
pub const PORT_LINGER: Duration = Duration::from_secs(1);

/// Reads that are thrown away at one look, from whoever goes on sending after the answer.
pub const PORT_DRAINED_AT_ONCE: usize = 16;

/// What is written at once of a long answer.
pub const PORT_BUFFER_OCTETS: usize = 16 * 1024;

/// How much later than it said a thread may show itself. The longest exchange that has no pause in it takes a fifth of it.
pub const PULSE_GRACE: Duration = Duration::from_secs(300);

/// How often what the port shows is made anew, at most: with 10,000 certificates it takes a millisecond.
pub const SHOWN_EVERY: Duration = Duration::from_secs(1);

/// Rows of the ConfigMap that shows the state; what is urgent comes first, and whoever looks after more asks `notariat status`.
pub const BULLETIN_ROWS_MAX: usize = 200;

/// Notes there: refused entries and warnings.
pub const BULLETIN_NOTES_MAX: usize = 100;

/// Octets of its data, half of what an object may have.
pub const BULLETIN_OCTETS_MAX: usize = 512 * 1024;

/// How often it is written at the most.
pub const BULLETIN_EVERY: Duration = Duration::from_secs(60);

/// How long what it says of parked certificates is taken for true: a little longer than a circuit may be open.
pub const BULLETIN_TRUSTED: Duration = Duration::from_secs(35 * 60);

/// Certificates on the page, the most urgent ones: a browser shows so many at once without pain.
pub const PAGE_CERTIFICATES_MAX: usize = 1_000;

/// Faults of the configuration on the page: a ConfigMap has room for more than 200,000 entries that are refused.
pub const PAGE_FAULTS_MAX: usize = 100;

/// Names of a certificate that the page shows.
pub const PAGE_NAMES_MAX: usize = 3;

/// How far the time line reaches before and after now: longer than certificates of public CAs live.
pub const PAGE_AXIS_MAX: Duration = Duration::from_secs(400 * 86_400);
