//! Finds programs, and runs those that end by themselves.
//!
//! A test that needs a program fails without it and says how to get it. It is never skipped: a skipped test looks like
//! a passed one.

use std::env;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::process::signal;

/// The longest a program may take that has to end by itself: far more than any needs, so that only a hang meets it.
const DEADLINE: Duration = Duration::from_secs(1800);

/// The Debian package that holds a program we use; the groups of `tests/lab/install` hold the same packages.
const PACKAGES: &[(&str, &str)] = &[
    ("bash", "bash"),
    ("certbot", "certbot and python3-certbot-dns-rfc2136"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("dig", "bind9-dnsutils"),
    ("etcd", "etcd-server"),
    ("faketime", "faketime"),
    ("fish", "fish"),
    ("groff", "groff-base"),
    ("ip", "iproute2"),
    ("knotc", "knot"),
    ("knotd", "knot"),
    ("knsupdate", "knot-dnsutils"),
    ("kube-apiserver", "kubernetes, whose source is built once"),
    ("kubectl", "kubernetes-client"),
    ("dehydrated", "dehydrated"),
    ("lego", "lego"),
    ("man", "man-db"),
    ("mount", "mount"),
    ("named", "bind9"),
    ("named-checkconf", "bind9-utils"),
    ("nsupdate", "bind9-dnsutils"),
    ("openssl", "openssl"),
    ("pdns_control", "pdns-server"),
    ("pdns_server", "pdns-server, pdns-backend-bind and pdns-backend-sqlite3"),
    ("pdnsutil", "pdns-tools"),
    ("pebble", "pebble, of Debian unstable"),
    ("promtool", "prometheus"),
    ("rndc", "bind9-utils"),
    ("setpriv", "util-linux"),
    ("sqlite3", "sqlite3"),
    ("strace", "strace"),
    ("time", "time"),
    ("uacme", "uacme"),
    ("unbound", "unbound"),
    ("unshare", "util-linux"),
    ("zsh", "zsh"),
];

/// The path of a program; panics with the package that holds it where there is none.
pub fn tool(name: &str) -> PathBuf {
    let found = places().into_iter().map(|place| place.join(name)).find(|path| is_program(path));
    found.unwrap_or_else(|| {
        let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or(name, |(_, package)| package);
        panic!("`{name}` is missing (Debian package {package}): run tests/lab/install")
    })
}

/// The text of a file that `tests/lab/install` put into the cache; panics where it is not there.
pub fn cached(path: &str) -> String {
    let path = cache().join(path);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run tests/lab/install with all groups", path.display()))
}

/// The output of a program that has to succeed; panics with its standard error otherwise.
pub fn output(command: &mut Command) -> String {
    try_output(command, "").unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a program to its end with `input` on standard input: its standard output, or why it failed.
pub fn try_output(command: &mut Command, input: &str) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program} does not start: {error}"))?;
    // A program that ends without reading its input is judged by its exit code, not by the broken pipe.
    let over = ended_within(child.id(), DEADLINE);
    child.stdin.take().expect("stdin is piped, see above").write_all(input.as_bytes()).ok();
    let done = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
    drop(over);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        return Ok(text(&done.stdout));
    }
    Err(format!("{program} failed ({}): {}{}", done.status, text(&done.stderr), text(&done.stdout)))
}

/// Kills a process unless the value that is returned is dropped in time: no test waits for ever.
fn ended_within(pid: u32, within: Duration) -> Sender<()> {
    let (over, wait) = channel();
    thread::spawn(move || {
        if wait.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            signal(pid, "KILL");
        }
    });
    over
}

/// Where programs are looked for, best first: what was chosen on purpose, what `tests/lab/install` put into the cache
/// (Debian 12 has a Pebble of its own that is too old), and the machine's programs; servers live in `sbin`.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).into_iter().collect();
    places.extend([cache().join("pebble/usr/bin"), cache().join("kube")]);
    places.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    places.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places
}

/// The directory `tests/lab/install` builds and unpacks into; the script has the same three lines.
fn cache() -> PathBuf {
    let below = |name: &str, rest: &str| env::var_os(name).map(|value| PathBuf::from(value).join(rest));
    below("NOTARIAT_LAB_CACHE", "")
        .or_else(|| below("XDG_CACHE_HOME", "notariat-lab"))
        .or_else(|| below("HOME", ".cache/notariat-lab"))
        .unwrap_or_default()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_on_the_path() {
        assert!(tool("sh").ends_with("sh"));
    }

    #[test]
    #[should_panic(
        expected = "`knotd-of-another-world` is missing (Debian package knotd-of-another-world): run tests/lab/install"
    )]
    fn a_missing_program_says_how_to_get_it() {
        tool("knotd-of-another-world");
    }

    #[test]
    fn a_failed_program_is_reported_with_its_standard_error() {
        let error = try_output(Command::new("sh").args(["-c", "echo no such zone >&2; exit 3"]), "").unwrap_err();
        assert!(error.contains("exit status: 3") && error.contains("no such zone"), "{error}");
    }
}
