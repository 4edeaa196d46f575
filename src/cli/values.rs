//! Readers of values of flags.

use crate::limits::ALLOWED_NAMESPACES_MAX;
use crate::name::check_namespace;

pub(super) fn namespaces(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
    if names.len() > ALLOWED_NAMESPACES_MAX {
        return Err(format!("has {} namespaces; {ALLOWED_NAMESPACES_MAX} are possible", names.len()));
    }
    names.iter().try_for_each(|name| check_namespace(name).map_err(|e| format!("{e}: {name:?}")))?;
    Ok(names)
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
