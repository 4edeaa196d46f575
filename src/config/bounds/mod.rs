//! The size of a YAML text, measured before a parser sees the text. Pure.
//!
//! libyaml looks at every open `[` and `{` for each token, so the time for deep nesting grows with the square of the text. The parser keeps
//! some 150 octets for each node, so a text of short nodes takes a hundred times its own memory. The scan here takes one step for each
//! octet and allocates nothing but a stack of indentations with a bounded height.
//!
//! The scan follows the rules of libyaml's scanner (`yaml_parser_fetch_next_token`) up to the first fault of the text. Behind a fault the
//! counts have no meaning, and the parser does not get there.

use std::collections::BTreeMap;

use crate::base::limits::{
    CONFIG_DEPTH_MAX, CONFIG_DIRECTIVES_MAX, CONFIG_MAP_OCTETS_MAX, CONFIG_NODES_MAX, MANIFEST_DEPTH_MAX,
    MANIFEST_NODES_MAX,
};
use scanner::Scanner;

#[expect(
    clippy::arithmetic_side_effects,
    reason = "places, columns, levels and nodes: each octet of a text that is in memory adds 6 at most"
)]
mod scanner;

/// The bounds of one text.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    depth: usize,
    nodes: usize,
}

/// Checks the keys of a ConfigMap that are read as YAML.
///
/// # Errors
/// A sentence that names the key.
pub(super) fn check<'d>(texts: impl Iterator<Item = (&'d str, &'d str)>) -> Result<(), String> {
    let (mut octets, mut left) = (0, CONFIG_NODES_MAX);
    for (key, text) in texts {
        octets = usize::saturating_add(octets, text.len());
        if octets > CONFIG_MAP_OCTETS_MAX {
            return Err(format!(
                "key `{key}`: with it there are {octets} octets; a ConfigMap may have {CONFIG_MAP_OCTETS_MAX}: give some to another one"
            ));
        }
        let bounds = Bounds { depth: CONFIG_DEPTH_MAX, nodes: left };
        let nodes = within(text, bounds).map_err(|e| match e {
            Exceeded::Nodes(line) => {
                format!(
                    "key `{key}`: with line {line} there are {CONFIG_NODES_MAX} values and fields, more than a ConfigMap may have"
                )
            }
            other => format!("key `{key}`: {}", other.sentence(bounds)),
        })?;
        left = usize::saturating_sub(left, nodes);
    }
    Ok(())
}

/// Checks one document of a configuration.
///
/// # Errors
/// A sentence that begins with the line.
pub(super) fn check_document(text: &str) -> Result<(), String> {
    let bounds = Bounds { depth: CONFIG_DEPTH_MAX, nodes: CONFIG_NODES_MAX };
    within(text, bounds).map(drop).map_err(|e| e.sentence(bounds))
}

/// Checks a manifest of any objects of Kubernetes.
///
/// # Errors
/// A sentence that begins with the line.
pub fn check_manifest(text: &str) -> Result<(), String> {
    let bounds = Bounds { depth: MANIFEST_DEPTH_MAX, nodes: MANIFEST_NODES_MAX };
    within(text, bounds).map(drop).map_err(|e| e.sentence(bounds))
}

/// The keys that are read as YAML, in the order in which the reader needs them.
pub(super) fn texts(
    data: &BTreeMap<String, String>,
    is_read: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&str, &str)> {
    data.iter().filter(move |(key, _)| is_read(key)).map(|(key, text)| (key.as_str(), text.as_str()))
}

/// A bound that a text exceeds, with the line.
#[derive(Debug, PartialEq, Eq)]
enum Exceeded {
    Depth(usize),
    Nodes(usize),
    Directives(usize),
}

impl Exceeded {
    fn sentence(&self, bounds: Bounds) -> String {
        match self {
            Exceeded::Depth(line) => {
                format!("line {line} is nested deeper than {} levels, which no configuration needs", bounds.depth)
            }
            Exceeded::Nodes(line) => {
                format!("line {line} is behind {} values and fields, more than can be read", bounds.nodes)
            }
            Exceeded::Directives(line) => {
                format!(
                    "line {line} is one of more than {CONFIG_DIRECTIVES_MAX} lines that begin with `%`; remove them"
                )
            }
        }
    }
}

/// Counts the nodes of a text.
fn within(text: &str, bounds: Bounds) -> Result<usize, Exceeded> {
    let mut scanner = Scanner::new(text);
    while scanner.step() {
        if scanner.depth() > bounds.depth {
            return Err(Exceeded::Depth(scanner.line()));
        }
        if scanner.nodes() > bounds.nodes {
            return Err(Exceeded::Nodes(scanner.line()));
        }
        if scanner.directives() > CONFIG_DIRECTIVES_MAX {
            return Err(Exceeded::Directives(scanner.line()));
        }
    }
    Ok(scanner.nodes())
}

#[cfg(test)]
mod tests;
