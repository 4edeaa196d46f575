//! Short forms for objects and for what they want. A name without `.test` at the end is short for one below `a.test`; `=` before a text
//! takes it as it is.

use serde_json::{Map, Value, json};

use crate::base::name::Domain;
use crate::kube::resource::Resource;
use crate::sources::gateway::GatewaySource;
use crate::sources::ingress::IngressFacts;
use crate::sources::service::ServiceFacts;
use crate::sources::wish::{ObjectKey, ObjectWishes, WishSettings};
use crate::sources::{Source, SourceEvent, SourceRef};

/// The long form of a name.
pub(crate) fn long(name: &str) -> String {
    match name.strip_prefix('=') {
        Some(text) => text.to_owned(),
        None if name.ends_with(".test") => name.to_owned(),
        None => format!("{name}.a.test"),
    }
}

/// The short form of a name.
pub(crate) fn short(name: &Domain) -> String {
    let text = name.to_string();
    text.strip_suffix(".a.test").filter(|rest| *rest != "*").map(str::to_owned).unwrap_or(text)
}

/// A domain by its long form.
pub(crate) fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

/// Annotations from lines `key: value`. Short keys: `k/` for kube-lego's, `n/`, `g/` and `c/` for ours, Gardener's and cert-manager's.
pub(crate) fn annotations(lines: &str) -> Map<String, Value> {
    let long_key = |key: &str| match key.split_once('/') {
        Some(("k", rest)) => format!("kubernetes.io/{rest}"),
        Some(("n", rest)) => format!("notariat/{rest}"),
        Some(("g", rest)) => format!("cert.gardener.cloud/{rest}"),
        Some(("c", rest)) => format!("cert-manager.io/{rest}"),
        _ => key.to_owned(),
    };
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""))).fold(
        Map::new(),
        |mut map, (k, v)| {
            map.insert(long_key(k), json!(v));
            map
        },
    )
}

/// The metadata of the object `t/NAME`.
pub(crate) fn metadata(name: &str, lines: &str) -> Value {
    json!({"namespace": "t", "name": name, "uid": format!("uid-{name}"), "annotations": annotations(lines)})
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(long).collect()
}

/// The Ingress `t/i`. Items as in `s:x,y r:y`, `:x` without a Secret, `-` without anything; rules as in `x,y`, `_` without a host.
pub(crate) fn ingress(lines: &str, tls: &str, rules: &str) -> Value {
    let item = |item: &str| {
        let (secret, hosts) = item.split_once(':').unwrap_or_default();
        let mut item = Map::new();
        if !secret.is_empty() {
            item.insert("secretName".to_owned(), json!(secret));
        }
        if !hosts.is_empty() {
            item.insert("hosts".to_owned(), json!(names(hosts)));
        }
        Value::Object(item)
    };
    let rule = |host: &str| match host {
        "_" => json!({"http": {"paths": []}}),
        host => json!({"host": long(host), "http": {"paths": []}}),
    };
    let tls: Vec<Value> = tls.split_whitespace().map(item).collect();
    let rules: Vec<Value> = rules.split(',').filter(|host| !host.is_empty()).map(rule).collect();
    json!({"metadata": metadata("i", lines), "spec": {"tls": tls, "rules": rules}})
}

/// The settings of most tests: cert-manager's issuer `prod` is ours.
pub(crate) fn settings() -> WishSettings {
    let mut settings = WishSettings::default();
    settings.replaces.insert("prod".to_owned(), "le".to_owned());
    settings
}

/// The wishes of an Ingress.
pub(crate) fn of_ingress(object: &Value, settings: &WishSettings) -> ObjectWishes {
    let source = SourceRef::parse("Ingress t/i").unwrap();
    IngressFacts::read(&source, object, !settings.ingress_all.is_empty()).wishes(settings)
}

/// Wishes as in `s: x,y; Invalid spec.tls[0]`.
pub(crate) fn shown(wishes: &ObjectWishes) -> String {
    let of = |wish: &crate::sources::wish::Wish| {
        let names: Vec<String> = wish.names.keys().map(short).collect();
        let namespace = if wish.secret.namespace.as_str() == "t" { "" } else { &format!("{}/", wish.secret.namespace) };
        format!("{namespace}{}: {}", wish.secret.name, names.join(","))
    };
    let problem = |problem: &crate::sources::wish::WishProblem| {
        let sentence = &problem.sentence;
        assert!(sentence.len() > 15 && !sentence.contains('\n'), "no sentence: {sentence:?}");
        format!("{:?} {}", problem.reason, problem.place).trim_end().to_owned()
    };
    let parts: Vec<String> = wishes.wishes.iter().map(of).chain(wishes.problems.iter().map(problem)).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}

/// The wishes of a Service.
pub(crate) fn of_service(object: &Value, settings: &WishSettings) -> ObjectWishes {
    ServiceFacts::read(&SourceRef::parse("Service t/s").unwrap(), object).wishes(settings)
}

/// The Service `t/s`.
pub(crate) fn service(lines: &str, type_: &str) -> Value {
    json!({"metadata": metadata("s", lines), "spec": {"type": type_}})
}

/// A listener of the Gateway API from words: its name and port 443, then `https`, `tls`, `http` or `passthrough`, `host=x` for the host name,
/// `secret=s` (several with `,`; `ns/s` with a namespace), `from=All` for the routes.
pub(crate) fn listener(words: &str) -> Value {
    let mut words = words.split_whitespace();
    let mut listener = json!({"name": words.next(), "port": 443});
    for word in words {
        match word.split_once('=') {
            None => {
                let (protocol, mode) = match word {
                    "https" => ("HTTPS", json!(null)),
                    "tls" => ("TLS", json!("Terminate")),
                    "passthrough" => ("TLS", json!("Passthrough")),
                    _ => ("HTTP", json!(null)),
                };
                listener["protocol"] = json!(protocol);
                listener["tls"]["mode"] = mode;
            }
            Some(("host", name)) => listener["hostname"] = json!(long(name)),
            Some(("port", port)) => listener["port"] = json!(port.parse::<u64>().unwrap()),
            Some(("secret", secrets)) => {
                let reference = |text: &str| match text.split_once('/') {
                    Some((namespace, name)) => json!({"namespace": namespace, "name": name}),
                    None => json!({"name": text, "kind": "Secret", "group": ""}),
                };
                listener["tls"]["certificateRefs"] = secrets.split(',').map(reference).collect();
            }
            Some(("from", "Selector")) => {
                listener["allowedRoutes"]["namespaces"] =
                    json!({"from": "Selector", "selector": {"matchLabels": {"gateway": "yes"}}});
            }
            Some(("from", from)) => listener["allowedRoutes"]["namespaces"] = json!({"from": from}),
            Some(("kinds", kinds)) => {
                listener["allowedRoutes"]["kinds"] =
                    kinds.split(',').filter(|kind| !kind.is_empty()).map(|kind| json!({"kind": kind})).collect();
            }
            Some(_) => panic!("{word}"),
        }
    }
    listener
}

/// The Gateway `t/g` with listeners, one a line.
pub(crate) fn gateway(lines: &str, listeners: &str) -> Value {
    let listeners: Vec<Value> = listeners.lines().map(listener).collect();
    let mut object =
        json!({"metadata": metadata("g", lines), "spec": {"gatewayClassName": "c", "listeners": listeners}});
    object["metadata"]["generation"] = json!(2);
    object
}

/// The route `NAMESPACE/NAME` of a kind to some parents (`g`, `t/g`, `g#section`, `g:port`, `ListenerSet!l`) with hosts as in `x,y`.
pub(crate) fn route(kind: &str, at: &str, parents: &str, hosts: &str) -> Value {
    let (namespace, name) = at.split_once('/').unwrap();
    let parent = |text: &str| {
        let (kind, text) = text.split_once('!').unwrap_or(("Gateway", text));
        let (text, section) = text.split_once('#').unwrap_or((text, ""));
        let (text, port) = text.split_once(':').unwrap_or((text, ""));
        let (namespace, name) = text.split_once('/').unwrap_or(("", text));
        let mut reference = json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": name});
        for (field, value) in [("namespace", namespace), ("sectionName", section)] {
            if !value.is_empty() {
                reference[field] = json!(value);
            }
        }
        if let Ok(port) = port.parse::<u64>() {
            reference["port"] = json!(port);
        }
        reference
    };
    let parents: Vec<Value> = parents.split_whitespace().map(parent).collect();
    json!({
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "generation": 2},
        "spec": {"parentRefs": parents, "hostnames": names(hosts)},
    })
}

/// The ListenerSet `NAMESPACE/l` of the Gateway `t/g`.
pub(crate) fn listener_set(namespace: &str, lines: &str, listeners: &str) -> Value {
    let mut object = gateway(lines, listeners);
    object["kind"] = json!("ListenerSet");
    object["metadata"]["name"] = json!("l");
    object["metadata"]["namespace"] = json!(namespace);
    object["spec"]["parentRef"] = json!({"name": "g", "namespace": "t"});
    object
}

/// The Namespace that has the label `gateway: yes`.
pub(crate) fn labelled(namespace: &str) -> Value {
    json!({"kind": "Namespace", "metadata": {"name": namespace, "labels": {"gateway": "yes"}}})
}

/// Shows an object, or its end, to a source of the Gateway API. An object without a kind is a Gateway.
pub(crate) fn show(source: &mut GatewaySource, object: &Value, exists: bool) -> bool {
    let kind = object["kind"].as_str().unwrap_or("Gateway");
    let target = source.targets().into_iter().find(|target| target.resource.kind == kind).unwrap();
    let event = match exists {
        true => SourceEvent::Present((source.parser(&target).0)()(object)),
        false => {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
            SourceEvent::Gone(crate::base::name::ObjectRef::new(text("namespace"), text("name")))
        }
    };
    source.apply(&target, event)
}

/// A source of the Gateway API that knows these objects.
pub(crate) fn gateways(objects: &[Value]) -> GatewaySource {
    let mut source = GatewaySource::new(crate::kube::resource::Selector::All);
    for object in objects {
        show(&mut source, object, true);
    }
    source
}

/// The wishes of the Gateway `t/g`, or else of the ListenerSet `NAMESPACE/l`.
pub(crate) fn of_gateway(objects: &[Value], set: Option<&str>, settings: &WishSettings) -> ObjectWishes {
    let (kind, at) = match set {
        None => (Resource::GATEWAYS.kind, crate::base::name::ObjectRef::new("t", "g")),
        Some(namespace) => (Resource::LISTENER_SETS.kind, crate::base::name::ObjectRef::new(namespace, "l")),
    };
    gateways(objects).wishes_of(&ObjectKey { kind, at }, settings).unwrap()
}

/// An object with a condition in its status, as a controller writes it: of the object, of `listeners[0]`, or of the parent `t/g`.
pub(crate) fn with_condition(mut object: Value, of: &str, condition: [&str; 3], observed: u64) -> Value {
    let [type_, status, reason] = condition;
    let conditions = json!([{"type": type_, "status": status, "reason": reason, "observedGeneration": observed}]);
    object["status"] = match of {
        "listener" => {
            json!({"listeners": [{"name": object["spec"]["listeners"][0]["name"], "conditions": conditions}]})
        }
        "parent" => json!({"parents": [{"parentRef": object["spec"]["parentRefs"][0], "conditions": conditions}]}),
        _ => json!({"conditions": conditions}),
    };
    object
}
