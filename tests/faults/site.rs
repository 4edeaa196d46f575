//! One notariat with its store and a proxy before each of its peers.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use notariat_lab::fault_proxy::Manner;
use notariat_lab::{FaultProxy, NameServer, Scratch};

use crate::door::Door;
use crate::matrix::{Peer, Store, Transport};
use crate::place::Place;
use crate::servers::Servers;
use crate::support::api::{Api, Then};
use crate::support::run::Daemon;
use crate::support::x509;
use crate::trigger::Trigger;

/// The purpose of a [`Site`].
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub number: usize,
    pub store: Store,
    pub transport: Transport,
    /// UPDATEs go over one of the two, and no other.
    pub updates: &'static str,
    pub resets: bool,
    pub lease: bool,
}

pub struct Site {
    pub servers: &'static Servers,
    pub place: Place,
    pub trigger: Arc<Trigger>,
    pub host: String,
    plan: Plan,
    proxies: Vec<(Peer, Arc<FaultProxy>)>,
    door: Door,
    api: Option<(Api, PathBuf)>,
}

impl Site {
    pub fn new(servers: &'static Servers, plan: Plan) -> Site {
        let trigger = Arc::new(Trigger::default());
        let (primary, host) = servers.primary(plan.number);
        let of_door = Arc::clone(&trigger);
        let door = Door::before(&servers.tls, move |step| of_door.saw(Peer::Ca, step));
        let start = |peer, upstream| {
            // Only what speaks DNS is listened to: the other two are behind TLS.
            let (of_tap, is_dns) = (Arc::clone(&trigger), !matches!(peer, Peer::Ca | Peer::Api));
            let manner = Manner {
                stream_only: is_dns && plan.transport == Transport::Tcp,
                resets: plan.resets,
                loses_questions: is_dns && plan.store == Store::Kubernetes,
            };
            let tap = move |part: &[u8]| {
                if is_dns {
                    of_tap.saw_dns(peer, part);
                }
            };
            (peer, Arc::new(FaultProxy::start_with(upstream, manner, tap)))
        };
        let mut proxies = vec![
            start(Peer::Ca, door.addr()),
            start(Peer::Primary, primary.addr()),
            start(Peer::Secondary, servers.secondary.addr()),
            start(Peer::Resolver, servers.resolver.addr()),
        ];
        let at = |peer| proxies.iter().find(|(of, _)| *of == peer).map(|(_, proxy)| proxy.addr()).unwrap();
        // Whoever is named has to be looked up, which is what the resolver is for.
        let (_, zone) = host.split_once('.').unwrap();
        let by_name = format!("ns1.{zone}:{}", at(Peer::Primary).port());
        let entry = format!(
            "- {{secret: web, domains: [{host}], email: admin@{host}, tsigSecretName: tsigkey, dns: {{server: '{4}', \
             propagationNameservers: ['{0}', '{1}'], alsoCheck: ['{2}'], propagationTimeout: 20s, transport: {3}}}}}\n",
            at(Peer::Primary),
            at(Peer::Secondary),
            at(Peer::Resolver),
            plan.updates,
            by_name
        );
        let place = Place::new(servers, plan.store, plan.number, &entry);
        let api = match &place {
            Place::Directory(_) => None,
            Place::Kubernetes { token, .. } => {
                let of_api = Arc::clone(&trigger);
                let api = Api::start(servers.kube, move |asked| {
                    of_api.saw_api(asked);
                    Then::Pass
                });
                let text = std::fs::read_to_string(api.kubeconfig(&format!("token: {token}"))).unwrap();
                let server = text.split("https://").nth(1).and_then(|rest| rest.split('\'').next()).unwrap().to_owned();
                proxies.push(start(Peer::Api, server.parse().unwrap()));
                let through = proxies.last().unwrap().1.addr().to_string();
                let kubeconfig = api.write("config", &text.replace(&server, &through));
                Some((api, kubeconfig))
            }
        };
        trigger.set(proxies.clone());
        Site { servers, place, trigger, host, plan, proxies, door, api }
    }

    /// The address of a peer, as notariat knows it.
    pub fn addr(&self, peer: Peer) -> String {
        let of = self.proxies.iter().find(|(of, _)| *of == peer);
        of.map(|(_, proxy)| proxy.addr().to_string()).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = self.place.command(self.api.as_ref().map(|(_, kubeconfig)| kubeconfig));
        command.args(["-acme", &format!("https://{}/dir", self.addr(Peer::Ca))]);
        command.arg("-acme-ca").arg(self.servers.pebble.ca_file());
        command.arg(format!("-resolver={}", self.addr(Peer::Resolver)));
        if !self.plan.lease && self.plan.store == Store::Kubernetes {
            command.args(["-lease", "off"]);
        }
        command
    }

    /// Starts the daemon.
    pub fn start(&self) -> Daemon {
        let daemon = Daemon::start(&mut self.command());
        self.trigger.pid.store(daemon.pid(), SeqCst);
        daemon
    }

    /// When each request came to a peer, and each connection that never had one.
    pub fn requests(&self, peer: Peer) -> Vec<Instant> {
        let Some((_, proxy)) = self.proxies.iter().find(|(of, _)| *of == peer) else { return Vec::new() };
        // A connection to the API server has one request, and so has one to a name server.
        let mut times: Vec<Instant> = proxy.heard().into_iter().map(|(at, _)| at).collect();
        if peer == Peer::Ca {
            let asked = self.door.asked();
            for first in asked.connections {
                let of = times.iter().rposition(|at| *at <= first);
                of.map(|place| times.remove(place));
            }
            times.extend(asked.requests);
            times.sort();
        }
        times
    }

    /// The values that the public can see: at the primary, at the secondary.
    pub fn values(&self) -> Vec<String> {
        let owner = format!("_acme-challenge.{}", self.host);
        let servers: [&NameServer; 2] = [self.servers.primary(self.plan.number).0, &self.servers.secondary];
        servers.into_iter().flat_map(|server| server.txt(&owner)).collect()
    }

    /// Asserts that the Secret holds a certificate of the CA for the name, with its key.
    #[track_caller]
    pub fn assert_valid(&self) -> String {
        let (chain, key) = self.place.pair(self.servers).unwrap_or_else(|| panic!("the Secret has no pair"));
        let folder = Scratch::new("judged");
        folder.write("tls.crt", &chain);
        folder.write("tls.key", &key);
        x509::assert_valid(folder.path(), root(self.servers), &[&self.host]);
        chain
    }
}

/// The root of the CA does not change while it runs.
fn root(servers: &'static Servers) -> &'static str {
    static ROOT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ROOT.get_or_init(|| servers.pebble.root_pem())
}

impl Drop for Site {
    fn drop(&mut self) {
        // The proxies know the trigger.
        self.trigger.set(Vec::new());
    }
}
