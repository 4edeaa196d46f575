//! Events, as `kubectl describe` shows them below an object: their reasons, their text, and the objects that travel. Pure.
//!
//! core/v1, because every cluster has it, and it counts repetitions. Events live an hour: nothing depends on them.

use std::fmt;

use serde_json::json;

use super::metadata::ObjectReference;
use super::object::EventObject;
use crate::base::limits::EVENT_MESSAGE_OCTETS_MAX;
use crate::base::name::{NAME_MAX, ObjectRef};
use crate::base::sanitize::one_line;
use crate::base::time::Time;

/// The kind of an occurrence, in one word that people filter on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// A certificate was stored where there was none that served.
    Issued,
    /// A certificate was stored in the place of one that served.
    Renewed,
    /// The pair of the record was written again.
    Restored,
    /// An attempt failed at the CA, or before anything was published.
    OrderFailed,
    /// A DNS server did not carry out the UPDATE.
    UpdateRefused,
    /// The values were not seen on every server.
    NotPropagated,
    /// The name's web server does not answer the challenge.
    NotReached,
    /// The CA did not find the challenge answered.
    ValidationFailed,
    /// A Secret could not be written.
    StoreFailed,
    /// The API server does not take the status of an object.
    StatusNotWritten,
    /// An entry or a Secret is not served as it stands.
    Refused,
    /// Another writer changes the Secret again and again.
    Contested,
    /// The ConfigMap can not be used.
    ConfigInvalid,
    /// A wish of an object is none of notariat's.
    Skipped,
    /// A wish of an object can not be read, or be served by anybody.
    Invalid,
    /// Another object or the configuration wants something else for the same Secret.
    Conflict,
    /// The Secret that an object names was made by somebody else.
    NotOurs,
    /// An order has to wait for a limit.
    Waiting,
    /// A Secret was deleted that no object wants any more.
    Pruned,
}

impl EventReason {
    /// Tells whether a person should look at it: `type: Warning`.
    pub fn is_warning(self) -> bool {
        use EventReason::{Issued, Pruned, Renewed, Restored, Skipped};
        !matches!(self, Issued | Renewed | Restored | Skipped | Pruned)
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The kind.
    pub reason: EventReason,
    /// The object under which people find the Event.
    pub subject: ObjectReference,
    /// Another object that it happened to. Its name begins the message.
    pub related: Option<ObjectReference>,
    /// The particulars, without secrets.
    pub text: String,
}

impl NewEvent {
    /// Tells whether two occurrences are of one reason, at one subject, and about one related object; without one, of the same text. An object
    /// that was deleted and created again counts as the same.
    pub(super) fn is_about_the_same(&self, other: &NewEvent) -> bool {
        let subject = |event: &NewEvent| (event.subject.resource, event.subject.at.clone());
        let related = self.related == other.related && (self.related.is_some() || self.text == other.text);
        self.reason == other.reason && related && subject(self) == subject(other)
    }

    /// The line that people read, of at most [`EVENT_MESSAGE_OCTETS_MAX`] octets.
    pub fn message(&self) -> String {
        let related = self.related.as_ref().map(|related| format!("{related}: ")).unwrap_or_default();
        cut(one_line(&(related + &self.text)), EVENT_MESSAGE_OCTETS_MAX)
    }
}

/// The longest beginning of at most so many octets that is whole characters.
fn cut(mut text: String, octets: usize) -> String {
    let end = (0..=octets.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// The name of an Event: the name of its subject, and a number that makes it unique.
pub fn name(subject: &str, unique: u64) -> String {
    let room = NAME_MAX.saturating_sub(".0123456789abcdef".len());
    // A part of a name ends in a letter or a digit.
    let subject = cut(subject.to_owned(), room);
    format!("{}.{unique:016x}", subject.trim_end_matches(['.', '-']))
}

/// Occurrences that are one Event with a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSeries {
    /// `metadata.name`
    pub name: String,
    /// The last occurrence.
    pub last: NewEvent,
    /// The number of occurrences.
    pub count: u32,
    /// When the first one was.
    pub first_time: Time,
    /// When the last one was.
    pub last_time: Time,
}

impl EventSeries {
    /// Namespace and name of the Event. The Event of a cluster-scoped subject is in `default`, as the API server demands.
    pub fn reference(&self) -> ObjectRef {
        match self.last.subject.at.namespace.as_str() {
            "" => ObjectRef::new("default", &self.name),
            namespace => ObjectRef::new(namespace, &self.name),
        }
    }

    /// The Event to create or to replace. `instance` names the process that reports it.
    pub fn object(&self, instance: &str) -> EventObject {
        let (NewEvent { reason, subject, .. }, ObjectRef { namespace, name, .. }) = (&self.last, self.reference());
        EventObject(json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": name},
            "involvedObject": subject.to_json(),
            "reason": reason.to_string(),
            "message": self.last.message(),
            "type": if reason.is_warning() { "Warning" } else { "Normal" },
            "count": self.count,
            "firstTimestamp": self.first_time.to_string(),
            "lastTimestamp": self.last_time.to_string(),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": instance,
        }))
    }
}

const COMPONENT: &str = "notariat";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::resource::Resource;

    fn event(reason: EventReason, secret: Option<&str>, text: &str) -> NewEvent {
        let object = |resource, name: &str| ObjectReference::new(resource, &ObjectRef::parse(name, "team").unwrap());
        let subject = ObjectReference { uid: Some("u-1".to_owned()), ..object(Resource::CONFIG_MAPS, "certs") };
        let related = secret.map(|name| object(Resource::SECRETS, name));
        NewEvent { reason, subject, related, text: text.to_owned() }
    }

    fn series(last: NewEvent) -> EventSeries {
        EventSeries {
            name: name(&last.subject.at.name, 255),
            last,
            count: 3,
            first_time: Time::from_unix(1_800_000_000),
            last_time: Time::from_unix(1_800_000_060),
        }
    }

    #[test]
    fn an_event_is_about_its_subject_and_names_the_related_object() {
        let object = |event| series(event).object("pod-1/7").0;
        let expected = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"namespace": "team", "name": "certs.00000000000000ff"},
            "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "team", "name": "certs", "uid": "u-1"},
            "reason": "OrderFailed", "message": "Secret other/web: the CA says [2Jno", "type": "Warning", "count": 3,
            "firstTimestamp": "2027-01-15T08:00:00Z", "lastTimestamp": "2027-01-15T08:01:00Z",
            "source": {"component": "notariat"}, "reportingComponent": "notariat", "reportingInstance": "pod-1/7",
        });
        assert_eq!(object(event(EventReason::OrderFailed, Some("other/web"), "the CA\nsays \u{1b}[2Jno")), expected);
        let good = object(event(EventReason::Restored, None, "x"));
        assert_eq!((&good["type"], &good["message"]), (&json!("Normal"), &json!("x")));
    }

    #[test]
    fn the_subject_can_be_of_any_kind() {
        let ingresses =
            Resource { group: "networking.k8s.io", plural: "ingresses", kind: "Ingress", ..Resource::SECRETS };
        let classes = Resource { plural: "ingressclasses", kind: "IngressClass", namespaced: false, ..ingresses };
        for (resource, namespace, event_in, involved) in [
            (
                ingresses,
                "team",
                "team",
                json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "namespace": "team", "name": "web", "uid": null}),
            ),
            (
                classes,
                "",
                "default",
                json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "name": "web", "uid": null}),
            ),
        ] {
            let subject = ObjectReference::new(resource, &ObjectRef::new(namespace, "web"));
            let object = series(NewEvent { subject, ..event(EventReason::Issued, None, "x") }).object("").0;
            let metadata = json!({"namespace": event_in, "name": "web.00000000000000ff"});
            assert_eq!((&object["metadata"], &object["involvedObject"]), (&metadata, &involved));
        }
    }

    #[test]
    fn names_and_messages_are_cut_where_the_api_server_would_refuse_them() {
        for (of, end) in [
            ("c".repeat(253), "ccc.0000000000000001"),
            (format!("{}-.{}", "c".repeat(234), "d".repeat(17)), "ccc.0000000000000001"),
        ] {
            let name = name(&of, 1);
            assert!(name.len() <= 253 && name.ends_with(end), "{name}");
        }
        let long = event(EventReason::Refused, None, &"é".repeat(1000)).message();
        assert_eq!((long.len(), long.chars().count()), (1024, 512));
        let odd = event(EventReason::Refused, None, &format!("x{}", "é".repeat(1000))).message();
        assert_eq!(odd.len(), 1023, "no half character");
    }
}
