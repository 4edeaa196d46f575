//! The controller: the state of the loop. Its steps stand in `control_loop`, `dispatch` and `outcomes`.

use std::collections::HashSet;
use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::election::ElectionHandle;
use super::messages::ControllerEvent;
use super::object_status::{IssuerAccounts, ObjectStatusWriter, Showing};
use super::options::{Options, RunMode};
use super::queue::WorkQueue;
use super::sources::ConfigHealth;
use super::state::ControllerState;
use super::status_writer::StatusWriter;
use super::worker_threads::Workers;
use crate::base::limits::ACTING_WAIT;
use crate::base::name::ObjectRef;
use crate::base::time::{Deadline, Time};
use crate::issuance::Context;
use crate::policy::retention::RetentionStep;
use crate::server::publisher::SnapshotPublisher;

pub(super) struct Controller<'p> {
    pub(super) state: ControllerState,
    pub(super) context: Arc<Context>,
    pub(super) plan: &'p Options,
    pub(super) workers: Workers,
    pub(super) events: Receiver<ControllerEvent>,
    pub(super) queue: WorkQueue,
    /// Records whose entry went or came back, and what is to be done to each.
    pub(super) orphaned: Vec<(ObjectRef, RetentionStep)>,
    /// Records to which that is being done.
    pub(super) releasing: HashSet<ObjectRef>,
    /// True if certificates may have come or gone.
    pub(super) all_changed: bool,
    /// True if all records may be listed.
    pub(super) may_list: bool,
    /// True if a change was stored: the other changes may follow.
    pub(super) change_proved: bool,
    /// True if a zone would not take an UPDATE.
    pub(super) probe_failed: bool,
    /// When the source objects are read again that no watch shows.
    pub(super) read_again: Time,
    /// The time of the last pass.
    pub(super) last_pass: Time,
    pub(super) config_health: ConfigHealth,
    /// True if this replica led at the last pass.
    pub(super) led: bool,
    /// This replica's part in the leader election.
    pub(super) election: Option<ElectionHandle>,
    /// The writer of the status ConfigMap.
    pub(super) status_writer: StatusWriter,
    /// The writer of the statuses of objects; none where no source has them written.
    pub(super) object_status: Option<ObjectStatusWriter>,
    /// The accounts of issuers that objects describe.
    pub(super) issuer_accounts: Option<IssuerAccounts>,
    /// The objects whose status may have to be written, and the right to act at the last pass.
    pub(super) showing: Showing,
    /// This replica's part in holding the Lease of cert-manager's controller.
    pub(super) cert_manager: Option<ElectionHandle>,
    /// The time by which a single pass goes on without that Lease.
    pub(super) acting_by: Deadline,
    /// The publisher of what the port shows.
    pub(super) publisher: Option<SnapshotPublisher>,
}

impl<'p> Controller<'p> {
    /// A controller that has done nothing yet, without election, status ConfigMap and port.
    pub(super) fn new(
        state: ControllerState,
        plan: &'p Options,
        workers: Workers,
        events: Receiver<ControllerEvent>,
        now: Time,
    ) -> Controller<'p> {
        Controller {
            context: state.context.clone(),
            state,
            plan,
            workers,
            events,
            queue: WorkQueue::new(plan.pass != RunMode::Forever),
            orphaned: Vec::new(),
            releasing: HashSet::new(),
            all_changed: true,
            may_list: true,
            change_proved: false,
            probe_failed: false,
            read_again: now,
            last_pass: now,
            config_health: ConfigHealth::default(),
            led: false,
            election: None,
            status_writer: StatusWriter::new(false),
            object_status: None,
            issuer_accounts: None,
            showing: Showing::default(),
            cert_manager: None,
            acting_by: Deadline::after(ACTING_WAIT),
            publisher: None,
        }
    }

    /// Tells whether the program ends after one pass.
    pub(super) fn once(&self) -> bool {
        self.plan.pass != RunMode::Forever
    }

    /// Work items under way that are for no certificate.
    pub(super) fn others(&self) -> usize {
        self.releasing.len() + self.state.forms_being_read() + usize::from(self.status_writer.busy)
    }

    /// Work items under way.
    pub(super) fn working(&self) -> usize {
        self.queue.busy() + self.others()
    }

    /// Reconciles all certificates again.
    pub(super) fn add_all(&mut self) {
        self.all_changed = true;
        self.queue.add(self.state.desired.wanted.keys().cloned());
    }
}
