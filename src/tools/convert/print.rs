//! Writes a ConfigMap. A value is printed as JSON, and every character outside printable ASCII is escaped on top of that.
//!
//! JSON alone is not enough: YAML readers take U+0085, U+2028 and U+2029 for line breaks, also inside quotes, and refuse U+007F. The
//! escape of a character beyond U+FFFF is `\UXXXXXXXX`, since YAML has no surrogate pairs.

use std::fmt::Write as _;

use serde_json::Value;

use super::placement::{LeftOut, Placement, labelled};
use super::steps;

/// The fields of a mapping in the order in which they are printed.
pub(super) type FieldMap = Vec<(&'static str, Value)>;

/// A manifest: the steps for the operator, the ConfigMap where it has an entry, and what is left out.
pub(super) fn manifest(name: &str, place: &mut Placement) -> String {
    let mut lines = steps::lines(place);
    if !place.entries.is_empty() {
        lines.extend(["apiVersion: v1", "kind: ConfigMap", "metadata:"].map(str::to_owned));
        lines.push(format!("  name: {}", Value::from(name)));
        lines.push(format!("  namespace: {}", Value::from(place.namespace())));
        lines.push("data:".to_owned());
        for (key, text) in data(place) {
            lines.push(format!("  {key}: |"));
            lines.extend(text.into_iter().map(|line| format!("    {line}")));
        }
    }
    lines.extend(left_out(place));
    // Comments are escaped as well: no value can end its line.
    lines.iter().map(|line| escaped(line) + "\n").collect()
}

/// The keys of the ConfigMap with their lines.
pub(super) fn data(place: &mut Placement) -> Vec<(&'static str, Vec<String>)> {
    let mut keys = vec![("defaults", vec![ADOPT.to_owned()])];
    let issuers: Vec<_> = place.issuers.iter().flat_map(|(label, fields)| labelled(label, fields)).collect();
    let zones: Vec<_> = place.zones().iter().flat_map(item).collect();
    let certificates = place.entries.values().flat_map(item).collect();
    keys.extend([("issuers", issuers), ("zones", zones)].into_iter().filter(|(_, lines)| !lines.is_empty()));
    keys.push(("certificates", certificates));
    keys
}

/// The default that takes Secrets over, still a comment.
pub(super) const ADOPT: &str = "#adopt: true";

/// What is left out, as comments that follow the list of entries: without its `#` such an entry belongs to it.
fn left_out(place: &Placement) -> Vec<String> {
    if place.left_out.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![
        "# Left out, because notariat can not serve it as it is. cert-manager goes on with it. Where the reason is mended, an entry counts"
            .to_owned(),
        "# without the `#` before it.".to_owned(),
    ];
    for LeftOut { title, reasons, entry } in place.left_out.values() {
        lines.push("#".to_owned());
        lines.extend(reasons.iter().map(|reason| format!("# {title}: {reason}")));
        let Some((fields, label, issuer)) = entry.as_ref().filter(|_| !place.entries.is_empty()) else { continue };
        if !place.issuers.contains_key(label) {
            lines.push("# For the key `issuers`:".to_owned());
            lines.extend(labelled(label, issuer).iter().map(|line| format!("#    {line}")));
            lines.push("# For the key `certificates`:".to_owned());
        }
        lines.extend(item(fields).iter().map(|line| format!("#    {line}")));
    }
    lines
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
pub(super) fn item(fields: &FieldMap) -> Vec<String> {
    mapping(fields).enumerate().map(|(i, line)| format!("{}{line}", if i == 0 { "- " } else { "  " })).collect()
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
