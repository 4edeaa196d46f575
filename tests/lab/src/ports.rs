//! Free ports, and what to do when one was not free after all.
//!
//! The numbers lie below the range from which the kernel picks ports for clients, so no client can sit on one by chance.
//! Two test processes must not choose the same: BIND and Knot set `SO_REUSEPORT`, so both would start and each would get
//! a part of the questions. Hence a [`Port`] is claimed by listening on it at an address that nobody else uses; the
//! kernel gives the claim back when the process ends, whatever ends it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use std::time::Duration;

use crate::bytes;
use crate::process::reports_address_in_use;

const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
/// Where a claim listens. Servers of tests use 127.0.0.x.
const CLAIM: Ipv4Addr = Ipv4Addr::new(127, 77, 77, 77);

/// A port free for UDP and TCP at 127.0.0.1 and `::1`, ours while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: TcpListener,
}

impl Port {
    /// Claims a free port.
    #[expect(clippy::new_without_default, reason = "a port is claimed, it has no default")]
    pub fn new() -> Port {
        for _ in 0..1000 {
            let random = bytes::random(2);
            let number = FIRST + u16::from_be_bytes([random[0], random[1]]) % COUNT;
            let Ok(claim) = TcpListener::bind((CLAIM, number)) else {
                continue;
            };
            if is_free(number) {
                return Port { number, _claim: claim };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT - 1);
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Listens on it for connections.
    #[track_caller]
    pub fn listen(&self, ip: impl Into<IpAddr>) -> TcpListener {
        let address = self.at(ip);
        once_free(|| TcpListener::bind(address))
    }

    /// Hears datagrams on it.
    #[track_caller]
    pub fn hear(&self, ip: impl Into<IpAddr>) -> UdpSocket {
        let address = self.at(ip);
        once_free(|| UdpSocket::bind(address))
    }

    /// This port at an address.
    pub fn at(&self, ip: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(ip.into(), self.number)
    }
}

/// The wanted address, where port 0 stands for a free port: that port comes with it, and has to be kept.
pub(crate) fn resolve(wanted: SocketAddr) -> (SocketAddr, Option<Port>) {
    if wanted.port() != 0 {
        return (wanted, None);
    }
    let port = Port::new();
    (port.at(wanted.ip()), Some(port))
}

/// Starts something that listens. A program that knows nothing of claims may have taken a port since it was found free,
/// so that one error is worth another attempt, which chooses new ports; all others panic.
#[track_caller]
pub(crate) fn start_with_free_ports<T>(attempt: impl Fn() -> Result<T, String>) -> T {
    let mut result = attempt();
    for _ in 0..3 {
        match result {
            Err(error) if reports_address_in_use(&error) => result = attempt(),
            _ => break,
        }
    }
    match result {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

fn is_free(number: u16) -> bool {
    let v4 = (Ipv4Addr::LOCALHOST, number);
    let v6 = (Ipv6Addr::LOCALHOST, number);
    let v4_free = UdpSocket::bind(v4).is_ok() && TcpListener::bind(v4).is_ok();
    v4_free && !in_use(UdpSocket::bind(v6)) && !in_use(TcpListener::bind(v6))
}

/// A program that is being started holds copies of all our sockets for a moment, those that have just found the port free among them.
#[track_caller]
fn once_free<T>(bind: impl Fn() -> io::Result<T>) -> T {
    for _ in 0..200 {
        match bind() {
            Err(error) if error.kind() == ErrorKind::AddrInUse => std::thread::sleep(Duration::from_millis(10)),
            other => return other.expect("a claimed port can be bound"),
        }
    }
    panic!("a claimed port stays in use")
}

/// Some machines have no IPv6 at all: that is no reason against a port.
fn in_use<T>(bound: io::Result<T>) -> bool {
    bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_unique_while_they_are_held() {
        let mut numbers: Vec<u16> = Vec::new();
        let ports: Vec<Port> = (0..50).map(|_| Port::new()).collect();
        numbers.extend(ports.iter().map(Port::number));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|number| (FIRST..FIRST + COUNT).contains(number)));
    }

    #[test]
    fn a_held_port_cannot_be_claimed_by_another_process() {
        let port = Port::new();
        assert!(in_use(TcpListener::bind((CLAIM, port.number()))));
        assert!(TcpListener::bind(port.at(Ipv4Addr::LOCALHOST)).is_ok(), "but a server can listen there");
    }

    #[test]
    fn an_address_in_use_is_worth_another_attempt() {
        let left = std::cell::Cell::new(2);
        let port = start_with_free_ports(|| match left.get() {
            0 => Ok(53),
            more => {
                left.set(more - 1);
                Err("bind: Address already in use".into())
            }
        });
        assert_eq!(port, 53);
    }

    #[test]
    #[should_panic(expected = "no such zone")]
    fn any_other_failure_is_final() {
        start_with_free_ports(|| Err::<(), _>("no such zone".into()));
    }
}
