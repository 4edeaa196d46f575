//! `-prune`: whether the Secret of a certificate is deleted that no object wants any more. Pure.
//!
//! A Secret that goes by mistake is an outage, so that each doubt keeps it: a Secret is left alone until everything is known, and for good
//! where all objects of a kind went together, or where it is not as notariat stored it.

use crate::base::limits::{PRUNE_AFTER, TIDY_INTERVAL};
use crate::base::time::Time;
use crate::policy::secret_state::{Owner, Present, SecretState};
use crate::record::{Issued, Orphaned, OrphanedSecret};

/// The view of the sources beside the object that went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcesSeen {
    /// Every kind was listed to its end, may still be read, and its watch shows changes.
    pub are_whole: bool,
    /// Another object of the same kind still gets a certificate.
    pub has_others: bool,
}

/// The next step about the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneStep {
    /// Nothing, now or later.
    Nothing,
    /// Nothing before this time.
    Until(Time),
    /// Nothing while not all is known; the record is not emptied meanwhile.
    Unknown,
    /// The record says that the Secret stays for good.
    Keep,
    /// The Secret is looked at, and deleted where it is as notariat stored it.
    Delete,
}

/// The time at which the Secret is deleted at the earliest; `None` where it stays.
pub fn deletion_time(orphaned: Orphaned) -> Option<Time> {
    (orphaned.secret == OrphanedSecret::Open).then(|| orphaned.since + PRUNE_AFTER)
}

/// The step for the Secret of an object's certificate that is orphaned. `is_named` says whether any object names the Secret, whether it asks
/// for a certificate or not; `prunes` is `-prune`.
pub fn step(
    orphaned: Orphaned,
    seen: SourcesSeen,
    prunes: bool,
    is_named: impl FnOnce() -> bool,
    now: Time,
) -> PruneStep {
    // A time of a clock that was ahead is written anew.
    let Some(due) = deletion_time(orphaned).filter(|_| orphaned.since <= now) else { return PruneStep::Nothing };
    match (seen.are_whole, prunes) {
        // A kind that turned empty at once: its definition was removed, or its objects by mistake. That counts without `-prune`, too.
        (true, _) if !seen.has_others => PruneStep::Keep,
        (_, false) => PruneStep::Nothing,
        _ if now < due => PruneStep::Until(due),
        (false, true) => PruneStep::Unknown,
        (true, true) if is_named() => PruneStep::Until(now + TIDY_INTERVAL),
        (true, true) => PruneStep::Delete,
    }
}

/// Why a Secret that exists is not deleted; `None` where it is as notariat stored it.
pub fn kept_because(held: &SecretState, stored: Option<&Issued>) -> Option<&'static str> {
    let SecretState::Present(present) = held else { return Some("it does not exist any more") };
    let Present { owner, pair, .. } = &**present;
    match (owner, pair.facts(), stored) {
        (Owner::Us, Some(facts), Some(stored)) if facts.serial == stored.serial => None,
        (Owner::Us, ..) => Some("it does not hold the certificate that notariat stored last"),
        (Owner::Nobody | Owner::Empty | Owner::KubeLego | Owner::CertManager(_) | Owner::Another(_), ..) => {
            Some("it does not have the owner annotation of this instance for its own name")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::secret_state::PairState;
    use crate::policy::tests::{facts, present};

    const NOW: Time = Time::from_unix(1_800_000_000);

    fn orphaned(since_hours_ago: i64, secret: OrphanedSecret) -> Orphaned {
        let since = Time::from_unix(NOW.unix() - 3_600 * since_hours_ago);
        Orphaned { since, until: since + 7 * PRUNE_AFTER, secret }
    }

    #[test]
    fn a_secret_is_deleted_a_day_after_its_wish_went_and_only_where_nothing_is_in_doubt() {
        use OrphanedSecret::{Deleted, Kept, Open};
        let due = |hours: i64| NOW + Duration::from_secs(3_600) * u32::try_from(hours).unwrap();
        // Hours since the wish went, the record, all is known, others of the kind, named by an object, -prune.
        for (hours, secret, are_whole, has_others, is_named, prunes, expected) in [
            (24, Open, true, true, false, true, PruneStep::Delete),
            (1_000, Open, true, true, false, true, PruneStep::Delete),
            (23, Open, true, true, false, true, PruneStep::Until(due(1))),
            (0, Open, true, true, false, true, PruneStep::Until(due(24))),
            // Off by default.
            (24, Open, true, true, false, false, PruneStep::Nothing),
            // Decided before.
            (24, Kept, true, true, false, true, PruneStep::Nothing),
            (24, Deleted, true, true, false, true, PruneStep::Nothing),
            (24, Kept, true, false, false, true, PruneStep::Nothing),
            // Rule 50: the kind turned empty at once: kept for good, also when its objects come back, and whether -prune is on or not.
            (24, Open, true, false, false, true, PruneStep::Keep),
            (0, Open, true, false, false, true, PruneStep::Keep),
            (0, Open, true, false, false, false, PruneStep::Keep),
            // A source has had no full list, may not be read, or its watch is lost: nothing is concluded, neither from an empty kind.
            (24, Open, false, true, false, true, PruneStep::Unknown),
            (24, Open, false, false, false, true, PruneStep::Unknown),
            (23, Open, false, true, false, true, PruneStep::Until(due(1))),
            (24, Open, false, false, false, false, PruneStep::Nothing),
            // An object names it.
            (24, Open, true, true, true, true, PruneStep::Until(NOW + TIDY_INTERVAL)),
            // By a clock that was ahead.
            (-1, Open, true, true, false, true, PruneStep::Nothing),
        ] {
            let seen = SourcesSeen { are_whole, has_others };
            let found = step(orphaned(hours, secret), seen, prunes, || is_named, NOW);
            assert_eq!(found, expected, "{hours} {secret:?} {seen:?} {is_named} {prunes}");
        }
        let seen = SourcesSeen { are_whole: true, has_others: true };
        let a_second_early = Orphaned { since: NOW - PRUNE_AFTER + Duration::from_secs(1), ..orphaned(0, Open) };
        let found = step(a_second_early, seen, true, || false, NOW);
        assert_eq!(found, PruneStep::Until(NOW + Duration::from_secs(1)));
    }

    #[test]
    fn only_a_secret_as_notariat_stored_it_is_deleted() {
        let of = |serial: &str| PairState::Sound(facts(&["a.test"], 10, 80, serial).into());
        let sound = || of("01");
        let stored = Issued {
            serial: "01".into(),
            at: NOW,
            directory: "".into(),
            key_type: "".into(),
            profile: None,
            account: None,
            cert_id: None,
            renewal_mark: None,
        };
        let state = |owner: Owner, pair: PairState| SecretState::Present(Box::new(Present { owner, ..present(pair) }));
        assert_eq!(kept_because(&state(Owner::Us, sound()), Some(&stored)), None);
        for (held, stored) in [
            (SecretState::Missing, Some(&stored)),
            // A copy with another name, and the Secret of another instance, of another program, of a person.
            (state(Owner::Another("a replicator".to_owned()), sound()), Some(&stored)),
            (state(Owner::KubeLego, sound()), Some(&stored)),
            (state(Owner::Nobody, sound()), Some(&stored)),
            // Somebody put something else in it.
            (state(Owner::Us, of("02")), Some(&stored)),
            (state(Owner::Us, PairState::Mismatch(facts(&["a.test"], 10, 80, "01").into())), Some(&stored)),
            (
                state(Owner::Us, PairState::Keyless(facts(&["a.test"], 10, 80, "01").into(), String::new())),
                Some(&stored),
            ),
            (state(Owner::Us, PairState::Broken(String::new())), Some(&stored)),
            (state(Owner::Us, sound()), None),
        ] {
            assert!(kept_because(&held, stored).is_some(), "{held:?}");
        }
    }
}
