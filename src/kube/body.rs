//! JSON of the API server as a tree whose memory is bounded by the size of the text. Pure.
//!
//! A number of two octets takes 32 octets of a tree, an object of seven octets more than 600. So a tree has a budget: some octets in any
//! case, and twice the octets of its text. Objects of Kubernetes need less.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::base::limits::{TREE_OCTETS_FREE, TREE_OCTETS_PER_OCTET, TREE_PART_OCTETS_MAX};
use crate::base::sanitize::json_fault;

/// Octets of the first field of an object: a node of a BTreeMap has room for eleven.
const FIRST_FIELD_OCTETS: usize = 640;

/// Octets of each further field, with a node that is half full.
const FIELD_OCTETS: usize = 120;

/// Reads a whole body.
///
/// # Errors
/// When it is no JSON, or takes more memory than an object of its size.
pub(super) fn read(body: &[u8]) -> Result<Value, serde_json::Error> {
    let octets = Cell::new(body.len());
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Tree(&MemoryBudget::new(&octets, 0)).deserialize(&mut json)?;
    json.end().map(|()| value)
}

/// Said of what has its octets in too many values.
const TOO_MUCH: &str = "it takes more memory than an object of its size";

/// Why a body does not read, without any of its words.
pub(super) fn fault(error: &serde_json::Error) -> String {
    if error.to_string().starts_with(TOO_MUCH) { TOO_MUCH.to_owned() } else { json_fault(error) }
}

/// What a tree may take: it grows with the octets that were read.
#[derive(Debug)]
pub(super) struct MemoryBudget<'c> {
    spent: Cell<usize>,
    read: &'c Cell<usize>,
    begin: usize,
}

impl<'c> MemoryBudget<'c> {
    /// For a tree that begins at the octet `begin` of those that are `read`.
    pub(super) fn new(read: &'c Cell<usize>, begin: usize) -> MemoryBudget<'c> {
        MemoryBudget { spent: Cell::new(0), read, begin }
    }

    fn spend<E: Error>(&self, octets: usize) -> Result<(), E> {
        self.spent.set(self.spent.get().saturating_add(octets));
        let text = self.read.get().saturating_sub(self.begin);
        match self.spent.get() <= TREE_OCTETS_FREE.saturating_add(text.saturating_mul(TREE_OCTETS_PER_OCTET)) {
            true => Ok(()),
            false => Err(E::custom(TOO_MUCH)),
        }
    }
}

/// Builds a tree within a budget.
pub(super) struct Tree<'b, 'c>(pub(super) &'b MemoryBudget<'c>);

impl<'de> DeserializeSeed<'de> for Tree<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Value, E> {
        Ok(Value::from(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Value, E> {
        Ok(Value::from(n))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Value, E> {
        Ok(Number::from_f64(n).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.0.spend(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        self.0.spend(text.capacity())?;
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Tree(self.0))? {
            if list.len() == list.capacity() {
                let more = list.capacity().max(1);
                self.0.spend(more * size_of::<Value>())?;
                list.reserve_exact(more);
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(field) = fields.next_key::<String>()? {
            self.0.spend(field.len() + if map.is_empty() { FIRST_FIELD_OCTETS } else { FIELD_OCTETS })?;
            map.insert(field, fields.next_value_seed(Tree(self.0))?);
        }
        Ok(Value::Object(map))
    }
}

/// A reader that counts, and ends where one part of a text is longer than an object can be.
pub(super) struct Parts<'c, R> {
    pub(super) from: R,
    pub(super) read: &'c Cell<usize>,
    /// Octets that are left of the current part.
    pub(super) left: &'c Cell<usize>,
}

/// A new part begins.
pub(super) fn next_part(left: &Cell<usize>) {
    left.set(TREE_PART_OCTETS_MAX);
}

impl<R: Read> Read for Parts<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.get() == 0 {
            return Err(io::Error::other("a part of it is too long"));
        }
        let most = buffer.len().min(self.left.get());
        let octets = self.from.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - octets);
        self.read.set(self.read.get().saturating_add(octets));
        Ok(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_read_as_they_are() {
        let object = json!({
            "metadata": {"name": "a", "labels": null, "n": [1, -2, 1.5, true, "x\n"], "managedFields": [{"f:data": {".": {}, "f:a": {}}}]},
            "data": {"a": "b"},
        });
        assert_eq!(read(object.to_string().as_bytes()).unwrap(), object);
        assert!(read(b"{} {}").unwrap_err().to_string().contains("trailing"));
        // Reviews of many rules have the most objects for their octets.
        let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]});
        let rules = json!({ "rules": vec![rule; 3_000] });
        assert_eq!(read(rules.to_string().as_bytes()).unwrap(), rules);
        let config_map = json!({ "data": { "certificates": "- {secret: a}\n".repeat(70_000) } });
        assert_eq!(read(config_map.to_string().as_bytes()).unwrap(), config_map);
    }

    #[test]
    fn what_takes_many_times_its_size_is_given_up() {
        for part in ["0,", "{},", "[],", r#"{"":0},"#, r#""","#, "[[]],"] {
            let body = format!("[{}0]", part.repeat(8_000_000 / part.len()));
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("more memory than an object of its size"), "{part}: {error}");
        }
    }

    /// All that the tree holds, as the allocator gave it.
    fn octets(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.capacity(),
            Value::Array(items) => items.capacity() * size_of::<Value>() + items.iter().map(octets).sum::<usize>(),
            Value::Object(map) => {
                let nodes = map.len().div_ceil(6) * FIRST_FIELD_OCTETS;
                nodes + map.iter().map(|(key, value)| key.capacity() + octets(value)).sum::<usize>()
            }
        }
    }

    #[test]
    fn the_largest_tree_that_is_read_has_less_than_three_times_its_text() {
        for part in ["0,", r#""","#, "[],", r#"{"a":1},"#, "[0],"] {
            // The most that is read, found by halving.
            let body = |count: usize| format!("[{}0]", part.repeat(count));
            let (mut fits, mut fails) = (1_usize, 800_000 / part.len());
            while fits + 1 < fails {
                let middle = usize::midpoint(fits, fails);
                if read(body(middle).as_bytes()).is_ok() { fits = middle } else { fails = middle }
            }
            let text = body(fits);
            let tree = read(text.as_bytes()).unwrap();
            assert!(octets(&tree) <= TREE_OCTETS_FREE + 2 * text.len() + text.len(), "{part}: {}", octets(&tree));
        }
    }
}
