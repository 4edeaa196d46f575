//! The Kubernetes API, as little of it as is used: a hand-written blocking REST client.
//!
//! Pure are the shapes (`access`, `kubeconfig`, `credential`, `object`, `body`, `page`, `writer`, `event`, `status`, `refusal`, `permission`) and what decides
//! (`watch_state`, `lease`, `pace`, `correlator`). `auth` finds out how the API server is reached and `plugin` runs credential plugins; `session` keeps what
//! requests are sent with up to date; `client` sends them; `watch` follows objects, `reporter` writes Events, `review` asks what is
//! allowed.

pub mod access;
pub mod auth;
mod body;
pub mod client;
pub mod correlator;
pub mod credential;
pub mod event;
pub mod kubeconfig;
pub mod lease;
pub mod object;
pub mod pace;
mod page;
pub mod permission;
pub mod plugin;
pub mod refusal;
pub mod reporter;
pub mod review;
pub mod session;
pub mod status;
pub mod watch;
pub mod watch_state;
pub mod writer;
