//! The next step of an order, by its state at the CA (RFC 8555 section 7.1.6). Pure.

use super::wire::{AcmeStatus, Order, Problem};

/// The next step of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Respond to the challenges of the authorizations, or wait for the CA's validation after that.
    Authorize,
    /// Send the CSR.
    Finalize,
    /// Fetch the order again later.
    Wait,
    /// The certificate is at this URL.
    Download(String),
    /// The order is invalid; the CA's words, which may be missing.
    Failed(Problem),
}

/// The next step. `finalized`: the CSR was sent. Some CAs answer `ready` for a moment after that (golang/go#52597), and
/// a second request would be an error.
pub fn next(order: &Order, finalized: bool) -> NextStep {
    match (&order.status, &order.certificate) {
        (AcmeStatus::Pending, _) => NextStep::Authorize,
        (AcmeStatus::Ready, _) if finalized => NextStep::Wait,
        (AcmeStatus::Ready, _) => NextStep::Finalize,
        (AcmeStatus::Processing | AcmeStatus::Unknown(_), _) => NextStep::Wait,
        (AcmeStatus::Valid, Some(url)) => NextStep::Download(url.clone()),
        // RFC 8555 section 7.1.3 makes the URL optional, but nothing can be done without it: it may follow.
        (AcmeStatus::Valid, None) => NextStep::Wait,
        (AcmeStatus::Invalid, _) => NextStep::Failed(order.error.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_one_next_step() {
        let order = |json: &str| serde_json::from_str::<Order>(json).unwrap();
        for (json, finalized, expected) in [
            (r#"{"status":"pending"}"#, false, NextStep::Authorize),
            (r#"{"status":"ready"}"#, false, NextStep::Finalize),
            (r#"{"status":"ready"}"#, true, NextStep::Wait),
            (r#"{"status":"processing"}"#, true, NextStep::Wait),
            (r#"{"status":"thinking"}"#, false, NextStep::Wait),
            (r#"{"status":"valid","certificate":"u"}"#, true, NextStep::Download("u".into())),
            (r#"{"status":"valid"}"#, true, NextStep::Wait),
            (r#"{"status":"invalid"}"#, false, NextStep::Failed(Problem::default())),
        ] {
            assert_eq!(next(&order(json), finalized), expected, "{json}");
        }
        let NextStep::Failed(problem) = next(&order(r#"{"status":"invalid","error":{"type":"t","detail":"d"}}"#), true)
        else {
            panic!()
        };
        assert_eq!(problem.detail, "d");
    }
}
