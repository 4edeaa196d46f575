use super::*;
use crate::base::name::{ClusterName, Domain};
use crate::sources::tests::support::*;
use serde_json::{Value, json};

const MANAGED: &str = "g/purpose: managed";

fn http(at: &str, parents: &str, hosts: &str) -> Value {
    route("HTTPRoute", at, parents, hosts)
}

fn key_of(kind: &'static str, at: &str) -> ObjectKey {
    ObjectKey { kind, at: at.parse().unwrap() }
}

/// The names of the wishes with the namespaces that vouch for them: `x[t] y[t,u]`, wishes apart by `|`.
fn claims(wishes: &ObjectWishes) -> String {
    let of = |(name, by): (&Domain, &BTreeSet<String>)| {
        format!("{}[{}]", short(name), by.iter().map(String::as_str).collect::<Vec<_>>().join(","))
    };
    let wish = |wish: &crate::sources::wish::Wish| wish.names.iter().map(of).collect::<Vec<_>>().join(" ");
    wishes.wishes.iter().map(wish).collect::<Vec<_>>().join(" | ")
}

#[test]
fn listeners_want_certificates_for_their_hosts() {
    for (lines, listeners, expected) in [
        (MANAGED, "l https host=x secret=s\nm https host=y secret=s", "s: x,y"),
        (MANAGED, "l https host=x secret=s\nm https host=y secret=r\nn http", "s: x; r: y"),
        (MANAGED, "l https host=*.a.test secret=s", "s: *.a.test"),
        (MANAGED, "l https host=x", "Skipped spec.listeners[0]"),
        (MANAGED, "l https host==10.0.0.1 secret=s\nm https host=y secret=s", "s: y; Invalid spec.listeners[0]"),
        (MANAGED, "l https host=x secret=Bad_Name\nm https host=y secret=s", "s: y; Invalid spec.listeners[0]"),
        (MANAGED, "l https host=x secret=t/s", "s: x"),
        (MANAGED, "l https host=x secret=u/s\nm https host=y secret=s", "s: y; Refused spec.listeners[0]"),
        ("n/certificate: true", "l https host=x secret=s", "s: x"),
        ("n/certificate: true\nn/ignore: s", "l https host=x secret=s\nm https host=y secret=r", "r: y"),
        ("n/certificate: true\nn/ignore: true", "l https host=x secret=s", "none"),
        ("n/certificate: true\nn/domains: z.a.test", "l https secret=s", "s: z"),
        ("g/purpose: managed\ng/dnsnames: z.a.test", "l https host=x secret=s\nm https host=y secret=r", "s: z; r: z"),
        ("c/issuer: prod\nc/ignore-tls-listeners: m, n", "l https host=x secret=s\nm https host=y secret=r", "s: x"),
        ("c/issuer: prod\nc/alt-names: z.a.test", "l https host=x secret=s", "s: x,z"),
        ("k/tls-acme: true", "l https host=x secret=s", "none"),
    ] {
        assert_eq!(
            shown(&of_gateway(&[gateway(lines, listeners)], None, &settings())),
            expected,
            "{lines} {listeners}"
        );
    }
}

#[test]
fn references_to_other_things_than_secrets_are_refused() {
    for (reference, expected) in [
        (json!({"name": "s"}), "s: x"),
        (json!({"name": "s", "group": null, "kind": null, "namespace": null}), "s: x"),
        (json!({"name": "s", "kind": "ConfigMap"}), "Invalid spec.listeners[0]"),
        (json!({"name": "s", "group": "certs.example.com"}), "Invalid spec.listeners[0]"),
        (json!({"name": "s", "kind": 7}), "Invalid spec.listeners[0]"),
        (json!({"name": ""}), "Invalid spec.listeners[0]"),
        (json!({}), "Invalid spec.listeners[0]"),
        (json!("text"), "Invalid spec.listeners[0]"),
    ] {
        let mut object = gateway(MANAGED, "l https host=x");
        object["spec"]["listeners"][0]["tls"]["certificateRefs"] = json!([reference]);
        assert_eq!(shown(&of_gateway(&[object], None, &settings())), expected, "{reference}");
    }
    // References that name what clients prove, and what a backend is shown, are no targets.
    let mut object = gateway(MANAGED, "l https host=x secret=s");
    object["spec"]["tls"] =
        json!({"backend": {"clientCertificateRef": {"name": "client"}}, "frontend": {"default": {}}});
    object["spec"]["listeners"][0]["tls"]["frontendValidation"] =
        json!({"caCertificateRefs": [{"name": "ca", "kind": "Secret"}]});
    assert_eq!(shown(&of_gateway(&[object], None, &settings())), "s: x");
}

#[test]
fn routes_add_the_hosts_that_they_have_in_common_with_a_listener() {
    let any = "l https secret=s";
    let wild = "l https host=*.a.test secret=s";
    for (listeners, route, expected) in [
        (any, http("t/r", "g", "x,y"), "s: x,y"),
        (any, http("t/r", "t/g", "x"), "s: x"),
        (any, route("GRPCRoute", "t/r", "g", "x"), "s: x"),
        (any, route("TLSRoute", "t/r", "g", "x"), "Invalid spec.listeners[0]"),
        ("l tls secret=s", route("TLSRoute", "t/r", "g", "x"), "s: x"),
        ("l tls secret=s", http("t/r", "g", "x"), "Invalid spec.listeners[0]"),
        ("l https secret=s kinds=GRPCRoute", http("t/r", "g", "x"), "Invalid spec.listeners[0]"),
        ("l https secret=s kinds=GRPCRoute,HTTPRoute", http("t/r", "g", "x"), "s: x"),
        ("l https secret=s kinds=TLSRoute", route("TLSRoute", "t/r", "g", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "other", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "u/g", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "ListenerSet!g", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "Service!g", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "g#l", "x"), "s: x"),
        (any, http("t/r", "g#m", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "g:443", "x"), "s: x"),
        (any, http("t/r", "g:80", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "g:443#m", "x"), "Invalid spec.listeners[0]"),
        (any, http("t/r", "other g#l", "x"), "s: x"),
        (any, http("t/r", "g", "*.b.test,=a_b.test,x"), "s: *.b.test,x"),
        (wild, http("t/r", "g", "x,y.b.test"), "s: *.a.test,x"),
        (wild, http("t/r", "g", "=a.test"), "s: *.a.test"),
        (wild, http("t/r", "g", "*.b.a.test"), "s: *.a.test,*.b"),
        ("l https host=x secret=s", http("t/r", "g", "*.a.test,y"), "s: x"),
        ("l https host=x secret=s", http("t/r", "g", ""), "s: x"),
        ("l https secret=s from=None", http("t/r", "g", "x"), "Invalid spec.listeners[0]"),
    ] {
        let text = shown(&of_gateway(&[gateway(MANAGED, listeners), route.clone()], None, &settings()));
        assert_eq!(text, expected, "{listeners} {route}");
    }
}

#[test]
fn the_namespace_of_the_route_and_that_of_the_gateway_vouch_for_a_name() {
    let all = "l https host=*.a.test secret=s from=All";
    for (objects, expected) in [
        (vec![http("t/r", "g", "p.q")], "*.a.test[t] p.q[t]"),
        (vec![http("u/r", "t/g", "p.q")], "*.a.test[t] p.q[t,u]"),
        // Two tenants ask for one name. Each stands alone, so that none spoils the name of the other; the Gateway's own is enough.
        (vec![http("u/r", "t/g", "p.q"), http("v/r", "t/g", "p.q")], "*.a.test[t] p.q[t,u] | p.q[t,v]"),
        (vec![http("t/r", "t/g", "p.q"), http("v/r", "t/g", "p.q")], "*.a.test[t] p.q[t]"),
        (vec![http("u/r", "t/g", "*.a.test")], "*.a.test[t]"),
        (vec![http("u/r", "t/g", "p.q"), http("u/q", "t/g", "p.q")], "*.a.test[t] p.q[t,u]"),
    ] {
        let objects: Vec<Value> = [gateway(MANAGED, all)].into_iter().chain(objects).collect();
        assert_eq!(claims(&of_gateway(&objects, None, &settings())), expected, "{objects:?}");
    }
    // Names that annotations give are those of the Gateway alone, in one wish.
    let objects = [
        gateway("n/certificate: true\nn/domains: z.a.test", all),
        http("u/r", "t/g", "p.q"),
        http("v/r", "t/g", "p.q"),
    ];
    assert_eq!(claims(&of_gateway(&objects, None, &settings())), "z[t]");
}

#[test]
fn only_some_reasons_of_a_current_status_veto() {
    let veto = |type_, status, reason| [type_, status, reason];
    for (condition, observed, is_vetoed) in [
        (veto("Accepted", "False", "NotAllowedByListeners"), 2, true),
        (veto("Accepted", "False", "NotAllowed"), 2, true),
        (veto("Accepted", "False", "HostnameConflict"), 2, true),
        (veto("Conflicted", "True", "ProtocolConflict"), 2, true),
        (veto("Conflicted", "True", "HostnameConflict"), 2, true),
        (veto("Accepted", "False", "NotAllowedByListeners"), 1, false),
        (veto("Accepted", "False", "NoReadyListeners"), 2, false),
        (veto("Accepted", "False", "Pending"), 2, false),
        (veto("Accepted", "Unknown", "NotAllowedByListeners"), 2, false),
        (veto("Accepted", "True", "NotAllowedByListeners"), 2, false),
        (veto("Conflicted", "False", "NoConflicts"), 2, false),
        (veto("Conflicted", "False", "HostnameConflict"), 2, false),
        (veto("Conflicted", "Unknown", "ProtocolConflict"), 2, false),
        (veto("Conflicted", "True", "NotAllowed"), 2, false),
        (veto("ResolvedRefs", "False", "InvalidCertificateRef"), 2, false),
        (veto("Programmed", "False", "HostnameConflict"), 2, false),
    ] {
        let any = gateway(MANAGED, "l https secret=s");
        let route = with_condition(http("t/r", "g", "x"), "parent", condition, observed);
        let found = shown(&of_gateway(&[any, route], None, &settings()));
        assert_eq!(found == "Invalid spec.listeners[0]", is_vetoed, "{condition:?} {observed}: {found}");

        let listener = with_condition(
            gateway(MANAGED, "l https host=x secret=s\nm https host=y secret=r"),
            "listener",
            condition,
            observed,
        );
        let found = shown(&of_gateway(&[listener], None, &settings()));
        assert_eq!(
            found,
            if is_vetoed { "r: y; Skipped spec.listeners[0]" } else { "s: x; r: y" },
            "{condition:?} {observed}"
        );

        let mut parent = gateway(MANAGED, "l http");
        parent["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
        let set = with_condition(listener_set("t", "", "l https host=x secret=s"), "", condition, observed);
        let found = shown(&of_gateway(&[parent, set], Some("t"), &settings()));
        assert_eq!(found, if is_vetoed { "none" } else { "s: x" }, "{condition:?} {observed}");
    }
    // The veto about one parent says nothing of another one.
    let mut route =
        with_condition(http("t/r", "other g", "x"), "parent", ["Accepted", "False", "NotAllowedByListeners"], 2);
    let any = gateway(MANAGED, "l https secret=s");
    assert_eq!(shown(&of_gateway(&[any.clone(), route.clone()], None, &settings())), "s: x");
    route["status"]["parents"][0]["parentRef"]["name"] = json!("g");
    assert_eq!(shown(&of_gateway(&[any, route], None, &settings())), "Invalid spec.listeners[0]");
}

#[test]
fn a_listener_set_needs_a_gateway_that_allows_it() {
    let parent = |lines: &str, from: &str| {
        let mut parent = gateway(lines, "l http");
        parent["spec"]["allowedListeners"]["namespaces"] =
            json!({"from": from, "selector": {"matchLabels": {"gateway": "yes"}}});
        parent
    };
    let https = "l https host=x secret=s";
    let issuer =
        |wishes: &ObjectWishes| wishes.wishes.first().and_then(|wish| wish.options.issuer.clone()).unwrap_or_default();
    for (gateway_lines, from, namespace, set_lines, expected, issued_by) in [
        (MANAGED, "Same", "t", "", "s: x", ""),
        (MANAGED, "Same", "u", "", "none", ""),
        (MANAGED, "All", "u", "", "u/s: x", ""),
        (MANAGED, "Selector", "u", "", "u/s: x", ""),
        (MANAGED, "Selector", "v", "", "none", ""),
        (MANAGED, "None", "t", "", "none", ""),
        // Opt-in and issuer are inherited.
        ("", "Same", "t", "", "none", ""),
        ("", "Same", "t", "n/certificate: true", "s: x", ""),
        ("c/issuer: prod", "Same", "t", "", "s: x", "le"),
        ("c/issuer: prod", "Same", "t", "n/issuer: own", "s: x", "own"),
        ("c/issuer: other", "Same", "t", "", "none", ""),
        ("c/issuer: other", "Same", "t", "n/certificate: true", "s: x", ""),
        (MANAGED, "Same", "t", "c/issuer: other", "Skipped", ""),
        (MANAGED, "Same", "t", "c/issuer: prod", "s: x", "le"),
        (MANAGED, "Same", "t", "n/certificate: false", "none", ""),
        (MANAGED, "Same", "t", "n/ignore: true", "none", ""),
        ("g/purpose: managed\nn/ignore: true", "Same", "t", "", "none", ""),
    ] {
        let objects = [parent(gateway_lines, from), listener_set(namespace, set_lines, https), labelled("u")];
        let found = of_gateway(&objects, Some(namespace), &settings());
        let case = format!("{gateway_lines} {from} {namespace} {set_lines}");
        assert_eq!((shown(&found).as_str(), issuer(&found).as_str()), (expected, issued_by), "{case}");
    }
    let mut stranger = listener_set("t", "", https);
    stranger["spec"]["parentRef"]["kind"] = json!("Service");
    assert_eq!(shown(&of_gateway(&[parent(MANAGED, "Same"), stranger], Some("t"), &settings())), "none");
}

#[test]
fn a_route_attaches_to_a_listener_set_by_its_name_only() {
    let mut parent = gateway(MANAGED, "l https secret=s from=All");
    parent["spec"]["allowedListeners"] = json!({"namespaces": {"from": "All"}});
    let set = listener_set("u", "", "l https secret=s from=All");
    let objects = [parent, set, http("v/r", "ListenerSet!u/l", "x"), http("v/q", "t/g", "y")];
    let of_set = of_gateway(&objects, Some("u"), &settings());
    assert_eq!((shown(&of_set).as_str(), claims(&of_set).as_str()), ("u/s: x", "x[u,v]"));
    assert_eq!(claims(&of_gateway(&objects, None, &settings())), "y[t,v]");
}

#[test]
fn an_event_changes_the_objects_that_it_is_about() {
    let gateway_t = || key_of("Gateway", "t/g");
    let set_u = || key_of("ListenerSet", "u/l");
    let mut all = gateway(MANAGED, "l https secret=s from=All");
    all["spec"]["allowedListeners"] = json!({"namespaces": {"from": "All"}});
    let mut source = gateways(&[all.clone(), listener_set("u", "", "l https secret=s")]);
    let taken = |source: &mut GatewaySource| source.take_changed().into_iter().collect::<Vec<_>>();
    assert_eq!(taken(&mut source), [gateway_t(), set_u()]);
    assert_eq!(source.wishing(), [gateway_t(), set_u()]);
    for (object, exists, changed) in [
        (http("v/r", "t/g", "x"), true, vec![gateway_t()]),
        (http("v/r", "t/g", "x"), true, vec![]),
        (http("v/r", "ListenerSet!u/l", "x"), true, vec![gateway_t(), set_u()]),
        (http("v/r", "ListenerSet!u/l", "y"), true, vec![set_u()]),
        (route("GRPCRoute", "v/r", "t/g", "y"), true, vec![gateway_t()]),
        (http("v/r", "", ""), false, vec![set_u()]),
        (http("v/r", "", ""), false, vec![]),
        (http("v/s", "other", "x"), true, vec![key_of("Gateway", "v/other")]),
        (labelled("v"), true, vec![]),
        (listener_set("u", "", "l https secret=s from=Selector"), true, vec![set_u()]),
        (labelled("w"), true, vec![set_u()]),
        (labelled("w"), true, vec![]),
        (labelled("w"), false, vec![set_u()]),
        // The ListenerSet depends on its Gateway.
        (gateway("", "l https secret=s"), true, vec![gateway_t(), set_u()]),
        (all, true, vec![gateway_t(), set_u()]),
        (gateway("", ""), false, vec![gateway_t(), set_u()]),
        (listener_set("u", "", ""), false, vec![set_u()]),
    ] {
        let applied = show(&mut source, &object, exists);
        let found = taken(&mut source);
        assert_eq!(found, changed, "{exists} {object}");
        assert!(applied || found.is_empty(), "{object}");
    }
    assert!(source.wishes_of(&gateway_t(), &settings()).is_none() && source.wishing().is_empty());
    assert!(source.attached.len() == 2, "routes that are gone are forgotten: {:?}", source.attached);
}

#[test]
fn the_source_has_synced_when_every_kind_was_listed() {
    let mut source = GatewaySource::new(Selector::Labels("a=b".to_owned()));
    let targets = source.targets();
    let shown: Vec<String> = targets.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["/gateways a=b", "/listenersets", "/namespaces", "/httproutes", "/grpcroutes", "/tlsroutes"]);
    for target in &targets {
        assert!(!source.has_synced(), "{target}");
        source.apply(target, SourceEvent::Listing);
        assert!(source.apply(target, SourceEvent::Listed), "{target}");
    }
    assert!(source.has_synced() && source.has_wishes() && source.not_ready().is_none() && source.objects().is_empty());
    let other = WatchTarget {
        resource: Resource::SECRETS,
        namespace: String::new(),
        selector: Selector::All,
        cluster: ClusterName::HOME,
    };
    assert!(!source.apply(&other, SourceEvent::Listing));
    assert!(source.owns("Gateway t/g") && source.owns("ListenerSet t/l") && !source.owns("HTTPRoute t/r"));
    for kind in ["HTTPRoute", "Namespace", "ConfigMap"] {
        assert!(source.wishes_of(&key_of(kind, "t/g"), &settings()).is_none(), "{kind}");
    }
}

#[test]
fn one_namespace_can_not_use_up_the_room_of_others() {
    let mut objects = vec![gateway(MANAGED, "l https host=*.a.test secret=s from=All")];
    for route in 0..110 {
        let hosts: Vec<String> = (0..10).map(|host| format!("h{host}.r{route}")).collect();
        objects.push(http(&format!("aaa/r{route}"), "t/g", &hosts.join(",")));
    }
    objects.push(http("u/r", "t/g", "p.q"));
    let found = of_gateway(&objects, None, &settings());
    assert_eq!(found.wishes[0].names.len(), OBJECT_HOSTS_MAX + 2);
    assert!(found.wishes[0].names.contains_key(&domain("p.q.a.test")));
    let [problem] = &found.problems[..] else { panic!("{:?}", found.problems) };
    assert!(problem.sentence.starts_with("100 more host names of routes of the namespace aaa"), "{problem:?}");

    let listeners: Vec<String> = (0..300).map(|i| format!("l{i} https host=h{i} secret=s")).collect();
    let found = of_gateway(&[gateway(MANAGED, &listeners.join("\n"))], None, &settings());
    assert_eq!(found.wishes[0].names.len(), OBJECT_ITEMS_MAX);
    assert!(found.problems[0].sentence.starts_with("50 more listeners"), "{:?}", found.problems);
}
