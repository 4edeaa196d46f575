//! One cell from its start to its end, and what was seen of it.

use std::sync::OnceLock;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use notariat_lab::Fault;

use crate::judge;
use crate::least::Least;
use crate::matrix::{ANY, Cell, Peer, Scenario, Store, Transport};
use crate::servers::Servers;
use crate::site::{Plan, Site};
use crate::support::run::Daemon;
use crate::trigger::Armed;

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// While the fault lasted.
    Through,
    /// When the fault was over, with no failure told.
    After,
    /// After so many failures, each told.
    Again(usize),
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub how: How,
    /// From the begin of the fault to the certificate.
    pub took: Duration,
    /// The most requests that the peer got in a minute.
    pub requests: usize,
}

/// The time from a request that nobody answers to its end (`ACME_REQUEST`), and that between a failure and the next try of an attempt
/// (one minute and a fifth, or two and a fifth) are bounds of notariat; this is what a busy machine may add.
const SLACK: Duration = Duration::from_secs(25);

/// The longest time until what was left behind is withdrawn, after a fault that is shorter than it (`TIDY_FIRST`).
const WITHDRAWN: Duration = Duration::from_secs(60);

/// How long a step may take to come, and what is left to go. On a machine that is too busy for the servers an attempt before it fails.
const PATIENCE: Duration = Duration::from_secs(150);

/// The longest wait of one request that nobody answers: to the CA, and over all servers and transports for an UPDATE.
fn request_bound(cell: &Cell) -> Duration {
    Duration::from_secs(match (cell.peer, cell.fault) {
        // A request to the CA, to the API server.
        (Peer::Ca, _) => 60,
        (Peer::Api, _) => 30,
        // An UPDATE with all its tries.
        (Peer::Primary, _) => 40,
        _ => 20,
    })
}

pub fn plan(cell: &Cell) -> Plan {
    // The faults of connections are for UPDATEs over TCP, and those of datagrams for UPDATEs over UDP.
    let updates = match (cell.peer, cell.transport) {
        (Peer::Primary, Transport::Tcp) => "tcp",
        (Peer::Primary, Transport::Udp) => "udp",
        _ => "auto",
    };
    let transport = if matches!(cell.peer, Peer::Ca | Peer::Api) { Transport::Udp } else { cell.transport };
    let (resets, lease) = (cell.fault == Fault::Reset, cell.step == "lease");
    Plan { number: cell.number, store: cell.store, transport, updates, resets, lease }
}

/// How often the log tells of an event.
fn count(log: &str, event: &str) -> usize {
    log.lines().filter(|line| line.split(' ').any(|word| word == event)).count()
}

/// Waits until something is the case.
fn wait(within: Duration, mut is: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + within;
    loop {
        if is() {
            return true;
        }
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Where the certificate is at the beginning of the scenario: a daemon with nothing to do, and how often it told of success.
struct Begun {
    daemon: Daemon,
    level: Option<judge::Level>,
    before: usize,
    chain: Option<String>,
}

fn begin(cell: &Cell, site: &Site) -> Result<Begun, String> {
    let armed = Armed {
        peer: cell.peer,
        step: cell.step,
        fault: cell.fault,
        lasts: cell.lasts,
        kills: cell.scenario == Scenario::Resume,
    };
    if matches!(cell.scenario, Scenario::First | Scenario::Resume) {
        site.trigger.arm(armed);
        return Ok(Begun { daemon: site.start(), level: None, before: 0, chain: None });
    }
    let daemon = site.start();
    let is_idle =
        || ["valid", "window"].iter().all(|event| count(&daemon.log(), event) > 0) && site.values().is_empty();
    if !wait(PATIENCE, is_idle) {
        return Err(format!("the first certificate did not come:\n{}", daemon.log()));
    }
    // What was written is shown by the watches, and nothing goes on.
    thread::sleep(Duration::from_secs(1));
    let level = Some(judge::Level::of(daemon.pid()));
    let chain = Some(site.assert_valid());
    site.trigger.arm(armed);
    Ok(Begun { daemon, level, before: 1, chain })
}

/// Asks for a renewal until one has the step, and returns how many certificates were issued before: of a hundred authorizations Pebble takes
/// one that is valid already, whatever it is told, and then nothing is to be proved.
fn renew(site: &Site, daemon: &Daemon, mut before: usize) -> Result<usize, String> {
    for asked in 1..=3 {
        site.place.ask_for_renewal(site.servers, asked);
        let (mut issued, has_begun) = (before, || site.trigger.begun().is_some());
        wait(PATIENCE, || {
            issued = count(&daemon.log(), "issued");
            has_begun() || issued > before
        });
        // The last step comes when the certificate is told already.
        if wait(Duration::from_secs(5), has_begun) {
            return Ok(before);
        }
        before = issued;
    }
    Err("the step never came in three renewals".to_owned())
}

/// Runs a cell. The error says what is wrong, with the log.
pub fn run(cell: &Cell, servers: &'static Servers, least: &OnceLock<Result<Least, String>>) -> Result<Outcome, String> {
    let site = Site::new(servers, plan(cell));
    let Begun { mut daemon, level, before, chain } = begin(cell, &site)?;
    let problem = |why: &str, log: &str| format!("{why}; the log:\n{log}");
    let told = if level.is_some() { daemon.log().len() } else { 0 };
    let before = match cell.scenario {
        Scenario::Renewal => renew(&site, &daemon, before).map_err(|why| problem(&why, &daemon.log()))?,
        Scenario::Restore => {
            if cell.step == ANY {
                site.trigger.begin();
            }
            site.place.delete(servers);
            before
        }
        Scenario::First | Scenario::Resume => before,
    };
    if !wait(PATIENCE, || site.trigger.begun().is_some()) {
        return Err(problem("the step never came", &daemon.log()));
    }
    let begun = site.trigger.begun().unwrap_or_else(Instant::now);
    let mut earlier = String::new();
    if cell.scenario == Scenario::Resume {
        let killed = daemon.wait();
        if killed.code != 128 + 9 {
            return Err(problem("it was not killed", &killed.log));
        }
        earlier = killed.log;
        daemon = site.start();
    }
    // What was told before is not of this fault: an attempt for the first certificate may have failed as well.
    let skip = if cell.scenario == Scenario::Resume { 0 } else { told };
    let (over, word) = (begun + cell.lasts, if cell.scenario == Scenario::Restore { "restored" } else { "issued" });
    // What was written and could not be told is found: after a failure, and by who was killed before it knew.
    let is_done = |log: &str| {
        let since = |event: &str| log[skip..].rsplit_once(event).map(|(_, since)| since);
        let since_failure = since(" failed ").or(since(" not-done "));
        let found = match since_failure {
            Some(since) => count(since, "valid") > 0,
            None => cell.scenario == Scenario::Resume && count(log, "valid") > 0,
        };
        found || count(log, word) > if word == "restored" { 0 } else { before }
    };
    // Two failures at most: the fault is shorter than the first wait.
    let longest = cell.lasts + request_bound(cell) + Duration::from_secs(72) + SLACK;
    if !wait(longest, || is_done(&daemon.log())) {
        return Err(problem(
            &format!("no certificate {:?} after the begin of the fault", begun.elapsed()),
            &daemon.log(),
        ));
    }
    let (done, took) = (Instant::now(), begun.elapsed());
    let failures = judge::failures(&daemon.log()[skip..]);
    judge::sentences(cell, &site, &failures).map_err(|why| problem(&why, &daemon.log()))?;
    judge::pauses(cell, &daemon.log()).map_err(|why| problem(&why, &daemon.log()))?;
    let how = match failures.len() {
        0 if done < over => How::Through,
        0 => How::After,
        told => How::Again(told),
    };
    // Nothing waits for longer than the bound of what it waits for.
    let bound = match how {
        How::Through => cell.lasts,
        How::After => request_bound(cell),
        How::Again(_) => request_bound(cell) + Duration::from_secs(72),
    };
    if done > over + bound + SLACK {
        return Err(problem(&format!("it came {:?} after the fault", done - over), &daemon.log()));
    }
    thread::sleep(over.saturating_duration_since(Instant::now()));
    let pair = site.assert_valid();
    let is_new = chain.is_some_and(|chain| (chain != pair) == (cell.scenario == Scenario::Renewal));
    if matches!(cell.scenario, Scenario::Renewal | Scenario::Restore) && !is_new {
        return Err(problem("the certificate is not the one that was wanted", &daemon.log()));
    }
    judge::nothing_left(&site, cell.lasts + WITHDRAWN + SLACK).map_err(|why| problem(&why, &daemon.log()))?;
    let least = least.wait().as_ref().map_err(String::clone)?;
    let level = level.unwrap_or_else(|| least.level(cell.scenario, cell.store, plan(cell).lease));
    judge::level(daemon.pid(), level, PATIENCE).map_err(|why| problem(&why, &daemon.log()))?;
    let requests = judge::requests(cell, &site, least, failures.len() + before.saturating_sub(1))
        .map_err(|why| problem(&why, &daemon.log()))?;
    judge::log(&[&earlier, &daemon.log()].map(|s| s.as_str()).concat())?;
    let log = daemon.log();
    if std::env::var_os("FAULTS_LOG").is_some() {
        println!("{cell}, {:?} in all:\n{log}", begun.elapsed());
    }
    site.trigger.pid.store(0, SeqCst);
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| daemon.terminate())) {
        Ok(0) => Ok(Outcome { how, took, requests }),
        ended => Err(problem(&format!("told to stop it ended with {ended:?}"), &log)),
    }
}

/// A run without a fault, for comparison.
pub fn undisturbed(scenario: Scenario, store: Store, transport: Transport, step: &'static str, number: usize) -> Cell {
    // A step that this peer never has.
    let (peer, fault, lasts) = (Peer::Secondary, Fault::Delay(Duration::ZERO), Duration::from_secs(1));
    Cell { number, peer, transport, fault, lasts, step, scenario, store }
}

/// The traces of an undisturbed run: the requests to each peer in all, and the level at its end.
pub fn measure(cell: &Cell, servers: &'static Servers) -> Result<(Vec<(Peer, usize)>, judge::Level), String> {
    let site = Site::new(servers, plan(cell));
    let Begun { daemon, before, .. } = begin(cell, &site)?;
    match cell.scenario {
        Scenario::Renewal => site.place.ask_for_renewal(servers, 1),
        Scenario::Restore => site.place.delete(servers),
        Scenario::First | Scenario::Resume => {}
    }
    let word = if cell.scenario == Scenario::Restore { "restored" } else { "issued" };
    let done = || count(&daemon.log(), word) > if word == "restored" { 0 } else { before };
    if !wait(PATIENCE, || done() && count(&daemon.log(), "window") > 0) {
        return Err(format!("{cell} without a fault:\n{}", daemon.log()));
    }
    judge::nothing_left(&site, PATIENCE)?;
    thread::sleep(Duration::from_secs(1));
    let requests = Peer::ALL.map(|peer| (peer, site.requests(peer).len()));
    Ok((requests.to_vec(), judge::Level::of(daemon.pid())))
}
