//! The accounts of issuers that objects describe. An issuer says that it is ready once its CA knows its account, before the first order: charts
//! and scripts wait for that. The CA is asked on a thread of its own, because it may not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::super::messages::ControllerEvent;
use super::slots::pause;
use crate::base::limits::{CHANGES_WAITING_MAX, LOOK_AT_ALL};
use crate::base::log::event;
use crate::base::shared_str::SharedStr;
use crate::base::time::Stopwatch;
use crate::cert_manager::status::{IssuerReason, IssuerVerdict};
use crate::issuance::account::AccountStore;
use crate::issuance::{AttemptError, Context};
use crate::policy::backoff::RetryClass;
use crate::sources::CertificateSpec;
use crate::sources::wish::ObjectKey;

/// The loop's side.
pub(crate) struct IssuerAccounts {
    requests: Sender<AccountRequest>,
    known: Arc<Mutex<AccountAnswers>>,
}

#[derive(Default)]
struct AccountAnswers {
    /// The print of the issuer that was asked about last, and the answer.
    results: BTreeMap<ObjectKey, (String, Option<AccountAnswer>)>,
    /// The issuers that the loop looks at next: those with an answer that it has not seen, and those for which there was no room.
    fresh: BTreeSet<ObjectKey>,
}

/// A reason and its sentence, and the URL of an account that the CA knows.
type AccountAnswer = (IssuerReason, String, Option<SharedStr>);

/// An issuer whose account is wanted.
struct AccountRequest {
    object: ObjectKey,
    print: String,
    /// A certificate for nobody, by which the account is found.
    spec: Box<CertificateSpec>,
    failures: u32,
}

fn lock(known: &Mutex<AccountAnswers>) -> MutexGuard<'_, AccountAnswers> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IssuerAccounts {
    /// Starts the thread. `wake` wakes the loop when there is an answer.
    ///
    /// # Errors
    /// When it can not be started.
    pub(crate) fn start(context: Arc<Context>, wake: Sender<ControllerEvent>) -> Result<IssuerAccounts, String> {
        let (requests, asked) = bounded(CHANGES_WAITING_MAX);
        let known = Arc::<Mutex<AccountAnswers>>::default();
        let of_thread = known.clone();
        let run = move || ask(&context, &asked, &of_thread, &wake);
        let spawned = thread::Builder::new().name("accounts".to_owned()).spawn(run);
        spawned.map_err(|e| format!("the thread for the accounts of issuers can not be started: {e}"))?;
        Ok(IssuerAccounts { requests, known })
    }

    /// The issuers to look at, each once.
    pub(super) fn take_fresh(&self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut lock(&self.known).fresh)
    }

    /// Forgets an issuer that is gone.
    pub(super) fn forget(&self, object: &ObjectKey) {
        lock(&self.known).results.remove(object);
    }

    /// The knowledge about the account of an issuer; `None` while the CA is asked.
    pub(super) fn verdict(
        &self,
        object: &ObjectKey,
        generation: i64,
        print: &str,
        spec: impl FnOnce() -> CertificateSpec,
    ) -> Option<IssuerVerdict> {
        // The lock is held until the request is noted: the thread drops one whose print is not the noted one.
        let mut known = lock(&self.known);
        match known.results.get(object).cloned().filter(|(of, _)| of == print) {
            Some((_, result)) => {
                result.map(|(reason, message, account)| IssuerVerdict { generation, reason, message, account })
            }
            None => {
                let spec = Box::new(spec());
                let request = AccountRequest { object: object.clone(), print: print.to_owned(), spec, failures: 0 };
                match self.requests.try_send(request) {
                    Ok(()) => drop(known.results.insert(object.clone(), (print.to_owned(), None))),
                    // The thread has too much to do: the next pass looks at the issuer again.
                    Err(_) => drop(known.fresh.insert(object.clone())),
                }
                None
            }
        }
    }
}

/// Asks the CAs, and those that failed again and again.
fn ask(
    context: &Context,
    asked: &Receiver<AccountRequest>,
    known: &Mutex<AccountAnswers>,
    wake: &Sender<ControllerEvent>,
) {
    let (age, mut failed) = (Stopwatch::start(), BTreeMap::<ObjectKey, (Duration, AccountRequest)>::new());
    loop {
        let due = failed.values().map(|(due, _)| *due).min();
        let request = match asked.recv_timeout(due.map_or(LOOK_AT_ALL, |due| due.saturating_sub(age.elapsed()))) {
            Ok(request) => request,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let is_due = |(_, (due, _)): &(&ObjectKey, &(Duration, AccountRequest))| *due <= age.elapsed();
                let Some(object) = failed.iter().find(is_due).map(|(object, _)| object.clone()) else { continue };
                let Some((_, request)) = failed.remove(&object) else { continue };
                request
            }
        };
        failed.remove(&request.object);
        let is_wanted = |known: &AccountAnswers| {
            known.results.get(&request.object).is_none_or(|(print, _)| *print == request.print)
        };
        if context.stop.is_set() || !is_wanted(&lock(known)) {
            continue;
        }
        let account = std::panic::AssertUnwindSafe(|| account(context, &request));
        let result = match std::panic::catch_unwind(account).unwrap_or_else(|_| Err(AttemptError::internal())) {
            Ok(url) => (IssuerReason::AccountRegistered, "the CA knows the account".to_owned(), Some(url)),
            Err(e) => {
                event!(warn, "no-account", object = request.object, error = e.error);
                let is_fault = e.severity == RetryClass::Policy;
                let reason = if is_fault { IssuerReason::AccountUnusable } else { IssuerReason::RegistrationFailed };
                let failures = request.failures.saturating_add(1);
                let again = AccountRequest { failures, ..copy(&request) };
                failed.insert(request.object.clone(), (age.elapsed() + pause(failures), again));
                (reason, e.error, None)
            }
        };
        {
            let mut known = lock(known);
            known.results.insert(request.object.clone(), (request.print, Some(result)));
            known.fresh.insert(request.object);
        }
        // A full channel keeps the loop awake.
        wake.try_send(ControllerEvent::Lead).ok();
    }
}

fn copy(request: &AccountRequest) -> AccountRequest {
    let AccountRequest { object, print, spec, failures } = request;
    AccountRequest { object: object.clone(), print: print.clone(), spec: spec.clone(), failures: *failures }
}

/// Finds or registers an account, and returns its URL.
fn account(context: &Context, request: &AccountRequest) -> Result<SharedStr, AttemptError> {
    let spec = &request.spec;
    context.leader.check()?;
    context.acting.check_object(&request.object).map_err(AttemptError::busy)?;
    let ca = &*context.clients.client(&context.store, spec)?;
    let office = AccountStore { store: &context.store, ca, own_namespace: &context.namespace };
    context.accounts.get(office, &context.limits, spec, None, &context.stop).map(|account| SharedStr::new(&account.url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::ObjectRef;
    use crate::config;
    use crate::sources::{Desired, config_map};

    fn spec() -> CertificateSpec {
        let entry = "[{secret: web, domains: [a.test], tsigSecretName: key}]".to_owned();
        let config = config::read(&[("certificates".to_owned(), entry)].into(), &"t".into()).unwrap();
        let mut desired = Desired::default();
        config_map::add(&mut desired, &ObjectRef::new("t", "c"), &config, |_| None);
        (**desired.wanted.values().next().unwrap()).clone()
    }

    fn accounts(room: usize) -> (IssuerAccounts, Receiver<AccountRequest>) {
        let (requests, asked) = bounded(room);
        (IssuerAccounts { requests, known: Arc::default() }, asked)
    }

    fn object(name: &str) -> ObjectKey {
        ObjectKey { kind: "Issuer", at: ObjectRef::new("t", name) }
    }

    #[test]
    fn the_thread_always_finds_what_it_is_asked_about_noted() {
        let (accounts, asked) = accounts(1);
        let (known, spec) = (accounts.known.clone(), spec());
        let (say, heard) = bounded(1);
        let thread = thread::spawn(move || {
            for request in asked {
                let noted = lock(&known).results.get(&request.object).map(|(print, _)| print.clone());
                say.send((request.print, noted)).unwrap();
            }
        });
        for edit in 0..2000 {
            let print = edit.to_string();
            assert_eq!(accounts.verdict(&object("a"), 1, &print, || spec.clone()), None);
            let noted = heard.recv_timeout(Duration::from_secs(60)).expect("the thread is asked");
            assert_eq!(noted, (print.clone(), Some(print)));
        }
        drop(accounts);
        thread.join().unwrap();
    }

    #[test]
    fn an_issuer_is_asked_about_once_for_each_print_and_later_where_there_is_no_room() {
        let (accounts, asked) = accounts(1);
        let ask = |name: &str, print: &str| accounts.verdict(&object(name), 1, print, spec);
        assert_eq!((ask("a", "1"), ask("a", "1"), ask("b", "1")), (None, None, None));
        assert_eq!((accounts.take_fresh(), asked.len()), ([object("b")].into(), 1));
        let request = asked.recv().unwrap();
        let answer = (IssuerReason::AccountUnusable, "so".to_owned(), None);
        lock(&accounts.known).results.insert(request.object, (request.print, Some(answer)));
        assert_eq!(ask("a", "1").map(|verdict| verdict.reason), Some(IssuerReason::AccountUnusable));
        assert_eq!((ask("a", "2"), asked.recv().unwrap().print), (None, "2".to_owned()), "it was edited");
        accounts.forget(&object("a"));
        assert_eq!((ask("a", "2"), asked.len()), (None, 1), "another one of its name");
        assert!(accounts.take_fresh().is_empty());
    }
}
