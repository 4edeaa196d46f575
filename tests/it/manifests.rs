//! `check -f`, `role -f` and `dns-policy -f` read a manifest alike: documents and Lists, namespaces, and what is wrong with an object.

use notariat_lab::Scratch;

use crate::support::Run;
use crate::support::run::notariat;

/// A ConfigMap in JSON, which is YAML as well. `namespace` may be empty.
fn config_map(namespace: &str, name: &str, domain: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!(r#", "namespace": "{namespace}""#) };
    format!(
        r#"{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"{namespace}}}, "data": {{"certificates":
            "[{{secret: {name}, domains: [{domain}], tsigSecretName: key}}]"}}}}"#
    )
}

fn list(kind: &str, items: &[String]) -> String {
    format!(r#"{{"apiVersion": "v1", "kind": "{kind}", "items": [{}]}}"#, items.join(", "))
}

/// Runs each of the three commands.
fn run(text: &str, more: &[&str]) -> [Run; 3] {
    let scratch = Scratch::new("manifests");
    let file = scratch.write("manifest", text);
    ["check", "role", "dns-policy"].map(|command| Run::of(notariat().args([command, "-f"]).arg(&file).args(more)))
}

#[test]
fn each_form_of_a_manifest_is_read_by_the_three_commands() {
    let secret = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}}"#.to_owned();
    let a = config_map("team", "a", "a.test");
    let b = config_map("team", "b", "b.test");
    let bare = |object: &str| object.replacen(r#""apiVersion": "v1", "kind": "ConfigMap", "#, "", 1);
    for text in [
        [&*a, &secret, &b].join("\n---\n"),
        ["", &a, "", &b, ""].join("\n---\n"),
        list("List", &[a.clone(), secret, b.clone()]),
        list("List", &[list("List", &[a.clone(), b.clone()])]),
        list("ConfigMapList", &[bare(&a), bare(&b)]),
        [list("List", &[a]), b].join("\n---\n"),
    ] {
        let [check, role, policy] = run(&text, &[]).map(|run| run.ends(0).stdout);
        assert_eq!(check, "ok       ConfigMap team/a: 1 entry\nok       ConfigMap team/b: 1 entry\n", "{text}");
        for printed in [&role, &policy] {
            assert!(printed.contains("for ConfigMap team/a, ConfigMap team/b:"), "{text}: {printed}");
        }
        assert_eq!(role.matches("\nkind: Role\n").count(), 1, "{role}");
        assert!(role.contains("      - \"a\"\n      - \"b\"\n"), "{role}");
        for name in ["a.test", "b.test"] {
            assert!(policy.contains(&format!("name _acme-challenge.{name}. TXT;")), "{policy}");
        }
    }
}

#[test]
fn a_namespace_is_that_of_the_flag_or_the_objects_own_or_default() {
    for (own, flag, expected) in [
        ("team", "", "team"),
        ("", "", "default"),
        ("", "-namespace=other", "other"),
        ("other", "-namespace=other", "other"),
    ] {
        let flags: &[&str] = if flag.is_empty() { &[] } else { &[flag] };
        for text in [config_map(own, "a", "a.test"), list("List", &[config_map(own, "a", "a.test")])] {
            let [check, role, policy] = run(&text, flags).map(|run| run.ends(0).stdout);
            assert_eq!(check, format!("ok       ConfigMap {expected}/a: 1 entry\n"));
            assert!(role.contains(&format!("\n  namespace: \"{expected}\"\n")), "{role}");
            assert!(policy.contains(&format!("\"KEY-IN-{expected}-key\"")), "{policy}");
        }
    }
    // As for kubectl: which of the two is meant nobody can know.
    let [check, role, policy] = run(&config_map("team", "a", "a.test"), &["-namespace=other"]);
    let check = check.ends(1).stdout;
    let said = "ConfigMap team/a: metadata.namespace: is team, and -namespace says other: kubectl refuses that";
    assert!(check.starts_with(&format!("fault    {said}")), "{check}");
    for run in [role, policy] {
        assert_eq!(run.ends(1).says(&[said]).stdout, "");
    }
}

#[test]
fn the_config_maps_of_each_namespace_are_those_of_a_notariat_of_its_own() {
    let two = list("List", &[config_map("team", "a", "a.test"), config_map("other", "b", "b.test")]);
    let [check, role, policy] = run(&two, &[]).map(|run| run.ends(0).stdout);
    assert_eq!(check, "ok       ConfigMap team/a: 1 entry\nok       ConfigMap other/b: 1 entry\n");
    let roles: Vec<&str> = role.split("---\n").collect();
    let [other, team] = roles[..] else { panic!("{role}") };
    assert!(
        other.contains("  namespace: \"other\"\n") && other.contains("- \"b\"") && !other.contains("- \"a\""),
        "{other}"
    );
    assert!(
        team.contains("  namespace: \"team\"\n") && team.contains("- \"a\"") && !team.contains("- \"b\""),
        "{team}"
    );
    assert!(policy.contains("grant \"KEY-IN-other-key\" name _acme-challenge.b.test. TXT;"), "{policy}");
    assert!(policy.contains("grant \"KEY-IN-team-key\" name _acme-challenge.a.test. TXT;"), "{policy}");
    // A Role that two of them share would give each what the other needs.
    let crossed = two.replace("secret: a,", "secret: other/a,");
    let [check, role, _] = run(&crossed, &["-allow-namespaces=other"]);
    check.ends(0);
    let role = role.ends(1).says(&["those of team need a Role in other each", "one namespace at a time"]);
    assert_eq!(role.stdout, "");
}

#[test]
fn what_check_calls_a_fault_of_an_object_is_refused_by_the_others() {
    let good = config_map("team", "a", "a.test");
    for (from, to, part) in [
        (r#""apiVersion": "v1", "#, "", "ConfigMap team/a: apiVersion: must be v1"),
        (r#""name": "a""#, r#""name": 1"#, "ConfigMap team/?: metadata.name: is a number"),
        (r#""data": {"#, r#""data": {"zones": [], "#, "ConfigMap team/a: data.zones: is a list; it must be text"),
        (r#""data": {"#, r#""data": {"certificates": "", "#, "ConfigMap team/a: data.certificates: stands here twice"),
        (r#""data": {"#, r#""date": {}, "data": {"#, "ConfigMap team/a: date: "),
    ] {
        let text = list("List", &[good.replacen(from, to, 1)]);
        assert!(!text.contains(&good), "{from}");
        let [check, role, policy] = run(&text, &[]);
        let check = check.ends(1);
        assert!(check.stdout.contains(&format!("fault    {part}")), "{}", check.stdout);
        for run in [role, policy] {
            assert_eq!(run.ends(1).says(&[part]).stdout, "");
        }
    }
    let twice = list("List", &[good.clone(), good.clone()]);
    let [check, role, policy] = run(&twice, &[]);
    assert!(check.ends(1).stdout.contains("fault    ConfigMap team/a: stands here twice"));
    for run in [role, policy] {
        run.ends(1).says(&["ConfigMap team/a: stands here twice"]);
    }
    let [_, role, policy] = run("kind: [", &[]);
    for run in [role, policy] {
        run.ends(1).says(&["manifest: line 2 is not YAML"]);
    }
    let [_, role, policy] = run("kind: Secret", &[]);
    for run in [role, policy] {
        run.ends(1).says(&["manifest: has no ConfigMap"]);
    }
}
