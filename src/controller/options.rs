//! How the daemon runs, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use crate::base::name::ObjectRef;
use crate::server::listener::Port;
use crate::sources::selection::Selection;

/// How the daemon runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ConfigMaps.
    pub config_maps: Vec<ObjectRef>,
    /// The objects that are sources besides.
    pub selection: Selection,
    /// When the program ends.
    pub pass: RunMode,
    /// Certificates obtained at the same time.
    pub workers: usize,
    /// True if work is announced instead of done.
    pub dry_run: bool,
    /// The Lease by which replicas elect a leader.
    pub lease: Option<ObjectRef>,
    /// The Lease of cert-manager's controller, to be held while its objects are served; `None` where they are no source.
    pub cert_manager_lease: Option<ObjectRef>,
    /// True where the statuses of objects are written.
    pub writes_statuses: bool,
    /// How long a record is kept when its entry goes.
    pub forget_after: Duration,
    /// The HTTP port.
    pub port: Option<Arc<Port>>,
    /// The port of the responder of http-01 challenges.
    pub challenge_port: Option<Arc<Port>>,
    /// True if the port serves the page.
    pub page: bool,
}

impl Options {
    /// Tells whether a ConfigMap shows the state.
    pub(super) fn tells(&self) -> bool {
        self.pass == RunMode::Forever && !self.dry_run
    }
}

/// When the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// When it is stopped.
    Forever,
    /// When each entry was served once, with an exit code.
    Once,
    /// When each zone was probed, with an exit code.
    Probe,
}

/// How the program ends; the numbers are those of sysexits.h where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Every Secret is valid, or the daemon was stopped.
    Good,
    /// A Secret is not valid, or an entry was refused.
    Unsound,
    /// A part of the program died.
    Broken,
    /// The state could not be found out.
    Unknown,
    /// The command line or the configuration is unreadable.
    Unreadable,
}

impl ExitStatus {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            ExitStatus::Good => 0,
            ExitStatus::Unsound => 1,
            ExitStatus::Broken => 70,
            ExitStatus::Unknown => 75,
            ExitStatus::Unreadable => 78,
        }
    }
}
