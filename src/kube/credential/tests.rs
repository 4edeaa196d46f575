use std::path::PathBuf;

use super::*;
use crate::kube::config::{AuthInfo, TlsConfig};

const V1: &str = "client.authentication.k8s.io/v1";

fn plugin() -> ExecConfig {
    ExecConfig {
        version: V1.to_owned(),
        command: PathBuf::from("p"),
        arguments: Vec::new(),
        environment: vec![("N".to_owned(), Secret::new("hunter2".to_owned()))],
        hint: None,
        cluster: None,
    }
}

fn answer(status: &str) -> String {
    format!(r#"{{"kind":"ExecCredential","apiVersion":"{V1}","spec":{{"new":1}},"status":{status}}}"#)
}

#[test]
fn a_token_and_a_certificate_are_read_with_the_time_they_hold() {
    let read = |status| read(answer(status).as_bytes(), V1).unwrap();
    let token = read(r#"{"token":"hunter2","expirationTimestamp":"2026-01-31T12:00:00.5Z","later":true}"#);
    assert_eq!(token.token.unwrap().expose(), "hunter2");
    assert_eq!(token.expires, Time::parse_rfc3339("2026-01-31T12:00:00Z"));
    let pair = read(r#"{"token":"","clientCertificateData":"crt","clientKeyData":"key","expirationTimestamp":null}"#);
    let (chain, key) = pair.client.unwrap();
    assert!(chain == b"crt" && key.expose() == b"key" && pair.token.is_none() && pair.expires.is_none());
}

#[test]
fn an_answer_that_can_not_be_used_is_told_without_a_word_of_it() {
    for (printed, part) in [
        (" \n".to_owned(), "printed nothing"),
        ("token hunter2".to_owned(), "not an ExecCredential in JSON (line 1"),
        (answer(r#"{"token":{"hunter2":1}}"#), "not an ExecCredential in JSON (line 1"),
        (answer(r#""hunter2""#), "not an ExecCredential in JSON"),
        ("[]".to_owned(), "not an ExecCredential in JSON"),
        (answer("{}").replace("ExecCredential", "hunter2"), "kind is not ExecCredential"),
        (answer("{}").replace("/v1", "/v1beta1"), "another apiVersion than client.authentication.k8s.io/v1:"),
        (answer("null"), "without a status"),
        (answer(r#"{"expirationTimestamp":"2026-01-31T12:00:00Z"}"#), "neither a token nor a client certificate"),
        (answer(r#"{"token":"hunter2","clientKeyData":"k"}"#), "clientKeyData without clientCertificateData"),
        (answer(r#"{"token":"hunter2","clientCertificateData":"k"}"#), "clientCertificateData without clientKeyData"),
        (answer(r#"{"token":"hunter2","expirationTimestamp":"hunter2"}"#), "an expirationTimestamp that is not like"),
    ] {
        let error = read(printed.as_bytes(), V1).unwrap_err();
        assert!(error.contains(part) && !error.contains("hunter2"), "{printed}: {error}");
    }
}

#[test]
fn the_plugin_is_told_of_the_cluster_only_where_that_is_wanted() {
    let mut plugin = plugin();
    let config = ClusterConfig {
        server: "https://s".to_owned(),
        tls: TlsConfig { authority: None, name: Some("n".to_owned()), skipped: false },
        proxy: Some(Secret::new("http://p:1".to_owned())),
        auth: AuthInfo::default(),
        impersonation: Vec::new(),
        namespace: None,
    };
    let read = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let head = |spec: Value| json!({"kind": "ExecCredential", "apiVersion": V1, "spec": spec});
    assert_eq!(read(info(&plugin, &config, b"ca")), head(json!({"interactive": false})));
    plugin.cluster = Some(json!({"audience": "a"}));
    let cluster = json!({
        "server": "https://s", "tls-server-name": "n", "certificate-authority-data": "Y2E=", "proxy-url": "http://p:1",
        "config": {"audience": "a"},
    });
    assert_eq!(read(info(&plugin, &config, b"ca")), head(json!({"interactive": false, "cluster": cluster})));
}
