use super::*;
use crate::sources::tests::support::*;
use serde_json::json;

const ACME: &str = "k/tls-acme: true";

fn facts(object: &Value, all: bool) -> IngressFacts {
    IngressFacts::read(&SourceRef::parse("Ingress t/i").unwrap(), object, all)
}

fn all(change: impl FnOnce(&mut WishSettings)) -> WishSettings {
    let mut settings = WishSettings { ingress_all: vec![domain("a.test")], ..settings() };
    change(&mut settings);
    settings
}

#[test]
fn an_ingress_of_kube_lego_asks_for_http_where_the_responder_runs() {
    for (lines, listens, expected) in [
        ("k/tls-acme: true", true, true),
        ("k/tls-acme: TRUE\nn/certificate: true", true, true),
        ("k/tls-acme: true\nc/cluster-issuer: prod", true, true),
        ("k/tls-acme: true", false, false),
        ("k/tls-acme: false\nn/certificate: true", true, false),
        ("n/certificate: true", true, false),
    ] {
        let settings = WishSettings { listens_for_challenges: listens, ..settings() };
        let found = of_ingress(&ingress(lines, "s:x", ""), &settings);
        assert_eq!(found.wishes[0].options.http_without_key, expected, "{lines}");
    }
    // The annotation means nothing on another kind.
    let settings = WishSettings { listens_for_challenges: true, ..settings() };
    let service = of_service(
        &service("k/tls-acme: true\nn/certificate: true\nn/secret: s\nn/domains: x.a.test", "LoadBalancer"),
        &settings,
    );
    assert!(!service.wishes[0].options.http_without_key);
}

#[test]
fn every_host_below_the_zones_gets_its_secret() {
    let fixed = |s: &mut WishSettings| s.secret_namespace = Some("certs".to_owned());
    let wild = |s: &mut WishSettings| s.wildcards = true;
    for (lines, tls, rules, settings, expected) in [
        ("", "", "x,x,y", all(|_| ()), "x.a.test: x; y.a.test: y"),
        ("", "", "=a.test,xa.test,b.test", all(|_| ()), "a.test: a.test"),
        ("", "", "_", all(|_| ()), "none"),
        ("", "", "*.b.a.test", all(|_| ()), "wild--card.b.a.test: *.b"),
        ("", "s:x,y", "x,y", all(|_| ()), "s: x,y"),
        ("", "Bad_Name:x", "x,y", all(|_| ()), "y.a.test: y; Invalid spec.tls[0]"),
        ("", ":x", "x", all(|_| ()), "x.a.test: x"),
        ("", "s:x", "x", all(fixed), "certs/x.a.test: x"),
        ("", "", "x", all(|s| s.secret_namespace = Some("Bad_Name".to_owned())), "Invalid spec.rules"),
        ("n/ignore: true", "", "x", all(|_| ()), "none"),
        ("n/ignore: y.a.test", "", "x,y", all(|_| ()), "x.a.test: x"),
        ("n/certificate: false", "s:x", "x", all(|_| ()), "s: x"),
        (ACME, "s:x", "x,y", all(|_| ()), "s: x; y.a.test: y"),
        // Folding: below the apex only, once for all hosts of a parent, and not where the Ingress names the Secret.
        ("", "", "x.b,y.b", all(wild), "wild--card.b.a.test: *.b"),
        ("", "", "x,=a.test", all(wild), "a.test: a.test; x.a.test: x"),
        ("", "", "x.b.c", all(wild), "wild--card.b.c.a.test: *.b.c"),
        (
            "",
            "",
            "x.b.c,x.b",
            all(|s| (wild(s), s.zones = vec![domain("b.c.a.test")]).0),
            "wild--card.b.a.test: *.b; x.b.c.a.test: x.b.c",
        ),
        ("", "", "x.c", all(|s| (wild(s), s.zones = vec![domain("b.c.a.test")]).0), "x.c.a.test: x.c"),
        ("", "", "*.b.a.test", all(wild), "wild--card.b.a.test: *.b"),
        ("", "s:x.b", "x.b", all(wild), "s: x.b"),
        ("", "s:x.b", "x.b", all(|s| (wild(s), fixed(s)).0), "certs/wild--card.b.a.test: *.b"),
    ] {
        assert_eq!(shown(&of_ingress(&ingress(lines, tls, rules), &settings)), expected, "{lines} {tls} {rules}");
    }
}

#[test]
fn the_label_with_the_host_is_on_secrets_that_are_named_after_it() {
    let settings = all(|s| (s.secret_host_label = Some("host".to_owned()), s.wildcards = true).0);
    let found = of_ingress(&ingress("n/secret-labels: team=x", "s:z", "x,y.b,z"), &settings);
    let labels: Vec<String> = found
        .wishes
        .iter()
        .map(|wish| wish.options.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","))
        .collect();
    assert_eq!(labels, ["host=x.a.test,team=x", "host=wild--card.b.a.test,team=x", "team=x"]);
    assert!(found.problems.is_empty(), "{found:?}");
}

#[test]
fn annotations_choose_names_and_secrets() {
    for (lines, tls, expected) in [
        ("n/ignore: true", "s:x", "none"),
        ("n/ignore: s, r", "s:x q:y r:z", "q: y"),
        ("n/domains: z", "s:x", "Invalid spec.tls[0]; "),
        ("n/domains: z.a.test y.a.test", "s:x", "s: y,z"),
        ("n/domains: z.a.test", "s:x s:y", "s: z"),
        ("n/domains: z.a.test", "s:", "s: z"),
        ("n/domains: z.a.test", "s:x r:y", "s: x; r: y; Invalid metadata.annotations[notariat/domains]"),
        ("n/domains: z.a.test\nn/ignore: r", "s:x r:y", "s: z"),
        ("g/dnsnames: z.a.test", "s:x r:y", "s: z; r: z"),
        ("g/commonname: z.a.test", "s:x r:y", "s: x,z; r: y,z"),
        ("g/commonname: z.a.test\ng/dnsnames: y.a.test", "s:x", "s: y,z"),
        ("g/commonname: z.a.test\ng/dnsnames:", "s:x", "s: z"),
        ("g/dnsnames:", "s:x", "s: x"),
        ("c/alt-names: z.a.test,=10.0.0.1", "s:x", "s: x,z; Invalid metadata.annotations[cert-manager.io/alt-names]"),
        ("n/domains: w.a.test\ng/dnsnames: y.a.test\nc/alt-names: z.a.test", "s:x", "s: w"),
        ("g/commonname: y.a.test\nc/alt-names: z.a.test", "s:x", "s: x,y"),
    ] {
        let found = shown(&of_ingress(&ingress(&format!("{ACME}\n{lines}"), tls, ""), &settings()));
        match expected.strip_suffix("; ") {
            // The names that an annotation gives can not be read: the names of the item do not count instead.
            Some(rest) => {
                assert_eq!(found, format!("Invalid metadata.annotations[notariat/domains]; {rest}"), "{lines}")
            }
            None => assert_eq!(found, expected, "{lines}"),
        }
    }
}

#[test]
fn each_secret_is_taken_over_only_where_the_object_says_so() {
    for (lines, adopts) in [("n/adopt: true", true), ("n/adopt: True", true), ("n/adopt: false", false), ("", false)] {
        let found = of_ingress(&ingress(&format!("{ACME}\n{lines}"), "s:x r:y", ""), &settings());
        assert!(found.wishes.len() == 2 && found.wishes.iter().all(|wish| wish.adopt == adopts), "{lines}");
    }
    let found = shown(&of_ingress(&ingress(&format!("{ACME}\nn/adopt: yes"), "s:x", ""), &settings()));
    assert_eq!(found, "s: x; Invalid metadata.annotations[notariat/adopt]");
}

#[test]
fn problems_name_their_place_and_their_text() {
    for (tls, rules, parts) in [
        ("s:=a_b.test", "", ["spec.tls[0]", "\"a_b.test\" has an underscore"]),
        ("r:x -", "", ["spec.tls[1]", "neither a Secret nor hosts"]),
        (":x :y :z", "", ["spec.tls[0]", "3 items (spec.tls[0], spec.tls[1], spec.tls[2])"]),
        ("s:", "_", ["spec.tls[0]", "the Secret t/s gets no certificate"]),
        ("Bad_Name:x", "", ["spec.tls[0]", "\"Bad_Name\" is not a name Kubernetes allows"]),
        ("kube-system/s:x", "", ["spec.tls[0]", "a Secret of its own namespace only"]),
    ] {
        let found = of_ingress(&ingress(ACME, tls, rules), &settings());
        let [problem] = &found.problems[..] else { panic!("{tls}: {found:?}") };
        assert!(problem.place == parts[0] && problem.sentence.contains(parts[1]), "{tls}: {problem:?}");
    }
}

#[test]
fn the_order_of_items_and_hosts_means_nothing() {
    let names = |object: &Value| {
        let wishes = of_ingress(object, &settings()).wishes;
        wishes.into_iter().map(|wish| (wish.secret, wish.names)).collect::<BTreeMap<_, _>>()
    };
    let expected = names(&ingress(ACME, "s:x,y,z r:p s:q", "u,v"));
    for (tls, rules) in [("r:p s:q s:z,y,x", "v,u"), ("s:q r:p s:y,z,x", "v,u"), ("s:x s:y s:z s:q r:p", "u,v,v")] {
        assert_eq!(names(&ingress(ACME, tls, rules)), expected, "{tls}");
    }
    assert_eq!(names(&ingress(ACME, "s: r: q:z", "x,z,y")), names(&ingress(ACME, "q:z r: s:", "y,x,z")));
}

#[test]
fn only_what_is_read_makes_a_change() {
    let object = ingress("k/tls-acme: true\ntheirs: 1", "s:x", "x,y");
    let before = facts(&object, false);
    for (pointer, value) in [
        ("/metadata/annotations/theirs", json!("2")),
        ("/metadata/resourceVersion", json!("17")),
        ("/metadata/generation", json!(3)),
        ("/metadata/managedFields", json!([{"manager": "x"}])),
        ("/metadata/labels", json!({"a": "b"})),
        ("/status", json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}})),
        ("/spec/rules", json!([{"host": "other.test"}])),
        ("/spec/defaultBackend", json!({"service": {"name": "x"}})),
    ] {
        let mut changed = object.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[field] = value;
        assert_eq!(facts(&changed, false), before, "{pointer}");
    }
    for (pointer, value) in [
        ("/metadata/annotations/kubernetes.io~1tls-acme", json!("false")),
        ("/spec/tls/0/secretName", json!("r")),
        ("/spec/tls/0/hosts/0", json!("y.a.test")),
        ("/spec/ingressClassName", json!("nginx")),
    ] {
        let mut changed = object.clone();
        match changed.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => changed["spec"]["ingressClassName"] = value,
        }
        assert_ne!(facts(&changed, false), before, "{pointer}");
    }
    assert_ne!(facts(&object, true), before, "with -ingress-all the rules count");
}

/// The octets that facts hold on the heap and in themselves, without what the allocator adds.
fn octets(facts: &IngressFacts) -> usize {
    let list = |list: &HostList| {
        list.names().iter().map(|n| std::mem::size_of::<Domain>() + n.to_string().len()).sum::<usize>()
    };
    let item = |item: &TlsItem| {
        std::mem::size_of::<TlsItem>() + item.secret.as_ref().map_or(0, |s| s.len()) + list(&item.hosts)
    };
    let source = 200 + 2 * facts.source.len() + facts.source.uid().map_or(0, str::len);
    std::mem::size_of::<IngressFacts>()
        + source
        + facts.items.iter().map(item).sum::<usize>()
        + list(&facts.rules)
        + facts.class.len()
        + 32 * 8
}

#[test]
fn an_ingress_with_three_hosts_costs_less_than_a_kibibyte_and_a_half() {
    let hosts = ["shop-of-the-team", "www-of-the-team", "api-of-the-team"];
    let tls: Vec<String> = hosts.iter().map(|host| format!("{host}-certificate:{host}.example.apps")).collect();
    let rules = hosts.map(|host| format!("{host}.example.apps")).join(",");
    let lines = "k/tls-acme: true\nc/cluster-issuer: letsencrypt-production\nk/ingress.class: nginx";
    for all in [true, false] {
        let facts = facts(&ingress(lines, &tls.join(" "), &rules), all);
        assert_eq!(facts.items.len(), 3);
        assert!(octets(&facts) < 1_536, "{} octets", octets(&facts));
    }
    // One that asks for nothing holds nothing of its spec.
    let foreign = facts(&ingress("theirs: 1", &tls.join(" "), &rules), false);
    assert!(
        foreign.items.iter().all(|item| item.hosts.is_empty()) && foreign.rules.is_empty() && octets(&foreign) < 1_024
    );
}

#[test]
fn hosts_and_items_beyond_the_bounds_are_counted_in_one_problem() {
    let many = |count: usize| (0..count).map(|i| format!("h{i}")).collect::<Vec<_>>().join(",");
    let found = of_ingress(&ingress(ACME, &format!("s:{}", many(10_000)), ""), &settings());
    assert_eq!(found.wishes[0].names.len(), OBJECT_HOSTS_MAX);
    let [problem] = &found.problems[..] else { panic!("{:?}", found.problems) };
    assert!(problem.sentence.contains("9000 more are beyond the bound"), "{problem:?}");

    let found = of_ingress(&ingress(ACME, &format!("s:{} r:x", many(10_000)), ""), &settings());
    assert_eq!((found.wishes.len(), found.problems.len()), (1, 2), "the room is that of the whole object");

    let items: Vec<String> = (0..1_000).map(|i| format!("s{i}:h{i}")).collect();
    let found = of_ingress(&ingress(ACME, &items.join(" "), ""), &settings());
    assert_eq!(found.wishes.len(), OBJECT_ITEMS_MAX);
    assert!(found.problems[0].sentence.starts_with("750 more items are not read"), "{:?}", found.problems);

    let bad: Vec<String> = (0..1_000).map(|i| format!("=a_{i}.test")).collect();
    let found = of_ingress(&ingress(ACME, &format!("s:x,{}", bad.join(",")), ""), &settings());
    assert_eq!(shown(&found), "s: x; Invalid spec.tls[0]");
    assert!(found.problems[0].sentence.ends_with("997 more can not be read either"), "{:?}", found.problems);

    let found = of_ingress(&ingress(ACME, &"- ".repeat(200), ""), &settings());
    assert_eq!(found.problems.len(), 21);
    assert!(found.problems[20].sentence.starts_with("180 more problems"), "{:?}", found.problems[20]);

    let found = of_ingress(&ingress("", "", &many(10_000)), &all(|_| ()));
    assert_eq!((found.wishes.len(), found.problems.len()), (OBJECT_HOSTS_MAX, 1));
}

#[test]
fn the_source_keeps_what_its_watch_shows() {
    let mut source = IngressSource::new(Selector::Labels("a=b".to_owned()), false);
    let target = source.targets().remove(0);
    assert_eq!(target.to_string(), "/ingresses a=b");
    let mut parse = (source.parser(&target).0)();
    let one = ingress(ACME, "s:x", "");
    let mut two = ingress(ACME, "r:y", "");
    two["metadata"]["name"] = json!("h");
    assert!(!source.has_synced());
    source.apply(&target, SourceEvent::Listing);
    for object in [&one, &two] {
        assert!(source.apply(&target, SourceEvent::Present(parse(object))));
    }
    assert!(source.apply(&target, SourceEvent::Listed) && source.has_synced());
    let sources = |source: &IngressSource| {
        source.wishes(&settings()).iter().map(|w| format!("{} {}", w.source, shown(w))).collect::<Vec<_>>()
    };
    assert_eq!(sources(&source), ["Ingress t/h r: y", "Ingress t/i s: x"]);
    assert_eq!(source.wishes(&settings())[0].source.uid(), Some("uid-i"));
    let mut deleted = one.clone();
    deleted["metadata"]["deletionTimestamp"] = json!("2026-11-01T00:00:00Z");
    assert!(source.apply(&target, SourceEvent::Present(parse(&deleted))));
    assert_eq!(sources(&source), ["Ingress t/h r: y"]);
    assert!(source.owns("Ingress t/i") && !source.owns("Gateway t/i") && !source.owns("x"));
    assert!(source.not_ready().is_none() && source.objects().is_empty());
}
