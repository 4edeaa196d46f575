//! Sends one UPDATE to the first server that accepts it, and deletes the values again.
//!
//! The refusal of an UPDATE with several names does not say which name is meant. Each is then tried alone, so that the error names the
//! right ones.

use std::collections::BTreeSet;
use std::slice;

use crate::base::limits::{DNS_PLACE_WAIT, DNS_UPDATE_IN_ALL};
use crate::base::log::event;
use crate::base::name::DnsName;
use crate::base::shared_str::SharedStr;
use crate::base::time::{self, Deadline};
use crate::config::dns::Transport;
use crate::dns::client::{DnsClient, UpdateError};
use crate::dns::tsig::ValidationError;
use crate::dns::tsig_key::{self, TsigKey};
use crate::dns::tsig_key_error::TsigKeyError;
use crate::dns::tsig_secret::TsigSecret;
use crate::dns::update::{Action, TxtValue, Update};
use crate::dns::update_error::UpdateAttempt;
use crate::dns::wire::Rcode;
use crate::dns::zone::{NameServer, zone_shown_to};
use crate::issuance::circuits::TrialCall;
use crate::issuance::context::Context;
use crate::issuance::error::AttemptError;
use crate::policy::circuit::{CallResult, DnsTarget};
use crate::record::PresentedTxt;
use crate::store::Store;

/// Why no server accepted an UPDATE.
pub(super) struct UpdateOutcome {
    /// A name of the prerequisite has no records.
    pub(super) unused_name: bool,
    /// Each server refused, so that nothing was changed.
    pub(super) refused: bool,
    /// The last answer was verified, which proves that server and key work.
    pub(super) verified: bool,
    /// The first server that is not primary for the zone, and the key that was used.
    pub(super) not_primary: Option<Box<(NameServer, TsigKey)>>,
    /// The answer of each server to each key.
    pub(super) said: String,
}

/// A value that is never written. An UPDATE that deletes it changes nothing and is refused like any other.
pub(super) const NEVER_WRITTEN: &str = "notariat-probe-this-value-is-never-written";

/// Sends an UPDATE to the first server that accepts it under one of the keys. A refusal of the primary is final. Another server may be a
/// secondary, whose refusal means nothing.
pub(super) fn send(
    client: &DnsClient,
    (servers, primary_first): (&[NameServer], bool),
    keys: &[TsigKey],
    update: &Update<'_>,
    transport: Transport,
) -> Result<(NameServer, TsigKey), UpdateOutcome> {
    let deadline = Deadline::after(DNS_UPDATE_IN_ALL);
    let (mut said, mut refused, mut verified, mut not_primary) = (Vec::new(), true, false, None);
    for (rank, server) in servers.iter().enumerate() {
        let mut elsewhere = false;
        for (number, key) in keys.iter().enumerate() {
            let at = time::now();
            let Err(error) = client.update(server.address, update, key, transport, deadline) else {
                if number > 0 {
                    event!(
                        info,
                        "key-used",
                        server = server,
                        zone = update.zone,
                        key = key,
                        hint = "the ones before it were refused"
                    );
                }
                return Ok((server.clone(), key.clone()));
            };
            if error == UpdateError::Refused(Rcode::NXDOMAIN) {
                return Err(UpdateOutcome {
                    unused_name: true,
                    refused,
                    verified: true,
                    not_primary,
                    said: format!("{}: a name is not in use", update.zone),
                });
            }
            refused &= error.is_refusal();
            verified = matches!(error, UpdateError::Refused(_));
            if is_not_primary(&error) {
                not_primary.get_or_insert_with(|| Box::new((server.clone(), key.clone())));
            }
            let is_primary = primary_first && rank == 0;
            elsewhere = matches!(error, UpdateError::Unreachable(_) | UpdateError::NotSent(_));
            elsewhere |= is_not_primary(&error) || !is_primary && could_be_a_secondary(&error);
            // The server does not know this key and may know the next one. PowerDNS answers a wrong key this way, too.
            let another_key = matches!(
                error,
                UpdateError::Rejected(ValidationError::Explained(_) | ValidationError::Unsigned(Rcode::REFUSED))
            );
            said.push((UpdateAttempt { server, update, key, at }, error, is_primary));
            if !another_key {
                break;
            }
        }
        if !elsewhere {
            break;
        }
    }
    let said = said.iter().map(|(attempt, error, is_primary)| {
        let names = refused_alone(client, attempt, error, *is_primary, transport, deadline);
        attempt.sentence_about(error, &names)
    });
    Err(UpdateOutcome { unused_name: false, refused, verified, not_primary, said: said.collect::<Vec<_>>().join("; ") })
}

/// The names of a refused UPDATE that are refused alone; none where the error is about no name. BIND and PowerDNS sign such a refusal.
/// Knot answers BADKEY, which means a name only at the primary.
fn refused_alone(
    client: &DnsClient,
    attempt: &UpdateAttempt<'_>,
    error: &UpdateError,
    is_primary: bool,
    transport: Transport,
    deadline: Deadline,
) -> Vec<DnsName> {
    let UpdateAttempt { server, update: Update { zone, values, .. }, key, .. } = attempt;
    let owners: BTreeSet<&DnsName> = values.iter().map(|value| &value.owner).collect();
    let may_mean_a_name = match error {
        UpdateError::Refused(rcode) => *rcode == Rcode::REFUSED,
        UpdateError::Rejected(ValidationError::Explained(rcode)) => is_primary && *rcode == Rcode::BADKEY,
        UpdateError::Rejected(_) | UpdateError::Unreachable(_) | UpdateError::NotSent(_) => false,
    };
    let is_refused = |owner: &DnsName| {
        let values = [TxtValue { owner: owner.clone(), value: NEVER_WRITTEN.to_owned() }];
        let probe = Update { zone, action: Action::Delete, values: &values };
        client.update(server.address, &probe, key, transport, deadline).is_err_and(|e| e == *error)
    };
    match may_mean_a_name && owners.len() > 1 {
        true => owners.into_iter().filter(|owner| is_refused(owner)).cloned().collect(),
        false => Vec::new(),
    }
}

fn is_not_primary(error: &UpdateError) -> bool {
    matches!(
        error,
        UpdateError::Refused(Rcode::NOTAUTH) | UpdateError::Rejected(ValidationError::Unsigned(Rcode::NOTAUTH))
    )
}

/// The zone of these values as a server shows it to the holder of the key, after it answered that it is not primary for the zone of the
/// UPDATE. Public queries may see another view.
pub(super) fn zone_of_key(client: &DnsClient, not_done: &UpdateOutcome, values: &[TxtValue]) -> Option<DnsName> {
    let (server, key) = not_done.not_primary.as_deref()?;
    let zone = zone_shown_to(client, server, key, &values.first()?.owner)?;
    values.iter().all(|value| value.owner.is_within(&zone)).then_some(zone)
}

/// Tells whether secondaries answer an UPDATE with this error: BIND REFUSED, Knot BADKEY whatever the key, PowerDNS SERVFAIL (measured); NSD and others that know no UPDATE
/// NOTIMP.
fn could_be_a_secondary(error: &UpdateError) -> bool {
    match error {
        UpdateError::Refused(rcode) | UpdateError::Rejected(ValidationError::Unsigned(rcode)) => {
            matches!(*rcode, Rcode::REFUSED | Rcode::SERVFAIL | Rcode::NOTIMP)
        }
        UpdateError::Rejected(rejected) => matches!(rejected, ValidationError::Explained(_)),
        UpdateError::Unreachable(_) | UpdateError::NotSent(_) => false,
    }
}

/// Reads the TSIG keys of a Secret.
///
/// # Errors
/// One sentence that names the Secret and nothing of its content.
pub fn read_keys(store: &Store, key: &TsigSecret) -> Result<Vec<TsigKey>, String> {
    let TsigSecret { at, parts } = key;
    let secret = store.input(at).map_err(|e| format!("the TSIG key: {e}"))?;
    let secret = secret.ok_or_else(|| format!("the Secret {at} with the TSIG key does not exist"))?;
    let Some(parts) = parts else {
        let value =
            secret.value("key").ok_or_else(|| secret.lacks("key", " with a TSIG key (`[hmac:]name:base64`)"))?;
        return tsig_key::read_keys(value.expose()).map_err(|e| format!("the TSIG key in the Secret {at} {e}"));
    };
    let data_key = parts.secret_key();
    let value =
        secret.value(data_key).ok_or_else(|| secret.lacks(data_key, " with the secret of a TSIG key in base64"))?;
    let read = match std::str::from_utf8(value.expose()) {
        Ok(text) => TsigKey::from_parts(parts.algorithm().name(), parts.name().as_str(), text),
        Err(_) => Err(TsigKeyError::Base64),
    };
    let read = read.map_err(|e| format!("the TSIG key in the data key `{data_key}` of the Secret {at} {e}"))?;
    Ok(vec![read])
}

/// Deletes exactly these values.
///
/// # Errors
/// The names whose values are left behind, and why.
pub(in crate::issuance::solver) fn withdraw(context: &Context, published: &PresentedTxt) -> Result<(), String> {
    // Another replica may have the CA validate these values.
    context.leader.check().map_err(|failed| failed.error)?;
    let keys = read_keys(&context.store, &published.key)?;
    let PresentedTxt { zone, server, address, transport, values, .. } = published;
    let left = |said: String| {
        let owners: BTreeSet<&str> = values.iter().map(|v| v.owner.as_str()).collect();
        let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
        format!("TXT values at {owners} are left behind: {said}")
    };
    let dns_target = DnsTarget { server: *address, zone: zone.clone(), key: Some(published.key.clone()) };
    let trial = context
        .circuits
        .reserve(&dns_target)
        .map_err(|barred| left(AttemptError::barred(dns_target.clone(), barred).error))?;
    let trials: Vec<TrialCall<'_>> = trial.into_iter().collect();
    // Withdrawals have slots of their own, so that no attempt waits for a worker that holds its values.
    let entered = context.circuits.enter_all(
        slice::from_ref(&dns_target),
        &SharedStr::new(""),
        &trials,
        DNS_PLACE_WAIT,
        &context.stop,
    );
    let permits = entered.map_err(|(dns_target, barred)| left(AttemptError::barred(dns_target, barred).error))?;
    let server = NameServer { label: server.clone(), address: *address };
    let delete = |zone: &DnsName| {
        let update = Update { zone, action: Action::Delete, values };
        send(&context.dns, (slice::from_ref(&server), true), &keys, &update, *transport)
    };
    let done = delete(zone).or_else(|e| match zone_of_key(&context.dns, &e, values) {
        // The values were sent to the zone of the key's view, and the record was not written afterwards.
        Some(other) if other != *zone => delete(&other),
        _ => Err(e),
    });
    let passage = if done.as_ref().err().is_none_or(|e| e.verified) { CallResult::Good } else { CallResult::Bad };
    permits.iter().for_each(|permit| permit.went(passage));
    done.map(|_| ()).map_err(|e| left(e.said))
}
