use super::*;
use crate::dns::tsig_key::parse_keys;
use crate::dns::update::{Action, TxtValue, Update};
use crate::dns::wire::tests::Damage;

/// Blocks of `name: value` lines, as the files in tests/vectors have them.
fn blocks(text: &str) -> Vec<Vec<(&str, &str)>> {
    text.split("\n\n")
        .map(|block| {
            let lines = block.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
            lines.map(|line| line.split_once(": ").expect(line)).collect::<Vec<_>>()
        })
        .filter(|block| !block.is_empty())
        .collect()
}

fn field<'t>(block: &[(&'t str, &'t str)], name: &str) -> &'t str {
    block.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no {name} in {block:?}")).1
}

fn key_of(text: &str) -> TsigKey {
    parse_keys(text).unwrap().remove(0)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

#[test]
fn messages_are_signed_octet_by_octet_as_python_signs_them() {
    let blocks = blocks(include_str!("../../../tests/vectors/tsig-requests.txt"));
    assert_eq!(blocks.len(), Algorithm::ALL.len());
    for block in blocks {
        let key = key_of(field(&block, "key"));
        let zone = DnsName::parse("bind.test").unwrap();
        let owner = DnsName::parse("_acme-challenge.www.bind.test").unwrap();
        let value = TxtValue { owner, value: field(&block, "value").to_owned() };
        let mut unsigned =
            Update { zone: &zone, action: Action::Add { ttl: 60, in_use: &[] }, values: &[value] }.message(0x1234);
        // The vectors have no prerequisite, which is one record after the 19 octets of the zone section.
        let prerequisite = 12 + 15..12 + 15 + 31 + 10;
        assert_eq!(unsigned[7], 1);
        unsigned[7] = 0;
        unsigned.drain(prerequisite);
        let (signed, pending) = sign(&key, &unsigned, Time::from_unix(1_700_000_000));
        assert_eq!(pending.mac, hex(field(&block, "mac")), "{key}");
        assert_eq!(signed, hex(field(&block, "packet")), "{key}");
    }
}

/// The transaction of a client that sent `request`.
fn pending(key: &TsigKey, request: &[u8]) -> ClientTransaction {
    let record = last_record(request).unwrap().unwrap();
    let tsig = Rdata::read(&record).unwrap();
    let id = MessageHeader::read(request).unwrap().id;
    let opcode = MessageHeader::read(request).unwrap().opcode();
    ClientTransaction { key: key.clone(), id, opcode, mac: tsig.mac.to_vec(), signed_at: tsig.time }
}

fn word(result: &Result<Verified, ValidationError>) -> String {
    match result {
        Ok(verified) => format!("verified {}", verified.rcode()),
        Err(ValidationError::Unsigned(rcode)) => format!("unsigned {rcode}"),
        Err(ValidationError::Explained(rcode)) => format!("explained {}", rcode.tsig_name()),
        Err(ValidationError::Error(rcode)) => format!("error {rcode}"),
        Err(ValidationError::BadTime { .. }) => "badtime".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

fn recorded() -> Vec<(TsigKey, Time, String, ClientTransaction, Vec<u8>)> {
    blocks(include_str!("../../../tests/vectors/tsig-answers.txt"))
        .iter()
        .map(|block| {
            let key = key_of(field(block, "key"));
            let now = Time::from_unix(field(block, "now").parse().unwrap());
            let pending = pending(&key, &hex(field(block, "request")));
            let expect = field(block, "expect").to_owned();
            (key, now, expect, pending, hex(field(block, "answer")))
        })
        .collect()
}

#[test]
fn answers_of_bind_knot_and_powerdns_are_understood() {
    let recorded = recorded();
    assert!(recorded.len() > 30, "the vectors were read");
    for (key, now, expect, pending, answer) in recorded {
        let result = pending.check(&answer, now);
        assert_eq!(word(&result), expect, "{key}");
        if let Err(ValidationError::BadTime { server_time }) = result {
            assert!(now.distance(server_time) <= Duration::from_secs(2), "the server's clock is read");
            assert_eq!(now.since(pending.signed_at), Duration::from_secs(3600));
        }
    }
}

#[test]
fn no_single_flipped_bit_of_a_signed_answer_is_accepted() {
    for (key, now, expect, pending, answer) in recorded() {
        if expect != "verified NOERROR" {
            continue;
        }
        for bit in 0..answer.len() * 8 {
            let mut bad = answer.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The case of a name is not signed: the MAC covers its lower-case form (RFC 8945 section 4.3.3).
            let case_of_a_letter = bit % 8 == 5 && answer[bit / 8].is_ascii_alphabetic();
            assert!(pending.check(&bad, now).is_err() || case_of_a_letter, "{key}: bit {bit}");
        }
        for end in 0..answer.len() {
            assert!(pending.check(&answer[..end], now).is_err(), "{key}: cut at {end}");
        }
    }
}

#[test]
fn damaged_answers_never_end_the_check_and_are_never_verified() {
    let recorded = recorded();
    let (mut damage, mut forged) = (Damage::new(), 0);
    for (key, now, _, pending, answer) in recorded.iter().cycle().take(20_000) {
        let bad = damage.done_to(answer);
        let result = pending.check(&bad, *now);
        forged += u32::from(result == Err(ValidationError::WrongMac));
        // The case of the names in the TSIG record is not signed.
        assert!(result.is_err() || bad.eq_ignore_ascii_case(answer), "{key}: {bad:02x?}");
    }
    assert!(forged > 1000, "the MAC was what stopped only {forged}");
}

#[test]
fn the_mac_is_checked_before_the_time_and_the_time_after_it() {
    let (_, now, _, pending, answer) = recorded().remove(0);
    let late = now + FUDGE + Duration::from_secs(2);
    assert!(matches!(pending.check(&answer, late), Err(ValidationError::Stale { .. })));
    let signed = Rdata::read(&last_record(&answer).unwrap().unwrap()).unwrap().time;
    assert!(pending.check(&answer, signed + FUDGE).is_ok(), "the fudge to its last second");
    assert!(matches!(
        pending.check(&answer, signed + FUDGE + Duration::from_secs(1)),
        Err(ValidationError::Stale { .. })
    ));
    let mut bad = answer.clone();
    *bad.last_mut().unwrap() ^= 0; // the last octet is the length of the other data, which is 0
    let mac_at = bad.len() - 10;
    bad[mac_at] ^= 1;
    assert_eq!(pending.check(&bad, late), Err(ValidationError::WrongMac), "late and forged is forged");
}

#[test]
fn answers_of_another_key_or_to_another_request_prove_nothing() {
    let all = recorded();
    let (sha256, sha512) = (&all[2], &all[4]);
    assert_eq!(sha256.3.check(&sha512.4, sha256.1), Err(ValidationError::Stray), "another id");
    let mut renumbered = sha512.4.clone();
    renumbered[..2].copy_from_slice(&sha256.4[..2]);
    assert_eq!(sha256.3.check(&renumbered, sha256.1), Err(ValidationError::OtherKey));
    let mut other_request = sha256.3.clone();
    other_request.mac[0] ^= 1;
    assert_eq!(other_request.check(&sha256.4, sha256.1), Err(ValidationError::WrongMac), "bound to the request's MAC");
}

#[test]
fn each_difference_alone_makes_an_answer_stray_unsigned_or_that_of_another_key() {
    let (key, now, _, pending, answer) = recorded().remove(2);
    assert!(pending.check(&answer, now).is_ok());
    let changed = |at: usize, mask: u8| {
        let mut changed = answer.clone();
        changed[at] ^= mask;
        pending.check(&changed, now)
    };
    for (what, at, mask) in [("the id", 0, 1), ("a request", 2, 0x80), ("the opcode", 2, 0x08)] {
        assert_eq!(changed(at, mask), Err(ValidationError::Stray), "{what}");
    }
    // The same record, counted to the authority section.
    let counts = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
    let mut moved = answer.clone();
    moved[8..10].copy_from_slice(&(counts(8) + counts(10)).to_be_bytes());
    moved[10..12].copy_from_slice(&[0, 0]);
    assert!(matches!(pending.check(&moved, now), Err(ValidationError::Unsigned(_))));
    let with = |key: TsigKey| ClientTransaction { key, ..pending.clone() }.check(&answer, now);
    let renamed = TsigKey { name: DnsName::parse("another").unwrap(), ..key.clone() };
    assert_eq!(with(renamed), Err(ValidationError::OtherKey), "the name alone");
    assert_eq!(
        with(TsigKey { algorithm: Algorithm::Sha1, ..key }),
        Err(ValidationError::OtherKey),
        "the algorithm alone"
    );
}

#[test]
fn only_an_error_that_explains_needs_no_mac() {
    let (_, now, _, pending, answer) = recorded().remove(2);
    let record = last_record(&answer).unwrap().unwrap();
    let mac_at = record.start + record.owner.len() + 10 + algorithm_wire(Algorithm::Sha256).len() + 10;
    let mut without = answer.clone();
    without.drain(mac_at..mac_at + 32);
    without[mac_at - 1] = 0;
    without[record.start + record.owner.len() + 9] -= 32;
    assert_eq!(pending.check(&without, now), Err(ValidationError::WrongMac));
    // The error stands behind the original id.
    for (error, expected) in [
        (Rcode::BADKEY, ValidationError::Explained(Rcode::BADKEY)),
        (Rcode::BADSIG, ValidationError::Explained(Rcode::BADSIG)),
        (Rcode::BADTIME, ValidationError::WrongMac),
    ] {
        let said = |message: &[u8], mac: usize| {
            let mut said = message.to_vec();
            said[mac_at + mac + 2..mac_at + mac + 4].copy_from_slice(&error.0.to_be_bytes());
            pending.check(&said, now)
        };
        assert_eq!(said(&without, 0), Err(expected), "{error}");
        assert_eq!(said(&answer, 32), Err(ValidationError::WrongMac), "{error}: with a MAC it must fit");
    }
}

#[test]
fn a_truncated_mac_is_refused_even_when_its_octets_are_right() {
    let (_, now, _, pending, answer) = recorded().remove(2);
    let record = last_record(&answer).unwrap().unwrap();
    let mac_at = record.start + record.owner.len() + 10 + algorithm_wire(Algorithm::Sha256).len() + 10;
    let mut cut = answer.clone();
    cut.drain(mac_at + 16..mac_at + 32);
    cut[mac_at - 1] = 16;
    let length_at = record.start + record.owner.len() + 9;
    cut[length_at] -= 16;
    assert_eq!(pending.check(&cut, now), Err(ValidationError::WrongMac));
}

#[test]
fn the_hmacs_are_those_of_rfc_2202_and_rfc_4231() {
    let key = |algorithm, secret: &[u8]| TsigKey {
        name: DnsName::parse("k").unwrap(),
        algorithm,
        secret: crate::base::secret::Secret::new(secret.to_vec()),
    };
    // Test case 1 of both RFCs ("Hi There") and test case 6 of RFC 4231 (a key longer than the block).
    for (algorithm, expected) in [
        (Algorithm::Sha1, "b617318655057264e28bc0b6fb378c8ef146be00"),
        (Algorithm::Sha224, "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"),
        (Algorithm::Sha256, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            Algorithm::Sha384,
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        ),
        (
            Algorithm::Sha512,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
    ] {
        assert_eq!(Mac::new(&key(algorithm, &[0x0b; 20])).sign(&[b"Hi ", b"There"]), hex(expected), "{algorithm}");
    }
    let long = Mac::new(&key(Algorithm::Sha224, &[0xaa; 131]));
    let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
    assert_eq!(long.sign(&[text]), hex("95e9a0db962095adaebe9b2d6f0dbce2d499f112f2d2b7273fa6870e"));
}
