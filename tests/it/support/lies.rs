//! The answers of a lying server in place of the truth. Where a lie needs a MAC of its own, openssl makes it.

use std::ops::Range;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use notariat_lab::tools::{output, tool};
use notariat_lab::{Key, Scratch};

use super::liar::{Exchange, Say};

/// The change that a lie makes to a true answer.
pub type Lie = fn(&Exchange<'_>) -> Vec<Say>;

pub fn say(message: Vec<u8>) -> Vec<Say> {
    vec![Say::Message(message)]
}

/// Lies about any message: the name, the lie, what is said of it over TCP and over UDP to who asked for an UPDATE.
pub const LIES: &[(&str, Lie, &str, &str)] = &[
    ("another id", |x| say(x.but(|m| m[0] ^= 1)), "to another request", "to another request"),
    ("a request and no answer", |x| say(x.but(|m| m[2] ^= 0x80)), "to another request", "to another request"),
    ("the request itself", |x| say(x.request.to_vec()), "to another request", "to another request"),
    ("another opcode", |x| say(x.but(|m| m[2] ^= 0x10)), "to another request", "to another request"),
    ("garbage", |_| say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "to another request", "to another request"),
    ("a few octets", |_| say(vec![0xff; 7]), "shorter than a header", "shorter than a header"),
    (
        "garbage behind a good header",
        |x| say([&x.truth[..12], &[0x80; 60]].concat()),
        "a label of an unknown kind",
        "a label of an unknown kind",
    ),
    ("a compression loop", |x| say(looped(x)), "has a compression loop", "has a compression loop"),
    (
        "the first half",
        |x| match x.tcp {
            true => vec![Say::Octets(framed(x.truth)[..x.truth.len() / 2].to_vec())],
            false => say(x.truth[..x.truth.len() / 2].to_vec()),
        },
        "in the middle of its answer",
        "ends inside",
    ),
    (
        "the first half, then silence",
        |x| match x.tcp {
            true => vec![Say::Octets(framed(x.truth)[..x.truth.len() / 2].to_vec()), Say::Hold],
            false => say(x.truth[..x.truth.len() / 2].to_vec()),
        },
        "TCP: no answer in time",
        "ends inside",
    ),
    (
        "a length that is too small",
        |x| match x.tcp {
            true => vec![Say::Octets(behind(x.truth.len() - 5, x.truth))],
            false => say(x.truth[..x.truth.len() - 5].to_vec()),
        },
        "ends inside",
        "ends inside",
    ),
    (
        "a length that is too large",
        |x| match x.tcp {
            true => vec![Say::Octets(behind(x.truth.len() + 5, x.truth))],
            false => vec![],
        },
        "in the middle of its answer",
        "UDP: no answer",
    ),
    ("no answer", |_| vec![], "closed the connection without an answer", "UDP: no answer"),
    ("a length of nothing", |x| if x.tcp { say(vec![]) } else { vec![] }, "shorter than a header", "UDP: no answer"),
    ("from elsewhere", |x| vec![Say::Elsewhere(x.truth.to_vec())], "closed the connection", "UDP: no answer"),
    ("late", |x| vec![Say::Pause(LATE), Say::Message(x.truth.to_vec())], "no answer in time", "UDP: no answer"),
    ("a flood of strays", |x| vec![Say::Flood(x.but(|m| m[0] ^= 1))], "no answer in time", "to another request"),
];

/// Lies about signatures, which only signed answers have.
pub const FORGERIES: &[(&str, Lie, &str, &str)] = &[
    ("unsigned", |x| say(x.unsigned()), "agreed without a signature", "our key did not sign"),
    ("unsigned and cut", |x| say(with(&x.unsigned(), |m| m[2] |= 2)), "without a signature", "our key did not sign"),
    ("a wrong MAC", |x| say(x.wrong_mac()), "the signature of its answer is wrong", "our key did not sign"),
    ("half of the MAC", |x| say(x.short_mac(16, 0)), "the signature of its answer is wrong", "our key did not sign"),
    ("no MAC", |x| say(x.short_mac(0, 0)), "the signature of its answer is wrong", "our key did not sign"),
    ("another key", |x| say(x.other_key()), "signed by another key", "our key did not sign"),
    ("cut", |x| say(x.but(|m| m[2] |= 2)), "the signature of its answer is wrong", "our key did not sign"),
    ("another zone", |x| say(x.but(|m| m[13] ^= 1)), "the signature of its answer is wrong", "our key did not sign"),
    (
        "a record behind the signature",
        |x| say(x.but(|m| (m[11] += 1, m.extend(b"\0\0\x10\0\x01\0\0\0\0\0\x01\0")).1)),
        "agreed without a signature",
        "our key did not sign",
    ),
    ("signed yesterday", |x| say(x.signed_at(unix() - 86_400)), "too far from our clock", "too far from our clock"),
    (
        "signed a minute too early",
        |x| say(x.signed_at(unix() - 360)),
        "too far from our clock",
        "too far from our clock",
    ),
    (
        "signed a minute ago for ten seconds",
        |x| say(x.signed_with(unix() - 60, 10)),
        "too far from our clock",
        "too far from our clock",
    ),
    (
        "signed a minute too early for hours",
        |x| say(x.signed_with(unix() - 360, u16::MAX)),
        "too far from our clock",
        "too far from our clock",
    ),
    ("signed tomorrow", |x| say(x.signed_at(unix() + 86_400)), "too far from our clock", "too far from our clock"),
    ("signed at the end of time", |x| say(x.signed_at((1 << 48) - 1)), "281474976710655 s", "281474976710655 s"),
];

/// Lies about signatures that end the wait over UDP as well: they explain, and promise nothing.
pub const EXCUSES: &[(&str, Lie, &str, &str)] = &[
    ("BADSIG although it agreed", |x| say(x.short_mac(0, 16)), "BADSIG", "BADSIG"),
    ("BADKEY although it agreed", |x| say(x.short_mac(0, 17)), "BADKEY", "BADKEY"),
    ("unsigned REFUSED", |x| say(with(&x.unsigned(), |m| m[3] |= 5)), "REFUSED, unsigned", "REFUSED, unsigned"),
];

/// Lies that only queries have, which are not signed.
pub const ANSWERS: &[(&str, Lie)] = &[
    ("another question", |x| say(x.but(|m| m[13] ^= 1))),
    ("another type", |x| say(x.but(|m| m[question(x.truth).end - 3] ^= 1))),
    ("two questions", |x| {
        let asked = x.truth[question(x.truth)].to_vec();
        say(x.but(|m| (m[5] = 2, m.splice(12..12, asked)).0))
    }),
    ("no such name, without the question", |x| say(with(&x.truth[..12], |m| (m[3] |= 3, m[4..12].fill(0)).1))),
    ("agreed, without the question", |x| say(with(&x.truth[..12], |m| m[4..12].fill(0)))),
    ("cut over UDP and over TCP", |x| say(x.but(|m| m[2] |= 2))),
];

/// Longer than anybody in these tests waits.
const LATE: Duration = Duration::from_secs(6);

/// The lie of that name.
pub fn lie(named: &str) -> Lie {
    let all = [LIES, FORGERIES, EXCUSES].concat().into_iter().map(|row| (row.0, row.1));
    all.chain(ANSWERS.iter().copied()).find(|row| row.0 == named).unwrap().1
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The question of the request, then a record whose name leads to itself.
fn looped(x: &Exchange<'_>) -> Vec<u8> {
    let end = question(x.truth).end;
    let own = 0xc000 | end as u16;
    let header = with(&x.truth[..end], |m| m[4..12].copy_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0]));
    [&header[..], &own.to_be_bytes(), &[0, 16, 0, 1, 0, 0, 0, 60, 0, 2, 1, b'x']].concat()
}

/// A message behind its length (RFC 1035 section 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    behind(message.len(), message)
}

/// Octets behind a length that need not be theirs.
pub fn behind(length: usize, octets: &[u8]) -> Vec<u8> {
    [&(length as u16).to_be_bytes(), octets].concat()
}

/// A copy of a message that is changed.
pub fn with(message: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = message.to_vec();
    change(&mut message);
    message
}

/// Where the question of a message lies, or the zone of an UPDATE: name, type and class.
pub fn question(message: &[u8]) -> Range<usize> {
    12..after_labels(message, 12) + 4
}

fn after_labels(message: &[u8], mut at: usize) -> usize {
    while message[at] != 0 {
        at += 1 + usize::from(message[at]);
    }
    at + 1
}

/// The TSIG record at the end of a message (RFC 8945 section 4.2): where it begins, and where its parts do.
struct Tsig {
    start: usize,
    rdlength: usize,
    time: usize,
    mac: Range<usize>,
}

impl Tsig {
    fn of(message: &[u8], key: &Key) -> Tsig {
        let owner = wire(&key.name);
        let head = [&owner[..], &[0, 250, 0, 255, 0, 0, 0, 0]].concat();
        let start = (0..message.len()).rev().find(|at| message[*at..].starts_with(&head)).expect("a signed message");
        let rdlength = start + head.len();
        let time = after_labels(message, rdlength + 2);
        let mac = time + 10..time + 10 + usize::from(message[time + 9]);
        Tsig { start, rdlength, time, mac }
    }
}

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

impl Exchange<'_> {
    /// The true answer, changed.
    pub fn but(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        with(self.truth, change)
    }

    /// The true answer without its signature.
    pub fn unsigned(&self) -> Vec<u8> {
        let start = Tsig::of(self.truth, self.key).start;
        self.but(|m| {
            m.truncate(start);
            m[11] -= 1;
        })
    }

    /// The true answer with one octet of its MAC changed.
    pub fn wrong_mac(&self) -> Vec<u8> {
        let mac = Tsig::of(self.truth, self.key).mac;
        self.but(|m| m[mac.end - 1] ^= 1)
    }

    /// The true answer with the first octets of its MAC only, which are right, and this TSIG error.
    pub fn short_mac(&self, octets: usize, error: u8) -> Vec<u8> {
        let Tsig { rdlength, mac, .. } = Tsig::of(self.truth, self.key);
        let cut = mac.len() - octets;
        self.but(|m| {
            m[mac.end + 3] = error;
            m[mac.start - 1] = octets as u8;
            m[rdlength + 1] -= cut as u8;
            m.drain(mac.start + octets..mac.end);
        })
    }

    /// The true answer under another key's name.
    pub fn other_key(&self) -> Vec<u8> {
        let start = Tsig::of(self.truth, self.key).start;
        self.but(|m| m[start + 1] ^= 1)
    }

    /// The true answer with another time of signing and the MAC that belongs to it: over length and MAC of the request, the answer
    /// without its TSIG record, and the TSIG variables (RFC 8945 section 4.3).
    pub fn signed_at(&self, time: u64) -> Vec<u8> {
        self.signed_with(time, 300)
    }

    /// The same with another fudge.
    pub fn signed_with(&self, time: u64, fudge: u16) -> Vec<u8> {
        let request_mac = &self.request[Tsig::of(self.request, self.key).mac];
        let Tsig { start, rdlength, time: at, mac } = Tsig::of(self.truth, self.key);
        let time = &time.to_be_bytes()[2..];
        let m = self.truth;
        let signed = [
            &(request_mac.len() as u16).to_be_bytes(),
            request_mac,
            &with(&m[..start], |m| m[11] -= 1),
            &wire(&self.key.name),
            &[0, 255, 0, 0, 0, 0],
            &m[rdlength + 2..at],
            time,
            &fudge.to_be_bytes(),
            &m[mac.end + 2..],
        ]
        .concat();
        let new = hmac(self.key, &signed);
        self.but(|m| {
            m[at..at + 6].copy_from_slice(time);
            m[at + 6..at + 8].copy_from_slice(&fudge.to_be_bytes());
            m[mac].copy_from_slice(&new);
        })
    }
}

fn hmac(key: &Key, text: &[u8]) -> Vec<u8> {
    let scratch = Scratch::new("hmac");
    let (secret, file) = (scratch.write("secret", &format!("{}\n", key.secret)), scratch.join("text"));
    std::fs::write(&file, text).unwrap();
    let raw = scratch.join("raw");
    output(Command::new(tool("openssl")).args(["base64", "-d", "-in"]).arg(secret).arg("-out").arg(&raw));
    let hex: String = std::fs::read(raw).unwrap().iter().map(|b| format!("{b:02x}")).collect();
    let hash = key.algorithm.name().replace("hmac-", "-");
    let mut openssl = Command::new(tool("openssl"));
    openssl.args(["dgst", &hash, "-mac", "HMAC", "-macopt"]).arg(format!("hexkey:{hex}")).arg(file);
    let said = output(&mut openssl);
    let hex = said.trim().rsplit(' ').next().unwrap();
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}
