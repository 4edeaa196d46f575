//! A chain in PEM: what is read and written anew reads the same, glued lines or not, and no error has a part of a key in the text. Time and memory are
//! linear.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::cert::{facts, path};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, repeated, text};
use notariat_fuzz::planted;

const COST: Bound = Bound { steps_per_octet: 600, steps: 100_000, octets_per_octet: 200, octets: 64 * 1024 };

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let choice = input.octet();
    let raw = text(input.rest());
    if planted::is_hinted(&raw) {
        return;
    }
    let text = repeated(&planted::filled(&raw), choice);
    let clean = linear(text.len(), COST, || path::unglued(text.as_bytes()));
    let chain = linear(text.len(), COST, || facts::certificates(text.as_bytes()));
    let read = linear(text.len(), COST, || facts::read(text.as_bytes()));
    for error in [chain.as_ref().err(), read.as_ref().err()].into_iter().flatten() {
        planted::assert_absent(error);
        assert!(error.len() < 2_000 && !error.contains('\n'), "{error}");
    }
    let Ok(chain) = chain else { return };
    assert!((1..=10).contains(&chain.len()));
    if clean.len() <= 128 * 1024 {
        // Boundaries on lines of their own may show more certificates, and hide none.
        if let Ok(all) = facts::certificates(&clean) {
            let mut rest = all.iter();
            assert!(chain.iter().all(|der| rest.any(|known| known == der)), "a certificate is hidden");
        }
    }
    let written = path::pem(&chain);
    assert_eq!(facts::certificates(&written).as_ref(), Ok(&chain), "written and read again");
    if let Ok((_, found)) = read {
        let (_, again) = facts::read(&written).expect("the same certificates");
        assert_eq!(again, found);
        assert!(found.names.iter().all(|name| found.covers(name)));
    }
});
