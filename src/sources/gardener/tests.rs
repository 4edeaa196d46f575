use serde_json::{Value, json};

use super::certificate::CLASS;
use super::*;
use crate::cert_manager::status::StateField;

/// A source with these objects; a class other than ours stands behind the name.
struct World(GardenerSource);

impl World {
    fn new() -> World {
        let settings = GardenerSettings { issuer_namespace: "own".to_owned(), ..GardenerSettings::default() };
        World(GardenerSource::new(Selector::All, &settings))
    }

    fn see(&mut self, place: usize, namespace: &str, name: &str, spec: Value) {
        let (name, class) = name.split_once(' ').unwrap_or((name, ""));
        let metadata = json!({
            "namespace": namespace, "name": name, "uid": format!("uid-{name}"), "resourceVersion": "1", "generation": 1,
            "annotations": {CLASS: class}
        });
        let target = self.0.targets()[place].clone();
        let mut parser = (self.0.parser(&target).0)();
        let parsed = parser(&json!({"metadata": metadata, "spec": spec}));
        self.0.apply(&target, SourceEvent::Present(parsed));
    }

    fn certificate(&mut self, name: &str, spec: Value) {
        self.see(0, "t", name, spec);
    }

    fn issuer(&mut self, name: &str, include: &[&str]) {
        let domains = json!({ "include": include });
        let acme =
            json!({"server": "https://ca.test", "email": "a@a.test", "autoRegistration": true, "domains": domains});
        self.see(1, "own", name, json!({"acme": acme, "requestsPerDayQuota": 5}));
    }

    fn fields(&self, kind: Resource, namespace: &str, name: &str) -> Option<StateFields> {
        self.0.status_fields(&ObjectKey { kind: kind.text_kind(), at: ObjectRef::new(namespace, name) })
    }

    /// The Issuer that the status of a Certificate names.
    fn issuer_of(&self, name: &str) -> String {
        let fields = self.fields(Resource::GARDENER_CERTIFICATES, "t", name).unwrap();
        let StateField::Is(issuer) = &fields["issuerRef"] else { panic!("{fields:?}") };
        format!("{}/{}", issuer["namespace"].as_str().unwrap(), issuer["name"].as_str().unwrap())
    }
}

#[test]
fn a_status_says_what_is_wanted_and_of_which_issuer() {
    let mut world = World::new();
    let names = |names: &[&str]| json!({ "dnsNames": names });
    world.certificate("best", names(&["x.a.test"]));
    world.certificate("none", names(&["x.b.test"]));
    world.certificate("named", json!({"commonName": "x.a.test", "issuerRef": {"name": "other"}}));
    world.certificate("far", json!({"commonName": "x.a.test", "issuerRef": {"name": "other", "namespace": "u"}}));
    world.certificate("faulty", json!({"commonName": "no name"}));
    assert_eq!(world.issuer_of("best"), "own/default-issuer", "while there is none");
    world.issuer("long", &["a.test"]);
    for (name, issuer) in
        [("best", "own/long"), ("none", "own/default-issuer"), ("named", "own/other"), ("far", "u/other")]
    {
        assert_eq!(world.issuer_of(name), issuer, "{name}");
    }
    let of = |name: &str| world.fields(Resource::GARDENER_CERTIFICATES, "t", name).unwrap();
    let is = |value: Value| StateField::Is(value);
    let (best, named) = (of("best"), of("named"));
    assert_eq!((&best["commonName"], &best["dnsNames"]), (&StateField::Absent, &is(json!(["x.a.test"]))));
    assert_eq!((&named["commonName"], &named["dnsNames"]), (&is(json!("x.a.test")), &StateField::Absent));
    assert!(of("faulty").is_empty(), "what does not parse is not repeated");
    let issuer = world.fields(Resource::GARDENER_ISSUERS, "own", "long").unwrap();
    assert_eq!(issuer, [("type", is(json!("acme"))), ("requestsPerDayQuota", is(json!(5)))].into());
    world.see(1, "own", "theirs", json!({"selfSigned": {}}));
    let issuer = world.fields(Resource::GARDENER_ISSUERS, "own", "theirs").unwrap();
    assert_eq!(issuer, [("type", is(json!("selfSigned"))), ("requestsPerDayQuota", StateField::Absent)].into());
    assert_eq!(world.fields(Resource::CERTIFICATES, "t", "best"), None, "a Certificate of cert-manager");
}

#[test]
fn objects_of_another_class_do_not_exist() {
    let mut world = World::new();
    world.certificate("ours", json!({"commonName": "x.a.test"}));
    world.certificate("theirs other", json!({"commonName": "y.a.test"}));
    world.issuer("best other", &["x.a.test"]);
    world.issuer("good", &["a.test"]);
    let (certificate, issuer) = (key(&ObjectRef::new("t", "ours")), issuer_key(&ObjectRef::new("own", "good")));
    assert_eq!((world.0.wishing(), world.issuer_of("ours").as_str()), (vec![certificate.clone()], "own/good"));
    assert_eq!(world.0.take_seen(), [certificate.clone(), issuer.clone()].into());
    assert_eq!((world.0.take_seen().len(), world.0.all_seen()), (0, vec![certificate.clone(), issuer.clone()]));
    assert!(world.0.seen(&certificate).is_some() && world.0.seen(&issuer).is_some());
    let described = |world: &World, name: &str| world.0.issuer_of(&issuer_key(&ObjectRef::new("own", name)));
    assert!(matches!(described(&world, "good"), Some(DescribedIssuer::Usable(_))));
    assert_eq!(described(&world, "best"), None);
    assert_eq!(world.0.issuer_of(&certificate), None);
    // An object that leaves the class goes, and comes again with it.
    world.certificate("ours other", json!({"commonName": "x.a.test"}));
    assert_eq!((world.0.wishing().len(), world.0.seen(&certificate)), (0, None));
    assert_eq!(world.0.take_seen(), [certificate.clone()].into());
    world.certificate("ours gardencert", json!({"commonName": "x.a.test"}));
    assert_eq!(world.0.wishing(), [certificate]);
}
