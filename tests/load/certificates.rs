//! What cert-manager's Certificates cost: the same certificates wanted by entries of a ConfigMap and by Certificates, the status that each of
//! them gets once, the requests of an instance at rest, and the time from a changed Certificate to its order.
//!
//! All certificates are there and valid, so that each order has a cause that is counted here. The statuses are not there: each Certificate
//! gets its first one. The time from a change to its order goes from the call that changes the Certificate to the line of the CA about the
//! order, less the time that wishes must rest (`WISHES_SETTLE`).

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use notariat::base::limits::WISHES_SETTLE;
use notariat::base::name::ObjectRef;
use notariat::cert_manager::CertManagerIssuer;
use notariat::config;
use notariat::config::namespaces::Namespaces;
use notariat::kube::api::DryRun;
use notariat::kube::metadata::{InvalidObject, Object, ObjectMeta};
use notariat::kube::resource::Resource;
use notariat::sources::cert_manager::certificate::CertificateObject;
use notariat::sources::cert_manager::issuer::IssuerFacts;
use notariat::sources::merge::{ObjectClaim, merge};
use notariat::sources::serving::ServingRules;
use notariat::sources::wish::{ObjectKey, WishSettings};
use notariat::sources::{CertificateSpec, SourceRef};
use notariat_lab::kube::Audited;
use serde_json::{Value, json};

use super::by_kind;
use super::fixture::{self, Place, hosts};
use super::ingresses::{as_entries, orders, rest, row, started};
use super::process::{Daemon, Memory, WAIT_MAX};
use super::servers::Servers;

/// The number of Certificates where none is given.
pub const COUNT: usize = 10_000;

/// What a Certificate may cost beyond its certificate.
const CERTIFICATE_KIB_MAX: f64 = 2.0;

/// The longest time from a change to its order, beyond the rest of the wishes.
const REACTION_MAX: Duration = Duration::from_millis(100);

/// The longest time from a new Certificate to its first condition Ready.
const FIRST_CONDITION_MAX: Duration = Duration::from_secs(1);

/// Changes that are measured; the first order also makes the account.
const CHANGES: usize = 7;

/// New Certificates that are measured.
const NEW: usize = 3;

/// How often the status of a Certificate is written for an order: that it is under way, and what came of it, with the pauses between.
const WRITES_OF_AN_ORDER: usize = 3;

/// The definitions, as far as a server must know them.
const DEFINITIONS: &str = include_str!("../it/convert/crds.yaml");

/// The kinds may be read in all namespaces and their statuses written, and the Lease of cert-manager's controller may be held.
const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: notariat-sources}
rules:
- {apiGroups: [cert-manager.io], resources: [certificates, issuers, clusterissuers], verbs: [get, list, watch]}
- {apiGroups: [cert-manager.io], resources: [certificates/status, issuers/status, clusterissuers/status], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: notariat-sources}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: notariat-sources}
subjects: [{kind: ServiceAccount, name: notariat, namespace: NAMESPACE}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: kube-system, name: notariat-cert-manager-lease}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create, get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: kube-system, name: notariat-cert-manager-lease}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: notariat-cert-manager-lease}
subjects: [{kind: ServiceAccount, name: notariat, namespace: NAMESPACE}]
";

/// A Certificate as a person would write it.
#[derive(Clone)]
struct WrittenCertificate(Value);

impl WrittenCertificate {
    /// The Certificate that wants the certificate `i` for `hosts`.
    fn new(namespace: &str, i: usize, hosts: &[String]) -> WrittenCertificate {
        let labels = json!({"app.kubernetes.io/name": "shop", "app.kubernetes.io/managed-by": "Helm"});
        let annotations = json!({"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": namespace});
        let issuer = json!({"name": "lab", "kind": "ClusterIssuer", "group": "cert-manager.io"});
        let key = json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"});
        WrittenCertificate(json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"namespace": namespace, "name": name(i), "labels": labels, "annotations": annotations},
            "spec": {"secretName": name(i), "dnsNames": hosts, "issuerRef": issuer, "privateKey": key}}))
    }
}

impl Object for WrittenCertificate {
    const RESOURCE: Resource = Resource::CERTIFICATES;

    fn metadata(&self) -> ObjectMeta {
        let text = |field: &str| self.0["metadata"][field].as_str().unwrap();
        ObjectMeta::new(ObjectRef::new(text("namespace"), text("name")))
    }

    fn from_json(object: Value) -> Result<WrittenCertificate, InvalidObject> {
        Ok(WrittenCertificate(object))
    }

    fn to_json(&self) -> Value {
        self.0.clone()
    }
}

/// The name of the certificate `i`, and of its Secret.
fn name(i: usize) -> String {
    format!("cert-{i:05}")
}

/// The ClusterIssuer of all Certificates.
fn issuer(place: &Place<'_>) -> Value {
    let update = json!({"nameserver": place.dns.to_string(), "tsigKeyName": "scale.key", "tsigAlgorithm": "HMACSHA256",
        "tsigSecretSecretRef": {"name": "tsig", "key": "secret"}});
    json!({"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "lab"},
        "spec": {"acme": {"server": place.directory, "email": format!("admin@{}", place.zone),
            "privateKeySecretRef": {"name": "lab-account"}, "solvers": [{"dns01": {"rfc2136": update}}]}}})
}

/// What the instance makes of a Certificate.
fn spec(object: &WrittenCertificate, issuer: &IssuerFacts, rules: &ServingRules) -> Arc<CertificateSpec> {
    let at = object.metadata().reference;
    let source = SourceRef::new(Resource::CERTIFICATES.kind, &at, None);
    let wishes = CertificateObject::read(&source, &object.0).wishes(Some(issuer), false);
    let [wish] = wishes.wishes.try_into().unwrap();
    let (secret, object) = (wish.secret.clone(), ObjectKey { kind: Resource::CERTIFICATES.kind, at });
    let claims = [ObjectClaim { object, source, wish: Arc::new(wish) }];
    let merged = rules.with(|rules| merge(&secret, &claims, None, &[], rules));
    Arc::new(rules.spec(&secret, merged.wanted.unwrap()))
}

/// Makes so many valid certificates, their records, the Certificates without a status, and the configuration.
fn populate(servers: &Servers, place: &Place<'_>, count: usize) {
    servers.kube.kubectl_stdin(&["apply", "-f", "-"], DEFINITIONS);
    servers.kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    servers.kube.kubectl_stdin(&["apply", "-f", "-"], &RIGHTS.replace("NAMESPACE", place.namespace));
    let key = servers.key.secret_text();
    let text = format!("--from-literal=secret={}", key.rsplit(':').next().unwrap());
    servers.kubectl(&["create", "secret", "generic", "tsig", &text]);
    let issuer = issuer(place);
    servers.kube.kubectl_stdin(&["apply", "-f", "-"], &issuer.to_string());

    let mut data = fixture::config_map(place, 0, 2);
    data.insert("namespaces".to_owned(), format!("{}: {{domains: [{}]}}", place.namespace, place.zone));
    data.insert("defaults".to_owned(), "{dns: {propagation: primary}}".to_owned());
    let namespaces = Namespaces::new(place.namespace, &[]);
    let config = Arc::new(config::read(&data.clone().into(), &namespaces).unwrap());
    let rules = ServingRules::of(vec![config], &WishSettings::default(), &namespaces).unwrap();
    let issuer = IssuerFacts::read(&CertManagerIssuer::read(&issuer).unwrap(), place.namespace);
    let all: Vec<_> =
        (0..count).map(|i| WrittenCertificate::new(place.namespace, i, &hosts(place.zone, i)[..2])).collect();
    let wanted: Vec<_> = all.iter().map(|object| spec(object, &issuer, &rules)).collect();
    fixture::store(place, &wanted.iter().collect::<Vec<_>>());
    fixture::at_once(place, count, |client, i| drop(client.create(&all[i], DryRun::Real).unwrap()));
    fixture::create_config_map(place, &data);
}

/// The writes of the statuses of Certificates among these requests.
fn writes(requests: &[Audited]) -> Vec<&Audited> {
    requests.iter().filter(|asked| asked.resource == "certificates/status").collect()
}

/// How long a start takes: until all certificates are checked, until the first status is written, and until the last one is.
struct Started {
    checked: Duration,
    first: Duration,
    last: Duration,
}

impl Started {
    /// Waits until everything is checked and each Certificate has a status.
    fn wait(servers: &Servers, daemon: &mut Daemon, count: usize) -> Started {
        let (start, mut first, mut checked) = (Instant::now(), None, None);
        // No status is written before, and before the first request there is no log of requests.
        daemon.until("leading lease=kube-system/cert-manager-controller", 1);
        loop {
            if checked.is_none() && daemon.count(" valid secret=") >= count {
                checked = Some(start.elapsed());
            }
            let requests = servers.requests(0);
            let written = writes(&requests).iter().filter(|asked| asked.code == 200).count();
            if written > 0 {
                first.get_or_insert(start.elapsed());
            }
            if let (Some(checked), Some(first), true) = (checked, first, written >= count) {
                return Started { checked, first, last: start.elapsed() };
            }
            assert!(start.elapsed() < WAIT_MAX, "{written} statuses after {WAIT_MAX:?}: {}", by_kind(&requests));
            // The log of requests grows to many octets, and reading it takes time from the program that is measured.
            thread::sleep(Duration::from_millis(if written == 0 { 100 } else { 500 }));
        }
    }
}

/// The Certificates whose condition Ready is true.
fn ready(servers: &Servers) -> usize {
    let path = r#"jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
    servers.kubectl(&["get", "certificates", "-o", path]).lines().filter(|line| *line == "True").count()
}

/// Measures so many Certificates and prints the figures. Returns the broken bounds.
pub fn measure(binary: &Path, count: usize) -> Vec<String> {
    println!(
        "| {count} certificates of two names | start to all checked | memory | anonymous | peak |\n|---|---|---|---|---|"
    );
    let entries = as_entries(binary, count, 2);

    let servers = Servers::start();
    let directory = servers.pebble.directory();
    let place = servers.place(&directory);
    populate(&servers, &place, count);
    let flags = ["-sources", "config,cert-manager", "-cluster-resource-namespace", place.namespace];
    let mut daemon = servers.daemon(binary, &flags);
    let Started { checked, first, last } = Started::wait(&servers, &mut daemon, count);
    // The allocator gives memory of the start back within seconds.
    thread::sleep(Duration::from_secs(8));
    let memory = daemon.memory();
    row("Certificates", checked, memory);
    let mut faults = Vec::new();
    println!();
    faults.extend(cost("once its status was written", memory, entries, count));
    println!(
        "The first Ready stands there {:.2} s after the start, the last one after {:.1} s.",
        first.as_secs_f64(),
        last.as_secs_f64()
    );

    let requests = servers.requests(0);
    let written = writes(&requests);
    let refused = written.iter().filter(|asked| asked.code == 429).count();
    println!("Requests until then: {}; answered with 429: {refused}.", by_kind(&requests));
    if written.len() - refused > count {
        faults.push(format!("{} statuses were written for {count} Certificates", written.len() - refused));
    }
    if ready(&servers) != count {
        faults.push(format!("{} of {count} Certificates are ready", ready(&servers)));
    }
    if orders(&servers) > 0 {
        faults.push(format!("{} orders though all certificates are valid", orders(&servers)));
    }
    // Its own Lease and that of cert-manager's controller.
    faults.extend(rest(&servers, 2));
    faults.extend(reaction(&servers, &place, count));
    faults.extend(arrival(&place, count));
    println!("Memory after all this: {:.1} MiB.", daemon.memory().now);
    faults.extend(restart(&servers, binary, daemon, (count, entries), &flags));
    faults
}

/// Prints what a Certificate costs beyond its certificate, `when`.
fn cost(when: &str, memory: Memory, entries: Memory, count: usize) -> Option<String> {
    let each = (memory.now - entries.now).max(memory.anonymous - entries.anonymous) * 1024.0 / count as f64;
    println!("A Certificate costs {each:.2} KiB of memory beyond its certificate, {when}.");
    (each > CERTIFICATE_KIB_MAX)
        .then(|| format!("a Certificate costs {each:.2} KiB {when}, more than {CERTIFICATE_KIB_MAX}"))
}

/// Adds a name to one Certificate after another, and measures until the CA has the order.
fn reaction(servers: &Servers, place: &Place<'_>, count: usize) -> Vec<String> {
    let (client, asked) = (place.client(), servers.requests(0).len());
    let mut beyond = Vec::new();
    for change in 0..CHANGES {
        let (i, before) = (count - 1 - change, orders(servers));
        let at = ObjectRef::new(place.namespace, &name(i));
        let mut object = client.get_json(Resource::CERTIFICATES, &at).unwrap().unwrap();
        object["spec"]["dnsNames"] = json!(hosts(place.zone, i));
        let object = WrittenCertificate(object);
        let start = Instant::now();
        client.replace(&object, DryRun::Real).unwrap();
        while orders(servers) == before {
            assert!(start.elapsed() < WAIT_MAX, "no order after {WAIT_MAX:?}");
            thread::sleep(Duration::from_millis(2));
        }
        beyond.push(start.elapsed().saturating_sub(WISHES_SETTLE));
        // Each order begins when the one before has ended, at another moment of the second.
        thread::sleep(Duration::from_millis(9_100));
    }
    let shown: Vec<String> = beyond.iter().map(|time| time.as_millis().to_string()).collect();
    let requests = servers.requests(asked);
    let written = writes(&requests).len();
    println!(
        "From a changed Certificate to its order, beyond {} s: {} ms; statuses written for these {CHANGES} orders: {written}.",
        WISHES_SETTLE.as_secs(),
        shown.join(", ")
    );
    let mut faults = Vec::new();
    let median = median(&beyond[1..]);
    if median > REACTION_MAX {
        faults.push(format!("an order comes {median:?} after its change had rested, more than {REACTION_MAX:?}"));
    }
    if written > CHANGES * WRITES_OF_AN_ORDER {
        faults.push(format!("{written} statuses were written for {CHANGES} orders"));
    }
    faults
}

/// Makes one Certificate after another, and measures until its first condition and until it is ready.
fn arrival(place: &Place<'_>, count: usize) -> Option<String> {
    let client = place.client();
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    for i in count..count + NEW {
        let object = WrittenCertificate::new(place.namespace, i, &hosts(place.zone, i)[..2]);
        let at = object.metadata().reference;
        let start = Instant::now();
        client.create(&object, DryRun::Real).unwrap();
        let until = |is: &dyn Fn(&Value) -> bool| {
            loop {
                let object = client.get_json(Resource::CERTIFICATES, &at).unwrap().unwrap();
                let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
                if conditions.iter().any(|condition| condition["type"] == "Ready" && is(&condition["status"])) {
                    return start.elapsed();
                }
                assert!(start.elapsed() < WAIT_MAX, "no such status after {WAIT_MAX:?}");
                thread::sleep(Duration::from_millis(30));
            }
        };
        first.push(until(&|_| true));
        whole.push(until(&|status| status == "True"));
    }
    let shown = |times: &[Duration]| {
        times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect::<Vec<_>>().join(", ")
    };
    println!("From a new Certificate to its first condition: {} s; to Ready: {} s.", shown(&first), shown(&whole));
    let median = median(&first);
    (median > FIRST_CONDITION_MAX)
        .then(|| format!("a new Certificate shows nothing for {median:?}, more than {FIRST_CONDITION_MAX:?}"))
}

/// Starts the program anew: all statuses stand there, and none is written. The memory is compared with that of the same `entries`.
fn restart(
    servers: &Servers,
    binary: &Path,
    daemon: Daemon,
    (count, entries): (usize, Memory),
    flags: &[&str],
) -> Vec<String> {
    drop(daemon);
    let asked = servers.requests(0).len();
    let (daemon, time, memory) = started(servers, binary, count, flags);
    thread::sleep(Duration::from_secs(10));
    let requests = servers.requests(asked);
    let written = writes(&requests).len();
    row("Certificates, started again", time, memory);
    println!("Statuses written by the second start: {written}.");
    let mut faults: Vec<String> = cost("after a restart", memory, entries, count).into_iter().collect();
    drop(daemon);
    if written > 0 {
        faults.push(format!("{written} statuses were written by a start that found nothing to change"));
    }
    faults
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}
