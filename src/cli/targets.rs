//! The flag `-target`: other clusters that certificates are stored in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::base::limits::TARGETS_MAX;
use crate::base::name::ClusterName;
use crate::sources::selection::KindElsewhere;

/// Another cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetCluster {
    /// The kubeconfig.
    pub kubeconfig: PathBuf,
    /// `-allow-namespaces`: its namespaces besides the one that is named like our own.
    pub namespaces: BTreeSet<String>,
}

/// A namespace of another cluster: cluster and namespace.
pub(super) type NamespaceElsewhere = (String, String);

/// Reads the value of `-target`: `NAME=KUBECONFIG`, several with commas.
///
/// # Errors
/// The rest of a sentence about the value.
pub(super) fn targets(text: &str) -> Result<BTreeMap<String, TargetCluster>, String> {
    let mut found = BTreeMap::new();
    for item in text.split(',').map(str::trim) {
        let Some((name, file)) = item.split_once('=').filter(|(_, file)| !file.is_empty()) else {
            return Err(format!("has {item:?}, which is not of the form NAME=KUBECONFIG"));
        };
        ClusterName::parse(name).map_err(|e| format!("has {name:?}, which {e}"))?;
        let target = TargetCluster { kubeconfig: PathBuf::from(file), namespaces: BTreeSet::new() };
        if found.insert(name.to_owned(), target).is_some() {
            return Err(format!("names {name} twice; each cluster has a name of its own"));
        }
    }
    match found.len() {
        0..=TARGETS_MAX => Ok(found),
        many => Err(format!("names {many} clusters; {TARGETS_MAX} are possible")),
    }
}

/// Adds the namespaces of other clusters that `-allow-namespaces` names.
///
/// # Errors
/// One sentence, when there is no such cluster.
pub(super) fn allow(
    mut targets: BTreeMap<String, TargetCluster>,
    namespaces: Vec<NamespaceElsewhere>,
) -> Result<BTreeMap<String, TargetCluster>, String> {
    for (cluster, namespace) in namespaces {
        let target = targets.get_mut(&cluster).ok_or_else(|| {
            format!("-allow-namespaces has \"{cluster}:{namespace}\", and no -target is named {cluster}: add -target {cluster}=KUBECONFIG")
        })?;
        target.namespaces.insert(namespace);
    }
    Ok(targets)
}

/// Checks that each cluster that `-sources` names is a target.
///
/// # Errors
/// One sentence, when there is no such cluster.
pub(super) fn check_sources(
    targets: &BTreeMap<String, TargetCluster>,
    sources: &BTreeSet<KindElsewhere>,
) -> Result<(), String> {
    match sources.iter().find(|(cluster, _)| !targets.contains_key(cluster)) {
        None => Ok(()),
        Some((cluster, _)) => Err(format!(
            "-sources names objects of the cluster {cluster:?}, and no -target is named so: add -target {cluster}=KUBECONFIG"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use crate::cli::values::{CommandLine, read};

    fn arguments(flags: &str, variable: Option<&str>) -> Result<Arguments, String> {
        let words = format!("-config c {flags}");
        let environment = |name: &str| variable.filter(|_| name == "NOTARIAT_TARGET").map(Into::into);
        match read(words.split_whitespace().map(Into::into).collect(), environment)? {
            CommandLine::Run(command, values) => Arguments::read(command, &values),
            CommandLine::Help | CommandLine::Version => panic!("{flags}"),
        }
    }

    fn shown(flags: &str, variable: Option<&str>) -> Vec<String> {
        let found = arguments(flags, variable).unwrap().targets;
        let one = |(name, target): (&String, &TargetCluster)| {
            format!("{name} {} {:?}", target.kubeconfig.display(), target.namespaces)
        };
        found.iter().map(one).collect()
    }

    #[test]
    fn the_flag_is_repeated_or_a_list() {
        assert!(shown("", None).is_empty());
        let both = ["edge /k/edge {}", "moon moon.yaml {}"];
        assert_eq!(shown("-target edge=/k/edge -target moon=moon.yaml", None), both);
        assert_eq!(shown("-target=edge=/k/edge,moon=moon.yaml", None), both);
        assert_eq!(shown("", Some("edge=/k/edge, moon=moon.yaml")), both);
        assert_eq!(shown("-target a=b=c", Some("edge=x")), ["a b=c {}"], "the command line wins");
        let allowed = arguments("-target edge=k -allow-namespaces team,edge:shop", None).unwrap();
        assert_eq!(allowed.allow_namespaces, ["team"]);
        assert_eq!(allowed.targets["edge"].namespaces, ["shop".to_owned()].into());
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (flags, part) in [
            ("-target edge", "-target \"edge\" has \"edge\", which is not of the form NAME=KUBECONFIG"),
            ("-target edge=", "which is not of the form NAME=KUBECONFIG"),
            ("-target Edge=k", "has \"Edge\", which is not the name of a cluster"),
            ("-target a.b=k", "with a dot in it"),
            ("-target edge=a -target edge=b", "names edge twice"),
            ("-target", "-target lacks its value"),
            ("-target edge=k -local d", "-local and -target exclude each other"),
            ("-allow-namespaces edge:shop", "no -target is named edge: add -target edge=KUBECONFIG"),
            ("-target edge=k -allow-namespaces edge:A", "is not a namespace"),
            ("-target edge=k -sources moon:gardener", "the cluster \"moon\", and no -target is named so"),
            ("-sources edge:gardener", "add -target edge=KUBECONFIG"),
            ("-target edge=k -sources edge:cert-manager", "holds cert-manager's Lease at home only"),
            ("-target edge=k -sources edge:ingress", "the one kind in another cluster is gardener"),
        ] {
            let error = arguments(flags, None).expect_err(flags);
            assert!(error.contains(part), "{flags}: {error}");
        }
        let many: Vec<String> = (0..=TARGETS_MAX).map(|n| format!("c{n}=k")).collect();
        assert!(targets(&many.join(",")).unwrap_err().contains("names 65 clusters; 64 are possible"));
    }
}
