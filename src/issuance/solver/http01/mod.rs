//! The http-01 challenge (RFC 8555 section 8.3): the record that is written before presenting carries the answers, every replica that watches
//! the records gives them, and the web server of each name is asked before the CA is.
//!
//! Untrusted: the answers of web servers, which `verdict` judges. Tested by tests/it/http01/.

mod remedy;
mod self_test;
mod verdict;
mod webroot;

pub use remedy::{RouteFault, hint_of_ca};
pub use self_test::{Tester, each_at_once, test_name};
pub use verdict::{CHALLENGE_PATH, PROBE_TOKEN, Verdict, probe_answer};
pub use webroot::remove as remove_file;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::acme::jws::AccountKey;
use crate::base::challenge_type::{ChallengeType, ReachCheck};
use crate::base::limits::{ANSWERS_SHOWN_WITHIN, REACH_AGAIN};
use crate::base::log::event;
use crate::base::name::Domain;
use crate::base::time::Deadline;
use crate::config::http::HttpSettings;
use crate::issuance::answers::Feed;
use crate::issuance::context::Context;
use crate::issuance::error::AttemptError;
use crate::issuance::solver::challenge::{ChallengeRequest, NotPresented, Solver};
use crate::policy::backoff::{RetryClass, Stage};
use crate::record::{Presented, PresentedFile};
use crate::sources::CertificateSpec;

/// The http-01 challenges of one order.
#[derive(Debug)]
pub struct Http01<'c> {
    context: &'c Context,
    wanted: &'c CertificateSpec,
    settings: HttpSettings,
    files: Vec<PresentedFile>,
}

fn failed(severity: RetryClass, error: String) -> AttemptError {
    AttemptError::new(Stage::Reach, severity, error)
}

impl<'c> Http01<'c> {
    /// The solver for a certificate.
    ///
    /// # Errors
    /// When nobody would answer the CA.
    pub fn find(context: &'c Context, wanted: &'c CertificateSpec) -> Result<Http01<'c>, AttemptError> {
        let settings = wanted.entry.http.as_deref().cloned().unwrap_or_default();
        match (&settings.webroot, context.kube.is_some()) {
            (Some(_), true) => Err(failed(
                RetryClass::Policy,
                "`http.webroot` is for -local only: in a cluster notariat answers by itself (-http-listen)".to_owned(),
            )),
            (None, _) if !context.listens_for_challenges => Err(failed(
                RetryClass::Policy,
                "http-01 is wanted and -http-listen is not set: nobody would answer the CA".to_owned(),
            )),
            _ => Ok(Http01 { context, wanted, settings, files: Vec::new() }),
        }
    }

    fn presented(&self) -> Vec<Presented> {
        self.files.iter().cloned().map(Presented::Http01).collect()
    }

    /// Waits until this replica gives the answers: others see the record when this one does, or sooner or later.
    fn wait_for_own(&self) -> Result<(), AttemptError> {
        let Context { answers, .. } = self.context;
        if self.settings.webroot.is_some() || answers.wait_for(&self.files, ANSWERS_SHOWN_WITHIN) {
            return Ok(());
        }
        let error = format!(
            "the watch of the records does not show what was written {} s ago, so that no replica answers",
            ANSWERS_SHOWN_WITHIN.as_secs()
        );
        Err(failed(RetryClass::Transient, error))
    }

    /// Asks the web server of each name, a few at a time, until each answers rightly or nothing can be told.
    fn test_all(&self) -> Result<(), AttemptError> {
        let first = Mutex::new(None);
        each_at_once(&self.files, |file| {
            if let Err(error) = self.test(file) {
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
        first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn test(&self, file: &PresentedFile) -> Result<(), AttemptError> {
        let Context { stop, reached, .. } = self.context;
        let tester = Tester::new(self.context, self.wanted);
        let (name, deadline) = (file.name.base(), Deadline::after(self.settings.wait));
        let mut pause = REACH_AGAIN.0;
        loop {
            match test_name(&tester, name, &file.token, &file.answer) {
                Verdict::Right => return Ok(()),
                Verdict::Unknown(why) => {
                    if !reached.has(name) {
                        let secret = self.wanted.entry.main_secret();
                        event!(warn, "not-tested", secret = secret, name = name, error = why);
                    }
                    return Ok(());
                }
                Verdict::Wrong(why) => {
                    let again = deadline.left().is_some_and(|left| left > pause);
                    if !again || stop.wait(pause) {
                        let error = format!("{name}: {why}");
                        let not_validated = vec![name.clone()];
                        return Err(AttemptError { not_validated, ..failed(RetryClass::Transient, error) });
                    }
                    pause = (pause * 2).min(REACH_AGAIN.1).min(deadline.left().unwrap_or(Duration::ZERO));
                }
            }
        }
    }

    /// Notes that the CA found the answers.
    fn note_reached(&self) {
        for file in &self.files {
            self.context.reached.add(file.name.base());
        }
    }
}

impl Solver for Http01<'_> {
    fn challenge_type(&self, _: &Domain) -> ChallengeType {
        ChallengeType::Http01
    }

    fn check(&self) -> Result<(), AttemptError> {
        Ok(())
    }

    fn prepare(
        &mut self,
        account: &AccountKey,
        challenges: &[ChallengeRequest],
    ) -> Result<Vec<Presented>, AttemptError> {
        let file = |challenge: &ChallengeRequest| PresentedFile {
            name: challenge.name.clone(),
            answer: account.key_authorization(&challenge.token),
            token: challenge.token.clone(),
            webroot: self.settings.webroot.clone(),
        };
        self.files = challenges.iter().map(file).collect();
        Ok(self.presented())
    }

    fn present(&mut self) -> Result<Vec<Presented>, NotPresented> {
        let presented = self.presented();
        if let Some(folder) = &self.settings.webroot {
            for (at, file) in self.files.iter().enumerate() {
                if let Err(error) = webroot::write(folder, file) {
                    let left = presented[..=at].to_vec();
                    return Err(NotPresented { failed: Box::new(failed(RetryClass::Transient, error)), left });
                }
            }
        } else if self.context.answers.feed() == Feed::Presenter {
            self.context.answers.replace(&[], &presented);
        }
        Ok(presented)
    }

    fn wait_visible(&mut self) -> Result<(), AttemptError> {
        self.wait_for_own()?;
        match self.settings.check {
            ReachCheck::Auto => self.test_all(),
            ReachCheck::Off => Ok(()),
        }
    }

    fn validated(&mut self) {
        self.note_reached();
    }

    fn clean_up(&mut self, presented: &Presented) -> Result<(), String> {
        remove(self.context, presented)
    }
}

/// Takes an answer away. The watched records take theirs away by themselves.
///
/// # Errors
/// One sentence about the file that is left.
pub fn remove(context: &Context, presented: &Presented) -> Result<(), String> {
    let Presented::Http01(file) = presented else { return Ok(()) };
    if context.answers.feed() == Feed::Presenter {
        context.answers.replace(std::slice::from_ref(presented), &[]);
    }
    match &file.webroot {
        Some(folder) => remove_file(folder, file),
        None => Ok(()),
    }
}
