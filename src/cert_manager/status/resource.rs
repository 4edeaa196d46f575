//! A status as it stands in an object, in a compact form that loses nothing of others.

use serde_json::{Map, Value, json};

use crate::base::limits::CONDITION_MESSAGE_OCTETS_MAX;
use crate::base::sanitize::line_of;
use crate::base::shared_str::SharedStr;
use crate::base::time::Time;

/// The reason of the condition Issuing by which `cmctl renew` asks for a renewal.
const ASKED: &str = "ManuallyTriggered";

/// The reason of the condition Ready of a Certificate that is served.
pub(super) const READY: &str = "Ready";
/// The message of the condition Ready of a Certificate that is served.
pub const GOOD: &str = "the Secret holds what is wanted";

/// The beginning of the names under which the controllers of cert-manager that serve Certificates write.
const CERT_MANAGER: &str = "cert-manager-certificates-";

/// An object, as far as a write of its status needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenResource {
    /// The version.
    pub version: ResourceVersion,
    /// `metadata.generation`
    pub generation: i64,
    /// `status`
    pub status: ResourceStatus,
    /// The last writer of the condition Ready.
    pub ready_by: LastWriter,
}

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceVersion {
    /// `metadata.uid`; shared with the reference to the object where that is kept as well.
    pub uid: SharedStr,
    /// `metadata.resourceVersion`
    pub version: Box<str>,
}

/// The last writer of a field, as far as the API server tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWriter {
    /// A controller of cert-manager.
    CertManager,
    /// Another program, or nobody knows.
    Another,
}

/// A status. All three kinds share the form; an Issuer has no fields but `ready` and `others`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceStatus {
    /// The condition Ready.
    pub ready: Option<Box<Condition>>,
    /// The condition Issuing.
    pub issuing: Option<Box<Condition>>,
    /// `notBefore` and `notAfter`
    pub validity: Option<(Time, Time)>,
    /// `renewalTime`
    pub renewal: Option<Time>,
    /// `revision`
    pub revision: Option<i64>,
    /// `lastFailureTime` and `failedIssuanceAttempts`. Boxed: most Certificates have neither.
    pub failures: Option<Box<ShownFailures>>,
    /// A value was seen that is not written again: `nextPrivateKeySecretName`, which is never read, or one that does not parse.
    pub is_unclean: bool,
    /// Fields and conditions of others, as they are: an object in JSON. Text takes less memory than values.
    pub(super) others: Option<Box<str>>,
}

/// The failed attempts that a status shows; at least one of the fields is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownFailures {
    /// `lastFailureTime`
    pub last: Option<Time>,
    /// `failedIssuanceAttempts`
    pub count: Option<u32>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `status`
    pub status: ConditionStatus,
    /// `reason`, one word.
    pub reason: SharedStr,
    /// `message`, one line.
    pub message: SharedStr,
    /// `lastTransitionTime`: when `status` became what it is.
    pub since: Option<Time>,
    /// `observedGeneration`
    pub generation: Option<i64>,
}

/// The truth of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of Kubernetes")]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

impl SeenResource {
    /// Reads an object; `None` where it has no uid or version.
    pub fn read(object: &Value) -> Option<SeenResource> {
        let metadata = &object["metadata"];
        let text = |field: &str| metadata[field].as_str().filter(|text| !text.is_empty());
        Some(SeenResource {
            version: ResourceVersion { uid: SharedStr::new(text("uid")?), version: text("resourceVersion")?.into() },
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            status: ResourceStatus::read(&object["status"]),
            ready_by: last_writer_of_ready(&metadata["managedFields"]),
        })
    }
}

/// The last writer of the condition Ready. An entry of `managedFields` with a list of conditions that has no keys stands for each of them.
fn last_writer_of_ready(managed_fields: &Value) -> LastWriter {
    let writes = |entry: &&Value| match &entry["fieldsV1"]["f:status"]["f:conditions"] {
        Value::Object(conditions) => conditions.is_empty() || conditions.contains_key(r#"k:{"type":"Ready"}"#),
        _ => false,
    };
    let entries = managed_fields.as_array().into_iter().flatten().filter(writes);
    // The times are all in UTC and in one format.
    let last = entries.max_by_key(|entry| entry["time"].as_str().unwrap_or_default());
    match last.and_then(|entry| entry["manager"].as_str()) {
        Some(manager) if manager.starts_with(CERT_MANAGER) => LastWriter::CertManager,
        Some(_) | None => LastWriter::Another,
    }
}

impl ResourceStatus {
    /// Reads a `status`; a missing one is empty.
    pub fn read(status: &Value) -> ResourceStatus {
        let mut read = ResourceStatus::default();
        let mut others = Map::new();
        let (mut not_before, mut not_after, mut failures) = (None, None, ShownFailures::default());
        for (field, value) in status.as_object().into_iter().flatten() {
            let mut time = |into: &mut Option<Time>| {
                *into = value.as_str().and_then(Time::parse_rfc3339);
                read.is_unclean |= into.is_none();
            };
            match field.as_str() {
                "notBefore" => time(&mut not_before),
                "notAfter" => time(&mut not_after),
                "renewalTime" => time(&mut read.renewal),
                "lastFailureTime" => time(&mut failures.last),
                "revision" => read.revision = value.as_i64(),
                "failedIssuanceAttempts" => failures.count = value.as_u64().and_then(|count| u32::try_from(count).ok()),
                "nextPrivateKeySecretName" => read.is_unclean = true,
                "conditions" => read.read_conditions(value, &mut others),
                _ => drop(others.insert(field.clone(), without_empty_texts(value.clone()))),
            }
        }
        read.is_unclean |= not_before.is_some() != not_after.is_some();
        read.validity = not_before.zip(not_after);
        read.failures = (failures != ShownFailures::default()).then(|| Box::new(failures));
        read.with_others(others)
    }

    /// The fields and conditions of others.
    pub(super) fn others(&self) -> Map<String, Value> {
        self.others.as_deref().and_then(|others| serde_json::from_str(others).ok()).unwrap_or_default()
    }

    /// The status with these fields and conditions of others.
    pub(super) fn with_others(self, others: Map<String, Value>) -> ResourceStatus {
        let others = (!others.is_empty()).then(|| Value::Object(others).to_string().into());
        ResourceStatus { others, ..self }
    }

    fn read_conditions(&mut self, conditions: &Value, others: &mut Map<String, Value>) {
        let mut foreign = Vec::new();
        for condition in conditions.as_array().into_iter().flatten() {
            let place = match condition["type"].as_str() {
                Some("Ready") => &mut self.ready,
                Some("Issuing") => &mut self.issuing,
                _ => {
                    foreign.push(without_empty_texts(condition.clone()));
                    continue;
                }
            };
            match Condition::read(condition) {
                Some(read) if place.is_none() => *place = Some(Box::new(read)),
                Some(_) | None => self.is_unclean = true,
            }
        }
        if !foreign.is_empty() {
            others.insert("conditions".to_owned(), foreign.into());
        }
    }

    /// The JSON of the status. No text in it is empty: some API servers refuse those.
    pub fn to_json(&self) -> Value {
        let mut status = self.others();
        let ours = [("Ready", &self.ready), ("Issuing", &self.issuing)].into_iter();
        let ours = ours.filter_map(|(type_, condition)| Some(condition.as_deref()?.to_json(type_)));
        let foreign = status.remove("conditions").and_then(|foreign| foreign.as_array().cloned()).unwrap_or_default();
        let conditions: Vec<Value> = ours.chain(foreign).collect();
        let mut put = |field: &str, value: Option<Value>| {
            status.extend(value.map(|value| (field.to_owned(), value)));
        };
        let time = |time: Option<Time>| time.map(|time| json!(time.to_string()));
        put("conditions", (!conditions.is_empty()).then(|| conditions.into()));
        put("notBefore", time(self.validity.map(|(begins, _)| begins)));
        put("notAfter", time(self.validity.map(|(_, ends)| ends)));
        put("renewalTime", time(self.renewal));
        put("revision", self.revision.map(Value::from));
        put("lastFailureTime", time(self.failures.as_deref().and_then(|failures| failures.last)));
        put("failedIssuanceAttempts", self.failures.as_deref().and_then(|failures| failures.count).map(Value::from));
        without_empty_texts(Value::Object(status))
    }

    /// True where there is a field of this name besides those of cert-manager's Certificates.
    pub fn has_field(&self, name: &str) -> bool {
        self.others().contains_key(name)
    }

    /// The request of `cmctl renew`, by its time: a condition Issuing that is true and names it as its reason.
    pub fn renewal_asked(&self) -> Option<Time> {
        let issuing = self.issuing.as_deref()?;
        let is_asked = issuing.status == ConditionStatus::True && *issuing.reason == *ASKED;
        issuing.since.filter(|_| is_asked)
    }

    /// Returns the status, where it differs from the one `before`.
    pub(super) fn unless_in(self, before: &ResourceStatus) -> Option<ResourceStatus> {
        (before.is_unclean || self != *before).then_some(self)
    }
}

/// A text of a condition. There may be 10,000 conditions Ready that are true: these share their words. All others may be anybody's.
fn word(text: &str) -> SharedStr {
    if [READY, GOOD].contains(&text) { SharedStr::intern(text) } else { SharedStr::new(text) }
}

/// The value without fields whose text is empty.
fn without_empty_texts(value: Value) -> Value {
    let is_empty = |value: &Value| value.as_str().is_some_and(str::is_empty);
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !is_empty(value));
            Value::Object(kept.map(|(field, value)| (field, without_empty_texts(value))).collect())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().filter(|item| !is_empty(item)).map(without_empty_texts).collect())
        }
        other => other,
    }
}

impl Condition {
    fn read(condition: &Value) -> Option<Condition> {
        let text = |field: &str| condition[field].as_str().unwrap_or_default();
        Some(Condition {
            status: match text("status") {
                "True" => ConditionStatus::True,
                "False" => ConditionStatus::False,
                "Unknown" => ConditionStatus::Unknown,
                _ => return None,
            },
            reason: word(text("reason")),
            message: word(text("message")),
            since: Time::parse_rfc3339(text("lastTransitionTime")),
            generation: condition["observedGeneration"].as_i64(),
        })
    }

    /// A condition as it is to be after `before`: the time of the transition moves only with the status.
    pub(super) fn after(
        before: Option<&Condition>,
        is_true: bool,
        reason: &str,
        message: &str,
        generation: i64,
        now: Time,
    ) -> Box<Condition> {
        let status = if is_true { ConditionStatus::True } else { ConditionStatus::False };
        let since = before.filter(|before| before.status == status).and_then(|before| before.since).unwrap_or(now);
        let message = word(&line_of(message, CONDITION_MESSAGE_OCTETS_MAX));
        Box::new(Condition {
            status,
            reason: SharedStr::intern(reason),
            message,
            since: Some(since),
            generation: Some(generation),
        })
    }

    fn to_json(&self, type_: &str) -> Value {
        let mut condition = json!({"type": type_, "status": self.status.name(), "message": &*self.message});
        condition["reason"] = json!(self.reason.as_str());
        if let Some(since) = self.since {
            condition["lastTransitionTime"] = json!(since.to_string());
        }
        if let Some(generation) = self.generation {
            condition["observedGeneration"] = json!(generation);
        }
        condition
    }
}

impl ConditionStatus {
    const fn name(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }
}
