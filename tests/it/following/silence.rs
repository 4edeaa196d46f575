//! Watches that say nothing, as those do whose version is from the future: etcd was restored from a backup, and the API server sends
//! neither events nor bookmarks until it has reached that version again.

use std::time::Duration;

use serde_json::json;

use super::{Held, Lines, Play, Silent, event, list, object};

/// The period of a watch in these tests; the play asks for it.
const PERIOD: Duration = Duration::from_secs(2);

fn bookmark(version: u32) -> String {
    json!({"type": "BOOKMARK", "object": object("", version)}).to_string()
}

#[test]
fn a_watch_from_the_future_is_silent_for_a_period_and_then_the_list_is_read_anew() {
    let play = Play::of(vec![
        list(90, "", &["a", "since-the-backup"]),
        Held(Duration::ZERO, vec![], PERIOD),
        list(40, "", &["a"]),
        Silent(vec![event("ADDED", "b", 41)]),
    ]);
    play.tells(&["listing", "a@90", "since-the-backup@90", "listed"]);
    play.tells(&["listing", "a@40", "listed", "b@41"]);
    assert_eq!(play.asked()[3], "watch=1resourceVersion=40");
}

/// A load balancer that ends connections before the server would.
#[test]
fn silence_counts_over_several_watches() {
    let cut = || Held(Duration::ZERO, vec![], PERIOD * 3 / 5);
    let play = Play::of(vec![list(90, "", &["a"]), cut(), cut(), list(40, "", &["b"]), Silent(vec![])]);
    play.tells(&["listing", "a@90", "listed", "listing", "b@40", "listed"]);
}

#[test]
fn a_bookmark_is_a_sign_of_life() {
    let alive = |version| Held(PERIOD / 2, vec![bookmark(version)], PERIOD / 2);
    let play = Play::of(vec![
        list(5, "", &["a"]),
        alive(6),
        alive(7),
        alive(8),
        Lines(vec![event("MODIFIED", "a", 9)]),
        Silent(vec![]),
    ]);
    play.tells(&["listing", "a@5", "listed", "a@9"]);
    let versions: Vec<String> = play.asked()[1..5].iter().map(|a| a.replace("watch=1resourceVersion=", "")).collect();
    assert_eq!(versions, ["5", "6", "7", "8"], "each watch goes on from where the last one was");
}
