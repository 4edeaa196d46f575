//! DNS UPDATE messages (RFC 2136) that add and delete exact TXT values. Pure: the result is octets, and nothing is
//! sent.
//!
//! Written by hand, uncompressed, so that the octets can be compared with those of other implementations. Signed by
//! `dns::tsig`. Tested against tests/vectors/tsig-requests.txt (made with Python) in `dns::tsig`, and by the real
//! servers.

use crate::base::name::DnsName;

/// A TXT value at an owner name: the response to one challenge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TxtValue {
    /// The owner name: `_acme-challenge.…`, or the target of its CNAME.
    pub owner: DnsName,
    /// The value: one character-string of at most 255 octets (43 for dns-01, RFC 8555 section 8.4).
    #[serde(deserialize_with = "character_string")]
    pub value: String,
}

/// The value is checked again, because a record may have been edited by others.
fn character_string<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(d)?;
    match text.len() {
        1..=255 => Ok(text),
        n => Err(serde::de::Error::custom(format!("a TXT value of {n} octets, 1 to 255 are possible"))),
    }
}

/// The change that an UPDATE makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Adds each value beside the existing ones, on the condition that no CNAME is at its owner (RFC 2136 section
    /// 2.4.3). Without the condition, BIND and Knot answer NOERROR and ignore the value.
    Add {
        /// The TTL in seconds.
        ttl: u32,
        /// Names that must have records of their own (section 2.4.4); otherwise the answer is NXDOMAIN and nothing is
        /// added.
        in_use: &'a [DnsName],
    },
    /// Deletes exactly these values (section 2.5.4); a missing value is no error.
    Delete,
}

/// One UPDATE: all values or none (RFC 2136 section 3.4).
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The zone.
    pub zone: &'a DnsName,
    /// The change.
    pub action: Action<'a>,
    /// The values that are added or deleted.
    pub values: &'a [TxtValue],
}

const OPCODE_UPDATE: u16 = 5 << 11;
const TYPE_CNAME: u16 = 5;
const TYPE_SOA: u16 = 6;
const TYPE_TXT: u16 = 16;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
const CLASS_NONE: u16 = 254;
const CLASS_ANY: u16 = 255;

impl Update<'_> {
    /// The message, not yet signed. A value takes about 85 octets, so the 100 names of a certificate stay far below the
    /// 64 KiB of DNS over TCP.
    pub fn message(&self, id: u16) -> Vec<u8> {
        let (mut without_cname, in_use): (Vec<&DnsName>, &[DnsName]) = match self.action {
            Action::Add { in_use, .. } => (self.values.iter().map(|v| &v.owner).collect(), in_use),
            Action::Delete => (Vec::new(), &[]),
        };
        without_cname.sort();
        without_cname.dedup();
        let mut out = Vec::with_capacity(self.values.len().saturating_mul(100).saturating_add(300));
        for field in
            [id, OPCODE_UPDATE, 1, count(without_cname.len().saturating_add(in_use.len())), count(self.values.len()), 0]
        {
            out.extend_from_slice(&field.to_be_bytes());
        }
        self.zone.write_wire(&mut out);
        out.extend_from_slice(&TYPE_SOA.to_be_bytes());
        out.extend_from_slice(&CLASS_IN.to_be_bytes());
        for owner in without_cname {
            record(&mut out, owner, TYPE_CNAME, CLASS_NONE, 0, &[]);
        }
        for name in in_use {
            record(&mut out, name, TYPE_ANY, CLASS_ANY, 0, &[]);
        }
        for TxtValue { owner, value } in self.values {
            let length = u8::try_from(value.len()).expect("at most 255 octets, checked where a value is made or read");
            let rdata = [&[length], value.as_bytes()].concat();
            match self.action {
                Action::Add { ttl, .. } => record(&mut out, owner, TYPE_TXT, CLASS_IN, ttl, &rdata),
                Action::Delete => record(&mut out, owner, TYPE_TXT, CLASS_NONE, 0, &rdata),
            }
        }
        out
    }
}

fn count(n: usize) -> u16 {
    u16::try_from(n).expect("an order has at most 100 names")
}

fn record(out: &mut Vec<u8>, owner: &DnsName, rtype: u16, class: u16, ttl: u32, rdata: &[u8]) {
    owner.write_wire(out);
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&class.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    out.extend_from_slice(&count(rdata.len()).to_be_bytes());
    out.extend_from_slice(rdata);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(owner: &str, value: &str) -> TxtValue {
        TxtValue { owner: DnsName::parse(owner).unwrap(), value: value.to_owned() }
    }

    #[test]
    fn two_values_of_one_owner_share_one_prerequisite() {
        let zone = DnsName::parse("a.test").unwrap();
        let values = [value("_acme-challenge.a.test", "one"), value("_acme-challenge.a.test", "two")];
        let bytes =
            Update { zone: &zone, action: Action::Add { ttl: 60, in_use: &[] }, values: &values }.message(0x1234);
        let mut expected = b"\x12\x34\x28\x00\0\x01\0\x01\0\x02\0\0\x01a\x04test\0\0\x06\0\x01".to_vec();
        expected.extend_from_slice(b"\x0f_acme-challenge\x01a\x04test\0\0\x05\0\xfe\0\0\0\0\0\0");
        expected.extend_from_slice(b"\x0f_acme-challenge\x01a\x04test\0\0\x10\0\x01\0\0\0\x3c\0\x04\x03one");
        expected.extend_from_slice(b"\x0f_acme-challenge\x01a\x04test\0\0\x10\0\x01\0\0\0\x3c\0\x04\x03two");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_name_that_must_be_in_use_is_a_prerequisite_of_its_own() {
        let (zone, host) = (DnsName::parse("a.test").unwrap(), [DnsName::parse("w.a.test").unwrap()]);
        let values = [value("x.w.a.test", "one")];
        let bytes = Update { zone: &zone, action: Action::Add { ttl: 1, in_use: &host }, values: &values }.message(1);
        assert_eq!(bytes[4..12], *b"\0\x01\0\x02\0\x01\0\0");
        let prerequisite = b"\x01w\x01a\x04test\0\0\xff\0\xff\0\0\0\0\0\0";
        assert!(bytes.windows(prerequisite.len()).any(|w| w == prerequisite));
    }

    #[test]
    fn deleting_names_the_exact_value_and_has_no_prerequisite() {
        let zone = DnsName::parse("a.test").unwrap();
        let bytes = Update { zone: &zone, action: Action::Delete, values: &[value("x.a.test", "one")] }.message(1);
        let expected = b"\0\x01\x28\x00\0\x01\0\0\0\x01\0\0\x01a\x04test\0\0\x06\0\x01\x01x\x01a\x04test\0\0\x10\0\xfe\0\0\0\0\0\x04\x03one";
        assert_eq!(bytes, expected);
    }
}
