//! `notariat convert`: cert-manager's objects on standard input -> our ConfigMaps on standard output. Asks no server.

use std::io::Read as _;

use crate::base::limits::CONVERT_OCTETS_MAX;
use crate::cli::Arguments;
use crate::tools::convert::{Converted, convert};

/// The name of a ConfigMap where none is given: that of `deploy/`.
const NAME: &str = "notariat";

/// Converts standard input.
///
/// # Errors
/// When it can not be read or is not what kubectl prints.
pub fn run(arguments: &Arguments) -> Result<Converted, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(CONVERT_OCTETS_MAX + 1).read_to_string(&mut text);
    read.map_err(|e| format!("standard input can not be read: {e}"))?;
    if text.len() as u64 > CONVERT_OCTETS_MAX {
        return Err(format!("standard input has more than {CONVERT_OCTETS_MAX} octets; give one namespace at a time"));
    }
    convert(&text, arguments.config.first().map_or(NAME, String::as_str), arguments.namespace.as_deref())
}
