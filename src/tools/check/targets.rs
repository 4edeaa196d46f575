//! The rights in the other clusters (`-target`). A cluster that is away is one line.

use std::collections::BTreeSet;

use super::objects;
use super::report::{CheckReport, Level};
use crate::base::limits::TARGET_REQUEST;
use crate::cli::Arguments;
use crate::issuance::Context;
use crate::kube::access_review;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::rbac::{Names, RuleSubject};
use crate::kube::resource::Resource;
use crate::sources::{Desired, registry};
use crate::tools::role::needed_in;

/// Reports what the API server of each other cluster allows, by namespace and resource.
pub(super) fn say(report: &mut CheckReport, context: &Context, desired: &Desired, arguments: &Arguments) {
    for (cluster, there) in context.store.others() {
        let (Some(name), Some(client)) = (cluster.name(), there.client.as_deref()) else { continue };
        let client = client.with_timeout(TARGET_REQUEST);
        let kinds = registry::kinds_read_in(&arguments.selection, name);
        for (namespace, names) in needed_in(name, desired, &context.namespace, arguments) {
            let place = format!("{name}:{namespace}");
            if let Err(e) = in_namespace(report, &client, name, (&place, &namespace), &names, &kinds) {
                report.miss(&format!("Permissions in {name}"), format!("the cluster {name} could not be asked: {e}"));
                break;
            }
        }
    }
}

fn in_namespace(
    report: &mut CheckReport,
    client: &KubeClient,
    cluster: &str,
    (place, namespace): (&str, &str),
    names: &Names,
    kinds: &BTreeSet<Resource>,
) -> Result<(), KubeError> {
    let object = format!("Permissions in {place}");
    let mut rules = access_review::rules(client, namespace)?;
    access_review::complete(client, namespace, &mut rules, names)?;
    let missing = rules.missing(names);
    objects::granted(report, &object, names, &missing);
    objects::lacks(report, &object, &missing);
    // Sources are in the namespaces that may have Events.
    for kind in kinds.iter().filter(|_| names.contains_key(&RuleSubject::Event)) {
        let missing = access_review::missing_in_namespace(client, namespace, *kind)?;
        if missing.is_empty() {
            report.say(Level::Ok, &object, format!("{}: get, list, watch; update of the status", kind.plural));
        }
        for (verb, resource) in missing {
            let consequence = match verb {
                "update" => "no status says what became of a Certificate",
                "get" => "an Event may lack its object, and a status that another writer changed is written later",
                _ => "nothing is taken from these objects until they may be read",
            };
            let level = if matches!(verb, "list" | "watch") { Level::Fault } else { Level::Warning };
            let hint = format!("`notariat role -cluster {cluster}` prints a Role that is enough");
            report.say(level, &object, format!("lacks the verb `{verb}` on `{resource}`: {consequence}; {hint}"));
        }
    }
    Ok(())
}
