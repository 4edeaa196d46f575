//! Tests over all kinds of objects.

mod bounds;
mod rules;
pub(crate) mod support;
