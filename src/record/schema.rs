//! The records as JSON Schema, made from the types, so that other programs can check what they read.

use super::{
    Accuracy, Body, JoinSummary, Load, LoadLevel, Memory, Model, Outcome, Power, Prompt, Run, RunEnd, Sampler, Search,
    Start, V,
};
use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// A record type of the contract.
pub struct RecordType {
    /// The value of `"type"`.
    pub name: &'static str,
    /// Its JSON Schema, with the types that it refers to in `$defs`.
    pub schema: Value,
    /// Reads a line of this type and writes it again, as far as this version of the contract understands it.
    pub rewrite: fn(&str) -> Result<String, serde_json::Error>,
}

/// Every record type of the contract, in the order in which a run meets them.
pub fn types() -> Vec<RecordType> {
    vec![
        of::<Model>(),
        of::<Run>(),
        of::<Prompt>(),
        of::<Load>(),
        of::<Start>(),
        of::<Outcome>(),
        of::<LoadLevel>(),
        of::<Search>(),
        of::<RunEnd>(),
        of::<Sampler>(),
        of::<Power>(),
        of::<Memory>(),
        of::<JoinSummary>(),
        of::<Accuracy>(),
    ]
}

/// One schema for a line of any record: `oneOf` the types. Additional fields are allowed everywhere, as the contract says.
pub fn document() -> Value {
    let mut defs = Map::new();
    let mut any = Vec::new();
    for RecordType { name, mut schema, .. } in types() {
        if let Some(inner) = schema.as_object_mut() {
            inner.remove("$schema");
            if let Some(Value::Object(nested)) = inner.remove("$defs") {
                defs.extend(nested);
            }
        }
        defs.insert(name.to_owned(), schema);
        any.push(json!({ "$ref": format!("#/$defs/{name}") }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of llm-bench",
        "oneOf": any,
        "$defs": defs,
    })
}

fn of<T: Body + JsonSchema + DeserializeOwned>() -> RecordType {
    let mut schema = schema_for!(T).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), T::TYPE.into());
        let mut properties = Map::new();
        properties.insert("type".into(), json!({ "const": T::TYPE, "description": "The record type." }));
        properties.insert("v".into(), json!({ "const": V, "description": "The version of the contract." }));
        if let Some(Value::Object(fields)) = object.remove("properties") {
            properties.extend(fields);
        }
        object.insert("properties".into(), Value::Object(properties));
        let mut required = vec![json!("type"), json!("v")];
        if let Some(Value::Array(fields)) = object.remove("required") {
            required.extend(fields);
        }
        object.insert("required".into(), Value::Array(required));
    }
    RecordType { name: T::TYPE, schema, rewrite: |line| super::line(&serde_json::from_str::<T>(line)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_record_has_a_description() {
        fn walk(path: &str, schema: &Value, bare: &mut Vec<String>) {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
            for (name, field) in properties {
                if field.get("description").is_none() {
                    bare.push(format!("{path}.{name}"));
                }
                walk(&format!("{path}.{name}"), field, bare);
            }
        }
        let document = document();
        let mut bare = Vec::new();
        for (name, schema) in document["$defs"].as_object().unwrap() {
            walk(name, schema, &mut bare);
        }
        assert_eq!(bare, Vec::<String>::new());
    }
}
