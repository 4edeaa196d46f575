//! A peer's words, made harmless: they must not break a log line or move a terminal's cursor.

/// Characters of a peer's text that are kept.
pub const EXCERPT_OCTETS: usize = 1_024;

/// One line without control characters, at most [`EXCERPT_OCTETS`] characters.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() || turns_text(c) { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(EXCERPT_OCTETS).collect()
}

/// Characters that change the direction of what follows (Unicode's Bidi_Control): a line would read otherwise than it is.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a body that is not what was hoped for.
pub fn excerpt(body: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(&body[..body.len().min(EXCERPT_OCTETS)]))
}

/// RFC 3986 section 2.1, for a query's value or a part of a header's name.
pub fn percent_encoded(text: &str) -> String {
    let encode = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_peer_are_one_line_that_reads_as_it_is() {
        for (text, line) in [
            (" a\r\n\tb ", "a b"),
            ("a\u{1b}[2Jb\u{9b}c\u{7f}", "a [2Jb c"),
            ("not \u{202e}dilav\u{202c} \u{2066}x\u{200f}", "not dilav x"),
            ("ünïcödé\u{2028}x", "ünïcödé x"),
        ] {
            assert_eq!(one_line(text), line, "{text:?}");
        }
        assert_eq!(one_line(&"ü".repeat(2 * EXCERPT_OCTETS)).chars().count(), EXCERPT_OCTETS);
    }

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(percent_encoded("app.kubernetes.io/component=record"), "app.kubernetes.io%2Fcomponent%3Drecord");
    }
}
