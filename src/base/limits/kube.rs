//! Bounds of what is asked of the Kubernetes API and expected from it.

use std::time::Duration;

/// How long one request to the API server may take. Its own limit is 60 s.
pub const API_REQUEST: Duration = Duration::from_secs(30);

/// Octets of an answer of the API server: ten times the largest object.
pub const API_BODY_OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// Octets of a page of a list, which is read object by object: each object as large as Kubernetes lets it be.
pub const PAGE_OCTETS_MAX: u64 = 256 * 1024 * 1024;

/// Octets of one object of a list, or of a field beside them. Kubernetes stores objects of up to 1.5 MiB, and lets operators raise that.
pub const TREE_PART_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// Octets that the tree of any answer may take, however short its text is: the rules of a review have 1,000 octets for 100 of text.
pub const TREE_OCTETS_FREE: usize = 4 * 1024 * 1024;

/// Octets of a tree for each octet of its text besides. Text, tree and what the parser keeps meanwhile stay within four times the text.
pub const TREE_OCTETS_PER_OCTET: usize = 2;

/// Octets of an answer that says no, as far as they are read. A Status with the longest causes has some 10,000.
pub const API_ERROR_OCTETS_MAX: usize = 256 * 1024;

/// Objects of a list that are read at once: at some 10,000 octets for a Secret one million octets, and 10,000 Secrets in 100 requests.
pub const PAGE_OBJECTS: usize = 100;

/// How long a watch lasts, between the two, before it is opened anew. A connection that died without a word is noticed at its end.
pub const WATCH_LASTS: [Duration; 2] = [Duration::from_secs(180), Duration::from_secs(240)];

/// How much later than that the server may end it before the connection counts as dead.
pub const WATCH_GRACE: Duration = Duration::from_secs(15);

/// After how long a list is read anew whatever the watch says, at the least and a quarter more at the most: for what nobody thought of.
/// A watch that is silent for a whole period ([`WATCH_LASTS`]) leads to a new list by itself.
pub const RELIST_AFTER: Duration = Duration::from_secs(4 * 3600);

/// Octets of one line of a watch: five times the largest object.
pub const WATCH_LINE_OCTETS_MAX: u64 = 8 * 1024 * 1024;

/// The pause after the first failure of a list or a watch, as client-go has it; it doubles.
pub const WATCH_PAUSE_FIRST: Duration = Duration::from_millis(800);

/// The longest such pause.
pub const WATCH_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A watch that ends sooner than this counts as a failure: else a server that ends each at once would be asked without a pause.
pub const WATCH_SHORT: Duration = Duration::from_secs(1);

/// Objects that are watched by their name, each by a thread and a connection: 165 KiB each (measured).
pub const WATCHES_BY_NAME_MAX: usize = 50;

/// Threads of watches, with those that end, from which on no further Secret is watched by its name. One that is not wanted any more ends
/// with its next line, four minutes later at the latest: whoever edits a ConfigMap all the time must not start them without bound.
pub const WATCH_THREADS_MAX: usize = 4 * WATCHES_BY_NAME_MAX;

/// How long a refusal is not believed: what kube-apiserver needs after its start to read its Roles, and some. Until then it answers 403
/// to everything.
pub const REFUSAL_DOUBTED: Duration = Duration::from_secs(20);

/// How long what the Role did not allow is taken for granted before it is tried again.
pub const DENIED_AGAIN: Duration = Duration::from_secs(600);

/// How often a Secret is read that can not be watched, at the least.
pub const READ_AGAIN: Duration = Duration::from_secs(60);

/// How many such readings a second there are at the most, whatever their number.
pub const READINGS_A_SECOND: u32 = 5;

/// How long the watch may take to show what we wrote before it is read.
pub const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// What watches have seen and the loop has not looked at yet: a page of a list, so that they wait for it.
pub const CHANGES_WAITING_MAX: usize = 100;

/// What the loop takes from that queue before it decides: a flood of changes delays neither decisions nor a stop. Ten times the queue,
/// because a list is decided about as a whole.
pub const CHANGES_ROUND_MAX: usize = 10 * CHANGES_WAITING_MAX;

/// How long the loop takes from that queue before it decides.
pub const CHANGES_ROUND: Duration = Duration::from_secs(1);

/// How often everything is decided anew although nothing happened.
pub const LOOK_AT_ALL: Duration = Duration::from_secs(3600);

/// How long to pause before a list is read anew because the version was too old, at most: all who watched are told so at once.
pub const RELIST_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a Lease is its holder's after the last renewal that others saw. Four times what client-go takes: a certificate can wait, and
/// each renewal costs every cluster a write.
pub const LEASE_DURATION: Duration = Duration::from_secs(60);

/// How long the holder leads after it sent its last successful renewal. What it began until then gets the rest of
/// [`LEASE_DURATION`] to end.
pub const LEASE_RENEW_DEADLINE: Duration = Duration::from_secs(40);

/// The pause between two renewals, and between two looks of a replica that stands by.
pub const LEASE_RETRY: Duration = Duration::from_secs(10);

/// How long a request for the Lease may take: two without an answer fit into [`LEASE_RENEW_DEADLINE`], with the pauses between.
pub const LEASE_REQUEST: Duration = Duration::from_secs(5);

/// The pause between two looks at the Lease while a refusal is doubted.
pub const LEASE_DOUBT_RETRY: Duration = Duration::from_secs(2);

/// How long a replica that works without the Lease goes on so before it tries the Lease again.
pub const LEASE_AGAIN: Duration = Duration::from_secs(600);

/// Requests in one round: a renewal whose answer was lost costs three (refused, read, written), each further one is a lost race.
pub const LEASE_STEPS_MAX: u32 = 4;

/// The longest duration that a Lease can ask others to wait. More is a mistake of whoever edited it.
pub const LEASE_DURATION_TAKEN_MAX: Duration = Duration::from_secs(300);

/// How long giving the Lease back may take at the end: what [`SHUTDOWN`](super::SHUTDOWN) leaves of ten seconds, with some to spare.
pub const LEASE_RELEASE: Duration = Duration::from_millis(1_500);

/// Requests to the API server in a second, over all threads, unless `-kube-api-qps` says otherwise: ten times the rate of client-go, which
/// suits many small programs.
pub const API_QPS_DEFAULT: u32 = 50;

/// The highest rate that `-kube-api-qps` takes: more than one API server answers.
pub const API_QPS_MAX: u32 = 1_000;

/// Requests that may be sent at once after a rest, unless `-kube-api-burst` says otherwise.
pub const API_BURST_DEFAULT: u32 = 100;

/// The largest burst that `-kube-api-burst` takes: ten seconds of the highest rate.
pub const API_BURST_MAX: u32 = 10_000;

/// Tries of one request that the API server answers by 429, 500, 502, 503 or 504, or not at all: enough for a load balancer that goes on
/// to the next of several servers. What fails is done again later as a whole.
pub const API_TRIES: u32 = 5;

/// How long all tries of one request may take before no further one is begun. It holds a worker, or the loop.
pub const API_TRIES_IN_ALL: Duration = Duration::from_secs(20);

/// The longest pause before the second try; it doubles with each further one.
pub const API_RETRY_FIRST: Duration = Duration::from_millis(200);

/// The shortest pause after a 429: the API server itself always asks for a second.
pub const API_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause that the API server can ask for. It asks for seconds; hours would be a mistake of something in between.
pub const API_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Namespaces besides the own one that may be allowed. Each costs a review of the permissions at the start, and watches.
pub const ALLOWED_NAMESPACES_MAX: usize = 100;

/// Questions about one permission each that are asked for one namespace at the start. Without an answer the first request gives one.
pub const ACCESS_REVIEWS_MAX: usize = 100;

/// Names of objects that one line of the log shows.
pub const NAMES_SHOWN_MAX: usize = 5;

/// How long a token, a client certificate and the CA are used before their files are read again, as client-go does for tokens.
pub const TOKEN_KEPT: Duration = Duration::from_secs(60);

/// How long a credential plugin may take. Those of clouds ask a server of theirs and need seconds.
pub const EXEC_WITHIN: Duration = Duration::from_secs(20);

/// How long a request waits for another one that runs the plugin.
pub const CREDENTIAL_WAIT: Duration = Duration::from_secs(60);

/// The least time between two runs of a credential plugin that fails, or whose credentials are refused or expired.
pub const EXEC_PAUSE: Duration = Duration::from_secs(5);

/// Octets that a credential plugin may print: a token or a chain with its key is some 10,000.
pub const EXEC_OCTETS_MAX: usize = 256 * 1024;

/// Octets of an Event's message: events.k8s.io allows no more, and it is one line.
pub const EVENT_MESSAGE_OCTETS_MAX: usize = 1_024;

/// Events that an object may have at once, as client-go's.
pub const EVENT_BURST: u32 = 25;

/// After that one more each time this has passed, as client-go's.
pub const EVENT_REFILL: Duration = Duration::from_secs(300);

/// Events that are remembered to be counted up: more than an object has within the hour that the API server keeps them.
pub const EVENT_SERIES_MAX: usize = 128;

/// Objects with Events of late, each twice (those that warn and the others); there is one for each `-config` as a rule.
pub const EVENT_OBJECTS_MAX: usize = 64;

/// Events that wait to be sent; what is more is dropped. A burst at two objects.
pub const EVENT_QUEUE: usize = 64;

/// How often an Event is tried to be sent while the API server does not answer: over its restart.
pub const EVENT_TRIES: u32 = 3;

/// See [`EVENT_TRIES`].
pub const EVENT_PAUSE: Duration = Duration::from_secs(5);

/// How long no Event is tried after the API server refused one.
pub const EVENT_OFF: Duration = Duration::from_secs(600);

/// How long a ConfigMap is taken for the one it was: deleted and made again it has another uid.
pub const EVENT_UID_KEPT: Duration = Duration::from_secs(60);

/// How long the end of the program waits for Events. With [`SHUTDOWN`](super::SHUTDOWN) and [`LEASE_RELEASE`] the ten seconds that are promised.
pub const EVENT_FLUSH: Duration = Duration::from_millis(500);

/// Octets of a manifest that `-f` of `check`, `role` and `dns-policy` reads: a ConfigMap and what may stand beside it.
pub const MANIFEST_OCTETS_MAX: u64 = 16 * 1024 * 1024;
