//! The audit log of the API server: a line for each request.
//!
//! Tests ask it whether notariat used only what its Role grants: no 403, no verb that the Role does not name. The log is
//! JSON, one object a line, written by one program in one order; that makes it readable without a JSON library: inside
//! a JSON string each quote has a backslash before it, so `"verb":"` is never part of one.

use std::fs;
use std::path::Path;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// Who asked; `system:serviceaccount:<namespace>:<name>` for a ServiceAccount.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, ...
    pub verb: String,
    /// The resource, with a subresource behind a slash; empty for paths such as `/version`.
    pub resource: String,
    /// The namespace; empty for all, or for what has none.
    pub namespace: String,
    /// The name; empty for a list, and where the server makes up the name.
    pub name: String,
    /// The path and query.
    pub uri: String,
    /// The HTTP status.
    pub code: u16,
}

/// Every request in the log, in the order of their answers.
pub(super) fn read(log: &Path) -> Vec<Audited> {
    let text = fs::read_to_string(log).expect("kube-apiserver makes its audit log at once");
    text.lines().filter_map(entry).collect()
}

/// A line as a request; `None` for one that repeats another, and for one that is still being written.
fn entry(line: &str) -> Option<Audited> {
    let line = line.strip_suffix('}')?;
    let text = |key: &str| text_after(line, &format!("\"{key}\":\"")).map(str::to_owned);
    let verb = text("verb")?;
    let code = number_after(line, "\"code\":")?;
    // A watch has two lines, one as it starts and one as it ends; a refused one has the second alone.
    let ended = text("stage")? == "ResponseComplete";
    if verb == "watch" && ended && code < 400 {
        return None;
    }
    let object = line.split("\"objectRef\":{").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
    let part = |key: &str| text_after(object, &format!("\"{key}\":\"")).unwrap_or_default().to_owned();
    let (resource, below) = (part("resource"), part("subresource"));
    Some(Audited {
        user: text("username")?,
        verb,
        resource: if below.is_empty() { resource } else { format!("{resource}/{below}") },
        namespace: part("namespace"),
        name: part("name"),
        uri: text("requestURI")?,
        code,
    })
}

/// The rest of a string after its key and quote.
pub(super) fn text_after<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.split_once(start)?.1.split('"').next()
}

fn number_after(line: &str, start: &str) -> Option<u16> {
    let rest = line.split_once(start)?.1;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of kube-apiserver 1.20, shortened where nothing is read.
    const GET: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"7c","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/lab-1/secrets/web","verb":"get","user":{"username":"alice","uid":"uid-alice","groups":["lab:users","system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"kubectl","objectRef":{"resource":"secrets","namespace":"lab-1","name":"web","apiVersion":"v1"},"responseStatus":{"metadata":{},"status":"Failure","reason":"Forbidden","code":403},"requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","annotations":{"authorization.k8s.io/decision":"forbid"}}"#;

    #[test]
    fn a_line_is_read_field_by_field() {
        let expected = Audited {
            user: "alice".into(),
            verb: "get".into(),
            resource: "secrets".into(),
            namespace: "lab-1".into(),
            name: "web".into(),
            uri: "/api/v1/namespaces/lab-1/secrets/web".into(),
            code: 403,
        };
        assert_eq!(entry(GET).unwrap(), expected);
        assert_eq!(entry(&GET[..200]), None, "a line that is not yet whole");
    }

    #[test]
    fn a_watch_is_listed_once_when_it_starts_or_when_it_is_refused() {
        let watch = |stage: &str, code: u16| {
            let line = GET.replace("\"verb\":\"get\"", "\"verb\":\"watch\"").replace("ResponseComplete", stage);
            entry(&line.replace("\"code\":403", &format!("\"code\":{code}"))).is_some()
        };
        assert!(watch("ResponseStarted", 200));
        assert!(!watch("ResponseComplete", 200));
        assert!(watch("ResponseComplete", 403));
    }
}
