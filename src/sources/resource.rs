//! Age and issuer of an object that has its Secret for itself, a Certificate say. Pure.

use std::fmt;
use std::sync::Arc;

use super::problem::WishProblem;
use super::reference::ObjectKey;
use crate::base::time::Time;
use crate::cert::request::CertificateRequest;
use crate::cert_manager::status::IssuerReason;
use crate::config::ZoneRule;
use crate::config::issuers::Issuer;
use crate::policy::RenewalWish;
use crate::policy::revocation::RevocationRequest;
use crate::record::SharedPrints;

/// The options of a resource. The Secret is the resource's alone: of several for one Secret the oldest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceOptions {
    /// The time at which the object was created.
    pub created: Option<Time>,
    /// The issuer that objects describe, `None` where it is one of the configuration; or why nothing can be ordered now, and then the
    /// certificate goes on in the form in which it was last accepted.
    pub issuer: Result<Option<IssuerOfObject>, WishProblem>,
    /// The share of the lifetime in percent that is left at the renewal.
    pub renew_before_percent: Option<u32>,
    /// The renewal that the object asks for.
    pub renewal: Option<RenewalWish>,
    /// The CSR whose key gets the certificate; its names are the wanted ones.
    pub csr: Option<CertificateRequest>,
    /// True where a renewal keeps the key.
    pub reuse_key: bool,
    /// True where the type of a held key is kept.
    pub keep_key_type: bool,
    /// The revocations that objects ask for.
    pub revocations: Arc<[RevocationRequest]>,
}

/// The issuer of a resource, as objects describe it, with a server and a key for each name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerOfObject {
    /// The issuer.
    pub issuer: Arc<ObjectIssuer>,
    /// The zones, one rule for each name; those of the configuration where the issuer has none.
    pub zones: Option<Arc<[ZoneRule]>>,
}

/// An issuer that an object describes. Shared by all resources that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectIssuer {
    /// The settings.
    pub issuer: Arc<Issuer>,
    /// The hash of the settings.
    pub print: String,
    /// The scope of the object.
    pub scope: IssuerScope,
}

/// The use of an issuer that an object describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescribedIssuer {
    /// Orders can be made by it.
    Usable(Arc<ObjectIssuer>),
    /// No use at all: the reason, and one sentence.
    Faulty(IssuerReason, String),
}

/// A CertificateRevocation, for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescribedRevocation {
    /// The object asks for nothing that may be done, and why: one sentence.
    Refused(String),
    /// The object asks for this.
    Asks {
        /// The Certificate.
        certificate: ObjectKey,
        /// The request.
        request: RevocationRequest,
        /// True for a request that is one of those that are looked at.
        is_looked_at: bool,
    },
}

/// The scope of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerScope {
    /// An administrator's, for all namespaces.
    Cluster,
    /// A tenant's, for the namespace that it is in.
    Namespace,
}

impl ObjectIssuer {
    /// The issuer with these settings.
    pub fn new(issuer: Issuer, scope: IssuerScope) -> ObjectIssuer {
        ObjectIssuer { print: SharedPrints::issuer(&issuer), issuer: Arc::new(issuer), scope }
    }
}

impl fmt::Display for ObjectIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.issuer.name)
    }
}
