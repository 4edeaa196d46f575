//! The lines of a watch. Pure.
//!
//! A watch is a body of JSON documents, one on each line (Kubernetes API concepts, "Efficient detection of changes"). The server may end it
//! at any moment.

use serde_json::Value;

use super::body;
use super::status::ApiError;
use crate::base::name::ObjectRef;

/// One line of a watch.
#[derive(Debug, PartialEq)]
pub enum WatchEvent {
    /// ADDED or MODIFIED: an object as it is now.
    Object(Value),
    /// DELETED: an object that does not exist any more. The namespace of a cluster-scoped object is empty.
    Gone(ObjectRef),
    /// BOOKMARK: nothing else happened up to this version.
    Bookmark,
    /// ERROR: the server ends the watch for this reason.
    Failed(ApiError),
}

impl WatchEvent {
    /// Reads a line, and the version that the watch has reached with it. An unknown type counts as a bookmark.
    ///
    /// # Errors
    /// One sentence, when the line is no event.
    pub fn read(line: &[u8]) -> Result<(WatchEvent, Option<String>), String> {
        let unreadable = |e: &str| format!("a line of a watch: {e}");
        let mut event = body::read(line).map_err(|e| unreadable(&e.to_string()))?;
        let object = event.get_mut("object").map(Value::take).ok_or_else(|| unreadable("it has no `object`"))?;
        let kind = event.get("type").and_then(Value::as_str).ok_or_else(|| unreadable("it has no `type`"))?;
        let metadata =
            |field: &str| object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).map(str::to_owned);
        let version = metadata("resourceVersion");
        Ok(match kind {
            "ADDED" | "MODIFIED" => (WatchEvent::Object(object), version),
            "DELETED" => {
                let name = metadata("name").ok_or("a deleted object without a name")?;
                let namespace = metadata("namespace").unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        assert!(error.is_expired() && error.message.contains("too old"), "{error:?}");
        let inside = json!({"kind": "Status", "message": "etcd is away", "code": 500});
        let (WatchEvent::Failed(error), None) = line("ERROR", &inside) else { panic!("not an error") };
        assert!(!error.is_expired() && error.code == 500);
        let cluster_scoped = json!({"kind": "IngressClass", "metadata": {"name": "nginx", "resourceVersion": "9"}});
        assert_eq!(line("DELETED", &cluster_scoped), (WatchEvent::Gone(ObjectRef::new("", "nginx")), nine()));
        for broken in [&b"{\"type\":\"ADDED\",\"obj"[..], b"", b"[]", br#"{"type":"DELETED","object":{}}"#] {
            assert!(WatchEvent::read(broken).is_err());
        }
    }
}
