//! What to do next with an order, from what the CA says about it (RFC 8555 section 7.1.6). Pure.

use super::wire::{Order, Problem, Status};

/// The next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Answer the challenges of its authorizations, or wait for the CA to look when that was done.
    Authorize,
    /// Send the request for the certificate.
    Finalize,
    /// Ask again later.
    Wait,
    /// The certificate is at this URL.
    Download(String),
    /// It is over; the CA's words, which may be missing.
    Failed(Problem),
}

/// The next step. `finalized` says that the request for the certificate was sent: some CAs answer `ready` for a moment after that
/// (golang/go#52597), and a second request would be an error.
pub fn next(order: &Order, finalized: bool) -> Next {
    match (&order.status, &order.certificate) {
        (Status::Pending, _) => Next::Authorize,
        (Status::Ready, _) if finalized => Next::Wait,
        (Status::Ready, _) => Next::Finalize,
        (Status::Processing | Status::Unknown(_), _) => Next::Wait,
        (Status::Valid, Some(url)) => Next::Download(url.clone()),
        // RFC 8555 section 7.1.3 makes the URL optional, though nothing can be done without it: it may yet come.
        (Status::Valid, None) => Next::Wait,
        (Status::Invalid, _) => Next::Failed(order.error.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_one_next_step() {
        let order = |json: &str| serde_json::from_str::<Order>(json).unwrap();
        for (json, finalized, expected) in [
            (r#"{"status":"pending"}"#, false, Next::Authorize),
            (r#"{"status":"ready"}"#, false, Next::Finalize),
            (r#"{"status":"ready"}"#, true, Next::Wait),
            (r#"{"status":"processing"}"#, true, Next::Wait),
            (r#"{"status":"thinking"}"#, false, Next::Wait),
            (r#"{"status":"valid","certificate":"u"}"#, true, Next::Download("u".into())),
            (r#"{"status":"valid"}"#, true, Next::Wait),
            (r#"{"status":"invalid"}"#, false, Next::Failed(Problem::default())),
        ] {
            assert_eq!(next(&order(json), finalized), expected, "{json}");
        }
        let Next::Failed(problem) = next(&order(r#"{"status":"invalid","error":{"type":"t","detail":"d"}}"#), true)
        else {
            panic!()
        };
        assert_eq!(problem.detail, "d");
    }
}
