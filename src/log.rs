//! One line for each event: a stable name, then `key=value`. Lines are an interface: people filter and alert on them.

use std::fmt::{Display, Write as _};

/// Logs one event: `event!(info, "issued", secret = web, names = names)`.
macro_rules! event {
    ($level:ident, $name:literal $(, $key:ident = $value:expr)* $(,)?) => {
        ::log::$level!(target: "notariat", "{}", $crate::log::line($name, &[$((stringify!($key), &$value)),*]))
    };
}
pub(crate) use event;

/// The line of an event. Values with a space or a quote in them are quoted.
pub fn line(name: &str, fields: &[(&str, &dyn Display)]) -> String {
    let mut line = name.to_owned();
    for (key, value) in fields {
        let value = value.to_string();
        let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '='));
        // Writing to a String can not fail.
        let _infallible = match plain {
            true => write!(line, " {key}={value}"),
            false => write!(line, " {key}={value:?}"),
        };
    }
    line
}

/// Starts logging to standard error, from `level` up.
///
/// # Errors
/// When it was started before.
pub fn start(level: ::log::LevelFilter) -> Result<(), String> {
    simple_logger::SimpleLogger::new()
        .with_level(::log::LevelFilter::Off)
        .with_module_level("notariat", level)
        .with_utc_timestamps()
        .init()
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_could_be_misread_are_quoted() {
        let fields: [(&str, &dyn Display); 4] =
            [("secret", &"team/web"), ("error", &"it said \"no\"\nand left"), ("empty", &""), ("n", &7)];
        assert_eq!(line("failed", &fields), r#"failed secret=team/web error="it said \"no\"\nand left" empty="" n=7"#);
    }
}
