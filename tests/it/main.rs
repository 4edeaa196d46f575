//! notariat against the real servers: Pebble, BIND, Knot, PowerDNS, kube-apiserver. Each test starts what it needs.
//!
//! A test that can not run fails and names the program that is missing; nothing is skipped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end where a proof is missing")]
#![allow(missing_docs, unreachable_pub, reason = "nobody uses this crate but the tests in it")]

mod admission;
mod api_budget;
mod api_refusals;
mod bad_configurations;
mod bounds;
mod bulletin;
mod chains;
mod check;
mod checks;
mod clock;
mod command_line;
mod commands;
mod configuration;
mod convert;
mod directory_store;
mod dns_policy;
mod docs;
mod docs_commands;
mod dry_run;
mod events;
mod following;
mod forgotten;
mod http01;
mod issuers;
mod keys_and_gates;
mod killed;
mod kube_auth;
mod kube_faults;
mod kubernetes;
mod layers;
mod lease;
mod liars;
mod log_format;
mod main_job;
mod man;
mod manifests;
mod monitoring;
mod namespaces;
mod new_user;
mod no_secret_leaves;
mod objects;
mod owners;
mod port;
mod probes;
mod propagation;
mod renewal_info;
mod roles;
mod scripted_ca;
mod seeing;
mod static_binary;
mod status;
mod support;
mod tls_words;
mod update_errors;
mod watching;
mod writing;
mod zones;
mod zones_found;
