//! The limits of Let's Encrypt, as of August 2026.

use notariat::base::time::Time;

/// The size of a bucket, and the seconds after which one more is free.
#[derive(Clone, Copy)]
pub struct Size(i64, i64);

pub const NEW_ORDERS: Size = Size(300, 36);
pub const REGISTERED_DOMAIN: Size = Size(50, 7 * 86_400 / 50);
pub const EXACT_SET: Size = Size(5, 7 * 86_400 / 5);
pub const FAILURES: Size = Size(5, 720);

/// A token bucket, kept as the second at which it is full again.
#[derive(Clone, Copy, Default)]
pub struct Bucket(i64);

impl Bucket {
    /// The time until which the bucket is empty.
    pub fn empty_until(self, Size(burst, every): Size, now: Time) -> Option<Time> {
        let free = self.0.max(now.unix()) + every - burst * every;
        (free > now.unix()).then_some(Time::from_unix(free))
    }

    pub fn spend(&mut self, Size(_, every): Size, now: Time) {
        self.0 = self.0.max(now.unix()) + every;
    }
}

/// The words of the CA, which name the scope of a limit.
pub fn words(limit: &str, registered: usize, name: usize) -> String {
    match limit {
        "new orders" => "too many new orders (300) from this account in the last 3h0m0s".to_owned(),
        "registered domain" => {
            format!(r#"too many certificates (50) already issued for "d{registered}.test" in the last 168h0m0s"#)
        }
        "exact set" => {
            "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s".to_owned()
        }
        _ => format!(r#"too many failed authorizations (5) for "w{name}.d{registered}.test" in the last 1h0m0s"#),
    }
}
