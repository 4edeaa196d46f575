//! The faults of a text that should be a TSIG key, each with its sentence. No fault has anything of the text in it. Pure.

use std::fmt;

/// The fault in a text that is no TSIG key. `Display` is the rest of a sentence and holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is its sentence")]
pub enum TsigKeyError {
    Empty,
    NotText,
    Utf16,
    Json,
    Parts,
    Algorithm,
    Md5,
    Gss,
    Name,
    NoName,
    Base64,
    NoSecret,
    Twice,
    Clause,
    Comment,
    Mixed,
    Section,
    Record,
    PublicKey,
    PrivateFile,
    Nsupdate,
    Many,
    Swapped,
}

impl fmt::Display for TsigKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TsigKeyError::Empty => "is empty; write `[hmac:]name:base64`",
            TsigKeyError::NotText => "is not text in UTF-8; write `[hmac:]name:base64`",
            TsigKeyError::Utf16 => "is text in UTF-16, as Windows programs save it; save it as UTF-8",
            TsigKeyError::Json => "is JSON; write `[hmac:]name:base64` alone",
            TsigKeyError::Parts => "does not have the form `[hmac:]name:base64` (two or three parts with `:` between them)",
            TsigKeyError::Algorithm => {
                "begins with an algorithm that is none of hmac-sha1, hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512"
            }
            TsigKeyError::Md5 => "uses hmac-md5, which RFC 8945 retired: make a key with `tsig-keygen -a hmac-sha256 NAME`",
            TsigKeyError::Gss => "uses gss-tsig (Kerberos), which is not supported: delegate the challenge by CNAME to a zone with a TSIG key",
            TsigKeyError::Name => "has a key name that is not a domain name",
            TsigKeyError::NoName => {
                "lacks the key's name: write `hmac-sha256:NAME:` before the secret, with the NAME and the algorithm that the server has the key under (BIND: `key \"NAME\"`; Knot: `id: NAME`; PowerDNS: `pdnsutil list-tsig-keys`)"
            },
            TsigKeyError::Base64 => "has a secret that is not base64",
            TsigKeyError::NoSecret => "has an empty secret",
            TsigKeyError::Twice => {
                "is encoded in base64 twice: store the text `hmac:name:base64` itself (below `stringData`, or with `kubectl create secret generic NAME --from-literal=key=hmac-sha256:NAME:SECRET`); Kubernetes encodes it by itself. Where the server's configuration has the secret encoded so, write it as there, `key \"name\" { algorithm hmac-sha256; secret \"base64\"; };`"
            }
            TsigKeyError::Clause => {
                "looks like a BIND key file and is none; write `key \"name\" { algorithm hmac-sha256; secret \"base64\"; };`"
            }
            TsigKeyError::Comment => "has a comment that begins with `/*` and does not end; close it with `*/`",
            TsigKeyError::Mixed => "has lines `[hmac:]name:base64` beside `key` clauses; write all keys in one of these forms",
            TsigKeyError::Section => {
                "looks like the section `key:` of knot.conf or nsd.conf and is none; write `key:` and below it `- id: name` (Knot) or `name: name` (NSD), `algorithm: hmac-sha256` and `secret: base64`"
            }
            TsigKeyError::Record => {
                "looks like the file K*.key of dnssec-keygen and is none; write `name. IN KEY 512 3 163 base64` (163 is hmac-sha256) or `[hmac:]name:base64`"
            }
            TsigKeyError::PublicKey => "is the public key of a DNSSEC or SIG(0) key: make a TSIG key with `tsig-keygen -a hmac-sha256 NAME`",
            TsigKeyError::PrivateFile => {
                "is a file K*.private of dnssec-keygen, whose key's name stands in the file's name only; give the file K*.key beside it, or write `hmac:name:base64`"
            }
            TsigKeyError::Nsupdate => "is written as for nsupdate, `key hmac:name base64`; write `hmac:name:base64`, with `:` before the secret",
            TsigKeyError::Swapped => {
                "has its secret in the place of its name: write the name first, `[hmac:]name:base64`, and make a new key where \
                 the secret was shown to others"
            }
            TsigKeyError::Many => "has more keys than are tried; remove the old ones",
        })
    }
}
