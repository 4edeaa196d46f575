//! The one table of the fields that a ConfigMap may have. Pure data.
//!
//! [`super::fields::MapReader`] reads by it: the names that there are, bounds and counts. `notariat schema` is made of it. To add a
//! field: one row here, and the line that takes it where the mapping is read. Tests refuse a row that nothing takes.

use std::ops::RangeInclusive;

use crate::base::limits::{
    DOMAINS_MAX, ENTRIES_MAX, FIELDS_MAX, ISSUER_ZONES_MAX, ISSUERS_MAX, LABELS_MAX, SECRETS_PER_ENTRY_MAX,
    TTL_MAX_SECS, ZONE_SERVERS_MAX, ZONES_MAX,
};
use crate::cert::key::KeyType;
use crate::dns::settings::{OnWildcardHost, Propagation, Transport};

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
    Named(FieldTable, ItemCount),
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

/// Text as a schema can describe it. The parser of the field decides; every text that it accepts has this form.
#[derive(Debug)]
pub struct TextForm {
    /// A regular expression without look-around, which not every validator has; empty for any text.
    pub pattern: &'static str,
    /// The largest number of characters.
    pub most: usize,
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
const KEY_TYPE_WORDS: [&str; KEY_TYPES.len()] = words(&KEY_TYPES);

const fn text(pattern: &'static str, most: usize) -> TextForm {
    TextForm { pattern, most }
}

/// Letters, digits and what is not ASCII; with `-`; with `_` as well.
macro_rules! letter {
    () => {
        r"[^\x00-/\x3a-\x40\x5b-\x60\x7b-\x7f]"
    };
    (hyphen) => {
        r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]"
    };
    (any) => {
        r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
    };
}
/// A label of a host name.
macro_rules! label {
    () => {
        concat!(letter!(), "(", letter!(hyphen), "{0,61}", letter!(), ")?")
    };
}
/// A name in ASCII, with or without its last dot.
macro_rules! ascii_name {
    () => {
        r"[0-9A-Za-z_-]{1,63}(\.[0-9A-Za-z_-]{1,63})*\.?"
    };
}

// The other full stops are those of UTS 46, section 2.3.
const DOMAIN: TextForm = text(concat!(r"^(\*\.)?", label!(), r"([.\u3002\uff0e\uff61]", label!(), ")+$"), 239);
const ZONE_NAME: TextForm = text(concat!("^", letter!(any), r"{1,63}(\.", letter!(any), r"{1,63})*\.?$"), 254);
const SERVER: TextForm = text(
    concat!(
        "^(",
        ascii_name!(),
        r"(:\+?0*[1-9][0-9]{0,4})?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*|\[[0-9A-Fa-f:.]+\](:\+?0*[1-9][0-9]{0,4})?)$"
    ),
    300,
);
const SECRET: TextForm =
    text("^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$", 253 + 1 + 63);
const ISSUER_NAME: TextForm = text("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", 63);
const EMAIL: TextForm = text(concat!(r"^[!#-+\x2d-;=A-~]+@", ascii_name!(), "$"), 254);
const PROFILE: TextForm = text(r"^[!#-\x5b\x5d-~]{1,64}$", 64);
const DIRECTORY: TextForm = text(r"^https://[^\x00-\x20#/:?\x7f][^\x00-\x20\x7f]*$", 2048);
const SOME_TEXT: TextForm = text(r"\S", usize::MAX);
const DURATION: TextForm = text("^([0-9]+[smhd])*[0-9]*[1-9][0-9]*[smhd]([0-9]+[smhd])*$", usize::MAX);
const DURATION_OR_ZERO: TextForm = text("^(0s?|([0-9]+[smhd])*[0-9]*[1-9][0-9]*[smhd]([0-9]+[smhd])*)$", usize::MAX);
const METADATA_KEY: TextForm =
    text(concat!("^(", ascii_name!(), "/)?[0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?$"), 254 + 1 + 63);
const LABEL_VALUE: TextForm = text("^([0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?)?$", 63);
const ANNOTATION_VALUE: TextForm = text("", 32 * 1024);

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
pub const KEYS: [FieldRow; 4] = [
    row("certificates", FieldForm::Maps(ENTRY, count(0, ENTRIES_MAX, "entries", "")), "the wanted certificates"),
    row("defaults", FieldForm::Defaults(ENTRY), "fields that entries leave out; mappings merge, lists replace"),
    row("issuers", FieldForm::Named(ISSUER, count(0, ISSUERS_MAX, "issuers", "")), "further CAs, by name"),
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
    row("domains", FieldForm::Map(DOMAIN_FILTER), "the names that the issuer may be used for (default all)"),
    row("ordersPerDay", FieldForm::Number(1..=1_000_000, "orders"), "orders that may be made within 24 hours"),
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
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::entry::Entry;
    use crate::config::fields::FieldError;
    use crate::config::issuers::Issuer;
    use crate::config::namespaces::Namespaces;
    use crate::config::{node, zones_of};

    /// A mapping that reads, where it stands, and the faults of one that does not.
    type Case = (&'static str, FieldTable, &'static str, fn(&str) -> Vec<FieldError>);

    fn entry(yaml: &str) -> Vec<FieldError> {
        Entry::read(&node::read(yaml).unwrap(), &Namespaces::from("team")).err().unwrap_or_default()
    }

    fn issuer(yaml: &str) -> Vec<FieldError> {
        Issuer::read("lab", &node::read(yaml).unwrap(), &Namespaces::from("team")).err().unwrap_or_default()
    }

    fn zone(yaml: &str) -> Vec<FieldError> {
        let faults = zones_of(&node::read(&format!("[{yaml}]")).unwrap(), &Namespaces::from("team")).err();
        let fault =
            |text: &str| text.strip_prefix("key `zones` item 1: ").unwrap().split_once(": ").map(parts).unwrap();
        faults.iter().flat_map(|all| all.0.split("; ")).filter(|text| text.starts_with("key")).map(fault).collect()
    }

    fn parts((field, sentence): (&str, &str)) -> FieldError {
        FieldError { field: field.to_owned(), sentence: sentence.to_owned() }
    }

    const CASES: [Case; 5] = [
        ("", ENTRY, "secret: web, domains: [a.test]", entry),
        ("dns.", DNS, "", entry),
        ("", ISSUER, "directory: 'https://ca.test'", issuer),
        ("domains.", DOMAIN_FILTER, "", issuer),
        ("", ZONE, "zone: a.test", zone),
    ];

    /// A mapping with `field: value` besides what it needs, and what stands around it.
    fn with(case: &Case, field: &str, value: &str) -> String {
        let (at, _, needed, _) = case;
        let own = needed.split(", ").filter(|own| !own.is_empty() && !own.starts_with(&format!("{field}:")));
        let own = own.chain(std::iter::once(value).filter(|v| !v.is_empty())).collect::<Vec<_>>().join(", ");
        match *at {
            "dns." => format!("{{secret: web, domains: [a.test], dns: {{{own}}}}}"),
            "domains." => format!("{{directory: 'https://ca.test', domains: {{{own}}}}}"),
            _ => format!("{{{own}}}"),
        }
    }

    #[test]
    fn every_row_is_taken_and_what_is_required_is_missed() {
        for case in &CASES {
            let (at, rows, _, read) = case;
            assert_eq!(read(&with(case, "-", "")), [], "{at}");
            for FieldRow { name, required, .. } in *rows {
                let yaml = with(case, name, &format!("{name}: [[1]]"));
                assert!(read(&yaml).iter().any(|f| f.field.starts_with(&format!("{at}{name}"))), "{yaml}");
                assert_eq!(!read(&with(case, name, "")).is_empty(), *required, "{at}{name}");
                let empty = with(case, name, &format!("{name}: ~"));
                assert_eq!(!read(&empty).is_empty(), *required, "{empty}");
            }
        }
    }

    #[test]
    fn words_numbers_and_lists_are_taken_as_the_rows_say_and_no_others() {
        for case in &CASES {
            let (at, rows, _, read) = case;
            for FieldRow { name, form, .. } in *rows {
                let reads = |value: &str| {
                    let yaml = with(case, name, &format!("{name}: {value}"));
                    !read(&yaml).iter().any(|f| f.field.starts_with(&format!("{at}{name}")))
                };
                match form {
                    FieldForm::Word(words) => {
                        assert!(words.iter().all(|word| reads(word)) && !reads("other"), "{name}");
                    }
                    FieldForm::Number(range, _) => {
                        assert!(reads(&range.start().to_string()) && reads(&range.end().to_string()), "{name}");
                        assert!(!reads(&(u64::from(*range.end()) + 1).to_string()) && !reads("-1"), "{name}");
                    }
                    FieldForm::List(_, count) | FieldForm::OneOrList(_, count) => {
                        let list = |n: usize| {
                            let items = (0..n).map(|i| format!("a{i}.test")).collect::<Vec<_>>();
                            format!("[{}]", items.join(", "))
                        };
                        assert!(reads(&list(count.least)) && reads(&list(count.most)), "{name}");
                        assert!(!reads(&list(count.most + 1)) && (count.least == 0 || !reads("[]")), "{name}");
                    }
                    FieldForm::Bool => assert!(reads("true") && reads("false") && !reads("'true'"), "{name}"),
                    _ => {}
                }
            }
        }
    }
}
