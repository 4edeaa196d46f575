//! Tests of [`super`]. The files of tests/vectors/csr were made with OpenSSL 3.0: `openssl req -new -addext subjectAltName=…` with the keys of
//! tests/vectors/keys, and for other kinds of keys with new ones.

use super::*;
use crate::cert::key::public_digest;

fn vector(file: &str) -> String {
    std::fs::read_to_string(format!("tests/vectors/{file}.pem")).unwrap()
}

fn csr(file: &str) -> Result<CertificateRequest, String> {
    CertificateRequest::from_pem(&vector(&format!("csr/{file}")))
}

#[test]
fn what_a_csr_asks_for_is_read_and_its_der_kept() {
    for (file, key, names) in [
        ("rsa2048", "keys/rsa2048-pkcs1", &["a.test", "www.a.test"][..]),
        ("p256", "keys/p256-sec1", &["a.test", "*.a.test"]),
        ("p384-new", "", &["a.test"]),
        ("sha512-pss", "keys/rsa2048-pkcs8", &["a.test"]),
    ] {
        let read = csr(file).unwrap();
        assert_eq!(read.names().iter().map(Domain::to_string).collect::<Vec<_>>().join(" "), names.join(" "), "{file}");
        if !key.is_empty() {
            assert_eq!(*read.public_key(), public_digest(vector(key).as_bytes()).unwrap(), "{file}");
        }
        // The PEM of OpenSSL, but for the word that it has for old programs.
        let pem = serde_json::to_value(&read).unwrap();
        assert_eq!(pem.as_str().unwrap(), vector(&format!("csr/{file}")).replace(" NEW ", " "), "{file}");
        assert_eq!(
            CertificateRequest::from_base64(&STANDARD.encode(pem.as_str().unwrap())),
            Ok(read.clone()),
            "{file}"
        );
        assert!(is_word(read.word()) && read.word().len() == 36);
    }
}

#[test]
fn each_fault_of_a_csr_is_named() {
    for (file, sentence) in [
        ("rsa1024", "is for an RSA key of 1024 bits; RSA with 2048 bits and more, P-256 and P-384 are possible"),
        ("rsa2047", "is for an RSA key of 2047 bits; RSA with 2048 bits and more, P-256 and P-384 are possible"),
        (
            "p521",
            "is for a key of a kind that CAs do not take; RSA with 2048 bits and more, P-256 and P-384 are possible",
        ),
        (
            "secp256k1",
            "is for a key of a kind that CAs do not take; RSA with 2048 bits and more, P-256 and P-384 are possible",
        ),
        (
            "ed25519",
            "is for a key of a kind that CAs do not take; RSA with 2048 bits and more, P-256 and P-384 are possible",
        ),
        ("sha1", "is signed in a way that CAs do not take; SHA-256 and SHA-384 are possible"),
        ("ip", "asks for an IP address (192.0.2.1), and only DNS names can be proved here; make a CSR without it"),
        ("ip6", "asks for an IP address (2001:db8::1), and only DNS names can be proved here; make a CSR without it"),
        (
            "email",
            "asks for the email address \"x@a.test\", and only DNS names can be proved here; make a CSR without it",
        ),
        ("uri", "asks for the URI \"spiffe://a.test/x\", and only DNS names can be proved here; make a CSR without it"),
        ("other-name", "asks for a name of another kind, and only DNS names can be proved here; make a CSR without it"),
        ("cn-alone", "asks for no DNS name in its subjectAltName, where CAs look for them"),
        ("cn-other", "has the common name \"b.test\", which is not among its DNS names"),
        (
            "covered",
            "asks for www.a.test and for a wildcard that covers it, which CAs refuse; make a CSR without one of them",
        ),
        (
            "underscore",
            "asks for \"a_b.test\", which has an underscore; a certificate holds host names (letters, digits, `-`) only",
        ),
        ("one-label", "asks for \"localhost\", which has one label only; no CA proves a top-level name"),
        ("dot", "asks for \"a.test.\", which ends with a dot; write it without"),
        ("u-label", "asks for \"bücher.test\", which has to be written as xn--bcher-kva.test"),
        ("many", "asks for 101 names; CAs allow 100 in one certificate"),
    ] {
        assert_eq!(csr(file).unwrap_err(), sentence, "{file}");
    }
}

#[test]
fn a_text_that_is_no_single_csr_is_refused_and_not_repeated() {
    let (good, key) = (vector("csr/p256"), vector("keys/p256-pkcs8"));
    let long = format!("{good}{}", " ".repeat(CSR_OCTETS_MAX));
    let chain = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, part) in [
        ("", "holds no CSR; in PEM it begins with"),
        ("words", "holds no CSR"),
        (chain, "holds no CSR"),
        (&format!("{good}{good}"), "holds more than one CSR"),
        (&format!("{good}{key}"), "holds a private key"),
        (&key, "holds a private key"),
        (&long, "octets; a CSR may have 32768"),
        (&good.replace("-----END CERTIFICATE REQUEST-----", ""), "is not PEM"),
        (&good.replace('M', "!"), "is not PEM"),
        (&vector("csr/p256").replace(" REQUEST", ""), "holds no CSR"),
        (&chain.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "does not parse as a CSR"),
    ] {
        let error = CertificateRequest::from_pem(text).unwrap_err();
        assert!(error.contains(part) && error.len() < 200 && !error.contains("MII"), "{part}: {error}");
    }
    for text in [&*good, "%", &STANDARD.encode([0xff]), &"A".repeat(CSR_OCTETS_MAX + 1)] {
        assert!(CertificateRequest::from_base64(text).unwrap_err().len() < 200);
    }
}

/// Each octet of a CSR is covered by its signature, or is the signature, or is a part of the frame. Of the frame the parser does not look at
/// some octets of the signature's algorithm.
#[test]
fn a_csr_that_was_changed_is_refused() {
    for file in ["p256", "rsa2048"] {
        let Some(der) = pem::requests(vector(&format!("csr/{file}")).as_bytes(), 1).unwrap().pop() else { panic!() };
        let (good, mut taken) = (CertificateRequest::read(&der).unwrap(), 0);
        for at in 0..der.len() {
            let mut changed = der.to_vec();
            changed[at] ^= 1;
            if let Ok(changed) = CertificateRequest::read(&changed) {
                assert_eq!((changed.names(), changed.public_key()), (good.names(), good.public_key()), "octet {at}");
                taken += 1;
            }
        }
        assert!(taken <= 2, "{file}: {taken}");
        assert!(CertificateRequest::read(&[&der, &[0][..]].concat()).is_err());
        (0..der.len()).for_each(|end| assert!(CertificateRequest::read(&der[..end]).is_err()));
    }
}

#[test]
fn two_lists_of_names_are_refused() {
    use rcgen::{Attribute, CertificateParams, CustomExtension, KeyPair};
    let key = KeyPair::generate().unwrap();
    let params = || {
        let mut params = CertificateParams::new(["a.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
    };
    let read = |request: rcgen::CertificateSigningRequest| CertificateRequest::read(request.der());
    // subjectAltName with the one DNS name b.test.
    let other = [&[0x30, 8, 0x82, 6][..], b"b.test"].concat();
    let mut twice = params();
    twice.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], other.clone())];
    let second = [&[0x31, 0x15, 0x30, 0x13, 0x30, 0x11, 6, 3, 0x55, 0x1d, 0x11, 4, 10][..], &other].concat();
    let attribute = Attribute { oid: &[1, 2, 840, 113_549, 1, 9, 14], values: second };
    for request in [
        twice.serialize_request(&key).unwrap(),
        params().serialize_request_with_attributes(&key, vec![attribute]).unwrap(),
    ] {
        assert_eq!(read(request).unwrap_err(), "has no subjectAltName that can be read, or two of them");
    }
    assert!(read(params().serialize_request(&key).unwrap()).is_ok());
}
