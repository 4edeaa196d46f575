//! The least that the main job takes: measured in runs without a fault.

use std::collections::BTreeMap;
use std::thread;

use crate::cell::{measure, undisturbed};
use crate::judge::Level;
use crate::matrix::{ANY, Peer, Scenario, Store, Transport};
use crate::servers::Servers;

type Key = (Scenario, Store, Transport);

pub struct Least {
    requests: BTreeMap<(Key, Peer), usize>,
    /// With and without a Lease.
    levels: BTreeMap<(Scenario, Store, bool), Level>,
}

impl Least {
    /// Measures each scenario; the names of these runs have numbers from `first` on.
    pub fn measure(servers: &'static Servers, first: usize) -> Least {
        let mut keys: Vec<(Key, &'static str)> = Vec::new();
        for scenario in [Scenario::First, Scenario::Renewal, Scenario::Restore] {
            for store in [Store::Directory, Store::Kubernetes] {
                keys.extend([Transport::Tcp, Transport::Udp].map(|transport| ((scenario, store, transport), ANY)));
            }
        }
        keys.push(((Scenario::First, Store::Kubernetes, Transport::Udp), "lease"));
        let (mut requests, mut levels) = (BTreeMap::new(), BTreeMap::new());
        thread::scope(|scope| {
            let runs = keys.iter().enumerate().map(|(n, ((scenario, store, transport), step))| {
                let cell = undisturbed(*scenario, *store, *transport, step, first + n);
                scope.spawn(move || measure(&cell, servers))
            });
            for ((key, step), run) in keys.iter().zip(runs.collect::<Vec<_>>()) {
                let (counts, level) = run.join().unwrap().unwrap_or_else(|why| panic!("{why}"));
                // The larger count, which is that with a Lease.
                for (peer, count) in counts {
                    let kept = requests.entry((*key, peer)).or_insert(count);
                    *kept = count.max(*kept);
                }
                let kept = levels.entry((key.0, key.1, *step == "lease")).or_insert(level);
                *kept = kept.max(level);
            }
        });
        Least { requests, levels }
    }

    /// The requests to a peer in a scenario. A program that is killed and started again may need all of them twice.
    pub fn requests(&self, scenario: Scenario, store: Store, transport: Transport, peer: Peer) -> usize {
        let (of, times) = if scenario == Scenario::Resume { (Scenario::First, 2) } else { (scenario, 1) };
        times * self.requests[&((of, store, transport), peer)]
    }

    /// Threads and descriptors of a daemon with nothing to do.
    pub fn level(&self, scenario: Scenario, store: Store, lease: bool) -> Level {
        self.levels[&(if scenario == Scenario::Resume { Scenario::First } else { scenario }, store, lease)]
    }
}
