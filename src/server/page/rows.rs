//! The table of the certificates: a row and a time line each, and a second row for what is wrong. Pure.
//!
//! The roles are written out: a narrow screen shows each certificate as a card, and some browsers forget the roles of a table whose
//! `display` changes. The time line has no text of its own: the cells say the same.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::axis::Axis;
use super::html::{escaped, when};
use crate::base::limits::{PAGE_CERTIFICATES_MAX, PAGE_NAMES_MAX};
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::server::snapshot::Snapshot;
use crate::status::certificate::CertificateStatus;
use crate::status::state::{CertificateState, Severity};

/// A certificate as it stands now.
#[derive(Debug)]
pub(super) struct Row<'s> {
    pub(super) of: &'s CertificateStatus,
    pub(super) state: CertificateState,
    pub(super) is_expired: bool,
}

impl<'s> Row<'s> {
    pub(super) fn new(of: &'s CertificateStatus, snapshot: &Snapshot, now: Time) -> Row<'s> {
        let is_expired = of.validity().is_some_and(|validity| validity.ends <= now);
        Row { of, state: snapshot.state(of), is_expired }
    }

    /// The urgency for people. An expired certificate is urgent in every state.
    pub(super) fn severity(&self) -> Severity {
        if self.is_expired { Severity::Bad } else { self.state.severity() }
    }

    /// The order of the page: what fails first, then as in all reports.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (Reverse(rank(self.severity())), self.of.urgency())
    }
}

/// The rank of a severity; the highest first.
pub(super) fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Good => 0,
        Severity::Busy => 1,
        Severity::Warning => 2,
        Severity::Bad => 3,
    }
}

/// The style class of a severity.
pub(super) fn class(severity: Severity) -> &'static str {
    match severity {
        Severity::Good => "good",
        Severity::Busy => "busy",
        Severity::Warning => "warn",
        Severity::Bad => "bad",
    }
}

/// Writes the table of `rows`, which are sorted.
///
/// # Errors
/// The errors of `out`.
pub(super) fn table(
    out: &mut dyn Write,
    rows: &[Row<'_>],
    axis: &Axis,
    now: Time,
    snapshot: &Snapshot,
) -> io::Result<()> {
    writeln!(
        out,
        "<p class=\"legend\">{LEGEND}</p>\n<table role=\"table\">\n<caption>Certificates, what fails first</caption>"
    )?;
    write!(out, "<thead role=\"rowgroup\"><tr role=\"row\">")?;
    for (class, name) in COLUMNS {
        write!(out, "<th role=\"columnheader\" scope=\"col\" class=\"{class}\">{name}")?;
    }
    write!(
        out,
        "<th role=\"columnheader\" scope=\"col\" class=\"line\"><span>Time line</span><div class=\"ticks\" aria-hidden=\"true\">"
    )?;
    for (at, label) in axis.ticks() {
        write!(out, "<span style=\"left:clamp(1.2rem,{at:.2}%,100% - 1.2rem)\">{label}</span>")?;
    }
    writeln!(out, "</div></thead>")?;
    for shown in rows.iter().take(PAGE_CERTIFICATES_MAX) {
        row(out, shown, axis, now, snapshot)?;
    }
    writeln!(out, "</table>")?;
    match rows.len().checked_sub(PAGE_CERTIFICATES_MAX) {
        None | Some(0) => Ok(()),
        Some(more) => writeln!(out, "<p class=\"none\">and {more} more, which are less urgent</p>"),
    }
}

const LEGEND: &str = "<span><i class=\"past\"></i>lived</span> <span><i class=\"rest\"></i>left</span> \
    <span><i class=\"window\"></i>when the CA wants it renewed</span> <span><i class=\"renewal\"></i>renewal</span> \
    <span><i class=\"now\"></i>now</span>";

/// The columns before the time line: class and name.
const COLUMNS: [(&str, &str); 6] = [
    ("secret", "Secret"),
    ("state", "State"),
    ("names", "Names"),
    ("issuer", "Issuer"),
    ("ends", "Expires"),
    ("renews", "Renewal"),
];

fn row(out: &mut dyn Write, row: &Row<'_>, axis: &Axis, now: Time, snapshot: &Snapshot) -> io::Result<()> {
    let Row { of, state, is_expired } = *row;
    let class = class(row.severity());
    let secrets: Vec<String> = of.secrets().iter().map(secret).collect();
    write!(
        out,
        "<tbody role=\"rowgroup\" class=\"{class}\"><tr role=\"row\"><th role=\"rowheader\" scope=\"row\">{}",
        secrets.join("<br>")
    )?;
    let staging = if of.staging { " <em>staging</em>" } else { "" };
    write!(out, "<td role=\"cell\" class=\"state\"><b>{state}</b>{staging}")?;
    write!(out, "<td role=\"cell\" class=\"names\">{}", names(of))?;
    write!(out, "<td role=\"cell\" class=\"issuer\">{}", issuer(of))?;
    let expired = if is_expired { "<strong>expired</strong> " } else { "" };
    let ends = of.expires().map_or("no certificate".to_owned(), |at| format!("{expired}{}", when(at, now)));
    write!(out, "<td role=\"cell\" class=\"ends\">{ends}")?;
    let renews = match of.renewal {
        None => "none".to_owned(),
        Some((at, _)) if at <= now => "due".to_owned(),
        Some((at, _)) => when(at, now),
    };
    write!(out, "<td role=\"cell\" class=\"renews\">{renews}<td role=\"cell\" class=\"line\">{}", line(of, axis))?;
    match trouble(of, state, &snapshot.troubles(of)) {
        Some(trouble) => {
            writeln!(
                out,
                "<tr role=\"row\" class=\"why\"><td role=\"cell\" colspan=\"6\">{trouble}<td role=\"cell\" class=\"issuer\"></tbody>"
            )
        }
        None => writeln!(out, "</tbody>"),
    }
}

/// A Secret by its name, which breaks after the namespace first.
fn secret(at: &ObjectRef) -> String {
    let text = escaped(&at.to_string());
    match text.rsplit_once('/') {
        Some((namespace, name)) => format!("<span>{namespace}/</span><wbr>{name}"),
        None => text,
    }
}

fn names(of: &CertificateStatus) -> String {
    let all = of.names();
    let mut names: Vec<String> = all.iter().take(PAGE_NAMES_MAX).map(|name| escaped(&name.to_string())).collect();
    if all.len() > PAGE_NAMES_MAX {
        names.push(format!("<small>and {} more</small>", all.len() - PAGE_NAMES_MAX));
    }
    names.join("<br>")
}

/// The issuer of what is held, and the host of the CA that the next certificate comes from.
fn issuer(of: &CertificateStatus) -> String {
    let host = of.directory.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let host = format!("<small>{}</small>", escaped(host));
    of.issuer.as_ref().map_or(host.clone(), |issuer| format!("{}<br>{host}", escaped(issuer)))
}

/// The troubles of a certificate and the next attempt; `None` where all is well. `said` are the troubles in words.
fn trouble(of: &CertificateStatus, state: CertificateState, said: &str) -> Option<String> {
    if state == CertificateState::Valid || said.is_empty() {
        return None;
    }
    let failed = of.failure.as_ref().map(|failure| format!("failed attempts in a row: {}", failure.failures));
    let next = of.next_attempt.map(|next| format!("next attempt: {next}"));
    let more: Vec<String> = failed.into_iter().chain(next).collect();
    let more = if more.is_empty() { String::new() } else { format!(" <small>{}</small>", more.join(" · ")) };
    Some(format!("<p>{}{more}</p>", escaped(said)))
}

/// The time line of a certificate, empty where none is held; all have the same axis.
fn line(of: &CertificateStatus, axis: &Axis) -> String {
    let Some(validity) = of.validity() else { return String::new() };
    let bar = |class: &str, from: Time, to: Time, y: u32| {
        let (from, to) = (axis.at(from), axis.at(to));
        let (width, height) = ((to - from).max(0.0), 24 - 2 * y);
        format!("<rect class=\"{class}\" x=\"{from:.2}\" width=\"{width:.2}\" y=\"{y}\" height=\"{height}\"/>")
    };
    let mark = |class: &str, at: Time, y: u32| {
        let x = axis.at(at) - 0.15;
        format!("<rect class=\"{class}\" x=\"{x:.2}\" width=\"0.3\" y=\"{y}\" height=\"{}\"/>", 24 - 2 * y)
    };
    let mut svg = "<svg viewBox=\"0 0 100 24\" preserveAspectRatio=\"none\" aria-hidden=\"true\">".to_owned();
    let turn = axis.now().clamp(validity.begins, validity.ends.max(validity.begins));
    svg += &bar("past", validity.begins, turn, 7);
    svg += &bar("rest", turn, validity.ends, 7);
    if let Some((from, to)) = of.window {
        svg += &bar("window", from, to, 9);
    }
    if let Some((renewal, _)) = of.renewal {
        svg += &mark("renewal", renewal, 3);
    }
    svg + &mark("now", axis.now(), 0) + "</svg>"
}
