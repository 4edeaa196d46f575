//! Path building: of certificates in any order, some of them altered, the path is one in which a second check of names and signatures finds each
//! certificate signed by the next. It ends where nothing that was sent signed the last one, and is refused only where nothing signed the leaf.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use notariat::base::secret::Secret;
use notariat::base::time::Time;
use notariat::cert::bundle::CheckedBundle;
use notariat::cert::{facts, key, path};
use notariat_fuzz::der::Certificate;
use notariat_fuzz::input::Input;

/// Made by `tests/fuzz/certificates/make`: the leaf, its intermediates, roots, one signed across, strangers with the same names, other algorithms.
const SENT: &[u8] = include_bytes!("../certificates/all.pem");
const KEY: &[u8] = include_bytes!("../certificates/leaf.key");

static ALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = String::from_utf8_lossy(SENT).into_owned();
    let sections: Vec<&str> =
        text.split_inclusive("-----END CERTIFICATE-----\n").filter(|part| part.contains("BEGIN")).collect();
    sections.iter().map(|pem| facts::certificates(pem.as_bytes()).expect("a certificate of ours")[0].to_vec()).collect()
});

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (leaf, count) = (usize::from(input.octet()), 1 + usize::from(input.octet() % 10));
    let mut sent = Vec::new();
    for _ in 0..count {
        let choice = input.octet();
        let mut der = ALL[usize::from(choice & 0x7f) % ALL.len()].clone();
        if choice & 0x80 != 0 {
            let at = usize::from(input.number()) % der.len();
            der[at] ^= input.octet();
        }
        sent.push(der);
    }
    let leaf = leaf % sent.len();
    let read: Vec<Option<Certificate<'_>>> = sent.iter().map(|der| Certificate::read(der)).collect();
    let signed = |lower: usize, upper: usize| {
        read[lower].as_ref().zip(read[upper].as_ref()).and_then(|(lower, upper)| lower.is_signed_by(upper))
    };
    let is_new = |path: &[usize], n: usize| path.iter().all(|used| sent[*used] != sent[n]);
    let parses = |n: usize| facts::parse(&sent[n]).is_ok();
    let is_end = |n: usize| !parses(n) || read[n].as_ref().is_none_or(Certificate::is_self_issued);
    let ders: Vec<_> = sent.iter().cloned().map(Into::into).collect();
    match path::build(&ders, leaf) {
        Ok(built) => {
            let place = |der: &[u8]| sent.iter().position(|known| known == der).expect("a certificate that was sent");
            let path: Vec<usize> = built.certificates.iter().map(|der| place(der)).collect();
            assert_eq!(sent[path[0]], sent[leaf], "the path begins with the leaf");
            assert_eq!(path.len() + built.dropped.len(), sent.len(), "each is in the path or named");
            for pair in path.windows(2) {
                assert_ne!(signed(pair[0], pair[1]), Some(false), "{path:?} of {} certificates", sent.len());
            }
            for (n, used) in path.iter().enumerate() {
                assert!(is_new(&path[..n], *used), "none stands twice");
            }
            let last = path[path.len() - 1];
            let more = (0..sent.len())
                .find(|n| !is_end(last) && is_new(&path, *n) && parses(*n) && signed(last, *n) == Some(true));
            assert_eq!(more, None, "the path ends before its end");
        }
        Err(e) => {
            let more = (0..sent.len()).find(|n| parses(*n) && sent[*n] != sent[leaf] && signed(leaf, *n) == Some(true));
            assert_eq!(more, None, "{e}");
            assert!(e.to_string().len() < 4_000 && !e.to_string().contains('\n'));
        }
    }
    // What may be stored has the key, the name and the time, and its chain is a path.
    let now = Time::from_unix(1_800_000_000);
    let wanted = ["leaf.test".parse().expect("a name")];
    if let Ok(bundle) = CheckedBundle::check(&path::pem(&ders), Secret::new(KEY.to_vec()), &wanted, now) {
        let chain = facts::certificates(bundle.chain()).expect("a chain of ours");
        let read: Vec<_> = chain.iter().map(|der| Certificate::read(der).expect("a certificate")).collect();
        assert!(read.windows(2).all(|pair| pair[0].is_signed_by(&pair[1]) != Some(false)));
        let own = facts::of(&chain[0]).expect("a leaf");
        assert!(own.fits(&key::public_digest(KEY).expect("our key")) && own.covers(&wanted[0]));
        assert!(own.not_before <= now && now < own.not_after);
    }
});
