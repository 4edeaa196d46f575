//! The jobs that the controller hands to workers, and their outcomes.

use std::fmt;
use std::sync::Arc;

use super::write_base::WriteBase;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::issuance::AttemptError;
use crate::policy::renewal_window::RenewalWindow;
use crate::policy::secret_state::SecretState;
use crate::policy::{RestoreFrom, Violation};
use crate::sources::CertificateSpec;

/// A task for one certificate.
#[derive(Clone, Debug)]
pub struct Job {
    /// The certificate that is wanted.
    pub wanted: Arc<CertificateSpec>,
    /// The task.
    pub task: Task,
    /// The fingerprint of the entry and of the Secrets that it uses.
    pub inputs: String,
    /// The certificate lives less than ten days, so that backoff is shorter.
    pub short_lived: bool,
    /// The observation that the decision was made on.
    pub basis: Observed,
    /// The peer that the job talks to longest.
    pub peer: JobPeer,
}

/// The peer of a job besides the API server. Slots are counted by peer, so that a peer that hangs delays no job of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobPeer {
    /// A CA, by its directory URL.
    Ca(SharedStr),
    /// The DNS servers.
    Dns,
    /// No other peer.
    Store,
}

impl fmt::Display for JobPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobPeer::Ca(directory) => write!(f, "the CA {directory}"),
            JobPeer::Dns => f.write_str("the DNS servers"),
            JobPeer::Store => f.write_str("the store"),
        }
    }
}

/// The observation that a decision was made on. A job does nothing where something else is there.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The states of the entry's Secrets, in its order.
    pub held: Vec<SecretState>,
    /// The same Secrets as a running watch shows them.
    pub known: Vec<KnownSecret>,
    /// The resourceVersion of the record; empty where there was none.
    pub record: String,
    /// A running watch shows that there is no record.
    pub record_is_absent: bool,
}

/// A Secret as a running watch shows it, for a write without a read. A conflict makes the job read the Secret.
#[derive(Clone, Debug, Default)]
pub enum KnownSecret {
    /// Not enough. The Secret has to be read.
    #[default]
    Unknown,
    /// There is no such Secret.
    Absent,
    /// The resourceVersion, and what a replacement carries over.
    Base(String, WriteBase),
}

/// A question for renewal information (RFC 9773).
#[derive(Clone, Debug)]
pub struct RenewalInfoRequest {
    /// The serial number of the certificate in hexadecimal.
    pub serial: SharedStr,
    /// The certificate identifier (RFC 9773 section 4.1).
    pub cert_id: SharedStr,
    /// The last answer.
    pub before: Option<RenewalWindow>,
}

impl Job {
    /// A job for a certificate about which nothing is known.
    pub fn new(wanted: Arc<CertificateSpec>, task: Task) -> Job {
        Job { wanted, task, inputs: String::new(), short_lived: false, basis: Observed::default(), peer: JobPeer::Dns }
    }
}

/// The work of a job.
#[derive(Clone, Debug)]
pub enum Task {
    /// Obtain a certificate and store it in the Secrets at these places of the entry's list.
    Issue {
        /// The reason.
        finding: Violation,
        /// The places of the Secrets to write in the entry's list.
        targets: Vec<usize>,
        /// True if the order counts against the cap.
        counted: bool,
    },
    /// Store a pair that is already ours.
    Restore {
        /// The reason.
        finding: Violation,
        /// The source of the pair.
        source: RestoreFrom,
        /// The places of the Secrets to write in the entry's list.
        targets: Vec<usize>,
    },
    /// Update the record: accepted form, values left behind, an order whose certificate is stored.
    Tidy,
    /// Revoke the held certificate at the CA, without another one in its place.
    Revoke,
    /// Set the owner of the Secret, or remove it.
    Cascade,
    /// Ask the CA when it wants the certificate to be renewed.
    Window(RenewalInfoRequest),
    /// Ask the zones' servers whether they would take an UPDATE.
    Probe,
}

/// The outcome of a job.
#[derive(Debug)]
pub struct Outcome {
    /// The Secret of the certificate.
    pub secret: ObjectRef,
    /// The result.
    pub result: Result<(), AttemptError>,
    /// The states of the entry's Secrets, where they are not what the decision was made on. Nothing was done then.
    pub found: Option<Vec<SecretState>>,
}
