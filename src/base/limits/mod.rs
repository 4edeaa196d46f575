//! Every bound of the program, each with its unit and its reason.

mod config;
mod kube;
mod port;

use std::time::Duration;

pub use config::*;
pub use kube::*;
pub use port::*;

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

/// Failed looks (no answer, REFUSED, SERVFAIL) after which an address is no longer waited for, when another address of the same server
/// shows the values.
pub const VISIBLE_FAILURES_MAX: u32 = 3;

/// The part of `propagationTimeout` for which a server may be silent before it is given up, when another one shows the values: half of it.
/// A server that starts anew or a route that comes back needs seconds; the CA's validation, once failed, counts for an hour.
pub const VISIBLE_PATIENCE_PART: u32 = 2;

/// Names that a sentence about an UPDATE lists; an order can have a hundred.
pub const OWNERS_SHOWN_MAX: usize = 10;

/// Resolvers of resolv.conf that are asked, as in resolv.conf(5).
pub const RESOLVERS_MAX: usize = 3;

/// Domains of `search` in resolv.conf in which a name is looked for: as many as the C library took for decades, and Kubernetes writes.
pub const SEARCH_DOMAINS_MAX: usize = 6;

/// Addresses of one server that are tried.
pub const SERVER_ADDRESSES_MAX: usize = 8;

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

/// The pauses before a CA is told again of a challenge that it tried in vain and keeps pending (RFC 8555 section 8.2): long enough for
/// a resolver to come to its senses, and not for a job to hold others up.
pub const CHALLENGE_AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];

/// When the authorizations of an order that stays pending are looked at first; then each time after twice as long. Most CAs are done
/// before.
pub const AUTHORIZATIONS_FIRST: Duration = Duration::from_secs(2);

/// How long an order is looked at in one go. It can be continued later by its URL.
pub const POLL_IN_ALL: Duration = Duration::from_secs(600);

// Memory ----------------------------------------------------------------------------------------------------------------------

/// Different texts that are kept once for all who have them: namespaces, directories, accounts, issuers.
pub const WORDS_KEPT_MAX: usize = 256;

/// Questions for renewal information of certificates, from which on those are looked for that are long over.
pub const QUESTIONS_KEPT_MIN: usize = 1_024;

/// Such questions at the most: five full ConfigMaps.
pub const QUESTIONS_KEPT_MAX: usize = 100_000;

/// How long a question is kept that is due and that nobody asks: a certificate that is wanted is looked at every hour.
pub const QUESTION_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Names and accounts with refusals of a CA, from which on those are looked for that are over.
pub const LIMITS_KEPT_MIN: usize = 1_024;

/// Scopes of which it is known what was said last, from which on those are looked for that are gone.
pub const SAID_KEPT_MIN: usize = 1_024;

/// Objects in a table of the loop, from which on those are looked for that nobody wants any more.
pub const TABLE_KEPT_MIN: usize = 1_024;

/// Servers whose clocks are remembered.
pub const OFFSETS_KEPT_MAX: usize = 1_024;

/// Versions of objects that we wrote and that nobody asked for yet.
pub const WRITTEN_KEPT_MAX: usize = 50_000;

/// Octets of JSON that `notariat convert` reads: ten thousand Certificates with status and managed fields are about 50 MiB.
pub const CONVERT_OCTETS_MAX: u64 = 256 * 1024 * 1024;

// Directory store -------------------------------------------------------------------------------------------------------------

/// Octets of one file: what Kubernetes allows for a whole object.
pub const LOCAL_FILE_OCTETS_MAX: u64 = 1024 * 1024;

// Attempts --------------------------------------------------------------------------------------------------------------------

/// How long a claim on a certificate holds without a sign of life of its holder, besides the entry's propagation timeout: no step
/// between two writes of the record takes longer (looking at an order: ten minutes).
pub const CLAIM_KEPT: Duration = Duration::from_secs(900);

/// Clients of CAs that are kept although nobody uses them now. Few CAs are in use, and each client may hold connections.
pub const CA_CLIENTS_KEPT: usize = 64;

/// How long an attempt waits for another one that registers the same account. The CA has it longer only when it hangs.
pub const ACCOUNT_WAIT: Duration = Duration::from_secs(60);

/// How long an attempt that has an order waits for a place at a DNS server; then it is parked with its order.
pub const DNS_PLACE_WAIT: Duration = Duration::from_secs(10);

/// How long one UPDATE may take over all servers and transports.
pub const DNS_UPDATE_IN_ALL: Duration = Duration::from_secs(40);

/// The wait after rateLimited without Retry-After: the CA's limits are counted in hours.
pub const RATE_LIMIT_WAIT: Duration = Duration::from_secs(3600);

/// The longest that a CA can make us wait. A week is the window of its longest limit; more is a mistake of its.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// How far our clock may be from that of the CA or of the API server: beyond it the clock is wrong, below it the margins cover it.
pub const CLOCK_OFFSET_MAX: Duration = Duration::from_secs(3600);

/// How often a CA is asked the time again while its clock and ours differ.
pub const CLOCK_ASKED_AGAIN: Duration = Duration::from_secs(30);

/// The longest wait that is ever written down: what a CA asks for at most, and a fifth of a day that keeps failures apart.
pub const WAIT_MAX: Duration = Duration::from_secs(8 * 86_400);

/// Certificates of one entry that are remembered to be revoked.
pub const TO_REVOKE_MAX: usize = 10;

/// The fields of a certificate's Secret besides the pair that are kept in memory. A larger Secret is read before it is replaced.
pub const WRITE_BASE_OCTETS_MAX: usize = 2048;

/// The age from which a claim is renewed before the order is finalized, so that [`CLAIM_KEPT`] covers the rest of the attempt.
pub const CLAIM_RENEWED_AFTER: Duration = Duration::from_secs(150);

/// Writes of one Secret that are tried over conflicts. Of five, twenty others that write it all the time win all, at times.
pub const STORE_TRIES: u32 = 20;

/// How long the lock of a directory is waited for that is held around each write. A write takes milliseconds, on a slow disk seconds.
pub const STORE_LOCK: Duration = Duration::from_secs(10);

/// How often it is tried meanwhile.
pub const STORE_LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How long values that could not be withdrawn are tried again before a person is told how to remove them.
pub const LEFTOVERS_KEPT: Duration = Duration::from_secs(86_400);

// The loop --------------------------------------------------------------------------------------------------------------------

/// How often the world is looked at when nothing happens.
pub const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// How long copy, key and history of a certificate are kept when its entry goes, unless `-forget-after` says otherwise. A mistake is noticed
/// within a week.
pub const FORGET_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// The longest `-forget-after`. What was kept for a year is of no use.
pub const FORGET_AFTER_MAX: Duration = Duration::from_secs(366 * 86_400);

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

/// Characters in a line of the table of `status`: what terminals have at least.
pub const STATUS_WIDTH: usize = 80;

/// The pause before `status -w` looks again: soon enough to follow an order.
pub const STATUS_POLL: Duration = Duration::from_secs(2);

/// That pause is at least so many times as long as the look took, so that following costs the API server little.
pub const STATUS_SHARE: u32 = 10;

/// How long work under way may take to stop. Kubernetes kills after 30 s by default.
pub const SHUTDOWN: Duration = Duration::from_secs(8);

/// The part of it after which requests to the CA are cut off.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(4);

/// Certificates obtained at the same time where nothing else is set.
pub const WORKERS_DEFAULT: usize = 4;

/// Threads for each of them: several CAs and servers are served at the same time, and each has as many places.
pub const WORKERS_FACTOR: usize = 4;

/// The most. Each costs a connection to the CA and a thread.
pub const WORKERS_MAX: usize = 64;

// Secrets that are known to the last filter -------------------------------------------------------------------------------------

/// Hashes in the table of the last filter. Four of a P-256 key are at work in each worker, with 62 each; a table of this many takes
/// about 6 MiB. Values beyond it are not filtered.
pub const KNOWN_BLOCKS_MAX: usize = 200_000;

/// Octets of a value that the last filter knows. An RSA key of 16,384 bits has 13 KB in PEM.
pub const KNOWN_OCTETS_MAX: usize = 16 * 1024;
