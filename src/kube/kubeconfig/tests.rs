use super::*;

const GOOD: &str = "
current-context: b
clusters: [{name: x, cluster: {server: 'https://x'}}, {name: y, cluster: {server: 'https://y:6443/prefix/', certificate-authority-data: Y2E=}}]
contexts: [{name: a, context: {cluster: x}}, {name: b, context: {cluster: y, user: u, namespace: team}}]
users: [{name: u, user: {token: hunter2}}]
preferences: {}
";

const EXEC: &str = "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/plugin, args: [a, b], \
                    env: [{name: N, value: hunter2}], interactiveMode: IfAvailable, installHint: get it, \
                    provideClusterInfo: true}";

fn one(text: &str) -> Result<ClusterConfig, String> {
    read(&[(PathBuf::from("/f/config"), text.to_owned())])
}

fn given(pem: &Option<PemSource>) -> &[u8] {
    match pem {
        Some(PemSource::Given(octets)) => octets.expose(),
        _ => panic!("{pem:?}"),
    }
}

#[test]
fn the_current_context_is_used() {
    let config = one(GOOD).unwrap();
    assert_eq!((config.server.as_str(), config.namespace.as_deref()), ("https://y:6443/prefix", Some("team")));
    assert_eq!(given(&config.tls.authority), b"ca");
    assert!(!config.tls.skipped && config.tls.name.is_none() && config.proxy.is_none());
    assert!(config.auth.client.is_none() && config.auth.plugin.is_none() && config.impersonation.is_empty());
    assert!(matches!(&config.auth.token, TokenSource::Fixed(t) if t.expose() == "hunter2"));
    let public = one(&GOOD.replace("current-context: b", "current-context: a")).unwrap();
    assert!(public.tls.authority.is_none() && matches!(public.auth.token, TokenSource::None));
}

#[test]
fn files_are_relative_to_the_file_they_are_named_in_and_data_beats_them() {
    let text = GOOD.replace(
        "{token: hunter2}",
        "{tokenFile: t/token, token: other, client-certificate: crt, client-key: /abs/key, client-key-data: a2V5}",
    );
    let config = one(&text).unwrap();
    let (chain, key) = config.auth.client.unwrap();
    assert!(matches!(chain, PemSource::File("client-certificate", path) if path == Path::new("/f/crt")));
    assert_eq!(given(&Some(key)), b"key");
    assert!(matches!(config.auth.token, TokenSource::File(path) if path == Path::new("/f/t/token")));
}

/// As client-go merges: the current context of the first file that sets one; of each name the first entry, and all of it.
#[test]
fn of_several_files_the_first_that_has_a_name_wins_with_its_whole_entry() {
    let first = "
current-context: ''
clusters: [{name: x, cluster: {server: 'https://first', certificate-authority: ca.crt}}]
users: [{name: u, user: {tokenFile: token}}]
";
    let second = "
current-context: c
clusters: [{name: x, cluster: {server: 'https://second', tls-server-name: of.second}}]
contexts: [{name: c, context: {cluster: x, user: u}}, {name: d, context: {cluster: x, user: v}}]
users: [{name: u, user: {token: hunter2}}, {name: v, user: {tokenFile: token}}]
";
    let third = "{current-context: d, contexts: [{name: c, context: {cluster: nowhere}}]}";
    let list = |texts: &[(&str, &str)]| {
        read(&texts.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect::<Vec<_>>())
    };
    let token = |config: &ClusterConfig| match &config.auth.token {
        TokenSource::File(path) => path.display().to_string(),
        other => format!("{other:?}"),
    };
    let config = list(&[("/1/config", first), ("/2/config", second), ("/3/config", third)]).unwrap();
    assert_eq!((config.server.as_str(), token(&config).as_str()), ("https://first", "/1/token"));
    assert!(config.tls.name.is_none(), "entries are not mixed");
    assert!(matches!(config.tls.authority, Some(PemSource::File(_, path)) if path == Path::new("/1/ca.crt")));
    let config = list(&[("/3/config", third), ("/2/config", second), ("/1/config", first)]).unwrap();
    assert_eq!((config.server.as_str(), token(&config).as_str()), ("https://second", "/2/token"));
    assert_eq!(config.tls.name.as_deref(), Some("of.second"));
    for (texts, error) in [
        (&[("/1/config", first), ("/3/config", "")][..], "kubeconfig /1/config:/3/config: has no current-context"),
        (&[("/1/config", first), ("/3/config", third)], "kubeconfig /1/config:/3/config: has no context \"d\""),
        (
            &[("/1/config", first), ("/2/config", "- 1")],
            "kubeconfig /2/config: is not the YAML of a kubeconfig (line 1)",
        ),
    ] {
        assert_eq!(list(texts).map(|_| ()).unwrap_err(), error);
    }
    let broken = first.replace("https://first", "http://first");
    let error = list(&[("/2/config", &broken), ("/1/config", second)]).map(|_| ()).unwrap_err();
    assert!(error.starts_with("kubeconfig /2/config: its cluster has no server"), "the file of the entry: {error}");
}

#[test]
fn a_plugin_is_described_with_everything_it_needs() {
    let text = GOOD.replace("token: hunter2", EXEC).replace(
        "certificate-authority-data: Y2E=",
        "tls-server-name: kubernetes, proxy-url: 'http://p:1', insecure-skip-tls-verify: true, \
         extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: a}}]",
    );
    let config = one(&text).unwrap();
    assert!(config.tls.skipped && config.tls.name.as_deref() == Some("kubernetes"));
    assert_eq!(config.proxy.unwrap().expose(), "http://p:1");
    let plugin = config.auth.plugin.unwrap();
    assert_eq!((plugin.command.to_str(), plugin.arguments.join(" ")), (Some("/f/bin/plugin"), "a b".to_owned()));
    assert_eq!(plugin.version, "client.authentication.k8s.io/v1");
    assert_eq!(plugin.cluster, Some(serde_json::json!({"audience": "a"})));
    assert!(plugin.environment[0].0 == "N" && plugin.environment[0].1.expose() == "hunter2");
    let found = one(&text.replace("bin/plugin", "plugin")).unwrap().auth.plugin.unwrap();
    assert_eq!(found.command, Path::new("plugin"), "in PATH");
}

#[test]
fn who_acts_as_another_says_so_in_headers() {
    let acts = "as: anna, as-uid: '7', as-groups: [a, b], as-user-extra: {Some/Key: [x, y]}";
    let config = one(&GOOD.replace("token: hunter2", acts)).unwrap();
    let headers: Vec<String> = config.impersonation.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        headers,
        [
            "Impersonate-User: anna",
            "Impersonate-Uid: 7",
            "Impersonate-Group: a",
            "Impersonate-Group: b",
            "Impersonate-Extra-Some%2FKey: x",
            "Impersonate-Extra-Some%2FKey: y"
        ]
    );
}

#[test]
fn what_is_wrong_is_named_and_no_secret_repeated() {
    let token = "token: hunter2";
    let ca = "certificate-authority-data: Y2E=";
    let exec = |from: &str, to: &str| EXEC.replace(from, to);
    for (from, to, part) in [
        ("current-context: b", "", "no current-context"),
        ("current-context: b", "current-context: c", "no context \"c\""),
        ("cluster: y", "cluster: z", "no cluster \"z\""),
        ("user: u,", "user: v,", "no user \"v\""),
        ("user: {token: hunter2}", "user: ", "its user \"u\" is empty"),
        ("https://y", "http://y", "begins with https://"),
        ("Y2E=", "'%'", "certificate-authority-data is not base64"),
        (token, "token: [hunter2]", "not the YAML of a kubeconfig"),
        (token, "token: \"hunter2", "not the YAML of a kubeconfig (line"),
        (token, "client-certificate-data: eA==", "no client-key"),
        (token, "client-key: /nowhere/key", "no client-certificate"),
        (token, "auth-provider: {name: gcp}", "uses `auth-provider`, which is not supported"),
        (token, "username: u, password: hunter2", "uses `username`, which is not supported"),
        (
            token,
            &exec("k8s.io/v1", "k8s.io/v1alpha1"),
            "apiVersion \"client.authentication.k8s.io/v1alpha1\": supported",
        ),
        (token, &exec("IfAvailable", "Always"), "interactiveMode Always"),
        (token, &exec("bin/plugin", "''"), "exec has no command"),
        (token, &exec("name: N", "name: N="), "variable \"N=\" in env"),
        (token, &format!("{token}, {EXEC}"), "exec beside a token or client certificate"),
        (token, "as-groups: [a]", "without `as`"),
        (token, "as: \"a\\nb\"", "`as` has an empty value or one that no header can hold"),
        (ca, "certificate-authority-data: Y2E=, insecure-skip-tls-verify: true", "remove one of them"),
        (ca, "proxy-url: 'socks5://u:hunter2@p'", "proxy-url that is not http://HOST:PORT"),
        (ca, "proxy-url: 'https://u:hunter2@p'", "proxy-url that is not http://HOST:PORT"),
    ] {
        let error = one(&GOOD.replace(from, to)).map(|_| ()).unwrap_err();
        assert!(error.starts_with("kubeconfig /f/config: ") && error.contains(part), "{to}: {error}");
        assert!(!error.contains("hunter2"), "{to}: {error}");
    }
}

/// As kubectl 1.32 does: Go's base64 passes over line breaks, and YAML's `!!binary` is base64 around it. kubectl does not take the last one,
/// which is what YAML alone would mean.
#[test]
fn base64_is_read_as_kubectl_reads_it() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(2);
    let data = STANDARD.encode(&pem);
    let (first, second) = data.split_at(76);
    let twice = STANDARD.encode(&data);
    for written in [
        data.clone(),
        format!("\"{first}\\n{second}\\n\""),
        format!("|\n        {first}\n        {second}\n"),
        format!("|\n        {first}\n\n        {second}\n"),
        format!(">-\n        {first}\n        {second}\n"),
        format!("!!binary {twice}"),
        format!("!!binary |\n        {twice}\n"),
        format!("!!binary {data}"),
    ] {
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: x}}}}]\nclusters:\n- name: x\n  cluster:\n    server: https://x\n    certificate-authority-data: {written}\n"
        );
        let config = one(&text).unwrap_or_else(|e| panic!("{written}: {e}"));
        assert_eq!(given(&config.tls.authority), pem.as_bytes(), "{written}");
    }
}
