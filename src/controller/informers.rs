//! The watches: their targets, their threads, and whether each has synced.
//!
//! Secrets are watched by type, all of a namespace at once. Where the Role allows single Secrets only, each is watched by name, up to a
//! bound; where it allows neither, they are read now and then. A watch that was not allowed is tried again later. Each cluster has watches of
//! its own ([`super::elsewhere`] has those of other clusters).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::Sender;

use super::messages::ControllerEvent;
use super::observed::{InformerEvent, ObjectEvent, object_event};
use super::permissions::Permissions;
use crate::base::limits::{
    ABSENT_KIND_AGAIN, DENIED_AGAIN, REFUSAL_DOUBTED, WATCH_PAUSE_MAX, WATCH_THREADS_MAX, WATCHES_BY_NAME_MAX,
};
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Time};
use crate::issuance::Context;
use crate::kube::client::KubeClient;
use crate::kube::object::TYPE_TLS;
use crate::kube::reflector::{Reflector, ReflectorEvent, WatchTimeouts};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::record;
use crate::sources::ParserFactory;

/// The watches.
#[derive(Debug)]
pub(super) struct Informers {
    cluster: ClusterName,
    client: Arc<KubeClient>,
    context: Arc<Context>,
    changes: Sender<ControllerEvent>,
    watches: BTreeMap<WatchTarget, Informer>,
    /// The watches that are not allowed, and until when they are not tried again.
    denied: BTreeMap<WatchTarget, Time>,
    /// The permissions, as the API server told them.
    permissions: Permissions,
    /// When the permissions are asked for again, while the watches are incomplete.
    ask_again: Time,
    /// True if an object of interest is not watched.
    is_partial: bool,
    /// Numbers the watches of all clusters.
    count: Arc<AtomicUsize>,
    /// Held by each thread that has not ended yet.
    alive: Arc<()>,
}

#[derive(Debug)]
pub(super) struct Informer {
    number: usize,
    /// The number of lists that it began.
    pub(super) list: u32,
    state: InformerState,
    /// Why the watch shows nothing, as it said last.
    lost: Option<String>,
    stop: Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InformerState {
    /// The first list is not complete.
    Starting,
    /// The watch shows what exists and what does not.
    Live,
    /// The watch shows nothing for the moment.
    Lost,
}

/// The objects of interest.
#[derive(Clone, Debug, Default)]
pub(super) struct WatchSet {
    /// The objects of the sources in all clusters, with their parsers.
    pub(super) sources: BTreeMap<WatchTarget, ParserFactory>,
    /// The Secrets that hold certificates.
    pub(super) certificates: BTreeSet<ObjectRef>,
    /// The same in other clusters.
    pub(super) elsewhere: BTreeSet<ObjectRef>,
    /// The records, of entries and of those that went.
    pub(super) records: Vec<ObjectRef>,
    /// The Secrets that are only read: TSIG keys, roots, bindings.
    pub(super) contents: BTreeSet<ObjectRef>,
}

/// The Secrets of a type in a namespace.
pub(super) fn of_type(namespace: &str, kind: &'static str) -> WatchTarget {
    WatchTarget {
        resource: Resource::SECRETS,
        namespace: namespace.to_owned(),
        selector: Selector::Type(kind),
        cluster: ClusterName::HOME,
    }
}

/// One object.
pub(super) fn by_name(resource: Resource, at: &ObjectRef) -> WatchTarget {
    WatchTarget {
        resource,
        namespace: at.namespace.to_string(),
        selector: Selector::Name(at.name.to_string()),
        cluster: ClusterName::HOME,
    }
}

/// The targets that show the objects of interest, without those that are not allowed. `own` is the namespace of the records, which are at home.
fn targets(
    cluster: &ClusterName,
    interest: &WatchSet,
    own: Option<&str>,
    denied: impl Fn(&WatchTarget) -> bool,
) -> BTreeSet<WatchTarget> {
    let sources = interest.sources.keys().filter(|target| target.cluster == *cluster && !denied(target));
    let mut wanted: BTreeSet<WatchTarget> = sources.cloned().collect();
    let mut single: BTreeSet<WatchTarget> = interest.contents.iter().map(|at| by_name(Resource::SECRETS, at)).collect();
    let mut add = |kind: &'static str, namespace: &str, objects: &dyn Fn() -> Vec<ObjectRef>| {
        let all = of_type(namespace, kind);
        if denied(&all) {
            single.extend(objects().iter().map(|at| by_name(Resource::SECRETS, at)));
        } else {
            wanted.insert(all);
        }
    };
    let mut namespaces: BTreeSet<&str> = interest.certificates.iter().map(|at| at.namespace.as_str()).collect();
    if !cluster.is_home() {
        // Nothing is read there without a watch, and the status of an object that is refused tells about its Secret, too.
        let sources = interest.sources.keys().filter(|target| target.cluster == *cluster);
        namespaces.extend(sources.map(|target| target.namespace.as_str()));
    }
    for namespace in namespaces {
        add(TYPE_TLS, namespace, &|| {
            interest.certificates.iter().filter(|at| at.namespace == namespace).cloned().collect()
        });
    }
    if let Some(own) = own {
        add(record::TYPE, own, &|| interest.records.clone());
    }
    let allowed = single.into_iter().filter(|target| !denied(target));
    wanted.extend(allowed.take(WATCHES_BY_NAME_MAX));
    wanted
}

/// The object that a watch by name follows.
fn by_name_of(cluster: &ClusterName, target: &WatchTarget) -> Option<ObjectRef> {
    match &target.selector {
        Selector::Name(name) => Some(ObjectRef { cluster: cluster.clone(), ..ObjectRef::new(&target.namespace, name) }),
        Selector::All | Selector::Labels(_) | Selector::Type(_) => None,
    }
}

/// Runs a watch until it ends by itself. After a panic of a library `goes_on` says whether it starts anew: the facts of a watch that died
/// unnoticed would count for ever.
fn again_after_panics(run: impl Fn(), goes_on: impl Fn() -> bool) {
    while catch_unwind(AssertUnwindSafe(&run)).is_err() && goes_on() {}
}

/// Tells whether a source object is told in the version that was told last, which `shown` keeps by name: a list that is read anew tells every object
/// once more, and reading one again would make everything be evaluated.
fn repeats(told: &ReflectorEvent, shown: &RefCell<HashMap<String, String>>) -> bool {
    match told {
        ReflectorEvent::Object(object) => {
            let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
            let version = format!("{} {}", field("uid"), field("resourceVersion"));
            let name = format!("{}/{}", field("namespace"), field("name"));
            shown.borrow_mut().insert(name, version.clone()) == Some(version)
        }
        ReflectorEvent::Gone(at) => {
            shown.borrow_mut().remove(&at.to_string());
            false
        }
        _ => false,
    }
}

impl Informers {
    /// No watch runs yet.
    pub(super) fn new(
        client: Arc<KubeClient>,
        context: Arc<Context>,
        changes: Sender<ControllerEvent>,
        permissions: Permissions,
        now: Time,
    ) -> Informers {
        let (watches, denied) = (BTreeMap::new(), BTreeMap::new());
        Informers {
            cluster: ClusterName::HOME,
            client,
            context,
            changes,
            watches,
            denied,
            permissions,
            // An API server that has just started may not have read its Roles.
            ask_again: now + REFUSAL_DOUBTED,
            is_partial: false,
            count: Arc::default(),
            alive: Arc::default(),
        }
    }

    /// The same for another cluster, whose rules are not asked for: a watch that is not allowed says so.
    pub(super) fn of_cluster(&self, cluster: &ClusterName, client: Arc<KubeClient>, now: Time) -> Informers {
        let (context, changes) = (self.context.clone(), self.changes.clone());
        Informers {
            cluster: cluster.clone(),
            count: self.count.clone(),
            ..Informers::new(client, context, changes, Permissions::default(), now)
        }
    }

    /// Starts and ends watches so that they show the objects of interest. Returns the numbers of those that ended.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn watch(&mut self, interest: &WatchSet, now: Time) -> Result<Vec<usize>, String> {
        self.denied.retain(|_, until| *until > now);
        let own = self.cluster.is_home().then_some(&*self.context.namespace);
        if own.is_some() && self.is_partial && self.ask_again <= now {
            (self.permissions, self.ask_again) = (Permissions::ask(&self.context), now + DENIED_AGAIN);
        }
        let narrow = Cell::new(false);
        let is_denied = |target: &WatchTarget| {
            let permitted = self.permissions.allow_watching(target);
            narrow.set(narrow.get() || !permitted);
            !permitted || self.denied.contains_key(target)
        };
        let wanted = targets(&self.cluster, interest, own, is_denied);
        self.is_partial = narrow.get();
        let mut ended = Vec::new();
        self.watches.retain(|target, watch| {
            let stays = wanted.contains(target);
            if !stays {
                watch.stop.set();
                ended.push(watch.number);
            }
            stays
        });
        for target in wanted {
            if self.watches.contains_key(&target) {
                continue;
            }
            let is_single_secret = target.resource == Resource::SECRETS && matches!(target.selector, Selector::Name(_));
            if is_single_secret && Arc::strong_count(&self.alive) > WATCH_THREADS_MAX {
                // The Secret is read now and then until there is room.
                self.is_partial = true;
                continue;
            }
            let parser = interest.sources.get(&target).cloned();
            self.start(target, parser)?;
        }
        Ok(ended)
    }

    fn start(&mut self, target: WatchTarget, parser: Option<ParserFactory>) -> Result<(), String> {
        let (number, stop) = (self.count.fetch_add(1, Ordering::Relaxed), Shutdown::new());
        let watch = Informer { number, list: 0, state: InformerState::Starting, lost: None, stop: stop.clone() };
        let (client, changes, context) = (self.client.clone(), self.changes.clone(), self.context.clone());
        let (cluster, followed, alive) = (self.cluster.clone(), target.clone(), self.alive.clone());
        // Of many objects the source compares the facts.
        let keeps = parser.is_some() && matches!(target.selector, Selector::Name(_));
        // A kind outside the core may be installed later.
        let may_be_absent = parser.is_some() && !target.resource.group.is_empty();
        let timeouts = WatchTimeouts { absent: may_be_absent.then_some(ABSENT_KIND_AGAIN), ..WatchTimeouts::default() };
        let run = move || {
            let tell =
                |seen| changes.send(ControllerEvent::Change(Box::new(InformerEvent { watch: number, seen }))).is_ok();
            let follow = || {
                let (parser, shown) = (RefCell::new(parser.as_ref().map(|factory| (factory.0)())), RefCell::default());
                let tell = |told| {
                    let mut parser = parser.borrow_mut();
                    (keeps && repeats(&told, &shown))
                        || tell(object_event((&cluster, &followed), told, &context, parser.as_mut(), time::now()))
                };
                Reflector { client: &client, target: &followed, stop: &stop, timeouts, tell }.run();
            };
            let fault = "a fault inside notariat; please report it with the lines before";
            let _alive = alive;
            let forget = || by_name_of(&cluster, &followed).map(|at| context.store.watched.forget(&at));
            again_after_panics(follow, || {
                forget();
                tell(ObjectEvent::Lost(fault.to_owned())) && !stop.wait(WATCH_PAUSE_MAX)
            });
            forget();
        };
        let spawned = thread::Builder::new().name("watch".to_owned()).spawn(run);
        spawned.map_err(|e| format!("a thread for a watch can not be started: {e}"))?;
        self.watches.insert(target, watch);
        Ok(())
    }

    /// Notes the state of a watch. Returns its target, while that is of interest, the number of its list, and whether it had synced before.
    pub(super) fn handle_event(&mut self, change: &InformerEvent, now: Time) -> Option<(WatchTarget, u32, bool)> {
        let found = self.watches.iter_mut().find(|(_, watch)| watch.number == change.watch);
        let (target, watch) = found.map(|(target, watch)| (target.clone(), watch))?;
        let was_live = watch.state == InformerState::Live;
        match &change.seen {
            ObjectEvent::Listing => watch.list += 1,
            ObjectEvent::Listed | ObjectEvent::Found | ObjectEvent::Absent => {
                (watch.state, watch.lost) = (InformerState::Live, None);
            }
            ObjectEvent::Lost(e) => {
                watch.lost = Some(e.clone());
                if watch.state == InformerState::Live {
                    watch.state = InformerState::Lost;
                }
            }
            ObjectEvent::Denied(_) => {
                let list = watch.list;
                self.watches.remove(&target);
                self.denied.insert(target.clone(), now + DENIED_AGAIN);
                return Some((target, list, was_live));
            }
            _ => {}
        }
        Some((target, watch.list, was_live))
    }

    /// Tells whether the watch of this number still runs.
    pub(super) fn is_wanted(&self, number: usize) -> bool {
        self.watches.values().any(|watch| watch.number == number)
    }

    /// Tells whether a target is watched, synced or not.
    pub(super) fn has(&self, target: &WatchTarget) -> bool {
        self.watches.contains_key(target)
    }

    /// Tells whether the watch of a target shows what exists and what does not.
    pub(super) fn has_synced(&self, target: &WatchTarget) -> bool {
        self.watches.get(target).is_some_and(|watch| watch.state == InformerState::Live)
    }

    /// True for a target that may not be watched.
    pub(super) fn is_denied(&self, target: &WatchTarget) -> bool {
        self.denied.contains_key(target)
    }

    /// Why a watch shows nothing, as it said last.
    pub(super) fn lost(&self, target: &WatchTarget) -> Option<&str> {
        self.watches.get(target)?.lost.as_deref()
    }

    /// Tells whether every watch has synced. Until then no object is known to be missing.
    pub(super) fn have_synced(&self) -> bool {
        self.watches.values().all(|watch| watch.state == InformerState::Live)
    }

    /// When a watch that was not allowed is tried again.
    pub(super) fn next_retry(&self) -> Option<Time> {
        let narrow = self.is_partial.then_some(self.ask_again);
        self.denied.values().copied().chain(narrow).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(names: &[&str]) -> BTreeSet<ObjectRef> {
        names.iter().map(|name| ObjectRef::parse(name, "own").unwrap()).collect()
    }

    fn wanted(denied: &[&str]) -> Vec<String> {
        let parser = ParserFactory(Arc::new(|| Box::new(|_| Box::new(()))));
        let interest = WatchSet {
            sources: [(by_name(Resource::CONFIG_MAPS, &ObjectRef::new("own", "certs")), parser)].into(),
            certificates: refs(&["a", "b", "team/c"]),
            elsewhere: BTreeSet::new(),
            records: refs(&["a", "b", "team/c"]).iter().map(|secret| record::reference(secret, "own")).collect(),
            contents: refs(&["tsigkey"]),
        };
        let text = |t: &WatchTarget| t.to_string();
        targets(&ClusterName::HOME, &interest, Some("own"), |t| denied.contains(&text(t).as_str()))
            .iter()
            .map(text)
            .collect()
    }

    #[test]
    fn secrets_are_watched_by_type_else_by_name_else_not() {
        let records = "own/secrets type=notariat/record";
        let all = [
            "own/configmaps metadata.name=certs",
            "own/secrets type=kubernetes.io/tls",
            records,
            "own/secrets metadata.name=tsigkey",
            "team/secrets type=kubernetes.io/tls",
        ];
        assert_eq!(wanted(&[]), all);
        let narrow = wanted(&["own/secrets type=kubernetes.io/tls"]);
        assert!(narrow.contains(&"own/secrets metadata.name=a".to_owned()), "{narrow:?}");
        assert!(narrow.contains(&"team/secrets type=kubernetes.io/tls".to_owned()), "another namespace, another Role");
        let nothing = wanted(&["own/secrets type=kubernetes.io/tls", "own/secrets metadata.name=a"]);
        assert!(!nothing.contains(&"own/secrets metadata.name=a".to_owned()), "{nothing:?}");
        assert!(!wanted(&["own/configmaps metadata.name=certs"]).iter().any(|t| t.contains("certs")));
        let by_name = wanted(&[records]);
        assert!(by_name.contains(&"own/secrets metadata.name=notariat-record.team.c".to_owned()), "{by_name:?}");
    }

    #[test]
    fn a_watch_that_panics_begins_anew_while_it_is_wanted() {
        let (runs, told) = (Cell::new(0), Cell::new(0));
        let run = || {
            runs.set(runs.get() + 1);
            assert!(runs.get() > 2, "a library panics");
        };
        let goes_on = || {
            told.set(told.get() + 1);
            true
        };
        again_after_panics(run, goes_on);
        assert_eq!((runs.get(), told.get()), (3, 2));
        again_after_panics(|| panic!("a library panics"), || false);
    }

    #[test]
    fn a_config_map_that_is_listed_again_as_it_was_is_not_told_again() {
        let (shown, at) = (RefCell::default(), ObjectRef::new("own", "certs"));
        let object = |uid: &str, version: &str| {
            let metadata =
                serde_json::json!({"namespace": "own", "name": "certs", "uid": uid, "resourceVersion": version});
            ReflectorEvent::Object(serde_json::json!({ "metadata": metadata }))
        };
        let repeats = |told: ReflectorEvent| repeats(&told, &shown);
        let told = [
            object("a", "1"),
            object("a", "1"),
            ReflectorEvent::Listing,
            object("a", "1"),
            object("a", "2"),
            object("b", "2"),
        ];
        assert_eq!(told.map(repeats), [false, true, false, true, false, false]);
        let told = [ReflectorEvent::Gone(at.clone()), object("b", "2"), object("b", "2")];
        assert_eq!(told.map(repeats), [false, false, true]);
        let other =
            serde_json::json!({"metadata": {"namespace": "own", "name": "other", "uid": "b", "resourceVersion": "2"}});
        assert!(!repeats(ReflectorEvent::Object(other)), "each object by itself");
    }

    #[test]
    fn not_more_are_watched_by_name_than_threads_are_cheap() {
        let names: Vec<String> = (0..200).map(|n| format!("s{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let interest = WatchSet { certificates: refs(&names), ..WatchSet::default() };
        let found = targets(&ClusterName::HOME, &interest, Some("own"), |t| matches!(t.selector, Selector::Type(_)));
        assert_eq!(found.len(), WATCHES_BY_NAME_MAX);
    }
}
