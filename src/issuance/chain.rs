//! Which of the chains that a CA offers for one certificate is taken.

use super::order::OrderRun;
use super::{AttemptError, of_acme};
use crate::acme::client::Account;
use crate::acme::requests::CertificateChain;
use crate::base::log::event;
use crate::base::secret::Secret;
use crate::base::time;
use crate::cert::bundle::{BundleError, CheckedBundle};
use crate::cert::facts::{certificates, parse};
use crate::policy::backoff::{RetryClass, Stage};

/// Why there is nothing to store.
pub(super) enum ChainProblem {
    /// It can not be had now.
    NotSent(AttemptError),
    /// The CA's own choice is not sound, and would be the same the next time.
    NotSound(AttemptError),
}

impl OrderRun<'_> {
    /// Downloads the certificate with the chain that the issuer prefers, by the issuer of its last certificate; with the CA's own
    /// choice where there is no such chain. The root is not part of a chain, so its name is all that tells them apart.
    pub(super) fn download(
        &self,
        account: &Account,
        url: &str,
        key: &Secret<Vec<u8>>,
    ) -> Result<CheckedBundle, ChainProblem> {
        let checked = |download: &CertificateChain| {
            let judged_at = download.date.unwrap_or_else(time::now);
            CheckedBundle::check(&download.chain, key.clone(), &self.wanted.entry.domains, judged_at)
        };
        let first =
            self.ca.certificate(account, url).map_err(|e| ChainProblem::NotSent(of_acme(Stage::Download, &e)))?;
        let own = checked(&first);
        let preferred = self.wanted.issuer.as_ref().and_then(|issuer| issuer.preferred_chain.as_deref());
        let preferred = preferred.filter(|name| own.as_ref().ok().and_then(root_of).as_deref() != Some(name));
        let Some(preferred) = preferred else { return self.cleaned(own) };
        let mut offered: Vec<String> = own.as_ref().ok().and_then(root_of).into_iter().collect();
        for alternate in &first.alternates {
            // One that fails, or could not be stored, is passed over: the CA's own choice is there already.
            let Ok(other) = self.ca.certificate(account, alternate) else { continue };
            let Ok(other) = checked(&other) else { continue };
            let root = root_of(&other);
            if root.as_deref() == Some(preferred) {
                return self.cleaned(Ok(other));
            }
            offered.extend(root);
        }
        let secret = self.wanted.entry.main_secret();
        let hint = "the CA's default chain is stored; correct `preferredChain`";
        event!(
            warn,
            "no-such-chain",
            secret = secret,
            preferred = preferred,
            offered = offered.join(", "),
            hint = hint
        );
        self.cleaned(own)
    }

    fn cleaned(&self, bundle: Result<CheckedBundle, BundleError>) -> Result<CheckedBundle, ChainProblem> {
        let bundle = bundle.map_err(|e| {
            let error = format!("what the CA sent is not stored: {e}");
            ChainProblem::NotSound(AttemptError::new(Stage::Download, RetryClass::Policy, error))
        })?;
        if !bundle.dropped().is_empty() {
            let (secret, dropped) = (self.wanted.entry.main_secret(), bundle.dropped().join(", "));
            event!(warn, "chain-cleaned", secret = secret, dropped = dropped, hint = "the rest of the chain is stored");
        }
        Ok(bundle)
    }
}

/// The common name of the issuer of the last certificate.
fn root_of(bundle: &CheckedBundle) -> Option<String> {
    let certificates = certificates(bundle.chain()).ok()?;
    let last = parse(certificates.last()?).ok()?;
    let name = last.issuer().iter_common_name().next()?.as_str().ok()?.to_owned();
    Some(name)
}
