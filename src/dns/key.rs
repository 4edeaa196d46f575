//! TSIG keys as operators write them into a Secret: `[hmac:]name:base64`, a BIND key file, the `key` sections of knot.conf and nsd.conf,
//! what Knot's `keymgr -t` prints, `K*.key` of dnssec-keygen.
//!
//! The text is secret as a whole: an operator may have put the parts in the wrong order, so no error repeats any of it. What stands in a
//! comment is no key: it would be used, and `dns-policy` would tell an operator to grant it.

mod clauses;
mod lines;
mod sections;

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::limits::TSIG_KEYS_MAX;
use crate::name::DnsName;
use crate::secret::Secret;

/// The HMAC of a TSIG key (RFC 8945 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `hmac-sha1`
    Sha1,
    /// `hmac-sha224`
    Sha224,
    /// `hmac-sha256`, what a key without an algorithm has
    Sha256,
    /// `hmac-sha384`
    Sha384,
    /// `hmac-sha512`
    Sha512,
}

impl Algorithm {
    /// Every algorithm, as the registry of RFC 8945 section 6 orders them.
    pub const ALL: [Algorithm; 5] =
        [Algorithm::Sha1, Algorithm::Sha224, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// The name in configuration files; the same name is sent on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "hmac-sha1",
            Algorithm::Sha224 => "hmac-sha224",
            Algorithm::Sha256 => "hmac-sha256",
            Algorithm::Sha384 => "hmac-sha384",
            Algorithm::Sha512 => "hmac-sha512",
        }
    }

    /// Reads any spelling in use: `hmac-sha256`, `HMAC-SHA256.`, `HMACSHA256` (cert-manager).
    fn parse(text: &str) -> Result<Algorithm, KeyError> {
        let plain: String =
            text.chars().filter(|c| !matches!(c, '-' | '.' | '_')).map(|c| c.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "hmacsha1" => Ok(Algorithm::Sha1),
            "hmacsha224" => Ok(Algorithm::Sha224),
            "hmacsha256" => Ok(Algorithm::Sha256),
            "hmacsha384" => Ok(Algorithm::Sha384),
            "hmacsha512" => Ok(Algorithm::Sha512),
            "hmacmd5" | "hmacmd5sigalgregint" => Err(KeyError::Md5),
            "gsstsig" => Err(KeyError::Gss),
            _ => Err(KeyError::Algorithm),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A TSIG key: what both sides share.
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// The name both sides know it by.
    pub name: DnsName,
    /// The HMAC it is used with.
    pub algorithm: Algorithm,
    /// The shared secret, raw octets.
    pub secret: Secret<Vec<u8>>,
}

/// Why a text is not a TSIG key. `Display` is the rest of a sentence and holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is its sentence")]
pub enum KeyError {
    Empty,
    Parts,
    Algorithm,
    Md5,
    Gss,
    Name,
    Base64,
    NoSecret,
    Clause,
    Mixed,
    Many,
    Section,
    NoName,
    Twice,
    Private,
    Nsupdate,
    Json,
    NotText,
    Utf16,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Empty => "is empty; write `[hmac:]name:base64`",
            KeyError::Parts => "does not have the form `[hmac:]name:base64` (two or three parts with `:` between them)",
            KeyError::Algorithm => {
                "begins with an algorithm that is none of hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512"
            }
            KeyError::Md5 => "uses hmac-md5, which RFC 8945 retired: make a key with `tsig-keygen -a hmac-sha256 NAME`",
            KeyError::Gss => "uses gss-tsig (Kerberos), which is not supported: delegate the challenge by CNAME to a zone with a TSIG key",
            KeyError::Name => "has a key name that is not a domain name",
            KeyError::Base64 => "has a secret that is not base64",
            KeyError::NoSecret => "has an empty secret",
            KeyError::Clause => {
                "looks like a BIND key file and is none; write `key \"name\" { algorithm hmac-sha256; secret \"base64\"; };`"
            }
            KeyError::Mixed => "has lines `[hmac:]name:base64` beside `key` clauses; write all keys in one of these forms",
            KeyError::Many => "has more keys than are tried; remove the old ones",
            KeyError::Section => "has a `key` section that lacks `id` (or `name`), `algorithm` or `secret`",
            KeyError::NoName => {
                "does not have the form `[hmac:]name:base64`: the name of the key is missing; write `name:base64`, with the name that the server knows it by"
            }
            KeyError::Twice => {
                "is base64 of base64: under `data` it stands encoded once, and under `stringData` and --from-literal not at all"
            }
            KeyError::Private => {
                "is a K*.private file, which does not hold the name of the key: that is the part of the file's name between K and `.+`; write `hmac-sha256:name:base64` with what stands behind `Key:`"
            }
            KeyError::Nsupdate => "is nsupdate's command `key`; write `hmac-sha256:name:base64`, with `:` before the secret",
            KeyError::Json => "is JSON; write `[hmac:]name:base64`",
            KeyError::NotText => "is not text",
            KeyError::Utf16 => "is UTF-16; save it as UTF-8",
        })
    }
}

/// Padding may be missing: people lose `=` when they copy.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the octets of a key's Secret, as [`parse_keys`] does text.
///
/// # Errors
/// What is wrong, without any of the content.
pub fn read_keys(octets: &[u8]) -> Result<Vec<TsigKey>, KeyError> {
    // Text has no NUL; in UTF-16 each second octet of ASCII is one.
    if octets.starts_with(&[0xff, 0xfe]) || octets.starts_with(&[0xfe, 0xff]) || octets.contains(&0) {
        return Err(KeyError::Utf16);
    }
    parse_keys(std::str::from_utf8(octets).map_err(|_| KeyError::NotText)?)
}

/// Reads the text of a key's Secret: one or several keys, which are tried in their order, so that a key can be exchanged without a
/// gap. All have one of these forms:
///
/// - `[hmac:]name:base64`, each on a line of its own;
/// - clauses of a BIND key file, `key "name" { algorithm hmac-sha256; secret "base64"; };`;
/// - `key:` sections as in knot.conf and nsd.conf, with or without the `# hmac:name:base64` that `keymgr -t` prints before them;
/// - `K*.key` files of dnssec-keygen, `name. IN KEY 512 3 163 base64`.
///
/// # Errors
/// What is wrong, without any of the text.
pub fn parse_keys(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() && text.contains(['{', '[', '"']);
    let keys = match () {
        () if is_json => return Err(KeyError::Json),
        () if text.contains("Private-key-format:") => return Err(KeyError::Private),
        () if text.contains('{') => clauses::read(text)?,
        () if text.lines().any(|line| line.trim_end() == "key:") => sections::read(text)?,
        () => lines::read(text)?,
    };
    match keys.len() {
        0 => Err(KeyError::Empty),
        1..=TSIG_KEYS_MAX => Ok(keys),
        _ => Err(KeyError::Many),
    }
}

/// Whether octets are base64 text themselves: what was encoded once too often. Only text that ends in padding counts, for an operator may
/// well choose letters and digits as a secret.
fn is_base64_text(octets: &[u8]) -> bool {
    octets.len() >= 16 && octets.len().is_multiple_of(4) && octets.ends_with(b"=") && BASE64.decode(octets).is_ok()
}

impl TsigKey {
    /// Reads `[hmac:]name:base64`. White space is harmless: it can not be part of any of the three.
    fn parse(line: &str) -> Result<TsigKey, KeyError> {
        let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        let parts: Vec<&str> = line.split(':').collect();
        match parts[..] {
            [text] => Err(one_part(text)),
            [name, secret] => TsigKey::new(Algorithm::Sha256, name, secret),
            [algorithm, name, secret] => TsigKey::new(Algorithm::parse(algorithm)?, name, secret),
            _ => Err(KeyError::Parts),
        }
    }

    fn new(algorithm: Algorithm, name: &str, secret: &str) -> Result<TsigKey, KeyError> {
        let name = DnsName::parse(name).map_err(|_| KeyError::Name)?;
        let secret: String = secret.chars().filter(|c| !c.is_whitespace()).collect();
        let secret = Secret::new(BASE64.decode(secret).map_err(|_| KeyError::Base64)?);
        if secret.expose().is_empty() {
            return Err(KeyError::NoSecret);
        }
        if is_base64_text(secret.expose()) {
            return Err(KeyError::Twice);
        }
        Ok(TsigKey { name, algorithm, secret })
    }
}

/// What a line without a colon is.
fn one_part(text: &str) -> KeyError {
    match BASE64.decode(text).map(Secret::new) {
        Ok(octets) if std::str::from_utf8(octets.expose()).is_ok_and(|text| parse_keys(text).is_ok()) => {
            KeyError::Twice
        }
        Ok(octets) if octets.expose().len() >= 10 => KeyError::NoName,
        Ok(_) | Err(_) => KeyError::Parts,
    }
}

/// The name and the algorithm; never the secret.
impl fmt::Display for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, KeyError> {
        let keys = parse_keys(text)?;
        assert!(keys.iter().all(|k| k.secret.expose() == b"0123456789abcdef"), "{text:?}");
        Ok(keys.iter().map(TsigKey::to_string).collect())
    }

    #[test]
    fn keys_are_read_in_every_form_people_have_them() {
        const KEYMGR: &str = "# hmac-sha512:k:MDEyMzQ1Njc4OWFiY2RlZg==\nkey:\n  - id: k\n    algorithm: hmac-sha512\n    secret: MDEyMzQ1Njc4OWFiY2RlZg==\n";
        const NAMED: &str = "// made by tsig-keygen\nkey \"new.key\" {\n\talgorithm hmac-sha256; # c\n\tsecret \"MDEyMzQ1Njc4OWFiY2RlZg==\";\n};\nkey old { secret MDEyMzQ1Njc4OWFiY2RlZg==; algorithm HMAC-SHA1; };";
        for (text, shown) in [
            ("tsigkey:MDEyMzQ1Njc4OWFiY2RlZg==", &["tsigkey (hmac-sha256)"][..]),
            ("hmac-sha512:tsigkey:MDEyMzQ1Njc4OWFiY2RlZg==", &["tsigkey (hmac-sha512)"]),
            ("HMAC-SHA384.:TSIG.key.:MDEyMzQ1Njc4OWFiY2RlZg==", &["tsig.key (hmac-sha384)"]),
            ("HMACSHA224:k:MDEyMzQ1Njc4OWFiY2RlZg==", &["k (hmac-sha224)"]),
            ("hmac-sha1:k:MDEyMzQ1Njc4OWFiY2RlZg", &["k (hmac-sha1)"]),
            ("\n  k : MDEyMzQ1Njc4OWFi Y2RlZg== \r\n\n", &["k (hmac-sha256)"]),
            ("\u{feff}k:MDEyMzQ1Njc4OWFiY2RlZg==", &["k (hmac-sha256)"]),
            ("# hmac-sha256:k.:MDEyMzQ1Njc4OWFiY2RlZg==", &["k (hmac-sha256)"]),
            (KEYMGR, &["k (hmac-sha512)"]),
            (
                "# the new one\nnew:MDEyMzQ1Njc4OWFiY2RlZg==\n# the old one\nhmac-sha1:old:MDEyMzQ1Njc4OWFiY2RlZg==",
                &["new (hmac-sha256)", "old (hmac-sha1)"],
            ),
            (NAMED, &["new.key (hmac-sha256)", "old (hmac-sha1)"]),
        ] {
            assert_eq!(read(text), Ok(shown.iter().map(|s| (*s).to_owned()).collect()), "{text:?}");
        }
        assert_eq!(read(&[KEYMGR, KEYMGR].concat()).map(|k| k.len()), Ok(2));
        let without_line = KEYMGR.split_once('\n').unwrap().1;
        assert_eq!(read(without_line), Ok(vec!["k (hmac-sha512)".to_owned()]));
        let slashes = parse_keys("key k { algorithm hmac-sha256; secret \"////\"; };").unwrap();
        assert_eq!(slashes[0].secret.expose(), &[255, 255, 255]);
    }

    /// The texts are those that the programs print or read; the secret is ours.
    #[test]
    fn the_files_of_other_programs_are_read() {
        const KNOT: &str = "server:\n    listen: 127.0.0.1@53\nkey:\n  - id: one.key # the first\n    algorithm: hmac-sha256\n    secret: MDEyMzQ1Njc4OWFiY2RlZg==\n  - id: two.key\n    algorithm: hmac-sha512\n    secret: \"MDEyMzQ1Njc4OWFiY2RlZg==\"\nacl:\n  - id: a\n    key: one.key\n";
        const NSD: &str = "key:\n\tname: \"nsd.key\"\n\talgorithm: hmac-sha256\n\tsecret: \"MDEyMzQ1Njc4OWFiY2RlZg==\"\nzone:\n\tname: a.test\n";
        const DNSSEC: &str = "; This is a key, keyid 1\nk.key. 3600 IN KEY 512 3 163 MDEyMzQ1Njc4 OWFiY2RlZg==\nold.key. IN KEY 512 3 161 MDEyMzQ1Njc4OWFiY2RlZg==\n";
        const UPPER: &str = "KEY \"k\" { ALGORITHM HMAC-SHA256; SECRET \"MDEyMzQ1Njc4OWFiY2RlZg==\"; };";
        for (text, shown) in [
            (KNOT, &["one.key (hmac-sha256)", "two.key (hmac-sha512)"][..]),
            (NSD, &["nsd.key (hmac-sha256)"]),
            (DNSSEC, &["k.key (hmac-sha256)", "old.key (hmac-sha1)"]),
            (UPPER, &["k (hmac-sha256)"]),
        ] {
            assert_eq!(read(text), Ok(shown.iter().map(|s| (*s).to_owned()).collect()), "{text:?}");
        }
    }

    #[test]
    fn what_stands_in_a_comment_is_no_key() {
        const OLD: &str = "key old { algorithm hmac-sha256; secret \"MDEyMzQ1Njc4OWFiY2RlZg==\"; };";
        const NEW: &str = "key new { algorithm hmac-sha256; secret \"MDEyMzQ1Njc4OWFiY2RlZg==\"; };";
        for text in [
            format!("/* {OLD} */ {NEW}"),
            format!("/*\n{OLD}\n*/\n{NEW}"),
            format!("# {OLD}\n{NEW}"),
            format!("// {OLD}\n{NEW}"),
            format!("{NEW} /* {OLD}"),
            "# hmac-sha256:old:MDEyMzQ1Njc4OWFiY2RlZg==\nnew:MDEyMzQ1Njc4OWFiY2RlZg==".to_owned(),
            "new:MDEyMzQ1Njc4OWFiY2RlZg==\n# hmac-sha256:old:MDEyMzQ1Njc4OWFiY2RlZg==".to_owned(),
            "key:\n  - id: new\n    algorithm: hmac-sha256\n    secret: MDEyMzQ1Njc4OWFiY2RlZg==\n#  - id: old\n#    secret: x"
                .to_owned(),
        ] {
            assert_eq!(read(&text), Ok(vec!["new (hmac-sha256)".to_owned()]), "{text}");
        }
        let quoted = "key k { algorithm hmac-sha256; secret \"MDEyMzQ1Njc4OWFiY2RlZg==\"; }; key \"/*\" { };";
        assert_eq!(read(quoted).unwrap_err(), KeyError::Clause, "no comment inside quotes");
    }

    #[test]
    fn octets_that_are_no_text_are_named() {
        let utf16: Vec<u8> = "k:MDEy".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read_keys(&utf16).unwrap_err(), KeyError::Utf16);
        assert_eq!(read_keys(&[&[0xff, 0xfe][..], &utf16].concat()).unwrap_err(), KeyError::Utf16);
        assert_eq!(read_keys(b"k:\xc3MDEy").unwrap_err(), KeyError::NotText);
        assert!(read_keys(b"k:MDEyMzQ1Njc4OWFiY2RlZg==").is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let many = "k:c2VjcmV0\n".repeat(TSIG_KEYS_MAX + 1);
        for (text, error) in [
            ("", KeyError::Empty),
            (" \n#\n", KeyError::Empty),
            ("c2VjcmV0", KeyError::Parts),
            ("a:b:c:d", KeyError::Parts),
            ("good:c2VjcmV0\nbad", KeyError::Parts),
            ("hmac-sha3:k:c2VjcmV0", KeyError::Algorithm),
            ("hmac-md5:k:c2VjcmV0", KeyError::Md5),
            ("hmac-md5.sig-alg.reg.int:k:c2VjcmV0", KeyError::Md5),
            ("gss-tsig:k:c2VjcmV0", KeyError::Gss),
            ("hmac-sha256::c2VjcmV0", KeyError::Name),
            ("hmac-sha256:k..x:c2VjcmV0", KeyError::Name),
            ("k:not base64!", KeyError::Base64),
            ("k:", KeyError::NoSecret),
            ("key k { algorithm hmac-sha256; }", KeyError::Clause),
            ("key k { secret c2VjcmV0; }", KeyError::Clause),
            ("key k { algorithm hmac-md5; secret c2VjcmV0; };", KeyError::Md5),
            ("key { algorithm hmac-sha256; secret c2VjcmV0; };", KeyError::Clause),
            ("key k { algorithm hmac-sha256; secret \"c2VjcmV0", KeyError::Clause),
            ("zone x { type primary; };", KeyError::Empty),
            ("key k { algorithm hmac-sha256; secret c2VjcmV0; };\nold:c2VjcmV0", KeyError::Mixed),
            ("hmac-sha1:old:c2VjcmV0\nkey k { algorithm hmac-sha256; secret c2VjcmV0; };", KeyError::Mixed),
            ("MDEyMzQ1Njc4OWFiY2RlZg==", KeyError::NoName),
            ("k:TURFeU16UTFOamM0T1dGaVkyUmxaZz09", KeyError::Twice),
            ("aG1hYy1zaGEyNTY6azpNREV5TXpRMU5qYzRPV0ZpWTJSbFpnPT0=", KeyError::Twice),
            ("Private-key-format: v1.3\nAlgorithm: 163 (HMAC_SHA256)\nKey: c2VjcmV0\n", KeyError::Private),
            ("key hmac-sha256:k c2VjcmV0", KeyError::Nsupdate),
            ("{\"key\": \"k:c2VjcmV0\"}", KeyError::Json),
            ("key:\n  - id: k\n    secret: c2VjcmV0\n", KeyError::Section),
            ("k. IN KEY 512 3 157 c2VjcmV0", KeyError::Md5),
            ("k. IN KEY 512 3 8 c2VjcmV0", KeyError::Algorithm),
            (&many, KeyError::Many),
        ] {
            assert_eq!(parse_keys(text).map(|_| ()), Err(error), "{text:?}");
            assert!(!error.to_string().contains("c2VjcmV0"));
        }
        let shown = format!("{:?}", parse_keys("k:c2VjcmV0").unwrap());
        assert!(!shown.contains("c2Vj") && !shown.contains("115"), "{shown}");
    }
}
