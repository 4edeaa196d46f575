//! The HTTP port: health, metrics, and a page. Off unless `-listen` names an address.

pub mod challenge_port;
pub mod listener;
pub mod metrics;
pub mod page;
pub mod process;
pub mod publisher;
pub mod request;
pub mod snapshot;
