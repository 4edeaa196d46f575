use std::ops::{Index, IndexMut};

use super::*;

const WALL: Time = Time::from_unix(1_800_000_000);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn at() -> ObjectRef {
    ObjectRef::new("team", "notariat")
}

fn election() -> LeaderElection {
    LeaderElection::new(at(), "me".to_owned())
}

impl Index<&str> for LeaseObject {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.0[field]
    }
}

impl IndexMut<&str> for LeaseObject {
    fn index_mut(&mut self, field: &str) -> &mut Value {
        &mut self.0[field]
    }
}

fn lease(version: u32, holder: &str, duration: i64) -> LeaseObject {
    LeaseObject(json!({
        "metadata": {"name": "notariat", "resourceVersion": version.to_string(), "labels": {"theirs": "x"}},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": duration, "leaseTransitions": 4, "theirs": [1],
            "acquireTime": "2020-01-01T00:00:00.000000Z", "renewTime": "2020-01-01T00:00:00.000000Z"},
    }))
}

/// The Lease as the API server gives it back.
fn stored(next: LeaseStep, version: u32) -> LeaseObject {
    let (LeaseStep::Create(mut lease) | LeaseStep::Update(mut lease)) = next else { panic!("{next:?}") };
    lease["metadata"]["resourceVersion"] = json!(version.to_string());
    lease
}

/// One that leads since 100 s by version 7.
fn leader() -> LeaderElection {
    let mut election = election();
    let mine = stored(election.read(None, secs(100), WALL), 7);
    election.wrote(mine, secs(100), secs(101));
    election
}

#[test]
fn a_lease_that_is_not_there_is_made_and_one_of_nobody_is_taken() {
    let mut election = election();
    assert_eq!(election.begin(secs(0), WALL), LeaseStep::Read);
    let LeaseStep::Create(LeaseObject(made)) = election.read(None, secs(0), WALL) else { panic!() };
    let expected = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "team", "name": "notariat"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 60, "leaseTransitions": 0,
            "acquireTime": "2027-01-15T08:00:00.000000Z", "renewTime": "2027-01-15T08:00:00.000000Z"},
    });
    assert_eq!(made, expected);
    assert_eq!(election.leads_until(), None, "not before it is stored");
    // Somebody else was faster and is gone again.
    let LeaseStep::Update(taken) = election.read(Some(lease(3, "", 1)), secs(1), WALL) else { panic!() };
    assert_eq!(taken["spec"]["leaseTransitions"], 5);
    assert_eq!((&taken["metadata"]["labels"]["theirs"], &taken["spec"]["theirs"]), (&json!("x"), &json!([1])));
    assert_eq!(taken["metadata"]["resourceVersion"], "3");
    election.wrote(stored(LeaseStep::Update(taken), 4), secs(2), secs(9));
    assert_eq!(election.leads_until(), Some(secs(42)), "from when it was sent, not from when it was answered");
}

#[test]
fn a_holder_that_is_silent_for_as_long_as_its_lease_says_is_followed() {
    // The duration in the Lease, and the first second in which it is taken over.
    for (duration, taken_at) in [(60, 61), (15, 16), (1, 2), (300, 301), (3600, 301), (0, 61), (-5, 61)] {
        let mut election = election();
        for now in 0..taken_at {
            assert_eq!(
                election.read(Some(lease(3, "other", duration)), secs(now), WALL),
                LeaseStep::Rest,
                "{duration} {now}"
            );
        }
        let LeaseStep::Update(taken) = election.read(Some(lease(3, "other", duration)), secs(taken_at), WALL) else {
            panic!("{duration}")
        };
        assert_eq!((&taken["spec"]["holderIdentity"], &taken["spec"]["leaseTransitions"]), (&json!("me"), &json!(5)));
        assert_eq!(taken["spec"]["acquireTime"], "2027-01-15T08:00:00.000000Z");
    }
}

#[test]
fn every_change_of_the_version_is_a_sign_of_life_and_the_times_in_it_are_none() {
    let mut election = election();
    for round in 0..100 {
        // Its clock stands in the year 2020.
        let next = election.read(Some(lease(round, "other", 60)), secs(u64::from(round) * 59), WALL);
        assert_eq!(next, LeaseStep::Rest);
    }
    let mut future = lease(99, "other", 60);
    future["spec"]["renewTime"] = json!("2999-01-01T00:00:00.000000Z");
    assert!(
        matches!(election.read(Some(future), secs(99 * 59 + 61), WALL), LeaseStep::Update(_)),
        "the version is the same"
    );
}

#[test]
fn a_leader_renews_without_reading_and_gives_up_when_it_can_not() {
    let mut election = leader();
    let LeaseStep::Update(renewed) = election.begin(secs(110), WALL + secs(10)) else { panic!() };
    assert_eq!(renewed["metadata"]["resourceVersion"], "7");
    assert_eq!((&renewed["spec"]["leaseTransitions"], &renewed["spec"]["holderIdentity"]), (&json!(0), &json!("me")));
    assert_eq!(renewed["spec"]["acquireTime"], "2027-01-15T08:00:00.000000Z", "held since");
    assert_eq!(renewed["spec"]["renewTime"], "2027-01-15T08:00:10.000000Z");
    election.wrote(stored(LeaseStep::Update(renewed), 8), secs(110), secs(111));
    assert_eq!(election.leads_until(), Some(secs(150)));
    // No answer any more.
    assert!(matches!(election.begin(secs(149), WALL), LeaseStep::Update(_)));
    assert_eq!(election.begin(secs(150), WALL), LeaseStep::Read);
    assert_eq!(election.leads_until(), None);
    // Nobody came in the meantime: the same holder as before.
    let LeaseStep::Update(again) =
        election.read(Some(stored(LeaseStep::Update(lease(8, "me", 60)), 8)), secs(151), WALL)
    else {
        panic!()
    };
    assert_eq!(again["spec"]["leaseTransitions"], 4, "no other one led in between");
}

#[test]
fn a_refused_renewal_is_a_lost_answer_or_the_end() {
    let mut election = leader();
    // The write before was done, and nobody said so.
    let LeaseStep::Update(again) = election.read(Some(lease(8, "me", 60)), secs(112), WALL) else { panic!() };
    assert_eq!(again["metadata"]["resourceVersion"], "8");
    assert_eq!(election.leads_until(), Some(secs(140)), "from the last one that was answered");
    // Somebody else holds it.
    assert_eq!(election.read(Some(lease(9, "other", 60)), secs(113), WALL), LeaseStep::Rest);
    assert_eq!((election.leads_until(), election.holder()), (None, "other"));
    assert_eq!(election.begin(secs(120), WALL), LeaseStep::Read);
}

#[test]
fn a_deleted_lease_is_made_again_by_who_leads_and_left_to_it_by_the_others() {
    let mut election = leader();
    let LeaseStep::Create(again) = election.read(None, secs(112), WALL) else { panic!() };
    assert!(again["metadata"].get("resourceVersion").is_none() && again["spec"]["leaseTransitions"] == 0, "{again:?}");
    assert_eq!(election.leads_until(), Some(secs(140)));

    let mut other = LeaderElection::new(at(), "other".to_owned());
    assert_eq!(other.read(Some(lease(7, "me", 60)), secs(5), WALL), LeaseStep::Rest);
    // It was not looked at for long, and its holder may have renewed it just before.
    assert_eq!(other.read(None, secs(900), WALL), LeaseStep::Rest);
    assert_eq!(other.read(None, secs(960), WALL), LeaseStep::Rest);
    let LeaseStep::Create(LeaseObject(made)) = other.read(None, secs(961), WALL) else { panic!() };
    assert_eq!(made["spec"]["leaseTransitions"], 5);
    assert!(made["metadata"].get("resourceVersion").is_none(), "{made}");

    // It was ours when we saw it last, and may have been another one's since.
    let mut former = leader();
    assert_eq!(former.begin(secs(300), WALL), LeaseStep::Read);
    assert_eq!(former.read(None, secs(300), WALL), LeaseStep::Rest);
}

#[test]
fn only_a_holder_gives_it_back() {
    let released = leader().release(WALL).unwrap();
    assert_eq!(
        (&released["spec"]["holderIdentity"], &released["spec"]["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    assert_eq!(released["metadata"]["resourceVersion"], "7");
    assert_eq!(election().release(WALL), None);
    let mut ousted = leader();
    assert_eq!(ousted.read(Some(lease(9, "other", 60)), secs(113), WALL), LeaseStep::Rest);
    assert_eq!(ousted.release(WALL), None);
}

#[test]
fn whatever_stands_in_it_nothing_panics_and_it_is_mended() {
    for odd in [
        json!({}),
        json!({"spec": null}),
        json!({"spec": 7, "metadata": []}),
        json!({"spec": {"holderIdentity": 7, "leaseTransitions": "x", "leaseDurationSeconds": {}}}),
        json!({"spec": {"holderIdentity": null, "leaseTransitions": i64::MAX}}),
    ] {
        let (odd, mut election) = (LeaseObject(odd), election());
        let LeaseStep::Update(mended) = election.read(Some(odd.clone()), secs(0), WALL) else { panic!("{odd:?}") };
        assert_eq!(mended["spec"]["holderIdentity"], "me");
        let transitions = mended["spec"]["leaseTransitions"].as_i64().unwrap();
        assert!((1..=i64::from(i32::MAX)).contains(&transitions), "{transitions}");
        election.wrote(odd, secs(1), secs(1));
        assert_eq!(election.leads_until(), None, "somebody changed what we wrote");
    }
    let mut election = election();
    assert!(!matches!(election.read(Some(LeaseObject(json!("a text"))), secs(0), WALL), LeaseStep::Read));
}

/// An API server that does what it is told, at most once for each version.
#[derive(Default)]
struct Server {
    lease: Option<LeaseObject>,
    version: u64,
}

impl Server {
    fn write(&mut self, next: &LeaseStep) -> Option<LeaseObject> {
        let stored = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        let mut lease = match next {
            LeaseStep::Create(lease) if stored.is_none() => lease.clone(),
            LeaseStep::Update(lease) if stored.is_some_and(|v| v == lease["metadata"]["resourceVersion"]) => {
                lease.clone()
            }
            LeaseStep::Create(_) | LeaseStep::Update(_) => return None,
            LeaseStep::Read | LeaseStep::Rest => panic!("not a write"),
        };
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        Some(lease)
    }
}

/// A replica whose clocks are its own: the monotonic one began some time before, the wall clock is hours off.
struct Replica {
    election: LeaderElection,
    started: Duration,
    wall: i64,
    /// The second of the next round; it may be late by any time.
    next: u64,
}

impl Replica {
    fn round(&mut self, server: &mut Server, second: u64, chance: &mut impl FnMut(u64) -> bool) {
        let now = self.started + secs(second);
        let wall = Time::from_unix(WALL.unix() + self.wall);
        let mut next = self.election.begin(now, wall);
        for _ in 0..4 {
            next = match next {
                LeaseStep::Rest => return,
                _ if chance(10) => return,
                LeaseStep::Read => self.election.read(server.lease.clone(), now, wall),
                write => match server.write(&write) {
                    // The answer is lost.
                    Some(_) if chance(5) => return,
                    Some(lease) => {
                        self.election.wrote(lease, now, now);
                        return;
                    }
                    None => LeaseStep::Read,
                },
            }
        }
    }
}

#[test]
fn replicas_with_clocks_hours_apart_that_stall_and_lose_answers_never_lead_together() {
    let (mut together, mut led, mut changes) = (0, 0, 0);
    for seed in 1..=40_u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let replica = |name: &str, started, wall| Replica {
            election: LeaderElection::new(at(), name.to_owned()),
            started: secs(started),
            wall,
            next: 0,
        };
        let mut replicas = [replica("a", 0, -7200), replica("b", 1_000_000, 7200), replica("c", 77, 0)];
        let (mut server, mut last) = (Server::default(), None);
        for second in 0..3_000 {
            // Who has never seen it would take one that is deleted for one that nobody has.
            if second > 200 && random() % 1_000 == 0 {
                server.lease = None;
            }
            for replica in &mut replicas {
                if replica.next > second {
                    continue;
                }
                // Now and then one stands still, for a minute or two.
                let stall = if random() % 30 == 0 { random() % 120 } else { 0 };
                replica.next = second + 10 + stall;
                replica.round(&mut server, second, &mut |one_in| random() % one_in == 0);
            }
            let leads = |r: &&Replica| r.election.leads_until().is_some_and(|until| r.started + secs(second) < until);
            let leaders: Vec<&str> = replicas.iter().filter(leads).map(|r| r.election.identity.as_str()).collect();
            together += usize::from(leaders.len() > 1);
            led += usize::from(!leaders.is_empty());
            if let Some(leader) = leaders.first().map(|l| (*l).to_owned()).filter(|l| last.as_ref() != Some(l)) {
                changes += 1;
                last = Some(leader);
            }
        }
    }
    assert_eq!(together, 0);
    assert!(led > 40 * 3_000 * 3 / 4, "{led}");
    assert!(changes > 200, "{changes}");
}

fn answer(code: u16, message: &str) -> ApiError {
    ApiError::read(code, json!({"kind": "Status", "message": message}).to_string().as_bytes())
}

fn no_role() -> ApiError {
    answer(
        403,
        "leases.coordination.k8s.io \"notariat\" is forbidden: User \"x\" cannot get resource \"leases\" in API group",
    )
}

fn policy(code: u16) -> ApiError {
    let words = "leases \"notariat\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";
    answer(code, words)
}

#[test]
fn a_refusal_is_believed_after_a_while_and_the_lease_is_tried_again() {
    let (mut setbacks, start) = (Setbacks::default(), secs(100));
    let mut fail = |at: Duration| setbacks.fail(Some(&no_role()), false, at);
    assert_eq!(fail(start), (Course::Unsure, LEASE_DOUBT_RETRY));
    assert_eq!(fail(start + REFUSAL_DOUBTED - secs(1)), (Course::Unsure, LEASE_DOUBT_RETRY));
    assert_eq!(fail(start + REFUSAL_DOUBTED), (Course::Alone, LEASE_AGAIN));
    assert_eq!(fail(start + REFUSAL_DOUBTED + LEASE_AGAIN), (Course::Alone, LEASE_AGAIN));
    // An outage is no reason to stand by, and neither is it one to ask more often.
    assert_eq!(setbacks.fail(None, false, secs(2_000)), (Course::Alone, LEASE_AGAIN));
    assert_eq!(setbacks.fail(Some(&no_role()), false, secs(3_000)), (Course::Alone, LEASE_AGAIN));
    assert!(setbacks.alone() && setbacks.succeed() && !setbacks.alone() && !setbacks.succeed());
    assert_eq!(setbacks.fail(Some(&no_role()), false, secs(4_000)).0, Course::Unsure, "doubted anew");
}

#[test]
fn only_a_refusal_without_anything_between_is_believed() {
    let mut setbacks = Setbacks::default();
    for (answer, at) in [
        (Some(no_role()), 0),
        (None, 15),
        (Some(no_role()), 30),
        (Some(answer(503, "busy")), 45),
        (Some(no_role()), 60),
        (Some(answer(401, "Unauthorized")), 75),
        (Some(no_role()), 90),
        (Some(answer(429, "admission webhook \"w\" denied the request: later")), 105),
        (Some(no_role()), 120),
    ] {
        assert_eq!(setbacks.fail(answer.as_ref(), false, secs(at)).0, Course::Unsure, "{at}");
    }
}

#[test]
fn whatever_refuses_the_lease_is_worked_around_unless_another_replica_may_have_the_verb() {
    let quota = answer(403, "leases \"notariat\" is forbidden: exceeded quota: q, requested: count/leases=1");
    let webhook = answer(400, "admission webhook \"w\" denied the request: no");
    let invalid =
        answer(422, "Lease \"notariat\" is invalid: spec.preferredHolder: Forbidden: may only be specified if");
    for (answer, is_known, course) in [
        (no_role(), false, Course::Alone),
        (no_role(), true, Course::Unsure),
        (policy(403), true, Course::Alone),
        (policy(401), false, Course::Alone),
        (policy(422), true, Course::Alone),
        (quota, false, Course::Alone),
        (webhook, true, Course::Alone),
        (invalid.clone(), true, Course::Alone),
        (answer(401, "Unauthorized"), true, Course::Unsure),
    ] {
        let mut setbacks = Setbacks::default();
        let _doubted = setbacks.fail(Some(&answer), is_known, secs(0));
        assert_eq!(setbacks.fail(Some(&answer), is_known, REFUSAL_DOUBTED).0, course, "{answer}");
    }
    // Who works without it stands by when it turns out that there is a Lease that only others may renew.
    let mut setbacks = Setbacks::default();
    let _doubted = setbacks.fail(Some(&no_role()), false, secs(0));
    assert_eq!(setbacks.fail(Some(&no_role()), false, secs(100)).0, Course::Alone);
    assert_eq!(setbacks.fail(Some(&no_role()), true, secs(800)), (Course::Unsure, LEASE_RETRY));
    assert!(!setbacks.alone());

    let cure = hint("update", &at(), &invalid).unwrap();
    assert!(cure.contains("correct the fields of the Lease team/notariat") && cure.contains("-lease=off"), "{cure}");
    assert!(hint("update", &at(), &policy(422)).unwrap().contains("ValidatingAdmissionPolicy `p`"));
    assert!(hint("get", &at(), &no_role()).unwrap().contains("lacks the verb `get` on `leases`"));
    assert!(hint("get", &at(), &answer(401, "Unauthorized")).unwrap().contains("has it expired? Or is a clock wrong?"));
}

#[test]
fn a_lease_names_its_holder_until_it_expires() {
    let now = Time::from_unix(1_800_000_000);
    let lease = |spec: Value| json!({"metadata": {"name": "x"}, "spec": spec});
    let renewed = |before: u64| micro_time(now - Duration::from_secs(before));
    for (spec, holder) in [
        (json!({"holderIdentity": "a", "leaseDurationSeconds": 60, "renewTime": renewed(0)}), Some("a")),
        (json!({"holderIdentity": "a", "leaseDurationSeconds": 60, "renewTime": renewed(60)}), Some("a")),
        (json!({"holderIdentity": "a", "leaseDurationSeconds": 60, "renewTime": renewed(61)}), None),
        (json!({"holderIdentity": "a", "renewTime": renewed(1)}), Some("a")),
        (json!({"holderIdentity": "a", "renewTime": renewed(3_600)}), None),
        (json!({"holderIdentity": "", "leaseDurationSeconds": 60, "renewTime": renewed(0)}), None),
        (json!({"holderIdentity": "a", "leaseDurationSeconds": 60}), None),
        (json!(null), None),
    ] {
        assert_eq!(holder_at(&lease(spec.clone()), now), holder, "{spec}");
    }
}
