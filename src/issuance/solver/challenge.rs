//! The interface of solvers.

use crate::acme::jws::AccountKey;
use crate::base::challenge_type::ChallengeType;
use crate::base::name::Domain;
use crate::issuance::error::AttemptError;
use crate::record::Presented;

/// A challenge of an authorization that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChallengeRequest {
    /// The ordered name.
    pub name: Domain,
    /// The token, base64url.
    pub token: String,
    /// The URL of the challenge.
    pub url: String,
    /// The URL of the authorization.
    pub authorization: String,
}

/// A way to answer challenges. The methods are called in this order, once for each order.
pub trait Solver {
    /// The type of the challenge that is answered for a name.
    fn challenge_type(&self, name: &Domain) -> ChallengeType;

    /// Checks the configured policy before anything is ordered.
    ///
    /// # Errors
    /// The policy that forbids the order.
    fn check(&self) -> Result<(), AttemptError>;

    /// Computes the values and reserves what is needed to present them. Returns what will be presented. Nothing is changed.
    ///
    /// # Errors
    /// Why the values cannot be presented now.
    fn prepare(
        &mut self,
        account: &AccountKey,
        challenges: &[ChallengeRequest],
    ) -> Result<Vec<Presented>, AttemptError>;

    /// Presents the values. Returns where they are.
    ///
    /// # Errors
    /// Why not, and what may be there nevertheless.
    fn present(&mut self) -> Result<Vec<Presented>, NotPresented>;

    /// Waits until a CA would see the values.
    ///
    /// # Errors
    /// Where the values are not visible in time.
    fn wait_visible(&mut self) -> Result<(), AttemptError>;

    /// Notes that the CA found all values.
    fn validated(&mut self) {}

    /// Removes presented values and releases what was reserved.
    ///
    /// # Errors
    /// One sentence about what is left.
    fn clean_up(&mut self, presented: &Presented) -> Result<(), String>;
}

/// Why values were not presented.
#[derive(Debug)]
pub struct NotPresented {
    /// The failure.
    pub failed: Box<AttemptError>,
    /// The values that may be there nevertheless.
    pub left: Vec<Presented>,
}
