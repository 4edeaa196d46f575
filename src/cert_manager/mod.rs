//! cert-manager's kinds as data: Certificate, Issuer and ClusterIssuer of `cert-manager.io/v1`. Pure.
//!
//! One reader for everything that takes these objects: `convert`, `check -resources`, and a source. The objects are
//! untrusted: their authors chose every value. A value that notariat uses is parsed into a type that can not be wrong; a value that is
//! only shown stays text, and who prints it escapes it.
//!
//! Each field belongs to one of three classes, as the ACME issuer of cert-manager treats it: it is honoured; it has no effect on an ACME
//! certificate ([`Certificate::without_effect`], [`Acme::without_effect`]); or it asks for something that notariat can not give
//! ([`Certificate::refused`], [`Acme::refused`]), and then the Certificate is not served at all. A field that is in no class is one of a
//! later version ([`Certificate::unknown`], [`Acme::unknown`]): the Certificate is served without it.

mod certificate;
pub mod fields;
mod issuer;
mod proof;
mod returning;
mod route;
mod solver;
pub mod status;

pub use certificate::{Certificate, ControllerReference, IssuerReference, WantedKey};
pub use fields::{DataKey, is_unset, object_id};
pub use issuer::{Acme, CertManagerIssuer, ExternalAccount, IssuerKind, KnownIssuers};
pub use proof::NameProof;
pub use returning::{Reissue, ReturnedSecret, reissue};
pub use route::{GatewayParent, HttpRoute, RouteOverride};
pub use solver::{Choice, IssuerSolver, Rfc2136, SolverKind, SolverSelector, UpdateAccess, choose};
