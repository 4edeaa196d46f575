//! The Kubernetes API, as little of it as is used: a hand-written blocking REST client.
//!
//! `object` and `status` are pure; `auth` and `kubeconfig` read files; `client` talks to the API server.

pub mod auth;
pub mod client;
pub mod kubeconfig;
pub mod object;
pub mod status;
