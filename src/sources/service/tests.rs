use super::*;
use crate::sources::tests::support::*;
use serde_json::json;

#[test]
fn a_service_gets_a_certificate_for_the_names_of_its_annotations() {
    for (lines, expected) in [
        ("n/secret: s\nn/domains: x.a.test, y.a.test", "s: x,y"),
        ("n/secret: s\ng/dnsnames: x.a.test", "s: x"),
        ("g/secretname: s\nn/domains: x.a.test", "s: x"),
        ("n/secret: s\ng/secretname: r\nn/domains: x.a.test", "s: x"),
        ("n/secret: s\nn/domains: w.a.test\ng/dnsnames: x.a.test\ndns.gardener.cloud/dnsnames: y.a.test", "s: w"),
        ("g/secretname: s\ng/dnsnames: x.a.test\ndns.gardener.cloud/dnsnames: y.a.test", "s: x"),
        ("g/secretname: s\ndns.gardener.cloud/dnsnames: y.a.test,z.a.test", "s: y,z"),
        ("g/secretname: s\ng/commonname: x.a.test\ndns.gardener.cloud/dnsnames: y.a.test", "s: x,y"),
        ("g/secretname: s\ng/commonname: x.a.test", "s: x"),
        ("g/secretname: s\ng/commonname: x.a.test\ndns.gardener.cloud/dnsnames: all", "s: x"),
        ("g/secretname: s\ng/commonname: x.a.test\ndns.gardener.cloud/dnsnames: *", "s: x"),
        ("g/secretname: s\ng/commonname: *.a.test\ng/dnsnames: x.b.test", "s: *.a.test,x.b.test"),
        ("dns.gardener.cloud/dnsnames: y.a.test", "none"),
        ("n/certificate: true\nn/domains: x.a.test", "none"),
        ("k/tls-acme: true", "none"),
        ("n/secret: s\nn/domains: x.a.test\nn/ignore: true", "none"),
        ("n/secret: s\nn/domains: x.a.test\nn/ignore: s", "none"),
        ("n/secret: s\nn/domains: x.a.test\nn/certificate: false", "none"),
        ("n/secret: s\nn/domains: x.a.test\ng/secret-namespace: kube-system", "s: x"),
        ("n/secret: kube-system/s\nn/domains: x.a.test", "Invalid metadata.annotations[notariat/secret]"),
        ("n/secret: Bad_Name\nn/domains: x.a.test", "Invalid metadata.annotations[notariat/secret]"),
        ("n/secret: s", "Invalid metadata.annotations[notariat/secret]"),
        (
            "g/secretname: s\ndns.gardener.cloud/dnsnames: y.a.test,=10.0.0.1",
            "s: y; Invalid metadata.annotations[dns.gardener.cloud/dnsnames]",
        ),
    ] {
        assert_eq!(shown(&of_service(&service(lines, "LoadBalancer"), &settings())), expected, "{lines}");
    }
}

#[test]
fn options_and_adoption_are_those_of_the_annotations() {
    let lines = "n/secret: s\nn/domains: x.a.test\nn/adopt: true\nn/issuer: own\nn/renew-before: 10d";
    let found = of_service(&service(lines, "LoadBalancer"), &settings());
    let [wish] = &found.wishes[..] else { panic!("{found:?}") };
    assert!(wish.adopt && wish.options.issuer.as_deref() == Some("own") && wish.options.renew_before.is_some());
    assert!(found.problems.is_empty());
    let found = of_service(&service(&format!("{lines}\nn/isuer: x"), "LoadBalancer"), &settings());
    assert_eq!(shown(&found), "s: x; Invalid metadata.annotations");
}

#[test]
fn the_source_keeps_what_its_watch_shows() {
    let mut source = ServiceSource::new(Selector::All);
    let target = source.targets().remove(0);
    assert_eq!(target.resource, Resource::SERVICES);
    let mut parse = (source.parser(&target).0)();
    let mut object = service("n/secret: s\nn/domains: x.a.test", "LoadBalancer");
    source.apply(&target, SourceEvent::Listing);
    assert!(source.apply(&target, SourceEvent::Present(parse(&object))));
    source.apply(&target, SourceEvent::Listed);
    let at = key(&ObjectRef::new("t", "s"));
    assert!(source.has_synced() && source.has_wishes());
    assert_eq!((source.wishing(), source.take_changed()), (vec![at.clone()], [at.clone()].into()));
    assert_eq!(shown(&source.wishes_of(&at, &settings()).unwrap()), "s: x");
    object["status"] = json!({"loadBalancer": {}});
    assert!(!source.apply(&target, SourceEvent::Present(parse(&object))) && source.take_changed().is_empty());
    object["spec"]["type"] = json!("ClusterIP");
    assert!(source.apply(&target, SourceEvent::Present(parse(&object))) && source.take_changed().len() == 1);
    object["metadata"]["deletionTimestamp"] = json!("2026-11-01T00:00:00Z");
    assert!(source.apply(&target, SourceEvent::Present(parse(&object))));
    assert!(source.wishes_of(&at, &settings()).is_none() && source.wishing().is_empty());
    let other = ObjectKey { kind: Resource::INGRESSES.kind, at: at.at.clone() };
    assert!(source.wishes_of(&other, &settings()).is_none());
    assert!(source.owns("Service t/s") && !source.owns("Ingress t/s") && !source.owns("s"));
    assert!(source.not_ready().is_none() && source.objects().is_empty());
}
