//! Sends one UPDATE: to the first server that does it, under the first key that it knows; and withdraws what was added.

use std::collections::BTreeSet;

use super::Context;
use crate::config::dns::Transport;
use crate::dns::client::{Client, UpdateError};
use crate::dns::explain::Attempt;
use crate::dns::key::{self, TsigKey};
use crate::dns::tsig::Rejected;
use crate::dns::update::{Action, Update};
use crate::dns::wire::Rcode;
use crate::dns::zone::Server;
use crate::limits::DNS_UPDATE_IN_ALL;
use crate::log::event;
use crate::name::ObjectRef;
use crate::record::{Leftover, Published};
use crate::store::Store;
use crate::time::{self, Deadline, Time};

/// Why an UPDATE was done nowhere.
pub(super) struct NotDone {
    /// A name that had to be in use is not.
    pub(super) unused_name: bool,
    /// Each server that was asked said no: nothing was changed.
    pub(super) refused: bool,
    /// What each server said to each key.
    pub(super) said: String,
}

/// Sends an UPDATE to the first server that does it under the first key that it knows. What the primary refuses is refused; of other
/// servers nobody knows whether they are secondaries, which refuse as well.
pub(super) fn send(
    client: &Client,
    (servers, primary_first): (&[Server], bool),
    keys: &[TsigKey],
    update: &Update<'_>,
    transport: Transport,
) -> Result<(Server, TsigKey), NotDone> {
    let deadline = Deadline::after(DNS_UPDATE_IN_ALL);
    let (mut said, mut refused) = (Vec::new(), true);
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
                return Err(NotDone {
                    unused_name: true,
                    refused,
                    said: format!("{}: a name is not in use", update.zone),
                });
            }
            said.push(Attempt { server, update, key, at }.sentence(&error));
            refused &= error.is_refusal();
            elsewhere = matches!(
                error,
                UpdateError::Unreachable(_)
                    | UpdateError::Refused(Rcode::NOTAUTH)
                    | UpdateError::Rejected(Rejected::Unsigned(Rcode::NOTAUTH))
            );
            elsewhere |= !(primary_first && rank == 0) && could_be_a_secondary(&error);
            // The server does not know this key, or says nothing else to a wrong one (PowerDNS): perhaps it knows the next.
            let another_key =
                matches!(error, UpdateError::Rejected(Rejected::Explained(_) | Rejected::Unsigned(Rcode::REFUSED)));
            if !another_key {
                break;
            }
        }
        if !elsewhere {
            break;
        }
    }
    Err(NotDone { unused_name: false, refused, said: said.join("; ") })
}

/// What secondaries say to an UPDATE: BIND REFUSED, Knot BADKEY whatever the key, PowerDNS SERVFAIL (measured).
fn could_be_a_secondary(error: &UpdateError) -> bool {
    match error {
        UpdateError::Refused(rcode) | UpdateError::Rejected(Rejected::Unsigned(rcode)) => {
            matches!(*rcode, Rcode::REFUSED | Rcode::SERVFAIL)
        }
        UpdateError::Rejected(rejected) => matches!(rejected, Rejected::Explained(_)),
        UpdateError::Unreachable(_) => false,
    }
}

/// Reads the TSIG keys of a Secret.
///
/// # Errors
/// One sentence that names the Secret and nothing of its content.
pub fn read_keys(store: &Store, at: &ObjectRef) -> Result<Vec<TsigKey>, String> {
    let secret = store.secret(at).map_err(|e| format!("the TSIG key: {e}"))?;
    let secret = secret.ok_or_else(|| format!("the Secret {at} with the TSIG key does not exist"))?;
    let value = secret
        .value("key")
        .ok_or_else(|| format!("the Secret {at} has no data key `key` with a TSIG key ([hmac:]name:base64)"))?;
    key::read_keys(value.expose()).map_err(|e| format!("the TSIG key in the Secret {at} {e}"))
}

/// Deletes exactly these values.
fn withdraw(context: &Context, published: &Published) -> Result<(), String> {
    // They may be what another replica waits for the CA to see.
    context.lead.check().map_err(|failed| failed.error)?;
    let keys = read_keys(&context.store, &published.key)?;
    let Published { zone, server, address, transport, values, .. } = published;
    let server = Server { label: server.clone(), address: *address };
    let update = Update { zone, action: Action::Delete, values };
    send(&context.dns, (&[server], true), &keys, &update, *transport).map(|_| ()).map_err(|e| {
        let owners: BTreeSet<&str> = values.iter().map(|v| v.owner.as_str()).collect();
        let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
        format!("TXT values at {owners} are left behind: {}", e.said)
    })
}

/// Withdraws each, the last published first, and returns what is left behind.
pub fn withdraw_each(context: &Context, published: Vec<Published>, since: Time) -> Vec<Leftover> {
    let mut left = Vec::new();
    for published in published.into_iter().rev() {
        if let Err(error) = withdraw(context, &published) {
            event!(warn, "left-behind", zone = published.zone, error = error);
            left.push(Leftover { since, published });
        }
    }
    left
}
