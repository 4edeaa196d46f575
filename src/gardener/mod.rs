//! The kinds of Gardener's cert-management as data: Certificate, Issuer and CertificateRevocation of `cert.gardener.cloud/v1alpha1`. Pure.
//!
//! The objects are untrusted: their authors chose every value. A value that is used is parsed into a type that can not be wrong. Each field
//! belongs to one of three classes: it is honoured; it has no effect on an ACME certificate ([`GardenerCertificate::without_effect`]); or it
//! asks for something that notariat can not give ([`GardenerCertificate::refused`]), and then the Certificate is not served at all.

mod certificate;
mod choice;
mod issuer;
mod revocation;

pub use certificate::{GardenerCertificate, IssuerName};
pub use choice::best;
pub use issuer::GardenerIssuer;
pub use revocation::GardenerRevocation;

#[cfg(test)]
mod tests;
