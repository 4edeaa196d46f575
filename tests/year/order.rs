//! An order from newOrder to the certificate, and the writes of the record. See [`crate::attempt`] for the mirrored
//! code.

use std::time::Duration;

use notariat::base::secret::Secret;
use notariat::base::shared_str::SharedStr;
use notariat::base::time::Time;
use notariat::issuance::AttemptError;
use notariat::issuance::RateLimit;
use notariat::policy::backoff::{RetryClass, Stage};
use notariat::policy::ca_limits::scope_of;
use notariat::record::{Issued, PairBackup, Record};

use crate::attempt::{End, failed};
use crate::buckets::words;
use crate::ca::{DIRECTORY, HOUR, Refused, Status};
use crate::controller::Simulation;
use crate::trouble::Part;

const ACCOUNT: &str = "https://acme-v02.api.letsencrypt.org/acme/acct/1";

pub fn url(id: u64) -> String {
    format!("https://acme-v02.api.letsencrypt.org/acme/order/1/{id}")
}

impl Simulation {
    /// Makes the order. Returns the serial number of the certificate.
    pub fn order(&mut self, i: usize, claim: &mut Record, counted: bool) -> Result<String, End> {
        let id = match self.resume(i, claim)? {
            Some(id) => id,
            None => self.new_order(i, claim)?,
        };
        if self.ca.orders[&id].status == Status::Pending {
            self.prove(i, claim, id)?;
        }
        if self.ca.orders[&id].status == Status::Ready {
            let now = self.now;
            let flight = claim.body.in_flight.as_mut().expect("it was taken");
            flight.at = now;
            if counted && !flight.counted {
                flight.counted = true;
                let names = self.certificates[i].names.clone();
                claim.body.history_mut(&names, DIRECTORY, now).orders.push(now);
            }
            self.save(i, claim)?;
            self.try_to(Stage::Finalize, Part::Ca)?;
            let names = &self.certificates[i].names;
            let history =
                claim.body.history(names, DIRECTORY).filter(|_| claim.body.in_flight.as_ref().unwrap().counted);
            let counted = history.and_then(|history| history.orders.last().copied());
            let key = claim.next_key.as_ref().expect("it is saved with the order").expose();
            self.ca.finalize(id, &self.certificates[i].names, key, counted, now);
            self.try_to(Stage::Finalize, Part::Ca)?;
        }
        self.try_to(Stage::Download, Part::Ca)?;
        Ok(self.ca.orders[&id].serial.clone())
    }

    fn resume(&mut self, i: usize, claim: &Record) -> Result<Option<u64>, End> {
        let Some(flight) = claim.body.in_flight.as_ref().filter(|f| self.is_for(i, f)) else { return Ok(None) };
        let Some(url) = flight.order.as_ref().filter(|_| claim.next_key.is_some()) else { return Ok(None) };
        self.try_to(Stage::Order, Part::Ca)?;
        let found = self.ca.order(url, self.now);
        Ok(found.filter(|(_, order)| order.status != Status::Invalid).map(|(id, _)| id))
    }

    fn new_order(&mut self, i: usize, claim: &mut Record) -> Result<u64, End> {
        self.try_to(Stage::Order, Part::Ca)?;
        self.refuse_at_random(i)?;
        let stored = claim.body.stored.as_ref();
        let stored = stored.filter(|s| s.directory == DIRECTORY && s.account.as_deref() == Some(ACCOUNT));
        let replaces = stored.and_then(|s| s.cert_id.as_deref());
        let made = match self.ca.new_order(i, replaces, self.now) {
            Err(Refused::Replaces) => self.ca.new_order(i, None, self.now),
            other => other,
        };
        let id = match made {
            Ok(id) => id,
            Err(Refused::Limit(words, until)) => return self.refused(&words, until),
            Err(Refused::Replaces) => unreachable!("it replaced nothing"),
        };
        self.unsaved = Some(id);
        self.try_to(Stage::Order, Part::Ca)?;
        let key = format!("key {}", self.rng.next());
        claim.next_key = Some(Secret::new(key.into_bytes()));
        let flight = claim.body.in_flight.as_mut().expect("it was taken");
        (flight.order, flight.counted, flight.account) = (Some(url(id)), false, Some(ACCOUNT.to_owned()));
        Ok(id)
    }

    fn refused<T>(&mut self, words: &str, until: Time) -> Result<T, End> {
        self.tally.refused += 1;
        let scope = scope_of(429, words).expect("429 is for somebody");
        let limit = Some(Box::new(RateLimit { scope, until, passing: false }));
        let failed = AttemptError::new(Stage::Order, RetryClass::Transient, words.to_owned());
        Err(End::Failed(Box::new(AttemptError { retry_after: Some(until), limit, ..failed })))
    }

    /// A limit that the model does not have, or a mistake of the CA.
    fn refuse_at_random(&mut self, i: usize) -> Result<(), End> {
        let (now, set) = (self.now, &self.ca.sets[i]);
        let Some(trouble) = &mut self.trouble else { return Ok(()) };
        if !trouble.fails() {
            return Ok(());
        }
        let (limit, most) = [
            ("new orders", HOUR * 3),
            ("registered domain", HOUR * 4),
            ("exact set", HOUR * 34),
            ("failed validations", HOUR),
        ][trouble.rng.below(4) as usize];
        let words = match trouble.rng.below(5) {
            0 => "the moon is full".to_owned(),
            _ => words(limit, set.registered, set.name),
        };
        let until = now + trouble.rng.within(Duration::from_secs(60), most);
        self.refused(&words, until)
    }

    fn prove(&mut self, i: usize, claim: &mut Record, id: u64) -> Result<(), End> {
        claim.body.in_flight.as_mut().expect("it was taken").at = self.now;
        self.save(i, claim)?;
        let server = Part::Dns(self.certificates[i].server);
        self.try_to(Stage::Publish, server)?;
        self.try_to(Stage::Propagation, server)?;
        self.try_to(Stage::Order, Part::Ca)?;
        let name = self.ca.sets[i].name;
        let found = match &mut self.trouble {
            Some(trouble) => trouble.out(Part::Name(name), self.now).is_none() && !trouble.fails(),
            None => true,
        };
        self.ca.validate(id, found, self.now);
        self.try_to(Stage::Validation, Part::Ca)?;
        if found {
            return Ok(());
        }
        claim.body.in_flight = None;
        self.unsaved = None;
        let not_validated = vec![self.certificates[i].names[0].base().clone()];
        let failed = AttemptError::new(Stage::Validation, RetryClass::Validation, "no TXT record".to_owned());
        Err(End::Failed(Box::new(AttemptError { not_validated, ..failed })))
    }

    /// Mirrors worker/store_certificate.rs.
    pub fn store(&mut self, i: usize, serial: &str) -> Result<(), End> {
        self.try_to(Stage::Store, Part::Store)?;
        let facts = self.ca.sets[i].issued.iter().find(|f| f.serial == serial).cloned();
        let Some(facts) = facts else { return failed(Stage::Download, RetryClass::Policy, "it is gone") };
        let certificate = &mut self.certificates[i];
        let held = certificate.facts();
        let expired = certificate.enemy.is_none() && held.is_some_and(|held| held.not_after <= self.now);
        self.tally.expired += u64::from(expired);
        self.stored.extend(self.trouble.is_some().then(|| serial.to_owned()));
        certificate.hold(facts);
        Ok(self.point()?)
    }

    /// Mirrors the success of an attempt (worker/results.rs).
    pub fn succeeded(&mut self, i: usize, claim: &mut Record) {
        let (now, names) = (self.now, self.certificates[i].names.clone());
        let history = claim.body.history_mut(&names, DIRECTORY, now);
        (history.failures, history.stage, history.error, history.next_attempt) = (0, None, None, None);
        self.remember(i, claim);
        self.questions.ask_soon(self.certificates[i].entry.main_secret(), now);
        (claim.body.window, claim.body.next_question, claim.body.in_flight) = (None, None, None);
        claim.next_key = None;
        self.unsaved = None;
    }

    /// Mirrors the record of a success there.
    pub fn remember(&self, i: usize, claim: &mut Record) {
        let account = claim.body.in_flight.as_ref().and_then(|f| f.account.clone());
        self.remember_at(i, claim, account, self.now);
    }

    /// The record of a certificate from before the simulation.
    pub fn remember_before(&self, i: usize, claim: &mut Record, at: Time) {
        self.remember_at(i, claim, Some(ACCOUNT.to_owned()), at);
    }

    fn remember_at(&self, i: usize, claim: &mut Record, account: Option<String>, at: Time) {
        let certificate = &self.certificates[i];
        let facts = certificate.facts().expect("it was stored");
        claim.body.stored = Some(Issued {
            serial: facts.serial.clone(),
            at,
            directory: DIRECTORY.into(),
            key_type: certificate.entry.key_type.name().into(),
            profile: None,
            account: account.map(SharedStr::from),
            cert_id: facts.cert_id.clone(),
            renewal_mark: None,
        });
        // The simulated chain is the serial number of its certificate.
        let copy = || PairBackup {
            chain: facts.serial.as_bytes().to_vec(),
            key: Some(Secret::new(facts.public_key.to_vec())),
        };
        claim.copy = certificate.entry.keep_copy.then(copy);
    }
}
