//! An Issuer or a ClusterIssuer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::certificate::{Certificate, IssuerReference};
use super::fields::{DataKey, is_unset, object_id, set_fields, some_text, text};
use super::solver::{self, IssuerSolver};

/// The kind of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IssuerKind {
    /// An issuer for the Certificates of its namespace.
    Issuer,
    /// An issuer for all Certificates.
    ClusterIssuer,
}

impl IssuerKind {
    /// The kind as objects name it.
    pub const fn name(self) -> &'static str {
        match self {
            IssuerKind::Issuer => "Issuer",
            IssuerKind::ClusterIssuer => "ClusterIssuer",
        }
    }

    /// The kind of that name.
    pub fn parse(kind: &str) -> Option<IssuerKind> {
        [IssuerKind::Issuer, IssuerKind::ClusterIssuer].into_iter().find(|known| known.name() == kind)
    }
}

/// An issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertManagerIssuer {
    /// The kind.
    pub kind: IssuerKind,
    /// The namespace; empty for a ClusterIssuer.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The ACME CA; `None` for an issuer of another kind.
    pub acme: Option<Acme>,
}

/// The issuers of a cluster.
#[derive(Clone, Debug, Default)]
pub struct KnownIssuers(BTreeMap<(IssuerKind, String, String), CertManagerIssuer>);

/// The ACME CA of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The URL of the directory.
    pub server: String,
    /// The contact of the account.
    pub email: Option<String>,
    /// The common name of the wanted chain's last issuer.
    pub preferred_chain: Option<String>,
    /// The profile to order.
    pub profile: Option<String>,
    /// True if the issuer has roots of its own for the CA's server (`caBundle`).
    pub has_ca_bundle: bool,
    /// The roots: base64 of PEM, as it is written.
    pub ca_bundle: Option<String>,
    /// The account key has to exist (`disableAccountKeyGeneration`).
    pub needs_account: bool,
    /// The account key.
    pub account: Option<DataKey>,
    /// The external account binding.
    pub external_account: Option<ExternalAccount>,
    /// The solvers, in their order.
    pub solvers: Vec<IssuerSolver>,
    /// True if the CA is asked for the duration of a Certificate.
    pub asks_for_duration: bool,
    /// A sentence for each field that is set and has no effect on a certificate.
    pub without_effect: Vec<String>,
    /// A sentence for each field that is not known here.
    pub unknown: Vec<String>,
    /// A sentence for each field that notariat can not honour.
    pub refused: Vec<String>,
}

/// An external account binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The key ID.
    pub key_id: String,
    /// The MAC key.
    pub key: Option<DataKey>,
}

/// The fields of an ACME issuer that are read, or that change no certificate.
const KNOWN: [&str; 12] = [
    "server",
    "email",
    "preferredChain",
    "profile",
    "privateKeySecretRef",
    "externalAccountBinding",
    "caBundle",
    "solvers",
    "disableAccountKeyGeneration",
    "enableDurationFeature",
    "skipTLSVerify",
    "dns01",
];

impl CertManagerIssuer {
    /// Reads an object of the kind Issuer or ClusterIssuer; `None` for another kind.
    pub fn read(object: &Value) -> Option<CertManagerIssuer> {
        let (namespace, name) = object_id(object);
        let kind = IssuerKind::parse(text(&object["kind"]))?;
        let namespace = if kind == IssuerKind::ClusterIssuer { "" } else { namespace };
        let acme = Acme::read(&object["spec"]["acme"]);
        Some(CertManagerIssuer { kind, namespace: namespace.to_owned(), name: name.to_owned(), acme })
    }

    /// The kind and the name, for a sentence.
    pub fn title(&self) -> String {
        format!("{} {:?}", self.kind.name(), self.name)
    }

    /// The namespace of the Secrets that the issuer names. Those of a ClusterIssuer are in the cluster resource namespace, which is a
    /// flag of cert-manager's controller.
    pub fn secrets_in<'n>(&'n self, cluster_resources: &'n str) -> &'n str {
        match self.kind {
            IssuerKind::Issuer => &self.namespace,
            IssuerKind::ClusterIssuer => cluster_resources,
        }
    }
}

impl Acme {
    fn read(acme: &Value) -> Option<Acme> {
        let server = some_text(&acme["server"])?;
        let binding = &acme["externalAccountBinding"];
        let external_account = (!is_unset(binding)).then(|| ExternalAccount {
            key_id: text(&binding["keyID"]).to_owned(),
            key: DataKey::read(&binding["keySecretRef"], ""),
        });
        let unknown = set_fields(acme).map(|(field, _)| field).filter(|field| !KNOWN.contains(field));
        let unknown = unknown.map(|field| format!("{field:?} has nothing like it here and is left out")).collect();
        let solvers = acme["solvers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let without_effect: BTreeMap<_, _> = solvers.iter().flat_map(solver::without_effect).collect();
        let without_effect =
            without_effect.iter().map(|(field, why)| format!("{field} has no effect: {why}")).collect();
        let mut refused = Vec::new();
        if acme["skipTLSVerify"] == true {
            refused.push(
                "it does not check the CA's TLS certificate (skipTLSVerify); give the CA's root in `caBundle`"
                    .to_owned(),
            );
        }
        Some(Acme {
            server,
            email: some_text(&acme["email"]),
            preferred_chain: some_text(&acme["preferredChain"]),
            profile: some_text(&acme["profile"]),
            has_ca_bundle: !is_unset(&acme["caBundle"]),
            ca_bundle: some_text(&acme["caBundle"]),
            needs_account: acme["disableAccountKeyGeneration"] == true,
            account: DataKey::read(&acme["privateKeySecretRef"], "tls.key"),
            external_account,
            solvers: solvers.iter().map(IssuerSolver::read).collect(),
            asks_for_duration: acme["enableDurationFeature"] == true,
            without_effect,
            unknown,
            refused,
        })
    }

    /// The wishes of the Certificate that notariat can not ask of this CA.
    pub fn refuses(&self, certificate: &Certificate) -> Vec<String> {
        let mut refused = self.refused.clone();
        if self.asks_for_duration && certificate.has_duration {
            refused.push("its issuer asks the CA for `duration` (enableDurationFeature); notariat leaves that to the CA's profile".to_owned());
        }
        refused
    }
}

impl FromIterator<CertManagerIssuer> for KnownIssuers {
    fn from_iter<I: IntoIterator<Item = CertManagerIssuer>>(issuers: I) -> KnownIssuers {
        let mut known = KnownIssuers::default();
        known.extend(issuers);
        known
    }
}

impl Extend<CertManagerIssuer> for KnownIssuers {
    fn extend<I: IntoIterator<Item = CertManagerIssuer>>(&mut self, issuers: I) {
        self.0.extend(issuers.into_iter().map(|i| ((i.kind, i.namespace.clone(), i.name.clone()), i)));
    }
}

impl KnownIssuers {
    /// Finds the issuer of a Certificate in `namespace`.
    ///
    /// # Errors
    /// Why there is none: a kind that is not cert-manager's, or none of that name.
    pub fn find(&self, reference: &IssuerReference, namespace: &str) -> Result<&CertManagerIssuer, String> {
        self.get(reference, namespace)?.ok_or_else(|| format!("its issuer {:?} is not in the input", reference.name))
    }

    /// Finds the issuer of a Certificate in `namespace`; `None` where there is none of that name.
    ///
    /// # Errors
    /// The kind, where it is not cert-manager's.
    pub fn get(&self, reference: &IssuerReference, namespace: &str) -> Result<Option<&CertManagerIssuer>, String> {
        let IssuerReference { group, kind, name } = reference;
        let of_kind = IssuerKind::parse(if kind.is_empty() { "Issuer" } else { kind });
        let Some(of_kind) = of_kind.filter(|_| group.is_empty() || group == "cert-manager.io") else {
            return Err(format!("its issuer {name:?} is of the kind {kind:?} of {group:?}, and not an ACME CA"));
        };
        let within = if of_kind == IssuerKind::Issuer { namespace } else { "" };
        Ok(self.0.get(&(of_kind, within.to_owned(), name.clone())))
    }

    /// All issuers, by kind, namespace and name.
    pub fn all(&self) -> impl Iterator<Item = &CertManagerIssuer> {
        self.0.values()
    }
}
