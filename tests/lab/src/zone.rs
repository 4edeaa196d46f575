//! A zone of a server and who may change it, before it is written in the words of a particular server.

use std::net::IpAddr;

use crate::Key;

/// The rights of a key in a zone.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// TXT records anywhere in the zone.
    Zone(&'a Key),
    /// TXT records at one name. PowerDNS cannot say this.
    Name(&'a Key, &'a str),
    /// Every type anywhere, for tests that need a CNAME in the way.
    Any(&'a Key),
}

/// The reach of a [`Grant`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Texts,
    TextsAt(String),
    Everything,
}

/// A zone: its apex records are made from the name and the server's address, the rest are lines of a zone file.
#[derive(Clone, Debug)]
pub struct Zone {
    pub(crate) name: String,
    pub(crate) grants: Vec<(Key, Reach)>,
    pub(crate) server_lines: Vec<String>,
    pub(crate) view: Option<String>,
    lines: Vec<String>,
    name_servers: Vec<(String, Option<IpAddr>)>,
    primary: Option<String>,
    minimum: u32,
}

impl Zone {
    /// An empty zone: SOA, one name server `ns1.<zone>` at the server's own address, and nobody may change it.
    pub fn new(name: &str) -> Zone {
        Zone {
            name: without_dot(name),
            grants: Vec::new(),
            server_lines: Vec::new(),
            view: None,
            lines: Vec::new(),
            name_servers: Vec::new(),
            primary: None,
            minimum: 5,
        }
    }

    /// Lets a key change the zone.
    pub fn grant(mut self, grant: Grant<'_>) -> Zone {
        let (key, reach) = match grant {
            Grant::Zone(key) => (key, Reach::Texts),
            Grant::Name(key, owner) => (key, Reach::TextsAt(without_dot(owner))),
            Grant::Any(key) => (key, Reach::Everything),
        };
        self.grants.push((key.clone(), reach));
        self
    }

    /// A line of the zone file, such as `www A 192.0.2.1`; names without a dot at the end are inside the zone.
    pub fn line(mut self, line: &str) -> Zone {
        self.lines.push(line.to_owned());
        self
    }

    /// A name server; the first one replaces the default. An address makes an address record of that name.
    pub fn name_server(mut self, name: &str, address: impl Into<Option<IpAddr>>) -> Zone {
        self.name_servers.push((without_dot(name), address.into()));
        self
    }

    /// The SOA's MNAME, in place of `ns1.<zone>`.
    pub fn primary(mut self, name: &str) -> Zone {
        self.primary = Some(without_dot(name));
        self
    }

    /// The SOA's last field, in place of 5: for how many seconds resolvers remember that a name does not exist.
    pub fn negative_ttl(mut self, seconds: u32) -> Zone {
        self.minimum = seconds;
        self
    }

    /// A line for this zone in the server's own configuration. PowerDNS keeps such things in its database, so there it
    /// is the kind and the content of a metadata entry.
    pub fn server_line(mut self, line: &str) -> Zone {
        self.server_lines.push(line.to_owned());
        self
    }

    /// Shows it in one view of BIND only (see `Setup::view`).
    pub fn in_view(mut self, view: &str) -> Zone {
        self.view = Some(view.to_owned());
        self
    }

    /// The zone file of a server at that address.
    pub(crate) fn file(&self, server: IpAddr) -> String {
        let zone = &self.name;
        let default = [(format!("ns1.{zone}"), Some(server))];
        let name_servers = if self.name_servers.is_empty() { &default[..] } else { &self.name_servers };
        let primary = self.primary.clone().unwrap_or_else(|| format!("ns1.{zone}"));
        // A short retry, so that a secondary that came up before its primary does not wait for minutes.
        let mut text =
            format!("$ORIGIN {zone}.\n$TTL 60\n@ SOA {primary}. hostmaster.{zone}. 1 3600 1 86400 {}\n", self.minimum);
        for (name, address) in name_servers {
            text += &format!("@ NS {name}.\n");
            if let Some(address) = address {
                text += &format!("{name}. {} {address}\n", if address.is_ipv4() { "A" } else { "AAAA" });
            }
        }
        for line in &self.lines {
            text += &format!("{line}\n");
        }
        text
    }
}

/// Names are kept without the dot at the end, and it is added where they are written.
pub(crate) fn without_dot(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_settings_names_the_server_itself() {
        let text = Zone::new("bind.test.").line("www A 192.0.2.1").file("127.0.0.1".parse().unwrap());
        let expected = "$ORIGIN bind.test.\n$TTL 60\n@ SOA ns1.bind.test. hostmaster.bind.test. 1 3600 1 86400 5\n\
                        @ NS ns1.bind.test.\nns1.bind.test. A 127.0.0.1\nwww A 192.0.2.1\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn name_servers_of_their_own_replace_the_default() {
        let loopback: IpAddr = "::1".parse().unwrap();
        let zone = Zone::new("bind.test").primary("hidden.example").name_server("a.bind.test", loopback);
        let text = zone.name_server("b.example.", None).file(loopback);
        assert!(text.contains("@ SOA hidden.example. "), "{text}");
        assert!(text.contains("@ NS a.bind.test.\na.bind.test. AAAA ::1\n@ NS b.example.\n"), "{text}");
        assert!(!text.contains("ns1."), "{text}");
    }
}
