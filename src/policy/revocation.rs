//! The reasons for which a certificate may be revoked. Pure.

/// Its key is known to others: it is revoked before it is replaced.
pub const KEY_COMPROMISE: u8 = 1;

/// The reasons that a subscriber may give (RFC 5280 section 5.3.1, Baseline Requirements section 7.2.2).
pub const REASONS: [(&str, u8); 4] =
    [("unspecified", 0), ("keyCompromise", KEY_COMPROMISE), ("superseded", 4), ("cessationOfOperation", 5)];

/// The CRLReason of a word.
pub fn code(word: &str) -> Option<u8> {
    REASONS.iter().find(|(name, _)| *name == word).map(|(_, code)| *code)
}
