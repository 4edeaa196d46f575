//! Reads the fields of one mapping and collects every fault, each with the field's path and one sentence.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::node::YamlNode;
use super::table::{FieldForm, FieldTable};
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

/// The letters at the start of a field that suffice to mean it.
const START_MIN: usize = 4;

/// The fields of a mapping, taken one by one. The fields left at the end are unknown.
pub struct MapReader<'n> {
    path: String,
    rows: FieldTable,
    fields: Vec<(&'n str, &'n YamlNode)>,
}

impl<'n> MapReader<'n> {
    /// The fields of `node`, which should be a mapping with distinct text keys; deviations become faults. `rows` are the fields that there
    /// are; none for names that the user chooses.
    pub fn of(node: &'n YamlNode, rows: FieldTable, path: &str, faults: &mut Vec<FieldError>) -> MapReader<'n> {
        let mut all = MapReader { path: path.to_owned(), rows, fields: Vec::new() };
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

    /// The form of a field in the table.
    fn form(&self, field: &str) -> Option<&'static FieldForm> {
        self.rows.iter().find(|row| row.name == field).map(|row| &row.form)
    }

    /// Takes the field's node. `None` when the field is absent or empty.
    pub fn take(&mut self, field: &'static str) -> Option<&'n YamlNode> {
        debug_assert!(self.form(field).is_some(), "{field} has no row in the table");
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

    /// Takes a list of texts, of a length that the table allows, and parses each.
    pub fn list<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        faults: &mut Vec<FieldError>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let path = self.path_of(field);
        let FieldForm::List(_, count) = self.form(field)? else { return None };
        match self.take(field)? {
            YamlNode::List(items) if items.len() > count.most => {
                let sentence = format!("has {} {}; {} are possible{}", items.len(), count.what, count.most, count.cure);
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

    /// Takes a whole number within the range of the table; the fault names its unit.
    pub fn number(&mut self, field: &'static str, faults: &mut Vec<FieldError>) -> Option<u32> {
        let FieldForm::Number(range, unit) = self.form(field)? else { return None };
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
        let inner = MapReader::of(node, &[], &self.path_of(field), faults);
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
        self.finish_with(faults, |_| None);
    }

    /// Like [`MapReader::finish`]; `misplaced` gives the sentence for a field that belongs elsewhere or has another name here.
    pub fn finish_with(self, faults: &mut Vec<FieldError>, misplaced: impl Fn(&str) -> Option<String>) {
        for (key, _) in &self.fields {
            let near = || Some(format!("is not a field; did you mean `{}`?", self.near(key)?));
            let all = || {
                let known: Vec<&str> = self.rows.iter().map(|row| row.name).collect();
                format!("is not a field; fields are {}", known.join(", "))
            };
            faults.push(self.fault(key, misplaced(key).or_else(near).unwrap_or_else(all)));
        }
    }

    /// The field that this one resembles: a slip of two letters at most, or its beginning, as `tsigSecret`.
    fn near(&self, key: &str) -> Option<&'static str> {
        if key.len() > FIELD_SHOWN_OCTETS {
            return None;
        }
        let known = || self.rows.iter().map(|row| row.name);
        let by_start = || known().find(|known| key.len() >= START_MIN && known.starts_with(key));
        let close = known().filter(|known| distance(known, key) <= 2).min_by_key(|known| distance(known, key));
        close.or_else(by_start)
    }
}

/// The beginning of the name of a field.
pub(super) fn shown(field: &str) -> &str {
    let ends = (0..=field.len().min(FIELD_SHOWN_OCTETS)).rev();
    ends.filter_map(|end| field.get(..end)).next().unwrap_or_default()
}

/// Parses a text node. The fault repeats the value, except where it could be a misplaced secret.
pub fn text<T, E: fmt::Display>(
    node: &YamlNode,
    path: &str,
    faults: &mut Vec<FieldError>,
    parse: &impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let is_silent = path == "csr" || path.starts_with("tsigSecretName") || path.ends_with(".tsigSecretName");
    let sentence = match node {
        YamlNode::Text(text) => match parse(text) {
            Ok(value) => return Some(value),
            Err(_) if text.contains("://") && has_credentials(text) => CREDENTIALS.to_owned(),
            Err(e) if text.len() > 300 || is_silent => e.to_string(),
            Err(e) => format!("{text:?} {e}"),
        },
        YamlNode::Integer(_) | YamlNode::Number(_) | YamlNode::Bool(_) => {
            let written = node.scalar().unwrap_or_default();
            // Quotes alone may not mend it, and the second fault would be found only after the first.
            match parse(&written) {
                Ok(_) => format!("is {}; put quotes around it", node.kind()),
                Err(e) if is_silent => format!("is {}, which {e}", node.kind()),
                Err(e) => format!("{written} {e}"),
            }
        }
        YamlNode::Null | YamlNode::List(_) | YamlNode::Map(_) => format!("is {}; it must be text", node.kind()),
    };
    faults.push(FieldError { field: path.to_owned(), sentence });
    None
}

/// Reads a duration of at most `most`.
///
/// # Errors
/// The fault of the text.
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
        rest = unit.get(1..).unwrap_or_default();
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

/// Levenshtein distance, for "did you mean"; two neighbours that changed places count once.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // The rows for the letters of `a` before this one, and before that one.
    let (mut above, mut higher): (Vec<usize>, Vec<usize>) = ((0..=b.len()).collect(), Vec::new());
    let mut before = None;
    for (i, letter) in a.into_iter().enumerate() {
        let mut left = i.saturating_add(1);
        let mut row = vec![left];
        let mut other_before = None;
        for (j, (other, corner)) in b.iter().copied().zip(above.windows(2)).enumerate() {
            let [diagonal, up] = corner else { continue };
            let substituted = diagonal.saturating_add(usize::from(letter != other));
            let mut least = substituted.min(left.saturating_add(1)).min(up.saturating_add(1));
            if Some(letter) == other_before && before == Some(other) {
                let both = j.checked_sub(1).and_then(|at| higher.get(at)).copied().unwrap_or(usize::MAX);
                least = least.min(both.saturating_add(1));
            }
            row.push(least);
            (left, other_before) = (least, Some(other));
        }
        (higher, above, before) = (above, row, Some(letter));
    }
    above.last().copied().unwrap_or_default()
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
        assert_eq!((distance("zoens", "zones"), distance("ca", "abc")), (1, 3));
    }
}
