//! ConfigMaps as a source: each entry wants a certificate; a refused entry counts in its last accepted form.
//!
//! Untrusted: the data, which people write. A ConfigMap that is missing or unreadable leaves its last accepted form in force.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ring::digest;

use super::desired::taken_sentence;
use super::{
    CertificateSpec, Desired, ParserFactory, RefusedSpec, Source, SourceEvent, SourceObject, SourceProblem, SourceRef,
    ZoneKeys,
};
use crate::base::name::{ClusterName, ObjectRef};
use crate::config::namespaces::Namespaces;
use crate::config::{self, Config, Data, InvalidConfig};
use crate::kube::object::ConfigMapObject;
use crate::kube::resource::{Resource, Selector, WatchTarget};
use crate::record::{AcceptedSpec, SharedPrints};
use crate::store::{Store, config_data};

const KIND: &str = "ConfigMap";

/// The text form of the reference to the ConfigMap `name`.
pub fn source(name: &ObjectRef) -> String {
    format!("{KIND} {name}")
}

/// The ConfigMap that the text form of a reference names, when it names one.
pub fn named(source: &str) -> Option<ObjectRef> {
    SourceRef::parse(source).filter(|source| source.kind() == KIND).map(|source| source.object().clone())
}

/// The problem of a ConfigMap that does not exist.
pub const MISSING: &str = "it does not exist: are -config and -namespace right?";

/// The ConfigMaps that the command line names.
#[derive(Debug)]
pub struct ConfigMapSource {
    namespaces: Namespaces,
    /// The ConfigMaps in the order of the command line.
    names: Vec<ObjectRef>,
    config_maps: BTreeMap<ObjectRef, ConfigMapState>,
}

/// One ConfigMap.
#[derive(Debug)]
struct ConfigMapState {
    source: SourceRef,
    /// The last accepted form; none until it was readable once.
    config: Option<Arc<Config>>,
    /// The present problem of the ConfigMap.
    problem: Option<(String, bool)>,
    /// True if it was looked for.
    known: bool,
    /// A hash of the data that was polled last.
    print: Option<[u8; 32]>,
}

/// A ConfigMap as a watch saw it.
type ReadConfig = Result<Arc<Config>, InvalidConfig>;

impl ConfigMapState {
    /// The consequence of a problem.
    fn in_force(&self) -> &'static str {
        match self.config {
            Some(_) => "the last accepted one stays in force",
            None => "nothing is done for it until it can be read",
        }
    }

    fn accept(&mut self, read: ReadConfig) {
        (self.known, self.print) = (true, None);
        match read {
            Ok(config) => (self.config, self.problem) = (Some(config), None),
            Err(e) => self.problem = Some((e.to_string(), false)),
        }
    }

    fn reject(&mut self, problem: String, unread: bool) {
        (self.known, self.print, self.problem) = (true, None, Some((problem, unread)));
    }
}

impl ConfigMapSource {
    /// The source of the ConfigMaps `names`, none of which was read yet.
    pub fn new(names: &[ObjectRef], namespaces: Namespaces) -> ConfigMapSource {
        let state = |name: &ObjectRef| ConfigMapState {
            source: SourceRef::new(KIND, name, None),
            config: None,
            problem: None,
            known: false,
            print: None,
        };
        let config_maps = names.iter().map(|name| (name.clone(), state(name))).collect();
        ConfigMapSource { namespaces, names: names.to_vec(), config_maps }
    }

    fn state(&mut self, target: &WatchTarget) -> Option<&mut ConfigMapState> {
        let Selector::Name(name) = &target.selector else { return None };
        self.config_maps.get_mut(&ObjectRef::new(&target.namespace, name))
    }
}

impl Source for ConfigMapSource {
    fn targets(&self) -> Vec<WatchTarget> {
        let target = |name: &ObjectRef| WatchTarget {
            resource: Resource::CONFIG_MAPS,
            namespace: name.namespace.to_string(),
            selector: Selector::Name(name.name.to_string()),
            cluster: ClusterName::HOME,
        };
        self.config_maps.keys().map(target).collect()
    }

    fn parser(&self, _: &WatchTarget) -> ParserFactory {
        let namespaces = self.namespaces.clone();
        ParserFactory(Arc::new(move || {
            let (namespaces, mut before) = (namespaces.clone(), Arc::<Config>::default());
            Box::new(move |object| {
                let read = config::read_after(&config_data(&ConfigMapObject(object.clone())), &namespaces, &before)
                    .map(Arc::new);
                if let Ok(read) = &read {
                    before = read.clone();
                }
                Box::new(read)
            })
        }))
    }

    fn apply(&mut self, target: &WatchTarget, event: SourceEvent) -> bool {
        let Some(state) = self.state(target) else { return false };
        match event {
            SourceEvent::Present(parsed) => match parsed.downcast::<ReadConfig>() {
                Ok(read) => state.accept(*read),
                Err(_) => return false,
            },
            SourceEvent::Gone(_) => state.reject(MISSING.to_owned(), false),
            SourceEvent::Listed if !state.known => state.reject(MISSING.to_owned(), false),
            SourceEvent::Listing | SourceEvent::Listed => return false,
        }
        true
    }

    fn poll(&mut self, target: &WatchTarget, store: &Store) {
        let namespaces = self.namespaces.clone();
        let Some(state) = self.state(target) else { return };
        match store.config_map(state.source.object()) {
            Ok(Some(data)) => {
                let print = print(&data);
                if state.print != Some(print) {
                    let before = state.config.clone().unwrap_or_default();
                    state.accept(config::read_after(&data, &namespaces, &before).map(Arc::new));
                    state.print = Some(print);
                }
            }
            Ok(None) => state.reject(MISSING.to_owned(), false),
            Err(e) => state.reject(e.to_string(), true),
        }
    }

    fn configs(&self) -> Option<Vec<Arc<Config>>> {
        self.names.iter().map(|name| self.config_maps.get(name)?.config.clone()).collect()
    }

    fn has_synced(&self) -> bool {
        self.config_maps.values().all(|state| state.known)
    }

    fn not_ready(&self) -> Option<String> {
        let state = self.config_maps.values().find(|state| state.config.is_none())?;
        let problem = state.problem.as_ref().map_or("it was not read yet", |(problem, _)| problem);
        Some(format!("{}: {problem}", state.source))
    }

    fn objects(&self) -> Vec<SourceObject> {
        let object = |state: &ConfigMapState| SourceObject {
            source: state.source.clone(),
            problem: state.problem.clone().map(|(sentence, unread)| SourceProblem {
                sentence,
                in_force: state.in_force(),
                unread,
            }),
        };
        self.config_maps.values().map(object).collect()
    }

    fn owns(&self, source: &str) -> bool {
        self.config_maps.values().any(|state| *state.source == *source)
    }

    fn add_to(&self, desired: &mut Desired, last_accepted: &dyn Fn(&ObjectRef) -> Option<AcceptedSpec>) {
        for state in self.config_maps.values() {
            desired.incomplete |= state.config.is_none() || state.problem.is_some();
            if let Some(config) = &state.config {
                add_config(desired, &state.source, config, last_accepted);
            }
        }
    }
}

/// A hash over all keys and values.
fn print(data: &Data) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    let unreadable = data.unreadable.iter();
    for text in data.texts.iter().chain(unreadable).flat_map(|(key, value)| [key, value]) {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    let mut print = [0; 32];
    print.copy_from_slice(hash.finish().as_ref());
    print
}

/// Adds the certificates of the ConfigMap `name`. `last_accepted` finds the form in which the entry for a Secret was last accepted.
pub fn add(
    desired: &mut Desired,
    name: &ObjectRef,
    config: &Config,
    last_accepted: impl Fn(&ObjectRef) -> Option<AcceptedSpec>,
) {
    add_config(desired, &SourceRef::new(KIND, name, None), config, last_accepted);
}

/// The number of each entry that is not refused, by its main Secret; the first one where that repeats.
fn numbers_of(config: &Config) -> HashMap<&ObjectRef, usize> {
    let entries = config.entries.iter().enumerate().rev();
    entries.filter_map(|(index, entry)| Some((entry.as_ref().ok()?.main_secret(), index))).collect()
}

fn add_config(
    desired: &mut Desired,
    source: &SourceRef,
    config: &Config,
    last_accepted: impl Fn(&ObjectRef) -> Option<AcceptedSpec>,
) {
    let zones = ZoneKeys::of(config.zones.clone().into());
    let prints: BTreeMap<&str, String> =
        config.issuers.iter().map(|(name, issuer)| (name.as_str(), SharedPrints::issuer(issuer))).collect();
    let warnings = config.warnings.iter().cloned().chain(config.policy.faults());
    desired.warnings.extend(warnings.map(|warning| format!("{source}: {warning}")));
    let numbers = OnceCell::new();
    for (index, entry) in config.entries.iter().enumerate() {
        let refused = match entry {
            Ok(entry) => {
                if let Some((secret, holder)) = desired.taken(entry) {
                    let of = desired.wanted.get(holder).map(|wanted| &wanted.source);
                    let here = || Some(config.place(*numbers.get_or_init(|| numbers_of(config)).get(holder)?));
                    let other = match of {
                        Some(of) if of == source => here().unwrap_or_else(|| format!("the entry for {holder}")),
                        Some(of) => format!("the entry for {holder} of {of}"),
                        None => format!("the entry for {holder}"),
                    };
                    let main = entry.main_secret();
                    let sentence = taken_sentence(&config.place(index), main, secret, &other);
                    let secret = Some(main.clone());
                    desired.refused.push(RefusedSpec { source: source.clone(), sentence, secret });
                    continue;
                }
                let issuer = entry.issuer.as_ref().and_then(|name| config.issuers.get_key_value(name.as_str()));
                let print = issuer.map(|(name, _)| prints[name.as_str()].as_str()).unwrap_or_default();
                let issuer = issuer.map(|(_, issuer)| issuer.clone());
                desired.add(zones.wanted(entry.clone(), issuer, print, source.clone()));
                continue;
            }
            Err(refused) => refused,
        };
        desired.refused.push(RefusedSpec {
            source: source.clone(),
            sentence: refused.to_string(),
            secret: refused.secret.clone(),
        });
        match &refused.secret {
            None => desired.incomplete = true,
            Some(secret) => {
                if let Some(AcceptedSpec { entry, zones, issuer }) = last_accepted(secret) {
                    let (zones, issuer, source) = (zones.into(), issuer.map(Arc::new), source.clone());
                    desired.add(CertificateSpec {
                        last_accepted: true,
                        ..CertificateSpec::new(Arc::new(entry), zones, issuer, source)
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::entry::Entry;

    fn desired(yaml: &str, remembered: Option<&str>) -> Desired {
        let config = config::read(&[("certificates".to_owned(), yaml.to_owned())].into(), &"team".into()).unwrap();
        let mut desired = Desired::default();
        add(&mut desired, &ObjectRef::parse("team/c", "").unwrap(), &config, |secret| {
            let node = config::node::read(remembered?).unwrap();
            let entry = Entry::read(&node, &"team".into()).unwrap();
            (entry.main_secret() == secret).then_some(AcceptedSpec { entry, zones: Vec::new(), issuer: None })
        });
        desired
    }

    fn names(desired: &Desired) -> Vec<String> {
        desired.wanted.values().map(|w| format!("{} {}", w.entry.main_secret(), w.entry.domains[0])).collect()
    }

    #[test]
    fn email_and_profile_are_the_entrys_else_the_issuers() {
        let data = [
            ("issuers", "lab: {directory: 'https://ca.test/dir', email: ca@b.test, profile: long}"),
            (
                "certificates",
                "- {secret: a, domains: [a.test], email: own@b.test, profile: short}
- {secret: b, domains: [a.test], email: own@b.test, profile: short, issuer: lab}
- {secret: c, domains: [a.test], issuer: lab}
- {secret: d, domains: [a.test]}",
            ),
        ];
        let config = config::read(&data.map(|(k, v)| (k.to_owned(), v.to_owned())).into(), &"team".into()).unwrap();
        let mut desired = Desired::default();
        add(&mut desired, &ObjectRef::parse("team/c", "").unwrap(), &config, |_| None);
        let own = (Some("own@b.test"), Some("short"));
        let found: Vec<_> = desired.wanted.values().map(|w| (w.email(), w.profile())).collect();
        assert_eq!(found, [own, own, (Some("ca@b.test"), Some("long")), (None, None)]);
    }

    #[test]
    fn a_refused_entry_goes_on_in_its_last_accepted_form() {
        let yaml = "- {secret: a, domains: ['a..test']}\n- {secret: b, domains: [b.test]}\n";
        let found = desired(yaml, Some("{secret: a, domains: [old.test]}"));
        assert_eq!(names(&found), ["team/a old.test", "team/b b.test"]);
        assert!(found.wanted.values().next().unwrap().last_accepted);
        assert!(
            found.refused[0]
                .to_string()
                .starts_with("ConfigMap team/c: certificates entry 1 (team/a): domains[0]: \"a..test\"")
        );
        assert!(!found.incomplete);
        assert_eq!(names(&desired(yaml, None)), ["team/b b.test"]);
    }

    #[test]
    fn nothing_is_known_to_be_gone_while_an_entry_can_not_be_told_apart() {
        assert!(desired("- {secret: [], domains: [a.test]}", None).incomplete);
        assert!(desired("- text", None).incomplete);
        assert!(!desired("[]", None).incomplete);
    }

    #[test]
    fn one_secret_holds_one_certificate() {
        let found = desired(
            "- {secret: [a, b], domains: [one.test]}\n- {secret: b, domains: [two.test]}\n- {secret: c, domains: [three.test]}\n- {secret: [d, a], domains: [four.test]}",
            None,
        );
        assert_eq!(names(&found), ["team/a one.test", "team/c three.test"]);
        assert_eq!(found.refused.len(), 2);
        assert!(
            found.refused[0].to_string().contains(
                "certificates entry 2 (team/b): the Secret team/b is already filled by certificates entry 1; one"
            ),
            "{}",
            found.refused[0]
        );
        assert!(
            found.refused[1]
                .sentence
                .starts_with("certificates entry 4 (team/d): the Secret team/a is already filled by")
        );
    }

    #[test]
    fn a_config_map_stays_in_force_while_it_is_missing_or_unreadable() {
        let name = ObjectRef::new("team", "certs");
        let mut source = ConfigMapSource::new(std::slice::from_ref(&name), Namespaces::from("team"));
        let target = source.targets().remove(0);
        let parse = |text: &str| {
            let mut parser = (source.parser(&target).0)();
            SourceEvent::Present(parser(&serde_json::json!({"data": {"certificates": text}})))
        };
        let (good, bad) = (parse("[{secret: a, domains: [a.test]}]"), parse("{"));
        let look = |source: &ConfigMapSource| {
            let mut desired = Desired::default();
            source.add_to(&mut desired, &|_| None);
            let problem = source.objects().remove(0).problem.map(|problem| problem.in_force.split(' ').next().unwrap());
            (source.has_synced(), source.not_ready().is_some(), desired.wanted.len(), desired.incomplete, problem)
        };
        assert_eq!(look(&source), (false, true, 0, true, None));
        assert!(!source.apply(&target, SourceEvent::Listing));
        assert!(source.apply(&target, SourceEvent::Listed), "the list shows that it does not exist");
        assert_eq!(look(&source), (true, true, 0, true, Some("nothing")));
        assert!(source.apply(&target, good) && !source.apply(&target, SourceEvent::Listed));
        assert_eq!(look(&source), (true, false, 1, false, None));
        assert!(source.apply(&target, bad));
        assert_eq!(look(&source), (true, false, 1, true, Some("the")));
        assert!(source.apply(&target, SourceEvent::Gone(name)));
        assert_eq!(look(&source), (true, false, 1, true, Some("the")));
        assert!(source.owns("ConfigMap team/certs") && !source.owns("ConfigMap team/other"));
    }

    #[test]
    fn a_reference_reads_as_its_text() {
        let source = SourceRef::parse("ConfigMap team/certs").unwrap();
        assert_eq!(
            (source.kind(), source.namespace(), source.name(), source.uid()),
            ("ConfigMap", "team", "certs", None)
        );
        assert_eq!((&*source, named(&source)), ("ConfigMap team/certs", Some(ObjectRef::new("team", "certs"))));
        assert_eq!((named("Ingress team/web"), SourceRef::parse("none")), (None, None));
    }
}
