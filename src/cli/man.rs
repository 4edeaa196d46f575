//! The manual page, made of what `-h` prints: `notariat man | man -l -`. Pure.
//!
//! The text of the usage is its one source, so its form is part of it: a first sentence, the commands, the flags, and what holds for all
//! of them, each after an empty line. A command or flag is followed by its explanation after two spaces or more, or in the column
//! where all explanations begin; what goes on is further to the right. tests/it/man.rs has groff judge the page.

use std::fmt::Write as _;

/// Where the explanation of a flag begins that leaves no room for two spaces.
const COLUMN: usize = 19;

/// A command or a flag, and what it is for.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    head: String,
    text: String,
}

/// The page in the language of man(7), for a usage and a version.
pub fn page(usage: &str, version: &str) -> String {
    let mut parts = usage.split("\n\n");
    let mut part = || parts.next().unwrap_or_default();
    let (about, commands, flags) = (part(), items(part(), "notariat "), items(part(), "-"));
    let name = about.split(", ").next().unwrap_or_default().trim_start_matches("notariat ");
    // Neither hyphens nor wide spaces: people copy from it.
    let mut page = format!(
        ".TH NOTARIAT 1 \"\" \"notariat {}\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\nnotariat \\- {}\n.SH SYNOPSIS\n.nf\n",
        escaped(version),
        escaped(name)
    );
    for Item { head, .. } in &commands {
        page += &line(head);
    }
    page += ".fi\n.SH DESCRIPTION\n";
    page += &line(about);
    for (title, items) in [("COMMANDS", commands), ("OPTIONS", flags)] {
        page += &format!(".SH {title}\n");
        for Item { head, text } in items {
            // Writing to a String never fails.
            write!(page, ".TP\n.B {}\n{}", escaped(&head), line(&text)).ok();
        }
    }
    page += ".SH ENVIRONMENT\n";
    parts.for_each(|rest| page += &line(&rest.split_whitespace().collect::<Vec<_>>().join(" ")));
    page + ".SH SEE ALSO\n.BR kubectl (1),\n.BR nsupdate (1),\n.BR tsig\\-keygen (8)\n"
}

/// The commands or flags of a part, each of which begins with `mark`.
fn items(part: &str, mark: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for line in part.lines() {
        // It stands before the first command and is as long as the spaces before the others.
        let line = line.strip_prefix("usage: ").unwrap_or(line);
        let (indent, rest) = (line.len() - line.trim_start().len(), line.trim());
        match items.last_mut() {
            Some(last) if indent >= COLUMN || !rest.starts_with(mark) => {
                last.text = format!("{} {rest}", last.text);
            }
            Some(_) | None => items.extend(pairs(rest, COLUMN.saturating_sub(indent))),
        }
    }
    items
}

/// The one item of a line, or two of them.
fn pairs(line: &str, column: usize) -> Vec<Item> {
    let pieces: Vec<&str> = line.split("  ").map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let item = |head: &str, text: &str| Item { head: head.trim().to_owned(), text: text.trim().to_owned() };
    match pieces[..] {
        [whole] => {
            let (head, text) = whole.split_at_checked(column).unwrap_or((whole, ""));
            vec![item(head, text)]
        }
        [head, text, other, more] if other.starts_with('-') => vec![item(head, text), item(other, more)],
        [head, ref texts @ ..] => vec![item(head, &texts.join(" "))],
        [] => Vec::new(),
    }
}

/// Text as a line of its own, which no request may begin.
fn line(text: &str) -> String {
    format!("\\&{}\n", escaped(text))
}

/// Characters as they stand there: groff makes others of some of them, which nobody could copy.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '\\' => out += "\\e",
            '-' => out += "\\-",
            '`' => out += "\\(ga",
            '\'' => out += "\\(aq",
            '~' => out += "\\(ti",
            '^' => out += "\\(ha",
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_told_apart_by_their_columns() {
        let item = |head: &str, text: &str| Item { head: head.to_owned(), text: text.to_owned() };
        let flags = "  -a NAME          one, which\n                   goes on - here\n  -long-name NAMES the column\n  \
                     -longer HOST[:PORT]   two spaces\n  -h, -help        print this        -version   print the version";
        assert_eq!(
            items(flags, "-"),
            [
                item("-a NAME", "one, which goes on - here"),
                item("-long-name NAMES", "the column"),
                item("-longer HOST[:PORT]", "two spaces"),
                item("-h, -help", "print this"),
                item("-version", "print the version"),
            ]
        );
        let commands = "usage: notariat -a [flags]     one\n       notariat b | -c NAME   two\n                       notariat is no command";
        assert_eq!(
            items(commands, "notariat "),
            [item("notariat -a [flags]", "one"), item("notariat b | -c NAME", "two notariat is no command")]
        );
    }

    #[test]
    fn nothing_can_be_taken_for_a_request_or_an_escape() {
        assert_eq!(line(".so /etc/passwd"), "\\&.so /etc/passwd\n");
        assert_eq!(escaped(r"a-b \n 'c' `d` ~"), r"a\-b \en \(aqc\(aq \(gad\(ga \(ti");
    }

    #[test]
    fn not_a_word_of_the_usage_is_lost() {
        let page = page(crate::cli::USAGE, "1.2.3");
        let plain = page
            .replace("\\-", "-")
            .replace("\\(ga", "`")
            .replace("\\(ti", "~")
            .replace("\\(aq", "'")
            .replace("\\&", "");
        let words: Vec<&str> = plain.split_whitespace().collect();
        for word in crate::cli::USAGE.split_whitespace().filter(|word| *word != "usage:") {
            assert!(words.contains(&word), "{word}");
        }
        assert!(plain.starts_with(".TH NOTARIAT 1 \"\" \"notariat 1.2.3\""));
    }
}
