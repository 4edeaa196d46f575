//! The field `csr` of an entry beside the fields that it makes needless or impossible. Pure.

use super::fields::{FieldError, require};
use super::node::YamlNode;
use crate::base::name::Domain;
use crate::cert::request::CertificateRequest;

/// The fields for keys that are made here. Beside a CSR they are refused in an entry, and not taken from `defaults`.
pub(super) const OF_OWN_KEYS: [&str; 2] = ["keyType", "reuseKey"];

/// Tells whether an entry has a CSR, with a fault or without.
pub(super) fn is_given(node: &YamlNode) -> bool {
    node.get("csr").is_some_and(|csr| *csr != YamlNode::Null)
}

/// The names of an entry, sorted: those of its CSR, which `written` ones must equal; else the `written` ones.
pub(super) fn names(
    node: &YamlNode,
    written: Option<Vec<Domain>>,
    csr: Option<&CertificateRequest>,
    faults: &mut Vec<FieldError>,
) -> Vec<Domain> {
    let is_given = is_given(node);
    let fault = |field: &str, sentence: String| FieldError { field: field.to_owned(), sentence };
    if written.is_none() && !is_given {
        require("domains", "the names of the certificate", node, faults);
    }
    let is_written = written.is_some();
    let mut names = written.unwrap_or_default();
    names.sort();
    names.dedup();
    names.shrink_to_fit();
    let is_empty = is_written && names.is_empty() && !is_given;
    if is_empty && !faults.iter().any(|f| f.field.starts_with("domains")) {
        faults.push(fault("domains", "is an empty list; a certificate needs a name".to_owned()));
    }
    let beside = OF_OWN_KEYS.iter().filter(|field| is_given && node.get(field).is_some());
    faults
        .extend(beside.map(|field| fault(field, "is for keys that are made here, and the csr has its own".to_owned())));
    let Some(csr) = csr else { return names };
    if is_written && names != csr.names() {
        let asked: Vec<String> = csr.names().iter().map(Domain::to_string).collect();
        let sentence = format!("are not the names of the csr, which asks for {}; leave them out", asked.join(", "));
        faults.push(fault("domains", sentence));
    }
    csr.names().to_vec()
}
