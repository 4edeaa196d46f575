//! Puts a complete folder in the place of a Secret in one step.
//!
//! A Secret is a symlink `NAME` to a folder `.NAME.<number>` beside it. Every function here changes names only, within moments, and is
//! called under the lock of the store.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

/// Names that are tried where leftovers cannot be removed.
const NUMBERS_MAX: u64 = 100;

/// Makes a folder under the first free number. Leftovers of killed processes keep their numbers until the next exchange.
///
/// # Errors
/// When the folder cannot be made, or no number is free.
pub(super) fn make_folder(parent: &Path, name: &str, mode: u32) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let folder = numbered(parent, name, number);
        match fs::DirBuilder::new().mode(mode).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && number < NUMBERS_MAX => number += 1,
            Err(e) => return Err(e),
        }
    }
}

fn numbered(parent: &Path, name: &str, number: u64) -> PathBuf {
    parent.join(format!(".{name}.{number}"))
}

/// Makes `parent/name` lead to the folder `fresh`. Returns what may be removed once the exchange is on disk: the replaced folder,
/// leftovers, and folders of writers that have lost by this exchange.
///
/// A symlink is replaced in one step. For a plain folder there is a moment without the name, in which our own readers look at
/// [`aside`]; on a failure the folder is put back.
///
/// # Errors
/// When nothing was exchanged.
pub(super) fn exchange(parent: &Path, name: &str, fresh: &Path) -> io::Result<Vec<PathBuf>> {
    let (path, aside) = (parent.join(name), aside(parent, name));
    // A full disk or a taken name shows here, before anything that is read is moved.
    let link = make_link(parent, name, fresh)?;
    let old = match put_link(&path, &aside, &link) {
        Ok(old) => old.map(|old| parent.join(old)),
        Err(e) => {
            remove_any(&link).ok();
            return Err(e);
        }
    };
    // Only a folder that we made is removed, wherever an operator's own symlink may have led.
    let is_own = |o: &PathBuf| o.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    let mut stale: Vec<_> = old.filter(|o| o.parent() == Some(parent) && is_own(o)).into_iter().collect();
    let (mut number, mut met) = (0, false);
    while number < NUMBERS_MAX {
        let folder = numbered(parent, name, number);
        met |= folder == fresh;
        match fs::symlink_metadata(&folder) {
            Ok(_) if folder != fresh => stale.push(folder),
            Ok(_) => {}
            Err(_) if met => break,
            Err(_) => {}
        }
        number += 1;
    }
    stale.push(aside);
    Ok(stale)
}

/// Removes what an exchange returned. What cannot be removed is left to the next exchange: the Secret is written already.
pub(super) fn remove_stale(parent: &Path, name: &str, stale: &[PathBuf]) {
    let current = fs::read_link(parent.join(name)).ok().map(|target| parent.join(target));
    for path in stale.iter().filter(|path| Some(*path) != current.as_ref()) {
        remove_any(path).ok();
    }
}

/// Puts `link` in the place of `path`. Returns the target of `path`, where it was a link.
fn put_link(path: &Path, aside: &Path, link: &Path) -> io::Result<Option<PathBuf>> {
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

/// Does everything that [`exchange`] does, under a name that nobody reads.
///
/// # Errors
/// When the exchange would fail.
pub(super) fn try_exchange(parent: &Path, name: &str, fresh: &Path) -> io::Result<()> {
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

/// Makes a symlink to `fresh` beside it. A leftover under its name is removed, or passed over.
fn make_link(parent: &Path, name: &str, fresh: &Path) -> io::Result<PathBuf> {
    let target = fresh.file_name().ok_or_else(|| io::Error::other("a folder without a name"))?;
    let mut number = 0;
    loop {
        // No folder of a Secret ends with `.new`.
        let own = if number == 0 { format!(".{name}.new") } else { format!(".{name}.{number}.new") };
        let link = parent.join(own);
        match remove_any(&link).and_then(|()| symlink(target, &link)) {
            Ok(()) => return Ok(link),
            Err(e) if e.kind() == io::ErrorKind::StorageFull || number >= NUMBERS_MAX => return Err(e),
            Err(_) => number += 1,
        }
    }
}

/// Removes a file, a link or a folder with all that is in it. A path that does not exist counts as removed.
pub(super) fn remove_any(path: &Path) -> io::Result<()> {
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

/// The path of a plain folder while it is replaced.
pub(super) fn aside(parent: &Path, name: &str) -> PathBuf {
    parent.join(format!(".{name}.plain"))
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
        assert!(put_link(&path, &aside, &parent.join("no link")).is_err());
        assert_eq!(fs::read(path.join("tls.crt")).unwrap(), b"old");
        assert!(!aside.exists());
        assert!(exchange(&parent, "web", Path::new("/")).is_err(), "a folder without a name");
        assert_eq!(fs::read(path.join("tls.crt")).unwrap(), b"old");
        fs::remove_dir_all(&parent).unwrap();
    }
}
