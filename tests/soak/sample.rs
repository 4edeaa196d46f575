//! Looks at every Secret each second: which certificate is held from when on, and whether its key belongs to it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::Value;
use x509_parser::pem::Pem;

use super::ledger::{Fault, Ledger, Span};
use super::orders::Held;
use super::place::{Look, Place};
use super::run::Run;

/// A look that comes so much later than it should means that the machine stood still, for notariat as well.
const STALLED: f64 = 4.0;

/// The observations.
#[derive(Debug, Default)]
pub struct Seen {
    /// The certificates of each Secret, oldest first.
    pub held: Vec<Vec<Held>>,
    pub looks: usize,
    /// Private keys, without their line breaks.
    pub keys: BTreeSet<String>,
    pub problems: BTreeSet<String>,
}

impl Seen {
    pub fn new(secrets: usize) -> Seen {
        Seen { held: vec![Vec::new(); secrets], ..Seen::default() }
    }

    /// Takes one look at one Secret.
    fn take(&mut self, number: usize, name: &str, look: &Look, now: f64) {
        for key in look.other_keys.iter().chain([&look.key]) {
            self.keys.insert(body(key));
        }
        let Some((held, key_fits)) = judge(look, name, now) else {
            self.problems.insert(format!("the Secret {name} holds what is no certificate for it"));
            return;
        };
        if !key_fits {
            self.problems.insert(format!("the Secret {name} holds a key that is not of its certificate"));
        }
        let all = &mut self.held[number];
        match all.last_mut().filter(|last| last.serial == held.serial) {
            None => all.push(held),
            Some(last) => last.window = held.window.or(last.window),
        }
    }

    /// How long each Secret held an expired certificate or none, from `from` to `to` in seconds of the run.
    pub fn expired(&self, from: f64, to: f64, began: f64) -> Vec<(usize, Span)> {
        let mut spans = Vec::new();
        for (number, held) in self.held.iter().enumerate() {
            let next = held.iter().skip(1).map(|next| next.seen).chain([to]);
            for (one, until) in held.iter().zip(next) {
                let span = Span { from: (one.not_after as f64 - began).max(from), to: until.min(to) };
                if span.length() > 0.0 {
                    spans.push((number, span));
                }
            }
            if held.is_empty() {
                spans.push((number, Span { from, to }));
            }
        }
        spans
    }
}

/// The base64 of a key in PEM.
fn body(pem: &[u8]) -> String {
    String::from_utf8_lossy(pem).lines().filter(|line| !line.starts_with('-')).collect()
}

/// The certificate in a Secret, and whether the key beside it is its own.
fn judge(look: &Look, name: &str, now: f64) -> Option<(Held, bool)> {
    let (pem, _) = Pem::read(std::io::Cursor::new(&look.chain)).ok()?;
    let leaf = pem.parse_x509().ok()?;
    let names = leaf.subject_alternative_name().ok()??.value.general_names.clone();
    let wanted = format!("{name}.soak.test");
    if !names.iter().any(|n| matches!(n, x509_parser::extensions::GeneralName::DNSName(dns) if *dns == wanted)) {
        return None;
    }
    let key = rcgen::KeyPair::from_pem(std::str::from_utf8(&look.key).ok()?).ok()?;
    let fits = leaf.public_key().subject_public_key.data.as_ref() == rcgen::PublicKeyData::der_bytes(&key);
    let hex: String = leaf.raw_serial().iter().map(|octet| format!("{octet:02x}")).collect();
    let serial = hex.trim_start_matches('0').to_owned();
    let record: Value = serde_json::from_slice(&look.record).unwrap_or_default();
    let window = &record["window"];
    let is_of_this =
        window["serial"].as_str().is_some_and(|of| of.trim_start_matches('0').eq_ignore_ascii_case(&serial));
    let held = Held {
        serial,
        not_before: leaf.validity().not_before.timestamp(),
        not_after: leaf.validity().not_after.timestamp(),
        window: window["start"].as_i64().zip(window["end"].as_i64()).filter(|_| is_of_this),
        seen: now,
    };
    Some((held, fits))
}

/// Looks until it is told to stop.
pub fn watch(run: &Run, place: &Place, stop: &AtomicBool) {
    let mut last: HashMap<usize, Look> = HashMap::new();
    let mut before = Instant::now();
    while !stop.load(SeqCst) {
        std::thread::sleep(Duration::from_secs(1));
        let late = before.elapsed().as_secs_f64() - 1.0;
        if late > STALLED {
            let to = run.now();
            let victim = "the machine".to_owned();
            run.note(Fault {
                kind: "stall of",
                victim,
                from: to - late,
                to,
                fails_attempts: false,
                settles: 0.0,
                orders: 0,
            });
        }
        let looked = place.look();
        before = Instant::now();
        let (Some(looks), now) = (looked, run.now()) else { continue };
        let mut seen = run.seen();
        seen.looks += 1;
        for (number, look) in looks.into_iter().enumerate() {
            let name = &place.secrets[number];
            let Some(look) = look else {
                if !seen.held[number].is_empty() {
                    seen.problems.insert(format!("the Secret {name} went away"));
                }
                continue;
            };
            let same = |known: &Look| known.chain == look.chain && known.key == look.key && known.record == look.record;
            if !last.get(&number).is_some_and(same) {
                seen.take(number, name, &look, now);
                last.insert(number, look);
            }
        }
        drop(seen);
        for (number, replica) in place.replicas.iter().enumerate() {
            if let Ok(_mine) = replica.in_hand.try_lock()
                && !replica.is_running()
            {
                let log = replica.log();
                let tail: Vec<&str> = log.lines().rev().take(3).collect();
                run.seen().problems.insert(format!("replica {number} ended by itself at {now:.0} s: {tail:?}"));
                replica.start_again();
            }
        }
    }
}

/// Tells whether all Secrets hold something.
pub fn all_issued(seen: &Seen) -> bool {
    seen.held.iter().all(|held| !held.is_empty())
}

/// The longest expiries first, with what explains them: the Secret, the span, the seconds that nothing explains.
pub fn longest(spans: &[(usize, Span)], ledger: &Ledger, backlog: f64) -> Vec<(usize, Span, f64)> {
    let mut rows: Vec<_> = spans.iter().map(|(n, span)| (*n, *span, ledger.unexplained(*span, backlog))).collect();
    rows.sort_by(|a, b| b.1.length().total_cmp(&a.1.length()));
    rows
}
