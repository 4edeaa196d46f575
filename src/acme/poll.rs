//! The pause before an order is polled, learned from how long this CA took before. Pure.

use std::time::Duration;

use crate::base::limits::{POLL_FIRST, POLL_FIRST_MAX, POLL_LEARNED_MIN};

/// The CA's work that an order is polled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The CA validates the challenges.
    Validation,
    /// The CA issues the certificate.
    Issuance,
}

/// The learned pauses of one CA, by phase.
#[derive(Clone, Copy, Debug)]
pub struct PollSchedule {
    validation: Duration,
    issuance: Duration,
}

impl Default for PollSchedule {
    fn default() -> PollSchedule {
        PollSchedule { validation: POLL_FIRST, issuance: POLL_FIRST }
    }
}

impl PollSchedule {
    /// The pause before the first poll.
    pub fn first(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Validation => self.validation,
            Phase::Issuance => self.issuance,
        }
    }

    /// Learns from an order that needed `polls` polls within `took`. After one poll the next first pause is an eighth
    /// shorter; after several it is as long as the CA took, so that one is enough.
    pub fn learn(&mut self, phase: Phase, polls: u32, took: Duration) {
        let pause = match phase {
            Phase::Validation => &mut self.validation,
            Phase::Issuance => &mut self.issuance,
        };
        let next = if polls == 1 { pause.saturating_sub(pause.checked_div(8).unwrap_or_default()) } else { took };
        *pause = next.clamp(POLL_LEARNED_MIN, POLL_FIRST_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_of_a_ca_is_learned() {
        let mut pace = PollSchedule::default();
        assert_eq!(pace.first(Phase::Validation), POLL_FIRST);
        pace.learn(Phase::Validation, 3, Duration::from_millis(800));
        assert_eq!(pace.first(Phase::Validation), Duration::from_millis(800));
        assert_eq!(pace.first(Phase::Issuance), POLL_FIRST, "each phase has its own");
        pace.learn(Phase::Validation, 1, Duration::from_millis(810));
        assert_eq!(pace.first(Phase::Validation), Duration::from_millis(700));
        pace.learn(Phase::Validation, 9, Duration::from_secs(90));
        assert_eq!(pace.first(Phase::Validation), POLL_FIRST_MAX);
        for _ in 0..1000 {
            pace.learn(Phase::Validation, 1, Duration::ZERO);
        }
        assert_eq!(pace.first(Phase::Validation), POLL_LEARNED_MIN);
    }
}
