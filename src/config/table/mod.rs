//! The one table of the fields that a ConfigMap may have. Pure data.
//!
//! [`super::fields::MapReader`] reads by it: the names that there are, bounds and counts. `notariat schema` is made of it. To add a
//! field: one row here, and the line that takes it where the mapping is read. Tests refuse a row that nothing takes.

mod forms;

use std::ops::RangeInclusive;

use crate::base::challenge_type::{ChallengeType, ReachCheck};
use crate::base::limits::{
    DOMAINS_MAX, ENTRIES_MAX, FIELDS_MAX, ISSUER_ZONES_MAX, ISSUERS_MAX, LABELS_MAX, NAMESPACE_LINES_MAX,
    NAMESPACE_RANGES_MAX, SECRETS_PER_ENTRY_MAX, TTL_MAX_SECS, ZONE_SERVERS_MAX, ZONES_MAX,
};
use crate::cert::key::KeyType;
use crate::dns::settings::{OnWildcardHost, Propagation, Transport};
pub use forms::TextForm;
use forms::{
    ANNOTATION_VALUE, DIRECTORY, DOMAIN, DURATION, DURATION_OR_ZERO, EMAIL, ISSUER_NAME, LABEL_VALUE, METADATA_KEY,
    NAME_RANGE, NAMESPACE_OR_EVERY, PROFILE, REPLACED_NAME, SECRET, SERVER, SOME_TEXT, WEBROOT, ZONE_NAME,
};

/// One field.
#[derive(Debug)]
pub struct FieldRow {
    /// The name.
    pub name: &'static str,
    /// The values that it may have.
    pub form: FieldForm,
    /// The need for the field. A field that each entry needs can not be a default.
    pub required: bool,
    /// The meaning, for people.
    pub help: &'static str,
}

/// The fields of a mapping.
pub type FieldTable = &'static [FieldRow];

/// The values of a field.
#[derive(Debug)]
pub enum FieldForm {
    /// Text.
    Text(&'static TextForm),
    /// One of some words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number of a unit.
    Number(RangeInclusive<u32>, &'static str),
    /// A list of texts.
    List(&'static TextForm, ItemCount),
    /// One text, or a list of texts.
    OneOrList(&'static TextForm, ItemCount),
    /// A mapping from names that the user chooses to texts.
    Texts {
        /// The names.
        key: &'static TextForm,
        /// The texts.
        value: &'static TextForm,
        /// The largest number of names.
        most: usize,
    },
    /// A mapping with fields of its own.
    Map(FieldTable),
    /// A list of such mappings.
    Maps(FieldTable, ItemCount),
    /// A mapping from names that the user chooses to mappings with fields.
    Named {
        /// The names.
        key: &'static TextForm,
        /// The fields.
        rows: FieldTable,
        /// The bounds of the mapping.
        count: ItemCount,
        /// Names that have what is required without being written.
        built_in: &'static [&'static str],
    },
    /// The fields of a mapping that are not required in it, as values for many such mappings.
    Defaults(FieldTable),
    /// A value that is read elsewhere.
    Any,
}

/// The bounds of a list.
#[derive(Debug)]
pub struct ItemCount {
    /// The smallest number of items.
    pub least: usize,
    /// The largest number of items.
    pub most: usize,
    /// The items, in the plural.
    pub what: &'static str,
    /// The end of the sentence about too many of them.
    pub cure: &'static str,
}

/// The words of `propagation`.
pub const PROPAGATIONS: [(&str, Propagation); 3] =
    [("all", Propagation::All), ("primary", Propagation::Primary), ("none", Propagation::None)];
/// The words of `transport`.
pub const TRANSPORTS: [(&str, Transport); 3] =
    [("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];
/// The words of `onWildcardHost`.
pub const ON_WILDCARD_HOST: [(&str, OnWildcardHost); 2] =
    [("warn", OnWildcardHost::Warn), ("refuse", OnWildcardHost::Refuse)];
/// The words of `keyType`.
pub const KEY_TYPES: [(&str, KeyType); 2] =
    [(KeyType::EcdsaP256.name(), KeyType::EcdsaP256), (KeyType::EcdsaP384.name(), KeyType::EcdsaP384)];

/// The words of `challenge`.
pub const CHALLENGES: [(&str, ChallengeType); 2] =
    [(ChallengeType::Dns01.name(), ChallengeType::Dns01), (ChallengeType::Http01.name(), ChallengeType::Http01)];
/// The words of `check` in `http`.
pub const CHECKS: [(&str, ReachCheck); 2] = [("auto", ReachCheck::Auto), ("off", ReachCheck::Off)];

/// The issuers that every ConfigMap has: name and directory.
pub const BUILT_IN_ISSUERS: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];

/// The words of a table of words.
const fn words<T, const N: usize>(table: &[(&'static str, T); N]) -> [&'static str; N] {
    let (mut all, mut at) = ([""; N], 0);
    while at < N {
        all[at] = table[at].0;
        at += 1;
    }
    all
}

const PROPAGATION_WORDS: [&str; PROPAGATIONS.len()] = words(&PROPAGATIONS);
const TRANSPORT_WORDS: [&str; TRANSPORTS.len()] = words(&TRANSPORTS);
const ON_WILDCARD_HOST_WORDS: [&str; ON_WILDCARD_HOST.len()] = words(&ON_WILDCARD_HOST);
const CHALLENGE_WORDS: [&str; CHALLENGES.len()] = words(&CHALLENGES);
const CHECK_WORDS: [&str; CHECKS.len()] = words(&CHECKS);
const KEY_TYPE_WORDS: [&str; KEY_TYPES.len()] = words(&KEY_TYPES);

const fn row(name: &'static str, form: FieldForm, help: &'static str) -> FieldRow {
    FieldRow { name, form, required: false, help }
}

/// A field whose value is read elsewhere.
pub const fn unread(name: &'static str) -> FieldRow {
    row(name, FieldForm::Any, "")
}

const fn required(name: &'static str, form: FieldForm, help: &'static str) -> FieldRow {
    FieldRow { name, form, required: true, help }
}

const fn count(least: usize, most: usize, what: &'static str, cure: &'static str) -> ItemCount {
    ItemCount { least, most, what, cure }
}

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
    required(
        "domains",
        FieldForm::List(
            &DOMAIN,
            count(1, DOMAINS_MAX, "names", ": CAs allow no more in one certificate, so split the entry"),
        ),
        "the names of the certificate; *.NAME is a wildcard",
    ),
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
    row("reuseKey", FieldForm::Bool, "keep the private key at renewals (default false)"),
    row(
        "renewBefore",
        FieldForm::Text(&DURATION),
        "renew so long before the expiry, as in 720h or 30d; by the lifetime when not set",
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

/// An issuer.
pub const ISSUER: FieldTable = &[
    required("directory", FieldForm::Text(&DIRECTORY), "the https URL of the ACME directory"),
    row("email", FieldForm::Text(&EMAIL), "contact of accounts of entries without their own"),
    row(
        "caSecretName",
        FieldForm::Text(&SECRET),
        "the Secret with further roots for the server of the CA, under ca.crt",
    ),
    row("eabSecretName", FieldForm::Text(&SECRET), "the Secret of the external account binding, under kid and hmacKey"),
    row("accountSecretName", FieldForm::Text(&SECRET), "the Secret of an account key that there is already"),
    row(
        "preferredChain",
        FieldForm::Text(&SOME_TEXT),
        "common name of the issuer of the last certificate in the wanted chain",
    ),
    row("profile", FieldForm::Text(&PROFILE), "the profile of entries that name none"),
    row(
        "challenge",
        FieldForm::Word(&CHALLENGE_WORDS),
        "the type of challenge of entries and zones that say none (default dns-01)",
    ),
    row("domains", FieldForm::Map(DOMAIN_FILTER), "the names that the issuer may be used for (default all)"),
    row("ordersPerDay", FieldForm::Number(1..=1_000_000, "orders"), "orders that may be made within 24 hours"),
    row(
        "replaces",
        FieldForm::List(&REPLACED_NAME, count(0, ISSUERS_MAX, "names", "")),
        "the issuers of cert-manager whose annotations on objects mean this one, without their namespace",
    ),
];

/// The field `domains` of an issuer.
pub const DOMAIN_FILTER: FieldTable = &[
    row(
        "include",
        FieldForm::List(&ZONE_NAME, count(0, ISSUER_ZONES_MAX, "zones", "")),
        "names at and below these (default all)",
    ),
    row("exclude", FieldForm::List(&ZONE_NAME, count(0, ISSUER_ZONES_MAX, "zones", "")), "but not at and below these"),
];

/// An item of `zones`.
pub const ZONE: FieldTable = &[
    required("zone", FieldForm::Text(&ZONE_NAME), "the name of the zone"),
    row("server", FieldForm::Text(&SERVER), "the server for UPDATEs, HOST or HOST:PORT"),
    row("tsigSecretName", FieldForm::Text(&SECRET), "the Secret with the TSIG key of the zone"),
    row("challenge", FieldForm::Word(&CHALLENGE_WORDS), "the type of challenge of names in the zone"),
];

/// A line of `namespaces`.
pub const NAMESPACE: FieldTable = &[
    row(
        "domains",
        FieldForm::List(&NAME_RANGE, count(0, NAMESPACE_RANGES_MAX, "ranges", "")),
        "the names that objects may have: each of these and the names below it; {namespace} stands for the namespace",
    ),
    row("wildcards", FieldForm::Bool, "permit wildcards (default false)"),
    row(
        "issuers",
        FieldForm::List(&ISSUER_NAME, count(0, ISSUERS_MAX, "issuers", "")),
        "the issuers that objects may name, the first one for those that name none (default: that of -acme alone)",
    ),
    row(
        "certificatesPerWeek",
        FieldForm::Number(0..=1_000_000, "orders"),
        "orders that the objects may cause within a week, renewals apart (default 20)",
    ),
];

#[cfg(test)]
mod tests;
