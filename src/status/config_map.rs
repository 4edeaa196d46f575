//! The status ConfigMap, for people who may not read Secrets: the table and the JSON of `notariat status`. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json::json as as_json;
use super::report::{NoteKind, StatusReport};
use super::state::{CertificateState, Parked};
use super::table::{TableStyle, table};
use crate::base::limits::{BULLETIN_OCTETS_MAX, BULLETIN_ROWS_MAX, BULLETIN_TRUSTED};
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::policy::secret_state::annotation;

/// The name of the ConfigMap, in the own namespace.
pub const NAME: &str = "notariat-status";

/// The data of the ConfigMap: the most urgent rows, as many as fit, of `all` certificates. `own` is the own namespace.
pub fn data(mut report: StatusReport, all: usize, own: &str, now: Time) -> BTreeMap<String, String> {
    let style = TableStyle { width: None, wide: false, colour: false, own };
    let mut fit = BULLETIN_ROWS_MAX;
    loop {
        report.rows.truncate(fit);
        let shown = report.rows.len();
        if shown < all {
            report.notes.retain(|(kind, _)| *kind != NoteKind::NotShown);
            report
                .notes
                .push((NoteKind::NotShown, format!("{} more, less urgent: `notariat status` shows all", all - shown)));
        }
        let head = format!("As of {now}; written when something changes.\n\n");
        let texts = [("table", head + &table(&report, style, now)), ("json", as_json(&report, now))];
        if texts.iter().map(|(_, text)| text.len()).sum::<usize>() <= BULLETIN_OCTETS_MAX || fit == 0 {
            return texts.map(|(key, text)| (key.to_owned(), text)).into();
        }
        fit = shown / 2;
    }
}

/// The parked certificates by the `json` of the ConfigMap; none when that is older than [`BULLETIN_TRUSTED`] or unreadable.
pub fn parked(json: &str, now: Time) -> BTreeMap<ObjectRef, Parked> {
    let report: Value = serde_json::from_str(json).unwrap_or_default();
    let time = |value: &Value| value.as_str().and_then(Time::parse_rfc3339);
    let is_recent = time(&report["time"]).is_some_and(|at| at + BULLETIN_TRUSTED > now);
    let rows = report["certificates"].as_array().filter(|_| is_recent).into_iter().flatten();
    let parked = rows.filter(|row| row["state"] == CertificateState::Parked.to_string()).filter_map(|row| {
        let secret = row["secret"].as_str()?.parse::<ObjectRef>().ok()?;
        let until = time(&row["nextAttempt"]);
        let why = row["reason"].as_str().unwrap_or_default().to_owned();
        until.is_none_or(|until| until > now).then_some((secret, Parked { why, until }))
    });
    parked.collect()
}

/// The ConfigMap with new data; `before` is the existing object.
///
/// # Errors
/// The owner of an existing ConfigMap that is not ours.
pub fn object(
    at: &ObjectRef,
    before: Option<Value>,
    instance: &str,
    data: &BTreeMap<String, String>,
) -> Result<Value, String> {
    let Some(mut object) = before else {
        return Ok(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": at.name.as_str(),
                "namespace": at.namespace.as_str(),
                "labels": {"app.kubernetes.io/managed-by": "notariat", "app.kubernetes.io/component": "status"},
                "annotations": {annotation::OWNER: instance},
            },
            "data": data,
        }));
    };
    match object["metadata"]["annotations"][annotation::OWNER].as_str() {
        Some(owner) if owner == instance => {}
        Some(owner) => return Err(format!("the ConfigMap {at} is of the instance {owner}")),
        None => return Err(format!("the ConfigMap {at} is not of notariat: delete it, or do without")),
    }
    object["data"] = json!(data);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Domain;
    use crate::status::certificate::{CertificateStatus, Subject};
    use std::sync::Arc;
    use std::time::Duration;

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn row(secret: &str, names: Vec<Domain>) -> CertificateStatus {
        let subject = Subject::Orphaned(Box::new((ObjectRef::parse(secret, "").unwrap(), names)));
        CertificateStatus::empty(subject, CertificateState::Valid, "https://ca.test/dir")
    }

    #[test]
    fn as_many_rows_are_shown_as_fit_and_the_rest_is_counted() {
        let report = |count: usize, names: usize| {
            let name = |n| Domain::parse(&format!("{}{n}.test", "x".repeat(50))).unwrap();
            let row = row("team/web", (0..names).map(name).collect());
            StatusReport { rows: vec![row.into(); count], notes: Vec::new(), progress: None }
        };
        for (count, names, least, most) in
            [(0, 1, 0, 0), (3, 1, 3, 3), (2 * BULLETIN_ROWS_MAX, 1, 200, 200), (400, 100, 40, 110)]
        {
            let data = data(report(count, names), count, "team", NOW);
            assert!(data.values().map(String::len).sum::<usize>() <= BULLETIN_OCTETS_MAX);
            let shown: Value = serde_json::from_str(&data["json"]).unwrap();
            let rows = shown["certificates"].as_array().unwrap().len();
            assert!((least..=most).contains(&rows), "{count} {names}: {rows}");
            let left = format!("{} more, less urgent", count - rows);
            assert_eq!(data["table"].contains(&left), rows < count, "{}", data["table"].lines().last().unwrap());
        }
    }

    #[test]
    fn what_is_parked_is_read_back_while_it_is_recent() {
        let until = NOW + Duration::from_secs(60);
        let parked = Parked { why: "127.0.0.1:53 failed lately".to_owned(), until: Some(until) };
        let row = Arc::new(row("team/web", Vec::new())).with_job(false, Some(&parked));
        let report = StatusReport { rows: vec![row], notes: Vec::new(), progress: None };
        let json = data(report, 1, "team", NOW).remove("json").unwrap();
        let at = |secs| super::parked(&json, NOW + Duration::from_secs(secs));
        let found = at(59);
        let web = &found[&ObjectRef::new("team", "web")];
        assert!(web.until == Some(until) && web.why.contains("127.0.0.1:53 failed lately"), "{web:?}");
        assert!(at(60).is_empty(), "the time is over");
        assert!(super::parked("{}", NOW).is_empty() && super::parked("no json", NOW).is_empty());
        let old = json.replace(&format!("\"nextAttempt\":\"{until}\""), "\"nextAttempt\":null");
        assert_eq!(super::parked(&old, NOW).len(), 1);
        assert!(super::parked(&old, NOW + BULLETIN_TRUSTED).is_empty(), "nobody keeps it up to date");
    }

    #[test]
    fn what_others_wrote_is_left_alone() {
        let at = ObjectRef::new("team", NAME);
        let data = BTreeMap::from([("table".to_owned(), "x".to_owned())]);
        let made = object(&at, None, "us", &data).unwrap();
        assert_eq!(made["data"]["table"], "x");
        let mut there = made.clone();
        there["metadata"]["resourceVersion"] = "7".into();
        let written = object(&at, Some(there.clone()), "us", &BTreeMap::new()).unwrap();
        assert_eq!((&written["metadata"]["resourceVersion"], &written["data"]), (&json!("7"), &json!({})));
        assert!(object(&at, Some(there), "them", &data).unwrap_err().contains("of the instance us"));
        assert!(object(&at, Some(json!({"metadata": {}})), "us", &data).unwrap_err().contains("is not of notariat"));
    }
}
