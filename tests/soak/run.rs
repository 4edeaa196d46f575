//! A run from its first certificate to its verdict.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use notariat_lab::Software;

use super::faults;
use super::ledger::{Fault, Ledger, backlog};
use super::place::Place;
use super::plan::{self, Measure};
use super::replica::{GRACE, Usage};
use super::report::{self, Facts};
use super::sample::{self, Seen};

/// The longest time in which all first certificates come: only a broken run meets it.
const FIRST: Duration = Duration::from_secs(180);
/// How long after the last explanation an expired certificate is waited for: more than the doubt of the verdict.
const SHOWS: f64 = 8.0;
/// How long a quiet moment is looked for.
const QUIET: Duration = Duration::from_secs(5);

/// The state that the threads of a run share.
pub struct Run {
    clock: Instant,
    /// The beginning in seconds since 1970.
    pub began: f64,
    ledger: Mutex<Ledger>,
    seen: Mutex<Seen>,
    problems: Mutex<Vec<String>>,
    grace: Mutex<Vec<Duration>>,
}

/// The settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    pub minutes: u64,
    pub certificates: usize,
    pub on_kubernetes: bool,
}

impl Run {
    fn new(secrets: usize) -> Run {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        Run {
            clock: Instant::now(),
            began,
            ledger: Mutex::default(),
            seen: Mutex::new(Seen::new(secrets)),
            problems: Mutex::default(),
            grace: Mutex::default(),
        }
    }

    /// Seconds since the beginning.
    pub fn now(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    pub fn note(&self, fault: Fault) {
        locked(&self.ledger).faults.push(fault);
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        locked(&self.seen)
    }

    /// A process took so long to end after SIGTERM.
    pub fn terminated(&self, took: Duration) {
        locked(&self.grace).push(took);
        if took > GRACE {
            let text =
                format!("at {:.0} s notariat took {took:.1?} to end after SIGTERM, and not {GRACE:?}", self.now());
            locked(&self.problems).push(text);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the watch, also where the run ends by a panic.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Runs it, prints its table, and fails where something does not hold.
pub fn soak(options: Options) {
    let Options { seed, minutes, certificates, on_kubernetes } = options;
    let software = if seed.is_multiple_of(2) { Software::Bind } else { Software::Knot };
    let place = Place::new(certificates, plan::lifetimes(minutes), software, on_kubernetes);
    let (run, stop) = (Run::new(certificates), AtomicBool::new(false));
    let mut usages: HashMap<(Measure, u32), Usage> = HashMap::new();
    let (mut first, mut calm_until) = (0.0, 0.0);
    thread::scope(|scope| {
        let _ends = Ends(&stop);
        let (of_watch, of_stop, of_place) = (&run, &stop, &place);
        scope.spawn(move || sample::watch(of_watch, of_place, of_stop));
        let began = Instant::now();
        while !sample::all_issued(&run.seen()) && began.elapsed() < FIRST {
            thread::sleep(Duration::from_millis(100));
        }
        first = run.now();
        for storm in plan::storms(seed, minutes, on_kubernetes) {
            faults::rage(&run, &place, &storm);
            let until = match storm.calm {
                Duration::ZERO => {
                    let explained = locked(&run.ledger).explained(backlog(first));
                    explained.last().map_or(run.now(), |last| last.to) + SHOWS
                }

                calm => run.now() + calm.as_secs_f64(),
            };
            while run.now() < until {
                thread::sleep(Duration::from_millis(200));
            }
            if let Some(measure) = storm.measure {
                usages.extend(quiet(&place).into_iter().map(|usage| ((measure, usage.pid), usage)));
            }
        }
        calm_until = run.now();
    });
    // One last look comes after their end: what was under way is stored or lost.
    for replica in &place.replicas {
        let from = run.now();
        run.terminated(replica.terminate());
        let victim = "all".to_owned();
        run.note(Fault {
            kind: "SIGTERM",
            victim,
            from,
            to: run.now(),
            fails_attempts: false,
            settles: 0.0,
            orders: 4,
        });
    }
    let stop = AtomicBool::new(false);
    // Ended on purpose.
    let mine: Vec<_> = place.replicas.iter().map(|replica| locked(&replica.in_hand)).collect();
    thread::scope(|scope| {
        scope.spawn(|| sample::watch(&run, &place, &stop));
        let looks = run.seen().looks;
        let began = Instant::now();
        while run.seen().looks == looks && began.elapsed() < FIRST {
            thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, SeqCst);
    });
    drop(mine);
    let facts = Facts {
        options,
        software: software.name(),
        first,
        until: calm_until,
        ledger: locked(&run.ledger).clone(),
        grace: locked(&run.grace).clone(),
        problems: locked(&run.problems).clone(),
        usages,
    };
    report::judge(&run, &place, facts);
}

/// The use of each process in a quiet moment: the least of some looks, each figure by itself.
fn quiet(place: &Place) -> Vec<Usage> {
    let began = Instant::now();
    let mut least: HashMap<u32, Usage> = HashMap::new();
    while began.elapsed() < QUIET {
        for usage in place.replicas.iter().filter_map(|replica| replica.usage()) {
            let known = least.entry(usage.pid).or_insert(usage);
            known.rss_kib = known.rss_kib.min(usage.rss_kib);
            known.threads = known.threads.min(usage.threads);
            known.workers = known.workers.min(usage.workers);
            known.descriptors = known.descriptors.min(usage.descriptors);
        }
        thread::sleep(Duration::from_millis(250));
    }
    least.into_values().collect()
}
