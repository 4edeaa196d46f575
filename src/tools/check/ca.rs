//! The CAs: whether each answers, and offers what is configured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::report::{CheckReport, Level};
use crate::acme::client::AcmeClient;
use crate::acme::error::AcmeError;
use crate::acme::jws::EAB_REQUIRED;
use crate::acme::wire::DirectoryObject;
use crate::base::clock::ClockDoubt;
use crate::base::limits::{CLOCK_OFFSET_MAX, CLOCK_TOLERANCE};
use crate::base::name::ObjectRef;
use crate::base::sanitize::one_line;
use crate::issuance::Context;
use crate::issuance::account::{AccountStore, reference, url_of};
use crate::sources::CertificateSpec;

/// The CA of an entry.
#[derive(Clone, Debug)]
pub(super) struct CaIdentity {
    pub(super) directory: Arc<DirectoryObject>,
    /// The URL of the registered account.
    pub(super) account: Option<String>,
}

/// The CAs that were asked.
#[derive(Debug, Default)]
pub(super) struct CaChecks {
    directories: BTreeMap<(String, Option<ObjectRef>), Option<Arc<DirectoryObject>>>,
    accounts: BTreeMap<ObjectRef, Option<String>>,
    /// Profiles that were reported as missing.
    said: BTreeSet<(String, String)>,
}

impl CaChecks {
    /// Reports the CA of an entry once, and returns it. None where the CA can not be reached.
    pub(super) fn say(
        &mut self,
        report: &mut CheckReport,
        context: &Context,
        wanted: &CertificateSpec,
    ) -> Option<CaIdentity> {
        let directory = context.clients.directory(wanted);
        let object = format!("CA {}", directory.url());
        let client = match context.clients.client(&context.store, wanted) {
            Ok(client) => client,
            Err(failed) => {
                report.say(Level::Fault, &object, failed.error);
                return None;
            }
        };
        let roots = wanted.issuer.as_ref().and_then(|issuer| issuer.ca_secret.clone());
        let place = (directory.url().to_owned(), roots);
        if !self.directories.contains_key(&place) {
            let found = reached(report, &object, &client);
            if found.is_some() && (directory.is_staging() || !directory.is_explicit()) {
                let sentence = "is for trying: nobody trusts its certificates; production is another -acme or issuer";
                report.say(Level::Warning, &object, sentence.to_owned());
            }
            self.directories.insert(place.clone(), found);
        }
        let found = self.directories[&place].clone()?;
        self.profile(report, &object, wanted, &found);
        let at = reference(directory.url(), wanted, &context.namespace);
        if !self.accounts.contains_key(&at) {
            let office = AccountStore { store: &context.store, ca: &client, own_namespace: &context.namespace };
            let account = account(report, &object, &at, office, wanted, &found);
            self.accounts.insert(at.clone(), account);
        }
        Some(CaIdentity { directory: found, account: self.accounts[&at].clone() })
    }

    fn profile(
        &mut self,
        report: &mut CheckReport,
        object: &str,
        wanted: &CertificateSpec,
        directory: &DirectoryObject,
    ) {
        let profiles = &directory.meta.profiles;
        let Some(profile) = wanted.profile().filter(|profile| !profiles.contains_key(*profile)) else { return };
        if self.said.insert((object.to_owned(), profile.to_owned())) {
            let has = match profiles.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has {}", directory.meta.profile_names()),
            };
            let secret = wanted.entry.main_secret();
            let sentence =
                format!("has no profile {profile:?}, which the entry for {secret} names in `profile`: {has}");
            report.say(Level::Fault, object, sentence);
        }
    }
}

/// Fetches the directory and compares the clocks.
fn reached(report: &mut CheckReport, object: &str, client: &AcmeClient) -> Option<Arc<DirectoryObject>> {
    let directory = match client.directory() {
        Ok(directory) => directory,
        Err(AcmeError::Network(e)) if !e.is_untrusted() => {
            report.miss(
                object,
                format!("{e}: is the URL right (-acme, or `directory` of the issuer), and may this machine reach it?"),
            );
            return None;
        }
        Err(e @ AcmeError::Network(_)) => {
            report.miss(object, e.to_string());
            return None;
        }
        Err(e) => {
            report.say(Level::Fault, object, e.to_string());
            return None;
        }
    };
    let terms = directory.meta.terms_of_service.as_deref().map_or_else(
        || "no terms of service".to_owned(),
        |url| format!("terms of service {}, agreed to with the account", one_line(url)),
    );
    let profiles = match directory.meta.profiles.is_empty() {
        true => "no profiles".to_owned(),
        false => format!("profiles {}", directory.meta.profile_names()),
    };
    report.say(Level::Ok, object, format!("reached; {terms}; {profiles}"));
    let offset = client.clock_offset().unwrap_or_default();
    let by = Duration::from_secs(offset.unsigned_abs());
    if by > CLOCK_TOLERANCE {
        let sentence = format!("this machine's clock is {} the CA's: set the clocks (NTP)", ClockDoubt { offset });
        report.say(if by > CLOCK_OFFSET_MAX { Level::Fault } else { Level::Warning }, object, sentence);
    }
    Some(directory)
}

/// Reports the account, and returns its URL. Without an account the report says whether one can be registered.
fn account(
    report: &mut CheckReport,
    object: &str,
    at: &ObjectRef,
    office: AccountStore<'_>,
    wanted: &CertificateSpec,
    directory: &DirectoryObject,
) -> Option<String> {
    let stored = match office.store.secret(at) {
        Ok(stored) => stored,
        Err(e) => {
            report.miss(object, format!("the account: {e}"));
            return None;
        }
    };
    if let Some(url) = stored.as_ref().and_then(url_of) {
        report.say(Level::Ok, object, format!("the account {} of the Secret {at} is registered", one_line(&url)));
        return Some(url);
    }
    let issuer = wanted.issuer.as_deref();
    match issuer.map_or(Ok(None), |issuer| office.external(issuer)) {
        Err(e) => report.say(Level::Fault, object, e),
        Ok(Some(_)) => {
            report.say(Level::Ok, object, "an account is registered with the first order, with its EAB".to_owned())
        }
        // An imported account exists and needs no binding.
        Ok(None) if directory.meta.external_account_required && issuer.is_none_or(|i| i.account_secret.is_none()) => {
            report.say(Level::Fault, object, EAB_REQUIRED.to_owned());
        }
        Ok(None) => report.say(Level::Ok, object, "an account is registered with the first order".to_owned()),
    }
    None
}
