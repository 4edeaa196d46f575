//! The routes that lead HTTP-01 challenges to notariat, as the solvers name them, and the steps for them.

use std::collections::{BTreeMap, BTreeSet};

use super::names::is_name;
use crate::base::name::{DnsName, check_namespace};
use crate::cert_manager::{GatewayParent, HttpRoute};

/// A route. Names are as they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Route {
    /// An Ingress of this class, or of the default one.
    Ingress(Option<String>),
    /// A rule in the Ingress of this namespace and name.
    WithinIngress(String, String),
    /// HTTPRoutes below a parent.
    Parent(GatewayParent),
    /// HTTPRoutes below a parent that is not named.
    Unnamed,
}

/// Before the command that makes the route.
const ROUTE: &str = "#route: ";

/// The names of a route that are shown.
const NAMES_SHOWN: usize = 4;

/// The routes that a solver makes for a Certificate in `namespace`.
pub(super) fn of(route: HttpRoute, namespace: &str) -> Vec<Route> {
    match route {
        HttpRoute::Ingress(class) => vec![Route::Ingress(class)],
        HttpRoute::WithinIngress(name) => vec![Route::WithinIngress(namespace.to_owned(), name)],
        HttpRoute::HttpRoutes(parents) if !parents.is_empty() => {
            let with_namespace = |parent: GatewayParent| match parent.namespace.as_str() {
                "" => GatewayParent { namespace: namespace.to_owned(), ..parent },
                _ => parent,
            };
            parents.into_iter().map(with_namespace).map(Route::Parent).collect()
        }
        HttpRoute::HttpRoutes(_) => vec![Route::Unnamed],
    }
}

/// The lines of the step. `program` is the command with the flags of the instance.
pub(super) fn lines(routes: &BTreeMap<Route, BTreeSet<DnsName>>, program: &str) -> Vec<String> {
    let command = |flags: &str| format!("{program}{flags}");
    if let ([(route, _)], Some(Ok(flags))) = (&routes.iter().collect::<Vec<_>>()[..], routes.keys().next().map(flags)) {
        let what = route.what();
        return vec![format!("# - {what}"), format!("{ROUTE}{} | kubectl apply -f -", command(&flags))];
    }
    let mut lines = Vec::new();
    if routes.len() > 1 {
        lines.push("# - The solvers lead to several places. Print each route, keep the hosts that are served there, and apply it under a name of its own:".to_owned());
    }
    for (route, names) in routes {
        let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(DnsName::as_str).collect();
        let more = names.len().saturating_sub(NAMES_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!("# - {}, for {}{more}", route.what(), shown.join(", ")));
        lines.push(match flags(route) {
            Ok(flags) => format!("#   {}", command(&flags)),
            Err(how) => format!("#   {how}"),
        });
    }
    lines
}

impl Route {
    fn what(&self) -> String {
        match self {
            Route::Ingress(Some(class)) => format!("An Ingress of the class {class:?}"),
            Route::Ingress(None) => "An Ingress of the default class".to_owned(),
            Route::WithinIngress(namespace, name) => format!("A rule in the Ingress {namespace:?} {name:?}"),
            Route::Parent(GatewayParent { kind, namespace, name, .. }) => {
                let kind = if kind.is_empty() { "Gateway" } else { kind };
                format!("HTTPRoutes below the {kind:?} {namespace:?} {name:?}")
            }
            Route::Unnamed => "HTTPRoutes below a Gateway that the solver does not name".to_owned(),
        }
    }
}

/// The flags of `notariat http-route`; else what is to be done by hand.
fn flags(route: &Route) -> Result<String, &'static str> {
    match route {
        Route::Ingress(None) => Ok(String::new()),
        Route::Ingress(Some(class)) if is_name(class) => Ok(format!(" -ingress-class {class}")),
        Route::Ingress(Some(_)) => Err("Its class can not stand in a command: give it to -ingress-class by hand."),
        Route::WithinIngress(..) => {
            Err("Its host can not be in two Ingresses: add the path to it by hand, with the Service notariat-acme.")
        }
        Route::Parent(GatewayParent { kind, namespace, name, section }) => {
            let is_plain =
                check_namespace(namespace).is_ok() && is_name(name) && (section.is_empty() || is_name(section));
            let section = if section.is_empty() { String::new() } else { format!("/{section}") };
            match matches!(kind.as_str(), "" | "Gateway") {
                true if is_plain => Ok(format!(" -gateway {namespace}/{name}{section}")),
                true => Err("Its name can not stand in a command: give it to -gateway by hand."),
                false => Err("It is no Gateway: change `parentRefs` in what `notariat http-route -gateway` prints."),
            }
        }
        Route::Unnamed => Err("Name it: notariat http-route -gateway NS/NAME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_route_is_a_command_and_several_are_for_the_operator() {
        let parent = |kind: &str, namespace: &str, name: &str, section: &str| {
            let [kind, namespace, name, section] = [kind, namespace, name, section].map(str::to_owned);
            HttpRoute::HttpRoutes(vec![GatewayParent { kind, namespace, name, section }])
        };
        let class = |class: &str| HttpRoute::Ingress(Some(class.to_owned()));
        let names: BTreeSet<DnsName> = (0..6).map(|n| format!("{n}.test").parse().unwrap()).collect();
        for (route, expected) in [
            (class("nginx"), "#route: notariat -ingress-class nginx | kubectl apply -f -"),
            (HttpRoute::Ingress(None), "#route: notariat | kubectl apply -f -"),
            (class("a; evil"), "#   Its class can not stand in a command"),
            (HttpRoute::WithinIngress("web".to_owned()), "#   Its host can not be in two Ingresses"),
            (parent("", "", "public", ""), "#route: notariat -gateway team/public | kubectl apply -f -"),
            (parent("Gateway", "edge", "public", "http"), "#route: notariat -gateway edge/public/http | kubectl"),
            (parent("Gateway", "edge", "public", "a b"), "#   Its name can not stand in a command"),
            (parent("Gateway", "e;", "public", ""), "#   Its name can not stand in a command"),
            (parent("ListenerSet", "", "public", ""), "#   It is no Gateway"),
            (HttpRoute::HttpRoutes(Vec::new()), "#   Name it"),
        ] {
            let routes = of(route, "team").into_iter().map(|route| (route, names.clone())).collect();
            let found = lines(&routes, "notariat");
            assert!(found.len() == 2 && found[1].starts_with(expected), "{found:?}");
            assert!(!found[1].contains("evil"), "{found:?}");
        }
        let several = [class("nginx"), class("traefik")].into_iter().flat_map(|route| of(route, "team"));
        let found = lines(&several.map(|route| (route, names.clone())).collect(), "notariat");
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(found[1], "# - An Ingress of the class \"nginx\", for 0.test, 1.test, 2.test, 3.test and 2 more");
        assert_eq!(found[2], "#   notariat -ingress-class nginx");
    }
}
