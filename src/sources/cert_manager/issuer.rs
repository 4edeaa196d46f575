//! An Issuer or a ClusterIssuer as the settings of an order: the CA, the account, and what each solver gives. Pure.
//!
//! Untrusted: a tenant writes an Issuer. Each text is parsed into a type that can not be wrong.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::hosts::quoted;
use super::super::resource::{DescribedIssuer, IssuerScope, ObjectIssuer};
use crate::base::address::ServerAddress;
use crate::base::name::ObjectRef;
use crate::base::sanitize::has_credentials;
use crate::cert_manager::status::IssuerReason;
use crate::cert_manager::{Acme, CertManagerIssuer, DataKey, IssuerKind, SolverKind, UpdateAccess};
use crate::config::entry::{email, profile};
use crate::config::issuers::{DomainFilter, Issuer, directory_url, roots};
use crate::dns::tsig_key::Algorithm;
use crate::dns::tsig_secret::TsigKeyParts;

/// An issuer as its watch showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerFacts {
    /// The ACME issuer; or why it serves nobody: the rest of a sentence that begins with the issuer.
    pub served: Result<ServedIssuer, NotServed>,
}

/// Why an issuer serves nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// An issuer of another kind than ACME.
    NotAcme,
    /// A fault, the rest of a sentence that begins with the issuer.
    Faulty(String),
}

/// An ACME issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedIssuer {
    /// The settings of orders.
    pub issuer: Arc<ObjectIssuer>,
    /// The fields of the object.
    pub acme: Acme,
    /// The access of each solver, in their order; `None` for those that send no UPDATE.
    pub access: Vec<Option<Result<SolverAccess, String>>>,
}

/// The server and the key of a solver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SolverAccess {
    /// The server.
    pub server: Arc<ServerAddress>,
    /// The Secret of the key.
    pub secret: Arc<ObjectRef>,
    /// The parts of the key that the Secret does not hold.
    pub parts: TsigKeyParts,
}

impl IssuerFacts {
    /// Reads an issuer. The Secrets of a ClusterIssuer are in the namespace `cluster_resources`.
    pub fn read(object: &CertManagerIssuer, cluster_resources: &str) -> IssuerFacts {
        let Some(acme) = &object.acme else { return IssuerFacts { served: Err(NotServed::NotAcme) } };
        let secrets_in = object.secrets_in(cluster_resources);
        let settings = settings(object, acme, secrets_in);
        let served = settings.map_err(NotServed::Faulty).map(|issuer| {
            let scope = match object.kind {
                IssuerKind::ClusterIssuer => IssuerScope::Cluster,
                IssuerKind::Issuer => IssuerScope::Namespace,
            };
            let access = acme.solvers.iter().map(|solver| match &solver.challenge {
                SolverKind::Update(update) => Some(update.access().and_then(|update| {
                    let (secret, parts) = (Arc::new(update.secret.at(secrets_in)?), key_parts(&update));
                    Ok(SolverAccess { server: Arc::new(update.server), secret, parts })
                })),
                SolverKind::Provider(_) | SolverKind::Http | SolverKind::Unknown => None,
            });
            let issuer = Arc::new(ObjectIssuer::new(issuer, scope));
            ServedIssuer { issuer, access: access.collect(), acme: acme.clone() }
        });
        IssuerFacts { served }
    }
}

impl IssuerFacts {
    /// The sentences of the issuer about itself; `None` for one of another kind than ACME.
    pub fn described(&self) -> Option<DescribedIssuer> {
        let served = match &self.served {
            Ok(served) => served,
            Err(NotServed::NotAcme) => return None,
            Err(NotServed::Faulty(why)) => {
                return Some(DescribedIssuer::Faulty(IssuerReason::InvalidConfig, format!("it {why}")));
            }
        };
        let fault = |access: &Option<Result<SolverAccess, String>>| access.as_ref()?.as_ref().err().cloned();
        let faults: Vec<String> = served.access.iter().filter_map(fault).collect();
        if let Some(fault) = faults.first().filter(|_| faults.len() == served.access.len()) {
            return Some(DescribedIssuer::Faulty(IssuerReason::InvalidSolver, fault.clone()));
        }
        Some(DescribedIssuer::Usable(served.issuer.clone()))
    }
}

fn key_parts(update: &UpdateAccess) -> TsigKeyParts {
    let algorithm = Algorithm::parse(update.algorithm).expect("the name of an algorithm reads back");
    TsigKeyParts::new(&update.secret.key, update.key_name.clone(), algorithm)
}

/// The settings of orders at the CA of an issuer.
///
/// # Errors
/// The first fault, the rest of a sentence that begins with the issuer.
fn settings(object: &CertManagerIssuer, acme: &Acme, secrets_in: &str) -> Result<Issuer, String> {
    let directory = directory_url(&acme.server);
    let directory = directory.map_err(|e| match has_credentials(&acme.server) {
        true => format!("has a server that {e}"),
        false => format!("has the server {}, which {e}", quoted(&acme.server)),
    })?;
    let contact = acme.email.as_deref().map(email).transpose();
    let contact = contact.map_err(|e| format!("has an email that {e}"))?;
    let ordered = acme.profile.as_deref().map(profile).transpose();
    let ordered = ordered.map_err(|e| format!("has a profile that {e}"))?;
    let at = |key: &DataKey, field: &str| -> Result<(ObjectRef, String), String> {
        Ok((key.at(secrets_in).map_err(|e| format!("has a fault in {field}: {e}"))?, key.key.clone()))
    };
    let account = acme.account.as_ref().map(|key| at(key, "privateKeySecretRef")).transpose()?;
    let binding = match &acme.external_account {
        None => None,
        Some(binding) => {
            let key = binding.key.as_ref().ok_or("has an externalAccountBinding without keySecretRef")?;
            Some((at(key, "externalAccountBinding")?, binding.key_id.clone()))
        }
    };
    let ca = acme.ca_bundle.as_deref().map(ca_bundle).transpose().map_err(|e| format!("has a caBundle that {e}"))?;
    let (account_secret, account_secret_key) = account.unzip();
    let (eab, eab_key_id) = binding.unzip();
    let (eab_secret, eab_secret_key) = eab.unzip();
    Ok(Issuer {
        name: format!("{}/{}", object.kind.name(), object.name),
        directory,
        email: contact,
        ca_secret: None,
        ca,
        eab_secret,
        eab_key_id,
        eab_secret_key,
        account_secret_optional: account_secret.is_some() && !acme.needs_account,
        account_secret,
        account_secret_key,
        preferred_chain: acme
            .preferred_chain
            .as_deref()
            .map(str::trim)
            .filter(|chain| chain.len() <= 256)
            .map(str::to_owned),
        profile: ordered,
        challenge: None,
        domains: DomainFilter::default(),
        orders_per_day: None,
        replaces: Vec::new(),
    })
}

/// The roots in PEM.
fn ca_bundle(text: &str) -> Result<String, String> {
    let pem = STANDARD.decode(text.trim()).map_err(|_| "is not base64".to_owned())?;
    roots(&String::from_utf8(pem).map_err(|_| "is no text".to_owned())?)
}
