//! The states of a reflector, as kube-rs names them, its transitions, and its pauses. Pure.
//!
//! ```text
//!  Empty --Started--> InitPage --last page--> InitListed --Opened--> Watching
//!    ^                 |    ^                   ^  ^                  |   |
//!    |                 +----+ page with token   |  +------Closed------+   | Reached
//!    +---- Outdated, from every state           +-- Closed                +--> Watching
//! ```

use std::time::Duration;

use crate::base::limits::{WATCH_PAUSE_FIRST, WATCH_PAUSE_MAX};
use crate::kube::client::KubeError;
use crate::kube::list::ListPage;

/// How far a reflector is. `W` is the open watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State<W> {
    /// No object is known: the list begins.
    Empty,
    /// A page of the list is next: the first page, or that of the token.
    InitPage {
        /// The token of the page.
        continue_token: Option<String>,
    },
    /// The list is complete, or a watch ended: a watch from this version is next.
    InitListed {
        /// The version that everything up to is known.
        resource_version: String,
    },
    /// A watch is open: its next event is next.
    Watching {
        /// The version that everything up to is known.
        resource_version: String,
        /// The watch.
        watch: W,
    },
}

/// An occurrence in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input<W> {
    /// The list begins.
    Started,
    /// A page was read.
    Page(ListPage),
    /// A watch was opened.
    Opened(W),
    /// An event or a bookmark came, and the watch reached this version with it, where it says so.
    Reached(Option<String>),
    /// A watch ended, or could not be opened, and may go on from its version.
    Closed,
    /// The list has to be read anew: its version expired, it failed, or the watch was silent for a whole period.
    Outdated,
}

impl<W> State<W> {
    /// The state after an input. An input that does not belong to the state leads to a new list.
    pub(super) fn next(self, input: Input<W>) -> State<W> {
        match (self, input) {
            (State::Empty, Input::Started) => State::InitPage { continue_token: None },
            (State::InitPage { .. }, Input::Page(page)) => match page.continue_token {
                Some(token) => State::InitPage { continue_token: Some(token) },
                None => State::InitListed { resource_version: page.resource_version },
            },
            (State::InitListed { resource_version }, Input::Opened(watch)) => {
                State::Watching { resource_version, watch }
            }
            (State::Watching { resource_version, watch }, Input::Reached(reached)) => {
                State::Watching { resource_version: reached.unwrap_or(resource_version), watch }
            }
            (State::InitListed { resource_version } | State::Watching { resource_version, .. }, Input::Closed) => {
                State::InitListed { resource_version }
            }
            (State::Empty | State::InitPage { .. } | State::InitListed { .. } | State::Watching { .. }, _) => {
                State::Empty
            }
        }
    }
}

/// The failures since the last success.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// In a row.
    pub(super) count: u32,
    /// Since when every failure is a refusal.
    refused_since: Option<Duration>,
}

impl Failures {
    /// Counts a failure at `now`. Returns whether it is a refusal that is to be believed: one that has lasted for `doubt`.
    pub(super) fn add(&mut self, failed: &KubeError, now: Duration, doubt: Duration) -> bool {
        self.count = self.count.saturating_add(1);
        if !matches!(failed, KubeError::Api(e) if matches!(e.code, 403 | 404)) {
            self.refused_since = None;
            return false;
        }
        now >= self.refused_since.get_or_insert(now).saturating_add(doubt)
    }

    /// Tells whether the failures are an outage. The first one may be a server that restarts, whose successor answers the next try; a refusal that
    /// is doubted is none.
    pub(super) fn are_outage(&self) -> bool {
        self.count > 1 && self.refused_since.is_none()
    }
}

/// The pause after so many failures in a row, the first of which is 1. `share` in [0, 1] is drawn anew for each pause, so that many clients
/// of one server do not come back at once.
pub(super) fn pause(failures: u32, share: f64) -> Duration {
    let most = WATCH_PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(WATCH_PAUSE_MAX);
    most.mul_f64(share.clamp(0.1, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpError;
    use crate::kube::status::ApiError;

    #[test]
    fn every_input_in_every_state_has_its_successor() {
        let page = |token: Option<&str>| {
            Input::Page(ListPage { resource_version: "9".to_owned(), continue_token: token.map(str::to_owned) })
        };
        let init_page = |token: Option<&str>| State::InitPage { continue_token: token.map(str::to_owned) };
        let listed = |version: &str| State::InitListed { resource_version: version.to_owned() };
        let watching = |version: &str, watch| State::Watching { resource_version: version.to_owned(), watch };
        let reached = |version: Option<&str>| Input::Reached(version.map(str::to_owned));
        let states = [State::Empty, init_page(None), init_page(Some("t")), listed("5"), watching("5", 'w')];
        let inputs = [
            Input::Started,
            page(Some("u")),
            page(None),
            Input::Opened('x'),
            reached(Some("7")),
            reached(None),
            Input::Closed,
            Input::Outdated,
        ];
        let expected = |state: &State<char>, input: &Input<char>| match (state, input) {
            (State::Empty, Input::Started) => init_page(None),
            (State::InitPage { .. }, input) if *input == page(Some("u")) => init_page(Some("u")),
            (State::InitPage { .. }, input) if *input == page(None) => listed("9"),
            (State::InitListed { .. }, Input::Opened('x')) => watching("5", 'x'),
            (State::Watching { .. }, input) if *input == reached(Some("7")) => watching("7", 'w'),
            (State::Watching { .. }, input) if *input == reached(None) => watching("5", 'w'),
            (State::InitListed { .. } | State::Watching { .. }, Input::Closed) => listed("5"),
            _ => State::Empty,
        };
        for state in &states {
            for input in &inputs {
                assert_eq!(state.clone().next(input.clone()), expected(state, input), "{state:?} {input:?}");
            }
        }
    }

    #[test]
    fn a_refusal_is_believed_when_nothing_else_happened_for_a_while() {
        let refused = || KubeError::Api(ApiError { code: 403, ..ApiError::default() });
        let away = || KubeError::Network(HttpError("x".to_owned()));
        let (mut failures, doubt) = (Failures::default(), Duration::from_secs(20));
        for (second, failed, believed, outage) in [
            (0, refused(), false, false),
            (19, refused(), false, false),
            (20, away(), false, true),
            (21, refused(), false, false),
            (40, refused(), false, false),
            (41, refused(), true, false),
            (42, away(), false, true),
        ] {
            assert_eq!(failures.add(&failed, Duration::from_secs(second), doubt), believed, "{second}");
            assert_eq!(failures.are_outage(), outage, "{second}");
        }
        let mut first = Failures::default();
        first.add(&away(), Duration::ZERO, doubt);
        assert!(!first.are_outage(), "the server may be restarting");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        assert_eq!(pause(1, 1.0), WATCH_PAUSE_FIRST);
        assert_eq!(pause(2, 1.0), WATCH_PAUSE_FIRST * 2);
        assert_eq!(pause(60, 1.0), WATCH_PAUSE_MAX);
        assert_eq!(pause(2, 0.5), WATCH_PAUSE_FIRST);
        assert!(pause(1, 0.0) > Duration::ZERO, "never a hot loop");
    }
}
