//! The scalars of a YAML text with their places, read without the code under test.

use serde_yaml::Value;

/// A scalar and the keys that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    pub path: Vec<String>,
    pub text: String,
}

/// The scalars of all documents. The name of a field is a scalar as well, with the path `["", …]`. `None` where the text is no YAML.
pub fn scalars(text: &str) -> Option<Vec<Scalar>> {
    let mut all = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = <Value as serde::Deserialize>::deserialize(document).ok()?;
        add(&value, &mut Vec::new(), &mut all);
    }
    Some(all)
}

fn add(value: &Value, path: &mut Vec<String>, all: &mut Vec<Scalar>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => all.push(Scalar { path: path.clone(), text: text.clone() }),
        Value::Sequence(items) => items.iter().for_each(|item| add(item, path, all)),
        Value::Mapping(fields) => {
            for (key, value) in fields {
                let name = key.as_str().unwrap_or_default().to_owned();
                match key {
                    Value::String(_) => all.push(Scalar { path: vec![String::new()], text: name.clone() }),
                    other => add(other, &mut vec![String::new()], all),
                }
                path.push(name);
                add(value, path, all);
                path.pop();
            }
        }
        Value::Tagged(tagged) => {
            all.push(Scalar { path: vec![String::new()], text: tagged.tag.to_string() });
            add(&tagged.value, path, all);
        }
    }
}

/// Tells whether aliases of a text may stand for very much. Each such input would take the whole budget of a tree; a unit test has them.
pub fn may_explode(text: &str) -> bool {
    text.contains('&') && text.matches('*').count() > 20
}

/// Tells whether the secret is there and stands in places for secrets only: every scalar that has a part of it is one that `is_secret` holds for.
pub fn is_hidden(text: &str, is_secret: impl Fn(&Scalar) -> bool) -> bool {
    crate::planted::is_in(text)
        && scalars(text)
            .is_some_and(|all| all.iter().all(|scalar| !crate::planted::is_in(&scalar.text) || is_secret(scalar)))
}
