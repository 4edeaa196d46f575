//! Listeners, the routes that belong to them, and ListenerSets.

use notariat_lab::Kube;

use crate::support::cluster::Cluster;
use crate::support::tenants::Tenants;

const OBJECTS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: '{a}', name: edge, annotations: {cert.gardener.cloud/purpose: managed}}
spec:
  gatewayClassName: c
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - {name: empty, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: r41}]}}
  - {name: star, port: 444, protocol: HTTPS, hostname: '*.w.a.site.test', tls: {certificateRefs: [{name: r42}]}}
  - {name: one, port: 445, protocol: HTTPS, tls: {certificateRefs: [{name: r43}]}}
  - {name: same, port: 446, protocol: HTTPS, tls: {certificateRefs: [{name: r44}]}}
  - {name: status, port: 447, protocol: HTTPS, tls: {certificateRefs: [{name: r45}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: r42}
spec: {parentRefs: [{name: edge, sectionName: star}], hostnames: [x.w.a.site.test, p.q.w.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: r43}
spec: {parentRefs: [{name: edge, sectionName: one}], hostnames: [y43.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {namespace: '{a}', name: g43}
spec: {parentRefs: [{name: edge, sectionName: one}], hostnames: [g43.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: r44}
spec: {parentRefs: [{name: edge, sectionName: same}], hostnames: [x44.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{b}', name: r44}
spec: {parentRefs: [{name: edge, namespace: '{a}', sectionName: same}], hostnames: [y44.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: waits}
spec: {parentRefs: [{name: edge, sectionName: status}], hostnames: [x45.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: vetoed}
spec: {parentRefs: [{name: edge, sectionName: status}], hostnames: [y45.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: '{a}', name: closed, annotations: {cert.gardener.cloud/purpose: managed}}
spec: {gatewayClassName: c, listeners: [{name: l, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {namespace: '{a}', name: same}
spec: {parentRef: {name: edge}, listeners: [{name: l, port: 443, protocol: HTTPS, hostname: x47.a.site.test, tls: {certificateRefs: [{name: r47}]}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {namespace: '{a}', name: shut}
spec: {parentRef: {name: closed}, listeners: [{name: l, port: 443, protocol: HTTPS, hostname: y47.a.site.test, tls: {certificateRefs: [{name: none}]}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {namespace: '{a}', name: orphan}
spec: {parentRef: {name: nowhere}, listeners: [{name: l, port: 443, protocol: HTTPS, hostname: z47.a.site.test, tls: {certificateRefs: [{name: nobody}]}}]}
";

/// The status that a controller of Gateways writes to a route.
fn answers(tenants: &Tenants, route: &str, reason: &str) {
    let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/{route}", tenants.a);
    let mut object: serde_json::Value = serde_json::from_str(&tenants.kubectl(&["get", "--raw", &path])).unwrap();
    object["status"] = serde_json::json!({"parents": [{
        "parentRef": object["spec"]["parentRefs"][0], "controllerName": "lab/c",
        "conditions": [{"type": "Accepted", "status": "False", "reason": reason, "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }]});
    tenants
        .cluster
        .kube
        .kubectl_stdin(&["replace", "--raw", &format!("{path}/status"), "-f", "-"], &object.to_string());
}

#[test]
fn a_listener_has_the_names_of_the_routes_that_belong_to_it() {
    let kube = Kube::shared();
    kube.kubectl_stdin(&["apply", "-f", "-"], include_str!("../../vectors/gateway-api/crds.yaml"));
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    let tenants = Tenants::on(Cluster::on(kube));
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test], wildcards: true}\n{b}: {domains: [b.site.test]}")]);
    tenants.apply(OBJECTS);
    answers(&tenants, "waits", "NoReadyListeners");
    answers(&tenants, "vetoed", "NotAllowedByListeners");
    let daemon = tenants.daemon(&["-sources", "config,gateway"]);
    // Rules 42, 43, 44, 45, 47.
    for (secret, names) in [
        ("r42", &["*.w.a", "p.q.w.a"][..]),
        ("r43", &["g43.a", "y43.a"]),
        ("r44", &["x44.a"]),
        ("r45", &["x45.a"]),
        ("r47", &["x47.a"]),
    ] {
        tenants.until_issued(&daemon, "{a}", secret, names);
    }
    tenants.until_told("{a}", "edge", "Warning Invalid spec.listeners[0]: ", "");
    assert_eq!(tenants.orders(), 5);
    // Rule 41: a route comes, and its listener has a name.
    tenants.apply(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {namespace: '{a}', name: r41}\n\
         spec: {parentRefs: [{name: edge, sectionName: empty}], hostnames: [x41.a.site.test, y41.a.site.test]}\n",
    );
    tenants.until_issued(&daemon, "{a}", "r41", &["x41.a", "y41.a"]);
    for secret in ["none", "nobody"] {
        assert_eq!(tenants.names("{a}", secret), None, "{secret}");
    }
    assert_eq!(tenants.orders(), 6);
    daemon.kill();
}
