//! An Issuer of Gardener as the settings of orders. Pure.

use std::sync::Arc;

use serde_json::Value;

use super::super::hosts::sentence;
use super::super::resource::{DescribedIssuer, IssuerScope, ObjectIssuer};
use crate::cert_manager::status::{IssuerReason, StateField, StateFields};
use crate::gardener::GardenerIssuer;

/// An Issuer as its watch showed it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GardenerIssuerFacts {
    /// The settings of orders; or why it serves nobody: the rest of a sentence that begins with the Issuer.
    pub(super) served: Result<Arc<ObjectIssuer>, String>,
    /// Sentences about fields that change nothing.
    pub(super) notes: Vec<String>,
    /// The type, in Gardener's words; `None` for none of them.
    of_type: Option<&'static str>,
}

/// The types of Issuers, as `spec` and `status.type` name them.
const TYPES: [&str; 3] = ["acme", "ca", "selfSigned"];

impl GardenerIssuerFacts {
    /// Reads an Issuer.
    pub(super) fn read(object: &Value) -> GardenerIssuerFacts {
        let of_type = TYPES.into_iter().find(|name| !object["spec"][*name].is_null());
        match GardenerIssuer::read(object) {
            Err(why) => GardenerIssuerFacts { served: Err(sentence(&why)), notes: Vec::new(), of_type },
            Ok(GardenerIssuer { issuer, without_effect }) => GardenerIssuerFacts {
                served: Ok(Arc::new(ObjectIssuer::new(issuer, IssuerScope::Cluster))),
                notes: without_effect,
                of_type,
            },
        }
    }

    /// The use of the Issuer.
    pub(super) fn described(&self) -> DescribedIssuer {
        match &self.served {
            Ok(issuer) => DescribedIssuer::Usable(issuer.clone()),
            Err(why) => DescribedIssuer::Faulty(IssuerReason::InvalidConfig, format!("it {why}")),
        }
    }

    /// The fields of the status that say what the Issuer is.
    pub(super) fn status_fields(&self) -> StateFields {
        let quota = self.served.as_ref().ok().and_then(|served| served.issuer.orders_per_day);
        let is = |value: Option<Value>| value.map_or(StateField::Absent, StateField::Is);
        StateFields::from([
            ("type", is(self.of_type.map(Value::from))),
            ("requestsPerDayQuota", is(quota.map(Value::from))),
        ])
    }
}
