//! One certificate of the simulation, and the counters.

use std::fmt;
use std::time::Duration;

use notariat::base::name::Domain;
use notariat::base::time::Time;
use notariat::cert::facts::CertificateFacts;
use notariat::config::entry::Entry;
use notariat::kube::object::{SecretObject, TYPE_TLS};
use notariat::policy::secret_state::{Owner, PairState, Present, SecretState};
use notariat::record::Record;

use crate::ca::DIRECTORY;

/// One certificate: the entry, the contents of its Secret, its record in memory and as stored.
pub struct Certificate {
    pub entry: Entry,
    pub names: Vec<Domain>,
    pub held: [SecretState; 1],
    pub record: Record,
    pub disk: Option<SecretObject>,
    /// The certificate that an enemy puts back for as long as it lives.
    pub enemy: Option<(CertificateFacts, Duration, Time)>,
    pub server: usize,
    /// The times of planned interference.
    pub planned: Vec<Time>,
    /// The time of the next evaluation.
    pub next: Time,
    /// A worker is reserved for that time.
    pub reserved: bool,
}

/// The counters of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub expired: u64,
    pub attempts: u64,
    pub failures: u64,
    pub crashes: u64,
    pub restores: u64,
    pub questions: u64,
    /// Orders whose URL never came into a record.
    pub lost: u64,
    pub refused: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Tally) {
        self.expired += other.expired;
        self.attempts += other.attempts;
        self.failures += other.failures;
        self.crashes += other.crashes;
        self.restores += other.restores;
        self.questions += other.questions;
        self.lost += other.lost;
        self.refused += other.refused;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { attempts, failures, crashes, restores, questions, lost, refused, .. } = self;
        write!(
            f,
            "{attempts} attempts, {failures} failures, {refused} refused at random, {crashes} crashes, {restores} restores, {lost} orders lost, {questions} questions"
        )
    }
}

impl Certificate {
    pub fn new(entry: Entry, server: usize) -> Certificate {
        let names = entry.order_names();
        let (next, disk, enemy) = (Time::from_unix(i64::MAX), None, None);
        let (held, record) = ([SecretState::Missing], Record::default());
        Certificate { entry, names, held, record, disk, enemy, server, planned: Vec::new(), next, reserved: false }
    }

    pub fn facts(&self) -> Option<&CertificateFacts> {
        match &self.held[0] {
            SecretState::Present(present) => present.pair.facts().map(|facts| &**facts),
            SecretState::Missing => None,
        }
    }

    /// Replaces the contents of the Secret.
    pub fn hold(&mut self, facts: CertificateFacts) {
        if let SecretState::Present(present) = &mut self.held[0] {
            present.pair = PairState::Sound(facts.into());
            return;
        }
        self.held[0] = SecretState::Present(Box::new(Present {
            kind: TYPE_TLS.into(),
            owner: Owner::Us,
            pair: PairState::Sound(facts.into()),
            directory: Some(DIRECTORY.into()),
            key_type: Some(self.entry.key_type.name().into()),
            profile: None,
            renewal_asked: None,
            revocation_asked: None,
            cascade: None,
            writer: None,
        }));
    }
}
