//! The commands that name a Secret: what is asked of a running notariat, or of the CA.

use super::Flags;
use crate::acme::requests::{REASONS, code};

/// What is asked of a running notariat, or of the CA.
#[derive(Debug)]
pub enum SecretAction {
    /// `renew`: a renewal.
    Renew {
        /// The Secret, `name` or `namespace/name`.
        secret: String,
        /// Also where the cap says no.
        force: bool,
    },
    /// `revoke`: a replacement and a revocation.
    Revoke {
        /// The Secret, `name` or `namespace/name`.
        secret: String,
        /// Why, a word of RFC 5280.
        reason: String,
    },
    /// `account rollover`: a new key for an account.
    Rollover {
        /// The Secret of the account.
        account: String,
    },
}

impl Flags {
    /// The wish that a command makes of the name behind it.
    pub(super) fn wish(&mut self, word: &str) -> Result<Box<dyn Fn(String) -> SecretAction>, String> {
        Ok(match word {
            "renew" => {
                let force = self.switch("force");
                Box::new(move |secret| SecretAction::Renew { secret, force })
            }
            "revoke" => {
                let known = |word: &str| match code(word) {
                    Some(_) => Ok(word.to_owned()),
                    None => Err(format!("is none of {}", REASONS.map(|(name, _)| name).join(", "))),
                };
                let reason = self.value("reason", known)?.unwrap_or_else(|| REASONS[0].0.to_owned());
                Box::new(move |secret| SecretAction::Revoke { secret, reason: reason.clone() })
            }
            "account" => match self.0.subcommand() {
                Ok(Some(what)) if what == "rollover" => Box::new(|account| SecretAction::Rollover { account }),
                Ok(_) | Err(_) => return Err("account knows one command, rollover (-h shows all)".to_owned()),
            },
            _ if crate::base::sanitize::has_credentials(word) => {
                return Err("an address is neither a command nor a flag (-h shows all)".to_owned());
            }
            _ => return Err(format!("{word:?} is neither a command nor a flag (-h shows all)")),
        })
    }
}
