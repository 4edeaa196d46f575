use std::sync::Arc;

use super::*;
use crate::config::issuers::Issuer;
use crate::config::node;
use crate::sources::SourceRef;
use crate::sources::merge::merge;
use crate::sources::resource::{IssuerOfObject, IssuerScope, ObjectIssuer, ResourceOptions};
use crate::sources::wish::{ObjectKey, Wish, WishOptions, WishProblem};

/// The claim of an object of this kind; `created` makes it a resource.
fn claim(kind: &'static str, object: &str, names: &[&str], created: Option<i64>) -> ObjectClaim {
    let issuer = Issuer::read("ClusterIssuer/ca", &node::read("{directory: 'https://ca.test'}").unwrap(), &"t".into());
    let issuer = Arc::new(ObjectIssuer::new(issuer.unwrap(), IssuerScope::Cluster));
    let resource = created.map(|created| ResourceOptions {
        revocations: Arc::default(),
        created: Some(Time::from_unix(created)),
        issuer: Ok(Some(IssuerOfObject { issuer, zones: Some(Arc::default()) })),
        renew_before_percent: None,
        renewal: None,
        csr: None,
        reuse_key: false,
        keep_key_type: false,
    });
    let at = ObjectRef::new("t", object);
    let name = |name: &&str| (Domain::parse(name).unwrap(), ["t".to_owned()].into());
    ObjectClaim {
        object: ObjectKey { kind, at: at.clone() },
        source: SourceRef::new(kind, &at, None),
        wish: Arc::new(Wish {
            secret: ObjectRef::new("t", "s"),
            place: "spec".to_owned(),
            names: names.iter().map(name).collect(),
            options: WishOptions { resource: resource.map(Arc::new), ..WishOptions::default() },
            adopt: false,
        }),
    }
}

/// The rules by which names that begin with `x` are refused.
const RULES: Rules<'static> = Rules {
    secret: &|_| Ok(()),
    name: &|_, name| if name.to_string().starts_with('x') { Err(format!("{name} is not yours")) } else { Ok(()) },
    options: &|_, options| Ok(options.clone()),
    issuer: &|_, _| Ok(()),
};

/// The served certificate, the problems, and whether it goes on as it was.
fn merged(claims: &[ObjectClaim]) -> (Option<String>, Vec<String>, bool) {
    merged_by(&RULES, claims)
}

fn merged_by(rules: &Rules<'_>, claims: &[ObjectClaim]) -> (Option<String>, Vec<String>, bool) {
    let found = merge(&ObjectRef::new("t", "s"), claims, None, &[], rules);
    let names = |wish: &MergedWish| wish.names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let served = found.wanted.as_ref().map(|wish| format!("{}: {}", wish.source, names(wish)));
    let problem =
        |(object, problem): &(ObjectKey, WishProblem)| format!("{object} {}: {problem}", problem.reason.name());
    (served, found.problems.iter().map(problem).collect(), found.goes_on.is_some())
}

#[test]
fn the_oldest_resource_has_the_secret_and_others_are_told() {
    let (a, b) = (|age| claim("Certificate", "a", &["a.test"], age), |age| claim("Certificate", "b", &["b.test"], age));
    for (claims, served) in [
        (vec![a(Some(1)), b(Some(2))], "Certificate t/a: a.test"),
        (vec![a(Some(2)), b(Some(1))], "Certificate t/b: b.test"),
        (vec![a(Some(1)), b(Some(1))], "Certificate t/a: a.test"),
        (vec![b(Some(1)), a(Some(1))], "Certificate t/a: a.test"),
    ] {
        let (found, problems, goes_on) = merged(&claims);
        assert_eq!((found.as_deref(), goes_on), (Some(served), false));
        assert!(problems.len() == 1 && problems[0].contains("Conflict: spec: Certificate t/"), "{problems:?}");
        assert!(problems[0].contains("is older and fills the Secret t/s"), "{problems:?}");
    }
}

#[test]
fn an_ingress_beside_a_certificate_is_silent_where_that_has_its_names() {
    let resource = claim("Certificate", "a", &["a.test", "*.b.test"], Some(1));
    for (names, is_told) in [(&["a.test"][..], false), (&["w.b.test"], false), (&["a.test", "c.test"], true)] {
        let (served, problems, _) = merged(&[resource.clone(), claim("Ingress", "i", names, None)]);
        assert_eq!(served.as_deref(), Some("Certificate t/a: a.test *.b.test"));
        assert_eq!(
            problems.iter().any(|told| told.contains("Ingress t/i Conflict: spec: Certificate t/a")),
            is_told,
            "{problems:?}"
        );
        assert_eq!(problems.len(), usize::from(is_told));
    }
}

#[test]
fn a_resource_is_served_whole_or_goes_on_as_it_was() {
    let (served, problems, goes_on) = merged(&[claim("Certificate", "a", &["a.test", "x.test"], Some(1))]);
    assert_eq!((served, goes_on), (None, true));
    assert_eq!(problems, ["Certificate t/a Refused: spec: x.test is not yours"]);
    let mut faulty = claim("Certificate", "a", &["a.test"], Some(1));
    let wish = Arc::make_mut(&mut faulty.wish);
    let why = WishProblem { reason: WishReason::Waiting, place: String::new(), sentence: "not there".to_owned() };
    let mut resource = (**wish.options.resource.as_ref().unwrap()).clone();
    resource.issuer = Err(why);
    wish.options.resource = Some(Arc::new(resource));
    let (served, problems, goes_on) = merged(&[faulty, claim("Certificate", "b", &["b.test"], Some(2))]);
    assert_eq!((served, goes_on, problems.len()), (None, true, 2));
    assert_eq!(problems[1], "Certificate t/a Waiting: spec: not there");
}

#[test]
fn a_resource_whose_secret_or_options_the_rules_refuse_goes_on_as_it_was() {
    let claims = [claim("Certificate", "a", &["a.test"], Some(1))];
    let secret = Rules { secret: &|_| Err("is in use".to_owned()), ..RULES };
    let options = Rules { options: &|_, _| Err("its issuer is not allowed".to_owned()), ..RULES };
    for (rules, sentence) in [(secret, "the Secret t/s is in use"), (options, "its issuer is not allowed")] {
        let problem = format!("Certificate t/a Refused: spec: {sentence}");
        assert_eq!(merged_by(&rules, &claims), (None, vec![problem], true));
    }
}
