//! `notariat check`: all faults of a configuration, and what an order would meet, as the lines of a [`CheckReport`].
//!
//! With `-f FILE` the command checks a manifest before it is applied, without network and cluster, for a pipeline. Else the command checks
//! what the controller would read and reach (`cluster`), and changes nothing. Tests: tests/it/bad_configurations.rs, tests/it/check.rs.

mod ca;
mod caa;
mod cluster;
mod dns;
mod lint;
mod names;
mod objects;
mod reach;
pub mod report;
pub mod resources;
mod returning;
mod secrets;
mod targets;

use std::collections::BTreeMap;

use serde_json::json;

use crate::base::name::ObjectRef;
use crate::cli::Arguments;
use crate::config;
use crate::controller::ExitStatus;
use crate::kube::rbac::{GrantedRules, Names, SOURCE_VERBS_SENT};
use crate::sources::{Desired, config_map, registry};
use crate::tools::manifest::{self, Manifest};
use crate::tools::options::CheckOptions;
use crate::tools::role::needed;
use report::{CheckReport, Level};

/// Examines the manifest of `-f`, or else the cluster.
///
/// # Errors
/// When a file can not be read or is not YAML, or the store can not be opened.
pub fn run(asked: &CheckOptions, arguments: &Arguments) -> Result<CheckReport, String> {
    let Some(file) = asked.file.as_deref() else { return cluster::run(arguments) };
    let mut found = manifest::open("f", file, arguments.namespace.as_deref())?;
    // Roles beside the ConfigMaps count where their name has `notariat` in it; all Roles of `-role` count.
    found.roles.retain(|role| role.name.contains("notariat"));
    if let Some(file) = &asked.role {
        let more = manifest::open("role", file, None)?;
        if more.roles.is_empty() {
            return Err(format!("-role {}: has no Role and no ClusterRole", file.display()));
        }
        found.roles.extend(more.roles);
    }
    examine(&found, arguments)
}

/// The exit status: no configuration, faults, only unknowns, sound.
pub fn end(report: &CheckReport) -> ExitStatus {
    match report.faults() {
        _ if report.is_unreadable => ExitStatus::Unreadable,
        0 => ExitStatus::Good,
        faults if faults > report.unknown => ExitStatus::Unsound,
        _ => ExitStatus::Unknown,
    }
}

/// Examines the objects of manifests.
fn examine(found: &Manifest, arguments: &Arguments) -> Result<CheckReport, String> {
    let mut report = CheckReport::default();
    if found.config_maps.is_empty() {
        report.say(Level::Warning, "manifest", "has no ConfigMap: there is nothing to check".to_owned());
    }
    let mut filled = BTreeMap::new();
    let mut by_namespace = BTreeMap::<&str, (Desired, Vec<&ObjectRef>)>::new();
    for config_map in &found.config_maps {
        let namespaces = arguments.namespaces(&config_map.at.namespace);
        let inspected = config::inspect(&config_map.data, &namespaces);
        objects::config_map(&mut report, config_map, &inspected, &mut filled);
        if found.roles.is_empty() {
            continue;
        }
        // The written forms are large and are not needed any more.
        let config::Inspected { config, .. } = inspected;
        let (desired, names) = by_namespace.entry(&config_map.at.namespace).or_default();
        config_map::add(desired, &config_map.at, &config, |_| None);
        names.push(&config_map.at);
    }
    if !found.roles.is_empty() {
        if !found.config_maps.is_empty() {
            sources(&mut report, found, arguments);
        }
        for (own, (desired, names)) in by_namespace {
            permissions(&mut report, found, &needed(&desired, names.into_iter(), own, arguments)?, own);
        }
    }
    Ok(report)
}

/// Reports what the ClusterRoles lack to read the kinds of `-sources`.
fn sources(report: &mut CheckReport, found: &Manifest, arguments: &Arguments) {
    let rules: Vec<_> = found.roles.iter().filter(|role| role.is_cluster).flat_map(|role| role.rules.clone()).collect();
    let rules = GrantedRules::read(&json!({ "resourceRules": rules }));
    for kind in registry::kinds_read(&arguments.selection) {
        let missing: Vec<_> = SOURCE_VERBS_SENT.into_iter().filter(|verb| !rules.allows(verb, kind, None)).collect();
        objects::lacks_source(report, "ClusterRole", kind, &missing);
    }
}

/// Reports what the Roles lack in each namespace. A ClusterRole counts everywhere: its bindings are not examined.
fn permissions(report: &mut CheckReport, found: &Manifest, needed: &BTreeMap<String, Names>, own: &str) {
    for (namespace, names) in needed {
        let holds = |role: &&manifest::Role| match (&role.namespace, role.is_cluster) {
            (_, true) => true,
            (Some(at), false) => at == namespace,
            (None, false) => namespace == own,
        };
        let rules: Vec<_> = found.roles.iter().filter(holds).flat_map(|role| role.rules.clone()).collect();
        let rules = GrantedRules::read(&json!({ "resourceRules": rules }));
        let object = format!("Role in {namespace}");
        if objects::lacks(report, &object, &rules.missing(names)) {
            continue;
        }
        report.say(Level::Ok, &object, "grants what is needed".to_owned());
    }
}
