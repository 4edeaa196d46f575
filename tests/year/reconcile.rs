//! The decision about a certificate, and its immediate effects.
//!
//! Mirrors controller/reconcile.rs, the order of a pass, and worker/renewal_info.rs.

use std::time::Duration;

use notariat::base::time::Time;
use notariat::policy::ca_limits::{RateLimitBlock, Scope, is_renewal, quota_rank, quotas};
use notariat::policy::order_index::{OrderIndex, Orders, ReservedOrder};
use notariat::policy::renewal_window::{answered, next_question};
use notariat::policy::secret_state::SecretState;
use notariat::policy::{Decision, EvaluationInput, WaitReason, evaluate};

use crate::ca::{DIRECTORY, HOUR};
use crate::controller::{Event, Simulation};
use crate::trouble::Part;

impl Simulation {
    /// Mirrors the evaluation of one certificate. Returns whether the quota stopped an order.
    pub fn look(&mut self, i: usize) -> bool {
        self.certificates[i].next = Time::from_unix(i64::MAX);
        if let Some(until) = self.trouble.as_ref().and_then(|t| t.out(Part::Store, self.now)) {
            // Without the record nothing is decided.
            let pause = self.rng.within(Duration::ZERO, Duration::from_secs(30));
            self.look_at(i, until + pause);
            return false;
        }
        let had_slot = std::mem::take(&mut self.certificates[i].reserved);
        let (closed, by_quota) = self.closed(i, had_slot);
        let certificate = &self.certificates[i];
        let copy = match (&certificate.held[0], &certificate.record.copy) {
            (SecretState::Missing, Some(copy)) => {
                self.ca.sets[i].issued.iter().find(|f| f.serial.as_bytes() == copy.chain.as_slice())
            }
            _ => None,
        };
        let evaluation = evaluate(&EvaluationInput {
            revocations: &[],
            certificate: None,
            entry: &certificate.entry,
            secrets: &certificate.held,
            record: &certificate.record.body,
            copy,
            directory: &self.directory,
            profile: None,
            inputs: "inputs",
            orders: &self.counted_orders(i),
            closed: closed.as_ref(),
            week_is_full: None,
            secret_type: "kubernetes.io/tls",
            of_objects: false,
            renewal: None,
            now: self.now,
        });
        match evaluation.decision {
            Decision::Keep { until } => self.keep(i, until),
            Decision::Wait { waiting: WaitReason::RateLimited, until, .. } if by_quota => {
                self.rationed.insert((quota_rank(&self.certificates[i].record.body), i));
                if self.quota_at != until {
                    self.quota_at = until;
                    self.at(until, Event::Quota);
                }
                return true;
            }
            Decision::Wait { until, .. } => self.look_at(i, until.max(self.now + Duration::from_secs(1))),
            Decision::Refuse { finding } => panic!("a simulated Secret is refused: {finding}"),
            Decision::Restore { .. } => self.restore(i),
            Decision::Issue { counted, .. } => {
                let slot = if had_slot { self.now } else { self.slot() };
                if slot > self.now {
                    self.certificates[i].reserved = true;
                    self.look_at(i, slot);
                } else {
                    self.issue(i, counted);
                }
            }
        }
        false
    }

    /// The times of counted orders; no two certificates here have the same exact set.
    fn counted_orders(&self, i: usize) -> Orders {
        let mut orders = Orders::new();
        for history in self.certificates[i].record.body.histories.iter().filter(|h| !h.orders.is_empty()) {
            let of = orders.entry(history.directory.clone()).or_default();
            of.entry(history.names.clone()).or_default().extend(&history.orders);
        }
        orders
    }

    fn keep(&mut self, i: usize, until: Time) {
        if self.certificates[i].record.body.in_flight.is_some() {
            return self.tidy(i);
        }
        let secret = self.certificates[i].entry.main_secret().clone();
        let next = self.questions.next(&secret, DIRECTORY, self.certificates[i].record.body.next_question, self.now);
        if next > self.now {
            return self.look_at(i, until.min(next));
        }
        self.ask(i, until);
    }

    /// Mirrors the fetching of renewal information. Answers without a change are only counted.
    fn ask(&mut self, i: usize, until: Time) {
        let secret = self.certificates[i].entry.main_secret().clone();
        self.tally.questions += 1;
        if let Some(out) = self.trouble.as_ref().and_then(|t| t.out(Part::Ca, self.now)) {
            match self.rng.below(2) {
                0 => {
                    self.questions.failed(&secret, None, self.now);
                }
                _ => self.questions.close(DIRECTORY, out.min(self.now + HOUR)),
            }
            return self.look_at(i, self.now + Duration::from_secs(1));
        }
        let facts = self.certificates[i].facts().expect("what is kept is there").clone();
        let Some(suggested) = self.ca.renewal_info(i, &facts.serial, self.now) else {
            self.questions.answered(&secret, next_question(None, self.now));
            return self.look_at(i, self.now + Duration::from_secs(1));
        };
        let before = self.certificates[i].record.body.window.clone().filter(|w| w.serial == facts.serial);
        let window = answered(before.as_ref(), &facts.serial, suggested, None, self.now);
        let mut asked = self.now;
        let mut next = self.next_question(asked);
        if window != before {
            self.questions.answered(&secret, next);
            return self.save_window(i, window);
        }
        let quiet = self.ca.is_revoked(i).map_or(until, |_| asked);
        let out = self.trouble.as_ref().and_then(|t| t.next_out(Part::Ca, asked)).unwrap_or(until);
        let planned = &self.certificates[i].planned;
        let change = planned.iter().copied().filter(|at| *at > asked).min().unwrap_or(until);
        while next < quiet.min(out).min(change) {
            asked = next;
            next = self.next_question(asked);
            self.tally.questions += 1;
        }
        self.questions.answered(&secret, next);
        self.look_at(i, asked + Duration::from_secs(1));
    }

    /// Let's Encrypt says six hours, a fifth more or less.
    fn next_question(&mut self, now: Time) -> Time {
        next_question(Some(now + self.rng.within(Duration::from_secs(17_280), Duration::from_secs(25_920))), now)
    }

    /// Mirrors the limits of a certificate. Returns also whether the quota is the limit.
    fn closed(&self, i: usize, had_slot: bool) -> (Option<RateLimitBlock>, bool) {
        let certificate = &self.certificates[i];
        if let Some(closed) = self.limits.closed(&self.account, &certificate.names, self.now) {
            return (Some(closed), false);
        }
        let quotas = quotas(DIRECTORY, self.orders_per_day);
        let renewal = is_renewal(&certificate.held, &certificate.names, DIRECTORY, self.now);
        if renewal && quotas.iter().all(|quota| !quota.renewals) {
            // An attempt that has its slot already is not limited again.
            return (None, false);
        }
        let closed = |until| RateLimitBlock { scope: Scope::Account, since: None, until, said: "the quota".to_owned() };
        if !renewal && !had_slot && self.quota_at > self.now {
            // Another certificate met the quota, which does not free up before.
            return (Some(closed(self.quota_at)), true);
        }
        let mut orders = OrderIndex::default();
        self.certificates.iter().for_each(|c| orders.add(&c.record.body, self.now));
        for other in self.certificates.iter().filter(|c| c.reserved) {
            let renewal = is_renewal(&other.held, &other.names, DIRECTORY, self.now);
            orders.reserve(&ReservedOrder { directory: DIRECTORY.into(), renewal, namespace: None });
        }
        let until = orders.log(DIRECTORY).and_then(|made| made.exhausted(&quotas, renewal, self.now));
        (until.map(closed), until.is_some())
    }

    /// Serves the certificates that wait for the quota in the order of a pass: the first that has to wait ends the turn
    /// of all.
    pub fn serve_rationed(&mut self) {
        while let Some((_, i)) = self.rationed.pop_first() {
            if self.look(i) {
                break;
            }
        }
    }
}
