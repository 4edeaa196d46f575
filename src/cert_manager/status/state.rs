//! The status of an object that is one state with fields beside it, as the kinds of Gardener have it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::certificate::moved;
use super::resource::{Condition, ResourceStatus, SeenResource};
use crate::base::limits::CONDITION_MESSAGE_OCTETS_MAX;
use crate::base::sanitize::line_of;
use crate::base::time::Time;

/// The facts about an object that its status shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateVerdict {
    /// The generation that was judged: `observedGeneration`.
    pub generation: i64,
    /// `state`, one word, which is the reason of the condition Ready as well.
    pub state: &'static str,
    /// Tells whether the condition Ready is true.
    pub is_ready: bool,
    /// `message` and that of the condition, one sentence, never empty.
    pub message: String,
    /// Further fields. Those that are not named stay as they are.
    pub fields: StateFields,
}

/// Fields of a status by name.
pub type StateFields = BTreeMap<&'static str, StateField>;

/// A field of a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateField {
    /// No such field.
    Absent,
    /// The value itself.
    Is(Value),
    /// The object, unless one stands there in which the named field is the same.
    Known(&'static str, Value),
    /// The time, unless the one that stands there differs by less than a minute.
    About(Time),
    /// The time at which the state became what it is.
    Since,
}

impl StateVerdict {
    /// The status to write over what was `seen`; `None` where nothing differs.
    pub fn next(&self, seen: &SeenResource, now: Time) -> Option<ResourceStatus> {
        let StateVerdict { generation, state, is_ready, message, fields } = self;
        let before = &seen.status;
        let stood = before.others();
        let has_begun = stood.get("state").is_some_and(|before| before == state);
        let mut others = stood.clone();
        others.insert("state".to_owned(), json!(state));
        others.insert("message".to_owned(), json!(line_of(message, CONDITION_MESSAGE_OCTETS_MAX)));
        others.insert("observedGeneration".to_owned(), json!(generation));
        for (name, field) in fields {
            match field.value(stood.get(*name), has_begun, now) {
                None => drop(others.remove(*name)),
                Some(value) => drop(others.insert((*name).to_owned(), value)),
            }
        }
        let ready = Condition::after(before.ready.as_deref(), *is_ready, state, message, *generation, now);
        let next = ResourceStatus { ready: Some(ready), is_unclean: false, ..before.clone() };
        next.with_others(others).unless_in(before)
    }
}

impl StateField {
    /// The value to write over the one that `stood` there; `None` for no field. `has_begun` where the state is the same as before.
    fn value(&self, stood: Option<&Value>, has_begun: bool, now: Time) -> Option<Value> {
        let time = stood.and_then(Value::as_str).and_then(Time::parse_rfc3339);
        match self {
            StateField::Absent => None,
            StateField::Is(value) => Some(value.clone()),
            StateField::Known(by, object) => {
                let is_known = |stood: &&Value| stood.get(by).is_some_and(|id| Some(id) == object.get(by));
                Some(stood.filter(is_known).unwrap_or(object).clone())
            }
            StateField::About(at) => Some(json!(moved(time, *at).to_string())),
            StateField::Since => Some(json!(time.filter(|_| has_begun).unwrap_or(now).to_string())),
        }
    }
}
