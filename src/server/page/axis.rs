//! The axis of the time line: its span and its ticks. Pure.

use std::time::Duration;

use crate::base::limits::PAGE_AXIS_MAX;
use crate::base::time::Time;
use crate::status::certificate::Validity;

/// A span of time that includes now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    from: Time,
    to: Time,
    now: Time,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Candidate distances of ticks in days; the first that gives few enough ticks is taken.
const STEPS_DAYS: [u32; 7] = [1, 2, 7, 14, 30, 90, 180];

/// Tick labels that fit beside each other.
const TICKS_MAX: u64 = 6;

impl Axis {
    /// The axis that shows `all`, cut to [`PAGE_AXIS_MAX`] either way.
    pub(super) fn of(all: impl Iterator<Item = Validity>, now: Time) -> Axis {
        let (mut from, mut to) = (now - DAY, now + DAY);
        for validity in all {
            from = from.min(validity.begins).max(now - PAGE_AXIS_MAX);
            to = to.max(validity.ends).min(now + PAGE_AXIS_MAX);
        }
        Axis { from, to, now }
    }

    /// The current time.
    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// The position of a moment, from 0 to 100.
    pub(super) fn at(&self, moment: Time) -> f64 {
        let whole = self.to.since(self.from).as_secs_f64();
        (moment.since(self.from).as_secs_f64() / whole * 100.0).min(100.0)
    }

    /// The ticks: position and label, in days from now.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let days = self.to.since(self.from).as_secs() / DAY.as_secs();
        let fits = |step: &&u32| days / u64::from(**step) <= TICKS_MAX;
        let step = *STEPS_DAYS.iter().find(fits).unwrap_or(&STEPS_DAYS[STEPS_DAYS.len() - 1]);
        let mut ticks = vec![(self.at(self.now), "now".to_owned())];
        for n in 1..=u32::try_from(TICKS_MAX).unwrap_or(u32::MAX) {
            let days = n * step;
            let (before, after) = (self.now - DAY * days, self.now + DAY * days);
            if before >= self.from {
                ticks.push((self.at(before), format!("-{days}d")));
            }
            if after <= self.to {
                ticks.push((self.at(after), format!("+{days}d")));
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(n: i64) -> Time {
        Time::from_unix(1_800_000_000 + n * 86_400)
    }

    fn axis(all: &[(i64, i64)]) -> Axis {
        Axis::of(all.iter().map(|(from, to)| Validity { begins: days(*from), ends: days(*to) }), days(0))
    }

    #[test]
    fn everything_is_on_it_and_in_order() {
        let of = axis(&[(-30, 60), (-80, 10)]);
        assert_eq!((of.at(days(-80)), of.at(days(60)), of.at(days(-10))), (0.0, 100.0, 50.0));
        let far = axis(&[(-9_000, 9_000)]);
        assert!((far.at(days(0)) - 50.0).abs() < 0.01 && far.at(days(-9_000)) == 0.0 && far.at(days(9_000)) == 100.0);
        assert!(axis(&[]).at(days(0)) == 50.0);
    }

    #[test]
    fn few_days_are_named_and_now_is_one_of_them() {
        for (all, names) in [
            (&[][..], &["now", "-1d", "+1d"][..]),
            (&[(-30, 60)], &["now", "-14d", "+14d", "-28d", "+28d", "+42d", "+56d"]),
            (&[(-2, 4)], &["now", "-1d", "+1d", "-2d", "+2d", "+3d", "+4d"]),
            (&[(-300, 100)], &["now", "-90d", "+90d", "-180d", "-270d"]),
        ] {
            let found: Vec<String> = axis(all).ticks().into_iter().map(|(_, name)| name).collect();
            assert_eq!(found, names, "{all:?}");
        }
    }
}
