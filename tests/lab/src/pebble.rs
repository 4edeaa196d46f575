//! Pebble, the ACME CA that Let's Encrypt makes for tests.
//!
//! It is friendly here where its own defaults are not: no pauses, no rejected nonces, no reuse of authorizations, no
//! Retry-After, one profile. Each of these is switched on by the test that is about it.

mod setup;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

pub use setup::Setup;

use crate::process::Server;
use crate::tools::{output, tool, try_output};
use crate::{Place, Port, Scratch};

/// A running Pebble, stopped when dropped.
#[derive(Debug)]
pub struct Pebble {
    process: Server,
    place: Place,
    address: SocketAddr,
    management: SocketAddr,
    ca_file: PathBuf,
    _directory: Scratch,
    _ports: (Option<Port>, Port),
}

impl Pebble {
    /// Starts to describe a CA.
    pub fn setup() -> Setup {
        Setup::new()
    }

    /// The URL of its directory.
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address)
    }

    /// Where ACME is served.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The certificate to trust when talking to it (not what it issues from: that is [`Pebble::root_pem`]). Valid for
    /// `localhost` and `acme.lab`, too.
    pub fn ca_file(&self) -> PathBuf {
        self.ca_file.clone()
    }

    /// The base URL of its management interface.
    pub fn management(&self) -> String {
        format!("https://{}", self.management)
    }

    /// The root it issues from, as PEM; a new one after each start.
    pub fn root_pem(&self) -> String {
        self.alternate_root_pem(0)
    }

    /// One of its roots: 0 is the usual one, the alternate ones follow.
    pub fn alternate_root_pem(&self, number: u32) -> String {
        let url = format!("{}/roots/{number}", self.management());
        output(self.curl().arg(url))
    }

    /// Sets what it answers from now on when it is asked for the renewal information of a certificate: any text, for a client must
    /// bear any.
    pub fn set_renewal_info(&self, certificate_pem: &str, answer: &str) {
        let body = format!("{{\"Certificate\": {certificate_pem:?}, \"ARIResponse\": {answer:?}}}");
        output(self.curl().args(["--data-binary", &body]).arg(format!("{}/set-renewal-info/", self.management())));
    }

    /// The status of a certificate by its serial number in hexadecimal: `Valid` or `Revoked`.
    pub fn certificate_status(&self, serial: &str) -> String {
        let told = output(self.curl().arg(format!("{}/cert-status-by-serial/{serial}", self.management())));
        let status = told.split("\"Status\":").nth(1).and_then(|rest| rest.split('"').nth(1));
        status.unwrap_or_else(|| panic!("no status of {serial}: {told}")).to_owned()
    }

    /// How many ACME requests it handled since it was created, restarts included, our own left out.
    pub fn requests(&self) -> u64 {
        self.request_lines().len() as u64
    }

    /// The requests by method and path (`POST /order-plz`), oldest first.
    ///
    /// Our own are the first `GET /dir` after each start; nothing else can come before it.
    pub fn request_lines(&self) -> Vec<String> {
        let mut own = false;
        let mut lines = Vec::new();
        for line in self.process.log().lines() {
            // Printed last of all, when it is about to listen.
            own |= line.contains("ACME directory available at");
            let Some(request) = request(line) else {
                continue;
            };
            if !(own && request == "GET /dir") {
                lines.push(request);
            }
            own = false;
        }
        lines
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Ends it with SIGTERM.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// Ends it with SIGKILL.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Starts it again after [`Pebble::stop`] or [`Pebble::kill9`], at the same address: it has forgotten accounts, orders and its own
    /// roots.
    pub fn start_again(&self) {
        self.process.start_again();
        self.wait_until_answering().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Ends it if it runs, and starts it again.
    pub fn restart(&self) {
        self.process.stop();
        self.start_again();
    }

    fn wait_until_answering(&self) -> Result<(), String> {
        self.process.wait_until("answered", || try_output(self.curl().arg(self.directory()), "").is_ok())
    }

    fn curl(&self) -> Command {
        let mut command = self.place.command(tool("curl"));
        command.args(["--silent", "--show-error", "--fail", "--max-time", "5", "--cacert"]).arg(&self.ca_file);
        command
    }
}

/// The method and path in a line of the log, such as `Pebble 2026/11/22 14:48:04 GET /dir -> calling handler()`.
fn request(line: &str) -> Option<String> {
    let words: Vec<&str> = line.strip_suffix(" -> calling handler()")?.split(' ').collect();
    Some(words[words.len().checked_sub(2)?..].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_the_log_by_method_and_path() {
        let line = "Pebble 2026/11/22 14:48:04 HEAD /nonce-plz -> calling handler()";
        assert_eq!(request(line).unwrap(), "HEAD /nonce-plz");
        assert_eq!(request("Pebble 2026/11/22 14:48:02 Listening on: 127.0.0.1:24100"), None);
    }
}
