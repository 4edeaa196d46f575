use std::sync::Arc;

use super::*;
use crate::base::limits::PAGE_CERTIFICATES_MAX;
use crate::config::entry::Entry;
use crate::config::namespaces::Namespaces;
use crate::config::node;
use crate::policy::renewal::RenewalCause;
use crate::status::certificate::{Failure, Subject, Validity};
use crate::status::state::{Parked, RenewalTrigger};

const NOW: Time = Time::from_unix(1_800_000_000);

fn days(n: u32) -> std::time::Duration {
    std::time::Duration::from_secs(86_400) * n
}

fn subject(text: &str) -> Subject {
    let others: Vec<String> = (0..200).map(|n| format!("n{n}")).chain(["team".to_owned()]).collect();
    let namespaces = Namespaces::new("ns", &others);
    Subject::Wanted(Arc::new(Entry::read(&node::read(text).unwrap(), &namespaces).unwrap()))
}

fn certificate(secret: &str, state: CertificateState) -> Arc<CertificateStatus> {
    CertificateStatus::empty(subject(&format!("{{secret: {secret}, domains: [a.test]}}")), state, "").into()
}

/// The page for a query.
fn page(query: &str, leads: bool, snapshot: &Snapshot) -> String {
    let title = Title { namespace: "a<b".to_owned(), leads, now: NOW, query: query.to_owned() };
    let mut out = Vec::new();
    write(&mut out, &title, snapshot).unwrap();
    String::from_utf8(out).unwrap()
}

/// The Secrets in the order of the page.
fn shown(page: &str) -> Vec<&str> {
    page.split("<wbr>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect()
}

#[test]
fn a_certificate_is_a_row_with_a_line_from_issue_to_expiry() {
    let text = "{secret: 'web', domains: [a.test, b.test, c.test, d.test]}";
    let failure = Failure { stage: None, error: "<b>no</b>".to_owned(), failures: 3, at: NOW - days(1) };
    let certificate = CertificateStatus {
        held: [Some(Validity { begins: NOW - days(60), ends: NOW + days(40) })].into(),
        staging: true,
        issuer: Some("R<10".into()),
        renewal: Some((NOW - days(1), RenewalTrigger::Due(RenewalCause::Window))),
        window: Some((NOW - days(10), NOW)),
        failure: Some(Box::new(failure)),
        next_attempt: Some(NOW + days(1)),
        ..CertificateStatus::empty(subject(text), CertificateState::BackingOff, "https://ca.test:8443/dir")
    };
    let snapshot = Snapshot { certificates: vec![Arc::new(certificate)], ..Snapshot::default() };
    let found = page("", true, &snapshot);
    for part in [
        "<title>1 of 1 certificate to look at: notariat in a&lt;b</title>",
        "aria-current=\"true\">1 certificate</a>",
        "href=\"?state=BackingOff\">1 BackingOff</a>",
        "<span>ns/</span><wbr>web<td",
        "<b>BackingOff</b> <em>staging</em>",
        "R&lt;10<br><small>ca.test:8443</small>",
        "and 1 more",
        "<p>&lt;b&gt;no&lt;/b&gt; <small>failed attempts in a row: 3 · next attempt: 2027-01-16T08:00:00Z</small>",
        "in 40d <small>2027-02-24</small>",
        "class=\"renews\">due<",
        "class=\"past\" x=\"0.00\" width=\"60.00\"",
        "class=\"rest\" x=\"60.00\" width=\"40.00\"",
        "class=\"window\" x=\"50.00\" width=\"10.00\"",
        "class=\"renewal\" x=\"58.85\"",
        "class=\"now\" x=\"59.85\"",
    ] {
        assert!(found.contains(part), "{part} in {found}");
    }
    assert!(!page("", false, &snapshot).contains("<wbr>web"), "a standby does not know what the other one does");
}

#[test]
fn what_fails_comes_first_and_is_counted_first() {
    use CertificateState::{Issuing, RateLimited, Refused, Valid, Waiting};
    let all = [("well", Valid), ("busy", Issuing), ("slow", RateLimited), ("no", Refused), ("parked", Waiting)];
    let mut certificates: Vec<_> = all.map(|(secret, state)| certificate(secret, state)).into();
    certificates.push(Arc::new(CertificateStatus {
        held: [Some(Validity { begins: NOW - days(90), ends: NOW })].into(),
        ..(*certificate("old", Issuing)).clone()
    }));
    let parked = certificates[4].secrets()[0].clone();
    let parked = [(parked, Parked { why: "ns1 failed lately".to_owned(), until: None })].into();
    let snapshot = Snapshot { certificates, parked, ..Snapshot::default() };
    let found = page("", true, &snapshot);
    assert_eq!(shown(&found), ["no", "old", "parked", "slow", "busy", "well"]);
    let classes: Vec<&str> =
        found.split("<tbody role=\"rowgroup\" class=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(classes, ["bad", "bad", "warn", "warn", "busy", "good"]);
    let counts = found.split("By state").nth(1).unwrap().split("</ul>").next().unwrap();
    let at = |count: &str| counts.find(count).unwrap_or_else(|| panic!("{count} in {counts}"));
    assert!(["6 certificates", "1 Refused", "1 Parked", "1 RateLimited", "2 Issuing", "1 Valid"].map(at).is_sorted());
    assert!(found.contains("<strong>1 expired</strong>") && found.contains("<strong>expired</strong>"));
    assert!(found.contains("<title>4 of 6 certificates to look at") && found.contains("<p>ns1 failed lately</p>"));
}

#[test]
fn a_query_chooses_states_and_namespaces_and_none_of_it_is_repeated() {
    use CertificateState::{Refused, Valid};
    let certificates = [("web", Valid), ("team/web", Valid), ("team/api", Refused), ("[team/c, ns/c]", Valid)];
    let certificates = certificates.map(|(secret, state)| certificate(secret, state)).into();
    let snapshot = Snapshot { certificates, ..Snapshot::default() };
    for (query, expected) in [
        ("", &["api", "c", "c", "web", "web"][..]),
        ("state=Valid", &["c", "c", "web", "web"]),
        ("namespace=team", &["api", "c", "c", "web"]),
        ("namespace=team&state=Refused", &["api"]),
        ("namespace=ns&state=Refused", &[]),
        ("namespace=other&state=nothing", &["api", "c", "c", "web", "web"]),
    ] {
        let found = page(query, true, &snapshot);
        let mut names = shown(&found);
        names.sort_unstable();
        assert_eq!(names, expected, "{query}");
        assert_eq!(found.contains("No certificate is in this state now."), expected.is_empty(), "{query}");
        assert_eq!(found.contains("The address names a state"), query.contains("nothing"), "{query}");
        assert_eq!(found.contains("The address names a namespace"), query.contains("other"), "{query}");
    }
    let found = page("namespace=team&state=Refused", true, &snapshot);
    for link in [
        "href=\"?namespace=team\">3 certificates</a>",
        "href=\"?state=Refused&amp;namespace=team\" aria-current=\"true\">1 Refused</a>",
        "href=\"?state=Valid&amp;namespace=team\">2 Valid</a>",
        "href=\"?state=Refused\">all namespaces</a>",
        "href=\"?state=Refused&amp;namespace=team&amp;reload=minute\">load it again",
    ] {
        assert!(found.contains(link), "{link} in {found}");
    }
    assert!(!found.contains("refresh") && page("reload=minute", true, &snapshot).contains("refresh\" content=\"60"));
    for text in ["hostile", "%68ostile", "<hostile>", "\"hostile", "&hostile=hostile"] {
        for name in ["state", "namespace", "reload", "x", ""] {
            let found = page(&format!("{name}={text}&{text}"), true, &snapshot);
            assert!(!found.contains("hostile") && found.contains("role=\"status\""), "{name}={text}");
        }
    }
}

#[test]
fn of_many_faults_the_page_shows_some_and_counts_the_rest() {
    let shown = |count: usize| {
        let page = page("", true, &Snapshot { faults: vec!["wrong".to_owned(); count], ..Snapshot::default() });
        (page.matches(">wrong<").count(), page.contains("and 1 more"), page.contains(" more</p>"))
    };
    assert_eq!(shown(PAGE_FAULTS_MAX), (PAGE_FAULTS_MAX, false, false));
    assert_eq!(shown(PAGE_FAULTS_MAX + 1), (PAGE_FAULTS_MAX, true, true));
}

#[test]
fn of_many_certificates_and_namespaces_the_page_shows_some_and_counts_the_rest() {
    let all = |count: usize, namespace: &dyn Fn(usize) -> String| {
        let one = |n| certificate(&format!("{}/s{n}", namespace(n)), CertificateState::Valid);
        page("", true, &Snapshot { certificates: (0..count).map(one).collect(), ..Snapshot::default() })
    };
    let found = all(PAGE_CERTIFICATES_MAX + 1, &|_| "ns".to_owned());
    assert_eq!(shown(&found).len(), PAGE_CERTIFICATES_MAX);
    assert!(found.contains("<p class=\"none\">and 1 more, which are less urgent</p>"));
    assert!(!found.contains("By namespace"), "there is one");
    let found = all(PAGE_NAMESPACES_MAX + 2, &|n| format!("n{n}"));
    assert_eq!(found.matches(">1 in n").count(), PAGE_NAMESPACES_MAX);
    assert!(found.contains("<li>and 2 more</ul>"));
}

#[test]
fn a_page_without_certificates_says_why() {
    let page = |leads| page("", leads, &Snapshot { faults: vec!["it's <wrong>".to_owned()], ..Snapshot::default() });
    assert!(page(true).contains("No certificates yet") && page(false).contains("This replica stands by"));
    assert!(page(true).contains("a&lt;b") && page(true).contains("it&#39;s &lt;wrong&gt;"));
    assert!(page(true).contains("0 certificates") && page(true).contains("1 fault in the configuration"));
}
