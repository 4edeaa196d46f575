//! A tenant who tries for what is not theirs by a Gateway, a ListenerSet, a route, a Service: the tries of tenancy.rs by the other kinds.

use notariat_lab::Kube;

use crate::support::cluster::Cluster;
use crate::support::tenants::Tenants;

/// The victim `b` has a Gateway that lets everybody in, a Service and a Secret that nobody manages.
const VICTIM: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: '{b}', name: public, annotations: {notariat/certificate: 'true'}}
spec:
  gatewayClassName: c
  allowedListeners: {namespaces: {from: All}}
  listeners:
  - {name: l, port: 443, protocol: HTTPS, hostname: login.b.site.test, tls: {certificateRefs: [{name: login}]}}
  - {name: all, port: 444, protocol: HTTPS, tls: {certificateRefs: [{name: shared}]}, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{b}', name: shop}
spec: {parentRefs: [{name: public, sectionName: all}], hostnames: [shop.b.site.test]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{b}', name: mail, annotations: {notariat/secret: mail, notariat/domains: mail.b.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
";

/// The tries of `a`, which has the whole zone besides the part of `b`.
const TRIES: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: '{a}', name: names, annotations: {notariat/certificate: 'true'}}
spec:
  gatewayClassName: c
  listeners:
  - {name: exact, port: 443, protocol: HTTPS, hostname: login.b.site.test, tls: {certificateRefs: [{name: g0}]}}
  - {name: star, port: 443, protocol: HTTPS, hostname: '*.b.site.test', tls: {certificateRefs: [{name: g1}]}}
  - {name: above, port: 443, protocol: HTTPS, hostname: '*.site.test', tls: {certificateRefs: [{name: g2}]}}
  - {name: far, port: 443, protocol: HTTPS, hostname: far.site.test, tls: {certificateRefs: [{name: login, namespace: '{b}'}]}}
  - {name: open, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: g4}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: own-gateway}
spec: {parentRefs: [{name: names, sectionName: open}], hostnames: [api.b.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: foreign-gateway}
spec: {parentRefs: [{name: public, namespace: '{b}', sectionName: all}], hostnames: [mine.site.test, pay.b.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  {namespace: '{a}', name: options, annotations: {notariat/certificate: 'true', notariat/issuer: other, notariat/email: evil@evil.test,
  notariat/tsigSecretName: tsigkey}}
spec:
  gatewayClassName: c
  listeners: [{name: l, port: 443, protocol: HTTPS, hostname: opt.site.test, tls: {certificateRefs: [{name: g5}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {namespace: '{a}', name: set}
spec:
  parentRef: {name: public, namespace: '{b}'}
  listeners:
  - {name: exact, port: 443, protocol: HTTPS, hostname: login.b.site.test, tls: {certificateRefs: [{name: s0}]}}
  - {name: star, port: 443, protocol: HTTPS, hostname: '*.b.site.test', tls: {certificateRefs: [{name: s1}]}}
  - {name: far, port: 443, protocol: HTTPS, hostname: far2.site.test, tls: {certificateRefs: [{name: login, namespace: '{b}'}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {namespace: '{a}', name: set-options, annotations: {notariat/issuer: other}}
spec:
  parentRef: {name: public, namespace: '{b}'}
  listeners: [{name: l, port: 443, protocol: HTTPS, hostname: set.site.test, tls: {certificateRefs: [{name: s2}]}}]
---
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: exact, annotations: {notariat/secret: v0, notariat/domains: login.b.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: star, annotations: {cert.gardener.cloud/secretname: v1, cert.gardener.cloud/dnsnames: '*.b.site.test,*.site.test'}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: far, annotations: {cert.gardener.cloud/secretname: login, cert.gardener.cloud/secret-namespace: '{b}', cert.gardener.cloud/dnsnames: v.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: path, annotations: {notariat/secret: '{b}/login', notariat/domains: v.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: issuer, annotations: {notariat/secret: v4, notariat/domains: v4.site.test, notariat/issuer: other}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: unowned, annotations: {notariat/secret: unowned, notariat/domains: v5.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
";

#[test]
fn no_kind_of_object_gets_a_tenant_what_is_not_theirs() {
    let kube = Kube::shared();
    kube.kubectl_stdin(&["apply", "-f", "-"], include_str!("../../vectors/gateway-api/crds.yaml"));
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    let tenants = Tenants::on(Cluster::on(kube));
    let roots = format!("--from-file=ca.crt={}", tenants.cluster.site.pebble.ca_file().display());
    tenants.cluster.kubectl(&["create", "secret", "generic", "roots", &roots]);
    tenants.config(&[
        ("issuers", "other: {directory: '{ca}', caSecretName: roots}"),
        ("namespaces", "{a}: {domains: [site.test], wildcards: true}\n{b}: {domains: [b.site.test]}"),
    ]);
    tenants.kubectl(&["-n", "{a}", "create", "secret", "generic", "unowned", "--from-literal=password=x"]);
    tenants.apply(TRIES);
    tenants.apply(VICTIM);
    let daemon = tenants.daemon(&["-sources", "config,gateway,service"]);
    // The victim comes last, and gets all of it.
    tenants.until_issued(&daemon, "{b}", "login", &["login.b"]);
    tenants.until_issued(&daemon, "{b}", "shared", &["shop.b"]);
    tenants.until_issued(&daemon, "{b}", "mail", &["mail.b"]);
    for (object, start, part) in [
        ("names", "Warning Refused spec.listeners[0]: ", "login.b.site.test"),
        ("names", "Warning Refused spec.listeners[1]: ", "*.b.site.test"),
        ("names", "Warning Refused spec.listeners[2]: ", "covers b.site.test"),
        ("names", "Warning Refused spec.listeners[3]: ", ""),
        ("names", "Warning Refused spec.listeners[4]: ", "api.b.site.test"),
        ("options", "Warning Refused ", "the issuer other is not for the namespace {a}"),
        ("set", "Warning Refused spec.listeners[0]: ", "login.b.site.test"),
        ("set", "Warning Refused spec.listeners[1]: ", "*.b.site.test"),
        ("set", "Warning Refused spec.listeners[2]: ", ""),
        ("set-options", "Warning Refused ", "the issuer other is not for the namespace {a}"),
        ("exact", "Warning Refused ", "login.b.site.test"),
        ("star", "Warning Refused ", "*.b.site.test"),
        ("far", "Warning Refused ", "secret-namespace"),
        ("path", "Warning ", "notariat/secret"),
        ("issuer", "Warning Refused ", "the issuer other is not for the namespace {a}"),
        ("unowned", "Warning NotOurs ", "its type is Opaque"),
    ] {
        tenants.until_told("{a}", object, start, part);
    }
    // Who lets everybody in is told whose names were left out.
    tenants.until_told("{b}", "public", "Warning Refused spec.listeners[1]: ", "mine.site.test");
    tenants.until_told("{b}", "public", "Warning Refused spec.listeners[1]: ", "pay.b.site.test");
    assert_eq!(tenants.orders(), 3, "{:#?}", tenants.cluster.site.pebble.request_lines());
    let made =
        tenants.kubectl(&["-n", "{a}", "get", "secrets", "--field-selector=type=kubernetes.io/tls", "-o", "name"]);
    assert_eq!(made, "");
    daemon.kill();
}
