use std::ffi::OsString;

use super::Arguments;
use super::flags::{FLAGS, Flag};
use super::values::{CommandLine, read};
use crate::controller::RunMode;

fn given(line: &str, environment: &[(&str, &str)]) -> Result<Arguments, String> {
    let variable = |name: &str| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| value.into());
    match read(line.split_whitespace().map(OsString::from).collect(), variable)? {
        CommandLine::Run(command, values) => Arguments::read(command, &values),
        other => Err(format!("{other:?}")),
    }
}

fn run(line: &str) -> Result<Arguments, String> {
    given(line, &[])
}

#[test]
fn one_dash_or_two_and_a_space_or_an_equals_sign() {
    for line in [
        "-config a,b -acme https://ca/dir -once -workers 2",
        "--config a,b --acme https://ca/dir --once --workers 2",
        "-config=a,b -acme=https://ca/dir -once -workers=2",
        "--once --workers=2 --acme=https://ca/dir --config=a,b",
    ] {
        let found = run(line).unwrap();
        assert_eq!(found.config, ["a", "b"], "{line}");
        assert_eq!(
            (found.acme.as_deref(), found.pass, found.workers),
            (Some("https://ca/dir"), RunMode::Once, 2),
            "{line}"
        );
    }
    let query = run("-config c -acme=https://ca/dir?a=b").unwrap();
    assert_eq!(query.acme.as_deref(), Some("https://ca/dir?a=b"));
    for (line, lease) in [
        ("-config c", Some("notariat")),
        ("-config c -lease=on -lease-name mine", Some("mine")),
        ("-config c -lease=off", None),
    ] {
        assert_eq!(run(line).unwrap().lease.as_deref(), lease, "{line}");
    }
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let least = format!("{:?}", run("-config c").unwrap());
    let with_default: Vec<&Flag> = FLAGS.iter().filter(|flag| !flag.default.is_empty()).collect();
    assert!(with_default.len() > 5);
    for flag in with_default {
        let line = format!("-config c -{} {}", flag.name(), flag.default);
        assert_eq!(format!("{:?}", run(&line).unwrap()), least, "{line}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_flag() {
    for (line, part) in [
        ("", "-config is missing"),
        ("-once", "-config is missing"),
        ("-config", "-config lacks its value"),
        ("-config -once", "-config lacks its value"),
        ("-config=", "-config lacks its value"),
        ("-config a/b", "names a namespace"),
        ("-config A", "lower-case"),
        ("-config c -acme http://ca/", "is not an https URL"),
        ("-config c -workers 0", "-workers \"0\" is not a number from 1 to 64"),
        ("-config c -workers 65", "from 1 to 64"),
        ("-config c -log-level loud", "none of error, warn, info, debug"),
        ("-config c -log-format xml", "-log-format \"xml\" is neither text nor json"),
        ("-config c -resolver a:b", "-resolver \"a:b\" has \"b\" for a port"),
        (
            "-config c -resolver 192.0.2.1,192.0.2.2",
            "-resolver \"192.0.2.1,192.0.2.2\" is a list; write one HOST[:PORT]",
        ),
        ("-config c -resolver tls://192.0.2.1", "-resolver \"tls://192.0.2.1\" is a URL; write HOST[:PORT]"),
        ("-config c -listen 8080", "-listen \"8080\" is not of the form :PORT"),
        ("-config c -page", "-page needs -listen"),
        ("-config c -namespace a.b", "dot in it"),
        ("-config c -lease maybe", "-lease \"maybe\" is neither on nor off"),
        ("-config c -lease-name a/b", "names a namespace"),
        ("-config c -lease-name A", "lower-case"),
        ("-config c -allow-namespaces a,B", "is not a namespace Kubernetes allows"),
        ("-config c -allow-namespaces a,,b", "lacks a namespace"),
        ("-config c -local-mode 0644", "private keys are not for everybody"),
        ("-config c -config d", "-config is given twice"),
        ("-config c -foo", "-foo is not a flag"),
        ("-config c -x", "-x is not a flag"),
        ("-config c -w", "-w is not a flag"),
        ("-config c -o json", "-o is not a flag"),
        ("-config a -f b", "-f is not a flag"),
        ("-config c stray", "\"stray\" is not a flag"),
        ("-config c -local d -kubeconfig k", "exclude each other"),
        ("-config c -dry-run -probe", "exclude each other"),
    ] {
        let error = run(line).expect_err(line);
        assert!(error.contains(part), "{line}: {error}");
    }
    use std::os::unix::ffi::OsStringExt as _;
    assert!(read(vec![OsString::from_vec(vec![b'-', 0xff])], |_| None).unwrap_err().contains("not UTF-8"));
}

#[test]
fn a_password_in_an_url_is_never_repeated() {
    for line in [
        "-config c -acme https://me:hunter2@ca.test/dir",
        "-config c -acme http://me:hunter2@ca.test/dir",
        "-config c -acme https://hunter2@ca.test/dir",
        "-config c -acme-proxy http://me:hunter2@proxy.test:3128",
        "-config c -acme-proxy socks5://me:hunter2@proxy.test:3128",
        "-config c -acme-proxy me:hunter2@proxy.test:3128",
        "-config c -resolver tls://me:hunter2@dns.test",
        "-config c -listen http://me:hunter2@dns.test",
        "-config c http://me:hunter2@proxy.test:3128",
        "http://me:hunter2@proxy.test:3128",
    ] {
        let error = run(line).expect_err(line);
        assert!(!error.contains("hunter2"), "{line}: {error}");
    }
    let error = run("-config c -acme https://me:hunter2@ca.test/dir").unwrap_err();
    assert!(error.starts_with("-acme ") && error.contains("user name or password"), "{error}");
    assert!(
        run("-config c -acme https://ca.test/dir?user=a@b.test").is_ok(),
        "what stands behind the host is no password"
    );
}

#[test]
fn the_command_line_wins_over_the_environment() {
    let environment = [
        ("NOTARIAT_CONFIG", "a,b"),
        ("NOTARIAT_ACME_CA", "/roots"),
        ("NOTARIAT_NAMESPACE", "team"),
        ("NOTARIAT_WORKERS", ""),
        ("NOTARIAT_PORT", "tcp://10.0.0.1:80"),
    ];
    let found = given("", &environment).unwrap();
    assert_eq!((found.config, found.namespace.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("team")));
    assert_eq!(found.acme_ca, Some("/roots".into()));
    for line in ["-config c", "--config c", "-config=c", "--config=c"] {
        assert_eq!(given(line, &environment).unwrap().config, ["c"], "{line}");
    }
    let local = [("NOTARIAT_KUBECONFIG", "/k"), ("NOTARIAT_LOCAL", "/d"), ("NOTARIAT_CONFIG", "c")];
    assert_eq!(given("-local /e", &local).unwrap().kubeconfig, None);
    assert_eq!(given("-kubeconfig /e", &local).unwrap().local, None);
    if cfg!(feature = "tools") {
        assert!(given("role -f x -local /e", &local).unwrap().config.is_empty());
    }
    for (name, value, part) in [
        ("NOTARIAT_WORKERS", "0", "-workers \"0\" is not a number from 1 to 64 (from NOTARIAT_WORKERS)"),
        ("NOTARIAT_LOG_LEVEL", "loud", "(from NOTARIAT_LOG_LEVEL)"),
        ("NOTARIAT_ACME", "-x", "-acme lacks its value (from NOTARIAT_ACME)"),
    ] {
        let error = given("-config c", &[(name, value)]).unwrap_err();
        assert!(error.contains(part), "{name}: {error}");
    }
}

#[test]
fn help_and_version_need_nothing_else() {
    let request = |line: &str| read(line.split_whitespace().map(OsString::from).collect(), |_| None).unwrap();
    for line in ["-h", "--help", "-help", "-config x -h"] {
        assert!(matches!(request(line), CommandLine::Help), "{line}");
    }
    assert!(matches!(request("-version"), CommandLine::Version));
}

#[test]
fn a_build_without_tools_says_so() {
    let error = run("renew web").err().unwrap_or_default();
    assert_eq!(error.starts_with("this build has no tools: \"renew\" "), !cfg!(feature = "tools"), "{error}");
}
