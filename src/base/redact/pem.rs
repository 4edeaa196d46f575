//! Finds private keys in a text, and base64 in the forms in which texts hold it. More lenient than a parser.

use std::ops::Range;

use zeroize::{Zeroize as _, Zeroizing};

/// The text before the base64 of a private key in PEM, of any kind.
const KEY_BEGINS: &[u8] = b"PRIVATE KEY-----";
const KEY_ENDS: &[u8] = b"-----END";

/// The base64 of each private key in a text, as written. Lenient: a text that is not PEM may hold a key all the same.
pub(super) fn keys(text: &[u8]) -> Vec<&[u8]> {
    let find = |text: &[u8], word: &[u8]| text.windows(word.len()).position(|part| part == word);
    let (mut keys, mut rest) = (Vec::new(), text);
    while let Some(begins) = find(rest, KEY_BEGINS) {
        rest = &rest[begins + KEY_BEGINS.len()..];
        let end = find(rest, KEY_ENDS).unwrap_or(rest.len());
        keys.push(rest[..end].trim_ascii());
        // A key may also end at the text's end or at another line: `-----END PRIVATE KEY-----`.
        rest = rest[end..].strip_prefix(KEY_ENDS).map_or(&rest[end..], |rest| {
            let line = find(rest, b"-----").map_or(rest.len(), |end| end + 5);
            &rest[line..]
        });
    }
    keys.retain(|key| !key.is_empty());
    keys
}

/// The octets of a base64 text; characters between are ignored.
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

/// The place of the secret in the DER of a private key: after the version of an elliptic curve key (RFC 5915 section
/// 3), in the inner octets of Ed25519 (RFC 8410 section 7), after modulus and public exponent of RSA (RFC 8017 appendix
/// A.1.2). Any other key as a whole.
pub(super) fn secret_part(der: &[u8]) -> Range<usize> {
    let find = |word: &[u8]| der.windows(word.len()).position(|part| part == word).map(|at| at + word.len());
    let of_curve = find(&[2, 1, 1, 4]).and_then(|at| Some(at + 1..at + 1 + usize::from(*der.get(at)?)));
    let of_ed25519 = || find(&[4, 0x22, 4, 0x20]).map(|at| at..at + 32);
    let of_rsa = || {
        let modulus = find(&[2, 1, 0, 2, 0x82])?;
        let octets = usize::from(*der.get(modulus)?) << 8 | usize::from(*der.get(modulus + 1)?);
        let exponent = modulus + 2 + octets;
        // INTEGER: tag, length, octets.
        Some(exponent + 2 + usize::from(*der.get(exponent + 1)?)..der.len())
    };
    let found = of_curve.or_else(of_ed25519).or_else(of_rsa);
    found.filter(|part| part.start < part.end && part.end <= der.len()).unwrap_or(0..der.len())
}

/// The characters of a base64 text that encode only this part of its octets.
pub(super) fn encoded_part<'t>(text: &'t [u8], octets: &Range<usize>) -> &'t [u8] {
    let characters = (0..text.len()).filter(|at| !is_escape(text, *at) && sextet(text[*at]).is_some());
    let within = |number: usize| number * 6 >= octets.start * 8 && (number + 1) * 6 <= octets.end * 8;
    let mut places = characters.enumerate().filter(|(number, _)| within(*number)).map(|(_, at)| at);
    match places.next() {
        Some(first) => &text[first..=places.last().unwrap_or(first)],
        None => &[],
    }
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

/// Tells whether the octet is the letter of an escaped line break (`\n` in a quoted text).
pub(super) fn is_escape(octets: &[u8], at: usize) -> bool {
    matches!(octets[at], b'n' | b'r' | b't') && at > 0 && octets[at - 1] == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_a_key_is_found_and_no_public_key_is_part_of_it() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let (der, public) = (pair.serialize_der(), pair.public_key_raw());
            let secret = &der[secret_part(&der)];
            let size = if *algorithm == rcgen::PKCS_ECDSA_P384_SHA384 { 48 } else { 32 };
            assert_eq!(secret.len(), size, "{algorithm:?}");
            assert!(!secret.windows(8).any(|part| public.windows(8).any(|other| other == part)), "{algorithm:?}");
            let pem = pair.serialize_pem();
            let text = keys(pem.as_bytes())[0];
            let part = encoded_part(text, &secret_part(&der));
            assert!(part.len() >= size && part.len() < size * 3 / 2, "{}", part.len());
            let whole = text.iter().filter(|c| sextet(**c).is_some()).count();
            assert!(part.len() < whole, "the public key is left out");
        }
        assert_eq!(secret_part(b"something else"), 0..14);
        // RSA: version, modulus of 256 octets, exponent 65537, then what is secret.
        let rsa =
            [&[0x30, 0x82, 9, 9, 2, 1, 0, 2, 0x82, 1, 0][..], &[9; 256], &[2, 3, 1, 0, 1], &[2, 0x82, 1, 0, 9, 9]]
                .concat();
        assert_eq!(secret_part(&rsa), 272..278);
        // A length of nothing, and one beyond the end: the whole is secret.
        assert_eq!([secret_part(&[2, 1, 1, 4, 0, 9]), secret_part(&[2, 1, 1, 4, 9, 1])], [0..6, 0..6]);
    }

    #[test]
    fn base64_is_decoded_whatever_stands_between() {
        use base64::Engine as _;
        let octets: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(151).wrapping_add(17)).collect();
        for count in 0..=octets.len() {
            let text = base64::engine::general_purpose::STANDARD.encode(&octets[..count]);
            assert_eq!(decoded(text.as_bytes())[..], octets[..count], "{text}");
            let lines: Vec<&str> = text.as_bytes().chunks(5).map(|part| std::str::from_utf8(part).unwrap()).collect();
            for between in ["\n", "\\n", " \r\n"] {
                assert_eq!(decoded(lines.join(between).as_bytes())[..], octets[..count], "{text}");
            }
        }
    }

    #[test]
    fn only_characters_within_a_part_encode_it_alone() {
        // Octets 3 to 9 are the bits 24 to 72, octets 4 to 8 the bits 32 to 64; a character has six.
        let (text, folded) = (b"ABCDEFGHIJKLMNOP", b"ABCD\nEFGH\\nIJKLMNOP");
        assert_eq!(encoded_part(text, &(3..9)), b"EFGHIJKL");
        assert_eq!(encoded_part(text, &(4..8)), b"GHIJ");
        assert_eq!(encoded_part(folded, &(3..9)), b"EFGH\\nIJKL");
        assert_eq!(encoded_part(text, &(4..5)), b"");
    }
}
