use super::*;
use crate::config::entry::Entry;
use crate::config::node;
use crate::kube::object::{TYPE_OPAQUE, TYPE_TLS};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// A directory of its own for each test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("notariat-store-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn open(&self) -> Store {
        Store::directory(&self.0, FileMode::PRIVATE, LockMode::Alone).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn at(text: &str) -> ObjectRef {
    ObjectRef::parse(text, "").unwrap()
}

fn entry(yaml: &str) -> Entry {
    Entry::read(&node::read(yaml).unwrap(), &"team".into()).unwrap()
}

fn bundle() -> CheckedBundle {
    let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let names = ["a.test".parse().unwrap()];
    CheckedBundle::check(chain.as_bytes(), Secret::new(key.into_bytes()), &names, crate::base::time::now()).unwrap()
}

static ORIGIN: std::sync::LazyLock<Origin> = std::sync::LazyLock::new(|| Origin {
    directory: "https://ca/dir".to_owned(),
    key_type: "ecdsa-p256".to_owned(),
    profile: None,
});

fn marks(entry: &Entry) -> Marks<'_> {
    Marks {
        instance: "team",
        entry,
        origin: &ORIGIN,
        source: "ConfigMap team/c",
        secret_type: TYPE_TLS,
        cascade: None,
        certificate: None,
    }
}

#[test]
fn a_certificate_is_created_marked_and_replaced() {
    let folder = Folder::new("create");
    let (store, web) = (folder.open(), at("team/web"));
    let entry = entry("{secret: web, domains: [a.test], labels: {team: x}, annotations: {reload: 'yes'}}");
    let (first, second) = (bundle(), bundle());
    store.try_certificate(&web, None, &marks(&entry)).unwrap();
    assert!(store.secret(&web).unwrap().is_none(), "a trial stores nothing");
    assert!(store.put_certificate(&web, None, &first, &marks(&entry)).unwrap());

    let read = store.secret(&web).unwrap().unwrap();
    assert_eq!((read.type_.as_str(), read.value("tls.crt").unwrap().expose().as_slice()), (TYPE_TLS, first.chain()));
    assert_eq!(read.labels["app.kubernetes.io/managed-by"], "notariat");
    assert_eq!(
        (read.labels["app.kubernetes.io/component"].as_str(), read.labels["team"].as_str()),
        ("certificate", "x")
    );
    assert_eq!(read.annotations["notariat/owner"], "team team/web");
    assert_eq!(read.annotations["notariat/directory"], "https://ca/dir");
    assert_eq!(read.annotations["notariat/key-type"], "ecdsa-p256");
    assert_eq!(
        (read.annotations["notariat/source"].as_str(), read.annotations["reload"].as_str()),
        ("ConfigMap team/c", "yes")
    );

    assert!(
        !store.put_certificate(&web, Some(&read), &first, &marks(&entry)).unwrap(),
        "nothing differs, nothing is written"
    );
    let path = folder.0.join("team/secrets/web");
    let target = fs::read_link(&path).unwrap();
    assert!(store.put_certificate(&web, Some(&read), &second, &marks(&entry)).unwrap());
    assert_ne!(fs::read_link(&path).unwrap(), target, "another folder");
    let entries = fs::read_dir(folder.0.join("team/secrets")).unwrap().count();
    assert_eq!(entries, 2, "the link and its folder; the old one is gone");
    let mode = |file: &str| fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("tls.key"), mode(".")), (0o600, 0o700));
    assert_eq!(
        store.put_certificate(&web, Some(&read), &bundle(), &marks(&entry)),
        Err(StoreError::Conflict),
        "read before the last write"
    );
    assert_eq!(store.put_certificate(&web, None, &first, &marks(&entry)), Err(StoreError::Conflict), "it exists");
}

#[test]
fn what_others_keep_in_a_secret_stays() {
    let folder = Folder::new("others");
    for (file, text) in [
        ("tls.crt", "old"),
        ("tls.key", "old"),
        // Rule 52: the CAs of clients (auth-tls-secret) stay beside a renewed pair.
        ("ca.crt", "theirs"),
        ("labels.json", r#"{"app.kubernetes.io/managed-by":"helm"}"#),
    ] {
        folder.put(&format!("team/secrets/web/{file}"), text);
    }
    folder.put("team/secrets/web/annotations.json", r#"{"theirs":"1","notariat/renew":"please"}"#);
    let (store, web, entry) = (folder.open(), at("team/web"), entry("{secret: web, domains: [a.test]}"));
    let read = store.secret(&web).unwrap().unwrap();
    assert_eq!(read.type_, TYPE_TLS, "a plain folder with both files");
    store.try_certificate(&web, Some(&read), &marks(&entry)).unwrap();
    assert!(store.put_certificate(&web, Some(&read), &bundle(), &marks(&entry)).unwrap());
    let read = store.secret(&web).unwrap().unwrap();
    assert_eq!(read.value("ca.crt").unwrap().expose(), b"theirs");
    assert_eq!(read.labels.get("app.kubernetes.io/managed-by").map(String::as_str), Some("helm"));
    assert!(!read.labels.contains_key("app.kubernetes.io/component"));
    assert_eq!((read.annotations["theirs"].as_str(), read.annotations["notariat/renewed"].as_str()), ("1", "please"));
    assert!(fs::symlink_metadata(folder.0.join("team/secrets/web")).unwrap().is_symlink(), "converted");
}

/// A bundle for the key of a CSR of tests/vectors/csr.
fn bundle_of_csr(file: &str) -> CheckedBundle {
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;
    struct RequestedKey(Vec<u8>);
    impl rcgen::PublicKeyData for RequestedKey {
        fn der_bytes(&self) -> &[u8] {
            &self.0
        }
        fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
            &rcgen::PKCS_ECDSA_P256_SHA256
        }
    }
    let pem = fs::read_to_string(format!("tests/vectors/csr/{file}.pem")).unwrap();
    let csr = crate::cert::request::CertificateRequest::from_pem(&pem).unwrap();
    let key = X509CertificationRequest::from_der(csr.der()).unwrap().1.certification_request_info.subject_pki;
    let key = RequestedKey(key.subject_public_key.data.to_vec());
    let issuer = rcgen::Issuer::new(rcgen::CertificateParams::default(), rcgen::KeyPair::generate().unwrap());
    let params = rcgen::CertificateParams::new(csr.names().iter().map(ToString::to_string).collect::<Vec<_>>());
    let chain = params.unwrap().signed_by(&key, &issuer).unwrap().pem();
    CheckedBundle::of_request(chain.as_bytes(), &csr, csr.names(), crate::base::time::now()).unwrap()
}

#[test]
fn beside_the_certificate_of_a_csr_only_a_key_that_fits_stays() {
    let folder = Folder::new("csr");
    let (store, web, entry) = (folder.open(), at("team/web"), entry("{secret: web, domains: [a.test]}"));
    let vector = |file: &str| fs::read_to_string(format!("tests/vectors/keys/{file}.pem")).unwrap();
    assert!(store.put_certificate(&web, None, &bundle_of_csr("p256"), &marks(&entry)).unwrap());
    let key = folder.0.join("team/secrets/web/tls.key");
    assert_eq!(fs::read_to_string(&key).unwrap(), "", "it is there, and empty");
    for (put, left) in [
        (vector("p256-sec1"), vector("p256-sec1")),
        (vector("p256-pkcs8"), vector("p256-pkcs8")),
        (vector("rsa2048-pkcs8"), String::new()),
        ("words".to_owned(), String::new()),
        // One that ring cannot read may be the one.
        (vector("p521-sec1"), vector("p521-sec1")),
    ] {
        fs::write(&key, &put).unwrap();
        let read = store.secret(&web).unwrap().unwrap();
        store.try_certificate(&web, Some(&read), &marks(&entry)).unwrap();
        assert_eq!(fs::read_to_string(&key).unwrap(), put, "a trial stores nothing");
        assert!(store.put_certificate(&web, Some(&read), &bundle_of_csr("p256"), &marks(&entry)).unwrap());
        assert_eq!(fs::read_to_string(&key).unwrap(), left);
        assert_eq!(store.secret(&web).unwrap().unwrap().type_, TYPE_TLS);
    }
    // The key of a bundle replaces any.
    let read = store.secret(&web).unwrap().unwrap();
    store.put_certificate(&web, Some(&read), &bundle(), &marks(&entry)).unwrap();
    assert!(fs::read_to_string(&key).unwrap().contains("PRIVATE KEY"));
}

#[test]
fn config_maps_are_folders_and_hidden_files_are_not_data() {
    let folder = Folder::new("configmap");
    folder.put("team/configmaps/c/certificates", "[]\n");
    folder.put("team/configmaps/c/.hidden", "x");
    let store = folder.open();
    assert_eq!(
        store.config_map(&at("team/c")).unwrap().unwrap(),
        [("certificates".to_owned(), "[]\n".to_owned())].into()
    );
    assert_eq!(store.config_map(&at("team/none")).unwrap(), None);
    fs::write(folder.0.join("team/configmaps/c/certificates"), [0xff]).unwrap();
    let read = store.config_map(&at("team/c")).unwrap().unwrap();
    assert!(read.texts.is_empty() && read.unreadable["certificates"].contains("octet 0xFF in line 1"), "{read:?}");
    fs::write(folder.0.join("team/configmaps/file"), "x").unwrap();
    assert!(
        matches!(store.config_map(&at("team/file")), Err(StoreError::Unreachable(_))),
        "a failed read is never `missing`"
    );
}

#[test]
fn records_are_found_and_there_is_one_writer() {
    let folder = Folder::new("records");
    let store = folder.open();
    folder.put("team/secrets/other/key", "k:eA==");
    let record = at("team/notariat-record.team.web");
    let data = BTreeMap::from([("record".to_owned(), Secret::new(b"{}".to_vec()))]);
    let first = store.put_own(&record, None, Component::Record, crate::record::TYPE, data.clone()).unwrap();
    assert_eq!(first.labels["app.kubernetes.io/component"], "record");
    assert_eq!(
        store.put_own(&record, None, Component::Record, crate::record::TYPE, data.clone()).unwrap_err(),
        StoreError::Conflict
    );
    let changed = BTreeMap::from([("record".to_owned(), Secret::new(b"{ }".to_vec()))]);
    store.put_own(&record, Some(&first), Component::Record, crate::record::TYPE, changed).unwrap();
    assert_eq!(
        store.put_own(&record, Some(&first), Component::Record, crate::record::TYPE, data).unwrap_err(),
        StoreError::Conflict
    );
    let found: Vec<String> = store.records("team").unwrap().iter().map(|r| r.reference.to_string()).collect();
    assert_eq!(found, ["team/notariat-record.team.web"]);
    assert!(store.records("nobody").unwrap().is_empty());
    let second = Store::directory(&folder.0, FileMode::PRIVATE, LockMode::Alone).unwrap_err();
    assert!(matches!(&second, StoreClosed::ForNow(e) if e.contains("another notariat works on")), "{second:?}");
    let none = Store::directory(&folder.0.join("none"), FileMode::PRIVATE, LockMode::Alone).unwrap_err();
    assert!(matches!(&none, StoreClosed::Wrong(e) if e.contains("not a directory")), "{none:?}");
}

#[test]
fn file_modes_are_for_user_and_group_at_most() {
    assert_eq!(FileMode::parse("0600"), Ok(FileMode::PRIVATE));
    assert!(FileMode::parse("0640").is_ok() && FileMode::parse("660").is_ok());
    for wrong in ["", "0644", "0666", "0400", "rw", "-1", "0640x"] {
        assert!(FileMode::parse(wrong).is_err(), "{wrong}");
    }
}

/// The seam for a second cluster: its objects are read and written there, and home does not see them.
#[test]
fn an_object_is_read_and_written_in_its_own_cluster() {
    let (home, edge) = (Folder::new("home"), Folder::new("edge"));
    let name = ClusterName::new("edge");
    let cluster = Cluster::directory(&edge.0, FileMode::PRIVATE, LockMode::Alone).unwrap();
    let bounds = Namespaces::new("team", &[]).with_target("edge", &Default::default());
    let store = home.open().with(name.clone(), cluster.within(bounds));
    let entry = entry("{secret: web, domains: [a.test]}");
    let (here, there) = (at("team/web"), ObjectRef { cluster: name, ..at("team/web") });
    assert_eq!((here.to_string(), there.to_string()), ("team/web".to_owned(), "edge:team/web".to_owned()));

    assert!(store.put_certificate(&there, None, &bundle(), &marks(&entry)).unwrap());
    assert!(store.secret(&here).unwrap().is_none(), "not at home");
    let read = store.secret(&there).unwrap().unwrap();
    assert_eq!(read.reference, there);
    store.annotate(&read, "a", "b").unwrap();
    assert_eq!(store.secret(&there).unwrap().unwrap().annotations["a"], "b");
    assert!(edge.0.join("team/secrets/web/tls.crt").exists() && !home.0.join("team").exists());
    assert!(store.take_written(&here).is_none() && store.take_written(&there).is_some());

    // Each cluster has its own client, recorder and permissions; an unknown one has nothing.
    assert!(store.cluster(&there).unwrap().client.is_none());
    let elsewhere = ObjectRef { cluster: there.cluster.clone(), ..at("other/web") };
    assert!(matches!(store.secret(&elsewhere), Err(StoreError::Denied(_))));
    assert!(store.secret(&at("other/web")).unwrap().is_none(), "home has no bounds here");
    let unknown = ObjectRef { cluster: ClusterName::new("moon"), ..here };
    let refused = store.put_own(&unknown, None, Component::Record, crate::record::TYPE, BTreeMap::new());
    assert_eq!(
        refused.unwrap_err(),
        StoreError::Invalid("moon:team/web: there is no cluster moon: no -target names it".to_owned())
    );
}

#[test]
fn a_certificate_has_other_data_keys_where_they_count() {
    let folder = Folder::new("keys");
    let keys = DataKeys { namespace: "team".to_owned(), chain: "cert".to_owned(), key: "key".to_owned() };
    let store = folder.open().with_keys(Some(keys));
    let (entry, bundle) = (entry("{secret: web, domains: [a.test]}"), bundle());
    let marks = Marks { secret_type: TYPE_OPAQUE, ..marks(&entry) };
    assert!(store.put_certificate(&at("team/web"), None, &bundle, &marks).unwrap());
    let mut files: Vec<String> = fs::read_dir(folder.0.join("team/secrets/web"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.contains('.') && name != "type")
        .collect();
    files.sort();
    assert_eq!(files, ["cert", "key"]);
    let read = store.secret(&at("team/web")).unwrap().unwrap();
    assert_eq!(
        (read.type_.as_str(), read.value("tls.crt").unwrap().expose().as_slice()),
        (TYPE_OPAQUE, bundle.chain())
    );
    assert!(!store.put_certificate(&at("team/web"), Some(&read), &bundle, &marks).unwrap(), "nothing differs");
    // No watch of certificates shows the type.
    assert!(store.is_unwatched(&at("team/web")) && !store.is_unwatched(&at("other/web")));
    assert!(!folder.0.join("team/secrets/web/tls.crt").exists() && read.value("tls.key").is_some());
}
