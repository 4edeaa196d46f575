//! YAML as a tree that keeps mappings as pairs, so that a repeated field can be told from a single one.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::base::limits::CONFIG_TREE_OCTETS_MAX;

/// A YAML (or JSON) value, aliases expanded.
#[derive(Clone, Debug, PartialEq)]
pub enum YamlNode {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Another number, as text.
    Number(String),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<YamlNode>),
    /// A mapping in the order of the document; keys may repeat and need not be text.
    Map(Vec<(YamlNode, YamlNode)>),
}

impl YamlNode {
    /// The octets that the tree takes in memory.
    pub(super) fn octets(&self) -> usize {
        let inner = match self {
            YamlNode::Null | YamlNode::Bool(_) | YamlNode::Integer(_) => 0,
            YamlNode::Number(text) | YamlNode::Text(text) => text.len(),
            YamlNode::List(items) => items.iter().map(YamlNode::octets).sum(),
            YamlNode::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).map(YamlNode::octets).sum(),
        };
        inner.saturating_add(size_of::<YamlNode>())
    }

    /// The value of a field of a mapping; the first one where it repeats.
    pub fn get(&self, field: &str) -> Option<&YamlNode> {
        let YamlNode::Map(pairs) = self else { return None };
        pairs.iter().find(|(key, _)| matches!(key, YamlNode::Text(key) if key == field)).map(|(_, value)| value)
    }

    /// The text of a text node.
    pub(super) fn text(&self) -> Option<&str> {
        if let YamlNode::Text(text) = self { Some(text) } else { None }
    }

    /// A number, `true` or `false` as text.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            YamlNode::Bool(b) => Some(b.to_string()),
            YamlNode::Integer(n) => Some(n.to_string()),
            YamlNode::Number(text) => Some(text.clone()),
            YamlNode::Null | YamlNode::Text(_) | YamlNode::List(_) | YamlNode::Map(_) => None,
        }
    }

    /// The kind of the node, for a sentence.
    pub fn kind(&self) -> &'static str {
        match self {
            YamlNode::Null => "empty",
            YamlNode::Bool(_) => "true or false",
            YamlNode::Integer(_) | YamlNode::Number(_) => "a number",
            YamlNode::Text(_) => "text",
            YamlNode::List(_) => "a list",
            YamlNode::Map(_) => "a mapping",
        }
    }
}

/// Builds the tree within a budget of octets. An alias is a few octets in the document and a whole subtree in memory,
/// and the parser bounds only the number of aliases.
struct Tree<'b>(&'b Cell<usize>);

impl Tree<'_> {
    fn spend<E: Error>(&self, octets: usize, node: YamlNode) -> Result<YamlNode, E> {
        let left = self.0.get().checked_sub(octets.saturating_add(size_of::<YamlNode>()));
        self.0.set(left.ok_or_else(|| E::custom("it is larger than any configuration"))?);
        Ok(node)
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = YamlNode;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlNode, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E: Error>(self) -> Result<YamlNode, E> {
        self.spend(0, YamlNode::Null)
    }
    fn visit_none<E: Error>(self) -> Result<YamlNode, E> {
        self.spend(0, YamlNode::Null)
    }
    fn visit_bool<E: Error>(self, b: bool) -> Result<YamlNode, E> {
        self.spend(0, YamlNode::Bool(b))
    }
    fn visit_i64<E: Error>(self, n: i64) -> Result<YamlNode, E> {
        self.spend(0, YamlNode::Integer(n))
    }
    fn visit_u64<E: Error>(self, n: u64) -> Result<YamlNode, E> {
        self.spend(20, i64::try_from(n).map_or_else(|_| YamlNode::Number(n.to_string()), YamlNode::Integer))
    }
    fn visit_f64<E: Error>(self, n: f64) -> Result<YamlNode, E> {
        self.spend(24, YamlNode::Number(n.to_string()))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<YamlNode, E> {
        self.spend(text.len(), YamlNode::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Tree(self.0))? {
            list.push(item);
        }
        self.spend(0, YamlNode::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlNode, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Tree(self.0))? {
            map.push((key, entries.next_value_seed(Tree(self.0))?));
        }
        self.spend(0, YamlNode::Map(map))
    }
}

impl<'de> Deserialize<'de> for YamlNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<YamlNode, D::Error> {
        Tree(&Cell::new(CONFIG_TREE_OCTETS_MAX)).deserialize(deserializer)
    }
}

/// Reads one YAML document.
///
/// # Errors
/// One sentence with the line and, where an unquoted `*` or another usual slip is on it, the cure.
pub fn read(text: &str) -> Result<YamlNode, String> {
    super::bounds::check_document(text)?;
    serde_yaml::from_str(text).map_err(|e| sentence(text, &e))
}

/// The sentence about a document that does not scan, as [`read`] gives it.
pub fn sentence(text: &str, error: &serde_yaml::Error) -> String {
    let message = error.to_string();
    // Only the one line is read: there may be a million.
    let line = |number: usize| text.lines().nth(number.wrapping_sub(1));
    let last = || text.lines().count();
    if message.contains("more than one document") {
        let at =
            text.lines().skip(1).position(|line| line.starts_with("---")).map_or_else(last, |i| i.saturating_add(2));
        return format!(
            "line {at} is not YAML of one document: it begins another one with `---`; put both into one list"
        );
    }
    if message.contains("repetition limit") || message.contains("larger than any") {
        return "is larger than any configuration, or its aliases (`*name`) repeat too much; write out what they stand for"
            .to_owned();
    }
    // The parser points at the place where it gave up: the line of the fault or one soon after it.
    let at = error.location().map_or_else(last, |l| l.line());
    let starred = (1..=at).rev().take(2).find(|n| line(*n).is_some_and(has_bare_star));
    let starred = starred.or_else(|| {
        message.contains("anchor").then(|| text.lines().position(has_bare_star).map(|i| i.saturating_add(1)))?
    });
    let tabbed = (1..=at).rev().take(2).find(|n| line(*n).is_some_and(|line| line.starts_with('\t')));
    match (starred, tabbed) {
        (Some(at), _) => {
            format!(
                "line {at} is not YAML: a name that begins with `*` must be quoted (\"*.example.com\"): {}",
                excerpt(line(at).unwrap_or_default())
            )
        }
        (None, Some(line)) => {
            format!("line {line} is not YAML: it is indented with a tab, which YAML does not allow; use spaces")
        }
        (None, None) => format!("line {at} is not YAML: {}", crate::base::sanitize::excerpt(message.as_bytes())),
    }
}

/// Tells whether the line has a `*` outside of quotes and comments.
fn has_bare_star(line: &str) -> bool {
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '*') => return true,
            (None, '#') => return false,
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    false
}

fn excerpt(line: &str) -> String {
    let short: String = line.trim().chars().take(80).collect();
    format!("`{short}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fields_are_both_kept() {
        let node = read("a: 1\nb: [x, true, ~, 1.5]\na: 2\n").unwrap();
        let YamlNode::Map(pairs) = node else { panic!("a mapping") };
        assert_eq!(pairs.len(), 3);
        assert_eq!(pairs[2], (YamlNode::Text("a".into()), YamlNode::Integer(2)));
        let YamlNode::List(list) = &pairs[1].1 else { panic!("a list") };
        assert_eq!(list[1..], [YamlNode::Bool(true), YamlNode::Null, YamlNode::Number("1.5".into())]);
        assert_eq!(serde_json::from_str::<YamlNode>("{\"a\":1,\"a\":2}").unwrap().kind(), "a mapping");
    }

    #[test]
    fn a_document_that_does_not_scan_names_the_line_and_the_cure() {
        for (text, parts) in [
            (
                "- secret: a\n  domains: [\"a.test\", *.apps.a.test]\n  email: x\n",
                &["line 2", "must be quoted", "*.apps.a.test"][..],
            ),
            ("- secret: a\n  domains:\n    - *.a.test\n", &["line 3", "must be quoted"]),
            ("- secret: a\n  domains: [*apps]\n", &["line 2", "must be quoted"]),
            ("- secret: a\n\tdomains: [a.test]\n", &["line 2", "tab"]),
            ("- secret: a\n  domains: [\"a.test\"\n- secret: b\n", &["line 3", "not YAML"]),
            ("a: \"x", &["not YAML"]),
        ] {
            let error = read(text).expect_err(text);
            for part in parts {
                assert!(error.contains(part), "{text:?}: {error}");
            }
        }
    }

    #[test]
    fn aliases_can_not_be_used_to_fill_the_memory() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..20 {
            text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
        }
        assert!(read(&text).is_err());
        assert!(read(&"[".repeat(100_000)).is_err(), "nesting is bounded");
        let many = format!("a: &a {}\nb: [{}]\n", "x".repeat(50_000), "*a,".repeat(2_000));
        assert!(read(&many).unwrap_err().contains("larger than any configuration"), "what aliases repeat is bounded");
        let plain = format!("a: {}\n", "x".repeat(1_000_000));
        assert!(read(&plain).is_ok(), "a whole ConfigMap fits");
    }
}
