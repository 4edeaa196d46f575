//! The answers as files of a folder that a web server serves (`http.webroot`, with `-local` only).

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::verdict::CHALLENGE_PATH;
use crate::record::PresentedFile;

/// Every web server may read an answer, which is no secret.
const MODE: u32 = 0o644;

fn folder_of(webroot: &str) -> PathBuf {
    Path::new(webroot).join(CHALLENGE_PATH.trim_matches('/'))
}

/// The file of a token; `None` where the token could be a path.
fn path_of(webroot: &str, file: &PresentedFile) -> Option<PathBuf> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_token = !file.token.is_empty() && file.token.bytes().all(is_plain);
    is_token.then(|| folder_of(webroot).join(&file.token))
}

/// Writes the answer: a new file, then a rename, so that no reader sees a part of it.
///
/// # Errors
/// The file and the fault.
pub(super) fn write(webroot: &str, file: &PresentedFile) -> Result<(), String> {
    let Some(path) = path_of(webroot, file) else { return Err("the token is no file name".to_owned()) };
    let told = |e: std::io::Error| format!("http.webroot: {}: {e}", path.display());
    if !Path::new(webroot).is_dir() {
        return Err(format!("http.webroot: {webroot} is no folder"));
    }
    let folder = folder_of(webroot);
    fs::create_dir_all(&folder).map_err(told)?;
    let new = folder.join(format!(".{}.new", file.token));
    let mut out = File::create(&new).map_err(told)?;
    out.write_all(file.answer.as_bytes()).map_err(told)?;
    out.set_permissions(Permissions::from_mode(MODE)).map_err(told)?;
    fs::rename(&new, &path).map_err(told)
}

/// Removes the answer, and what a crash left of it.
///
/// # Errors
/// The file and the fault.
pub fn remove(webroot: &str, file: &PresentedFile) -> Result<(), String> {
    let Some(path) = path_of(webroot, file) else { return Ok(()) };
    fs::remove_file(folder_of(webroot).join(format!(".{}.new", file.token))).ok();
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(format!("http.webroot: {}: {e}", path.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(token: &str) -> PresentedFile {
        let name = "a.test".parse().unwrap();
        PresentedFile { name, token: token.to_owned(), answer: format!("{token}.x"), webroot: None }
    }

    #[test]
    fn an_answer_is_a_readable_file_and_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("notariat-webroot-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let root = dir.to_str().unwrap();
        write(root, &file("t")).unwrap();
        let path = dir.join(".well-known/acme-challenge/t");
        assert_eq!(fs::read_to_string(&path).unwrap(), "t.x");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        remove(root, &file("t")).unwrap();
        remove(root, &file("t")).unwrap();
        assert_eq!(fs::read_dir(dir.join(".well-known/acme-challenge")).unwrap().count(), 0);
        for token in ["../../x", "a/b", "", "."] {
            assert!(write(root, &file(token)).is_err(), "{token}");
            remove(root, &file(token)).unwrap();
        }
        assert!(write("/nowhere/at/all", &file("t")).unwrap_err().contains("is no folder"));
        fs::remove_dir_all(&dir).unwrap();
    }
}
