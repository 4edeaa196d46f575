//! The Certificates that would be ordered anew if cert-manager's controller came back, as lines of the check. Only get and list.

use std::collections::BTreeMap;

use serde_json::Value;

use super::report::{CheckReport, Level};
use crate::base::name::{ClusterName, ObjectRef};
use crate::base::time::Time;
use crate::cert_manager::{ReturnedSecret, object_id, reissue};
use crate::issuance::Context;
use crate::kube::client::{KubeClient, KubeError};
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::sources::selection::{ObjectKind, Selection};

/// The requests that cert-manager's controller made, and keeps.
const REQUESTS: Resource = Resource {
    group: "cert-manager.io",
    version: "v1",
    plural: "certificaterequests",
    kind: "CertificateRequest",
    namespaced: true,
};

/// Says for each Certificate that notariat serves whether cert-manager would keep what its Secret holds.
pub(super) fn say(report: &mut CheckReport, context: &Context, selection: &Selection, now: Time) {
    let Some(client) = context.kube.as_deref().filter(|_| selection.kinds.contains(&ObjectKind::CertManager)) else {
        return;
    };
    let mut certificates = Vec::new();
    if let Err(e) = list(client, Resource::CERTIFICATES, |object| certificates.push(object)) {
        return report.miss("Certificates", format!("could not be listed: {e}"));
    }
    certificates.retain(|object| context.namespaces.check(&at(object)).is_ok());
    let requests = requests(report, client, &certificates);
    for object in &certificates {
        let (at, secret) = (at(object), object["spec"]["secretName"].as_str().unwrap_or_default());
        let title = format!("Certificate {at}");
        let Ok(secret) = ObjectRef::parse(secret, &at.namespace) else { continue };
        let held = match context.store.secret(&secret) {
            Ok(held) => held,
            Err(e) => {
                report.miss(&title, format!("could not look at its Secret {secret}: {e}"));
                continue;
            }
        };
        let data = |key: &str| held.as_ref().and_then(|held| held.data.get(key)).map(|value| value.expose().as_slice());
        let judged = held.as_ref().map(|held| ReturnedSecret {
            annotations: &held.annotations,
            chain: data("tls.crt").unwrap_or_default(),
            key: data("tls.key").unwrap_or_default(),
        });
        match reissue(object, judged, requests.get(&at), now) {
            None => {
                let sentence = format!("cert-manager would keep what the Secret {secret} holds, if it came back");
                report.say(Level::Ok, &title, sentence);
            }
            Some(anew) => {
                let sentence = format!("cert-manager would order anew, if it came back ({}): {}", anew.word, anew.why);
                report.say(Level::Warning, &title, sentence);
            }
        }
    }
}

fn list(client: &KubeClient, resource: Resource, mut each: impl FnMut(Value)) -> Result<(), KubeError> {
    let target =
        WatchTarget { resource, namespace: String::new(), selector: Selector::All, cluster: ClusterName::HOME };
    match client.list_json(&target, &mut each) {
        // A cluster without the kind has none.
        Err(KubeError::Api(e)) if e.code == 404 => Ok(()),
        ended => ended,
    }
}

fn at(object: &Value) -> ObjectRef {
    let (namespace, name) = object_id(object);
    ObjectRef::new(namespace, name)
}

/// The CertificateRequest of the revision in the status of each Certificate.
fn requests(report: &mut CheckReport, client: &KubeClient, certificates: &[Value]) -> BTreeMap<ObjectRef, Value> {
    const REVISION: &str = "cert-manager.io/certificate-revision";
    let revision = |object: &Value| object["status"]["revision"].as_i64().map(|revision| revision.to_string());
    let revisions: BTreeMap<ObjectRef, String> =
        certificates.iter().filter_map(|object| Some((at(object), revision(object)?))).collect();
    let mut found = BTreeMap::new();
    let ended = list(client, REQUESTS, |request| {
        let mut owners = request["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let owner = owners.find(|owner| owner["controller"] == true && owner["kind"] == "Certificate");
        let Some(name) = owner.and_then(|owner| owner["name"].as_str()) else { return };
        let (namespace, _) = object_id(&request);
        let of = ObjectRef::new(namespace, name);
        let asked = request["metadata"]["annotations"][REVISION].as_str();
        if asked.is_some() && asked == revisions.get(&of).map(String::as_str) {
            found.insert(of, request);
        }
    });
    if let Err(e) = ended {
        // notariat needs no right on them, and they count for the way back only.
        let sentence = format!("could not be listed, so that a request of an old revision is not seen: {e}");
        report.say(Level::Warning, "CertificateRequests", sentence);
    }
    found
}
