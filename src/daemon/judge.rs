//! Decides about one certificate in a pass: reads what its Secrets hold, says what was found, makes a job of what is to be done.

use std::collections::HashMap;
use std::sync::Arc;

use super::probing::is_due;
use super::world::{Pass, Probing, World};
use crate::decide::directory::normalized;
use crate::decide::held::Held;
use crate::decide::limits::{Closed, Scope, is_renewal, quotas};
use crate::decide::{Decision, Finding, Input, Orders, decide};
use crate::issue::{Context, account};
use crate::limits::{SHORT_LIVED, TIDY_INTERVAL};
use crate::log::event;
use crate::name::ObjectRef;
use crate::sources::Wanted;
use crate::store::StoreError;
use crate::time::Time;
use crate::work::{Job, Question, Task};

impl World {
    pub(super) fn judge(
        &mut self,
        secret: &ObjectRef,
        wanted: &Arc<Wanted>,
        now: Time,
        orders: &Orders,
        keys: &mut HashMap<ObjectRef, String>,
        pass: &mut Pass,
    ) -> Result<(), StoreError> {
        let Some(known) = self.known.get(secret) else {
            pass.unsound = true;
            return Ok(());
        };
        let entry = &wanted.entry;
        let read = |s| self.context.store.secret(s).map(|o| Held::of(o.as_ref(), &self.context.instance));
        let held: Vec<Held> = entry.secrets.iter().map(read).collect::<Result<_, _>>()?;
        // They cost a read of each key's Secret, and matter only while a wait may be cut short.
        let waiting = known.body.histories.iter().any(|h| h.next_attempt.is_some_and(|next| next > now));
        let asked = asked(&held);
        let inputs = if waiting { self.inputs(wanted, keys, asked)? } else { String::new() };
        let directory = self.context.cas.directory(wanted);
        let renewal = is_renewal(&held, &entry.order_names(), directory.url(), now);
        let closed = self.closed(wanted, directory.url(), renewal, now);
        let judgement = decide(&Input {
            entry,
            held: &held,
            record: &known.body,
            copy: known.copy.as_ref(),
            directory: &directory,
            profile: wanted.profile(),
            inputs: &inputs,
            orders,
            closed: closed.as_ref(),
            now,
        });
        let body = &known.body;
        let untidy = body.in_flight.is_some() || !body.leftovers.is_empty() || !body.to_revoke.is_empty();
        let accepted = wanted.last_accepted || known.body.accepted.as_ref() == Some(&wanted.accepted());
        let short_lived = held
            .iter()
            .any(|h| matches!(h, Held::Present(p) if p.pair.facts().is_some_and(|f| f.lifetime() < SHORT_LIVED)));

        for warning in &judgement.warnings {
            self.say(format!("warning {secret} {warning}"), String::new(), || {
                event!(warn, "certificate", secret = secret, warning = warning)
            });
        }
        for (place, finding) in &judgement.refused {
            pass.unsound = true;
            let target = &entry.secrets[*place];
            self.say(format!("left-alone {target}"), finding.detail.clone(), || {
                event!(error, "left-alone", secret = target, reason = finding.reason, error = finding.detail);
            });
        }
        let keep_tidy =
            !accepted || (untidy && self.tidied.get(secret).is_none_or(|last| *last + TIDY_INTERVAL <= now));
        let partial = match &judgement.decision {
            Decision::Issue { names, .. } => names.clone(),
            _ => None,
        };
        let kept = matches!(judgement.decision, Decision::Keep { .. });
        let task = self.act(secret, judgement.decision, keep_tidy, pass);
        let probe = match self.probing {
            Probing::Daily { started, last_pass } if kept => is_due(secret, started, last_pass, now),
            Probing::Daily { .. } | Probing::Never | Probing::Only => false,
        };
        let question = match kept {
            true => self.question(secret, &held, directory.url(), now, pass),
            false => None,
        };
        if let Some(Task::Issue { .. }) = task {
            self.made.entry(directory.url().to_owned()).or_default().add(now, renewal);
        }
        if let Some(task) = task.or(question.map(Task::Window)).or(probe.then_some(Task::Probe)) {
            if matches!(task, Task::Tidy) {
                self.tidied.insert(secret.clone(), now);
            }
            let inputs = if waiting { inputs } else { self.inputs(wanted, keys, asked)? };
            let wanted = partial.map_or_else(|| wanted.clone(), |names| Arc::new(wanted.only(names)));
            pass.queue.push(Job { wanted, task, inputs, short_lived });
        }
        Ok(())
    }

    /// The gate that keeps an order of this certificate from being made: one that the CA closed, or the quota of its directory.
    fn closed(&self, wanted: &Wanted, directory: &str, renewal: bool, now: Time) -> Option<Closed> {
        let Context { limits, namespace, .. } = &*self.context;
        if !limits.is_open()
            && let Some(closed) =
                limits.closed(&account::reference(directory, wanted, namespace), &wanted.entry.order_names(), now)
        {
            return Some(closed);
        }
        let quotas = quotas(directory, wanted.issuer.as_ref().and_then(|issuer| issuer.orders_per_day));
        let until = self.made.get(directory)?.exhausted(&quotas, renewal, now)?;
        let said = format!("as many orders as {directory} is to get were made already");
        Some(Closed { scope: Scope::Account, until, said })
    }

    /// The question to the CA when it wants the certificate to be renewed, when it is time to ask it.
    fn question(
        &self,
        secret: &ObjectRef,
        held: &[Held],
        directory: &str,
        now: Time,
        pass: &mut Pass,
    ) -> Option<Question> {
        let facts = held.iter().find_map(|held| match held {
            Held::Present(present) if present.directory.as_deref().map(normalized).as_deref() == Some(directory) => {
                present.pair.facts()
            }
            Held::Present(_) | Held::Missing => None,
        })?;
        let (body, cert_id) = (&self.known.get(secret)?.body, facts.cert_id.clone()?);
        let at = self.context.questions.next(secret, directory, body.next_question);
        if at > now {
            pass.wake = pass.wake.min(Some(at));
            return None;
        }
        let before = body.window.clone().filter(|w| w.serial == facts.serial);
        Some(Question { serial: facts.serial.clone(), cert_id, before })
    }

    /// Says what was decided, and makes it a task where there is something to do.
    fn act(&mut self, secret: &ObjectRef, decision: Decision, keep_tidy: bool, pass: &mut Pass) -> Option<Task> {
        let subject = secret.to_string();
        pass.unsound |= !matches!(decision, Decision::Keep { .. });
        match decision {
            Decision::Keep { until } => {
                pass.wake = pass.wake.min(Some(until));
                self.say(subject, format!("valid {until}"), || event!(info, "valid", secret = secret, renewal = until));
                keep_tidy.then_some(Task::Tidy)
            }
            Decision::Wait { finding, waiting, until } => {
                pass.wake = pass.wake.min(Some(until));
                if finding.reason.is_change() {
                    pass.queue.hold_changes();
                }
                let Finding { reason, detail } = finding;
                self.say(subject, format!("waiting {waiting} {until} {reason}"), || {
                    event!(
                        warn,
                        "waiting",
                        secret = secret,
                        state = waiting,
                        until = until,
                        reason = reason,
                        detail = detail
                    );
                });
                None
            }
            Decision::Refuse { finding } => {
                self.say(subject, format!("refuse {finding}"), || {
                    event!(error, "left-alone", secret = secret, reason = finding.reason, error = finding.detail);
                });
                None
            }
            Decision::Restore { finding, source, targets } => Some(Task::Restore { finding, source, targets }),
            Decision::Issue { finding, targets, counted, .. } => Some(Task::Issue { finding, targets, counted }),
        }
    }
}

/// A renewal that somebody asked for at one of the Secrets.
fn asked(held: &[Held]) -> Option<&str> {
    held.iter().find_map(|held| match held {
        Held::Present(present) => present.renewal_asked.as_deref(),
        Held::Missing => None,
    })
}
