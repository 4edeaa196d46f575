//! One line for each event: a stable name, then `key=value`, or the same as a JSON object. Lines are an interface: people filter and
//! alert on them. simple_logger writes the text format.

use std::cell::Cell;
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use simple_logger::SimpleLogger;

use crate::base::redact::cleaned;
use crate::base::time::now_text;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `time level [target] event key=value …`
    #[default]
    Text,
    /// `{"time": …, "level": …, "event": …, "key": "value", …}`
    Json,
}

/// Logs one event: `event!(info, "issued", secret = web, names = names)`.
macro_rules! event {
    ($level:ident, $name:literal $(, $key:ident = $value:expr)* $(,)?) => {
        ::log::$level!(target: "notariat", "{}", $crate::base::log::line($name, &[$((stringify!($key), &$value)),*]))
    };
}
pub(crate) use event;

/// The format that [`start`] set.
static FORMAT: OnceLock<Format> = OnceLock::new();

/// Returns the line of an event, without time and level. Known secrets are replaced in values before any character is escaped.
pub fn line(name: &str, fields: &[(&str, &dyn Display)]) -> String {
    match FORMAT.get().copied().unwrap_or_default() {
        Format::Text => text(name, fields),
        Format::Json => json(name, fields),
    }
}

/// Values with a space or a quote in them are quoted.
fn text(name: &str, fields: &[(&str, &dyn Display)]) -> String {
    let mut line = name.to_owned();
    for (key, value) in fields {
        let value = cleaned(value.to_string());
        let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '='));
        // Writing to a String can not fail.
        let _infallible = match plain {
            true => write!(line, " {key}={value}"),
            false => write!(line, " {key}={value:?}"),
        };
    }
    line
}

/// The rest of an object that begins with time and level.
fn json(name: &str, fields: &[(&str, &dyn Display)]) -> String {
    let mut line = format!("\"event\":{}", serde_json::Value::from(name));
    for (key, value) in fields {
        let _infallible = write!(line, ",\"{key}\":{}", serde_json::Value::from(cleaned(value.to_string())));
    }
    line
}

/// Writes to standard error. A line that can not be written is dropped: work goes on.
struct StandardError {
    level: ::log::LevelFilter,
    format: Format,
    /// Writes `TIME LEVEL [TARGET] TEXT`, and panics where standard error can not be written.
    text: SimpleLogger,
}

thread_local! {
    /// True if this thread is inside [`StandardError::log`].
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

impl ::log::Log for StandardError {
    /// Lines of other crates are off, ureq's among them.
    fn enabled(&self, metadata: &::log::Metadata<'_>) -> bool {
        metadata.target() == "notariat" && metadata.level() <= self.level
    }

    fn log(&self, record: &::log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match self.format {
            Format::Text => {
                IS_WRITING.set(true);
                catch_unwind(AssertUnwindSafe(|| self.text.log(record))).ok();
                IS_WRITING.set(false);
            }
            Format::Json => {
                let line =
                    format!("{{\"time\":\"{}\",\"level\":\"{}\",{}}}\n", now_text(), record.level(), record.args());
                // In one piece, so that no other process writes into the line.
                std::io::stderr().write_all(line.as_bytes()).ok();
            }
        }
    }

    fn flush(&self) {}
}

/// Starts logging to standard error, from `level` up.
///
/// # Errors
/// When logging was started before.
pub fn start(level: ::log::LevelFilter, format: Format) -> Result<(), String> {
    let text = SimpleLogger::new().with_level(level).with_utc_timestamps();
    ::log::set_boxed_logger(Box::new(StandardError { level, format, text })).map_err(|e| e.to_string())?;
    ::log::set_max_level(level);
    // The panic of a line that can not be written says so on standard error, which can not be written.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !IS_WRITING.get() {
            hook(panic);
        }
    }));
    FORMAT.set(format).map_err(|_| "logging was started before".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_no_part_of_a_line() {
        let secret = crate::base::secret::Secret::known("a token", "a \"quoted\" secret of log.rs".to_owned());
        let said = format!("it said {}.", secret.expose());
        let fields: [(&str, &dyn Display); 1] = [("error", &said)];
        assert_eq!(text("x", &fields), "x error=\"it said (secret: a token).\"");
        assert_eq!(json("x", &fields), "\"event\":\"x\",\"error\":\"it said (secret: a token).\"");
    }

    #[test]
    fn values_that_could_be_misread_are_quoted() {
        let fields: [(&str, &dyn Display); 4] =
            [("secret", &"team/web"), ("error", &"it said \"no\"\nand left"), ("empty", &""), ("n", &7)];
        assert_eq!(line("failed", &fields), r#"failed secret=team/web error="it said \"no\"\nand left" empty="" n=7"#);
        assert_eq!(
            json("failed", &fields),
            r#""event":"failed","secret":"team/web","error":"it said \"no\"\nand left","empty":"","n":"7""#
        );
    }
}
