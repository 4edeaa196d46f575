//! The ConfigMap that shows the state to people who may not read Secrets: written when something changed, once a minute at most. Best
//! effort: nothing waits for it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use crate::issue::Context;
use crate::kube::client::{KubeError, Mode, Resource};
use crate::limits::BULLETIN_EVERY;
use crate::log::event;
use crate::name::ObjectRef;
use crate::status::bulletin::{NAME, data, object};
use crate::status::row::Report;
use crate::time::{Stopwatch, Time};

/// What was written there last.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Something was decided since.
    changed: bool,
    /// When it was written, or was found to be as it should.
    last: Option<Stopwatch>,
    /// Of what was written.
    hash: u64,
    /// A worker is at it.
    pub(super) busy: bool,
    said: String,
}

/// Text, of which a hash is kept.
#[derive(Default)]
struct Hashed(DefaultHasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.hash(&mut self.0);
        Ok(())
    }
}

impl Telling {
    /// Something was decided.
    pub(super) fn change(&mut self) {
        self.changed = true;
    }

    /// How long until there is something to be written, if there is.
    pub(super) fn due(&self) -> Option<Duration> {
        let since = self.last.map_or(BULLETIN_EVERY, Stopwatch::elapsed);
        (self.changed && !self.busy).then(|| BULLETIN_EVERY.saturating_sub(since))
    }

    /// What is to be written; `None` where it stands there already.
    pub(super) fn write(
        &mut self,
        report: Report,
        all: usize,
        own: &str,
        now: Time,
    ) -> Option<BTreeMap<String, String>> {
        (self.changed, self.last) = (false, Some(Stopwatch::start()));
        let mut hashed = Hashed::default();
        // What is written says how long it is until a time, and differs each time.
        write!(hashed, "{all} {report:?}").expect("it takes everything");
        let hash = hashed.0.finish();
        if hash == self.hash {
            return None;
        }
        (self.hash, self.busy) = (hash, true);
        Some(data(report, all, own, now))
    }

    /// It was written, or not.
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

/// Writes it.
///
/// # Errors
/// Why it was not.
pub(super) fn put(context: &Context, data: &BTreeMap<String, String>) -> Result<(), String> {
    let Some(client) = context.kube.as_deref() else { return Ok(()) };
    let (at, told) = (ObjectRef::new(&context.namespace, NAME), |e: KubeError| e.to_string());
    context.lead.check().map_err(|failed| failed.error)?;
    let before = client.get(Resource::ConfigMaps, &at).map_err(told)?;
    let exists = before.is_some();
    let object = object(&at, before, &context.instance, data)?;
    let written = match exists {
        true => client.update(Resource::ConfigMaps, &at, &object, Mode::Real),
        false => client.create(Resource::ConfigMaps, &context.namespace, &object, Mode::Real),
    };
    written.map(|_| ()).map_err(told)
}
