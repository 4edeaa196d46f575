//! The Kubernetes API, as much of it as is used: a hand-written blocking REST client for objects of any kind.
//!
//! | | |
//! |---|---|
//! | finding the server and signing in | [`discovery`] [`kubeconfig`] [`config`] [`auth`] [`exec`] [`credential`] |
//! | kinds and objects, pure | [`resource`] [`metadata`] [`object`] [`managed_fields`] `body` |
//! | requests | [`client`] [`api`] [`rate_limit`] [`status`] [`refusal`] |
//! | following objects | [`list`] [`watch_event`] [`reflector`] |
//! | Events | [`events`] [`correlator`] [`recorder`] |
//! | permissions | [`rbac`] [`access_review`] |
//! | election | [`leader_election`] |
//!
//! A new kind of object needs a [`resource::Resource`] and an implementation of [`metadata::Object`], and a rule in [`rbac::RBAC_RULES`].
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::string_slice))]

pub mod access_review;
pub mod api;
pub mod auth;
mod body;
pub mod client;
pub mod config;
pub mod correlator;
pub mod credential;
pub mod discovery;
pub mod events;
pub mod exec;
pub mod kubeconfig;
pub mod leader_election;
pub mod list;
pub mod managed_fields;
pub mod metadata;
pub mod object;
pub mod rate_limit;
pub mod rbac;
pub mod recorder;
pub mod reflector;
pub mod refusal;
pub mod resource;
pub mod status;
pub mod watch_event;
