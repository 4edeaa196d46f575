use std::time::Duration;

use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

const NOW: Time = Time::from_unix(1_800_000_000);

/// A chain made by rcgen, which is not the code under test: root, intermediate, leaf.
struct Pki {
    intermediate: Issuer<'static, KeyPair>,
    intermediate_pem: String,
    root_pem: String,
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Pki {
    fn new() -> Pki {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_pem = ca("Root").self_signed(&root_key).unwrap().pem();
        let root = Issuer::new(ca("Root"), root_key);
        let intermediate_pem = ca("Intermediate").signed_by(&key, &root).unwrap().pem();
        Pki { intermediate: Issuer::new(ca("Intermediate"), key), intermediate_pem, root_pem }
    }

    fn leaf(&self, key: &KeyPair, names: &[&str], from: i64, to: i64) -> String {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let at = |offset: i64| ::time::OffsetDateTime::from_unix_timestamp(NOW.unix() + offset).unwrap();
        (params.not_before, params.not_after) = (at(from), at(to));
        params.signed_by(key, &self.intermediate).unwrap().pem()
    }
}

fn check(chain: &str, key: &str, wanted: &[&str]) -> Result<CheckedBundle, BundleError> {
    let wanted: Vec<Domain> = wanted.iter().map(|n| Domain::parse(n).unwrap()).collect();
    CheckedBundle::check(chain.as_bytes(), Secret::new(key.as_bytes().to_vec()), &wanted, NOW)
}

#[test]
fn a_sound_bundle_is_taken_and_its_facts_are_read() {
    let (pki, key) = (Pki::new(), KeyPair::generate().unwrap());
    let leaf = pki.leaf(&key, &["a.test", "*.a.test"], -3600, 3600);
    for chain in [
        leaf.clone(),
        format!("{leaf}{}", pki.intermediate_pem),
        format!("{leaf}{}{}", pki.intermediate_pem, pki.root_pem),
    ] {
        let bundle = check(&chain, &key.serialize_pem(), &["a.test", "www.a.test", "*.a.test"]).unwrap();
        assert_eq!(String::from_utf8_lossy(bundle.chain()), chain.replace("\r\n", "\n"));
        let facts = bundle.facts();
        assert_eq!((facts.not_before.unix(), facts.not_after.unix()), (NOW.unix() - 3600, NOW.unix() + 3600));
        assert_eq!((facts.issuer.as_str(), facts.names.len(), facts.fingerprint.len()), ("Intermediate", 2, 32));
        assert_eq!(facts.lifetime(), Duration::from_secs(7200));
    }
}

#[test]
fn the_key_beside_a_chain_is_its_own_or_one_of_its_owner() {
    let (pki, key, other) = (Pki::new(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (pem, leaf) = (key.serialize_pem(), pki.leaf(&key, &["a.test"], -3600, 3600));
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    let held = [None, Some(secret(&pem)), Some(secret(&other.serialize_pem())), Some(secret("no key"))];
    let own = check(&leaf, &pem, &["a.test"]).unwrap();
    assert_eq!(own.key().map(Secret::expose), Some(&pem.clone().into_bytes()));
    for held in &held {
        assert_eq!(own.key_over(held.as_ref()).expose(), pem.as_bytes(), "a key that was made here");
    }
    // With a CSR the key is its owner's: one that fits stays, and one of a kind that is unknown here.
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a.test");
    let csr = params.serialize_request(&key).unwrap();
    let request = CertificateRequest::from_pem(&csr.pem().unwrap()).unwrap();
    let wanted = [Domain::parse("a.test").unwrap()];
    let of_csr = CheckedBundle::of_request(leaf.as_bytes(), &request, &wanted, NOW).unwrap();
    assert!(of_csr.key().is_none());
    let beside = |held: &str| String::from_utf8(of_csr.key_over(Some(&secret(held))).expose().clone()).unwrap();
    assert_eq!([beside(&pem), beside(&other.serialize_pem()), beside("no key")], [pem.as_str(), "", ""]);
    let unknown = include_str!("../../../tests/vectors/keys/p521-sec1.pem");
    assert_eq!(beside(unknown), unknown);
    assert!(of_csr.key_over(None).expose().is_empty());
}

#[test]
fn five_minutes_of_another_clock_are_taken_to_the_second() {
    let (pki, key) = (Pki::new(), KeyPair::generate().unwrap());
    for (from, to, is_taken) in [(-3600, -299, true), (-3600, -300, false), (300, 3600, true), (301, 3600, false)] {
        let taken = check(&pki.leaf(&key, &["a.test"], from, to), &key.serialize_pem(), &["a.test"]);
        assert_eq!(taken.is_ok(), is_taken, "{from} {to}: {taken:?}");
    }
}

/// The text is one that people made of a Secret's values by hand.
#[test]
fn a_private_key_in_a_chain_is_never_repeated() {
    let (pki, key) = (Pki::new(), KeyPair::generate().unwrap());
    let (pem, leaf) = (key.serialize_pem(), pki.leaf(&key, &["a.test"], -3600, 3600));
    let lost = pem.replace('\n', "");
    for text in [
        lost.clone(),
        format!("{leaf}{lost}"),
        format!("{leaf}{}", pem.replace("-----END", "")),
        leaf.replace('M', "!"),
    ] {
        let error = crate::cert::facts::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("not PEM") && error.contains("line ") && error.len() < 160, "{error}");
        assert!(!error.contains("MI") && !error.contains("77, "), "{error}");
    }
}

#[test]
fn each_fault_of_a_bundle_is_found_and_named() {
    let (pki, key, other) = (Pki::new(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let (pem, leaf) = (key.serialize_pem(), pki.leaf(&key, &["a.test"], -3600, 3600));
    let stranger = Pki::new().intermediate_pem;
    for (chain, key, wanted, expected) in [
        (String::new(), &pem, &["a.test"][..], "there is no certificate in it"),
        (leaf.replace('M', "!"), &pem, &["a.test"], "not PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            &pem,
            &["a.test"],
            "does not parse",
        ),
        (leaf.clone(), &other.serialize_pem(), &["a.test"], "made for another key"),
        (leaf.clone(), &"nothing".to_owned(), &["a.test"], "private key can not be read"),
        (leaf.clone(), &pem, &["a.test", "b.test", "*.a.test"], "is not for b.test, *.a.test"),
        (format!("{leaf}{stranger}"), &pem, &["a.test"], "its issuer is \"CN=Intermediate\""),
        (format!("{leaf}{}", pki.root_pem), &pem, &["a.test"], "and \"CN=Root\" came"),
        (pki.leaf(&other, &["a.test"], -3600, 3600), &pem, &["a.test"], "another key"),
        (pki.leaf(&self_key(&key), &["a.test"], -7200, -301), &pem, &["a.test"], "valid from"),
        (pki.leaf(&self_key(&key), &["a.test"], 302, 7200), &pem, &["a.test"], "valid from"),
        (leaf.repeat(11), &pem, &["a.test"], "more than 10 certificates"),
        (format!("{leaf}{}", " ".repeat(200_000)), &pem, &["a.test"], "octets"),
    ] {
        let error = check(&chain, key, wanted).expect_err(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(check(&pki.leaf(&key, &["a.test"], -7200, -298), &pem, &["a.test"]).is_ok(), "five minutes either way");
    assert!(check(&pki.leaf(&key, &["a.test"], 298, 7200), &pem, &["a.test"]).is_ok());
}

/// Chains that CAs were seen to send, and that OpenSSL or Go do not read or a server does not serve.
#[test]
fn what_was_sent_is_cleaned_and_written_anew() {
    let (pki, key) = (Pki::new(), KeyPair::generate().unwrap());
    let (pem, leaf, above) =
        (key.serialize_pem(), pki.leaf(&key, &["a.test"], -3600, 3600), pki.intermediate_pem.clone());
    let lines = |text: &str| text.replace("\r\n", "\n");
    let (leaf, above) = (lines(&leaf), lines(&above));
    let (whole, stranger) = (format!("{leaf}{above}"), Pki::new().intermediate_pem);
    for (name, sent, dropped) in [
        ("as it is", whole.clone(), 0),
        ("glued", whole.replace("-----\n-----BEGIN", "----------BEGIN"), 0),
        ("all on one line", whole.replace('\n', " ").replace("----- -----", "----------"), 0),
        ("no line end at the end", whole.trim_end().to_owned(), 0),
        ("CRLF", whole.replace('\n', "\r\n"), 0),
        ("a preamble", format!("subject=CN = a.test\nissuer=CN = Intermediate\n{whole}"), 0),
        ("words between", format!("{leaf}\nBag Attributes\n    friendlyName: x\n{above}"), 0),
        ("a private key", format!("{pem}{whole}"), 0),
        ("a private key between", format!("{leaf}{pem}{above}"), 0),
        ("a duplicate", format!("{leaf}{above}{above}"), 1),
        ("the leaf twice", format!("{leaf}{whole}"), 1),
        ("an extra one", format!("{whole}{stranger}"), 1),
        ("an extra one between", format!("{leaf}{stranger}{above}"), 1),
        ("the wrong order", format!("{above}{leaf}"), 0),
    ] {
        let bundle = check(&sent, &pem, &["a.test"]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(String::from_utf8_lossy(bundle.chain()), whole, "{name}");
        assert_eq!(bundle.dropped().len(), dropped, "{name}");
        assert!(!String::from_utf8_lossy(bundle.chain()).contains("PRIVATE"), "{name}");
    }
}

fn self_key(key: &KeyPair) -> KeyPair {
    KeyPair::from_pem(&key.serialize_pem()).unwrap()
}
