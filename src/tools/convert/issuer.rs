//! One ACME issuer -> one item of the key `issuers`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object::{is_unset, key};
use super::placement::{FieldMap, Placement};
use super::print::mapping;
use super::solver::made;
use crate::base::name::ObjectRef;
use crate::config::{issuers, node};

/// All issuers by kind, namespace and name.
pub(super) type Issuers<'v> = BTreeMap<(&'v str, &'v str, &'v str), &'v Value>;

/// The default namespace of the Secrets that ClusterIssuers refer to.
const CLUSTER_NAMESPACE: &str = "cert-manager";

/// The data keys under which notariat finds an account key.
const ACCOUNT_KEYS: [&str; 3] = ["key", "tls.key", "privateKey"];

/// The fields of an ACME issuer that are converted, or that do not change certificates.
const KNOWN: [&str; 10] = [
    "server",
    "email",
    "preferredChain",
    "profile",
    "privateKeySecretRef",
    "externalAccountBinding",
    "caBundle",
    "solvers",
    "disableAccountKeyGeneration",
    "dns01",
];

/// An issuer as a namespace sees it.
#[derive(Debug)]
pub(super) struct CertManagerIssuer<'v> {
    /// The name in the key `issuers`.
    pub(super) name: String,
    /// The solvers of the issuer.
    pub(super) solvers: &'v Value,
    /// The namespace of the issuer's Secrets.
    pub(super) secrets_in: &'v str,
    fields: FieldMap,
    to_do: Vec<String>,
    lost: Vec<String>,
}

/// The issuer that a Certificate names.
///
/// # Errors
/// That the issuer is not in the input.
pub(super) fn named<'v>(reference: &'v Value, namespace: &'v str, issuers: &Issuers<'v>) -> Result<&'v Value, String> {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let (name, group) = (text("name"), text("group"));
    let found = match (text("kind"), group) {
        ("" | "Issuer", "" | "cert-manager.io") => issuers.get(&("Issuer", namespace, name)),
        ("ClusterIssuer", "" | "cert-manager.io") => issuers.get(&("ClusterIssuer", "", name)),
        (kind, _) => {
            return Err(format!("its issuer {name:?} is of the kind {kind:?} of {group:?}, and not an ACME CA"));
        }
    };
    found.copied().ok_or_else(|| format!("its issuer {name:?} is not in the input"))
}

impl<'v> CertManagerIssuer<'v> {
    /// Reads an issuer for the ConfigMap of `namespace`.
    ///
    /// # Errors
    /// When the issuer can not be used here.
    pub(super) fn read(object: &'v Value, namespace: &str, all: &Issuers<'v>) -> Result<CertManagerIssuer<'v>, String> {
        let (kind, own, name) = key(object);
        let (title, acme) = (format!("{kind} {name:?}"), &object["spec"]["acme"]);
        let text = |field: &str| acme[field].as_str().filter(|text| !text.is_empty());
        let Some(server) = text("server") else {
            return Err(format!("its {title} is not an ACME issuer"));
        };
        let is_cluster = kind == "ClusterIssuer";
        let secrets_in = if is_cluster { CLUSTER_NAMESPACE } else { own };
        let clashes = is_cluster && all.contains_key(&("Issuer", namespace, name));
        let label = format!("{}{}", if clashes { "cluster-" } else { "" }, name.replace('.', "-"));
        let mut fields: FieldMap = vec![("directory", server.into())];
        let (mut to_do, mut lost) = (Vec::new(), Vec::new());
        for field in ["email", "preferredChain", "profile"] {
            fields.extend(text(field).map(|value| (field, Value::from(value))));
        }
        for field in acme.as_object().into_iter().flatten().filter(|(_, value)| !is_unset(value)).map(|(key, _)| key) {
            if !KNOWN.contains(&field.as_str()) {
                lost.push(format!("{title}: {field:?} has nothing like it here and is left out"));
            }
        }
        match account(&acme["privateKeySecretRef"], namespace, secrets_in) {
            Ok(Some((secret, command))) => {
                fields.push(("accountSecretName", secret.into()));
                to_do.extend(command);
            }
            Ok(None) => {}
            Err(why) => lost.push(format!("{title}: {why}, so notariat makes an account of its own")),
        }
        let binding = &acme["externalAccountBinding"];
        if !is_unset(binding) {
            match eab(binding, namespace, secrets_in) {
                Ok((secret, command)) => {
                    fields.push(("eabSecretName", secret.into()));
                    to_do.push(format!("make the Secret of the external account binding: {command}"));
                }
                Err(why) => lost.push(format!("{title}: its external account binding is left out: {why}")),
            }
        }
        if !is_unset(&acme["caBundle"]) {
            let at = if is_cluster { String::new() } else { format!("-n {own} ") };
            fields.push(("caSecretName", format!("{label}-ca").into()));
            // The names are checked below: no allowed name needs quoting in a shell.
            to_do.push(format!(
                "make the Secret of the CA's roots: kubectl {at}get {} {name} -o jsonpath='{{.spec.acme.caBundle}}' | base64 -d | \
                 kubectl -n {namespace} create secret generic {label}-ca --from-file=ca.crt=/dev/stdin",
                kind.to_ascii_lowercase()
            ));
        }
        let yaml: Vec<String> = mapping(&fields).collect();
        let faults = |fields: &str| {
            let node = node::read(fields)?;
            let found = issuers::Issuer::read(&label, &node, &namespace.into());
            found.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        };
        faults(&yaml.join("\n")).map_err(|e| format!("its {title} can not be used: {e}"))?;
        for name in [name, &label] {
            ObjectRef::parse(name, "x").map_err(|e| format!("its {title} can not be used: its name {e}"))?;
        }
        crate::base::name::check_namespace(&label).map_err(|e| format!("its {title} can not be used: its name {e}"))?;
        Ok(CertManagerIssuer { name: label, solvers: &acme["solvers"], secrets_in, fields, to_do, lost })
    }

    /// Adds the issuer to a ConfigMap that uses it.
    pub(super) fn add(self, place: &mut Placement, lost: &mut Vec<String>) {
        self.to_do.into_iter().for_each(|sentence| place.remind(sentence));
        lost.extend(self.lost);
        place.issuers.insert(self.name, self.fields);
    }
}

/// The Secret of the account, and the command that copies it where it is in another namespace.
fn account(reference: &Value, namespace: &str, from: &str) -> Result<Option<(String, Option<String>)>, String> {
    let Some(name) = reference["name"].as_str().filter(|name| !name.is_empty()) else { return Ok(None) };
    let data = reference["key"].as_str().filter(|key| !key.is_empty()).unwrap_or("tls.key");
    if !ACCOUNT_KEYS.contains(&data) {
        return Err(format!("its account key stands under the data key {data:?}, not under one of {ACCOUNT_KEYS:?}"));
    }
    if namespace == from {
        return Ok(Some((name.to_owned(), None)));
    }
    let reference = serde_json::json!({"name": name, "key": data});
    let (secret, command) = made(&reference, namespace, from, data, str::to_owned)?;
    Ok(Some((secret, Some(format!("copy the account key: {command}")))))
}

/// The Secret of an external account binding, and the command that makes it: cert-manager's Secret has no key ID.
fn eab(binding: &Value, namespace: &str, from: &str) -> Result<(String, String), String> {
    let kid = binding["keyID"].as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && c != '\'' && c != '\\';
    if kid.is_empty() || !kid.chars().all(plain) {
        return Err(format!("make the Secret by hand: its key ID {kid:?} can not stand in a command"));
    }
    let (secret, command) = made(&binding["keySecretRef"], namespace, from, "hmacKey", str::to_owned)?;
    Ok((secret, format!("{command} --from-literal='kid={kid}'")))
}
