//! Starts the chosen servers, has them reported, and waits.
//!
//! No signal is handled, and none needs to be: Ctrl-C, SIGTERM and even SIGKILL end this process, the kernel then kills
//! the servers (see `notariat_lab::process`), and a waiting shell removes the directories (see `at_exit` there).

use std::panic;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::report::Report;
use notariat_lab::{Grant, Hmac, Key, Kube, NameServer, Pebble, Resolver, Scratch, Software, Zone};

/// The wishes of the command line.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) parts: Vec<Part>,
    pub(crate) end: Duration,
}

/// Something that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Bind,
    Knot,
    PowerDns,
    Resolver,
    Pebble,
    Kubernetes,
}

impl Part {
    pub(crate) const ALL: [Part; 6] =
        [Part::Bind, Part::Knot, Part::PowerDns, Part::Resolver, Part::Pebble, Part::Kubernetes];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Bind => "bind",
            Part::Knot => "knot",
            Part::PowerDns => "powerdns",
            Part::Resolver => "resolver",
            Part::Pebble => "pebble",
            Part::Kubernetes => "kubernetes",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Part, String> {
        let found = Part::ALL.into_iter().find(|part| part.name() == name);
        found.ok_or_else(|| format!("`{name}` is none of {}", Part::ALL.map(Part::name).join(", ")))
    }

    fn software(self) -> Option<Software> {
        match self {
            Part::Bind => Some(Software::Bind),
            Part::Knot => Some(Software::Knot),
            Part::PowerDns => Some(Software::PowerDns),
            Part::Resolver | Part::Pebble | Part::Kubernetes => None,
        }
    }
}

/// A name server with the zone `<part>.test` and the key that may change it.
pub(crate) struct Served {
    pub(crate) part: Part,
    pub(crate) server: NameServer,
    pub(crate) zone: String,
    pub(crate) key: Key,
}

/// Starts everything, reports, and waits for the end.
pub(crate) fn run(order: &Order) -> Result<(), String> {
    let directory = order.directory.as_deref().map_or_else(|| Ok(Scratch::new("up")), Scratch::at)?;
    let wanted = |part| order.parts.contains(&part);
    thread::scope(|scope| {
        // The API server takes longer than all others together.
        let kube = wanted(Part::Kubernetes).then(|| scope.spawn(Kube::start));
        let served: Vec<Served> = Part::ALL.into_iter().filter(|part| wanted(*part)).filter_map(serve).collect();
        let resolver = wanted(Part::Resolver).then(|| resolve(&served));
        let pebble = wanted(Part::Pebble).then(|| {
            let nearest = resolver.as_ref().map(Resolver::addr).or(served.first().map(|first| first.server.addr()));
            nearest.into_iter().fold(Pebble::setup(), |setup, server| setup.dns_server(server)).start()
        });
        let kube = kube.map(|started| started.join().unwrap_or_else(|error| panic::resume_unwind(error)));

        let mut report = Report::default();
        for one in &served {
            report.name_server(&directory, one);
        }
        if let Some(resolver) = &resolver {
            report.resolver(resolver, served.first());
        }
        if let Some(pebble) = &pebble {
            report.pebble(&directory, pebble);
        }
        if let Some(kube) = &kube {
            report.kube(&directory, kube);
        }
        if pebble.is_some() && resolver.is_some() {
            report.store(&directory, &served);
        }
        report.publish(&directory, order.end)?;
        thread::sleep(order.end);
        Ok(())
    })
}

fn serve(part: Part) -> Option<Served> {
    let zone = format!("{}.test", part.name());
    let key = Key::new(&format!("notariat.{zone}"), Hmac::Sha256);
    let contents = Zone::new(&zone).line("www A 127.0.0.1").line("api A 127.0.0.1").grant(Grant::Zone(&key));
    let server = NameServer::setup(part.software()?).zone(contents).start();
    Some(Served { part, server, zone, key })
}

fn resolve(served: &[Served]) -> Resolver {
    let setup = Resolver::setup();
    served.iter().fold(setup, |setup, one| setup.forward(&one.zone, one.server.addr())).start()
}
