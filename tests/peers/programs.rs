//! The programs that are measured: for each the commands that obtain certificates from the servers of one measurement.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use notariat_lab::tools::{output, tool};
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone};

use crate::binary::static_binary;

pub(crate) const ZONE: &str = "bench.test";

/// The servers of one measurement: new ones for each, so that counts begin at zero.
pub(crate) struct Servers {
    pub(crate) key: Key,
    pub(crate) dns: NameServer,
    pub(crate) resolver: Resolver,
    pub(crate) pebble: Pebble,
    pub(crate) scratch: Scratch,
}

impl Servers {
    /// BIND, a resolver, and Pebble without sleeps and without Retry-After.
    pub(crate) fn start() -> Servers {
        let key = Key::new("bench.key", Hmac::Sha256);
        let dns = NameServer::setup(Software::Bind).zone(Zone::new(ZONE).grant(Grant::Zone(&key))).start();
        let resolver = Resolver::setup().forward(ZONE, dns.addr()).start();
        let pebble = Pebble::setup().dns_server(resolver.addr()).start();
        Servers { key, dns, resolver, pebble, scratch: Scratch::new("bench") }
    }

    /// A script that adds (`begin`) or removes (`done`) the TXT record of a challenge by nsupdate.
    fn nsupdate_hook(&self, name: &str, words: &str) -> PathBuf {
        let (server, key) = (self.dns.addr(), self.key.nsupdate_file(&self.scratch));
        let text = format!(
            r#"#!/bin/bash
set -euo pipefail
{words}
case $action in
  begin) change="add _acme-challenge.$name. 60 TXT \"$value\"" ;;
  done) change="delete _acme-challenge.$name. TXT \"$value\"" ;;
  *) exit 0 ;;
esac
{nsupdate} -k {key} <<<"server {ip} {port}
zone {ZONE}
update $change
send"
"#,
            nsupdate = tool("nsupdate").display(),
            key = key.display(),
            ip = server.ip(),
            port = server.port(),
        );
        let script = self.scratch.write(name, &text);
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("the script is ours");
        script
    }
}

/// The names of each certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// One name.
    One,
    /// Five names.
    Five,
    /// A name and the wildcard below it: two values at one name.
    ApexAndWildcard,
}

impl Names {
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Names::One => "1 name",
            Names::Five => "5 names",
            Names::ApexAndWildcard => "apex and wildcard",
        }
    }

    fn of(self, number: usize) -> Vec<String> {
        let name = format!("n{number}.{ZONE}");
        match self {
            Names::One => vec![name],
            Names::Five => ["a", "b", "c", "d", "e"].map(|label| format!("{label}.{name}")).into(),
            Names::ApexAndWildcard => vec![name.clone(), format!("*.{name}")],
        }
    }
}

/// The settings of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settings {
    /// The behaviour when nothing is set.
    Default,
    /// The fastest that is honest: no pauses that the servers here do not need.
    Fastest,
}

impl Settings {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Settings::Default => "defaults",
            Settings::Fastest => "fastest",
        }
    }
}

/// The request to a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) certificates: usize,
    pub(crate) names: Names,
    pub(crate) settings: Settings,
}

impl Job {
    fn each(self) -> impl Iterator<Item = Vec<String>> {
        (0..self.certificates).map(move |number| self.names.of(number))
    }
}

/// The commands of a job: those that are not measured (an account), then the measured ones, one after the other.
pub(crate) type Commands = (Vec<Command>, Vec<Command>);

/// A program.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// The packages that it is installed by; none for notariat, which is one file.
    pub(crate) packages: &'static [&'static str],
    /// Its commands.
    pub(crate) commands: fn(&Servers, Job) -> Commands,
}

pub(crate) const PROGRAMS: [Program; 5] = [
    Program { name: "notariat", packages: &[], commands: notariat },
    Program { name: "lego", packages: &["lego"], commands: lego },
    Program { name: "certbot", packages: &["certbot", "python3-certbot-dns-rfc2136"], commands: certbot },
    Program { name: "uacme", packages: &["uacme", "bind9-dnsutils"], commands: uacme },
    Program { name: "dehydrated", packages: &["dehydrated", "bind9-dnsutils"], commands: dehydrated },
];

fn notariat(servers: &Servers, job: Job) -> Commands {
    let write = |path: &str, text: &str| {
        let path = servers.scratch.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).and_then(|()| std::fs::write(path, text))
    };
    let (server, mut entries) = (servers.dns.addr(), String::new());
    for (number, names) in job.each().enumerate() {
        let names = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        entries += &format!("- {{secret: s{number}, domains: [{names}]}}\n");
    }
    // The zone of the bench has no NS that answers at port 53, so the default would look for servers that are not there.
    let defaults = format!("{{email: a@{ZONE}, tsigSecretName: k, dns: {{server: '{server}', propagation: primary}}}}");
    write("default/configmaps/c/certificates", &entries).expect("the store is writable");
    write("default/configmaps/c/defaults", &defaults).expect("the store is writable");
    write("default/secrets/k/key", &servers.key.secret_text()).expect("the store is writable");
    let mut command = Command::new(static_binary(true));
    command.args(["-once", "-config", "c", "-log-level", "error"]);
    if job.settings == Settings::Fastest {
        command.args(["-workers", "16"]);
    }
    command.arg("-local").arg(servers.scratch.path()).arg("-acme").arg(servers.pebble.directory());
    command.arg("-acme-ca").arg(servers.pebble.ca_file()).arg(format!("-resolver={}", servers.resolver.addr()));
    (Vec::new(), vec![command])
}

fn lego(servers: &Servers, job: Job) -> Commands {
    let one = |names: Vec<String>| {
        let mut command = Command::new(tool("lego"));
        command
            .env("LEGO_CA_CERTIFICATES", servers.pebble.ca_file())
            .env("RFC2136_NAMESERVER", servers.dns.addr().to_string());
        command.env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.").env("RFC2136_TSIG_KEY", &servers.key.name);
        command.env("RFC2136_TSIG_SECRET", &servers.key.secret);
        command.args(["--server", &servers.pebble.directory(), "--email", "a@bench.test", "--accept-tos"]);
        command.arg("--path").arg(servers.scratch.join("lego")).args(["--dns", "rfc2136", "--dns.disable-cp"]);
        if job.settings == Settings::Fastest {
            command.env("RFC2136_SEQUENCE_INTERVAL", "0");
        }
        command.args(["--dns.resolvers", &servers.resolver.addr().to_string()]);
        for name in &names {
            command.args(["-d", name]);
        }
        command.arg("run");
        command
    };
    (Vec::new(), job.each().map(one).collect())
}

fn certbot(servers: &Servers, job: Job) -> Commands {
    let credentials = format!(
        "dns_rfc2136_server = {}\ndns_rfc2136_port = {}\ndns_rfc2136_name = {}\ndns_rfc2136_secret = {}\ndns_rfc2136_algorithm = HMAC-SHA256\n",
        servers.dns.addr().ip(),
        servers.dns.addr().port(),
        servers.key.name,
        servers.key.secret
    );
    let credentials = servers.scratch.write("credentials.ini", &credentials);
    output(Command::new("chmod").arg("600").arg(&credentials));
    let one = |names: Vec<String>| {
        let mut command = Command::new(tool("certbot"));
        command.env("REQUESTS_CA_BUNDLE", servers.pebble.ca_file());
        command.args(["certonly", "--non-interactive", "--quiet", "--agree-tos", "-m", "a@bench.test"]);
        command.args(["--server", &servers.pebble.directory(), "--dns-rfc2136"]);
        if job.settings == Settings::Fastest {
            command.args(["--dns-rfc2136-propagation-seconds", "0"]);
        }
        command.arg("--dns-rfc2136-credentials").arg(&credentials);
        for name in &names {
            command.args(["-d", name]);
        }
        for (flag, folder) in [("--config-dir", "c"), ("--work-dir", "w"), ("--logs-dir", "l")] {
            command.arg(flag).arg(servers.scratch.join(&format!("certbot/{folder}")));
        }
        command
    };
    (Vec::new(), job.each().map(one).collect())
}

/// uacme has no flag for the CA's root: it runs in a mount namespace where that root is the list of roots.
fn uacme(servers: &Servers, job: Job) -> Commands {
    let words = "action=$1 name=$3 value=$5\n[ \"$2\" = dns-01 ] || exit 1\n[ \"$action\" = failed ] && action=done";
    let hook = servers.nsupdate_hook("uacme-hook", words);
    let run = |words: &[String]| {
        let mut command = Command::new(tool("unshare"));
        command.args(["--mount", "--map-root-user", "sh", "-c"]);
        command.arg("mount --bind \"$1\" /etc/ssl/certs/ca-certificates.crt && shift && exec \"$@\"").arg("sh");
        command.arg(servers.pebble.ca_file()).arg(tool("uacme")).arg("-c").arg(servers.scratch.join("uacme"));
        command.args(["-y", "-t", "EC", "-a", &servers.pebble.directory()]).args(words);
        command
    };
    let account = run(&["new".to_owned(), "a@bench.test".to_owned()]);
    let hook = ["-h".to_owned(), hook.display().to_string(), "issue".to_owned()];
    (vec![account], job.each().map(|names| run(&[&hook[..], &names].concat())).collect())
}

fn dehydrated(servers: &Servers, job: Job) -> Commands {
    let words = "case $1 in deploy_challenge) action=begin ;; clean_challenge) action=done ;; *) exit 0 ;; esac\nname=$2 value=$4";
    let hook = servers.nsupdate_hook("dehydrated-hook", words);
    let base = servers.scratch.join("dehydrated");
    std::fs::create_dir_all(&base).expect("the folder is writable");
    let config = format!(
        "CA={}\nCURL_OPTS='--cacert {}'\nBASEDIR={}\nHOOK={}\nCHALLENGETYPE=dns-01\nKEY_ALGO=prime256v1\nCONTACT_EMAIL=a@bench.test\n",
        servers.pebble.directory(),
        servers.pebble.ca_file().display(),
        base.display(),
        hook.display()
    );
    let config = servers.scratch.write("dehydrated.conf", &config);
    let run = |words: &[&str]| {
        let mut command = Command::new(tool("dehydrated"));
        command.arg("--config").arg(&config).args(words);
        command
    };
    let one = |(number, names): (usize, Vec<String>)| {
        let mut command = run(&["--cron", "--alias", &format!("c{number}")]);
        // One certificate of several names is one word with spaces.
        command.args(["--domain", &names.join(" ")]);
        command
    };
    (vec![run(&["--register", "--accept-terms"])], job.each().enumerate().map(one).collect())
}
