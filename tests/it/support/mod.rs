//! The parts that tests share: a directory store to run notariat on, and judges that are not notariat (openssl).

pub mod api;
pub mod ca;
pub mod cluster;
pub mod https;
pub mod kill_proxy;
pub mod liar;
pub mod lies;
pub mod proxy;
pub mod run;
pub mod signed;
pub mod site;
pub mod tenants;
pub mod x509;

pub use run::Run;
pub use site::Site;
