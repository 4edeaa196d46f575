//! `notariat role`: prints the Roles that are enough for a configuration, one for each namespace, narrowed to the names of its Secrets.
//!
//! Input: a ConfigMap, of the place where the daemon would read it or of a manifest in a file, which is not applied yet. Nothing is
//! written. Tested by tests/it/roles.rs: the API server takes what is printed, and a run needs nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize as _;

use crate::cli::Arguments;
use crate::config::bounds;
use crate::config::data;
use crate::config::namespaces::Namespaces;
use crate::config::node::Node;
use crate::config::{self, Data, Unreadable};
use crate::issue::cas::Cas;
use crate::issue::objects::objects;
use crate::kube::permission::{Kind, Names, RIGHTS, Right};
use crate::limits::MANIFEST_OCTETS_MAX;
use crate::name::ObjectRef;
use crate::sources::{Wishes, configmap};
use crate::start::{Place, directory, open};
use crate::status::bulletin;
use crate::stop::Stop;
use crate::store::Sharing;

/// The data of ConfigMaps.
pub type ConfigMaps = BTreeMap<ObjectRef, Data>;

/// Returns the Roles as YAML, for the ConfigMaps in `file` (`-` is standard input) or else for those that the arguments name.
///
/// # Errors
/// One sentence that says what is wrong where: an entry that would be refused has no Role.
pub fn run(file: Option<&Path>, arguments: &Arguments) -> Result<String, String> {
    let (config_maps, own, wishes) = wishes(file, arguments)?;
    let all = needed(&wishes, config_maps.keys(), &own, arguments)?;
    let sources: Vec<String> = config_maps.keys().map(configmap::source).collect();
    let roles: Vec<String> = all.iter().map(|(namespace, names)| role(namespace, &own, names)).collect();
    Ok(format!(
        "# Printed by `notariat role` for {}: print it anew when that changes.\n{}",
        sources.join(", "),
        roles.join("---\n")
    ))
}

/// What is wanted in the ConfigMaps of `file`, or else those that the arguments name; with them and the own namespace.
///
/// # Errors
/// As [`run`].
pub fn wishes(file: Option<&Path>, arguments: &Arguments) -> Result<(ConfigMaps, String, Wishes), String> {
    let (config_maps, own) = match file {
        Some(file) => {
            let config_maps = in_manifest(&read("f", file)?, arguments.namespace.as_deref())
                .map_err(|e| format!("-f {}: {e}", file.display()))?;
            let own = config_maps.keys().next().map(|at| at.namespace.to_string()).unwrap_or_default();
            (config_maps, own)
        }
        None => in_place(arguments)?,
    };
    let namespaces = Namespaces::new(&own, &arguments.allow_namespaces);
    let mut wishes = Wishes::default();
    for (name, data) in &config_maps {
        let config = config::read(data, &namespaces).map_err(|Unreadable(e)| format!("ConfigMap {name}: {e}"))?;
        configmap::add(&mut wishes, name, &config, |_| None);
    }
    if !wishes.refused.is_empty() {
        let refused: Vec<String> = wishes.refused.iter().map(ToString::to_string).collect();
        return Err(refused.join("\nnotariat: "));
    }
    Ok((config_maps, own, wishes))
}

/// The objects that a daemon with these arguments uses, by namespace.
///
/// # Errors
/// When the arguments can not be used.
pub fn needed<'n>(
    wishes: &Wishes,
    config_maps: impl Iterator<Item = &'n ObjectRef>,
    own: &str,
    arguments: &Arguments,
) -> Result<BTreeMap<String, Names>, String> {
    let cas = Cas::new(directory(arguments), Vec::new(), None, Stop::new())?;
    let mut all = objects(wishes, &cas, own);
    let names = all.entry(own.to_owned()).or_default();
    names.insert(Kind::ConfigMap, config_maps.map(|at| at.name.to_string()).collect());
    if let Some(lease) = &arguments.lease {
        names.insert(Kind::Lease, [lease.clone()].into());
    }
    names.insert(Kind::Event, BTreeSet::new());
    names.insert(Kind::Status, [bulletin::NAME.to_owned()].into());
    Ok(all)
}

/// The Role for the objects of one namespace.
fn role(namespace: &str, own: &str, names: &Names) -> String {
    let mut yaml = String::new();
    let mut line = |text: &str| writeln!(yaml, "{text}").expect("a String takes everything");
    if namespace != own {
        line(&format!(
            "# Bind it: kubectl -n {namespace} create rolebinding notariat --role=notariat --serviceaccount={own}:notariat"
        ));
    }
    line("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: notariat");
    line(&format!("  namespace: {namespace:?}\nrules:"));
    let mut rule = |comment: &str, rights: &[&Right], names: &BTreeSet<String>| {
        let Some(Right { group, resource, .. }) = rights.first() else { return };
        line(&format!("  # {comment}\n  - apiGroups: [{group:?}]\n    resources: [{resource}]"));
        if !names.is_empty() {
            line("    resourceNames:");
            names.iter().for_each(|name| line(&format!("      - {name:?}")));
        }
        let verbs: Vec<&str> = rights.iter().map(|right| right.verb).collect();
        line(&format!("    verbs: [{}]", verbs.join(", ")));
    };
    for (kind, names) in names {
        let by_name: Vec<_> = RIGHTS.iter().filter(|right| right.by_name && right.of.contains(kind)).collect();
        rule(comment(*kind), &by_name, names);
    }
    let used = |right: &&Right| right.of.iter().any(|kind| names.contains_key(kind));
    let others: Vec<_> = RIGHTS.iter().filter(|right| !right.by_name).filter(used).collect();
    for rights in others.chunk_by(|a, b| a.resource == b.resource) {
        rule("No names: what is created has none that a Role could tell apart.", rights, &BTreeSet::new());
    }
    yaml
}

fn comment(kind: Kind) -> &'static str {
    match kind {
        Kind::ConfigMap => "What is wanted.",
        Kind::Input => "TSIG keys and what issuers name: read, never written.",
        Kind::Certificate => "Certificates.",
        Kind::Own => "ACME accounts and records.",
        Kind::Lease => "Which replica leads.",
        Kind::Event => "What happened.",
        Kind::Status => "The state, for people who may not read Secrets.",
    }
}

/// The ConfigMaps where the daemon reads them, and the own namespace.
fn in_place(arguments: &Arguments) -> Result<(ConfigMaps, String), String> {
    let Place { store, namespace, .. } = open(arguments, Sharing::Beside, &Stop::new())?;
    let mut found = ConfigMaps::new();
    for name in &arguments.config {
        let at = ObjectRef::parse(name, &namespace).map_err(|e| format!("-config {name:?} {e}"))?;
        let data = store.config_map(&at).map_err(|e| e.to_string())?;
        let data = data
            .ok_or_else(|| format!("the ConfigMap {at} does not exist; -f FILE reads one that is not applied yet"))?;
        found.insert(at, data);
    }
    Ok((found, namespace))
}

/// Reads the manifest that `flag` names (`-` is standard input).
///
/// # Errors
/// When it can not be read or is larger than [`MANIFEST_OCTETS_MAX`].
pub fn read(flag: &str, file: &Path) -> Result<String, String> {
    let told = |e| format!("-{flag} {}: {e}", file.display());
    let mut octets = Vec::new();
    let mut source: Box<dyn std::io::Read> = match file.as_os_str().as_encoded_bytes() {
        b"-" => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(told)?),
    };
    source.by_ref().take(MANIFEST_OCTETS_MAX + 1).read_to_end(&mut octets).map_err(told)?;
    if octets.len() as u64 > MANIFEST_OCTETS_MAX {
        return Err(format!("-{flag} {}: is larger than any ConfigMap", file.display()));
    }
    String::from_utf8(octets).map_err(|e| format!("-{flag} {}: {}", file.display(), data::encoding(e.as_bytes())))
}

/// The ConfigMaps of a manifest, all of one namespace: their own, else `namespace`. Other objects are passed over.
fn in_manifest(text: &str, namespace: Option<&str>) -> Result<ConfigMaps, String> {
    let mut found = ConfigMaps::new();
    bounds::check_manifest(text)?;
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = Node::deserialize(document).map_err(|e| format!("is not YAML: {e}"))?;
        if field(&object, "kind") != Some(&Node::Text("ConfigMap".to_owned())) {
            continue;
        }
        let metadata = field(&object, "metadata").unwrap_or(&Node::Null);
        let own = |name| field(metadata, name).and_then(text_of);
        let name = own("name").ok_or("has a ConfigMap without a name")?;
        let namespace = namespace.or(own("namespace"));
        let namespace = namespace.ok_or_else(|| format!("the ConfigMap {name} says no namespace: give -namespace"))?;
        let at = ObjectRef::parse(name, namespace).map_err(|e| format!("{name:?} {e}"))?;
        let Some(Node::Map(data)) = field(&object, "data") else {
            return Err(format!("the ConfigMap {at} has no data"));
        };
        let data = data.iter().filter_map(|(key, value)| Some((text_of(key)?.to_owned(), text_of(value)?.to_owned())));
        found.insert(at, data.collect());
    }
    match found.keys().find(|at| found.keys().any(|other| other.namespace != at.namespace)) {
        Some(_) => Err("has ConfigMaps of several namespaces; notariat reads those of one".to_owned()),
        None if found.is_empty() => Err("has no ConfigMap".to_owned()),
        None => Ok(found),
    }
}

fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let Node::Map(pairs) = node else { return None };
    pairs.iter().find(|(key, _)| text_of(key) == Some(name)).map(|(_, value)| value)
}

fn text_of(node: &Node) -> Option<&str> {
    match node {
        Node::Text(text) => Some(text),
        Node::Null | Node::Bool(_) | Node::Integer(_) | Node::Number(_) | Node::List(_) | Node::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_gets_the_verbs_that_it_needs_by_name() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = Names::from([
            (Kind::ConfigMap, set(&["notariat"])),
            (Kind::Input, set(&["key"])),
            (Kind::Certificate, set(&["web", "1e3"])),
            (Kind::Own, set(&["notariat-record.team.web"])),
            (Kind::Lease, set(&["notariat"])),
            (Kind::Event, set(&[])),
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
        assert_eq!(role("team", "team", &names), own);
        let keys = role("keys", "team", &Names::from([(Kind::Input, set(&["key"]))]));
        assert!(
            keys.starts_with("# Bind it: kubectl -n keys create rolebinding") && !keys.contains("create]"),
            "{keys}"
        );
    }

    #[test]
    fn config_maps_are_found_in_a_manifest() {
        let of = |namespace: &str, name: &str| {
            format!(
                "kind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{certificates: '[]'}}\n---\n"
            )
        };
        let found = |text: &str, namespace: Option<&str>| {
            let found = in_manifest(text, namespace)?;
            Ok::<_, String>(found.keys().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let example = include_str!("../deploy/example.yaml");
        for (text, namespace, expected) in [
            (example, Some("team"), Ok("team/notariat")),
            (example, None, Err("the ConfigMap notariat says no namespace: give -namespace")),
            (&of("a", "x"), None, Ok("a/x")),
            (&of("a", "x"), Some("b"), Ok("b/x")),
            (&(of("a", "x") + &of("a", "y")), None, Ok("a/x a/y")),
            (&(of("a", "x") + &of("b", "y")), None, Err("several namespaces")),
            ("kind: Secret\nmetadata: {name: x}", Some("a"), Err("has no ConfigMap")),
            ("", Some("a"), Err("has no ConfigMap")),
            ("kind: ConfigMap\nmetadata: {name: x}", Some("a"), Err("a/x has no data")),
            ("kind: ConfigMap", Some("a"), Err("without a name")),
            ("kind: ConfigMap\nmetadata: {name: X}\ndata: {}", Some("a"), Err("\"X\" is not a name")),
            ("kind: [", Some("a"), Err("is not YAML")),
        ] {
            match (found(text, namespace), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(e), Err(part)) => assert!(e.contains(part), "{text}: {e}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
