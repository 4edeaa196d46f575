//! `notariat role`: prints the Roles that are enough for a configuration, one for each namespace, narrowed to the names of its Secrets.
//!
//! Input: a ConfigMap, of the place where the daemon would read it or of a manifest in a file, which is not applied yet. Nothing is
//! written. Tested by tests/it/roles.rs: the API server takes the output, and a run needs no other rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::base::name::{ClusterName, ObjectRef};
use crate::base::shutdown::Shutdown;
use crate::cli::Arguments;
use crate::config::{self, InvalidConfig};
use crate::issuance::clients::AcmeClients;
use crate::issuance::dependencies::{add_of_sources, add_of_sources_in, objects, objects_in};
use crate::kube::rbac::{Names, PolicyRule, RBAC_RULES, RuleSubject};
use crate::sources::{Desired, config_map, registry};
use crate::start::{OpenedStore, directory, open};
use crate::store::LockMode;
use crate::tools::cluster_role;
use crate::tools::manifest::{self, ConfigMaps, Manifest};

/// The ConfigMaps of one notariat.
#[derive(Debug)]
pub struct Instance {
    /// The own namespace.
    pub own: String,
    /// The ConfigMaps, with their data.
    pub config_maps: ConfigMaps,
    /// The certificates that they list.
    pub desired: Desired,
}

/// Returns the Roles as YAML, and what the kinds of `-sources` need besides, for the ConfigMaps in `file` (`-` is standard input) or else for those that the arguments name.
/// With `cluster` they are those of that cluster of `-target`, and of it alone.
///
/// # Errors
/// One sentence that says what is wrong where: an entry that would be refused has no Role.
pub fn run(file: Option<&Path>, cluster: Option<&str>, arguments: &Arguments) -> Result<String, String> {
    let instances = instances(file, arguments)?;
    if let Some(cluster) = cluster {
        return of_cluster(cluster, &instances, arguments);
    }
    let mut roles = BTreeMap::<String, (&str, String)>::new();
    for Instance { own, config_maps, desired } in &instances {
        for (namespace, names) in needed(desired, config_maps.keys(), own, arguments)? {
            let printed =
                role(&namespace, (namespace != *own).then(|| format!("--serviceaccount={own}:notariat")), &names);
            if let Some((other, _)) = roles.insert(namespace.clone(), (own, printed)) {
                return Err(format!(
                    "the ConfigMaps of {other} and those of {own} need a Role in {namespace} each, and both have the same name; \
                     print the Roles of one namespace at a time"
                ));
            }
        }
    }
    let kinds = registry::kinds_read(&arguments.selection);
    let mut documents = Vec::new();
    for (namespace, (own, role)) in roles {
        documents.push(role);
        if !kinds.is_empty() && namespace != own {
            documents.push(cluster_role::role_binding(&namespace, own));
        }
    }
    if !kinds.is_empty() {
        documents.extend(cluster_role::of_sources(&kinds, instances.iter().map(|instance| instance.own.as_str())));
    }
    Ok(format!(
        "# Printed by `notariat role` for {}: print it anew when that changes.\n{}",
        sources(&instances),
        documents.join("---\n")
    ))
}

/// The Roles in another cluster, for its administrator.
fn of_cluster(cluster: &str, instances: &[Instance], arguments: &Arguments) -> Result<String, String> {
    if !arguments.targets.contains_key(cluster) {
        return Err(format!(
            "-cluster {cluster:?} is a cluster that no -target names: give the flags of the controller"
        ));
    }
    let mut needed = BTreeMap::<String, Names>::new();
    for Instance { own, desired, .. } in instances {
        for (namespace, names) in needed_in(cluster, desired, own, arguments) {
            let all = needed.entry(namespace).or_default();
            for (subject, names) in names {
                match all.get_mut(&subject) {
                    // No names stand for all.
                    Some(known) if known.is_empty() || names.is_empty() => known.clear(),
                    Some(known) => known.extend(names),
                    None => drop(all.insert(subject, names)),
                }
            }
        }
    }
    if needed.is_empty() {
        return Err(format!(
            "no entry has `cluster: {cluster}`, and -sources names no kind of it, so nothing is done there"
        ));
    }
    let bound = || Some("--user=USER_OF_THE_KUBECONFIG".to_owned());
    let kinds = registry::kinds_read_in(&arguments.selection, cluster);
    let of_sources = if kinds.is_empty() { String::new() } else { cluster_role::rules(&kinds) };
    let printed = |(namespace, names): (&String, &Names)| match names.contains_key(&RuleSubject::Event) {
        true => role(namespace, bound(), names) + &of_sources,
        false => role(namespace, bound(), names),
    };
    let documents: Vec<String> = needed.iter().map(printed).collect();
    Ok(format!(
        "# Printed by `notariat role` for the cluster {cluster}, of {}: print it anew when that changes.\n{}",
        sources(instances),
        documents.join("---\n")
    ))
}

/// The objects of another cluster that a daemon with these arguments uses, by namespace.
pub fn needed_in(cluster: &str, desired: &Desired, own: &str, arguments: &Arguments) -> BTreeMap<String, Names> {
    let mut all = objects_in(desired, cluster);
    if arguments.selection.has_objects_in(cluster) {
        let namespaces = arguments.namespaces(own);
        add_of_sources_in(&mut all, namespaces.in_target(&ClusterName::new(cluster)));
    }
    all
}

/// The ConfigMaps of all instances, for the first line of the output.
pub fn sources(instances: &[Instance]) -> String {
    let names = instances.iter().flat_map(|instance| instance.config_maps.keys());
    names.map(config_map::source).collect::<Vec<_>>().join(", ")
}

/// The instances of the ConfigMaps of `file`, one for each namespace, or else of those that the arguments name.
///
/// # Errors
/// As [`run`].
pub fn instances(file: Option<&Path>, arguments: &Arguments) -> Result<Vec<Instance>, String> {
    config_maps(file, arguments)?.into_iter().map(|(own, config_maps)| instance(own, config_maps, arguments)).collect()
}

/// The instances of a manifest that was read from `file`.
///
/// # Errors
/// As [`run`].
pub fn instances_of(manifest: Manifest, file: &Path, arguments: &Arguments) -> Result<Vec<Instance>, String> {
    let config_maps = manifest.by_namespace().map_err(|e| format!("-f {}: {e}", file.display()))?;
    config_maps.into_iter().map(|(own, config_maps)| instance(own, config_maps, arguments)).collect()
}

/// The ConfigMaps of `file` by namespace, or else those that the arguments name.
///
/// # Errors
/// The objects that can not be read.
pub fn config_maps(file: Option<&Path>, arguments: &Arguments) -> Result<BTreeMap<String, ConfigMaps>, String> {
    match file {
        Some(file) => manifest::open("f", file, arguments.namespace.as_deref())?
            .by_namespace()
            .map_err(|e| format!("-f {}: {e}", file.display())),
        None => Ok(BTreeMap::from([in_place(arguments)?])),
    }
}

fn instance(own: String, config_maps: ConfigMaps, arguments: &Arguments) -> Result<Instance, String> {
    let namespaces = arguments.namespaces(&own);
    let mut desired = Desired::default();
    for (name, data) in &config_maps {
        let config = config::read(data, &namespaces).map_err(|InvalidConfig(e)| format!("ConfigMap {name}: {e}"))?;
        config_map::add(&mut desired, name, &config, |_| None);
    }
    if !desired.refused.is_empty() {
        let refused: Vec<String> = desired.refused.iter().map(ToString::to_string).collect();
        return Err(refused.join("\nnotariat: "));
    }
    Ok(Instance { own, config_maps, desired })
}

/// The objects that a daemon with these arguments uses, by namespace.
///
/// # Errors
/// When the arguments can not be used.
pub fn needed<'n>(
    desired: &Desired,
    config_maps: impl Iterator<Item = &'n ObjectRef>,
    own: &str,
    arguments: &Arguments,
) -> Result<BTreeMap<String, Names>, String> {
    let cas = AcmeClients::new(directory(arguments), Vec::new(), None, Shutdown::new())?;
    let mut all = objects(desired, &cas, own);
    if arguments.selection.has_objects() {
        add_of_sources(&mut all, &arguments.namespaces(own), arguments.selection.prunes);
    }
    if let Some(lease) = arguments.selection.cert_manager_lease() {
        let names = all.entry(lease.namespace.to_string()).or_default();
        names.insert(RuleSubject::OtherLease, [lease.name.to_string()].into());
    }
    let names = all.entry(own.to_owned()).or_default();
    names.insert(RuleSubject::ConfigMap, config_maps.map(|at| at.name.to_string()).collect());
    if let Some(lease) = &arguments.lease {
        names.insert(RuleSubject::Lease, [lease.clone()].into());
    }
    names.insert(RuleSubject::Event, BTreeSet::new());
    names.insert(RuleSubject::Status, [crate::status::config_map::NAME.to_owned()].into());
    Ok(all)
}

/// The Role for the objects of one namespace. `bound` is the subject to bind it to, where no manifest binds it.
fn role(namespace: &str, bound: Option<String>, names: &Names) -> String {
    let mut yaml = String::new();
    let mut line = |text: &str| writeln!(yaml, "{text}").expect("a String takes everything");
    if let Some(bound) = bound {
        line(&format!("# Bind it: kubectl -n {namespace} create rolebinding notariat --role=notariat {bound}"));
    }
    line("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: notariat");
    line(&format!("  namespace: {namespace:?}\nrules:"));
    let mut print = |comment: &str, rules: &[&PolicyRule], names: &BTreeSet<String>| {
        let Some(PolicyRule { resource, .. }) = rules.first() else { return };
        line(&format!("  # {comment}\n  - apiGroups: [{:?}]\n    resources: [{}]", resource.group, resource.plural));
        if !names.is_empty() {
            line("    resourceNames:");
            names.iter().for_each(|name| line(&format!("      - {name:?}")));
        }
        let verbs: Vec<&str> = rules.iter().map(|rule| rule.verb).collect();
        line(&format!("    verbs: [{}]", verbs.join(", ")));
    };
    for (subject, names) in names {
        let by_name: Vec<_> =
            RBAC_RULES.iter().filter(|rule| rule.by_name && rule.subjects.contains(subject)).collect();
        print(comment(*subject), &by_name, names);
    }
    let is_used = |rule: &&PolicyRule| rule.subjects.iter().any(|subject| names.contains_key(subject));
    let others: Vec<_> = RBAC_RULES.iter().filter(|rule| !rule.by_name).filter(is_used).collect();
    for rules in others.chunk_by(|a, b| a.resource == b.resource) {
        print("No names: what is created has none that a Role could tell apart.", rules, &BTreeSet::new());
    }
    yaml
}

/// The comment above the rules of a subject.
fn comment(subject: RuleSubject) -> &'static str {
    match subject {
        RuleSubject::ConfigMap => "What is wanted.",
        RuleSubject::Input => "TSIG keys and what issuers name: read, never written.",
        RuleSubject::Certificate => "Certificates.",
        RuleSubject::Pruned => "Secrets that no object wants any more (-prune).",
        RuleSubject::Own => "ACME accounts and records.",
        RuleSubject::Lease => "Which replica leads.",
        RuleSubject::OtherLease => "Who acts for cert-manager's objects: its controller, or notariat.",
        RuleSubject::Event => "What happened.",
        RuleSubject::Status => "The state, for people who may not read Secrets.",
    }
}

/// The own namespace, and the ConfigMaps from where the daemon reads them.
fn in_place(arguments: &Arguments) -> Result<(String, ConfigMaps), String> {
    let OpenedStore { store, namespace, .. } = open(arguments, LockMode::Beside, &Shutdown::new())?;
    let mut found = ConfigMaps::new();
    for name in &arguments.config {
        let at = ObjectRef::parse(name, &namespace).map_err(|e| format!("-config {name:?} {e}"))?;
        let data = store.config_map(&at).map_err(|e| e.to_string())?;
        let data = data
            .ok_or_else(|| format!("the ConfigMap {at} does not exist; -f FILE reads one that is not applied yet"))?;
        found.insert(at, data);
    }
    Ok((namespace, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_gets_the_verbs_that_it_needs_by_name() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = Names::from([
            (RuleSubject::ConfigMap, set(&["notariat"])),
            (RuleSubject::Input, set(&["key"])),
            (RuleSubject::Certificate, set(&["web", "1e3"])),
            (RuleSubject::Own, set(&["notariat-record.team.web"])),
            (RuleSubject::Lease, set(&["notariat"])),
            (RuleSubject::Event, set(&[])),
        ]);
        let own = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: notariat
  namespace: "team"
rules:
  # What is wanted.
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames:
      - "notariat"
    verbs: [get, list, watch]
  # TSIG keys and what issuers name: read, never written.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      - "key"
    verbs: [get, list, watch]
  # Certificates.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      - "1e3"
      - "web"
    verbs: [get, list, watch, update]
  # ACME accounts and records.
  - apiGroups: [""]
    resources: [secrets]
    resourceNames:
      - "notariat-record.team.web"
    verbs: [get, list, watch, update]
  # Which replica leads.
  - apiGroups: ["coordination.k8s.io"]
    resources: [leases]
    resourceNames:
      - "notariat"
    verbs: [get, update]
  # No names: what is created has none that a Role could tell apart.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create]
  # No names: what is created has none that a Role could tell apart.
  - apiGroups: ["coordination.k8s.io"]
    resources: [leases]
    verbs: [create]
  # No names: what is created has none that a Role could tell apart.
  - apiGroups: [""]
    resources: [events]
    verbs: [create, update]
"#;
        assert_eq!(role("team", None, &names), own);
        let keys = role(
            "keys",
            Some("--serviceaccount=team:notariat".to_owned()),
            &Names::from([(RuleSubject::Input, set(&["key"]))]),
        );
        assert!(
            keys.starts_with("# Bind it: kubectl -n keys create rolebinding") && !keys.contains("create]"),
            "{keys}"
        );
    }
}
