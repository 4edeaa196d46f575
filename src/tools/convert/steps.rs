//! The steps for the operator, as comments above a ConfigMap. The commands stand behind a mark of their own, so that `sed` can give them
//! to a shell.

use std::collections::BTreeMap;

use super::names::is_name;
use super::placement::{Moved, Placement};
use super::routes;
use crate::base::name::ObjectRef;
use crate::cert_manager::ControllerReference;

/// Before each command that makes a Secret.
const SECRETS: &str = "#secrets: ";

/// Before each command that ends cert-manager's work.
const HAND_OVER: &str = "#handover: ";

/// The annotations of an object from which cert-manager makes a Certificate again.
const ANNOTATIONS: [&str; 3] = ["cert-manager.io/issuer", "cert-manager.io/cluster-issuer", "kubernetes.io/tls-acme"];

/// The address of the responder, as in `deploy/http-01`.
const RESPONDER: &str = ":8089";

/// The lines above the ConfigMap of this name.
pub(super) fn lines(name: &str, place: &mut Placement) -> Vec<String> {
    // The Secrets that `zones` names get their names here.
    place.zones();
    let mut lines = vec![format!(
        "# Printed by `notariat convert` for the namespace {}. docs/moving.md explains each step; FILE is this file.",
        place.namespace()
    )];
    if place.entries.is_empty() {
        lines.push("# No Certificate can be served here, so there is no ConfigMap.".to_owned());
        return lines;
    }
    let mut step = 0;
    let mut next = |text: &str| {
        step += 1;
        format!("# {step}. {text}")
    };
    let secrets = place.secrets();
    if !secrets.is_empty() {
        lines.push(next("Make the Secrets that the ConfigMap names:  sed -n 's/^#secrets: //p' FILE | sh"));
        for (name, secret) in secrets {
            let to = ObjectRef::new(place.namespace(), name);
            lines.push(format!("# {name}: {}", secret.purpose()));
            lines.push(format!("{SECRETS}{}", secret.command(&to)));
        }
    }
    lines.push(next("Apply the ConfigMap (kubectl apply -f FILE), and start notariat beside cert-manager."));
    let others = if place.is_one { place.others().join(",") } else { String::new() };
    let others = if others.is_empty() { String::new() } else { format!(" -allow-namespaces {others}") };
    let listen = if place.routes.is_empty() { String::new() } else { format!(" -http-listen {RESPONDER}") };
    if place.is_one || !listen.is_empty() {
        lines.push(format!("#    Its flags: -namespace {}{others}{listen}", place.namespace()));
    }
    if !place.routes.is_empty() {
        lines.push(next(
            "Lead the path of HTTP-01 challenges to it: the overlay deploy/http-01 has the Service notariat-acme, docs/http-01.md what each ingress controller needs; the route, once each:  sed -n 's/^#route: //p' FILE | sh",
        ));
        let program = format!("notariat http-route -config {name} -namespace {}{others}", place.namespace());
        lines.extend(routes::lines(&place.routes, &program));
    }
    lines.push(next("See with `notariat -probe` whether the keys may change what they have to."));
    lines.push(next(
        "End cert-manager's work on these certificates, and only on these:  sed -n 's/^#handover: //p' FILE | sh",
    ));
    lines.extend(hand_over(&place.moved));
    lines.push(next("Take the Secrets over: remove the `#` of the line `#adopt: true`, and apply again."));
    lines.extend(place.reminders.iter().map(|sentence| format!("# - {sentence}")));
    lines
}

/// The commands that end cert-manager's work: those that stop it from making a Certificate again, then one line for each namespace.
fn hand_over(moved: &[Moved]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut owned: BTreeMap<(&str, &ControllerReference), Vec<&str>> = BTreeMap::new();
    for Moved { namespace, name, owner } in moved {
        if let Some(owner) = owner {
            owned.entry((namespace, owner)).or_default().push(name);
        }
    }
    for ((namespace, owner), names) in owned {
        let ControllerReference { kind, name, .. } = owner;
        let belongs = format!("# - Made from {kind} {namespace}/{name}: {}.", names.join(", "));
        match resource(owner).filter(|_| is_name(name)) {
            Some(resource) => {
                lines.push(format!("{belongs} Take these annotations out of its manifest (Git, Helm), too:"));
                let annotations = ANNOTATIONS.map(|annotation| format!("{annotation}-")).join(" ");
                lines.push(format!("{HAND_OVER}kubectl -n {namespace} annotate {resource} {name} {annotations}"));
            }
            None => lines.push(format!("{belongs} Its controller would make them again: end that first.")),
        }
    }
    let mut by_namespace: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Moved { namespace, name, .. } in moved {
        match is_name(name) {
            true => by_namespace.entry(namespace).or_default().push(name),
            false => lines.push(format!("# - Delete by hand: Certificate {namespace}/{}", name.escape_debug())),
        }
    }
    lines.extend(by_namespace.into_iter().map(|(namespace, names)| {
        let names = names.join(" ");
        format!("{HAND_OVER}kubectl -n {namespace} delete certificates.cert-manager.io --cascade=orphan {names}")
    }));
    lines
}

/// The resource of an object from which cert-manager makes Certificates by annotations.
fn resource(owner: &ControllerReference) -> Option<&'static str> {
    match (owner.group.as_str(), owner.kind.as_str()) {
        ("networking.k8s.io" | "extensions", "Ingress") => Some("ingresses.networking.k8s.io"),
        ("gateway.networking.k8s.io", "Gateway") => Some("gateways.gateway.networking.k8s.io"),
        ("gateway.networking.k8s.io", "ListenerSet") => Some("listenersets.gateway.networking.k8s.io"),
        _ => None,
    }
}
