//! A kubeconfig: no error and no debug output has a part of a token, a password, a key or a variable of a plugin. A text that is no YAML gives a
//! sentence with the line and nothing else.
#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use notariat::kube::kubeconfig;
use notariat_fuzz::input::text;
use notariat_fuzz::planted;
use notariat_fuzz::tree::{Scalar, is_hidden, may_explode};

/// The fields below `users` whose values are secret, and `proxy-url` of a cluster, which may have a password.
fn is_secret(scalar: &Scalar) -> bool {
    let path: Vec<&str> = scalar.path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["users", "user", "token" | "password" | "client-key-data" | "client-certificate-data"]
            | ["users", "user", "exec", "env", "value"]
            | ["clusters", "cluster", "certificate-authority-data"]
    )
}

fuzz_target!(|octets: &[u8]| {
    let raw = text(octets);
    if planted::is_hinted(&raw) || may_explode(&raw) {
        return;
    }
    let text = planted::filled(&raw);
    let read = kubeconfig::read(&[(PathBuf::from("/f/config"), text.clone())]);
    if let Err(error) = &read {
        assert!(error.starts_with("kubeconfig /f/config: "), "{error}");
        if let Some(rest) = error.strip_prefix("kubeconfig /f/config: is not the YAML of a kubeconfig") {
            let is_line = |rest: &str| {
                rest.strip_prefix(" (line ")
                    .and_then(|rest| rest.strip_suffix(")"))
                    .is_some_and(|line| line.parse::<u32>().is_ok())
            };
            assert!(rest.is_empty() || is_line(rest), "{error}");
        }
    }
    if is_hidden(&text, is_secret) {
        planted::assert_absent(&format!("{read:?}"));
    }
    // Of two files with the same names the first one counts.
    let twice = kubeconfig::read(&[(PathBuf::from("/f/config"), text.clone()), (PathBuf::from("/f/config"), text)]);
    match (read, twice) {
        (Ok(one), Ok(both)) => assert_eq!(format!("{one:?}"), format!("{both:?}")),
        (Err(_), Err(_)) => {}
        (one, both) => panic!("{one:?} alone, {both:?} twice"),
    }
});
