//! JSON of the API server as a tree whose memory is bounded by the size of the text. Pure.
//!
//! A number of two octets takes 32 octets of a tree, an object of seven octets more than 600. So a tree has a budget: a fixed number of
//! octets, and twice the octets of its text. Objects of Kubernetes need less.

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

/// A text that does not become a tree. `Display` quotes no value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The tree takes more memory than an object of the size of its text.
    TooLarge,
    /// The text is no JSON, or has another form: why.
    Malformed(String),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::TooLarge => f.write_str("it takes more memory than an object of its size"),
            BodyError::Malformed(why) => f.write_str(why),
        }
    }
}

/// Reads a whole body.
///
/// # Errors
/// When the body is no JSON, or its tree would exceed its budget.
pub(super) fn read(body: &[u8]) -> Result<Value, BodyError> {
    let progress = ReadProgress::new(body.len());
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = BodyReader(&MemoryBudget::new(&progress, 0)).deserialize(&mut json);
    value.and_then(|value| json.end().map(|()| value)).map_err(|e| progress.error(&e))
}

/// How far a text was read. Shared by its reader and the trees that are built of it.
#[derive(Debug)]
pub(super) struct ReadProgress {
    octets: Cell<usize>,
    /// Octets that may still be read of the current part.
    part_left: Cell<usize>,
    too_large: Cell<bool>,
}

impl ReadProgress {
    /// `octets` of the text were read.
    pub(super) fn new(octets: usize) -> ReadProgress {
        ReadProgress { octets: octets.into(), part_left: TREE_PART_OCTETS_MAX.into(), too_large: false.into() }
    }

    /// Begins a new part of the text.
    pub(super) fn next_part(&self) {
        self.part_left.set(TREE_PART_OCTETS_MAX);
    }

    /// Tells whether the current part is longer than an object can be.
    pub(super) fn is_part_too_long(&self) -> bool {
        self.part_left.get() == 0
    }

    /// The budget of a tree that begins here.
    pub(super) fn budget(&self) -> MemoryBudget<'_> {
        MemoryBudget::new(self, self.octets.get())
    }

    /// The reason of an error that the deserializer returned.
    pub(super) fn error(&self, e: &serde_json::Error) -> BodyError {
        if self.too_large.get() { BodyError::TooLarge } else { BodyError::Malformed(json_fault(e)) }
    }
}

/// The memory that a tree may take, which grows with the octets that are read.
#[derive(Debug)]
pub(super) struct MemoryBudget<'p> {
    spent: Cell<usize>,
    progress: &'p ReadProgress,
    begin: usize,
}

impl<'p> MemoryBudget<'p> {
    fn new(progress: &'p ReadProgress, begin: usize) -> MemoryBudget<'p> {
        MemoryBudget { spent: Cell::new(0), progress, begin }
    }

    fn spend<E: Error>(&self, octets: usize) -> Result<(), E> {
        self.spent.set(self.spent.get().saturating_add(octets));
        let text = self.progress.octets.get().saturating_sub(self.begin);
        if self.spent.get() <= TREE_OCTETS_FREE.saturating_add(text.saturating_mul(TREE_OCTETS_PER_OCTET)) {
            return Ok(());
        }
        self.progress.too_large.set(true);
        Err(E::custom(BodyError::TooLarge))
    }
}

/// Builds a tree within a budget.
pub(super) struct BodyReader<'b>(pub(super) &'b MemoryBudget<'b>);

impl<'de> DeserializeSeed<'de> for BodyReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BodyReader<'_> {
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
        while let Some(item) = items.next_element_seed(BodyReader(self.0))? {
            if list.len() == list.capacity() {
                let more = list.capacity().max(1);
                self.0.spend(more.saturating_mul(size_of::<Value>()))?;
                list.reserve_exact(more);
            }
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(field) = fields.next_key::<String>()? {
            let node = if map.is_empty() { FIRST_FIELD_OCTETS } else { FIELD_OCTETS };
            self.0.spend(field.len().saturating_add(node))?;
            map.insert(field, fields.next_value_seed(BodyReader(self.0))?);
        }
        Ok(Value::Object(map))
    }
}

/// A reader that counts octets, and fails where one part of a text is longer than an object can be.
pub(super) struct PartReader<'p, R> {
    pub(super) from: R,
    pub(super) progress: &'p ReadProgress,
}

impl<R: Read> Read for PartReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ReadProgress { octets, part_left, .. } = self.progress;
        if part_left.get() == 0 {
            return Err(io::Error::other("a part of it is too long"));
        }
        let most = buffer.len().min(part_left.get());
        let read = self.from.read(buffer.get_mut(..most).unwrap_or_default())?;
        part_left.set(part_left.get().saturating_sub(read));
        octets.set(octets.get().saturating_add(read));
        Ok(read)
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
        assert!(matches!(read(b"{} {}"), Err(BodyError::Malformed(_))));
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
            assert_eq!(read(body.as_bytes()), Err(BodyError::TooLarge), "{part}");
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
