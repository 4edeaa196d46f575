//! The HTTP port: whether the program is well, its figures, and a page. Off unless `-listen` says where.

pub mod axis;
pub mod listener;
pub mod metrics;
pub mod page;
pub mod process;
pub mod request;
pub mod snapshot;
