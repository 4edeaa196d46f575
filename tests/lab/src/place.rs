//! Where servers run: on the machine's loopback, or in a network namespace of their own.
//!
//! In a namespace all of 127.0.0.0/8 and every port is free, so name servers can listen where the world expects them:
//! port 53. Nothing outside reaches in, so whoever has to talk to them is started through [`Place::command`] as well.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::at_exit;
use crate::tools::{output, tool};

/// Where a server or another program runs.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// The machine as it is.
    #[default]
    Host,
    /// A network namespace; it lives as long as the last server in it.
    Namespace(Arc<NetNs>),
}

impl Place {
    /// A namespace of its own for the servers that are given this place (or clones of it). Needs root.
    pub fn new_namespace() -> Place {
        Place::Namespace(Arc::new(NetNs::new()))
    }

    /// A command that runs the program here. The process is the program itself: `ip netns exec` replaces itself.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Place::Host => Command::new(program),
            Place::Namespace(namespace) => {
                let mut command = Command::new(tool("ip"));
                command.args(["netns", "exec", namespace.name()]).arg(program);
                command
            }
        }
    }

    /// Makes the address one that BIND is willing to listen at: it takes only those that an interface has, and the
    /// loopback interface has 127.0.0.1 alone, although the kernel answers for all of 127.0.0.0/8.
    pub(crate) fn add_address(&self, ip: IpAddr) {
        if let Place::Namespace(namespace) = self {
            let length = if ip.is_ipv4() { 32 } else { 128 };
            let address = format!("{ip}/{length}");
            namespace.ip(&["address", "replace", &address, "dev", "lo"]);
        }
    }
}

/// A network namespace with nothing but a loopback interface, deleted when dropped.
#[derive(Debug)]
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// Makes one. Needs root.
    #[expect(clippy::new_without_default, reason = "a namespace is a thing of the machine, it has no default")]
    pub fn new() -> NetNs {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("notariat-{}-{number}", process::id());
        let ip = tool("ip");
        at_exit::run(&format!("{} netns delete {name}", ip.display()));
        output(Command::new(ip).args(["netns", "add", &name]));
        let namespace = NetNs { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file, for `nsenter --net=`.
    pub fn file(&self) -> std::path::PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    fn ip(&self, arguments: &[&str]) {
        output(Command::new(tool("ip")).args(["-n", &self.name]).args(arguments));
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        // The shell that waits for our end deletes it if this does not.
        Command::new(tool("ip")).args(["netns", "delete", &self.name]).output().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_a_loopback_of_its_own_and_goes_with_its_value() {
        let place = Place::new_namespace();
        let Place::Namespace(namespace) = &place else { panic!("asked for a namespace") };
        let file = namespace.file();
        let addresses = output(place.command("ip").args(["-brief", "address"]));
        assert!(addresses.starts_with("lo ") && addresses.lines().count() == 1, "{addresses}");
        drop(place);
        assert!(!file.exists());
    }
}
