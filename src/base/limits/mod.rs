//! Every bound of the program, each with its unit and its reason.

mod config;
mod kube;
mod port;
mod sources;

use std::time::Duration;

pub use config::*;
pub use kube::*;
pub use port::*;
pub use sources::*;

// DNS -------------------------------------------------------------------------------------------------------------------------

/// Compression pointers followed in one name. A name has 127 labels at most, and one pointer leads to each.
pub const DNS_NAME_JUMPS_MAX: usize = 127;

/// The EDNS payload size that we offer: fits every path without fragments (DNS flag day 2020).
pub const DNS_UDP_PAYLOAD: u16 = 1232;

/// TSIG keys in one Secret: a new one, an old one, and some that were forgotten. Each refused key costs an UPDATE.
pub const TSIG_KEYS_MAX: usize = 4;

/// The waits of a query over UDP; after the last one TCP is tried.
pub const DNS_QUERY_UDP_WAITS: [Duration; 2] = [Duration::from_millis(800), Duration::from_millis(1600)];

/// The waits of an UPDATE over UDP. The same octets are sent again, so a repetition changes nothing.
pub const DNS_UPDATE_UDP_WAITS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Longest time to open a TCP connection to a DNS server. A server in the same country answers within 100 ms.
pub const DNS_TCP_CONNECT: Duration = Duration::from_secs(3);

/// Longest wait for an answer over TCP. Knot needs up to 50 ms for an UPDATE, a busy server with slow disks seconds.
pub const DNS_TCP_ANSWER: Duration = Duration::from_secs(10);

/// Longest time to find zone and server of one name, over all queries.
pub const DNS_FIND: Duration = Duration::from_secs(30);

/// Time that `dns-policy` spends on look-ups that fail. A silent resolver would otherwise cost [`DNS_FIND`] for each name.
pub const POLICY_FIND_FAILED: Duration = Duration::from_secs(60);

/// Longest wait for a zone's serial, which only a message shows.
pub const DNS_SERIAL: Duration = Duration::from_secs(2);

/// Longest wait for visible values while a wildcard host is hidden by them.
pub const WILDCARD_HOST_WAIT: Duration = Duration::from_secs(15);

/// CNAMEs followed from a challenge name. Resolvers stop at about as many (BIND: 16, CAs fewer).
pub const CNAME_HOPS_MAX: usize = 8;

/// Labels walked up in search of a zone's SOA: all of the longest name.
pub const ZONE_LABELS_MAX: usize = 127;

/// Name servers of one zone that are asked. The DNS root and the largest zones have 13.
pub const ZONE_SERVERS_MAX: usize = 16;

/// The first pause between two looks at a server that does not show the values yet; the pause doubles up to
/// [`VISIBLE_PAUSE_MAX`].
pub const VISIBLE_PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause between two looks.
pub const VISIBLE_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Longest time for one look: two tries over UDP and one over TCP.
pub const VISIBLE_LOOK: Duration = Duration::from_secs(5);

/// Failed looks (no answer, REFUSED, SERVFAIL) after which an address is given up, when another address of the same
/// server shows the values.
pub const VISIBLE_FAILURES_MAX: u32 = 3;

/// The divisor of `propagationTimeout` that gives the time a server may be silent before it is given up, when another
/// server shows the values. A restarting server or a returning route needs seconds, while a failed validation counts
/// for an hour.
pub const VISIBLE_PATIENCE_PART: u32 = 2;

/// Names listed in a sentence about an UPDATE; an order can have a hundred.
pub const OWNERS_SHOWN_MAX: usize = 10;

/// Resolvers of resolv.conf that are asked, as in resolv.conf(5).
pub const RESOLVERS_MAX: usize = 3;

/// Domains of `search` in resolv.conf that are tried: the C library's traditional bound, and what Kubernetes writes.
pub const SEARCH_DOMAINS_MAX: usize = 6;

/// Addresses of one server that are tried.
pub const SERVER_ADDRESSES_MAX: usize = 8;

// Certificates ----------------------------------------------------------------------------------------------------------------

/// Certificates in one chain. Public CAs send two to four.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;

/// Octets of one chain in PEM: ten certificates of a hundred names with RSA-4096 stay below.
pub const CHAIN_OCTETS_MAX: usize = 128 * 1024;

// Record ----------------------------------------------------------------------------------------------------------------------

/// Name sets remembered for one certificate: an entry rarely has more forms within a week.
pub const HISTORIES_MAX: usize = 8;

/// Times of orders kept for the namespace of one certificate. Each edit of an object may be one.
pub const NAMESPACE_ORDERS_KEPT_MAX: usize = 500;

/// Times of orders kept for one name set: more than the cap ever allows, even with `-force`.
pub const ORDERS_KEPT_MAX: usize = 32;

/// Groups of left-behind values that one record keeps; an order leaves one for each zone.
pub const LEFTOVERS_MAX: usize = 32;

/// The time for which a counted order counts against the cap of its name set.
pub const CAP_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// Octets of an error that a record keeps.
pub const ERROR_KEPT_OCTETS: usize = 2_048;

// HTTP ------------------------------------------------------------------------------------------------------------------------

/// Longest time to open a connection, TLS included.
pub const HTTP_CONNECT: Duration = Duration::from_secs(10);

/// Longest idle time of a connection: below the 60 s of many proxies and CAs.
pub const HTTP_IDLE: Duration = Duration::from_secs(45);

/// Octets of the status line and headers of an answer.
pub const HTTP_HEAD_OCTETS_MAX: usize = 32 * 1024;

/// Octets of each buffer of a connection: one TLS record. An open connection has four.
pub const HTTP_BUFFER_OCTETS: usize = 16 * 1024;

// ACME ------------------------------------------------------------------------------------------------------------------------

/// Subproblems shown; an order of 100 names can have as many.
pub const SUBPROBLEMS_SHOWN_MAX: usize = 5;

/// Longest time for one request to the CA. Boulder itself gives up after 45 s.
pub const ACME_REQUEST: Duration = Duration::from_secs(60);

/// Octets of an answer of the CA: a chain of ten certificates stays below.
pub const ACME_BODY_OCTETS_MAX: u64 = 256 * 1024;

/// Accounts that may be registered at one directory within [`REGISTRATIONS_WINDOW`]: half of what Let's Encrypt allows an address.
pub const REGISTRATIONS_MAX: usize = 5;

/// See [`REGISTRATIONS_MAX`].
pub const REGISTRATIONS_WINDOW: Duration = Duration::from_secs(3 * 3600);

/// Rate limits of one account that are kept; those that end first are dropped first.
pub const CLOSED_GATES_MAX: usize = 100;

/// Profiles of a CA that a sentence names.
pub const PROFILES_SHOWN_MAX: usize = 20;

/// Alternate chains of one certificate that are downloaded.
pub const ALTERNATE_CHAINS_MAX: usize = 10;

/// The time for which the directory is cached.
pub const ACME_DIRECTORY_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Nonces kept for later requests: a few more than workers.
pub const NONCES_MAX: usize = 16;

/// The age from which a nonce is not used any more; CAs drop them after minutes to an hour.
pub const NONCE_AGE_MAX: Duration = Duration::from_secs(300);

/// Tries with the nonce of a badNonce error. Against a CA that rejects 90 of 100, all tries fail once in 40,000
/// requests.
pub const BAD_NONCE_TRIES: u32 = 100;

/// Tries after which each further one waits [`BAD_NONCE_PAUSE`].
pub const BAD_NONCE_TRIES_AT_ONCE: u32 = 8;

/// The time after which no further nonce is tried: others may be waiting.
pub const SIGNED_IN_ALL: Duration = Duration::from_secs(120);

/// See [`BAD_NONCE_TRIES_AT_ONCE`].
pub const BAD_NONCE_PAUSE: Duration = Duration::from_millis(50);

/// The first pause before an order is polled, until the CA's pace is learned.
pub const POLL_FIRST: Duration = Duration::from_millis(20);

/// The shortest pause that is learned.
pub const POLL_LEARNED_MIN: Duration = Duration::from_millis(5);

/// The longest pause before the first poll, however slow the CA was.
pub const POLL_FIRST_MAX: Duration = Duration::from_secs(5);

/// The longest pause between two polls.
pub const POLL_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The pauses before a challenge is posted again that the CA tried in vain and keeps pending (RFC 8555 section 8.2):
/// long enough for a resolver to recover, short enough not to hold up other work.
pub const CHALLENGE_AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];

/// The time after which the authorizations of a pending order are fetched for the first time; each further time
/// doubles. Most CAs are done before.
pub const AUTHORIZATIONS_FIRST: Duration = Duration::from_secs(2);

/// Longest time for which one attempt polls an order. Another attempt can continue by the order's URL.
pub const POLL_IN_ALL: Duration = Duration::from_secs(600);

// Memory ----------------------------------------------------------------------------------------------------------------------

/// Different texts that are shared: namespaces, directories, accounts, issuers.
pub const WORDS_KEPT_MAX: usize = 256;

/// Scheduled renewal information requests from which on stale ones are removed.
pub const QUESTIONS_KEPT_MIN: usize = 1_024;

/// Scheduled renewal information requests at most: five full ConfigMaps.
pub const QUESTIONS_KEPT_MAX: usize = 100_000;

/// The time for which a due renewal information request is kept that no certificate claims: a wanted certificate claims
/// it every hour.
pub const QUESTION_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Names and accounts with rate limits, from which on expired ones are removed.
pub const LIMITS_KEPT_MIN: usize = 1_024;

/// Scopes with a remembered log line, from which on stale ones are removed.
pub const SAID_KEPT_MIN: usize = 1_024;

/// Objects in a table of the controller, from which on unwanted ones are removed.
pub const TABLE_KEPT_MIN: usize = 1_024;

/// Servers whose clock offset is remembered.
pub const OFFSETS_KEPT_MAX: usize = 1_024;

/// Own writes that no watch has shown yet.
pub const WRITTEN_KEPT_MAX: usize = 50_000;

/// Octets of JSON that `notariat convert` reads: ten thousand Certificates with status and managed fields are about 50 MiB.
pub const CONVERT_OCTETS_MAX: u64 = 256 * 1024 * 1024;

/// Secrets of issuers at which `notariat check -resources` looks. Tenants may write any number of issuers.
pub const NAMED_SECRETS_MAX: usize = 500;

// Directory store -------------------------------------------------------------------------------------------------------------

/// Octets of one file: what Kubernetes allows for a whole object.
pub const LOCAL_FILE_OCTETS_MAX: u64 = 1024 * 1024;

// Attempts --------------------------------------------------------------------------------------------------------------------

/// The time for which a claim on a certificate holds without a write of its holder, besides the entry's propagation
/// timeout: no step between two writes of the record takes longer (polling an order: ten minutes).
pub const CLAIM_KEPT: Duration = Duration::from_secs(900);

/// Unused clients of CAs that are kept. Few CAs are in use, and each client may hold connections.
pub const CA_CLIENTS_KEPT: usize = 64;

/// Longest wait for another attempt that registers the same account. Only a hanging CA takes longer.
pub const ACCOUNT_WAIT: Duration = Duration::from_secs(60);

/// Longest wait of an attempt with an order for a slot at a DNS server; after that the attempt is parked with its
/// order.
pub const DNS_PLACE_WAIT: Duration = Duration::from_secs(10);

/// Longest time for one UPDATE over all servers and transports.
pub const DNS_UPDATE_IN_ALL: Duration = Duration::from_secs(40);

/// The wait after rateLimited without Retry-After: CAs count their limits in hours.
pub const RATE_LIMIT_WAIT: Duration = Duration::from_secs(3600);

/// The longest wait that a CA can ask for: the window of its longest limit. A longer one is taken for a mistake.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// The accepted difference of two sound clocks: the validity of a certificate and of a TSIG signature are judged with this margin.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// The largest trusted difference between our clock and that of the CA or the API server: beyond it the clock is wrong,
/// below it other margins suffice.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(3600);

/// The pause between two requests for the time of a CA whose clock differs from ours.
pub const CLOCK_ASKED_AGAIN: Duration = Duration::from_secs(30);

/// The longest wait that is ever recorded: the longest that a CA can ask for, and jitter.
pub const WAIT_MAX: Duration = Duration::from_secs(8 * 86_400);

/// Restores of one Secret within [`RESTORES_WINDOW`], after which another writer is assumed and restores become slower.
pub const RESTORES_MAX: usize = 3;

/// See [`RESTORES_MAX`].
pub const RESTORES_WINDOW: Duration = Duration::from_secs(3600);

/// Compromised keys that a record remembers, by their hashes.
pub const COMPROMISED_KEPT_MAX: usize = 10;

/// CertificateRevocations of one Certificate that are looked at, the newest of them, and that its record remembers.
pub const REVOCATIONS_KEPT_MAX: usize = 32;

/// Certificates of one entry that are remembered for revocation.
pub const TO_REVOKE_MAX: usize = 10;

/// The fields of a certificate's Secret besides the pair that are kept in memory. A larger Secret is read before it is replaced.
pub const WRITE_BASE_OCTETS_MAX: usize = 2048;

/// The age from which a claim is renewed before the order is finalized, so that [`CLAIM_KEPT`] covers the rest of the attempt.
pub const CLAIM_RENEWED_AFTER: Duration = Duration::from_secs(150);

/// Tries to write a Secret over conflicts. Five tries can all lose against twenty busy writers.
pub const STORE_TRIES: u32 = 20;

/// Longest wait for the lock of a directory, which is held for each write. A write takes milliseconds, on a slow disk
/// seconds.
pub const STORE_LOCK: Duration = Duration::from_secs(10);

/// The pause between two tries for that lock.
pub const STORE_LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The first pause before the lock is tried again, doubled up to the longest: workers of this process hold the lock for less.
pub const STORE_LOCK_PAUSE_MIN: Duration = Duration::from_micros(200);

/// Reads of a Secret in a directory that is replaced meanwhile.
pub const LOCAL_READS_MAX: usize = 10;

/// The time for which left-behind values are withdrawn again and again; after that, a person is told the command.
pub const LEFTOVERS_KEPT: Duration = Duration::from_secs(86_400);

// The loop --------------------------------------------------------------------------------------------------------------------

/// The longest pause of the controller's loop.
pub const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// The default `-forget-after`: the time for which copy, key and history of a removed entry are kept. A mistake is
/// noticed within a week.
pub const FORGET_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// The longest `-forget-after`. A record older than a year is of no use.
pub const FORGET_AFTER_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The first pause between two tries to withdraw left-behind values: that after which a name server that failed is tried again.
pub const TIDY_FIRST: Duration = Duration::from_secs(60);

/// The longest pause between two tries to withdraw left-behind values.
pub const TIDY_INTERVAL: Duration = Duration::from_secs(600);

/// The time over which the first renewal information requests after a start are spread.
pub const QUESTIONS_SPREAD: Duration = Duration::from_secs(3600);

/// The interval at which a key is tested against its zone.
pub const PROBE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// The time over which the tests of all keys are spread.
pub const PROBE_SPREAD: Duration = Duration::from_secs(3600);

/// The lifetime below which a certificate is short-lived: waits and renewal count in hours.
pub const SHORT_LIVED: Duration = Duration::from_secs(10 * 86_400);

/// Characters in a line of the table of `status` on a terminal that does not say its width.
pub const STATUS_WIDTH: usize = 80;

/// The pause before `status -w` looks again: soon enough to follow an order.
pub const STATUS_POLL: Duration = Duration::from_secs(2);

/// The factor by which that pause is at least longer than the look took, so that following costs the API server little.
pub const STATUS_SHARE: u32 = 10;

/// How long `status -wait` waits without `-timeout`: an order with its propagation, and one more after a failure.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(600);

/// How long after its last renewal a Lease counts as held by a controller at work, for `forget`: longer than any lease, and clocks that
/// differ by minutes do no harm.
pub const LEASE_DOUBT: Duration = Duration::from_secs(300);

/// Longest time for work under way to stop. Kubernetes kills after 30 s by default.
pub const SHUTDOWN: Duration = Duration::from_secs(8);

/// The part of that time after which requests to the CA are cut off.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(4);

/// The default number of certificates obtained at the same time.
pub const WORKERS_DEFAULT: usize = 4;

/// Threads for each worker slot: several CAs and servers are served at the same time, each with slots of its own.
pub const WORKERS_FACTOR: usize = 4;

/// The largest number of workers. Each costs a connection to the CA and a thread.
pub const WORKERS_MAX: usize = 64;

// Secrets that are known to the last filter -------------------------------------------------------------------------------------

/// Hashes in the table of the last filter, about 6 MiB. Each worker uses four copies of a P-256 key with 62 hashes
/// each. Further values are not filtered.
pub const KNOWN_BLOCKS_MAX: usize = 200_000;

/// Octets of a value that the last filter knows. An RSA key of 16,384 bits has 13 KB in PEM.
pub const KNOWN_OCTETS_MAX: usize = 16 * 1024;
