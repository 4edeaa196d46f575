use super::*;
use crate::base::secret::Secret;

/// A store in a directory of its own, removed at its end.
struct Folder(DirectoryStore);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("notariat-directory-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(DirectoryStore::open(&path, FileMode::PRIVATE, LockMode::Beside).unwrap())
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.secrets("team")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0.folder).unwrap();
    }
}

fn secret(name: &str, key: &str) -> SecretObject {
    let mut secret = SecretObject::new(ObjectRef::new("team", name), "kubernetes.io/tls");
    for (file, text) in [("tls.crt", "chain"), ("tls.key", key)] {
        secret.data.insert(file.to_owned(), Secret::new(text.as_bytes().to_vec()));
    }
    secret
}

/// The wait for the disk is over when a Secret is staged, and another one is stored between the two steps.
#[test]
fn two_secrets_are_written_side_by_side() {
    let folder = Folder::new("side");
    let (a, b) = (secret("a", "1"), secret("b", "2"));
    let staged_a = folder.0.stage(&a, DryRun::Real).unwrap();
    let staged_b = folder.0.stage(&b, DryRun::Real).unwrap();
    folder.0.commit(staged_b).unwrap();
    assert!(folder.0.secret(&a.reference).unwrap().is_none());
    let written = folder.0.commit(staged_a).unwrap();
    for expected in [&a, &b] {
        let read = folder.0.secret(&expected.reference).unwrap().unwrap();
        assert_eq!(read.data, expected.data);
    }
    assert_eq!(folder.0.secret(&a.reference).unwrap().unwrap().version, written.version, "as stored");
    assert_eq!(folder.names(), [".a.0", ".b.0", "a", "b"]);
}

#[test]
fn of_two_writers_of_one_secret_the_second_meets_a_conflict() {
    let folder = Folder::new("conflict");
    let (first, second) = (secret("a", "1"), secret("a", "2"));
    let staged = [&first, &second, &second].map(|secret| folder.0.stage(secret, DryRun::Real).unwrap());
    let trial = folder.0.stage(&second, DryRun::DryRun).unwrap();
    let [lost, won, late] = staged;
    folder.0.commit(won).unwrap();
    for staged in [lost, late, trial] {
        assert_eq!(folder.0.commit(staged).unwrap_err(), StoreError::Conflict);
    }
    assert_eq!(folder.0.secret(&first.reference).unwrap().unwrap().data, second.data);
    assert_eq!(folder.names(), [".a.1", "a"], "folders of those who lost are gone");
}

/// A writer whose folder was removed by another process puts no link to nothing in the place of a Secret.
#[test]
fn a_staged_folder_that_vanished_is_a_conflict() {
    let folder = Folder::new("vanished");
    let a = secret("a", "1");
    let staged = folder.0.stage(&a, DryRun::Real).unwrap();
    remove_any(&staged.folder).unwrap();
    assert_eq!(folder.0.commit(staged).unwrap_err(), StoreError::Conflict);
    assert!(folder.0.secret(&a.reference).unwrap().is_none() && folder.names().is_empty());
}

#[test]
fn a_file_that_stays_is_not_written_again() {
    let folder = Folder::new("linked");
    let made = folder.0.write(&secret("a", "1"), DryRun::Real).unwrap();
    let inode = |file: &str| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(folder.0.secrets("team").join("a").join(file)).unwrap().ino()
    };
    let before = ["tls.crt", "tls.key", "type"].map(inode);
    let mut next = secret("a", "2");
    next.version = made.version;
    let made = folder.0.write(&next, DryRun::Real).unwrap();
    let after = ["tls.crt", "tls.key", "type"].map(inode);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);
    assert_eq!(folder.0.secret(&made.reference).unwrap().unwrap().data, next.data);

    // A file with other rights is written anew.
    let file = folder.0.secrets("team").join("a/tls.crt");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    next.data.insert("tls.key".to_owned(), Secret::new(b"3".to_vec()));
    next.version = made.version;
    folder.0.write(&next, DryRun::Real).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}
