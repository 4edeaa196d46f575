//! Bounds of requests to the Kubernetes API and of its answers.

use std::time::Duration;

/// How long one request to the API server may take. Its own limit is 60 s.
pub const API_REQUEST: Duration = Duration::from_secs(30);

/// Octets of an answer of the API server: ten times the largest object.
pub const API_BODY_OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// Octets of a page of a list, which is read object by object: 100 objects of the largest size that Kubernetes allows.
pub const PAGE_OCTETS_MAX: u64 = 256 * 1024 * 1024;

/// Octets of one object of a list, or of a field beside them. Kubernetes stores objects of up to 1.5 MiB, and lets operators raise that.
pub const TREE_PART_OCTETS_MAX: usize = 8 * 1024 * 1024;

/// Octets that the tree of any answer may take, also for a short text: the rules of a review have 1,000 octets for 100 of text.
pub const TREE_OCTETS_FREE: usize = 4 * 1024 * 1024;

/// Further octets of a tree for each octet of its text. Text, tree and the memory of the parser stay within four times the text.
pub const TREE_OCTETS_PER_OCTET: usize = 2;

/// Octets of an error answer that are read. A Status with the longest causes has some 10,000.
pub const API_ERROR_OCTETS_MAX: usize = 256 * 1024;

/// Objects of a list that are read at once: at some 10,000 octets for a Secret one million octets, and 10,000 Secrets in 100 requests.
pub const PAGE_OBJECTS: usize = 100;

/// The shortest and the longest time that a watch lasts before it is opened anew. A dead connection is noticed at that time.
pub const WATCH_LASTS: [Duration; 2] = [Duration::from_secs(180), Duration::from_secs(240)];

/// How much later than asked the server may end a watch before the connection counts as dead.
pub const WATCH_GRACE: Duration = Duration::from_secs(15);

/// After how long a list is read anew in any case, with up to a quarter more: against faults that are not known. A watch that is silent for a
/// whole period ([`WATCH_LASTS`]) leads to a new list by itself.
pub const RELIST_AFTER: Duration = Duration::from_secs(4 * 3600);

/// Octets of one line of a watch: five times the largest object.
pub const WATCH_LINE_OCTETS_MAX: u64 = 8 * 1024 * 1024;

/// The pause after the first failure of a list or a watch, as in client-go. Each further failure doubles it.
pub const WATCH_PAUSE_FIRST: Duration = Duration::from_millis(800);

/// The longest such pause.
pub const WATCH_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A watch that ends sooner than this counts as a failure: otherwise a server that ends each watch at once would be asked without a pause.
pub const WATCH_SHORT: Duration = Duration::from_secs(1);

/// Objects that are watched by their name, each by a thread and a connection: 165 KiB each (measured).
pub const WATCHES_BY_NAME_MAX: usize = 50;

/// Threads of watches from which on no further Secret is watched by its name, threads that are ending included. A thread that is not wanted any
/// more ends with its next line, four minutes later at the latest: frequent edits of a ConfigMap must not start threads without bound.
pub const WATCH_THREADS_MAX: usize = 4 * WATCHES_BY_NAME_MAX;

/// How long a refusal is doubted: kube-apiserver answers 403 to everything until it has read its Roles after its start, which takes less.
pub const REFUSAL_DOUBTED: Duration = Duration::from_secs(20);

/// How long a refusal by the Role counts before the request is tried again.
pub const DENIED_AGAIN: Duration = Duration::from_secs(600);

/// The shortest pause between two reads of a Secret that can not be watched.
pub const READ_AGAIN: Duration = Duration::from_secs(60);

/// The largest number of such reads in a second, for any number of Secrets.
pub const READINGS_A_SECOND: u32 = 5;

/// How long a watch may take to show a write of this program before the object is read.
pub const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// Events of watches that wait for the loop: a page of a list. A watch that finds the queue full waits.
pub const CHANGES_WAITING_MAX: usize = 100;

/// Events that the loop takes from that queue before it decides, so that a flood of changes delays neither decisions nor a stop. Ten times the
/// queue, because a list is decided about as a whole.
pub const CHANGES_ROUND_MAX: usize = 10 * CHANGES_WAITING_MAX;

/// How long the loop takes from that queue before it decides.
pub const CHANGES_ROUND: Duration = Duration::from_secs(1);

/// The interval after which everything is decided anew although nothing happened.
pub const LOOK_AT_ALL: Duration = Duration::from_secs(3600);

/// The longest pause before a list is read anew because its version expired: a server says so to all its watchers at once.
pub const RELIST_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a Lease belongs to its holder after the last renewal that others saw. Four times the value of client-go: a certificate can wait,
/// and each renewal costs every cluster a write.
pub const LEASE_DURATION: Duration = Duration::from_secs(60);

/// How long the holder leads after it sent its last successful renewal. The rest of [`LEASE_DURATION`] is for work under way.
pub const LEASE_RENEW_DEADLINE: Duration = Duration::from_secs(40);

/// The pause between two renewals, and between two looks of a replica that stands by.
pub const LEASE_RETRY: Duration = Duration::from_secs(10);

/// How long a request for the Lease may take: two without an answer fit into [`LEASE_RENEW_DEADLINE`], with the pauses between.
pub const LEASE_REQUEST: Duration = Duration::from_secs(5);

/// The pause between two looks at the Lease while a refusal is doubted.
pub const LEASE_DOUBT_RETRY: Duration = Duration::from_secs(2);

/// How long a replica that works without the Lease goes on so before it tries the Lease again.
pub const LEASE_AGAIN: Duration = Duration::from_secs(600);

/// Requests in one round. A renewal whose answer was lost costs three (refused, read, written); each further one is a lost race.
pub const LEASE_STEPS_MAX: u32 = 4;

/// The longest duration of a Lease that others respect. A longer one is a mistake of an editor.
pub const LEASE_DURATION_TAKEN_MAX: Duration = Duration::from_secs(300);

/// How long giving the Lease back may take at the end: less than [`SHUTDOWN`](super::SHUTDOWN) leaves of ten seconds.
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
/// to the next of several servers. The work of a request that fails is done again later as a whole.
pub const API_TRIES: u32 = 5;

/// The longest time of a request to another cluster than the own one, all tries together. A worker waits so long at the most for a cluster that
/// does not answer.
pub const TARGET_REQUEST: Duration = Duration::from_secs(10);

/// How long another cluster is not asked after it did not answer. Its watches, which are asked all the time, end the pause.
pub const TARGET_PAUSE: Duration = Duration::from_secs(5);

/// The number of other clusters: each has threads of its own.
pub const TARGETS_MAX: usize = 64;

/// How long all tries of one request may take before no further one begins. A request holds a worker, or the loop.
pub const API_TRIES_IN_ALL: Duration = Duration::from_secs(20);

/// The longest pause before the second try; it doubles with each further one.
pub const API_RETRY_FIRST: Duration = Duration::from_millis(200);

/// The shortest pause after a 429: the API server itself always asks for a second.
pub const API_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause that the API server can ask for. It asks for seconds; hours would be a mistake of something in between.
pub const API_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Namespaces besides the own one that may be allowed. Each costs a review of the permissions at the start, and watches.
pub const ALLOWED_NAMESPACES_MAX: usize = 100;

/// Access reviews for one namespace at the start, each about one permission. Permissions beyond that show in the first request.
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

/// Events of one reason that an object may have at once; as many as client-go allows an object.
pub const EVENT_BURST: u32 = 25;

/// Of those, the ones that only an occurrence may take that was not told yet.
pub const EVENT_FIRSTS: u32 = 10;

/// The time after which an object may have one more Event of a reason, as in client-go.
pub const EVENT_REFILL: Duration = Duration::from_secs(300);

/// Events that are remembered so that a repetition counts up: more than an object has within the hour that the API server keeps them.
pub const EVENT_SERIES_MAX: usize = 128;

/// Budgets that are remembered, one for each object and reason with recent Events. A forgotten one is full again.
pub const EVENT_BUDGETS_MAX: usize = 1_024;

/// Events that wait to be sent; further ones are dropped. Half of the places are for warnings only. A burst of each reason of one object fits.
pub const EVENT_QUEUE: usize = 512;

/// Tries to send an Event while the API server does not answer: enough for its restart.
pub const EVENT_TRIES: u32 = 3;

/// The pause between two of these tries.
pub const EVENT_PAUSE: Duration = Duration::from_secs(5);

/// How long no Event is sent after the API server refused one.
pub const EVENT_OFF: Duration = Duration::from_secs(600);

/// How long the uid of a subject is used before it is read again: an object that is deleted and created again has another one.
pub const EVENT_UID_KEPT: Duration = Duration::from_secs(60);

/// How long the end of the program waits for Events. With [`SHUTDOWN`](super::SHUTDOWN) and [`LEASE_RELEASE`] the ten seconds that are promised.
pub const EVENT_FLUSH: Duration = Duration::from_millis(500);

/// Octets of a manifest that `-f` of `check`, `role` and `dns-policy` reads: a ConfigMap and the objects beside it.
pub const MANIFEST_OCTETS_MAX: u64 = 16 * 1024 * 1024;

/// The pause before a kind is looked for again that the API server does not serve: its definition was not installed yet.
pub const ABSENT_KIND_AGAIN: Duration = Duration::from_secs(60);

/// Octets of the message of a condition that is written: one sentence with the words of a CA.
pub const CONDITION_MESSAGE_OCTETS_MAX: usize = 1_000;

/// By how much the time of a renewal has to move before the status of an object shows it.
pub const RENEWAL_MOVED: Duration = Duration::from_secs(60);

/// The least time between two writes of the status of one object.
pub const STATUS_WRITE_PAUSE: Duration = Duration::from_secs(5);

/// The shortest and the longest pause after a status could not be written. A dead webhook may stay for days.
pub const STATUS_RETRY: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(1800)];

/// Writes of statuses that wait at once, of objects without a condition Ready and of others. Half a KiB each; the API server takes 10 s for
/// them at the default rate, and those without a place are looked at again each second.
pub const STATUS_WRITES_WAITING_MAX: usize = 500;

/// Tries of one write of a status after conflicts; then the next event decides.
pub const STATUS_CONFLICTS_MAX: u32 = 3;

/// How long one request about the status of an object may take.
pub const STATUS_REQUEST: Duration = Duration::from_secs(10);

/// How long the end of the program waits for statuses to be written.
pub const STATUS_FINISH: Duration = Duration::from_secs(1);

/// How long a single pass waits for the Lease of cert-manager's controller.
pub const ACTING_WAIT: Duration = Duration::from_secs(5);

/// The pause between two looks of a replica that does not lead at whether it leads, so that it may hold the Lease of cert-manager's
/// controller.
pub const ACTING_LOOK: Duration = Duration::from_secs(1);

/// How long nothing is done for the Certificates of a namespace once cert-manager wrote over a status there.
pub const STAND_DOWN: Duration = Duration::from_secs(3600);
