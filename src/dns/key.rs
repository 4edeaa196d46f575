//! TSIG keys as operators write them into a Secret: `[hmac:]name:base64`, the output of Knot's `keymgr -t`, a BIND key file.
//!
//! The text is secret as a whole: an operator may have put the parts in the wrong order, so no error repeats any of it.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

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
    Swapped,
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
            KeyError::Swapped => {
                "has its secret in the place of its name: write the name first, `[hmac:]name:base64`, and make a new key where \
                 the secret was shown to others"
            }
            KeyError::Many => "has more keys than are tried; remove the old ones",
        })
    }
}

/// Padding may be missing: people lose `=` when they copy.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the text of a key's Secret: one or several keys, which are tried in their order, so that a key can be exchanged without a
/// gap. Each is `[hmac:]name:base64` on a line of its own, with the `# ` that `keymgr -t` prints before it and the YAML that it prints
/// after it; or all are clauses of a BIND key file, `key "name" { algorithm hmac-sha256; secret "base64"; };`.
///
/// # Errors
/// What is wrong, without any of the text.
pub fn parse_keys(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    let text = text.trim_start_matches('\u{feff}');
    let keys = if text.contains('{') { clauses(text)? } else { lines(text)? };
    match keys.len() {
        0 => Err(KeyError::Empty),
        1..=TSIG_KEYS_MAX => Ok(keys),
        _ => Err(KeyError::Many),
    }
}

fn lines(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    // What `keymgr -t` prints below the line that we read.
    let of_keymgr = |line: &str| ["key:", "- id:", "algorithm:", "secret:"].iter().any(|word| line.starts_with(word));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !of_keymgr(line));
    lines
        .filter_map(|line| match line.strip_prefix('#') {
            // Another comment than that of keymgr is one.
            Some(comment) => TsigKey::parse(comment).ok().map(Ok),
            None => Some(TsigKey::parse(line)),
        })
        .collect()
}

/// The `key` clauses of named.conf's grammar. Comments and what stands between clauses are skipped.
fn clauses(text: &str) -> Result<Vec<TsigKey>, KeyError> {
    // It would be skipped, like all between clauses, and missed by whoever wrote it.
    if text.lines().any(|line| TsigKey::parse(line).is_ok()) {
        return Err(KeyError::Mixed);
    }
    let code: Vec<&str> = text.lines().map(without_comment).collect();
    let code = code.join("\n");
    let mut words = Words(&code);
    let mut keys = Vec::new();
    while let Some(word) = words.next() {
        if word != "key" {
            continue;
        }
        let (name, mut algorithm, mut secret) = (words.next().ok_or(KeyError::Clause)?, None, None);
        if words.next() != Some("{") {
            return Err(KeyError::Clause);
        }
        loop {
            match words.next().ok_or(KeyError::Clause)? {
                "algorithm" => algorithm = words.next(),
                "secret" => secret = words.next(),
                "}" => break,
                ";" => {}
                _ => return Err(KeyError::Clause),
            }
        }
        let algorithm = Algorithm::parse(algorithm.ok_or(KeyError::Clause)?)?;
        keys.push(TsigKey::new(algorithm, name, secret.ok_or(KeyError::Clause)?)?);
    }
    Ok(keys)
}

/// A line up to `//` or `#`, neither of which counts inside quotes: base64 may hold `//`.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            '/' if !quoted && line[at..].starts_with("//") => return &line[..at],
            _ => {}
        }
    }
    line
}

/// Words, quoted texts, and `{`, `}`, `;` of their own.
struct Words<'t>(&'t str);

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let text = self.0.trim_start();
        let (word, rest) = match text.chars().next()? {
            '{' | '}' | ';' => text.split_at(1),
            '"' => {
                let (word, rest) = text[1..].split_once('"')?;
                self.0 = rest;
                return Some(word);
            }
            _ => text.split_at(
                text.find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"')).unwrap_or(text.len()),
            ),
        };
        self.0 = rest;
        Some(word)
    }
}

impl TsigKey {
    /// Reads `[hmac:]name:base64`. White space is harmless: it can not be part of any of the three.
    fn parse(line: &str) -> Result<TsigKey, KeyError> {
        let line: Zeroizing<String> = Zeroizing::new(line.chars().filter(|c| !c.is_whitespace()).collect());
        let parts: Vec<&str> = line.split(':').collect();
        match parts[..] {
            [name, secret] => TsigKey::new(Algorithm::Sha256, name, secret),
            [algorithm, name, secret] => TsigKey::new(Algorithm::parse(algorithm)?, name, secret),
            _ => Err(KeyError::Parts),
        }
    }

    fn new(algorithm: Algorithm, name: &str, secret: &str) -> Result<TsigKey, KeyError> {
        let secret: Zeroizing<String> = Zeroizing::new(secret.chars().filter(|c| !c.is_whitespace()).collect());
        if is_secret(name, &secret) {
            return Err(KeyError::Swapped);
        }
        let name = DnsName::parse(name).map_err(|_| KeyError::Name)?;
        let secret = BASE64.decode(secret.as_bytes()).map_err(|_| KeyError::Base64)?;
        let secret = Secret::known("a TSIG secret", secret);
        if secret.expose().is_empty() {
            return Err(KeyError::NoSecret);
        }
        Ok(TsigKey { name, algorithm, secret })
    }
}

/// Whether the secret of a key stands in the place of its name, which would be printed: base64 of at least 128 bits with a character that
/// no name has, or in letters of both cases and longer than what stands in the place of the secret.
fn is_secret(name: &str, secret: &str) -> bool {
    let octets = |text: &str| BASE64.decode(text).map_or(0, |octets| Zeroizing::new(octets).len());
    let has = |is: fn(&u8) -> bool| name.as_bytes().iter().any(is);
    octets(name) >= 16
        && (name.contains(['+', '/', '='])
            || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && octets(name) > octets(secret)))
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
        let slashes = parse_keys("key k { algorithm hmac-sha256; secret \"////\"; };").unwrap();
        assert_eq!(slashes[0].secret.expose(), &[255, 255, 255]);
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
            (&many, KeyError::Many),
            ("hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZg==:tsigkey", KeyError::Swapped),
            ("MDEyMzQ1Njc4OWFiY2RlZg==:key1", KeyError::Swapped),
            ("MDEyMzQ1Njc4OWFiY2RlZg:key1", KeyError::Swapped),
            ("key MDEyMzQ1Njc4OWFiY2RlZjAx { algorithm hmac-sha256; secret \"tsigkey\"; };", KeyError::Swapped),
        ] {
            assert_eq!(parse_keys(text).map(|_| ()), Err(error), "{text:?}");
            assert!(!error.to_string().contains("c2VjcmV0"));
        }
        let shown = format!("{:?}", parse_keys("k:c2VjcmV0").unwrap());
        assert!(!shown.contains("c2Vj") && !shown.contains("115"), "{shown}");
    }
}
