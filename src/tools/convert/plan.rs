//! What one Certificate needs: its issuer, and a server and a key for each name.

use crate::base::name::{DnsName, Domain};
use crate::cert_manager::{Acme, CertManagerIssuer, Certificate, KnownIssuers, SolverKind, UpdateAccess, choose};

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
    pub(super) access: Access,
    /// The zone of the solver's selector, where the zone decided.
    pub(super) zone: Option<DnsName>,
}

/// A Certificate that can be served, as far as it alone is concerned.
#[derive(Clone, Debug)]
pub(super) struct Plan<'i> {
    pub(super) certificate: Certificate,
    pub(super) issuer: &'i CertManagerIssuer,
    pub(super) acme: &'i Acme,
    /// One for each name, in the order of the Certificate.
    pub(super) proofs: Vec<Proof>,
    /// Whether a CNAME of a challenge is followed.
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
        let (mut proofs, mut follows) = (Vec::new(), false);
        for domain in &certificate.domains {
            match proof(acme, issuer.secrets_in(cluster_resources), domain, certificate) {
                Ok((proof, is_followed)) => {
                    proofs.push(proof);
                    follows |= is_followed;
                }
                Err(why) => reasons.push(format!("{domain} {why}")),
            }
        }
        let plan = || Plan { certificate: certificate.clone(), issuer, acme, proofs, follows };
        if reasons.is_empty() { Ok(plan()) } else { Err(reasons) }
    }

    /// The server and the key of all names, where they share them.
    pub(super) fn shared_access(&self) -> Option<&Access> {
        let first = &self.proofs.first()?.access;
        self.proofs.iter().all(|proof| proof.access == *first).then_some(first)
    }
}

/// How a name is proved, and whether a CNAME is followed for it.
///
/// # Errors
/// Why notariat can not prove it: the rest of a sentence that begins with the name.
fn proof(acme: &Acme, secret_in: &str, domain: &Domain, certificate: &Certificate) -> Result<(Proof, bool), String> {
    let choice = choose(&acme.solvers, domain, &certificate.labels).ok_or("has no solver in its issuer")?;
    match &choice.solver.challenge {
        SolverKind::Update(update) => {
            let faulty = |why| format!("has a solver that can not be used: {why}");
            let access = Access { update: update.access().map_err(faulty)?, secret_in: secret_in.to_owned() };
            access.update.secret.at(secret_in).map_err(faulty)?;
            let zone = choice.zone.and_then(|zone| DnsName::parse(zone).ok());
            Ok((Proof { domain: domain.clone(), access, zone }, update.follows))
        }
        SolverKind::Provider(provider) => Err(format!(
            "is proved by DNS-01 at the provider {provider:?}, and notariat sends DNS UPDATE: lead the challenge into a zone of your own by a CNAME"
        )),
        SolverKind::Http => Err(
            "is proved by HTTP-01, which is not carried over: give the entry `challenge: http-01` and the route of `notariat http-route`, or lead the challenge into a zone of your own by a CNAME"
                .to_owned(),
        ),
        SolverKind::Unknown => Err("has a solver that proves nothing that is known here".to_owned()),
    }
}
