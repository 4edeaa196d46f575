//! The Kubernetes API, as little of it as is used: a hand-written blocking REST client.
//!
//! Pure are the shapes (`access`, `kubeconfig`, `credential`, `object`, `body`, `page`, `writer`, `event`, `status`, `refusal`, `permission`) and what decides
//! (`watch_state`, `lease`, `pace`, `correlator`). `auth` finds out how the API server is reached and `plugin` runs credential plugins; `session` keeps what
//! requests are sent with up to date; `client` sends them; `watch` follows objects, `reporter` writes Events, `review` asks what is
//! allowed.

pub mod access_review;
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
mod list;
pub mod managed_fields;
pub mod object;
pub mod rate_limit;
pub mod rbac;
pub mod recorder;
pub mod reflector;
pub mod refusal;
pub mod status;
pub mod watch_event;
