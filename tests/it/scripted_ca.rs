//! The faults of a CA that Pebble never has. For each one: an end in time, one sentence that says what happened, and the old
//! certificate where it was.

mod budget;
mod challenges;
mod forged;
mod limits;
mod refused;
mod tolerated;
mod unproved;
mod words;

use std::time::{Duration, Instant};

use notariat_lab::Scratch;

use crate::support::ca::{Asked, Ca, Kind, Reply};
use crate::support::{Run, Site, x509};

/// A lie about every answer of a kind.
type Lie = fn(&Asked, &mut Reply);

/// A name, the answers that it is about, what becomes of them, and what the log says of it.
type Row = (&'static str, Kind, Lie, &'static str);

/// A site whose Secret `web` holds a certificate that is due.
struct Due {
    site: Site,
    old: (String, String),
}

impl Due {
    fn new() -> Due {
        Due { site: Site::new(), old: x509::make(&["www.site.test"], "somebody", -85, 5) }
    }

    /// Forgets all that notariat ever did here.
    fn anew(&mut self) {
        let Due { site, old } = self;
        site.store = Scratch::new("store");
        site.secret("tsigkey", &[("key", &site.key.secret_text())]);
        site.secret("web", &[("tls.crt", &old.0), ("tls.key", &old.1)]);
        site.config(&site.entry("web", "www.site.test", ""));
    }

    /// One pass with a CA that lies about a kind of answer.
    fn pass(&mut self, name: &str, kind: Kind, lie: Lie) -> (Run, Ca) {
        self.anew();
        let ca = Ca::start(&self.site.pebble, move |asked, reply| {
            if asked.kind == kind || kind == Kind::Any {
                lie(asked, reply);
            }
        });
        let began = Instant::now();
        let run = Run::of(&mut ca.command(&self.site, &["-once"]));
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
        assert_harmless(name, &run.log);
        assert_eq!(ca.elsewhere(), 0, "{name}: nothing is sent to a host that an answer leads to\n{}", run.log);
        (run, ca)
    }

    #[track_caller]
    fn assert_untouched(&self, name: &str, run: &Run) {
        let folder = self.site.folder("web");
        let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name()).collect();
        files.sort();
        assert_eq!(files, ["tls.crt", "tls.key"], "{name}: {}", run.log);
        assert_eq!(self.site.read("web", "tls.crt").as_ref(), Some(&self.old.0), "{name}: {}", run.log);
        assert_eq!(self.site.read("web", "tls.key").as_ref(), Some(&self.old.1), "{name}: {}", run.log);
    }

    #[track_caller]
    fn assert_issued(&self, name: &str, run: &Run) {
        assert_eq!(run.code, 0, "{name}: {}", run.log);
        x509::assert_valid(&self.site.folder("web"), &self.site.pebble.root_pem(), &["www.site.test"]);
    }
}

/// Each ends with one sentence, and the old certificate where it was.
fn each(rows: &[Row]) {
    let mut due = Due::new();
    for (name, kind, lie, said) in rows {
        let (run, _ca) = due.pass(name, *kind, *lie);
        assert_eq!(run.code, 1, "{name}: {}", run.log);
        let failed = run.log.lines().find(|line| line.contains("failed secret=default/web stage="));
        let failed = failed.unwrap_or_else(|| panic!("{name}: {}", run.log));
        assert!(failed.contains(said), "{name}: {failed}");
        assert!(failed.contains("attempt=1") && failed.contains("next_attempt=20"), "{name}: {failed}");
        due.assert_untouched(name, &run);
    }
}

/// A peer's words must neither break a line nor move a cursor nor fill a disk.
#[track_caller]
fn assert_harmless(name: &str, log: &str) {
    assert!(!log.contains("panicked") && !log.contains("a fault inside"), "{name}: {log}");
    for line in log.lines() {
        let shown: String = line.chars().take(300).collect();
        assert!(line.len() < 16 * 1024, "{name}: a line of {} octets: {shown}", line.len());
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{name}: {shown:?}");
        assert!(line.starts_with("20"), "{name}: no line of the log: {shown:?}");
    }
}
