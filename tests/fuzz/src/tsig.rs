//! A second signer and a second judge of answers with TSIG (RFC 8945), for the target `tsig_answer`. It shares no code with the one under test,
//! and takes the HMACs from the other library: sha2's where the program has ring's, ring's for SHA-1.

use hmac::{Hmac, KeyInit as _, Mac as _};
use notariat::dns::tsig_key::{Algorithm, TsigKey};
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// The fields of a TSIG record.
#[derive(Clone, Debug)]
pub struct Tsig {
    pub time: u64,
    pub fudge: u16,
    pub error: u16,
    pub other: Vec<u8>,
    pub original_id: u16,
}

fn mac(key: &TsigKey, text: &[u8]) -> Vec<u8> {
    macro_rules! of {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(key.secret.expose()).expect("a key of any length");
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }};
    }
    match key.algorithm {
        Algorithm::Sha1 => {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.secret.expose());
            ring::hmac::sign(&key, text).as_ref().to_vec()
        }
        Algorithm::Sha224 => of!(Sha224),
        Algorithm::Sha256 => of!(Sha256),
        Algorithm::Sha384 => of!(Sha384),
        Algorithm::Sha512 => of!(Sha512),
    }
}

fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// The MAC of an answer: the MAC of the request with its length, the answer, and the variables of section 4.3.3.
fn mac_of(key: &TsigKey, request: &[u8], answer: &[u8], tsig: &Tsig) -> Vec<u8> {
    let mut text = (request.len() as u16).to_be_bytes().to_vec();
    text.extend(
        [request, answer, &wire(key.name.as_str()), &[0, 255, 0, 0, 0, 0], &wire(key.algorithm.name())].concat(),
    );
    text.extend(&tsig.time.to_be_bytes()[2..]);
    for field in [tsig.fudge, tsig.error, tsig.other.len() as u16] {
        text.extend(field.to_be_bytes());
    }
    text.extend(&tsig.other);
    mac(key, &text)
}

/// The answer with a TSIG record of this key.
pub fn signed(key: &TsigKey, request: &[u8], answer: &[u8], tsig: &Tsig) -> Vec<u8> {
    let mac = mac_of(key, request, answer, tsig);
    let mut rdata = wire(key.algorithm.name());
    rdata.extend(&tsig.time.to_be_bytes()[2..]);
    for field in [tsig.fudge, mac.len() as u16] {
        rdata.extend(field.to_be_bytes());
    }
    rdata.extend(&mac);
    for field in [tsig.original_id, tsig.error, tsig.other.len() as u16] {
        rdata.extend(field.to_be_bytes());
    }
    rdata.extend(&tsig.other);
    let count = u16::from_be_bytes([answer[10], answer[11]]) + 1;
    let mut all = answer.to_vec();
    all[10..12].copy_from_slice(&count.to_be_bytes());
    all.extend(wire(key.name.as_str()));
    all.extend([0, 250, 0, 255, 0, 0, 0, 0]);
    all.extend((rdata.len() as u16).to_be_bytes());
    all.extend(rdata);
    all
}

/// The octets of a message, read from the front.
struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    fn take(&mut self, octets: usize) -> Option<&'m [u8]> {
        let taken = self.message.get(self.at..self.at + octets)?;
        self.at += octets;
        Some(taken)
    }

    fn number(&mut self, octets: usize) -> Option<u64> {
        Some(self.take(octets)?.iter().fold(0, |all, octet| all << 8 | u64::from(*octet)))
    }

    /// A name in lower case, uncompressed.
    fn name(&mut self) -> Option<Vec<u8>> {
        let (mut name, mut end) = (Vec::new(), None);
        for _ in 0..512 {
            match self.number(1)? as u8 {
                0 => {
                    name.push(0);
                    self.at = end.unwrap_or(self.at);
                    return Some(name);
                }
                length @ 1..=63 => {
                    name.push(length);
                    name.extend(self.take(length.into())?.to_ascii_lowercase());
                }
                high @ 192.. => {
                    let low = self.number(1)? as usize;
                    end = end.or(Some(self.at));
                    self.at = usize::from(high & 63) << 8 | low;
                }
                _ => return None,
            }
        }
        None
    }
}

/// Tells whether an answer to the UPDATE with this id and MAC proves at `now` that a holder of the key answered it (section 5.3 and 5.4).
pub fn is_valid(key: &TsigKey, id: u16, request: &[u8], answer: &[u8], now: u64) -> bool {
    judged(key, id, request, answer, now) == Some(true)
}

fn judged(key: &TsigKey, id: u16, request: &[u8], answer: &[u8], now: u64) -> Option<bool> {
    let mut reader = Reader { message: answer, at: 0 };
    let (own, flags) = (reader.number(2)?, reader.number(2)?);
    let counts = [reader.number(2)?, reader.number(2)?, reader.number(2)?, reader.number(2)?];
    for _ in 0..counts[0] {
        reader.name()?;
        reader.take(4)?;
    }
    let mut last = None;
    for _ in 0..counts[1] + counts[2] + counts[3] {
        let start = reader.at;
        let owner = reader.name()?;
        let (kind, class, ttl, length) = (reader.number(2)?, reader.number(2)?, reader.number(4)?, reader.number(2)?);
        last = Some((start, owner, kind, class, ttl, reader.take(length as usize)?));
    }
    let (start, owner, kind, class, ttl, rdata) = last?;
    let mut fields = Reader { message: rdata, at: 0 };
    let algorithm = fields.name()?;
    let (time, fudge, size) = (fields.number(6)?, fields.number(2)? as u16, fields.number(2)?);
    let mac = fields.take(size as usize)?;
    let (original_id, error, size) = (fields.number(2)? as u16, fields.number(2)? as u16, fields.number(2)?);
    let other = fields.take(size as usize)?.to_vec();
    let mut unsigned = answer[..start].to_vec();
    unsigned[..2].copy_from_slice(&original_id.to_be_bytes());
    unsigned[10..12].copy_from_slice(&(counts[3].checked_sub(1)? as u16).to_be_bytes());
    let tsig = Tsig { time, fudge, error, other, original_id };
    Some(
        (own as u16, flags >> 15, flags >> 11 & 15) == (id, 1, 5)
            && (kind, class, ttl) == (250, 255, 0)
            && (reader.at, fields.at) == (answer.len(), rdata.len())
            && (owner, algorithm) == (wire(key.name.as_str()), wire(key.algorithm.name()))
            && mac == mac_of(key, request, &unsigned, &tsig)
            && error == 0
            && now.abs_diff(time) <= u64::from(fudge.min(300)),
    )
}
