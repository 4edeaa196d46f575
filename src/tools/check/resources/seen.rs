//! cert-manager's objects, reduced one by one to what is judged. Pure: the objects are untrusted, and what is shown of them is escaped by
//! the report.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::base::name::ObjectRef;
use crate::cert_manager::{CertManagerIssuer, Certificate, DataKey, KnownIssuers, SolverKind, object_id};

/// The states in which an Order or a Challenge has ended.
const ENDED: [&str; 4] = ["valid", "invalid", "expired", "errored"];

/// The annotations by which cert-manager makes Certificates of an Ingress or a Gateway.
const SHIM: [&str; 3] = ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer", "kubernetes.io/tls-acme"];

/// The objects of cert-manager, as they were seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) certificates: Vec<SeenCertificate>,
    pub(super) issuers: KnownIssuers,
    /// Objects that wait for cert-manager, each with a sentence.
    pub(super) in_flight: BTreeMap<String, String>,
    /// Namespaces with CertificateRequests that belong to no Certificate, with their number.
    pub(super) loose_requests: BTreeMap<String, usize>,
    /// Objects with an annotation of cert-manager's shim.
    pub(super) shims: BTreeMap<String, &'static str>,
    /// Objects of cert-manager that an earlier version of the API wrote.
    pub(super) old: BTreeMap<String, String>,
    /// The Services that the API server asks before each write of cert-manager's objects, with the configurations that say so.
    pub(super) webhooks: BTreeMap<ObjectRef, BTreeSet<String>>,
    /// Those of them that were looked at: whether a pod is ready.
    pub(super) services: BTreeMap<ObjectRef, bool>,
    /// The data keys of the Secrets that issuers name and that were looked at; `None` for one that does not exist.
    pub(super) secrets: BTreeMap<ObjectRef, Option<BTreeSet<String>>>,
    /// The policies of approver-policy can be written here.
    pub(super) has_approver: bool,
    /// The objects that could not be looked at, with the reason.
    pub(super) missed: Vec<(String, String)>,
    /// An issuer may exist that was not seen.
    pub(super) misses_issuers: bool,
    /// cert-manager's Certificates are no kind of this cluster.
    pub(super) lacks_kind: bool,
}

/// A Certificate with what only a check needs.
#[derive(Debug)]
pub(super) struct SeenCertificate {
    /// Namespace and name, as they are written.
    pub(super) at: (String, String),
    /// The time of its creation, as it is written: RFC 3339 sorts as text.
    pub(super) created: String,
    pub(super) read: Result<Certificate, String>,
}

impl Seen {
    /// Adds an object that says its kind; others than those that count are passed over.
    pub(super) fn add(&mut self, object: &Value) {
        let (version, kind) = (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str());
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        self.add_as(group, version, kind.unwrap_or_default(), object);
    }

    /// Adds an object of this kind.
    pub(super) fn add_as(&mut self, group: &str, version: &str, kind: &str, object: &Value) {
        let (namespace, name) = object_id(object);
        let title = titled(kind, namespace, name);
        match (group, kind) {
            ("cert-manager.io" | "acme.cert-manager.io", _) if version != "v1" => {
                self.old.insert(title, format!("is of {group}/{version}; {group}/v1 is read"));
            }
            ("cert-manager.io", "Certificate") => {
                let created = object["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned();
                let at = (namespace.to_owned(), name.to_owned());
                self.certificates.push(SeenCertificate { at, created, read: Certificate::read(object) });
            }
            ("cert-manager.io", "Issuer" | "ClusterIssuer") => self.issuers.extend(CertManagerIssuer::read(object)),
            ("cert-manager.io", "CertificateRequest") => {
                let annotation = &object["metadata"]["annotations"]["cert-manager.io/certificate-name"];
                let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
                let is_owned = owners.into_iter().any(|owner| owner["kind"] == "Certificate");
                if !is_owned && !annotation.is_string() {
                    *self.loose_requests.entry(namespace.to_owned()).or_default() += 1;
                }
            }
            ("acme.cert-manager.io", "Order" | "Challenge") => {
                self.in_flight.extend(in_flight(object).map(|why| (title, why)))
            }
            ("networking.k8s.io", "Ingress") | ("gateway.networking.k8s.io", "Gateway" | "ListenerSet") => {
                let annotations = &object["metadata"]["annotations"];
                let asks = |name: &&&str| {
                    annotations[**name].as_str().is_some_and(|value| **name != SHIM[2] || value == "true")
                };
                self.shims.extend(SHIM.iter().find(asks).map(|name| (title, *name)));
            }
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
                for service in webhook_services(object) {
                    self.webhooks.entry(service).or_default().insert(title.clone());
                }
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") if name == APPROVER => self.has_approver = true,
            _ => {}
        }
    }

    /// The Secrets with TSIG keys and external account bindings that ACME issuers name, each once with its data keys.
    pub(super) fn named_secrets(&self, cluster_resources: &str) -> BTreeSet<ObjectRef> {
        let of = |issuer: &CertManagerIssuer| {
            let keys = secrets_of(issuer).into_iter();
            keys.filter_map(|(key, _)| key.at(issuer.secrets_in(cluster_resources)).ok()).collect::<Vec<_>>()
        };
        self.issuers.all().flat_map(of).collect()
    }
}

/// The data keys that an issuer needs, each with its purpose. An account key that does not exist is made.
pub(super) fn secrets_of(issuer: &CertManagerIssuer) -> Vec<(DataKey, &'static str)> {
    let Some(acme) = &issuer.acme else { return Vec::new() };
    let tsig = acme.solvers.iter().filter_map(|solver| match &solver.challenge {
        SolverKind::Update(update) => Some((update.access().ok()?.secret, "a TSIG key")),
        SolverKind::Provider(_) | SolverKind::Http | SolverKind::Unknown => None,
    });
    let binding = acme.external_account.as_ref().and_then(|account| account.key.clone());
    let mut keys: Vec<_> = tsig.chain(binding.map(|key| (key, "the external account binding"))).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The definition of approver-policy's kind.
pub(super) const APPROVER: &str = "certificaterequestpolicies.policy.cert-manager.io";

/// The name of an object in the report.
pub(super) fn titled(kind: &str, namespace: &str, name: &str) -> String {
    if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") }
}

/// The sentence for an Order or a Challenge that has not ended, or that can not be deleted without cert-manager.
fn in_flight(object: &Value) -> Option<String> {
    let state = object["status"]["state"].as_str().unwrap_or_default();
    let has_finalizer = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    match ENDED.contains(&state) {
        false => {
            let state = if state.is_empty() { "new" } else { state };
            Some(format!("is open ({state}): wait until it has ended, or delete it while cert-manager runs"))
        }
        true if has_finalizer => Some(
            "has ended and has a finalizer, which keeps its namespace from being deleted without cert-manager: delete it while cert-manager runs"
                .to_owned(),
        ),
        true => None,
    }
}

/// The Services that a configuration asks before a write of cert-manager's objects, and without whose answer there is no write.
fn webhook_services(configuration: &Value) -> Vec<ObjectRef> {
    let is_theirs = |rule: &Value| {
        let groups = rule["apiGroups"].as_array().into_iter().flatten();
        groups.filter_map(Value::as_str).any(|group| matches!(group, "cert-manager.io" | "acme.cert-manager.io" | "*"))
    };
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    let decides = webhooks.filter(|webhook| {
        let mut rules = webhook["rules"].as_array().into_iter().flatten();
        webhook["failurePolicy"] != "Ignore" && rules.any(is_theirs)
    });
    let service = |webhook: &Value| {
        let service = &webhook["clientConfig"]["service"];
        let (namespace, name) = (service["namespace"].as_str()?, service["name"].as_str()?);
        ObjectRef::parse(name, namespace).ok().filter(|at| *at.namespace == *namespace)
    };
    decides.filter_map(service).collect()
}
