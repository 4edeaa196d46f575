//! The kinds of objects that are sources, and the settings of the command line for them. Pure.

use std::collections::BTreeSet;

use super::wish::WishSettings;
use crate::base::name::ObjectRef;

/// The namespace of the Secrets of cert-manager's ClusterIssuers where none is given.
pub const CLUSTER_RESOURCES: &str = "cert-manager";

/// The name of the Lease that a controller of cert-manager holds, and its namespace where none is given.
pub const LEASE: &str = "cert-manager-controller";
/// See [`LEASE`].
pub const LEASE_NAMESPACE: &str = "kube-system";

/// The kinds of `-sources` besides `config`, with the flags that concern them. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The kinds at home.
    pub kinds: BTreeSet<ObjectKind>,
    /// The kinds in other clusters, by the name of the cluster.
    pub elsewhere: BTreeSet<KindElsewhere>,
    /// `-selector`: the labels that an object must have, as a selector for the API server.
    pub selector: Option<String>,
    /// `-prune`: Secrets that no object wants any more are deleted.
    pub prunes: bool,
    /// `-cluster-resource-namespace`: the namespace of the Secrets of cert-manager's ClusterIssuers, where it is not the usual one.
    pub cluster_resource_namespace: Option<String>,
    /// `-cert-manager-lease-namespace`: the namespace of the Lease of cert-manager's controller.
    pub cert_manager_lease_namespace: Option<String>,
    /// `-without-approval`: no CertificateRequestPolicy is asked.
    pub without_approval: bool,
    /// The flags about Gardener's objects.
    pub gardener: GardenerSettings,
    /// The flags that readers of objects need.
    pub settings: WishSettings,
}

/// A kind of objects of another cluster: the name of the cluster, and the kind.
pub type KindElsewhere = (String, ObjectKind);

/// The flags about the objects of Gardener's cert-management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GardenerSettings {
    /// `-gardener-class`: the class of the Certificates that are served.
    pub class: String,
    /// `-issuer-namespace`: the namespace of the Issuers and of their Secrets.
    pub issuer_namespace: String,
    /// `-default-issuer`: the Issuer of Certificates that name none and for which no Issuer has ranges.
    pub default_issuer: String,
}

impl GardenerSettings {
    /// The class of a Certificate that names none.
    pub const CLASS: &str = "gardencert";
    /// The namespace of Issuers where none is given.
    pub const ISSUER_NAMESPACE: &str = "default";
    /// The default Issuer where none is given.
    pub const DEFAULT_ISSUER: &str = "default-issuer";
}

impl Default for GardenerSettings {
    fn default() -> GardenerSettings {
        GardenerSettings {
            class: GardenerSettings::CLASS.to_owned(),
            issuer_namespace: GardenerSettings::ISSUER_NAMESPACE.to_owned(),
            default_issuer: GardenerSettings::DEFAULT_ISSUER.to_owned(),
        }
    }
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
    /// Certificate, Issuer and ClusterIssuer of cert-manager.io.
    CertManager,
    /// Certificate and Issuer of cert.gardener.cloud.
    Gardener,
}

impl ObjectKind {
    /// Every kind with its word on the command line.
    pub const WORDS: [(&str, ObjectKind); 5] = [
        ("ingress", ObjectKind::Ingress),
        ("gateway", ObjectKind::Gateway),
        ("service", ObjectKind::Service),
        ("cert-manager", ObjectKind::CertManager),
        ("gardener", ObjectKind::Gardener),
    ];
}

impl Selection {
    /// Tells whether any kind besides the configuration is a source.
    pub fn has_objects(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// True for a kind that is a source whose objects have their status written.
    pub fn has_statuses(&self) -> bool {
        self.kinds.contains(&ObjectKind::CertManager)
            || self.kinds.contains(&ObjectKind::Gardener)
            || !self.elsewhere.is_empty()
    }

    /// Tells whether Certificates of Gardener are a source, at home or in another cluster.
    pub fn has_gardener(&self) -> bool {
        self.kinds.contains(&ObjectKind::Gardener)
            || self.elsewhere.iter().any(|(_, kind)| *kind == ObjectKind::Gardener)
    }

    /// Tells whether any kind of another cluster is a source.
    pub fn has_objects_in(&self, cluster: &str) -> bool {
        self.elsewhere.iter().any(|(name, _)| name == cluster)
    }

    /// The namespace whose Secrets are read for cert-manager's ClusterIssuers; `None` where these are no source.
    pub fn cluster_resources(&self) -> Option<&str> {
        let own = self.cluster_resource_namespace.as_deref().unwrap_or(CLUSTER_RESOURCES);
        self.kinds.contains(&ObjectKind::CertManager).then_some(own)
    }

    /// The namespaces whose Secrets are read for the issuers of objects.
    pub fn input_namespaces(&self) -> impl Iterator<Item = &str> {
        let issuers = self.gardener.issuer_namespace.as_str();
        let of_gardener = self.kinds.contains(&ObjectKind::Gardener).then_some(issuers);
        self.cluster_resources().into_iter().chain(of_gardener)
    }

    /// The Lease of cert-manager's controller; `None` where its objects are no source.
    pub fn cert_manager_lease(&self) -> Option<ObjectRef> {
        let namespace = self.cert_manager_lease_namespace.as_deref().unwrap_or(LEASE_NAMESPACE);
        self.kinds.contains(&ObjectKind::CertManager).then(|| ObjectRef::new(namespace, LEASE))
    }

    /// Reads the value of `-sources`: `config`, which is always one, and kinds, with commas. `CLUSTER:KIND` is a kind in another cluster.
    ///
    /// # Errors
    /// The rest of a sentence about the value.
    pub fn kinds(text: &str) -> Result<(BTreeSet<ObjectKind>, BTreeSet<KindElsewhere>), String> {
        let (mut kinds, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
        for word in text.split(',').map(str::trim) {
            if let Some((cluster, kind)) = word.split_once(':') {
                elsewhere.insert((cluster.to_owned(), Selection::kind_elsewhere(word, kind)?));
                continue;
            }
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
        Ok((kinds, elsewhere))
    }

    /// The kind of `CLUSTER:KIND`.
    fn kind_elsewhere(word: &str, kind: &str) -> Result<ObjectKind, String> {
        match ObjectKind::WORDS.iter().find(|(known, _)| *known == kind) {
            Some((_, ObjectKind::Gardener)) => Ok(ObjectKind::Gardener),
            Some((_, ObjectKind::CertManager)) => Err(format!(
                "has {word:?}: notariat holds cert-manager's Lease at home only, and without the Lease of that cluster both could order; its \
                 certificates can be entries with `cluster`, and CLUSTER:gardener is a source"
            )),
            Some(_) | None => {
                Err(format!("has {word:?}: the one kind in another cluster is gardener, as in edge:gardener"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_words_with_commas() {
        use ObjectKind::{Gateway, Ingress, Service};
        let both = Selection::kinds("gardener,edge:gardener, lab:gardener").unwrap();
        let edge = |name: &str| (name.to_owned(), ObjectKind::Gardener);
        assert_eq!(both, ([ObjectKind::Gardener].into(), [edge("edge"), edge("lab")].into()));
        for text in ["edge:cert-manager", "edge:ingress", "edge:config", "edge:", "a:b:gardener"] {
            let refused = Selection::kinds(text).unwrap_err();
            assert!(refused.contains(&format!("has {text:?}: ")) && refused.contains("gardener"), "{refused}");
        }
        for (text, kinds) in [
            ("config", vec![]),
            ("ingress", vec![Ingress]),
            ("config, ingress,gateway,service,ingress", vec![Ingress, Gateway, Service]),
        ] {
            assert_eq!(Selection::kinds(text).unwrap().0.into_iter().collect::<Vec<_>>(), kinds, "{text}");
        }
        for text in ["", "ingresses", "Ingress", "config,,service"] {
            assert!(Selection::kinds(text).unwrap_err().contains("there are config, ingress"), "{text}");
        }
    }
}
