//! The watches of certificates' Secrets in other clusters (`-target`): each cluster has its own client, threads and state.
//!
//! A cluster that is away keeps nobody else waiting: nothing is asked of it in the loop, and its certificates say why they wait.

use std::collections::{BTreeMap, BTreeSet};

use super::informers::{Informers, WatchSet, by_name, of_type};
use super::observed::{Affected, InformerEvent, ObjectEvent};
use crate::base::log::event;
use crate::base::metrics;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::time::Time;
use crate::issuance::Context;
use crate::kube::object::TYPE_TLS;
use crate::kube::resource::{Resource, WatchTarget};

/// The other clusters; none where nothing is watched.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    targets: BTreeMap<ClusterName, Target>,
    /// The clusters that came back since they were taken last.
    back: BTreeSet<ClusterName>,
}

/// Another cluster.
#[derive(Debug)]
struct Target {
    informers: Informers,
    /// The watches that show nothing for the moment.
    lost: BTreeSet<usize>,
}

/// An event of a watch of another cluster, as the caches apply it.
pub(super) struct SeenElsewhere {
    pub(super) cluster: ClusterName,
    pub(super) target: WatchTarget,
    pub(super) list: u32,
    pub(super) was_live: bool,
}

impl Elsewhere {
    /// The clusters of the store beside home, whose watches are `home`. None is watched yet.
    pub(super) fn new(context: &Context, home: &Informers, now: Time) -> Elsewhere {
        let target = |(name, client): (&ClusterName, _)| {
            name.name().into_iter().for_each(|name| metrics::cluster_seen(name, false));
            let informers = home.of_cluster(name, client, now);
            (name.clone(), Target { informers, lost: BTreeSet::new() })
        };
        let others = context.store.others();
        let targets = others.filter_map(|(name, cluster)| Some((name, cluster.client.clone()?))).map(target).collect();
        Elsewhere { targets, back: BTreeSet::new() }
    }

    /// Takes the clusters that came back since the last call.
    pub(super) fn take_back(&mut self) -> BTreeSet<ClusterName> {
        std::mem::take(&mut self.back)
    }

    /// The watches of the cluster that an object is in.
    pub(super) fn of(&self, at: &ObjectRef) -> Option<&Informers> {
        self.targets.get(&at.cluster).map(|target| &target.informers)
    }

    /// Starts and ends watches so that they show the Secrets and the source objects of other clusters. Returns the numbers of those that ended.
    ///
    /// # Errors
    /// When a thread can not be started.
    pub(super) fn watch(&mut self, interest: &WatchSet, now: Time) -> Result<Vec<usize>, String> {
        let mut ended = Vec::new();
        for (cluster, target) in &mut self.targets {
            let certificates = interest.elsewhere.iter().filter(|at| at.cluster == *cluster).cloned().collect();
            let sources = interest.sources.iter().filter(|(target, _)| target.cluster == *cluster);
            let sources = sources.map(|(target, parser)| (target.clone(), parser.clone())).collect();
            ended.extend(target.informers.watch(&WatchSet { certificates, sources, ..WatchSet::default() }, now)?);
            // A lost watch that ended never says that it is back.
            target.lost.retain(|number| target.informers.is_wanted(*number));
        }
        Ok(ended)
    }

    /// Notes the state of a watch, and says when the first one of a cluster is lost and the last one is back. `None` for a watch of home.
    pub(super) fn handle_event(
        &mut self,
        change: &InformerEvent,
        context: &Context,
        now: Time,
    ) -> Option<SeenElsewhere> {
        let watched = |target: &mut Target| target.informers.handle_event(change, now);
        let (cluster, (target, list, was_live)) =
            self.targets.iter_mut().find_map(|(cluster, target)| Some((cluster.clone(), watched(target)?)))?;
        let (name, lost) = (cluster.name().unwrap_or_default(), &mut self.targets.get_mut(&cluster)?.lost);
        let was_away = !lost.is_empty();
        match &change.seen {
            ObjectEvent::Lost(e) => {
                let is_news = lost.insert(change.watch) && !was_away;
                metrics::cluster_seen(name, false);
                if is_news {
                    event!(
                        error,
                        "cluster-away",
                        cluster = name,
                        error = e,
                        consequence = "its certificates wait until it is back; those of other clusters do not"
                    );
                }
            }
            ObjectEvent::Listed | ObjectEvent::Found | ObjectEvent::Absent | ObjectEvent::Denied(_) => {
                lost.remove(&change.watch);
                if lost.is_empty() {
                    metrics::cluster_seen(name, true);
                    context
                        .store
                        .others()
                        .filter(|(other, _)| **other == cluster)
                        .for_each(|(_, there)| there.answers());
                }
                if was_away && lost.is_empty() {
                    event!(info, "cluster-back", cluster = name);
                    self.back.insert(cluster.clone());
                }
            }
            _ => {}
        }
        if let ObjectEvent::Denied(e) = &change.seen
            && target.resource == Resource::SECRETS
        {
            let what = format!("{name}:{target}");
            event!(warn, "not-watched", what = what, error = e, consequence = "it is read now and then");
        }
        Some(SeenElsewhere { cluster, target, list, was_live })
    }

    /// True where the watch of a Secret of another cluster has just started, so that its list or its failure will say more in a moment.
    pub(super) fn is_starting(&self, at: &ObjectRef) -> bool {
        let lost = |target: &Target| target.informers.lost(&of_type(&at.namespace, TYPE_TLS)).is_some();
        self.away(at).is_some() && !self.targets.get(&at.cluster).is_some_and(lost)
    }

    /// Why nothing is known of a Secret of another cluster; `None` where a watch shows it, and where its watch is not allowed, so that it is read.
    pub(super) fn away(&self, at: &ObjectRef) -> Option<String> {
        let (name, target) = (at.cluster.name()?, self.targets.get(&at.cluster)?);
        let (all, one) = (of_type(&at.namespace, TYPE_TLS), by_name(Resource::SECRETS, at));
        let informers = &target.informers;
        if informers.has_synced(&all) || informers.has_synced(&one) || informers.is_denied(&all) {
            return None;
        }
        let why = informers.lost(&all).unwrap_or("its first list is not complete");
        Some(format!("nothing is known of it for the moment: the cluster {name}: {why}"))
    }

    /// When a watch that was not allowed is tried again.
    pub(super) fn next_retry(&self) -> Option<Time> {
        self.targets.values().filter_map(|target| target.informers.next_retry()).min()
    }
}

impl SeenElsewhere {
    /// The certificates that the event affects: those of its cluster at the most.
    pub(super) fn affected(&self, seen: Affected, is_lost: bool) -> Affected {
        match seen {
            Affected::All => Affected::Cluster(self.cluster.clone()),
            Affected::Nothing if is_lost => Affected::Cluster(self.cluster.clone()),
            seen => seen,
        }
    }
}
