//! What Ingresses cost: the same certificates wanted by entries of a ConfigMap and by Ingresses, the time from a change to its order, the
//! requests of an instance at rest, and what a deployment that deletes and creates everything orders.
//!
//! All certificates are there and valid, so that each order has a cause that is counted here. The time from a change to its order goes from
//! the call that changes the Ingress to the line of the CA about the order, less the time that wishes must rest (`WISHES_SETTLE`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use notariat::base::limits::{BULLETIN_EVERY, WISHES_SETTLE};
use notariat::base::name::ObjectRef;
use notariat::config;
use notariat::config::namespaces::Namespaces;
use notariat::kube::api::DryRun;
use notariat::kube::metadata::{InvalidObject, Object, ObjectMeta};
use notariat::kube::resource::Resource;
use notariat::sources::ingress::IngressFacts;
use notariat::sources::merge::{ObjectClaim, merge};
use notariat::sources::serving::ServingRules;
use notariat::sources::wish::{ObjectKey, WishSettings};
use notariat::sources::{CertificateSpec, SourceRef};
use serde_json::{Value, json};

use super::fixture::{self, Place, hosts};
use super::process::{Daemon, Memory, WAIT_MAX};
use super::servers::Servers;
use super::{LEASE_RENEWED, by_kind};

/// What an Ingress may cost beyond its certificate.
const INGRESS_KIB_MAX: f64 = 1.5;

/// The longest time from a change to its order, beyond the rest of the wishes.
const REACTION_MAX: Duration = Duration::from_millis(100);

/// Changes that are measured; the first order also makes the account.
const CHANGES: usize = 7;

/// The Ingresses that are deleted and created again, and the time for that.
const WAVE: usize = 500;
const WAVE_LASTS: Duration = Duration::from_secs(10);

/// How long an instance is watched at rest.
const REST: Duration = Duration::from_secs(60);

/// An Ingress as a person would write it.
#[derive(Clone)]
struct IngressObject(Value);

impl IngressObject {
    /// The Ingress that wants the certificate `i` for `hosts`.
    fn new(namespace: &str, i: usize, hosts: &[String]) -> IngressObject {
        let path = json!({"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "shop", "port": {"number": 80}}}});
        let rules: Vec<Value> = hosts.iter().map(|host| json!({"host": host, "http": {"paths": [path]}})).collect();
        let labels = json!({"app.kubernetes.io/name": "shop", "app.kubernetes.io/managed-by": "Helm",
            "wave": if i < WAVE { "yes" } else { "no" }});
        let annotations = json!({"kubernetes.io/tls-acme": "true", "meta.helm.sh/release-name": "shop",
            "nginx.ingress.kubernetes.io/proxy-body-size": "8m"});
        IngressObject(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"namespace": namespace, "name": format!("web-{i:05}"), "labels": labels, "annotations": annotations},
            "spec": {"rules": rules, "tls": [{"secretName": format!("cert-{i:05}"), "hosts": hosts}]}}))
    }
}

impl Object for IngressObject {
    const RESOURCE: Resource = Resource::INGRESSES;

    fn metadata(&self) -> ObjectMeta {
        let text = |field: &str| self.0["metadata"][field].as_str().unwrap();
        ObjectMeta::new(ObjectRef::new(text("namespace"), text("name")))
    }

    fn from_json(object: Value) -> Result<IngressObject, InvalidObject> {
        Ok(IngressObject(object))
    }

    fn to_json(&self) -> Value {
        self.0.clone()
    }
}

/// What the instance makes of an Ingress.
fn spec(object: &IngressObject, rules: &ServingRules) -> Arc<CertificateSpec> {
    let at = object.metadata().reference;
    let source = SourceRef::new(Resource::INGRESSES.kind, &at, None);
    let wishes = IngressFacts::read(&source, &object.0, false).wishes(&rules.settings);
    let [wish] = wishes.wishes.try_into().unwrap();
    let (secret, object) = (wish.secret.clone(), ObjectKey { kind: Resource::INGRESSES.kind, at });
    let claims = [ObjectClaim { object, source, wish: Arc::new(wish) }];
    let merged = rules.with(|rules| merge(&secret, &claims, None, &[], rules));
    Arc::new(rules.spec(&secret, merged.wanted.unwrap()))
}

/// The Ingresses may be read in all namespaces, as the Secrets of this one.
const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: notariat-sources}
rules:
- {apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: notariat-sources}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: notariat-sources}
subjects: [{kind: ServiceAccount, name: notariat, namespace: NAMESPACE}]
";

/// Starts an instance and waits until it has checked everything. Returns the time and the memory some seconds later.
pub fn started(servers: &Servers, binary: &Path, count: usize, flags: &[&str]) -> (Daemon, Duration, Memory) {
    let mut daemon = servers.daemon(binary, flags);
    let time = daemon.until(" valid secret=", count);
    // The allocator gives memory of the start back within seconds.
    thread::sleep(Duration::from_secs(8));
    let memory = daemon.memory();
    (daemon, time, memory)
}

/// Prints a row of the table of memory.
pub fn row(what: &str, time: Duration, memory: Memory) {
    let (now, anonymous, peak) = (memory.now, memory.anonymous, memory.peak);
    println!("| {what} | {:.2} s | {now:.1} MiB | {anonymous:.1} MiB | {peak:.1} MiB |", time.as_secs_f64());
}

/// Orders that the CA has had.
pub fn orders(servers: &Servers) -> usize {
    servers.pebble.request_lines().iter().filter(|line| line.contains("/order-plz")).count()
}

/// The memory of an instance with so many certificates as entries of a ConfigMap, each of so many names; prints its row.
pub fn as_entries(binary: &Path, count: usize, names: usize) -> Memory {
    let servers = Servers::start();
    let directory = servers.pebble.directory();
    fixture::populate(&servers.place(&directory), count, names);
    let (_daemon, time, memory) = started(&servers, binary, count, &[]);
    row("entries of a ConfigMap", time, memory);
    memory
}

/// Measures so many Ingresses and prints the figures. Returns the broken bounds.
pub fn measure(binary: &Path, count: usize) -> Vec<String> {
    println!(
        "{count} certificates of three names | start to all checked | memory | anonymous | peak |\n|---|---|---|---|---|"
    );
    let entries = as_entries(binary, count, 3);

    let servers = Servers::start();
    let directory = servers.pebble.directory();
    let place = servers.place(&directory);
    servers.kube.kubectl_stdin(&["apply", "-f", "-"], &RIGHTS.replace("NAMESPACE", &servers.namespace));
    let data: BTreeMap<_, _> = fixture::config_map(&place, 0, 3);
    let namespaces = Namespaces::new(&servers.namespace, &[]);
    let config = Arc::new(config::read(&data.clone().into(), &namespaces).unwrap());
    let rules = ServingRules::of(vec![config], &WishSettings::default(), &namespaces).unwrap();
    let objects: Vec<_> = (0..count).map(|i| IngressObject::new(place.namespace, i, &hosts(place.zone, i))).collect();
    let wanted: Vec<_> = objects.iter().map(|object| spec(object, &rules)).collect();
    fixture::store(&place, &wanted.iter().collect::<Vec<_>>());
    fixture::at_once(&place, count, |client, i| drop(client.create(&objects[i], DryRun::Real).unwrap()));
    fixture::create_config_map(&place, &data);
    let (daemon, time, memory) = started(&servers, binary, count, &["-sources", "config,ingress"]);
    row("Ingresses", time, memory);
    let each = |of: fn(Memory) -> f64| (of(memory) - of(entries)) * 1024.0 / count as f64;
    let (resident, anonymous) = (each(|memory| memory.now), each(|memory| memory.anonymous));
    println!(
        "\nAn Ingress costs {resident:.2} KiB of memory beyond its certificate, {anonymous:.2} KiB of it anonymous."
    );

    let mut faults = Vec::new();
    if resident.max(anonymous) > INGRESS_KIB_MAX {
        faults.push(format!("an Ingress costs {:.2} KiB, more than {INGRESS_KIB_MAX}", resident.max(anonymous)));
    }
    if orders(&servers) > 0 {
        faults.push(format!("{} orders though all certificates are valid", orders(&servers)));
    }
    faults.extend(rest(&servers, 1));
    faults.extend(wave(&servers, &place, &objects));
    faults.extend(reaction(&servers, &place, count));
    println!("Memory after all this: {:.1} MiB.", daemon.memory().now);
    faults
}

/// Counts the requests of an instance at rest that holds so many Leases.
pub fn rest(servers: &Servers, leases_held: u64) -> Option<String> {
    // The status of the start is written once more when all is checked.
    thread::sleep(BULLETIN_EVERY + Duration::from_secs(5));
    let (before, asked_before) = (servers.requests(0).len(), questions(servers));
    thread::sleep(REST);
    let (requests, asked) = (servers.requests(before), questions(servers) - asked_before);
    println!(
        "{} s at rest: {} requests: {}; the CA was asked {asked} times when to renew, as in the first hour after a start",
        REST.as_secs(),
        requests.len(),
        by_kind(&requests)
    );
    let number = |is: &dyn Fn(&str, &str) -> bool| requests.iter().filter(|r| is(&r.resource, &r.verb)).count() as u64;
    let leases = number(&|resource, _| resource == "leases");
    // A watch that was silent for its whole time leads to a new list.
    let watches: BTreeSet<&str> = requests.iter().filter(|r| r.verb == "watch").map(|r| &*r.resource).collect();
    let lists = number(&|resource, verb| verb == "list" && !watches.contains(resource));
    // Where an answer changes when a certificate is renewed, the status ConfigMap says so, once a minute at most.
    let statuses = if asked > 0 { REST.as_secs().div_ceil(BULLETIN_EVERY.as_secs()) } else { 0 };
    let is_status = |word| number(&|resource, verb| resource == "configmaps" && verb == word) > statuses;
    let others = number(&|resource, verb| {
        !matches!((resource, verb), (_, "watch" | "list") | ("leases", _) | ("configmaps", "get" | "update"))
    });
    let too_many = leases > leases_held * (REST.as_secs() / LEASE_RENEWED.as_secs() + 1)
        || is_status("get")
        || is_status("update")
        || lists + others > 0;
    too_many.then(|| format!("requests at rest that are no watches: {}", by_kind(&requests)))
}

/// The number of times that the CA was asked for renewal information.
fn questions(servers: &Servers) -> usize {
    servers.pebble.request_lines().iter().filter(|line| line.contains("/renewalInfo/")).count()
}

/// Deletes Ingresses and creates them again, as an upgrade of a chart with other names of objects in it does.
fn wave(servers: &Servers, place: &Place<'_>, objects: &[IngressObject]) -> Vec<String> {
    let (before, start, asked) = (orders(servers), Instant::now(), servers.requests(0).len());
    let count = objects.len().min(WAVE);
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{}/ingresses?labelSelector=wave%3Dyes", place.namespace);
    servers.kubectl(&["delete", "--raw", &path]);
    let gone = start.elapsed();
    fixture::at_once(place, count, |client, i| drop(client.create(&objects[i], DryRun::Real).unwrap()));
    let took = start.elapsed();
    thread::sleep(WISHES_SETTLE * 5);
    let (ordered, requests) = (orders(servers) - before, servers.requests(asked));
    let (gone, took) = (gone.as_secs_f64(), took.as_secs_f64());
    println!(
        "{count} Ingresses deleted within {gone:.1} s and created again within {took:.1} s: {ordered} orders, requests: {}",
        by_kind(&requests)
    );
    let mut faults = Vec::new();
    if ordered > 0 {
        faults.push(format!("{ordered} orders for Ingresses that went and came back"));
    }
    if took > WAVE_LASTS.as_secs_f64() {
        faults.push(format!("the wave took {took:.1} s, so that nothing is known about one of {WAVE_LASTS:?}"));
    }
    faults
}

/// Adds a host to one Ingress after another, and measures until the CA has the order.
fn reaction(servers: &Servers, place: &Place<'_>, count: usize) -> Option<String> {
    let client = place.client();
    let mut beyond = Vec::new();
    for change in 0..CHANGES {
        let (i, before) = (count - 1 - change, orders(servers));
        let mut names = hosts(place.zone, i).to_vec();
        names.push(format!("new.w{i:05}.{}", place.zone));
        let start = Instant::now();
        client.replace(&IngressObject::new(place.namespace, i, &names), DryRun::Real).unwrap();
        while orders(servers) == before {
            assert!(start.elapsed() < WAIT_MAX, "no order after {WAIT_MAX:?}");
            thread::sleep(Duration::from_millis(2));
        }
        beyond.push(start.elapsed().saturating_sub(WISHES_SETTLE));
        // Each order begins when the one before has ended, at another moment of the second.
        thread::sleep(Duration::from_millis(9_100));
    }
    let shown: Vec<String> = beyond.iter().map(|time| time.as_millis().to_string()).collect();
    println!("From a change to its order, beyond {} s: {} ms.", WISHES_SETTLE.as_secs(), shown.join(", "));
    let mut others = beyond[1..].to_vec();
    others.sort();
    let median = others[others.len() / 2];
    (median > REACTION_MAX)
        .then(|| format!("an order comes {median:?} after its change had rested, more than {REACTION_MAX:?}"))
}
