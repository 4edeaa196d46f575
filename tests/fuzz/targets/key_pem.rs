//! A private key in PEM: written as PKCS#8 it has the same public key, signs requests, and no debug output or filtered text has a part of it. Time and
//! memory are linear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::base::{pem, redact};
use notariat::cert::key::{CertificateKey, public_digest, public_of};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::text;

/// Arithmetic of RSA and of curves takes most of the fixed part.
const COST: Bound = Bound { steps_per_octet: 3_000, steps: 4_000_000, octets_per_octet: 200, octets: 64 * 1024 };

fuzz_target!(|data: &[u8]| {
    let text = text(data);
    let public = linear(data.len(), COST, || public_of(data));
    assert_eq!(public.is_ok(), public_digest(data).is_ok());
    let _ = linear(data.len(), COST, || pem::is_encrypted(data));
    let known = linear(data.len(), COST, || redact::know_keys("a key", data));
    if known.is_some() {
        let left = redact::clean(&text);
        assert!(left.len() <= 4 * text.len() && (left == text || left.contains("(secret: a key)")));
    }
    drop(known);
    let Ok(key) = CertificateKey::from_pem(data) else { return };
    let public = public.expect("a key that signs has a public key");
    let written = key.pem();
    let again = CertificateKey::from_pem(written.expose()).expect("a key that was written");
    assert_eq!(public_of(written.expose()).as_ref(), Ok(&public), "written as PKCS#8");
    assert_eq!(again.pem().expose(), written.expose(), "written twice");
    assert_eq!(again.rsa_bits(), key.rsa_bits());
    let printed = std::str::from_utf8(written.expose()).expect("PEM is text");
    assert!(redact::clean(printed).contains("(secret: a private key)"), "the filter knows the key");
});
