//! The text of a TSIG key's Secret: a key that is read is read again from the clause of named.conf with its parts, and nothing that is printed has
//! a part of the secret. Time and memory are linear.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use notariat::dns::tsig_key::{parse_keys, read_keys};
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, repeated, text};
use notariat_fuzz::planted;

const COST: Bound = Bound { steps_per_octet: 2_000, steps: 100_000, octets_per_octet: 200, octets: 64 * 1024 };

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let choice = input.octet();
    let raw = text(input.rest());
    if planted::is_hinted(&raw) {
        return;
    }
    let text = repeated(&planted::filled(&raw), choice);
    let keys = linear(text.len(), COST, || read_keys(text.as_bytes()));
    match keys {
        Err(e) => planted::assert_absent(&format!("{e} {e:?}")),
        Ok(keys) => {
            assert!(!keys.is_empty() && keys.len() <= 4);
            for key in keys {
                planted::assert_absent(&format!("{key} {key:?} {}", key.name));
                let (name, algorithm) = (&key.name, key.algorithm);
                let secret = STANDARD.encode(key.secret.expose());
                let clause = format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};");
                let again = parse_keys(&clause).expect("the clause of a key that was read").remove(0);
                assert_eq!((&again.name, again.algorithm, &again.secret), (name, algorithm, &key.secret));
            }
        }
    }
});
