//! Deletes the Secret of a certificate that no object wants any more.

use super::claim::Claim;
use crate::base::log::event;
use crate::base::metrics;
use crate::base::name::ObjectRef;
use crate::issuance::{AttemptError, Context};
use crate::kube::events::EventReason;
use crate::kube::metadata::ObjectReference;
use crate::kube::object::SecretObject;
use crate::kube::resource::Resource;
use crate::policy::backoff::{RetryClass, Stage};
use crate::policy::prune::kept_because;
use crate::policy::secret_state::SecretState;
use crate::record::OrphanedSecret;

/// Deletes `secret` in the version that is read here, where it is as notariat stored it, and says so in the record. A Secret that is not
/// stays for good.
///
/// # Errors
/// When this replica does not lead any more, or the Secret can not be read or deleted: the record is as it was.
pub(super) fn prune(context: &Context, claim: &mut Claim<'_>, secret: &ObjectRef) -> Result<(), AttemptError> {
    context.leader.check()?;
    let failed = |e: String| AttemptError::new(Stage::Store, RetryClass::Transient, e);
    let current = context.store.secret(secret).map_err(|e| failed(e.to_string()))?;
    let held = SecretState::of(current.as_ref(), &context.instance);
    let body = &mut claim.record.body;
    let kept = kept_because(&held, body.stored.as_ref());
    let Some((orphaned, current)) = body.orphaned.as_mut().zip(current.filter(|_| kept.is_none())) else {
        body.orphaned.iter_mut().for_each(|orphaned| orphaned.secret = OrphanedSecret::Kept);
        claim.save()?;
        event!(info, "not-pruned", secret = secret, why = kept.unwrap_or_default());
        return Ok(());
    };
    context.store.delete(&current).map_err(|e| failed(format!("{secret} was not deleted: {e}")))?;
    orphaned.secret = OrphanedSecret::Deleted;
    let since = orphaned.since;
    metrics::pruned();
    event!(info, "pruned", secret = secret, since = since);
    tell(context, &current, &format!("the Secret is deleted: no object wants its certificate since {since}"));
    claim.save()
}

/// Publishes the Event about the Secret, which is gone: the object that wanted it went before.
fn tell(context: &Context, secret: &SecretObject, text: &str) {
    let uid = secret.version.as_ref().map(|version| version.uid.clone());
    let subject = ObjectReference { uid, ..ObjectReference::new(Resource::SECRETS, &secret.reference) };
    context.recorder.publish(EventReason::Pruned, Some(subject), None, text.to_owned());
}
