//! Credential plugins, which are shell scripts here.

use std::fs;
use std::time::{Duration, Instant};

use notariat::base::time::now;
use notariat::kube::client::{KubeClient, KubeError};
use serde_json::{Value, json};

use super::{CA, Place, ask, command, who};
use crate::support::Run;

/// The output of a script of which no message may have anything.
const SECRET: &str = "hunter2hunter2hunter2hunter2hunter2";

impl Place {
    /// The user's part of a kubeconfig whose plugin is a script. Each run of it is counted.
    fn plugin(&self, version: &str, script: &str) -> String {
        self.folder.write("plugin.sh", &format!("cd {}\necho run >>runs\n{script}\n", self.folder.path().display()));
        // A command with a slash is relative to the kubeconfig.
        if !self.folder.join("shell").exists() {
            std::os::unix::fs::symlink("/bin/sh", self.folder.join("shell")).unwrap();
        }
        format!(
            "exec: {{apiVersion: client.authentication.k8s.io/{version}, command: ./shell, args: ['{}'], \
             env: [{{name: GIVEN, value: {SECRET}}}], provideClusterInfo: true}}",
            self.folder.join("plugin.sh").display()
        )
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.folder.join("runs")).unwrap().lines().count()
    }

    /// The output of the script.
    fn answer(&self, version: &str, status: &Value) {
        let api = format!("client.authentication.k8s.io/{version}");
        let answer = json!({"kind": "ExecCredential", "apiVersion": api, "status": status});
        self.folder.write("answer", &answer.to_string());
    }

    fn with_plugin(&self, script: &str) -> KubeClient {
        self.client(CA, &self.plugin("v1", script))
    }
}

#[test]
fn a_plugin_is_asked_once_and_told_what_it_needs_to_know() {
    for version in ["v1", "v1beta1"] {
        let place = Place::new();
        place.answer(version, &json!({"token": place.token("carol"), "expirationTimestamp": "2100-01-01T00:00:00Z"}));
        let script = r#"printf %s "$KUBERNETES_EXEC_INFO" >info; printf %s "$GIVEN" >given; cat answer"#;
        let client = place.client(&format!("{CA}, tls-server-name: localhost"), &place.plugin(version, script));
        for _ in 0..3 {
            assert_eq!(who(&client), "carol", "{version}");
        }
        assert_eq!(place.runs(), 1, "{version}");
        let info: Value = serde_json::from_str(&fs::read_to_string(place.folder.join("info")).unwrap()).unwrap();
        assert_eq!(info["apiVersion"], format!("client.authentication.k8s.io/{version}"));
        assert_eq!((&info["kind"], &info["spec"]["interactive"]), (&json!("ExecCredential"), &json!(false)));
        let cluster = &info["spec"]["cluster"];
        assert_eq!(
            (&cluster["server"], &cluster["tls-server-name"]),
            (&json!(place.kube.api_url()), &json!("localhost"))
        );
        assert!(cluster["certificate-authority-data"].as_str().unwrap().starts_with("LS0tLS1CRUdJTi"));
        assert_eq!(fs::read_to_string(place.folder.join("given")).unwrap(), SECRET);
    }
}

#[test]
fn a_plugin_can_give_a_client_certificate() {
    let place = Place::new();
    let files = place.kube.kubeconfig_with_client_cert_files("from-plugin", "lab:certusers");
    let file = |name: &str| fs::read_to_string(files.parent().unwrap().join("user").join(name)).unwrap();
    place.answer("v1", &json!({"clientCertificateData": file("tls.crt"), "clientKeyData": file("tls.key")}));
    let client = place.with_plugin("cat answer");
    assert_eq!((who(&client), who(&client), place.runs()), ("from-plugin".to_owned(), "from-plugin".to_owned(), 1));
    // A key that does not fit is an error, and a repaired one is found.
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    place.answer("v1", &json!({"clientCertificateData": file("tls.crt"), "clientKeyData": other}));
    let error = ask(&place.with_plugin("cat answer")).unwrap_err().to_string();
    assert!(error.contains("the client certificate can not be used"), "{error}");
}

#[test]
fn a_plugin_is_asked_again_when_its_answer_expires() {
    let place = Place::new();
    let expires = now() + Duration::from_secs(8);
    place.answer("v1", &json!({"token": place.token("carol"), "expirationTimestamp": expires.to_string()}));
    let client = place.with_plugin("cat answer");
    assert_eq!(who(&client), "carol");
    place.answer("v1", &json!({"token": place.token("dave")}));
    let mut seen = who(&client);
    assert_eq!(seen, "carol", "it holds");
    let until = Instant::now() + Duration::from_secs(30);
    while seen == "carol" && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
        seen = who(&client);
        assert!(seen == "carol" || now() >= expires, "not before");
    }
    assert_eq!((seen.as_str(), place.runs()), ("dave", 2));
}

#[test]
fn a_plugin_is_asked_again_after_a_401_and_not_for_each_request() {
    let place = Place::new();
    place.answer("v1", &json!({"token": place.token("carol")}));
    let wrong = r#"if [ "$(wc -l <runs)" = 1 ]; then sed 's/"token":"/"token":"no/' answer; else cat answer; fi"#;
    let client = place.with_plugin(wrong);
    assert_eq!((who(&client), place.runs()), ("carol".to_owned(), 2));
    let place = Place::new();
    place.answer("v1", &json!({"token": "no-such-token"}));
    let client = place.with_plugin("cat answer");
    for _ in 0..5 {
        assert!(matches!(ask(&client), Err(KubeError::Api(e)) if e.code == 401));
    }
    assert_eq!(place.runs(), 2);
}

#[test]
fn a_plugin_that_gives_nothing_is_one_sentence_without_what_it_printed() {
    let rows = [
        (
            // A short word and the half of one are no less secret than the whole, so that no word is shown.
            "echo 'session over, log in again: hunter2' >&2; exit 3",
            "failed (exit status: 3): run it by hand; what it prints is not shown here, because secrets may be in it",
        ),
        ("set -x; : $GIVEN; exit 1", "failed (exit status: 1)"),
        ("printf '%s' $GIVEN; kill -9 $$", "failed (signal: 9 (SIGKILL))"),
        ("echo $GIVEN", "not an ExecCredential in JSON (line 1"),
        ("printf '{\"status\":{\"token\":{\"%s\":1}}}' $GIVEN", "not an ExecCredential in JSON (line 1"),
        ("printf '\\0%s' $GIVEN; sleep 60", "not an ExecCredential in JSON (it is no text)"),
        ("while :; do echo $GIVEN; done", "printed more than 262144 octets"),
        ("while :; do echo $GIVEN; done >&2", "printed more than 262144 octets"),
        (":", "printed nothing"),
        // Children that keep the output open are not waited for.
        ("sleep 60 & echo $GIVEN", "not an ExecCredential in JSON (line 1"),
        ("sleep 60 & sleep 60; echo $GIVEN", "did not end within 20 s and was killed"),
    ];
    std::thread::scope(|scope| {
        for (script, part) in rows {
            scope.spawn(move || {
                let place = Place::new();
                let client = place.with_plugin(script);
                let start = Instant::now();
                let error = ask(&client).unwrap_err();
                assert!(start.elapsed() < Duration::from_secs(if part.contains("20 s") { 40 } else { 19 }), "{script}");
                assert!(matches!(error, KubeError::Credential(_)), "{script}: {error:?}");
                let error = error.to_string();
                assert!(error.contains(part) && error.contains("the exec plugin "), "{script}: {error}");
                assert!(
                    !error.contains("hunter2") && !error.contains("session") && error.lines().count() == 1,
                    "{script}: {error}"
                );
                assert_eq!(ask(&client).unwrap_err().to_string(), error, "told again without another run");
                assert_eq!(place.runs(), 1, "{script}");
            });
        }
    });
}

#[test]
fn a_run_whose_plugin_fails_could_not_find_out_and_tells_no_secret() {
    let place = Place::new();
    let run = |user: &str| Run::of(command(&place.kubeconfig(CA, user)).args(["-log-level", "debug"])).ends(75);
    let run_failing = run(&place.plugin("v1", "echo $GIVEN; exit 1"));
    run_failing.says(&["there is no credential for the API server: the exec plugin ", "failed"]).never_says("hunter2");
    place.answer("v1", &json!({"token": place.token("carol")}));
    run(&place.plugin("v1", "cat answer")).says(&["carol"]).never_says(&place.token("carol"));
    let missing = place.plugin("v1", ":").replace("./shell", "notariat-has-no-such-program");
    run(&missing).says(&["notariat-has-no-such-program does not exist: install it"]);
    let hint = missing.replace("provideClusterInfo", "installHint: get it at example.test, provideClusterInfo");
    run(&hint).says(&["does not exist: get it at example.test"]);
}
