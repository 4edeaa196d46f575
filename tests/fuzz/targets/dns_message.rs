//! A DNS message: what is read of it is also read of the same message as encoded anew by hickory-proto, and of no message that answers something
//! else. Messages of our own decode to what they were made of. Time and memory are linear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::base::name::DnsName;
use notariat::dns::update::{Action, TxtValue, Update};
use notariat::dns::wire::{DnsResponse, Question, RecordType, ResponseError, last_record};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, text};
use trust_dns_proto::op::Message;
use trust_dns_proto::rr::{Name, RData};

const COST: Bound = Bound { steps_per_octet: 3_000, steps: 400_000, octets_per_octet: 600, octets: 64 * 1024 };

const KINDS: [(RecordType, u16); 7] = [
    (RecordType::A, 1),
    (RecordType::Aaaa, 28),
    (RecordType::Caa, 257),
    (RecordType::Cname, 5),
    (RecordType::Ns, 2),
    (RecordType::Soa, 6),
    (RecordType::Txt, 16),
];

fn name_of(name: &Name) -> Option<DnsName> {
    let labels: Option<Vec<&str>> = name.iter().map(|label| std::str::from_utf8(label).ok()).collect();
    let labels = labels?;
    labels.iter().all(|label| !label.contains('.')).then(|| DnsName::parse(&labels.join(".")).ok())?
}

fn shown(response: &DnsResponse) -> String {
    format!("{response:?}")
}

fn read(message: &[u8]) {
    if let Ok(Some(last)) = linear(message.len(), COST, || last_record(message)) {
        assert!(last.start >= 12 && last.start < message.len() && last.rdata.len() < message.len());
        assert!(last.owner.len() <= 255 && last.owner.last() == Some(&0));
    }
    let decoded = Message::from_vec(message);
    let kind = |number: u16| KINDS.iter().find(|(_, known)| *known == number).map(|(kind, _)| *kind);
    let asked = decoded.as_ref().ok().and_then(|decoded| match &decoded.queries[..] {
        [one] => Some((name_of(&one.name)?, kind(one.query_type.into())?)),
        _ => None,
    });
    let (name, kind) = asked.unwrap_or_else(|| (DnsName::parse("a.test").expect("a name"), RecordType::Txt));
    let id = message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    let question = Question { id, name, kind };
    let first = linear(message.len(), COST, || question.read(message));
    assert!(first.is_err() || decoded.is_ok(), "what does not decode is read");
    if let (Ok(first), Ok(decoded)) = (&first, &decoded) {
        if let Ok(again) = decoded.to_vec() {
            let read = question.read(&again).expect("a message that was read is read when encoded anew");
            assert_eq!(shown(&read), shown(first));
        }
        let stray = |other: Question| assert_eq!(other.read(message).err(), Some(ResponseError::Stray));
        stray(Question { id: !id, ..question.clone() });
        if !decoded.queries.is_empty() {
            stray(Question {
                name: question.name.child("other").unwrap_or_else(|_| DnsName::parse("b.test").expect("a name")),
                ..question
            });
        }
    }
}

/// A question and an UPDATE of the text, each decoded by hickory-proto.
fn write(text: &str, mut input: Input<'_>) {
    let names: Vec<DnsName> = text.split_whitespace().filter_map(|word| DnsName::parse(word).ok()).take(20).collect();
    let Some(zone) = names.first() else { return };
    let (kind, number) = input.choose(&KINDS);
    let question = Question { id: input.number(), name: zone.clone(), kind };
    let has_opt = input.octet() & 1 == 1;
    let message = question.message(input.octet() & 1 == 1, has_opt);
    let decoded = Message::from_vec(&message).expect("a question of ours decodes");
    assert_eq!((decoded.metadata.id, decoded.edns.is_some()), (question.id, has_opt));
    assert_eq!(
        decoded.queries.iter().map(|q| (name_of(&q.name), q.query_type.into())).collect::<Vec<_>>(),
        [(Some(zone.clone()), number)]
    );

    let value = |(n, owner): (usize, &DnsName)| TxtValue { owner: owner.clone(), value: format!("value-{n}") };
    let values: Vec<TxtValue> = names.iter().enumerate().map(value).collect();
    let action = if input.octet() & 1 == 1 { Action::Delete } else { Action::Add { ttl: 60, in_use: &names[1..] } };
    let message = Update { zone, action, values: &values }.message(question.id);
    let decoded = Message::from_vec(&message).expect("an UPDATE of ours decodes");
    let found = |record: &trust_dns_proto::rr::Record| match &record.data {
        RData::TXT(txt) => Some(TxtValue { owner: name_of(&record.name)?, value: text_of(&txt.txt_data.concat()) }),
        _ => None,
    };
    let read: Vec<TxtValue> = decoded.authorities.iter().filter_map(found).collect();
    assert_eq!(read, values, "the values of an UPDATE");
    let last = last_record(&message).expect("it walks").expect("it has records");
    assert_eq!((last.rtype, last.rdata.len()), (16, 1 + values[values.len() - 1].value.len()));
}

fn text_of(octets: &[u8]) -> String {
    text(octets)
}

fuzz_target!(|data: &[u8]| {
    let input = Input::new(data);
    read(data);
    write(&text(input.rest()), input);
});
