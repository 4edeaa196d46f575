//! The ledger of faults, and what they explain. Pure: times are seconds since the run began, by the harness's clock.
//!
//! A certificate may be expired while a fault lasts and for as long afterwards as the program waits by its own rules. Those waits:
//!
//! - an attempt that a fault made fail is tried again after 60 s and up to a fifth more, a second one in a row after twice that (docs: attempts
//!   before validation 1, 2, 4 ... minutes). A circuit stays open for 60 s, 2 min ...: never longer than that;
//! - kind by kind what else is waited for ([`Fault::settles`]): the Lease of a killed leader, the pause of a watch, the next look at the clock;
//! - then there is a backlog ([`backlog`]), worked off in the time that the first issue of all certificates took in the same run on the same
//!   machine; twice that and a few seconds, because the machine may be busier by then.
//!
//! Nothing else is explained. So the storms of faults are short and the calms after them longer than all these waits together: whatever does
//! not recover by itself is expired in a calm.

/// The wait after the first failure of an attempt with the largest jitter; each further one in a row doubles it.
const RETRY: f64 = 60.0 * 1.2;

/// Faults closer to each other than this can make one attempt fail twice.
const APART: f64 = 5.0;

/// How long all certificates take where their first issue took so long.
pub fn backlog(first: f64) -> f64 {
    2.0 * first + 10.0
}

/// One disturbance.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The kind, such as `SIGKILL`, by which they are counted.
    pub kind: &'static str,
    /// The victim, such as `Pebble`.
    pub victim: String,
    pub from: f64,
    /// When the victim was in order again.
    pub to: f64,
    /// Tells whether an attempt can fail by it, and be tried again after the wait for that.
    pub fails_attempts: bool,
    /// The longest wait besides, from the end of the fault on.
    pub settles: f64,
    /// How many orders can be lost by it: one for each worker that had one made whose URL is not on record, or that the CA forgot.
    pub orders: usize,
}

/// All disturbances of a run.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub faults: Vec<Fault>,
}

/// A part of the run with its faults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub from: f64,
    pub to: f64,
}

impl Span {
    pub fn length(self) -> f64 {
        (self.to - self.from).max(0.0)
    }
}

impl Ledger {
    /// Faults that follow one another, as indexes, and the span of each such storm.
    fn storms(&self) -> Vec<(Span, Vec<usize>)> {
        let mut order: Vec<usize> = (0..self.faults.len()).collect();
        order.sort_by(|a, b| self.faults[*a].from.total_cmp(&self.faults[*b].from));
        let mut storms: Vec<(Span, Vec<usize>)> = Vec::new();
        for index in order {
            let fault = &self.faults[index];
            match storms.last_mut() {
                Some((span, members)) if fault.from <= span.to + APART => {
                    span.to = span.to.max(fault.to);
                    members.push(index);
                }
                _ => storms.push((Span { from: fault.from, to: fault.to }, vec![index])),
            }
        }
        storms
    }

    /// The spans in which a certificate may be expired, merged. `backlog` is how long all certificates take.
    pub fn explained(&self, backlog: f64) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (storm, members) in self.storms() {
            let retry = longest_retry(storm.length());
            let end = members.iter().map(|index| {
                let fault = &self.faults[*index];
                let retry = if fault.fails_attempts { retry } else { 0.0 };
                fault.to + retry.max(fault.settles)
            });
            let end = end.fold(storm.to, f64::max) + backlog;
            match spans.last_mut() {
                Some(last) if storm.from <= last.to => last.to = last.to.max(end),
                _ => spans.push(Span { from: storm.from, to: end }),
            }
        }
        spans
    }

    /// How much of a span no fault explains.
    pub fn unexplained(&self, span: Span, backlog: f64) -> f64 {
        let explained = self.explained(backlog).into_iter();
        let covered = explained.map(|e| Span { from: e.from.max(span.from), to: e.to.min(span.to) }.length());
        span.length() - covered.sum::<f64>()
    }

    /// The faults whose explanation touches a span, for people.
    pub fn named(&self, span: Span, backlog: f64) -> String {
        let touched = self.explained(backlog).into_iter().find(|e| e.from < span.to && span.from < e.to);
        let Some(by) = touched else { return "nothing".to_owned() };
        let within = self.faults.iter().filter(|f| by.from <= f.from && f.from <= span.to);
        let mut names: Vec<String> =
            within.map(|f| format!("{} {} {:.0}-{:.0} s", f.kind, f.victim, f.from, f.to)).collect();
        let more = names.len().saturating_sub(4);
        names.drain(..more);
        names.join(", ")
    }

    /// The first fault that touches a span and has room for another lost order, which it takes.
    pub fn take_order(&mut self, span: Span) -> bool {
        let mut touched = self.faults.iter_mut().filter(|f| f.from <= span.to && span.from <= f.to);
        let Some(fault) = touched.find(|f| f.orders > 0) else { return false };
        fault.orders -= 1;
        true
    }

    /// Tells whether a fault touches a span.
    pub fn touches(&self, span: Span) -> bool {
        self.faults.iter().any(|f| f.from <= span.to && span.from <= f.to)
    }

    /// The kinds of faults and their numbers.
    pub fn kinds(&self) -> Vec<(String, usize)> {
        let mut kinds = std::collections::BTreeMap::new();
        for fault in &self.faults {
            *kinds.entry(format!("{} {}", fault.kind, fault.victim)).or_insert(0) += 1;
        }
        kinds.into_iter().collect()
    }
}

/// The wait after the last failure that fits into a storm: the attempts of a storm that lasts less than a minute fail once.
fn longest_retry(storm: f64) -> f64 {
    let (mut at, mut wait) = (0.0, RETRY);
    loop {
        // The wait without jitter: the next failure may come that soon.
        at += wait / 1.2;
        if at > storm {
            return wait;
        }
        wait *= 2.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(from: f64, to: f64) -> Fault {
        Fault { kind: "SIGKILL", victim: "Pebble".into(), from, to, fails_attempts: true, settles: 0.0, orders: 2 }
    }

    fn ledger(faults: &[Fault]) -> Ledger {
        Ledger { faults: faults.to_vec() }
    }

    fn span(from: f64, to: f64) -> Span {
        Span { from, to }
    }

    #[test]
    fn a_fault_explains_its_time_the_wait_for_the_next_attempt_and_the_backlog() {
        let one = ledger(&[fault(10.0, 20.0)]);
        assert_eq!(one.explained(5.0), [span(10.0, 97.0)]);
        for (expired, unexplained) in [
            (span(0.0, 5.0), 5.0),
            (span(12.0, 97.0), 0.0),
            (span(5.0, 15.0), 5.0),
            (span(90.0, 100.0), 3.0),
            (span(0.0, 200.0), 113.0),
            (span(30.0, 30.0), 0.0),
        ] {
            assert_eq!(one.unexplained(expired, 5.0), unexplained, "{expired:?}");
        }
        assert_eq!(ledger(&[]).unexplained(span(0.0, 5.0), 5.0), 5.0);
        assert_eq!(one.named(span(90.0, 91.0), 5.0), "SIGKILL Pebble 10-20 s");
        assert_eq!(one.named(span(98.0, 99.0), 5.0), "nothing");
    }

    #[test]
    fn what_makes_no_attempt_fail_explains_no_retry_and_what_settles_longer_explains_that() {
        let restart = Fault { fails_attempts: false, ..fault(10.0, 12.0) };
        assert_eq!(ledger(std::slice::from_ref(&restart)).explained(3.0), [span(10.0, 15.0)]);
        let leader = Fault { settles: 90.0, ..restart.clone() };
        assert_eq!(ledger(&[restart, leader]).explained(3.0), [span(10.0, 105.0)]);
    }

    #[test]
    fn faults_of_one_storm_count_as_one_and_a_long_storm_doubles_the_wait() {
        let storm = ledger(&[fault(30.0, 40.0), fault(10.0, 27.0)]);
        assert_eq!(storm.explained(0.0), [span(10.0, 112.0)]);
        let long = ledger(&[fault(10.0, 90.0)]);
        assert_eq!(long.explained(0.0), [span(10.0, 90.0 + 144.0)]);
        let apart = ledger(&[fault(10.0, 20.0), fault(200.0, 210.0)]);
        assert_eq!(apart.explained(0.0), [span(10.0, 92.0), span(200.0, 282.0)]);
        let overlapping = ledger(&[fault(10.0, 20.0), fault(60.0, 70.0)]);
        assert_eq!(overlapping.explained(0.0), [span(10.0, 142.0)]);
        assert_eq!([0.0, 59.0, 61.0, 181.0].map(longest_retry), [72.0, 72.0, 144.0, 288.0]);
    }

    #[test]
    fn a_fault_explains_as_many_lost_orders_as_it_can_lose() {
        let mut one = ledger(&[fault(10.0, 20.0)]);
        assert!(!one.take_order(span(21.0, 30.0)) && !one.take_order(span(0.0, 9.0)));
        assert!(one.take_order(span(15.0, 25.0)) && one.take_order(span(5.0, 11.0)));
        assert!(!one.take_order(span(15.0, 25.0)), "it had two workers");
        assert!(one.touches(span(20.0, 30.0)) && !one.touches(span(20.5, 30.0)));
        assert_eq!(one.kinds(), [("SIGKILL Pebble".to_owned(), 1)]);
    }
}
