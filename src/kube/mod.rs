//! The Kubernetes API, as little of it as is used: a hand-written blocking REST client.
//!
//! `access`, `kubeconfig`, `credential`, `lease`, `object` and `status` are pure; `auth` finds out how the API server is reached and `plugin`
//! runs credential plugins; `session` keeps what requests are sent with up to date; `client` talks to the API server.

pub mod access;
pub mod auth;
pub mod client;
pub mod credential;
pub mod kubeconfig;
pub mod lease;
pub mod object;
pub mod plugin;
pub mod session;
pub mod status;
pub mod watch;
pub mod watch_state;
