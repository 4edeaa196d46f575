//! The answers of the http-01 responder: what the watched records present, on every replica. Only the lock of the shared table does more than
//! look at data.
//!
//! Untrusted: records, which users of the namespace may edit. An answer that is no key authorization of its token is not given.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::limits::ANSWER_OCTETS_MAX;
use crate::base::time::Deadline;
use crate::record::{Presented, PresentedFile};

/// A shared table of answers.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<AnswersState>);

#[derive(Debug, Default)]
struct AnswersState {
    table: Mutex<PendingAnswers>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct PendingAnswers {
    /// The key authorization by name and token.
    answers: HashMap<String, HashMap<String, String>>,
    feed: Feed,
}

/// The source that keeps the table up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// Only the replica that presents an answer gives it.
    #[default]
    Presenter,
    /// A watch of the records.
    Watch,
    /// A watch of the records that shows nothing for the moment.
    LostWatch,
}

impl Answers {
    /// The key authorization for a token of a host.
    pub fn find(&self, host: &str, token: &str) -> Option<String> {
        self.table().answers.get(host)?.get(token).cloned()
    }

    /// The source that keeps the table up to date.
    pub fn feed(&self) -> Feed {
        self.table().feed
    }

    /// Says what keeps the table up to date.
    pub fn set_feed(&self, feed: Feed) {
        self.table().feed = feed;
    }

    /// Takes the answers `before` away and adds `now`. An answer that is in both is there all the time.
    pub fn replace(&self, before: &[Presented], now: &[Presented]) {
        if before.is_empty() && now.is_empty() {
            return;
        }
        let mut table = self.table();
        for file in files(now).filter(|file| is_answer(file)) {
            let of_name = table.answers.entry(file.name.to_string()).or_default();
            of_name.insert(file.token.clone(), file.answer.clone());
        }
        for file in
            files(before).filter(|before| !files(now).any(|now| now.name == before.name && now.token == before.token))
        {
            let name = file.name.to_string();
            if let Some(of_name) = table.answers.get_mut(&name) {
                of_name.remove(&file.token);
                if of_name.is_empty() {
                    table.answers.remove(&name);
                }
            }
        }
        self.0.changed.notify_all();
    }

    /// Waits until the table has all of `wanted`, `within` at most. Returns whether it has.
    pub fn wait_for(&self, wanted: &[PresentedFile], within: Duration) -> bool {
        let deadline = Deadline::after(within);
        let mut table = self.table();
        loop {
            let has = |file: &PresentedFile| {
                table.answers.get(&file.name.to_string()).is_some_and(|of| of.contains_key(&file.token))
            };
            if wanted.iter().all(has) {
                return true;
            }
            let Some(left) = deadline.left() else { return false };
            table = self.0.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn table(&self) -> MutexGuard<'_, PendingAnswers> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn files(presented: &[Presented]) -> impl Iterator<Item = &PresentedFile> {
    presented.iter().filter_map(|presented| match presented {
        Presented::Http01(file) if file.webroot.is_none() => Some(file),
        Presented::Http01(_) | Presented::Dns01(_) => None,
    })
}

/// Tells whether the answer is `TOKEN.THUMBPRINT` in base64url (RFC 8555 section 8.1), and for no wildcard.
fn is_answer(file: &PresentedFile) -> bool {
    let is_base64url =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let Some((token, thumbprint)) = file.answer.split_once('.') else { return false };
    !file.name.is_wildcard()
        && token == file.token
        && is_base64url(token)
        && is_base64url(thumbprint)
        && file.answer.len() <= ANSWER_OCTETS_MAX
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::base::name::Domain;

    fn file(name: &str, token: &str, answer: &str) -> Presented {
        let name = Domain::parse(name).unwrap();
        Presented::Http01(PresentedFile { name, token: token.to_owned(), answer: answer.to_owned(), webroot: None })
    }

    #[test]
    fn an_answer_is_there_as_long_as_a_record_presents_it() {
        let answers = Answers::default();
        let (one, two) = (file("a.test", "t1", "t1.x"), file("a.test", "t2", "t2.x"));
        answers.replace(&[], std::slice::from_ref(&one));
        assert_eq!(answers.find("a.test", "t1").as_deref(), Some("t1.x"));
        assert_eq!(answers.find("b.test", "t1"), None, "of another host");
        answers.replace(std::slice::from_ref(&one), &[one.clone(), two.clone()]);
        assert!(answers.find("a.test", "t1").is_some() && answers.find("a.test", "t2").is_some());
        answers.replace(&[one, two.clone()], std::slice::from_ref(&two));
        assert!(answers.find("a.test", "t1").is_none() && answers.find("a.test", "t2").is_some());
        answers.replace(&[two], &[]);
        assert!(answers.table().answers.is_empty());
    }

    #[test]
    fn what_is_no_key_authorization_of_its_token_is_not_given() {
        for (name, token, answer) in [
            ("a.test", "t", "other.x"),
            ("a.test", "t", "t"),
            ("a.test", "t", "t."),
            ("a.test", "t", "t.<script>"),
            ("a.test", "../x", "../x.y"),
            ("a.test", "", ".x"),
            ("*.a.test", "t", "t.x"),
            ("a.test", "t", &format!("t.{}", "x".repeat(ANSWER_OCTETS_MAX))),
        ] {
            let answers = Answers::default();
            answers.replace(&[], &[file(name, token, answer)]);
            assert!(answers.table().answers.is_empty(), "{name} {token} {answer}");
        }
    }

    #[test]
    fn a_waiter_is_woken_by_the_watch_and_waits_no_longer_than_it_may() {
        let (answers, one) = (Answers::default(), file("a.test", "t1", "t1.x"));
        let Presented::Http01(wanted) = one.clone() else { unreachable!() };
        let wanted = [wanted];
        assert!(!answers.wait_for(&wanted, Duration::from_millis(1)));
        let other = answers.clone();
        let waiter = thread::spawn(move || other.wait_for(&wanted, Duration::from_secs(60)));
        answers.replace(&[], &[one]);
        assert!(waiter.join().unwrap());
    }
}
