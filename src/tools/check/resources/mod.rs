//! `notariat check -resources`: what notariat would make of cert-manager's objects as they are, and what stands in the way of a hand-over.
//!
//! The objects come from the API server, of all namespaces, or from a manifest (`-f FILE`). Nothing is written. `seen` reduces them one
//! by one, `judge` says what is refused and what is in flight. A kind that may not be read is a line of its own: silence about a kind
//! means that there is nothing to say about its objects. Tests: `tests`, tests/it/check_resources.rs.

mod cluster;
mod judge;
mod seen;
#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::report::CheckReport;
use crate::base::limits::{CONVERT_OCTETS_MAX, MANIFEST_OCTETS_MAX};
use crate::base::name::check_namespace;
use crate::base::sanitize::json_fault;
use crate::cli::Arguments;
use crate::cli::values::Values;
use crate::config::bounds::check_manifest;
use seen::Seen;

/// The namespace of the Secrets of ClusterIssuers where no flag names one: that in which cert-manager is installed as a rule.
pub const CLUSTER_RESOURCES: &str = "cert-manager";

/// The flags of `check -resources`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceOptions {
    /// `-f`: a manifest, `-` for standard input. Without it the API server is asked.
    pub file: Option<PathBuf>,
    /// `-cluster-resource-namespace`: the namespace of the Secrets of ClusterIssuers.
    pub cluster_resources: String,
    /// `-o json`
    pub as_json: bool,
}

impl ResourceOptions {
    /// Reads the flags of `check`; `None` without `-resources`.
    ///
    /// # Errors
    /// When the namespace is none, or a flag goes without another one only.
    pub fn read(values: &Values) -> Result<Option<ResourceOptions>, String> {
        let cluster_resources = cluster_resources(values)?;
        let as_json = values.choice("o", &[("json", true)])?.unwrap_or(false);
        match (values.has("resources"), cluster_resources) {
            (true, _) if values.has("role") => Err("-role is for ConfigMaps: leave out -resources".to_owned()),
            (true, _) if values.has("local") => {
                Err("-resources needs an API server, or -f FILE: leave out -local".to_owned())
            }
            (true, namespace) => {
                let cluster_resources = namespace.unwrap_or_else(|| CLUSTER_RESOURCES.to_owned());
                Ok(Some(ResourceOptions { file: values.text("f"), cluster_resources, as_json }))
            }
            // The flags of a controller that serves these objects are those of its check.
            (false, Some(_)) if serves_cert_manager(values) => Ok(None),
            (false, Some(_)) => {
                Err("-cluster-resource-namespace goes with -resources, or with -sources cert-manager".to_owned())
            }
            (false, None) => Ok(None),
        }
    }
}

fn serves_cert_manager(values: &Values) -> bool {
    let sources: Option<String> = values.text("sources");
    sources.is_some_and(|sources| sources.split(',').any(|source| source.trim() == "cert-manager"))
}

/// The value of `-cluster-resource-namespace`.
///
/// # Errors
/// When it is not a namespace.
pub fn cluster_resources(values: &Values) -> Result<Option<String>, String> {
    let parse = |v: &str| check_namespace(v).map(|()| v.to_owned()).map_err(|e| e.to_string());
    values.value("cluster-resource-namespace", parse)
}

/// Examines the objects of the manifest, or of the cluster.
///
/// # Errors
/// When the manifest can not be read, or there is no API server to ask.
pub fn run(options: &ResourceOptions, arguments: &Arguments) -> Result<CheckReport, String> {
    let seen = match &options.file {
        Some(file) => from_file(file).map_err(|e| format!("-f {}: {e}", file.display()))?,
        None => cluster::look(arguments, &options.cluster_resources)?,
    };
    Ok(judge::report(&seen, &options.cluster_resources))
}

/// Reads documents of YAML, or one of JSON: objects and Lists of them.
fn from_file(file: &Path) -> Result<Seen, String> {
    let source: Box<dyn std::io::Read> = match file.as_os_str().as_encoded_bytes() {
        b"-" => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(|e| e.to_string())?),
    };
    let mut text = String::new();
    source.take(CONVERT_OCTETS_MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    read(&text)
}

fn read(text: &str) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let is_json = text.trim_start().starts_with('{');
    let most = if is_json { CONVERT_OCTETS_MAX } else { MANIFEST_OCTETS_MAX };
    if text.len() as u64 > most {
        return Err(format!("has more than {most} octets"));
    }
    if is_json {
        let object = serde_json::from_str(text).map_err(|e| format!("is not JSON: {}", json_fault(&e)))?;
        add_all(&mut seen, &object);
        return Ok(seen);
    }
    check_manifest(text)?;
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = Value::deserialize(document).map_err(|e| format!("is not YAML: {e}"))?;
        add_all(&mut seen, &object);
    }
    Ok(seen)
}

/// Adds an object, or those of a List.
fn add_all(seen: &mut Seen, object: &Value) {
    match object["items"].as_array() {
        Some(items) => items.iter().for_each(|item| seen.add(item)),
        None => seen.add(object),
    }
}
