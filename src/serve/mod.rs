//! The HTTP port: whether the program is well, its figures, and a page. Off unless `-listen` says where.

pub mod port;
pub mod request;
