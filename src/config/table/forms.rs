//! The forms of the texts in the table of fields, as a schema can describe them. Pure data.

use crate::base::limits::{CA_OCTETS_MAX, CSR_OCTETS_MAX, WEBROOT_OCTETS_MAX};

/// Text as a schema can describe it. The parser of the field decides; every text that it accepts has this form.
#[derive(Debug)]
pub struct TextForm {
    /// A regular expression without look-around, which not every validator has; empty for any text.
    pub pattern: &'static str,
    /// The largest number of characters.
    pub most: usize,
}

const fn text(pattern: &'static str, most: usize) -> TextForm {
    TextForm { pattern, most }
}

/// Letters, digits and what is not ASCII; with `-`; with `_` as well.
macro_rules! letter {
    () => {
        r"[^\x00-/\x3a-\x40\x5b-\x60\x7b-\x7f]"
    };
    (hyphen) => {
        r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]"
    };
    (any) => {
        r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
    };
}
/// A label of a host name.
macro_rules! label {
    () => {
        concat!(letter!(), "(", letter!(hyphen), "{0,61}", letter!(), ")?")
    };
}
/// A name in ASCII, with or without its last dot.
macro_rules! ascii_name {
    () => {
        r"[0-9A-Za-z_-]{1,63}(\.[0-9A-Za-z_-]{1,63})*\.?"
    };
}

// The other full stops are those of UTS 46, section 2.3.
pub(super) const DOMAIN: TextForm =
    text(concat!(r"^(\*\.)?", label!(), r"([.\u3002\uff0e\uff61]", label!(), ")+$"), 239);
pub(super) const CSR: TextForm = text("-----BEGIN (NEW )?CERTIFICATE REQUEST-----", CSR_OCTETS_MAX);
pub(super) const ZONE_NAME: TextForm =
    text(concat!("^", letter!(any), r"{1,63}(\.", letter!(any), r"{1,63})*\.?$"), 254);
pub(super) const SERVER: TextForm = text(
    concat!(
        "^(",
        ascii_name!(),
        r"(:\+?0*[1-9][0-9]{0,4})?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*|\[[0-9A-Fa-f:.]+\](:\+?0*[1-9][0-9]{0,4})?)$"
    ),
    300,
);
pub(super) const SECRET: TextForm =
    text("^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$", 253 + 1 + 63);
pub(super) const CLUSTER_NAME: TextForm = text("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", 63);
pub(super) const ISSUER_NAME: TextForm = text("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", 63);
pub(super) const DATA_KEY: TextForm = text("^[-._0-9A-Za-z]+$", 253);
pub(super) const CA_TEXT: TextForm = text("-----BEGIN CERTIFICATE-----", CA_OCTETS_MAX);
pub(super) const EMAIL: TextForm = text(concat!(r"^[!#-+\x2d-;=A-~]+@", ascii_name!(), "$"), 254);
pub(super) const PROFILE: TextForm = text(r"^[!#-\x5b\x5d-~]{1,64}$", 64);
pub(super) const DIRECTORY: TextForm = text(r"^https://[^\x00-\x20#/:?\x7f][^\x00-\x20\x7f]*$", 2048);
pub(super) const SOME_TEXT: TextForm = text(r"\S", usize::MAX);
pub(super) const DURATION: TextForm = text("^([0-9]+[smhd])*[0-9]*[1-9][0-9]*[smhd]([0-9]+[smhd])*$", usize::MAX);
pub(super) const DURATION_OR_ZERO: TextForm =
    text("^(0s?|([0-9]+[smhd])*[0-9]*[1-9][0-9]*[smhd]([0-9]+[smhd])*)$", usize::MAX);
// Which label a placeholder may be, and that a name keeps two labels, is judged by the reader.
pub(super) const NAME_RANGE: TextForm = text(r"^[^*\s]+$", 2 * 253);
pub(super) const NAMESPACE_OR_EVERY: TextForm =
    text(r"^(\*|([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?:)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)$", 63 + 1 + 63);
pub(super) const REPLACED_NAME: TextForm = text("^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$", 253);
pub(super) const WEBROOT: TextForm = text("^/", WEBROOT_OCTETS_MAX);
pub(super) const METADATA_KEY: TextForm =
    text(concat!("^(", ascii_name!(), "/)?[0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?$"), 254 + 1 + 63);
pub(super) const LABEL_VALUE: TextForm = text("^([0-9A-Za-z]([-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?)?$", 63);
pub(super) const ANNOTATION_VALUE: TextForm = text("", 32 * 1024);
