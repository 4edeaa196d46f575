//! BIND: its configuration, and its count of updates.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::PoisonError;

use crate::nameserver::{NameServer, Setup};
use crate::tools::tool;
use crate::zone::Reach;
use crate::{Hmac, Key, Port, Scratch, Zone};

/// Writes the configuration of a primary or secondary and gives the command that starts it.
pub(crate) fn configure(setup: &Setup, directory: &Scratch, address: SocketAddr, control: &Port) -> Command {
    let mut options = vec![
        "recursion no;".to_owned(),
        format!("notify {};", if setup.also_notify.is_empty() { "no" } else { "explicit" }),
        // Secondaries in tests live at addresses of this machine; the default trusts only the primaries' own.
        "allow-notify { 127.0.0.0/8; ::1; };".to_owned(),
        // A secondary that comes up before its primary asks again in a second, not in 500.
        "min-retry-time 1; max-retry-time 1;".to_owned(),
        // Without these a burst of changes is told and fetched at 20 messages a second.
        "notify-rate 1000; startup-notify-rate 1000; serial-query-rate 1000;".to_owned(),
        format!("notify-delay {};", setup.notify_delay_secs),
    ];
    if let Some(key) = &setup.transfer_key {
        options.push(format!("allow-transfer {{ key \"{}\"; }};", key.name));
        let secondaries: String = setup.also_notify.iter().map(|to| target(*to, key)).collect();
        options.push(format!("also-notify {{ {secondaries}}};"));
    }
    options.extend(setup.options.iter().cloned());
    let mut text = server_clauses(directory, address, control, &options);
    text.extend(setup.all_keys().into_iter().map(Key::bind_clause));
    text.extend(
        setup.zones.iter().filter(|zone| zone.view.is_none()).map(|zone| zone_clause(zone, directory, address)),
    );
    for (view, clients) in &setup.views {
        let zones = setup.zones.iter().filter(|zone| zone.view.as_ref() == Some(view));
        let zones: String = zones.map(|zone| zone_clause(zone, directory, address)).collect();
        text += &format!("view \"{view}\" {{ match-clients {{ {clients} }};\n{zones}}};\n");
    }
    for followed in &setup.followed {
        let primary = target(followed.primary, &followed.key);
        for zone in &followed.zones {
            text +=
                &format!("zone \"{zone}\" {{ type secondary; file \"{zone}.copy\"; primaries {{ {primary}}}; }};\n");
        }
    }
    let file = directory.write("named.conf", &text);
    let mut command = setup.place.command(tool("named"));
    // In the foreground, as one thread. With -f what goes wrong before it serves, such as a taken port, is told to
    // syslog only.
    command.args(["-g", "-n", "1", "-c"]).arg(file);
    command
}

fn zone_clause(zone: &Zone, directory: &Scratch, address: SocketAddr) -> String {
    let name = &zone.name;
    // The same zone may be in several views.
    let file = format!("{}{name}.zone", zone.view.as_deref().unwrap_or_default());
    directory.write(&file, &zone.file(address.ip()));
    let mut text = format!("zone \"{name}\" {{ type primary; file \"{file}\";\n");
    if !zone.grants.is_empty() {
        let grants: String = zone.grants.iter().map(|(key, reach)| grant(key, reach)).collect();
        text += &format!("  update-policy {{\n{grants}  }};\n");
    }
    text + &format!("  {}\n}};\n", zone.server_lines.join("\n  "))
}

/// How `named` counts: by opcode, as soon as a message is read, whatever becomes of it.
pub(crate) fn requests(server: &NameServer, opcode: &str) -> u64 {
    let _one_at_a_time = server.counting.lock().unwrap_or_else(PoisonError::into_inner);
    let file = server.directory().join("statistics");
    // rndc appends to it.
    fs::remove_file(&file).ok();
    server.control(&["stats"]).expect("rndc reaches a running named");
    let text = fs::read_to_string(&file).expect("named writes its statistics before rndc returns");
    let requests = text.lines().skip_while(|line| !line.starts_with("++ Incoming Requests")).skip(1);
    let counters = requests.take_while(|line| !line.starts_with("++"));
    let of_opcode = |line: &str| line.trim().strip_suffix(opcode)?.strip_suffix(' ')?.trim().parse().ok();
    // A counter that is zero is left out.
    counters.filter_map(of_opcode).next().unwrap_or(0)
}

/// `rndc` with the key and port of this server.
pub(crate) fn control(server: &NameServer) -> Command {
    let mut command = server.place().command(tool("rndc"));
    command.arg("-c").arg(server.directory().join("rndc.conf"));
    command
}

/// A place for its files, one address, and a control channel, with the file `rndc` needs for it.
fn server_clauses(directory: &Scratch, address: SocketAddr, control: &Port, options: &[String]) -> String {
    let key = Key::new("rndc", Hmac::Sha256);
    let (ip, port, path) = (address.ip(), address.port(), directory.path().display());
    let (v4, v6) = if ip.is_ipv4() { (format!("{ip};"), "none;".into()) } else { ("none;".into(), format!("{ip};")) };
    let (key_clause, control_port) = (key.bind_clause(), control.number());
    let rndc =
        format!("{key_clause}options {{ default-key \"rndc\"; default-server {ip}; default-port {control_port}; }};\n");
    directory.write("rndc.conf", &rndc);
    let options = options.join("\n  ");
    format!(
        "{key_clause}\
         controls {{ inet {ip} port {control_port} allow {{ any; }} keys {{ \"rndc\"; }}; }};
options {{
  directory \"{path}\"; pid-file \"named.pid\"; session-keyfile \"session.key\"; lock-file none;
  statistics-file \"statistics\";
  listen-on port {port} {{ {v4} }}; listen-on-v6 port {port} {{ {v6} }};
  dnssec-validation no; minimal-responses yes; querylog yes;
  {options}
}};
"
    )
}

fn grant(key: &Key, reach: &Reach) -> String {
    let what = match reach {
        Reach::Texts => "zonesub TXT".to_owned(),
        Reach::TextsAt(owner) => format!("name {owner}. TXT"),
        Reach::Everything => "zonesub ANY".to_owned(),
    };
    format!("    grant \"{}\" {what};\n", key.name)
}

/// Another server, and the key to talk to it with.
fn target(address: SocketAddr, key: &Key) -> String {
    format!("{} port {} key \"{}\"; ", address.ip(), address.port(), key.name)
}
