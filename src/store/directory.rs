//! The objects as files, so that the whole program runs without a cluster.
//!
//! `DIR/<namespace>/configmaps/<name>/<key>` and `DIR/<namespace>/secrets/<name>/<key>`. A Secret that we wrote is a symlink to a
//! folder `.<name>.<n>` with the data files, `type`, `labels.json` and `annotations.json`: written anew and synced, then the symlink
//! is renamed, so that no reader sees a new key beside an old certificate. A plain folder is read as well and becomes such a pair
//! at the first write. The resourceVersion is a hash of the contents. One writer: `DIR/.lock`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::{Backend, Sharing, StoreError};
use crate::cert::facts::hex;
use crate::kube::client::Mode;
use crate::kube::object::{SecretObject, TYPE_TLS, Version};
use crate::limits::LOCAL_FILE_OCTETS_MAX;
use crate::name::ObjectRef;
use crate::secret::Secret;

/// The permissions of files with secrets in them; folders get the matching right to enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// Only for the user that notariat runs as.
    pub const PRIVATE: FileMode = FileMode(0o600);

    /// Reads `0600` to `0660`. Rights for everybody are refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<FileMode, String> {
        let mode = u32::from_str_radix(text, 8).map_err(|_| "is not a file mode; write it as in 0640".to_owned())?;
        match mode {
            0o600 | 0o640 | 0o660 => Ok(FileMode(mode)),
            _ => Err("is none of 0600, 0640, 0660; private keys are not for everybody".to_owned()),
        }
    }

    fn folder(self) -> u32 {
        self.0 | (self.0 & 0o440) >> 2
    }
}

#[derive(Debug)]
pub(super) struct Directory {
    folder: PathBuf,
    mode: FileMode,
    _lock: Option<File>,
}

/// The content of a folder by file name.
type Files = BTreeMap<String, Secret<Vec<u8>>>;

const TYPE: &str = "type";
const LABELS: &str = "labels.json";
const ANNOTATIONS: &str = "annotations.json";

impl Directory {
    pub(super) fn open(folder: &Path, mode: FileMode, sharing: Sharing) -> Result<Directory, String> {
        if !folder.is_dir() {
            return Err(format!("{} is not a directory", folder.display()));
        }
        let folder = folder.to_owned();
        if sharing == Sharing::Beside {
            return Ok(Directory { folder, mode, _lock: None });
        }
        let path = folder.join(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(|e| format!("{} can not be opened: {e}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Directory { folder, mode, _lock: Some(lock) }),
            Err(fs::TryLockError::WouldBlock) => Err(format!("another notariat works on {}", folder.display())),
            Err(fs::TryLockError::Error(e)) => Err(format!("{} can not be locked: {e}", path.display())),
        }
    }

    fn secrets(&self, namespace: &str) -> PathBuf {
        self.folder.join(namespace).join("secrets")
    }
}

impl Backend for Directory {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<BTreeMap<String, String>>, StoreError> {
        let folder = self.folder.join(&*at.namespace).join("configmaps").join(&*at.name);
        let Some(files) = read_files(&folder)? else {
            return Ok(None);
        };
        let mut data = BTreeMap::new();
        for (key, octets) in files {
            let text = String::from_utf8(octets.expose().clone());
            let text =
                text.map_err(|_| StoreError::Unreachable(format!("{} is not UTF-8", folder.join(&key).display())))?;
            data.insert(key, text);
        }
        Ok(Some(data))
    }

    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        let parent = self.secrets(&at.namespace);
        let mut folder = parent.join(&*at.name);
        let mut read = read_files(&folder)?;
        if read.is_none() {
            // A process that was killed was about to replace it.
            folder = aside(&parent, &at.name);
            read = read_files(&folder)?;
        }
        let Some(mut files) = read else {
            return Ok(None);
        };
        let version = version(&files);
        let text = |octets: &Secret<Vec<u8>>| String::from_utf8_lossy(octets.expose()).trim().to_owned();
        let both = files.contains_key("tls.crt") && files.contains_key("tls.key");
        let kind = files.remove(TYPE).map_or_else(|| if both { TYPE_TLS } else { "Opaque" }.to_owned(), |t| text(&t));
        let mut map = |name: &str| match files.remove(name) {
            None => Ok(BTreeMap::new()),
            Some(json) => serde_json::from_slice(json.expose())
                .map_err(|e| StoreError::Unreachable(format!("{}: {e}", folder.join(name).display()))),
        };
        let (labels, annotations) = (map(LABELS)?, map(ANNOTATIONS)?);
        let mut secret = SecretObject::new(at.clone(), &kind);
        secret.data = files;
        (secret.labels, secret.annotations) = (labels, annotations);
        secret.version = Some(version);
        Ok(Some(secret))
    }

    fn list(&self, namespace: &str, kind: &'static str, each: &mut dyn FnMut(SecretObject)) -> Result<(), StoreError> {
        let folder = self.secrets(namespace);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(unreadable(&folder, &e)),
        };
        for entry in entries {
            let name = entry.map_err(|e| unreadable(&folder, &e))?.file_name();
            let at = name.to_str().and_then(|name| ObjectRef::parse(name, namespace).ok());
            if let Some(secret) = at.map(|at| self.secret(&at)).transpose()?.flatten().filter(|s| s.kind == kind) {
                each(secret);
            }
        }
        Ok(())
    }

    fn write(&self, secret: &SecretObject, mode: Mode) -> Result<SecretObject, StoreError> {
        let _writing = self.writing()?;
        let at = &secret.reference;
        let now = self.secret(at)?.and_then(|s| s.version);
        if now != secret.version {
            return Err(StoreError::Conflict);
        }
        let parent = self.secrets(&at.namespace);
        let denied =
            |e: io::Error| StoreError::Denied(format!("{} can not be written: {e}", parent.join(&*at.name).display()));
        fs::DirBuilder::new().recursive(true).mode(self.mode.folder()).create(&parent).map_err(denied)?;
        let fresh = self.write_folder(&parent, secret, mode).map_err(denied)?;
        let done = match mode {
            Mode::Real => swap(&parent, &at.name, &fresh).map_err(denied),
            Mode::DryRun => Ok(()),
        };
        if mode == Mode::DryRun || done.is_err() {
            fs::remove_dir_all(&fresh).map_err(denied)?;
        }
        done?;
        match mode {
            Mode::DryRun => Ok(secret.clone()),
            Mode::Real => self.secret(at)?.ok_or_else(|| StoreError::Unreachable(format!("Secret {at} vanished"))),
        }
    }
}

impl Directory {
    /// Held while something is written, also by a command beside us: what a write finds half done is then nobody's any more.
    fn writing(&self) -> Result<File, StoreError> {
        let path = self.folder.join(".writing");
        let denied = |e: io::Error| StoreError::Denied(format!("{} can not be locked: {e}", path.display()));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(denied)?;
        lock.lock().map_err(denied)?;
        Ok(lock)
    }

    /// The whole Secret in a new folder beside the old one; on disk when this returns, unless it is a trial.
    fn write_folder(&self, parent: &Path, secret: &SecretObject, mode: Mode) -> io::Result<PathBuf> {
        let name = &secret.reference.name;
        let in_use = fs::read_link(parent.join(&**name)).ok();
        let mut number: u64 = 0;
        let folder = loop {
            let own = format!(".{name}.{number}");
            let folder = parent.join(&own);
            match fs::DirBuilder::new().mode(self.mode.folder()).create(&folder) {
                Ok(()) => break folder,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && in_use == Some(PathBuf::from(own)) => number += 1,
                // A process that was killed left it behind.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => fs::remove_dir_all(&folder)?,
                Err(e) => return Err(e),
            }
        };
        let json = |map: &BTreeMap<String, String>| serde_json::to_vec_pretty(map).map_err(io::Error::other);
        let write = |name: &str, octets: &[u8]| {
            let mut file = OpenOptions::new().create_new(true).write(true).mode(self.mode.0).open(folder.join(name))?;
            file.write_all(octets)?;
            if mode == Mode::Real { file.sync_data() } else { Ok(()) }
        };
        let written = (|| {
            for (key, value) in &secret.data {
                write(key, value.expose())?;
            }
            write(TYPE, secret.kind.as_bytes())?;
            write(LABELS, &json(&secret.labels)?)?;
            write(ANNOTATIONS, &json(&secret.annotations)?)?;
            File::open(&folder)?.sync_all()
        })();
        match written {
            Ok(()) => Ok(folder),
            Err(e) => {
                // Best effort: the fault that made the write fail is the one to tell.
                fs::remove_dir_all(&folder).ok();
                Err(e)
            }
        }
    }
}

/// Makes `parent/name` lead to `fresh` in one step, then removes what it led to before.
fn swap(parent: &Path, name: &str, fresh: &Path) -> io::Result<()> {
    let (path, link, aside) = (parent.join(name), parent.join(format!(".{name}.new")), aside(parent, name));
    let target = fresh.file_name().ok_or_else(|| io::Error::other("a folder without a name"))?;
    let old = match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_symlink() => Some(parent.join(fs::read_link(&path)?)),
        Ok(_) => {
            // A plain folder can not be replaced in one step; for a moment others do not find the Secret.
            if aside.symlink_metadata().is_ok() {
                fs::remove_dir_all(&aside)?;
            }
            fs::rename(&path, &aside)?;
            None
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    if link.symlink_metadata().is_ok() {
        fs::remove_file(&link)?;
    }
    symlink(target, &link)?;
    fs::rename(&link, &path)?;
    // From here on the Secret is written: what can not be cleaned up (another user's, gone already) is left to the next write, for an
    // error would have the new folder removed.
    File::open(parent).and_then(|folder| folder.sync_all()).ok();
    // Only a folder that we made is removed, wherever an operator's own symlink may have led.
    let is_own = |o: &PathBuf| o.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    if let Some(old) = old.filter(|o| o.parent() == Some(parent) && is_own(o)) {
        fs::remove_dir_all(old).ok();
    }
    fs::remove_dir_all(aside).ok();
    Ok(())
}

/// Where a plain folder is while it is replaced.
fn aside(parent: &Path, name: &str) -> PathBuf {
    parent.join(format!(".{name}.plain"))
}

/// The files of a folder; `None` when there is no such folder. Hidden ones are not data (a mounted ConfigMap has `..data`).
fn read_files(folder: &Path) -> Result<Option<Files>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(folder, &e)),
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|e| unreadable(folder, &e))?;
        let Some(name) = entry.file_name().to_str().filter(|n| !n.starts_with('.')).map(str::to_owned) else {
            continue;
        };
        let path = entry.path();
        let refused = |why: String| StoreError::Unreachable(format!("{} {why}", path.display()));
        let meta = fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
        // To open a pipe would wait for its writer.
        if !meta.is_file() {
            return Err(refused("is no plain file".to_owned()));
        }
        if meta.len() > LOCAL_FILE_OCTETS_MAX {
            return Err(refused(format!("is larger than {LOCAL_FILE_OCTETS_MAX} octets")));
        }
        files.insert(
            name,
            Secret::with_keys_known("a private key", fs::read(&path).map_err(|e| unreadable(&path, &e))?),
        );
    }
    Ok(Some(files))
}

fn unreadable(path: &Path, e: &io::Error) -> StoreError {
    StoreError::Unreachable(format!("{} can not be read: {e}", path.display()))
}

fn version(files: &Files) -> Version {
    let mut hash = Context::new(&SHA256);
    for (name, octets) in files {
        hash.update(format!("{} {name} {} ", name.len(), octets.expose().len()).as_bytes());
        hash.update(octets.expose());
    }
    Version { resource_version: hex(hash.finish().as_ref()), uid: "local".to_owned() }
}
