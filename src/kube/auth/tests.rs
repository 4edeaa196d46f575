use std::path::{Path, PathBuf};

use super::*;
use crate::kube::config::{AuthInfo, TlsConfig};

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("notariat-session-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    for (name, text) in files {
        std::fs::write(path.join(name), text).unwrap();
    }
    path
}

fn ca() -> String {
    rcgen::generate_simple_self_signed(vec!["ca.test".to_owned()]).unwrap().cert.pem()
}

fn config(folder: &Path) -> ClusterConfig {
    let authority = Some(PemSource::File("certificate-authority", folder.join("ca.crt")));
    ClusterConfig {
        server: "https://127.0.0.1:9".to_owned(),
        tls: TlsConfig { authority, ..TlsConfig::default() },
        proxy: None,
        auth: AuthInfo { token: TokenSource::File(folder.join("token")), ..AuthInfo::default() },
        impersonation: Vec::new(),
        namespace: None,
    }
}

fn bearer(credentials: &Credentials) -> &str {
    credentials.bearer.as_ref().unwrap().expose()
}

#[test]
fn a_replaced_token_is_read_when_the_last_one_was_rejected() {
    let folder = folder("token", &[("token", "one\n"), ("ca.crt", &ca())]);
    let session = Authenticator::new(config(&folder)).unwrap();
    let first = session.credentials(RefreshReason::Request).unwrap();
    assert_eq!(bearer(&first), "one");
    assert_eq!(
        session.credentials(RefreshReason::Unauthorized(first.number)).unwrap().number,
        first.number,
        "nothing to try again with"
    );
    std::fs::write(folder.join("token"), "two").unwrap();
    assert_eq!(bearer(&session.credentials(RefreshReason::Request).unwrap()), "one", "kept for a minute");
    let second = session.credentials(RefreshReason::Unauthorized(first.number)).unwrap();
    assert_eq!((bearer(&second), second.number), ("two", first.number + 1));
    std::fs::write(folder.join("token"), "three").unwrap();
    let other = session.credentials(RefreshReason::Unauthorized(first.number)).unwrap();
    assert_eq!(bearer(&other), "two", "another thread has read it after that one was rejected");
    std::fs::write(folder.join("token"), "  \n").unwrap();
    assert_eq!(
        bearer(&session.credentials(RefreshReason::Unauthorized(second.number)).unwrap()),
        "two",
        "in the middle of being replaced"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn files_are_read_again_when_their_time_is_over() {
    let folder = folder("time", &[("token", "one"), ("ca.crt", &ca())]);
    let session = Authenticator::keeping_for(config(&folder), Duration::ZERO).unwrap();
    let number = || session.credentials(RefreshReason::Request).unwrap().number;
    let first = number();
    assert_eq!(number(), first, "what is the same is no change");
    std::fs::write(folder.join("token"), "two").unwrap();
    assert_eq!((bearer(&session.credentials(RefreshReason::Request).unwrap()), number()), ("two", first + 1));
    std::fs::write(folder.join("ca.crt"), ca()).unwrap();
    assert_eq!(number(), first + 2, "another CA");
    for broken in ["", "-----BEGIN CERTIFICATE-----\n", "nothing"] {
        std::fs::write(folder.join("ca.crt"), broken).unwrap();
        assert_eq!(number(), first + 2, "{broken:?}");
    }
    std::fs::remove_file(folder.join("token")).unwrap();
    assert_eq!(bearer(&session.credentials(RefreshReason::Request).unwrap()), "two", "the last that worked");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_missing_at_the_start_is_named() {
    let folder = folder("start", &[]);
    let error = |part: &str| {
        let error = Authenticator::new(config(&folder)).map(|_| ()).unwrap_err();
        assert!(error.contains(part), "{error}");
    };
    error("certificate-authority ");
    std::fs::write(folder.join("ca.crt"), "nothing").unwrap();
    error("tokenFile ");
    std::fs::write(folder.join("token"), "t").unwrap();
    error("the way to the API server can not be used: there is no certificate of a CA in it");
    std::fs::write(folder.join("ca.crt"), ca()).unwrap();
    let mut config = config(&folder);
    config.proxy = Some(Secret::new("http://u:hunter2@ a".to_owned()));
    let error = Authenticator::new(config).map(|_| ()).unwrap_err();
    assert!(error.contains("the proxy: ") && !error.contains("hunter2"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}
