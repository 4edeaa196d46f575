//! A page of a list, read as it comes: of a million octets no more than one object is in memory. Pure.

use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::text::json_fault;

/// What stands around the objects of a page.
#[derive(Debug)]
pub(super) struct Page {
    /// Where a watch begins, once all pages are read.
    pub(super) version: String,
    /// The token of the next page.
    pub(super) proceed: Option<String>,
}

/// Why a page was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nobody wants its objects.
    Unwanted,
    /// The answer broke off.
    Broken(String),
    /// It is not the answer that it should be.
    Unusable(String),
}

impl Page {
    /// Reads the body of a list; `each` takes its objects and says whether more are wanted. Go sends an empty list as `null`.
    pub(super) fn read(body: impl io::Read, mut each: impl FnMut(Value) -> bool) -> Result<Page, Cut> {
        let mut wanted = true;
        let mut take = |item| {
            wanted = each(item);
            wanted
        };
        let mut json = serde_json::Deserializer::from_reader(body);
        let read = List(&mut take).deserialize(&mut json).and_then(|metadata| json.end().map(|()| metadata));
        let metadata = match read {
            Ok(metadata) => metadata,
            Err(_) if !wanted => return Err(Cut::Unwanted),
            Err(e) if e.is_io() || e.is_eof() => {
                return Err(Cut::Broken(match e.io_error_kind() {
                    Some(kind) => kind.to_string(),
                    None => json_fault(&e),
                }));
            }
            Err(e) => return Err(Cut::Unusable(json_fault(&e))),
        };
        let text = |field: &str| metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let version = text("resourceVersion").ok_or("a list without items or metadata.resourceVersion");
        let version = version.map_err(|e| Cut::Unusable(e.to_owned()))?.to_owned();
        Ok(Page { version, proceed: text("continue").map(str::to_owned) })
    }
}

/// Takes an object; returns whether more are wanted.
type Take<'t> = &'t mut dyn FnMut(Value) -> bool;

/// A list; its value is its metadata.
struct List<'t>(Take<'t>);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let (mut metadata, mut items) = (Value::Null, false);
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "items" => {
                    fields.next_value_seed(Items(self.0))?;
                    items = true;
                }
                "metadata" => metadata = fields.next_value()?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(if items { metadata } else { Value::Null })
    }
}

/// The objects of a list, or nothing.
struct Items<'t>(Take<'t>);

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the objects of a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            if !(self.0)(item) {
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

    fn page(text: &str) -> Result<(Vec<Value>, Page), Cut> {
        let mut items = Vec::new();
        let each = |item| {
            items.push(item);
            items.len() < 3
        };
        Page::read(text.as_bytes(), each).map(|page| (items, page))
    }

    #[test]
    fn pages_bear_what_go_makes_of_nothing() {
        let (items, empty) =
            page(r#"{"kind": "SecretList", "metadata": {"resourceVersion": "5"}, "items": null}"#).unwrap();
        assert_eq!((items.len(), empty.version.as_str(), empty.proceed), (0, "5", None));
        let text = r#"{"metadata": {"resourceVersion": "5", "continue": "t"}, "items": [{"n": 1}, {"n": [2]}]}"#;
        let (items, first) = page(text).unwrap();
        assert_eq!((items, first.proceed.as_deref()), (vec![json!({"n": 1}), json!({"n": [2]})], Some("t")));
        let (_, last) = page(r#"{"items": [], "metadata": {"resourceVersion": "5", "continue": ""}}"#).unwrap();
        assert_eq!(last.proceed, None);
    }

    #[test]
    fn what_is_no_whole_page_is_an_error_and_never_a_short_one() {
        for (text, part) in [
            (r#"{"metadata": {"resourceVersion": "5"}}"#, "without items or"),
            (r#"{"metadata": {}, "items": []}"#, "resourceVersion"),
            (r#"{"metadata": {"resourceVersion": "5"}, "items": {}}"#, "another form"),
            (r#"{"metadata": {"resourceVersion": "5"}, "items": []}}"#, "is not JSON"),
            ("[]", "another form"),
            ("<html>", "is not JSON"),
        ] {
            assert!(matches!(page(text), Err(Cut::Unusable(e)) if e.contains(part)), "{text}");
        }
        for text in ["", r#"{"metadata": {"resourceVersion": "5"}, "items": [{"n": 1}"#, r#"{"items": []"#] {
            assert!(matches!(page(text), Err(Cut::Broken(_))), "{text}");
        }
        let more = r#"{"metadata": {"resourceVersion": "5"}, "items": [1, 2, 3, 4]}"#;
        assert_eq!(page(more).unwrap_err(), Cut::Unwanted, "nobody listens any more");
    }
}
