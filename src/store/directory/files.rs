//! A Secret as the files of a folder, and a folder read as a Secret.
//!
//! Untrusted: every file; an operator may write any.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use ring::digest::{Context, SHA256};

use crate::base::limits::LOCAL_FILE_OCTETS_MAX;
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::cert::facts::hex;
use crate::kube::object::{Preconditions, SecretObject, TYPE_TLS};
use crate::record;
use crate::store::backend::StoreError;
use crate::store::marks::is_of_origin;

/// The contents of a folder by file name.
pub(super) type Files = BTreeMap<String, Secret<Vec<u8>>>;

const TYPE: &str = "type";
const LABELS: &str = "labels.json";
const ANNOTATIONS: &str = "annotations.json";

/// The files of a Secret. Empty maps have no file: each file costs a wait for the disk.
pub(super) fn of(secret: &SecretObject) -> io::Result<Files> {
    let mut files = secret.data.clone();
    let json =
        |map: &BTreeMap<String, String>| serde_json::to_vec_pretty(map).map(Secret::new).map_err(io::Error::other);
    files.insert(TYPE.to_owned(), Secret::new(secret.type_.clone().into_bytes()));
    if !secret.labels.is_empty() {
        files.insert(LABELS.to_owned(), json(&secret.labels)?);
    }
    if !secret.annotations.is_empty() {
        files.insert(ANNOTATIONS.to_owned(), json(&secret.annotations)?);
    }
    Ok(files)
}

/// The Secret in a folder's files.
///
/// # Errors
/// When labels or annotations do not read.
pub(super) fn secret(at: &ObjectRef, folder: &Path, mut files: Files) -> Result<SecretObject, StoreError> {
    let version = version(&files);
    let implied = implied_type(at, &files);
    let type_ = files.remove(TYPE).filter(|text| !is_lost(text.expose()));
    let type_ = type_.map(|text| String::from_utf8_lossy(text.expose()).trim().to_owned());
    let mut map = |name: &str| match files.remove(name).filter(|json| !is_lost(json.expose())) {
        None => Ok(BTreeMap::new()),
        Some(json) => serde_json::from_slice(json.expose())
            .map_err(|e| StoreError::Unreachable(format!("{}: {e}", folder.join(name).display()))),
    };
    let (labels, annotations) = (map(LABELS)?, map(ANNOTATIONS)?);
    let mut secret = SecretObject::new(at.clone(), type_.as_deref().unwrap_or(implied));
    secret.data = files;
    (secret.labels, secret.annotations) = (labels, annotations);
    secret.version = Some(version);
    Ok(secret)
}

/// Tells whether a file may be lost in a power cut: a `type` that the folder is taken for without it, and labels that only repeat whose Secret
/// it is.
pub(super) fn may_be_lost(secret: &SecretObject, name: &str) -> bool {
    match name {
        TYPE => secret.type_ == implied_type(&secret.reference, &secret.data),
        LABELS => secret.labels.iter().all(|(name, value)| is_of_origin(name, value)),
        _ => false,
    }
}

/// Tells whether a power cut took the contents of a file: the name and the size reached the disk at most.
fn is_lost(octets: &[u8]) -> bool {
    octets.iter().all(|octet| *octet == 0)
}

/// The type of a folder without a readable `type`.
fn implied_type(at: &ObjectRef, files: &Files) -> &'static str {
    let is_pair = files.contains_key("tls.crt") && files.contains_key("tls.key");
    match record::is_one(at) {
        true => record::TYPE,
        false if is_pair => TYPE_TLS,
        false => "Opaque",
    }
}

/// A hash of the contents, in the place of a resourceVersion.
pub(super) fn version(files: &Files) -> Preconditions {
    let mut hash = Context::new(&SHA256);
    for (name, octets) in files {
        hash.update(format!("{} {name} {} ", name.len(), octets.expose().len()).as_bytes());
        hash.update(octets.expose());
    }
    Preconditions { resource_version: hex(hash.finish().as_ref()), uid: "local".to_owned() }
}

/// The files of a folder; `None` when the folder does not exist. Hidden files are not data (a mounted ConfigMap has `..data`).
///
/// # Errors
/// When a file does not read, is too large, or is no plain file.
pub(super) fn read(folder: &Path) -> Result<Option<Files>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(folder, &e)),
    };
    let mut files = Files::new();
    for entry in entries {
        let entry = entry.map_err(|e| unreadable(folder, &e))?;
        let Some(name) = entry.file_name().to_str().filter(|n| !n.starts_with('.')).map(str::to_owned) else {
            continue;
        };
        let path = entry.path();
        let refused = |why: String| StoreError::Unreachable(format!("{} {why}", path.display()));
        let meta = fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
        // Opening a pipe would wait for its writer.
        if !meta.is_file() {
            return Err(refused("is no plain file".to_owned()));
        }
        if meta.len() > LOCAL_FILE_OCTETS_MAX {
            return Err(refused(format!("is larger than {LOCAL_FILE_OCTETS_MAX} octets")));
        }
        let octets = fs::read(&path).map_err(|e| unreadable(&path, &e))?;
        files.insert(name, Secret::with_keys_known("a private key", octets));
    }
    Ok(Some(files))
}

/// The error of a file or folder that cannot be read.
pub(super) fn unreadable(path: &Path, e: &io::Error) -> StoreError {
    StoreError::Unreachable(format!("{} can not be read: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::marks::created;

    fn files(all: &[(&str, &[u8])]) -> Files {
        all.iter().map(|(name, octets)| ((*name).to_owned(), Secret::new(octets.to_vec()))).collect()
    }

    #[test]
    fn a_type_that_a_power_cut_took_is_implied() {
        let (web, record) = (ObjectRef::new("team", "web"), ObjectRef::new("team", "notariat-record.team.web"));
        let pair: [(&str, &[u8]); 2] = [("tls.crt", b"c"), ("tls.key", b"k")];
        for (at, all, type_) in [
            (&web, &pair[..], TYPE_TLS),
            (&web, &pair[..1], "Opaque"),
            (&record, &pair[..], record::TYPE),
            (&record, &[("record", &b"{}"[..])][..], record::TYPE),
        ] {
            let read = |more: &[(&str, &[u8])]| secret(at, Path::new("x"), files(&[all, more].concat())).unwrap();
            for left in [&b""[..], b"\0\0\0\0"] {
                let read = read(&[(TYPE, left), (LABELS, left)]);
                assert_eq!((read.type_.as_str(), read.labels.len()), (type_, 0), "{at} {left:?}");
            }
            let mut read = read(&[]);
            assert_eq!(read.type_, type_, "{at} without the file");
            assert!(may_be_lost(&read, TYPE) && !may_be_lost(&read, "tls.crt") && !may_be_lost(&read, ANNOTATIONS));
            read.labels = created(at, type_, "record").labels;
            assert!(may_be_lost(&read, LABELS), "{at}");
            read.labels.insert("team".to_owned(), "x".to_owned());
            read.type_ = "other".to_owned();
            assert!(!may_be_lost(&read, LABELS) && !may_be_lost(&read, TYPE), "{at}");
        }
    }
}
