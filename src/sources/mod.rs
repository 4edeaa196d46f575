//! The sources of certificates. Every source yields the same [`CertificateSpec`]; adding one is one file here, which implements [`Source`],
//! and a line in [`registry`].

pub mod annotations;
pub mod cert_manager;
pub mod config_map;
pub mod dependencies;
mod desired;
pub mod draft;
pub mod gardener;
pub mod gateway;
pub mod hosts;
pub mod ingress;
pub mod kept;
pub mod merge;
mod problem;
mod reference;
pub mod registry;
pub mod resource;
pub mod selection;
pub mod service;
pub mod serving;
mod source;
pub mod wish;
pub mod wish_index;

pub use crate::record::AcceptedSpec;
pub use desired::{CertificateSpec, Desired, RefusedSpec, ZoneKeys};
pub use reference::SourceRef;
pub use source::{Parsed, Parser, ParserFactory, Source, SourceEvent, SourceObject, SourceProblem};

#[cfg(test)]
mod tests;
