use super::*;
use crate::sources::SourceRef;
use crate::sources::wish::{Wish, WishOptions, WishReason};

fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: "Ingress", at: ObjectRef::new("t", name) }
}

fn secret(name: &str) -> ObjectRef {
    ObjectRef::new("t", name)
}

fn problem(sentence: &str) -> WishProblem {
    WishProblem { reason: WishReason::Invalid, place: "spec.tls[0]".to_owned(), sentence: sentence.to_owned() }
}

fn wishes(object: &str, secrets: &[&str], problems: &[&str]) -> ObjectWishes {
    let wish = |name: &&str| Wish {
        secret: secret(name),
        place: "spec.tls[0]".to_owned(),
        names: [].into(),
        options: WishOptions::default(),
        adopt: false,
    };
    ObjectWishes {
        source: SourceRef::new("Ingress", &ObjectRef::new("t", object), None),
        wishes: secrets.iter().map(wish).collect(),
        problems: problems.iter().map(|sentence| problem(sentence)).collect(),
    }
}

fn note(index: &mut WishIndex, object: &str, wishes: Option<&ObjectWishes>) -> (Vec<String>, bool) {
    let mut affected = Vec::new();
    let changed = index.note(&key(object), wishes, &mut affected);
    affected.sort();
    affected.dedup();
    (affected.iter().map(|at| at.name.to_string()).collect(), changed)
}

fn told(index: &WishIndex, object: &str) -> Vec<String> {
    index.problems_of(&key(object)).map(ToString::to_string).collect()
}

#[test]
fn a_change_affects_the_secrets_of_before_and_of_now() {
    let mut index = WishIndex::default();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    assert_eq!(note(&mut index, "j", Some(&wishes("j", &["a", "b", "a"], &[]))), (words(&["a", "b"]), false));
    assert_eq!(note(&mut index, "i", Some(&wishes("i", &["b"], &[]))), (words(&["b"]), false));
    assert_eq!(index.objects_of(&secret("b")), [key("i"), key("j")], "sorted, whoever came first");
    note(&mut index, "k", Some(&wishes("k", &["b"], &[])));
    assert_eq!(index.objects_of(&secret("b")), [key("i"), key("j"), key("k")]);
    note(&mut index, "k", None);
    assert_eq!(note(&mut index, "j", Some(&wishes("j", &["c"], &[]))), (words(&["a", "b", "c"]), false));
    assert_eq!(index.objects_of(&secret("a")), []);
    assert_eq!(index.secrets().map(|at| at.name.to_string()).collect::<Vec<_>>(), words(&["b", "c"]));
    assert_eq!(index.len_of("Ingress", &ClusterName::HOME), 2);
    assert_eq!(note(&mut index, "j", None), (words(&["c"]), false));
    assert_eq!(note(&mut index, "j", None), (words(&[]), false));
    assert_eq!((index.len_of("Ingress", &ClusterName::HOME), index.len_of("Service", &ClusterName::HOME)), (1, 0));
}

#[test]
fn problems_are_news_only_when_they_change() {
    let mut index = WishIndex::default();
    assert!(note(&mut index, "i", Some(&wishes("i", &["a"], &["bad"]))).1);
    assert!(!note(&mut index, "i", Some(&wishes("i", &["a"], &["bad"]))).1);
    let set = |index: &mut WishIndex, sentence: Option<&str>| {
        index.set_problems(&secret("a"), sentence.map(|sentence| (key("i"), problem(sentence))).into_iter().collect())
    };
    assert_eq!(set(&mut index, Some("refused")), [key("i")]);
    assert_eq!(set(&mut index, Some("refused")), []);
    assert_eq!(told(&index, "i"), ["spec.tls[0]: bad", "spec.tls[0]: refused"]);
    assert_eq!(index.problems().count(), 2);
    assert_eq!(set(&mut index, Some("refused for another reason")), [key("i")]);
    assert_eq!(set(&mut index, None), [key("i")]);
    set(&mut index, Some("refused"));
    // What was said of a Secret goes with the wish for it.
    assert!(note(&mut index, "i", Some(&wishes("i", &["b"], &[]))).1);
    assert_eq!(told(&index, "i"), [""; 0]);
    set_for(&mut index, "b");
    assert!(note(&mut index, "i", None).1, "who comes back with it is told again");
}

fn set_for(index: &mut WishIndex, name: &str) {
    assert_eq!(index.set_problems(&secret(name), vec![(key("i"), problem("refused"))]), [key("i")]);
}

#[test]
fn problems_of_one_object_are_bounded() {
    let mut index = WishIndex::default();
    let many: Vec<String> = (0..10_000).map(|n| format!("bad {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    note(&mut index, "i", Some(&wishes("i", &["a"], &many)));
    index.set_problems(&secret("a"), vec![(key("i"), problem("x"))]);
    assert_eq!(
        (told(&index, "i").len(), index.problems().count()),
        (PROBLEMS_OF_OBJECT_MAX, PROBLEMS_OF_OBJECT_MAX + 1)
    );
}

#[test]
fn two_indices_differ_by_their_problems() {
    let (mut one, mut other) = (WishIndex::default(), WishIndex::default());
    for index in [&mut one, &mut other] {
        note(index, "same", Some(&wishes("same", &["a"], &["bad"])));
    }
    note(&mut one, "gone", Some(&wishes("gone", &["a"], &["bad"])));
    note(&mut other, "new", Some(&wishes("new", &["a"], &["bad"])));
    note(&mut one, "changed", Some(&wishes("changed", &["a"], &["bad"])));
    note(&mut other, "changed", Some(&wishes("changed", &["a"], &["worse"])));
    assert_eq!(other.differ(&one), [key("gone"), key("new"), key("changed")].into());
}
