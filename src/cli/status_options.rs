//! The flags of `status`.

use super::Flags;

/// How the state of the certificates is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusOptions {
    /// `-o`: how it is written.
    pub form: OutputFormat,
    /// `-w`: again whenever it changed.
    pub follow: bool,
}

/// How the state of the certificates is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// A table that fits a terminal.
    Table,
    /// A table with everything.
    Wide,
    /// JSON.
    Json,
}

impl Flags {
    /// How `status` is to look.
    pub(super) fn look(&mut self) -> Result<StatusOptions, String> {
        let form = self.value("o", |word| match word {
            "wide" => Ok(OutputFormat::Wide),
            "json" => Ok(OutputFormat::Json),
            _ => Err("is neither wide nor json".to_owned()),
        })?;
        Ok(StatusOptions { form: form.unwrap_or(OutputFormat::Table), follow: self.switch("w") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    #[test]
    fn the_table_is_what_is_not_asked_otherwise() {
        let look = |line: &str| match parse(line.split_whitespace().map(Into::into).collect()) {
            Ok(Command::Status(look, arguments)) => Ok((look.form, look.follow, arguments.config.len())),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(e) => Err(e),
        };
        for (line, expected) in [
            ("status -config a", (OutputFormat::Table, false, 1)),
            ("status -config a,b -o wide", (OutputFormat::Wide, false, 2)),
            ("status -w -o=json --config a", (OutputFormat::Json, true, 1)),
        ] {
            assert_eq!(look(line), Ok(expected), "{line}");
        }
        for (line, part) in [
            ("status", "-config is missing"),
            ("status -config a -o", "-o lacks its value"),
            ("status -config a -o yaml", "-o \"yaml\" is neither wide nor json"),
            ("status -config a web", "\"web\" is not a flag"),
            ("-config a -w", "-w is not a flag"),
        ] {
            let error = look(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
