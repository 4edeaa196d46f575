//! The JSON Schema (draft 2020-12) of what the keys of a ConfigMap hold, made of the table that the parser reads by. Pure.
//!
//! The schema accepts every text that the parser accepts. The parser refuses more: what follows from two fields, from other keys or from
//! the command line, repeated fields, and what a regular expression without look-around can not say. tests/it/schema.rs lists the cases.

use serde_json::{Map, Value, json};

use crate::config::metadata::{PREFIX, reserved};
use crate::config::table::{FieldForm, FieldRow, FieldTable, ItemCount, KEYS, TextForm};

/// The schema, of one key or of a mapping with all keys.
pub fn text(key: Option<&str>) -> String {
    // A value never fails to be written.
    serde_json::to_string_pretty(&document(key)).unwrap_or_default() + "\n"
}

fn document(key: Option<&str>) -> Value {
    let reference = |row: &FieldRow| json!({"$ref": format!("#/$defs/{}", row.name)});
    let mut schema = match key {
        Some(key) => json!({"$ref": format!("#/$defs/{key}")}),
        None => {
            let properties: Map<String, Value> = KEYS.iter().map(|row| (row.name.to_owned(), reference(row))).collect();
            // Other keys are ignored, with a warning.
            json!({"type": "object", "properties": properties, "patternProperties": {"^certificates-": reference(&KEYS[0])}})
        }
    };
    let parts: Map<String, Value> = KEYS.iter().map(|row| (row.name.to_owned(), property(row, row.required))).collect();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(format!("ConfigMap of notariat {}", env!("CARGO_PKG_VERSION")));
    schema["$defs"] = Value::Object(parts);
    schema
}

/// The schema of a field's value. A field that stands there without a value is absent, so that it may be null unless it is required.
fn property(row: &FieldRow, required: bool) -> Value {
    let mut schema = value(&row.form);
    schema["description"] = json!(row.help);
    if required {
        return schema;
    }
    if let Some(Value::String(kind)) = schema.get("type") {
        schema["type"] = json!([kind, "null"]);
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    schema
}

fn value(form: &FieldForm) -> Value {
    match form {
        FieldForm::Text(form) => text_of(form),
        FieldForm::Word(words) => json!({"enum": words}),
        FieldForm::Bool => json!({"type": "boolean"}),
        FieldForm::Number(range, _) => json!({"type": "integer", "minimum": range.start(), "maximum": range.end()}),
        FieldForm::List(form, count) => list(text_of(form), count),
        FieldForm::OneOrList(form, count) => json!({"anyOf": [text_of(form), list(text_of(form), count)]}),
        FieldForm::Texts { key, value, most } => {
            let taken = json!({"anyOf": [{"pattern": format!("^{PREFIX}")}, {"enum": reserved().collect::<Vec<_>>()}]});
            let mut key = text_of(key);
            key["not"] = taken;
            json!({"type": "object", "propertyNames": key, "additionalProperties": text_of(value), "maxProperties": most})
        }
        FieldForm::Map(rows) => mapping(rows, false),
        FieldForm::Maps(rows, count) => list(mapping(rows, false), count),
        FieldForm::Named { key, rows, count, built_in } => named(key, rows, count, built_in),
        FieldForm::Defaults(rows) => mapping(rows, true),
        FieldForm::Any => json!({}),
    }
}

fn text_of(form: &TextForm) -> Value {
    let mut schema = json!({"type": "string"});
    if !form.pattern.is_empty() {
        schema["pattern"] = json!(form.pattern);
    }
    if form.most < usize::MAX {
        schema["maxLength"] = json!(form.most);
    }
    schema
}

fn list(items: Value, count: &ItemCount) -> Value {
    json!({"type": "array", "items": items, "minItems": count.least, "maxItems": count.most})
}

/// A mapping with these fields and no other, or with those that may be defaults.
fn mapping(rows: FieldTable, as_defaults: bool) -> Value {
    let rows = rows.iter().filter(|row| !(as_defaults && row.is_own()));
    let replaced: Vec<(&str, &str)> = rows.clone().filter_map(|row| Some((row.instead_of?, row.name))).collect();
    let needed = |row: &&FieldRow| row.required && replaced.iter().all(|(name, _)| *name != row.name);
    let property = |row: &FieldRow| (row.name.to_owned(), property(row, needed(&row)));
    let properties: Map<String, Value> = rows.clone().map(property).collect();
    let required: Vec<&str> = rows.filter(needed).map(|row| row.name).collect();
    let mut schema =
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    for (name, other) in &replaced {
        let is_there = |name: &str| json!({"required": [name], "properties": {name: {"not": {"type": "null"}}}});
        schema["anyOf"] = json!([is_there(name), is_there(other)]);
    }
    schema
}

/// A mapping from names to mappings. The names that are built in have what is required already.
fn named(key: &TextForm, rows: FieldTable, count: &ItemCount, built_in: &[&str]) -> Value {
    let item = mapping(rows, false);
    let mut extended = item.clone();
    extended["required"] = json!([]);
    let built_in: Map<String, Value> = built_in.iter().map(|name| ((*name).to_owned(), extended.clone())).collect();
    json!({
        "type": "object",
        "propertyNames": text_of(key),
        "properties": built_in,
        "additionalProperties": item,
        "maxProperties": count.most,
    })
}
