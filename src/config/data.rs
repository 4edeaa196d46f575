//! The data of a ConfigMap as read: text, and data that is no text. Pure.
//!
//! `kubectl create configmap --from-file` stores a file that is not UTF-8 under `binaryData`, silently. A key that
//! leaves `data` in this way must not look like a removed one.

use std::collections::BTreeMap;

/// The keys of a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// The texts of `data`.
    pub texts: BTreeMap<String, String>,
    /// The fault in the encoding of each key without text.
    pub unreadable: BTreeMap<String, String>,
}

impl Data {
    /// Adds the contents of a file: text, if it is UTF-8.
    pub fn add_file(&mut self, key: String, octets: Vec<u8>) {
        match String::from_utf8(octets) {
            Ok(text) => drop(self.texts.insert(key, text)),
            Err(e) => drop(self.unreadable.insert(key, format!("is no text: {}", encoding(e.as_bytes())))),
        }
    }

    /// Adds an item of `binaryData`.
    pub fn add_binary(&mut self, key: String, octets: &[u8]) {
        let fault = format!("is in `binaryData`, because {}", encoding(octets));
        self.unreadable.insert(key, fault);
    }
}

impl From<BTreeMap<String, String>> for Data {
    fn from(texts: BTreeMap<String, String>) -> Data {
        Data { texts, unreadable: BTreeMap::new() }
    }
}

impl FromIterator<(String, String)> for Data {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(texts: I) -> Data {
        Data::from(texts.into_iter().collect::<BTreeMap<_, _>>())
    }
}

/// The fault of octets that should be UTF-8, and the cure.
pub fn encoding(octets: &[u8]) -> String {
    if is_utf_16(octets) {
        return "it is UTF-16, not UTF-8: save it as UTF-8 (`iconv -f UTF-16 -t UTF-8`)".to_owned();
    }
    match std::str::from_utf8(octets) {
        Ok(_) => "somebody put it there: text belongs under `data`".to_owned(),
        Err(e) => {
            let at = e.valid_up_to();
            let line = octets.iter().take(at).filter(|octet| **octet == b'\n').count().saturating_add(1);
            let octet = octets.get(at).copied().unwrap_or_default();
            format!(
                "it is not UTF-8: octet 0x{octet:02X} in line {line} is of another encoding, as of Latin-1; save it as UTF-8 (`iconv -f LATIN1 -t UTF-8`)"
            )
        }
    }
}

/// Tells whether octets look like UTF-16: a byte order mark, or zeros in every other octet of the first ones.
pub fn is_utf_16(octets: &[u8]) -> bool {
    let start = octets.get(..octets.len().min(64)).unwrap_or_default();
    let zeros = |parity: usize| start.iter().skip(parity).step_by(2).filter(|octet| **octet == 0).count();
    matches!(start, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..])
        || (start.len() >= 4 && zeros(0).max(zeros(1)).saturating_mul(4) >= start.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf_8_is_named_with_its_line_and_the_cure() {
        let utf_16: Vec<u8> = "- secret: web".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked: Vec<u8> =
            [&[0xFE, 0xFF][..], &"é".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()].concat();
        for (octets, part) in [
            (&b"- secret: web\n  # Z\xFCrich\n"[..], "octet 0xFC in line 2"),
            (&utf_16, "UTF-16"),
            (&marked, "UTF-16"),
            (b"- secret: web", "belongs under `data`"),
            (b"", "belongs under `data`"),
        ] {
            assert!(encoding(octets).contains(part), "{}", encoding(octets));
        }
    }
}
