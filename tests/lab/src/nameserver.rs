//! A primary or secondary name server: BIND, Knot or PowerDNS behind one handle.
//!
//! The parts that the three have in common are here: how they are set up, started, asked, updated and stopped. Their configuration
//! and the place where each counts its updates are in `bind`, `knot` and `powerdns`. A test that must hold for all of
//! them is a loop over [`Software::ALL`].

mod setup;

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

pub use setup::Setup;

use crate::process::Server;
use crate::tools::{output, tool, try_output};
use crate::{Key, Place, Port, Scratch, bind, knot, powerdns, query};

/// The program of a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Software {
    Bind,
    Knot,
    PowerDns,
}

impl Software {
    /// All three.
    pub const ALL: [Software; 3] = [Software::Bind, Software::Knot, Software::PowerDns];

    /// The name its makers give it.
    pub fn name(self) -> &'static str {
        match self {
            Software::Bind => "BIND",
            Software::Knot => "Knot",
            Software::PowerDns => "PowerDNS",
        }
    }
}

/// A running name server, stopped when dropped.
#[derive(Debug)]
pub struct NameServer {
    // First, because fields are dropped in order: the process ends before its files go.
    process: Server,
    software: Software,
    place: Place,
    clock: i64,
    address: SocketAddr,
    zones: Vec<String>,
    /// BIND writes its counters to one file, so one asks at a time.
    pub(crate) counting: Mutex<()>,
    directory: Scratch,
    _ports: (Option<Port>, Port),
}

impl NameServer {
    /// Starts to describe a server.
    pub fn setup(software: Software) -> Setup {
        Setup::new(software)
    }

    /// Where it listens, UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The program of the server.
    pub fn software(&self) -> Software {
        self.software
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it with SIGTERM.
    pub fn stop(&self) {
        self.process.stop();
    }

    /// Ends it with SIGKILL.
    pub fn kill9(&self) {
        self.process.kill9();
    }

    /// Starts it again after [`NameServer::stop`] or [`NameServer::kill9`]: same address, same data.
    pub fn start_again(&self) {
        self.process.start_again();
        self.wait_until_serving().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The TXT records it holds at a name, sorted; none where the name does not exist.
    pub fn txt(&self, owner: &str) -> Vec<String> {
        query::txt(&self.place, self.address, owner).unwrap_or_else(|error| self.silent(owner, &error))
    }

    /// The serial of a zone.
    pub fn serial(&self, zone: &str) -> u32 {
        query::serial(&self.place, self.address, zone)
            .unwrap_or_else(|error| self.silent(zone, &error))
            .unwrap_or_else(|| panic!("{} does not serve {zone}", self.software.name()))
    }

    /// How many UPDATE requests it received since it was (last) started, refused ones included. PowerDNS does not count
    /// those whose signature it cannot verify.
    pub fn updates(&self) -> u64 {
        match self.software {
            Software::Bind => bind::requests(self, "UPDATE"),
            Software::Knot => knot::updates(self),
            Software::PowerDns => powerdns::updates(self),
        }
    }

    /// How many queries BIND received since it was (last) started.
    pub fn queries(&self) -> u64 {
        bind::requests(self, "QUERY")
    }

    /// Runs its own control program (`rndc`, `knotc`, `pdns_control`), such as `["freeze", "bind.test"]`.
    pub fn control(&self, arguments: &[&str]) -> Result<String, String> {
        let command = match self.software {
            Software::Bind => bind::control(self),
            Software::Knot => knot::control(self),
            Software::PowerDns => powerdns::control(self),
        };
        // rndc and named want to be of one time.
        try_output(at_clock(command, self.clock).args(arguments), "")
    }

    /// Sends it an update with BIND's `nsupdate`, one change a line: `add x.bind.test 60 TXT "v"`. The error is what
    /// `nsupdate` said.
    pub fn nsupdate(&self, key: &Key, zone: &str, changes: &str) -> Result<(), String> {
        let file = key.nsupdate_file(&self.directory);
        self.update(Command::new(tool("nsupdate")).arg("-k").arg(file), zone, changes)
    }

    /// The same with Knot's `knsupdate`.
    pub fn knsupdate(&self, key: &Key, zone: &str, changes: &str) -> Result<(), String> {
        let file = key.knsupdate_file(&self.directory);
        self.update(Command::new(tool("knsupdate")).arg("-k").arg(file), zone, changes)
    }

    fn update(&self, program: &Command, zone: &str, changes: &str) -> Result<(), String> {
        let (ip, port) = (self.address.ip(), self.address.port());
        let script = format!("server {ip} {port}\nzone {zone}.\n{changes}\nsend\n");
        let mut command = self.place.command(program.get_program());
        try_output(command.args(program.get_args()), &script).map(drop)
    }

    /// The directory of its configuration and data.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn wait_until_serving(&self) -> Result<(), String> {
        let mut left = self.zones.clone();
        let what = format!("served {}", left.join(" and "));
        self.process.wait_until(&what, || {
            left.retain(|zone| !query::is_served(&self.place, self.address, zone));
            left.is_empty()
        })
    }

    fn silent(&self, name: &str, error: &std::io::Error) -> ! {
        panic!("{} at {} does not answer for {name}: {error}", self.software.name(), self.address)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if self.clock != 0 {
            self.process.stop();
            // PowerDNS ends without a chance for faketime's library to remove what it made.
            for kind in ["faketime_shm", "sem.faketime_sem"] {
                fs::remove_file(format!("/dev/shm/{kind}_{}", self.pid())).ok();
            }
        }
    }
}

/// The address behind what a caller may write instead of one.
pub(crate) fn one_address(address: impl ToSocketAddrs) -> SocketAddr {
    let mut addresses = address.to_socket_addrs().expect("an address is written as ip:port or [ip]:port");
    addresses.next().expect("an address given as a value is one address")
}

/// The command with another time of day, so many seconds from the machine's; its waits stay as long as they are. `faketime`
/// itself stays as the parent of what it starts, which must be us, so its library is loaded without it: by `env`, for what is
/// on the way to the program must not load it. The C library follows because the one that `named` has its memory from asks for
/// the time while it starts, and must not be needed to answer that.
fn at_clock(command: Command, seconds: i64) -> Command {
    if seconds == 0 {
        return command;
    }
    let library = output(Command::new(tool("faketime")).args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]));
    let mut shifted = Command::new("env");
    shifted.args([format!("LD_PRELOAD={} libc.so.6", library.trim()), format!("FAKETIME={seconds:+}")]);
    shifted.arg("FAKETIME_DONT_FAKE_MONOTONIC=1").arg(command.get_program()).args(command.get_args());
    shifted
}
