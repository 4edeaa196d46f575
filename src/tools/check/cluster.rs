//! `notariat check -config NAME`: what the controller would read, reach and be allowed. Nothing is written at any server: access reviews
//! are not stored, and the UPDATE of a probe deletes a value that does not exist.

use std::collections::BTreeMap;

use super::ca::CaChecks;
use super::dns::ZoneChecks;
use super::report::{CheckReport, Level};
use super::{objects, reach, returning, secrets, targets};
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time;
use crate::cli::Arguments;
use crate::config;
use crate::issuance::Context;
use crate::kube::access_review;
use crate::kube::rbac::{Names, SOURCE_VERBS_SENT};
use crate::sources::selection::Selection;
use crate::sources::{Desired, config_map, registry};
use crate::start::build_for;
use crate::store::{LockMode, StoreError};
use crate::tools::manifest::ConfigMap;
use crate::tools::role::needed;
use crate::tools::status::reader;

/// Examines the ConfigMaps, permissions, Secrets, CAs and zones of a controller with these arguments.
///
/// # Errors
/// When the store can not be opened.
pub(super) fn run(arguments: &Arguments) -> Result<CheckReport, String> {
    let mut report = CheckReport::default();
    let (context, plan) = build_for(arguments, LockMode::Beside)?;
    let desired = configuration(&mut report, &context, &plan.config_maps);
    permissions(&mut report, &context, &needed(&desired, plan.config_maps.iter(), &context.namespace, arguments)?);
    sources(&mut report, &context, &plan.selection);
    targets::say(&mut report, &context, &desired, arguments);
    let now = time::now();
    // The lines above have the notes about ConfigMaps already.
    secrets::say(&mut report, &reader(arguments, &Shutdown::new())?.read(now), now);
    returning::say(&mut report, &context, &plan.selection, now);
    let (mut authorities, mut zones) = (CaChecks::default(), ZoneChecks::default());
    for wanted in desired.wanted.values() {
        let authority = authorities.say(&mut report, &context, wanted);
        zones.say(&mut report, &context, wanted, authority.as_ref());
    }
    reach::say(&mut report, &context, desired.wanted.values());
    Ok(report)
}

/// Reports the ConfigMaps, and returns the certificates that they want.
fn configuration(report: &mut CheckReport, context: &Context, config_maps: &[ObjectRef]) -> Desired {
    let (mut desired, mut filled) = (Desired::default(), BTreeMap::new());
    for at in config_maps {
        let object = config_map::source(at);
        match context.store.config_map(at) {
            Ok(Some(data)) => {
                let inspected = config::inspect(&data, &context.namespaces);
                let config_map = ConfigMap { at: at.clone(), data, faults: Vec::new() };
                objects::config_map(report, &config_map, &inspected, &mut filled);
                config_map::add(&mut desired, at, &inspected.config, |_| None);
            }
            Ok(None) => {
                report.is_unreadable = true;
                let sentence = format!("{}; `kubectl get configmaps -A` lists all", config_map::MISSING);
                report.say(Level::Fault, &object, sentence);
            }
            Err(e) => {
                let (said, named) = (e.to_string(), format!("{object}: "));
                let sentence = said.strip_prefix(&named).unwrap_or(&said).to_owned();
                match e {
                    StoreError::Unreachable(_) => report.miss(&object, sentence),
                    _ => report.say(Level::Fault, &object, sentence),
                }
            }
        }
    }
    desired
}

/// Reports what the API server allows the caller, by namespace and resource.
fn permissions(report: &mut CheckReport, context: &Context, needed: &BTreeMap<String, Names>) {
    let Some(client) = context.kube.as_deref() else { return };
    for (namespace, names) in needed {
        let object = format!("Permissions in {namespace}");
        let found = access_review::rules(client, namespace).and_then(|mut rules| {
            access_review::complete(client, namespace, &mut rules, names)?;
            Ok(rules)
        });
        let rules = match found {
            Ok(rules) => rules,
            Err(e) => {
                report.miss(&object, format!("could not be asked for: {e}"));
                continue;
            }
        };
        let missing = rules.missing(names);
        objects::granted(report, &object, names, &missing);
        objects::lacks(report, &object, &missing);
    }
}

/// Reports whether the kinds of the sources may be read in the whole cluster.
fn sources(report: &mut CheckReport, context: &Context, selection: &Selection) {
    let Some(client) = context.kube.as_deref() else { return };
    let object = "Permissions in the cluster";
    for kind in registry::kinds_read(selection) {
        match access_review::missing_in_cluster(client, kind) {
            Ok(missing) if missing.is_empty() => {
                report.say(Level::Ok, object, format!("{}: {}", kind.plural, SOURCE_VERBS_SENT.join(", ")));
            }
            Ok(missing) => objects::lacks_source(report, object, kind, &missing),
            Err(e) => report.miss(object, format!("could not be asked for: {e}")),
        }
    }
}
