//! The HTTP port: whether the program is well, its figures, and a page. Off unless `-listen` says where.

pub mod axis;
pub mod exposition;
pub mod page;
pub mod port;
pub mod process;
pub mod request;
pub mod snapshot;
