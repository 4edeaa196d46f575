//! Text as HTML. Pure.
//!
//! Untrusted: every text that goes through here.

use crate::base::redact;
use crate::base::time::{Time, human};

/// A text without known secrets, in which no character is markup.
pub(super) fn escaped(text: &str) -> String {
    let text = redact::clean(text);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A text as the value of a query, percent-encoded (RFC 3986 section 2.3).
pub(super) fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => value.push(char::from(octet)),
            _ => value.push_str(&format!("%{octet:02X}")),
        }
    }
    value
}

/// A moment as the time from now with the date below; the tooltip has the moment itself.
pub(super) fn when(at: Time, now: Time) -> String {
    let text = if at < now { format!("{} ago", human(now.since(at))) } else { format!("in {}", human(at.since(now))) };
    let moment = at.to_string();
    let date = moment.split('T').next().unwrap_or_default();
    format!("<time datetime=\"{moment}\" title=\"{moment}\">{text} <small>{date}</small></time>")
}

/// A number of things.
pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_no_part_of_the_page() {
        let secret = crate::base::secret::Secret::known("a token", "<only in html.rs & nowhere>".to_owned());
        assert_eq!(escaped(&format!("a {} b", secret.expose())), "a (secret: a token) b");
    }

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!(escaped("<script>\"'&</script>"), "&lt;script&gt;&quot;&#39;&amp;&lt;/script&gt;");
        assert_eq!(encoded("team-a.b_~"), "team-a.b_~");
        assert_eq!(encoded("a&state=\"<ü"), "a%26state%3D%22%3C%C3%BC");
    }
}
