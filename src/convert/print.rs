//! Writes a ConfigMap. Values are printed as JSON, which YAML reads as it is and which keeps each on its line.

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
    lines.extend(place.to_do.iter().map(|sentence| format!("# - {sentence};")));
    lines.push("# - see with `notariat -probe` whether the keys may change what they have to.".to_owned());
    lines.push("apiVersion: v1\nkind: ConfigMap\nmetadata:".to_owned());
    lines.push(format!("  name: {}\n  namespace: {}\ndata:", Value::from(name), Value::from(namespace)));
    lines.push("  defaults: |\n    adopt: true".to_owned());
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
    lines.join("\n") + "\n"
}

/// The lines of a list item.
pub(super) fn item(fields: &Fields, indent: &str) -> Vec<String> {
    let lines = mapping(fields).enumerate();
    lines.map(|(i, line)| format!("{indent}{}{line}", if i == 0 { "- " } else { "  " })).collect()
}

/// The lines of a mapping.
pub(super) fn mapping(fields: &Fields) -> impl Iterator<Item = String> {
    fields.iter().map(|(key, value)| format!("{key}: {value}"))
}
