//! From arguments to everything that runs: store, CA client, resolver, plan.

use std::sync::Arc;

use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::cli::Arguments;
use crate::config::namespaces::Namespaces;
use crate::controller::{ExitStatus, Options, RunMode};
use crate::dns::client;
use crate::dns::resolver::Resolver;
use crate::http::tls::TlsTrust;
use crate::issuance::Context;
use crate::issuance::account::Accounts;
use crate::issuance::circuits::Circuits;
use crate::issuance::clients::AcmeClients;
use crate::issuance::leadership::LeaderStatus;
use crate::issuance::probes::Probes;
use crate::issuance::rate_limits::RateLimits;
use crate::issuance::renewal_schedule::RenewalInfoSchedule;
use crate::kube::client::KubeClient;
use crate::kube::discovery;
use crate::kube::recorder::EventRecorder;
use crate::policy::Directory;
use crate::server::listener::Port;
use crate::store::{LockMode, Store, StoreClosed};
use crate::worker::holder;

/// Where certificates come from when nobody says so: they are for trying, and nobody trusts them.
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// The namespace of a directory store where none is given.
const LOCAL_NAMESPACE: &str = "default";

/// Why a run can not begin, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// What is missing or wrong where.
    pub sentence: String,
    /// [`End::Unknown`] where it may be well a moment later.
    pub end: ExitStatus,
}

impl From<String> for StartError {
    fn from(sentence: String) -> StartError {
        StartError { sentence, end: ExitStatus::Unreadable }
    }
}

impl From<StartError> for String {
    fn from(unbuilt: StartError) -> String {
        unbuilt.sentence
    }
}

/// Builds what a run needs.
///
/// # Errors
/// One sentence that says what is missing or wrong where.
pub fn build(arguments: &Arguments) -> Result<(Context, Options), StartError> {
    // Before anything is done, and not for a pass beside the daemon whose environment it may share.
    let listen = arguments.listen.as_ref().filter(|_| arguments.pass == RunMode::Forever);
    let port = listen.map(Port::bind).transpose()?.map(Arc::new);
    let sharing = if arguments.dry_run { LockMode::Beside } else { LockMode::Alone };
    let (context, plan) = build_for(arguments, sharing)?;
    Ok((context, Options { port, ..plan }))
}

/// The same for a place where another process may be at work: nothing is to be written with it.
///
/// # Errors
/// As [`build`].
pub fn build_for(arguments: &Arguments, sharing: LockMode) -> Result<(Context, Options), StartError> {
    let stop = Shutdown::new();
    let runs_on = arguments.pass == RunMode::Forever;
    let directory = directory(arguments);
    let OpenedStore { store, kube, namespace } = open(arguments, sharing, &stop)?;
    let roots_pem = read_roots(arguments)?;
    let in_own = |name: &String| ObjectRef::parse(name, &namespace).map_err(|e| format!("-config {name:?} {e}"));
    let config_maps = arguments.config.iter().map(in_own).collect::<Result<_, _>>()?;
    // What runs once takes a moment, and is for somebody who waits for it. What writes nothing may run beside whoever leads.
    let lease = arguments.lease.as_deref().filter(|_| runs_on && sharing == LockMode::Alone && kube.is_some());
    let lease = lease.map(|name| ObjectRef::new(&namespace, name));
    let lead = lease.as_ref().map_or_else(LeaderStatus::alone, |at| LeaderStatus::by_lease(&at.name));
    let holder = lead.sign(&holder());
    // Probing is for whoever started it, and an Event is a write.
    let report = match kube.as_ref().filter(|_| arguments.pass != RunMode::Probe && sharing == LockMode::Alone) {
        Some(client) => EventRecorder::start(client.clone(), holder.clone(), stop.clone())?,
        None => EventRecorder::default(),
    };
    let namespaces = Namespaces::new(&namespace, &arguments.allow_namespaces);
    let context = Context {
        clients: AcmeClients::new(directory, roots_pem, arguments.acme_proxy.clone(), stop.clone())?,
        store: store.within(namespaces.clone()).recording(report.clone()),
        accounts: Accounts::default(),
        dns: client::DnsClient::default(),
        circuits: Circuits::new(arguments.workers),
        limits: RateLimits::default(),
        probes: Probes::default(),
        renewal_schedule: RenewalInfoSchedule::new(time::now(), runs_on),
        runs_on,
        resolver: arguments.resolver.clone().map_or(Resolver::System, Resolver::Server),
        recorder: report,
        stop,
        kube,
        instance: arguments.instance.clone().unwrap_or_else(|| namespace.clone()),
        namespace,
        holder,
        leader: lead,
        namespaces,
    };
    let plan = Options {
        config_maps,
        pass: arguments.pass,
        workers: arguments.workers,
        forget_after: arguments.forget_after,
        dry_run: arguments.dry_run,
        lease,
        port: None,
        page: arguments.page,
    };
    Ok((context, plan))
}

/// The directory of entries that name no issuer.
pub fn directory(arguments: &Arguments) -> Directory {
    match &arguments.acme {
        Some(url) => Directory::new(url, true),
        None => Directory::new(STAGING, false),
    }
}

/// Where the objects are.
#[derive(Debug)]
pub struct OpenedStore {
    /// Secrets and ConfigMaps.
    pub store: Store,
    /// The API server, unless the objects are files.
    pub kube: Option<Arc<KubeClient>>,
    /// The namespace that is ours.
    pub namespace: String,
}

/// Opens the place that the arguments name. Pauses on the way to an API server end when `stop` is set.
///
/// # Errors
/// One sentence that says what is missing or wrong where.
pub fn open(arguments: &Arguments, sharing: LockMode, stop: &Shutdown) -> Result<OpenedStore, StartError> {
    let local = || LOCAL_NAMESPACE.to_owned();
    match &arguments.local {
        Some(folder) => {
            let store = Store::directory(folder, arguments.local_mode, sharing).map_err(|e| match e {
                StoreClosed::Wrong(e) => StartError { sentence: format!("-local: {e}"), end: ExitStatus::Unreadable },
                StoreClosed::ForNow(e) => StartError { sentence: format!("-local: {e}"), end: ExitStatus::Unknown },
            })?;
            Ok(OpenedStore { store, kube: None, namespace: arguments.namespace.clone().unwrap_or_else(local) })
        }
        None => {
            let access = discovery::find(arguments.kubeconfig.as_deref())?;
            let namespace = arguments.namespace.clone().or_else(|| access.namespace.clone()).unwrap_or_else(local);
            let client = Arc::new(KubeClient::new(access, stop.clone())?.with_rate(arguments.kube_api_rate));
            Ok(OpenedStore { store: Store::kubernetes(client.clone()), kube: Some(client), namespace })
        }
    }
}

/// The further roots of trust for CAs, PEM.
///
/// # Errors
/// When the file can not be read or holds none.
pub fn read_roots(arguments: &Arguments) -> Result<Vec<u8>, String> {
    let Some(path) = &arguments.acme_ca else { return Ok(Vec::new()) };
    let roots_pem = std::fs::read(path).map_err(|e| format!("-acme-ca {}: {e}", path.display()))?;
    // Alone first: a file without a certificate would otherwise pass unnoticed beside the public roots.
    let own = TlsTrust { roots_pem: roots_pem.clone(), ..TlsTrust::default() };
    own.config().map_err(|e| format!("-acme-ca: {e}"))?;
    Ok(roots_pem)
}
