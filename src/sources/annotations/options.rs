//! The options that annotations give: issuer, key, chain, renewal, labels. Pure.

use std::collections::BTreeMap;

use super::keys::*;
use super::{Annotations, TOO_LONG, invalid, list};
use crate::base::limits::LABELS_MAX;
use crate::base::name::check_namespace;
use crate::base::sanitize::one_line;
use crate::config::entry::{KeyType, key_type};
use crate::config::fields::duration;
use crate::config::metadata::{check_annotation, check_label};
use crate::sources::hosts::{quoted, sentence};
use crate::sources::wish::{WishOptions, WishProblem, WishSettings};

impl Annotations {
    /// The options that annotations give.
    pub fn options(&self, settings: &WishSettings, problems: &mut Vec<WishProblem>) -> WishOptions {
        let (mut labels, annotations) = self.template(problems);
        if let Some(own) = self.option(&[SECRET_LABELS, GARDENER_LABELS], label_list, problems) {
            labels = own;
        }
        WishOptions {
            resource: None,
            issuer: self.issuer(settings, problems),
            key_type: self.key_type(problems),
            preferred_chain: self.option(&[PREFERRED_CHAIN, GARDENER_CHAIN], chain_name, problems),
            renew_before: self.option(&[RENEW_BEFORE, GARDENER_RENEW, CM_RENEW], duration, problems),
            labels,
            annotations,
            http_without_key: settings.listens_for_challenges && self.is_true(TLS_ACME),
        }
    }

    /// The value of the first of these annotations that the object has. One that can not be read is told and unused.
    fn option<T>(
        &self,
        keys: &[&'static str],
        read: impl Fn(&str) -> Result<T, String>,
        problems: &mut Vec<WishProblem>,
    ) -> Option<T> {
        let (key, value) = keys.iter().find_map(|key| Some((key, self.get(key)?)))?;
        read(value).map_err(|why| problems.push(unused(key, value, &why))).ok()
    }

    fn issuer(&self, settings: &WishSettings, problems: &mut Vec<WishProblem>) -> Option<String> {
        let own = |name: &str| match check_namespace(name) {
            Ok(()) => Ok(name.to_owned()),
            Err(_) => Err("is not the name of an issuer".to_owned()),
        };
        if self.get(ISSUER).is_some() {
            return self.option(&[ISSUER], own, problems);
        }
        let gardener = |name: &str| {
            let (_, plain) = name.split_once('/').unwrap_or(("", name));
            let mapped = settings.replaces.get(name).or_else(|| settings.replaces.get(plain));
            mapped.map_or_else(|| own(plain), |ours| Ok(ours.clone()))
        };
        if self.get(GARDENER_ISSUER).is_some() {
            return self.option(&[GARDENER_ISSUER], gardener, problems);
        }
        self.cert_manager_issuer(settings)?.ok().map(str::to_owned)
    }

    fn key_type(&self, problems: &mut Vec<WishProblem>) -> Option<KeyType> {
        if self.get(KEY_TYPE).is_some() {
            return self.option(&[KEY_TYPE], |name| key_type(name).map_err(str::to_owned), problems);
        }
        let pairs = [(GARDENER_ALGORITHM, GARDENER_SIZE), (CM_ALGORITHM, CM_SIZE)];
        let given = |(a, s): (&'static str, &'static str)| Some((a, s, self.get(a), self.get(s)));
        let is_given = |(_, _, a, s): &(&str, &str, Option<&str>, Option<&str>)| a.is_some() || s.is_some();
        let (algorithm_key, size_key, algorithm, size) = pairs.into_iter().filter_map(given).find(is_given)?;
        let is_rsa = match algorithm.map(str::to_ascii_uppercase).as_deref() {
            Some("ECDSA") => false,
            Some("RSA") => true,
            // A size alone tells the algorithm.
            None => size.is_some_and(|size| size.len() == 4),
            Some(_) => {
                let why = "is not possible; keys are of the algorithm ECDSA or RSA";
                problems.push(unused(algorithm_key, algorithm.unwrap_or_default(), why));
                return None;
            }
        };
        let name = match (is_rsa, size) {
            (false, None | Some("256")) => Some("ecdsa-p256"),
            (false, Some("384")) => Some("ecdsa-p384"),
            (true, None | Some("2048")) => Some("rsa-2048"),
            (true, Some("3072")) => Some("rsa-3072"),
            (true, Some("4096")) => Some("rsa-4096"),
            (_, Some(_)) => None,
        };
        let sizes = "is not possible; ECDSA keys have 256 or 384 bits, RSA keys 2048, 3072 or 4096";
        let read = name.map_or(Err(sizes), key_type);
        let (key, value) = size.map_or((algorithm_key, algorithm), |size| (size_key, Some(size)));
        read.map_err(|why| problems.push(unused(key, value.unwrap_or_default(), why))).ok()
    }

    /// Labels and annotations of cert-manager's template of the Secret.
    fn template(&self, problems: &mut Vec<WishProblem>) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let read = |text: &str| {
            let wrong = |_| "is no JSON of the form {\"labels\": {…}, \"annotations\": {…}} with texts".to_owned();
            let mut template: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(text).map_err(wrong)?;
            let mut take = |field| template.remove(field).unwrap_or_default();
            let (labels, annotations) = (take("labels"), take("annotations"));
            check_count(labels.len())?;
            labels.iter().try_for_each(|(key, value)| check_label(key, value).map_err(|why| of_key(key, &why)))?;
            annotations.iter().try_for_each(|(k, v)| check_annotation(k, v).map_err(|why| of_key(k, &why)))?;
            Ok((labels, annotations))
        };
        self.option(&[CM_TEMPLATE], read, problems).unwrap_or_default()
    }
}

fn unused(key: &str, value: &str, why: &str) -> WishProblem {
    invalid(key, sentence(&one_line(&format!("{} {why}; the option is unused", quoted(value)))))
}

fn of_key(key: &str, why: &str) -> String {
    format!("has {}, whose value {why}", quoted(key))
}

fn check_count(count: usize) -> Result<(), String> {
    if count <= LABELS_MAX { Ok(()) } else { Err(format!("has {count} labels; {LABELS_MAX} are possible")) }
}

fn label_list(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut labels = BTreeMap::new();
    for item in list(text) {
        let (key, value) = item.split_once('=').ok_or("is not of the form key=value,key=value")?;
        check_label(key, value).map_err(|why| of_key(key, &why))?;
        labels.insert(key.to_owned(), value.to_owned());
    }
    check_count(labels.len())?;
    Ok(labels)
}

fn chain_name(text: &str) -> Result<String, String> {
    let is_plain = text.len() <= 256 && text != TOO_LONG && !text.chars().any(char::is_control);
    if is_plain { Ok(text.to_owned()) } else { Err("is not the name of a certificate".to_owned()) }
}
