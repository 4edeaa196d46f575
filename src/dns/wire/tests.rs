use super::*;

fn name(text: &str) -> DnsName {
    DnsName::parse(text).unwrap()
}

fn question() -> Question {
    Question { id: 0x1234, name: name("a.test"), kind: RecordType::Txt }
}

/// An answer with one TXT record of two character-strings, its owner compressed; written by hand from RFC 1035 section 4.
const ANSWER: &[u8] =
    b"\x12\x34\x84\x00\0\x01\0\x01\0\0\0\0\x01A\x04test\0\0\x10\0\x01\xc0\x0c\0\x10\0\x01\0\0\0\x3c\0\x06\x02ab\x02cd";

#[test]
fn a_query_has_one_question_and_an_opt_record() {
    let expected = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x01a\x04test\0\0\x10\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    assert_eq!(question().message(true, true), expected);
    assert_eq!(question().message(false, true)[2], 0, "RD is clear towards authoritative servers");
    let plain = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x10\0\x01";
    assert_eq!(question().message(true, false), plain);
}

#[test]
fn character_strings_of_a_txt_value_are_joined() {
    let answer = question().read(ANSWER).unwrap();
    assert!(answer.authoritative && !answer.truncated && answer.rcode == Rcode::NOERROR);
    assert_eq!(answer.answers, [ResourceRecord { owner: name("a.test"), data: RData::Txt(b"abcd".to_vec()) }]);
}

/// RFC 6891 section 6.1.3: the upper eight bits of the code stand in the TTL of the OPT record.
#[test]
fn rcode_16_of_a_header_is_badvers_and_of_a_tsig_record_badsig() {
    let bytes = b"\x12\x34\x84\x00\0\x01\0\0\0\0\0\x01\x01a\x04test\0\0\x10\0\x01\0\0\x29\x04\xd0\x01\0\0\0\0\0";
    let rcode = question().read(bytes).unwrap().rcode;
    assert_eq!((rcode.to_string(), rcode.may_mean_opt()), ("BADVERS".to_owned(), true));
    assert_eq!((Rcode::BADSIG.tsig_name(), Rcode::BADKEY.tsig_name()), ("BADSIG".to_owned(), "BADKEY".to_owned()));
}

#[test]
fn a_label_of_the_wire_stays_one_label_and_a_target_that_is_no_host_name_is_not_lost() {
    for (target, data) in [
        (&b"\x01b\xc0\x0e"[..], RData::Cname(name("b.test"))),
        (b"\x03b.c\xc0\x0e", RData::OddCname("b\\.c.test.".to_owned())),
        (b"\x030/5\xc0\x0e", RData::OddCname("0/5.test.".to_owned())),
        (b"\x03b c\xc0\x0e", RData::OddCname("b\\032c.test.".to_owned())),
        (b"\x00", RData::OddCname(".".to_owned())),
    ] {
        let mut bytes =
            b"\x12\x34\x84\x00\0\x01\0\x01\0\0\0\0\x01a\x04test\0\0\x05\0\x01\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0".to_vec();
        bytes.push(target.len().try_into().unwrap());
        bytes.extend(target);
        let answer = Question { kind: RecordType::Cname, ..question() }.read(&bytes).unwrap();
        assert_eq!(answer.answers, [ResourceRecord { owner: name("a.test"), data }]);
    }
    // The owner of an answer is held against the question in the same way.
    let dotted = b"\x12\x34\x84\x00\0\x01\0\0\0\0\0\0\x06a.test\0\0\x10\0\x01";
    assert_eq!(question().read(dotted).unwrap_err(), ResponseError::Stray);
}

#[test]
fn caa_records_are_read_with_their_critical_bit() {
    // RFC 8659 section 4.1: flags, the length of the tag, tag, value; written by hand.
    let bytes = b"\x12\x34\x84\x00\0\x01\0\x02\0\0\0\0\x01a\x04test\0\x01\x01\0\x01\
        \xc0\x0c\x01\x01\0\x01\0\0\0\x3c\0\x10\0\x05Issueca.test;a\
        \xc0\x0c\x01\x01\0\x01\0\0\0\x3c\0\x06\x80\x03oddx";
    let answer = Question { kind: RecordType::Caa, ..question() }.read(bytes).unwrap();
    let caa = |critical, tag: &str, value: &str| ResourceRecord {
        owner: name("a.test"),
        data: RData::Caa { critical, tag: tag.to_owned(), value: value.to_owned() },
    };
    assert_eq!(answer.answers, [caa(false, "issue", "ca.test;a"), caa(true, "odd", "x")]);
}

#[test]
fn answers_to_something_else_are_strays_and_broken_ones_garbage() {
    let with = |at: usize, byte: u8| {
        let mut bytes = ANSWER.to_vec();
        bytes[at] = byte;
        question().read(&bytes)
    };
    assert_eq!(with(0, 9).unwrap_err(), ResponseError::Stray, "another id");
    assert_eq!(with(2, 0x04).unwrap_err(), ResponseError::Stray, "a query");
    assert_eq!(with(2, 0xac).unwrap_err(), ResponseError::Stray, "another opcode");
    assert_eq!(with(13, b'b').unwrap_err(), ResponseError::Stray, "another name");
    assert_eq!(with(21, 1).unwrap_err(), ResponseError::Stray, "another type");
    // Without the question a server can say what is wrong with a request, and nothing about a name.
    for (rcode, counts) in [(1, true), (4, true), (5, true), (0, false), (3, false)] {
        let header = [0x12, 0x34, 0x84, rcode, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(question().read(&header).is_ok(), counts, "RCODE {rcode}");
    }
    for end in 0..ANSWER.len() {
        assert!(question().read(&ANSWER[..end]).is_err(), "cut at {end}");
    }
    // A name that points at itself.
    assert!(matches!(with(25, 0x18), Err(ResponseError::Garbage(_))));
}

#[test]
fn the_walk_finds_the_last_record_and_only_a_whole_message_walks() {
    let last = last_record(ANSWER).unwrap().unwrap();
    assert_eq!((last.start, last.rtype, last.class, last.ttl, last.rdata), (24, 16, 1, 60, &b"\x02ab\x02cd"[..]));
    assert_eq!(last.owner, b"\x01a\x04test\0");
    for end in 0..ANSWER.len() {
        assert!(last_record(&ANSWER[..end]).is_err(), "cut at {end}");
    }
    assert_eq!(last_record(&[ANSWER, b"x"].concat()), Err("has octets after its last record"));
    assert_eq!(last_record(&[0; 12]), Ok(None));
}

#[test]
fn no_name_makes_the_reader_loop_or_leave_the_message() {
    for (bytes, error) in [
        (&b"\xc0\x00"[..], "has a compression loop"),
        (b"\xc0\x02\xc0\x00", "has a compression loop"),
        (b"\x05ab", "ends inside a name"),
        (b"\xc0", "ends inside a name"),
        (b"", "ends inside a name"),
        (b"\x80", "has a label of an unknown kind"),
    ] {
        assert_eq!(read_name(bytes, 0), Err(error), "{bytes:?}");
    }
    // A chain of pointers, each one step back, ends at the bound.
    let chain: Vec<u8> =
        std::iter::once([0, 0]).chain((0..300u16).map(|i| (0xc000 | (2 * i)).to_be_bytes())).flatten().collect();
    assert_eq!(read_name(&chain, 600), Err("has a compression loop"));
    assert_eq!(read_name(&chain, 2 * 8), Ok((vec![0], 18)));
    let long = [[63; 64]; 5].concat();
    assert_eq!(read_name(&long, 0), Err("has a name of more than 255 octets"));
}

/// Damages messages: the same ones in each run.
pub(crate) struct Damage(u64);

impl Damage {
    pub(crate) fn new() -> Damage {
        Damage(0x6e6f_7461_7269_6174)
    }

    /// A number below `end` (xorshift64).
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    /// The message after one to three accidents.
    pub(crate) fn done_to(&mut self, message: &[u8]) -> Vec<u8> {
        // Lengths, pointers and counts at their ends are where readers go wrong.
        const TELLING: [u8; 9] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xc1, 0xff];
        let mut m = message.to_vec();
        for _ in 0..=self.below(3) {
            if m.is_empty() {
                break;
            }
            let at = self.below(m.len());
            let end = at + 1 + self.below((m.len() - at).min(16));
            match self.below(6) {
                0 => m[at] ^= 1 << self.below(8),
                1 => m[at] = TELLING[self.below(TELLING.len())],
                2 => m.truncate(at),
                3 => drop(m.drain(at..end)),
                4 => m.insert(at, TELLING[self.below(TELLING.len())]),
                _ => {
                    let part = m[at..end].to_vec();
                    let to = self.below(m.len());
                    drop(m.splice(to..to, part));
                }
            }
        }
        m
    }
}

#[test]
fn damaged_answers_of_the_three_servers_never_end_the_reader_nor_pass_for_answers_to_something_else() {
    let kind = |word: &str| match word {
        "AAAA" => RecordType::Aaaa,
        "CNAME" => RecordType::Cname,
        "NS" => RecordType::Ns,
        "SOA" => RecordType::Soa,
        _ => RecordType::Txt,
    };
    let text = include_str!("../../../tests/vectors/query-answers.txt");
    let of = |name: &str| {
        text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": ")).collect::<Vec<_>>()
    };
    let recorded: Vec<(Question, Vec<u8>)> = of("question")
        .iter()
        .zip(of("answer"))
        .map(|(asked, hex)| {
            let (word, owner) = asked.split_once(' ').unwrap();
            let octet = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
            let question = Question { id: 0x1234, name: name(owner), kind: kind(word) };
            (question, (0..hex.len() / 2).map(octet).collect())
        })
        .collect();
    assert_eq!(recorded.len(), 24);
    let (mut damage, mut read) = (Damage::new(), 0);
    for (question, answer) in recorded.iter().cycle().take(20_000) {
        question.read(answer).unwrap();
        let bad = damage.done_to(answer);
        last_record(&bad).ok();
        if let Ok(answer) = question.read(&bad) {
            read += 1;
            assert!(bad[..2] == [0x12, 0x34] && bad[2] & 0xf8 == 0x80, "{bad:02x?}");
            let mut asked = Vec::new();
            question.name.write_wire(&mut asked);
            let no_question = bad[4..6] == [0, 0] && !matches!(answer.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
            assert!(no_question || read_name(&bad, 12).unwrap().0 == asked, "{bad:02x?}");
        }
    }
    assert!((1000..15_000).contains(&read), "the damage is neither harmless nor total: {read} were read");
}
