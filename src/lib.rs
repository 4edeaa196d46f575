//! notariat keeps configured Secrets holding valid TLS certificates.
//!
//! ```text
//!  ConfigMap  (of an API server, or a directory)    Ingress, Gateway and its routes, Service  (of an API server)
//!      |                                                |
//!   config    text -> entries, each valid or refused    |
//!   sources   entries -> CertificateSpec                objects -> wishes -> names that the namespace may have -> CertificateSpec
//!      |
//!      v
//!   controller   reflectors keep the caches up to date; an event marks keys as changed
//!      |         evaluate(spec, secret states, record, now) -> Keep | Wait | Refuse | Restore | Issue     (policy, pure)
//!      |         work queue: one task for each certificate, admitted by its CA and its name server
//!      v
//!   worker    claim the record -> issuance: order, present, wait until visible, respond, finalize, download
//!      |         acme (the CA)    dns (UPDATE, TSIG, zones)    cert (keys, paths, the proof)
//!      v
//!   store.put(CheckedBundle)      Kubernetes, or a directory
//! ```
//!
//! Functions that decide take data and the time and return data; functions that act hold no policy. A proof is a value: only
//! [`cert::bundle`] makes what [`store`] accepts, only [`dns::tsig`] makes a verified answer.
//!
//! # Layers
//!
//! A module uses lower layers only, and no two modules use each other; tests/it/layers.rs computes the graph and refuses a cycle.
//!
//! | layer | modules |
//! |---|---|
//! | words of all | [`base`]: names, times, secrets, the log, retries, limits |
//! | protocols | [`http`], [`acme`], [`dns`], [`cert`], [`kube`]: each usable without the rest of the program |
//! | decisions | [`config`], [`record`], [`policy`]: pure |
//! | objects of others | [`cert_manager`], then [`gardener`]: their kinds as data, pure |
//! | input and output | [`sources`], [`store`] |
//! | one order | [`issuance`] |
//! | one attempt | [`worker`] |
//! | what is shown | [`status`], then [`server`] |
//! | the loop | [`controller`] |
//! | commands | [`cli`], then [`start`], then [`tools`] |
//!
//! `status` and `server` are below `controller`: the controller makes a `CertificateStatus` at each reconcile and hands it to the
//! log, Events, metrics, the page and the status ConfigMap, so it needs their types; they need nothing of it.
//!
//! # Where to read on
//!
//! docs/architecture.md has the way of one certificate by file and function, the seams and the glossary. [`policy`] decides when
//! something is done, [`worker`] and [`issuance`] do it. [`dns::tsig`], [`acme::jws`], [`cert::bundle`] and [`store`] touch keys,
//! signatures and writes: read them first. Every bound is in [`base::limits`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing"))]

pub mod acme;
pub mod base;
pub mod cert;
pub mod cert_manager;
pub mod cli;
pub mod config;
pub mod controller;
pub mod dns;
pub mod gardener;
pub mod http;
pub mod issuance;
pub mod kube;
pub mod policy;
pub mod record;
pub mod server;
pub mod sources;
pub mod start;
pub mod status;
pub mod store;
pub mod tools;
pub mod worker;
