//! The page: all certificates as a table with a time line, or as cards on a narrow screen, without scripts and without anything from other
//! servers. Pure.
//!
//! Untrusted: names of issuers, errors of peers, everything in the configuration, the query of the address; all text is escaped, and nothing
//! of the query is repeated. The page shows only what [`super::snapshot`] has, which holds no secret value.

mod axis;
mod filter;
mod html;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use axis::Axis;
use filter::Filter;
use html::{counted, escaped};
use rows::{Row, class, rank, table};

use super::snapshot::Snapshot;
use crate::base::limits::{PAGE_FAULTS_MAX, PAGE_NAMESPACES_MAX};
use crate::base::time::Time;
use crate::status::certificate::CertificateStatus;
use crate::status::state::{CertificateState, Severity};

/// The media type.
pub const KIND: &str = "text/html; charset=utf-8";

/// The head of the page.
#[derive(Debug)]
pub struct Title {
    /// Our namespace.
    pub namespace: String,
    /// True if this replica leads.
    pub leads: bool,
    /// The time.
    pub now: Time,
    /// The query of the address, as it came.
    pub query: String,
}

/// Writes the page.
///
/// # Errors
/// The errors of `out`.
pub fn write(out: &mut dyn Write, title: &Title, snapshot: &Snapshot) -> io::Result<()> {
    let certificates: Vec<&CertificateStatus> =
        snapshot.certificates.iter().map(|certificate| &**certificate).filter(|_| title.leads).collect();
    let namespaces: BTreeSet<&str> =
        certificates.iter().flat_map(|of| of.secrets()).map(|at| at.namespace.as_str()).collect();
    let (filter, unknown) = Filter::read(&title.query, &namespaces);
    head(out, title, &certificates, &filter, snapshot)?;
    for sentence in unknown {
        writeln!(out, "<p class=\"fault\" role=\"status\">{sentence}</p>")?;
    }
    faults(out, &snapshot.faults)?;
    let shown = certificates.iter().copied().filter(|of| filter.shows(of, snapshot));
    let mut rows: Vec<Row<'_>> = shown.map(|of| Row::new(of, snapshot, title.now)).collect();
    if rows.is_empty() {
        let why = match (title.leads, certificates.is_empty()) {
            (true, true) => "No certificates yet: the configuration lists none, or it is being read.",
            (true, false) => "No certificate is in this state now.",
            (false, _) => "This replica stands by. The one that leads shows the certificates.",
        };
        writeln!(out, "<p class=\"none\">{why}</p>")?;
    } else {
        let axis = Axis::of(rows.iter().filter_map(|row| row.of.validity()), title.now);
        rows.sort_by_cached_key(Row::rank);
        table(out, &rows, &axis, title.now, snapshot)?;
    }
    let again = Filter { reloads: !filter.reloads, ..filter.clone() };
    let reload = if filter.reloads { "do not load it again each minute" } else { "load it again each minute" };
    writeln!(
        out,
        "</main>\n<footer>notariat {}, as of {}. <a href=\"{}\">{reload}</a></footer>\n</html>",
        env!("CARGO_PKG_VERSION"),
        title.now,
        again.link(),
    )
}

/// Writes the head with the counts, each of which is a link to its certificates.
fn head(
    out: &mut dyn Write,
    title: &Title,
    certificates: &[&CertificateStatus],
    filter: &Filter,
    snapshot: &Snapshot,
) -> io::Result<()> {
    let namespace = escaped(&title.namespace);
    let all: Vec<Row<'_>> = certificates.iter().map(|of| Row::new(of, snapshot, title.now)).collect();
    let urgent = all.iter().filter(|row| rank(row.severity()) >= rank(Severity::Warning)).count();
    let expired = all.iter().filter(|row| row.is_expired).count();
    // A page that loads itself again disturbs a screen reader: only who asks for it gets it.
    let reload = if filter.reloads { "<meta http-equiv=\"refresh\" content=\"60\">\n" } else { "" };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n{reload}\
         <title>{urgent} of {} to look at: notariat in {namespace}</title>\n<style>{STYLE}</style>\n\
         <header><h1>notariat <span>in {namespace}</span></h1>\n",
        counted(all.len(), "certificate"),
    )?;
    let told: Vec<String> = [
        (expired, format!("{expired} expired")),
        (snapshot.faults.len(), format!("{} in the configuration", counted(snapshot.faults.len(), "fault"))),
    ]
    .into_iter()
    .filter_map(|(n, text)| (n > 0).then_some(text))
    .collect();
    if !told.is_empty() {
        writeln!(out, "<p><strong>{}</strong></p>", told.join(" · "))?;
    }
    let in_namespace = Filter { state: None, ..filter.clone() };
    let of_namespace: Vec<&Row<'_>> = all.iter().filter(|row| in_namespace.shows(row.of, snapshot)).collect();
    let mut states = BTreeMap::<CertificateState, usize>::new();
    of_namespace.iter().for_each(|row| *states.entry(row.state).or_default() += 1);
    // A state that is chosen stays there when no certificate has it any more.
    states.extend(filter.state.filter(|state| !states.contains_key(state)).map(|state| (state, 0)));
    let mut states: Vec<(CertificateState, usize)> = states.into_iter().collect();
    states.sort_by_key(|(state, _)| std::cmp::Reverse(rank(state.severity())));
    let choice = |chosen: Filter, class: &str, text: String| {
        let current = if chosen == *filter { " aria-current=\"true\"" } else { "" };
        format!("<li><a class=\"{class}\" href=\"{}\"{current}>{text}</a>", chosen.link())
    };
    write!(out, "<nav aria-label=\"By state\"><ul>")?;
    write!(out, "{}", choice(in_namespace, "all", counted(of_namespace.len(), "certificate")))?;
    for (state, n) in states {
        let chosen = Filter { state: Some(state), ..filter.clone() };
        write!(out, "{}", choice(chosen, class(state.severity()), format!("{n} {state}")))?;
    }
    writeln!(out, "</ul></nav>")?;
    let in_state = Filter { namespace: None, ..filter.clone() };
    let mut namespaces = BTreeMap::<&str, usize>::new();
    for row in all.iter().filter(|row| in_state.shows(row.of, snapshot)) {
        let of: BTreeSet<&str> = row.of.secrets().iter().map(|at| at.namespace.as_str()).collect();
        of.into_iter().for_each(|namespace| *namespaces.entry(namespace).or_default() += 1);
    }
    if namespaces.len() > 1 || filter.namespace.is_some() {
        write!(out, "<nav aria-label=\"By namespace\"><ul>{}", choice(in_state, "all", "all namespaces".to_owned()))?;
        for (namespace, n) in namespaces.iter().take(PAGE_NAMESPACES_MAX) {
            let chosen = Filter { namespace: Some((*namespace).to_owned()), ..filter.clone() };
            write!(out, "{}", choice(chosen, "", format!("{n} in {}", escaped(namespace))))?;
        }
        if let Some(more @ 1..) = namespaces.len().checked_sub(PAGE_NAMESPACES_MAX) {
            write!(out, "<li>and {more} more")?;
        }
        writeln!(out, "</ul></nav>")?;
    }
    writeln!(out, "</header>\n<main>")
}

/// Writes the faults of the configuration.
fn faults(out: &mut dyn Write, faults: &[String]) -> io::Result<()> {
    for fault in faults.iter().take(PAGE_FAULTS_MAX) {
        writeln!(out, "<p class=\"fault\">{}</p>", escaped(fault))?;
    }
    match faults.len().checked_sub(PAGE_FAULTS_MAX) {
        Some(more @ 1..) => writeln!(out, "<p class=\"fault\">and {more} more</p>"),
        _ => Ok(()),
    }
}

const STYLE: &str = include_str!("page.css");

#[cfg(test)]
mod tests;
