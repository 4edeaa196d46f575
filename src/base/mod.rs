//! Names, times, secrets, the log, retries and limits: the lowest layer. No module here knows Kubernetes, ACME or DNS
//! messages.

pub mod address;
pub mod challenge_type;
pub mod clock;
pub mod limits;
pub mod liveness;
pub mod log;
pub mod metrics;
pub mod name;
pub mod pem;
pub mod redact;
pub mod retry;
pub mod sanitize;
pub mod secret;
pub mod shared_str;
pub mod shutdown;
pub mod single_flight;
pub mod time;
