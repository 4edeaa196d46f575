//! An API server that is overloaded, restarted or away, and others that write at the same time: what was ordered is kept and stored, and
//! nothing is ordered twice. The server is the real one; a proxy chooses the moment.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use notariat::base::name::ObjectRef;
use notariat::base::shutdown::Shutdown;
use notariat::kube::api::DryRun;
use notariat::kube::client::{KubeClient, KubeError};
use notariat::kube::discovery;
use notariat::kube::metadata::{InvalidObject, Object, ObjectMeta};
use notariat::kube::resource::Resource;
use notariat_lab::Kube;
use serde_json::{Value, json};

use crate::support::api::{Api, Asked, Then, status, text};
use crate::support::cluster::{Cluster, OwnKube};
use crate::support::run::{Daemon, until};
use crate::support::{Run, x509};

/// A Secret as it travels.
#[derive(Clone, Debug)]
struct RawSecret(Value);

impl Object for RawSecret {
    const RESOURCE: Resource = Resource::SECRETS;

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta::read(Self::RESOURCE, self.0.as_object().unwrap()).unwrap()
    }

    fn from_json(object: Value) -> Result<RawSecret, InvalidObject> {
        Ok(RawSecret(object))
    }

    fn to_json(&self) -> Value {
        self.0.clone()
    }
}

/// How often the CA was asked for something, by Pebble's own paths.
fn count(cluster: &Cluster, what: &str) -> usize {
    cluster.site.pebble.request_lines().iter().filter(|line| line.contains(what)).count()
}

/// One certificate: neither an order nor its certificate was made twice.
#[track_caller]
fn assert_one_order(cluster: &Cluster) {
    assert_eq!((count(cluster, "order-plz"), count(cluster, "finalize-order")), (1, 1));
    cluster.assert_valid("web", &["www.site.test"]);
}

/// A cluster with one entry.
fn one_entry(kube: &'static Kube) -> Cluster {
    let cluster = Cluster::on(kube);
    cluster.config(&cluster.site.entry("web", "www.site.test", ""));
    cluster
}

/// The identity of the pod on the way through the proxy.
fn through(cluster: &Cluster, api: &Api) -> std::path::PathBuf {
    api.kubeconfig(&format!("token: {}", cluster.kube.service_account_token(&cluster.namespace, "notariat")))
}

/// A client whose requests the proxy answers all by itself.
fn client(api: &Api) -> (KubeClient, Shutdown) {
    let stop = Shutdown::new();
    (KubeClient::new(discovery::find(Some(&api.kubeconfig("token: t"))).unwrap(), stop.clone()).unwrap(), stop)
}

fn ask(client: &KubeClient) -> Result<(), KubeError> {
    client.get::<RawSecret>(&ObjectRef::parse("ns/x", "").unwrap()).map(|_| ())
}

fn not_found() -> Then {
    status(404, "NotFound", "secrets \"x\" not found", &Value::Null)
}

/// The answers of an overloaded server, in the shapes that were seen, with the seconds it asks for.
fn overloaded(number: usize) -> (Then, u64) {
    match number {
        0 => (text(429, "Too many requests, please try again later.\n", ("retry-after", "1")), 1),
        1 => (status(503, "ServiceUnavailable", "busy", &json!({"retryAfterSeconds": 1})), 1),
        2 => (status(500, "InternalError", "etcdserver: leader changed", &Value::Null), 0),
        3 => (status(504, "Timeout", "Timeout: request did not complete", &json!({"retryAfterSeconds": 2})), 2),
        4 => (text(502, "<html>bad gateway</html>", ("content-type", "text/html")), 0),
        5 => (text(429, "", ("x", "y")), 1),
        _ => (Then::CutBefore, 0),
    }
}

#[test]
fn an_overloaded_api_server_is_asked_again_when_it_wants_and_the_certificate_is_stored() {
    let cluster = one_entry(Kube::shared());
    // Each write meets the next shape of trouble first; reads meet some of them.
    let troubles = Arc::new(Mutex::new(Vec::<(Instant, u64, String)>::new()));
    let (noted, mut turn, mut last) = (Arc::clone(&troubles), 0, String::new());
    let api = Api::start(cluster.kube, move |asked| {
        let key = format!("{} {}", asked.method, asked.path);
        if turn >= 7 || key == last || (asked.method == "GET" && turn % 2 == 1) {
            return Then::Pass;
        }
        let (then, seconds) = overloaded(turn);
        noted.lock().unwrap().push((asked.at, seconds, key.clone()));
        (turn, last) = (turn + 1, key);
        then
    });
    Run::of(&mut cluster.command(&through(&cluster, &api), &["-once"])).ends(0).says(&["issued secret="]);
    assert_one_order(&cluster);
    let (troubles, asked) = (troubles.lock().unwrap().clone(), api.asked());
    assert_eq!(troubles.len(), 7, "{troubles:?}");
    for (at, seconds, key) in troubles {
        let again = asked.iter().find(|a| a.at > at && format!("{} {}", a.method, a.path) == key);
        let again = again.unwrap_or_else(|| panic!("{key} was not asked again"));
        assert!(again.at - at >= Duration::from_secs(seconds), "{key} was asked again too soon");
    }
}

#[test]
fn a_server_that_stays_overloaded_meets_no_hot_loop() {
    let cluster = one_entry(Kube::shared());
    let api = Api::start(cluster.kube, |_| status(503, "ServiceUnavailable", "no etcd", &Value::Null));
    let kubeconfig = through(&cluster, &api);
    let run = Run::of(&mut cluster.command(&kubeconfig, &["-once"]));
    run.ends(75).says(&["the API server answers 503: no etcd"]);
    let asked = api.asked().len();
    assert!(asked <= 12, "{asked} requests: several tries of the first, one of each other");

    api.then(|_| text(429, "Too many requests", ("retry-after", "100")));
    let before = api.asked().len();
    Run::of(&mut cluster.command(&kubeconfig, &["-once"]))
        .ends(75)
        .says(&["the API server was not asked: it asked for a pause"]);
    assert_eq!(api.asked().len() - before, 1, "one was asked to wait, and nobody else asked");

    // A daemon goes on as soon as it may.
    let (busy, mut left) = (Arc::new(AtomicUsize::new(0)), 3);
    let said = Arc::clone(&busy);
    api.then(move |_| match left {
        0 => Then::Pass,
        _ => {
            left -= 1;
            said.fetch_add(1, SeqCst);
            text(429, "Too many requests", ("retry-after", "1"))
        }
    });
    let daemon = Daemon::start(&mut cluster.command(&kubeconfig, &[]));
    daemon.until_it_says("issued secret=");
    assert_eq!(busy.load(SeqCst), 3);
    assert_eq!(daemon.terminate(), 0);
    assert_one_order(&cluster);
}

#[test]
fn a_429_makes_every_thread_pause() {
    let first = AtomicBool::new(true);
    let api = Api::start(Kube::shared(), move |_| match first.swap(false, SeqCst) {
        true => text(429, "Too many requests", ("retry-after", "2")),
        false => not_found(),
    });
    let (client, _) = client(&api);
    thread::scope(|scope| {
        scope.spawn(|| ask(&client).unwrap());
        until("the first one asks", || !api.asked().is_empty());
        thread::sleep(Duration::from_millis(200));
        (0..8).for_each(|_| {
            scope.spawn(|| ask(&client).unwrap());
        });
    });
    let asked = api.asked();
    assert_eq!(asked.len(), 10);
    assert!(asked[1..].iter().all(|a| a.at - asked[0].at >= Duration::from_secs(2)), "{asked:?}");
}

#[test]
fn all_threads_together_keep_to_the_rate_and_a_stop_ends_their_waits() {
    let api = Api::start(Kube::shared(), |_| not_found());
    let (client, stop) = client(&api);
    let all = |threads: usize, each: usize| {
        thread::scope(|scope| {
            (0..threads).for_each(|_| {
                scope.spawn(|| (0..each).for_each(|_| ask(&client).unwrap()));
            });
        });
    };
    let begun = Instant::now();
    all(10, 20);
    assert!(begun.elapsed() >= Duration::from_millis(1900), "100 at once, then 50 a second: {:?}", begun.elapsed());

    // Stopped: what would have to wait is not read any more, and what is under way is still written.
    stop.set();
    let begun = Instant::now();
    let refused = (0..500).filter(|_| matches!(ask(&client), Err(KubeError::NotNow(_)))).count();
    assert!(refused > 400, "{refused}");
    let nothing = RawSecret(json!({"metadata": {"namespace": "ns", "name": "x"}}));
    let written = client.replace(&nothing, DryRun::Real);
    assert!(matches!(written, Err(KubeError::Api(_))), "{written:?}");
    api.then(|_| text(429, "Too many requests", ("retry-after", "15")));
    assert!(client.replace(&nothing, DryRun::Real).is_err());
    assert!(matches!(ask(&client), Err(KubeError::NotNow(_))));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// Cuts the API server off at a moment and lets everything pass when it is back.
fn cut_at(api: &Api, is: fn(&Asked) -> bool, at: fn() -> Then, away: &Arc<AtomicBool>, refused: &Arc<AtomicUsize>) {
    let (away, refused, mut hit) = (Arc::clone(away), Arc::clone(refused), false);
    api.then(move |asked| match (hit, away.load(SeqCst)) {
        (false, _) if is(asked) => {
            hit = true;
            away.store(true, SeqCst);
            at()
        }
        (true, true) => {
            refused.fetch_add(1, SeqCst);
            Then::CutBefore
        }
        _ => Then::Pass,
    });
}

/// Each moment at which losing the API server could lose an order, or make a second one.
#[test]
fn an_outage_in_the_middle_of_an_order_costs_nothing() {
    fn claims(asked: &Asked) -> bool {
        asked.method == "POST" && asked.name.starts_with("notariat-record.") && !asked.path.contains("dryRun")
    }
    fn remembers(asked: &Asked) -> bool {
        asked.method == "PUT" && asked.name.starts_with("notariat-record.")
    }
    fn stores(asked: &Asked) -> bool {
        asked.writes("web")
    }
    type Moment = (&'static str, fn(&Asked) -> bool, fn() -> Then, usize);
    let moments: [Moment; 5] = [
        ("the claim is written and nobody is told", claims, || Then::CutAfter, 1),
        ("the order URL is written and nobody is told", remembers, || Then::CutAfter, 1),
        // The only one that may leave an order behind, which nobody works on: its URL is not known any more.
        ("the order URL is not written", remembers, || Then::CutBefore, 2),
        ("the certificate is not written", stores, || Then::CutBefore, 1),
        ("the certificate is written and nobody is told", stores, || Then::CutAfter, 1),
    ];
    thread::scope(|scope| {
        for (what, is, at, made) in moments {
            scope.spawn(move || {
                let cluster = one_entry(Kube::shared());
                let api = Api::start(cluster.kube, |_| Then::Pass);
                let (away, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
                cut_at(&api, is, at, &away, &refused);
                let daemon = Daemon::start(&mut cluster.command(&through(&cluster, &api), &[]));
                daemon.until(what, || refused.load(SeqCst) >= 3);
                let orders = count(&cluster, "order-plz");
                daemon.until(what, || refused.load(SeqCst) >= 5);
                assert_eq!(count(&cluster, "order-plz"), orders, "{what}: nothing is ordered meanwhile");
                away.store(false, SeqCst);
                daemon.until(what, || {
                    cluster.kube.try_kubectl(&["-n", &cluster.namespace, "get", "secret", "web"]).is_ok()
                });
                // What was written without being told is found again and not issued.
                daemon
                    .until(what, || ["issued secret=", "valid secret="].iter().any(|part| daemon.log().contains(part)));
                assert_eq!(daemon.terminate(), 0, "{what}");
                assert!(count(&cluster, "order-plz") <= made, "{what}");
                assert_eq!(count(&cluster, "finalize-order"), 1, "{what}");
                cluster.assert_valid("web", &["www.site.test"]);
            });
        }
    });
}

/// The real thing: kube-apiserver ends while a write is under way, and starts again.
#[test]
fn a_restart_of_the_api_server_during_a_write_costs_nothing() {
    let own = OwnKube::start();
    let kube = own.kube();
    for record in [true, false] {
        let cluster = one_entry(kube);
        let api = Api::start(kube, |_| Then::Pass);
        let gone = Arc::new(AtomicBool::new(false));
        let (ended, mut hit) = (Arc::clone(&gone), false);
        api.then(move |asked| {
            // Before the order, or behind it.
            let is = if record {
                asked.name.starts_with("notariat-record.") && asked.writes(&asked.name)
            } else {
                asked.writes("web")
            };
            if is && !hit {
                hit = true;
                kube.stop_api();
                ended.store(true, SeqCst);
            }
            Then::Pass
        });
        let daemon = Daemon::start(&mut cluster.command(&through(&cluster, &api), &[]));
        daemon.until("the API server is gone", || gone.load(SeqCst));
        let asked = api.asked().len();
        // Longer than the tries of one request: the worker has given up, and so has the loop.
        daemon.until("it was missed", || api.asked().len() >= asked + 7);
        kube.start_api();
        daemon.until_it_says("issued secret=");
        assert_eq!(daemon.terminate(), 0);
        assert_one_order(&cluster);
    }
    for pid in kube.pids() {
        notariat_lab::process::signal(pid, "KILL");
    }
}

/// The kubelet replaces the token in time; here it does so late, while an order is under way.
#[test]
fn a_token_that_expires_in_the_middle_of_an_order_costs_nothing() {
    let cluster = one_entry(Kube::shared());
    let token = || cluster.kube.service_account_token(&cluster.namespace, "notariat");
    let (old, new) = (token(), token());
    let (expired, refused) = (old.clone(), Arc::new(AtomicUsize::new(0)));
    let (counted, mut over) = (Arc::clone(&refused), false);
    let api = Api::start(cluster.kube, move |asked| {
        over |= asked.writes("web");
        if over && asked.token == expired {
            counted.fetch_add(1, SeqCst);
            return status(401, "Unauthorized", "Unauthorized", &Value::Null);
        }
        Then::Pass
    });
    api.write("token", &old);
    let daemon = Daemon::start(&mut cluster.command(&api.kubeconfig("tokenFile: token"), &[]));
    daemon.until("the token was refused", || refused.load(SeqCst) >= 2);
    daemon.until_it_says("has it expired?");
    api.write("token", &new);
    daemon.until_it_says("issued secret=");
    assert_eq!(daemon.terminate(), 0);
    assert_one_order(&cluster);
}

/// Ends what others do, also when a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// They read, change a label and write; before there is an order half of them write over whatever is there by then.
#[test]
fn twenty_others_that_write_the_secret_cost_no_certificate() {
    let cluster = one_entry(Kube::shared());
    cluster.tls("web", &x509::make(&["www.site.test"], "somebody", -90, -1));
    let web = ObjectRef::parse("web", &cluster.namespace).unwrap();
    let (ordered, over, writes) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
    let write = |number: usize| {
        let client =
            KubeClient::new(discovery::find(Some(cluster.kube.admin_kubeconfig())).unwrap(), Shutdown::new()).unwrap();
        while !over.load(SeqCst) {
            let RawSecret(mut secret) = client.get(&web).unwrap().unwrap();
            secret["metadata"]["labels"][format!("writer-{number}")] = json!(writes.load(SeqCst).to_string());
            if number.is_multiple_of(2) && !ordered.load(SeqCst) {
                secret["metadata"].as_object_mut().unwrap().remove("resourceVersion");
            }
            if client.replace(&RawSecret(secret), DryRun::Real).is_ok() {
                writes.fetch_add(1, SeqCst);
            }
            thread::sleep(Duration::from_millis(300));
        }
    };
    let daemon = thread::scope(|scope| {
        let _over = Over(&over);
        (0..20).for_each(|number| {
            let write = &write;
            scope.spawn(move || write(number));
        });
        until("each has written", || writes.load(SeqCst) > 20);
        let daemon = cluster.daemon(&[]);
        daemon.until("it is ordered", || count(&cluster, "order-plz") > 0);
        ordered.store(true, SeqCst);
        daemon.until_it_says("issued secret=");
        daemon
    });
    assert_eq!(daemon.terminate(), 0);
    assert_one_order(&cluster);
    assert!(cluster.get("web", "{.metadata.labels}").contains("writer-1"));
}
