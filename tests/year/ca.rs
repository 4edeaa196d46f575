//! A CA with the behaviour of Let's Encrypt: limits as token buckets, renewal information, pending orders that are handed back.
//!
//! As in Boulder, the limits of certificates are checked when an order is made and spent when its certificate is issued. An order inside
//! the renewal window of the certificate that it replaces is exempt. An order for a set of names with a certificate of the last 120 days
//! is checked for its exact set and its failed validations only.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use notariat::base::name::Domain;
use notariat::base::shared_str::SharedStr;
use notariat::base::time::Time;
use notariat::cert::facts::{CertificateFacts, sha256};

use crate::buckets::{Bucket, EXACT_SET, FAILURES, NEW_ORDERS, REGISTERED_DOMAIN, words};

pub const DAY: Duration = Duration::from_secs(86_400);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Ready,
    Valid,
    Invalid,
}

pub struct Order {
    pub set: usize,
    pub status: Status,
    /// The serial number of its certificate.
    pub serial: String,
    made: Time,
    same_set: bool,
}

/// An order that became a certificate.
pub struct Finalized {
    pub at: Time,
    /// The time at which the client counted the order.
    pub counted: Option<Time>,
    pub serial: String,
}

/// The CA's knowledge of one exact set of names.
#[derive(Default)]
pub struct Set {
    exact: Bucket,
    pub registered: usize,
    pub name: usize,
    lifetime: Duration,
    /// The last certificates, the newest last.
    pub issued: VecDeque<CertificateFacts>,
    last: Option<Time>,
    revoked: Option<Time>,
    pending: Option<u64>,
    /// The orders that may still be fetched.
    orders: Vec<u64>,
    pub finalized: Vec<Finalized>,
}

/// The reason why no order was made.
pub enum Refused {
    /// A rate limit: the CA's words and the end of the wait.
    Limit(String, Time),
    /// The replaced certificate is unknown or was replaced already.
    Replaces,
}

pub struct Ca {
    account: Bucket,
    registered: Vec<Bucket>,
    failures: HashMap<usize, Bucket>,
    pub sets: Vec<Set>,
    pub orders: HashMap<u64, Order>,
    /// Tells whether a pending order is handed back to a client that asks for the same names again.
    pub hands_back: bool,
    pub made: u64,
    pub made_at: Vec<Time>,
    pub exempt: u64,
    pub hits: BTreeMap<&'static str, u32>,
    serials: u64,
}

/// The renewal window of a certificate with this validity.
pub fn window(not_before: Time, not_after: Time) -> (Time, Time) {
    let life = not_after.since(not_before);
    let ideal = not_after - if life < DAY * 10 { life / 2 } else { life / 3 };
    (ideal - life / 100, ideal + life / 100)
}

impl Ca {
    pub fn new() -> Ca {
        Ca {
            account: Bucket::default(),
            registered: Vec::new(),
            failures: HashMap::new(),
            sets: Vec::new(),
            orders: HashMap::new(),
            hands_back: true,
            made: 0,
            made_at: Vec::new(),
            exempt: 0,
            hits: BTreeMap::new(),
            serials: 0,
        }
    }

    /// A set of names below a registered domain; `name` is the name in it that may fail to be validated.
    pub fn add_set(&mut self, registered: usize, name: usize, lifetime: Duration) {
        self.registered.resize(self.registered.len().max(registered + 1), Bucket::default());
        self.sets.push(Set { registered, name, lifetime, ..Set::default() });
    }

    /// The order of this URL.
    pub fn order(&mut self, url: &str, now: Time) -> Option<(u64, &mut Order)> {
        let id = url.rsplit('/').next().and_then(|id| id.parse().ok())?;
        self.orders.get_mut(&id).filter(|o| o.made + DAY * 7 > now).map(|order| (id, order))
    }

    /// The renewal information of a certificate, and the wait until the next request.
    pub fn renewal_info(&self, set: usize, serial: &str, now: Time) -> Option<(Time, Time)> {
        let set = &self.sets[set];
        let facts = set.issued.iter().find(|f| f.serial == serial)?;
        let newest = set.issued.back().is_some_and(|f| f.serial == serial);
        Some(match set.revoked.filter(|_| newest) {
            Some(_) => (now - HOUR, now - HOUR / 2),
            None => window(facts.not_before, facts.not_after),
        })
    }

    pub fn revoke(&mut self, set: usize, now: Time) {
        self.sets[set].revoked = Some(now);
    }

    pub fn is_revoked(&self, set: usize) -> Option<Time> {
        self.sets[set].revoked
    }

    pub fn new_order(&mut self, at: usize, replaces: Option<&str>, now: Time) -> Result<u64, Refused> {
        let mut exempt = false;
        let set = &self.sets[at];
        if let Some(cert_id) = replaces {
            let newest = set.issued.back().filter(|f| f.cert_id.as_deref() == Some(cert_id));
            let serial = newest.ok_or(Refused::Replaces)?.serial.clone();
            exempt = self.renewal_info(at, &serial, now).is_some_and(|(start, end)| start <= now && now < end);
        }
        let pending = set.pending;
        let same_set = set.last.is_some_and(|last| last + DAY * 120 > now);
        if !exempt {
            self.check(at, same_set, now)?;
            if !same_set {
                self.account.spend(NEW_ORDERS, now);
            }
        }
        let reusable = |id: &u64| {
            let order = &self.orders[id];
            matches!(order.status, Status::Pending | Status::Ready) && order.made + DAY * 7 > now
        };
        if let Some(id) = pending.filter(|id| self.hands_back && reusable(id)) {
            return Ok(id);
        }
        self.made += 1;
        self.made_at.push(now);
        let orders = &mut self.orders;
        let over = |id: &u64| matches!(orders[id].status, Status::Valid | Status::Invalid);
        let (over, mut open): (Vec<u64>, Vec<u64>) = self.sets[at].orders.iter().partition(|id| over(id));
        over.iter().for_each(|id| drop(orders.remove(id)));
        open.push(self.made);
        self.sets[at].orders = open;
        self.exempt += u64::from(exempt);
        self.sets[at].pending = Some(self.made);
        let order = Order { set: at, status: Status::Pending, serial: String::new(), made: now, same_set };
        self.orders.insert(self.made, order);
        Ok(self.made)
    }

    fn check(&mut self, at: usize, same_set: bool, now: Time) -> Result<(), Refused> {
        let set = &self.sets[at];
        let failures = self.failures.get(&set.name).copied().unwrap_or_default();
        let renewal = |until: Option<Time>| until.filter(|_| !same_set);
        let met = [
            ("new orders", renewal(self.account.empty_until(NEW_ORDERS, now))),
            ("registered domain", renewal(self.registered[set.registered].empty_until(REGISTERED_DOMAIN, now))),
            ("exact set", set.exact.empty_until(EXACT_SET, now)),
            ("failed validations", failures.empty_until(FAILURES, now)),
        ];
        let Some((limit, until)) = met.into_iter().find_map(|(limit, until)| Some((limit, until?))) else {
            return Ok(());
        };
        *self.hits.entry(limit).or_default() += 1;
        Err(Refused::Limit(words(limit, set.registered, set.name), until))
    }

    /// Validates the challenges of an order.
    pub fn validate(&mut self, id: u64, found: bool, now: Time) {
        let order = self.orders.get_mut(&id).expect("an order that was made");
        order.status = if found { Status::Ready } else { Status::Invalid };
        if !found {
            self.failures.entry(self.sets[order.set].name).or_default().spend(FAILURES, now);
        }
    }

    /// Issues a certificate for a key.
    pub fn finalize(&mut self, id: u64, names: &[Domain], key: &[u8], counted: Option<Time>, now: Time) {
        let order = self.orders.get_mut(&id).expect("an order that was made");
        self.serials += 1;
        (order.status, order.serial) = (Status::Valid, format!("{:010x}", self.serials));
        let set = &mut self.sets[order.set];
        set.exact.spend(EXACT_SET, now);
        if !order.same_set {
            self.registered[set.registered].spend(REGISTERED_DOMAIN, now);
        }
        set.finalized.push(Finalized { at: now, counted, serial: order.serial.clone() });
        set.issue(&order.serial, names, key, now);
    }

    /// A certificate from before the simulation.
    pub fn issued_before(&mut self, set: usize, names: &[Domain], key: &[u8], at: Time) {
        self.serials += 1;
        self.sets[set].issue(&format!("{:010x}", self.serials), names, key, at);
    }
}

impl Set {
    fn issue(&mut self, serial: &str, names: &[Domain], key: &[u8], now: Time) {
        // An hour before, against clocks that are late.
        let not_before = now - HOUR;
        if self.issued.len() == 3 {
            self.issued.pop_front();
        }
        self.issued.push_back(CertificateFacts {
            names: names.to_vec(),
            not_before,
            not_after: not_before + self.lifetime,
            serial: SharedStr::new(serial),
            public_key: sha256(key),
            issuer: "YE1".into(),
            fingerprint: sha256(serial.as_bytes()),
            cert_id: Some(SharedStr::new(&format!("aki.{serial}"))),
            links: notariat::cert::facts::Links::Whole,
        });
        (self.last, self.revoked, self.pending) = (Some(now), None, None);
    }
}
