//! Which labels and annotations a user may put on a certificate's Secret.

use crate::name::DnsName;

/// The prefix of our own annotations.
pub const PREFIX: &str = "notariat/";

/// Metadata that would make another program own or prune the Secret, or that we write ourselves.
const RESERVED: &[(&str, &str)] = &[
    ("app.kubernetes.io/managed-by", "notariat sets it itself"),
    ("app.kubernetes.io/component", "notariat sets it itself"),
    ("app.kubernetes.io/instance", "Argo CD would take the Secret for its own and prune it"),
    ("argocd.argoproj.io/tracking-id", "Argo CD would take the Secret for its own and prune it"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux would take the Secret for its own and prune it"),
    ("kustomize.toolkit.fluxcd.io/namespace", "Flux would take the Secret for its own and prune it"),
    ("helm.toolkit.fluxcd.io/name", "Flux would take the Secret for its own and prune it"),
    ("helm.toolkit.fluxcd.io/namespace", "Flux would take the Secret for its own and prune it"),
    ("cert-manager.io/certificate-name", "cert-manager would take the Secret for its own"),
    ("cert.gardener.cloud/certificate", "Gardener would take the Secret for its own"),
];

/// Checks a label's key and value (Kubernetes: key `[prefix/]name`, value of at most 63 characters).
///
/// # Errors
/// The rest of a sentence that begins with the value.
pub fn check_label(key: &str, value: &str) -> Result<(), String> {
    check_key(key)?;
    if value.is_empty() || is_word(value, 63) {
        return Ok(());
    }
    Err("is not a label value Kubernetes allows: at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit".to_owned())
}

/// Checks an annotation's key; its value may be anything of at most 32 KiB.
///
/// # Errors
/// The rest of a sentence that begins with the value.
pub fn check_annotation(key: &str, value: &str) -> Result<(), String> {
    check_key(key)?;
    if value.len() > 32 * 1024 {
        return Err("is longer than 32 KiB".to_owned());
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), String> {
    if key.starts_with(PREFIX) {
        return Err(format!("can not be set: `{PREFIX}` is notariat's own prefix"));
    }
    if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| *reserved == key) {
        return Err(format!("can not be set: {why}"));
    }
    let (prefix, name) = key.split_once('/').map_or((None, key), |(p, n)| (Some(p), n));
    if prefix.is_some_and(|p| DnsName::parse(p).is_err()) || !is_word(name, 63) {
        return Err("belongs to a key that Kubernetes does not allow (`name` or `prefix/name`)".to_owned());
    }
    Ok(())
}

fn is_word(text: &str, max: usize) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= max
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
