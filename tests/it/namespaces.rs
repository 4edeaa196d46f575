//! The namespaces that notariat uses: its own, and those that its command line allows, whatever a ConfigMap or a record says.

use std::fs;
use std::path::Path;

use notariat::base::name::ObjectRef;
use notariat::config::namespaces::Namespaces;
use notariat::config::{self, Config};
use notariat::record::Accepted;
use notariat::sources::{Desired, config_map};
use notariat::store::{FileMode, LockMode, Store, StoreError};
use notariat_lab::Scratch;

use crate::support::cluster::Cluster;
use crate::support::{Run, Site};

const ENTRY: &str = "- {secret: web, domains: [a.test], tsigSecretName: k}";

/// Every way in which a ConfigMap can name a Secret of another namespace, and how what it spoils is called.
const WAYS: [(&[(&str, &str)], &str); 9] = [
    (&[("certificates", "- {secret: other/web, domains: [a.test]}")], "certificates entry 1 (other/web): secret: "),
    (&[("certificates", "- {secret: [web, other/b], domains: [a.test]}")], "entry 1 (team/web): secret[1]: "),
    (
        &[("certificates", "- {secret: &s other/b, domains: [a.test]}\n- {secret: *s, domains: [a.test]}")],
        "entry 2 (other/b): ",
    ),
    (
        &[("certificates-2", "- {secret: web, domains: [a.test], tsigSecretName: other/k}")],
        "(team/web): tsigSecretName: ",
    ),
    (&[("certificates", ENTRY), ("defaults", "tsigSecretName: other/k")], "key `defaults`: tsigSecretName: "),
    (
        &[("certificates", ENTRY), ("zones", "[{zone: a.test, tsigSecretName: other/k}]")],
        "key `zones` item 1: tsigSecretName: ",
    ),
    (
        &[("certificates", ENTRY), ("issuers", "x: {directory: 'https://ca.test', caSecretName: other/k}")],
        "key `issuers` x: caSecretName: ",
    ),
    (
        &[("certificates", ENTRY), ("issuers", "x: {directory: 'https://ca.test', eabSecretName: other/k}")],
        "key `issuers` x: eabSecretName: ",
    ),
    (
        &[("certificates", ENTRY), ("issuers", "letsencrypt: {accountSecretName: other/k}")],
        "letsencrypt: accountSecretName: ",
    ),
];

fn read(data: &[(&str, &str)], namespaces: &Namespaces) -> Result<Config, String> {
    let data: config::Data = data.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    config::read(&data, namespaces).map_err(|e| e.to_string())
}

fn wishes(config: &Config) -> Desired {
    let mut wishes = Desired::default();
    config_map::add(&mut wishes, &ObjectRef::parse("team/certs", "").unwrap(), config, |_| None);
    wishes
}

#[test]
fn no_way_leads_around_the_allowed_namespaces() {
    let (own, allowed) = (Namespaces::from("team"), Namespaces::new("team", &["other".to_owned()]));
    for (data, place) in WAYS {
        let said = match read(data, &own) {
            Ok(config) => wishes(&config).refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(e) => e,
        };
        let part =
            "the namespace other, which is neither notariat's own (team) nor among those of the flag -allow-namespaces";
        assert!(said.contains(part) && said.contains(place), "{data:?}: {said}");

        let found = wishes(&read(data, &allowed).unwrap());
        assert!(!found.wanted.is_empty(), "{data:?}");
    }
}

#[test]
fn the_last_accepted_form_names_no_namespace_that_is_not_allowed_any_more() {
    let (own, allowed) = (Namespaces::from("team"), Namespaces::new("team", &["other".to_owned()]));
    let issuers = "x: {directory: 'https://ca.test', caSecretName: other/k}";
    let used = "- {secret: web, domains: [a.test], tsigSecretName: k, issuer: x}";
    let forms = [WAYS[0].0, WAYS[1].0, WAYS[3].0, WAYS[5].0, &[("certificates", used), ("issuers", issuers)]];
    for data in forms {
        for wanted in wishes(&read(data, &allowed).unwrap()).wanted.values() {
            let kept = serde_json::to_string(&wanted.accepted()).unwrap();
            let kept: Accepted = serde_json::from_str(&kept).unwrap();
            assert!(kept.read(&allowed).is_some(), "{data:?}");
            assert!(kept.read(&own).is_none(), "{data:?}");
        }
    }
}

#[test]
fn the_store_asks_for_nothing_elsewhere_whoever_named_it() {
    let folder = Scratch::new("store");
    for namespace in ["team", "other", "third"] {
        let secret = folder.join(&format!("{namespace}/secrets/s"));
        fs::create_dir_all(&secret).unwrap();
        fs::write(secret.join("key"), namespace).unwrap();
    }
    let store = Store::directory(folder.path(), FileMode::PRIVATE, LockMode::Beside).unwrap();
    let store = store.within(&Namespaces::new("team", &["other".to_owned()]));
    let at = |text| ObjectRef::parse(text, "").unwrap();
    assert!(store.secret(&at("team/s")).unwrap().is_some() && store.secret(&at("other/s")).unwrap().is_some());
    for denied in [store.secret(&at("third/s")).map(drop), store.config_map(&at("third/c")).map(drop)] {
        assert!(matches!(&denied, Err(StoreError::Denied(e)) if e.contains("in the namespace third")), "{denied:?}");
    }
}

#[test]
fn what_was_allowed_once_is_neither_renewed_nor_restored_when_it_is_not_any_more() {
    let site = Site::new();
    let entry = site.entry("other/web", "www.site.test", "");
    site.config(&entry);
    let refused = &[
        "certificates entry 1 (other/web): secret: ",
        "in the namespace other, which is neither",
        "-allow-namespaces",
    ];
    site.once().ends(1).says(refused).never_says("issuing");
    assert_eq!(site.pebble.requests(), 0);

    let allowed = || Run::of(&mut site.command(&["-once", "-allow-namespaces", "some,other"]));
    allowed().ends(0).says(&["issued secret=other/web"]);
    let chain = site.store.join("other/secrets/web");
    fs::remove_file(&chain).unwrap();
    site.once().ends(1).says(refused).never_says("restored");
    assert!(!chain.exists());
    allowed().ends(0).says(&["restored secret=other/web"]);

    // The own Secrets go on in the form that was accepted without the other.
    site.config(&site.entry("web", "www.site.test", ""));
    site.once().ends(0);
    site.config(&site.entry("[web, other/web]", "www.site.test", ""));
    fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(1).says(&["(default/web): secret[1]: ", "restored secret=default/web"]);
}

#[test]
fn on_an_api_server_it_takes_the_flag_and_a_rolebinding_in_each_namespace() {
    let cluster = Cluster::new();
    let [a, b, unbound, unasked] = [(); 4].map(|()| cluster.kube.namespace());
    let overlay = Scratch::new("multi-namespace");
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/multi-namespace");
    for file in ["clusterrole.yaml", "rolebindings.yaml"] {
        let text = fs::read_to_string(deploy.join(file)).unwrap();
        let text = text.replace("namespace: default", &format!("namespace: {}", cluster.namespace));
        overlay.write(file, &text.replace("team-a", &a).replace("team-b", &b));
    }
    cluster.kube.kubectl(&["apply", "-f", overlay.path().to_str().unwrap()]);
    let key = cluster.site.key.secret_text();
    cluster.kube.kubectl(&["-n", &b, "create", "secret", "generic", "key", &format!("--from-literal=key={key}")]);

    let entry = |secret: &str, key: &str| {
        cluster
            .site
            .entry(secret, "www.site.test", "")
            .replace("tsigSecretName: tsigkey", &format!("tsigSecretName: {key}"))
    };
    let (first, second) =
        (entry(&format!("{a}/web"), &format!("{b}/key")), entry(&format!("[web, {b}/web]"), "tsigkey"));
    cluster.config(&[&first, &second[..]].concat());
    let allow = format!("-allow-namespaces={a},{b},{unbound}");
    let once = || Run::of(&mut cluster.command(&cluster.service_account(), &["-once", &allow]));
    once().ends(0).says(&[&format!("issued secret={a}/web"), &format!("issued secret={}/web", cluster.namespace)]);
    let data =
        |namespace: &str| cluster.kube.kubectl(&["-n", namespace, "get", "secret", "web", "-o", "jsonpath={.data}"]);
    assert_eq!(data(&b), data(&cluster.namespace));
    let listed = cluster.kubectl(&["get", "secrets", "-l", "app.kubernetes.io/component=record", "-o", "name"]);
    assert!(listed.contains(&format!("notariat-record.{a}.web")), "records are at home: {listed}");

    cluster.config(
        &[&first, &entry(&format!("{unbound}/web"), "tsigkey")[..], &entry(&format!("{unasked}/web"), "tsigkey")]
            .concat(),
    );
    let requests = cluster.site.pebble.requests();
    once().ends(75).says(&[
        &format!("the Role lacks the verb `get` on `secrets` in the namespace {unbound}"),
        &format!("({unasked}/web): secret: \\\"{unasked}/web\\\" is in the namespace {unasked}, which is neither"),
    ]);
    assert_eq!(cluster.site.pebble.requests(), requests, "a failed read is never `missing`");
    let user = format!("system:serviceaccount:{}:notariat", cluster.namespace);
    let asked: Vec<_> = cluster.kube.audit().into_iter().filter(|r| r.user == user).collect();
    assert!(asked.iter().all(|r| r.namespace != unasked), "it is not even asked for");
    assert!(asked.iter().all(|r| r.code != 403 || r.namespace == unbound), "{asked:#?}");
}
