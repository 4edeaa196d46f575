//! The last writer of a Secret: the API server notes in `metadata.managedFields` which fields each client set and when. Pure.
//!
//! Untrusted: a client chooses the name it writes under. The name is for people to read, and no decision depends on it.

use serde_json::Value;

use crate::base::sanitize::one_line;

/// The name under which this program writes: `fieldManager` of each write.
const OURS: &str = "notariat";

/// Tells whether an entry of `managedFields` says that its client set this data key to the present value.
fn sets(entry: &Value, key: &str) -> bool {
    entry.get("fieldsV1").and_then(|fields| fields.get("f:data")?.get(format!("f:{key}"))).is_some()
}

/// The client that last set `tls.crt` or `tls.key` to another value than this program: `"kubectl-edit" at 2026-11-22T10:00:00Z`. A client that
/// sets a field to another value becomes its only manager, so a field that this program manages has the value that this program wrote.
pub fn last_writer(managed_fields: &Value) -> Option<String> {
    let entries = managed_fields.as_array()?;
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_ours = |key: &str| entries.iter().any(|entry| text(entry, "manager") == OURS && sets(entry, key));
    let lost: Vec<&str> = ["tls.crt", "tls.key"].into_iter().filter(|key| !is_ours(key)).collect();
    let writers = entries.iter().filter(|entry| lost.iter().any(|key| sets(entry, key)));
    // The times are all in UTC and in one format.
    let last = writers.max_by_key(|entry| text(entry, "time"))?;
    Some(one_line(&format!("{:?} at {}", text(last, "manager"), text(last, "time"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kube-apiserver wrote them; `types` and annotations are left out.
    const CREATED: &str = r#"{"manager":"kubectl-create","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:26Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{},"f:tls.crt":{},"f:tls.key":{}},"f:type":{}}}"#;
    const CREATED_LONG_AGO: &str = r#"{"manager":"kubectl-create","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:26Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{},"f:type":{}}}"#;
    const ISSUED: &str = r#"{"manager":"notariat","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:27Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:tls.crt":{},"f:tls.key":{}},"f:metadata":{"f:annotations":{".":{},"f:notariat/owner":{}}}}}"#;
    const CHAIN_IS_LEFT: &str = r#"{"manager":"notariat","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:29Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:tls.crt":{}},"f:metadata":{"f:annotations":{".":{},"f:notariat/owner":{}}}}}"#;
    const NOTHING_IS_LEFT: &str = r#"{"manager":"notariat","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:27Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:notariat/owner":{}}}}}"#;
    const PATCHED: &str = r#"{"manager":"kubectl-patch","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:28Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:tls.key":{}}}}"#;
    const REPLACED: &str = r#"{"manager":"kubectl-replace","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:30Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:tls.crt":{}}}}"#;
    const APPLIED: &str = r#"{"manager":"argocd-controller","operation":"Apply","apiVersion":"v1","time":"2026-11-22T21:00:32Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:tls.crt":{},"f:tls.key":{}},"f:type":{}}}"#;
    const LABELLED: &str = r#"{"manager":"kubectl-label","operation":"Update","apiVersion":"v1","time":"2026-11-22T21:00:40Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}}"#;

    fn writer(entries: &[&str]) -> Option<String> {
        last_writer(&serde_json::from_str(&format!("[{}]", entries.join(","))).unwrap())
    }

    #[test]
    fn the_last_one_who_changed_the_pair_is_named_and_never_us() {
        let created = "\"kubectl-create\" at 2026-11-22T21:00:26Z";
        for (entries, named) in [
            (&[CREATED][..], Some(created)),
            (&[CREATED, LABELLED], Some(created)),
            (&[CREATED_LONG_AGO, ISSUED], None),
            (&[CREATED_LONG_AGO, ISSUED, LABELLED], None),
            // Seen after a patch: kubectl has the value that notariat wrote, and did not change it.
            (&[CREATED, ISSUED], None),
            // notariat set an annotation after the patch.
            (&[CREATED, CHAIN_IS_LEFT, PATCHED], Some("\"kubectl-patch\" at 2026-11-22T21:00:28Z")),
            (
                &[REPLACED, CREATED_LONG_AGO, NOTHING_IS_LEFT, PATCHED],
                Some("\"kubectl-replace\" at 2026-11-22T21:00:30Z"),
            ),
            (&[APPLIED, CREATED, NOTHING_IS_LEFT], Some("\"argocd-controller\" at 2026-11-22T21:00:32Z")),
            (&[], None),
        ] {
            assert_eq!(writer(entries).as_deref(), named, "{entries:?}");
        }
        assert_eq!(last_writer(&Value::Null), None);
        let rude = PATCHED.replace("kubectl-patch", r"a\u001b[2Jb\nc");
        assert_eq!(writer(&[&rude]).unwrap(), r#""a\u{1b}[2Jb\nc" at 2026-11-22T21:00:28Z"#);
    }
}
