//! The objects as files, so that the whole program runs without a cluster.
//!
//! `DIR/<namespace>/configmaps/<name>/<key>` and `DIR/<namespace>/secrets/<name>/<key>`. A Secret that we wrote is a symlink to a
//! folder `.<name>.<n>` with the data files, `type`, `labels.json` and `annotations.json`. A write makes a new folder, waits until it is on
//! disk, and renames the symlink: no reader sees a new key beside an old certificate, and after a power cut the old or the new Secret is
//! there. A plain folder is read as well and becomes such a pair at the first write.
//!
//! The resourceVersion is a hash of the contents. `DIR/.lock` is held by the one daemon. `DIR/.writing` is held while a version is compared
//! and names are changed, and never while the disk is waited for, so that workers write side by side.

mod exchange;
mod files;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::base::limits::{LOCAL_READS_MAX, STORE_LOCK, STORE_LOCK_PAUSE, STORE_LOCK_PAUSE_MIN};
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::base::time::Deadline;
use crate::config::Data;
use crate::kube::api::DryRun;
use crate::kube::object::{Preconditions, SecretObject};
use crate::store::backend::{StoreBackend, StoreError};
use exchange::{exchange, make_folder, remove_any, remove_stale, try_exchange};
use files::{Files, unreadable};

/// Why a directory can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreClosed {
    /// The command line is wrong.
    Wrong(String),
    /// Another process holds the directory, or it can not be written now.
    ForNow(String),
}

/// The use of a directory: ours alone, or beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// The process is the one notariat that works on it, and holds its lock.
    Alone,
    /// A command writes an annotation beside the one that works on it.
    Beside,
}

/// The permissions of files with secrets in them; folders get the matching right to enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// Only for the user that notariat runs as.
    pub const PRIVATE: FileMode = FileMode(0o600);

    /// Reads `0600` to `0660`. Rights for everybody are refused.
    ///
    /// # Errors
    /// One half of a sentence that says what is wrong.
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

/// A Secret in a folder of its own that nobody reads yet, to be committed.
#[derive(Debug)]
struct Staged<'a> {
    secret: &'a SecretObject,
    files: Files,
    folder: PathBuf,
    mode: DryRun,
    /// True if the folder is complete and on disk.
    written: io::Result<()>,
}

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
        let lock =
            open_lock(&path).map_err(|e| StoreClosed::ForNow(format!("{} can not be opened: {e}", path.display())))?;
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

    /// The files of a Secret and the folder they are in.
    fn read(&self, at: &ObjectRef) -> Result<Option<(PathBuf, Files)>, StoreError> {
        let parent = self.secrets(&at.namespace);
        let path = parent.join(&*at.name);
        for _ in 0..LOCAL_READS_MAX {
            let target = fs::read_link(&path).ok();
            let mut folder = target.as_ref().map_or_else(|| path.clone(), |target| parent.join(target));
            let mut read = files::read(&folder);
            if matches!(read, Ok(None)) {
                // A process that was killed was about to replace the plain folder.
                folder = exchange::aside(&parent, &at.name);
                read = files::read(&folder);
            }
            // A folder is removed after the link was changed: as long as it leads there, the files belong together.
            if fs::read_link(&path).ok() == target {
                return Ok(read?.map(|files| (folder, files)));
            }
        }
        Err(StoreError::Unreachable(format!("{} changes while it is read", path.display())))
    }
}

impl StoreBackend for DirectoryStore {
    fn config_map(&self, at: &ObjectRef) -> Result<Option<Data>, StoreError> {
        let folder = self.folder.join(&*at.namespace).join("configmaps").join(&*at.name);
        let Some(files) = files::read(&folder)? else {
            return Ok(None);
        };
        let mut data = Data::default();
        for (key, octets) in files {
            data.add_file(key, octets.expose().clone());
        }
        Ok(Some(data))
    }

    fn secret(&self, at: &ObjectRef) -> Result<Option<SecretObject>, StoreError> {
        self.read(at)?.map(|(folder, files)| files::secret(at, &folder, files)).transpose()
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
        self.commit(self.stage(secret, mode)?)
    }

    // Objects that want certificates are those of an API server.
    fn delete(&self, at: &ObjectRef, _: &Preconditions) -> Result<(), StoreError> {
        Err(StoreError::Denied(format!("{at}: the Secrets of a directory are not deleted")))
    }
}

impl DirectoryStore {
    /// Writes the whole Secret into a new folder beside the old one, and waits until it is on disk.
    ///
    /// # Errors
    /// When the Secret is not of the version that it was read in, or no folder can be made.
    fn stage<'a>(&self, secret: &'a SecretObject, mode: DryRun) -> Result<Staged<'a>, StoreError> {
        let at = &secret.reference;
        let denied = |e: io::Error| self.denied(at, &e);
        let (parent, files) = (self.secrets(&at.namespace), files::of(secret).map_err(denied)?);
        self.make_namespace(&parent).map_err(denied)?;
        let (old, folder) = {
            let _writing = self.writing()?;
            (self.unchanged(secret)?, make_folder(&parent, &at.name, self.mode.folder()).map_err(denied)?)
        };
        let written = self.fill(&folder, secret, &files, old, mode);
        Ok(Staged { secret, files, folder, mode, written })
    }

    /// Puts a staged Secret in the place of the old one, which must still be of the version that was read. Returns it as stored.
    fn commit(&self, staged: Staged<'_>) -> Result<SecretObject, StoreError> {
        let Staged { secret, files, folder, mode, written } = staged;
        let (at, parent) = (&secret.reference, self.secrets(&secret.reference.namespace));
        let denied = |e: io::Error| self.denied(at, &e);
        let stale = {
            let _writing = self.writing()?;
            let unchanged = self.unchanged(secret).and_then(|_| match folder.is_dir() {
                true => Ok(()),
                // The writer that won has removed it.
                false => Err(StoreError::Conflict),
            });
            let done = unchanged.and_then(|()| written.map_err(denied)).and_then(|()| match mode {
                DryRun::Real => exchange(&parent, &at.name, &folder).map_err(denied),
                DryRun::DryRun => try_exchange(&parent, &at.name, &folder).map(|()| Vec::new()).map_err(denied),
            });
            if mode == DryRun::DryRun || done.is_err() {
                // A leftover stays until the next write; the fault that made the write fail is the one to tell.
                remove_any(&folder).ok();
            }
            done?
        };
        if mode == DryRun::DryRun {
            return Ok(secret.clone());
        }
        // The Secret is written by now, and an error would say that it is not. The old folder stays until the new name is on disk.
        sync_folder(&parent).ok();
        if let Ok(_writing) = self.writing() {
            remove_stale(&parent, &at.name, &stale);
        }
        files::secret(at, &folder, files)
    }

    /// The files to be replaced and their folder; a conflict when they are not of the version that was read.
    fn unchanged(&self, secret: &SecretObject) -> Result<Option<(PathBuf, Files)>, StoreError> {
        let now = self.read(&secret.reference)?;
        let version: Option<Preconditions> = now.as_ref().map(|(_, files)| files::version(files));
        if version == secret.version { Ok(now) } else { Err(StoreError::Conflict) }
    }

    /// Fills a new folder. A file with the octets of an old one is another name of it. A trial waits for its largest file alone: a full
    /// disk may show only then.
    fn fill(
        &self,
        folder: &Path,
        secret: &SecretObject,
        files: &Files,
        old: Option<(PathBuf, Files)>,
        mode: DryRun,
    ) -> io::Result<()> {
        let largest = files.iter().max_by_key(|(_, octets)| octets.expose().len()).map(|(name, _)| name);
        for (name, octets) in files {
            let to = folder.join(name);
            if mode == DryRun::Real && self.link_old(old.as_ref(), octets.expose(), &to) {
                continue;
            }
            let mut file = OpenOptions::new().create_new(true).write(true).mode(self.mode.0).open(to)?;
            file.write_all(octets.expose())?;
            let waits = match mode {
                DryRun::Real => !files::may_be_lost(secret, name),
                DryRun::DryRun => Some(name) == largest,
            };
            if waits {
                file.sync_data()?;
            }
        }
        if mode == DryRun::Real { sync_folder(folder) } else { Ok(()) }
    }

    /// Tells whether `to` was made as another name of a file on disk with these octets and our mode, in a folder that we made.
    fn link_old(&self, old: Option<&(PathBuf, Files)>, octets: &[u8], to: &Path) -> bool {
        let Some((folder, files)) = old else { return false };
        let is_ours = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let same = files.iter().find(|(_, old)| old.expose() == octets);
        let Some((name, _)) = same.filter(|_| is_ours) else { return false };
        let from = folder.join(name);
        let is_alike = |meta: fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o7777 == self.mode.0;
        fs::symlink_metadata(&from).is_ok_and(is_alike) && fs::hard_link(&from, to).is_ok()
    }

    /// Makes the folder of a namespace's Secrets, on disk when this returns.
    fn make_namespace(&self, secrets: &Path) -> io::Result<()> {
        if secrets.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(self.mode.folder()).create(secrets)?;
        secrets.parent().into_iter().chain([&*self.folder]).try_for_each(sync_folder)
    }

    /// The lock around a comparison of versions and the change of names that follows, also against commands beside us.
    fn writing(&self) -> Result<File, StoreError> {
        let path = self.folder.join(".writing");
        let denied = |e: io::Error| StoreError::Denied(format!("{} can not be locked: {e}", path.display()));
        let lock = open_lock(&path).map_err(denied)?;
        let (deadline, never) = (Deadline::after(STORE_LOCK), Shutdown::new());
        let mut pause = STORE_LOCK_PAUSE_MIN;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(fs::TryLockError::Error(e)) => return Err(denied(e)),
                Err(fs::TryLockError::WouldBlock) => {}
            }
            let Some(left) = deadline.left() else {
                let held = format!("{} is held by another process for {} s", path.display(), STORE_LOCK.as_secs());
                return Err(StoreError::Unreachable(held));
            };
            never.wait(left.min(pause));
            pause = (pause * 2).min(STORE_LOCK_PAUSE);
        }
    }

    fn denied(&self, at: &ObjectRef, e: &io::Error) -> StoreError {
        let path = self.secrets(&at.namespace).join(&*at.name);
        StoreError::Denied(format!("{} can not be written: {e}", path.display()))
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Waits until the names in a folder are on disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
