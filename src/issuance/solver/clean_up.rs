//! Removes values that a record names, whichever solver presented them.

use super::dns01::update::withdraw;
use crate::base::log::event;
use crate::base::time::Time;
use crate::issuance::context::Context;
use crate::record::{LeftBehind, Presented};

/// Removes a value that the record names, by the solver that presented it.
///
/// # Errors
/// One sentence about what is left.
pub fn remove(context: &Context, presented: &Presented) -> Result<(), String> {
    match presented {
        Presented::Dns01(txt) => withdraw(context, txt),
    }
}

/// Removes values by `remove`, the last presented first. Returns those that could not be removed.
pub fn clean_up_each(
    remove: &mut dyn FnMut(&Presented) -> Result<(), String>,
    presented: Vec<Presented>,
    since: Time,
) -> Vec<LeftBehind> {
    let mut left = Vec::new();
    for published in presented.into_iter().rev() {
        if let Err(error) = remove(&published) {
            event!(warn, "left-behind", zone = published.place(), error = error);
            left.push(LeftBehind { since, published });
        }
    }
    left
}
