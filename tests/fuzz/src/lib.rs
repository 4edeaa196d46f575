//! The parts that the fuzz targets share: what a run costs, how an input is cut into parts, and secrets that must not come out.
//!
//! Each target is one file of `targets/`. Its property stands in the first lines.

pub mod cost;
pub mod der;
pub mod input;
pub mod planted;
pub mod tree;
pub mod tsig;
