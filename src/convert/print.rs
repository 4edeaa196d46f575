//! Writes a ConfigMap in printable ASCII.
//!
//! The author of a Certificate chooses values, and an administrator applies what is printed. YAML readers disagree about line breaks:
//! those of YAML 1.1 (kubectl's among them) end a line at U+0085, U+2028 and U+2029 as well, and then the rest of a value would be
//! YAML of its author. Hence no character outside printable ASCII is printed as it is.

use serde_json::Value;

use super::{Fields, Place};

/// The manifest of a namespace, with what is to be done above it.
pub(super) fn manifest(namespace: &str, name: &str, place: &Place) -> String {
    let mut lines = vec![
        "# Printed by `notariat convert`. Before it is applied:".to_owned(),
        "# - end cert-manager's work here: delete the Certificates (their Secrets stay, unless cert-manager runs with"
            .to_owned(),
        "#   --enable-certificate-owner-ref). `adopt` takes the Secrets over; remove it when all are notariat's;"
            .to_owned(),
    ];
    lines.extend(place.to_do.iter().map(|sentence| format!("# - {};", ascii(sentence))));
    lines.push("# - see with `notariat -probe` whether the keys may change what they have to.".to_owned());
    lines.push("apiVersion: v1\nkind: ConfigMap\nmetadata:".to_owned());
    lines.push(format!("  name: {}\n  namespace: {}\ndata:", quoted(&name.into()), quoted(&namespace.into())));
    lines.push("  defaults: |\n    adopt: true".to_owned());
    if !place.issuers.is_empty() {
        lines.push("  issuers: |".to_owned());
        for (name, fields) in &place.issuers {
            lines.push(format!("    {}:", quoted(&name.as_str().into())));
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
    lines.join("\n") + "\n"
}

/// The lines of a list item.
pub(super) fn item(fields: &Fields, indent: &str) -> Vec<String> {
    let lines = mapping(fields).enumerate();
    lines.map(|(i, line)| format!("{indent}{}{line}", if i == 0 { "- " } else { "  " })).collect()
}

/// The lines of a mapping.
pub(super) fn mapping(fields: &Fields) -> impl Iterator<Item = String> {
    fields.iter().map(|(key, value)| format!("{key}: {}", quoted(value)))
}

/// A value on one line, as YAML 1.1 and 1.2 read it: JSON with the escapes of [`ascii`].
fn quoted(value: &Value) -> String {
    ascii(&value.to_string())
}

/// The text with each character outside printable ASCII as an escape of YAML's double-quoted texts. JSON has such characters inside of
/// quotes only. JSON's own escapes are not enough: YAML does not join surrogates, so a character above U+FFFF takes `\U`.
fn ascii(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c) {
            0x20..=0x7e => printed.push(c),
            code @ ..=0xffff => printed += &format!("\\u{code:04x}"),
            code => printed += &format!("\\U{code:08x}"),
        }
    }
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_printed_in_ascii_and_read_as_it_was() {
        let texts = (0..=0x2_ffff).filter_map(char::from_u32).collect::<Vec<_>>();
        for some in texts.chunks(4096) {
            let text: String = some.iter().collect();
            let value = serde_json::json!({ "a": text, some[0].to_string(): [text] });
            let printed = quoted(&value);
            assert!(printed.bytes().all(|octet| matches!(octet, b' '..=b'~')), "U+{:04x}", u32::from(some[0]));
            assert_eq!(serde_yaml::from_str::<Value>(&printed).unwrap(), value);
        }
    }

    #[test]
    fn a_comment_stays_on_its_line() {
        let mut place = Place::default();
        place.remind("a\nb\r\u{85}\u{2028}\u{2029}\u{202e}c".to_owned());
        let printed = manifest("team", "notariat", &place);
        assert!(printed.contains("\n# - a\\u000ab\\u000d\\u0085\\u2028\\u2029\\u202ec;\n"), "{printed}");
    }
}
