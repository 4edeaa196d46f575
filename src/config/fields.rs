//! Reads the fields of one mapping and collects every fault, each with the field's path and one sentence.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::node::YamlNode;
use crate::base::limits::{FIELD_SHOWN_OCTETS, FIELDS_MAX};
use crate::base::sanitize::{CREDENTIALS, has_credentials};
use crate::base::time::duration_text;

/// A fault of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The path below the entry: `domains[2]`, `dns.server`. Empty for the entry as a whole.
    pub field: String,
    /// The fault and the cure.
    pub sentence: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.sentence),
            field => write!(f, "{field}: {}", self.sentence),
        }
    }
}

/// The fields of a mapping, taken one by one. The fields left at the end are unknown.
pub struct MapReader<'n> {
    path: String,
    known: Vec<&'static str>,
    fields: Vec<(&'n str, &'n YamlNode)>,
}

impl<'n> MapReader<'n> {
    /// The fields of `node`, which should be a mapping with distinct text keys; deviations become faults.
    pub fn of(node: &'n YamlNode, path: &str, faults: &mut Vec<FieldError>) -> MapReader<'n> {
        let mut all = MapReader { path: path.to_owned(), known: Vec::new(), fields: Vec::new() };
        let YamlNode::Map(pairs) = node else {
            let sentence = format!("is {}; it must be a mapping (`field: value` lines)", node.kind());
            faults.push(FieldError { field: path.to_owned(), sentence });
            return all;
        };
        if pairs.len() > FIELDS_MAX {
            let sentence = format!("has {} fields; {FIELDS_MAX} are possible", pairs.len());
            faults.push(FieldError { field: path.to_owned(), sentence });
            return all;
        }
        let mut seen = HashSet::new();
        for (key, value) in pairs {
            match key {
                YamlNode::Text(key) if !seen.insert(key.as_str()) => {
                    faults
                        .push(all.fault(key, "stands here twice; YAML would take the last, so remove one".to_owned()));
                }
                YamlNode::Text(key) => all.fields.push((key, value)),
                other => faults.push(all.fault("", format!("has a field name that is {}", other.kind()))),
            }
        }
        all
    }

    fn fault(&self, field: &str, sentence: String) -> FieldError {
        let dot = if self.path.is_empty() || field.is_empty() { "" } else { "." };
        FieldError { field: format!("{}{dot}{}", self.path, shown(field)), sentence }
    }

    /// The path of a field below this mapping.
    pub fn path_of(&self, field: &str) -> String {
        self.fault(field, String::new()).field
    }

    /// Takes the field's node. `None` when the field is absent or empty.
    pub fn take(&mut self, field: &'static str) -> Option<&'n YamlNode> {
        self.known.push(field);
        let at = self.fields.iter().position(|(k, _)| *k == field)?;
        Some(self.fields.remove(at).1).filter(|node| **node != YamlNode::Null)
    }

    /// Takes a text field and parses it.
    pub fn text<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        faults: &mut Vec<FieldError>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let node = self.take(field)?;
        text(node, &self.path_of(field), faults, &parse)
    }

    /// Takes a list of texts and parses each.
    pub fn list<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        faults: &mut Vec<FieldError>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let path = self.path_of(field);
        match self.take(field)? {
            YamlNode::List(items) if items.len() > FIELDS_MAX => {
                let sentence = format!("has {} items; {FIELDS_MAX} are possible", items.len());
                faults.push(FieldError { field: path, sentence });
                None
            }
            YamlNode::List(items) => {
                let item = |(i, node)| text(node, &format!("{path}[{i}]"), faults, &parse);
                Some(items.iter().enumerate().filter_map(item).collect())
            }
            other => {
                let sentence = format!("is {}; it must be a list, as in `{field}: [\"a\", \"b\"]`", other.kind());
                faults.push(FieldError { field: path, sentence });
                None
            }
        }
    }

    /// Takes `true` or `false`.
    pub fn bool(&mut self, field: &'static str, faults: &mut Vec<FieldError>) -> Option<bool> {
        match self.take(field)? {
            YamlNode::Bool(b) => Some(*b),
            other => {
                faults
                    .push(self.fault(field, format!("is {}; it must be true or false, without quotes", other.kind())));
                None
            }
        }
    }

    /// Takes a whole number within `range`; the fault names `unit`.
    pub fn number(
        &mut self,
        field: &'static str,
        range: std::ops::RangeInclusive<u32>,
        unit: &str,
        faults: &mut Vec<FieldError>,
    ) -> Option<u32> {
        let node = self.take(field)?;
        if let YamlNode::Integer(n) = node
            && let Ok(n) = u32::try_from(*n)
            && range.contains(&n)
        {
            return Some(n);
        }
        let sentence = format!("must be a whole number of {unit} from {} to {}", range.start(), range.end());
        faults.push(self.fault(field, sentence));
        None
    }

    /// Takes a mapping of texts, such as labels.
    pub fn texts(
        &mut self,
        field: &'static str,
        faults: &mut Vec<FieldError>,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Option<BTreeMap<String, String>> {
        let node = self.take(field)?;
        let inner = MapReader::of(node, &self.path_of(field), faults);
        let mut map = BTreeMap::new();
        for (key, value) in &inner.fields {
            let path = inner.path_of(key);
            if let Some(value) = text(value, &path, faults, &|value| check(key, value).map(|()| value.to_owned())) {
                map.insert((*key).to_owned(), value);
            }
        }
        Some(map)
    }

    /// Reports the fields that were not taken.
    pub fn finish(self, faults: &mut Vec<FieldError>) {
        for (key, _) in &self.fields {
            let short = key.len() <= FIELD_SHOWN_OCTETS;
            let near = self.known.iter().filter(|k| short && distance(k, key) <= 2).min_by_key(|k| distance(k, key));
            let hint = match near {
                Some(near) => format!("is not a field; did you mean `{near}`?"),
                None => format!("is not a field; fields are {}", self.known.join(", ")),
            };
            faults.push(self.fault(key, hint));
        }
    }
}

/// The beginning of the name of a field.
pub(super) fn shown(field: &str) -> &str {
    let mut end = field.len().min(FIELD_SHOWN_OCTETS);
    while !field.is_char_boundary(end) {
        end -= 1;
    }
    &field[..end]
}

/// Parses a text node. The fault repeats the value, except where it could be a misplaced secret.
pub fn text<T, E: fmt::Display>(
    node: &YamlNode,
    path: &str,
    faults: &mut Vec<FieldError>,
    parse: &impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let sentence = match node {
        YamlNode::Text(text) => match parse(text) {
            Ok(value) => return Some(value),
            Err(_) if text.contains("://") && has_credentials(text) => CREDENTIALS.to_owned(),
            Err(e) if text.len() > 300 || path.starts_with("tsigSecretName") || path.ends_with(".tsigSecretName") => {
                e.to_string()
            }
            Err(e) => format!("{text:?} {e}"),
        },
        YamlNode::Integer(_) | YamlNode::Number(_) | YamlNode::Bool(_) => {
            format!("is {}; put quotes around it", node.kind())
        }
        YamlNode::Null | YamlNode::List(_) | YamlNode::Map(_) => format!("is {}; it must be text", node.kind()),
    };
    faults.push(FieldError { field: path.to_owned(), sentence });
    None
}

/// Reads a duration of at most `most`.
///
/// # Errors
/// What is wrong with the text.
pub fn bounded(text: &str, most: Duration) -> Result<Duration, String> {
    match duration(text)? {
        d if d <= most => Ok(d),
        _ => Err(format!("is too long; {} is the most", duration_text(most))),
    }
}

/// Reads `720h`, `30d`, `1h30m`: whole numbers with a unit of s, m, h or d.
///
/// # Errors
/// The fault in the text.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "is not a duration; write numbers with s, m, h or d, as in `90s`, `720h`, `30d`".to_owned();
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let seconds = match unit.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(seconds)).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &unit[1..];
    }
    if text.is_empty() || total == 0 {
        return Err(wrong());
    }
    Ok(Duration::from_secs(total))
}

/// Reads one of the words of a table.
pub(super) fn one_of<T: Copy>(text: &str, table: &[(&str, T)]) -> Result<T, String> {
    let found = table.iter().find(|(word, _)| *word == text);
    let words = || table.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    found.map(|(_, value)| *value).ok_or_else(|| format!("is none of {}", words()))
}

/// Reports a missing field of a mapping, unless that field has another fault. `what` names its contents.
pub fn require(field: &str, what: &str, node: &YamlNode, faults: &mut Vec<FieldError>) {
    if matches!(node, YamlNode::Map(_)) && !faults.iter().any(|f| f.field.starts_with(field)) {
        faults.push(FieldError { field: field.to_owned(), sentence: format!("is missing; it holds {what}") });
    }
}

/// Levenshtein distance, for "did you mean".
pub(super) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::duration_text;

    #[test]
    fn durations_are_read_and_written() {
        for (text, secs, shown) in [
            ("720h", 2_592_000, "30d"),
            ("30d", 2_592_000, "30d"),
            ("1h30m", 5_400, "90m"),
            ("90s", 90, "90s"),
            ("2m", 120, "2m"),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
            assert_eq!(duration_text(Duration::from_secs(secs)), shown);
        }
        for text in [
            "",
            "0",
            "0s",
            "30",
            "d",
            "30 d",
            "-1h",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "213503982334602d",
            "h1",
            "30días",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn near_words_are_near() {
        assert_eq!(distance("domains", "domain"), 1);
        assert_eq!(distance("tsigSecretName", "tsigSecret"), 4);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
