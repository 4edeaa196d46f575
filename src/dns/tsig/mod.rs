//! Signs DNS messages and checks signed answers (TSIG, RFC 8945).
//!
//! Untrusted: every octet of an answer until [`ClientTransaction::check`] returned [`Verified`]. Does no I/O and reads
//! no clock: `now` is a parameter. The answer to a request is one message here; the multi-message form (section 5.3.1)
//! is for zone transfers. One rule is stricter than the RFC: a truncated MAC (section 5.2.2.1) is refused, because no
//! server needs one. Tested with packets and MACs made by Python (tests/vectors/tsig.txt), with the HMACs of RFC 2202
//! and 4231, and by the real servers.

use std::time::Duration;

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use ring::hmac;
use sha2::Sha224;

use super::tsig_key::{Algorithm, TsigKey};
use super::wire::{MessageHeader, RawRecord, Rcode, last_record, read_name};
use crate::base::limits::CLOCK_TOLERANCE;
use crate::base::name::DnsName;
use crate::base::time::Time;

const TYPE_TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;

/// The allowed difference of the clocks: the value recommended by RFC 8945 section 10. A larger one would make servers
/// accept older replays.
pub const FUDGE: Duration = CLOCK_TOLERANCE;
const FUDGE_SECS: u16 = 300;

/// A signed request that waits for its answer. Only [`sign`] makes one, and only this value can check the answer.
#[derive(Clone, Debug)]
pub struct ClientTransaction {
    key: TsigKey,
    id: u16,
    opcode: u16,
    mac: Vec<u8>,
    signed_at: Time,
}

/// An answer with a valid signature. Only [`ClientTransaction::check`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    rcode: Rcode,
}

impl Verified {
    /// The RCODE of the answer.
    pub fn rcode(self) -> Rcode {
        self.rcode
    }
}

/// The reason why an answer is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidationError {
    /// The answer does not parse as a DNS message; with the fault.
    Malformed(&'static str),
    /// The answer belongs to another request.
    Stray,
    /// The answer has no TSIG record: an explanation at best, never a success.
    Unsigned(Rcode),
    /// A TSIG error that the server cannot sign (RFC 8945 sections 5.2.1 and 5.2.2): BADKEY or BADSIG.
    Explained(Rcode),
    /// The server's clock differs from ours by more than the fudge. The answer is signed, so `server_time` can be
    /// trusted.
    BadTime {
        /// The server's clock when it answered.
        server_time: Time,
    },
    /// Another TSIG error, signed.
    Error(Rcode),
    /// Signed by another key or with another algorithm.
    OtherKey,
    /// The MAC is not that of the answer under our key.
    WrongMac,
    /// The MAC holds, but the answer was made too long ago or in the future.
    Stale {
        /// The time of the signature.
        signed: Time,
    },
}

/// Appends a TSIG record to `message`, which must not have one, and returns the transaction that checks the answer (RFC
/// 8945 section 5.1).
pub fn sign(key: &TsigKey, message: &[u8], now: Time) -> (Vec<u8>, ClientTransaction) {
    let header = MessageHeader::read(message).expect("a message of ours has a header");
    let variables = Variables {
        key: &wire(&key.name),
        algorithm: &algorithm_wire(key.algorithm),
        time: now,
        fudge_secs: FUDGE_SECS,
        error: Rcode::NOERROR,
        other: &[],
    };
    let mac = Mac::new(key).sign(&[message, &variables.bytes()]);

    let mut rdata = algorithm_wire(key.algorithm);
    rdata.extend_from_slice(&time48(now));
    for field in [FUDGE_SECS, length16(&mac)] {
        rdata.extend_from_slice(&field.to_be_bytes());
    }
    rdata.extend_from_slice(&mac);
    for field in [header.id, Rcode::NOERROR.0, 0] {
        rdata.extend_from_slice(&field.to_be_bytes());
    }

    let mut signed = message.to_vec();
    set_additional_count(&mut signed, header.additional_count().saturating_add(1));
    key.name.write_wire(&mut signed);
    for field in [TYPE_TSIG, CLASS_ANY, 0, 0, length16(&rdata)] {
        signed.extend_from_slice(&field.to_be_bytes());
    }
    signed.extend_from_slice(&rdata);
    (signed, ClientTransaction { key: key.clone(), id: header.id, opcode: header.opcode(), mac, signed_at: now })
}

impl ClientTransaction {
    /// The key that signed the request.
    pub fn key(&self) -> &TsigKey {
        &self.key
    }

    /// The time of the request's signature, for the sentence about BADTIME.
    pub fn signed_at(&self) -> Time {
        self.signed_at
    }

    /// Checks an answer to the request (RFC 8945 section 5.4).
    ///
    /// # Errors
    /// The reason why the answer does not prove that the server, holding the key, answered this request now.
    pub fn check(&self, answer: &[u8], now: Time) -> Result<Verified, ValidationError> {
        let header = MessageHeader::read(answer).ok_or(ValidationError::Malformed("shorter than a header"))?;
        if !header.is_response() || header.opcode() != self.opcode || header.id != self.id {
            return Err(ValidationError::Stray);
        }
        let last = last_record(answer).map_err(ValidationError::Malformed)?;
        // RFC 8945 section 5.1: the TSIG record is the last of the additional section.
        let Some(record) = last.filter(|r| r.rtype == TYPE_TSIG && header.additional_count() > 0) else {
            return Err(ValidationError::Unsigned(header.rcode()));
        };
        let tsig = Rdata::read(&record).map_err(ValidationError::Malformed)?;

        // Sections 5.2.1 and 5.2.2: answers with these two errors are not signed. They explain a failure and prove
        // nothing.
        if tsig.mac.is_empty() && matches!(tsig.error, Rcode::BADKEY | Rcode::BADSIG) {
            return Err(ValidationError::Explained(tsig.error));
        }
        if record.owner != wire(&self.key.name) || tsig.algorithm != algorithm_wire(self.key.algorithm) {
            return Err(ValidationError::OtherKey);
        }

        // The MAC before the time, other than in RFC 2845: a forger must not learn our clock, nor make us believe in a
        // difference (CVE-2017-3142 and 3143 came from details of this order).
        let mut unsigned = answer.get(..record.start).unwrap_or_default().to_vec();
        set_u16(&mut unsigned, 0, tsig.original_id);
        set_additional_count(&mut unsigned, header.additional_count().saturating_sub(1));
        // Section 5.3: the length and MAC of the request, the answer without its TSIG record, the variables of the answer.
        let request_mac = [&length16(&self.mac).to_be_bytes()[..], &self.mac].concat();
        let variables = Variables {
            key: &record.owner,
            algorithm: &tsig.algorithm,
            time: tsig.time,
            fudge_secs: tsig.fudge_secs,
            error: tsig.error,
            other: tsig.other,
        };
        if !Mac::new(&self.key).verify(&[&request_mac, &unsigned, &variables.bytes()], tsig.mac) {
            return Err(ValidationError::WrongMac);
        }
        if tsig.error == Rcode::BADTIME {
            // Section 5.2.3: Time Signed is the client's own, Other Data is the server's clock in 48 bits.
            let server_time =
                read_time48(tsig.other).ok_or(ValidationError::Malformed("BADTIME without the server's time"))?;
            return Err(ValidationError::BadTime { server_time });
        }
        // The peer's own fudge, bounded by ours: section 5.2.3 compares with the fudge of the message.
        if now.distance(tsig.time) > FUDGE.min(Duration::from_secs(tsig.fudge_secs.into())) {
            return Err(ValidationError::Stale { signed: tsig.time });
        }
        match tsig.error {
            Rcode::NOERROR => Ok(Verified { rcode: header.rcode() }),
            error => Err(ValidationError::Error(error)),
        }
    }
}

/// The RDATA of a TSIG record, RFC 8945 section 4.2.
struct Rdata<'m> {
    algorithm: Vec<u8>,
    time: Time,
    fudge_secs: u16,
    mac: &'m [u8],
    original_id: u16,
    error: Rcode,
    other: &'m [u8],
}

impl<'m> Rdata<'m> {
    fn read(record: &RawRecord<'m>) -> Result<Rdata<'m>, &'static str> {
        const CUT: &str = "ends inside its TSIG record";
        if record.class != CLASS_ANY || record.ttl != 0 {
            return Err("has a TSIG record of another class or with a TTL");
        }
        let rdata = record.rdata;
        let (algorithm, at) = read_name(rdata, 0)?;
        let (time, rest) = rdata.get(at..).and_then(|rest| rest.split_at_checked(6)).ok_or(CUT)?;
        let time = read_time48(time).ok_or(CUT)?;
        let (fudge_secs, rest) = take_u16(rest).ok_or(CUT)?;
        let (mac_length, rest) = take_u16(rest).ok_or(CUT)?;
        let (mac, rest) = rest.split_at_checked(mac_length.into()).ok_or(CUT)?;
        let (original_id, rest) = take_u16(rest).ok_or(CUT)?;
        let (error, rest) = take_u16(rest).ok_or(CUT)?;
        let (length, other) = take_u16(rest).ok_or(CUT)?;
        if usize::from(length) != other.len() {
            return Err(CUT);
        }
        let error = Rcode(error);
        Ok(Rdata { algorithm, time, fudge_secs, mac, original_id, error, other })
    }
}

/// The TSIG variables of RFC 8945 section 4.3.3, which the MAC covers besides the message.
struct Variables<'a> {
    key: &'a [u8],
    algorithm: &'a [u8],
    time: Time,
    fudge_secs: u16,
    error: Rcode,
    other: &'a [u8],
}

impl Variables<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.key.to_vec();
        out.extend_from_slice(&CLASS_ANY.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(self.algorithm);
        out.extend_from_slice(&time48(self.time));
        for field in [self.fudge_secs, self.error.0, length16(self.other)] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(self.other);
        out
    }
}

fn wire(name: &DnsName) -> Vec<u8> {
    let mut out = Vec::new();
    name.write_wire(&mut out);
    out
}

fn algorithm_wire(algorithm: Algorithm) -> Vec<u8> {
    wire(&DnsName::parse(algorithm.name()).expect("the five names are domain names"))
}

fn length16(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len())
        .expect("MACs, TSIG records and their other data are parts of a message of at most 64 KiB")
}

fn time48(time: Time) -> [u8; 6] {
    let bytes = u64::try_from(time.unix()).unwrap_or(0).to_be_bytes();
    [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
}

fn read_time48(bytes: &[u8]) -> Option<Time> {
    let [a, b, c, d, e, f] = *bytes else {
        return None;
    };
    i64::try_from(u64::from_be_bytes([0, 0, a, b, c, d, e, f])).ok().map(Time::from_unix)
}

fn set_additional_count(message: &mut [u8], count: u16) {
    set_u16(message, 10, count);
}

/// Writes two octets at `at`; nothing where the message is shorter, which a header before it rules out.
fn set_u16(message: &mut [u8], at: usize, value: u16) {
    for (octet, new) in message.iter_mut().skip(at).zip(value.to_be_bytes()) {
        *octet = new;
    }
}

/// The first two octets, and the rest.
fn take_u16(octets: &[u8]) -> Option<(u16, &[u8])> {
    octets.split_first_chunk().map(|(first, rest)| (u16::from_be_bytes(*first), rest))
}

/// The HMACs: ring's, and sha2's for SHA-224, which ring lacks. Both compare in constant time.
enum Mac {
    Ring(hmac::Key),
    Sha224(Hmac<Sha224>),
}

impl Mac {
    fn new(key: &TsigKey) -> Mac {
        let secret = key.secret.expose();
        let ring = |algorithm| Mac::Ring(hmac::Key::new(algorithm, secret));
        match key.algorithm {
            Algorithm::Sha1 => ring(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            Algorithm::Sha224 => Mac::Sha224(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length")),
            Algorithm::Sha256 => ring(hmac::HMAC_SHA256),
            Algorithm::Sha384 => ring(hmac::HMAC_SHA384),
            Algorithm::Sha512 => ring(hmac::HMAC_SHA512),
        }
    }

    fn sign(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Mac::Ring(key) => hmac::sign(&key, &parts.concat()).as_ref().to_vec(),
            Mac::Sha224(mac) => mac.chain_update(parts.concat()).finalize().into_bytes().to_vec(),
        }
    }

    /// Only a MAC of full length can match.
    fn verify(self, parts: &[&[u8]], tag: &[u8]) -> bool {
        match self {
            Mac::Ring(key) => hmac::verify(&key, &parts.concat(), tag).is_ok(),
            Mac::Sha224(mac) => mac.chain_update(parts.concat()).verify_slice(tag).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
