//! The command line, in Go's style: `-word value`, `--word value`, `-word=value`.
//!
//! Arguments are normalised before pico-args sees them, which knows `--word value` only for long names (it panics on `-word` in
//! debug builds and misses it in release builds).

pub mod check;
pub mod environment;
pub mod man;
mod secret_action;
pub mod status_options;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::address::ServerAddress;
use crate::base::limits::{API_BURST_MAX, API_QPS_MAX, FORGET_AFTER, WORKERS_DEFAULT, WORKERS_MAX};
use crate::base::log::Format;
use crate::base::name::{ObjectRef, check_namespace};
use crate::base::sanitize::{CREDENTIALS, has_credentials};
use crate::config::issuers::directory_url;
use crate::controller::RunMode;
use crate::kube::rate_limit::RequestRate;
use crate::server::listener::ListenAddress;
use crate::store::FileMode;
use check::CheckOptions;
pub use secret_action::SecretAction;
use status_options::StatusOptions;
use values::{log_level, namespaces, number};

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run.
    Run(Box<Arguments>),
    /// Write a wish, or change an account.
    Wish(SecretAction, Box<Arguments>),
    /// Print the Role that is enough, for the ConfigMaps in a file or else for those that the arguments name.
    Role(Option<PathBuf>, Box<Arguments>),
    /// Print what name servers must allow, for the same ConfigMaps.
    DnsPolicy(Option<PathBuf>, Box<Arguments>),
    /// Turn cert-manager's objects, on standard input, into ConfigMaps.
    Convert(Box<Arguments>),
    /// Print the state of each certificate.
    Status(StatusOptions, Box<Arguments>),
    /// Say what is wrong with a manifest.
    Check(CheckOptions, Box<Arguments>),
    /// Print the usage and end.
    Help,
    /// Print the version and end.
    Version,
}

/// The arguments of a run.
#[derive(Debug)]
pub struct Arguments {
    /// `-acme`: the directory URL, when it was given.
    pub acme: Option<String>,
    /// `-acme-ca`
    pub acme_ca: Option<PathBuf>,
    /// `-acme-proxy`
    pub acme_proxy: Option<String>,
    /// `-config`: names without a namespace.
    pub config: Vec<String>,
    /// `-kubeconfig`
    pub kubeconfig: Option<PathBuf>,
    /// `-kube-api-qps`, `-kube-api-burst`
    pub kube_api_rate: RequestRate,
    /// `-namespace`
    pub namespace: Option<String>,
    /// `-allow-namespaces`: those besides the own one.
    pub allow_namespaces: Vec<String>,
    /// `-instance`
    pub instance: Option<String>,
    /// `-local`
    pub local: Option<PathBuf>,
    /// `-local-mode`
    pub local_mode: FileMode,
    /// `-lease`, `-lease-name`: the Lease that decides which replica leads.
    pub lease: Option<String>,
    /// `-once`, `-probe`
    pub pass: RunMode,
    /// `-dry-run`
    pub dry_run: bool,
    /// `-resolver`
    pub resolver: Option<ServerAddress>,
    /// `-workers`
    pub workers: usize,
    /// `-forget-after`: how long what is known of a certificate is kept when its entry goes.
    pub forget_after: Duration,
    /// `-listen`: where the HTTP port is.
    pub listen: Option<ListenAddress>,
    /// `-page`
    pub page: bool,
    /// `-log-level`
    pub log_level: log::LevelFilter,
    /// `-log-format`
    pub log_format: Format,
}

/// What `-h` prints.
pub const USAGE: &str = "\
notariat keeps Kubernetes Secrets holding valid TLS certificates, obtained by ACME (DNS-01 over signed DNS UPDATE).

usage: notariat -config NAME [flags]             one dash or two, value after a space or =
       notariat renew [-force] [NS/]SECRET       ask the running notariat for a renewal; -force also beyond the cap
       notariat revoke [-reason R] [NS/]SECRET   ask it to replace and revoke: unspecified (default), keyCompromise,
                                                 superseded, cessationOfOperation
       notariat status -config NAME [-o wide|json] [-w]   print the state of each certificate, the most urgent first; -w
                                                 again whenever it changed. Writes nothing. Give the flags of the daemon.
                                                 Exit codes as with -once
       notariat account rollover SECRET          give an ACME account, by the name of its Secret, a new key
       notariat role -config NAME | -f FILE      print the Role that is enough for a ConfigMap and names its Secrets; give
                                                 the flags of the daemon; FILE is a manifest, - standard input
       notariat dns-policy -config NAME | -f FILE   print what BIND, Knot and PowerDNS must allow for its names, and no more
       notariat convert [-config NAME]           turn cert-manager's objects on standard input (kubectl get
                                                 certificates,issuers,clusterissuers -A -o json) into ConfigMaps; exit 1:
                                                 not all could be carried over
       notariat check -config NAME [-o json]     try everything that an order needs, with the flags of the daemon: configuration,
                                                 permissions, Secrets, keys and zones, CAA, the CA. Changes nothing. Exit 0
                                                 sound, 1 faults, 75 none but that something was not reached, 78 no ConfigMap
       notariat check -f FILE [-role FILE] [-o json]
                                                 say everything that is wrong with the ConfigMaps of a manifest, and what the
                                                 Roles of another lack for them, without any network; give the flags of the
                                                 daemon; exit 0 sound, 1 faults, 78 unreadable
       notariat man                              print the manual page: notariat man | man -l -

  -config NAME     ConfigMap to use, in notariat's own namespace (several with commas); mandatory
  -acme URL        ACME directory (default: Let's Encrypt staging, whose certificates nobody trusts)
  -acme-ca FILE    extra trust roots (PEM) for the ACME server
  -acme-proxy URL  proxy on the way to the ACME server, http://HOST:PORT (CONNECT); none is ever taken from the
                   environment
  -once            one pass over all entries, then exit: 0 every Secret is valid, 1 any is not or an entry was
                   refused, 75 could not find out, 78 command line or configuration unreadable
  -dry-run         decide and log what would be done, and write nothing: for running beside another manager
  -probe           ask each zone's server by a signed UPDATE that changes nothing whether it would take a
                   challenge, then exit in the same way; a daemon does so once a day
  -kubeconfig F    kubeconfig (default: those in KUBECONFIG, else the service account of the pod)
  -kube-api-qps N  requests to the API server in a second, 1 to 1000 (default 50)
  -kube-api-burst N  requests at once after a rest, 1 to 10000 (default 100)
  -namespace NS    own namespace (default: the pod's or the kubeconfig's; with -local: default)
  -allow-namespaces NS,NS   namespaces besides the own one whose Secrets entries may name (default: none)
  -instance NAME   owner in the annotations of Secrets (default: the own namespace)
  -lease on|off    whether replicas elect by a Lease the one that works (default on; never with -local, -once, -probe)
  -lease-name NAME the Lease, in the own namespace (default: notariat). Daemons in one namespace that are no replicas of
                   each other each need another one
  -local DIR       no Kubernetes: objects are files, DIR/<namespace>/{configmaps,secrets}/<name>/<key>
  -local-mode M    file mode of Secrets there: 0600 (default), 0640, 0660
  -resolver HOST[:PORT]   DNS resolver for finding zones and servers (default: /etc/resolv.conf)
  -workers N       certificates obtained at the same time, 1 to 64 (default 4)
  -forget-after D  how long copy, key and history of a certificate are kept when its entry goes, in h or d (default
                   168h; 0: not at all)
  -listen ADDR     HTTP port for /livez, /readyz and /metrics, :PORT or IP:PORT (default: none)
  -page            show the certificates to browsers there, too: a table and a time line
  -log-level L     error, warn, info (default) or debug
  -log-format F    text (default) or json: an object on each line
  -h, -help        print this        -version   print the version

Each flag from -config to -log-format that has a value can also be set in the environment: -acme-ca is NOTARIAT_ACME_CA. The
command line wins. Under the name kubectl-notariat it is a plugin (`kubectl notariat status`), and ~/.kube/config is read, too.
";

/// Reads the command line, without the program's name.
///
/// # Errors
/// One sentence that names the flag.
pub fn parse(arguments: Vec<OsString>) -> Result<Command, String> {
    let mut normal = Vec::new();
    for argument in arguments {
        let text = argument.into_string().map_err(|raw| format!("the argument {raw:?} is not UTF-8"))?;
        normal.extend(normalised(&text));
    }
    let asks = |words: &[&str]| normal.iter().any(|a| words.contains(&a.as_str()));
    if asks(&["-h", "--help"]) {
        return Ok(Command::Help);
    }
    if asks(&["--version"]) {
        return Ok(Command::Version);
    }
    let mut flags = Flags(pico_args::Arguments::from_vec(normal.into_iter().map(OsString::from).collect()));
    let word = flags.0.subcommand().map_err(|e| e.to_string())?;
    // What is printed from a ConfigMap, which may be in a file.
    let prints: Option<fn(_, _) -> Command> = match word.as_deref() {
        Some("role") => Some(Command::Role),
        Some("dns-policy") => Some(Command::DnsPolicy),
        _ => None,
    };
    let converts = word.as_deref() == Some("convert");
    let look = if word.as_deref() == Some("status") { Some(flags.look()?) } else { None };
    let check = if word.as_deref() == Some("check") { Some(flags.check()?) } else { None };
    let is_other = prints.is_some() || converts || look.is_some() || check.is_some();
    let wish = word.filter(|_| !is_other).map(|word| flags.wish(&word)).transpose()?;
    let manifest = match &check {
        Some(check) => check.file.clone(),
        None if prints.is_some() => flags.value("f", |v| Ok(PathBuf::from(v)))?,
        None => None,
    };
    let is_elected = flags.value("lease", |v| match v {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("is neither on nor off".to_owned()),
    })?;
    let lease = flags.value("lease-name", |v| match ObjectRef::parse(v, "x") {
        Ok(_) if !v.contains('/') => Ok(v.to_owned()),
        Ok(_) => Err("names a namespace; the Lease is in notariat's own (-namespace)".to_owned()),
        Err(e) => Err(e.to_string()),
    })?;
    let config = flags.value("config", |v| {
        let names: Vec<String> = v.split(',').map(|n| n.trim().to_owned()).collect();
        names.iter().try_for_each(|name| ObjectRef::parse(name, "x").map(|_| ()).map_err(|e| e.to_string()))?;
        if names.iter().any(|n| n.contains('/')) {
            return Err("names a namespace; the ConfigMap is in notariat's own (-namespace)".to_owned());
        }
        Ok(names)
    })?;
    let rate = RequestRate::default();
    let arguments = Arguments {
        acme: flags.value("acme", |v| directory_url(v).map_err(str::to_owned))?,
        acme_proxy: flags.value("acme-proxy", |v| match v.strip_prefix("http://") {
            Some(rest) if !rest.is_empty() && !v.contains(char::is_whitespace) => Ok(v.to_owned()),
            _ => Err("is not of the form http://HOST:PORT".to_owned()),
        })?,
        acme_ca: flags.value("acme-ca", |v| Ok(PathBuf::from(v)))?,
        config: config.unwrap_or_default(),
        kubeconfig: flags.value("kubeconfig", |v| Ok(PathBuf::from(v)))?,
        kube_api_rate: RequestRate {
            qps: flags.value("kube-api-qps", |v| number(v, API_QPS_MAX))?.unwrap_or(rate.qps),
            burst: flags.value("kube-api-burst", |v| number(v, API_BURST_MAX))?.unwrap_or(rate.burst),
        },
        namespace: flags
            .value("namespace", |v| check_namespace(v).map(|()| v.to_owned()).map_err(|e| e.to_string()))?,
        allow_namespaces: flags.value("allow-namespaces", namespaces)?.unwrap_or_default(),
        instance: flags.value("instance", |v| {
            check_namespace(v)
                .map(|()| v.to_owned())
                .map_err(|_| "is not a name of lower-case letters, digits and `-`".to_owned())
        })?,
        local: flags.value("local", |v| Ok(PathBuf::from(v)))?,
        local_mode: flags.value("local-mode", FileMode::parse)?.unwrap_or(FileMode::PRIVATE),
        lease: is_elected.unwrap_or(true).then(|| lease.unwrap_or_else(|| "notariat".to_owned())),
        pass: match (flags.switch("probe") || check.is_some(), flags.switch("once")) {
            (true, _) => RunMode::Probe,
            (false, true) => RunMode::Once,
            (false, false) => RunMode::Forever,
        },
        dry_run: flags.switch("dry-run"),
        resolver: flags.value("resolver", str::parse)?,
        workers: flags
            .value("workers", |v| match v.parse() {
                Ok(n) if (1..=WORKERS_MAX).contains(&n) => Ok(n),
                _ => Err(format!("is not a number from 1 to {WORKERS_MAX}")),
            })?
            .unwrap_or(WORKERS_DEFAULT),
        forget_after: flags.value("forget-after", values::forget_after)?.unwrap_or(FORGET_AFTER),
        listen: flags.value("listen", str::parse)?,
        page: flags.switch("page"),
        log_level: flags.value("log-level", log_level)?.unwrap_or(log::LevelFilter::Info),
        log_format: flags
            .value("log-format", |v| match v {
                "text" => Ok(Format::Text),
                "json" => Ok(Format::Json),
                _ => Err("is neither text nor json".to_owned()),
            })?
            .unwrap_or_default(),
    };
    if arguments.page && arguments.listen.is_none() {
        return Err("-page needs -listen, which says where the page is".to_owned());
    }
    let named = if wish.is_some() { flags.free()? } else { None };
    flags.finish()?;
    if arguments.local.is_some() && arguments.kubeconfig.is_some() {
        return Err("-local and -kubeconfig exclude each other: the objects are in files or in Kubernetes".to_owned());
    }
    if arguments.dry_run && arguments.pass == RunMode::Probe {
        return Err(
            "-dry-run and -probe exclude each other: a probe asks name servers, and changes nothing there".to_owned()
        );
    }
    if converts {
        return match arguments.config.len() {
            0 | 1 => Ok(Command::Convert(Box::new(arguments))),
            _ => Err("-config has several names; convert gives its ConfigMaps one".to_owned()),
        };
    }
    match (wish, named) {
        (Some(wish), Some(name)) => Ok(Command::Wish(wish(name), Box::new(arguments))),
        (Some(_), None) => Err("the name of a Secret is missing (-h shows all commands)".to_owned()),
        (None, _) if manifest.is_some() && !arguments.config.is_empty() => {
            Err("-config and -f exclude each other: the ConfigMap is in the file or in the cluster".to_owned())
        }
        (None, _) if manifest.is_none() && arguments.config.is_empty() => {
            Err("-config is missing: the name of the ConfigMap that lists the certificates (-h shows all flags)"
                .to_owned())
        }
        (None, _) => Ok(match (prints, look, check) {
            (Some(command), ..) => command(manifest, Box::new(arguments)),
            (None, Some(look), _) => Command::Status(look, Box::new(arguments)),
            (None, None, Some(check)) => Command::Check(check, Box::new(arguments)),
            (None, None, None) => Command::Run(Box::new(arguments)),
        }),
    }
}

/// `-word` becomes `--word`, and `-word=value` two arguments. `-h` and `-` stay.
fn normalised(argument: &str) -> Vec<String> {
    let Some(word) =
        argument.strip_prefix('-').filter(|word| !word.is_empty()).map(|w| w.strip_prefix('-').unwrap_or(w))
    else {
        return vec![argument.to_owned()];
    };
    let dashed = |word: &str| {
        if word.len() == 1 { format!("-{word}") } else { format!("--{word}") }
    };
    match word.split_once('=') {
        Some((word, value)) => vec![dashed(word), value.to_owned()],
        None => vec![dashed(word)],
    }
}

struct Flags(pico_args::Arguments);

impl Flags {
    fn switch(&mut self, word: &str) -> bool {
        self.0.contains(long(word))
    }

    fn value<T>(&mut self, word: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        let text: Option<String> =
            self.0.opt_value_from_str(long(word)).map_err(|_| format!("-{word} lacks its value"))?;
        let Some(text) = text else { return Ok(None) };
        if text.is_empty() || (text.starts_with('-') && text.len() > 1) {
            return Err(format!("-{word} lacks its value"));
        }
        if ["acme", "acme-proxy", "resolver", "listen"].contains(&word) && has_credentials(&text) {
            return Err(format!("-{word} {CREDENTIALS}"));
        }
        parse(&text).map(Some).map_err(|e| format!("-{word} {text:?} {e}"))
    }

    /// The one value without a flag.
    fn free(&mut self) -> Result<Option<String>, String> {
        self.0.opt_free_from_str::<String>().map_err(|e| e.to_string())
    }

    /// What is left over was given twice or is unknown.
    fn finish(self) -> Result<(), String> {
        match self.0.finish().first() {
            None => Ok(()),
            Some(first) => {
                let first = first.to_string_lossy();
                let word = first.trim_start_matches('-');
                let known = USAGE.contains(&format!("  -{word} "));
                Err(match (first.starts_with('-'), known) {
                    (true, true) => format!("-{word} is given twice"),
                    (true, false) => format!("-{word} is not a flag (-h shows all flags)"),
                    (false, _) if has_credentials(&first) => {
                        "an address is not a flag; values stand behind theirs (-h shows all flags)".to_owned()
                    }
                    (false, _) => format!("{first:?} is not a flag; values stand behind theirs (-h shows all flags)"),
                })
            }
        }
    }
}

/// pico-args wants names that live as long as the program.
fn long(word: &str) -> &'static str {
    const WORDS: &[&str] = &[
        "-f",
        "-o",
        "-w",
        "--role",
        "--allow-namespaces",
        "--acme",
        "--acme-ca",
        "--acme-proxy",
        "--config",
        "--kubeconfig",
        "--kube-api-qps",
        "--kube-api-burst",
        "--namespace",
        "--instance",
        "--lease",
        "--lease-name",
        "--local",
        "--local-mode",
        "--dry-run",
        "--force",
        "--once",
        "--probe",
        "--reason",
        "--resolver",
        "--workers",
        "--forget-after",
        "--listen",
        "--page",
        "--log-level",
        "--log-format",
    ];
    WORDS.iter().find(|w| w.trim_start_matches('-') == word).expect("every flag stands in the list above")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Arguments, String> {
        match parse(line.split_whitespace().map(OsString::from).collect())? {
            Command::Run(arguments) => Ok(*arguments),
            other => Err(format!("{other:?}")),
        }
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
        let least = run("-config c").unwrap();
        assert_eq!((least.workers, least.pass, least.log_level), (4, RunMode::Forever, log::LevelFilter::Info));
        for (line, qps, burst) in [
            ("-config c", 50, 100),
            ("-config c -kube-api-qps 1000 -kube-api-burst=10000", 1000, 10_000),
            ("-config c -kube-api-burst 1", 50, 1),
        ] {
            assert_eq!(run(line).unwrap().kube_api_rate, RequestRate { qps, burst }, "{line}");
        }
        for (line, lease) in [
            ("-config c", Some("notariat")),
            ("-config c -lease=on -lease-name mine", Some("mine")),
            ("-config c -lease=off", None),
        ] {
            assert_eq!(run(line).unwrap().lease.as_deref(), lease, "{line}");
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
            ("-config c -kube-api-qps 0", "-kube-api-qps \"0\" is not a number from 1 to 1000"),
            ("-config c -kube-api-qps 1001", "from 1 to 1000"),
            ("-config c -kube-api-burst many", "-kube-api-burst \"many\" is not a number from 1 to 10000"),
            ("-config c -kube-api-burst 10001", "from 1 to 10000"),
            ("-config c -log-level loud", "none of error, warn, info, debug"),
            ("-config c -log-format xml", "-log-format \"xml\" is neither text nor json"),
            ("convert -config a,b", "-config has several names"),
            ("convert -f a", "-f is not a flag"),
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
            ("-config c stray", "\"stray\" is not a flag"),
            ("-config c -local d -kubeconfig k", "exclude each other"),
        ] {
            let error = run(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
        use std::os::unix::ffi::OsStringExt as _;
        assert!(parse(vec![OsString::from_vec(vec![b'-', 0xff])]).unwrap_err().contains("not UTF-8"));
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
    fn commands_name_a_secret() {
        let wish = |line: &str| match parse(line.split_whitespace().map(OsString::from).collect()) {
            Ok(Command::Wish(wish, _)) => Ok(format!("{wish:?}")),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(e) => Err(e),
        };
        for (line, expected) in [
            ("renew web", r#"Renew { secret: "web", force: false }"#),
            ("renew -force team/web -local /d", r#"Renew { secret: "team/web", force: true }"#),
            ("renew team/web --force", r#"Renew { secret: "team/web", force: true }"#),
            ("revoke web", r#"Revoke { secret: "web", reason: "unspecified" }"#),
            ("revoke -reason keyCompromise web", r#"Revoke { secret: "web", reason: "keyCompromise" }"#),
            ("account rollover notariat-acme-1", r#"Rollover { account: "notariat-acme-1" }"#),
        ] {
            assert_eq!(wish(line).as_deref(), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("renew", "the name of a Secret is missing"),
            ("renew a b", "\"b\" is not a flag"),
            ("revoke -reason whim web", "-reason \"whim\" is none of unspecified, keyCompromise"),
            ("account list", "rollover"),
            ("obtain web", "\"obtain\" is neither a command nor a flag"),
        ] {
            let error = wish(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn a_role_is_for_a_config_map_of_the_cluster_or_of_a_file() {
        let role = |line: &str| match parse(line.split_whitespace().map(OsString::from).collect()) {
            Ok(Command::Role(file, arguments)) => Ok((file, arguments.config)),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(e) => Err(e),
        };
        let file = |name: &str| Ok((Some(PathBuf::from(name)), Vec::new()));
        for (line, expected) in [
            ("role -config a,b", Ok((None, vec!["a".to_owned(), "b".to_owned()]))),
            ("role -f a.yaml -acme https://ca/dir", file("a.yaml")),
            ("role -f=a.yaml", file("a.yaml")),
            ("role --namespace team -f -", file("-")),
        ] {
            assert_eq!(role(line), expected, "{line}");
        }
        for (line, part) in [
            ("role", "-config is missing"),
            ("role -config a -f b", "exclude each other"),
            ("role -f", "-f lacks its value"),
            ("-config a -f b", "-f is not a flag"),
            ("role -config a b", "\"b\" is not a flag"),
        ] {
            let error = role(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn help_and_version_need_nothing_else() {
        for line in ["-h", "--help", "-help", "-config x -h"] {
            assert!(
                matches!(parse(line.split_whitespace().map(OsString::from).collect()), Ok(Command::Help)),
                "{line}"
            );
        }
        assert!(matches!(parse(vec!["-version".into()]), Ok(Command::Version)));
    }

    #[test]
    fn the_usage_names_every_flag() {
        for word in environment::WORDS.iter().chain(&["once", "dry-run", "probe", "page"]) {
            assert!(USAGE.contains(&format!("  -{word} ")), "{word}");
            assert_eq!(long(word), format!("--{word}"));
        }
    }
}
