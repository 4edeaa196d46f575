//! The forms in which refused entries were last accepted. They are large and seldom needed: no cache keeps them all, and workers read those
//! that are needed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::base::name::ObjectRef;
use crate::issuance::Context;
use crate::record::{self, AcceptedSpec, Record};

/// The last accepted form; `None` where the entry was never accepted.
pub(super) type LastAccepted = Option<Box<AcceptedSpec>>;

/// The forms of the entries that are refused now.
#[derive(Debug, Default)]
pub(super) struct AcceptedSpecs {
    known: HashMap<ObjectRef, LastAccepted>,
    to_read: BTreeSet<ObjectRef>,
    reading: HashSet<ObjectRef>,
}

/// One lookup of the forms of all refused entries.
pub(super) struct AcceptedLookup<'f> {
    forms: RefCell<&'f mut AcceptedSpecs>,
    asked: RefCell<HashSet<ObjectRef>>,
    /// True if a form is not known yet.
    pub(super) unread: Cell<bool>,
}

impl AcceptedSpecs {
    /// Starts a lookup.
    pub(super) fn look(&mut self) -> AcceptedLookup<'_> {
        AcceptedLookup { forms: RefCell::new(self), asked: RefCell::default(), unread: Cell::new(false) }
    }

    /// The next form to read.
    pub(super) fn take(&mut self) -> Option<ObjectRef> {
        let secret = self.to_read.pop_first()?;
        self.reading.insert(secret.clone());
        Some(secret)
    }

    /// The number of forms being read.
    pub(super) fn being_read(&self) -> usize {
        self.reading.len()
    }

    /// Notes the result of a read; a failed one is repeated with the next lookup. Returns whether no read is left.
    pub(super) fn read(&mut self, secret: ObjectRef, form: Result<LastAccepted, String>) -> bool {
        self.reading.remove(&secret);
        if let Ok(form) = form {
            self.known.insert(secret, form);
        }
        self.reading.is_empty() && self.to_read.is_empty()
    }
}

impl AcceptedLookup<'_> {
    /// The form of the entry for a Secret, where it is known. Else it is read later, unless `was_never_accepted` says of its record that there
    /// is none. While that is not known either, nothing is read.
    pub(super) fn form(
        &self,
        secret: &ObjectRef,
        was_never_accepted: impl FnOnce(&ObjectRef) -> Option<bool>,
        context: &Context,
    ) -> Option<AcceptedSpec> {
        self.asked.borrow_mut().insert(secret.clone());
        let mut forms = self.forms.borrow_mut();
        if let Some(known) = forms.known.get(secret) {
            return known.as_deref().cloned();
        }
        let at = record::reference(secret, &context.namespace);
        match was_never_accepted(&at) {
            Some(true) => {
                forms.to_read.remove(secret);
                return None;
            }
            Some(false) => {}
            None => {
                self.unread.set(true);
                return None;
            }
        }
        if context.kube.is_none() {
            // A local file is read at once.
            return match read(context, secret) {
                Ok(form) => form.map(|form| *form),
                Err(_) => {
                    self.unread.set(true);
                    None
                }
            };
        }
        self.unread.set(true);
        if !forms.reading.contains(secret) {
            forms.to_read.insert(secret.clone());
        }
        None
    }

    /// Ends the lookup and drops the forms that nobody asked for. Returns whether a form is not known yet.
    pub(super) fn end(self) -> bool {
        let (forms, asked) = (self.forms.into_inner(), self.asked.into_inner());
        forms.known.retain(|secret, _| asked.contains(secret));
        forms.to_read.retain(|secret| asked.contains(secret));
        self.unread.get()
    }
}

/// Reads the form from the record of the certificate in `secret`.
///
/// # Errors
/// When the record could not be read.
pub(super) fn read(context: &Context, secret: &ObjectRef) -> Result<LastAccepted, String> {
    let stored = context.store.secret(&record::reference(secret, &context.namespace)).map_err(|e| e.to_string())?;
    let accepted = Record::read(stored.as_ref()).ok().and_then(|record| record.body.accepted);
    Ok(accepted.and_then(|accepted| accepted.read(&context.namespaces)).map(Box::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_once_and_again_when_that_failed() {
        let (mut forms, at) = (AcceptedSpecs::default(), |name: &str| ObjectRef::new("team", name));
        forms.to_read.extend([at("a"), at("b")]);
        assert_eq!((forms.take(), forms.take(), forms.take()), (Some(at("a")), Some(at("b")), None));
        assert!(!forms.read(at("a"), Ok(None)) && forms.being_read() == 1);
        assert!(forms.read(at("b"), Err("away".to_owned())), "all were tried");
        assert!(forms.known.contains_key(&at("a")) && !forms.known.contains_key(&at("b")));
        let look = forms.look();
        look.asked.borrow_mut().insert(at("c"));
        assert!(!look.end());
        assert!(forms.known.is_empty(), "nobody asks for it any more");
    }
}
