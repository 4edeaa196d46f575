//! The wishes of objects: which of them changed, what is served of them, and how long their changes have settled.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::settling::Settling;
use super::sources::Sources;
use crate::base::name::{Domain, ObjectRef};
use crate::config::namespaces::Namespaces;
use crate::sources::merge::{Merged, ObjectClaim, merge};
use crate::sources::resource::ObjectIssuer;
use crate::sources::serving::ServingRules;
use crate::sources::wish::{ObjectKey, ObjectWishes, Wish, WishSettings};
use crate::sources::wish_index::WishIndex;
use crate::sources::{AcceptedSpec, CertificateSpec, Desired, SourceRef};

/// Objects whose wishes are kept during one update. An object names Secrets of its own namespace, which follow each other.
const WISHES_KEPT: usize = 256;

/// The wishes of all objects.
#[derive(Debug, Default)]
pub(super) struct ObjectTable {
    pub(super) index: WishIndex,
    rules: Option<ServingRules>,
    pub(super) settling: Settling,
    /// True if the problems were said by this replica as the leader.
    pub(super) told: bool,
    /// The Secrets whose certificate is wanted otherwise, so that its status is not the one that was evaluated last.
    pub(super) unlooked: BTreeSet<ObjectRef>,
    /// The objects of which something else is known than their status may show.
    pub(super) unshown: BTreeSet<ObjectKey>,
}

/// The changes that an update made.
#[derive(Debug, Default)]
pub(super) struct TableChange {
    /// The Secrets whose certificate is wanted otherwise, or not any more.
    pub(super) secrets: Vec<ObjectRef>,
    /// The objects of which something else is not served than before.
    pub(super) objects: BTreeSet<ObjectKey>,
}

/// The wishes of one object, by Secret.
type BySecret = (SourceRef, BTreeMap<ObjectRef, Vec<Arc<Wish>>>);

/// The wishes that an update looks at again and again.
struct Known<'a> {
    sources: &'a Sources,
    settings: &'a WishSettings,
    wishes: HashMap<ObjectKey, Option<BySecret>>,
}

impl Known<'_> {
    fn put(&mut self, object: &ObjectKey, wishes: Option<ObjectWishes>) {
        if self.wishes.len() >= WISHES_KEPT {
            self.wishes.clear();
        }
        let by_secret = wishes.map(|wishes| {
            let mut by_secret: BTreeMap<ObjectRef, Vec<Arc<Wish>>> = BTreeMap::new();
            for wish in wishes.wishes {
                by_secret.entry(wish.secret.clone()).or_default().push(Arc::new(wish));
            }
            (wishes.source, by_secret)
        });
        self.wishes.insert(object.clone(), by_secret);
    }

    /// The claims of one object for `secret`.
    fn claims(&mut self, object: &ObjectKey, secret: &ObjectRef) -> Vec<ObjectClaim> {
        if !self.wishes.contains_key(object) {
            let wishes = self.sources.wishes_of(object, self.settings);
            self.put(object, wishes);
        }
        let Some((source, by_secret)) = self.wishes.get(object).and_then(Option::as_ref) else { return Vec::new() };
        let claim =
            |wish: &Arc<Wish>| ObjectClaim { object: object.clone(), source: source.clone(), wish: wish.clone() };
        by_secret.get(secret).into_iter().flatten().map(claim).collect()
    }
}

impl ObjectTable {
    /// Takes what changed at the objects, and puts what they want into `desired`; with `all` everything is made anew. `held` are the names
    /// of the certificate in a Secret; `last_accepted` finds the form in which its certificate was last accepted.
    #[allow(clippy::too_many_arguments, reason = "the parts of the controller's state that an update reads")]
    pub(super) fn update(
        &mut self,
        sources: &mut Sources,
        desired: &mut Desired,
        namespaces: &Namespaces,
        held: &dyn Fn(&ObjectRef) -> Vec<Domain>,
        last_accepted: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>,
        all: bool,
    ) -> TableChange {
        let (changed, mut before) = (sources.take_changed(), None);
        let mut objects: Vec<ObjectKey> = if all { sources.wishing().into_iter().collect() } else { Vec::new() };
        objects.extend(changed.into_iter().filter(|_| !all));
        if all {
            objects.sort();
            before = Some(std::mem::take(&mut self.index));
            let configs = if sources.have_objects() { sources.configs() } else { None };
            if !self.rules.as_ref().zip(configs.as_ref()).is_some_and(|(rules, configs)| rules.are_of(configs)) {
                self.rules = configs.and_then(|configs| ServingRules::of(configs, sources.flags(), namespaces));
            }
        }
        let Some(rules) = &self.rules else { return TableChange::default() };
        let mut change = TableChange::default();
        let mut known = Known { sources, settings: &rules.settings, wishes: HashMap::new() };
        // Long vectors, which are given back at once: there may be 10,000 objects.
        let (mut secrets, mut unshown) = (Vec::new(), Vec::new());
        for object in &objects {
            let wishes = sources.wishes_of(object, &rules.settings);
            if self.index.note(object, wishes.as_ref(), &mut secrets) {
                unshown.push(object.clone());
                change.objects.insert(object.clone());
            }
            known.put(object, wishes);
        }
        secrets.sort();
        secrets.dedup();
        for secret in secrets {
            let objects = self.index.objects_of(&secret).to_vec();
            unshown.extend(objects.iter().cloned());
            let claims: Vec<ObjectClaim> = objects.iter().flat_map(|object| known.claims(object, &secret)).collect();
            let entry = desired.entry_for(&secret).map(|wanted| wanted.entry.clone());
            let Merged { wanted, goes_on, problems } =
                rules.with(|rules| merge(&secret, &claims, entry.as_deref(), &held(&secret), rules));
            change.objects.extend(self.index.set_problems(&secret, problems));
            // A Secret of several goes with none of them.
            let cascades = rules.settings.cascade && objects.len() == 1;
            let wanted = wanted.map(|wish| rules.spec(&secret, wish));
            let mut wanted = wanted.map(|wanted| if cascades { wanted.cascading() } else { wanted });
            desired.kept.remove(&secret);
            if let Some((object, source)) = goes_on {
                let form = last_accepted(&secret);
                let options = claims.iter().find(|claim| claim.object == object);
                let options = options.and_then(|claim| claim.wish.options.resource.as_deref());
                let revocations = options.map(|options| options.revocations.clone()).unwrap_or_default();
                wanted = form.and_then(|form| rules.last_accepted(&secret, (&object, source), form));
                wanted = wanted.map(|wanted| wanted.with_revocations(revocations));
                desired.kept.insert(secret.clone());
            }
            let changed = desired.put_of_objects(&secret, wanted);
            desired.wanted.get(&secret).into_iter().for_each(|wanted| self.index.share(&secret, &wanted.objects));
            if changed {
                change.secrets.push(secret);
            }
        }
        self.unshown.append(&mut unshown.into_iter().collect());
        if let Some(before) = before {
            self.index.pack();
            change.objects = self.index.differ(&before);
        }
        change
    }

    /// The certificate for nobody by which the account of an issuer is found, or why the rules do not allow the issuer; `None` while there
    /// are no rules.
    pub(super) fn account_spec(
        &self,
        object: &ObjectKey,
        issuer: &Arc<ObjectIssuer>,
    ) -> Option<Result<CertificateSpec, String>> {
        Some(self.rules.as_ref()?.account_spec(SourceRef::new(object.kind, &object.at, None), issuer))
    }

    /// The first wish of an object that exists.
    pub(super) fn wish_of(&self, sources: &Sources, object: &ObjectKey) -> Option<Wish> {
        let settings = &self.rules.as_ref()?.settings;
        sources.wishes_of(object, settings)?.wishes.into_iter().next()
    }

    /// The reference to an object that exists.
    pub(super) fn source_of(&self, sources: &Sources, object: &ObjectKey) -> Option<SourceRef> {
        let settings = &self.rules.as_ref()?.settings;
        sources.wishes_of(object, settings).map(|wishes| wishes.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::resource::Selector;
    use crate::sources::config_map::ConfigMapSource;
    use crate::sources::ingress::IngressSource;
    use crate::sources::{Source, SourceEvent};
    use serde_json::{Value, json};

    const DEFAULTS: &str = "email: a@a.test\ntsigSecretName: key\ndns: {server: '192.0.2.1'}";

    /// A controller's sources and what they want.
    struct World {
        sources: Sources,
        table: ObjectTable,
        desired: Desired,
        namespaces: Namespaces,
        /// The uids of the objects differ with it.
        age: usize,
    }

    impl World {
        fn new(lines: &str) -> World {
            World::with(lines, WishSettings::default())
        }

        fn with(lines: &str, flags: WishSettings) -> World {
            let namespaces = Namespaces::new("own", &["t".to_owned()]);
            let config = ConfigMapSource::new(&[ObjectRef::new("own", "notariat")], namespaces.clone());
            let all: Vec<Box<dyn Source>> =
                vec![Box::new(config), Box::new(IngressSource::new(Selector::All, !flags.ingress_all.is_empty()))];
            let sources = Sources::new(all, flags);
            let (table, desired) = (ObjectTable::default(), Desired::default());
            let mut world = World { sources, table, desired, namespaces, age: 1 };
            world.config(lines, "");
            world
        }

        fn see(&mut self, number: usize, object: &Value) {
            let (target, factory) = {
                let source = self.sources.all().nth(number).unwrap();
                let target = source.targets().remove(0);
                (target.clone(), source.parser(&target))
            };
            self.sources.apply(&target, SourceEvent::Present((factory.0)()(object)));
        }

        fn config(&mut self, lines: &str, entries: &str) {
            let data = json!({"defaults": DEFAULTS, "namespaces": lines, "certificates": entries});
            self.see(0, &json!({"metadata": {"namespace": "own", "name": "notariat"}, "data": data}));
        }

        fn ingress(&mut self, name: &str, secret: &str, hosts: &[&str]) {
            let (uid, annotations) = (format!("uid-{name}-{}", self.age), json!({"kubernetes.io/tls-acme": "true"}));
            let metadata = json!({"namespace": "t", "name": name, "uid": uid, "annotations": annotations});
            self.see(1, &json!({"metadata": metadata, "spec": {"tls": [{"secretName": secret, "hosts": hosts}]}}));
        }

        fn gone(&mut self, name: &str) {
            let target = self.sources.all().nth(1).unwrap().targets().remove(0);
            self.sources.apply(&target, SourceEvent::Gone(ObjectRef::new("t", name)));
        }

        /// The Secrets that changed, and the objects with other problems than before.
        fn update(&mut self, all: bool) -> (Vec<String>, Vec<String>) {
            if all {
                self.desired = Desired::default();
                self.sources.all().for_each(|source| source.add_to(&mut self.desired, &|_| None));
            }
            let World { sources, table, desired, namespaces, .. } = self;
            let change = table.update(sources, desired, namespaces, &|_| Vec::new(), &|_| None, all);
            let objects = change.objects.iter().map(|object| object.at.name.to_string()).collect();
            (change.secrets.iter().map(|at| at.name.to_string()).collect(), objects)
        }

        fn names(&self, secret: &str) -> Option<Vec<String>> {
            let wanted = self.desired.wanted.get(&ObjectRef::new("t", secret))?;
            Some(wanted.entry.domains.iter().map(ToString::to_string).collect())
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_change_of_an_object_changes_what_it_names() {
        let mut world = World::new("t: {domains: [a.test]}");
        world.ingress("i", "s", &["x.a.test"]);
        assert_eq!(world.update(false), (vec![], vec![]), "the configuration is not known");
        world.ingress("j", "s", &["y.a.test"]);
        assert_eq!(world.update(true), (words(&["s"]), vec![]));
        assert_eq!(world.names("s").unwrap(), ["x.a.test", "y.a.test"]);
        assert_eq!(world.update(false), (vec![], vec![]), "nothing changed");
        world.ingress("j", "r", &["y.a.test", "x.b.test"]);
        assert_eq!(world.update(false), (words(&["r", "s"]), words(&["j"])));
        assert_eq!(
            (world.names("s").unwrap(), world.names("r").unwrap()),
            (words(&["x.a.test"]), words(&["y.a.test"]))
        );
        world.gone("j");
        assert_eq!(world.update(false), (words(&["r"]), words(&["j"])), "its problem went, too");
        assert_eq!(world.names("r"), None);
    }

    #[test]
    fn another_configuration_decides_anew_about_all() {
        let mut world = World::new("t: {domains: [a.test]}");
        world.ingress("i", "s", &["x.a.test"]);
        world.ingress("j", "r", &["x.b.test"]);
        assert_eq!(world.update(true), (words(&["s"]), words(&["j"])));
        world.config("t: {domains: [b.test]}", "");
        assert_eq!(world.update(true), (words(&["r"]), words(&["i", "j"])));
        assert_eq!((world.names("s"), world.names("r")), (None, Some(words(&["x.b.test"]))));
        assert_eq!(world.update(true).1, [""; 0], "the same problems are no news");
        world.config("t: {domains: [b.test]}", "[{secret: t/r, domains: [z.b.test]}]");
        assert_eq!(world.update(true).1, ["j"], "the entry decides alone and lacks the name");
        assert_eq!(world.names("r").unwrap(), ["z.b.test"]);
        world.config("t: {domains: [b.test]}", "[{secret: [t/q, t/r], domains: [z.b.test]}]");
        world.update(true);
        assert_eq!(world.names("r"), None, "the second Secret of an entry is its own, too");
    }

    #[test]
    fn the_secret_of_a_single_object_goes_with_it_where_that_is_set() {
        for cascade in [true, false] {
            let flags = WishSettings { cascade, ..WishSettings::default() };
            let mut world = World::with("t: {domains: [a.test]}", flags);
            let owner = |world: &World| {
                let wanted = &world.desired.wanted[&ObjectRef::new("t", "s")];
                wanted.cascade.as_ref().map(|owner| format!("{} {} {}", owner.kind, owner.name, owner.uid))
            };
            let of = |text: &str| cascade.then(|| text.to_owned());
            world.ingress("i", "s", &["x.a.test"]);
            world.update(true);
            assert_eq!(owner(&world), of("Ingress i uid-i-1"));
            // The second one gets no name, and still needs the Secret.
            world.ingress("j", "s", &["x.b.test"]);
            assert_eq!(world.update(false).0, if cascade { words(&["s"]) } else { vec![] });
            assert_eq!(owner(&world), None);
            world.gone("j");
            world.update(false);
            assert_eq!(owner(&world), of("Ingress i uid-i-1"));
            // Deleted and created again, the object is another one.
            world.age += 1;
            world.ingress("i", "s", &["x.a.test"]);
            assert_eq!(world.update(false).0, if cascade { words(&["s"]) } else { vec![] });
            assert_eq!(owner(&world), of("Ingress i uid-i-2"));
        }
        // An owner of another namespace would delete the Secret at once.
        let mut world =
            World::with("t: {domains: [a.test]}", WishSettings { cascade: true, ..WishSettings::default() });
        world.ingress("i", "s", &["x.a.test"]);
        world.update(true);
        let mut spec = (*world.desired.wanted[&ObjectRef::new("t", "s")]).clone();
        assert!(spec.clone().cascading().cascade.is_some());
        Arc::make_mut(&mut spec.entry).secrets[0] = ObjectRef::new("own", "s");
        assert_eq!(spec.cascading().cascade, None);
    }

    #[test]
    fn another_number_of_orders_within_a_week_is_another_certificate() {
        let mut world = World::new("t: {domains: [a.test], certificatesPerWeek: 3}");
        world.ingress("i", "s", &["x.a.test"]);
        let per_week = |world: &World| world.desired.wanted[&ObjectRef::new("t", "s")].orders_per_week;
        assert_eq!((world.update(true).0, per_week(&world)), (words(&["s"]), Some(3)));
        // The certificates of objects stay where only the configuration is read anew.
        world.config("t: {domains: [a.test], certificatesPerWeek: 4}", "");
        let World { sources, table, desired, namespaces, .. } = &mut world;
        let change = table.update(sources, desired, namespaces, &|_| Vec::new(), &|_| None, true);
        assert_eq!((change.secrets.len(), per_week(&world)), (1, Some(4)));
    }

    #[test]
    fn what_many_objects_want_in_one_secret_is_whole() {
        let mut world = World::new("t: {domains: [a.test]}");
        let all: Vec<usize> = (0..2 * WISHES_KEPT).collect();
        for i in &all {
            world.ingress(&format!("i{i:04}"), "s", &[&format!("x{:02}.a.test", i % 60)]);
        }
        world.update(true);
        assert_eq!(world.names("s").unwrap().len(), 60, "more objects than an update keeps");
        world.gone("i0000");
        assert_eq!(world.update(false).0, ["s"], "another first object");
        assert_eq!(world.names("s").unwrap().len(), 60);
    }

    #[test]
    fn an_object_is_found_while_it_exists() {
        let mut world = World::new("t: {domains: [a.test]}");
        world.ingress("i", "s", &["x.a.test"]);
        let key = ObjectKey { kind: "Ingress", at: ObjectRef::new("t", "i") };
        assert!(world.table.source_of(&world.sources, &key).is_none(), "the configuration is not known");
        world.update(true);
        assert_eq!(world.table.source_of(&world.sources, &key).unwrap().to_string(), "Ingress t/i");
        world.gone("i");
        assert!(world.table.source_of(&world.sources, &key).is_none());
    }
}
