//! Random bytes, hexadecimal and base64: three small things this crate needs and takes no dependency for.

use std::fs::File;
use std::io::Read;

/// `count` bytes nobody can guess: TSIG secrets, tokens, certificate serials.
pub(crate) fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .expect("/dev/urandom can be read on every Linux");
    bytes
}

/// `count` random bytes as lower-case hexadecimal.
pub(crate) fn random_hex(count: usize) -> String {
    random(count).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 with padding (RFC 4648 section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut padded = [0; 3];
        padded[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, padded[0], padded[1], padded[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn random_hex_has_two_digits_for_each_byte_and_differs_each_time() {
        let (one, other) = (random_hex(16), random_hex(16));
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
