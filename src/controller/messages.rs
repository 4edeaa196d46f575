//! The messages between the loop, the workers and the watches.

use super::accepted_specs::LastAccepted;
use super::observed::InformerEvent;
use super::status_writer::StatusContents;
use crate::base::name::ObjectRef;
use crate::issuance::AttemptError;
use crate::policy::retention::RetentionStep;
use crate::worker::{Job, Outcome};

/// Work for a worker.
pub(super) enum WorkItem {
    /// A job for a certificate.
    Do(Box<Job>),
    /// A record whose entry went or came back is to follow that.
    Forget(ObjectRef, RetentionStep),
    /// The status ConfigMap is to be written.
    Tell(Box<StatusContents>),
    /// The last accepted form of a certificate's entry is to be read.
    ReadForm(ObjectRef),
}

/// The result of a work item.
pub(super) enum WorkResult {
    Job(Outcome, Box<Job>),
    Forgotten(ObjectRef, Result<(), AttemptError>),
    Told(Result<(), String>),
    Form(ObjectRef, Result<LastAccepted, String>),
}

/// An event that wakes the loop.
pub(super) enum ControllerEvent {
    /// A work item is done.
    Done(Box<WorkResult>),
    /// A watch saw something.
    Change(Box<InformerEvent>),
    /// The program is to stop.
    Stop,
    /// The leadership of this replica changed.
    Lead,
}
