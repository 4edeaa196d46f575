//! A namespace in which all work is done: certificates, their records, the ConfigMap that wants them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use notariat::base::name::ObjectRef;
use notariat::base::secret::Secret;
use notariat::base::shared_str::SharedStr;
use notariat::base::shutdown::Shutdown;
use notariat::base::time::{self, Time};
use notariat::cert::facts;
use notariat::config;
use notariat::kube::api::DryRun;
use notariat::kube::client::KubeClient;
use notariat::kube::discovery;
use notariat::kube::object::{ConfigMapObject, SecretObject, TYPE_TLS};
use notariat::policy::Directory;
use notariat::policy::renewal_window::RenewalWindow;
use notariat::policy::secret_state::{annotation, owner_mark};
use notariat::record::{self, Issued, PairBackup, Record};
use notariat::sources::{CertificateSpec, Desired, config_map};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair};
use serde_json::json;

/// Requests at a time. The API server and its disk are the bound, not these threads.
const AT_ONCE: usize = 16;

/// Octets that a public CA's certificates have and rcgen's lack (SCTs, policies, URLs; the root's RSA signature): chain and key then are
/// some 4,000 octets of PEM.
const LEAF_PADDING: usize = 500;
const INTERMEDIATE_PADDING: usize = 700;

/// The age of the oldest certificate, of 90 days that it lives: all are valid for long enough, and some were ordered this week.
const OLDEST_DAYS: i32 = 55;

/// The age of a certificate that is due: its CA's window, from the 60th to the 62nd day, is over, and it is valid for 15 more days.
const DUE_DAYS: i32 = 75;

/// Entries in one key of the ConfigMap.
const ENTRIES_IN_A_KEY: usize = 1_000;

/// The namespace and the servers of a measurement.
pub struct Place<'a> {
    pub namespace: &'a str,
    pub zone: &'a str,
    pub dns: SocketAddr,
    pub directory: &'a str,
    pub admin: &'a Path,
}

impl Place<'_> {
    /// A client of the administrator.
    pub fn client(&self) -> KubeClient {
        KubeClient::new(discovery::find(Some(self.admin)).unwrap(), Shutdown::new()).unwrap()
    }
}

/// Makes `count` valid certificates of so many names with their records, and then the ConfigMap. Returns the octets of the ConfigMap's data.
pub fn populate(place: &Place<'_>, count: usize, names: usize) -> usize {
    populate_aged(place, count, names, age_of_valid)
}

/// Makes `count` certificates that are all due for renewal, as [`populate`] does.
pub fn populate_due(place: &Place<'_>, count: usize, names: usize) -> usize {
    populate_aged(place, count, names, |_| DUE_DAYS)
}

/// The age in days of the valid certificate `i`.
fn age_of_valid(i: usize) -> i32 {
    i as i32 % OLDEST_DAYS
}

fn populate_aged(place: &Place<'_>, count: usize, names: usize, age: impl Fn(usize) -> i32 + Sync) -> usize {
    let data = config_map(place, count, names);
    let name = ObjectRef::new(place.namespace, "notariat");
    let config = config::read(&data.clone().into(), &place.namespace.into()).unwrap();
    let mut wishes = Desired::default();
    config_map::add(&mut wishes, &name, &config, |_| None);
    let wanted: Vec<_> = wishes.wanted.values().collect();
    assert_eq!(wanted.len(), count);
    store_aged(place, &wanted, age);
    create_config_map(place, &data);
    data.values().map(String::len).sum()
}

/// Makes the ConfigMap.
pub fn create_config_map(place: &Place<'_>, data: &BTreeMap<String, String>) {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
        "metadata": {"name": "notariat", "namespace": place.namespace}});
    place.client().create(&ConfigMapObject(object), DryRun::Real).unwrap();
}

/// Makes valid certificates with their records.
pub fn store(place: &Place<'_>, wanted: &[&Arc<CertificateSpec>]) {
    store_aged(place, wanted, age_of_valid);
}

fn store_aged(place: &Place<'_>, wanted: &[&Arc<CertificateSpec>], age: impl Fn(usize) -> i32 + Sync) {
    let issuer = intermediate();
    at_once(place, wanted.len(), |client, i| {
        let create = |secret: &SecretObject| client.create(secret, DryRun::Real).unwrap();
        let pair = pair(&issuer, wanted[i], age(i));
        create(&certificate(place, wanted[i], &pair));
        create(&record(place, wanted[i], pair));
    });
}

/// Does something for each of so many numbers, on several threads.
pub fn at_once(place: &Place<'_>, count: usize, work: impl Fn(&KubeClient, usize) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                // Each client keeps to its own rate, so each thread has one.
                let client = place.client();
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        i if i < count => work(&client, i),
                        _ => return,
                    }
                }
            });
        }
    });
}

/// The data of a ConfigMap with so many entries of one or two names. The fields that all share stand in `defaults`, so that 10,000 entries
/// of two names fit into one object.
pub fn config_map(place: &Place<'_>, count: usize, names: usize) -> BTreeMap<String, String> {
    let zone = place.zone;
    let dns = format!("{{server: '{}', propagation: primary}}", place.dns);
    let defaults = format!("{{email: admin@{zone}, tsigSecretName: tsigkey, dns: {dns}}}");
    let mut data = BTreeMap::from([("defaults".to_owned(), defaults)]);
    for i in 0..count {
        let key = format!("certificates-{}", i / ENTRIES_IN_A_KEY);
        let entry = format!("- {{secret: cert-{i:05}, domains: [{}]}}\n", hosts(zone, i)[..names].join(", "));
        data.entry(key).or_default().push_str(&entry);
    }
    data
}

/// The names of a certificate, as many as one may have here.
pub fn hosts(zone: &str, i: usize) -> [String; 3] {
    [format!("w{i:05}.{zone}"), format!("www.w{i:05}.{zone}"), format!("api.w{i:05}.{zone}")]
}

fn padding(octets: usize) -> CustomExtension {
    // An unassigned OID.
    CustomExtension::from_oid_content(&[2, 25, 1], vec![4; octets])
}

fn intermediate() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "Scale Intermediate");
    params.custom_extensions.push(padding(INTERMEDIATE_PADDING));
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of 90 days that is so many days old.
fn pair(issuer: &CertifiedIssuer<'static, KeyPair>, wanted: &CertificateSpec, age: i32) -> PairBackup {
    let names: Vec<String> = wanted.entry.domains.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let day = ::time::Duration::days(1);
    params.not_before = ::time::OffsetDateTime::now_utc() - day * age - ::time::Duration::hours(1);
    params.not_after = params.not_before + day * 90;
    params.use_authority_key_identifier_extension = true;
    params.custom_extensions.push(padding(LEAF_PADDING));
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, issuer).unwrap();
    let chain = leaf.pem() + &issuer.pem();
    PairBackup { chain: chain.into_bytes(), key: Some(Secret::new(key.serialize_pem().into_bytes())) }
}

fn certificate(place: &Place<'_>, wanted: &CertificateSpec, pair: &PairBackup) -> SecretObject {
    let at = wanted.entry.main_secret();
    let mut secret = own(at, TYPE_TLS, "certificate");
    secret.data.insert("tls.crt".to_owned(), Secret::new(pair.chain.clone()));
    secret.data.insert("tls.key".to_owned(), pair.key.clone().unwrap());
    for (name, value) in [
        (annotation::OWNER, owner_mark(place.namespace, at)),
        (annotation::DIRECTORY, Directory::new(place.directory, true).url().to_owned()),
        (annotation::KEY_TYPE, wanted.entry.key_type.name().to_owned()),
        (annotation::SOURCE, wanted.source.to_string()),
    ] {
        secret.annotations.insert(name.to_owned(), value);
    }
    secret
}

/// The record of a certificate that was ordered once, without trouble, and of which the CA said when to renew it.
fn record(place: &Place<'_>, wanted: &CertificateSpec, pair: PairBackup) -> SecretObject {
    let (_, facts) = facts::read(&pair.chain).unwrap();
    let directory = Directory::new(place.directory, true).url().to_owned();
    let (now, issued) = (time::now(), Time::from_unix(facts.not_before.unix()));
    let mut record = Record { copy: Some(pair), ..Record::default() };
    let body = &mut record.body;
    body.accepted = Some(Box::new(wanted.accepted()));
    let history = body.history_mut(&wanted.entry.order_names(), &directory, issued);
    history.orders.push(issued);
    let account = Some(format!("{}/my-account/1", directory.trim_end_matches("/dir")));
    let start = issued + Duration::from_secs(60 * 86_400);
    body.window = Some(RenewalWindow {
        serial: facts.serial.clone(),
        start,
        end: start + Duration::from_secs(2 * 86_400),
        first_start: start,
        moved_to_past: false,
        explanation: None,
    });
    body.stored = Some(Issued {
        renewal_mark: None,
        serial: facts.serial,
        at: issued,
        directory: directory.into(),
        key_type: wanted.entry.key_type.name().into(),
        profile: None,
        account: account.map(SharedStr::from),
        cert_id: facts.cert_id,
    });
    let at = record::reference(wanted.entry.main_secret(), place.namespace);
    let mut secret = own(&at, record::TYPE, "record");
    secret.data = record.data(now);
    secret
}

fn own(at: &ObjectRef, kind: &str, component: &str) -> SecretObject {
    let mut secret = SecretObject::new(at.clone(), kind);
    secret.labels.insert("app.kubernetes.io/managed-by".to_owned(), "notariat".to_owned());
    secret.labels.insert("app.kubernetes.io/component".to_owned(), component.to_owned());
    secret
}
