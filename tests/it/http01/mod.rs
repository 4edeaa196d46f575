//! HTTP-01 on real parts: Pebble as the CA, BIND, nginx, HAProxy and Caddy in front of the responder, in a network namespace where port 80 is free.
//!
//! | what may happen | test |
//! |---|---|
//! | Pebble asks the responder, within `2d + 5` requests | `names::a_name_is_proved_by_the_responder_without_a_key_and_within_the_budget` |
//! | requests are spread over two replicas; the leader is killed | `replicas`; killed before each request: `steps::killed_before_*` |
//! | the leader is killed before and after it asks the CA; a replica does not see the records | `replicas::killed_*`, `replicas::a_replica_without_*` |
//! | ways are mixed in one certificate, and zones choose | `names::one_certificate_mixes_the_ways_and_a_wildcard_is_proved_by_dns` |
//! | entry, longest zone, issuer and defaults decide | `precedence` |
//! | an Ingress of kube-lego, with and without a key | `kube_lego` |
//! | a wildcard has no way by DNS | `names::without_a_responder_or_without_a_key_nothing_is_ordered_and_it_says_why` |
//! | a redirect to https, where nobody is or with any certificate | `fronts::a_redirect_to_https_is_followed_as_a_ca_follows_it` |
//! | nginx: a regular expression wins, a login, `deny`, other pages, circles, other hosts | `fronts::an_nginx_without_a_route_or_with_a_rule_that_wins_is_told_apart` |
//! | another host, circles, ten redirects, a host that swallowed the path, HTML, empty pages | `redirects` |
//! | the AAAA is right, wrong, dead | `fronts::each_address_of_a_name_*`, `names::a_name_without_a_usable_address_*` |
//! | no connection from inside, the PROXY protocol, `via` | `fronts::what_can_not_be_tested_from_inside_is_left_to_the_ca_and_said_once` |
//! | nobody answers the program, and somebody the CA | `outside` |
//! | no address; an address of the inside | `names::a_name_without_a_usable_address_*`, the unit tests of `self_test.rs`, `fronts::a_redirect_leads_*` |
//! | a stranger's hosts and paths | `steps::a_stranger_gets_404_without_a_body_whatever_the_octets`, the unit tests of `server/challenge_port.rs` |
//! | 500 connections that never ask | `fronts::a_flood_of_connections_that_never_ask_keeps_no_ca_waiting` |
//! | the CA finds nothing: waits, four times in an hour; two accounts at once | `failures` |
//! | the Role of deploy/ is enough, and the printed one; nothing is asked about Ingresses | `replicas`, `rights` |
//! | requests to the CA and to the API server, as many as with DNS-01 | `budget` |
//! | a folder of a web server, left by a crash | `names::files_of_a_web_server_are_written_and_removed_also_after_a_crash` |
//! | the CA refuses as Pebble does not; it saw another client | `steps::the_words_of_a_ca_*`, `fronts::what_a_ca_saw_*` |
//! | the path of each name, asked by `check` | `checked` |
//! | an answer after 12 s | `fronts::an_answer_that_takes_longer_than_the_self_test_is_left_to_the_ca` |
//! | the snippets and the sentences of docs/http-01.md | `page`; `fronts` runs the snippets as they stand there |
//! | Caddy in front | `fronts::a_caddy_leads_the_path_by_one_handle` |

mod budget;
mod checked;
mod failures;
mod fronts;
mod kube_lego;
mod names;
mod outside;
mod page;
mod precedence;
mod redirects;
mod replicas;
mod rights;
mod steps;

use std::process::Command;

use notariat_lab::process::Server;
use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Place, Resolver, Scratch, Software, Zone};

use crate::support::{Run, Site};

/// A site in a namespace of its own, where `www.site.test` is at 127.0.0.1 and the responder at port 8089.
struct Web {
    place: Place,
    site: Site,
    front: Option<Server>,
    files: Scratch,
}

/// The responder of the program under test.
const RESPONDER: &str = "127.0.0.1:8089";

impl Web {
    /// Names at addresses of the loopback interface, and others that `lines` of the zone give.
    fn new(lines: &[&str]) -> Web {
        let (place, key) = (Place::new_namespace(), Key::new("notariat.key", Hmac::Sha256));
        let zone = lines.iter().fold(Zone::new("site.test").grant(Grant::Zone(&key)), |zone, line| zone.line(line));
        let zone = ["www A 127.0.0.1", "api A 127.0.0.1", "plain A 127.0.0.1", "notariat-acme A 127.0.0.1"]
            .iter()
            .fold(zone, |zone, line| zone.line(line));
        // As the root says, nobody has a name below `well-known`.
        let empty = Zone::new("well-known");
        let dns =
            NameServer::setup(Software::Bind).place(&place).address("127.0.0.2:53").zone(zone).zone(empty).start();
        let resolver = Resolver::setup().place(&place).forward("site.test", dns.addr());
        let resolver = resolver.forward("well-known", dns.addr()).start();
        let pebble = Pebble::setup().place(&place).dns_server(resolver.addr()).start();
        let site = Site { store: Scratch::new("store"), dns, resolver, pebble, key };
        site.secret("tsigkey", &[("key", &site.key.secret_text())]);
        Web { place, site, front: None, files: Scratch::new("front") }
    }

    /// An entry whose names are proved by HTTP.
    fn entry(&self, secret: &str, domains: &str, http: &str) -> String {
        format!(
            "- {{secret: {secret}, domains: [{domains}], email: admin@site.test, challenge: http-01, http: {{{http}}}}}\n"
        )
    }

    /// The program in the namespace.
    fn command(&self, more: &[&str]) -> Command {
        let inside = self.site.command(more);
        let mut command = self.place.command(inside.get_program());
        command.args(inside.get_args());
        command
    }

    /// One pass with the responder at `address`.
    fn once_at(&self, address: &str) -> Run {
        Run::of(&mut self.command(&["-once", "-http-listen", address]))
    }

    fn once(&self) -> Run {
        self.once_at(RESPONDER)
    }

    /// `check` with these flags.
    fn check(&self, more: &[&str]) -> Run {
        let inside = self.site.command(more);
        let mut command = self.place.command(inside.get_program());
        Run::of(command.arg("check").args(inside.get_args()))
    }

    /// nginx at port 80 and 443 with these `server` blocks.
    fn nginx(&mut self, servers: &str) {
        let pair = [
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "9",
            "-subj",
            "/CN=lab",
        ];
        let (crt, key) = (self.files.join("crt"), self.files.join("key"));
        let made = Command::new("openssl")
            .arg("req")
            .args(pair)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&crt)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let servers = servers.replace(
            "CERTIFICATE",
            &format!("ssl_certificate {}; ssl_certificate_key {};", crt.display(), key.display()),
        );
        self.front("nginx", &nginx(&self.place, &self.files, &servers));
    }

    /// HAProxy with this configuration.
    fn haproxy(&mut self, configuration: &str) {
        let configuration = self.files.write(
            "haproxy.cfg",
            &format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n retries 0\n{configuration}\n"
            ),
        );
        let mut command = self.place.command("haproxy");
        command.args(["-db", "-f"]).arg(configuration);
        self.front("haproxy", &command);
    }

    /// Caddy with this Caddyfile.
    fn caddy(&mut self, configuration: &str) {
        let configuration = self.files.write("Caddyfile", configuration);
        let mut command = self.place.command("caddy");
        command.env("HOME", self.files.path()).args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
        self.front("caddy", &command);
    }

    fn front(&mut self, name: &str, command: &Command) {
        self.front = None;
        let front = Server::start(name, command, &self.files.join("log"));
        let connects = || {
            let mut curl = self.place.command("curl");
            curl.args(["--silent", "--output", "/dev/null", "--max-time", "2", "http://127.0.0.1/"])
                .status()
                .unwrap()
                .success()
        };
        front.wait_until("listens", connects).unwrap_or_else(|e| panic!("{e}: {}", front.log()));
        self.front = Some(front);
    }

    /// How many challenges Pebble began to validate.
    fn validations(&self) -> usize {
        self.site.pebble.log().matches("Attempting to validate").count()
    }
}

/// The command for nginx with these `server` blocks.
fn nginx(place: &Place, files: &Scratch, servers: &str) -> Command {
    let path = files.path().display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
        .concat();
    let configuration = files.write(
        "nginx.conf",
        &format!(
            "daemon off; user root; pid {path}/pid; error_log {path}/error; worker_processes 1;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{servers}\n}}\n"
        ),
    );
    let mut command = place.command("nginx");
    command.arg("-c").arg(configuration).arg("-e").arg(files.join("error"));
    command
}
