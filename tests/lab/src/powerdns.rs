//! PowerDNS with an SQLite database: its settings, its zones, and its count of updates.
//!
//! It knows no limits by name or type (without Lua), so a grant is always for the whole zone. And a zone without a key
//! in its metadata takes *unsigned* updates from each allowed address: hence no address is allowed where nothing is
//! granted.

use std::net::SocketAddr;
use std::process::Command;

use crate::nameserver::{NameServer, Setup};
use crate::tools::{output, tool, try_output};
use crate::{Place, Scratch, Zone};

/// Where Debian's package keeps the tables of a new database.
const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";

/// Writes settings and database and gives the command that starts it.
pub(crate) fn configure(setup: &Setup, directory: &Scratch, address: SocketAddr) -> Command {
    assert!(setup.followed.is_empty(), "PowerDNS is a primary only in this lab");
    assert!(!setup.grants_single_names(), "PowerDNS cannot grant a single name: use Grant::Zone");
    let (path, options) = (directory.path().display(), setup.options.join("\n"));
    // Every cache is off, so that an answer shows what the database holds now.
    let settings = format!(
        "launch=gsqlite3
gsqlite3-database={path}/zones.sqlite3
gsqlite3-dnssec=yes
local-address={ip}
local-port={port}
socket-dir={path}
config-dir={path}
daemon=no
guardian=no
setuid=
setgid=
primary=yes
only-notify=
allow-axfr-ips=127.0.0.0/8,::1
dnsupdate=yes
allow-dnsupdate-from=
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
loglevel=6
log-dns-queries=yes
log-dns-details=yes
security-poll-suffix=
version-string=anonymous
{options}
",
        ip = address.ip(),
        port = address.port()
    );
    directory.write("pdns.conf", &settings);
    fill_database(setup, directory, address);
    let mut command = setup.place.command(tool("pdns_server"));
    command.arg(format!("--config-dir={path}"));
    command
}

/// Its own counter of UPDATE messages. One with a bad signature is thrown away before its opcode is looked at.
pub(crate) fn updates(server: &NameServer) -> u64 {
    let text = server.control(&["show", "dnsupdate-queries"]).expect("pdns_control reaches a running server");
    text.trim().parse().expect("a counter is a number")
}

/// `pdns_control` with the control socket of this server.
pub(crate) fn control(server: &NameServer) -> Command {
    let mut command = Command::new(tool("pdns_control"));
    command.arg(format!("--config-dir={}", server.directory().display()));
    command
}

fn fill_database(setup: &Setup, directory: &Scratch, address: SocketAddr) {
    let sql = |script: &str| {
        let database = directory.join("zones.sqlite3");
        try_output(Command::new(tool("sqlite3")).arg("-bail").arg(database), script)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    sql(&format!(".read {SCHEMA}\n"));
    let mut rows = String::new();
    for key in setup.all_keys() {
        let algorithm = key.algorithm.name();
        rows += &format!(
            "insert into tsigkeys (name, algorithm, secret) values ('{}', '{algorithm}', '{}');\n",
            key.name, key.secret
        );
    }
    for zone in &setup.zones {
        let file = directory.write(&format!("{}.zone", zone.name), &zone.file(address.ip()));
        let configuration = format!("--config-dir={}", directory.path().display());
        output(Place::Host.command(tool("pdnsutil")).args([&configuration, "load-zone", &zone.name]).arg(file));
        rows += &zone_rows(setup, zone);
    }
    sql(&format!("begin;\n{rows}commit;\n"));
}

fn zone_rows(setup: &Setup, zone: &Zone) -> String {
    let name = &zone.name;
    let mut rows = format!("update domains set type = 'MASTER' where name = '{name}';\n");
    let mut metadata = |kind: &str, content: &str| {
        rows += &format!(
            "insert into domainmetadata (domain_id, kind, content) select id, '{kind}', '{content}' from domains where name = '{name}';\n"
        );
    };
    // Without this the first update makes a date of the serial.
    metadata("SOA-EDIT-DNSUPDATE", "INCREASE");
    metadata("NOTIFY-DNSUPDATE", "1");
    if !zone.grants.is_empty() {
        metadata("ALLOW-DNSUPDATE-FROM", "127.0.0.0/8");
        metadata("ALLOW-DNSUPDATE-FROM", "::1/128");
    }
    for (key, _) in &zone.grants {
        metadata("TSIG-ALLOW-DNSUPDATE", &key.name);
    }
    if let Some(key) = &setup.transfer_key {
        metadata("TSIG-ALLOW-AXFR", &key.name);
        metadata("AXFR-MASTER-TSIG", &key.name);
    }
    for secondary in &setup.also_notify {
        metadata("ALSO-NOTIFY", &secondary.to_string());
    }
    for line in &zone.server_lines {
        let (kind, content) = line.split_once(' ').expect("a PowerDNS zone line is a metadata kind and its content");
        metadata(kind, content);
    }
    rows
}
