//! `renew` and `revoke` write an annotation into a Secret, which the controller serves; `account rollover` gives an account a new key. Where
//! there is no Secret yet, the request of `renew` stands in the record, which the controller watches as well.

use crate::acme::client::AcmeClient;
use crate::base::limits::{NAMES_SHOWN_MAX, STORE_TRIES};
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::cert::facts;
use crate::cli::Arguments;
use crate::http::Http;
use crate::http::tls::TlsTrust;
use crate::issuance::account::{AccountStore, directory_of};
use crate::kube::object::SecretObject;
use crate::policy::Directory;
use crate::policy::FORCE;
use crate::policy::secret_state::annotation;
use crate::record::{self, Record};
use crate::start::{OpenedStore, open, read_roots};
use crate::store::{Component, LockMode, Store, StoreError};
use crate::tools::options::SecretAction;
use crate::tools::status::reader;

/// Runs a command. Returns the sentence for standard output.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn run(action: &SecretAction, arguments: &Arguments) -> Result<String, String> {
    let OpenedStore { store, namespace, .. } = open(arguments, LockMode::Beside, &Shutdown::new())?;
    let at = |name: &str| ObjectRef::parse_anywhere(name, &namespace).map_err(|e| format!("{name:?} {e}"));
    // Accounts are at home.
    let account_at = |name: &str| ObjectRef::parse(name, &namespace).map_err(|e| format!("{name:?} {e}"));
    match action {
        SecretAction::Renew { secret, force } => {
            let at = at(secret)?;
            let value = format!("{}{}", time::now(), if *force { FORCE } else { "" });
            let exists = store.secret(&at).map_err(|e| format!("{at}: {e}"))?.is_some();
            if exists { renew(&store, &at, value) } else { ask_record(&store, &at, value, arguments, &namespace) }
        }
        SecretAction::Revoke { secret, reason } => revoke(&store, &at(secret)?, reason),
        SecretAction::Rollover { account } => roll_over(&store, &account_at(account)?, arguments, &namespace),
    }
}

fn renew(store: &Store, at: &ObjectRef, value: String) -> Result<String, String> {
    annotate(store, at, |_| Ok((annotation::RENEW, value.clone())))?;
    Ok(format!("{at}: a renewal is asked for; notariat serves it when it looks next, if the Secret is one of its own"))
}

/// Asks for an attempt where there is no Secret: the request ends the wait after failures, and stands in the record.
fn ask_record(
    store: &Store,
    at: &ObjectRef,
    value: String,
    arguments: &Arguments,
    own_namespace: &str,
) -> Result<String, String> {
    let mut record = record::reference(at, own_namespace);
    if store.secret(&record).map_err(|e| format!("{record}: {e}"))?.is_none() {
        record = record::reference(&main_secret(at, arguments)?, own_namespace);
        if store.secret(&record).map_err(|e| format!("{record}: {e}"))?.is_none() {
            let empty = Record::default().data(time::now());
            match store.put_own(&record, None, Component::Record, record::TYPE, empty) {
                // The controller made one meanwhile.
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(e) => return Err(format!("{record}: {e}")),
            }
        }
    }
    // The worker of an order holds the version of the record, and a write of others would cut the order off.
    let ask = |secret: &SecretObject| {
        let order = Record::read(Some(secret)).ok().and_then(|record| record.body.in_flight);
        match order.is_some_and(|order| !order.holder.is_empty()) {
            true => Err("an order is under way, `notariat status` shows what becomes of it".to_owned()),
            false => Ok((annotation::RENEW, value.clone())),
        }
    };
    annotate(store, &record, ask)?;
    Ok(format!(
        "{at}: does not exist yet; an attempt is asked for in its record, and notariat makes it within half a minute, unless a limit of the CA \
         forbids it: `notariat status` shows what became of it"
    ))
}

/// The Secret that names the certificate which is to fill `at`.
fn main_secret(at: &ObjectRef, arguments: &Arguments) -> Result<ObjectRef, String> {
    if arguments.config.is_empty() {
        return Err(format!(
            "the Secret {at} does not exist, and neither does its record: are the name and -namespace right? With -config NAME it is looked for in that ConfigMap"
        ));
    }
    let report = reader(arguments, &Shutdown::new())?.read(time::now());
    let row = report.rows.iter().find(|row| row.secrets().contains(at));
    let row = row.ok_or_else(|| {
        let wanted: Vec<String> =
            report.rows.iter().flat_map(|row| row.secrets()).take(NAMES_SHOWN_MAX).map(ToString::to_string).collect();
        format!("the Secret {at} does not exist, and no entry wants it; there are {}", wanted.join(", "))
    })?;
    Ok(row.secrets()[0].clone())
}

fn revoke(store: &Store, at: &ObjectRef, reason: &str) -> Result<String, String> {
    let serial_of = |secret: &SecretObject| {
        let chain = secret.value("tls.crt").ok_or_else(|| "it holds no certificate".to_owned())?;
        let (_, facts) = facts::read(chain.expose()).map_err(|e| format!("tls.crt: {e}"))?;
        Ok((annotation::REVOKE, format!("{reason} {}", facts.serial)))
    };
    let value = annotate(store, at, serial_of)?;
    let serial = value.split(' ').next_back().unwrap_or_default();
    Ok(format!(
        "{at}: the certificate {serial} is to be revoked ({reason}); notariat first stores another one in its place, unless its key is known to others"
    ))
}

/// Writes one annotation and returns its value. A conflict with another writer is retried [`STORE_TRIES`] times.
fn annotate(
    store: &Store,
    at: &ObjectRef,
    value: impl Fn(&SecretObject) -> Result<(&'static str, String), String>,
) -> Result<String, String> {
    for _ in 0..STORE_TRIES {
        let secret = store.secret(at).map_err(|e| format!("{at}: {e}"))?;
        let secret = secret.ok_or_else(|| format!("the Secret {at} does not exist"))?;
        let (name, value) = value(&secret).map_err(|e| format!("{at}: {e}"))?;
        match store.annotate(&secret, name, &value) {
            Ok(()) => return Ok(value),
            Err(StoreError::Conflict) => {}
            Err(e) => return Err(format!("{at}: {e}")),
        }
    }
    Err(format!("{at}: {}", StoreError::Conflict))
}

fn roll_over(store: &Store, at: &ObjectRef, arguments: &Arguments, namespace: &str) -> Result<String, String> {
    let secret = store.secret(at).map_err(|e| format!("{at}: {e}"))?;
    let secret = secret.ok_or_else(|| format!("the Secret {at} does not exist; the log names it at `account`"))?;
    let directory = directory_of(&secret).ok_or_else(|| format!("{at} is not the Secret of an ACME account"))?;
    let trust = TlsTrust { public_roots: true, roots_pem: read_roots(arguments)?, ..TlsTrust::default() };
    let directory = Directory::new(&directory, true);
    let ca = AcmeClient::new(Http::new(&trust, arguments.acme_proxy.as_deref())?, &directory, Shutdown::new());
    let office = AccountStore { store, ca: &ca, own_namespace: namespace };
    let account = office.roll_over(at).map_err(|failed| failed.error)?;
    Ok(format!("{at}: the account {account} has a new key"))
}
