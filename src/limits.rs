//! Every bound of the program, each with its unit and its reason.

use std::time::Duration;

// DNS -------------------------------------------------------------------------------------------------------------------------

/// Compression pointers followed in one name. A name has at most 127 labels, each can be reached by one pointer.
pub const DNS_NAME_JUMPS_MAX: usize = 127;

/// Octets of a UDP answer that we offer to take (EDNS): what fits every path without fragments (DNS flag day 2020).
pub const DNS_UDP_PAYLOAD: u16 = 1232;

/// TSIG keys in one Secret: the new one, the old one, and some that were forgotten. Each costs an UPDATE when it is refused.
pub const TSIG_KEYS_MAX: usize = 4;

/// How long each attempt of a query over UDP waits before the next; after the last one TCP is tried.
pub const DNS_QUERY_UDP_WAITS: [Duration; 2] = [Duration::from_millis(800), Duration::from_millis(1600)];

/// How long each attempt of an UPDATE over UDP waits. The same octets are sent again, so that a repeated one changes nothing.
pub const DNS_UPDATE_UDP_WAITS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// How long a TCP connection to a DNS server may take to open. A server in the same country answers within 100 ms.
pub const DNS_TCP_CONNECT: Duration = Duration::from_secs(3);

/// How long an answer over TCP may take. Knot needs up to 50 ms for an UPDATE, a busy server with slow disks seconds.
pub const DNS_TCP_ANSWER: Duration = Duration::from_secs(10);

/// How long finding zone and server of one name may take, over all its queries.
pub const DNS_FIND: Duration = Duration::from_secs(30);

/// How long asking a server for its serial may take, for a message.
pub const DNS_SERIAL: Duration = Duration::from_secs(2);

/// How long values may take to be seen while a host that lives from a wildcard record is gone because of them.
pub const WILDCARD_HOST_WAIT: Duration = Duration::from_secs(15);

/// CNAMEs followed from a challenge name. Resolvers stop at about as many (BIND: 16, CAs fewer).
pub const CNAME_HOPS_MAX: usize = 8;

/// Labels walked up in search of a zone's SOA: all of the longest name.
pub const ZONE_LABELS_MAX: usize = 127;

/// Name servers of one zone that are asked. The DNS root has 13, the largest zones as many.
pub const ZONE_SERVERS_MAX: usize = 16;

/// The first pause between two looks at a server that does not show the values yet; it doubles up to [`VISIBLE_PAUSE_MAX`].
pub const VISIBLE_PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause between two looks.
pub const VISIBLE_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long one look may take: both attempts over UDP and one over TCP.
pub const VISIBLE_LOOK: Duration = Duration::from_secs(5);

/// Failed looks (no answer, REFUSED, SERVFAIL) after which a server is no longer waited for, when another one shows the values.
pub const VISIBLE_FAILURES_MAX: u32 = 3;

/// Resolvers of resolv.conf that are asked, as in resolv.conf(5).
pub const RESOLVERS_MAX: usize = 3;

/// Addresses of one server that are tried.
pub const SERVER_ADDRESSES_MAX: usize = 8;

// Configuration ---------------------------------------------------------------------------------------------------------------

/// Octets of a configuration with all aliases expanded. An object of Kubernetes has 1 MiB; short fields cost some 30 octets each.
pub const CONFIG_TREE_OCTETS_MAX: usize = 32 * 1024 * 1024;

/// Names in one certificate. Let's Encrypt allows 100; others fewer.
pub const DOMAINS_MAX: usize = 100;

/// Secrets that one entry may fill.
pub const SECRETS_PER_ENTRY_MAX: usize = 100;

/// Issuers in the key `issuers`.
pub const ISSUERS_MAX: usize = 100;

/// Zones in the key `zones`.
pub const ZONES_MAX: usize = 1_000;

/// The TTL of TXT records in seconds where none is set: long enough for a CA's second look, short enough for a second try.
pub const TTL_DEFAULT_SECS: u32 = 60;

/// The longest TTL: a day. A longer one would only keep dead values in caches.
pub const TTL_MAX_SECS: u32 = 86_400;

/// How long servers may take to show a value where nothing else is set. BIND's `notify-delay` alone is 5 s.
pub const PROPAGATION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);

/// The longest `settle`: it holds a worker.
pub const SETTLE_MAX: Duration = Duration::from_secs(600);

/// The longest such wait: it holds a worker.
pub const PROPAGATION_TIMEOUT_MAX: Duration = Duration::from_secs(7_200);

// Certificates ----------------------------------------------------------------------------------------------------------------

/// Certificates in one chain. Public CAs send two to four.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// Octets of one chain in PEM: ten certificates of a hundred names with RSA-4096 stay below it.
pub const CHAIN_OCTETS_MAX: usize = 128 * 1024;

// Record ----------------------------------------------------------------------------------------------------------------------

/// Name sets remembered for one certificate; an entry has had as many forms within a week at most.
pub const HISTORIES_MAX: usize = 8;

/// Times of orders kept for one name set: more than the cap ever allows, even with `-force`.
pub const ORDERS_KEPT_MAX: usize = 32;

/// Groups of values left behind that one record keeps; one order leaves one for each zone.
pub const LEFTOVERS_MAX: usize = 32;

/// Octets of an error that a record keeps.
pub const ERROR_KEPT_OCTETS: usize = 2_048;

// HTTP ------------------------------------------------------------------------------------------------------------------------

/// How long opening a connection may take, with TLS.
pub const HTTP_CONNECT: Duration = Duration::from_secs(10);

/// How long a connection stays open without use: below the 60 s that many proxies and CAs keep one.
pub const HTTP_IDLE: Duration = Duration::from_secs(45);

/// Octets of the status line and headers of an answer.
pub const HTTP_HEAD_OCTETS_MAX: usize = 32 * 1024;

/// Octets of each buffer of a connection: a TLS record. Four of them live with an open connection.
pub const HTTP_BUFFER_OCTETS: usize = 16 * 1024;

// ACME ------------------------------------------------------------------------------------------------------------------------

/// Parts of a problem that are shown; an order of 100 names can have as many.
pub const SUBPROBLEMS_SHOWN_MAX: usize = 5;

/// How long one request to the CA may take. Boulder gives up after 45 s itself.
pub const ACME_REQUEST: Duration = Duration::from_secs(60);

/// Octets of an answer of the CA: a chain of ten certificates stays below it.
pub const ACME_BODY_OCTETS_MAX: u64 = 256 * 1024;

/// Accounts that may be registered at one directory within [`REGISTRATIONS_WINDOW`]: half of what Let's Encrypt allows an address.
pub const REGISTRATIONS_MAX: usize = 5;

/// See [`REGISTRATIONS_MAX`].
pub const REGISTRATIONS_WINDOW: Duration = Duration::from_secs(3 * 3600);

/// Gates of one account that a CA can have closed at a time; those that open first are forgotten first.
pub const CLOSED_GATES_MAX: usize = 100;

/// Profiles of a CA that are named when a wrong one is wanted.
pub const PROFILES_SHOWN_MAX: usize = 20;

/// Other chains of one certificate that are looked at.
pub const ALTERNATE_CHAINS_MAX: usize = 10;

/// How long the directory is remembered.
pub const ACME_DIRECTORY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Nonces kept for later requests: a few more than workers.
pub const NONCES_MAX: usize = 16;

/// The age from which a nonce is not used any more; CAs forget them after minutes to an hour.
pub const NONCE_AGE_MAX: Duration = Duration::from_secs(300);

/// Tries with the nonce of a badNonce error. A CA that rejects 90 of 100 is passed within these but once in 40,000 requests.
pub const BAD_NONCE_TRIES: u32 = 100;

/// Tries after which there is a pause of [`BAD_NONCE_PAUSE`] before each further one.
pub const BAD_NONCE_TRIES_AT_ONCE: u32 = 8;

/// After this time no further nonce is tried: others may be waiting.
pub const SIGNED_IN_ALL: Duration = Duration::from_secs(120);

/// See [`BAD_NONCE_TRIES_AT_ONCE`].
pub const BAD_NONCE_PAUSE: Duration = Duration::from_millis(50);

/// The first pause before looking at an order again, until this CA's pace is known.
pub const POLL_FIRST: Duration = Duration::from_millis(20);

/// The shortest pause that is learned.
pub const POLL_LEARNED_MIN: Duration = Duration::from_millis(5);

/// The longest pause before the first look, however slow the CA was.
pub const POLL_FIRST_MAX: Duration = Duration::from_secs(5);

/// The longest pause between two looks.
pub const POLL_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long an order is looked at in one go. It can be continued later by its URL.
pub const POLL_IN_ALL: Duration = Duration::from_secs(600);

// Kubernetes ------------------------------------------------------------------------------------------------------------------

/// How long one request to the API server may take. Its own limit is 60 s.
pub const API_REQUEST: Duration = Duration::from_secs(30);

/// Octets of an answer of the API server: ten times the largest object, for lists.
pub const API_BODY_OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// Objects of a list that are read at once: at some 10,000 octets for a Secret one million octets, and 10,000 Secrets in 100 requests.
pub const PAGE_OBJECTS: usize = 100;

/// How long a watch lasts, between the two, before it is opened anew. A connection that died without a word is noticed at its end.
pub const WATCH_LASTS: [Duration; 2] = [Duration::from_secs(180), Duration::from_secs(240)];

/// How much later than that the server may end it before the connection counts as dead.
pub const WATCH_GRACE: Duration = Duration::from_secs(15);

/// After how long a list is read anew whatever the watch says, at the least and a quarter more at the most: after etcd was restored from a
/// backup a watch may be silent for ever (measured with 1.20).
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

/// Requests in one round: a renewal whose answer was lost costs three (refused, read, written), each further one is a lost race.
pub const LEASE_STEPS_MAX: u32 = 4;

/// The longest duration that a Lease can ask others to wait. More is a mistake of whoever edited it.
pub const LEASE_DURATION_TAKEN_MAX: Duration = Duration::from_secs(300);

/// How long giving the Lease back may take at the end: what [`SHUTDOWN`] leaves of ten seconds, with some to spare.
pub const LEASE_RELEASE: Duration = Duration::from_millis(1_500);
/// Requests to the API server in a second, over all threads: ten times what client-go allows, which is made for many small programs.
pub const API_RATE: u32 = 50;

/// Requests that may be sent at once after a rest.
pub const API_BURST: u32 = 100;

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

/// How long the end of the program waits for Events. With [`SHUTDOWN`] less than the ten seconds that are promised.
pub const EVENT_FLUSH: Duration = Duration::from_millis(1_500);
/// Octets of a manifest that `notariat role` reads: a ConfigMap and what may stand beside it.
pub const MANIFEST_OCTETS_MAX: u64 = 16 * 1024 * 1024;

// Directory store -------------------------------------------------------------------------------------------------------------

/// Octets of one file: what Kubernetes allows for a whole object.
pub const LOCAL_FILE_OCTETS_MAX: u64 = 1024 * 1024;

// Attempts --------------------------------------------------------------------------------------------------------------------

/// How long a claim on a certificate holds without a sign of life of its holder, besides the entry's propagation timeout: no step
/// between two writes of the record takes longer (looking at an order: ten minutes).
pub const CLAIM_KEPT: Duration = Duration::from_secs(900);

/// How long one UPDATE may take over all servers and transports.
pub const DNS_UPDATE_IN_ALL: Duration = Duration::from_secs(40);

/// The wait after rateLimited without Retry-After: the CA's limits are counted in hours.
pub const RATE_LIMIT_WAIT: Duration = Duration::from_secs(3600);

/// The longest that a CA can make us wait. A week is the window of its longest limit; more is a mistake of its.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How far our clock may be from the CA's before renewals wait: beyond it the clock is wrong, below it the margins cover it.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(3600);

/// Certificates of one entry that are remembered to be revoked.
pub const TO_REVOKE_MAX: usize = 10;

/// Writes of one Secret that are tried over conflicts. Of five, twenty others that write it all the time win all, at times.
pub const STORE_TRIES: u32 = 20;

/// How long values that could not be withdrawn are tried again before a person is told how to remove them.
pub const LEFTOVERS_KEPT: Duration = Duration::from_secs(86_400);

// The loop --------------------------------------------------------------------------------------------------------------------

/// How often the world is looked at when nothing happens.
pub const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// How often values left behind are tried to be withdrawn.
pub const TIDY_INTERVAL: Duration = Duration::from_secs(600);

/// Over how long the first questions for renewal information are spread after a start.
pub const QUESTIONS_SPREAD: Duration = Duration::from_secs(3600);

/// How often a zone is probed with a key.
pub const PROBE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Over how long the probes of all certificates are spread.
pub const PROBE_SPREAD: Duration = Duration::from_secs(3600);

/// Certificates that live less than this are short-lived: hours count.
pub const SHORT_LIVED: Duration = Duration::from_secs(10 * 86_400);

/// How long work under way may take to stop. Kubernetes kills after 30 s by default.
pub const SHUTDOWN: Duration = Duration::from_secs(8);

/// The part of it after which requests to the CA are cut off.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(4);

/// Certificates obtained at the same time where nothing else is set.
pub const WORKERS_DEFAULT: usize = 4;

/// The most. Each costs a connection to the CA and a thread.
pub const WORKERS_MAX: usize = 64;
