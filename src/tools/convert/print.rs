//! Writes a ConfigMap with the steps before it and what is left out behind it.

use serde_json::Value;

use super::lines::{escaped, item, labelled};
use super::placement::{LeftOut, Placement};
use super::steps;

/// A manifest: the steps for the operator, the ConfigMap where it has an entry, and what is left out.
pub(super) fn manifest(name: &str, place: &mut Placement) -> String {
    let mut lines = steps::lines(name, place);
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

/// Prints the entries that are left out as comments behind the list: without its `#` such an entry belongs to it.
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
