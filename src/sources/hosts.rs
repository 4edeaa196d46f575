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

    /// Whether the list had no items at all.
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
        return Err(format!("{} has {} octets and is no name", quoted(text), text.len()));
    }
    Domain::parse(text).map_err(|e| sentence(&one_line(&format!("{} {e}", quoted(text)))))
}
