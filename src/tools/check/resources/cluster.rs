//! Reads cert-manager's objects from the API server. Only get and list.

use std::collections::BTreeSet;

use serde_json::Value;

use super::seen::{APPROVER, Seen};
use crate::base::limits::NAMED_SECRETS_MAX;
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::shutdown::Shutdown;
use crate::cli::Arguments;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::metadata::wipe;
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::start::{OpenedStore, open};
use crate::store::LockMode;

const fn kind(group: &'static str, plural: &'static str, kind: &'static str, namespaced: bool) -> Resource {
    Resource { group, version: "v1", plural, kind, namespaced }
}

const CERTIFICATES: Resource = kind("cert-manager.io", "certificates", "Certificate", true);
const ISSUERS: Resource = kind("cert-manager.io", "issuers", "Issuer", true);
const CLUSTER_ISSUERS: Resource = kind("cert-manager.io", "clusterissuers", "ClusterIssuer", false);
const WEBHOOKS: &str = "admissionregistration.k8s.io";

/// The kinds that are listed.
const KINDS: [Resource; 11] = [
    CLUSTER_ISSUERS,
    ISSUERS,
    CERTIFICATES,
    kind("cert-manager.io", "certificaterequests", "CertificateRequest", true),
    kind("acme.cert-manager.io", "orders", "Order", true),
    kind("acme.cert-manager.io", "challenges", "Challenge", true),
    Resource::INGRESSES,
    Resource::GATEWAYS,
    Resource::LISTENER_SETS,
    kind(WEBHOOKS, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false),
    kind(WEBHOOKS, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false),
];
const DEFINITIONS: Resource =
    kind("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", false);
const ENDPOINTS: Resource = kind("", "endpoints", "Endpoints", true);

/// Looks at the cluster with the rights of the caller.
///
/// # Errors
/// When there is no API server to ask.
pub(super) fn look(arguments: &Arguments, cluster_resources: &str) -> Result<Seen, String> {
    let OpenedStore { kube, .. } = open(arguments, LockMode::Beside, &Shutdown::new())?;
    let client = kube.ok_or("-resources needs an API server, or -f FILE")?;
    let mut seen = Seen::default();
    for resource in KINDS {
        list(&client, resource, &mut seen);
    }
    let definition = ObjectRef::new("", APPROVER);
    match client.get_json(DEFINITIONS, &definition) {
        Ok(found) => seen.has_approver = found.is_some(),
        Err(e) => seen.missed.push((format!("{} {APPROVER}", DEFINITIONS.kind), could_not(&e))),
    }
    for service in seen.webhooks.keys().cloned().collect::<Vec<_>>() {
        match client.get_json(ENDPOINTS, &service) {
            Ok(found) => drop(seen.services.insert(service, found.is_some_and(|found| has_address(&found)))),
            Err(e) => seen.missed.push((format!("Endpoints {service}"), could_not(&e))),
        }
    }
    secrets(&client, cluster_resources, &mut seen);
    Ok(seen)
}

/// Lists all objects of a kind. A cluster without the kind has none.
fn list(client: &KubeClient, resource: Resource, seen: &mut Seen) {
    let target =
        WatchTarget { resource, namespace: String::new(), selector: Selector::All, cluster: ClusterName::HOME };
    let mut add = |object: Value| seen.add_as(resource.group, resource.version, resource.kind, &object);
    match client.list_json(&target, &mut add) {
        Ok(()) => {}
        Err(KubeError::Api(e)) if e.code == 404 => seen.lacks_kind |= resource == CERTIFICATES,
        Err(e) => {
            seen.misses_issuers |= matches!(resource, ISSUERS | CLUSTER_ISSUERS);
            seen.missed.push((format!("all {}", resource.plural), could_not(&e)));
        }
    }
}

/// Reads which data keys the Secrets have that issuers name. Their values are wiped at once.
fn secrets(client: &KubeClient, cluster_resources: &str, seen: &mut Seen) {
    let named = seen.named_secrets(cluster_resources);
    let left = named.len().saturating_sub(NAMED_SECRETS_MAX);
    for at in named.into_iter().take(NAMED_SECRETS_MAX) {
        match client.get_json(Resource::SECRETS, &at) {
            Ok(found) => {
                let keys = found.map(|mut secret| {
                    let keys = secret["data"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
                    let keys: BTreeSet<String> = keys.collect();
                    wipe(&mut secret);
                    keys
                });
                seen.secrets.insert(at, keys);
            }
            Err(e) => seen.missed.push((format!("Secret {at}"), could_not(&e))),
        }
    }
    if left > 0 {
        seen.missed
            .push(("Secrets of issuers".to_owned(), format!("could not look at {left} more than {NAMED_SECRETS_MAX}")));
    }
}

fn could_not(e: &KubeError) -> String {
    format!("could not look: {e}")
}

/// A pod is ready behind the Service.
fn has_address(endpoints: &Value) -> bool {
    let mut subsets = endpoints["subsets"].as_array().into_iter().flatten();
    subsets.any(|subset| subset["addresses"].as_array().is_some_and(|addresses| !addresses.is_empty()))
}
