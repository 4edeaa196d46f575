//! How many jobs may be under way, in all and for one peer. Pure.

use crate::base::limits::WORKERS_FACTOR;

/// The bounds of what may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Jobs for one peer.
    pub(super) workers: usize,
    /// Work items under way besides the jobs of the queue.
    pub(super) others: usize,
}

impl Capacity {
    /// The most threads.
    pub(super) const fn threads(workers: usize) -> usize {
        workers * WORKERS_FACTOR
    }

    /// Tells whether another job may start for a peer that has `running` of `all`. The last slots are for peers that have none, so that peers that
    /// hang never keep another one waiting.
    pub(super) fn admit(self, running: usize, all: usize, is_silent: bool) -> bool {
        let own = if is_silent { 1 } else { self.workers };
        let threads = Capacity::threads(self.workers);
        let all = all + self.others;
        running < own && all < if running == 0 { threads } else { threads - self.workers }
    }
}
