//! Facts of the loop about a CertificateRevocation: its state by the record of the certificate that it is about.

use super::super::gather::ReconcilePass;
use super::super::state::ControllerState;
use crate::cert_manager::status::{SeenResource, StateVerdict};
use crate::policy::revocation::{RevocationState, state_of};
use crate::record;
use crate::sources::resource::DescribedRevocation;
use crate::sources::wish::ObjectKey;
use crate::status::revocation::{RevokedCertificate, of_request, refused};

/// The field of a status that says when the revocation was complete.
const APPLIED: &str = "revocationApplied";

impl ControllerState {
    /// The verdict on a CertificateRevocation; `None` for one that is not this program's to judge, and while nothing can be said.
    pub(super) fn revocation_verdict(
        &mut self,
        object: &ObjectKey,
        seen: &SeenResource,
        described: &DescribedRevocation,
        pass: &mut ReconcilePass,
    ) -> Option<StateVerdict> {
        let namespaces = self.context.namespaces.clone();
        let (certificate, request, is_looked_at) = match described {
            DescribedRevocation::Refused(why) => {
                return namespaces.check(&object.at).ok().map(|()| refused(seen.generation, why));
            }
            DescribedRevocation::Asks { certificate, request, is_looked_at } => (certificate, request, *is_looked_at),
        };
        // Of several instances the one that serves the Certificate judges.
        namespaces.check(&certificate.at).ok()?;
        let Some(secret) = self.objects.index.secret_of(certificate).cloned() else {
            let why = format!("the Certificate {} does not exist, or names no Secret", certificate.at);
            return self.unless_applied(seen, refused(seen.generation, &why));
        };
        let Some(status) = self.status_of(certificate, pass) else {
            let problem = self.objects.index.hindrance_of(certificate)?;
            let why = format!("the Certificate {} is not served: {problem}", certificate.at);
            return self.unless_applied(seen, refused(seen.generation, &why));
        };
        let now = pass.now;
        let (held, _) = self.secrets.held(&secret, now).ok()?;
        let (summary, _) = self.secrets.record(&record::reference(&secret, &self.context.namespace), now);
        let state = match state_of(request, &summary.body, &held) {
            RevocationState::Due if !is_looked_at => RevocationState::Nothing(
                "is named by many other CertificateRevocations: delete those that are done".to_owned(),
            ),
            state => state,
        };
        let serial = held.certificate().map(|facts| facts.serial.clone());
        let (serial, finding) = (serial.as_deref(), status.finding.as_deref());
        let certificate = RevokedCertificate { object: &certificate.at, secret: &secret, serial, finding };
        let verdict = of_request(seen.generation, request.renew, &state, certificate);
        let is_nothing = matches!(state, RevocationState::Nothing(_));
        if is_nothing { self.unless_applied(seen, verdict) } else { Some(verdict) }
    }

    /// A verdict by which nothing is to be done, unless the object says that it was done before this program or its record.
    fn unless_applied(&self, seen: &SeenResource, verdict: StateVerdict) -> Option<StateVerdict> {
        let is_applied = seen.status.has_field(APPLIED);
        (!is_applied).then_some(verdict)
    }
}
