//! cert-manager's objects as a source, end to end: a real API server, name server and CA.

mod acting;
mod examples;
mod fields;
mod gardener;
mod gardener_examples;
mod gardener_fields;
mod gardener_status;
mod issue;
mod lifecycle;
mod many;
mod ownership;
mod place;
mod returning;
mod revocation;
mod solvers;
mod status;
mod tenancy;
