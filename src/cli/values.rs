//! Readers of values of flags.

use std::time::Duration;

use crate::base::limits::{ALLOWED_NAMESPACES_MAX, FORGET_AFTER_MAX};
use crate::base::name::check_namespace;
use crate::config::fields::duration;

pub(super) fn namespaces(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
    if names.len() > ALLOWED_NAMESPACES_MAX {
        return Err(format!("has {} namespaces; {ALLOWED_NAMESPACES_MAX} are possible", names.len()));
    }
    names.iter().try_for_each(|name| check_namespace(name).map_err(|e| format!("{e}: {name:?}")))?;
    Ok(names)
}

pub(super) fn forget_after(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s" | "0h" | "0d") {
        return Ok(Duration::ZERO);
    }
    match duration(text)? {
        given if given <= FORGET_AFTER_MAX => Ok(given),
        _ => Err(format!("is longer than {} days", FORGET_AFTER_MAX.as_secs() / 86_400)),
    }
}

pub(super) fn log_level(text: &str) -> Result<log::LevelFilter, String> {
    match text {
        "error" => Ok(log::LevelFilter::Error),
        "warn" => Ok(log::LevelFilter::Warn),
        "info" => Ok(log::LevelFilter::Info),
        "debug" => Ok(log::LevelFilter::Debug),
        _ => Err("is none of error, warn, info, debug".to_owned()),
    }
}

/// A whole number from 1 to `most`.
pub(super) fn number(text: &str, most: u32) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("is not a number from 1 to {most}"))
}
