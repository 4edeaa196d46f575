mod readers;
mod states;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::base::time::Time;
use readers::{ArgoHealth, Kstatus, argo_cd, kstatus, wait};

const NOW: Time = Time::from_unix(1_800_000_000);

fn later(seconds: u64) -> Time {
    NOW + Duration::from_secs(seconds)
}

fn ready(reason: ReadyReason) -> ReadyVerdict {
    ReadyVerdict { reason, message: format!("it is {}", reason.name()).into() }
}

fn issuing(reason: IssuingReason) -> Option<IssuingVerdict> {
    Some(IssuingVerdict { reason, message: format!("the attempt: {}", reason.name()) })
}

/// A Certificate whose Secret we stored.
fn good() -> CertificateVerdict {
    CertificateVerdict {
        generation: 1,
        ready: ready(ReadyReason::Ready),
        issuing: None,
        validity: Some((NOW, later(90 * 86_400))),
        renewal: Some(later(60 * 86_400)),
        is_ours: true,
        failure: None,
    }
}

/// A Certificate that has no Secret yet.
fn bare() -> CertificateVerdict {
    CertificateVerdict {
        ready: ready(ReadyReason::DoesNotExist),
        validity: None,
        renewal: None,
        is_ours: false,
        ..good()
    }
}

fn object(generation: i64, status: &Value) -> Value {
    json!({"metadata": {"name": "web", "uid": "u", "resourceVersion": "7", "generation": generation}, "status": status})
}

fn seen(status: &Value) -> SeenResource {
    SeenResource::read(&object(1, status)).unwrap()
}

/// The status after a write, or the same where nothing is written; each must read back as it was.
fn after(verdict: &CertificateVerdict, before: &Value, now: Time) -> Value {
    let Some(next) = verdict.next(&seen(before), now) else { return before.clone() };
    let json = next.to_json();
    assert_eq!(ResourceStatus::read(&json), next, "{json}");
    assert_eq!(verdict.next(&seen(&json), later(999_999)), None, "what was written is not written again: {json}");
    json
}

fn condition<'s>(status: &'s Value, type_: &str) -> &'s Value {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|condition| condition["type"] == type_).unwrap_or(&Value::Null)
}

#[test]
fn a_certificate_goes_its_way_and_each_field_with_it() {
    let first = after(&bare(), &Value::Null, NOW);
    let since = |status: &Value, type_: &str| condition(status, type_)["lastTransitionTime"].clone();
    assert_eq!(
        first,
        json!({"conditions": [{"type": "Ready", "status": "False", "reason": "DoesNotExist", "message": "it is DoesNotExist",
            "lastTransitionTime": NOW.to_string(), "observedGeneration": 1}]})
    );
    let ordering = CertificateVerdict { issuing: issuing(IssuingReason::Ordering), ..bare() };
    let second = after(&ordering, &first, later(2));
    assert_eq!(
        (since(&second, "Ready"), since(&second, "Issuing")),
        (json!(NOW.to_string()), json!(later(2).to_string()))
    );
    assert_eq!((&condition(&second, "Issuing")["status"], second.get("revision")), (&json!("True"), None));

    let failed = CertificateVerdict { issuing: issuing(IssuingReason::Failed), failure: Some((later(5), 1)), ..bare() };
    let third = after(&failed, &second, later(5));
    assert_eq!(condition(&third, "Issuing")["status"], "False");
    assert_eq!(
        (&third["lastFailureTime"], &third["failedIssuanceAttempts"]),
        (&json!(later(5).to_string()), &json!(1))
    );
    // The reason moves without the status: the time stays.
    let capped = CertificateVerdict { issuing: issuing(IssuingReason::Capped), ..failed.clone() };
    let capped = after(&capped, &third, later(9));
    assert_eq!(
        (since(&capped, "Issuing"), condition(&capped, "Issuing")["reason"].clone()),
        (since(&third, "Issuing"), json!("Capped"))
    );

    let fourth = after(&good(), &capped, later(10));
    assert_eq!(
        (condition(&fourth, "Issuing"), fourth.get("lastFailureTime"), fourth.get("failedIssuanceAttempts")),
        (&Value::Null, None, None)
    );
    assert_eq!((since(&fourth, "Ready"), &fourth["revision"]), (json!(later(10).to_string()), &json!(1)));
    assert_eq!(
        (&fourth["notBefore"], &fourth["notAfter"]),
        (&json!(NOW.to_string()), &json!(later(90 * 86_400).to_string()))
    );

    // A renewal: Ready stays true with its time, and the next certificate counts once.
    let renewal = CertificateVerdict { issuing: issuing(IssuingReason::Ordering), ..good() };
    let fifth = after(&renewal, &fourth, later(100));
    assert_eq!((condition(&fifth, "Ready"), &fifth["revision"]), (condition(&fourth, "Ready"), &json!(1)));
    let renewed = CertificateVerdict { validity: Some((later(100), later(200))), renewal: Some(later(170)), ..good() };
    let sixth = after(&renewed, &fifth, later(101));
    assert_eq!((&sixth["revision"], since(&sixth, "Ready")), (&json!(2), json!(later(10).to_string())));

    // An edit of the spec that the certificate serves: only the generation moves.
    let edited = CertificateVerdict { generation: 2, ..renewed };
    assert_eq!(condition(&after(&edited, &sixth, later(300)), "Ready")["observedGeneration"], 2);
    // The Secret becomes unreadable: the times go.
    let broken = CertificateVerdict { ready: ready(ReadyReason::InvalidKeyPair), ..bare() };
    let seventh = after(&broken, &sixth, later(400));
    assert_eq!((seventh.get("notAfter"), seventh.get("renewalTime"), &seventh["revision"]), (None, None, &json!(2)));
}

#[test]
fn an_hour_in_which_nothing_happens_writes_nothing() {
    let written = after(&good(), &Value::Null, NOW);
    for seconds in (0..3_600).step_by(60) {
        // The renewal information of the CA may move the time a little.
        let verdict = CertificateVerdict { renewal: Some(later(60 * 86_400 + seconds / 62)), ..good() };
        assert_eq!(verdict.next(&seen(&written), later(seconds)), None, "{seconds}");
    }
    let moved = CertificateVerdict { renewal: Some(later(60 * 86_400 - 60)), ..good() };
    assert_eq!(after(&moved, &written, NOW)["renewalTime"], later(60 * 86_400 - 60).to_string());
}

#[test]
fn what_others_wrote_stays_and_is_no_input() {
    let others = json!({
        "conditions": [
            {"type": "Issuing", "status": "True", "reason": "DoesNotExist", "message": "stale"},
            {"type": "Theirs", "status": "Unknown", "message": "x", "reason": ""},
            {"type": "Ready", "status": "Maybe"},
        ],
        "nextPrivateKeySecretName": "kube-system-token", "theirs": {"a": [1, "", null]}, "revision": -3, "notAfter": "soon",
    });
    let written = after(&good(), &others, NOW);
    assert_eq!(condition(&written, "Theirs"), &json!({"type": "Theirs", "status": "Unknown", "message": "x"}));
    assert_eq!(written["theirs"], json!({"a": [1, null]}), "no text is empty");
    assert_eq!((written.get("nextPrivateKeySecretName"), condition(&written, "Issuing")), (None, &Value::Null));
    assert_eq!((&written["revision"], written["conditions"].as_array().unwrap().len()), (&json!(1), 2));
    // The foreign Secret alone is a reason to write, and a wrong text.
    for (field, value) in [("nextPrivateKeySecretName", "x"), ("lastFailureTime", "soon"), ("notBefore", "")] {
        let mut dirty = written.clone();
        dirty[field] = json!(value);
        assert!(good().next(&seen(&dirty), NOW).is_some(), "{field}");
        assert_eq!(after(&good(), &dirty, NOW).get("nextPrivateKeySecretName"), None);
    }
    for odd in [
        json!(null),
        json!([]),
        json!("x"),
        json!({"conditions": 1}),
        json!({"conditions": [null, "x", {}]}),
        json!({"revision": i64::MAX}),
    ] {
        after(&good(), &odd, NOW);
    }
}

#[test]
fn only_a_certificate_that_was_stored_here_is_another_revision() {
    let theirs = json!({"revision": 4, "notBefore": NOW.to_string(), "notAfter": later(90 * 86_400).to_string()});
    assert_eq!(after(&good(), &theirs, NOW)["revision"], 4, "the same certificate");
    let held = CertificateVerdict { is_ours: false, validity: Some((NOW, later(5))), ..good() };
    assert_eq!(after(&held, &theirs, NOW)["revision"], 4, "somebody else stored another one");
    assert_eq!(after(&CertificateVerdict { is_ours: true, ..held.clone() }, &theirs, NOW)["revision"], 5);
    assert_eq!(after(&held, &Value::Null, NOW).get("revision"), None, "taken over after a restore");
}

#[test]
fn only_the_words_of_cmctl_ask_for_a_renewal() {
    let asked = |status: &str, reason: &str, time: &str| {
        let issuing = json!({"type": "Issuing", "status": status, "reason": reason, "lastTransitionTime": time});
        seen(&json!({"conditions": [issuing]})).status.renewal_asked()
    };
    let time = NOW.to_string();
    assert_eq!(asked("True", "ManuallyTriggered", &time), Some(NOW));
    for (status, reason, time) in [
        ("False", "ManuallyTriggered", &*time),
        ("Unknown", "ManuallyTriggered", &time),
        ("True", "Renewing", &time),
        ("True", "Ordering", &time),
        ("True", "ManuallyTriggered", "soon"),
    ] {
        assert_eq!(asked(status, reason, time), None, "{status} {reason} {time}");
    }
    assert_eq!(seen(&Value::Null).status.renewal_asked(), None);
}

#[test]
fn a_long_or_rude_message_is_one_bounded_line() {
    let message = format!("a\u{1b}[2Jb\nc {}", "ü".repeat(5_000));
    let rude =
        CertificateVerdict { issuing: Some(IssuingVerdict { reason: IssuingReason::Failed, message }), ..good() };
    let written = after(&rude, &Value::Null, NOW);
    let message = condition(&written, "Issuing")["message"].as_str().unwrap();
    assert!(message.starts_with("a [2Jb c ü") && message.chars().count() == 1_000, "{message}");
}

#[test]
fn the_last_writer_of_ready_is_read_from_the_managed_fields() {
    const READY: &str = r#"k:{"type":"Ready"}"#;
    let entry = |manager: &str, time: &str, conditions: Value| json!({"manager": manager, "time": time, "fieldsV1": {"f:status": {"f:conditions": conditions}}});
    let ready = || json!({".": {}, READY: {"f:message": {}}});
    let issuing = || json!({r#"k:{"type":"Issuing"}"#: {"f:message": {}}});
    let theirs = |time| entry("cert-manager-certificates-readiness", time, ready());
    for (fields, by) in [
        (
            json!([theirs("2026-01-02T00:00:00Z"), entry("notariat", "2026-01-01T00:00:00Z", ready())]),
            LastWriter::CertManager,
        ),
        (
            json!([theirs("2026-01-01T00:00:00Z"), entry("notariat", "2026-01-02T00:00:00Z", ready())]),
            LastWriter::Another,
        ),
        (
            json!([theirs("2026-01-01T00:00:00Z"), entry("notariat", "2026-01-02T00:00:00Z", issuing())]),
            LastWriter::CertManager,
        ),
        (json!([entry("cert-manager-certificates-trigger", "2026-01-02T00:00:00Z", issuing())]), LastWriter::Another),
        (
            json!([entry("cert-manager-certificates-issuing", "2026-01-02T00:00:00Z", json!({}))]),
            LastWriter::CertManager,
        ),
        (json!([entry("kubectl-edit", "2026-01-02T00:00:00Z", ready())]), LastWriter::Another),
        (
            json!([{"manager": "cert-manager-certificates-readiness", "fieldsV1": {"f:metadata": {}}}]),
            LastWriter::Another,
        ),
        (json!([1, null, {"fieldsV1": "x"}]), LastWriter::Another),
        (Value::Null, LastWriter::Another),
    ] {
        let mut object = object(1, &Value::Null);
        object["metadata"]["managedFields"] = fields.clone();
        assert_eq!(SeenResource::read(&object).unwrap().ready_by, by, "{fields}");
    }
    assert!(SeenResource::read(&json!({"metadata": {"uid": "", "resourceVersion": "1"}})).is_none());
}

#[test]
fn an_issuer_says_whether_it_has_its_account_and_keeps_that_of_cert_manager() {
    let before = json!({"acme": {"uri": "https://ca.test/acct/1", "lastRegisteredEmail": "a@a.test"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "ACMEAccountRegistered", "message": "theirs", "lastTransitionTime": NOW.to_string()}]});
    let verdict = |reason| IssuerVerdict { generation: 1, reason, message: "m".to_owned(), account: None };
    let write = |reason, before: &Value, now| verdict(reason).next(&seen(before), now).map(|status| status.to_json());
    let good = write(IssuerReason::AccountRegistered, &before, later(5)).unwrap();
    assert_eq!(
        (&good["acme"], &condition(&good, "Ready")["lastTransitionTime"]),
        (&before["acme"], &json!(NOW.to_string()))
    );
    assert_eq!(write(IssuerReason::AccountRegistered, &good, later(9)), None);
    for (reason, word) in [
        (IssuerReason::RegistrationFailed, "ErrRegisterACMEAccount"),
        (IssuerReason::AccountUnusable, "ErrVerifyACMEAccount"),
        (IssuerReason::InvalidConfig, "InvalidConfig"),
        (IssuerReason::InvalidSolver, "InvalidSolver"),
    ] {
        let bad = write(reason, &good, later(9)).unwrap();
        let ready = condition(&bad, "Ready");
        assert_eq!(
            (&ready["status"], &ready["reason"], &ready["lastTransitionTime"]),
            (&json!("False"), &json!(word), &json!(later(9).to_string()))
        );
    }
}

/// The readings of other tools for each state. `kubectl wait` and Argo CD look at the conditions, kstatus at the object.
#[test]
fn each_reader_understands_what_is_written() {
    use ArgoHealth::{Degraded, Healthy, Progressing};
    use Kstatus::{Current, InProgress};
    let refused = |verdict: CertificateVerdict, reason| CertificateVerdict { issuing: issuing(reason), ..verdict };
    for (name, verdict, waited, flux, argo) in [
        ("no Secret yet", bare(), false, InProgress, Degraded),
        ("first order", refused(bare(), IssuingReason::Ordering), false, InProgress, Progressing),
        ("first order failed", refused(bare(), IssuingReason::Failed), false, InProgress, Degraded),
        ("refused", refused(bare(), IssuingReason::Refused), false, InProgress, Degraded),
        ("good", good(), true, Current, Healthy),
        ("renewal", refused(good(), IssuingReason::Ordering), true, Current, Progressing),
        ("renewal failed", refused(good(), IssuingReason::Failed), true, Current, Healthy),
        ("capped", refused(good(), IssuingReason::Capped), true, Current, Healthy),
        ("of a foreign issuer", refused(good(), IssuingReason::Unsupported), true, Current, Healthy),
        ("expired", CertificateVerdict { ready: ready(ReadyReason::Expired), ..good() }, false, InProgress, Degraded),
    ] {
        let object = object(1, &after(&verdict, &Value::Null, NOW));
        assert_eq!((wait(&object), kstatus(&object), argo_cd(&object)), (waited, flux, argo), "{name}: {object}");
        // After an edit nobody takes the conditions of the generation before for those of this one.
        let mut edited = object.clone();
        edited["metadata"]["generation"] = json!(2);
        assert!(!wait(&edited), "{name}");
    }
    assert_eq!(kstatus(&object(1, &Value::Null)), Current, "why Ready=False is written at first sight");
}

#[test]
fn what_is_kept_of_a_status_is_small() {
    let failed = CertificateVerdict { issuing: issuing(IssuingReason::Failed), failure: Some((NOW, 3)), ..good() };
    let seen = seen(&after(&failed, &Value::Null, NOW));
    let texts = |condition: &Option<Box<Condition>>| {
        condition.as_ref().map_or(0, |condition| size_of::<Condition>() + condition.message.len())
    };
    let status = &seen.status;
    let octets = size_of::<SeenResource>() + texts(&status.ready) + texts(&status.issuing) + 36 + 10;
    assert!(octets < 640 && status.others().is_empty(), "{octets}");
}
