//! What the API server answers when it does not do what was asked. Pure.
//!
//! Untrusted in content only: messages hold names that users chose. Not every error is a Status: a proxy in between, an unknown
//! path and 429 answer in plain text.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::text::{excerpt, one_line};

/// An answer other than 2xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// `reason` of the Status, `AlreadyExists` say; empty where the answer is none.
    pub reason: String,
    /// The server's words.
    pub message: String,
    /// The first cause, `NamespaceTerminating` say.
    pub cause: String,
}

impl ApiError {
    /// Reads the body of an answer with this status code.
    pub fn read(code: u16, body: &[u8]) -> ApiError {
        #[derive(Default, Deserialize)]
        struct Status {
            kind: Option<String>,
            reason: Option<String>,
            message: Option<String>,
            details: Option<Details>,
        }
        #[derive(Default, Deserialize)]
        struct Details {
            causes: Option<Vec<Cause>>,
        }
        #[derive(Default, Deserialize)]
        struct Cause {
            reason: Option<String>,
        }
        let status = serde_json::from_slice::<Status>(body).ok().filter(|s| s.kind.as_deref() == Some("Status"));
        let Some(status) = status else {
            return ApiError { code, reason: String::new(), message: excerpt(body), cause: String::new() };
        };
        let causes = status.details.and_then(|d| d.causes).unwrap_or_default();
        ApiError {
            code,
            reason: status.reason.unwrap_or_default(),
            message: one_line(&status.message.unwrap_or_default()),
            cause: causes.into_iter().find_map(|c| c.reason).unwrap_or_default(),
        }
    }
}

/// How long the Status asks to wait: `details.retryAfterSeconds`.
pub fn retry_after(body: &[u8]) -> Option<Duration> {
    let status = serde_json::from_slice::<Value>(body).ok()?;
    status.pointer("/details/retryAfterSeconds")?.as_u64().map(Duration::from_secs)
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message.as_str(), self.reason.as_str()) {
            ("", "") => write!(f, "the API server answers {}", self.code),
            ("", reason) => write!(f, "the API server answers {} {reason}", self.code),
            (message, _) => write!(f, "the API server answers {}: {message}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_body_keeps_code_and_words() {
        let body = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"secrets \"a\" is forbidden: x",
            "reason":"Forbidden","details":{"name":"a","kind":"secrets","causes":[{"reason":"NamespaceTerminating","message":"m"}]},"code":403}"#;
        let error = ApiError::read(403, body);
        assert_eq!((error.reason.as_str(), error.cause.as_str()), ("Forbidden", "NamespaceTerminating"));
        assert_eq!(error.to_string(), "the API server answers 403: secrets \"a\" is forbidden: x");
        assert_eq!(
            ApiError::read(429, b"Too many requests\n").to_string(),
            "the API server answers 429: Too many requests"
        );
        assert_eq!(ApiError::read(502, b"").to_string(), "the API server answers 502");
        let nulls = br#"{"kind":"Status","message":null,"reason":"Conflict","details":null}"#;
        assert_eq!(ApiError::read(409, nulls).to_string(), "the API server answers 409 Conflict");
        assert_eq!(ApiError::read(404, b"{\"kind\":\"Other\"}").reason, "");
    }

    #[test]
    fn a_status_can_say_how_long_to_wait() {
        let seconds = |body: &str| retry_after(body.as_bytes()).map(|d| d.as_secs());
        assert_eq!(seconds(r#"{"kind":"Status","details":{"retryAfterSeconds":3}}"#), Some(3));
        for without in ["", "Too many requests", "{}", r#"{"details":null}"#, r#"{"details":{"retryAfterSeconds":-1}}"#]
        {
            assert_eq!(seconds(without), None, "{without}");
        }
    }
}
