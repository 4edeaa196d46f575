//! The marks that cert-manager puts on the Secret of a Certificate. With them it takes the Secret back without a new order, and
//! its cainjector finds the Certificate.

use crate::cert::facts;
use crate::cert_manager::IssuerKind;
use crate::kube::object::SecretObject;

/// The label of each such Secret.
const LABEL: (&str, &str) = ("controller.cert-manager.io/fao", "true");

/// Puts the marks of the Certificate `name` on its Secret. `issuer` is the name of the issuer in the entry: kind and name.
pub(super) fn mark(secret: &mut SecretObject, name: &str, issuer: Option<&str>, chain: &[u8]) {
    let (kind, issuer) = issuer.and_then(|issuer| issuer.split_once('/')).unwrap_or_default();
    let (alt_names, common_name) = names(chain);
    let marks = [
        ("certificate-name", name),
        ("issuer-name", issuer),
        ("issuer-kind", IssuerKind::parse(kind).map_or("", IssuerKind::name)),
        ("issuer-group", "cert-manager.io"),
        ("alt-names", &alt_names),
        ("common-name", &common_name),
    ];
    for (mark, value) in marks {
        secret.annotations.insert(format!("cert-manager.io/{mark}"), value.to_owned());
    }
    secret.labels.insert(LABEL.0.to_owned(), LABEL.1.to_owned());
}

/// The DNS names of the certificate, with commas, and the common name of its subject; both empty where there is no certificate.
fn names(chain: &[u8]) -> (String, String) {
    let Ok(all) = facts::certificates(chain) else { return Default::default() };
    let Some(leaf) = all.first() else { return Default::default() };
    let names = facts::of(leaf).map(|facts| facts.names).unwrap_or_default();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (names.join(","), facts::common_name(leaf).unwrap_or_default())
}
