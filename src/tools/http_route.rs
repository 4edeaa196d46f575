//! `notariat http-route`: prints the Ingress or the HTTPRoutes that lead the path of http-01 challenges to notariat, for the names of a
//! configuration that are proved so. The operator commits them once; the controller writes none. Pure but for reading the configuration.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use crate::base::challenge_type::ChallengeType;
use crate::base::limits::HOSTNAMES_PER_ROUTE;
use crate::base::name::{DnsName, ObjectRef};
use crate::cli::Arguments;
use crate::issuance::solver::http01::CHALLENGE_PATH;
use crate::tools::options::RouteOptions;
use crate::tools::role;

/// The Service of deploy/http-01, and its port.
const SERVICE: (&str, u16) = ("notariat-acme", 80);

/// The name of the objects.
const NAME: &str = "notariat-acme";

/// Returns the manifest for the ConfigMaps in `file`, or else for those that the arguments name.
///
/// # Errors
/// One sentence with the place and the fault; also when no name is proved by http-01.
pub fn run(file: Option<&Path>, options: &RouteOptions, arguments: &Arguments) -> Result<String, String> {
    let instances = role::instances(file, arguments)?;
    let mut text = format!(
        "# Printed by `notariat http-route` for {}: print it anew when that changes.\n",
        role::sources(&instances)
    );
    let mut found = false;
    for instance in &instances {
        let wanted = instance.desired.wanted.values();
        let of = |spec: &std::sync::Arc<crate::sources::CertificateSpec>| {
            let names = spec.entry.domains.iter().filter(|name| spec.challenge_of(name) == ChallengeType::Http01);
            names.map(|name| name.base().clone()).collect::<Vec<_>>()
        };
        let hosts: BTreeSet<DnsName> = wanted.flat_map(of).collect();
        if hosts.is_empty() {
            continue;
        }
        found = true;
        text.push_str(&match &options.gateway {
            Some((gateway, section)) => http_routes(instance.own(), &hosts, gateway, section.as_deref(), &options.path_type),
            None => ingress(instance.own(), &hosts, options.ingress_class.as_deref(), &options.path_type),
        });
    }
    match found {
        true => Ok(text),
        false => Err("no name is proved by http-01: set `challenge: http-01` in an entry, in `defaults`, in `zones` or in an issuer".to_owned()),
    }
}

/// Writing to a String can not fail.
const INFALLIBLE: &str = "a String takes everything";

/// One Ingress with a rule for each host: controllers prefer a rule that names the host.
fn ingress(namespace: &str, hosts: &BTreeSet<DnsName>, class: Option<&str>, path_type: &str) -> String {
    let class = class.map(|class| format!("  ingressClassName: {class}\n")).unwrap_or_default();
    let mut text = format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {NAME}\n  namespace: {namespace}\nspec:\n{class}  rules:\n"
    );
    for host in hosts {
        write!(
            text,
            "    - host: {host}\n      http:\n        paths:\n          - path: {CHALLENGE_PATH}\n            pathType: {path_type}\n            backend:\n              service:\n                name: {}\n                port:\n                  number: {}\n",
            SERVICE.0, SERVICE.1
        )
        .expect(INFALLIBLE);
    }
    text
}

/// HTTPRoutes with 16 hosts each, which is what one may have, in the order of the names.
fn http_routes(
    namespace: &str,
    hosts: &BTreeSet<DnsName>,
    gateway: &ObjectRef,
    section: Option<&str>,
    path_type: &str,
) -> String {
    let path_type = if path_type == "Prefix" { "PathPrefix" } else { path_type };
    let section = section.map(|section| format!("      sectionName: {section}\n")).unwrap_or_default();
    let mut text = String::new();
    let hosts: Vec<&DnsName> = hosts.iter().collect();
    for (number, part) in hosts.chunks(HOSTNAMES_PER_ROUTE).enumerate() {
        write!(
            text,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: {NAME}-{}\n  namespace: {namespace}\nspec:\n  parentRefs:\n    - name: {}\n      namespace: {}\n{section}  hostnames:\n",
            number + 1,
            gateway.name,
            gateway.namespace
        )
        .expect(INFALLIBLE);
        for host in part {
            writeln!(text, "    - {host}").expect(INFALLIBLE);
        }
        write!(
            text,
            "  rules:\n    - matches:\n        - path:\n            type: {path_type}\n            value: {CHALLENGE_PATH}\n      backendRefs:\n        - name: {}\n          port: {}\n",
            SERVICE.0, SERVICE.1
        )
        .expect(INFALLIBLE);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: usize) -> BTreeSet<DnsName> {
        (0..count).map(|n| format!("h{n:02}.a.test").parse().unwrap()).collect()
    }

    #[test]
    fn an_ingress_has_a_rule_for_each_host_and_no_tls() {
        let text = ingress("team", &hosts(3), Some("nginx"), "Prefix");
        assert_eq!(text.matches("- host: ").count(), 3);
        assert_eq!(text.matches("path: /.well-known/acme-challenge/\n").count(), 3);
        assert!(text.contains("ingressClassName: nginx") && !text.contains("tls"));
        assert!(!ingress("team", &hosts(3), None, "Prefix").contains("ingressClassName"));
        assert!(serde_yaml::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn a_route_has_sixteen_hosts_at_most() {
        let gateway = ObjectRef::new("edge", "public");
        let text = http_routes("team", &hosts(40), &gateway, Some("http"), "Prefix");
        let routes: Vec<&str> = text.split("---\n").skip(1).collect();
        let counts: Vec<usize> = routes.iter().map(|route| route.matches(".a.test").count()).collect();
        assert_eq!(counts, [16, 16, 8]);
        assert!(text.contains("type: PathPrefix") && text.contains("sectionName: http"));
        assert!(routes.iter().all(|route| serde_yaml::from_str::<serde_json::Value>(route).is_ok()));
    }
}
