//! The report as JSON. Field names are an interface: they stay. Times are RFC 3339; a missing value is null. Pure.

use serde_json::{Value, json};

use super::certificate::CertificateStatus;
use super::report::{NoteKind, StatusReport};
use super::state::CertificateState;
use crate::base::time::Time;
use crate::sources::wish::ObjectKey;

/// The report as one JSON object.
pub fn json(report: &StatusReport, now: Time) -> String {
    let states: serde_json::Map<String, Value> = CertificateState::ALL
        .iter()
        .map(|state| (state.to_string(), report.rows.iter().filter(|row| row.state == *state).count().into()))
        .collect();
    let notes = |(kind, sentence): &(NoteKind, String)| json!({"kind": kind.to_string(), "message": sentence});
    let progress = report.progress.map(|p| json!({"stored": p.stored, "total": p.total, "until": time(p.until)}));
    let rest = json!({
        "time": now.to_string(),
        "notes": report.notes.iter().map(notes).collect::<Vec<_>>(),
        "states": states,
        "progress": progress,
    });
    // One line for each certificate: a tree of 10,000 would take many times the memory of the text.
    let mut text = "{\"certificates\": [".to_owned();
    for (place, certificate) in report.rows.iter().enumerate() {
        text += if place == 0 { "\n" } else { ",\n" };
        text += &row(certificate).to_string();
    }
    let rest = rest.to_string();
    text + "\n],\n" + rest.trim_start_matches('{') + "\n"
}

fn row(row: &CertificateStatus) -> Value {
    let texts = |all: &[String]| Value::from(all.to_vec());
    let failure = row.failure.as_ref().map(|failure| {
        json!({
            "stage": failure.stage.map(|stage| stage.to_string()),
            "message": failure.error,
            "failures": failure.failures,
            "time": failure.at.to_string(),
        })
    });
    let mut json = json!({
        "secret": row.secrets().first().map(ToString::to_string),
        "secrets": texts(&row.secrets().iter().map(ToString::to_string).collect::<Vec<_>>()),
        "names": texts(&row.names().iter().map(ToString::to_string).collect::<Vec<_>>()),
        "state": row.state.to_string(),
        "issuer": row.issuer.as_deref(),
        "directory": &*row.directory,
        "challenges": row.challenges,
        "expires": time(row.expires()),
        "renews": time(row.renewal.map(|(at, _)| at)),
        "renewsBecause": row.renewal.map(|(_, why)| why.to_string()),
        "reason": row.finding,
        "lastError": failure,
        "nextAttempt": time(row.next_attempt),
        "attemptsLeft": row.attempts_left,
    });
    if !row.objects.is_empty() {
        let object = |object: &ObjectKey| json!({"kind": object.kind, "namespace": object.at.namespace.as_str(), "name": object.at.name.as_str()});
        json["objects"] = row.objects.iter().map(object).collect();
    }
    json
}

fn time(at: Option<Time>) -> Value {
    at.map(|at| at.to_string()).into()
}
