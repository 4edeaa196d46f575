//! The manual page, made of the table of flags and commands: `notariat man | man -l -`. tests/it/man.rs has groff judge the page.

use std::fmt::Write as _;

use crate::cli::flags::{ABOUT, ALONE, Command, ENVIRONMENT, FLAGS, Flag, commands};

/// The page in the language of man(7), for a version.
pub fn page(version: &str) -> String {
    let name = ABOUT.split(", ").next().unwrap_or_default().trim_start_matches("notariat ");
    // Neither hyphens nor wide spaces: people copy from the page.
    let mut page = format!(
        ".TH NOTARIAT 1 \"\" \"notariat {}\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\nnotariat \\- {}\n.SH SYNOPSIS\n.in +4n\n",
        escaped(version),
        escaped(name)
    );
    let commands: Vec<(String, String)> = commands().iter().map(|c| (Command::head(c), c.help.to_owned())).collect();
    let flags = FLAGS.iter().filter(|flag| flag.is_shared()).map(|flag| (Flag::head(flag), flag.explanation()));
    let alone = ALONE.map(|(head, what)| (head.to_owned(), what.to_owned()));
    // A line that is too long goes on below, four columns to the right.
    commands.iter().for_each(|(head, _)| page += &format!(".ti -4n\n{}", line(head)));
    page += &format!(".br\n.in -4n\n.SH DESCRIPTION\n{}", line(ABOUT));
    for (title, items) in [("COMMANDS", commands), ("OPTIONS", flags.chain(alone).collect())] {
        page += &format!(".SH {title}\n");
        for (head, text) in items {
            // Writing to a String never fails.
            write!(page, ".TP\n.B {}\n{}", escaped(&head), line(&text)).ok();
        }
    }
    page += &format!(".SH ENVIRONMENT\n{}", line(ENVIRONMENT));
    page + ".SH SEE ALSO\n.BR kubectl (1),\n.BR nsupdate (1),\n.BR tsig\\-keygen (8)\n"
}

/// Text as a line of its own, which no request may begin.
fn line(text: &str) -> String {
    format!("\\&{}\n", escaped(text))
}

/// The text with an escape for each character that groff replaces by another one, which cannot be copied to a shell. No line ends between
/// a flag and what follows it.
fn escaped(text: &str) -> String {
    let is_flag =
        |word: &str| word.trim_start_matches(['[', '(', '`']).starts_with('-') && !word.ends_with([',', ';', '.', ']']);
    let words = text.split(' ').map(|word| escaped_word(word) + if is_flag(word) { "\\ " } else { " " });
    words.collect::<String>().trim_end_matches(['\\', ' ']).to_owned()
}

fn escaped_word(word: &str) -> String {
    word.chars().fold(String::new(), |mut out, c| {
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
    use crate::cli::flags::usage;

    #[test]
    fn nothing_can_be_taken_for_a_request_or_an_escape() {
        assert_eq!(line(".so /etc/passwd"), "\\&.so /etc/passwd\n");
        assert_eq!(escaped(r"a-b \n 'c' `d` ~"), r"a\-b \en \(aqc\(aq \(gad\(ga \(ti");
        assert_eq!(escaped("[-o json] -w, or -"), r"[\-o\ json] \-w, or \-");
    }

    #[test]
    fn the_page_has_every_word_of_the_usage() {
        let page = page("1.2.3");
        let escapes = [("\\-", "-"), ("\\(ga", "`"), ("\\(ti", "~"), ("\\(aq", "'"), ("\\&", ""), ("\\ ", " ")];
        let plain = escapes.iter().fold(page, |page, (from, to)| page.replace(from, to));
        let words: Vec<&str> = plain.split_whitespace().collect();
        for word in usage().split_whitespace().filter(|word| *word != "usage:") {
            assert!(words.contains(&word), "{word}");
        }
        assert!(plain.starts_with(".TH NOTARIAT 1 \"\" \"notariat 1.2.3\""));
    }
}
