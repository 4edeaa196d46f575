//! Answers of the API server other than 2xx. Pure.
//!
//! Untrusted in content only: messages hold names that users chose. Not every error is a Status: a proxy in between, an unknown
//! path and 429 answer in plain text.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::base::redact::unsaid;
use crate::base::sanitize::{excerpt, one_line};

/// An answer other than 2xx.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub code: u16,
    /// `reason` of the Status, `AlreadyExists` say; empty where the answer is no Status.
    pub reason: String,
    /// The message of the server.
    pub message: String,
    /// `reason` of the first cause, `NamespaceTerminating` say.
    pub cause: String,
    /// The fields that the causes name, `data[tls.crt]` say.
    pub fields: Vec<String>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

/// Fields of causes that messages show.
const FIELDS_MAX: usize = 5;
/// Characters of a field or a reason that messages show.
const WORD_MAX: usize = 80;

impl ApiError {
    /// Reads the body of an answer with this status code.
    pub fn read(code: u16, body: &[u8]) -> ApiError {
        #[derive(Default, Deserialize)]
        struct StatusObject {
            kind: Option<String>,
            reason: Option<String>,
            message: Option<String>,
            details: Option<Details>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Details {
            causes: Option<Vec<StatusCause>>,
            retry_after_seconds: Option<i64>,
        }
        #[derive(Default, Deserialize)]
        struct StatusCause {
            reason: Option<String>,
            field: Option<String>,
        }
        let status = serde_json::from_slice::<StatusObject>(body).ok().filter(|s| s.kind.as_deref() == Some("Status"));
        let Some(status) = status else {
            let said = || excerpt(unsaid(&String::from_utf8_lossy(body)).as_bytes());
            let message = if code == 401 { String::new() } else { said() };
            return ApiError { code, message, ..ApiError::default() };
        };
        let details = status.details.unwrap_or_default();
        let seconds = details.retry_after_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let causes = details.causes.unwrap_or_default();
        let fields = causes.iter().filter_map(|c| c.field.as_deref()).filter_map(|field| word(field, "._-/[]"));
        let fields = fields.take(FIELDS_MAX).collect();
        // Some authenticators quote the token in a 401. A policy that denies with 401 never saw the token.
        let is_of_policy = |message: &String| message.contains("denied request: ");
        let message = status.message.filter(|message| code != 401 || is_of_policy(message)).unwrap_or_default();
        ApiError {
            code,
            reason: status.reason.unwrap_or_default(),
            message: one_line(&unsaid(&message)),
            cause: causes.into_iter().find_map(|c| c.reason).unwrap_or_default(),
            fields,
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    /// Code, reason and fields: the sentence for an answer to a request that held secret data, which the message may quote.
    pub fn without_words(&self) -> String {
        let reason = word(&self.reason, "").map(|reason| format!(" {reason}")).unwrap_or_default();
        let fields = if self.fields.is_empty() { String::new() } else { format!(" ({})", self.fields.join(", ")) };
        format!("the API server answers {}{reason}{fields}", self.code)
    }

    /// Tells whether a resource version or a continue token is too old, so that the list has to be read anew. The API server says so in three
    /// ways: HTTP 410 for a list, HTTP 410 for a watch, and an ERROR event with code 410 in a watch of status 200.
    pub(super) fn is_expired(&self) -> bool {
        self.code == 410 || matches!(self.reason.as_str(), "Gone" | "Expired")
    }
}

/// A name of the API, of letters, digits and `others`. `None` for anything else, which may be a sentence that quotes.
fn word(text: &str, others: &str) -> Option<String> {
    let is_one = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    (!text.is_empty() && text.len() <= WORD_MAX && text.chars().all(is_one)).then(|| text.to_owned())
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

    /// An API server quotes the object in a 422, and some authenticators the token in a 401.
    #[test]
    fn of_a_refusal_that_may_quote_a_secret_only_code_reason_and_fields_are_said() {
        let body = br#"{"kind":"Status","message":"Secret \"web\" is invalid: data[tls.crt]: Invalid value: \"hunter2\"","reason":"Invalid",
            "details":{"causes":[{"reason":"FieldValueInvalid","message":"hunter2","field":"data[tls.crt]"},{"field":"is hunter2"}]}}"#;
        assert_eq!(ApiError::read(422, body).without_words(), "the API server answers 422 Invalid (data[tls.crt])");
        let odd = br#"{"kind":"Status","message":"hunter2","reason":"was: hunter2"}"#;
        assert_eq!(ApiError::read(400, odd).without_words(), "the API server answers 400");
        for body in [&b"token hunter2 is bad"[..], br#"{"kind":"Status","message":"hunter2","reason":"Unauthorized"}"#]
        {
            let error = ApiError::read(401, body);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_status_can_say_how_long_to_wait() {
        let seconds = |body: &str| ApiError::read(429, body.as_bytes()).retry_after.map(|d| d.as_secs());
        assert_eq!(seconds(r#"{"kind":"Status","details":{"retryAfterSeconds":3}}"#), Some(3));
        for without in [
            "",
            "Too many requests",
            "{}",
            r#"{"kind":"Status","details":null}"#,
            r#"{"kind":"Status","details":{"retryAfterSeconds":-1}}"#,
        ] {
            assert_eq!(seconds(without), None, "{without}");
        }
    }
}
