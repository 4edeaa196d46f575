//! The table at the end: what was carried over.

use std::fmt::Write as _;

/// The result for one Certificate.
#[derive(Debug)]
pub(super) struct ResultRow {
    /// `namespace/name`
    pub(super) certificate: String,
    /// The name of the Secret; empty where it can not be read.
    pub(super) secret: String,
    /// The issuer as the Certificate names it.
    pub(super) issuer: String,
    /// The fate of the Certificate.
    pub(super) result: RowResult,
}

/// The fate of a Certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowResult {
    /// An entry that loses nothing.
    Whole,
    /// An entry that loses what the sentences say.
    WithLoss,
    /// A comment.
    LeftOut,
}

/// The widest column. Names may have 253 characters, and few do.
const COLUMN_MAX: usize = 60;

impl RowResult {
    const fn text(self) -> &'static str {
        match self {
            RowResult::Whole => "carried over",
            RowResult::WithLoss => "carried over, with a loss",
            RowResult::LeftOut => "left out",
        }
    }
}

/// The counts on one line, then a row for each Certificate in the order of the input.
pub(super) fn table(rows: &[ResultRow], passed_over: usize) -> String {
    let count = |outcome| rows.iter().filter(|row| row.result == outcome).count();
    let (whole, with_loss, left_out) = (count(RowResult::Whole), count(RowResult::WithLoss), count(RowResult::LeftOut));
    let plural = if rows.len() == 1 { "" } else { "s" };
    let mut text = format!("{} Certificate{plural}: {} carried over", rows.len(), whole + with_loss);
    if with_loss > 0 {
        write!(text, " ({with_loss} with a loss)").expect("a String takes everything");
    }
    write!(text, ", {left_out} left out").expect("a String takes everything");
    if passed_over > 0 {
        write!(text, "; {passed_over} of other namespaces passed over").expect("a String takes everything");
    }
    let cells =
        rows.iter().map(|row| [&row.certificate, &row.secret, &row.issuer, row.result.text()].map(String::from));
    let cells: Vec<[String; 4]> =
        std::iter::once(["CERTIFICATE", "SECRET", "ISSUER", "RESULT"].map(String::from)).chain(cells).collect();
    let width =
        |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or_default().min(COLUMN_MAX);
    let (first, second, third) = (width(0), width(1), width(2));
    for [certificate, secret, issuer, result] in &cells {
        write!(text, "\n{certificate:first$}  {secret:second$}  {issuer:third$}  {result}")
            .expect("a String takes everything");
    }
    text
}
