//! `notariat forget -all`: empties what notariat keeps for itself, before it is uninstalled: records, status ConfigMap, Lease.
//!
//! Nothing is deleted: no Role of notariat holds the verb. Secrets of certificates are never touched. The output names what remains and the
//! commands that delete it.

use std::path::Path;

use serde_json::json;

use crate::base::limits::LEASE_DOUBT;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::{self, Time};
use crate::cli::Arguments;
use crate::cli::values::Values;
use crate::controller::ExitStatus;
use crate::issuance::solver::removal;
use crate::kube::api::DryRun;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::metadata::Object as _;
use crate::kube::object::{ConfigMapObject, LeaseObject, SecretObject};
use crate::record::{self, Record};
use crate::sources::registry;
use crate::start::{OpenedStore, open};
use crate::status::config_map;
use crate::store::{Component, LockMode, Store};
use crate::tools::output::Output;

/// The step for a record.
#[derive(Debug, PartialEq, Eq)]
enum ForgetStep {
    /// The record is emptied; the commands remove what it knows at name servers.
    Empty(Vec<String>),
    /// The record is empty already.
    Nothing,
    /// The record is left alone, and why.
    Leave(String),
}

/// The objects to empty, and sentences about the others.
#[derive(Debug, Default)]
struct ForgetPlan {
    records: Vec<SecretObject>,
    config_map: Option<ConfigMapObject>,
    lease: Option<LeaseObject>,
    left: Vec<String>,
    removals: Vec<String>,
}

/// Empties what is ours with `-yes`, else says what would be emptied.
///
/// # Errors
/// One sentence with the place and the fault, and the exit status.
pub fn run(values: &Values, arguments: &Arguments) -> Result<Output, (String, ExitStatus)> {
    if !values.has("all") {
        return Err((
            "forget empties everything that notariat keeps for itself: say so with -all".to_owned(),
            ExitStatus::Unreadable,
        ));
    }
    let is_sure = values.has("yes");
    let sharing = if is_sure { LockMode::Alone } else { LockMode::Beside };
    let OpenedStore { store, kube, namespace } =
        open(arguments, sharing, &Shutdown::new()).map_err(|e| (e.sentence, e.end))?;
    let instance = arguments.instance.clone().unwrap_or_else(|| namespace.clone());
    let unsound = |e: String| (e, ExitStatus::Unsound);
    let mut plan = ForgetPlan::default();
    plan.add_records(&store, arguments, &namespace).map_err(unsound)?;
    if let Some(client) = &kube {
        plan.add_objects(client, arguments, &namespace, &instance, time::now()).map_err(unsound)?;
    }
    let failed = if is_sure { plan.carry_out(&store, kube.as_deref()) } else { Vec::new() };
    let mut text = plan.told(is_sure);
    if is_sure {
        text += &remains(&plan, &namespace, arguments);
        let status = if failed.is_empty() { ExitStatus::Good } else { ExitStatus::Unsound };
        return Ok(Output { text, problems: failed.join("\nnotariat: "), status });
    }
    let problems = "nothing was changed: stop notariat, then give -yes".to_owned();
    Ok(Output { text, problems, status: ExitStatus::Unsound })
}

impl ForgetPlan {
    fn add_records(&mut self, store: &Store, arguments: &Arguments, own: &str) -> Result<(), String> {
        let in_own = |name: &String| ObjectRef::new(own, name);
        let config_maps: Vec<ObjectRef> = arguments.config.iter().map(in_own).collect();
        let sources = registry::all(&config_maps, &arguments.namespaces(own));
        let is_ours = |source: &str| sources.iter().any(|one| one.owns(source));
        let now = time::now();
        for secret in store.records(own).map_err(|e| e.to_string())? {
            match step(&secret, &is_ours, now) {
                ForgetStep::Empty(removals) => {
                    self.records.push(secret);
                    self.removals.extend(removals);
                }
                ForgetStep::Nothing => {}
                ForgetStep::Leave(why) => self.left.push(format!("Secret {}: {why}", secret.reference)),
            }
        }
        Ok(())
    }

    /// Adds the status ConfigMap and the Lease.
    fn add_objects(
        &mut self,
        client: &KubeClient,
        arguments: &Arguments,
        own: &str,
        instance: &str,
        now: Time,
    ) -> Result<(), String> {
        let told = |at: &ObjectRef, e: &KubeError| format!("{at}: {e}");
        let at = ObjectRef::new(own, config_map::NAME);
        let found: Option<ConfigMapObject> = client.get(&at).map_err(|e| told(&at, &e))?;
        if let Some(found) = found.filter(|found| !found.data().is_empty()) {
            match config_map::object(&at, Some(found.to_json()), instance, &[].into()) {
                Ok(emptied) => self.config_map = Some(ConfigMapObject(emptied)),
                Err(why) => self.left.push(why),
            }
        }
        let Some(at) = arguments.lease.as_ref().map(|name| ObjectRef::new(own, name)) else { return Ok(()) };
        let found: Option<LeaseObject> = client.get(&at).map_err(|e| told(&at, &e))?;
        self.lease =
            found.map_or(Ok(None), |lease| released(lease, now)).map_err(|why| format!("the Lease {at} {why}"))?;
        Ok(())
    }

    /// Empties everything. Returns a sentence for each failure.
    fn carry_out(&self, store: &Store, kube: Option<&KubeClient>) -> Vec<String> {
        let now = time::now();
        let emptied = |secret: &SecretObject| {
            let data = Record::default().data(now);
            let written = store.put_own(&secret.reference, Some(secret), Component::Record, record::TYPE, data);
            written.err().map(|e| format!("Secret {}: {e}", secret.reference))
        };
        let mut failed: Vec<String> = self.records.iter().filter_map(emptied).collect();
        let config_map =
            self.config_map.as_ref().zip(kube).map(|(object, kube)| kube.replace(object, DryRun::Real).err());
        let lease = self.lease.as_ref().zip(kube).map(|(object, kube)| kube.replace(object, DryRun::Real).err());
        failed.extend(config_map.flatten().map(|e| format!("ConfigMap {}: {e}", config_map::NAME)));
        failed.extend(lease.flatten().map(|e| format!("Lease: {e}")));
        failed
    }

    /// A line for each object that is emptied or left alone, and for each challenge that stays at a name server.
    fn told(&self, is_done: bool) -> String {
        let verb = if is_done { "emptied" } else { "would empty" };
        let mut lines: Vec<String> =
            self.records.iter().map(|secret| format!("{verb}: Secret {}", secret.reference)).collect();
        lines.extend(
            self.config_map.as_ref().map(|object| format!("{verb}: ConfigMap {}", object.metadata().reference)),
        );
        lines.extend(self.lease.as_ref().map(|object| format!("{verb}: Lease {}", object.metadata().reference)));
        if lines.is_empty() {
            lines.push("nothing is there to empty".to_owned());
        }
        lines.extend(self.left.iter().map(|left| format!("left alone: {left}")));
        lines.extend(self.removals.iter().map(|removal| format!("a challenge stays at a name server: {removal}")));
        lines.join("\n") + "\n"
    }
}

/// The step for a record. `is_ours` tells the sources of this instance.
fn step(secret: &SecretObject, is_ours: &dyn Fn(&str) -> bool, now: Time) -> ForgetStep {
    let read = match Record::read(Some(secret)) {
        Ok(read) => read,
        Err(why) => return ForgetStep::Leave(format!("the record {why}")),
    };
    let source = read.body.accepted.as_ref().and_then(|accepted| accepted.source.as_deref());
    if let Some(source) = source.filter(|source| !is_ours(source)) {
        return ForgetStep::Leave(format!("it belongs to {source}, which -config does not name"));
    }
    if secret.data == Record::default().data(now) {
        return ForgetStep::Nothing;
    }
    let published = read.body.in_flight.iter().flat_map(|flight| &flight.published);
    let left = read.body.leftovers.iter().map(|left| &left.published);
    ForgetStep::Empty(published.chain(left).map(removal).collect())
}

/// The Lease without a holder; `None` where it has none.
///
/// # Errors
/// The holder, where it renewed the Lease lately: it is at work.
fn released(LeaseObject(mut lease): LeaseObject, now: Time) -> Result<Option<LeaseObject>, String> {
    let spec = &lease["spec"];
    let holder = spec["holderIdentity"].as_str().unwrap_or_default();
    if holder.is_empty() {
        return Ok(None);
    }
    let renewed = spec["renewTime"].as_str().and_then(Time::parse_rfc3339);
    if renewed.is_some_and(|at| at.distance(now) < LEASE_DOUBT) {
        return Err(format!(
            "is held by {holder:?}: scale notariat to 0 first; where it was killed, try again {} minutes after",
            LEASE_DOUBT.as_secs() / 60
        ));
    }
    lease["spec"]["holderIdentity"] = json!("");
    Ok(Some(LeaseObject(lease)))
}

/// The remaining objects, with the commands that delete them.
fn remains(plan: &ForgetPlan, own: &str, arguments: &Arguments) -> String {
    let kept =
        "The Secrets of the certificates stay as they are and are valid until they expire; nobody renews them.\n";
    let head = format!(
        "{kept}What is left of notariat is empty, but for the keys of its ACME accounts. notariat deletes nothing; you can:\n"
    );
    if let Some(folder) = &arguments.local {
        let secrets = format!("{}/secrets/", quoted(&folder.join(own)));
        let names: Vec<String> = plan.records.iter().map(|secret| secret.reference.name.to_string()).collect();
        let records = match plan.left.is_empty() {
            true => format!("  rm -rf {secrets}{{,.}}notariat-record.*\n"),
            false => names.iter().map(|name| format!("  rm -rf {secrets}{name} {secrets}.{name}.*\n")).collect(),
        };
        let locks = format!("  rm -f {0}/.lock {0}/.writing\n", quoted(folder));
        return format!("{head}{records}  rm -rf {secrets}{{,.}}notariat-acme-*\n{locks}");
    }
    let delete = format!("  kubectl -n {own} delete");
    let records = match plan.left.is_empty() {
        true => format!("{delete} secrets --field-selector type={}\n", record::TYPE),
        false => plan.records.iter().map(|secret| format!("{delete} secret {}\n", secret.reference.name)).collect(),
    };
    let accounts = "app.kubernetes.io/managed-by=notariat,app.kubernetes.io/component=account";
    let lease = arguments.lease.as_ref().map(|name| format!("{delete} lease {name} --ignore-not-found\n"));
    format!(
        "{head}{records}{delete} secrets -l {accounts}\n{delete} configmap {} --ignore-not-found\n{}",
        config_map::NAME,
        lease.unwrap_or_default()
    )
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
