//! The one table of the fields that a ConfigMap may have. Pure data.
//!
//! [`super::fields::MapReader`] reads by it: the names that there are, bounds and counts. `notariat schema` is made of it. To add a
//! field: one row here, and the line that takes it where the mapping is read. Tests refuse a row that nothing takes.

mod forms;
mod row;
mod rules;
mod words;

use crate::base::limits::{
    DOMAINS_MAX, ENTRIES_MAX, FIELDS_MAX, ISSUERS_MAX, LABELS_MAX, NAMESPACE_LINES_MAX, SECRETS_PER_ENTRY_MAX,
    TTL_MAX_SECS, ZONE_SERVERS_MAX, ZONES_MAX,
};
pub use forms::TextForm;
use forms::{
    ANNOTATION_VALUE, CLUSTER_NAME, CSR, DOMAIN, DURATION, DURATION_OR_ZERO, EMAIL, ISSUER_NAME, LABEL_VALUE,
    METADATA_KEY, NAMESPACE_OR_EVERY, PROFILE, SECRET, SERVER, WEBROOT, ZONE_NAME,
};
pub use row::{FieldForm, FieldRow, FieldTable, ItemCount, unread};
use row::{count, required, row};
pub use rules::{DOMAIN_FILTER, ISSUER, NAMESPACE, TSIG_KEY, ZONE};
pub use words::{BUILT_IN_ISSUERS, CHALLENGES, CHECKS, KEY_TYPES, ON_WILDCARD_HOST, PROPAGATIONS, TRANSPORTS};
use words::{
    CHALLENGE_WORDS, CHECK_WORDS, KEY_TYPE_WORDS, ON_WILDCARD_HOST_WORDS, PROPAGATION_WORDS, TRANSPORT_WORDS, words,
};

/// The keys of a ConfigMap. Keys that begin with `certificates-` are like `certificates`.
pub const KEYS: [FieldRow; 5] = [
    row("certificates", FieldForm::Maps(ENTRY, count(0, ENTRIES_MAX, "entries", "")), "the wanted certificates"),
    row("defaults", FieldForm::Defaults(ENTRY), "fields that entries leave out; mappings merge, lists replace"),
    row(
        "issuers",
        FieldForm::Named {
            key: &ISSUER_NAME,
            rows: ISSUER,
            count: count(0, ISSUERS_MAX, "issuers", ""),
            built_in: &words(&BUILT_IN_ISSUERS),
        },
        "further CAs, by name",
    ),
    row(
        "namespaces",
        FieldForm::Named {
            key: &NAMESPACE_OR_EVERY,
            rows: NAMESPACE,
            count: count(0, NAMESPACE_LINES_MAX, "lines", ""),
            built_in: &[],
        },
        "the names that the objects of each namespace may have; \"*\" stands for namespaces without a line",
    ),
    row(
        "zones",
        FieldForm::Maps(ZONE, count(0, ZONES_MAX, "items", "")),
        "server and TSIG key for all challenges in a zone; the longest suffix wins",
    ),
];

/// The names of [`KEYS`].
pub const KEY_NAMES: [&str; KEYS.len()] = names(&KEYS);

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the compiler runs it: a fault is an error of the build"
)]
const fn names<const N: usize>(rows: &[FieldRow; N]) -> [&'static str; N] {
    let (mut all, mut at) = ([""; N], 0);
    while at < N {
        all[at] = rows[at].name;
        at += 1;
    }
    all
}

/// An entry of `certificates`.
pub const ENTRY: FieldTable = &[
    required(
        "secret",
        FieldForm::OneOrList(&SECRET, count(1, SECRETS_PER_ENTRY_MAX, "Secrets", "")),
        "the Secret that holds the certificate, NAME or NAMESPACE/NAME; or a list of Secrets",
    ),
    row(
        "cluster",
        FieldForm::Text(&CLUSTER_NAME),
        "the cluster of these Secrets, a NAME of the flag -target; the own cluster when not set",
    ),
    required(
        "domains",
        FieldForm::List(
            &DOMAIN,
            count(1, DOMAINS_MAX, "names", ": CAs allow no more in one certificate, so split the entry"),
        ),
        "the names of the certificate; *.NAME is a wildcard",
    ),
    FieldRow {
        instead_of: Some("domains"),
        ..row("csr", FieldForm::Text(&CSR), "a CSR in PEM, whose names and key the certificate gets; no key is made")
    },
    row("email", FieldForm::Text(&EMAIL), "contact of the ACME account; the issuer's when not set"),
    row("issuer", FieldForm::Text(&ISSUER_NAME), "the CA, a name of the key issuers; that of -acme when not set"),
    row("profile", FieldForm::Text(&PROFILE), "the profile that the CA is asked for; the issuer's when not set"),
    row(
        "tsigSecretName",
        FieldForm::Text(&SECRET),
        "the Secret with the TSIG key, NAME or NAMESPACE/NAME; the key itself stands in that Secret",
    ),
    row(
        "challenge",
        FieldForm::Word(&CHALLENGE_WORDS),
        "the type of challenge; that of the zone or of the issuer when not set, else dns-01, which wildcards always have",
    ),
    row("http", FieldForm::Map(HTTP), "how http-01 challenges are answered and tried before the CA is asked"),
    row("dns", FieldForm::Map(DNS), "where and how challenges are published"),
    row("keyType", FieldForm::Word(&KEY_TYPE_WORDS), "the type of the private key (default ecdsa-p256)"),
    row(
        "keepKeyType",
        FieldForm::Bool,
        "keep the type of the key that the Secret holds; keyType counts where it holds none (default false)",
    ),
    row("reuseKey", FieldForm::Bool, "keep the private key at renewals (default false)"),
    row(
        "renewBefore",
        FieldForm::Text(&DURATION),
        "renew so long before the expiry, as in 720h or 30d; by the lifetime when not set",
    ),
    row(
        "renewBeforePercent",
        FieldForm::Number(1..=66, "percent"),
        "the same as a share of the lifetime, where renewBefore is not set",
    ),
    row("adopt", FieldForm::Bool, "take over a Secret that another program owns (default false)"),
    row("keepCopy", FieldForm::Bool, "keep a copy to restore a lost Secret from (default true)"),
    row(
        "labels",
        FieldForm::Texts { key: &METADATA_KEY, value: &LABEL_VALUE, most: LABELS_MAX },
        "labels for the Secret",
    ),
    row(
        "annotations",
        FieldForm::Texts { key: &METADATA_KEY, value: &ANNOTATION_VALUE, most: FIELDS_MAX },
        "annotations for the Secret",
    ),
];

/// The field `dns` of an entry.
pub const DNS: FieldTable = &[
    row("server", FieldForm::Text(&SERVER), "the server for UPDATEs, HOST or HOST:PORT; found by the SOA when not set"),
    row("zone", FieldForm::Text(&ZONE_NAME), "the zone of the challenges; found by the SOA when not set"),
    row("ttl", FieldForm::Number(0..=TTL_MAX_SECS, "seconds"), "TTL of the TXT records (default 60)"),
    row(
        "propagation",
        FieldForm::Word(&PROPAGATION_WORDS),
        "the servers that must show a challenge before the CA is asked (default all)",
    ),
    row("propagationTimeout", FieldForm::Text(&DURATION), "how long to wait for them, 2h at the most (default 2m)"),
    row(
        "propagationNameservers",
        FieldForm::List(&SERVER, count(0, ZONE_SERVERS_MAX, "servers", "")),
        "the servers that are asked instead of the NS of the zone",
    ),
    row(
        "alsoCheck",
        FieldForm::List(&SERVER, count(0, ZONE_SERVERS_MAX, "servers", "")),
        "further servers that must show a challenge, such as resolvers",
    ),
    row(
        "settle",
        FieldForm::Text(&DURATION_OR_ZERO),
        "a wait after all servers show a challenge, 10m at the most (default 0s)",
    ),
    row("transport", FieldForm::Word(&TRANSPORT_WORDS), "the transport of UPDATEs (default auto: TCP, then UDP)"),
    row(
        "onWildcardHost",
        FieldForm::Word(&ON_WILDCARD_HOST_WORDS),
        "what to do for a host that lives from a wildcard record and vanishes while its challenge is published (default warn)",
    ),
];

/// The field `http` of an entry.
pub const HTTP: FieldTable = &[
    row(
        "check",
        FieldForm::Word(&CHECK_WORDS),
        "auto: the web server of each name is asked before the CA is (default); off: it is not",
    ),
    row("via", FieldForm::Text(&SERVER), "the server that is asked instead of the name's addresses, HOST or HOST:PORT"),
    row("wait", FieldForm::Text(&DURATION), "how long a wrong answer may last, 30m at the most (default 2m)"),
    row(
        "webroot",
        FieldForm::Text(&WEBROOT),
        "the folder that a web server serves for all names; notariat answers by itself when not set",
    ),
];

#[cfg(test)]
mod tests;
