//! Gateways and Services, on an API server of their own, because the kinds of the Gateway API are installed late.

use crate::support::Site;
use crate::support::cluster::Cluster;
use crate::support::tenants::Tenants;

const CRDS: &str = include_str!("../../vectors/gateway-api/crds.yaml");

const GATEWAYS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: '{a}', name: edge, annotations: {notariat/certificate: 'true'}}
spec:
  gatewayClassName: c
  listeners:
  - {name: l, port: 443, protocol: HTTPS, hostname: x.a.site.test, tls: {certificateRefs: [{name: edge}]}}
  - {name: p, port: 444, protocol: TLS, hostname: p.a.site.test, tls: {mode: Passthrough}}
  - {name: open, port: 445, protocol: HTTPS, tls: {certificateRefs: [{name: open}]}, allowedRoutes: {namespaces: {from: All}}}
  - {name: two, port: 446, protocol: HTTPS, hostname: t.a.site.test, tls: {certificateRefs: [{name: r}, {name: s}]}}
  - {name: far, port: 447, protocol: HTTPS, hostname: f.a.site.test, tls: {certificateRefs: [{name: s, namespace: '{b}'}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{a}', name: shop}
spec: {parentRefs: [{name: edge, sectionName: open}], hostnames: [shop.a.site.test]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {namespace: '{b}', name: evil}
spec: {parentRefs: [{name: edge, namespace: '{a}', sectionName: open}], hostnames: [evil.a.site.test, own.b.site.test]}
";

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: '{a}', name: mail, annotations: {cert.gardener.cloud/secretname: mail, dns.gardener.cloud/dnsnames: mail.a.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{b}', name: thief, annotations: {cert.gardener.cloud/secretname: thief, dns.gardener.cloud/dnsnames: login.a.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: '{b}', name: far, annotations: {cert.gardener.cloud/secretname: far, cert.gardener.cloud/secret-namespace: kube-system, dns.gardener.cloud/dnsnames: far.b.site.test}}
spec: {type: LoadBalancer, ports: [{port: 25}]}
";

#[test]
fn services_do_not_wait_for_gateways_that_come_later() {
    let tenants = Tenants::on(Cluster::alone(Site::new()));
    let kube = tenants.cluster.kube;
    tenants.config(&[("namespaces", "{a}: {domains: [a.site.test]}\n{b}: {domains: [b.site.test]}")]);
    tenants.apply(SERVICES);
    let daemon = tenants.daemon(&["-sources", "config,gateway,service"]);
    // Rules 48 and 49.
    // The kinds are absent: one line each, and nothing waits for them.
    tenants.until_issued(&daemon, "{a}", "mail", &["mail.a"]);
    tenants.until_told("{b}", "thief", "Warning Refused ", "login.a.site.test");
    tenants.until_told("{b}", "far", "Warning Refused ", "kube-system");
    for kind in ["gateways", "listenersets", "httproutes", "grpcroutes", "tlsroutes"] {
        let line = format!("source-absent what=/{kind} ");
        assert_eq!(daemon.log().matches(&line).count(), 1, "{kind}: {}", daemon.log());
    }
    assert_eq!(tenants.orders(), 1);
    // Rules 40 and 46.
    // They are installed, and start by themselves.
    kube.kubectl_stdin(&["apply", "-f", "-"], CRDS);
    kube.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
    tenants.apply(GATEWAYS);
    tenants.until_issued(&daemon, "{a}", "edge", &["x.a"]);
    tenants.until_issued(&daemon, "{a}", "open", &["shop.a"]);
    for (start, part) in [
        ("Warning Refused ", "evil.a.site.test"),
        ("Warning Refused ", "own.b.site.test"),
        ("Warning Invalid ", "spec.listeners[3]"),
        ("Warning Refused ", "spec.listeners[4]"),
    ] {
        tenants.until_told("{a}", "edge", start, part);
    }
    assert_eq!(tenants.orders(), 3, "{}", daemon.log());
    daemon.kill();
}
