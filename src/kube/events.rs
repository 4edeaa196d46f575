//! Events, as `kubectl describe` shows them below the ConfigMap: what is told, and the object that travels. Pure.
//!
//! core/v1, because every cluster has it, and it counts. Events live an hour: nothing depends on them.

use std::fmt;

use serde_json::{Value, json};

use crate::base::limits::EVENT_MESSAGE_OCTETS_MAX;
use crate::base::name::{NAME_MAX, ObjectRef};
use crate::base::sanitize::one_line;
use crate::base::time::Time;

/// What happened, in one word that people filter on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventReason {
    /// A certificate was stored where there was none that served.
    Issued,
    /// A certificate was stored in the place of one that served.
    Renewed,
    /// The pair that we have was written again.
    Restored,
    /// An attempt failed at the CA, or before anything was published.
    OrderFailed,
    /// A DNS server did not carry out the UPDATE.
    UpdateRefused,
    /// The values were not seen on every server.
    NotPropagated,
    /// The CA did not find the challenge answered.
    ValidationFailed,
    /// A Secret could not be written.
    StoreFailed,
    /// An entry or a Secret is not served as it stands.
    Refused,
    /// Somebody else writes the Secret again and again.
    Contested,
    /// The ConfigMap can not be used.
    ConfigInvalid,
}

impl EventReason {
    /// Whether a person should look at it: `type: Warning`.
    pub fn is_warning(self) -> bool {
        !matches!(self, EventReason::Issued | EventReason::Renewed | EventReason::Restored)
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub reason: EventReason,
    /// The ConfigMap it is told at.
    pub config_map: ObjectRef,
    /// The Secret it happened to, where it is one.
    pub secret: Option<ObjectRef>,
    /// The particulars, without secrets.
    pub text: String,
}

impl NewEvent {
    /// The line that people read, of at most [`EVENT_MESSAGE_OCTETS_MAX`] octets.
    pub fn message(&self) -> String {
        let secret = self.secret.as_ref().map(|secret| format!("Secret {secret}: ")).unwrap_or_default();
        cut(one_line(&(secret + &self.text)), EVENT_MESSAGE_OCTETS_MAX)
    }
}

/// The longest beginning of at most so many octets that is whole characters.
fn cut(mut text: String, octets: usize) -> String {
    let end = (0..=octets.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// The name of an Event of an object: its name, and what makes it the only one.
pub fn name(of: &str, unique: u64) -> String {
    let room = NAME_MAX - ".0123456789abcdef".len();
    // A part of a name ends in a letter or a digit.
    let of = cut(of.to_owned(), room);
    format!("{}.{unique:016x}", of.trim_end_matches(['.', '-']))
}

/// Something that happened, once or several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventObject {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid` of the ConfigMap, by which `kubectl describe` finds its Events; none when it does not exist.
    pub uid: Option<String>,
    /// What is told, as it was the last time.
    pub notice: NewEvent,
    /// How often it happened.
    pub count: u32,
    /// When it happened first.
    pub first: Time,
    /// When it happened last.
    pub last: Time,
}

impl EventObject {
    /// The JSON to create or to replace it with. `instance` says which process tells it.
    pub fn to_json(&self, instance: &str) -> Value {
        let NewEvent { reason, config_map: ObjectRef { namespace, name, .. }, .. } = &self.notice;
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            // It must be in the namespace of what it is about.
            "metadata": {"namespace": namespace, "name": self.name},
            "involvedObject": {
                "apiVersion": "v1", "kind": "ConfigMap", "namespace": namespace, "name": name, "uid": self.uid,
            },
            "reason": reason.to_string(),
            "message": self.notice.message(),
            "type": if reason.is_warning() { "Warning" } else { "Normal" },
            "count": self.count,
            "firstTimestamp": self.first.to_string(),
            "lastTimestamp": self.last.to_string(),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": instance,
        })
    }
}

const COMPONENT: &str = "notariat";

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(reason: EventReason, secret: Option<&str>, text: &str) -> NewEvent {
        let object = |name: &str| ObjectRef::parse(name, "team").unwrap();
        NewEvent { reason, config_map: object("certs"), secret: secret.map(object), text: text.to_owned() }
    }

    #[test]
    fn an_event_is_about_the_config_map_and_names_the_secret() {
        let event = EventObject {
            name: name("certs", 255),
            uid: Some("u-1".to_owned()),
            notice: notice(EventReason::OrderFailed, Some("other/web"), "the CA\nsays \u{1b}[2Jno"),
            count: 3,
            first: Time::from_unix(1_800_000_000),
            last: Time::from_unix(1_800_000_060),
        };
        let expected = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"namespace": "team", "name": "certs.00000000000000ff"},
            "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "team", "name": "certs", "uid": "u-1"},
            "reason": "OrderFailed", "message": "Secret other/web: the CA says [2Jno", "type": "Warning", "count": 3,
            "firstTimestamp": "2027-01-15T08:00:00Z", "lastTimestamp": "2027-01-15T08:01:00Z",
            "source": {"component": "notariat"}, "reportingComponent": "notariat", "reportingInstance": "pod-1/7",
        });
        assert_eq!(event.to_json("pod-1/7"), expected);
        let good = EventObject { notice: notice(EventReason::Restored, None, "x"), ..event };
        assert_eq!((&good.to_json("")["type"], &good.to_json("")["message"]), (&json!("Normal"), &json!("x")));
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
        let long = notice(EventReason::Refused, None, &"é".repeat(1000)).message();
        assert_eq!((long.len(), long.chars().count()), (1024, 512));
        let odd = notice(EventReason::Refused, None, &format!("x{}", "é".repeat(1000))).message();
        assert_eq!(odd.len(), 1023, "no half character");
    }
}
