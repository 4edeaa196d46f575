//! Chooses the solver of an issuer for a name, and converts the solver to a server and a key.

use serde_json::Value;

use super::object::{is_unset, texts};
use super::placement::UpdateAccess;
use crate::base::address::ServerAddress;
use crate::base::name::{DnsName, Domain, ObjectRef};
use crate::dns::tsig_key::TsigKey;

/// Reads an `rfc2136` solver for a ConfigMap of `namespace`; its Secret is in `from`.
///
/// # Errors
/// Why the solver can not be converted.
fn update(solver: &Value, namespace: &str, from: &str) -> Result<UpdateAccess, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nameserver = text(&solver["nameserver"]);
    let server: ServerAddress = nameserver.parse().map_err(|e| format!("its nameserver {nameserver:?} {e}"))?;
    let reference = &solver["tsigSecretSecretRef"];
    if is_unset(&reference["name"]) {
        return Err("it sends updates without a key, and notariat signs every one".to_owned());
    }
    let algorithm = match text(&solver["tsigAlgorithm"]) {
        none if none.is_empty() => "HMACMD5".to_owned(),
        given => given,
    };
    // The secret is not in the input; a placeholder checks name and algorithm.
    let name = text(&solver["tsigKeyName"]);
    let key = TsigKey::from_parts(&algorithm, &name, "AAAA");
    let key = key.map_err(|e| format!("its TSIG key ({algorithm:?}, {name:?}) {e}"))?;
    let (secret, command) =
        made(reference, namespace, from, "key", |read| format!("(printf '{}:{}:'; {read})", key.algorithm, key.name))?;
    Ok(UpdateAccess { server: server.to_string(), secret, command })
}

/// The name of the Secret that is made from `reference`, and the command that makes it. `produce` turns the command that prints
/// cert-manager's value into one that prints the value for the data key `data`.
pub(super) fn made(
    reference: &Value,
    namespace: &str,
    from: &str,
    data: &str,
    produce: impl Fn(&str) -> String,
) -> Result<(String, String), String> {
    let name = reference["name"].as_str().unwrap_or_default();
    let key = reference["key"].as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(plain) {
        return Err(format!("the reference to its Secret has the data key {key:?}, which Kubernetes does not allow"));
    }
    let from = ObjectRef::parse(name, from).map_err(|e| format!("the name of its Secret, {name:?}, {e}"))?;
    // The data key is part of the name: one Secret may hold several keys.
    let ours = format!("{}-{}", from.name, key.to_ascii_lowercase().replace(['_', '.'], "-"));
    let ours = ObjectRef::parse(ours.trim_end_matches('-'), namespace)
        .map_err(|e| format!("the name {ours:?} for our Secret {e}"))?;
    let read = format!(
        "kubectl -n {} get secret {} -o go-template='{{{{index .data \"{key}\" | base64decode}}}}'",
        from.namespace, from.name
    );
    let command = format!(
        "{} | kubectl -n {namespace} create secret generic {} --from-file={data}=/dev/stdin",
        produce(&read),
        ours.name
    );
    Ok((ours.name.to_string(), command))
}

/// The solver that was chosen for a name.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    /// The server and key, or why there are none.
    pub(super) update: Result<UpdateAccess, String>,
    /// The zone of the selector, where the zone was decisive.
    pub(super) zone: Option<DnsName>,
    /// `cnameStrategy: Follow`.
    pub(super) follows: bool,
}

/// How closely a selector matches: by name, zone or neither; length of the zone; number of labels.
type Rank = (usize, usize, usize);

/// Chooses the solver for a name as cert-manager does: one that names it, else the longest zone around it, else one for all; of equal
/// ones that with more labels, then the first.
pub(super) fn choose(solvers: &Value, name: &Domain, labels: &Value, namespace: &str, from: &str) -> Solution {
    let none = || Solution { update: Err("its issuer has no solver for it".to_owned()), zone: None, follows: false };
    let mut best: Option<(Rank, &Value, Option<DnsName>)> = None;
    for solver in solvers.as_array().into_iter().flatten() {
        let selector = &solver["selector"];
        let wanted = selector["matchLabels"].as_object();
        let count = wanted.map_or(0, serde_json::Map::len);
        if wanted.is_some_and(|wanted| wanted.iter().any(|(key, value)| labels[key] != *value)) {
            continue;
        }
        let named = texts(&selector["dnsNames"]).any(|own| Domain::parse(own).is_ok_and(|own| own == *name));
        let zones = texts(&selector["dnsZones"]).filter_map(|zone| DnsName::parse(zone).ok());
        let zone = zones.filter(|zone| name.base().is_within(zone)).max_by_key(|zone| zone.as_str().len());
        let for_all = is_unset(&selector["dnsNames"]) && is_unset(&selector["dnsZones"]);
        let rank = match (named, &zone) {
            (true, _) => (2, 0, count),
            (false, Some(zone)) => (1, zone.as_str().len(), count),
            (false, None) if for_all => (0, 0, count),
            (false, None) => continue,
        };
        if best.as_ref().is_none_or(|(known, ..)| rank > *known) {
            best = Some((rank, solver, zone.filter(|_| !named)));
        }
    }
    let Some((_, solver, zone)) = best else { return none() };
    let dns = &solver["dns01"];
    let update = match (is_unset(&dns["rfc2136"]), dns.as_object()) {
        (false, _) => update(&dns["rfc2136"], namespace, from),
        (true, Some(providers)) => {
            let provider = providers.keys().find(|key| *key != "cnameStrategy").map_or("", String::as_str);
            Err(format!("it is proved by the DNS-01 provider {provider:?}, and notariat sends DNS UPDATE"))
        }
        (true, None) => Err("it is proved by HTTP-01, and notariat knows DNS-01 only".to_owned()),
    };
    Solution { update, zone, follows: dns["cnameStrategy"] == "Follow" }
}
