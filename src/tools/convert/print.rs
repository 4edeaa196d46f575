//! Writes a ConfigMap. A value is printed as JSON, and every character outside printable ASCII is escaped on top of that.
//!
//! JSON alone is not enough: YAML readers take U+0085, U+2028 and U+2029 for line breaks, also inside quotes, and refuse U+007F. The
//! escape of a character beyond U+FFFF is `\UXXXXXXXX`, since YAML has no surrogate pairs.

use std::fmt::Write as _;

use serde_json::Value;

use super::placement::{FieldMap, Placement};

/// The manifest of a namespace; comments above it list the steps for the operator.
pub(super) fn manifest(namespace: &str, name: &str, place: &Placement) -> String {
    let mut lines = vec![
        "# Printed by `notariat convert`. Before it is applied:".to_owned(),
        "# - end cert-manager's work here: delete the Certificates (their Secrets stay, unless cert-manager runs with"
            .to_owned(),
        "#   --enable-certificate-owner-ref). `adopt` takes the Secrets over; remove it when all are notariat's;"
            .to_owned(),
    ];
    lines.extend(place.to_do.iter().map(|sentence| format!("# - {sentence};")));
    lines.push("# - see with `notariat -probe` whether the keys may change what they have to.".to_owned());
    lines.extend(["apiVersion: v1", "kind: ConfigMap", "metadata:"].map(str::to_owned));
    lines.extend([format!("  name: {}", Value::from(name)), format!("  namespace: {}", Value::from(namespace))]);
    lines.extend(["data:", "  defaults: |", "    adopt: true"].map(str::to_owned));
    if !place.issuers.is_empty() {
        lines.push("  issuers: |".to_owned());
        for (name, fields) in &place.issuers {
            lines.push(format!("    {}:", Value::from(name.as_str())));
            lines.extend(mapping(fields).map(|line| format!("      {line}")));
        }
    }
    if !place.zones.is_empty() {
        lines.push("  zones: |".to_owned());
        for (zone, update) in &place.zones {
            lines.extend(item(&[&[("zone", zone.as_str().into())], &update.fields()[..]].concat(), "    "));
        }
    }
    lines.push("  certificates: |".to_owned());
    lines.extend(place.entries.iter().flat_map(|entry| item(entry, "    ")));
    // Comments are escaped as well: no value can end its line.
    lines.iter().map(|line| escaped(line) + "\n").collect()
}

/// The text with an escape, as in a double-quoted YAML scalar, for each character outside printable ASCII.
fn escaped(text: &str) -> String {
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
pub(super) fn item(fields: &FieldMap, indent: &str) -> Vec<String> {
    let lines = mapping(fields).enumerate();
    lines.map(|(i, line)| format!("{indent}{}{line}", if i == 0 { "- " } else { "  " })).collect()
}

/// The lines of a mapping.
pub(super) fn mapping(fields: &FieldMap) -> impl Iterator<Item = String> {
    fields.iter().map(|(key, value)| format!("{key}: {}", escaped(&value.to_string())))
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
