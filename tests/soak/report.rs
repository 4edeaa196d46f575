//! The verdict of a run and its table.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::ledger::{Ledger, Span, backlog};
use super::orders::{self, Account};
use super::place::Place;
use super::plan::Measure;
use super::replica::Usage;
use super::run::{Options, Run};
use super::sample;

/// Orders beside the least possible, as in `tests/simulate`.
const RATIO_MAX: f64 = 1.05;
/// Looks are a second apart, certificates know whole seconds.
const SECONDS_OF_DOUBT: f64 = 3.0;
/// The worker threads of a process: `-workers` for the CA, and as many for each of the other kinds of peers (`WORKERS_FACTOR`). They are
/// started when they are needed first and stay, so that an early moment may have fewer.
const WORKER_THREADS_MAX: usize = 16;
/// Descriptors that come and go: a connection to the CA and one to the store for each worker that happens to be busy in a quiet moment, and
/// those that are kept open for the next request. A leak of one for each order or restart is more than that within minutes.
const DESCRIPTORS_MORE: usize = 16;
/// Other threads than workers that come and go: a watch that ends while its successor runs.
const THREADS_MORE: usize = 2;
/// The resident memory grows by what is met for the first time, such as errors, and by fragments: less than a fifth and 3 MiB.
const RSS_FACTOR: f64 = 1.2;
const RSS_MORE_KIB: u64 = 3_072;
/// Parts of secrets that are looked for have so many characters.
const PART: usize = 20;

/// The results of a run.
pub struct Facts {
    pub options: Options,
    pub software: &'static str,
    /// When all first certificates were there; everything is expected from then on.
    pub first: f64,
    pub until: f64,
    pub ledger: Ledger,
    pub grace: Vec<Duration>,
    pub problems: Vec<String>,
    pub usages: HashMap<(Measure, u32), Usage>,
}

/// Prints the table, then fails with all that does not hold.
pub fn judge(run: &Run, place: &Place, facts: Facts) {
    let seen = run.seen();
    let backlog = backlog(facts.first);
    let made = orders::read(&place.ca.log());
    let account = orders::account(&made, &seen.held, &facts.ledger, run.began);
    let expired = seen.expired(facts.first, facts.until, run.began);
    let longest = sample::longest(&expired, &facts.ledger, backlog);
    let mut problems: Vec<String> = facts.problems.clone();
    problems.extend(seen.problems.iter().cloned());
    for (number, span, unexplained) in &longest {
        if *unexplained > SECONDS_OF_DOUBT {
            let Span { from, to } = span;
            let by = facts.ledger.named(*span, backlog);
            problems.push(format!(
                "{} was expired from {from:.0} to {to:.0} s, of which nothing explains {unexplained:.0} s (near it: {by})",
                place.secrets[*number]
            ));
        }
    }
    if account.ratio() > RATIO_MAX {
        problems.push(format!("{:.3} times as many orders as the least possible: {account:?}", account.ratio()));
    }
    problems.extend(usage_problems(&facts.usages));
    let logs: Vec<String> = place.replicas.iter().map(super::replica::Replica::log).collect();
    problems.extend(panics(&logs));
    let (fixed, secrets) = (place.fixed_secrets(), seen.keys.len());
    let parts = parts(&seen.keys, &fixed);
    problems.extend(logs.iter().filter_map(|log| leak(log, &parts)));

    let Options { seed, minutes, certificates, on_kubernetes } = facts.options;
    let store = if on_kubernetes { "API server, two replicas" } else { "files" };
    let (least, most) = (place.lifetimes.iter().min().unwrap(), place.lifetimes.iter().max().unwrap());
    let lifetimes = format!("{least} to {most} s");
    let held: usize = seen.held.iter().map(Vec::len).sum();
    let total = expired.iter().fold(0.0, |total, (_, span)| total + span.length());
    let mut rows = vec![
        ("store, name server, seed".to_owned(), format!("{store}, {}, {seed}", facts.software)),
        ("length".to_owned(), format!("{:.0} s (asked for: {minutes} min), {} looks", facts.until, seen.looks)),
        ("certificates".to_owned(), format!("{certificates} Secrets of {lifetimes}, {held} certificates seen in them")),
        ("first certificates".to_owned(), format!("all after {:.1} s", facts.first)),
        ("orders".to_owned(), orders_row(&account)),
        (
            "expired in all".to_owned(),
            format!("{total:.0} s of {:.0} s", (facts.until - facts.first) * certificates as f64),
        ),
    ];
    for (number, span, unexplained) in longest.iter().take(3) {
        let by = facts.ledger.named(*span, backlog);
        let text = format!("{:.0} s from {:.0} s on, unexplained {unexplained:.0} s; {by}", span.length(), span.from);
        rows.push((format!("longest expiry: {}", place.secrets[*number]), text));
    }
    rows.extend(facts.ledger.kinds().into_iter().map(|(kind, count)| (format!("fault: {kind}"), count.to_string())));
    for usage in pairs(&facts.usages) {
        rows.push(usage_row(usage));
    }
    let slowest = facts.grace.iter().max().copied().unwrap_or_default();
    rows.push(("ends after SIGTERM".to_owned(), format!("{}, the slowest in {slowest:.2?}", facts.grace.len())));
    let octets: usize = logs.iter().map(String::len).sum();
    rows.push(("log".to_owned(), format!("{octets} octets without a part of {secrets} keys")));
    let table: String = rows.iter().map(|(name, value)| format!("| {name:<32} | {value}\n")).collect();
    // A run of minutes is to be seen although it passes.
    std::io::Write::write_all(&mut std::io::stderr(), format!("\nsoak\n{table}").as_bytes()).unwrap();
    if !problems.is_empty() {
        let kept = std::env::temp_dir()
            .join(format!("soak-{}-{seed}.log", if on_kubernetes { "kubernetes" } else { "files" }));
        std::fs::write(&kept, logs.join("\n==== next replica\n")).ok();
        panic!("does not hold (seed {seed}; the log is in {}):\n- {}", kept.display(), problems.join("\n- "));
    }
}

fn orders_row(account: &Account) -> String {
    let Account { orders, least, forced, lost } = account;
    let ratio = account.ratio();
    format!("{orders}, least {least:.1}, forced by faults {forced}: ratio {ratio:.3}; lost without a fault {lost}")
}

/// Early and late figures of each process that lived through both.
fn pairs(usages: &HashMap<(Measure, u32), Usage>) -> Vec<(Usage, Usage)> {
    let mut pairs: Vec<_> = usages
        .iter()
        .filter(|((measure, _), _)| *measure == Measure::Early)
        .filter_map(|((_, pid), early)| Some((*early, *usages.get(&(Measure::Late, *pid))?)))
        .collect();
    pairs.sort_by_key(|(early, _)| early.pid);
    pairs
}

fn usage_row((early, late): (Usage, Usage)) -> (String, String) {
    let text = format!(
        "RSS {:.1} / {:.1} MiB, threads {} ({} workers) / {} ({} workers), descriptors {} / {}",
        early.rss_kib as f64 / 1024.0,
        late.rss_kib as f64 / 1024.0,
        early.threads,
        early.workers,
        late.threads,
        late.workers,
        early.descriptors,
        late.descriptors
    );
    ("early / late".to_owned(), text)
}

fn usage_problems(usages: &HashMap<(Measure, u32), Usage>) -> Vec<String> {
    let pairs = pairs(usages);
    if pairs.is_empty() {
        return vec!["no process lived from the early measurement to the late one".to_owned()];
    }
    let mut problems = Vec::new();
    for (early, late) in pairs {
        let others = |usage: Usage| usage.threads - usage.workers;
        let rss_max = (early.rss_kib as f64 * RSS_FACTOR) as u64 + RSS_MORE_KIB;
        for (what, late_figure, most) in [
            ("KiB of memory", late.rss_kib, rss_max),
            ("worker threads", late.workers as u64, WORKER_THREADS_MAX as u64),
            ("threads besides workers", others(late) as u64, (others(early) + THREADS_MORE) as u64),
            ("descriptors", late.descriptors as u64, (early.descriptors + DESCRIPTORS_MORE) as u64),
        ] {
            if late_figure > most {
                let (_, figures) = usage_row((early, late));
                problems.push(format!("{late_figure} {what} at the end, {most} at most: {figures}"));
            }
        }
    }
    problems
}

/// No library may panic, and nothing of ours.
fn panics(logs: &[String]) -> Vec<String> {
    let lines = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("panicked"));
    lines.collect::<BTreeSet<_>>().into_iter().map(|line| format!("the log says: {line}")).collect()
}

/// The parts of secrets: of a key what is behind the octets that all keys of a kind begin with.
fn parts<'a>(keys: &'a BTreeSet<String>, fixed: &'a [String]) -> HashSet<&'a [u8]> {
    let keys = keys.iter().map(|key| key.get(48..).unwrap_or_default());
    keys.chain(fixed.iter().map(String::as_str)).flat_map(|secret| secret.as_bytes().chunks_exact(PART)).collect()
}

fn leak(log: &str, parts: &HashSet<&[u8]>) -> Option<String> {
    let found = log.as_bytes().windows(PART).position(|window| parts.contains(window))?;
    let line = log.as_bytes()[..found].iter().filter(|octet| **octet == b'\n').count() + 1;
    Some(format!("line {line} of a log holds a part of a secret"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(rss_kib: u64, threads: usize, workers: usize, descriptors: usize) -> Usage {
        Usage { pid: 1, rss_kib, threads, workers, descriptors }
    }

    #[test]
    fn what_grows_is_a_problem_and_what_comes_and_goes_is_none() {
        let early = usage(20_000, 10, 4, 30);
        for (late, problems) in [
            (early, 0),
            (usage(26_000, 18, 12, 40), 0),
            (usage(28_000, 10, 4, 30), 1),
            (usage(20_000, 13, 4, 30), 1),
            (usage(20_000, 27, 17, 30), 2),
            (usage(20_000, 10, 4, 47), 1),
        ] {
            let usages = HashMap::from([((Measure::Early, 1), early), ((Measure::Late, 1), late)]);
            assert_eq!(usage_problems(&usages).len(), problems, "{late:?}");
        }
        let other = HashMap::from([((Measure::Early, 1), early), ((Measure::Late, 2), early)]);
        assert_eq!(usage_problems(&other).len(), 1);
    }

    #[test]
    fn a_part_of_a_key_is_found_wherever_it_stands() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
        let (keys, fixed) = (BTreeSet::from([body.clone()]), vec!["0123456789abcdefghij-and-more".to_owned()]);
        let parts = parts(&keys, &fixed);
        assert_eq!(leak("issued\nvalid\n", &parts), None);
        for secret in [&body[60..120], "x0123456789abcdefghijx"] {
            let found = leak(&format!("issued\nerror {secret}\n"), &parts);
            assert_eq!(found.as_deref(), Some("line 2 of a log holds a part of a secret"));
        }
    }
}
