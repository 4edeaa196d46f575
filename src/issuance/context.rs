//! The state that all attempts share.

use std::sync::Arc;

use super::account::Accounts;
use super::acting::Acting;
use super::answers::Answers;
use super::circuits::Circuits;
use super::clients::AcmeClients;
use super::error::AttemptError;
use super::leadership::LeaderStatus;
use super::probes::Probes;
use super::rate_limits::RateLimits;
use super::reached::Reached;
use super::renewal_schedule::RenewalInfoSchedule;
use crate::base::name::ObjectRef;
use crate::base::shutdown::Shutdown;
use crate::config::namespaces::Namespaces;
use crate::dns::client;
use crate::dns::resolver::Resolver;
use crate::kube::client::KubeClient;
use crate::kube::events::EventReason;
use crate::kube::metadata::ObjectReference;
use crate::kube::recorder::EventRecorder;
use crate::kube::resource::Resource;
use crate::sources::CertificateSpec;
use crate::store::Store;

/// The clients, caches and settings that all attempts share.
#[derive(Debug)]
pub struct Context {
    /// Secrets and ConfigMaps.
    pub store: Store,
    /// The client of the API server; `None` with the directory store.
    pub kube: Option<Arc<KubeClient>>,
    /// The clients of the CAs.
    pub clients: AcmeClients,
    /// The ACME accounts.
    pub accounts: Accounts,
    /// Sends queries and updates to DNS servers.
    pub dns: client::DnsClient,
    /// When CAs are asked for renewal information (RFC 9773).
    pub renewal_schedule: RenewalInfoSchedule,
    /// The program runs until it is stopped, so that times kept in memory are of use.
    pub runs_on: bool,
    /// The resolver for names and zones.
    pub resolver: Resolver,
    /// The answers to http-01 challenges.
    pub answers: Answers,
    /// True if a responder gives those answers.
    pub listens_for_challenges: bool,
    /// The names that a CA reached although this program could not.
    pub reached: Reached,
    /// The circuits of the DNS servers.
    pub circuits: Circuits,
    /// The rate limits that CAs announced.
    pub limits: RateLimits,
    /// The results of the last probes of zones.
    pub probes: Probes,
    /// The recorder of Kubernetes Events.
    pub recorder: EventRecorder,
    /// Set when the program stops.
    pub stop: Shutdown,
    /// Our own namespace, which holds records and accounts.
    pub namespace: String,
    /// The namespaces whose Secrets may be used.
    pub namespaces: Namespaces,
    /// The instance in the annotation `notariat/owner`.
    pub instance: String,
    /// The name of this process in claims.
    pub holder: String,
    /// True if this replica may act.
    pub leader: LeaderStatus,
    /// True if this program acts for cert-manager's objects.
    pub acting: Acting,
}

impl Context {
    /// Publishes an Event at the object that wants a certificate, which is at home. `text` is about one of its Secrets and holds no secret. A
    /// Secret of another cluster is named in the text, because an Event refers to objects of its own cluster only.
    pub fn publish(&self, reason: EventReason, wanted: &CertificateSpec, secret: &ObjectRef, text: String) {
        let (related, text) = match secret.cluster.is_home() {
            true => (Some(ObjectReference::new(Resource::SECRETS, secret)), text),
            false => (None, format!("Secret {secret}: {text}")),
        };
        self.recorder.publish(reason, wanted.source.reference(), related, text);
    }

    /// Checks before an effect that this replica leads, and that it acts for the object that wants the certificate.
    ///
    /// # Errors
    /// Why not. Not counted.
    pub fn check_acting(&self, wanted: &CertificateSpec) -> Result<(), AttemptError> {
        self.leader.check()?;
        self.acting.check_for(wanted)
    }
}
