//! Downloads a certificate and selects one of the chains that the CA offers (RFC 8555 section 7.4.2).

use super::error::{AttemptError, of_acme};
use super::key_source::KeySource;
use super::order::Orders;
use crate::acme::client::Account;
use crate::acme::requests::CertificateChain;
use crate::base::log::event;
use crate::base::time;
use crate::cert::bundle::{BundleError, CheckedBundle};
use crate::cert::facts::{certificates, parse};
use crate::policy::backoff::{RetryClass, Stage};

/// Why there is no certificate to store.
pub enum ChainProblem {
    /// The download failed.
    NotSent(AttemptError),
    /// The CA's default chain fails a check, and would fail it again.
    NotSound(AttemptError),
}

impl Orders<'_> {
    /// Downloads the certificate with the chain whose last certificate was issued by `preferredChain`, else with the CA's default chain.
    /// A chain does not contain its root, so chains are told apart by the name of the last issuer.
    ///
    /// # Errors
    /// Why there is no certificate to store.
    pub fn download(&self, account: &Account, url: &str, key: &KeySource) -> Result<CheckedBundle, ChainProblem> {
        let checked = |download: &CertificateChain| {
            let judged_at = download.date.unwrap_or_else(time::now);
            key.check(&download.chain, &self.wanted.entry.domains, judged_at)
        };
        let first =
            self.ca.certificate(account, url).map_err(|e| ChainProblem::NotSent(of_acme(Stage::Download, &e)))?;
        let own = checked(&first);
        let preferred = self.wanted.issuer.as_ref().and_then(|issuer| issuer.preferred_chain.as_deref());
        let preferred = preferred.filter(|name| own.as_ref().ok().and_then(root_of).as_deref() != Some(name));
        let Some(preferred) = preferred else { return self.cleaned(own) };
        let mut offered: Vec<String> = own.as_ref().ok().and_then(root_of).into_iter().collect();
        for alternate in &first.alternates {
            // An alternate chain that fails is skipped. The default chain is there already.
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
