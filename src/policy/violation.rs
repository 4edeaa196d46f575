//! Reasons for an action, each with its sentence. Pure.

use std::fmt;

use super::secret_state::SecretState;

/// The reason for an action, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is explained at its check")]
pub enum Reason {
    SecretMissing,
    WrongType,
    OwnedByAnother,
    Unparsable,
    KeyMismatch,
    NameMissing,
    Expired,
    NotYetValid,
    DirectoryChanged,
    KeyTypeChanged,
    ProfileChanged,
    Revoked,
    RenewalDue,
    RenewalRequested,
}

impl Reason {
    /// Tells whether the certificate works and only a setting changed. These reasons queue behind all others, and one
    /// certificate goes first to prove the new setting.
    pub fn is_change(self) -> bool {
        matches!(self, Reason::DirectoryChanged | Reason::KeyTypeChanged | Reason::ProfileChanged)
    }

    /// Tells whether the last stored pair repairs the Secret without the CA, provided that it serves all wanted names:
    /// another writer deleted, emptied or overwrote it. A missing name counts as well: otherwise a writer of other
    /// certificates would use up the cap.
    pub(super) fn is_restorable(self) -> bool {
        use Reason::{KeyMismatch, NameMissing, SecretMissing, Unparsable};
        matches!(self, SecretMissing | Unparsable | KeyMismatch | NameMissing)
    }

    /// Tells whether the Secret belongs to another owner or purpose, and is left alone.
    pub fn is_refusal(self) -> bool {
        matches!(self, Reason::WrongType | Reason::OwnedByAnother)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A reason and its sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The reason.
    pub reason: Reason,
    /// The particulars.
    pub detail: String,
}

impl Violation {
    /// Adds the words of a CA.
    pub(super) fn with(self, words: Option<&str>) -> Violation {
        let words = words.map(|words| format!("; {words}")).unwrap_or_default();
        Violation { detail: self.detail + &words, ..self }
    }

    /// Adds the last writer of `current`, where the fault may be that writer's.
    pub(super) fn written_by(mut self, current: &SecretState) -> Violation {
        if let SecretState::Present(present) = current
            && let Some(writer) = &present.writer
            && (Reason::Unparsable..=Reason::NotYetValid).contains(&self.reason)
        {
            self.detail += &format!("; last written by {writer}");
        }
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.reason, self.detail)
    }
}
