//! The names that are proved by HTTP-01: whether the path of challenges leads to this instance, asked as the self-test of an order asks.

use std::collections::{BTreeMap, btree_map};
use std::sync::{Arc, Mutex, PoisonError};

use super::report::{CheckReport, Level};
use crate::base::address::ServerAddress;
use crate::base::challenge_type::{ChallengeType, ReachCheck};
use crate::base::limits::REACH_ALL_WITHIN;
use crate::base::name::DnsName;
use crate::base::time::{self, Deadline};
use crate::issuance::Context;
use crate::issuance::solver::http01::{
    CHALLENGE_PATH, Http01, PROBE_TOKEN, Tester, Verdict, each_at_once, probe_answer, test_name,
};
use crate::sources::CertificateSpec;

/// A name, and where it is asked instead of at its addresses. Entries of one name may differ in that.
type Question<'w> = (DnsName, Option<&'w ServerAddress>);

/// Asks for each name that is proved by HTTP-01, a few at a time, and reports the verdicts in the order of the names. Of several entries of a
/// name the first decides about the other settings.
pub(super) fn say<'w>(
    report: &mut CheckReport,
    context: &Context,
    wanted: impl Iterator<Item = &'w Arc<CertificateSpec>>,
) {
    let mut questions = BTreeMap::<Question<'_>, &CertificateSpec>::new();
    for spec in wanted {
        let via = spec.entry.http.as_deref().and_then(|settings| settings.via.as_ref());
        for name in spec.entry.order_names() {
            if spec.challenge_of(&name) == ChallengeType::Http01
                && let btree_map::Entry::Vacant(free) = questions.entry((name.base().clone(), via))
            {
                free.insert(spec);
            }
        }
    }
    let questions: Vec<(DnsName, &CertificateSpec)> =
        questions.into_iter().map(|((name, _), spec)| (name, spec)).collect();
    let (deadline, said) = (Deadline::after(REACH_ALL_WITHIN), Mutex::new(BTreeMap::new()));
    let numbers: Vec<usize> = (0..questions.len()).collect();
    each_at_once(&numbers, |number| {
        let (name, spec) = &questions[*number];
        let line = examine(context, spec, name, deadline);
        said.lock().unwrap_or_else(PoisonError::into_inner).insert(*number, line);
    });
    for (number, (level, sentence)) in said.into_inner().unwrap_or_else(PoisonError::into_inner) {
        report.say(level, &format!("HTTP {}", questions[number].0), sentence);
    }
}

/// The verdict about one name.
fn examine(context: &Context, spec: &CertificateSpec, name: &DnsName, deadline: Deadline) -> (Level, String) {
    let settings = spec.entry.http.as_deref().cloned().unwrap_or_default();
    let outcome = match settings.webroot.filter(|_| context.kube.is_none()) {
        Some(folder) => PathOutcome::Folder(folder),
        None if settings.check == ReachCheck::Off => PathOutcome::Off,
        None if deadline.left().is_none() => PathOutcome::TooLate,
        None => {
            let answer = probe_answer(&context.instance);
            PathOutcome::Asked(test_name(&Tester::new(context, spec), name, PROBE_TOKEN, &answer))
        }
    };
    let silent = Http01::find(context, spec).err().map(|failed| failed.error);
    line(outcome, silent, name, &context.instance)
}

/// The outcome of the question about a name.
#[derive(Debug)]
enum PathOutcome {
    Asked(Verdict),
    /// A web server serves the folder, and a check writes no file there.
    Folder(String),
    /// `http.check` is off.
    Off,
    /// The names before it took [`REACH_ALL_WITHIN`].
    TooLate,
}

/// The line about an outcome. `silent` is why no replica with the flags of this command would answer the CA.
fn line(outcome: PathOutcome, silent: Option<String>, name: &DnsName, instance: &str) -> (Level, String) {
    match (outcome, silent) {
        // A controller that has the flag may run, although this command has it not.
        (PathOutcome::Asked(Verdict::Right), _) => {
            (Level::Ok, format!("right: http://{name}{CHALLENGE_PATH} leads to this instance ({instance})"))
        }
        (PathOutcome::Asked(Verdict::Wrong(why)), Some(silent)) => (Level::Fault, format!("wrong: {silent}; {why}")),
        (_, Some(silent)) => (Level::Fault, format!("wrong: {silent}")),
        (PathOutcome::Asked(Verdict::Wrong(why)), None) => (Level::Fault, format!("wrong: {why}")),
        (PathOutcome::Asked(Verdict::Unknown(why)), None) => {
            (Level::Warning, format!("unknown: {why}; the CA may get there all the same"))
        }
        (PathOutcome::Folder(folder), None) => {
            let sentence =
                format!("not asked: a web server serves the folder {folder}, and check writes no file there");
            (Level::Ok, sentence)
        }
        (PathOutcome::Off, None) => (Level::Ok, "not asked: `http.check` is off".to_owned()),
        (PathOutcome::TooLate, None) => {
            let sentence = format!("not asked: the names before it took {}", time::human(REACH_ALL_WITHIN));
            (Level::Warning, sentence)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_level_and_says_what_it_is() {
        let none = || Some("-http-listen is not set".to_owned());
        let (wrong, unknown) = (|| Verdict::Wrong("404".to_owned()), || Verdict::Unknown("refused".to_owned()));
        for (outcome, silent, level, sentence) in [
            (
                PathOutcome::Asked(Verdict::Right),
                None,
                Level::Ok,
                "right: http://a.test/.well-known/acme-challenge/ leads to this instance (team)",
            ),
            (PathOutcome::Asked(Verdict::Right), none(), Level::Ok, "right: http://a.test/"),
            (PathOutcome::Asked(wrong()), None, Level::Fault, "wrong: 404"),
            (PathOutcome::Asked(wrong()), none(), Level::Fault, "wrong: -http-listen is not set; 404"),
            (
                PathOutcome::Asked(unknown()),
                None,
                Level::Warning,
                "unknown: refused; the CA may get there all the same",
            ),
            (PathOutcome::Asked(unknown()), none(), Level::Fault, "wrong: -http-listen is not set"),
            (
                PathOutcome::Folder("/srv/www".to_owned()),
                None,
                Level::Ok,
                "not asked: a web server serves the folder /srv/www",
            ),
            (PathOutcome::Off, None, Level::Ok, "not asked: `http.check` is off"),
            (PathOutcome::Off, none(), Level::Fault, "wrong: -http-listen is not set"),
            (PathOutcome::TooLate, None, Level::Warning, "not asked: the names before it took 2m"),
        ] {
            let shown = format!("{outcome:?} {silent:?}");
            let (found, said) = line(outcome, silent, &"a.test".parse().unwrap(), "team");
            assert!(found == level && said.starts_with(sentence), "{shown}: {found:?} {said}");
        }
    }
}
