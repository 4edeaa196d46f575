//! The table: a row for each peer and fault, a column for each scenario and store.

use std::collections::BTreeMap;

use crate::cell::{How, Outcome};
use crate::matrix::{Cell, Scenario, Store};

type Ended = (Cell, Result<Outcome, String>);

/// In Markdown. Of each cell: how many of its steps ended how, the seconds of the slowest, and the most requests to the peer in a minute.
pub fn markdown(ended: &[Ended]) -> String {
    let mut columns: Vec<(Scenario, Store)> = ended.iter().map(|(cell, _)| (cell.scenario, cell.store)).collect();
    columns.sort();
    columns.dedup();
    let mut rows: Vec<String> = Vec::new();
    for row in ended.iter().map(|(cell, _)| cell.row()) {
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let heads = columns.iter().map(|(scenario, store)| format!(" {}, {} |", scenario.name(), store_name(*store)));
    let mut text = format!("| peer and fault |{}\n|---|{}\n", heads.collect::<String>(), "---|".repeat(columns.len()));
    for row in rows {
        text += &format!("| {row} |");
        for (scenario, store) in &columns {
            let of = |(cell, _): &&Ended| (cell.row() == row) && (cell.scenario, cell.store) == (*scenario, *store);
            text += &format!(" {} |", summary(&ended.iter().filter(of).collect::<Vec<_>>()));
        }
        text += "\n";
    }
    text
}

fn store_name(store: Store) -> &'static str {
    match store {
        Store::Directory => "files",
        Store::Kubernetes => "Kubernetes",
    }
}

fn summary(ended: &[&Ended]) -> String {
    if ended.is_empty() {
        return String::new();
    }
    let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outcome) in ended {
        let way = match outcome {
            Err(_) => "FAILED",
            Ok(outcome) => match outcome.how {
                How::Through => "through",
                How::After => "after",
                How::Again(_) => "told",
            },
        };
        *ways.entry(way).or_default() += 1;
    }
    let ways: Vec<String> = ways.iter().map(|(way, count)| format!("{count} {way}")).collect();
    let good = || ended.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
    let slowest = good().map(|outcome| outcome.took.as_secs()).max().unwrap_or(0);
    let most = good().map(|outcome| outcome.requests).max().unwrap_or(0);
    format!("{}; {slowest} s; {most}", ways.join(", "))
}
