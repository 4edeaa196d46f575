//! Tests over all kinds of objects.

mod bounds;
mod rules;
mod seeds;
pub(crate) mod support;
mod tenants;
