//! Does what the plan says to the victims, and writes it into the ledger.

use std::thread;
use std::time::Duration;

use notariat_lab::Kube;
use notariat_lab::process::signal;

use super::ledger::Fault;
use super::place::{Place, StoreKind};
use super::plan::{Act, Planned, Storm, Victim};
use super::replica::Replica;
use super::run::Run;

/// Orders that a fault can lose: one for each worker of the process that works.
const WORKERS: usize = 4;

/// The wait for the Lease of a leader that was killed, or that could not renew it: 60 s after its last renewal was seen, by looks 10 s apart.
const LEASE: f64 = 75.0;
/// The same for a leader that gave it back.
const LEASE_RELEASED: f64 = 15.0;
/// The longest pause before a watch is tried again.
const WATCH: f64 = 30.0;
/// The pause between two requests for the time of a peer whose clock differs, and the longest pause of the loop.
const CLOCK: f64 = 60.0;

/// Lines of the log (level debug) that tell the steps of an attempt.
const STEPS: [&str; 5] =
    [" issuing secret=", " ordered secret=", " seen secret=", " validated secret=", " finalized secret="];
/// How long an attempt to end in the middle of is waited for.
const ATTEMPT_COMES: Duration = Duration::from_secs(10);

/// A storm: all its faults at their times, each in a thread. Returns when all are over.
pub fn rage(run: &Run, place: &Place, storm: &Storm) {
    thread::scope(|scope| {
        for planned in &storm.faults {
            scope.spawn(move || {
                thread::sleep(planned.after);
                disturb(run, place, planned);
            });
        }
    });
}

fn disturb(run: &Run, place: &Place, planned: &Planned) {
    let Planned { victim, act, .. } = *planned;
    let leader = place.leader();
    let (number, name) = match victim {
        Victim::Standby => ((leader + 1) % place.replicas.len(), "standby"),
        _ if place.replicas.len() > 1 => (leader, "leader"),
        _ => (leader, "notariat"),
    };
    let replica = &place.replicas[number];
    if victim == Victim::Notariat && matches!(act, Act::Kill(_) | Act::Terminate(_)) {
        // At a step that the plan draws, so that what ends the process ends that, too.
        let step = planned.after.subsec_millis() as usize % STEPS.len();
        replica.wait_for(STEPS[step], ATTEMPT_COMES);
    }
    let from = run.now();
    match victim {
        Victim::Notariat | Victim::Standby => of_replica(run, replica, act),
        Victim::Clock => {
            let Act::Step(by, length) = act else { panic!("{planned:?}") };
            replica.set_clock(by);
            thread::sleep(length);
            replica.set_clock(0);
            // It reads the file once a second.
            thread::sleep(Duration::from_millis(1_500));
        }
        Victim::Disk => {
            let (Act::Fill(length), StoreKind::Directory(disk)) = (act, &place.store) else { panic!("{planned:?}") };
            disk.fill();
            thread::sleep(length);
            disk.free();
        }
        Victim::Ca => {
            of_server(act, place.ca.pid(), || place.ca.kill9(), || place.ca.stop(), || place.ca.start_again());
        }
        Victim::Dns => {
            of_server(act, place.dns.pid(), || place.dns.kill9(), || place.dns.stop(), || place.dns.start_again());
        }
        Victim::Resolver => {
            let resolver = &place.resolver;
            let kill = || signal(resolver.pid(), "KILL");
            of_server(act, resolver.pid(), kill, || resolver.stop(), || resolver.start_again());
        }
        Victim::ApiServer | Victim::Etcd => {
            let StoreKind::Kubernetes { kube, .. } = &place.store else { panic!("{planned:?}") };
            let [etcd, api] = kube.pids();
            match victim {
                Victim::Etcd => of_server(act, etcd, || kube.kill9_etcd(), || kube.kill9_etcd(), || start_etcd(kube)),
                _ => of_server(act, api, || kube.kill9_api(), || kube.stop_api(), || start_api(kube)),
            }
        }
    }
    let is_ours = matches!(victim, Victim::Notariat | Victim::Standby);
    let ended = matches!(act, Act::Kill(_) | Act::Terminate(_));
    let to = run.now();
    run.note(Fault {
        kind: kind(act),
        victim: name_of(victim, name).to_owned(),
        from,
        to,
        // What is ended notes no failure: killed it can not, and what SIGTERM cuts off is nobody's fault.
        fails_attempts: !(is_ours && ended) && victim != Victim::Standby,
        settles: settles(place, victim, act, to - from),
        orders: if victim == Victim::Standby { 0 } else { WORKERS },
    });
}

fn of_replica(run: &Run, replica: &Replica, act: Act) {
    let _mine = replica.in_hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match act {
        Act::Kill(down) => {
            replica.kill();
            thread::sleep(down);
        }
        Act::Terminate(down) => {
            run.terminated(replica.terminate());
            thread::sleep(down);
        }
        Act::Stop(length) => {
            replica.signal("STOP");
            thread::sleep(length);
            replica.signal("CONT");
        }
        Act::Step(..) | Act::Fill(_) => panic!("{act:?} of a process"),
    }
    replica.start_again();
}

fn of_server(act: Act, pid: u32, kill: impl Fn(), terminate: impl Fn(), start: impl Fn()) {
    let down = match act {
        Act::Kill(down) => {
            kill();
            down
        }
        Act::Terminate(down) => {
            terminate();
            down
        }
        Act::Stop(length) => {
            signal(pid, "STOP");
            thread::sleep(length);
            return signal(pid, "CONT");
        }
        Act::Step(..) | Act::Fill(_) => panic!("{act:?} of a server"),
    };
    thread::sleep(down);
    start();
}

/// As a kubelet would: again and again, for a busy machine may take more than a minute.
fn start_api(kube: &Kube) {
    let started = (0..5).map(|_| kube.try_start_api()).find(Result::is_ok);
    assert!(started.is_some(), "kube-apiserver does not start any more");
}

/// kube-apiserver may have ended without its etcd.
fn start_etcd(kube: &Kube) {
    kube.start_etcd();
    start_api(kube);
}

fn kind(act: Act) -> &'static str {
    match act {
        Act::Kill(_) => "SIGKILL",
        Act::Terminate(_) => "SIGTERM",
        Act::Stop(_) => "SIGSTOP",
        Act::Step(by, _) if by > 0 => "forward",
        Act::Step(..) => "back",
        Act::Fill(_) => "full",
    }
}

fn name_of(victim: Victim, ours: &'static str) -> &'static str {
    match victim {
        Victim::Notariat | Victim::Standby => ours,
        Victim::Ca => "Pebble",
        Victim::Dns => "name server",
        Victim::Resolver => "resolver",
        Victim::ApiServer => "kube-apiserver",
        Victim::Etcd => "etcd",
        Victim::Clock => "clock",
        Victim::Disk => "disk",
    }
}

/// The wait after a fault besides that for the next attempt.
fn settles(place: &Place, victim: Victim, act: Act, length: f64) -> f64 {
    let with_lease = place.replicas.len() > 1;
    match (victim, act) {
        (Victim::Notariat, Act::Kill(_)) if with_lease => LEASE,
        (Victim::Notariat, Act::Terminate(_)) if with_lease => LEASE_RELEASED,
        // Without a renewal for 40 s nobody leads.
        (Victim::ApiServer | Victim::Etcd | Victim::Notariat, _) if with_lease && length > 25.0 => LEASE,
        (Victim::ApiServer | Victim::Etcd, _) => WATCH,
        (Victim::Clock, _) => CLOCK,
        _ => 0.0,
    }
}
