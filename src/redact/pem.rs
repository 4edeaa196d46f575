//! Private keys in a text, and base64 as it stands in texts. Lenient where a parser is strict.

use zeroize::{Zeroize as _, Zeroizing};

/// What stands before the base64 of a private key in PEM, of any kind.
const KEY_BEGINS: &[u8] = b"PRIVATE KEY-----";
const KEY_ENDS: &[u8] = b"-----END";

/// The base64 of each private key in a text, as it stands there. Lenient: a text that is no PEM may hold a key all the same.
pub(super) fn keys(text: &[u8]) -> Vec<&[u8]> {
    let find = |text: &[u8], word: &[u8]| text.windows(word.len()).position(|part| part == word);
    let (mut keys, mut rest) = (Vec::new(), text);
    while let Some(begins) = find(rest, KEY_BEGINS) {
        rest = &rest[begins + KEY_BEGINS.len()..];
        let end = find(rest, KEY_ENDS).unwrap_or(rest.len());
        keys.push(rest[..end].trim_ascii());
        // What ends is a key as well: `-----END PRIVATE KEY-----`.
        rest = rest[end..].strip_prefix(KEY_ENDS).map_or(&rest[end..], |rest| {
            let line = find(rest, b"-----").map_or(rest.len(), |end| end + 5);
            &rest[line..]
        });
    }
    keys.retain(|key| !key.is_empty());
    keys
}

/// The octets of a base64 text, whatever stands between its characters.
pub(super) fn decoded(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len() * 3 / 4 + 1));
    let (mut read, mut bits) = (0_u32, 0);
    for (_, sextet) in
        text.iter().enumerate().filter(|(at, _)| !is_escape(text, *at)).filter_map(|(at, c)| Some((at, sextet(*c)?)))
    {
        (read, bits) = ((read << 6) | u32::from(sextet), bits + 6);
        if bits >= 8 {
            bits -= 8;
            octets.push(u8::try_from((read >> bits) & 0xff).unwrap_or_default());
        }
    }
    read.zeroize();
    octets
}

/// The value of a character of base64, of either alphabet.
pub(super) fn sextet(c: u8) -> Option<u8> {
    match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Whether it is the letter of an escaped line break, which a quoted text has in place of one.
pub(super) fn is_escape(octets: &[u8], at: usize) -> bool {
    matches!(octets[at], b'n' | b'r' | b't') && at > 0 && octets[at - 1] == b'\\'
}
