//! The objects and the Secrets that they want, and what is not served of each object. A change of one object costs what it names, whatever the number
//! of objects. Pure.
//!
//! Names and references only are kept: the wishes are made anew of the facts of a source when they are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::wish::{ObjectKey, ObjectWishes, WishProblem, WishReason};
use crate::base::limits::PROBLEMS_OF_OBJECT_MAX;
use crate::base::name::{ClusterName, ObjectRef};

/// The index.
#[derive(Debug, Default)]
pub struct WishIndex {
    secrets: BTreeMap<ObjectKey, Box<[ObjectRef]>>,
    objects: BTreeMap<ObjectRef, Arc<Vec<ObjectKey>>>,
    /// The problems: of the object as a whole (`None`), and of what it wants in a Secret.
    problems: BTreeMap<(ObjectKey, Option<ObjectRef>), Vec<WishProblem>>,
}

impl WishIndex {
    /// Notes the present wishes of an object; `None` when it does not exist. Adds the Secrets of its wishes, before and now, to `affected`,
    /// some of them twice.
    /// Returns whether its problems may have changed.
    pub fn note(&mut self, object: &ObjectKey, wishes: Option<&ObjectWishes>, affected: &mut Vec<ObjectRef>) -> bool {
        let mut lost = false;
        for secret in self.secrets.remove(object).into_iter().flatten() {
            if let Some(objects) = self.objects.get_mut(&secret) {
                Arc::make_mut(objects).retain(|other| other != object);
                if objects.is_empty() {
                    self.objects.remove(&secret);
                }
            }
            lost |= self.problems.remove(&(object.clone(), Some(secret.clone()))).is_some();
            affected.push(secret);
        }
        let own: BTreeSet<ObjectRef> = wishes.iter().flat_map(|w| &w.wishes).map(|wish| wish.secret.clone()).collect();
        for secret in &own {
            // One object is the rule, and a Vec that grows makes room for four.
            let objects = self.objects.entry(secret.clone()).or_insert_with(|| Arc::new(Vec::with_capacity(1)));
            let place = objects.partition_point(|other| other < object);
            Arc::make_mut(objects).insert(place, object.clone());
        }
        affected.extend(own.iter().cloned());
        if !own.is_empty() {
            self.secrets.insert(object.clone(), own.into_iter().collect());
        }
        let problems = wishes.map(|wishes| wishes.problems.clone()).unwrap_or_default();
        self.put_problems((object.clone(), None), problems) || lost
    }

    /// Gives back the room that maps keep for more: one that grew in order is half empty.
    pub fn pack(&mut self) {
        self.secrets = std::mem::take(&mut self.secrets).into_iter().collect();
        self.objects = std::mem::take(&mut self.objects).into_iter().collect();
    }

    /// The objects that want `secret`, sorted.
    pub fn objects_of(&self, secret: &ObjectRef) -> &[ObjectKey] {
        self.objects.get(secret).map_or(&[], |objects| objects)
    }

    /// Keeps the objects that want `secret` in one place with a certificate that serves all of them.
    pub fn share(&mut self, secret: &ObjectRef, served: &Arc<Vec<ObjectKey>>) {
        if let Some(objects) = self.objects.get_mut(secret).filter(|objects| *objects == served) {
            *objects = served.clone();
        }
    }

    /// Every Secret that an object wants.
    pub fn secrets(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    /// Sets what is not served of the wishes for `secret`. Returns the objects for which that is something else than before.
    pub fn set_problems(&mut self, secret: &ObjectRef, problems: Vec<(ObjectKey, WishProblem)>) -> Vec<ObjectKey> {
        let mut of: BTreeMap<ObjectKey, Vec<WishProblem>> = BTreeMap::new();
        for (object, problem) in problems {
            of.entry(object).or_default().push(problem);
        }
        let objects = self.objects_of(secret).to_vec();
        let changed = objects.into_iter().filter(|object| {
            self.put_problems((object.clone(), Some(secret.clone())), of.remove(object).unwrap_or_default())
        });
        changed.collect()
    }

    fn put_problems(&mut self, key: (ObjectKey, Option<ObjectRef>), mut problems: Vec<WishProblem>) -> bool {
        problems.truncate(PROBLEMS_OF_OBJECT_MAX);
        if problems.is_empty() {
            return self.problems.remove(&key).is_some();
        }
        let changed = self.problems.get(&key) != Some(&problems);
        self.problems.insert(key, problems);
        changed
    }

    /// The problems of an object, bounded.
    pub fn problems_of(&self, object: &ObjectKey) -> impl Iterator<Item = &WishProblem> {
        let of = self.problems.range((object.clone(), None)..).take_while(move |((other, _), _)| other == object);
        of.flat_map(|(_, problems)| problems).take(PROBLEMS_OF_OBJECT_MAX)
    }

    /// The first hindrance of an object; a remark about a field without effect does not.
    pub fn hindrance_of(&self, object: &ObjectKey) -> Option<&WishProblem> {
        let of = self.problems.range((object.clone(), None)..).take_while(|((other, _), _)| other == object);
        let all = of.flat_map(|((_, secret), problems)| problems.iter().map(move |problem| (secret, problem)));
        let mut hindrances = all.filter(|(secret, problem)| secret.is_some() || problem.reason != WishReason::Skipped);
        hindrances.next().map(|(_, problem)| problem)
    }

    /// The first Secret that an object wants.
    pub fn secret_of(&self, object: &ObjectKey) -> Option<&ObjectRef> {
        self.secrets.get(object)?.first()
    }

    /// Every problem, by object.
    pub fn problems(&self) -> impl Iterator<Item = (&ObjectKey, &WishProblem)> {
        self.problems.iter().flat_map(|((object, _), problems)| problems.iter().map(move |problem| (object, problem)))
    }

    /// The objects of which something else is not served than in another index.
    pub fn differ(&self, other: &WishIndex) -> BTreeSet<ObjectKey> {
        let both = self.problems.keys().chain(other.problems.keys());
        let changed = both.filter(|key| self.problems.get(*key) != other.problems.get(*key));
        changed.map(|(object, _)| object.clone()).collect()
    }

    /// The number of objects of a cluster that want something.
    pub fn len_of(&self, kind: &str, cluster: &ClusterName) -> usize {
        self.secrets.keys().filter(|object| object.kind == kind && object.at.cluster == *cluster).count()
    }
}

#[cfg(test)]
mod tests;
