//! What a worker is asked to do, and what became of it.

use std::fmt;
use std::sync::Arc;

use super::renewal_info::RenewalInfoRequest;
use crate::base::name::ObjectRef;
use crate::base::shared_str::SharedStr;
use crate::issuance::AttemptError;
use crate::policy::secret_state::SecretState;
use crate::policy::{RestoreFrom, Violation};
use crate::sources::CertificateSpec;

/// Something to do for one certificate.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is wanted.
    pub wanted: Arc<CertificateSpec>,
    /// What to do.
    pub task: Task,
    /// The fingerprint of the entry and its keys.
    pub inputs: String,
    /// The certificate lives less than ten days: waits are shorter.
    pub short_lived: bool,
    /// What the decision was made of.
    pub basis: Observed,
    /// Whom it talks to longest.
    pub peer: JobPeer,
}

/// Whom a job talks to, besides the API server. Places are counted by it, so that one that hangs keeps nobody else waiting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JobPeer {
    /// A CA, by its directory URL.
    Ca(SharedStr),
    /// The DNS servers.
    Dns,
    /// Nobody.
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

/// What a decision was made of: while this is not what is there, it does not count.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What the Secrets of the entry held, in its order.
    pub held: Vec<SecretState>,
    /// The version of the record; empty where there was none.
    pub record: String,
}

impl Job {
    /// A job for a certificate that nothing is known of.
    pub fn new(wanted: Arc<CertificateSpec>, task: Task) -> Job {
        Job { wanted, task, inputs: String::new(), short_lived: false, basis: Observed::default(), peer: JobPeer::Dns }
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// Obtain a certificate and store it in the Secrets at these places of the entry's list.
    Issue {
        /// Why.
        finding: Violation,
        /// Where to.
        targets: Vec<usize>,
        /// Whether the order counts against the cap.
        counted: bool,
    },
    /// Store the pair that we have.
    Restore {
        /// Why.
        finding: Violation,
        /// Where from.
        source: RestoreFrom,
        /// Where to.
        targets: Vec<usize>,
    },
    /// Bring the record up to date: the accepted form, values left behind, an order whose certificate is stored.
    Tidy,
    /// Ask the CA when it wants the certificate to be renewed.
    Window(RenewalInfoRequest),
    /// Ask the zones' servers whether they would take an UPDATE.
    Probe,
}

/// What became of a job.
#[derive(Debug)]
pub struct Outcome {
    /// Whose it was.
    pub secret: ObjectRef,
    /// How it ended.
    pub result: Result<(), AttemptError>,
    /// What the Secrets of the entry hold, where the decision was made of something else: then nothing was done.
    pub found: Option<Vec<SecretState>>,
}
