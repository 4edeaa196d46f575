//! The annotations by which an object opts in and tunes its certificate: notariat's over Gardener's over cert-manager's. Pure.
//!
//! Untrusted: anybody writes them who may create the object. A value that can not be used leaves its option unused and is told.

pub mod keys;
mod options;

use serde_json::Value;

use self::keys::*;
use super::hosts::{HostList, quoted};
use super::wish::{WishProblem, WishReason, WishSettings};
use crate::base::limits::{ANNOTATION_READ_OCTETS_MAX, OBJECT_HOSTS_MAX, UNUSED_ANNOTATIONS_SHOWN_MAX};
use crate::base::sanitize::one_line;
use crate::config::metadata::PREFIX;

/// Stands for a value beyond the bound: it is no valid value of any option.
const TOO_LONG: &str = "\u{fffd}";

/// The annotations of an object that mean something here. An empty value counts as none, besides that of Gardener's `dnsnames`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    known: Box<[(&'static str, Box<str>)]>,
    /// Annotations of the same prefixes that nothing here reads.
    unused: Box<[Box<str>]>,
}

/// The names that annotations give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedNames {
    /// The place of the annotation.
    pub place: String,
    /// True if the names of the object do not count beside these.
    pub replace: bool,
    /// The names.
    pub names: HostList,
}

/// The answer of the annotations to whether notariat serves the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptIn {
    /// Nothing asks for a certificate.
    No,
    /// A certificate is asked for.
    Yes,
    /// A certificate of another program is asked for; a sentence says so.
    Foreign(String),
}

impl Annotations {
    /// Reads the annotations and labels of an object's metadata.
    pub fn read(metadata: &Value) -> Annotations {
        let map = |field: &str| metadata.get(field).and_then(Value::as_object);
        let value = |key: &str, value: &Value| {
            let text = value.as_str().unwrap_or_default().trim();
            let text = if text.len() > ANNOTATION_READ_OCTETS_MAX { TOO_LONG } else { text };
            (!text.is_empty() || key == DNS_NAMES).then(|| Box::<str>::from(text))
        };
        let (mut known, mut unused) = (Vec::new(), Vec::new());
        let is_ours = |key: &str| [PREFIX, GARDENER, CERT_MANAGER].iter().any(|prefix| key.starts_with(prefix));
        for (key, text) in map("annotations").into_iter().flatten() {
            match KNOWN.iter().find(|known| *known == key) {
                Some(key) => known.extend(value(key, text).map(|text| (*key, text))),
                None if is_ours(key) && unused.len() <= UNUSED_ANNOTATIONS_SHOWN_MAX => {
                    unused.push(key.as_str().into())
                }
                None => {}
            }
        }
        for key in KNOWN_LABELS {
            let text = map("labels").and_then(|labels| value(key, labels.get(key)?));
            known.extend(text.map(|text| (key, text)));
        }
        Annotations { known: known.into(), unused: unused.into() }
    }

    /// Tells whether no annotation means anything here.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.unused.is_empty()
    }

    /// The value of a known annotation.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.known.iter().find(|(known, _)| *known == key).map(|(_, value)| &**value)
    }

    /// Tells whether the value of an annotation is `true`.
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Tells whether the object is not to be served at all.
    pub fn ignores_all(&self) -> bool {
        self.is_true(IGNORE)
    }

    /// Tells whether this Secret is not to be filled.
    pub fn ignores(&self, secret: &str) -> bool {
        self.lists(IGNORE, secret)
    }

    /// Tells whether an annotation with a list names `item`.
    pub fn lists(&self, key: &str, item: &str) -> bool {
        self.get(key).is_some_and(|value| list(value).any(|listed| listed == item))
    }

    /// Tells whether Secrets of nobody and of other programs are taken over.
    pub fn adopts(&self) -> bool {
        self.is_true(ADOPT)
    }

    /// Tells whether the object says that it wants no certificate.
    pub fn declines(&self) -> bool {
        self.ignores_all() || self.get(CERTIFICATE).is_some_and(|value| value.eq_ignore_ascii_case("false"))
    }

    /// Tells whether an annotation gives all names of the certificate.
    pub fn gives_all_names(&self) -> bool {
        self.get(DOMAINS).is_some() || self.has_dns_names()
    }

    /// Tells whether Gardener's names replace those of the object. An empty list does so where a common name stands beside it.
    fn has_dns_names(&self) -> bool {
        self.get(DNS_NAMES).is_some_and(|names| !names.is_empty() || self.get(COMMON_NAME).is_some())
    }

    /// Tells whether the annotations ask for a certificate. `kubernetes.io/tls-acme` counts on an Ingress only.
    pub fn opt_in(&self, is_ingress: bool, settings: &WishSettings) -> OptIn {
        if self.is_true(CERTIFICATE) {
            return OptIn::Yes;
        }
        if self.declines() {
            return OptIn::No;
        }
        if self.get(PURPOSE) == Some("managed") || self.get(OLD_PURPOSE) == Some("managed-cert") {
            return OptIn::Yes;
        }
        match self.cert_manager_issuer(settings) {
            Some(Ok(_)) => OptIn::Yes,
            Some(Err(sentence)) => OptIn::Foreign(sentence),
            None if is_ingress && self.is_true(TLS_ACME) => OptIn::Yes,
            None => OptIn::No,
        }
    }

    /// Our issuer for the one of cert-manager that the object names, or a sentence when there is none.
    fn cert_manager_issuer<'a>(&self, settings: &'a WishSettings) -> Option<Result<&'a str, String>> {
        let name = self.get(CM_CLUSTER_ISSUER).or_else(|| self.get(CM_ISSUER))?;
        let group = self.get(CM_ISSUER_GROUP).unwrap_or("cert-manager.io");
        let ours = settings.replaces.get(name).filter(|_| group == "cert-manager.io");
        Some(ours.map(String::as_str).ok_or_else(|| {
            let name = quoted(name);
            format!("the issuer {name} is cert-manager's; `replaces` of an issuer of notariat takes the objects with it over")
        }))
    }

    /// The problems of the annotations that opt in, and of those that nothing reads.
    pub fn faults(&self, wanted: bool) -> Vec<WishProblem> {
        let is_flag = |value: &str| value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
        let mut problems = Vec::new();
        for key in [CERTIFICATE, ADOPT, TLS_ACME] {
            if let Some(value) = self.get(key).filter(|value| !is_flag(value)) {
                problems.push(invalid(key, format!("{} counts as nothing: write \"true\"", quoted(value))));
            }
        }
        if !wanted {
            return problems;
        }
        for (ours, reason, why) in [
            (true, WishReason::Invalid, "notariat has no such annotation: is it misspelt?"),
            (
                false,
                WishReason::Skipped,
                "notariat does not use these annotations; the certificate is made without them",
            ),
        ] {
            let unused: Vec<&str> =
                self.unused.iter().map(|k| &**k).filter(|k| k.starts_with(PREFIX) == ours).collect();
            if !unused.is_empty() {
                let shown = unused.iter().take(UNUSED_ANNOTATIONS_SHOWN_MAX).map(|key| one_line(key));
                let more = if unused.len() > UNUSED_ANNOTATIONS_SHOWN_MAX { ", …" } else { "" };
                let sentence = format!("{}{more}: {why}", shown.collect::<Vec<_>>().join(", "));
                problems.push(WishProblem { reason, place: "metadata.annotations".to_owned(), sentence });
            }
        }
        problems
    }

    /// The names that annotations give: instead of the object's, or beside them. `is_single` says whether the object wants one Secret only.
    pub fn names(&self, is_single: bool, problems: &mut Vec<WishProblem>) -> Option<AskedNames> {
        let read = |keys: &[&'static str]| {
            let texts = keys.iter().filter_map(|key| self.get(key)).flat_map(list).map(Some);
            HostList::read(texts, &mut { OBJECT_HOSTS_MAX })
        };
        let has = |key: &&str| self.get(key).is_some();
        let asked = |key: &str, replace, names| Some(AskedNames { place: place(key), replace, names });
        if has(&DOMAINS) {
            if is_single {
                return asked(DOMAINS, true, read(&[DOMAINS]));
            }
            problems.push(invalid(DOMAINS, "it is not used, because the object wants several Secrets".to_owned()));
            return None;
        }
        if self.has_dns_names() {
            return asked(DNS_NAMES, true, read(&[COMMON_NAME, DNS_NAMES]));
        }
        let key = [COMMON_NAME, CM_NAMES].into_iter().find(has)?;
        asked(key, false, read(&[key]))
    }
}

/// The items of a list with commas or white space between them.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty())
}

/// The place of an annotation in an object.
pub fn place(key: &str) -> String {
    format!("metadata.annotations[{key}]")
}

fn invalid(key: &str, sentence: String) -> WishProblem {
    WishProblem { reason: WishReason::Invalid, place: place(key), sentence }
}

#[cfg(test)]
mod tests;
