//! The table for people: the most urgent first, within the width of a terminal, of any width, or with all columns. Pure.
//!
//! Within a width the names are cut first, then the issuer, then the Secret; a very narrow table has fewer columns. A line of its own below
//! the row says what is wrong. That line is wrapped and never cut. Without a width nothing is cut.

mod wrap;

use std::sync::Arc;
use std::time::Duration;

use super::certificate::CertificateStatus;
use super::report::{NoteKind, StatusReport};
use super::state::CertificateState;
use crate::base::name::ObjectRef;
use crate::base::time::{Time, human};
use crate::sources::wish::ObjectKey;
use wrap::{cut, wrapped};

/// The style of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableStyle<'a> {
    /// Characters in a line; `None` for lines of any length, in a pipe or a file.
    pub width: Option<usize>,
    /// All columns, every name of a certificate, and no lines below the rows.
    pub wide: bool,
    /// True if states are coloured.
    pub colour: bool,
    /// Secrets of this namespace are named without it.
    pub own: &'a str,
}

/// The fewest characters that the Secret, the issuer and the names of a row are cut to.
const SECRET_LEAST: usize = 12;
const ISSUER_LEAST: usize = 6;
const NAMES_LEAST: usize = 8;
/// The columns that also the narrowest table has.
const COLUMNS_LEAST: usize = 2;
/// Characters between two columns.
const GAP: usize = 2;

/// The table, with a line that sums it up.
pub fn table(report: &StatusReport, style: TableStyle<'_>, now: Time) -> String {
    let mut text = String::new();
    if !report.rows.is_empty() {
        let mut lines = vec![head(style.wide)];
        lines.extend(report.rows.iter().map(|row| cells(row, style, now)));
        add_objects(&mut lines, &report.rows);
        let widths = widths(&lines, style.width);
        for (place, cells) in lines.iter().enumerate() {
            let row = place.checked_sub(1).map(|place| &report.rows[place]);
            let colour = row.filter(|_| style.colour).map(|row| colour(row, now));
            text += &line(cells, &widths, colour);
            if let Some(detail) = row.filter(|_| !style.wide).and_then(|row| detail(row, now)) {
                text += &wrapped("  ", &detail, style.width);
            }
        }
    }
    for (kind, sentence) in &report.notes {
        text += &wrapped("", &format!("{kind}: {sentence}"), style.width);
    }
    text + &wrapped("", &summary(report, now), style.width)
}

/// How many there are of each state, and how far the first issuance is.
fn summary(report: &StatusReport, now: Time) -> String {
    let mut parts = Vec::new();
    for state in CertificateState::ALL {
        let count = report.rows.iter().filter(|row| row.state == state).count();
        if count > 0 {
            parts.push(format!("{count} {state}"));
        }
    }
    let of_kind = [
        (NoteKind::Refused, "entry refused", "entries refused"),
        (NoteKind::Unreadable, "ConfigMap unreadable", "ConfigMaps unreadable"),
    ];
    for (kind, one, several) in of_kind {
        let count = report.notes.iter().filter(|(of, _)| *of == kind).count();
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { several }));
        }
    }
    let total = report.rows.len();
    let certificates = if total == 1 { "certificate" } else { "certificates" };
    let counts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let progress = report.progress.map(|progress| {
        let left = progress.until.map(|until| format!(", about {} left", human(until.since(now)))).unwrap_or_default();
        format!("; stored {} of {}{left}", progress.stored, progress.total)
    });
    format!("{total} {certificates}{counts}{}", progress.unwrap_or_default())
}

/// The columns that are cut.
const SECRET: usize = 0;
const STATE: usize = 1;
const ISSUER: usize = 4;
const NAMES: usize = 5;

fn head(wide: bool) -> Vec<String> {
    const HEAD: [&str; 10] =
        ["SECRET", "STATE", "EXPIRES", "RENEWS", "ISSUER", "NAMES", "CHALLENGE", "NEXT", "LEFT", "REASON"];
    HEAD[..if wide { HEAD.len() } else { NAMES + 1 }].iter().map(|&word| word.to_owned()).collect()
}

fn cells(row: &CertificateStatus, TableStyle { wide, own, .. }: TableStyle<'_>, now: Time) -> Vec<String> {
    const NONE: &str = "-";
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let short = |at: &ObjectRef| if at.namespace == own { at.name.to_string() } else { at.to_string() };
    let secrets: Vec<String> = row.secrets().iter().map(short).collect();
    let names: Vec<String> = row.names().iter().map(ToString::to_string).collect();
    let more = |all: &[String]| if all.len() > 1 { format!("{} +{}", all[0], all.len() - 1) } else { all.join(",") };
    let mut cells = vec![
        if wide { secrets.join(",") } else { more(&secrets) },
        row.state.to_string(),
        or_none(row.expires().map(|at| if at <= now { "expired".to_owned() } else { human(at.since(now)) })),
        or_none(row.renewal.map(|(at, why)| format!("{} {why}", soon(at, now)))),
        or_none(row.issuer.as_ref().map(ToString::to_string)),
        if wide { names.join(",") } else { more(&names) },
    ];
    if wide {
        let ways: Vec<&str> = row.challenges.iter().map(|way| way.name()).collect();
        cells.push(if ways.is_empty() { NONE.to_owned() } else { ways.join(",") });
        cells.push(or_none(row.next_attempt.map(|at| soon(at, now))));
        cells.push(or_none(row.attempts_left.map(|left| left.to_string())));
        cells.push(or_none(what(row)));
    }
    cells
}

/// Adds the column of the objects behind the names, where an object wants any of the certificates.
fn add_objects(lines: &mut [Vec<String>], rows: &[Arc<CertificateStatus>]) {
    if rows.iter().all(|row| row.objects.is_empty()) {
        return;
    }
    let object = |row: &CertificateStatus| match &row.objects[..] {
        [] => "-".to_owned(),
        [one] => short_object(one, row),
        [first, others @ ..] => format!("{} +{}", short_object(first, row), others.len()),
    };
    let cells = std::iter::once("OBJECT".to_owned()).chain(rows.iter().map(|row| object(row)));
    for (line, cell) in lines.iter_mut().zip(cells) {
        line.insert(NAMES + 1, cell);
    }
}

/// An object as `kubectl get` takes it; with its namespace where that is another one than the Secret's.
fn short_object(object: &ObjectKey, row: &CertificateStatus) -> String {
    let kind = object.kind.to_ascii_lowercase();
    match row.secrets().first().is_some_and(|secret| secret.namespace == object.at.namespace) {
        true => format!("{kind}/{}", object.at.name),
        false => format!("{}/{kind}/{}", object.at.namespace, object.at.name),
    }
}

fn soon(at: Time, now: Time) -> String {
    if at.since(now) == Duration::ZERO { "now".to_owned() } else { human(at.since(now)) }
}

/// The error of the last attempt, else the finding.
fn what(row: &CertificateStatus) -> Option<String> {
    let failed = row.failure.as_ref().map(|failure| match failure.stage {
        Some(stage) => format!("{stage}: {}", failure.error),
        None => failure.error.clone(),
    });
    // The finding of a parked certificate names the peer; its failure is an older one.
    failed.filter(|_| row.state != CertificateState::Parked).or_else(|| row.finding.as_ref().map(ToString::to_string))
}

/// The line below a row: the next attempt, then what is wrong.
fn detail(row: &CertificateStatus, now: Time) -> Option<String> {
    let left = row.attempts_left.map(|left| format!(" ({left} left before it expires)")).unwrap_or_default();
    let next = row.next_attempt.map(|at| format!("next {}{left}: ", in_time(at, now)));
    Some(format!("{}{}", next.unwrap_or_default(), what(row)?))
}

fn in_time(at: Time, now: Time) -> String {
    let soon = soon(at, now);
    if soon == "now" { soon } else { format!("in {soon}") }
}

/// The widths of the columns, so that a line has no more than `within`. Where that is too little for all, the last columns go.
fn widths(lines: &[Vec<String>], within: Option<usize>) -> Vec<usize> {
    let widest = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len)).map(widest).collect();
    let Some(within) = within else { return widths };
    let least = |column: usize, width: usize| match column {
        SECRET => width.min(SECRET_LEAST),
        ISSUER => width.min(ISSUER_LEAST),
        NAMES => width.min(NAMES_LEAST),
        _ => width,
    };
    let gaps = |widths: &[usize]| GAP * widths.len().saturating_sub(1);
    let needs =
        |widths: &[usize]| widths.iter().enumerate().map(|(at, width)| least(at, *width)).sum::<usize>() + gaps(widths);
    while widths.len() > COLUMNS_LEAST && needs(&widths) > within {
        widths.pop();
    }
    for column in [NAMES, ISSUER, SECRET] {
        let excess = (widths.iter().sum::<usize>() + gaps(&widths)).saturating_sub(within);
        if let Some(width) = widths.get_mut(column) {
            *width = width.saturating_sub(excess).max(least(column, *width));
        }
    }
    widths
}

fn line(cells: &[String], widths: &[usize], colour: Option<&str>) -> String {
    let mut text = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cut(cell, *width);
        // The last column needs no padding.
        let pad = if place + 1 == widths.len() { 0 } else { width + GAP - cell.chars().count() };
        text += &match colour.filter(|_| place == STATE) {
            Some(colour) => format!("{colour}{cell}\x1b[0m"),
            None => cell,
        };
        text.extend(std::iter::repeat_n(' ', pad));
    }
    text + "\n"
}

/// Green: valid. Yellow: goes on by itself. Red: needs a person, or serves no client.
fn colour(row: &CertificateStatus, now: Time) -> &'static str {
    let serves = row.expires().is_some_and(|at| now < at);
    match row.state {
        CertificateState::Valid => "\x1b[32m",
        CertificateState::Refused | CertificateState::Contested | CertificateState::Unknown => "\x1b[31m",
        CertificateState::Issuing | CertificateState::Waiting | CertificateState::Orphaned => "\x1b[33m",
        CertificateState::Parked
        | CertificateState::BackingOff
        | CertificateState::RateLimited
        | CertificateState::Capped
        | CertificateState::Partial
            if serves =>
        {
            "\x1b[33m"
        }
        CertificateState::Parked
        | CertificateState::BackingOff
        | CertificateState::RateLimited
        | CertificateState::Capped
        | CertificateState::Partial => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests;
