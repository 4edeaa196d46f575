//! The fields whose values are words, and the issuers that every ConfigMap has. Pure data.

use crate::base::challenge_type::{ChallengeType, ReachCheck};
use crate::cert::key::KeyType;
use crate::dns::settings::{OnWildcardHost, Propagation, Transport};
use crate::dns::tsig_key::Algorithm;

/// The words of `propagation`.
pub const PROPAGATIONS: [(&str, Propagation); 3] =
    [("all", Propagation::All), ("primary", Propagation::Primary), ("none", Propagation::None)];
/// The words of `transport`.
pub const TRANSPORTS: [(&str, Transport); 3] =
    [("auto", Transport::Auto), ("tcp", Transport::Tcp), ("udp", Transport::Udp)];
/// The words of `onWildcardHost`.
pub const ON_WILDCARD_HOST: [(&str, OnWildcardHost); 2] =
    [("warn", OnWildcardHost::Warn), ("refuse", OnWildcardHost::Refuse)];
/// The words of `keyType`.
pub const KEY_TYPES: [(&str, KeyType); 5] = [
    (KeyType::EcdsaP256.name(), KeyType::EcdsaP256),
    (KeyType::EcdsaP384.name(), KeyType::EcdsaP384),
    (KeyType::Rsa2048.name(), KeyType::Rsa2048),
    (KeyType::Rsa3072.name(), KeyType::Rsa3072),
    (KeyType::Rsa4096.name(), KeyType::Rsa4096),
];

/// The words of `challenge`.
pub const CHALLENGES: [(&str, ChallengeType); 2] =
    [(ChallengeType::Dns01.name(), ChallengeType::Dns01), (ChallengeType::Http01.name(), ChallengeType::Http01)];
/// The words of `check` in `http`.
pub const CHECKS: [(&str, ReachCheck); 2] = [("auto", ReachCheck::Auto), ("off", ReachCheck::Off)];

/// The issuers that every ConfigMap has: name and directory.
pub const BUILT_IN_ISSUERS: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];

/// The words of a table of words.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the compiler runs it: a fault is an error of the build"
)]
pub(super) const fn words<T, const N: usize>(table: &[(&'static str, T); N]) -> [&'static str; N] {
    let (mut all, mut at) = ([""; N], 0);
    while at < N {
        all[at] = table[at].0;
        at += 1;
    }
    all
}

pub(super) const PROPAGATION_WORDS: [&str; PROPAGATIONS.len()] = words(&PROPAGATIONS);
pub(super) const TRANSPORT_WORDS: [&str; TRANSPORTS.len()] = words(&TRANSPORTS);
pub(super) const ON_WILDCARD_HOST_WORDS: [&str; ON_WILDCARD_HOST.len()] = words(&ON_WILDCARD_HOST);
pub(super) const CHALLENGE_WORDS: [&str; CHALLENGES.len()] = words(&CHALLENGES);
pub(super) const CHECK_WORDS: [&str; CHECKS.len()] = words(&CHECKS);
/// The words of `algorithm` in `tsigKey`.
#[expect(clippy::indexing_slicing, reason = "the compiler runs it: a fault is an error of the build")]
pub(super) const ALGORITHM_WORDS: [&str; Algorithm::ALL.len()] = {
    let (mut all, mut at) = ([""; Algorithm::ALL.len()], 0);
    while at < all.len() {
        all[at] = Algorithm::ALL[at].name();
        at += 1;
    }
    all
};
pub(super) const KEY_TYPE_WORDS: [&str; KEY_TYPES.len()] = words(&KEY_TYPES);
