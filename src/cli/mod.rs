//! The command line: one table of flags and commands, and what is read by it.

pub mod arguments;
pub mod commands;
pub mod flags;
mod layout;
mod objects;
mod targets;
#[cfg(test)]
mod tests;
pub mod values;
pub mod version;

pub use arguments::Arguments;
pub use targets::TargetCluster;
