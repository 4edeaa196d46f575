//! A page of a list, read as it comes: of a million octets no more than one object is in memory. Pure.

use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::body::{BodyReader, MemoryBudget, PartReader, ReadProgress};
use crate::base::limits::TREE_PART_OCTETS_MAX;
use crate::base::sanitize::json_fault;

/// The metadata of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// The version from which a watch continues once all pages are read.
    pub resource_version: String,
    /// The token of the next page. `None` on the last one.
    pub continue_token: Option<String>,
}

/// A page that was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum ListError {
    /// The caller wants no more objects.
    Unwanted,
    /// The answer broke off.
    Broken(String),
    /// The answer is no list.
    Unusable(String),
}

impl ListPage {
    /// Reads the body of a list. `each` takes its objects and returns whether more are wanted. Go sends an empty list as `null`.
    pub fn read(body: impl io::Read, mut each: impl FnMut(Value) -> bool) -> Result<ListPage, ListError> {
        let mut wanted = true;
        let mut take = |item| {
            wanted = each(item);
            wanted
        };
        let progress = ReadProgress::new(0);
        let mut json = serde_json::Deserializer::from_reader(PartReader { from: body, progress: &progress });
        let list = ListReader { take: &mut take, progress: &progress };
        let read = list.deserialize(&mut json).and_then(|metadata| json.end().map(|()| metadata));
        let metadata = match read {
            Ok(metadata) => metadata,
            Err(_) if !wanted => return Err(ListError::Unwanted),
            Err(_) if progress.is_part_too_long() => {
                return Err(ListError::Unusable(format!(
                    "an object or a field is larger than {TREE_PART_OCTETS_MAX} octets"
                )));
            }
            Err(e) if e.is_io() || e.is_eof() => {
                return Err(ListError::Broken(match e.io_error_kind() {
                    Some(kind) => kind.to_string(),
                    None => json_fault(&e),
                }));
            }
            Err(e) => return Err(ListError::Unusable(progress.error(&e).to_string())),
        };
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let version = text("resourceVersion").ok_or("a list without items or metadata.resourceVersion");
        let resource_version = version.map_err(|e| ListError::Unusable(e.to_owned()))?.to_owned();
        Ok(ListPage { resource_version, continue_token: text("continue").map(str::to_owned) })
    }
}

/// Takes an object; returns whether more are wanted.
type Take<'t> = &'t mut dyn FnMut(Value) -> bool;

/// Deserializes a list; the value is the metadata of the list.
struct ListReader<'t, 'p> {
    take: Take<'t>,
    progress: &'p ReadProgress,
}

impl ListReader<'_, '_> {
    /// Begins a new part of the list, which has a budget of its own.
    fn part(&self) -> MemoryBudget<'_> {
        self.progress.next_part();
        self.progress.budget()
    }
}

impl<'de> DeserializeSeed<'de> for ListReader<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListReader<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        let (mut metadata, mut items) = (Value::Null, false);
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "items" => {
                    fields.next_value_seed(Items(&mut self))?;
                    items = true;
                }
                "metadata" => metadata = fields.next_value_seed(BodyReader(&self.part()))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
            self.progress.next_part();
        }
        Ok(if items { metadata } else { Value::Null })
    }
}

/// Deserializes the objects of a list; `null` stands for none.
struct Items<'l, 't, 'p>(&'l mut ListReader<'t, 'p>);

impl<'de> DeserializeSeed<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the objects of a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        loop {
            let budget = self.0.part();
            let Some(item) = items.next_element_seed(BodyReader(&budget))? else { break };
            // Otherwise a page of a million numbers would be a million objects that do not read.
            if item.pointer("/metadata/name").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(A::Error::custom("an object of a list without a name"));
            }
            if !(self.0.take)(item) {
                return Err(A::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Read as _;

    fn page(text: &str) -> Result<(Vec<Value>, ListPage), ListError> {
        let mut items = Vec::new();
        let each = |item| {
            items.push(item);
            items.len() < 3
        };
        ListPage::read(text.as_bytes(), each).map(|page| (items, page))
    }

    #[test]
    fn pages_bear_what_go_makes_of_nothing() {
        let (items, empty) =
            page(r#"{"kind": "SecretList", "metadata": {"resourceVersion": "5"}, "items": null}"#).unwrap();
        assert_eq!((items.len(), empty.resource_version.as_str(), empty.continue_token), (0, "5", None));
        let text = r#"{"metadata": {"resourceVersion": "5", "continue": "t"}, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}, "n": [2]}]}"#;
        let (items, first) = page(text).unwrap();
        assert_eq!(
            (items, first.continue_token.as_deref()),
            (vec![json!({"metadata": {"name": "a"}}), json!({"metadata": {"name": "b"}, "n": [2]})], Some("t"))
        );
        let (_, last) = page(r#"{"items": [], "metadata": {"resourceVersion": "5", "continue": ""}}"#).unwrap();
        assert_eq!(last.continue_token, None);
    }

    #[test]
    fn what_is_no_whole_page_is_an_error_and_never_a_short_one() {
        for (text, part) in [
            (r#"{"metadata": {"resourceVersion": "5"}}"#, "without items or"),
            (r#"{"metadata": {}, "items": []}"#, "resourceVersion"),
            (r#"{"metadata": {"resourceVersion": "5"}, "items": {}}"#, "another form"),
            (r#"{"metadata": {"resourceVersion": "5"}, "items": []}}"#, "is not JSON"),
            (r#"{"metadata": {"resourceVersion": "5"}, "items": [0, 0, 0]}"#, "another form"),
            ("[]", "another form"),
            ("<html>", "is not JSON"),
        ] {
            assert!(matches!(page(text), Err(ListError::Unusable(e)) if e.contains(part)), "{text}");
        }
        for text in
            ["", r#"{"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}"#, r#"{"items": []"#]
        {
            assert!(matches!(page(text), Err(ListError::Broken(_))), "{text}");
        }
        let item = r#"{"metadata": {"name": "a"}}"#;
        let more = format!(r#"{{"metadata": {{"resourceVersion": "5"}}, "items": [{item}, {item}, {item}, {item}]}}"#);
        assert_eq!(page(&more).unwrap_err(), ListError::Unwanted, "nobody listens any more");
    }

    #[test]
    fn a_page_of_a_hundred_million_octets_takes_the_memory_of_one_object() {
        let zeros = || io::repeat(b'0').take(100_000_000);
        let around = |before: &'static str| before.as_bytes().chain(zeros());
        let lists = io::repeat(b'[').take(100_000_000);
        for (body, part) in [
            (Box::new(around(r#"{"items": ["#)) as Box<dyn io::Read>, "is not JSON"),
            (Box::new(around(r#"{"items": [{"metadata": {"name": "a"}, "n": ""#)), "larger than 8388608 octets"),
            (Box::new(around(r#"{"metadata": {"a": ""#)), "larger than 8388608 octets"),
            (Box::new(around("{\"")), "larger than 8388608 octets"),
            (Box::new((&br#"{"items": ["#[..]).chain(lists)), "is not JSON"),
            (
                Box::new((&br#"{"items": [{"metadata": {"name": ["#[..]).chain(Pairs { left: 100_000_000 })),
                "more memory",
            ),
        ] {
            match ListPage::read(body, |_| true) {
                Err(ListError::Unusable(e)) => assert!(e.contains(part), "{part}: {e}"),
                other => panic!("{part}: {other:?}"),
            }
        }
    }

    /// `0,0,0,…`
    struct Pairs {
        left: usize,
    }

    impl io::Read for Pairs {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let octets = buffer.len().min(self.left);
            for octet in &mut buffer[..octets] {
                *octet = if self.left.is_multiple_of(2) { b'0' } else { b',' };
                self.left -= 1;
            }
            Ok(octets)
        }
    }
}
