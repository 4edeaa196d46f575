//! The contents of the ConfigMap of one namespace.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::name::{DnsName, Domain};

/// How UPDATEs for a name are sent and signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UpdateAccess {
    pub(super) server: String,
    /// The Secret that notariat reads.
    pub(super) secret: String,
    /// The command that makes this Secret from cert-manager's.
    pub(super) command: String,
}

impl UpdateAccess {
    /// The fields of an item of `zones`. `protocol: TCP` has no field: TCP is tried first.
    pub(super) fn fields(&self) -> FieldMap {
        vec![("server", self.server.as_str().into()), ("tsigSecretName", self.secret.as_str().into())]
    }

    /// The fields `tsigSecretName` and `dns` of an entry.
    pub(super) fn entry_fields(&self) -> FieldMap {
        let dns = serde_json::json!({"server": self.server});
        vec![("tsigSecretName", self.secret.as_str().into()), ("dns", dns)]
    }
}

/// The issuers, zones and entries for one namespace.
#[derive(Debug, Default)]
pub(super) struct Placement {
    pub(super) issuers: BTreeMap<String, FieldMap>,
    pub(super) zones: BTreeMap<String, UpdateAccess>,
    pub(super) entries: Vec<FieldMap>,
    /// The names whose entries have their own server and key.
    pub(super) alone: Vec<(Domain, UpdateAccess)>,
    /// Steps for the operator, each once.
    pub(super) to_do: Vec<String>,
}

impl Placement {
    /// Adds a step for the operator.
    pub(super) fn remind(&mut self, sentence: String) {
        if !self.to_do.contains(&sentence) {
            self.to_do.push(sentence);
        }
    }

    /// Adds the step that makes the Secret of the TSIG key.
    pub(super) fn needs_key(&mut self, update: &UpdateAccess) {
        self.remind(format!("make the Secret of the TSIG key: {}", update.command));
    }

    /// A sentence for each name that an item of `zones`, made for another Certificate, would send elsewhere than its own entry.
    pub(super) fn misled(&self) -> impl Iterator<Item = String> {
        let zones: Vec<_> =
            self.zones.iter().filter_map(|(zone, update)| Some((DnsName::parse(zone).ok()?, update))).collect();
        self.alone.iter().filter_map(move |(domain, update)| {
            let enclosing = zones.iter().filter(|(zone, _)| domain.base().is_within(zone));
            let (zone, _) = enclosing.max_by_key(|(zone, _)| zone.as_str().len()).filter(|(_, rule)| *rule != update)?;
            Some(format!("{domain}: the rule for {zone} in `zones` leads it to another server or key than its solver: give it a ConfigMap of its own"))
        })
    }
}

/// The fields of a mapping in the order in which they are printed.
pub(super) type FieldMap = Vec<(&'static str, Value)>;
