//! The query of the page's address, which chooses certificates. Pure.
//!
//! Untrusted: the whole query. No text of it is repeated: the page names states and namespaces from its own tables. A part that is not
//! known hides nothing and is said.

use std::collections::BTreeSet;

use super::html::encoded;
use crate::server::snapshot::Snapshot;
use crate::status::certificate::CertificateStatus;
use crate::status::state::CertificateState;

/// The certificates to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// The state that all have; `None` for any.
    pub(super) state: Option<CertificateState>,
    /// The namespace in which each has a Secret; `None` for any.
    pub(super) namespace: Option<String>,
    /// Asks the browser to load the page again each minute.
    pub(super) reloads: bool,
}

/// The value of `reload` that is known.
const EACH_MINUTE: &str = "minute";

const UNKNOWN_STATE: &str = "The address names a state that does not exist: every state is shown.";
const UNKNOWN_NAMESPACE: &str =
    "The address names a namespace in which no certificate has a Secret: every namespace is shown.";
const UNKNOWN_PART: &str = "A part of the address is not known and does nothing.";

impl Filter {
    /// Reads the query of an address; `namespaces` are those that certificates are in. Returns a sentence for each part that is not known.
    pub(super) fn read(query: &str, namespaces: &BTreeSet<&str>) -> (Filter, Vec<&'static str>) {
        let (mut filter, mut unknown) = (Filter::default(), BTreeSet::new());
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value);
            match name {
                _ if value.is_empty() => {}
                "state" => match CertificateState::ALL.into_iter().find(|state| state.to_string() == value) {
                    Some(state) => filter.state = Some(state),
                    None => unknown.extend([UNKNOWN_STATE]),
                },
                "namespace" => match namespaces.get(value.as_str()) {
                    Some(namespace) => filter.namespace = Some((*namespace).to_owned()),
                    None => unknown.extend([UNKNOWN_NAMESPACE]),
                },
                "reload" if value == EACH_MINUTE => filter.reloads = true,
                _ => unknown.extend([UNKNOWN_PART]),
            }
        }
        (filter, unknown.into_iter().collect())
    }

    /// Shows a certificate that has the state and the namespace.
    pub(super) fn shows(&self, certificate: &CertificateStatus, snapshot: &Snapshot) -> bool {
        self.state.is_none_or(|state| snapshot.state(certificate) == state) && self.is_in(certificate)
    }

    /// Finds a Secret of the certificate in the namespace.
    fn is_in(&self, certificate: &CertificateStatus) -> bool {
        let is_named = |name: &String| certificate.secrets().iter().any(|at| *at.namespace == **name);
        self.namespace.as_ref().is_none_or(is_named)
    }

    /// The link to this choice, as the value of an attribute.
    pub(super) fn link(&self) -> String {
        let state = self.state.map(|state| format!("state={state}"));
        let namespace = self.namespace.as_ref().map(|namespace| format!("namespace={}", encoded(namespace)));
        let reload = self.reloads.then(|| format!("reload={EACH_MINUTE}"));
        let parts: Vec<String> = [state, namespace, reload].into_iter().flatten().collect();
        // Relative, so that the page also works behind a proxy with a path of its own; `?` alone drops the query.
        format!("?{}", parts.join("&amp;"))
    }
}

/// The value with its percent-encoded octets; what is no UTF-8 becomes a character that is in no name.
fn decoded(value: &str) -> String {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    while let Some((octet, more)) = rest.split_first() {
        rest = more;
        match (octet, more) {
            (b'%', [high, low, after @ ..]) if digit(high).and(digit(low)).is_some() => {
                let value = digit(high).zip(digit(low)).map_or(0, |(high, low)| high * 16 + low);
                octets.push(u8::try_from(value).unwrap_or_default());
                rest = after;
            }
            _ => octets.push(*octet),
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (String, usize) {
        let (filter, unknown) = Filter::read(query, &BTreeSet::from(["team-a", "default"]));
        (filter.link(), unknown.len())
    }

    #[test]
    fn a_query_is_a_state_and_a_namespace_and_what_is_not_known_is_said() {
        for (query, link, unknown) in [
            ("", "?", 0),
            ("state=Parked", "?state=Parked", 0),
            ("state=%50arked&namespace=team%2Da", "?state=Parked&amp;namespace=team-a", 0),
            ("namespace=default&reload=minute", "?namespace=default&amp;reload=minute", 0),
            ("state=&namespace=&&", "?", 0),
            ("state=parked", "?", 1),
            ("state=Parked&state=Nothing", "?state=Parked", 1),
            ("namespace=team-b&namespace=other", "?", 1),
            ("state=<script>&namespace=\"&page=2", "?", 3),
            ("state=%", "?", 1),
            ("state=%f&namespace=%ff", "?", 2),
            ("reload=hour", "?", 1),
        ] {
            assert_eq!(read(query), (link.to_owned(), unknown), "{query}");
        }
    }

    #[test]
    fn octets_are_decoded_and_the_rest_stays() {
        for (value, text) in [
            ("a%2Db", "a-b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%c3%bc", "ü"),
            ("%ff", "\u{fffd}"),
            ("ü%41", "üA"),
        ] {
            assert_eq!(decoded(value), text);
        }
    }
}
