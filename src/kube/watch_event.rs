//! What a list and a watch of the API server say, line by line, and when to try again. Pure.
//!
//! Facts: Kubernetes API concepts, "Efficient detection of changes"; a watch is a body of JSON documents, one on each line. The server may
//! end it at any moment. "Gone" comes in three shapes: HTTP 410 for a list or a continue token, HTTP 410 for a watch, and a line ERROR with
//! code 410 in an answer of status 200. All of them mean that the list has to be read anew.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::body;
use super::object::Resource;
use super::status::ApiError;
use crate::base::limits::{WATCH_PAUSE_FIRST, WATCH_PAUSE_MAX};
use crate::base::name::ObjectRef;
use crate::base::sanitize::percent_encoded;

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchTarget {
    /// The kind of object.
    pub resource: Resource,
    /// Where.
    pub namespace: String,
    /// Which of them.
    pub selector: Selector,
}

/// Which objects of a namespace are followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// Secrets of this type.
    Type(&'static str),
    /// One object, which need not exist.
    Name(String),
}

impl fmt::Display for WatchTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.namespace, self.resource.plural(), self.field_selector())
    }
}

impl WatchTarget {
    /// The field selector, not encoded.
    pub fn field_selector(&self) -> String {
        match &self.selector {
            Selector::Type(kind) => format!("type={kind}"),
            Selector::Name(name) => format!("metadata.name={name}"),
        }
    }

    /// The path of a page of the list.
    pub(super) fn list_path(&self, page: usize, proceed: Option<&str>) -> String {
        let (path, selector) = (self.resource.path(&self.namespace), percent_encoded(&self.field_selector()));
        let proceed = proceed.map(|token| format!("&continue={}", percent_encoded(token))).unwrap_or_default();
        format!("{path}?limit={page}&fieldSelector={selector}{proceed}")
    }

    /// The path of a watch from `version` on that the server is to end after `within`.
    pub(super) fn watch_path(&self, version: &str, within: Duration) -> String {
        let (path, selector) = (self.resource.path(&self.namespace), percent_encoded(&self.field_selector()));
        let (version, seconds) = (percent_encoded(version), within.as_secs());
        format!(
            "{path}?watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}&fieldSelector={selector}"
        )
    }
}

/// One line of a watch.
#[derive(Debug, PartialEq)]
pub(super) enum WatchEvent {
    /// An object is there, or is otherwise.
    Object(Value),
    /// An object is not there any more.
    Gone(ObjectRef),
    /// Nothing else up to here.
    Bookmark,
    /// The server has an objection, and the watch is at its end.
    Failed(ApiError),
}

impl WatchEvent {
    /// Reads a line and the version that the watch has reached with it. A type that is not known counts as a bookmark.
    pub(super) fn read(line: &[u8]) -> Result<(WatchEvent, Option<String>), String> {
        let unreadable = |e: &str| format!("a line of a watch: {e}");
        let mut event = body::read(line).map_err(|e| unreadable(&body::fault(&e)))?;
        let object = event.get_mut("object").map(Value::take).ok_or_else(|| unreadable("it has no `object`"))?;
        let kind = event.get("type").and_then(Value::as_str).ok_or_else(|| unreadable("it has no `type`"))?;
        let metadata =
            |field: &str| object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).map(str::to_owned);
        let version = metadata("resourceVersion");
        Ok(match kind {
            "ADDED" | "MODIFIED" => (WatchEvent::Object(object), version),
            "DELETED" => {
                let (Some(namespace), Some(name)) = (metadata("namespace"), metadata("name")) else {
                    return Err("a deleted object without a name".to_owned());
                };
                (WatchEvent::Gone(ObjectRef::new(&namespace, &name)), version)
            }
            "ERROR" => {
                let code = object.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
                let status = object.to_string();
                (WatchEvent::Failed(ApiError::read(code.unwrap_or(500), status.as_bytes())), None)
            }
            _ => (WatchEvent::Bookmark, version),
        })
    }
}

/// Whether an objection means that the version is too old: the list has to be read anew.
pub(super) fn is_expired(e: &ApiError) -> bool {
    e.code == 410 || matches!(e.reason.as_str(), "Gone" | "Expired")
}

/// How long to pause after so many failures in a row, the first of which is 1. `share` in [0, 1] is drawn anew for each: many who lost the
/// same server do not come back at once.
pub(super) fn pause(failures: u32, share: f64) -> Duration {
    let most = WATCH_PAUSE_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(WATCH_PAUSE_MAX);
    most.mul_f64(share.clamp(0.1, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(selector: Selector) -> WatchTarget {
        WatchTarget { resource: Resource::Secrets, namespace: "team".to_owned(), selector }
    }

    #[test]
    fn paths_carry_selector_and_version() {
        let tls = target(Selector::Type("kubernetes.io/tls"));
        assert_eq!(
            tls.list_path(100, Some("a=b")),
            "/api/v1/namespaces/team/secrets?limit=100&fieldSelector=type%3Dkubernetes.io%2Ftls&continue=a%3Db"
        );
        assert_eq!(
            target(Selector::Name("web".to_owned())).watch_path("17", Duration::from_secs(200)),
            "/api/v1/namespaces/team/secrets?watch=1&allowWatchBookmarks=true&timeoutSeconds=200&resourceVersion=17\
             &fieldSelector=metadata.name%3Dweb"
        );
    }

    /// Lines as kube-apiserver 1.20 sent them, shortened.
    #[test]
    fn each_kind_of_line_is_told_apart() {
        let object =
            json!({"kind": "Secret", "metadata": {"namespace": "team", "name": "web", "resourceVersion": "9"}});
        let line = |kind: &str, object: &Value| {
            WatchEvent::read(json!({"type": kind, "object": object}).to_string().as_bytes()).unwrap()
        };
        let nine = || Some("9".to_owned());
        for kind in ["ADDED", "MODIFIED"] {
            assert_eq!(line(kind, &object), (WatchEvent::Object(object.clone()), nine()));
        }
        let web = ObjectRef::new("team", "web");
        assert_eq!(line("DELETED", &object), (WatchEvent::Gone(web), nine()));
        let bookmark =
            json!({"kind": "Secret", "metadata": {"resourceVersion": "9", "creationTimestamp": null}, "data": null});
        assert_eq!(line("BOOKMARK", &bookmark), (WatchEvent::Bookmark, nine()));
        assert_eq!(line("LATER", &bookmark), (WatchEvent::Bookmark, nine()));
        let expired = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "too old resource version: 199 (209)", "reason": "Expired", "code": 410});
        let (WatchEvent::Failed(error), None) = line("ERROR", &expired) else { panic!("not an error") };
        assert!(is_expired(&error) && error.message.contains("too old"), "{error:?}");
        let inside = json!({"kind": "Status", "message": "etcd is away", "code": 500});
        let (WatchEvent::Failed(error), None) = line("ERROR", &inside) else { panic!("not an error") };
        assert!(!is_expired(&error) && error.code == 500);
        for broken in [&b"{\"type\":\"ADDED\",\"obj"[..], b"", b"[]", br#"{"type":"DELETED","object":{}}"#] {
            assert!(WatchEvent::read(broken).is_err());
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        assert_eq!(pause(1, 1.0), WATCH_PAUSE_FIRST);
        assert_eq!(pause(2, 1.0), WATCH_PAUSE_FIRST * 2);
        assert_eq!(pause(60, 1.0), WATCH_PAUSE_MAX);
        assert_eq!(pause(2, 0.5), WATCH_PAUSE_FIRST);
        assert!(pause(1, 0.0) > Duration::ZERO, "never a hot loop");
    }
}
