//! `notariat http-route`: prints the Ingress or the HTTPRoutes that lead the path of http-01 challenges to notariat, for the names of a
//! configuration that are proved so. The operator commits them once; the controller writes none. Pure but for reading the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::challenge_type::ChallengeType;
use crate::base::limits::HOSTNAMES_PER_ROUTE;
use crate::base::name::{DnsName, ObjectRef, check_namespace};
use crate::cli::Arguments;
use crate::issuance::solver::http01::CHALLENGE_PATH;
use crate::tools::options::RouteOptions;
use crate::tools::role;

/// The port of the Service.
const PORT: u16 = 80;

/// Returns the manifest for the ConfigMaps in `file`, or else for those that the arguments name.
///
/// # Errors
/// One sentence with the place and the fault; also when no name is proved by http-01.
pub fn run(file: Option<&Path>, options: &RouteOptions, arguments: &Arguments) -> Result<String, String> {
    let name = name(arguments.lease.as_deref())?;
    let instances = role::instances(file, arguments)?;
    let mut text = format!(
        "# Printed by `notariat http-route` for {}: print it anew when that changes.\n",
        role::sources(&instances)
    );
    let mut found = false;
    for instance in &instances {
        let wanted = instance.desired.wanted.values();
        let of = |spec: &std::sync::Arc<crate::sources::CertificateSpec>| {
            let names = spec.entry.order_names().into_iter();
            let by_http = names.filter(|name| spec.challenge_of(name) == ChallengeType::Http01);
            by_http.map(|name| name.base().clone()).collect::<Vec<_>>()
        };
        let hosts: BTreeSet<DnsName> = wanted.flat_map(of).collect();
        if hosts.is_empty() {
            continue;
        }
        found = true;
        let object = ObjectRef::new(&instance.own, &name);
        text.push_str(&match &options.gateway {
            Some((gateway, section)) => http_routes(&object, &hosts, gateway, section.as_deref(), options.path_type),
            None => ingress(&object, &hosts, options.ingress_class.as_deref(), options.path_type),
        });
    }
    match found {
        true => Ok(text),
        false => Err("no name is proved by http-01: set `challenge: http-01` in an entry, in `defaults`, in `zones` or in an issuer".to_owned()),
    }
}

/// The name of the Service and of the objects. Two instances in one namespace have two Leases, so their objects differ as well.
fn name(lease: Option<&str>) -> Result<String, String> {
    let name = format!("{}-acme", lease.unwrap_or("notariat"));
    match check_namespace(&name).is_ok() && name.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => Ok(name),
        false => {
            Err(format!("no Service can have the name {name}, which is that of the Lease (-lease-name) with `-acme`"))
        }
    }
}

/// The head of an object. Values are quoted: a name may look like a number.
fn head(api: &str, kind: &str, at: &ObjectRef) -> String {
    let ObjectRef { namespace, name, .. } = at;
    let (namespace, name) = (namespace.to_string(), name.to_string());
    format!("---\napiVersion: {api}\nkind: {kind}\nmetadata:\n  name: {name:?}\n  namespace: {namespace:?}\nspec:\n")
}

/// One Ingress with a rule for each host: controllers prefer a rule that names the host.
fn ingress(at: &ObjectRef, hosts: &BTreeSet<DnsName>, class: Option<&str>, path_type: &str) -> String {
    let service = at.name.to_string();
    let mut lines = vec![head("networking.k8s.io/v1", "Ingress", at)];
    lines.extend(class.map(|class| format!("  ingressClassName: {class:?}\n")));
    lines.push("  rules:\n".to_owned());
    lines.extend(hosts.iter().map(|host| {
        format!(
            "    - host: {:?}\n      http:\n        paths:\n          - path: {CHALLENGE_PATH:?}\n            pathType: {path_type}\n            \
             backend: {{service: {{name: {service:?}, port: {{number: {PORT}}}}}}}\n",
            host.as_str()
        )
    }));
    lines.concat()
}

/// HTTPRoutes with 16 hosts each, which is what one may have, in the order of the names.
fn http_routes(
    at: &ObjectRef,
    hosts: &BTreeSet<DnsName>,
    gateway: &ObjectRef,
    section: Option<&str>,
    path_type: &str,
) -> String {
    let (parent, parent_namespace, service) =
        (gateway.name.to_string(), gateway.namespace.to_string(), at.name.to_string());
    let hosts: Vec<&DnsName> = hosts.iter().collect();
    let route = |(number, part): (usize, &[&DnsName])| {
        let at = ObjectRef::new(&at.namespace, &format!("{service}-{}", number + 1));
        let mut lines = vec![head("gateway.networking.k8s.io/v1", "HTTPRoute", &at)];
        lines.push(format!("  parentRefs:\n    - name: {parent:?}\n      namespace: {parent_namespace:?}\n"));
        lines.extend(section.map(|section| format!("      sectionName: {section:?}\n")));
        lines.push("  hostnames:\n".to_owned());
        lines.extend(part.iter().map(|host| format!("    - {:?}\n", host.as_str())));
        lines.push(format!(
            "  rules:\n    - matches: [{{path: {{type: {path_type}, value: {CHALLENGE_PATH:?}}}}}]\n      \
             backendRefs: [{{name: {service:?}, port: {PORT}}}]\n"
        ));
        lines.concat()
    };
    hosts.chunks(HOSTNAMES_PER_ROUTE).enumerate().map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn hosts(count: usize) -> BTreeSet<DnsName> {
        (0..count).map(|n| format!("h{n:02}.a.test").parse().unwrap()).collect()
    }

    /// The documents, in which each name is a text.
    fn documents(text: &str) -> Vec<Value> {
        text.split("---\n").skip(1).map(|document| serde_yaml::from_str(document).unwrap()).collect()
    }

    #[test]
    fn an_ingress_has_a_rule_for_each_host_and_no_tls() {
        for (class, path_type) in [(Some("1e3"), "Prefix"), (None, "ImplementationSpecific")] {
            let found =
                documents(&ingress(&ObjectRef::new("12", "notariat-acme"), &hosts(3), class, path_type)).remove(0);
            assert_eq!(
                (&found["metadata"]["namespace"], &found["metadata"]["name"]),
                (&"12".into(), &"notariat-acme".into())
            );
            assert_eq!(found["spec"]["ingressClassName"].as_str(), class);
            assert!(found["spec"]["tls"].is_null());
            let rules = found["spec"]["rules"].as_array().unwrap();
            assert_eq!(
                rules.iter().map(|rule| rule["host"].as_str().unwrap()).collect::<Vec<_>>(),
                ["h00.a.test", "h01.a.test", "h02.a.test"]
            );
            let path = serde_json::json!({
                "path": "/.well-known/acme-challenge/", "pathType": path_type,
                "backend": {"service": {"name": "notariat-acme", "port": {"number": 80}}},
            });
            assert!(rules.iter().all(|rule| rule["http"]["paths"] == Value::from(vec![path.clone()])), "{found}");
        }
    }

    #[test]
    fn a_route_has_sixteen_hosts_at_most() {
        let at = ObjectRef::new("team", "web-acme");
        for section in [Some("80"), None] {
            let routes =
                documents(&http_routes(&at, &hosts(40), &ObjectRef::new("edge", "public"), section, "PathPrefix"));
            let counts: Vec<usize> = routes.iter().map(|r| r["spec"]["hostnames"].as_array().unwrap().len()).collect();
            assert_eq!(counts, [16, 16, 8]);
            for (number, route) in routes.iter().enumerate() {
                let parent = &route["spec"]["parentRefs"][0];
                assert_eq!(route["metadata"]["name"], format!("web-acme-{}", number + 1));
                assert_eq!(
                    (&parent["name"], &parent["namespace"], parent["sectionName"].as_str()),
                    (&"public".into(), &"edge".into(), section)
                );
                assert_eq!(route["spec"]["rules"][0]["backendRefs"][0]["name"], "web-acme");
            }
        }
    }

    #[test]
    fn two_instances_in_one_namespace_have_objects_of_two_names() {
        assert_eq!(name(None).as_deref(), Ok("notariat-acme"));
        assert_eq!(name(Some("notariat")).as_deref(), Ok("notariat-acme"));
        assert_eq!(name(Some("second")).as_deref(), Ok("second-acme"));
        for lease in ["a.b", "1st", &"l".repeat(60)] {
            assert!(name(Some(lease)).unwrap_err().contains("no Service can have the name"), "{lease}");
        }
    }
}
