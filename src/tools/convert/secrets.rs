//! The Secrets that notariat reads, each made of one of cert-manager's by a command. A command has only names that Kubernetes or the DNS
//! allow, none of which needs quoting in a shell.

use crate::base::name::ObjectRef;
use crate::cert_manager::{DataKey, ExternalAccount, IssuerKind, UpdateAccess};

/// A Secret that is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum InputSecret {
    /// A TSIG key: cert-manager keeps its algorithm and its name in the issuer.
    TsigKey { from: ObjectRef, data: String, algorithm: &'static str, name: String },
    /// The key of an ACME account.
    Account { from: ObjectRef, data: String },
    /// An external account binding: cert-manager keeps its key ID in the issuer.
    ExternalAccount { from: ObjectRef, data: String, key_id: String },
    /// The roots of a CA's server, which cert-manager keeps in the issuer.
    Roots { kind: IssuerKind, namespace: String, issuer: String },
}

/// The data keys under which notariat finds an account key.
const ACCOUNT_KEYS: [&str; 3] = ["key", "tls.key", "privateKey"];

/// The characters of a wished name; Kubernetes allows 253.
const NAME_CHARACTERS: usize = 240;

impl InputSecret {
    /// The Secret of a TSIG key whose issuer's Secrets are in `from`.
    pub(super) fn tsig_key(access: &UpdateAccess, from: &str) -> Result<InputSecret, String> {
        let (data, name) = (access.secret.key.clone(), access.key_name.to_string());
        Ok(InputSecret::TsigKey { from: access.secret.at(from)?, data, algorithm: access.algorithm, name })
    }

    /// The Secret of an account; `Ok(Err)` is the one that is there, where notariat can read it at its place.
    pub(super) fn account(
        key: &DataKey,
        from: &str,
        namespace: &str,
    ) -> Result<Result<InputSecret, ObjectRef>, String> {
        let at = key.at(from)?;
        let is_readable = from == namespace && ACCOUNT_KEYS.contains(&key.key.as_str());
        Ok(if is_readable { Err(at) } else { Ok(InputSecret::Account { from: at, data: key.key.clone() }) })
    }

    /// The Secret of an external account binding.
    pub(super) fn external_account(account: &ExternalAccount, from: &str) -> Result<InputSecret, String> {
        let ExternalAccount { key_id, key } = account;
        let is_plain = |c: char| c.is_ascii_graphic() && c != '\'' && c != '\\';
        if key_id.is_empty() || !key_id.chars().all(is_plain) {
            return Err(format!("its key ID {key_id:?} can not stand in a command; make the Secret by hand"));
        }
        let key = key.as_ref().ok_or("it names no Secret")?;
        Ok(InputSecret::ExternalAccount { from: key.at(from)?, data: key.key.clone(), key_id: key_id.clone() })
    }

    /// The wished name, short enough for a number. One Secret may hold several keys, so the data key is part of it.
    pub(super) fn wish(&self) -> String {
        let whole = match self {
            InputSecret::TsigKey { from, data, .. }
            | InputSecret::Account { from, data }
            | InputSecret::ExternalAccount { from, data, .. } => {
                let data = data.to_ascii_lowercase().replace(['_', '.'], "-");
                format!("{}-{}", from.name, data.trim_matches('-')).trim_end_matches('-').to_owned()
            }
            InputSecret::Roots { issuer, .. } => format!("{}-ca", issuer.replace('.', "-")),
        };
        whole.chars().take(NAME_CHARACTERS).collect::<String>().trim_end_matches(['-', '.']).to_owned()
    }

    /// The contents of the Secret.
    pub(super) fn purpose(&self) -> String {
        match self {
            InputSecret::TsigKey { algorithm, name, .. } => format!("the TSIG key {name} ({algorithm})"),
            InputSecret::Account { .. } => "the key of the ACME account".to_owned(),
            InputSecret::ExternalAccount { .. } => "the external account binding".to_owned(),
            InputSecret::Roots { .. } => "the roots of the CA's server".to_owned(),
        }
    }

    /// The command that makes the Secret at `to`: one line for a POSIX shell. No secret stands on a command line, and nothing is made
    /// where the original can not be read.
    pub(super) fn command(&self, to: &ObjectRef) -> String {
        let read = |from: &ObjectRef, data: &str| {
            let (namespace, name) = (&from.namespace, &from.name);
            format!(
                "v=$(kubectl -n {namespace} get secret {name} -o go-template='{{{{index .data \"{data}\" | base64decode}}}}')"
            )
        };
        let make = |data: &str| {
            format!("kubectl -n {} create secret generic {} --from-file={data}=/dev/stdin", to.namespace, to.name)
        };
        match self {
            InputSecret::TsigKey { from, data, algorithm, name } => {
                format!("{} && printf '{algorithm}:{name}:%s' \"$v\" | {}", read(from, data), make("key"))
            }
            InputSecret::Account { from, data } => {
                format!("{} && printf '%s\\n' \"$v\" | {}", read(from, data), make("tls.key"))
            }
            InputSecret::ExternalAccount { from, data, key_id } => {
                format!("{} && printf %s \"$v\" | {} --from-literal='kid={key_id}'", read(from, data), make("hmacKey"))
            }
            InputSecret::Roots { kind, namespace, issuer } => {
                let at = if namespace.is_empty() { String::new() } else { format!("-n {namespace} ") };
                let kind = kind.name().to_ascii_lowercase();
                format!(
                    "v=$(kubectl {at}get {kind}s.cert-manager.io {issuer} -o jsonpath='{{.spec.acme.caBundle}}') && printf %s \"$v\" | base64 -d | {}",
                    make("ca.crt")
                )
            }
        }
    }
}
