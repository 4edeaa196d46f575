//! Notes about a reconciled certificate: log lines and Events, each said only when it changed.

use super::log_dedup::LogDedup;
use crate::base::log::event;
use crate::base::name::ObjectRef;
use crate::base::time::Time;
use crate::issuance::Context;
use crate::kube::events::EventReason;
use crate::policy::{Violation, WaitReason};
use crate::sources::CertificateSpec;

/// Something to be said about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// Something could not be read.
    Unread(String),
    /// A person should look at something.
    Warning(String),
    /// One of several Secrets is left alone.
    LeftAlone(ObjectRef, Violation),
    /// The certificate is valid; the time of its renewal.
    Valid(Time),
    /// Something is wrong that waits for its time.
    Waiting(Violation, WaitReason, Time),
    /// The certificate can not be served.
    Refused(Violation),
}

impl Note {
    /// Says the note about `wanted`, unless it was said last time, too.
    pub(super) fn say(self, wanted: &CertificateSpec, context: &Context, said: &mut LogDedup) {
        let secret = wanted.entry.main_secret();
        match self {
            Note::Unread(error) => {
                if said.changed("unread", &error) {
                    event!(warn, "unread", secret = secret, error = error);
                }
            }
            Note::Warning(warning) => {
                if said.changed("warning", &warning) {
                    event!(warn, "certificate", secret = secret, warning = warning);
                }
            }
            Note::LeftAlone(target, violation) => {
                if said.changed(&target.to_string(), &violation.detail) {
                    event!(error, "left-alone", secret = target, reason = violation.reason, error = violation.detail);
                    // Whoever made an object knows the Secret by its name, and asks whose it is.
                    let reason = if wanted.is_of_objects() { EventReason::NotOurs } else { EventReason::Refused };
                    context.publish(reason, wanted, &target, violation.to_string());
                }
            }
            Note::Valid(renewal) => {
                if said.changed("valid", &renewal.to_string()) {
                    event!(info, "valid", secret = secret, renewal = renewal);
                }
            }
            Note::Waiting(Violation { reason, detail }, waiting, until) => {
                if said.changed("waiting", &format!("{waiting} {until} {reason}")) {
                    event!(
                        warn,
                        "waiting",
                        secret = secret,
                        state = waiting,
                        until = until,
                        reason = reason,
                        detail = detail
                    );
                    let is_limit =
                        matches!(waiting, WaitReason::Capped | WaitReason::NamespaceCapped | WaitReason::RateLimited);
                    if is_limit && wanted.is_of_objects() {
                        let text = format!("{waiting}: nothing is ordered before {until}: {reason} ({detail})");
                        context.publish(EventReason::Waiting, wanted, secret, text);
                    }
                    if waiting == WaitReason::Contested {
                        let text = format!(
                            "somebody else writes it again and again; not restored before {until}: {reason} ({detail})"
                        );
                        context.publish(EventReason::Contested, wanted, secret, text);
                    }
                }
            }
            Note::Refused(violation) => {
                if said.changed("refuse", &violation.to_string()) {
                    event!(error, "left-alone", secret = secret, reason = violation.reason, error = violation.detail);
                    // Secrets of others have a note each.
                    if !violation.reason.is_refusal() {
                        context.publish(EventReason::Refused, wanted, secret, violation.to_string());
                    }
                }
            }
        }
    }
}
