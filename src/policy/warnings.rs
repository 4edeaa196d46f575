//! Warnings for a person about Secrets that are served nevertheless. Pure.

use super::input::{EvaluationInput, renewal_time_of};
use super::secret_state::{PairState, SecretState};
use crate::base::time::human;

/// A sentence for each.
pub(super) fn warnings(input: &EvaluationInput<'_>, usable: &[usize]) -> Vec<String> {
    let mut warnings = Vec::new();
    for place in usable {
        let SecretState::Present(present) = &input.secrets[*place] else {
            continue;
        };
        let secret = &input.entry.secrets[*place];
        if let PairState::Unchecked(_) = present.pair
            && input.entry.csr.is_some()
        {
            warnings.push(format!("the key in {secret} is not known to be that of the csr; one that is not goes when the next certificate is stored"));
        } else if let PairState::Unchecked(_) = present.pair {
            warnings.push(format!("the key in {secret} is of a kind that can not be read here; whether it belongs to the certificate is not checked"));
        }
        if let Some(facts) = present.pair.facts()
            && renewal_time_of(input, facts).renew_before_refused
        {
            warnings.push(format!(
                "renewBefore is two thirds or more of the {} that the certificate in {secret} lives, which would renew it for ever; it is renewed at the usual time",
                human(facts.lifetime())
            ));
        }
    }
    warnings
}
