//! Which of the chains that a CA offers for one certificate is taken.

use super::order::Run;
use super::{Failed, of_acme};
use crate::acme::client::Account;
use crate::acme::requests::Download;
use crate::cert::bundle::CheckedBundle;
use crate::cert::facts::{parse, read};
use crate::decide::attempts::Stage;
use crate::log::event;
use crate::secret::Secret;
use crate::time;

impl Run<'_> {
    /// Downloads the certificate with the chain that the issuer prefers, by the issuer of its last certificate; with the CA's own
    /// choice where there is no such chain. The root is not part of a chain, so its name is all that tells them apart.
    pub(super) fn download(&self, account: &Account, url: &str, key: &Secret<Vec<u8>>) -> Result<Download, Failed> {
        let download = self.ca.certificate(account, url).map_err(|e| of_acme(Stage::Download, &e))?;
        let preferred = self.wanted.issuer.as_ref().and_then(|issuer| issuer.preferred_chain.as_deref());
        let Some(preferred) = preferred else { return Ok(download) };
        let mut offered = vec![root_of(&download.chain)];
        if offered[0].as_deref() == Some(preferred) {
            return Ok(download);
        }
        for alternate in &download.alternates {
            // One that fails, or could not be stored, is passed over: the CA's own choice is there already.
            let Ok(other) = self.ca.certificate(account, alternate) else { continue };
            let root = root_of(&other.chain);
            let now = other.date.unwrap_or_else(time::now);
            let is_sound = || CheckedBundle::check(&other.chain, key.clone(), &self.wanted.entry.domains, now).is_ok();
            if root.as_deref() == Some(preferred) && is_sound() {
                return Ok(other);
            }
            offered.push(root);
        }
        let offered: Vec<String> = offered.into_iter().flatten().collect();
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
        Ok(download)
    }
}

/// The common name of the issuer of the last certificate.
fn root_of(chain: &[u8]) -> Option<String> {
    let (certificates, _) = read(chain).ok()?;
    let last = parse(certificates.last()?).ok()?;
    let name = last.issuer().iter_common_name().next()?.as_str().ok()?.to_owned();
    Some(name)
}
