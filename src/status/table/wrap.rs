//! Lines of a bounded width: cells are cut, sentences are wrapped. Pure.

use crate::base::sanitize::ITEM;

/// Characters in a line of wrapped text at the least, whatever the width: each line has to hold something.
const TEXT_LEAST: usize = 8;

/// At most `width` characters, the last one an ellipsis where some are left out.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// The text in lines that begin with `indent` and have at most `width` characters, broken between words, and inside a word only where that is
/// longer than a line. An [`ITEM`] begins a line of its own. Without a width: one line.
pub(super) fn wrapped(indent: &str, text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return format!("{indent}{text}\n") };
    let mut all = String::new();
    for (place, part) in text.split(&format!(" {ITEM}")).enumerate() {
        let (mark, hang) = if place == 0 { ("", "") } else { (ITEM, "  ") };
        let room = width.saturating_sub(indent.chars().count() + hang.len()).max(TEXT_LEAST);
        for (row, line) in lines(part, room).into_iter().enumerate() {
            all += &format!("{indent}{}{line}\n", if row == 0 { mark } else { hang });
        }
    }
    all
}

/// The lines of at most `room` characters; one empty line for an empty text.
fn lines(text: &str, room: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        for c in word.chars() {
            if used == room {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += 1;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_a_long_word_where_the_line_ends() {
        for (text, width, expected) in [
            ("", Some(20), "  \n"),
            ("one two", Some(20), "  one two\n"),
            ("one two three four", Some(12), "  one two\n  three four\n"),
            ("one two three four", None, "  one two three four\n"),
            ("a 123456789012345 b", Some(12), "  a\n  1234567890\n  12345 b\n"),
            ("1234567890 b", Some(12), "  1234567890\n  b\n"),
            (
                "\u{e9}\u{e9}\u{e9}\u{e9} \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
                Some(12),
                "  \u{e9}\u{e9}\u{e9}\u{e9} \u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\n",
            ),
            ("12345678 b", Some(0), "  12345678\n  b\n"),
            (
                "do this: \u{2022} BIND: x y \u{2022} Knot",
                Some(12),
                "  do this:\n  \u{2022} BIND: x\n    y\n  \u{2022} Knot\n",
            ),
            ("do this: \u{2022} BIND", None, "  do this: \u{2022} BIND\n"),
        ] {
            assert_eq!(wrapped("  ", text, width), expected, "{text}");
        }
    }
}
