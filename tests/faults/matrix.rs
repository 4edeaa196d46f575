//! The cells: which peer has which fault from which step on, in which scenario, on which store.

use std::fmt;
use std::time::Duration;

use notariat_lab::Fault;

/// Whom notariat talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    Ca,
    Primary,
    Secondary,
    Resolver,
    Api,
}

impl Peer {
    pub const ALL: [Peer; 5] = [Peer::Ca, Peer::Primary, Peer::Secondary, Peer::Resolver, Peer::Api];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Ca => "CA",
            Peer::Primary => "primary",
            Peer::Secondary => "secondary",
            Peer::Resolver => "resolver",
            Peer::Api => "API server",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    Directory,
    Kubernetes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    First,
    Renewal,
    Restore,
    /// Killed at the step, and started again at once.
    Resume,
}

impl Scenario {
    pub const ALL: [Scenario; 4] = [Scenario::First, Scenario::Renewal, Scenario::Restore, Scenario::Resume];

    pub fn name(self) -> &'static str {
        match self {
            Scenario::First => "first",
            Scenario::Renewal => "renewal",
            Scenario::Restore => "restore",
            Scenario::Resume => "resume",
        }
    }
}

/// How the name servers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Udp,
}

/// The step of a cell in which the peer is not needed: its fault begins with the work.
pub const ANY: &str = "-";

#[derive(Clone, Debug)]
pub struct Cell {
    pub number: usize,
    pub peer: Peer,
    pub transport: Transport,
    pub fault: Fault,
    pub lasts: Duration,
    pub step: &'static str,
    pub scenario: Scenario,
    pub store: Store,
}

impl Cell {
    /// The row of the table.
    pub fn row(&self) -> String {
        let over = if self.transport == Transport::Udp { " (UDP)" } else { "" };
        format!("{} {}{over}", self.peer.name(), self.fault.name())
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, step {}, {}, {:?}", self.row(), self.step, self.scenario.name(), self.store)
    }
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The faults of a connection, and how long each lasts: a few steps of an attempt, and less than an attempt may take.
const OVER_TCP: [(Fault, Duration); 6] = [
    (Fault::Delay(Duration::from_millis(400)), seconds(6)),
    (Fault::Cut(20), seconds(4)),
    (Fault::Drop, seconds(6)),
    (Fault::HalfOpen, seconds(4)),
    (Fault::Reset, seconds(4)),
    (Fault::Throttle(500), seconds(8)),
];

/// The faults of datagrams. The delay is longer than the first wait for an answer, so that questions are repeated.
const OVER_UDP: [(Fault, Duration); 4] = [
    (Fault::Drop, seconds(5)),
    (Fault::Delay(Duration::from_millis(1200)), seconds(6)),
    (Fault::Reorder, seconds(6)),
    (Fault::Duplicate, seconds(6)),
];

/// The steps at which a peer is asked in a scenario.
fn steps(peer: Peer, scenario: Scenario) -> &'static [&'static str] {
    const NEW: &[&str] = &["order", "authorization", "respond", "poll", "finalize", "download"];
    match (peer, scenario) {
        (Peer::Api, Scenario::Restore) => &["claim", "store"],
        (_, Scenario::Restore) => &[ANY],
        (Peer::Ca, Scenario::Renewal) => NEW,
        (Peer::Ca, _) => {
            &["directory", "nonce", "account", "order", "authorization", "respond", "poll", "finalize", "download"]
        }
        (Peer::Primary, _) => &["find", "publish", "look-up", "withdraw"],
        (Peer::Secondary, _) => &["look-up"],
        (Peer::Resolver, _) => &["find", "look-up"],
        (Peer::Api, Scenario::First) => {
            &["review", "list", "watch", "trial", "claim", "account", "note", "store", "settle", "lease"]
        }
        (Peer::Api, Scenario::Renewal) => &["trial", "claim", "note", "store", "settle"],
        (Peer::Api, Scenario::Resume) => &["list", "trial", "claim", "account", "note", "store", "settle"],
    }
}

/// Every cell there is.
pub fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for peer in Peer::ALL {
        let over_tcp = OVER_TCP.iter().map(|fault| (Transport::Tcp, *fault));
        let over_udp = OVER_UDP.iter().map(|fault| (Transport::Udp, *fault));
        let has_datagrams = !matches!(peer, Peer::Ca | Peer::Api);
        for (transport, (fault, lasts)) in over_tcp.chain(over_udp.filter(|_| has_datagrams)) {
            for scenario in Scenario::ALL {
                for step in steps(peer, scenario) {
                    for store in [Store::Directory, Store::Kubernetes] {
                        if peer == Peer::Api && store == Store::Directory {
                            continue;
                        }
                        // Within the answer to a request in TLS, and within the first message of a handshake.
                        let fault = match fault {
                            Fault::Cut(_) if !has_datagrams => Fault::Cut(100),
                            other => other,
                        };
                        let number = cells.len();
                        cells.push(Cell { number, peer, transport, fault, lasts, step, scenario, store });
                    }
                }
            }
        }
    }
    cells
}

/// The cells that found something when they first ran.
const FOUND: [&str; 2] =
    ["API server half-open, step claim, first, Kubernetes", "primary reset, step withdraw, renewal, Kubernetes"];

/// A tenth of them, in which each fault of each peer and each scenario of each peer occurs. A directory is looked at every half a minute,
/// so that a renewal and a restore there begin late: of those no cell whose attempts fail, and wait for a minute, is among them.
pub fn tenth() -> Vec<Cell> {
    let mut cells = all();
    let count = cells.len();
    // The factor is prime to the number of cells, so that this is an order of all of them, and far from any length of an inner loop.
    cells.sort_by_key(|cell| cell.number * 397 % count);
    let is_late = |cell: &Cell| {
        let fails = matches!(cell.fault, Fault::Cut(_) | Fault::HalfOpen | Fault::Reset);
        fails && cell.store == Store::Directory && matches!(cell.scenario, Scenario::Renewal | Scenario::Restore)
    };
    let (mut chosen, mut rest): (Vec<Cell>, Vec<Cell>) =
        cells.into_iter().filter(|cell| !is_late(cell)).partition(|cell| FOUND.contains(&&*cell.to_string()));
    for cell in std::mem::take(&mut rest) {
        let is_new = |of: &dyn Fn(&Cell) -> String| chosen.iter().all(|other| of(other) != of(&cell));
        let scenario = |cell: &Cell| format!("{:?} {:?} {:?}", cell.peer, cell.scenario, cell.store);
        match is_new(&Cell::row) || is_new(&scenario) {
            true => chosen.push(cell),
            false => rest.push(cell),
        }
    }
    let missing = (count / 10).saturating_sub(chosen.len());
    chosen.extend(rest.into_iter().take(missing));
    chosen
}

#[test]
fn the_tenth_has_every_fault_and_scenario_of_every_peer() {
    let (all, tenth) = (all(), tenth());
    assert!(tenth.len() * 10 <= all.len() && tenth.len() * 11 > all.len(), "{} of {}", tenth.len(), all.len());
    for cell in &all {
        assert!(tenth.iter().any(|other| other.row() == cell.row()), "{cell}");
        let same = |other: &Cell| (other.peer, other.scenario, other.store) == (cell.peer, cell.scenario, cell.store);
        assert!(tenth.iter().any(same), "{cell}");
    }
}
