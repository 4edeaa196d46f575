//! Presents the values of an order through a solver, and notes each step in the record.

use crate::acme::jws::AccountKey;
use crate::issuance::AttemptError;
use crate::issuance::solver::{ChallengeRequest, NotPresented, Solver};
use crate::record::Presented;

/// A step that the record has to know.
#[derive(Debug, PartialEq)]
pub(super) enum PresentStep<'n> {
    /// The values are about to be presented.
    Presenting(&'n [Presented]),
    /// The values are presented.
    Presented(&'n [Presented]),
    /// Presenting failed, and only these values may be there.
    Refused(&'n [Presented]),
}

/// Why the values are not visible.
#[derive(Debug)]
pub(super) struct NotVisible {
    pub(super) failed: AttemptError,
    /// The record names values that have to be removed.
    pub(super) is_presented: bool,
}

/// Presents the values for `challenges` and waits until they are visible. `note` writes each step into the record.
///
/// # Errors
/// The first step that failed, and whether values have to be removed.
pub(super) fn make_visible(
    solver: &mut dyn Solver,
    account: &AccountKey,
    challenges: &[ChallengeRequest],
    note: &mut dyn FnMut(PresentStep<'_>) -> Result<(), AttemptError>,
) -> Result<(), NotVisible> {
    let before = |failed| NotVisible { failed, is_presented: false };
    let after = |failed| NotVisible { failed, is_presented: true };
    let presented = solver.prepare(account, challenges).map_err(before)?;
    note(PresentStep::Presenting(&presented)).map_err(before)?;
    match solver.present() {
        Ok(presented) => note(PresentStep::Presented(&presented)).map_err(after)?,
        Err(NotPresented { failed, left }) => {
            note(PresentStep::Refused(&left)).map_err(after)?;
            return Err(after(*failed));
        }
    }
    solver.wait_visible().map_err(after)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::base::challenge_type::ChallengeType;
    use crate::base::name::Domain;
    use crate::policy::backoff::{RetryClass, Stage};

    /// Another solver: presents nothing and fails at one step.
    struct FakeSolver<'f> {
        calls: &'f RefCell<Vec<&'static str>>,
        fails_at: &'static str,
    }

    impl FakeSolver<'_> {
        fn call(&self, step: &'static str) -> Result<(), AttemptError> {
            self.calls.borrow_mut().push(step);
            let failed = AttemptError::new(Stage::Publish, RetryClass::Transient, step.to_owned());
            if step == self.fails_at { Err(failed) } else { Ok(()) }
        }
    }

    fn presented(value: &str) -> Presented {
        let json = format!(
            r#"{{"zone":"a.test","server":"s","address":"127.0.0.1:53","key":"ns/k","values":[{{"owner":"x.a.test","value":"{value}"}}]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    impl Solver for FakeSolver<'_> {
        fn challenge_type(&self, _: &Domain) -> ChallengeType {
            ChallengeType::Dns01
        }

        fn check(&self) -> Result<(), AttemptError> {
            self.call("check")
        }

        fn prepare(&mut self, _: &AccountKey, challenges: &[ChallengeRequest]) -> Result<Vec<Presented>, AttemptError> {
            self.call("prepare")?;
            Ok(challenges.iter().map(|challenge| presented(&challenge.token)).collect())
        }

        fn present(&mut self) -> Result<Vec<Presented>, NotPresented> {
            self.call("present").map_err(|failed| NotPresented { failed: Box::new(failed), left: Vec::new() })?;
            Ok(vec![presented("elsewhere")])
        }

        fn wait_visible(&mut self) -> Result<(), AttemptError> {
            self.call("wait_visible")
        }

        fn clean_up(&mut self, _: &Presented) -> Result<(), String> {
            self.call("clean_up").map_err(|failed| failed.error)
        }
    }

    #[test]
    fn each_step_is_noted_before_the_next_and_a_failure_says_whether_values_are_there() {
        let (account, name) = (AccountKey::generate().unwrap(), Domain::parse("a.test").unwrap());
        let challenges =
            [ChallengeRequest { name, token: "t".to_owned(), url: String::new(), authorization: String::new() }];
        for (fails_at, steps, is_presented) in [
            ("", "prepare note:t present note:elsewhere wait_visible", None),
            ("prepare", "prepare", Some(false)),
            ("note:t", "prepare note:t", Some(false)),
            ("present", "prepare note:t present note:", Some(true)),
            ("note:elsewhere", "prepare note:t present note:elsewhere", Some(true)),
            ("wait_visible", "prepare note:t present note:elsewhere wait_visible", Some(true)),
        ] {
            let calls = RefCell::default();
            let mut solver = FakeSolver { calls: &calls, fails_at };
            let mut note = |note: PresentStep<'_>| {
                let step = match note {
                    PresentStep::Presenting(values) if values == [presented("t")] => "note:t",
                    PresentStep::Presented(values) if values == [presented("elsewhere")] => "note:elsewhere",
                    PresentStep::Refused([]) => "note:",
                    other => panic!("{other:?}"),
                };
                FakeSolver { calls: &calls, fails_at }.call(step)
            };
            let result = make_visible(&mut solver, &account, &challenges, &mut note);
            assert_eq!(result.err().map(|e| e.is_presented), is_presented, "{fails_at}");
            assert_eq!(calls.borrow().join(" "), steps, "{fails_at}");
        }
    }
}
