//! Queries and answers of the DNS (RFC 1035), and a walk over raw messages for TSIG, which signs octets.
//!
//! Untrusted: every octet of an answer. hickory-proto decodes records; this file turns them into the few types in use.
//! The walk is our own, because hickory-proto does not give the start of a record. Tested with hand-made octets, by the
//! lying servers of tests/it/liars.rs, and by the real servers.

use std::net::IpAddr;

use trust_dns_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use trust_dns_proto::rr::{self, Name, Record};

use crate::base::limits::{DNS_NAME_JUMPS_MAX, DNS_UDP_PAYLOAD};
use crate::base::name::DnsName;

/// The record types of our questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 1035, 3596 and 8659")]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cname,
    Ns,
    Soa,
    Txt,
}

impl RecordType {
    fn record_type(self) -> rr::RecordType {
        match self {
            RecordType::A => rr::RecordType::A,
            RecordType::Aaaa => rr::RecordType::AAAA,
            RecordType::Caa => rr::RecordType::CAA,
            RecordType::Cname => rr::RecordType::CNAME,
            RecordType::Ns => rr::RecordType::NS,
            RecordType::Soa => rr::RecordType::SOA,
            RecordType::Txt => rr::RecordType::TXT,
        }
    }
}

/// The data of a record, for the types in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of RFC 1035, 3596 and 8659")]
pub enum RData {
    Address(IpAddr),
    Caa {
        critical: bool,
        tag: String,
        value: String,
    },
    Cname(DnsName),
    /// A CNAME whose target is not a name that we can write to, in zone file form.
    OddCname(String),
    Ns(DnsName),
    Soa {
        mname: Option<DnsName>,
        serial: u32,
    },
    Txt(Vec<u8>),
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRecord {
    /// The owner.
    pub owner: DnsName,
    /// The data.
    pub data: RData,
}

/// An answer that matches its question.
#[derive(Clone, Debug)]
pub struct DnsResponse {
    /// The response code.
    pub rcode: Rcode,
    /// The AA bit: the server is authoritative for the zone.
    pub authoritative: bool,
    /// The TC bit: the question is repeated over TCP.
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<ResourceRecord>,
    /// The authority section.
    pub authorities: Vec<ResourceRecord>,
    /// The additional section.
    pub additionals: Vec<ResourceRecord>,
}

/// A response code or TSIG error (IANA "DNS RCODEs"), shown by its name. IANA gives 16 to two errors: it is shown as
/// BADVERS, the one in headers; [`Rcode::tsig_name`] is for TSIG records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rcode(pub u16);

#[allow(missing_docs, reason = "the names are those of the IANA registry")]
impl Rcode {
    pub const NOERROR: Rcode = Rcode(0);
    pub const FORMERR: Rcode = Rcode(1);
    pub const SERVFAIL: Rcode = Rcode(2);
    pub const NXDOMAIN: Rcode = Rcode(3);
    pub const NOTIMP: Rcode = Rcode(4);
    pub const REFUSED: Rcode = Rcode(5);
    pub const YXRRSET: Rcode = Rcode(7);
    pub const NOTAUTH: Rcode = Rcode(9);
    pub const NOTZONE: Rcode = Rcode(10);
    pub const BADVERS: Rcode = Rcode(16);
    pub const BADSIG: Rcode = Rcode(16);
    pub const BADKEY: Rcode = Rcode(17);
    pub const BADTIME: Rcode = Rcode(18);
    pub const BADTRUNC: Rcode = Rcode(22);

    /// Tells whether the server may not know EDNS, or this version of it (RFC 6891 sections 6.1.3 and 7).
    pub fn may_mean_opt(self) -> bool {
        matches!(self, Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS)
    }

    /// The name as an error of a TSIG record.
    pub fn tsig_name(self) -> String {
        match self {
            Rcode::BADSIG => "BADSIG".to_owned(),
            other => other.to_string(),
        }
    }
}

impl std::fmt::Display for Rcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            7 => "YXRRSET",
            8 => "NXRRSET",
            9 => "NOTAUTH",
            10 => "NOTZONE",
            16 => "BADVERS",
            17 => "BADKEY",
            18 => "BADTIME",
            22 => "BADTRUNC",
            other => return write!(f, "RCODE{other}"),
        })
    }
}

impl std::fmt::Debug for Rcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// A question, kept to match the answer against it.
#[derive(Clone, Debug)]
pub struct Question {
    /// A random id (RFC 5452).
    pub id: u16,
    /// The name.
    pub name: DnsName,
    /// The type.
    pub kind: RecordType,
}

impl Question {
    /// The query message. `recurse` sets RD; `opt` adds the EDNS record (RFC 6891).
    pub fn message(&self, recurse: bool, opt: bool) -> Vec<u8> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = recurse;
        message.add_query(Query::query(wire_name(&self.name), self.kind.record_type()));
        if opt {
            let mut edns = Edns::new();
            edns.set_max_payload(DNS_UDP_PAYLOAD);
            message.set_edns(edns);
        }
        message.to_vec().expect("one question of a valid name encodes")
    }

    /// Reads the answer to this question.
    ///
    /// # Errors
    /// [`ResponseError::Stray`] when the id or question differs, [`ResponseError::Garbage`] when the message does not
    /// decode.
    pub fn read(&self, bytes: &[u8]) -> Result<DnsResponse, ResponseError> {
        let message = super::decode::message(bytes).map_err(ResponseError::Garbage)?;
        let meta = &message.metadata;
        // RFC 5452 section 9.1: id, question and (by the connected socket) source must match.
        let same_question = match &message.queries[..] {
            [q] => host_name(&q.name).as_ref() == Some(&self.name) && q.query_type == self.kind.record_type(),
            // An error before the question was understood comes without it (servers do this for FORMERR). The existence
            // of a name can only be answered with the name.
            [] => !matches!(meta.response_code, ResponseCode::NoError | ResponseCode::NXDomain),
            _ => false,
        };
        if meta.id != self.id
            || meta.message_type != MessageType::Response
            || meta.op_code != OpCode::Query
            || !same_question
        {
            return Err(ResponseError::Stray);
        }
        Ok(DnsResponse {
            rcode: Rcode(u16::from(meta.response_code)),
            authoritative: meta.authoritative,
            truncated: meta.truncation,
            answers: records(&message.answers),
            authorities: records(&message.authorities),
            additionals: records(&message.additionals),
        })
    }
}

/// The reason why octets are not the answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// The message answers something else: over UDP, the true answer may follow.
    Stray,
    /// The message does not decode; the decoder's words.
    Garbage(String),
}

/// The records of types in use. Names with octets that no name of ours has are left out.
fn records(section: &[Record]) -> Vec<ResourceRecord> {
    section
        .iter()
        .filter_map(|record| {
            let data = match &record.data {
                rr::RData::A(a) => RData::Address(IpAddr::V4(a.0)),
                rr::RData::AAAA(a) => RData::Address(IpAddr::V6(a.0)),
                rr::RData::CAA(caa) => RData::Caa {
                    critical: caa.issuer_critical,
                    tag: caa.tag.to_ascii_lowercase(),
                    value: String::from_utf8_lossy(&caa.value).into_owned(),
                },
                // Left out, the CNAME would pass for absent.
                rr::RData::CNAME(name) => {
                    host_name(name).map_or_else(|| RData::OddCname(presented(name)), RData::Cname)
                }
                rr::RData::NS(name) => RData::Ns(host_name(name)?),
                rr::RData::SOA(soa) => RData::Soa { mname: host_name(&soa.mname), serial: soa.serial },
                // A value may be split into character-strings anywhere; the joined text is the value (as in RFC 7208
                // section 3.3).
                rr::RData::TXT(txt) => RData::Txt(txt.txt_data.concat()),
                _ => return None,
            };
            Some(ResourceRecord { owner: host_name(&record.name)?, data })
        })
        .collect()
}

fn wire_name(name: &DnsName) -> Name {
    Name::from_labels(name.labels().map(str::as_bytes))
        .expect("labels of 1 to 63 octets, 253 in all, checked by DnsName")
}

/// The name in zone file form (RFC 1035 section 5.1).
fn presented(name: &Name) -> String {
    let octet = |octet: &u8| match octet {
        b'.' | b'\\' | b'"' | b';' | b'(' | b')' => format!("\\{}", char::from(*octet)),
        0x21..=0x7e => char::from(*octet).to_string(),
        other => format!("\\{other:03}"),
    };
    let label = |label: &[u8]| label.iter().map(octet).collect::<String>() + ".";
    Some(name.iter().map(label).collect::<String>()).filter(|text| !text.is_empty()).unwrap_or_else(|| ".".to_owned())
}

/// The name, where it consists of the octets of host names. A dot inside a label does not make two labels of it.
fn host_name(name: &Name) -> Option<DnsName> {
    let text = |label| std::str::from_utf8(label).ok().filter(|label: &&str| !label.contains('.'));
    let labels: Option<Vec<&str>> = name.iter().map(text).collect();
    DnsName::parse(&labels?.join(".")).ok()
}

/// The header of a message, twelve octets (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug)]
pub struct MessageHeader {
    /// The id.
    pub id: u16,
    flags: u16,
    counts: [u16; 4],
}

impl MessageHeader {
    /// Reads the header, or `None` when the message is shorter.
    pub fn read(message: &[u8]) -> Option<MessageHeader> {
        let field = |i: usize| read_u16(message, i.checked_mul(2)?);
        Some(MessageHeader { id: field(0)?, flags: field(1)?, counts: [field(2)?, field(3)?, field(4)?, field(5)?] })
    }

    /// Tells whether this is a response.
    pub fn is_response(self) -> bool {
        self.flags >> 15 == 1
    }

    /// OPCODE: 0 for a query, 5 for an UPDATE.
    pub fn opcode(self) -> u16 {
        (self.flags >> 11) & 0xf
    }

    /// The response code in the header.
    pub fn rcode(self) -> Rcode {
        Rcode(self.flags & 0xf)
    }

    /// ARCOUNT.
    pub fn additional_count(self) -> u16 {
        self.counts[3]
    }
}

/// A record with its place in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord<'m> {
    /// The offset of the record.
    pub start: usize,
    /// The owner in canonical wire form: uncompressed, lower case.
    pub owner: Vec<u8>,
    /// TYPE
    pub rtype: u16,
    /// CLASS
    pub class: u16,
    /// TTL in seconds
    pub ttl: u32,
    /// RDATA
    pub rdata: &'m [u8],
}

/// The last record of a message, or `None` when the message has no records.
///
/// # Errors
/// The fault, when the records do not end exactly at the end of the message.
pub fn last_record(message: &[u8]) -> Result<Option<RawRecord<'_>>, &'static str> {
    let header = MessageHeader::read(message).ok_or("shorter than a header")?;
    let mut at = 12;
    for _ in 0..header.counts[0] {
        at = read_name(message, at)?
            .1
            .checked_add(4)
            .filter(|end| *end <= message.len())
            .ok_or("ends inside the question")?;
    }
    let mut last = None;
    for _ in 0..header.counts[1..].iter().map(|c| u32::from(*c)).sum() {
        let start = at;
        let (owner, fixed) = read_name(message, at)?;
        let rest = message.get(fixed..).unwrap_or_default();
        let (head, rest) = rest.split_at_checked(10).ok_or("ends inside a record")?;
        let u16_at = |i| read_u16(head, i).expect("the ten octets taken above");
        let (rdata, rest) = rest.split_at_checked(u16_at(8).into()).ok_or("ends inside a record")?;
        let ttl = u32::from(u16_at(4)) << 16 | u32::from(u16_at(6));
        last = Some(RawRecord { start, owner, rtype: u16_at(0), class: u16_at(2), ttl, rdata });
        at = message.len().saturating_sub(rest.len());
    }
    if at != message.len() {
        return Err("has octets after its last record");
    }
    Ok(last)
}

/// Reads a name at `at`, following compression (RFC 1035 section 4.1.4), and the offset after it. Pointers may only go
/// backwards and only so often, so that no message causes a loop.
pub fn read_name(message: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), &'static str> {
    const CUT: &str = "ends inside a name";
    let mut name = Vec::new();
    let mut after = None;
    let mut jumps = 0usize;
    loop {
        let length = *message.get(at).ok_or(CUT)?;
        match length {
            0 => {
                name.push(0);
                return Ok((name, after.unwrap_or(at.saturating_add(1))));
            }
            1..=63 => {
                let end = at.saturating_add(1).saturating_add(length.into());
                name.extend(message.get(at..end).ok_or(CUT)?.iter().map(u8::to_ascii_lowercase));
                at = end;
            }
            0xc0..=0xff => {
                let target = usize::from(read_u16(message, at).ok_or(CUT)? & 0x3fff);
                after = after.or(Some(at.saturating_add(2)));
                jumps = jumps.saturating_add(1);
                if target >= at || jumps > DNS_NAME_JUMPS_MAX {
                    return Err("has a compression loop");
                }
                at = target;
            }
            _ => return Err("has a label of an unknown kind"),
        }
        if name.len() > 255 {
            return Err("has a name of more than 255 octets");
        }
    }
}

/// The two octets at `at`.
pub fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

#[cfg(test)]
pub(super) mod tests;
