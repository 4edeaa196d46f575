//! How one name of a Certificate is proved by its issuer.

use super::certificate::Certificate;
use super::issuer::Acme;
use super::route::HttpRoute;
use super::solver::{SolverKind, UpdateAccess, choose};
use crate::base::name::Domain;

/// The proof of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameProof<'s> {
    /// DNS-01 by DNS UPDATE.
    Update {
        /// The server and the key.
        access: UpdateAccess,
        /// The zone of the solver's selector, where the zone decided.
        zone: Option<&'s str>,
        /// A CNAME of the challenge is followed.
        follows: bool,
    },
    /// HTTP-01 by this route.
    Http(HttpRoute),
}

impl Acme {
    /// Chooses the solver for a name of a Certificate, as cert-manager does. `secret_in` is the namespace of the issuer's Secrets.
    ///
    /// # Errors
    /// Why notariat can not prove the name: the rest of a sentence that begins with it.
    pub fn prove(&self, domain: &Domain, certificate: &Certificate, secret_in: &str) -> Result<NameProof<'_>, String> {
        let choice = choose(&self.solvers, domain, &certificate.labels).ok_or("has no solver in its issuer")?;
        let solver = choice.solver;
        if solver.waits_instead {
            return Err(
                "has a solver that waits and does not look (waitInsteadOfSelfCheck), and notariat looks before the CA is asked"
                    .to_owned(),
            );
        }
        match &solver.challenge {
            SolverKind::Update(update) => {
                let faulty = |why| format!("has a solver that can not be used: {why}");
                let access = update.access().map_err(faulty)?;
                access.secret.at(secret_in).map_err(faulty)?;
                Ok(NameProof::Update { access, zone: choice.zone, follows: update.follows })
            }
            SolverKind::Http => {
                let route = solver.route.clone().unwrap_or(HttpRoute::Ingress(None));
                Ok(NameProof::Http(route.with(&certificate.route)))
            }
            SolverKind::Provider(provider) => Err(format!(
                "is proved by DNS-01 at the provider {provider:?}, and notariat sends DNS UPDATE: lead the challenge into a zone of your own by a CNAME"
            )),
            SolverKind::Unknown => Err("has a solver that proves nothing that is known here".to_owned()),
        }
    }
}
