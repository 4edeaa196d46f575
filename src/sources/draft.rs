//! The wishes of one object under construction: the rules that all kinds share. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::SourceRef;
use super::annotations::{Annotations, OptIn};
use super::hosts::{quoted, sentence};
use super::wish::{ObjectWishes, Wish, WishOptions, WishProblem, WishReason, WishSettings};
use crate::base::limits::OBJECT_PROBLEMS_MAX;
use crate::base::name::{Domain, ObjectRef};

/// The names of a wish, each with the namespaces that vouch for it.
pub type Claims = BTreeMap<Domain, BTreeSet<String>>;

/// The wishes of one object, as far as they were read.
#[derive(Debug)]
pub struct Draft<'a> {
    source: &'a SourceRef,
    annotations: &'a Annotations,
    settings: &'a WishSettings,
    /// The wishes so far.
    pub wishes: Vec<Wish>,
    problems: Vec<WishProblem>,
    more_problems: usize,
}

impl<'a> Draft<'a> {
    /// The draft for an object with these annotations.
    pub fn new(source: &'a SourceRef, annotations: &'a Annotations, settings: &'a WishSettings) -> Draft<'a> {
        let (wishes, problems, more_problems) = (Vec::new(), Vec::new(), 0);
        Draft { source, annotations, settings, wishes, problems, more_problems }
    }

    /// Whether the annotations ask notariat for a certificate. Tells what is wrong with them.
    pub fn is_wanted(&mut self, is_ingress: bool) -> bool {
        if self.annotations.ignores_all() {
            return false;
        }
        let opt_in = self.annotations.opt_in(is_ingress, self.settings);
        self.problems(self.annotations.faults(opt_in == OptIn::Yes));
        if let OptIn::Foreign(sentence) = &opt_in {
            self.problem(WishReason::Skipped, "", sentence);
        }
        opt_in == OptIn::Yes
    }

    /// Adds a problem; those beyond a bound are counted.
    pub fn problem(&mut self, reason: WishReason, place: &str, text: &str) {
        self.problems([WishProblem { reason, place: place.to_owned(), sentence: text.to_owned() }]);
    }

    /// Adds problems; those beyond a bound are counted.
    pub fn problems(&mut self, problems: impl IntoIterator<Item = WishProblem>) {
        for problem in problems {
            match self.problems.len() < OBJECT_PROBLEMS_MAX {
                true => self.problems.push(problem),
                false => self.more_problems += 1,
            }
        }
    }

    /// The Secret of this name in the object's namespace; `None` when the name can not be one, which is told, or when it is ignored.
    pub fn secret(&mut self, name: &str, place: &str) -> Option<ObjectRef> {
        if self.annotations.ignores(name) {
            return None;
        }
        let parsed = match name.contains('/') {
            true => Err(format!("{} has a `/`: an object names a Secret of its own namespace only", quoted(name))),
            false => ObjectRef::parse(name, self.source.namespace()).map_err(|e| format!("{} {e}", quoted(name))),
        };
        parsed.map_err(|why| self.problem(WishReason::Invalid, place, &sentence(&why))).ok()
    }

    /// Names that the namespace of the object vouches for.
    pub fn own(&self, names: &[Domain]) -> Claims {
        let namespaces = BTreeSet::from([self.source.namespace().to_owned()]);
        names.iter().map(|name| (name.clone(), namespaces.clone())).collect()
    }

    /// Adds names to the wish for a Secret. A name that is wanted already for fewer namespaces adds nothing; one that other namespaces vouch
    /// for goes into a second wish, so that no namespace can spoil the name of another.
    pub fn want(&mut self, secret: &ObjectRef, place: &str, claims: Claims) {
        if !self.wishes.iter().any(|wish| wish.secret == *secret) {
            self.wishes.push(self.wish(secret, place));
        }
        for (name, by) in claims {
            let mut same = self.wishes.iter().filter(|wish| wish.secret == *secret);
            if same.any(|wish| wish.names.get(&name).is_some_and(|held| held.is_subset(&by))) {
                continue;
            }
            match self.wishes.iter_mut().find(|wish| wish.secret == *secret && !wish.names.contains_key(&name)) {
                Some(wish) => drop(wish.names.insert(name, by)),
                None => self.wishes.push(Wish { names: Claims::from([(name, by)]), ..self.wish(secret, place) }),
            }
        }
    }

    fn wish(&self, secret: &ObjectRef, place: &str) -> Wish {
        Wish {
            secret: secret.clone(),
            place: place.to_owned(),
            names: Claims::new(),
            options: WishOptions::default(),
            adopt: self.annotations.adopts(),
        }
    }

    /// Gives the wishes the names that annotations ask for, drops those that have no name, and tells so.
    pub fn apply_names(&mut self) {
        let mut problems = Vec::new();
        let secrets: BTreeSet<&ObjectRef> = self.wishes.iter().map(|wish| &wish.secret).collect();
        let asked = if secrets.is_empty() { None } else { self.annotations.names(secrets.len() == 1, &mut problems) };
        if let Some(asked) = asked {
            let claims = self.own(asked.names.names());
            if asked.replace {
                let mut seen = BTreeSet::new();
                self.wishes.retain(|wish| seen.insert(wish.secret.clone()));
            }
            for wish in &mut self.wishes {
                if asked.replace {
                    wish.names.clear();
                }
                wish.names.extend(claims.clone());
            }
            let fault = asked.names.fault();
            problems.extend(fault.map(|sentence| WishProblem {
                reason: WishReason::Invalid,
                place: asked.place,
                sentence,
            }));
        }
        let (nameless, wishes): (Vec<Wish>, _) =
            std::mem::take(&mut self.wishes).into_iter().partition(|wish| wish.names.is_empty());
        self.wishes = wishes;
        self.problems(problems);
        for Wish { place, secret, .. } in nameless {
            // Unreadable names are told already.
            if !self.problems.iter().any(|problem| problem.place == place) {
                let sentence = format!("the Secret {secret} gets no certificate, because no name is known for it");
                self.problem(WishReason::Invalid, &place, &sentence);
            }
        }
    }

    /// The finished wishes, with the options that annotations give.
    pub fn finish(mut self) -> ObjectWishes {
        if !self.wishes.is_empty() {
            let mut problems = Vec::new();
            let options = self.annotations.options(self.settings, &mut problems);
            for wish in &mut self.wishes {
                let labels = std::mem::take(&mut wish.options.labels);
                wish.options = options.clone();
                wish.options.labels.extend(labels);
            }
            self.problems(problems);
        }
        if self.more_problems > 0 {
            let sentence = format!("{} more problems of this object are not listed", self.more_problems);
            self.problems.push(WishProblem { reason: WishReason::Invalid, place: String::new(), sentence });
        }
        ObjectWishes { source: self.source.clone(), wishes: self.wishes, problems: self.problems }
    }
}
