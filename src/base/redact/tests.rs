use super::*;

/// A table of its own: others of this process have secrets as well.
fn table(name: &'static str, value: &[u8]) -> Table {
    let mut table = Table::default();
    let mut parts = vec![value.to_vec()];
    let keys = keys(value);
    if !keys.is_empty() {
        parts = keys.iter().flat_map(|key| [key.to_vec(), decoded(key).to_vec()]).collect();
    }
    for block in parts.iter().flat_map(|part| blocks(part)) {
        table.sizes[block.size] = true;
        let hash = table.keys.hash(&block);
        table.add(name, &[hash]);
    }
    table
}

fn left(table: &Table, text: &str) -> String {
    let (mut clean, mut end) = (String::new(), 0);
    for (range, name) in table.find(text) {
        clean.push_str(&text[end..range.start]);
        clean.push_str(&format!("({name})"));
        end = range.end;
    }
    clean + &text[end..]
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

const PEM: &[u8] = include_bytes!("../../../tests/vectors/keys/p256-pkcs8.pem");

#[test]
fn a_value_is_found_in_every_form_and_its_text_around_stays() {
    let random: Vec<u8> = (0..37_u8).map(|n| n.wrapping_mul(73).wrapping_add(201)).collect();
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
    for value in [&random[..], token, b"hunter2!pass", b"hunter2!", b"hunter2!x", b"correct horse battery staple"] {
        let table = table("a secret", value);
        let base64 = STANDARD.encode(value);
        let folded: Vec<&str> = base64.as_bytes().chunks(7).map(|c| std::str::from_utf8(c).unwrap()).collect();
        let pairs: Vec<String> = value.iter().map(|octet| format!("{octet:02X}")).collect();
        let mut forms = vec![
            base64.trim_end_matches('=').to_owned(),
            url_safe.encode(value),
            folded.join("\n").trim_end_matches('=').to_owned(),
            folded.join("\\n").trim_end_matches('=').to_owned(),
            folded.join("\\\\n").trim_end_matches('=').to_owned(),
            folded.join(" ").trim_end_matches('=').to_owned(),
            hex(value),
            pairs.join(":"),
            pairs.join(" "),
            pairs.join("\\x"),
            pairs.join(", 0x"),
            format!("{value:?}").trim_matches(['[', ']']).to_owned(),
            value.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        ];
        forms.extend(std::str::from_utf8(value).ok().map(str::to_owned));
        for form in forms {
            assert_eq!(left(&table, &form), "(a secret)", "alone: {form}");
            let text = format!("field=\"{form}\" and words");
            assert_eq!(left(&table, &text), "field=\"(a secret)\" and words", "{form}");
        }
    }
}

#[test]
fn a_part_of_sixteen_octets_is_found_at_any_place_and_in_any_alignment() {
    let value: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(151).wrapping_add(17)).collect();
    let table = table("k", &value);
    for start in 0..=value.len() - 16 {
        let part = &value[start..start + 16];
        for before in 0..3_usize {
            let around = [&vec![b'.'; before][..], part, b".."].concat();
            assert!(left(&table, &STANDARD.encode(&around)).contains("(k)"), "base64 at {start}, {before}");
        }
        for form in [hex(part), format!("{part:?}")] {
            assert!(left(&table, &form).contains("(k)"), "{start}: {form}");
        }
    }
}

#[test]
fn every_character_that_holds_bits_of_a_block_is_hidden() {
    let value: Vec<u8> = (0..12_u8).map(|n| n.wrapping_mul(151).wrapping_add(17)).collect();
    let table = table("k", &value);
    for (before, characters) in [(0, 16), (1, 17), (2, 17)] {
        let around = [&vec![b'.'; before][..], &value, b"..."].concat();
        let text = STANDARD.encode(around);
        assert_eq!(left(&table, &text).len(), text.len() - characters + "(k)".len(), "{before} octets before");
    }
}

#[test]
fn other_characters_end_a_form_and_places_apart_stay_apart() {
    let value = b"\x00\xff\x80hunter2pass\x01\x02";
    let table = table("k", value);
    let apart = format!("a {} b {} c", hex(value), hex(value));
    assert_eq!(left(&table, &apart), "a (k) b (k) c");
    let base64 = STANDARD.encode(value);
    let numbers: Vec<String> = value.iter().map(ToString::to_string).collect();
    assert_eq!(left(&table, &numbers.join(", ")), "(k)");
    let halves = |all: &[String], between: &str| [all[..8].join(" "), all[8..].join(" ")].join(between);
    let pairs: Vec<String> = value.iter().map(|octet| format!("{octet:02x}")).collect();
    for text in [
        format!("{}!{}", &base64[..11], &base64[11..]),
        halves(&pairs, " ! "),
        halves(&numbers, " 256 "),
        halves(&numbers, " 300 "),
        halves(&numbers, " ! "),
    ] {
        assert_eq!(left(&table, &text), text);
    }
}

#[test]
fn of_a_key_in_pem_every_form_is_found() {
    let table = table("key", PEM);
    let text = std::str::from_utf8(PEM).unwrap();
    let der = decoded(keys(PEM)[0]);
    let body = text.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let second_half = &der[der.len() / 2..];
    for form in [
        text.to_owned(),
        text.replace('\n', ""),
        text.replace('\n', " "),
        format!("{text:?}"),
        format!("{PEM:?}"),
        STANDARD.encode(PEM),
        hex(PEM),
        hex(&der),
        format!("{:?}", &der[..]),
        STANDARD.encode(second_half),
        hex(second_half),
        body.clone(),
        body[body.len() / 2..].to_owned(),
    ] {
        let left = left(&table, &form);
        assert!(left.contains("(key)") && left.len() < 300, "{form}: {left}");
        for part in body.as_bytes().windows(20).map(|part| std::str::from_utf8(part).unwrap()) {
            assert!(!left.contains(part), "{form}: {left}");
        }
    }
}

#[test]
fn keys_are_found_in_texts_that_are_no_pem() {
    let lost = String::from_utf8(PEM.to_vec()).unwrap().replace('\n', "");
    let both = [b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", PEM, PEM].concat();
    let cut = &PEM[..PEM.len() / 2];
    let bare = b"PRIVATE KEY-----AAAA-----END-----PRIVATE KEY-----BBBB";
    for (text, count) in
        [(lost.as_bytes(), 1), (&both[..], 2), (cut, 1), (bare, 2), (b"PRIVATE KEY----- ", 0), (b"nothing", 0)]
    {
        assert_eq!(keys(text).len(), count, "{}", String::from_utf8_lossy(text));
    }
    assert_eq!(decoded(keys(lost.as_bytes())[0]), decoded(keys(PEM)[0]));
}

#[test]
fn ordinary_lines_and_short_values_stay() {
    let short = table("short", b"hunter2");
    assert_eq!(left(&short, "hunter2 aHVudGVyMg"), "hunter2 aHVudGVyMg");
    let all = table("key", PEM);
    for line in [
        "issued secret=team/web names=\"a.test b.test\" serial=04:a1:7f:00:99 until=2026-01-31T12:00:00Z",
        "-----BEGIN PRIVATE KEY-----",
        "the Secret team/web: `tls.key` has no section `-----BEGIN … PRIVATE KEY-----`",
        "",
        "ünïcödé ✓ \\n \\",
    ] {
        assert_eq!(left(&all, line), line);
    }
    let same = table("same", &[b'-'; 64]);
    assert_eq!(left(&same, &"-".repeat(80)), "-".repeat(80));
}

#[test]
fn ranges_end_between_characters() {
    let table = table("pass", "pässwörd-ünïcödé".as_bytes());
    assert_eq!(left(&table, "x pässwörd-ünïcödé ü"), "x (pass) ü");
}

#[test]
fn a_value_is_known_as_long_as_one_of_its_holders_is_there() {
    let value = "only in this test: 8c1f0e77";
    let text = format!("bearer {value}.");
    assert_eq!(clean(&text), text);
    let first = know("a token", value.as_bytes()).unwrap();
    let second = know("another name", value.as_bytes()).unwrap();
    let before = metrics::Counts::now().redacted;
    assert_eq!(clean(&text), "bearer (secret: a token).");
    assert!(metrics::Counts::now().redacted > before);
    assert_eq!(cleaned(STANDARD.encode(STANDARD.encode(value))).find(value), None);
    drop(first);
    let mut json = serde_json::json!({"a": [text.clone(), 1], "b": {"c": text}});
    clean_json(&mut json);
    assert_eq!(
        json,
        serde_json::json!({"a": ["bearer (secret: a token).", 1], "b": {"c": "bearer (secret: a token)."}})
    );
    // Found by fuzzing: the name of a field may hold a value as well.
    let mut json = serde_json::json!({text.clone(): {text.clone(): null}, "b": 1});
    clean_json(&mut json);
    assert_eq!(json, serde_json::json!({"bearer (secret: a token).": {"bearer (secret: a token).": null}, "b": 1}));
    drop(second);
    assert_eq!(clean(&text), text);
}

#[test]
fn the_table_is_bounded_and_empties_itself() {
    let mut table = Table::default();
    let hashes: Vec<u64> = (0..100_000).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    for _ in 0..3 {
        table.add("x", &hashes);
        assert_eq!(table.blocks.len(), hashes.len());
    }
    for _ in 0..3 {
        table.forget(&hashes);
    }
    assert!(table.blocks.is_empty() && table.blocks.capacity() < 20_000, "{}", table.blocks.capacity());
    // What is a fifth full keeps its room, what is a tenth full keeps twice what it holds, and a small one stays as it is.
    table.add("x", &hashes);
    let room = table.blocks.capacity();
    table.forget(&hashes[20_000..]);
    assert_eq!(table.blocks.capacity(), room);
    table.forget(&hashes[10_000..20_000]);
    assert!((20_000..room).contains(&table.blocks.capacity()), "{}", table.blocks.capacity());
    let mut small = Table::default();
    small.add("x", &hashes[..2_000]);
    let room = small.blocks.capacity();
    small.forget(&hashes[1..2_000]);
    assert_eq!(small.blocks.capacity(), room);
    let long = vec![7_u8; 4 * KNOWN_OCTETS_MAX];
    assert!(blocks(&long).len() <= KNOWN_OCTETS_MAX / STRIDE + 1);
}

#[test]
fn a_hash_counts_every_octet_and_the_size() {
    // Computed by another implementation of the same formula.
    let keys = Keys([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
    let hash = |octets: &[u8]| keys.hash(&blocks(octets)[0]);
    assert_eq!(hash(b"hunter2!"), 0xec58_ec6b_cb62_97bd);
    assert_eq!(hash(b"hunter2!pass"), 0x3001_ee8d_c792_5c43);
}

#[test]
fn short_values_are_known_in_base64_of_base64_and_long_ones_once() {
    let value: Vec<u8> = (0..200_u8).map(|n| n.wrapping_mul(89).wrapping_add(5)).collect();
    let count = |size: usize| know("a value", &value[..size]).map_or(0, |known| known.0.len());
    let once = |size: usize| blocks(&value[..size]).len();
    let twice = |size: usize| once(size) + blocks(STANDARD.encode(&value[..size]).as_bytes()).len();
    assert_eq!(
        [7, 8, 128, 129, 200].map(count),
        [0, twice(8), twice(128), once(129), once(200)],
        "TWICE_MAX is the last size that is known in two forms"
    );
    assert!(know_keys("no key", &value).is_none() && know("too short", b"hunter2").is_none());
}

#[test]
fn of_a_text_with_keys_only_their_secret_parts_are_known() {
    // This text is short enough to be known in two forms, were it no key.
    let short = include_bytes!("../../../tests/vectors/keys/ed25519-pkcs8.pem");
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2VydGlmaWNhdGVz\n-----END CERTIFICATE-----\n";
    for pem in [&short[..], PEM] {
        let text = [pem, certificate.as_bytes()].concat();
        let expected: usize = {
            let (key, der) = (keys(pem)[0], decoded(keys(pem)[0]));
            let secret = secret_part(&der);
            blocks(encoded_part(key, &secret)).len() + blocks(&der[secret]).len()
        };
        for known in [know("a key", &text), know_keys("a key", &text)] {
            assert_eq!(known.unwrap().0.len(), expected);
        }
        let _held = know("a key", &text);
        let text = String::from_utf8(text).unwrap();
        let clean = unsaid(&text);
        assert!(clean.contains("(secret: a key)") && clean.contains(certificate), "{clean}");
        assert!(
            clean.starts_with("-----BEGIN PRIVATE KEY-----\n") && clean.contains("\n-----END PRIVATE KEY-----\n"),
            "{clean}"
        );
    }
    assert!(matches!(unsaid("nothing that is known"), Cow::Borrowed("nothing that is known")));
}

#[test]
fn the_table_has_room_up_to_its_bound_and_no_further() {
    let mut table = Table::default();
    let hashes: Vec<u64> = (0..KNOWN_BLOCKS_MAX as u64 - 3).collect();
    table.add("x", &hashes);
    assert_eq!([0, 2, 3, 4].map(|more| table.has_room_for(more)), [true, true, true, false]);
}
