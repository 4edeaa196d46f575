//! Flags that are not given on the command line come from the environment: `-acme-ca` from `NOTARIAT_ACME_CA`.
//!
//! So a Deployment says them once, for the daemon and for every command that is run in its pod. Kubernetes itself sets variables for each
//! Service (`NOTARIAT_PORT`, `NOTARIAT_SERVICE_HOST` for one named notariat): no flag may have such a name.

use std::ffi::OsString;

use super::{Command, parse};

/// The flags that have a value and say where things are and how they are done. What one run is for (`-once`, `-force`) is none of them.
pub(super) const WORDS: &[&str] = &[
    "config",
    "acme",
    "acme-ca",
    "acme-proxy",
    "kubeconfig",
    "kube-api-qps",
    "kube-api-burst",
    "namespace",
    "allow-namespaces",
    "instance",
    "lease",
    "lease-name",
    "local",
    "local-mode",
    "resolver",
    "workers",
    "forget-after",
    "listen",
    "log-level",
    "log-format",
];

/// Reads the command line, without the program's name, and what `environment` holds besides.
///
/// # Errors
/// One sentence that names the flag, and the variable where it came from one.
pub fn read(mut arguments: Vec<OsString>, environment: impl Fn(&str) -> Option<OsString>) -> Result<Command, String> {
    let given: Vec<String> = arguments.iter().filter_map(|argument| flag(argument.to_str()?)).collect();
    // Two flags for one thing: the command line has chosen.
    let excludes = |word: &'static str| match word {
        "config" => "f",
        "kubeconfig" => "local",
        "local" => "kubeconfig",
        _ => word,
    };
    let mut taken = Vec::new();
    for word in WORDS {
        let is_given = given.iter().any(|given| given == word || given == excludes(word));
        let name = format!("NOTARIAT_{}", word.to_ascii_uppercase().replace('-', "_"));
        if let Some(value) = environment(&name).filter(|value| !is_given && !value.is_empty()) {
            let mut argument = OsString::from(format!("--{word}="));
            argument.push(value);
            arguments.push(argument);
            taken.push((word, name));
        }
    }
    parse(arguments).map_err(|e| {
        let from = taken.iter().find(|(word, _)| e.starts_with(&format!("-{word} ")));
        from.map(|(_, name)| format!("{e} (from {name})")).unwrap_or(e)
    })
}

/// The word of a flag.
fn flag(argument: &str) -> Option<String> {
    let word = argument.strip_prefix('-')?;
    let word = word.strip_prefix('-').unwrap_or(word);
    Some(word.split('=').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, USAGE};

    fn arguments(line: &str, environment: &[(&str, &str)]) -> Result<Arguments, String> {
        let variable = |name: &str| environment.iter().find(|(of, _)| *of == name).map(|(_, value)| value.into());
        match read(line.split_whitespace().map(OsString::from).collect(), variable)? {
            Command::Run(arguments) | Command::Role(_, arguments) | Command::Status(_, arguments) => Ok(*arguments),
            other => Err(format!("{other:?}")),
        }
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
        let found = arguments("status", &environment).unwrap();
        assert_eq!((found.config, found.namespace.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("team")));
        assert_eq!(found.acme_ca, Some("/roots".into()));
        for line in ["-config c", "--config c", "-config=c", "status --config=c"] {
            assert_eq!(arguments(line, &environment).unwrap().config, ["c"], "{line}");
        }
        let local = [("NOTARIAT_KUBECONFIG", "/k"), ("NOTARIAT_LOCAL", "/d"), ("NOTARIAT_CONFIG", "c")];
        assert_eq!(arguments("-local /e", &local).unwrap().kubeconfig, None);
        assert_eq!(arguments("-kubeconfig /e", &local).unwrap().local, None);
        assert!(arguments("role -f x -local /e", &local).unwrap().config.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_variable() {
        for (name, value, said) in [
            ("NOTARIAT_WORKERS", "0", "-workers \"0\" is not a number from 1 to 64 (from NOTARIAT_WORKERS)"),
            ("NOTARIAT_LOG_LEVEL", "loud", "(from NOTARIAT_LOG_LEVEL)"),
            ("NOTARIAT_ACME", "-x", "-acme lacks its value (from NOTARIAT_ACME)"),
        ] {
            let error = arguments("-config c", &[(name, value)]).unwrap_err();
            assert!(error.contains(said), "{name}: {error}");
        }
    }

    #[test]
    fn every_flag_with_a_value_of_the_usage_can_stand_in_the_environment() {
        // A value is named in capitals, or as a choice.
        let flags = USAGE.lines().filter_map(|line| line.strip_prefix("  -")?.split_once(' '));
        let with_value = flags.filter(|(_, rest)| rest.starts_with(char::is_uppercase) || rest.starts_with("on|off"));
        assert_eq!(with_value.map(|(word, _)| word).collect::<Vec<_>>(), WORDS);
    }
}
