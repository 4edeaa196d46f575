//! The rules by which other programs read the status of an object, each as its project documents it.

use serde_json::Value;

/// Condition `type_` of an object.
fn condition<'o>(object: &'o Value, type_: &str) -> Option<&'o Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// `kubectl wait --for=condition=Ready`: the condition is true, and not one of an earlier generation.
pub(super) fn wait(object: &Value) -> bool {
    let Some(ready) = condition(object, "Ready") else { return false };
    let is_old = |generation: &Value| generation.as_i64() < object["metadata"]["generation"].as_i64();
    ready["status"] == "True" && !ready.get("observedGeneration").is_some_and(is_old)
}

/// The state of an object in kstatus, which Flux and Helm use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kstatus {
    Current,
    InProgress,
    Failed,
}

/// kstatus: `status.observedGeneration`, then Stalled and Reconciling, then Ready; an object without any of them is current.
pub(super) fn kstatus(object: &Value) -> Kstatus {
    let generation = object["metadata"]["generation"].as_i64();
    let observed = object["status"]["observedGeneration"].as_i64();
    let is_true = |type_: &str| condition(object, type_).is_some_and(|condition| condition["status"] == "True");
    match condition(object, "Ready") {
        _ if observed.is_some() && observed != generation => Kstatus::InProgress,
        _ if is_true("Stalled") => Kstatus::Failed,
        _ if is_true("Reconciling") => Kstatus::InProgress,
        Some(ready) if ready["status"] != "True" => Kstatus::InProgress,
        Some(_) | None => Kstatus::Current,
    }
}

/// The health of an object in Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArgoHealth {
    Healthy,
    Progressing,
    Degraded,
}

/// Argo CD's check for cert-manager.io/Certificate: Issuing before Ready.
pub(super) fn argo_cd(object: &Value) -> ArgoHealth {
    if condition(object, "Issuing").is_some_and(|issuing| issuing["status"] == "True") {
        return ArgoHealth::Progressing;
    }
    match condition(object, "Ready").map(|ready| &ready["status"]) {
        Some(status) if *status == "True" => ArgoHealth::Healthy,
        Some(status) if *status == "False" => ArgoHealth::Degraded,
        Some(_) | None => ArgoHealth::Progressing,
    }
}
