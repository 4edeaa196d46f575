//! Real servers for tests: Pebble, BIND, Knot, PowerDNS, an Unbound resolver, etcd and kube-apiserver.
//!
//! notariat speaks three protocols, and a fake server only proves that we agree with ourselves. So tests start the
//! servers people run, each with its own directory, port and log, and end them when the value is dropped:
//!
//! ```no_run
//! use notariat_lab::{Grant, Hmac, Key, NameServer, Pebble, Resolver, Software, Zone};
//!
//! let key = Key::new("acme", Hmac::Sha256);
//! let zone = Zone::new("bind.test").grant(Grant::Zone(&key));
//! let bind = NameServer::setup(Software::Bind).zone(zone).start();
//! let resolver = Resolver::setup().forward("bind.test", bind.addr()).start();
//! let pebble = Pebble::setup().dns_server(resolver.addr()).start();
//! println!("{} trusts {}", pebble.directory(), pebble.ca_file().display());
//! ```
//!
//! A missing program is a failed test, never a skipped one: `tests/lab/install` installs everything.
//!
//! Reading order: [`nameserver`] (the handle all three DNS servers share), [`zone`] and [`key`] (what they serve and
//! whom they obey), `bind`, `knot`, `powerdns` (how each is told so), [`resolver`], [`pebble`], [`kube`], [`fault_proxy`]
//! (what stands before any of them); then what they stand on: [`process`], [`place`], [`ports`], [`scratch`], [`tools`], [`query`].
//!
//! Nothing here prints unless it fails, or is asked to keep its files (`NOTARIAT_LAB_KEEP=1`).

mod at_exit;
mod bind;
mod bytes;
pub mod fault_proxy;
pub mod key;
mod knot;
pub mod kube;
pub mod nameserver;
pub mod pebble;
mod pki;
pub mod place;
pub mod ports;
mod powerdns;
pub mod process;
pub mod query;
pub mod resolver;
pub mod scratch;
mod spawn;
pub mod tmpfs;
pub mod tools;
pub mod zone;

pub use fault_proxy::{Fault, FaultProxy};
pub use key::{Hmac, Key};
pub use kube::Kube;
pub use nameserver::{NameServer, Software};
pub use pebble::Pebble;
pub use place::{NetNs, Place};
pub use ports::Port;
pub use resolver::Resolver;
pub use scratch::Scratch;
pub use tmpfs::Tmpfs;
pub use zone::{Grant, Zone};
