//! Writes the status ConfigMap for people who may not read Secrets: when something changed, once a minute at most. Best effort: nothing
//! waits for it.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::base::limits::BULLETIN_EVERY;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time::{self, Stopwatch};
use crate::issuance::Context;
use crate::kube::api::DryRun;
use crate::kube::client::KubeError;
use crate::kube::metadata::Object as _;
use crate::kube::object::ConfigMapObject;
use crate::status::config_map::{NAME, data, object};
use crate::status::report::StatusReport;

/// The writer of the status ConfigMap.
#[derive(Debug, Default)]
pub(super) struct StatusWriter {
    /// True if there is an API server to write to.
    possible: bool,
    /// True if a certificate was reconciled since.
    changed: bool,
    /// When it was written, or found to be up to date.
    last: Option<Stopwatch>,
    /// The hash of what was written.
    hash: u64,
    /// True if a worker writes it.
    pub(super) busy: bool,
    said: String,
}

/// The most urgent certificates, and the number of all.
pub(super) struct StatusContents {
    report: StatusReport,
    all: usize,
}

/// Hashes text instead of keeping it.
#[derive(Default)]
struct HashWriter(DefaultHasher);

impl Write for HashWriter {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.hash(&mut self.0);
        Ok(())
    }
}

impl StatusWriter {
    /// A writer that has written nothing yet. Where writing is not `possible` nothing is ever due.
    pub(super) fn new(possible: bool) -> StatusWriter {
        StatusWriter { possible, ..StatusWriter::default() }
    }

    /// Tells whether there is an API server to write to.
    pub(super) fn is_possible(&self) -> bool {
        self.possible
    }

    /// Notes that a certificate was reconciled.
    pub(super) fn change(&mut self) {
        self.changed = true;
    }

    /// How long until the ConfigMap is to be written; `None` when nothing changed.
    pub(super) fn due(&self) -> Option<Duration> {
        let since = self.last.map_or(BULLETIN_EVERY, Stopwatch::elapsed);
        (self.possible && self.changed && !self.busy).then(|| BULLETIN_EVERY.saturating_sub(since))
    }

    /// The contents to write, of `all` certificates; `None` where the ConfigMap has them already.
    pub(super) fn write(&mut self, report: StatusReport, all: usize) -> Option<Box<StatusContents>> {
        (self.changed, self.last) = (false, Some(Stopwatch::start()));
        let mut hashed = HashWriter::default();
        // The text has times from now, and differs each time: the report is hashed.
        write!(hashed, "{all} {report:?}").expect("it takes everything");
        let hash = hashed.0.finish();
        if hash == self.hash {
            return None;
        }
        (self.hash, self.busy) = (hash, true);
        Some(Box::new(StatusContents { report, all }))
    }

    /// Notes the result of a write.
    pub(super) fn done(&mut self, result: Result<(), String>) {
        self.busy = false;
        let Err(error) = result else { return self.said.clear() };
        (self.hash, self.changed) = (0, true);
        if self.said != error {
            event!(
                warn,
                "status-not-written",
                config_map = NAME,
                error = error,
                consequence = "everything else goes on"
            );
            self.said = error;
        }
    }
}

/// Writes the ConfigMap, in a worker.
///
/// # Errors
/// Why it could not be written.
pub(super) fn put(context: &Context, state: StatusContents) -> Result<(), String> {
    let data = data(state.report, state.all, &context.namespace, time::now());
    let Some(client) = context.kube.as_deref() else { return Ok(()) };
    let (at, told) = (ObjectRef::new(&context.namespace, NAME), |e: KubeError| e.to_string());
    context.leader.check().map_err(|failed| failed.error)?;
    let before = client.get::<ConfigMapObject>(&at).map_err(told)?.map(|before| before.to_json());
    let exists = before.is_some();
    let object = ConfigMapObject(object(&at, before, &context.instance, &data)?);
    let written = match exists {
        true => client.replace(&object, DryRun::Real),
        false => client.create(&object, DryRun::Real),
    };
    written.map(|_| ()).map_err(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_can_be_written_nothing_is_due() {
        let due = |possible| {
            let mut telling = StatusWriter::new(possible);
            telling.change();
            telling.due()
        };
        assert_eq!((due(true), due(false)), (Some(Duration::ZERO), None));
        assert_eq!(StatusWriter::new(true).due(), None, "nothing was decided");
    }

    #[test]
    fn what_could_not_be_written_is_due_again_and_not_at_once() {
        let mut telling = StatusWriter::new(true);
        telling.change();
        let report = StatusReport { rows: Vec::new(), notes: Vec::new(), progress: None };
        assert!(telling.write(report.clone(), 0).is_some());
        assert_eq!(telling.due(), None, "a worker is at it");
        telling.done(Err("no".to_owned()));
        assert!(telling.due().is_some_and(|left| left > BULLETIN_EVERY / 2), "{:?}", telling.due());
        assert!(telling.write(report.clone(), 0).is_some(), "it is not there");
        telling.done(Ok(()));
        assert!(telling.write(report, 0).is_none(), "it is there");
    }
}
