//! The wishes of one object under construction: the rules that all kinds share. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::SourceRef;
use super::annotations::{Annotations, OptIn};
use super::hosts::{quoted, sentence};
use super::wish::{ObjectWishes, Wish, WishOptions, WishProblem, WishReason, WishSettings};
use crate::base::limits::OBJECT_PROBLEMS_MAX;
use crate::base::name::{Domain, ObjectRef};
use crate::kube::resource::Resource;

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

    /// Tells whether the annotations ask notariat for a certificate. Tells what is wrong with them.
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
            let mut options = self.annotations.options(self.settings, &mut problems);
            // The annotation of kube-lego counts on an Ingress only.
            options.http_without_key &= self.source.kind() == Resource::INGRESSES.kind;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::tests::support::{domain, metadata, settings, short};

    /// Makes the draft for `t/i` with these annotations, and the wishes that it becomes after `steps`.
    fn drafted(lines: &str, steps: impl FnOnce(&mut Draft<'_>)) -> ObjectWishes {
        let source = SourceRef::parse("Ingress t/i").unwrap();
        let annotations = Annotations::read(&metadata("i", lines));
        let settings = settings();
        let mut draft = Draft::new(&source, &annotations, &settings);
        steps(&mut draft);
        draft.finish()
    }

    fn claims(text: &str) -> Claims {
        let claim = |claim: &str| {
            let (name, by) = claim.split_once('=').unwrap();
            (domain(&format!("{name}.a.test")), by.split('+').map(str::to_owned).collect())
        };
        text.split_whitespace().map(claim).collect()
    }

    fn shown(wishes: &ObjectWishes) -> String {
        let names = |wish: &Wish| {
            let one = |(name, by): (&Domain, &BTreeSet<String>)| {
                format!("{}={}", short(name), by.iter().map(String::as_str).collect::<Vec<_>>().join("+"))
            };
            format!("{} {}", wish.secret.name, wish.names.iter().map(one).collect::<Vec<_>>().join(" "))
        };
        wishes.wishes.iter().map(names).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn names_that_different_namespaces_vouch_for_stand_apart() {
        for (added, expected) in [
            (&["x=t", "y=t"][..], "s x=t y=t"),
            (&["x=t", "x=t"], "s x=t"),
            (&["x=t", "x=t+u"], "s x=t"),
            (&["x=t+u", "x=t+v"], "s x=t+u | s x=t+v"),
            (&["x=t+u y=t+u", "x=t+v y=t+v"], "s x=t+u y=t+u | s x=t+v y=t+v"),
            (&["x=t+u", "x=t+v", "x=t+u"], "s x=t+u | s x=t+v"),
            (&["x=t+u", "x=t+v", "y=t+v"], "s x=t+u y=t+v | s x=t+v"),
        ] {
            let found = drafted("", |draft| {
                let secret = draft.secret("s", "p").unwrap();
                added.iter().for_each(|text| draft.want(&secret, "p", claims(text)));
                draft.apply_names();
            });
            assert_eq!(shown(&found), expected, "{added:?}");
        }
    }

    #[test]
    fn names_of_annotations_replace_or_join_those_of_the_object() {
        for (lines, expected) in [
            ("", "s x=t+u | s x=t+v"),
            ("n/domains: z.a.test", "s z=t"),
            ("g/dnsnames: z.a.test", "s z=t"),
            ("g/commonname: z.a.test", "s x=t+u z=t | s x=t+v z=t"),
            ("n/domains: z_.a.test", ""),
        ] {
            let found = drafted(lines, |draft| {
                let secret = draft.secret("s", "p").unwrap();
                ["x=t+u", "x=t+v"].iter().for_each(|text| draft.want(&secret, "p", claims(text)));
                draft.apply_names();
            });
            assert_eq!(shown(&found), expected, "{lines}");
        }
    }

    #[test]
    fn a_secret_is_one_of_the_objects_own_namespace() {
        for (name, accepted) in [
            ("s", true),
            ("s.x-1", true),
            ("", false),
            ("S", false),
            ("t/s", false),
            ("kube-system/s", false),
            ("../s", false),
            ("s s", false),
            ("s\n", false),
            ("ü", false),
            ("q", false),
        ] {
            let mut found = None;
            let wishes = drafted("n/ignore: q", |draft| found = draft.secret(name, "place"));
            assert_eq!(found.as_ref().map(ToString::to_string), accepted.then(|| format!("t/{name}")), "{name:?}");
            // An ignored Secret is no fault.
            let told = wishes.problems.iter().filter(|p| p.reason == WishReason::Invalid && p.place == "place").count();
            assert_eq!(told, usize::from(!accepted && name != "q"), "{name:?}");
            assert!(wishes.problems.iter().all(|p| !p.sentence.contains('\n')));
        }
    }

    #[test]
    fn problems_are_bounded_and_those_left_out_are_counted() {
        for count in [1, OBJECT_PROBLEMS_MAX, OBJECT_PROBLEMS_MAX + 1, 10_000] {
            let found = drafted("", |draft| {
                (0..count).for_each(|i| draft.problem(WishReason::Invalid, "p", &format!("problem {i}")))
            });
            assert_eq!(found.problems.len(), count.min(OBJECT_PROBLEMS_MAX + 1));
            let last = &found.problems.last().unwrap().sentence;
            match count - count.min(OBJECT_PROBLEMS_MAX) {
                0 => assert_eq!(*last, format!("problem {}", count - 1)),
                more => assert!(last.starts_with(&format!("{more} more problems")), "{last}"),
            }
        }
    }

    #[test]
    fn every_wish_has_the_options_and_keeps_its_own_labels() {
        let found = drafted("n/issuer: own\nn/secret-labels: a=b,host=theirs", |draft| {
            for (name, label) in [("s", Some("ours")), ("r", None)] {
                let secret = draft.secret(name, "p").unwrap();
                draft.want(&secret, "p", claims("x=t"));
                let wish = draft.wishes.last_mut().unwrap();
                wish.options.labels.extend(label.map(|value| ("host".to_owned(), value.to_owned())));
            }
        });
        let labels: Vec<_> = found.wishes.iter().map(|wish| wish.options.labels["host"].as_str()).collect();
        assert_eq!(labels, ["ours", "theirs"]);
        assert!(found.wishes.iter().all(|wish| wish.options.issuer.as_deref() == Some("own")));
    }

    #[test]
    fn a_wish_without_a_name_is_told_once_and_goes() {
        let found = drafted("", |draft| {
            for (name, place) in [("s", "one"), ("r", "two")] {
                let secret = draft.secret(name, place).unwrap();
                draft.want(&secret, place, Claims::new());
            }
            draft.problem(WishReason::Invalid, "two", "its names can not be read");
            draft.apply_names();
        });
        let places: Vec<_> = found.problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!((found.wishes.len(), places), (0, vec!["two", "one"]));
    }
}
