//! A small disk that can be full: a tmpfs of a bounded size. Needs root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use crate::tools::{output, tool};
use crate::{Scratch, at_exit};

/// The file that fills the disk.
const BALLAST: &str = ".ballast";

/// A mounted tmpfs, unmounted when dropped, or when the process ends.
#[derive(Debug)]
pub struct Tmpfs {
    directory: Scratch,
}

impl Tmpfs {
    /// Mounts one of so many MiB.
    pub fn new(label: &str, mebibytes: u32) -> Tmpfs {
        let directory = Scratch::new(label);
        let size = format!("size={mebibytes}m,mode=0700");
        at_exit::run(&format!("umount --lazy {} 2>/dev/null", directory.path().display()));
        output(Command::new(tool("mount")).args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()));
        Tmpfs { directory }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Fills it to the last octet.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path().join(BALLAST)).expect("a disk with room takes another file");
        // A page at a time: the last one tells that there is no room for another.
        let error = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }

    /// Makes room again.
    pub fn free(&self) {
        fs::remove_file(self.path().join(BALLAST)).expect("the ballast is there until it is removed");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // The line that runs at the end of the process does it where this fails.
        Command::new("umount").arg("--lazy").arg(self.path()).status().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_until_the_ballast_goes_and_is_unmounted_with_its_value() {
        let disk = Tmpfs::new("disk", 1);
        let path = disk.path().to_path_buf();
        disk.fill();
        let full = fs::write(path.join("more"), "text").unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        disk.free();
        fs::write(path.join("more"), "text").unwrap();
        let mounts = || fs::read_to_string("/proc/mounts").unwrap().contains(path.to_str().unwrap());
        assert!(mounts());
        drop(disk);
        assert!(!mounts() && !path.exists());
    }
}
