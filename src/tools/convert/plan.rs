//! The needs of one Certificate: its issuer, and for each name a server and a key, or a route for HTTP-01.

use std::collections::BTreeMap;

use super::routes::{self, Route};
use crate::base::name::{DnsName, Domain};
use crate::cert_manager::{Acme, CertManagerIssuer, Certificate, KnownIssuers, NameProof, UpdateAccess};
use crate::config::entry::order_names;

/// A server and a key, with the namespace of the key's Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Access {
    pub(super) update: UpdateAccess,
    pub(super) secret_in: String,
}

/// How one name is proved.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    pub(super) domain: Domain,
    /// The server and the key for DNS-01; `None` for HTTP-01.
    pub(super) access: Option<Access>,
    /// The zone of the solver's selector, where the zone decided.
    pub(super) zone: Option<DnsName>,
}

/// A Certificate that can be served, as far as it alone is concerned.
#[derive(Clone, Debug)]
pub(super) struct Plan<'i> {
    pub(super) certificate: Certificate,
    pub(super) issuer: &'i CertManagerIssuer,
    pub(super) acme: &'i Acme,
    /// One for each name that is ordered, in the order of the Certificate.
    pub(super) proofs: Vec<Proof>,
    /// The routes that the names need which are proved by HTTP-01, each with its names.
    pub(super) routes: BTreeMap<Route, Vec<Domain>>,
    /// True if a CNAME of a challenge is followed.
    pub(super) follows: bool,
}

impl<'i> Plan<'i> {
    /// Plans for a Certificate. `cluster_resources` is the namespace of the Secrets of ClusterIssuers.
    ///
    /// # Errors
    /// Every reason why the Certificate can not be served.
    pub(super) fn make(
        certificate: &Certificate,
        issuers: &'i KnownIssuers,
        cluster_resources: &str,
    ) -> Result<Plan<'i>, Vec<String>> {
        let issuer = issuers.find(&certificate.issuer, &certificate.namespace).map_err(|why| vec![why])?;
        let not_acme = || vec![format!("its {} is not an ACME issuer", issuer.title())];
        let acme = issuer.acme.as_ref().ok_or_else(not_acme)?;
        let mut reasons = [&certificate.refused[..], &acme.refuses(certificate)].concat();
        let mut plan = Plan {
            certificate: certificate.clone(),
            issuer,
            acme,
            proofs: Vec::new(),
            routes: BTreeMap::new(),
            follows: false,
        };
        for domain in order_names(&certificate.domains) {
            if let Err(why) = plan.prove(&domain, issuer.secrets_in(cluster_resources)) {
                reasons.push(format!("{domain} {why}"));
            }
        }
        if reasons.is_empty() { Ok(plan) } else { Err(reasons) }
    }

    /// Adds the proof of a name. `secret_in` is the namespace of the issuer's Secrets.
    ///
    /// # Errors
    /// Why notariat can not prove the name: the rest of a sentence that begins with it.
    fn prove(&mut self, domain: &Domain, secret_in: &str) -> Result<(), String> {
        let acme = self.acme;
        let (mut access, mut zone) = (None, None);
        match acme.prove(domain, &self.certificate, secret_in)? {
            NameProof::Update { access: update, zone: enclosing, follows } => {
                access = Some(Access { update, secret_in: secret_in.to_owned() });
                zone = enclosing.and_then(|zone| DnsName::parse(zone).ok());
                self.follows |= follows;
            }
            NameProof::Http(route) => {
                for route in routes::of(route, &self.certificate.namespace) {
                    self.routes.entry(route).or_default().push(domain.clone());
                }
            }
        }
        self.proofs.push(Proof { domain: domain.clone(), access, zone });
        Ok(())
    }

    /// The server and the key of all names that are proved by DNS-01, where they share them.
    pub(super) fn shared_access(&self) -> Option<&Access> {
        let mut all = self.proofs.iter().filter_map(|proof| proof.access.as_ref());
        let first = all.next()?;
        all.all(|access| access == first).then_some(first)
    }

    /// The names that are proved by DNS-01 have several servers or keys.
    pub(super) fn has_several(&self) -> bool {
        self.shared_access().is_none() && self.proofs.iter().any(|proof| proof.access.is_some())
    }

    /// The entry says http-01: no name but wildcards is proved by DNS-01, and those are so in any case.
    pub(super) fn is_http(&self) -> bool {
        let by_dns = |proof: &Proof| proof.access.is_some() && !proof.domain.is_wildcard();
        !self.routes.is_empty() && !self.proofs.iter().any(by_dns)
    }

    /// The rules in `zones` that lead each name its own way, where the entry has no room for that: a server and a key for a zone, or
    /// HTTP-01 for a name.
    ///
    /// # Errors
    /// The name for which there can be none.
    pub(super) fn rules(&self) -> Result<Vec<(DnsName, Option<Access>)>, String> {
        let is_mixed = !self.routes.is_empty() && !self.is_http();
        let mut rules = Vec::new();
        for Proof { domain, access, zone } in &self.proofs {
            match access {
                None if is_mixed => rules.push((domain.base().clone(), None)),
                Some(access) if self.has_several() => {
                    let zone = zone.as_ref().ok_or_else(|| {
                        format!("{domain} has a solver that its other names have not, and that no zone selects: give it a Certificate of its own")
                    })?;
                    rules.push((zone.clone(), Some(access.clone())));
                }
                None | Some(_) => {}
            }
        }
        Ok(rules)
    }
}
