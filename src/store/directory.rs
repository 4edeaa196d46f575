//! The objects as files, so that the whole program runs without a cluster.
//!
//! `DIR/<namespace>/configmaps/<name>/<key>` and `DIR/<namespace>/secrets/<name>/<key>`. A Secret that we wrote is a symlink to a
//! folder `.<name>.<n>` with the data files, `type`, `labels.json` and `annotations.json`: written anew and synced, then the symlink
//! is renamed, so that no reader sees a new key beside an old certificate. A plain folder is read as well and becomes such a pair
//! at the first write; it is put back when that fails. The resourceVersion is a hash of the contents. One writer: `DIR/.lock`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::{LockMode, StoreBackend, StoreClosed, StoreError};
use crate::base::limits::{LOCAL_FILE_OCTETS_MAX, STORE_LOCK, STORE_LOCK_PAUSE};
use crate::base::name::ObjectRef;
use crate::base::secret::Secret;
use crate::base::shutdown::Shutdown;
use crate::base::time::Deadline;
use crate::cert::facts::hex;
use crate::config::Data;
use crate::kube::api::DryRun;
use crate::kube::object::{Preconditions, SecretObject, TYPE_TLS};

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
pub(super) struct DirectoryStore {
    folder: PathBuf,
    mode: FileMode,
    _lock: Option<File>,
}

/// The content of a folder by file name.
type Files = BTreeMap<String, Secret<Vec<u8>>>;

const TYPE: &str = "type";
const LABELS: &str = "labels.json";
const ANNOTATIONS: &str = "annotations.json";

impl DirectoryStore {
    pub(super) fn open(folder: &Path, mode: FileMode, sharing: LockMode) -> Result<DirectoryStore, StoreClosed> {
        if !folder.is_dir() {
            return Err(StoreClosed::Wrong(format!("{} is not a directory", folder.display())));
        }
        let folder = folder.to_owned();
        if sharing == LockMode::Beside {
            return Ok(DirectoryStore { folder, mode, _lock: None });
        }
        let path = folder.join(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(|e| StoreClosed::ForNow(format!("{} can not be opened: {e}", path.display())))?;
        match lock.try_lock() {
            Ok(()) => Ok(DirectoryStore { folder, mode, _lock: Some(lock) }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(StoreClosed::ForNow(format!("another notariat works on {}", folder.display())))
            }
            Err(fs::TryLockError::Error(e)) => {
                Err(StoreClosed::ForNow(format!("{} can not be locked: {e}", path.display())))
            }
        }
    }

    fn secrets(&self, namespace: &str) -> PathBuf {
        self.folder.join(namespace).join("secrets")
    }
}

impl StoreBackend for DirectoryStore {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError> {
        let folder = self.folder.join(&*at.namespace).join("configmaps").join(&*at.name);
        let Some(files) = read_files(&folder)? else {
            return Ok(None);
        };
        let mut data = Data::default();
        for (key, octets) in files {
            data.add_file(key, octets.expose().clone());
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
            if let Some(secret) = at.map(|at| self.secret(&at)).transpose()?.flatten().filter(|s| s.type_ == kind) {
                each(secret);
            }
        }
        Ok(())
    }

    fn write(&self, secret: &SecretObject, mode: DryRun) -> Result<SecretObject, StoreError> {
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
        let fresh = self.write_folder(&parent, secret).map_err(denied)?;
        let done = match mode {
            DryRun::Real => swap(&parent, &at.name, &fresh),
            DryRun::DryRun => try_swap(&parent, &at.name, &fresh),
        };
        if mode == DryRun::DryRun || done.is_err() {
            // What stays is left to the next write; the fault that made the write fail is the one to tell.
            remove_any(&fresh).ok();
        }
        done.map_err(denied)?;
        match mode {
            DryRun::DryRun => Ok(secret.clone()),
            DryRun::Real => self.secret(at)?.ok_or_else(|| StoreError::Unreachable(format!("Secret {at} vanished"))),
        }
    }
}

impl DirectoryStore {
    /// Held while something is written, also by a command beside us: what a write finds half done is then nobody's any more.
    fn writing(&self) -> Result<File, StoreError> {
        let path = self.folder.join(".writing");
        let denied = |e: io::Error| StoreError::Denied(format!("{} can not be locked: {e}", path.display()));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(denied)?;
        let (deadline, never) = (Deadline::after(STORE_LOCK), Shutdown::new());
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(fs::TryLockError::Error(e)) => return Err(denied(e)),
                Err(fs::TryLockError::WouldBlock) => {}
            }
            // Others hold it for moments.
            let Some(left) = deadline.left() else {
                let held = format!("{} is held by another process for {} s", path.display(), STORE_LOCK.as_secs());
                return Err(StoreError::Unreachable(held));
            };
            never.wait(left.min(STORE_LOCK_PAUSE));
        }
    }

    /// The whole Secret in a new folder beside the old one; on disk when this returns.
    fn write_folder(&self, parent: &Path, secret: &SecretObject) -> io::Result<PathBuf> {
        let name = &secret.reference.name;
        let in_use = fs::read_link(parent.join(&**name)).ok();
        let mut number: u64 = 0;
        let folder = loop {
            let own = format!(".{name}.{number}");
            let folder = parent.join(&own);
            match fs::DirBuilder::new().mode(self.mode.folder()).create(&folder) {
                Ok(()) => break folder,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && in_use == Some(PathBuf::from(own)) => number += 1,
                // A process that was killed left it behind. What can not be removed is passed over.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match remove_any(&folder) {
                    Err(e) if number >= NUMBERS_MAX => return Err(e),
                    Err(_) => number += 1,
                    Ok(()) => {}
                },
                Err(e) => return Err(e),
            }
        };
        let json = |map: &BTreeMap<String, String>| serde_json::to_vec_pretty(map).map_err(io::Error::other);
        let write = |name: &str, octets: &[u8]| {
            let mut file = OpenOptions::new().create_new(true).write(true).mode(self.mode.0).open(folder.join(name))?;
            file.write_all(octets)?;
            // A trial syncs as well: a full disk may show only then.
            file.sync_data()
        };
        let written = (|| {
            for (key, value) in &secret.data {
                write(key, value.expose())?;
            }
            write(TYPE, secret.type_.as_bytes())?;
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

/// Names that are tried where leftovers can not be removed.
const NUMBERS_MAX: u64 = 100;

/// Makes `parent/name` lead to `fresh`, then removes what it led to before. A link is replaced in one step. For a plain folder there is a
/// moment without the name, in which our own readers look at [`aside`]; on a failure the folder is put back.
fn swap(parent: &Path, name: &str, fresh: &Path) -> io::Result<()> {
    let (path, aside) = (parent.join(name), aside(parent, name));
    // First of all: a disk that is full or a name that is taken shows before anything that is read is moved.
    let link = make_link(parent, name, fresh)?;
    let old = match exchange(&path, &aside, &link) {
        Ok(old) => old,
        Err(e) => {
            remove_any(&link).ok();
            return Err(e);
        }
    };
    // From here on the Secret is written: what can not be cleaned up (another user's, gone already) is left to the next write, for an
    // error would have the new folder removed.
    File::open(parent).and_then(|folder| folder.sync_all()).ok();
    // Only a folder that we made is removed, wherever an operator's own symlink may have led.
    let is_own = |o: &PathBuf| o.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    if let Some(old) = old.map(|old| parent.join(old)).filter(|o| o.parent() == Some(parent) && is_own(o)) {
        fs::remove_dir_all(old).ok();
    }
    remove_any(&aside).ok();
    Ok(())
}

/// Puts `link` in the place of `path`. Returns what `path` led to, where it was a link.
fn exchange(path: &Path, aside: &Path, link: &Path) -> io::Result<Option<PathBuf>> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            let old = fs::read_link(path)?;
            fs::rename(link, path)?;
            Ok(Some(old))
        }
        Ok(_) => {
            remove_any(aside)?;
            fs::rename(path, aside)?;
            fs::rename(link, path).inspect_err(|_| drop(fs::rename(aside, path)))?;
            Ok(None)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => fs::rename(link, path).map(|()| None),
        Err(e) => Err(e),
    }
}

/// Does everything that [`swap`] does, under a name that nobody reads.
fn try_swap(parent: &Path, name: &str, fresh: &Path) -> io::Result<()> {
    let path = parent.join(name);
    let trial = parent.join(format!(".{name}.trial"));
    remove_any(&trial)?;
    if fs::symlink_metadata(&path).is_ok_and(|meta| !meta.is_symlink()) {
        remove_any(&aside(parent, name))?;
    }
    let link = make_link(parent, name, fresh)?;
    let moved = fs::rename(&link, &trial);
    remove_any(if moved.is_ok() { &trial } else { &link }).ok();
    moved
}

/// A link to `fresh` beside it. Whatever an earlier process left under its name is removed, or passed over.
fn make_link(parent: &Path, name: &str, fresh: &Path) -> io::Result<PathBuf> {
    let target = fresh.file_name().ok_or_else(|| io::Error::other("a folder without a name"))?;
    let mut number = 0;
    loop {
        let own = if number == 0 { format!(".{name}.new") } else { format!(".{name}.new.{number}") };
        let link = parent.join(own);
        match remove_any(&link).and_then(|()| symlink(target, &link)) {
            Ok(()) => return Ok(link),
            Err(e) if e.kind() == io::ErrorKind::StorageFull || number >= NUMBERS_MAX => return Err(e),
            Err(_) => number += 1,
        }
    }
}

/// Removes a file, a link or a folder with all that is in it. What is not there is removed.
fn remove_any(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
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

fn version(files: &Files) -> Preconditions {
    let mut hash = Context::new(&SHA256);
    for (name, octets) in files {
        hash.update(format!("{} {name} {} ", name.len(), octets.expose().len()).as_bytes());
        hash.update(octets.expose());
    }
    Preconditions { resource_version: hex(hash.finish().as_ref()), uid: "local".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_folder_that_can_not_be_replaced_is_put_back() {
        let parent = std::env::temp_dir().join(format!("notariat-exchange-{}", std::process::id()));
        fs::create_dir_all(parent.join("web")).unwrap();
        fs::write(parent.join("web/tls.crt"), "old").unwrap();
        let (path, aside) = (parent.join("web"), aside(&parent, "web"));
        assert!(exchange(&path, &aside, &parent.join("no link")).is_err());
        assert_eq!(fs::read(path.join("tls.crt")).unwrap(), b"old");
        assert!(!aside.exists());
        assert!(swap(&parent, "web", Path::new("/")).is_err(), "a folder without a name");
        assert_eq!(fs::read(path.join("tls.crt")).unwrap(), b"old");
        fs::remove_dir_all(&parent).unwrap();
    }
}
