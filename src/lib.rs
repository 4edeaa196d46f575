//! notariat keeps configured Secrets holding valid TLS certificates.
//!
//! ```text
//!  ConfigMap  (of an API server, or files)
//!      |
//!   config: text -> entries, each valid or refused       sources: entries -> Wanted
//!      |
//!      v
//!   daemon: watches Secrets and records, decides for each that changed, hands out jobs  [threads: loop, watches, workers, signals,
//!      |                                                                                           election, Events]
//!      |          decide(wanted, held, record, now) -> Keep | Wait | Refuse | Restore | Issue
//!      v
//!   work:  claims the record -> issue: order, publish, see, prove, finalize, download, check, withdraw
//!      |          acme (the CA)    dns (UPDATE, TSIG, zones)    cert (keys, chains, the proof)
//!      v
//!   store.put_certificate(CheckedBundle)        Kubernetes, or a directory
//! ```
//!
//! Functions that decide take data and the time and return data; functions that do hold no policy. A proof is a value: only
//! [`cert::bundle`] makes what [`store`] takes, only [`dns::tsig`] makes a verified answer.
//!
//! # Layers
//!
//! Lower ones never use higher ones; `acme`, `dns` and `kube` never see each other; tests/it/layers.rs keeps this true.
//!
//! | layer | modules |
//! |---|---|
//! | words | [`name`] [`address`] [`secret`] [`redact`] [`time`] [`clock`] [`stop`] [`turns`] [`text`] [`word`] [`log`] [`metrics`] [`pulse`] [`limits`] |
//! | shapes, pure | [`config`] [`cert`] `acme::{jws, wire}` `dns::{wire, update, tsig, key}` `serve::request` `kube::{access, kubeconfig, credential, object, body, page, writer, event, permission, status, refusal}` |
//! | deciding, pure | [`decide`] [`record`] [`sources`] [`convert`] `acme::{order, challenge, pace}` `dns::rules` `kube::{watch_state, lease, pace, correlator}` `status::{row, table, json, bulletin}` `check::{caa, report, secrets}` `serve::{snapshot, exposition, axis, page}` |
//! | doing | [`http`] `acme::{client, requests}` `dns::{transport, client, resolver, zone, visible, explain}` `kube::{auth, plugin, session, client, watch, reporter, review}` `serve::{port, process}` |
//! | together | [`issue`] [`store`], then [`work`], then [`daemon`], then [`cli`], [`start`], [`manifest`], [`commands`], [`role`], [`dns_policy`], [`conversion`], [`status`] and [`check`] |
//!
//! # Reading order
//!
//! [`decide`] says when something is done, [`issue`] how; then [`dns::tsig`], [`acme::jws`], [`cert::bundle`], [`store`] and
//! [`issue::claim`], which touch keys, signatures and writes; then what is left. Every bound stands in [`limits`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing"))]

pub mod acme;
pub mod base;
pub mod cert;
pub mod cli;
pub mod config;
pub mod controller;
pub mod dns;
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
