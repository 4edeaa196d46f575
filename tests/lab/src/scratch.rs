//! Temporary directories that go away.
//!
//! All of one process lie in one directory, which is removed when the process ends (see `at_exit`), whatever kills it;
//! a [`Scratch`] in it goes as soon as it is dropped. Mode 0700: they hold private keys and TSIG secrets.
//! `NOTARIAT_LAB_KEEP=1` keeps them and says where they are.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{at_exit, bytes};

/// The file that marks a directory as ours to empty, see [`Scratch::at`].
const MARK: &str = ".notariat-lab";

/// A directory that exists as long as this value.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new empty directory; the label only makes its path easier to read.
    pub fn new(label: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = process_directory().join(format!("{label}-{number}"));
        make_private(&path);
        Scratch { path }
    }

    /// A directory somebody chose. Everything in it is removed, now and at the end, so it has to be absent, empty or
    /// left behind by an earlier run.
    pub fn at(path: &Path) -> Result<Scratch, String> {
        let filled = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if filled && !path.join(MARK).exists() {
            return Err(format!("{} is not empty and not of an earlier run: choose another directory", path.display()));
        }
        if filled {
            fs::remove_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let path = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
        let scratch = Scratch { path };
        scratch.write(MARK, "");
        if !keep() {
            at_exit::remove(&scratch.path);
        }
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new directory in it.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        make_private(&path);
        path
    }

    /// Writes a file that only we can read, and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|error| panic!("cannot make {}: {error}", parent.display()));
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if keep() {
            eprintln!("kept {}", self.path.display());
        } else {
            // What cannot be removed now is removed when the process ends.
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

/// The one directory of this process. Its name cannot be guessed, and making it fails where it exists, so nobody else on
/// the machine can put theirs in our way.
fn process_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let path = env::temp_dir().join(format!("notariat-lab-{}-{}", process::id(), bytes::random_hex(4)));
        make_private(&path);
        if !keep() {
            at_exit::remove(&path);
        }
        path
    })
}

fn make_private(path: &Path) {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
}

fn keep() -> bool {
    env::var_os("NOTARIAT_LAB_KEEP").is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_scratch_directory_is_private_and_goes_with_its_value() {
        let scratch = Scratch::new("test");
        let path = scratch.path().to_path_buf();
        let file = scratch.write("secret", "s");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_that_holds_something_of_somebody_else_is_refused() {
        let scratch = Scratch::new("test");
        let path = scratch.directory("chosen");
        fs::write(path.join("thesis.txt"), "years of work").unwrap();
        assert!(Scratch::at(&path).unwrap_err().contains("choose another directory"));
        fs::remove_file(path.join("thesis.txt")).unwrap();
        drop(Scratch::at(&path).unwrap());
        assert!(!path.exists());
    }
}
