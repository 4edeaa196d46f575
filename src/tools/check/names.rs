//! The lines about the key `namespaces`: which namespace may have which names.

use super::report::{CheckReport, Level};
use crate::base::limits::POLICY_LINES_SHOWN_MAX;
use crate::config::name_policy::{EVERY, KEY, NamePolicy, NameRange, NamespaceLine};

/// Reports the lines of a policy. `object` is its ConfigMap.
pub(super) fn say(report: &mut CheckReport, object: &str, policy: &NamePolicy) {
    for fault in policy.faults() {
        report.say(Level::Fault, object, fault);
    }
    let sound = || policy.all().filter(|(_, line)| line.fault.is_none());
    for (namespace, line) in sound().take(POLICY_LINES_SHOWN_MAX) {
        report.say(Level::Ok, object, format!("{} may have {}", words(namespace), granted(line)));
    }
    let more = sound().count().saturating_sub(POLICY_LINES_SHOWN_MAX);
    if more > 0 {
        report.say(
            Level::Ok,
            object,
            format!("and {more} more lines in the key `{KEY}`; `notariat explain NAME` asks all"),
        );
    }
    let shared = policy.every.iter().flat_map(|line| &line.ranges).filter_map(|range| match range {
        NameRange::Fixed(name) => Some(name.as_str()),
        NameRange::OfNamespace { .. } | NameRange::Any => None,
    });
    let shared: Vec<&str> = shared.collect();
    if !shared.is_empty() {
        let sentence = format!(
            "key `{KEY}` \"{EVERY}\": {} without {{namespace}}: every namespace without a line may have each name there",
            shared.join(", ")
        );
        report.say(Level::Warning, object, sentence);
    }
}

fn words(namespace: &str) -> String {
    match namespace {
        EVERY => "each namespace without a line".to_owned(),
        _ => format!("the namespace {namespace}"),
    }
}

/// The grant of a line, in words.
fn granted(line: &NamespaceLine) -> String {
    if line.ranges.is_empty() {
        return "no certificate".to_owned();
    }
    let ranges: Vec<String> = line.ranges.iter().map(NameRange::to_string).collect();
    let wildcards = if line.wildcards { "with wildcards" } else { "without wildcards" };
    let issuers = match line.issuers.is_empty() {
        true => "the default issuer".to_owned(),
        false => format!("the issuers {}", line.issuers.join(", ")),
    };
    let orders = line.certificates_per_week;
    format!("names at and below {}, {wildcards}, {orders} new certificates a week, by {issuers}", ranges.join(", "))
}
