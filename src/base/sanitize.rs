//! Text of a peer, made safe to print: it can neither break a log line nor move a terminal's cursor.

use crate::base::redact;

/// Characters of a peer's text that are kept.
pub const EXCERPT_OCTETS: usize = 1_024;

/// The mark before each item of a list in a sentence of one line. The table of `status` begins a line with it.
pub const ITEM: &str = "\u{2022} ";

/// One line without control characters and known secrets, [`EXCERPT_OCTETS`] characters at most. Secrets are removed
/// before the text is cut: a part of a secret might not be recognised.
pub fn one_line(text: &str) -> String {
    line_of(text, EXCERPT_OCTETS)
}

/// Like [`one_line`], with `most` characters at most.
pub fn line_of(text: &str, most: usize) -> String {
    let text = redact::clean(text);
    let clean: String = text.chars().map(|c| if c.is_control() || turns_text(c) { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(most).collect()
}

/// Characters that change the direction of the text after them (Unicode's Bidi_Control), which would make a line read
/// differently.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The beginning of a body that is not of the expected form.
pub fn excerpt(body: &[u8]) -> String {
    // Twice the length, so that a secret at the cut is still complete.
    one_line(&String::from_utf8_lossy(&body[..body.len().min(2 * EXCERPT_OCTETS)]))
}

/// Tells whether a text is an address with a user name or a password before the host: `https://me:secret@host`, or without the scheme. Such a
/// text is not repeated in a sentence.
pub fn has_credentials(text: &str) -> bool {
    let (has_scheme, rest) = text.split_once("://").map_or((false, text), |(_, rest)| (true, rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| has_scheme || user.contains(':'))
}

/// The rest of a sentence about a text for which [`has_credentials`] holds.
pub const CREDENTIALS: &str =
    "has a user name or password in it, which is not supported (and not repeated here): write it without them";

/// The fault and the place in a text that is not valid JSON. The error's own words are not used, because they may quote
/// a value.
pub fn json_fault(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Io => "it could not be read",
        serde_json::error::Category::Eof => "it ends in the middle",
        serde_json::error::Category::Syntax => "it is not JSON",
        serde_json::error::Category::Data => "it is JSON of another form than it should be",
    };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// Percent-encodes a text for a query's value or a part of a header's name (RFC 3986 section 2.1).
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
    fn a_known_secret_is_no_part_of_a_peers_words_even_where_they_are_cut() {
        let secret = crate::base::secret::Secret::known("a token", "only-in-text.rs-91b2c7d4e8f0".to_owned());
        let long = format!("{}{}", "x ".repeat(EXCERPT_OCTETS / 2 - 4), secret.expose());
        assert!(!one_line(&long).contains("only-"), "the end is cut off");
        assert!(!excerpt(long.as_bytes()).contains("only-"));
        assert_eq!(one_line(secret.expose()), "(secret: a token)");
    }

    #[test]
    fn user_names_and_passwords_in_addresses_are_seen() {
        for (text, has) in [
            ("https://me:secret@ca.test/dir", true),
            ("https://secret@ca.test", true),
            ("me:secret@proxy.test:3128", true),
            ("https://ca.test/dir?mail=a@b.test", false),
            ("https://ca.test/@a", false),
            ("me@b.test", false),
            ("", false),
        ] {
            assert_eq!(has_credentials(text), has, "{text}");
        }
    }

    #[test]
    fn of_json_that_does_not_read_the_place_is_said_and_no_value() {
        for text in [r#""secret""#, "{\"a\":\n\"secret\"}", "secret", "{\"secret"] {
            let error = json_fault(&serde_json::from_str::<std::collections::BTreeMap<String, u8>>(text).unwrap_err());
            assert!(error.contains("line ") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn query_values_are_encoded() {
        assert_eq!(percent_encoded("app.kubernetes.io/component=record"), "app.kubernetes.io%2Fcomponent%3Drecord");
    }
}
