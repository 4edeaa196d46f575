//! The texts of an object that stand for names: read once, bounded. Pure.
//!
//! Untrusted: anybody writes them who may create the object. The API server checks some of them in some versions only.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::base::limits::{BAD_NAMES_SHOWN_MAX, OBJECT_NAME_OCTETS_MAX, OBJECT_SENTENCE_CHARS_MAX};
use crate::base::name::Domain;
use crate::base::sanitize::one_line;

/// A text of an object, quoted for a sentence and cut.
pub fn quoted(text: &str) -> String {
    let line = one_line(cut(text));
    let shown: String = line.chars().take(64).collect();
    let more = if shown.len() < line.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}

/// A sentence that holds text of an object, cut.
pub fn sentence(text: &str) -> String {
    text.chars().take(OBJECT_SENTENCE_CHARS_MAX).collect()
}

/// A text that stands for a name; what is too long for any name is cut, and stays too long. `None` for an empty or missing text.
pub fn text(value: Option<&Value>) -> Option<Box<str>> {
    let text = value.and_then(Value::as_str).filter(|text| !text.is_empty())?;
    Some(cut(text).into())
}

/// The beginning of a text, [`OBJECT_NAME_OCTETS_MAX`] at most.
fn cut(text: &str) -> &str {
    let end = (0..=OBJECT_NAME_OCTETS_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

/// The items of a JSON list as texts; `None` for an item that is no text.
pub fn texts(list: Option<&Value>) -> impl Iterator<Item = Option<&str>> {
    list.and_then(Value::as_array).into_iter().flatten().map(Value::as_str)
}

/// The host names of a list, sorted, each once, with the faults of those that can not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostList {
    names: Box<[Domain]>,
    /// Sentences about the first texts that are no names.
    faults: Box<[Box<str>]>,
    /// Further texts that are no names.
    more_faults: u32,
    /// Texts beyond the bound, which were not read.
    beyond: u32,
}

impl HostList {
    /// Reads a list. `room` is the number of names that the object may still have.
    pub fn read<'a>(texts: impl IntoIterator<Item = Option<&'a str>>, room: &mut usize) -> HostList {
        let (mut names, mut faults, mut more_faults, mut beyond) = (BTreeSet::new(), Vec::new(), 0_u32, 0_u32);
        for text in texts {
            if names.len() >= *room {
                beyond = beyond.saturating_add(1);
                continue;
            }
            match host(text) {
                Ok(name) => drop(names.insert(name)),
                Err(fault) if faults.len() < BAD_NAMES_SHOWN_MAX => faults.push(fault.into()),
                Err(_) => more_faults = more_faults.saturating_add(1),
            }
        }
        *room -= names.len();
        HostList { names: names.into_iter().collect(), faults: faults.into(), more_faults, beyond }
    }

    /// The names that could be read.
    pub fn names(&self) -> &[Domain] {
        &self.names
    }

    /// Tells whether the list had no items at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.faults.is_empty() && self.beyond == 0
    }

    /// One sentence about everything that can not be read.
    pub fn fault(&self) -> Option<String> {
        let mut parts: Vec<String> = self.faults.iter().map(|fault| fault.to_string()).collect();
        if self.more_faults > 0 {
            parts.push(format!("{} more can not be read either", self.more_faults));
        }
        if self.beyond > 0 {
            parts.push(format!("{} more are beyond the bound of one object and were not read", self.beyond));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn host(text: Option<&str>) -> Result<Domain, String> {
    let text = text.ok_or("one item is no text")?;
    if text.len() > OBJECT_NAME_OCTETS_MAX {
        return Err(sentence(&format!("{} has {} octets and is no name", quoted(text), text.len())));
    }
    Domain::parse(text).map_err(|e| sentence(&one_line(&format!("{} {e}", quoted(text)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(texts: &[&str], room: usize) -> (Vec<String>, Option<String>, usize) {
        let mut room = room;
        let list = HostList::read(texts.iter().map(|text| Some(*text)), &mut room);
        (list.names().iter().map(ToString::to_string).collect(), list.fault(), room)
    }

    #[test]
    fn names_are_sorted_and_kept_once() {
        for (texts, names) in [
            (&[][..], &[][..]),
            (&["a.test"], &["a.test"]),
            (&["b.test", "a.test", "b.test"], &["a.test", "b.test"]),
            (&["A.Test", "a.test"], &["a.test"]),
            (&["*.a.test", "a.test"], &["a.test", "*.a.test"]),
            (&["ü.test"], &["xn--tda.test"]),
        ] {
            let (found, fault, room) = read(texts, 10);
            assert_eq!(
                (found, fault, room),
                (names.iter().map(|n| (*n).to_owned()).collect(), None, 10 - names.len()),
                "{texts:?}"
            );
        }
    }

    #[test]
    fn each_unreadable_text_is_told_with_its_fault() {
        for (text, part) in [
            ("", "\"\" is empty"),
            ("a_b.test", "\"a_b.test\" has an underscore"),
            ("10.0.0.1", "is an IP address"),
            ("[::1]", "is an IP address"),
            ("localhost", "has one label only"),
            ("a.test.", "ends with a dot"),
            ("a.test:443", "has a port (\":443\")"),
            ("https://a.test", "is a URL or a path"),
            ("a.*.test", "has a `*` where none may be"),
            ("*", "has a `*` where none may be"),
            ("a b.test", "has white space in it"),
            ("xn--a.test", "is not a valid internationalized name"),
            ("a.7", "ends with a label of digits only"),
            ("a\u{1b}[2J.test", "\"a [2J.test\""),
        ] {
            let (names, fault, room) = read(&["x.test", text], 10);
            let fault = fault.unwrap_or_else(|| panic!("{text:?} is a name"));
            assert!(fault.contains(part) && !fault.chars().any(char::is_control), "{text:?}: {fault}");
            assert_eq!((names, room), (vec!["x.test".to_owned()], 9));
        }
    }

    #[test]
    fn the_first_faults_are_shown_and_the_others_counted() {
        let bad: Vec<String> = (0..7).map(|i| format!("b_{i}.test")).collect();
        let (_, fault, _) = read(&bad.iter().map(String::as_str).collect::<Vec<_>>(), 10);
        let fault = fault.unwrap();
        assert!(fault.contains("b_0.test") && fault.contains("b_2.test") && !fault.contains("b_3.test"), "{fault}");
        assert!(fault.ends_with("; 4 more can not be read either"), "{fault}");
    }

    #[test]
    fn names_beyond_the_room_are_counted() {
        let (names, fault, room) = read(&["a.test", "b.test", "c.test", "d_.test"], 2);
        assert_eq!((names.len(), room), (2, 0));
        assert_eq!(fault.unwrap(), "2 more are beyond the bound of one object and were not read");
        let (names, fault, room) = read(&["a.test"], 0);
        assert_eq!((names.len(), room, fault.is_some()), (0, 0, true));
    }

    #[test]
    fn a_list_with_faults_only_is_not_empty() {
        for (texts, is_empty) in [(&[][..], true), (&["a.test"], false), (&["a_.test"], false)] {
            assert_eq!(HostList::read(texts.iter().map(|t| Some(*t)), &mut 5).is_empty(), is_empty, "{texts:?}");
        }
        assert!(!HostList::read([Some("a.test")], &mut 0).is_empty());
    }

    #[test]
    fn items_that_are_no_texts_are_faults() {
        let list = json!(["a.test", 7, null, ["b.test"], {"host": "c.test"}, true]);
        let found = HostList::read(texts(Some(&list)), &mut 10);
        assert_eq!(found.names().len(), 1);
        assert_eq!(found.fault().unwrap().matches("one item is no text").count(), 3);
        for value in [json!("a.test"), json!(null), json!({"0": "a.test"}), json!(1)] {
            assert_eq!(texts(Some(&value)).count(), 0, "{value}");
        }
        assert_eq!(texts(None).count(), 0);
    }

    #[test]
    fn texts_are_cut_and_never_become_another_name() {
        for length in [OBJECT_NAME_OCTETS_MAX, OBJECT_NAME_OCTETS_MAX + 1, 100_000] {
            for letter in ["a", "é", "\u{ad}", "a."] {
                let long = letter.repeat(length / letter.len()) + "x.test";
                let cut = text(Some(&json!(long))).unwrap();
                assert!(cut.len() <= OBJECT_NAME_OCTETS_MAX && long.starts_with(&*cut));
                let (names, fault, _) = read(&[&long], 10);
                assert!(names.is_empty(), "{letter} {length}");
                assert!(fault.unwrap().chars().count() <= OBJECT_SENTENCE_CHARS_MAX);
            }
        }
        assert_eq!(text(Some(&json!("a"))).as_deref(), Some("a"));
        for value in [json!(""), json!(null), json!(7), json!(["a"])] {
            assert_eq!(text(Some(&value)), None, "{value}");
        }
    }

    #[test]
    fn quotes_are_one_short_line() {
        for (text, expected) in [
            ("a", "\"a\"".to_owned()),
            ("a\nb", "\"a b\"".to_owned()),
            ("a\"b", "\"a\\\"b\"".to_owned()),
            ("\u{202e}a", "\"a\"".to_owned()),
            (&"x".repeat(65), format!("\"{}\"…", "x".repeat(64))),
            (&"é".repeat(5_000), format!("\"{}\"…", "é".repeat(64))),
        ] {
            assert_eq!(quoted(text), expected);
        }
        assert_eq!(sentence(&"é".repeat(5_000)).chars().count(), OBJECT_SENTENCE_CHARS_MAX);
    }
}
