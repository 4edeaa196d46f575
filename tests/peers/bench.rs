//! notariat beside lego and certbot on the same servers: BIND, a resolver, Pebble without sleeps and without Retry-After.
//!
//! Each program obtains 1 and then 20 certificates of one name each. lego and certbot get their fastest settings: their defaults
//! wait 60 s for each name. Printed are counts, and times of one run on one machine: compare the lines, not the seconds.

#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr, reason = "a program that prints a table")]

mod binary;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use binary::static_binary;
use notariat_lab::tools::{output, tool};
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Scratch, Software, Zone};

const ZONE: &str = "bench.test";

/// The servers of one measurement: new ones for each, so that counts begin at zero.
struct Servers {
    key: Key,
    dns: NameServer,
    resolver: Resolver,
    pebble: Pebble,
    scratch: Scratch,
}

impl Servers {
    fn start() -> Servers {
        let key = Key::new("bench.key", Hmac::Sha256);
        let names = (0..20).fold(Zone::new(ZONE), |zone, i| zone.line(&format!("n{i} A 127.0.0.1")));
        let dns = NameServer::setup(Software::Bind).zone(names.grant(Grant::Zone(&key))).start();
        let resolver = Resolver::setup().forward(ZONE, dns.addr()).start();
        let pebble = Pebble::setup().dns_server(resolver.addr()).start();
        Servers { key, dns, resolver, pebble, scratch: Scratch::new("bench") }
    }
}

/// A way to obtain `count` certificates; each command is one run of the program.
type Commands = fn(&Servers, usize) -> Vec<Command>;

fn notariat(servers: &Servers, count: usize) -> Vec<Command> {
    let write = |path: String, text: &str| {
        let path = servers.scratch.join(path.as_str());
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).and_then(|()| std::fs::write(path, text))
    };
    let entry = |i: usize| {
        let server = servers.dns.addr();
        format!(
            "- {{secret: s{i}, domains: [n{i}.{ZONE}], email: a@{ZONE}, tsigSecretName: k, dns: {{server: '{server}', propagation: primary}}}}\n"
        )
    };
    let entries: String = (0..count).map(entry).collect();
    write("default/configmaps/c/certificates".to_owned(), &entries).expect("the store is writable");
    write("default/secrets/k/key".to_owned(), &servers.key.secret_text()).expect("the store is writable");
    let mut command = Command::new(static_binary(true));
    command.args(["-once", "-workers", "1", "-config", "c", "-log-level", "error"]);
    command.arg("-local").arg(servers.scratch.path()).arg("-acme").arg(servers.pebble.directory());
    command.arg("-acme-ca").arg(servers.pebble.ca_file()).arg(format!("-resolver={}", servers.resolver.addr()));
    vec![command]
}

fn lego(servers: &Servers, count: usize) -> Vec<Command> {
    let one = |i: usize| {
        let mut command = Command::new(tool("lego"));
        command
            .env("LEGO_CA_CERTIFICATES", servers.pebble.ca_file())
            .env("RFC2136_NAMESERVER", servers.dns.addr().to_string());
        command.env("RFC2136_TSIG_ALGORITHM", "hmac-sha256.").env("RFC2136_TSIG_KEY", &servers.key.name);
        command.env("RFC2136_TSIG_SECRET", &servers.key.secret).env("RFC2136_SEQUENCE_INTERVAL", "0");
        command.args(["--server", &servers.pebble.directory(), "--email", "a@bench.test", "--accept-tos"]);
        command.arg("--path").arg(servers.scratch.join("lego")).args(["--dns", "rfc2136", "--dns.disable-cp"]);
        command.args(["--dns.resolvers", &servers.resolver.addr().to_string(), "-d", &format!("n{i}.{ZONE}"), "run"]);
        command
    };
    (0..count).map(one).collect()
}

fn certbot(servers: &Servers, count: usize) -> Vec<Command> {
    let credentials = format!(
        "dns_rfc2136_server = {}\ndns_rfc2136_port = {}\ndns_rfc2136_name = {}\ndns_rfc2136_secret = {}\ndns_rfc2136_algorithm = HMAC-SHA256\n",
        servers.dns.addr().ip(),
        servers.dns.addr().port(),
        servers.key.name,
        servers.key.secret
    );
    let credentials = servers.scratch.write("credentials.ini", &credentials);
    output(Command::new("chmod").arg("600").arg(&credentials));
    let folder = |name: &str| servers.scratch.join(&format!("certbot/{name}"));
    let one = |i: usize| {
        let mut command = Command::new(tool("certbot"));
        command.env("REQUESTS_CA_BUNDLE", servers.pebble.ca_file());
        command.args(["certonly", "--non-interactive", "--quiet", "--agree-tos", "-m", "a@bench.test"]);
        command.args([
            "--server",
            &servers.pebble.directory(),
            "--dns-rfc2136",
            "--dns-rfc2136-propagation-seconds",
            "0",
        ]);
        command.arg("--dns-rfc2136-credentials").arg(&credentials).args(["-d", &format!("n{i}.{ZONE}")]);
        command
            .arg("--config-dir")
            .arg(folder("c"))
            .arg("--work-dir")
            .arg(folder("w"))
            .arg("--logs-dir")
            .arg(folder("l"));
        command
    };
    (0..count).map(one).collect()
}

/// Runs the commands one after the other under time(1) and prints a line.
fn measure(name: &str, commands: Commands, count: usize) -> Result<(), String> {
    let servers = Servers::start();
    let commands = commands(&servers, count);
    let (mut peak_kib, started) = (0, Instant::now());
    for command in &commands {
        let report = servers.scratch.join("time");
        let mut timed = Command::new(tool("time"));
        timed.args(["-f", "%M", "-o"]).arg(&report).arg(command.get_program()).args(command.get_args());
        timed.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
        let done = timed.output().map_err(|e| e.to_string())?;
        if !done.status.success() {
            return Err(format!("{name} failed: {}", String::from_utf8_lossy(&done.stderr)));
        }
        let text = std::fs::read_to_string(&report).map_err(|e| e.to_string())?;
        peak_kib = peak_kib.max(text.trim().parse::<u64>().map_err(|e| format!("{text:?}: {e}"))?);
    }
    println!(
        "{name:10} {count:>12} {:>9.2} {:>15} {:>12} {:>10.1}",
        started.elapsed().as_secs_f64(),
        servers.pebble.requests(),
        servers.dns.updates(),
        peak_kib as f64 / 1024.0
    );
    Ok(())
}

fn main() -> ExitCode {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let octets = std::fs::metadata(static_binary(true)).map_or(0, |m| m.len());
    println!("static binary of notariat: {octets} octets ({:.2} MiB)\n", octets as f64 / 1_048_576.0);
    println!(
        "{:10} {:>12} {:>9} {:>15} {:>12} {:>10}",
        "program", "certificates", "seconds", "HTTP requests", "UPDATEs", "peak MiB"
    );
    let programs: [(&str, Commands); 3] = [("notariat", notariat), ("lego", lego), ("certbot", certbot)];
    for (name, commands) in programs.into_iter().filter(|(name, _)| only.is_empty() || only.iter().any(|o| o == name)) {
        for count in [1, 20] {
            if let Err(e) = measure(name, commands, count) {
                eprintln!("bench: {e}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
