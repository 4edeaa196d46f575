//! The directory store under leftovers, locks and folders that can not be written.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use notariat_lab::Scratch;
use notariat_lab::tools::tool;

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
    // A process that never gives the lock back stops us for a bounded time.
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

/// The system calls of one pass that issues a certificate for the entry `web`, in order, with the paths of the files they are about.
fn disk_calls(site: &Site) -> Vec<String> {
    let scratch = Scratch::new("strace");
    let (trace, command) = (scratch.join("trace"), site.command(&["-once"]));
    let mut traced = Command::new(tool("strace"));
    let calls = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,flock,close";
    traced.args(["-f", "-qq", "-y", "-e", calls, "-o"]).arg(&trace).arg(command.get_program()).args(command.get_args());
    Run::of(&mut traced).ends(0).says(&["issued secret=default/web"]);
    fs::read_to_string(&trace).unwrap().lines().map(str::to_owned).collect()
}

/// Makes the certificate of `web` due for renewal.
fn make_due(site: &Site) {
    let (chain, key) = x509::make(&["www.site.test"], "old", -90, 1);
    for (file, text) in [("tls.crt", chain), ("tls.key", key)] {
        fs::write(site.folder("web").join(file), text).unwrap();
    }
}

#[test]
fn a_certificate_waits_for_the_disk_a_dozen_times_and_holds_no_lock_meanwhile() {
    let site = Site::new();
    site.config(&site.entry("web", "www.site.test", ""));
    for what in ["first certificate", "renewal"] {
        let calls = disk_calls(&site);
        // An account is registered once.
        let counted: Vec<_> = calls.iter().filter(|line| !line.contains("notariat-acme-")).collect();
        let waits = |call: &str| counted.iter().filter(|line| line.contains(call)).collect::<Vec<_>>();
        let (files, folders) = (waits(" fdatasync("), waits(" fsync("));
        assert!((5..=12).contains(&files.len()), "{what}: {} waits: {files:#?}", files.len());
        assert!((5..=16).contains(&folders.len()), "{what}: {} of folders: {folders:#?}", folders.len());
        let others = calls.iter().filter(|line| line.contains(" sync"));
        assert_eq!(others.count(), 0, "nobody else's data is waited for");
        let mut locked = HashMap::new();
        let mut locks = 0;
        for line in &calls {
            let thread = line.split(' ').next().unwrap();
            let is_lock = line.contains("/.writing>");
            if is_lock && line.contains("flock(") && line.ends_with("= 0") {
                locked.insert(thread, line);
                locks += 1;
            } else if is_lock && line.contains("close(") {
                locked.remove(thread);
            } else if line.contains("sync") {
                assert_eq!(locked.get(thread), None, "held over {line}");
            }
        }
        assert!(locks > 5, "{calls:#?}");
        site.assert_valid("web", &["www.site.test"]);
        make_due(&site);
    }
}
