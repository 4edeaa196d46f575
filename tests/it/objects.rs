//! A kind of object that this program does not use goes through its client all the same, on a real API server: an Ingress, in a namespace
//! and with a status, and an IngressClass, which is in none.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use notariat::base::name::{ClusterName, ObjectRef};
use notariat::base::shutdown::Shutdown;
use notariat::kube::api::DryRun;
use notariat::kube::client::{KubeClient, KubeError};
use notariat::kube::discovery;
use notariat::kube::metadata::{InvalidObject, Object, ObjectMeta};
use notariat::kube::reflector::{Reflector, ReflectorEvent, WatchTimeouts};
use notariat::kube::resource::{Resource, Selector, WatchTarget};
use notariat_lab::Kube;
use serde_json::{Map, Value, json};

/// networking.k8s.io/v1 Ingress
#[derive(Clone, Debug)]
struct Ingress {
    metadata: ObjectMeta,
    host: String,
    address: Option<String>,
}

impl Object for Ingress {
    const RESOURCE: Resource =
        Resource { group: "networking.k8s.io", version: "v1", plural: "ingresses", kind: "Ingress", namespaced: true };

    fn metadata(&self) -> ObjectMeta {
        self.metadata.clone()
    }

    fn from_json(object: Value) -> Result<Ingress, InvalidObject> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let host = text("/spec/rules/0/host").ok_or(InvalidObject("the Ingress has no host".to_owned()))?;
        let address = text("/status/loadBalancer/ingress/0/ip");
        Ok(Ingress { metadata: ObjectMeta::read(Self::RESOURCE, object.as_object().unwrap())?, host, address })
    }

    fn to_json(&self) -> Value {
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        let paths = json!([{"path": "/", "pathType": "Prefix", "backend": backend}]);
        let mut object = Map::from_iter([
            ("apiVersion".to_owned(), json!(Self::RESOURCE.api_version())),
            ("kind".to_owned(), json!(Self::RESOURCE.kind)),
            ("spec".to_owned(), json!({"rules": [{"host": self.host, "http": {"paths": paths}}]})),
        ]);
        if let Some(address) = &self.address {
            object.insert("status".to_owned(), json!({"loadBalancer": {"ingress": [{"ip": address}]}}));
        }
        self.metadata.write(&mut object);
        Value::Object(object)
    }
}

/// networking.k8s.io/v1 IngressClass
#[derive(Clone, Debug)]
struct IngressClass(ObjectMeta);

impl Object for IngressClass {
    const RESOURCE: Resource =
        Resource { plural: "ingressclasses", kind: "IngressClass", namespaced: false, ..Ingress::RESOURCE };

    fn metadata(&self) -> ObjectMeta {
        self.0.clone()
    }

    fn from_json(object: Value) -> Result<IngressClass, InvalidObject> {
        Ok(IngressClass(ObjectMeta::read(Self::RESOURCE, object.as_object().unwrap())?))
    }

    fn to_json(&self) -> Value {
        let mut object = Map::from_iter([
            ("apiVersion".to_owned(), json!(Self::RESOURCE.api_version())),
            ("kind".to_owned(), json!(Self::RESOURCE.kind)),
            ("spec".to_owned(), json!({"controller": "example.test/controller"})),
        ]);
        self.0.write(&mut object);
        Value::Object(object)
    }
}

fn metadata(at: &ObjectRef, app: &str) -> ObjectMeta {
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    ObjectMeta { labels, ..ObjectMeta::new(at.clone()) }
}

fn client(kube: &Kube) -> KubeClient {
    KubeClient::new(discovery::find(Some(kube.admin_kubeconfig())).unwrap(), Shutdown::new()).unwrap()
}

#[track_caller]
fn assert_code<T>(outcome: Result<T, KubeError>, code: u16) {
    match outcome {
        Err(KubeError::Api(e)) => assert_eq!(e.code, code, "{e}"),
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("it was done"),
    }
}

#[test]
fn an_ingress_is_created_listed_by_label_replaced_and_watched() {
    let kube = Kube::shared();
    let (client, namespace) = (client(kube), kube.namespace());
    let ingress = |name: &str, app: &str| {
        let metadata = metadata(&ObjectRef::new(&namespace, name), app);
        Ingress { metadata, host: format!("{name}.test"), address: None }
    };
    assert!(client.get::<Ingress>(&ObjectRef::new(&namespace, "web")).unwrap().is_none());
    client.create(&ingress("tried", "web"), DryRun::DryRun).unwrap();
    let web = client.create(&ingress("web", "web"), DryRun::Real).unwrap();
    client.create(&ingress("other", "other"), DryRun::Real).unwrap();
    assert_code(client.create(&ingress("web", "web"), DryRun::Real), 409);

    let listed = |selector| {
        let target = WatchTarget {
            resource: Ingress::RESOURCE,
            namespace: namespace.clone(),
            selector,
            cluster: ClusterName::HOME,
        };
        let mut hosts = Vec::new();
        client.list(&target, &mut |item: Result<Ingress, _>| hosts.push(item.unwrap().host)).unwrap();
        hosts
    };
    assert_eq!(listed(Selector::All), ["other.test", "web.test"]);
    assert_eq!(listed(Selector::Labels("app=web".to_owned())), ["web.test"]);
    assert_eq!(listed(Selector::Labels("app!=web".to_owned())), ["other.test"]);
    assert_eq!(listed(Selector::Name("other".to_owned())), ["other.test"]);

    // A watch by label shows what is written from here on.
    let (tell, told) = channel();
    let (stop, watching) = (Shutdown::new(), client.clone());
    let (stopped, selector) = (stop.clone(), Selector::Labels("app=web".to_owned()));
    let target =
        WatchTarget { resource: Ingress::RESOURCE, namespace: namespace.clone(), selector, cluster: ClusterName::HOME };
    thread::spawn(move || {
        let tell = |event| {
            let word = match event {
                ReflectorEvent::Object(object) => {
                    let Ingress { host, address, .. } = Ingress::from_json(object).unwrap();
                    format!("{host} {}", address.unwrap_or_default())
                }
                ReflectorEvent::Gone(at) => format!("gone {}", at.name),
                other => format!("{other:?}"),
            };
            tell.send(word).is_ok()
        };
        let timeouts = WatchTimeouts::default();
        Reflector { client: &watching, target: &target, stop: &stopped, timeouts, tell }.run();
    });
    let tells = |words: &[&str]| {
        for word in words {
            assert_eq!(told.recv_timeout(Duration::from_secs(30)).as_deref(), Ok(*word));
        }
    };
    tells(&["Listing", "web.test ", "Listed"]);

    let with_address = Ingress { address: Some("192.0.2.1".to_owned()), ..web.clone() };
    let shown = client.replace_status(&with_address).unwrap();
    assert_eq!(shown.address.as_deref(), Some("192.0.2.1"));
    tells(&["web.test 192.0.2.1"]);
    assert_code(client.replace_status(&with_address), 409);
    let renamed = Ingress { host: "new.test".to_owned(), address: None, ..shown };
    let renamed = client.replace(&renamed, DryRun::Real).unwrap();
    assert_eq!((renamed.host.as_str(), renamed.address.as_deref()), ("new.test", Some("192.0.2.1")));
    assert!(renamed.metadata.generation > web.metadata.generation && renamed.metadata.uid == web.metadata.uid);
    tells(&["new.test 192.0.2.1"]);
    kube.kubectl(&["-n", &namespace, "delete", "ingress", "web"]);
    tells(&["gone web"]);
    stop.set();
}

#[test]
fn an_object_without_a_namespace_is_created_replaced_watched_and_gone() {
    let kube = Kube::shared();
    let client = client(kube);
    let at = ObjectRef::new("", &kube.namespace());
    let mut class = client.create(&IngressClass(metadata(&at, "web")), DryRun::Real).unwrap();
    assert_eq!(class.metadata().reference, at);
    class.0.labels.insert("app".to_owned(), "other".to_owned());
    client.replace(&class, DryRun::Real).unwrap();
    assert_code(client.replace(&class, DryRun::Real), 409);
    assert_eq!(client.get::<IngressClass>(&at).unwrap().unwrap().0.labels["app"], "other");

    let selector = Selector::Name(at.name.to_string());
    let target = WatchTarget {
        resource: IngressClass::RESOURCE,
        namespace: String::new(),
        selector,
        cluster: ClusterName::HOME,
    };
    let (stop, mut told) = (Shutdown::new(), Vec::new());
    let tell = |event| {
        match event {
            ReflectorEvent::Object(object) => {
                told.push(IngressClass::from_json(object).unwrap().0.reference.to_string())
            }
            ReflectorEvent::Listed => {
                kube.kubectl(&["delete", "ingressclass", &at.name]);
            }
            ReflectorEvent::Gone(gone) => {
                told.push(format!("gone {gone}"));
                return false;
            }
            _ => {}
        }
        true
    };
    Reflector { client: &client, target: &target, stop: &stop, timeouts: WatchTimeouts::default(), tell }.run();
    assert_eq!(told, [at.to_string(), format!("gone {at}")]);
}
