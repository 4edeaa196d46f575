//! The solvers of an ACME issuer, and the choice among them for one name.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{DataKey, is_unset, some_text, text, text_map, texts};
use super::route::{self, HttpRoute};
use crate::base::address::ServerAddress;
use crate::base::name::{DnsName, Domain};
use crate::dns::tsig_key::{Algorithm, TsigKey};

/// One solver of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSolver {
    /// The names and Certificates that the solver is for.
    pub selector: SolverSelector,
    /// The method of the solver.
    pub challenge: SolverKind,
    /// The route of an HTTP-01 solver.
    pub route: Option<HttpRoute>,
    /// The CA is asked after a while, without a look whether the challenge can be seen (`waitInsteadOfSelfCheck`).
    pub waits_instead: bool,
}

/// The conditions of a solver; all of them have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SolverSelector {
    /// Labels that the Certificate has to have.
    pub labels: BTreeMap<String, String>,
    /// Names, one of which has to be the name itself.
    pub names: Vec<String>,
    /// Zones, one of which has to enclose the name.
    pub zones: Vec<String>,
}

/// The method of a solver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SolverKind {
    /// DNS-01 by DNS UPDATE.
    Update(Rfc2136),
    /// DNS-01 by the API of this provider.
    Provider(String),
    /// HTTP-01.
    Http,
    /// Nothing that is known here.
    Unknown,
}

/// The fields of `dns01.rfc2136`, as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rfc2136 {
    nameserver: String,
    key_name: String,
    algorithm: Option<String>,
    secret: Option<DataKey>,
    /// True if a CNAME of the challenge is followed (`cnameStrategy: Follow`).
    pub follows: bool,
}

/// A name server, and the key with which it takes updates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdateAccess {
    /// The server.
    pub server: ServerAddress,
    /// The name of the key.
    pub key_name: DnsName,
    /// The name of the algorithm of the key.
    pub algorithm: &'static str,
    /// The Secret with the secret of the key, in base64 and nothing else.
    pub secret: DataKey,
}

impl IssuerSolver {
    /// Reads an item of `solvers`.
    pub(super) fn read(solver: &Value) -> IssuerSolver {
        let selector = &solver["selector"];
        let owned = |value| texts(value).map(str::to_owned).collect();
        let selector = SolverSelector {
            labels: text_map(&selector["matchLabels"]),
            names: owned(&selector["dnsNames"]),
            zones: owned(&selector["dnsZones"]),
        };
        let dns = &solver["dns01"];
        let provider = dns.as_object().and_then(|fields| fields.keys().find(|key| *key != "cnameStrategy"));
        let challenge = match provider {
            _ if !is_unset(&dns["rfc2136"]) => SolverKind::Update(Rfc2136 {
                nameserver: text(&dns["rfc2136"]["nameserver"]).to_owned(),
                key_name: text(&dns["rfc2136"]["tsigKeyName"]).to_owned(),
                algorithm: some_text(&dns["rfc2136"]["tsigAlgorithm"]),
                secret: DataKey::read(&dns["rfc2136"]["tsigSecretSecretRef"], ""),
                follows: dns["cnameStrategy"] == "Follow",
            }),
            Some(provider) => SolverKind::Provider(provider.clone()),
            None if solver["http01"].is_object() => SolverKind::Http,
            None => SolverKind::Unknown,
        };
        let route = (challenge == SolverKind::Http).then(|| HttpRoute::read(&solver["http01"]));
        let waits_instead = !is_unset(&solver["waitInsteadOfSelfCheck"]);
        IssuerSolver { selector, challenge, route, waits_instead }
    }

    /// Tells whether the CA offers a challenge of this type for the name: HTTP-01 proves no wildcard.
    fn can_serve(&self, name: &Domain) -> bool {
        match self.challenge {
            SolverKind::Update(_) | SolverKind::Provider(_) => true,
            SolverKind::Http => !name.is_wildcard(),
            SolverKind::Unknown => false,
        }
    }
}

impl Rfc2136 {
    /// The server and the key.
    ///
    /// # Errors
    /// The first of them that can not be used here.
    pub fn access(&self) -> Result<UpdateAccess, String> {
        let server = self.nameserver.parse().map_err(|e| format!("its nameserver {:?} {e}", self.nameserver))?;
        let Some(secret) = self.secret.clone() else {
            return Err("it sends updates without a key, and notariat signs every one".to_owned());
        };
        // cert-manager's default.
        let algorithm = self.algorithm.as_deref().unwrap_or("HMACMD5");
        // The secret is elsewhere; a placeholder checks the name and the algorithm.
        let key = TsigKey::from_parts(algorithm, &self.key_name, "AAAA");
        let key = key.map_err(|e| format!("its TSIG key ({algorithm:?}, {:?}) {e}", self.key_name))?;
        Ok(UpdateAccess { server, key_name: key.name, algorithm: Algorithm::name(key.algorithm), secret })
    }
}

/// The fields of a solver that have no effect here, with the reason.
pub(super) fn without_effect(solver: &Value) -> BTreeMap<&'static str, &'static str> {
    let mut found = route::without_effect(&solver["http01"]);
    if !is_unset(&solver["dns01"]["rfc2136"]["protocol"]) {
        found.insert("protocol", "an UPDATE goes over TCP, and over UDP to servers that have no TCP");
    }
    found
}

/// The solver that was chosen for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice<'s> {
    /// The solver.
    pub solver: &'s IssuerSolver,
    /// The zone of the selector that encloses the name most closely, where the selector has no names.
    pub zone: Option<&'s str>,
}

/// How closely a selector matches: a name of its own, labels of the zone, labels of the Certificate.
type Rank = (bool, usize, usize);

/// Chooses the solver for a name as cert-manager does. Of the solvers that can serve the name and whose conditions all hold, one with
/// names wins over one without, then the zone with more labels, then more labels of the Certificate, then the first.
pub fn choose<'s>(solvers: &'s [IssuerSolver], name: &Domain, labels: &BTreeMap<String, String>) -> Option<Choice<'s>> {
    let mut best: Option<(Rank, Choice<'s>)> = None;
    for solver in solvers.iter().filter(|solver| solver.can_serve(name)) {
        let Some((rank, zone)) = solver.selector.rank(name, labels) else { continue };
        if best.as_ref().is_none_or(|(known, _)| rank > *known) {
            best = Some((rank, Choice { solver, zone: zone.filter(|_| !rank.0) }));
        }
    }
    best.map(|(_, choice)| choice)
}

impl SolverSelector {
    /// How closely the selector matches, with the zone that counts; `None` where a condition does not hold.
    fn rank(&self, name: &Domain, labels: &BTreeMap<String, String>) -> Option<(Rank, Option<&str>)> {
        let name = name.to_string();
        let has_labels = self.labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        let is_named = self.names.contains(&name);
        let zones = self.zones.iter().filter_map(|zone| Some((enclosing_labels(zone, &name)?, zone.as_str())));
        let zone = zones.reduce(|best, zone| if zone.0 > best.0 { zone } else { best });
        let holds = has_labels && (self.names.is_empty() || is_named) && (self.zones.is_empty() || zone.is_some());
        let rank = (is_named, zone.map_or(0, |(count, _)| count), self.labels.len());
        holds.then_some((rank, zone.map(|(_, zone)| zone)))
    }
}

/// The number of labels of a zone that encloses the name. A zone that is written with a dot at its end encloses nothing.
fn enclosing_labels(zone: &str, name: &str) -> Option<usize> {
    let (mut of_zone, mut of_name) = (zone.rsplit('.'), name.rsplit('.'));
    let count = zone.split('.').count();
    of_zone.all(|label| of_name.next().is_some_and(|other| label.eq_ignore_ascii_case(other))).then_some(count)
}
