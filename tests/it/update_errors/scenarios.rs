//! The scenarios of the tests one level up: servers that refuse for one reason each, and what is said of it.

use std::process::Command;

use notariat_lab::tools::{tool, try_output};
use notariat_lab::{Grant, Key, NameServer, Scratch, Software, Zone};

/// The parts of the sentence (`<key>` stands for that of the scenario), and the words of nsupdate and knsupdate.
pub type Words = Option<(&'static [&'static str], &'static str, &'static str)>;

const GRANTS: [&str; 3] = [
    "BIND: `grant <key> name <owner>. TXT;` in the zone's update-policy",
    "an acl with `key: <key>`, `action: update`, `update-type: [TXT]`",
    "PowerDNS: `pdnsutil add-meta <zone> TSIG-ALLOW-DNSUPDATE <key>`",
];
const KNOWN: &str =
    "• BIND: `key <key> { algorithm <algorithm>; secret …; };` • Knot: `id: <key>` in the section `key`";
const BADKEY: Words = Some((
    &[
        "BADKEY: give the server the key <key> with <algorithm>, or write its name and algorithm into the Secret",
        "it says BADKEY also where it is a secondary, and where the key may not change TXT at <owner>",
        KNOWN,
        GRANTS[1],
    ],
    "NOTAUTH(BADKEY)",
    "BADKEY",
));
const BADSIG: Words = Some((
    &["BADSIG: copy the secret of the key from the server into the Secret; the two differ", KNOWN],
    "NOTAUTH(BADSIG)",
    "BADSIG",
));
const REFUSED: Words = Some((
    &[
        "REFUSED: let the key change TXT at <owner>; the server knows the key and does not allow that",
        "`dnsupdate=yes`, and this address in `allow-dnsupdate-from` or ALLOW-DNSUPDATE-FROM",
        "`rndc thaw <zone>` where the zone is frozen",
        "the zone's name may not be <zone>, or this server a secondary",
        GRANTS[0],
        GRANTS[2],
    ],
    "REFUSED",
    "REFUSED",
));
const UNSIGNED: Words = Some((
    &[
        "PowerDNS says this for an unknown key, a wrong secret or algorithm, and a clock that is more than 5m off",
        KNOWN,
    ],
    "REFUSED",
    "REFUSED",
));
const NOTAUTH: Words = Some((
    &["NOTAUTH: it is not primary for <zone>. Is `dns.zone` right, and is `dns.server` the primary? • By hand"],
    "NOTAUTH",
    "NOTAUTH",
));
const SERVFAIL: Words = Some((
    &[
        "SERVFAIL: the server failed inside (journal, disk, forwarding to its primary; Knot: the folder `database.storage` must exist); its log says more",
    ],
    "SERVFAIL",
    "SERVFAIL",
));
const NOTIMP: Words = Some((
    &["NOTIMP: the server or its backend has no dynamic update (PowerDNS: the bind backend has none)"],
    "NOTIMP",
    "NOTIMPL",
));
/// Nothing is sent to a server that does not answer for the zone at all; what it would say to an UPDATE.
const fn unasked(word: &'static str) -> Words {
    const SAYS: &str = "www.<zone>: <server> says REFUSED for <owner>: is it a server of the zone <zone>?\" attempt";
    Some((&[SAYS], word, word))
}

/// The scenarios: the zone that is named, and what becomes of it on BIND, Knot and PowerDNS; none where it has no such thing.
pub const SCENARIOS: &[(&str, &str, [Words; 3])] = &[
    ("unknown-key", "site.test", [BADKEY, BADKEY, UNSIGNED]),
    ("other-algorithm", "site.test", [BADKEY, BADKEY, UNSIGNED]),
    ("wrong-secret", "site.test", [BADSIG, BADSIG, UNSIGNED]),
    ("key-of-others", "site.test", [REFUSED, BADKEY, REFUSED]),
    ("other-name", "narrow.test", [REFUSED, BADKEY, None]),
    ("other-type", "typed.test", [REFUSED, BADKEY, None]),
    ("no-policy", "fixed.test", [REFUSED, BADKEY, REFUSED]),
    ("no-apex", "www.site.test", [NOTAUTH, NOTAUTH, REFUSED]),
    ("no-zone", "nowhere.test", [unasked("NOTAUTH"), unasked("NOTAUTH"), unasked("REFUSED")]),
    ("secondary", "copied.test", [REFUSED, BADKEY, SERVFAIL]),
    ("read-only", "frozen.test", [REFUSED, SERVFAIL, NOTIMP]),
];

/// The servers of a scenario: one, its secondary, and one that can not write.
pub struct Servers {
    pub main: NameServer,
    pub secondary: Option<NameServer>,
    pub read_only: Option<NameServer>,
    /// The configuration that they read.
    pub files: Scratch,
}

/// A zone with a host.
pub fn zone(name: &str) -> Zone {
    Zone::new(name).line("www A 127.0.0.1")
}

impl Servers {
    /// Lets `key` change what the scenarios say, and `of_others` nothing, though it is known.
    pub fn start(software: Software, key: &Key, of_others: &Key) -> Servers {
        let files = Scratch::new("files");
        let narrow = || zone("narrow.test").grant(Grant::Name(key, "_acme-challenge.other.narrow.test"));
        let granted = |name: &str| zone(name).grant(Grant::Zone(key));
        let setup = || NameServer::setup(software).key(of_others).key(key);
        let main = setup().zone(granted("site.test")).zone(granted("copied.test")).zone(zone("fixed.test"));
        let (main, read_only) = match software {
            Software::Bind => {
                let policy = format!("update-policy {{ grant {} zonesub A; }};", key.name);
                let typed = zone("typed.test").server_line(&policy);
                let main = main.transfer_key(key).zone(narrow()).zone(typed).zone(granted("frozen.test")).start();
                main.control(&["freeze", "frozen.test"]).unwrap();
                (main, None)
            }
            Software::Knot => {
                let acl = format!("acl:\n  - id: a\n    key: {}\n    action: update\n    update-type: [A]", key.name);
                let typed = zone("typed.test").server_line("acl: a");
                let main = main.transfer_key(key).zone(narrow()).option(&acl).zone(typed).start();
                // Its journal needs a directory that it does not make.
                let missing = format!("database:\n  storage: {}", files.join("missing").display());
                (main, Some(setup().option(&missing).zone(granted("frozen.test")).start()))
            }
            Software::PowerDns => {
                let main = main.start();
                // PowerDNS takes copies in this lab by being told so afterwards; their primary is dark.
                let copy = "update domains set type = 'SLAVE', master = '127.0.0.1:1' where name = 'copied.test';";
                try_output(Command::new(tool("sqlite3")).arg(main.directory().join("zones.sqlite3")), copy).unwrap();
                let records = "@ 60 SOA ns1 h 1 3600 1 86400 5\n@ 60 NS ns1\nns1 60 A 127.0.0.1\nwww 60 A 127.0.0.1\n";
                let file = files.write("frozen.zone", &format!("$ORIGIN frozen.test.\n{records}"));
                let zones = format!("zone \"frozen.test\" {{ type master; file \"{}\"; }};\n", file.display());
                let zones = format!("bind-config={}", files.write("zones", &zones).display());
                let options = ["launch=gsqlite3,bind", &zones, "allow-dnsupdate-from=127.0.0.0/8"];
                let read_only = options.iter().fold(setup(), |setup, option| setup.option(option));
                (main, Some(read_only.zone(zone("up.test")).start()))
            }
        };
        let secondary = (software != Software::PowerDns)
            .then(|| NameServer::setup(software).secondary_of(main.addr(), key, &["copied.test"]).start());
        Servers { main, secondary, read_only, files }
    }
}
