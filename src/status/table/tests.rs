use super::*;
use crate::base::name::Domain;
use crate::policy::backoff::Stage;
use crate::policy::renewal::RenewalCause;
use crate::status::certificate::{Failure, Subject, Validity};
use crate::status::report::Progress;
use crate::status::state::RenewalTrigger;

const NOW: Time = Time::from_unix(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn row(secret: &str, names: &[&str]) -> CertificateStatus {
    let names = names.iter().map(|name| Domain::parse(name).unwrap()).collect();
    let subject = Subject::Orphaned(Box::new((ObjectRef::parse(secret, "team").unwrap(), names)));
    CertificateStatus {
        issuer: Some("R11".into()),
        held: ends(NOW + DAY * 63),
        renewal: Some((NOW + DAY * 33, RenewalTrigger::Due(RenewalCause::Window))),
        ..CertificateStatus::empty(subject, CertificateState::Valid, "https://ca.test/dir")
    }
}

fn ends(ends: Time) -> Box<[Option<Validity>]> {
    [Some(Validity { begins: NOW - DAY, ends })].into()
}

fn failing(secret: &str, error: &str) -> CertificateStatus {
    failing_for(secret, error, &["shop.example.com", "www.shop.example.com"])
}

fn failing_for(secret: &str, error: &str, names: &[&str]) -> CertificateStatus {
    CertificateStatus {
        state: CertificateState::BackingOff,
        finding: Some("RenewalDue (its certificate was due)".into()),
        failure: Some(Box::new(Failure {
            stage: Some(Stage::Validation),
            error: error.to_owned(),
            failures: 3,
            at: NOW - Duration::from_secs(600),
        })),
        held: ends(NOW + DAY * 5),
        renewal: Some((NOW - DAY, RenewalTrigger::Due(RenewalCause::Lifetime))),
        next_attempt: Some(NOW + Duration::from_secs(5_400)),
        attempts_left: Some(17),
        challenges: &[crate::base::challenge_type::ChallengeType::Dns01],
        ..row(secret, names)
    }
}

fn report(mut rows: Vec<CertificateStatus>) -> StatusReport {
    rows.sort_by_cached_key(CertificateStatus::urgency);
    StatusReport { rows: rows.into_iter().map(Into::into).collect(), notes: Vec::new(), progress: None }
}

fn shown(report: &StatusReport, width: Option<usize>) -> String {
    table(report, TableStyle { width, wide: false, colour: false, own: "team" }, NOW)
}

fn wide(report: &StatusReport) -> String {
    table(report, TableStyle { width: None, wide: true, colour: false, own: "team" }, NOW)
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn without_certificates_there_is_only_the_sum() {
    assert_eq!(shown(&report(Vec::new()), Some(80)), "0 certificates\n");
}

#[test]
fn the_most_urgent_stands_first_and_says_what_is_wrong_below() {
    let expired = CertificateStatus {
        state: CertificateState::Waiting,
        held: ends(NOW - DAY),
        renewal: None,
        ..row("gone", &["a.test"])
    };
    let all = report(vec![row("web", &["example.com", "*.example.com"]), failing("shop", "no TXT record"), expired]);
    assert_eq!(
        shown(&all, Some(80)),
        "\
SECRET  STATE       EXPIRES  RENEWS        ISSUER  NAMES
gone    Waiting     expired  -             R11     a.test
shop    BackingOff  5d       now lifetime  R11     shop.example.com +1
  next in 90m (17 left before it expires): validation: no TXT record
web     Valid       63d      33d window    R11     *.example.com +1
3 certificates: 1 Valid, 1 Waiting, 1 BackingOff
"
        .replace("*.example.com +1", "example.com +1")
    );
    assert_eq!(
        wide(&all).lines().nth(2).unwrap(),
        "shop    BackingOff  5d       now lifetime  R11     shop.example.com,www.shop.example.com  dns-01     90m   17    validation: no TXT record"
    );
}

#[test]
fn a_line_fits_the_terminal_the_cause_stands_whole_and_the_secret_gives_way_last() {
    let long = "x".repeat(63);
    let name = format!("{long}.{long}.example.com");
    let error = "the CA says: ".to_owned() + &"no ".repeat(300) + "cure";
    for (secret, is_whole) in [
        ("s", true),
        ("a-secret-with-a-name-of-40-characters-xyz", false),
        ("other-team/a-secret", true),
        (&long, false),
    ] {
        let issuer = Some("An Issuer With a Long Name".into());
        let all = report(vec![CertificateStatus { issuer, ..failing_for(secret, &error, &[&name]) }]);
        let text = shown(&all, Some(80));
        assert!(widest(&text) <= 80, "{text}");
        assert_eq!(text.contains(secret), is_whole, "{text}");
        assert!(text.contains("BackingOff  5d") && text.contains("next in 90m (17 left"), "{text}");
        assert!(text.matches("no ").count() + text.matches("no\n").count() >= 300 && text.contains("cure\n"), "{text}");
        // In a pipe and in the ConfigMap every line is as long as it is.
        let piped = shown(&all, None);
        assert!(
            piped.contains(secret) && piped.contains(&name) && piped.contains(&error.replace("  ", " ")),
            "{piped}"
        );
        assert_eq!(piped.lines().count(), 4, "{piped}");
    }
    // The names and the issuer have given all that they can, and the Secret is whole.
    let all = report(vec![CertificateStatus {
        issuer: Some("An Issuer With a Long Name".into()),
        ..failing_for("a-secret-of-24-chars-abc", "no", &[&name])
    }]);
    assert!(shown(&all, Some(80)).contains("a-secret-of-24-chars-abc  BackingOff"), "{}", shown(&all, Some(80)));
    assert!(widest(&wide(&all)) > 200, "wide is as wide as it is");
}

#[test]
fn rows_keep_their_columns_at_every_width() {
    let all = report(vec![
        failing_for("a-secret-with-a-name-of-40-characters-xyz", "it does not work", &["a.test"]),
        row("web", &["www.a-name-of-some-length.example.com", "b.test"]),
    ]);
    for (width, columns) in [(200, 6), (100, 6), (80, 6), (60, 5), (50, 4), (40, 3), (30, 2), (10, 2)] {
        let text = shown(&all, Some(width));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].split_whitespace().count(), columns, "{width}:\n{text}");
        let state = lines[0].find("STATE").unwrap();
        let at = |line: &str| line.chars().skip(state).take(5).collect::<String>();
        let of_web = lines.iter().find(|line| line.starts_with("web ")).unwrap();
        assert_eq!((at(lines[1]), at(of_web)), ("Backi".to_owned(), "Valid".to_owned()), "{width}:\n{text}");
        assert!(widest(&text) <= width.max(24), "{width}:\n{text}");
    }
}

#[test]
fn what_fits_exactly_is_not_cut() {
    let fixed = "  Valid  63d      33d window  R11     ".len();
    for (room, is_cut) in [(0, false), (1, true)] {
        let name = format!("{}.test", "n".repeat(80 - fixed - "secret".len() - ".test".len() + room));
        let text = shown(&report(vec![row("secret", &[&name])]), Some(80));
        assert_eq!((widest(&text), text.contains('…')), (80, is_cut), "{text}");
    }
}

#[test]
fn five_hundred_rows_of_which_one_fails_and_one_is_expired() {
    let mut rows: Vec<CertificateStatus> =
        (0..498).map(|n| row(&format!("web-{n}"), &[&format!("w{n}.example.com")])).collect();
    rows.push(failing("shop", "no"));
    rows.push(CertificateStatus { held: ends(NOW - DAY), ..failing("old", "no") });
    let text = shown(&report(rows), Some(80));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 500 + 2 + 1);
    assert!(lines[1].starts_with("old ") && lines[3].starts_with("shop ") && lines[5].starts_with("web-0 "));
    assert_eq!(lines[503], "500 certificates: 498 Valid, 2 BackingOff");
    assert!(widest(&text) <= 80);
}

#[test]
fn a_first_issuance_says_how_far_it_is() {
    let progress = Progress { stored: 120, total: 400, until: Some(NOW + Duration::from_secs(3 * 3600)) };
    let with =
        |progress| shown(&StatusReport { progress: Some(progress), ..report(vec![row("a", &["a.test"])]) }, Some(80));
    assert!(with(progress).ends_with("1 certificate: 1 Valid; stored 120 of 400, about 3h left\n"));
    assert!(with(Progress { until: None, ..progress }).ends_with("; stored 120 of 400\n"));
}

#[test]
fn what_concerns_no_row_stands_below() {
    let notes = vec![
        (NoteKind::Refused, format!("ConfigMap team/c: certificates entry 1 (team/a): {}", "long ".repeat(30))),
        (NoteKind::Unreadable, "ConfigMap team/d: it does not exist".to_owned()),
    ];
    let all = StatusReport { notes, ..report(vec![row("a", &["a.test"])]) };
    let text = shown(&all, Some(80));
    assert!(text.contains("\nunreadable: ConfigMap team/d: it does not exist\n"), "{text}");
    assert!(text.ends_with("1 certificate: 1 Valid, 1 entry refused, 1 ConfigMap unreadable\n"), "{text}");
    assert!(widest(&text) <= 80 && !text.contains('\u{2026}'), "{text}");
    let piped = shown(&all, None);
    assert!(piped.contains("long long long long long"), "{piped}");
    let twice = StatusReport { notes: [all.notes.clone(), all.notes.clone()].concat(), ..all };
    assert!(shown(&twice, None).ends_with("2 entries refused, 2 ConfigMaps unreadable\n"));
}

#[test]
fn colours_are_around_the_state_and_change_no_column() {
    let all = report(vec![row("web", &["a.test"]), failing("shop", "no")]);
    let coloured = table(&all, TableStyle { width: Some(80), wide: false, colour: true, own: "team" }, NOW);
    assert!(coloured.contains("\x1b[32mValid\x1b[0m       63d") && coloured.contains("\x1b[33mBackingOff\x1b[0m  5d"));
    let plain = ["\x1b[32m", "\x1b[33m", "\x1b[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(plain, shown(&all, Some(80)));
    let dead = report(vec![CertificateStatus { held: [None].into(), ..failing("shop", "no") }]);
    assert!(
        table(&dead, TableStyle { width: Some(80), wide: false, colour: true, own: "team" }, NOW)
            .contains("\x1b[31mBackingOff")
    );
}

#[test]
fn json_has_every_field_and_whole_names() {
    let text = crate::status::json::json(&report(vec![failing("shop", "no TXT"), row("web", &["a.test"])]), NOW);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = &value["certificates"][0];
    assert_eq!(first["secret"], "team/shop");
    assert_eq!(first["names"][1], "www.shop.example.com");
    assert_eq!(first["lastError"]["stage"], "validation");
    assert_eq!((&first["state"], &first["attemptsLeft"]), (&"BackingOff".into(), &17.into()));
    assert_eq!((&first["expires"], &first["renewsBecause"]), (&"2027-01-20T08:00:00Z".into(), &"lifetime".into()));
    assert_eq!((&value["states"]["Valid"], &value["time"]), (&1.into(), &"2027-01-15T08:00:00Z".into()));
    assert!(value["certificates"][1]["lastError"].is_null() && value["progress"].is_null());
}

#[test]
fn the_object_stands_behind_the_names_where_an_object_wants_any() {
    let key = |kind: &'static str, namespace: &str, name: &str| ObjectKey { kind, at: ObjectRef::new(namespace, name) };
    let of = |secret: &str, objects: Vec<ObjectKey>| CertificateStatus {
        objects: objects.into(),
        ..row(secret, &["a.test"])
    };
    let rows = || {
        vec![
            of("team/entry", vec![]),
            of("team/one", vec![key("Ingress", "team", "shop")]),
            of("team/two", vec![key("Gateway", "other", "edge"), key("Ingress", "team", "shop")]),
        ]
    };
    let cells = |text: &str| {
        text.lines().take(4).map(|line| line.split("  ").last().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    let expected = ["OBJECT", "-", "ingress/shop", "other/gateway/edge +1"];
    assert_eq!(cells(&shown(&report(rows()), Some(120))), expected);
    assert!(
        !shown(&report(vec![of("team/entry", vec![])]), Some(120)).contains("OBJECT"),
        "without objects nothing changes"
    );
    let json: serde_json::Value = serde_json::from_str(&super::super::json::json(&report(rows()), NOW)).unwrap();
    assert_eq!(json["certificates"][0]["objects"], serde_json::Value::Null);
    assert_eq!(
        json["certificates"][2]["objects"],
        serde_json::json!([{"kind": "Gateway", "namespace": "other", "name": "edge"}, {"kind": "Ingress", "namespace": "team", "name": "shop"}])
    );
}
