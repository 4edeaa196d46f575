//! Tests over all kinds of objects.

mod bounds;
mod rules;
mod seeds;
mod served;
pub(crate) mod support;
mod tenants;
