//! Which kinds of objects are sources, and the settings of the command line for them. Pure.

use std::collections::BTreeSet;

use super::wish::WishSettings;

/// The kinds of `-sources` besides `config`, with the flags that concern them. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The kinds.
    pub kinds: BTreeSet<ObjectKind>,
    /// `-selector`: the labels that an object must have, as a selector for the API server.
    pub selector: Option<String>,
    /// The flags that readers of objects need.
    pub settings: WishSettings,
}

/// A kind of objects that may want certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Ingress of networking.k8s.io.
    Ingress,
    /// Gateway, ListenerSet and routes of gateway.networking.k8s.io.
    Gateway,
    /// Service of type LoadBalancer.
    Service,
}

impl ObjectKind {
    /// Every kind with its word on the command line.
    pub const WORDS: [(&str, ObjectKind); 3] =
        [("ingress", ObjectKind::Ingress), ("gateway", ObjectKind::Gateway), ("service", ObjectKind::Service)];
}

impl Selection {
    /// Whether any kind besides the configuration is a source.
    pub fn has_objects(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Reads the value of `-sources`: `config`, which is always one, and kinds, with commas.
    ///
    /// # Errors
    /// The rest of a sentence about the value.
    pub fn kinds(text: &str) -> Result<BTreeSet<ObjectKind>, String> {
        let mut kinds = BTreeSet::new();
        for word in text.split(',').map(str::trim) {
            match ObjectKind::WORDS.iter().find(|(known, _)| *known == word) {
                Some((_, kind)) => drop(kinds.insert(*kind)),
                None if word == "config" => {}
                None => {
                    return Err(format!(
                        "has {word:?}, which is no source; there are config, {}",
                        ObjectKind::WORDS.map(|(known, _)| known).join(", ")
                    ));
                }
            }
        }
        Ok(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_words_with_commas() {
        use ObjectKind::{Gateway, Ingress, Service};
        for (text, kinds) in [
            ("config", vec![]),
            ("ingress", vec![Ingress]),
            ("config, ingress,gateway,service,ingress", vec![Ingress, Gateway, Service]),
        ] {
            assert_eq!(Selection::kinds(text).unwrap().into_iter().collect::<Vec<_>>(), kinds, "{text}");
        }
        for text in ["", "ingresses", "Ingress", "config,,service"] {
            assert!(Selection::kinds(text).unwrap_err().contains("there are config, ingress"), "{text}");
        }
    }
}
