//! A secret that targets put into an input, and the search for it in what comes out.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The secret in base64. Its 32 octets are random; both characters that no name has are among them.
pub const BASE64: &str = "q7+Zk/3vXw9dT1mY+hR4c/8uJ0bLsE6nGx2oPaVtI5A=";

/// The octet of an input that stands for the secret.
pub const MARK: char = '\u{1}';

/// The shortest part that counts as a leak.
const PART: usize = 16;

/// The text with the secret in the place of each mark.
pub fn filled(text: &str) -> String {
    text.replace(MARK, BASE64)
}

/// The octets of the secret.
pub fn octets() -> Vec<u8> {
    STANDARD.decode(BASE64).expect("the constant is base64")
}

/// Tells whether a text has a part of the secret: of its base64, of its octets in hexadecimal or as a list of numbers.
pub fn is_in(text: &str) -> bool {
    static PARTS: LazyLock<Vec<String>> = LazyLock::new(|| parts(PART));
    PARTS.iter().any(|part| text.contains(part.as_str()))
}

/// Tells whether an input has shorter parts of the secret by itself: libFuzzer finds them in the comparisons of the search, and puts them together.
pub fn is_hinted(input: &str) -> bool {
    static HINTS: LazyLock<Vec<String>> = LazyLock::new(|| parts(PART / 2));
    HINTS.iter().any(|part| input.contains(part.as_str()))
}

/// The parts of the secret in each form. A list has commas and spaces between its numbers, so its parts are longer.
fn parts(least: usize) -> Vec<String> {
    let octets = octets();
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let numbers = format!("{octets:?}");
    let forms = [(BASE64, least), (&hex, 2 * least), (&hex.to_uppercase(), 2 * least), (&numbers, 4 * least)];
    let parts = forms.iter().flat_map(|(form, least)| form.as_bytes().windows(*least));
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

/// Fails when a text has a part of the secret.
#[track_caller]
pub fn assert_absent(text: &str) {
    assert!(!is_in(text), "the secret is in: {text}");
}
