//! Knot DNS: its configuration, and its count of updates.

use std::net::SocketAddr;
use std::process::Command;

use crate::nameserver::{NameServer, Setup};
use crate::tools::tool;
use crate::zone::Reach;
use crate::{Key, Scratch};

/// Writes the configuration of a primary or secondary and gives the command that starts it.
pub(crate) fn configure(setup: &Setup, directory: &Scratch, address: SocketAddr) -> Command {
    // knotd does not make this directory, and without it answers SERVFAIL to each update.
    directory.directory("db");
    let mut text = server_sections(directory, address);
    text += "key:\n";
    text.extend(setup.all_keys().into_iter().map(Key::knot_clause));
    text += &remotes(setup);
    text += &acls(setup);
    // What an option is about, Knot says by its section, so options are whole sections; a section may come twice.
    text.extend(setup.options.iter().map(|section| format!("{section}\n")));
    text += &templates(directory);
    text += "zone:\n";
    for (number, zone) in setup.zones.iter().enumerate() {
        let name = &zone.name;
        directory.write(&format!("{name}.zone"), &zone.file(address.ip()));
        let mut acl: Vec<String> = (0..zone.grants.len()).map(|grant| format!("update-{number}-{grant}")).collect();
        acl.extend(setup.transfer_key.iter().map(|_| "transfer".to_owned()));
        let notify: Vec<String> = (0..setup.also_notify.len()).map(|number| format!("secondary-{number}")).collect();
        text += &format!("  - domain: {name}\n");
        // An empty list is an error in Knot's eyes.
        for (item, names) in [("acl", acl), ("notify", notify)].into_iter().filter(|(_, names)| !names.is_empty()) {
            text += &format!("    {item}: [{}]\n", names.join(", "));
        }
        text.extend(zone.server_lines.iter().map(|line| format!("    {line}\n")));
    }
    for (number, followed) in setup.followed.iter().enumerate() {
        for zone in &followed.zones {
            text += &format!("  - domain: {zone}\n    master: primary-{number}\n    acl: notify-{number}\n");
        }
    }
    let file = directory.write("knot.conf", &text);
    let mut command = setup.place.command(tool("knotd"));
    command.arg("-c").arg(file);
    command
}

/// mod-stats counts every message the server accepts, by kind; `knotc` shows the counters that are not zero.
pub(crate) fn updates(server: &NameServer) -> u64 {
    let text = server.control(&["stats", "mod-stats.server-operation"]).expect("knotc reaches a running knotd");
    let count = text.lines().find_map(|line| line.strip_prefix("mod-stats.server-operation[update] = "));
    count.map_or(0, |count| count.trim().parse().expect("a counter is a number"))
}

/// `knotc` with the configuration, and so the control socket, of this server.
pub(crate) fn control(server: &NameServer) -> Command {
    // The socket is a file: it is reached from every network namespace.
    let mut command = Command::new(tool("knotc"));
    command.arg("-c").arg(server.directory().join("knot.conf"));
    command
}

fn server_sections(directory: &Scratch, address: SocketAddr) -> String {
    let path = directory.path().display();
    format!(
        "server:
    listen: {}@{}
    rundir: \"{path}\"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 2
log:
  - target: stderr
    any: debug
database:
    storage: \"{path}/db\"
mod-stats:
  - id: all
    server-operation: on
",
        address.ip(),
        address.port()
    )
}

fn templates(directory: &Scratch) -> String {
    // zonefile-sync -1: changes go to the journal alone, and the file stays as a test wrote it.
    format!(
        "template:
  - id: default
    storage: \"{}\"
    file: \"%s.zone\"
    zonefile-sync: -1
    serial-policy: increment
    global-module: mod-stats/all
",
        directory.path().display()
    )
}

fn remotes(setup: &Setup) -> String {
    let mut text = String::new();
    let mut remote = |id: String, address: SocketAddr, key: &str| {
        let (ip, port) = (address.ip(), address.port());
        text += &format!("  - id: {id}\n    address: {ip}@{port}\n    key: {key}\n");
    };
    for (number, followed) in setup.followed.iter().enumerate() {
        remote(format!("primary-{number}"), followed.primary, &followed.key.name);
    }
    for (number, secondary) in setup.also_notify.iter().enumerate() {
        let key = setup.transfer_key.as_ref().expect("Setup::start has seen to it");
        remote(format!("secondary-{number}"), *secondary, &key.name);
    }
    section("remote", text)
}

fn acls(setup: &Setup) -> String {
    let mut text = String::new();
    let mut acl = |id: String, key: &Key, action: &str, rest: &str| {
        text += &format!("  - id: {id}\n    key: {}\n    action: {action}\n{rest}", key.name);
    };
    for (number, zone) in setup.zones.iter().enumerate() {
        for (grant, (key, reach)) in zone.grants.iter().enumerate() {
            acl(format!("update-{number}-{grant}"), key, "update", &limits(reach));
        }
    }
    if let Some(key) = &setup.transfer_key {
        acl("transfer".into(), key, "transfer", "");
    }
    for (number, followed) in setup.followed.iter().enumerate() {
        acl(format!("notify-{number}"), &followed.key, "notify", "");
    }
    section("acl", text)
}

fn limits(reach: &Reach) -> String {
    const TEXTS: &str = "    update-type: [TXT]\n";
    match reach {
        Reach::Texts => TEXTS.to_owned(),
        Reach::TextsAt(owner) => {
            format!("{TEXTS}    update-owner: name\n    update-owner-match: equal\n    update-owner-name: [{owner}.]\n")
        }
        Reach::Everything => String::new(),
    }
}

/// An empty section is an error, too.
fn section(name: &str, items: String) -> String {
    if items.is_empty() { items } else { format!("{name}:\n{items}") }
}
