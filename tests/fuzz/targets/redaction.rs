//! The last filter: of a known value, or a part of at least 16 octets of it, nothing of 16 octets is left in a text, in any of the forms in which values
//! are written. A value whose holder is gone is not known. Time and memory are linear.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use notariat::base::redact;
use notariat_fuzz::cost::{Bound, linear};
use notariat_fuzz::input::{Input, text};

const COST: Bound = Bound { steps_per_octet: 600, steps: 50_000, octets_per_octet: 200, octets: 64 * 1024 };

/// The shortest part that is always found.
const PART: usize = 16;

/// The forms in which a text holds octets, as the unit tests of the filter have them.
fn forms(octets: &[u8], before: &[u8]) -> Vec<String> {
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let pairs: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    let base64 = STANDARD.encode([before, octets].concat());
    let lines: Vec<&str> = base64.as_bytes().chunks(7).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    let url = URL_SAFE_NO_PAD.encode([before, octets].concat());
    let mut all = vec![
        hex.to_uppercase(),
        pairs.join(":"),
        format!("{octets:?}"),
        lines.join("\n"),
        lines.join("\\n"),
        url,
        hex,
        base64,
    ];
    all.extend(std::str::from_utf8(octets).ok().map(str::to_owned));
    all
}

/// The part of a form that stands for whole octets of the value, whatever is before and behind it.
fn core(octets: &[u8], form: usize) -> Vec<String> {
    match form {
        0 => vec![octets.iter().map(|octet| format!("{octet:02X}")).collect()],
        6 => vec![octets.iter().map(|octet| format!("{octet:02x}")).collect()],
        2 => vec![format!("{octets:?}").trim_matches(['[', ']']).to_owned()],
        // At a third of all places the octets begin with a character.
        7 => (0..3_usize)
            .map(|before| {
                let base64 = STANDARD.encode([&[0; 2][..before], octets].concat());
                let whole = base64.trim_end_matches('=').len() - usize::from((before + octets.len()) % 3 != 0);
                base64[[0, 2, 3][before]..whole].to_owned()
            })
            .collect(),
        _ => std::str::from_utf8(octets).ok().map(str::to_owned).into_iter().collect(),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (form, from, length) = (input.octet(), usize::from(input.octet()), usize::from(input.octet()));
    let before = input.octet() % 3;
    let before = input.take(before.into());
    let size = PART + usize::from(input.octet()) % 48;
    let value = input.take(size).to_vec();
    // Of a text with private keys in PEM only the keys are known; `key_pem` has those.
    if value.windows(11).any(|part| part == b"PRIVATE KEY") {
        return;
    }
    // Blocks of one character are in many texts and are not known.
    if value.len() < PART || value.windows(6).any(|part| part.iter().all(|octet| *octet == part[0])) {
        return;
    }
    let from = from % (value.len() - PART + 1);
    let part = &value[from..from + PART + length % (value.len() - from - PART + 1)];
    let around = text(input.rest());
    let (left, right) =
        around.split_at(around.char_indices().map(|(at, _)| at).nth(around.chars().count() / 2).unwrap_or(0));
    let forms = forms(part, before);
    let form = usize::from(form) % forms.len();
    let text = format!("{left} \"{}\" {right}", forms[form]);
    assert_eq!(redact::clean(&text), text, "nothing is known yet");
    let known = redact::know("a value", &value).expect("a value of this length is known");
    let clean = linear(text.len(), COST, || redact::clean(&text).into_owned());
    assert!(clean.contains("(secret: a value)"), "{part:?} stays in {text}");
    let left: Vec<&str> = clean.split("(secret: a value)").collect();
    // Of base64 that begins inside of a group, one octet on each side is not whole.
    let part = if form == 7 { PART + 2 } else { PART };
    for part in value.windows(part) {
        for form in core(part, form) {
            assert!(left.iter().all(|text| !text.contains(&form)), "{form} stays in {clean}");
        }
    }
    let mut json = serde_json::json!([text, {"field": text}]);
    redact::clean_json(&mut json);
    assert!(json[0] == clean && json[1]["field"] == clean, "texts of JSON are cleaned alike");
    drop(known);
    assert_eq!(redact::clean(&text), text, "nobody holds the value any more");
});
