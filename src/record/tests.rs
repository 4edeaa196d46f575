use std::time::Duration;

use super::*;
use crate::base::name::DnsName;
use crate::config::ZoneRule;
use crate::config::dns::Transport;
use crate::config::entry::Entry;
use crate::config::issuers::Issuer;
use crate::config::namespaces::Namespaces;
use crate::config::node;
use crate::dns::update::TxtValue;
use crate::policy::backoff::Stage;

const NOW: Time = Time::from_unix(1_800_000_000);

fn entry() -> (Entry, Vec<ZoneRule>) {
    let entry = "{secret: web, domains: [a.test], dns: {ttl: 5}, renewBefore: 20d}";
    let zones = "[{zone: a.test, server: 192.0.2.1, tsigSecretName: k}]";
    let zones = crate::config::zones_of(&node::read(zones).unwrap(), &"team".into()).unwrap();
    (Entry::read(&node::read(entry).unwrap(), &"team".into()).unwrap(), zones)
}

fn published() -> Presented {
    Presented::Dns01(PresentedTxt {
        zone: DnsName::parse("a.test").unwrap(),
        server: "ns1".into(),
        address: "127.0.0.1:53".parse().unwrap(),
        key: ObjectRef::parse("team/k", "").unwrap().into(),
        transport: Transport::Tcp,
        values: vec![TxtValue { owner: DnsName::parse("x.a.test").unwrap(), value: "v".into() }],
    })
}

fn full() -> Record {
    let (entry, zones) = entry();
    let names = vec![Domain::parse("a.test").unwrap()];
    let mut body = RecordData {
        accepted: Some(Box::new(Accepted::new(&entry, &zones, None, "ConfigMap a/b"))),
        restores: vec![NOW],
        ..RecordData::default()
    };
    body.stored = Some(Issued {
        serial: "00ab".into(),
        at: NOW,
        directory: "https://ca/dir".into(),
        key_type: "ecdsa-p256".into(),
        profile: Some("short".into()),
        account: Some("https://ca/acct/1".into()),
        cert_id: Some("a.b".into()),
        renewal_mark: None,
    });
    let history = body.history_mut(&names, "https://ca/dir", NOW);
    (history.failures, history.stage, history.error) = (2, Some(Stage::Validation), Some("no".into()));
    (history.next_attempt, history.orders, history.inputs) = (Some(NOW), vec![NOW], "abc".into());
    body.in_flight = Some(Box::new(PendingOrder {
        holder: "host/1".into(),
        at: NOW,
        directory: "https://ca/dir".into(),
        names,
        key_type: "ecdsa-p256".into(),
        profile: None,
        account: Some("https://ca/acct/1".to_owned()),
        order: Some("https://ca/order/1".into()),
        counted: true,
        published: vec![published()],
    }));
    body.leftovers = vec![LeftBehind { since: NOW, published: published() }];
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    Record {
        body,
        copy: Some(PairBackup { chain: b"chain".to_vec(), key: Some(secret("S1")) }),
        next_key: Some(secret("S2")),
    }
}

fn stored(record: &mut Record) -> SecretObject {
    let mut secret = SecretObject::new(ObjectRef::parse("team/r", "").unwrap(), TYPE);
    secret.data = record.data(NOW);
    secret
}

#[test]
fn a_record_reads_back_and_its_json_holds_no_secret() {
    let mut record = full();
    let secret = stored(&mut record);
    let again = Record::read(Some(&secret)).unwrap();
    assert_eq!(again.body, record.body);
    assert_eq!(again.copy.as_ref().unwrap().key.as_ref().unwrap().expose(), b"S1");
    assert_eq!(again.next_key.as_ref().unwrap().expose(), b"S2");
    let (entry, zones) = entry();
    assert_eq!(
        again.body.accepted.unwrap().read(&Namespaces::new("elsewhere", &["team".to_owned()])),
        Some(AcceptedSpec { entry, zones, issuer: None })
    );
    let json = String::from_utf8(secret.data[DATA_RECORD].expose().clone()).unwrap();
    assert!(json.starts_with("{\"version\":1,") && !json.contains("S1") && !json.contains("S2"), "{json}");
}

#[test]
fn the_way_that_an_ingress_asks_for_is_part_of_the_accepted_form() {
    let (entry, zones) = entry();
    let asked = Entry { http_without_key: true, ..entry.clone() };
    let forms = [&entry, &asked].map(|entry| Accepted::new(entry, &zones, None, "Ingress team/i"));
    let prints = [&entry, &asked].map(|entry| SharedPrints::of(&zones).fingerprint(entry, ""));
    assert_eq!(forms.each_ref().map(Accepted::fingerprint), prints);
    assert_ne!(prints[0], prints[1], "another way is another certificate to order");
    for (form, entry) in forms.iter().zip([entry, asked]) {
        let json = serde_json::to_string(form).unwrap();
        let again: Accepted = serde_json::from_str(&json).unwrap();
        assert_eq!(json.contains("httpWithoutKey"), entry.http_without_key, "{json}");
        assert_eq!(again.read(&Namespaces::new("elsewhere", &["team".to_owned()])).unwrap().entry, entry);
    }
}

#[test]
fn a_request_stands_beside_the_record_and_not_in_it() {
    let mut secret = stored(&mut full());
    for (annotation, asked) in [(None, None), (Some(""), None), (Some("now"), Some("now"))] {
        secret.annotations = annotation.map(|value| (RENEW.to_owned(), value.to_owned())).into_iter().collect();
        let mut record = Record::read(Some(&secret)).unwrap();
        assert_eq!(record.body.asked.as_deref(), asked);
        assert_eq!(record.data(NOW)[DATA_RECORD].expose(), secret.data[DATA_RECORD].expose());
    }
}

#[test]
fn a_known_secret_is_no_part_of_a_record() {
    let secret = Secret::known("a token", "only \"in\" record/tests.rs \\".to_owned());
    let mut record = Record::default();
    let names = [Domain::parse("a.test").unwrap()];
    record.body.history_mut(&names, "https://ca.test/dir", Time::from_unix(1_800_000_000)).error =
        Some(format!("it said {}", secret.expose()));
    let data = record.data(Time::from_unix(1_800_000_000));
    let json: serde_json::Value = serde_json::from_slice(data[DATA_RECORD].expose()).unwrap();
    assert_eq!(json["histories"][0]["error"], "it said (secret: a token)");
}

#[test]
fn what_does_not_read_is_an_error_and_never_an_empty_record() {
    assert_eq!(Record::read(None).unwrap().body, RecordData::default());
    let with = |kind: &str, json: &str| {
        let mut secret = SecretObject::new(ObjectRef::parse("team/r", "").unwrap(), kind);
        secret.data.insert(DATA_RECORD.to_owned(), Secret::new(json.as_bytes().to_vec()));
        Record::read(Some(&secret)).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(TYPE, "{\"version\":2,\"new\":{}}"), UnusableRecord::Newer(2));
    assert_eq!(
        UnusableRecord::Newer(2).to_string(),
        "is of version 2, written by a newer notariat; this one leaves it alone"
    );
    assert!(
        UnusableRecord::Broken("x".to_owned())
            .to_string()
            .starts_with("does not read (x); nothing is ordered without it")
    );
    for (kind, json) in [
        ("Opaque", "{\"version\":1}"),
        (TYPE, ""),
        (TYPE, "{}"),
        (TYPE, "{\"version\":1,\"histories\":7}"),
        (TYPE, "{\"version\":1,\"restores\":[\"yesterday\"]}"),
        (TYPE, "not json"),
    ] {
        assert!(matches!(with(kind, json), UnusableRecord::Broken(_)), "{json}");
    }
    let long = serde_json::to_string(&full().body)
        .unwrap()
        .replace("\"value\":\"v\"", &format!("\"value\":\"{}\"", "v".repeat(256)));
    assert!(
        matches!(with(TYPE, &long), UnusableRecord::Broken(e) if e.contains("another form") && e.contains("line 1")),
        "a value that no TXT can hold"
    );
}

#[test]
fn a_record_stays_small_and_forgets_no_order_of_the_last_week() {
    let mut record = full();
    let day = |n: u64| NOW - std::time::Duration::from_secs(86_400 * n);
    for i in 0..40 {
        let names = [Domain::parse(&format!("n{i}.test")).unwrap()];
        record.body.history_mut(&names, "d", day(i)).orders = if i == 39 { vec![day(8), day(6)] } else { vec![] };
    }
    record.body.leftovers = vec![record.body.leftovers[0].clone(); 100];
    let _ = record.data(NOW);
    assert_eq!((record.body.histories.len(), record.body.leftovers.len()), (HISTORIES_MAX, LEFTOVERS_MAX));
    let with_orders: Vec<&History> = record.body.histories.iter().filter(|h| !h.orders.is_empty()).collect();
    assert_eq!(with_orders.len(), 2, "the oldest history has an order that still counts");
    assert!(with_orders.iter().any(|h| h.orders == [day(6)]));
}

#[test]
fn records_have_predictable_names() {
    let of = |ns: &str, name: &str| reference(&ObjectRef::new(ns, name), "own");
    assert_eq!(of("team", "web").to_string(), "own/notariat-record.team.web");
    let long = of(&"n".repeat(63), &"s".repeat(253));
    assert_eq!(long.name.len(), "notariat-record.".len() + 32);
    assert_ne!(fingerprint(&["a b", "c"]), fingerprint(&["a", "b c"]));
}

/// The names of Secrets have dots: no Secret of home has the record of one elsewhere.
#[test]
fn the_records_of_other_clusters_are_at_home_under_names_of_their_own() {
    let at = |text: &str| text.parse::<ObjectRef>().unwrap();
    let all = ["edge:team/web", "edge/team.web", "team/web", "moon:team/web", "a-b:c/d.e", "a:b-c/d.e"];
    let names: Vec<String> = all.iter().map(|text| reference(&at(text), "own").to_string()).collect();
    assert_eq!(names[0], "own/notariat-record-edge.team.web");
    assert_eq!(names[1], "own/notariat-record.edge.team.web");
    for (text, name) in all.iter().zip(&names) {
        assert!(is_one(&at(name)), "{name}");
        assert_eq!(subject(&at(name)), Some(at(text)), "{name}");
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
    let long = reference(&at(&format!("edge:{}/{}", "n".repeat(63), "s".repeat(253))), "own");
    assert!(long.name.len() < 253 && subject(&long).is_none() && is_one(&long), "{long}");
    assert!(!is_one(&at("edge:own/notariat-record.team.web")), "no record is elsewhere");
}

#[test]
fn the_accepted_form_changes_with_what_is_wanted() {
    let (mut entry, zones) = entry();
    let first = Accepted::new(&entry, &zones, None, "ConfigMap a/b").fingerprint();
    assert_eq!(first, Accepted::new(&entry, &zones, None, "ConfigMap a/b").fingerprint());
    assert_ne!(first, Accepted::new(&entry, &[], None, "ConfigMap a/b").fingerprint());
    entry.reuse_key = true;
    assert_ne!(first, Accepted::new(&entry, &zones, None, "ConfigMap a/b").fingerprint());
}

#[test]
fn slim_records_hold_in_common_what_is_the_same() {
    let facts = CertificateFacts::example(&[], NOW, NOW);
    let (serial, cert_id) = (SharedStr::new("00ab"), Some(SharedStr::new("a.b")));
    let facts = CertificateFacts { serial, cert_id, ..facts };
    let slim = |facts: &CertificateFacts| {
        let mut body = full().body;
        body.compact(Some(facts), NOW);
        assert_eq!(body, full().body, "it says the same");
        body.stored.unwrap()
    };
    let same = |one: &SharedStr, other: &SharedStr| std::ptr::eq(one.as_str(), other.as_str());
    let (one, other) = (slim(&facts), slim(&CertificateFacts { serial: "01".into(), ..facts.clone() }));
    assert!(same(&one.directory, &other.directory) && same(&one.serial, &facts.serial));
    assert!(!same(&other.serial, &facts.serial), "of another certificate");
}

#[test]
fn slim_records_forget_what_succeeded_and_counts_no_more() {
    let history = |last: Time| History {
        last_attempt: last,
        failures: 0,
        next_attempt: None,
        ..full().body.histories[0].clone()
    };
    let kept = |history: History| {
        let mut body = RecordData { histories: vec![history], ..RecordData::default() };
        body.compact(None, NOW);
        !body.histories.is_empty()
    };
    let week_ago = NOW - CAP_WINDOW;
    assert!(!kept(history(week_ago)));
    assert!(kept(history(week_ago + Duration::from_secs(1))), "its order may count");
    assert!(kept(History { failures: 1, ..history(week_ago) }), "it failed and was not tried since");
    assert!(kept(History { next_attempt: Some(NOW), ..history(week_ago) }));
}

#[test]
fn an_order_is_counted_once_and_its_count_can_be_taken_back() {
    let mut body = full().body;
    let orders = |body: &RecordData| body.histories[0].orders.clone();
    let later = NOW + std::time::Duration::from_secs(60);
    body.in_flight.as_mut().unwrap().counted = false;
    body.count_order(later);
    body.count_order(later);
    assert_eq!(orders(&body), [NOW, later]);
    body.uncount_order(later);
    body.uncount_order(later);
    assert_eq!(orders(&body), [NOW], "an order before it stays counted");
    body.in_flight = None;
    body.count_order(later);
    assert_eq!(orders(&body), [NOW]);
}

/// The JSON that notariat wrote before there were kinds of presented values.
#[test]
fn presented_values_of_older_records_read_and_are_written_the_same() {
    let json = r#"{"zone":"a.test","server":"ns1","address":"127.0.0.1:53","key":"team/k","transport":"tcp","values":[{"owner":"x.a.test","value":"v"}]}"#;
    let read: Presented = serde_json::from_str(json).unwrap();
    assert_eq!(read, published());
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

#[test]
fn the_orders_of_a_namespace_are_kept_for_a_week_and_outlive_the_entry() {
    let mut record = full();
    let day = CAP_WINDOW / 7;
    for days in [9, 7, 6, 1] {
        record.body.count_for_namespace("team", NOW - day * days);
    }
    let json = |record: &mut Record, now| {
        let data = record.data(now);
        serde_json::from_slice::<RecordData>(data[DATA_RECORD].expose()).unwrap().namespace_orders
    };
    let kept = json(&mut record, NOW).unwrap();
    assert_eq!((&*kept.namespace, kept.at.as_slice()), ("team", &[NOW - day * 6, NOW - day][..]));
    assert_eq!(json(&mut record, NOW + CAP_WINDOW), None);
    (0..2 * NAMESPACE_ORDERS_KEPT_MAX).for_each(|_| record.body.count_for_namespace("team", NOW));
    assert_eq!(json(&mut record, NOW).unwrap().at.len(), NAMESPACE_ORDERS_KEPT_MAX);
}

#[test]
fn an_order_is_a_first_one_unless_it_is_pending_or_a_retry() {
    let (names, other) = ([Domain::parse("n.test").unwrap()], [Domain::parse("o.test").unwrap()]);
    let (ca, way) = ("https://ca.test/dir", ("ecdsa-p256", None));
    let mut body = RecordData::default();
    assert!(body.is_first(&names, ca, way));
    body.history_mut(&names, ca, NOW).orders.push(NOW);
    assert!(body.is_first(&names, ca, way), "another one after a success");
    body.history_mut(&names, ca, NOW).failures = 1;
    assert!(!body.is_first(&names, ca, way) && body.is_first(&other, ca, way));
    assert!(body.is_first(&names, "https://other.test/dir", way));
    let pending = Some(Box::new(PendingOrder::new("", NOW, &names, ca, way)));
    let body = RecordData { in_flight: pending, ..RecordData::default() };
    assert!(!body.is_first(&names, ca, way) && body.is_first(&other, ca, way));
    assert!(body.is_first(&names, ca, ("ecdsa-p384", None)));
}

/// The certificate of a CSR.
#[test]
fn a_copy_without_a_key_reads_back_and_compromised_keys_are_remembered() {
    let mut record = full();
    record.copy.as_mut().unwrap().key = None;
    record.next_key = None;
    (0..=COMPROMISED_KEPT_MAX as u8).chain([1, 2]).for_each(|n| record.body.add_compromised(&[n; 32]));
    let secret = stored(&mut record);
    assert_eq!(secret.data.keys().collect::<Vec<_>>(), [DATA_RECORD, DATA_CHAIN], "no key");
    let again = Record::read(Some(&secret)).unwrap();
    let copy = again.copy.unwrap();
    assert!(copy.chain == b"chain" && copy.key.is_none());
    let known = (0..=COMPROMISED_KEPT_MAX as u8).filter(|n| again.body.is_compromised(&[*n; 32]));
    assert!(known.eq(1..=COMPROMISED_KEPT_MAX as u8), "the oldest is forgotten, and each is kept once");
}

#[test]
fn an_entry_with_a_csr_is_accepted_in_the_form_of_the_configuration() {
    let pem = std::fs::read_to_string("tests/vectors/csr/p256.pem").unwrap().replace('\n', "\\n");
    let namespaces = Namespaces::from("team");
    let yaml = format!("{{secret: web, csr: \"{pem}\"}}");
    let entry = Entry::read(&crate::config::node::read(&yaml).unwrap(), &namespaces).unwrap();
    let accepted = Accepted::new(&entry, &[], None, "ConfigMap a/b");
    let json = serde_json::to_string(&accepted).unwrap();
    assert!(!json.contains("keyType") && !json.contains("reuseKey"), "{json}");
    let again: Accepted = serde_json::from_str(&json).unwrap();
    assert_eq!(again.read(&namespaces).unwrap().entry, entry);
    assert_eq!(accepted.fingerprint(), SharedPrints::of(&[]).fingerprint(&entry, ""));
}

#[test]
fn what_an_object_says_of_its_issuer_is_kept_in_words_that_read_back() {
    let namespaces = Namespaces::new("team", &[]).with_inputs("cert-manager");
    let entry = "{secret: web, domains: [www.a.test], issuer: ClusterIssuer/le, keepKeyType: true, reuseKey: true}";
    let entry = Entry::read(&node::read(entry).unwrap(), &namespaces).unwrap();
    let zones = "[{zone: www.a.test, server: 192.0.2.1, tsigSecretName: cert-manager/tsig, findZone: true, challenge: dns-01, \
                 tsigKey: {secretKey: secret, name: k.test, algorithm: hmac-sha512}}]";
    let zones = crate::config::zones_of(&node::read(zones).unwrap(), &namespaces).unwrap();
    let issuer = "{directory: 'https://ca.test/dir', accountSecretName: cert-manager/account, accountSecretKey: tls.key, accountSecretOptional: true, \
                  eabSecretName: cert-manager/eab, eabKeyId: kid, eabSecretKey: mac}";
    let issuer = Issuer::read("ClusterIssuer/le", &node::read(issuer).unwrap(), &namespaces).unwrap();
    let accepted = Accepted::new(&entry, &zones, Some(&issuer), "Certificate team/web");
    let text = serde_json::to_string(&accepted).unwrap();
    let read: Accepted = serde_json::from_str(&text).unwrap();
    assert_eq!(read.read(&namespaces), Some(AcceptedSpec { entry, zones, issuer: Some(issuer) }), "{text}");
    // The namespace of the inputs is not one whose Secrets may be written.
    assert!(namespaces.check(&ObjectRef::new("cert-manager", "x")).is_err());
    assert_eq!(read.read(&"team".into()), None);
}
