//! A peer's words, made harmless: they must not break a log line or move a terminal's cursor.

/// Characters of a peer's text that are kept.
pub const EXCERPT_OCTETS: usize = 1_024;

/// One line without control characters, at most [`EXCERPT_OCTETS`] characters.
pub fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(EXCERPT_OCTETS).collect()
}

/// The beginning of a body that is not what was hoped for.
pub fn excerpt(body: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(&body[..body.len().min(EXCERPT_OCTETS)]))
}
