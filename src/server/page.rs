//! The page: all certificates as a table and a time line, without scripts and without anything from other servers. Pure.
//!
//! Untrusted: names of issuers, errors of peers, everything in the configuration; all text is escaped. The page shows only what
//! [`super::snapshot`] has, which holds no secret value.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::axis::Axis;
use super::snapshot::Snapshot;
use crate::base::limits::{PAGE_CERTIFICATES_MAX, PAGE_FAULTS_MAX, PAGE_NAMES_MAX};
use crate::base::redact;
use crate::base::time::{Time, human};
use crate::status::certificate::CertificateStatus;
use crate::status::state::{CertificateState, Severity};

/// The media type.
pub const KIND: &str = "text/html; charset=utf-8";

/// The head of the page.
#[derive(Debug)]
pub struct Title {
    /// Our namespace.
    pub namespace: String,
    /// Whether this replica leads.
    pub leads: bool,
    /// The time.
    pub now: Time,
}

/// Writes the page.
///
/// # Errors
/// The errors of `out`.
pub fn write(out: &mut dyn Write, title: &Title, snapshot: &Snapshot) -> io::Result<()> {
    let mut certificates: Vec<&CertificateStatus> =
        snapshot.certificates.iter().map(|certificate| &**certificate).filter(|_| title.leads).collect();
    let namespace = escaped(&title.namespace);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"refresh\" content=\"60\">\n<title>notariat in {namespace}</title>\n<style>{STYLE}</style>\n\
         <header><h1>notariat <span>in {namespace}</span></h1>\n<p>{}</p></header>\n",
        counted(&certificates, title.now, snapshot)
    )?;
    for fault in snapshot.faults.iter().take(PAGE_FAULTS_MAX) {
        writeln!(out, "<p class=\"fault\">{}</p>", escaped(fault))?;
    }
    if let Some(more @ 1..) = snapshot.faults.len().checked_sub(PAGE_FAULTS_MAX) {
        writeln!(out, "<p class=\"fault\">and {more} more</p>")?;
    }
    if certificates.is_empty() {
        let why = match title.leads {
            true => "No certificates yet: the configuration lists none, or it is being read.",
            false => "This replica stands by. The one that leads shows the certificates.",
        };
        writeln!(out, "<p class=\"none\">{why}</p>")?;
    } else {
        let axis = Axis::of(certificates.iter().filter_map(|of| of.validity()), title.now);
        certificates.sort_by_cached_key(|certificate| certificate.urgency());
        table(out, &certificates, &axis, title.now, snapshot)?;
    }
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "<footer>notariat {version}, as of {}; the page comes again each minute</footer>\n</html>", title.now)
}

/// The summary: how many certificates are in each state.
fn counted(certificates: &[&CertificateStatus], now: Time, snapshot: &Snapshot) -> String {
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut parts = vec![plural(certificates.len(), "certificate")];
    for state in CertificateState::ALL {
        let n = certificates.iter().filter(|certificate| snapshot.state(certificate) == state).count();
        if n > 0 {
            parts.push(format!("{n} {state}"));
        }
    }
    let expired = certificates.iter().filter(|certificate| is_expired(certificate, now)).count();
    if expired > 0 {
        parts.push(format!("<strong>{expired} expired</strong>"));
    }
    if !snapshot.faults.is_empty() {
        parts.push(format!("<strong>{}</strong>", plural(snapshot.faults.len(), "fault") + " in the configuration"));
    }
    parts.join(" · ")
}

fn is_expired(certificate: &CertificateStatus, now: Time) -> bool {
    certificate.validity().is_some_and(|validity| validity.ends <= now)
}

fn table(
    out: &mut dyn Write,
    certificates: &[&CertificateStatus],
    axis: &Axis,
    now: Time,
    snapshot: &Snapshot,
) -> io::Result<()> {
    write!(
        out,
        "<p class=\"legend\"><i class=\"past\"></i>lived <i class=\"rest\"></i>left <i class=\"window\"></i>when the CA wants it \
         renewed <i class=\"renewal\"></i>renewal <i class=\"now\"></i>now</p>\n<div class=\"wide\"><table>\n<thead><tr><th>Secret\
         <th>State<th>Names<th>Expires<th>Renewal<th class=\"line\"><div class=\"ticks\">"
    )?;
    for (at, label) in axis.ticks() {
        write!(out, "<span style=\"left:{at:.2}%\">{label}</span>")?;
    }
    writeln!(out, "</div></thead>\n<tbody>")?;
    for certificate in certificates.iter().take(PAGE_CERTIFICATES_MAX) {
        row(out, certificate, axis, now, snapshot)?;
    }
    writeln!(out, "</tbody></table></div>")?;
    match certificates.len().checked_sub(PAGE_CERTIFICATES_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "<p class=\"none\">and {more} more, which are less urgent</p>"),
    }
}

fn row(out: &mut dyn Write, of: &CertificateStatus, axis: &Axis, now: Time, snapshot: &Snapshot) -> io::Result<()> {
    let state = snapshot.state(of);
    let secrets: Vec<String> = of.secrets().iter().map(|at| escaped(&at.to_string())).collect();
    let domains = of.names();
    let mut names: Vec<String> = domains.iter().take(PAGE_NAMES_MAX).map(|name| escaped(&name.to_string())).collect();
    if domains.len() > PAGE_NAMES_MAX {
        names.push(format!("<span>and {} more</span>", domains.len() - PAGE_NAMES_MAX));
    }
    let expired = is_expired(of, now);
    let class = if expired { "bad" } else { class(state) };
    let staging = if of.staging { " <b class=\"busy\">staging</b>" } else { "" };
    let expiry = of.validity().map(|validity| (validity.ends, if expired { "expired " } else { "" }));
    writeln!(
        out,
        "<tr class=\"{class}\"><th>{}<td><b class=\"{class}\">{state}</b>{staging}<td>{}{}<td>{}<td>{}<td class=\"line\">{}",
        secrets.join("<br>"),
        names.join("<br>"),
        trouble(of, state, &snapshot.troubles(of)),
        expiry.map_or("none".to_owned(), |(at, word)| format!("{word}{}", when(at, now))),
        of.renewal.map_or(String::new(), |(at, _)| if at <= now { "due".to_owned() } else { when(at, now) }),
        line(of, axis),
    )
}

/// The troubles of a certificate and the next attempt.
fn trouble(of: &CertificateStatus, state: CertificateState, said: &str) -> String {
    if state == CertificateState::Valid || said.is_empty() {
        return String::new();
    }
    let mut text = format!("<p>{}", escaped(said));
    if let Some(failure) = &of.failure {
        // Writing to a String can not fail.
        let _infallible = write!(text, "<br>failed attempts in a row: {}", failure.failures);
    }
    if let Some(next) = of.next_attempt {
        let _infallible = write!(text, "<br>next attempt: {next}");
    }
    text
}

/// A moment as the time from now; the tooltip has the moment itself.
fn when(at: Time, now: Time) -> String {
    let text = if at < now { format!("{} ago", human(now.since(at))) } else { format!("in {}", human(at.since(now))) };
    format!("<time datetime=\"{at}\" title=\"{at}\">{text}</time>")
}

/// The style class of a state.
fn class(state: CertificateState) -> &'static str {
    match state.severity() {
        Severity::Good => "good",
        Severity::Busy => "busy",
        Severity::Warning => "warn",
        Severity::Bad => "bad",
    }
}

/// The time line of a certificate; all have the same axis.
fn line(of: &CertificateStatus, axis: &Axis) -> String {
    let bar = |class: &str, from: Time, to: Time| {
        let (from, to) = (axis.at(from), axis.at(to));
        let width = (to - from).max(0.0);
        format!("<rect class=\"{class}\" x=\"{from:.2}\" width=\"{width:.2}\" y=\"6\" height=\"12\"/>")
    };
    let mark = |class: &str, at: Time, y: u32| {
        let x = axis.at(at) - 0.15;
        format!("<rect class=\"{class}\" x=\"{x:.2}\" width=\"0.3\" y=\"{y}\" height=\"{}\"/>", 24 - 2 * y)
    };
    let mut svg = "<svg viewBox=\"0 0 100 24\" preserveAspectRatio=\"none\" aria-hidden=\"true\">".to_owned();
    if let Some(validity) = of.validity() {
        let turn = axis.now().clamp(validity.begins, validity.ends.max(validity.begins));
        svg += &bar("past", validity.begins, turn);
        svg += &bar("rest", turn, validity.ends);
    }
    if let Some((from, to)) = of.window {
        svg += &bar("window", from, to);
    }
    if let Some((renewal, _)) = of.renewal {
        svg += &mark("renewal", renewal, 3);
    }
    svg + &mark("now", axis.now(), 0) + "</svg>"
}

fn escaped(text: &str) -> String {
    let text = redact::clean(text);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::entry::Entry;
    use crate::config::node;
    use crate::policy::renewal::RenewalCause;
    use crate::status::certificate::{Failure, Subject, Validity};
    use crate::status::state::RenewalTrigger;

    #[test]
    fn a_known_secret_is_no_part_of_the_page() {
        let secret = crate::base::secret::Secret::known("a token", "<only in page.rs & nowhere>".to_owned());
        assert_eq!(escaped(&format!("a {} b", secret.expose())), "a (secret: a token) b");
    }

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!(escaped("<script>\"'&</script>"), "&lt;script&gt;&quot;&#39;&amp;&lt;/script&gt;");
    }

    #[test]
    fn a_certificate_is_a_row_with_a_line_from_issue_to_expiry() {
        let text = "{secret: 'web', domains: [a.test, b.test, c.test, d.test]}";
        let entry = Entry::read(&node::read(text).unwrap(), &"ns".into()).unwrap();
        let now = Time::from_unix(1_800_000_000);
        let days = |n: u32| std::time::Duration::from_secs(86_400) * n;
        let failure = Failure { stage: None, error: "<b>no</b>".to_owned(), failures: 3, at: now - days(1) };
        let certificate = CertificateStatus {
            held: [Some(Validity { begins: now - days(60), ends: now + days(40) })].into(),
            staging: true,
            renewal: Some((now - days(1), RenewalTrigger::Due(RenewalCause::Window))),
            window: Some((now - days(10), now)),
            failure: Some(Box::new(failure)),
            next_attempt: Some(now + days(1)),
            ..CertificateStatus::empty(Subject::Wanted(Arc::new(entry)), CertificateState::BackingOff, "")
        };
        let title = Title { namespace: "ns".to_owned(), leads: true, now };
        let snapshot = Snapshot { certificates: vec![Arc::new(certificate)], ..Snapshot::default() };
        let mut out = Vec::new();
        write(&mut out, &title, &snapshot).unwrap();
        let page = String::from_utf8(out).unwrap();
        for part in [
            "1 certificate · 1 BackingOff",
            "<th>ns/web<td>",
            "staging</b>",
            "and 1 more",
            "<p>&lt;b&gt;no&lt;/b&gt;",
            "failed attempts in a row: 3",
            "next attempt: 2027-01-16T08:00:00Z",
            "in 40d",
            "<td>due<",
            "class=\"past\" x=\"0.00\" width=\"60.00\"",
            "class=\"rest\" x=\"60.00\" width=\"40.00\"",
            "class=\"window\" x=\"50.00\" width=\"10.00\"",
            "class=\"renewal\" x=\"58.85\"",
            "class=\"now\" x=\"59.85\"",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        let mut standby = Vec::new();
        write(&mut standby, &Title { leads: false, ..title }, &snapshot).unwrap();
        assert!(!String::from_utf8(standby).unwrap().contains("ns/web"), "it does not know what the other one does");
    }

    #[test]
    fn of_many_faults_the_page_shows_some_and_counts_the_rest() {
        let shown = |count: usize| {
            let title = Title { namespace: "ns".to_owned(), leads: true, now: Time::from_unix(1_800_000_000) };
            let mut out = Vec::new();
            write(&mut out, &title, &Snapshot { faults: vec!["wrong".to_owned(); count], ..Snapshot::default() })
                .unwrap();
            let page = String::from_utf8(out).unwrap();
            (page.matches(">wrong<").count(), page.contains("and 1 more"), page.contains(" more</p>"))
        };
        assert_eq!(shown(PAGE_FAULTS_MAX), (PAGE_FAULTS_MAX, false, false));
        assert_eq!(shown(PAGE_FAULTS_MAX + 1), (PAGE_FAULTS_MAX, true, true));
    }

    #[test]
    fn a_page_without_certificates_says_why() {
        let page = |leads| {
            let title = Title { namespace: "a<b".to_owned(), leads, now: Time::from_unix(1_800_000_000) };
            let faults = vec!["it's <wrong>".to_owned()];
            let mut out = Vec::new();
            write(&mut out, &title, &Snapshot { faults, ..Snapshot::default() }).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(page(true).contains("No certificates yet") && page(false).contains("This replica stands by"));
        assert!(page(true).contains("a&lt;b") && page(true).contains("it&#39;s &lt;wrong&gt;"));
        assert!(page(true).contains("0 certificates") && page(true).contains("1 fault in the configuration"));
    }
}
