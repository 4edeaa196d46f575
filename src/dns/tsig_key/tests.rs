use base64::Engine as _;

use super::key::BASE64;
use super::*;

fn read(text: &str) -> Result<Vec<String>, TsigKeyError> {
    let keys = parse_keys(text)?;
    assert!(keys.iter().all(|k| k.secret.expose() == b"0123456789abcdef"), "{text:?}");
    Ok(keys.iter().map(TsigKey::to_string).collect())
}

#[test]
fn keys_are_read_in_every_form_people_have_them() {
    const KEYMGR: &str = "# hmac-sha512:k:MDEyMzQ1Njc4OWFiY2RlZg==\nkey:\n  - id: k\n    algorithm: hmac-sha512\n    secret: MDEyMzQ1Njc4OWFiY2RlZg==\n";
    const NAMED: &str = "// made by tsig-keygen\nkey \"new.key\" {\n\talgorithm hmac-sha256; # c\n\tsecret \"MDEyMzQ1Njc4OWFiY2RlZg==\";\n};\nkey old { secret MDEyMzQ1Njc4OWFiY2RlZg==; algorithm HMAC-SHA1; };";
    for (text, shown) in [
        ("tsigkey:MDEyMzQ1Njc4OWFiY2RlZg==", &["tsigkey (hmac-sha256)"][..]),
        ("hmac-sha512:tsigkey:MDEyMzQ1Njc4OWFiY2RlZg==", &["tsigkey (hmac-sha512)"]),
        ("HMAC-SHA384.:TSIG.key.:MDEyMzQ1Njc4OWFiY2RlZg==", &["tsig.key (hmac-sha384)"]),
        ("HMACSHA224:k:MDEyMzQ1Njc4OWFiY2RlZg==", &["k (hmac-sha224)"]),
        ("hmac-sha1:k:MDEyMzQ1Njc4OWFiY2RlZg", &["k (hmac-sha1)"]),
        ("\n  k : MDEyMzQ1Njc4OWFi Y2RlZg== \r\n\n", &["k (hmac-sha256)"]),
        ("\u{feff}k:MDEyMzQ1Njc4OWFiY2RlZg==", &["k (hmac-sha256)"]),
        ("# hmac-sha256:k.:MDEyMzQ1Njc4OWFiY2RlZg==", &["k (hmac-sha256)"]),
        (KEYMGR, &["k (hmac-sha512)"]),
        (
            "# the new one\nnew:MDEyMzQ1Njc4OWFiY2RlZg==\n# the old one\nhmac-sha1:old:MDEyMzQ1Njc4OWFiY2RlZg==",
            &["new (hmac-sha256)", "old (hmac-sha1)"],
        ),
        (NAMED, &["new.key (hmac-sha256)", "old (hmac-sha1)"]),
    ] {
        assert_eq!(read(text), Ok(shown.iter().map(|s| (*s).to_owned()).collect()), "{text:?}");
    }
    assert_eq!(read(&[KEYMGR, KEYMGR].concat()).map(|k| k.len()), Ok(2));
    let slashes = parse_keys("key k { algorithm hmac-sha256; secret \"////\"; };").unwrap();
    assert_eq!(slashes[0].secret.expose(), &[255, 255, 255]);
}

#[test]
fn what_is_no_key_is_refused_without_repeating_it() {
    let many = "k:c2VjcmV0\n".repeat(TSIG_KEYS_MAX + 1);
    for (text, error) in [
        ("", TsigKeyError::Empty),
        (" \n#\n", TsigKeyError::Empty),
        ("c2VjcmV0", TsigKeyError::NoName),
        ("a:b:c:d", TsigKeyError::Parts),
        ("good:c2VjcmV0\nbad!", TsigKeyError::Parts),
        ("hmac-sha3:k:c2VjcmV0", TsigKeyError::Algorithm),
        ("hmac-md5:k:c2VjcmV0", TsigKeyError::Md5),
        ("hmac-md5.sig-alg.reg.int:k:c2VjcmV0", TsigKeyError::Md5),
        ("gss-tsig:k:c2VjcmV0", TsigKeyError::Gss),
        ("hmac-sha256::c2VjcmV0", TsigKeyError::NoName),
        ("hmac-sha256:k..x:c2VjcmV0", TsigKeyError::Name),
        ("k:not base64!", TsigKeyError::Base64),
        ("k:", TsigKeyError::NoSecret),
        ("key k { algorithm hmac-sha256; }", TsigKeyError::Clause),
        ("key k { secret c2VjcmV0; }", TsigKeyError::Clause),
        ("key k { algorithm hmac-md5; secret c2VjcmV0; };", TsigKeyError::Md5),
        ("key { algorithm hmac-sha256; secret c2VjcmV0; };", TsigKeyError::Clause),
        ("key k { algorithm hmac-sha256; secret \"c2VjcmV0", TsigKeyError::Clause),
        ("zone x { type primary; };", TsigKeyError::Empty),
        ("key k { algorithm hmac-sha256; secret c2VjcmV0; };\nold:c2VjcmV0", TsigKeyError::Mixed),
        ("hmac-sha1:old:c2VjcmV0\nkey k { algorithm hmac-sha256; secret c2VjcmV0; };", TsigKeyError::Mixed),
        (&many, TsigKeyError::Many),
    ] {
        assert_eq!(parse_keys(text).map(|_| ()), Err(error), "{text:?}");
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
    let shown = format!("{:?}", parse_keys("k:c2VjcmV0").unwrap());
    assert!(!shown.contains("c2Vj") && !shown.contains("115"), "{shown}");
}

/// The keys of a file of tests/vectors/tsig-keys/ as `algorithm name base64`.
fn vector(text: &str) -> Result<Vec<String>, TsigKeyError> {
    let keys = read_keys(text.as_bytes())?;
    let shown = |key: &TsigKey| format!("{} {} {}", key.algorithm, key.name, BASE64.encode(key.secret.expose()));
    Ok(keys.iter().map(shown).collect())
}

macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../../tests/vectors/tsig-keys/", $name))
    };
}

#[test]
fn keys_are_read_as_the_programs_of_servers_print_and_accept_them() {
    const KEYMGR: &str = "hmac-sha512 knot.example.com /zxwN1FROi+YTwuHq78iYMBz77hBTOhKcpwtyYTGAWisaQGPhKjOILAp3ewu/mEn6tcF489pnEXjBi92S3SyGw==";
    for (text, expected) in [
        (file!("tsig-keygen"), &["hmac-sha256 tsig.example.com O8fHAjawcNM5bS0T4AHE4QEuKEHTwwUZoGJwI62aq8Y="][..]),
        (
            file!("rndc.key"),
            &[
                "hmac-sha512 rndc-key DZVjX9vzZwTS7/Lbgg4rot8oU/BtscQWURb6TatYgW0hM5cw673moIQtWDAOwSoBUTAVgiyE4itM3JjlEyWTvQ==",
            ],
        ),
        (file!("rndc.conf"), &["hmac-sha256 rndc-key xuVBLvfR9UbSeqyLJaDG4cGZHDjtaL7uhoKYokjzYKY="]),
        (file!("ddns-confgen"), &["hmac-sha256 ddns.example.com OFsUeNQzRB6vZ1NUJ69lSmO0od9OEu68iOAqh7qMOaU="]),
        (
            file!("named.conf"),
            &[
                "hmac-sha384 upper.example.com MDEyMzQ1Njc4OWFi//RlZg==",
                "hmac-sha1 plain.example.com MDEyMzQ1Njc4OWFiY2RlZg==",
            ],
        ),
        (file!("keymgr"), &[KEYMGR]),
        (file!("keymgr-yaml"), &[KEYMGR]),
        (file!("keymgr-first-line"), &[KEYMGR]),
        (
            file!("knot.conf"),
            &[
                "hmac-sha256 one.example.com MDEyMzQ1Njc4OWFiY2RlZg==",
                "hmac-sha512 two.example.com MDEyMzQ1Njc4OWFiY2RlZg==",
            ],
        ),
        (
            file!("nsd.conf"),
            &[
                "hmac-sha256 one.example.com MDEyMzQ1Njc4OWFiY2RlZg==",
                "hmac-sha1 two.example.com MDEyMzQ1Njc4OWFiY2RlZg==",
            ],
        ),
        (file!("ldns-sha256.key"), &["hmac-sha256 k.example.com 8lQ3Vi2T6tbY9ByxicL8Ga5Ry1kewdc7MUxhnNKYBP4="]),
        (file!("ldns-sha512.key"), &["hmac-sha512 k.example.com L5cyXX+oJLK+q1igWGExqd/yin9USAx8hYnVBZ3uzbQ="]),
    ] {
        let expected: Vec<String> = expected.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(vector(text), Ok(expected), "{text}");
    }
    assert_eq!(vector(file!("ldns-md5.key")), Err(TsigKeyError::Md5));
    assert_eq!(vector(file!("ldns-sha512.private")), Err(TsigKeyError::PrivateFile));

    let of_bind = "k.example.com. IN KEY 512 3 163 MDEyMzQ1Njc4OWFiY2RlZg==\n; a comment\n";
    assert_eq!(read(of_bind), Ok(vec!["k.example.com (hmac-sha256)".to_owned()]));
}

#[test]
fn a_key_in_a_comment_is_none() {
    const NEW: &str = "new:MDEyMzQ1Njc4OWFiY2RlZg==";
    const OLD: &str = "hmac-sha256:old:b2xkLW9sZC1vbGQtb2xkLQ==";
    const CLAUSE: &str = "key new { algorithm hmac-sha256; secret MDEyMzQ1Njc4OWFiY2RlZg==; };";
    const OLD_CLAUSE: &str = "key old { algorithm hmac-sha256; secret b2xkLW9sZC1vbGQtb2xkLQ==; };";
    for text in [
        &format!("# {OLD}\n{NEW}"),
        &format!("{NEW}\n# {OLD}"),
        &format!("{NEW}\n#{OLD}\n"),
        &format!("# {{ a brace\n{NEW}"),
        &format!("/* {OLD_CLAUSE} */ {CLAUSE}"),
        &format!("/*\n{OLD_CLAUSE}\n*/\n{CLAUSE}"),
        &format!("{CLAUSE}\n/* {OLD}\n{OLD} */"),
        &format!("// {OLD_CLAUSE}\n# {OLD_CLAUSE}\n{CLAUSE}"),
        &format!("# {OLD}\n{CLAUSE}"),
        &format!(
            "# {OLD}\nkey:\n  - id: new\n    algorithm: hmac-sha256\n    secret: MDEyMzQ1Njc4OWFiY2RlZg==\n# {OLD}"
        ),
    ] {
        assert_eq!(read(text), Ok(vec!["new (hmac-sha256)".to_owned()]), "{text}");
    }
    for (text, error) in [
        (format!("# a comment\n# {OLD}"), TsigKeyError::Empty),
        (format!("/* {OLD_CLAUSE} */"), TsigKeyError::Parts),
        (format!("/* {OLD_CLAUSE}"), TsigKeyError::Comment),
        (format!("// {OLD_CLAUSE}\nzone x {{ }};"), TsigKeyError::Empty),
    ] {
        assert_eq!(parse_keys(&text).map(|_| ()), Err(error), "{text}");
    }
}

#[test]
fn forms_that_are_not_read_are_named_with_the_cure() {
    let random = BASE64.encode([0x9d; 32]);
    let twice = |text: &str| BASE64.encode(text);
    let broken = |text: &str| text.as_bytes().chunks(57).collect::<Vec<_>>().join(&b'\n');
    let utf16: Vec<u8> = format!("\u{feff}k:{random}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (octets, error, cure) in [
        (format!("key hmac-sha256:k {random}").into_bytes(), TsigKeyError::Nsupdate, "write `hmac:name:base64`"),
        (format!("server ::1\nkey k {random}\nzone x").into_bytes(), TsigKeyError::Nsupdate, "`:` before the secret"),
        (format!("hmac-sha256:k {random}").into_bytes(), TsigKeyError::Nsupdate, "`:`"),
        (format!("k:{}", twice(&random)).into_bytes(), TsigKeyError::Twice, "encoded in base64 twice: store the text"),
        (format!("k:{}", twice(&format!("{random}\n"))).into_bytes(), TsigKeyError::Twice, "as there"),
        (
            twice(&format!("hmac-sha256:k:{random}")).into_bytes(),
            TsigKeyError::Twice,
            "--from-literal=key=hmac-sha256:NAME:SECRET",
        ),
        (twice(&random).into_bytes(), TsigKeyError::Twice, "twice"),
        // `base64` breaks its lines, at any place of the text.
        (
            broken(&twice(&format!("hmac-sha512:a-key.example.com:{}", BASE64.encode([0x9d; 64])))),
            TsigKeyError::Twice,
            "twice",
        ),
        (random.clone().into_bytes(), TsigKeyError::NoName, "lacks the key's name"),
        (format!("hmac-sha256:{random}").into_bytes(), TsigKeyError::NoName, "write `hmac-sha256:NAME:`"),
        (format!(":{random}").into_bytes(), TsigKeyError::NoName, "name"),
        (format!("key:\n- algorithm: hmac-sha256\n  secret: {random}").into_bytes(), TsigKeyError::NoName, "name"),
        (format!("key:\n- id: k\n  secret: {random}").into_bytes(), TsigKeyError::Section, "`algorithm: hmac-sha256`"),
        (
            format!("key:\n- id: k\n  algorithm: hmac-sha256\n  secret {random}").into_bytes(),
            TsigKeyError::Section,
            "`- id",
        ),
        (format!("{{\"name\": \"k\", \"secret\": \"{random}\"}}").into_bytes(), TsigKeyError::Json, "JSON"),
        (format!("[\"k:{random}\"]").into_bytes(), TsigKeyError::Json, "alone"),
        (
            format!("Private-key-format: v1.3\nAlgorithm: 163\nKey: {random}").into_bytes(),
            TsigKeyError::PrivateFile,
            "K*.key",
        ),
        (b"k. IN KEY 512 3 8 AwEAAc==".to_vec(), TsigKeyError::PublicKey, "tsig-keygen"),
        (utf16.clone(), TsigKeyError::Utf16, "UTF-8"),
        (utf16[2..].to_vec(), TsigKeyError::Utf16, "UTF-16"),
        (vec![0xe9, b':'], TsigKeyError::NotText, "UTF-8"),
    ] {
        let text = String::from_utf8_lossy(&octets).into_owned();
        assert_eq!(read_keys(&octets).map(|_| ()), Err(error), "{text}");
        let said = error.to_string();
        assert!(said.contains(cure) && !said.contains(&random), "{text}: {said}");
    }
    // A pass phrase is no base64 of base64, and what stands in the server's own form is taken as it is.
    for text in ["k:MDEyMzQ1Njc4OWFiY2RlZg==".to_owned(), format!("k:{}", twice(&"0123abcd".repeat(8)))] {
        assert!(parse_keys(&text).is_ok(), "{text}");
    }
    let own = format!("key k {{ algorithm hmac-sha256; secret \"{}\"; }};", twice(&random));
    assert!(parse_keys(&own).is_ok());
}
