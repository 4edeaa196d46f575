use std::sync::Arc;

use super::*;
use crate::sources::wish::Wish;

fn domain(name: &str) -> Domain {
    Domain::parse(&format!("{name}.a.test")).unwrap()
}

/// A claim of the Ingress `object` for these names, which `options` change.
fn claim(object: &str, names: &[&str], options: WishOptions) -> ObjectClaim {
    let at = ObjectRef::new("t", object);
    let names = names.iter().map(|name| (domain(name), ["t".to_owned()].into())).collect();
    let (secret, place) = (ObjectRef::new("t", "s"), "spec.tls[0]".to_owned());
    let source = SourceRef::new("Ingress", &at, Some("u"));
    let wish = Arc::new(Wish { secret, place, names, options, adopt: false });
    ObjectClaim { object: ObjectKey { kind: "Ingress", at }, source, wish }
}

fn by_issuer(name: &str) -> WishOptions {
    WishOptions { issuer: Some(name.to_owned()), ..WishOptions::default() }
}

fn run(claims: &[ObjectClaim], entry: Option<&str>, held: &[&str]) -> Merged {
    let entry = entry.map(|yaml| Entry::read(&crate::config::node::read(yaml).unwrap(), &"t".into()).unwrap());
    let held: Vec<Domain> = held.iter().map(|name| domain(name)).collect();
    let rules = Rules {
        secret: &|at| if at.namespace == "t" { Ok(()) } else { Err("is elsewhere".to_owned()) },
        name: &|namespace, name| match name.to_string().contains("evil") {
            true => Err(format!("{name} is not for {namespace}")),
            false => Ok(()),
        },
        options: &|_, options| match options.issuer.as_deref() {
            Some("foreign") => Err("the issuer foreign is not for t".to_owned()),
            Some(_) => Ok(options.clone()),
            None => Ok(WishOptions { issuer: Some("line".to_owned()), ..options.clone() }),
        },
        issuer: &|options, name| match options.issuer.as_deref() == Some("narrow") && name.to_string().starts_with("z.")
        {
            true => Err(format!("{name} is not for the issuer narrow")),
            false => Ok(()),
        },
    };
    merge(&ObjectRef::new("t", "s"), claims, entry.as_ref(), &held, &rules)
}

/// The names without `.a.test`, the issuer, and the objects.
fn wanted(merged: &Merged) -> Option<(String, String, String)> {
    let wish = merged.wanted.as_ref()?;
    let names: Vec<String> = wish.names.iter().map(|name| name.to_string().replace(".a.test", "")).collect();
    let objects: Vec<&str> = wish.objects.iter().map(|object| object.at.name.as_str()).collect();
    Some((names.join(" "), wish.options.issuer.clone().unwrap_or_default(), objects.join(" ")))
}

fn problems(merged: &Merged) -> Vec<String> {
    let told = |(object, problem): &(ObjectKey, WishProblem)| {
        format!("{} {:?} {}: {}", object.at.name, problem.reason, problem.place, problem.sentence)
    };
    merged.problems.iter().map(told).collect()
}

#[test]
fn wishes_of_several_objects_are_one_certificate() {
    let plain = WishOptions::default;
    for (claims, expected, told) in [
        (vec![claim("i", &["x"], plain())], Some(("x", "line", "i")), vec![]),
        (vec![], None, vec![]),
        (
            vec![claim("i", &["y", "x"], plain()), claim("j", &["x", "z"], plain())],
            Some(("x y z", "line", "i j")),
            vec![],
        ),
        (
            vec![claim("i", &["x"], plain()), claim("j", &["evil"], plain())],
            Some(("x", "line", "i")),
            vec!["j Refused spec.tls[0]: evil.a.test is not for t"],
        ),
        (vec![claim("i", &["evil"], plain())], None, vec!["i Refused spec.tls[0]: evil.a.test is not for t"]),
        (
            vec![claim("i", &["evil", "x", "evil2", "evil3"], plain())],
            Some(("x", "line", "i")),
            vec!["i Refused spec.tls[0]: evil.a.test is not for t; refused, too: evil2.a.test, evil3.a.test"],
        ),
        // An object whose options are refused gets nothing, and the next one is the first.
        (
            vec![claim("i", &["x"], by_issuer("foreign")), claim("j", &["y"], by_issuer("lab"))],
            Some(("y", "lab", "j")),
            vec!["i Refused spec.tls[0]: the issuer foreign is not for t"],
        ),
        (
            vec![claim("i", &["x"], by_issuer("lab")), claim("j", &["y"], by_issuer("other"))],
            Some(("x y", "lab", "i j")),
            vec![
                "j Conflict spec.tls[0]: Ingress t/i fills the same Secret and comes first, so that its options count; these of this object do not: issuer",
            ],
        ),
        // Without an issuer an object has the one of the first; and who names that one is in no conflict.
        (vec![claim("i", &["x"], by_issuer("lab")), claim("j", &["y"], plain())], Some(("x y", "lab", "i j")), vec![]),
        (
            vec![claim("i", &["x"], plain()), claim("j", &["y"], by_issuer("line"))],
            Some(("x y", "line", "i j")),
            vec![],
        ),
        // The issuer of the first object serves all.
        (
            vec![claim("i", &["x", "z"], by_issuer("narrow")), claim("j", &["y", "z"], plain())],
            Some(("x y", "narrow", "i j")),
            vec![
                "i Refused spec.tls[0]: z.a.test is not for the issuer narrow",
                "j Refused spec.tls[0]: z.a.test is not for the issuer narrow",
            ],
        ),
    ] {
        let merged = run(&claims, None, &[]);
        let expected = expected.map(|(names, issuer, objects)| (names.into(), issuer.into(), objects.into()));
        assert_eq!((wanted(&merged), problems(&merged)), (expected, told.into_iter().map(str::to_owned).collect()));
    }
}

#[test]
fn every_option_of_another_object_that_differs_is_named() {
    let all = WishOptions {
        key_type: Some(crate::config::entry::KeyType::EcdsaP384),
        preferred_chain: Some("Root".to_owned()),
        renew_before: Some(std::time::Duration::from_secs(1)),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        annotations: [("a".to_owned(), "b".to_owned())].into(),
        http_without_key: true,
        ..by_issuer("lab")
    };
    let merged = run(&[claim("i", &["x"], WishOptions::default()), claim("j", &["y"], all.clone())], None, &[]);
    assert!(
        problems(&merged)[0]
            .ends_with("issuer, key type, preferred chain, time of the renewal, proof by http-01, labels, annotations")
    );
    assert!(problems(&run(&[claim("i", &["x"], all.clone()), claim("j", &["y"], all)], None, &[])).is_empty());
}

#[test]
fn two_wishes_of_one_object_add_up() {
    let mut vouched = claim("i", &["x", "evil"], WishOptions::default());
    let second = claim("i", &["x"], by_issuer("lab"));
    let merged = run(&[vouched.clone(), second], None, &[]);
    assert_eq!(wanted(&merged).unwrap().2, "i");
    assert_eq!(problems(&merged).len(), 1, "an object is in no conflict with itself");
    // A name that one wish may not have and the other one may is served.
    Arc::make_mut(&mut vouched.wish).names = [(domain("r"), ["t".to_owned()].into())].into();
    let mut refused = vouched.clone();
    Arc::make_mut(&mut refused.wish).names =
        [(Domain::parse("evil.r.a.test").unwrap(), ["t".to_owned()].into())].into();
    assert_eq!(problems(&run(&[refused, vouched], None, &[])).len(), 1);
}

#[test]
fn an_entry_of_the_configuration_decides_alone() {
    let entry = Some("{secret: s, domains: [x.a.test, '*.w.a.test']}");
    let (x, evil) =
        (claim("i", &["x", "p.w"], WishOptions::default()), claim("j", &["y", "x", "evil"], by_issuer("foreign")));
    let merged = run(&[x, evil], entry, &[]);
    assert_eq!(wanted(&merged), None);
    let told = problems(&merged);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with(
            "j Conflict spec.tls[0]: the configuration has an entry for the Secret t/s, which decides alone and lacks evil.a.test, y.a.test:"
        ),
        "{told:?}"
    );
}

#[test]
fn a_secret_that_may_not_be_written_is_refused() {
    let mut elsewhere = claim("i", &["x"], WishOptions::default());
    Arc::make_mut(&mut elsewhere.wish).secret = ObjectRef::new("u", "s");
    let rules = Rules {
        secret: &|_| Err("is in the namespace u".to_owned()),
        name: &|_, _| Ok(()),
        options: &|_, options| Ok(options.clone()),
        issuer: &|_, _| Ok(()),
    };
    let merged = merge(&ObjectRef::new("u", "s"), &[elsewhere], None, &[], &rules);
    assert_eq!(problems(&merged), ["i Refused spec.tls[0]: the Secret u/s is in the namespace u"]);
    assert!(merged.wanted.is_none());
}

#[test]
fn one_adopting_object_is_enough() {
    let mut adopting = claim("j", &["y"], WishOptions::default());
    Arc::make_mut(&mut adopting.wish).adopt = true;
    let plain = claim("i", &["x"], WishOptions::default());
    assert!(run(&[plain.clone(), adopting.clone()], None, &[]).wanted.unwrap().adopt);
    assert!(!run(std::slice::from_ref(&plain), None, &[]).wanted.unwrap().adopt);
    // An object of which nothing is served adopts nothing.
    let wish = Arc::make_mut(&mut adopting.wish);
    wish.names = [(domain("evil"), ["t".to_owned()].into())].into();
    assert!(!run(&[plain, adopting], None, &[]).wanted.unwrap().adopt);
}

#[test]
fn of_more_than_a_hundred_names_the_held_ones_stay_and_then_the_first_objects() {
    let many = |from: u32, to: u32| (from..to).map(|n| format!("n{n:03}")).collect::<Vec<_>>();
    let of = |object: &str, names: &[String]| {
        claim(object, &names.iter().map(String::as_str).collect::<Vec<_>>(), WishOptions::default())
    };
    let exact = run(&[of("i", &many(0, 60)), of("j", &many(50, 100))], None, &[]);
    assert_eq!((exact.wanted.unwrap().names.len(), exact.problems.len()), (100, 0));

    let claims = [of("i", &many(0, 60)), of("j", &many(50, 104))];
    let merged = run(&claims, None, &["n103", "n102", "gone"]);
    let names = merged.wanted.as_ref().unwrap().names.clone();
    assert_eq!(names.len(), 100);
    assert!(names.contains(&domain("n103")) && names.contains(&domain("n102")));
    let told = problems(&merged);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("j Refused spec.tls[0]: CAs allow 100 names in one certificate"), "{told:?}");
    assert!(told[0].ends_with("left out: n098.a.test, n099.a.test, n100.a.test, n101.a.test"), "{told:?}");
    assert_eq!(run(&claims, None, &["n103", "n102"]).wanted, merged.wanted, "the same again");

    let huge = run(&[of("i", &many(0, 10_000)), of("j", &["x".to_owned()])], None, &["x"]);
    assert_eq!(huge.wanted.as_ref().unwrap().names.len(), 100);
    let told = problems(&huge);
    assert!(told.len() == 1 && told[0].len() < 400 && told[0].ends_with("and 9896 more"), "{told:?}");
    let lost = run(&[of("i", &many(0, 100)), of("j", &["x".to_owned()])], None, &[]);
    assert_eq!(wanted(&lost).unwrap().2, "i", "nothing of the second object is served");
}
