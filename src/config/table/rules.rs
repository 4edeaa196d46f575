//! The fields of issuers, zones and lines for namespaces. Pure data.

use super::forms::{
    CA_TEXT, DATA_KEY, DIRECTORY, EMAIL, ISSUER_NAME, NAME_RANGE, PROFILE, REPLACED_NAME, SECRET, SERVER, SOME_TEXT,
    ZONE_NAME,
};
use super::row::{FieldForm, FieldTable, count, required, row};
use super::words::{ALGORITHM_WORDS, CHALLENGE_WORDS};
use crate::base::limits::{ISSUER_ZONES_MAX, ISSUERS_MAX, MOST_ELSEWHERE_MAX, NAMESPACE_RANGES_MAX};

/// An issuer.
pub const ISSUER: FieldTable = &[
    required("directory", FieldForm::Text(&DIRECTORY), "the https URL of the ACME directory"),
    row("email", FieldForm::Text(&EMAIL), "contact of accounts of entries without their own"),
    row(
        "caSecretName",
        FieldForm::Text(&SECRET),
        "the Secret with further roots for the server of the CA, under ca.crt",
    ),
    row("ca", FieldForm::Text(&CA_TEXT), "further roots for the server of the CA, certificates in PEM"),
    row("eabSecretName", FieldForm::Text(&SECRET), "the Secret of the external account binding, under kid and hmacKey"),
    row(
        "eabKeyId",
        FieldForm::Text(&SOME_TEXT),
        "the key ID of the external account binding, where that Secret has no kid",
    ),
    row(
        "eabSecretKey",
        FieldForm::Text(&DATA_KEY),
        "the data key of the MAC key of the external account binding (default hmacKey)",
    ),
    row("accountSecretName", FieldForm::Text(&SECRET), "the Secret of an account key that there is already"),
    row(
        "accountSecretKey",
        FieldForm::Text(&DATA_KEY),
        "the data key of the account key (default key, tls.key or privateKey, the first one that is there)",
    ),
    row(
        "accountSecretOptional",
        FieldForm::Bool,
        "make an account of one's own where the Secret of the account key does not exist (default false)",
    ),
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
    row("tsigKey", FieldForm::Map(TSIG_KEY), "the rest of the TSIG key, where the Secret holds its base64 text alone"),
    row(
        "findZone",
        FieldForm::Bool,
        "`zone` is a name: server and key count at and below it, and the server says which zone encloses it (default false)",
    ),
    row("challenge", FieldForm::Word(&CHALLENGE_WORDS), "the type of challenge of names in the zone"),
];

/// The field `tsigKey` of an item of `zones`.
pub const TSIG_KEY: FieldTable = &[
    required("secretKey", FieldForm::Text(&DATA_KEY), "the data key of the base64 text"),
    required("name", FieldForm::Text(&ZONE_NAME), "the name of the key"),
    required("algorithm", FieldForm::Word(&ALGORITHM_WORDS), "the HMAC of the key"),
];

/// A line of `namespaces`.
pub const NAMESPACE: FieldTable = &[
    row(
        "domains",
        FieldForm::List(&NAME_RANGE, count(0, NAMESPACE_RANGES_MAX, "ranges", "")),
        "the names that objects may have: each of these and the names below it; {namespace} stands for the namespace, any for all names in no range",
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
    row(
        "maxCertificates",
        FieldForm::Number(0..=MOST_ELSEWHERE_MAX, "objects"),
        "the objects that are served in a namespace of another cluster, the oldest first",
    ),
    row(
        "clusterIssuers",
        FieldForm::List(&REPLACED_NAME, count(0, ISSUERS_MAX, "names", "")),
        "the ClusterIssuers of cert-manager that Certificates may name (default all)",
    ),
    row(
        "ownIssuers",
        FieldForm::List(&DIRECTORY, count(0, ISSUERS_MAX, "URLs", "")),
        "the ACME directories that Issuers of cert-manager in the namespace may name (default none)",
    ),
];
