//! From arguments to the parts of a run: store, CA clients, resolver, options.

use std::sync::Arc;

use crate::base::limits::TARGET_REQUEST;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::cli::Arguments;
use crate::controller::{ExitStatus, Options, RunMode};
use crate::dns::client;
use crate::dns::resolver::Resolver;
use crate::http::tls::TlsTrust;
use crate::issuance::Context;
use crate::issuance::account::Accounts;
use crate::issuance::acting::Acting;
use crate::issuance::answers::Answers;
use crate::issuance::circuits::Circuits;
use crate::issuance::clients::AcmeClients;
use crate::issuance::leadership::LeaderStatus;
use crate::issuance::probes::Probes;
use crate::issuance::rate_limits::RateLimits;
use crate::issuance::reached::Reached;
use crate::issuance::renewal_schedule::RenewalInfoSchedule;
use crate::kube::client::KubeClient;
use crate::kube::discovery;
use crate::kube::rate_limit::RequestRate;
use crate::kube::recorder::EventRecorder;
use crate::policy::Directory;
use crate::server::listener::Port;
use crate::sources::selection::{ObjectKind, Selection};
use crate::store::{Cluster, LockMode, Store, StoreClosed};
use crate::worker::holder;

/// The directory without `-acme`: Let's Encrypt's staging CA, whose certificates no client trusts.
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// The API group of approver-policy.
const APPROVER_POLICY: &str = "policy.cert-manager.io";

/// The default namespace of a directory store.
const LOCAL_NAMESPACE: &str = "default";

/// Why a run can not start, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// One sentence with the place and the fault.
    pub sentence: String,
    /// [`ExitStatus::Unknown`] where a later try may succeed.
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

/// Builds the parts of a run.
///
/// # Errors
/// One sentence with the place and the fault.
pub fn build(arguments: &Arguments) -> Result<(Context, Options), StartError> {
    // Bound first. A pass beside a controller may share its environment, and binds nothing.
    let listen = arguments.listen.as_ref().filter(|_| arguments.pass == RunMode::Forever);
    let port = listen.map(|at| Port::bind("-listen", at)).transpose()?.map(Arc::new);
    let responds = arguments.http_listen.as_ref().filter(|_| arguments.pass != RunMode::Probe && !arguments.dry_run);
    let challenge_port = responds.map(|at| Port::bind("-http-listen", at)).transpose()?.map(Arc::new);
    let sharing = if arguments.dry_run { LockMode::Beside } else { LockMode::Alone };
    let (context, plan) = build_for(arguments, sharing)?;
    Ok((context, Options { port, challenge_port, ..plan }))
}

/// Builds the same with a given lock mode. [`LockMode::Beside`] is for runs that write nothing while another process may work.
///
/// # Errors
/// As [`build`].
pub fn build_for(arguments: &Arguments, sharing: LockMode) -> Result<(Context, Options), StartError> {
    let stop = Shutdown::new();
    let runs_on = arguments.pass == RunMode::Forever;
    let directory = directory(arguments);
    let OpenedStore { store, kube, namespace } = open(arguments, sharing, &stop)?;
    if let Some(client) = kube.as_deref() {
        check_approval(client, arguments)?;
    }
    let roots_pem = read_roots(arguments)?;
    let in_own = |name: &String| ObjectRef::parse(name, &namespace).map_err(|e| format!("-config {name:?} {e}"));
    let config_maps = arguments.config.iter().map(in_own).collect::<Result<_, _>>()?;
    // A single pass is short and has a user who waits for it; a run that writes nothing may run beside the leader. Neither elects.
    let lease = arguments.lease.as_deref().filter(|_| runs_on && sharing == LockMode::Alone && kube.is_some());
    let lease = lease.map(|name| ObjectRef::new(&namespace, name));
    let lead = lease.as_ref().map_or_else(LeaderStatus::alone, |at| LeaderStatus::by_lease(&at.name));
    let serves = runs_on || arguments.pass == RunMode::Once;
    let may_write = serves && sharing == LockMode::Alone && kube.is_some();
    let cert_manager_lease = arguments.selection.cert_manager_lease().filter(|_| may_write);
    let holder = lead.sign(&holder());
    // A probe reports to its user only, and an Event is a write.
    let report = match kube.as_ref().filter(|_| arguments.pass != RunMode::Probe && sharing == LockMode::Alone) {
        Some(client) => {
            let home = EventRecorder::start(client.clone(), holder.clone(), stop.clone())?;
            with_events_elsewhere(home, &store, &arguments.selection, &holder, &stop)?
        }
        None => EventRecorder::default(),
    };
    let namespaces = arguments.namespaces(&namespace);
    let context = Context {
        clients: AcmeClients::new(directory, roots_pem, arguments.acme_proxy.clone(), stop.clone())?,
        store: store.within(&namespaces).recording(report.clone()),
        accounts: Accounts::default(),
        dns: client::DnsClient::default(),
        answers: Answers::default(),
        listens_for_challenges: arguments.http_listen.is_some(),
        reached: Reached::default(),
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
        acting: Acting::by_lease(cert_manager_lease.as_ref()),
        namespaces,
    };
    let plan = Options {
        config_maps,
        selection: arguments.selection.clone(),
        pass: arguments.pass,
        workers: arguments.workers,
        forget_after: arguments.forget_after,
        dry_run: arguments.dry_run,
        lease,
        cert_manager_lease,
        writes_statuses: may_write && arguments.selection.has_statuses(),
        port: None,
        challenge_port: None,
        page: arguments.page,
    };
    Ok((context, plan))
}

/// The recorder, which sends Events about the objects of other clusters that are sources there.
///
/// # Errors
/// When a thread can not be started.
fn with_events_elsewhere(
    home: EventRecorder,
    store: &Store,
    selection: &Selection,
    holder: &str,
    stop: &Shutdown,
) -> Result<EventRecorder, String> {
    let sources = store.others().filter(|(name, _)| name.name().is_some_and(|name| selection.has_objects_in(name)));
    sources.filter_map(|(name, cluster)| Some((name, cluster.client.as_ref()?))).try_fold(
        home,
        |all, (name, client)| {
            // Events have a rate of their own, and a request without an answer keeps one thread only.
            let client = Arc::new(client.with_timeout(TARGET_REQUEST).with_rate(RequestRate::default()));
            Ok(all.with(name, EventRecorder::start(client, holder.to_owned(), stop.clone())?))
        },
    )
}

/// The directory of entries that name no issuer.
pub fn directory(arguments: &Arguments) -> Directory {
    match &arguments.acme {
        Some(url) => Directory::new(url, true),
        None => Directory::new(STAGING, false),
    }
}

/// Checks that no policy of cert-manager's approver-policy would go unheard.
fn check_approval(client: &KubeClient, arguments: &Arguments) -> Result<(), StartError> {
    let selection = &arguments.selection;
    if selection.without_approval || !selection.kinds.contains(&ObjectKind::CertManager) {
        return Ok(());
    }
    match client.serves_group(APPROVER_POLICY) {
        Ok(false) => Ok(()),
        Ok(true) => Err(StartError::from(format!(
            "approver-policy is installed (the API server has the group {APPROVER_POLICY}), and notariat asks none of its policies before it \
             orders: write what they say into the key `namespaces`, then start with -without-approval"
        ))),
        Err(e) => Err(StartError {
            sentence: format!(
                "could not find out whether approver-policy is installed: {e}; -without-approval does not ask"
            ),
            end: ExitStatus::Unknown,
        }),
    }
}

/// An opened store.
#[derive(Debug)]
pub struct OpenedStore {
    /// Secrets and ConfigMaps.
    pub store: Store,
    /// The API server, unless the objects are files.
    pub kube: Option<Arc<KubeClient>>,
    /// The own namespace.
    pub namespace: String,
}

/// Opens the store that the arguments name. Pauses between tries at an API server end when `stop` is set.
///
/// # Errors
/// One sentence with the place and the fault.
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
            let store = Store::kubernetes(client.clone()).with_keys(arguments.selection.settings.secret_keys.clone());
            let store = with_targets(store, arguments, stop)?;
            Ok(OpenedStore { store, kube: Some(client), namespace })
        }
    }
}

/// The store with the other clusters (`-target`). None of them is asked here: a cluster that is away keeps nobody from starting.
///
/// # Errors
/// One sentence about a kubeconfig that can not be used. One that names a program to run is refused: whoever may edit the file of another
/// cluster would choose what runs beside the keys of this one.
fn with_targets(store: Store, arguments: &Arguments, stop: &Shutdown) -> Result<Store, StartError> {
    arguments.targets.iter().try_fold(store, |store, (name, target)| {
        let told = |e: String| StartError::from(format!("-target {name}: {e}"));
        let config = discovery::find(Some(&target.kubeconfig)).map_err(told)?;
        if let Some(plugin) = &config.auth.plugin {
            return Err(told(format!(
                "kubeconfig {}: its user gets a credential from a program ({}), and for another cluster notariat runs none: write a token, a \
                 tokenFile or a client certificate into it",
                target.kubeconfig.display(),
                plugin.command.display()
            )));
        }
        let client = KubeClient::new(config, stop.clone()).map_err(told)?;
        let client = client.with_rate(arguments.kube_api_rate).without_clock();
        Ok(store.with(ClusterName::new(name), Cluster::target(name, Arc::new(client))))
    })
}

/// The extra trust roots for CAs (`-acme-ca`), PEM; empty without the flag.
///
/// # Errors
/// When the file can not be read or holds none.
pub fn read_roots(arguments: &Arguments) -> Result<Vec<u8>, String> {
    let Some(path) = &arguments.acme_ca else { return Ok(Vec::new()) };
    let roots_pem = std::fs::read(path).map_err(|e| format!("-acme-ca {}: {e}", path.display()))?;
    // Checked alone: beside the public roots a file without a certificate would pass.
    let own = TlsTrust { roots_pem: roots_pem.clone(), ..TlsTrust::default() };
    own.config().map_err(|e| format!("-acme-ca: {e}"))?;
    Ok(roots_pem)
}
