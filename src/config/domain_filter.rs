//! The field `domains` of an issuer: the names that the issuer may be used for. Pure.

use std::fmt;

use serde::Serialize;

use super::fields::{FieldError, MapReader};
use super::node::YamlNode;
use super::table::DOMAIN_FILTER;
use crate::base::limits::NAMES_SHOWN_MAX;
use crate::base::name::{DnsName, Domain};

/// A set of names, given by zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DomainFilter {
    /// Names at and below these; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<DnsName>,
    /// But not at and below these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<DnsName>,
}

impl DomainFilter {
    /// Tells whether the set contains every name.
    pub fn is_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Tells whether the set contains the name.
    pub fn holds(&self, domain: &Domain) -> bool {
        let within = |zones: &[DnsName]| zones.iter().any(|zone| domain.base().is_within(zone));
        (self.include.is_empty() || within(&self.include)) && !within(&self.exclude)
    }
}

impl fmt::Display for DomainFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |zones: &[DnsName]| {
            let shown = zones.iter().take(NAMES_SHOWN_MAX).map(DnsName::as_str).collect::<Vec<_>>().join(", ");
            match zones.len().saturating_sub(NAMES_SHOWN_MAX) {
                0 => shown,
                more => format!("{shown} and {more} more"),
            }
        };
        match self.include.is_empty() {
            true => f.write_str("all names")?,
            false => write!(f, "names at and below {}", joined(&self.include))?,
        }
        if !self.exclude.is_empty() {
            write!(f, " but not {}", joined(&self.exclude))?;
        }
        Ok(())
    }
}

/// Reads the field.
pub(super) fn read(node: &YamlNode, faults: &mut Vec<FieldError>) -> DomainFilter {
    let mut fields = MapReader::of(node, DOMAIN_FILTER, "domains", faults);
    let range = DomainFilter {
        include: fields.list("include", faults, DnsName::parse_unicode).unwrap_or_default(),
        exclude: fields.list("exclude", faults, DnsName::parse_unicode).unwrap_or_default(),
    };
    if matches!(node, YamlNode::Map(_)) {
        fields.finish(faults);
    }
    range
}
