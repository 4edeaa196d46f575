//! The lines that a check prints. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::base::sanitize::one_line;

/// The level of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Works.
    Ok,
    /// Works, and is probably a mistake.
    Warning,
    /// Does not work.
    Fault,
}

impl Level {
    /// The word in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Fault => "fault",
        }
    }

    /// The escape sequence of its colour: green, yellow, red.
    const fn colour(self) -> &'static str {
        match self {
            Level::Ok => "\x1b[32m",
            Level::Warning => "\x1b[33m",
            Level::Fault => "\x1b[31m",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The level.
    pub level: Level,
    /// The object: `ConfigMap team/notariat`.
    pub object: String,
    /// The place in the object, the fault and the cure.
    pub sentence: String,
}

/// All findings, in the order of the examination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// The lines.
    pub lines: Vec<Line>,
    /// The number of faults that are uncertain because a server was not reached.
    pub unknown: usize,
    /// True if a configuration is missing.
    pub is_unreadable: bool,
}

impl CheckReport {
    /// Adds a line. Control characters and line breaks in `sentence` are replaced.
    pub fn say(&mut self, level: Level, object: &str, sentence: String) {
        self.lines.push(Line { level, object: one_line(object), sentence: one_line(&sentence) });
    }

    /// Adds a fault that counts as [`CheckReport::unknown`].
    pub fn miss(&mut self, object: &str, sentence: String) {
        self.unknown += 1;
        self.say(Level::Fault, object, sentence);
    }

    /// The number of faults.
    pub fn faults(&self) -> usize {
        self.lines.iter().filter(|line| line.level == Level::Fault).count()
    }

    /// Tells whether there is no fault.
    pub fn is_sound(&self) -> bool {
        self.faults() == 0
    }

    /// For people: a line each, `fault    ConfigMap team/notariat: certificates entry 1 (team/web): …`.
    pub fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        for Line { level, object, sentence } in &self.lines {
            let (on, off) = if colour { (level.colour(), "\x1b[0m") } else { ("", "") };
            writeln!(text, "{on}{:<8}{off} {object}: {sentence}", level.name()).expect("a String takes everything");
        }
        text
    }

    /// For programs: `{"sound": false, "lines": [{"level": "fault", "object": …, "sentence": …}]}`.
    pub fn json(&self) -> String {
        let line = |line: &Line| json!({"level": line.level.name(), "object": line.object, "sentence": line.sentence});
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        format!("{:#}\n", json!({"sound": self.is_sound(), "lines": lines}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_as_lines_and_as_json() {
        let mut report = CheckReport::default();
        report.say(Level::Ok, "ConfigMap a/b", "1 entry".to_owned());
        report.say(Level::Warning, "ConfigMap a\n\u{1b}[2J/c", "is odd\n\u{1b}[2J".to_owned());
        assert!(report.is_sound());
        report.say(Level::Fault, "ConfigMap a/d", "is wrong".to_owned());
        assert!(!report.is_sound());
        let text = "ok       ConfigMap a/b: 1 entry\nwarning  ConfigMap a [2J/c: is odd [2J\nfault    ConfigMap a/d: is wrong\n";
        assert_eq!(report.text(false), text);
        assert!(report.text(true).ends_with("\u{1b}[31mfault   \u{1b}[0m ConfigMap a/d: is wrong\n"));
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["sound"], false);
        assert_eq!(json["lines"][2], json!({"level": "fault", "object": "ConfigMap a/d", "sentence": "is wrong"}));
    }
}
