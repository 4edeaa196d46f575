//! The directory store under leftovers, locks and folders that can not be written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Run, Site, x509};

#[test]
fn leftovers_of_a_crash_never_block_a_write_or_take_a_certificate_away() {
    let site = Site::new();
    // A plain folder with a certificate that is due, as an operator put it there.
    let (chain, key) = x509::make(&["www.site.test"], "old", -90, 1);
    site.secret("web", &[("tls.crt", &chain), ("tls.key", &key)]);
    let secrets = site.store.join("default/secrets");
    for folder in [".web.new", ".web.new/deep", ".web.trial"] {
        fs::create_dir_all(secrets.join(folder)).unwrap();
    }
    for file in [".web.0", ".web.plain", ".notariat-record.default.web.new"] {
        fs::write(secrets.join(file), "left behind").unwrap();
    }
    site.config(&site.entry("web", "www.site.test", ", adopt: true"));
    site.once().ends(0).says(&["issued secret=default/web"]);
    site.assert_valid("web", &["www.site.test"]);
    let left: Vec<String> = fs::read_dir(&secrets)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".web."))
        .collect();
    assert_eq!(left.len(), 1, "the folder that the link leads to: {left:?}");
}

#[test]
fn a_store_that_another_process_holds_ends_a_pass_as_one_that_can_be_tried_again() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    let daemon = site.daemon();
    daemon.until_it_says("issued secret=default/web");
    site.once().ends(75).says(&["another notariat works on"]);
    assert_eq!(daemon.terminate(), 0);
    // Who holds the lock around a write for ever does not hold us for ever.
    let lock = fs::File::create(site.store.join(".writing")).unwrap();
    lock.lock().unwrap();
    fs::remove_file(site.folder("web")).unwrap();
    site.once().ends(1).says(&["is held by another process"]);
    drop(lock);
    site.once().ends(0).says(&["restored secret=default/web"]);
}

#[test]
fn a_store_that_can_not_be_written_ends_a_pass_as_one_that_can_be_tried_again() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    // A folder in the place of the lock is in the way of every user, also of root.
    fs::create_dir(site.store.join(".lock")).unwrap();
    site.once().ends(75).says(&[".lock can not be opened"]);
    fs::remove_dir(site.store.join(".lock")).unwrap();
    fs::set_permissions(site.store.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Run::of(&mut site.command(&["-once"])).ends(0);
}
