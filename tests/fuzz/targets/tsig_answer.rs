//! A signed answer: it is verified exactly when a second implementation of RFC 8945 finds the MAC, the key, the time and the error right. What is
//! correctly signed and not altered is verified; what is forged or altered never is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use notariat::base::name::DnsName;
use notariat::base::secret::Secret;
use notariat::base::time::Time;
use notariat::dns::tsig::sign;
use notariat::dns::tsig_key::{Algorithm, TsigKey};
use notariat::dns::update::{Action, TxtValue, Update};
use notariat::dns::wire::last_record;
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::Input;
use notariat_fuzz::planted;
use notariat_fuzz::tsig::{self, Tsig};

const COST: Bound = Bound { steps_per_octet: 400, steps: 200_000, octets_per_octet: 40, octets: 16 * 1024 };

const ID: u16 = 0x1234;
const NOW: u64 = 1_800_000_000;

fn name(text: &str) -> DnsName {
    DnsName::parse(text).expect("a name")
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let algorithm = input.choose(&Algorithm::ALL);
    let key = TsigKey { name: name("key.a.test"), algorithm, secret: Secret::new(planted::octets()) };
    let value = TxtValue { owner: name("_acme-challenge.a.test"), value: "value".to_owned() };
    let update = Update { zone: &name("a.test"), action: Action::Add { ttl: 60, in_use: &[] }, values: &[value] };
    let now = Time::from_unix(NOW as i64);
    let (request, transaction) = sign(&key, &update.message(ID), now);
    let size = [20, 28, 32, 48, 64][Algorithm::ALL.iter().position(|known| *known == algorithm).expect("one of all")];
    // Behind the MAC stand the id, the error and the length of the other data.
    let request_mac = &request[request.len() - 6 - size..request.len() - 6];

    let (is_signed, time, fudge) = (input.octet() % 4 != 0, input.number(), input.number());
    let (error, other) = (u16::from(input.octet() % 24), input.octet() % 8);
    let other = input.take(other.into()).to_vec();
    let alterations: Vec<(u16, u8)> = (0..input.octet() % 4).map(|_| (input.number(), input.octet())).collect();
    let mut answer = input.rest().to_vec();
    if answer.len() > 60_000 {
        return;
    }
    // What every answer has: the id, the bit of an answer, the operation UPDATE. Without records of its own it has an empty question.
    if is_signed {
        if answer.len() < 12 {
            answer = vec![0; 12];
        }
        answer[..2].copy_from_slice(&ID.to_be_bytes());
        answer[2] = 0xa8 | answer[2] & 7;
        if last_record(&answer).is_err() {
            answer.truncate(12);
            answer[4..12].fill(0);
        }
        if answer[10..12] == [255, 255] {
            return;
        }
        let tsig = Tsig {
            time: NOW + u64::from(time) - 0x8000,
            fudge,
            error: if error < 12 { 0 } else { error },
            other,
            original_id: ID,
        };
        answer = tsig::signed(&key, request_mac, &answer, &tsig);
    }
    let unaltered = answer.clone();
    for (at, octet) in alterations {
        let at = usize::from(at) % answer.len().max(1);
        if let Some(altered) = answer.get_mut(at) {
            *altered ^= octet;
        }
    }
    let verified = linear(answer.len(), COST, || transaction.check(&answer, now)).is_ok();
    let is_valid = tsig::is_valid(&key, ID, request_mac, &answer, NOW);
    assert!(!verified || is_valid, "a forged answer is verified");
    if answer == unaltered {
        assert_eq!(verified, is_valid, "an answer as the second implementation signs it");
    }
    // Case is not signed, and nothing else may differ.
    if verified && is_signed {
        assert!(answer.eq_ignore_ascii_case(&unaltered), "an altered answer is verified");
    }
    // Neither does an answer prove anything with another key of the same name.
    let other = TsigKey { secret: Secret::new(vec![7; 32]), ..key };
    let (_, transaction) = sign(&other, &update.message(ID), now);
    assert!(transaction.check(&answer, now).is_err(), "an answer of another key is verified");
});
