//! Lines of YAML. A value is printed as JSON, and every character outside printable ASCII is escaped on top of that.
//!
//! JSON alone is not enough: YAML readers take U+0085, U+2028 and U+2029 for line breaks, also inside quotes, and refuse U+007F. The
//! escape of a character beyond U+FFFF is `\UXXXXXXXX`, since YAML has no surrogate pairs.

use std::fmt::Write as _;

use serde_json::Value;

/// The fields of a mapping in the order in which they are printed.
pub(super) type FieldMap = Vec<(&'static str, Value)>;

/// The text with an escape, as in a double-quoted YAML scalar, for each character outside printable ASCII.
pub(super) fn escaped(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => printable.push(c),
            '\0'..='\u{ffff}' => write!(printable, "\\u{:04x}", u32::from(c)).expect("a String takes everything"),
            _ => write!(printable, "\\U{:08x}", u32::from(c)).expect("a String takes everything"),
        }
    }
    printable
}

/// The lines of a list item.
pub(super) fn item(fields: &FieldMap) -> Vec<String> {
    mapping(fields).enumerate().map(|(i, line)| format!("{}{line}", if i == 0 { "- " } else { "  " })).collect()
}

/// The lines of a mapping.
pub(super) fn mapping(fields: &FieldMap) -> impl Iterator<Item = String> {
    fields.iter().map(|(key, value)| format!("{key}: {}", escaped(&value.to_string())))
}

/// The fields of an issuer as a mapping from its label.
pub(super) fn labelled(label: &str, fields: &FieldMap) -> Vec<String> {
    let lines = mapping(fields).map(|line| format!("  {line}"));
    std::iter::once(format!("{}:", Value::from(label))).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_is_left_and_reads_back_as_it_was() {
        for code in (0..=0x11_0000).filter_map(char::from_u32) {
            let value = Value::from(format!("a{code}b"));
            let printed = escaped(&value.to_string());
            assert!(printed.chars().all(|c| matches!(c, ' '..='~')), "U+{:04X}: {printed}", u32::from(code));
            let is_sampled = u32::from(code) % 251 == 0 || u32::from(code) < 0x2100;
            if is_sampled {
                assert_eq!(serde_yaml::from_str::<Value>(&printed).unwrap(), value, "U+{:04X}", u32::from(code));
            }
        }
    }
}
