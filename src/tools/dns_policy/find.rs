//! The place of each challenge as the controller finds it, by questions to `-resolver` and to the zones' servers.

use std::cell::Cell;
use std::time::Duration;

use super::keys::KeySecrets;
use crate::base::address::ServerAddress;
use crate::base::limits::POLICY_FIND_FAILED;
use crate::base::name::Domain;
use crate::base::time::Stopwatch;
use crate::dns::client::DnsClient;
use crate::dns::resolver::Resolver;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::zone::{ChallengeLocation, LocationError, ZoneFinder};
use crate::dns::zone_policy::ZonePolicy;

/// Looks up zones, and remembers what was not found.
pub(super) struct Finder<'k> {
    client: DnsClient,
    resolver: Resolver,
    keys: &'k KeySecrets,
    /// The time that was spent on look-ups that failed.
    lost: Duration,
    /// A sentence for each name that was not found.
    pub(super) remarks: Vec<String>,
}

impl<'k> Finder<'k> {
    pub(super) fn new(resolver: ServerAddress, keys: &'k KeySecrets) -> Finder<'k> {
        let resolver = Resolver::Server(resolver);
        Finder { client: DnsClient::default(), resolver, keys, lost: Duration::ZERO, remarks: Vec::new() }
    }

    /// The place of the challenge of `domain`, or `None` with a remark. Once [`POLICY_FIND_FAILED`] was spent in vain, no further name is
    /// looked up.
    pub(super) fn find(&mut self, rules: ZonePolicy<'_>, domain: &Domain) -> Option<ChallengeLocation> {
        if self.lost > POLICY_FIND_FAILED {
            self.remarks.push(format!("{domain}: not looked up, because the names before it took too long"));
            return None;
        }
        let first_key = |secret: &TsigSecret| self.keys.read(secret)?.ok()?.into_iter().next();
        let finder = ZoneFinder {
            client: &self.client,
            resolver: &self.resolver,
            rules,
            admit: &|_| Ok(()),
            answered: &Cell::new(false),
            first_key: &first_key,
        };
        let watch = Stopwatch::start();
        match finder.find(domain) {
            Ok(found) => Some(found),
            Err(e) => {
                self.lost += watch.elapsed();
                // Every target is admitted.
                if let LocationError::Failed(sentence) = e {
                    self.remarks.push(format!("{domain}: {sentence}"));
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::entry::Entry;
    use crate::config::node;

    #[test]
    fn after_too_much_time_in_vain_nobody_is_asked() {
        let keys = KeySecrets::Manifest(Default::default());
        // Nobody listens there, so a question fails at once.
        let mut finder = Finder::new("127.0.0.1:9".parse().unwrap(), &keys);
        let entry = node::read("{secret: s, domains: [a.test], tsigSecretName: k}").unwrap();
        let entry = Entry::read(&entry, &"t".into()).unwrap();
        let mut find = |lost| {
            finder.lost = lost;
            assert!(finder.find(entry.zone_policy(&[]), &entry.domains[0]).is_none());
            finder.remarks.pop().unwrap()
        };
        assert!(find(Duration::ZERO).starts_with("a.test: resolver 127.0.0.1:9 does not answer"));
        assert_eq!(
            find(POLICY_FIND_FAILED + Duration::from_secs(1)),
            "a.test: not looked up, because the names before it took too long"
        );
    }
}
