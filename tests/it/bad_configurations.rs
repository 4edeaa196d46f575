//! `notariat check -f` on every file of tests/configurations/, whose header says what is to be found, and on what we tell users to
//! apply. No server is needed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use notariat::cli::Arguments;
use notariat::cli::values::{CommandLine, read};
use notariat::tools::check;
use notariat::tools::check::report::{CheckReport, Level};
use notariat::tools::options::CheckOptions;
use notariat_lab::Scratch;
use serde::Deserialize as _;
use serde_json::Value;

use crate::support::Run;
use crate::support::run::notariat;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn checked(file: &Path, flags: &[&str]) -> Result<CheckReport, String> {
    let arguments =
        ["check", "-f", file.to_str().unwrap()].into_iter().chain(flags.iter().copied()).map(OsString::from);
    let CommandLine::Run(command, values) = read(arguments.collect(), |_| None)? else { panic!("{file:?}") };
    check::run(&CheckOptions::read(&values)?, &Arguments::read(command, &values)?)
}

/// The findings besides `ok`: the level and the sentence, without the object, which is the only one.
fn found(report: &CheckReport) -> Vec<String> {
    let lines = report.lines.iter().filter(|line| line.level != Level::Ok);
    lines.map(|line| format!("{} {}", line.level.name(), line.sentence)).collect()
}

#[test]
fn every_fault_of_a_hundred_bad_configurations_is_found_and_nothing_else() {
    let files: Vec<PathBuf> =
        std::fs::read_dir(root().join("tests/configurations")).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 100, "{}", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let header = |word: &str| -> Vec<&str> { text.lines().filter_map(|line| line.strip_prefix(word)).collect() };
        let (expected, flags) = (header("# expect: "), header("# flags: "));
        assert!(!expected.is_empty(), "{} expects nothing", file.display());
        let found = match checked(file, &flags) {
            Ok(report) => found(&report),
            Err(e) => vec![format!("unreadable {}", e.split_once(".yaml: ").unwrap().1)],
        };
        let agrees = found.len() == expected.len() && found.iter().zip(&expected).all(|(f, e)| f.starts_with(e));
        if !agrees {
            let name = file.file_name().unwrap().display();
            wrong.push(format!("{name} expects\n  {}\nand found is\n  {}", expected.join("\n  "), found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{} of {} files:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

#[test]
fn what_users_are_told_to_apply_is_sound() {
    let mut manifests = Vec::new();
    for folder in ["deploy", "deploy/single-namespace", "deploy/multi-namespace", "deploy/cluster", "examples"] {
        for file in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                manifests.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    manifests.extend(blocks.enumerate().map(|(i, block)| (format!("block {} of README.md", i + 1), block.to_owned())));
    assert!(manifests.len() > 8, "{}", manifests.len());
    let scratch = Scratch::new("manifests");
    let mut entries = 0;
    for (name, text) in &manifests {
        let report = checked(&scratch.write("manifest", text), &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let has_config_map = serde_yaml::Deserializer::from_str(text)
            .any(|document| Value::deserialize(document).unwrap()["kind"] == "ConfigMap");
        let expected: &[&str] =
            if has_config_map { &[] } else { &["warning has no ConfigMap: there is nothing to check"] };
        assert_eq!(found(&report), expected, "{name}");
        entries += report.lines.iter().filter(|line| line.level == Level::Ok).count();
    }
    assert_eq!(entries, 7, "deploy/example.yaml, the README and each example have one");
}

#[test]
fn a_role_is_compared_with_what_the_config_map_needs() {
    let scratch = Scratch::new("check-role");
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notariat, namespace: team}\ndata:\n  certificates: |\n    - {secret: web, domains: [a.example.com], tsigSecretName: key}\n    - {secret: other/web, domains: [b.example.com], tsigSecretName: key}\n";
    let file = scratch.write("manifest", config_map);
    let role = root().join("deploy/single-namespace/role.yaml");
    let cluster_role = std::fs::read_to_string(root().join("deploy/multi-namespace/clusterrole.yaml")).unwrap();
    let with = |flags: &[&str]| checked(&file, &[&["-allow-namespaces=other"], flags].concat()).unwrap();
    let lines = |report: &CheckReport| {
        let lines = report.lines.iter().filter(|line| line.object.starts_with("Role"));
        lines.map(|line| format!("{} {}: {}", line.level.name(), line.object, line.sentence)).collect::<Vec<_>>()
    };
    assert!(lines(&with(&[])).is_empty());

    // The Role is for the own namespace alone; the ClusterRole counts for both.
    let report = with(&["-role", role.to_str().unwrap()]);
    let found = lines(&report);
    assert!(
        !report.is_sound() && found[0].starts_with("fault Role in other: lacks the verb `get` on `secrets` of web: "),
        "{found:?}"
    );
    assert_eq!(found.last().unwrap(), "ok Role in team: grants what is needed");
    let both = scratch.write("both", &format!("{}---\n{cluster_role}", std::fs::read_to_string(&role).unwrap()));
    assert!(with(&["-role", both.to_str().unwrap()]).is_sound());

    // What `notariat role` prints is enough, also as a part of the manifest itself.
    let printed = Run::of(notariat().args(["role", "-allow-namespaces=other", "-f"]).arg(&file)).ends(0).stdout;
    let whole = scratch.write("whole", &format!("{config_map}---\n{printed}"));
    let report = checked(&whole, &["-allow-namespaces=other"]).unwrap();
    assert_eq!(lines(&report), ["ok Role in other: grants what is needed", "ok Role in team: grants what is needed"]);
    let without = printed.replace("[get, list, watch, update]", "[get]").replace("- \"key\"", "- \"kay\"");
    let file = scratch.write("whole", &format!("{config_map}---\n{without}"));
    let found = lines(&checked(&file, &["-allow-namespaces=other"]).unwrap());
    let has = |part: &str| assert!(found.iter().any(|line| line.contains(part)), "{part}: {found:#?}");
    has("fault Role in team: lacks the verb `get` on `secrets` of key: what can not be read");
    has("warning Role in team: lacks the verb `watch` on `secrets` of key, notariat-acme-");
    has("fault Role in other: lacks the verb `update` on `secrets` of web: nothing is renewed or restored");
}

#[test]
fn a_pipeline_is_told_by_exit_code_and_json() {
    let scratch = Scratch::new("check");
    let good = std::fs::read_to_string(root().join("deploy/example.yaml")).unwrap();
    let check = |text: &str, more: &[&str]| {
        let file = scratch.write("manifest", text);
        Run::of(notariat().args(["check", "-f"]).arg(&file).args(more))
    };
    let sound = check(&good, &[]).ends(0);
    assert_eq!((sound.stdout.as_str(), sound.log.as_str()), ("ok       ConfigMap default/notariat: 1 entry\n", ""));
    let bad = good.replace("www.example.com", "www..example.com");
    let faulty = check(&bad, &["-namespace=team"]).ends(1);
    let line = "fault    ConfigMap team/notariat: certificates entry 1 (team/cert-example.com): domains[1]: \"www..example.com\" has an empty label (two dots in a row, or a dot at an end)\n";
    assert_eq!((faulty.stdout.as_str(), faulty.log.as_str()), (line, ""));
    let json: Value = serde_json::from_str(&check(&bad, &["-o", "json"]).ends(1).stdout).unwrap();
    assert_eq!((&json["sound"], &json["lines"][0]["level"]), (&Value::from(false), &Value::from("fault")));
    let unreadable = check("kind: [", &[]).ends(78).says(&["notariat: -f ", "manifest: line 2 is not YAML"]);
    assert_eq!(unreadable.stdout, "");
    check(&good, &["-role", "/nowhere"]).ends(78).says(&["notariat: -role /nowhere: No such file"]);
    check(&good, &["-role", root().join("deploy/example.yaml").to_str().unwrap()]).ends(78).says(&["has no Role"]);
    // Standard input is empty here.
    Run::of(notariat().args(["check", "-f", "-"])).ends(0);
    let large = good.replace("admin@example.com", &format!("admin@example.com # {}", "x".repeat(1024 * 1024)));
    let run = check(&large, &[]).ends(1);
    assert!(run.stdout.contains("data: has 10") && run.stdout.contains("Kubernetes allows 1048576"), "{}", run.stdout);
}
