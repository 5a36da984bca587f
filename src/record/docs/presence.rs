//! Whether each field of a record is required, absent or null: found by reading and writing records.

use super::example;
use crate::record::schema;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What a field may be besides a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// A record without it is refused.
    pub required: bool,
    /// A record that was read without it is written without it.
    pub absent: bool,
    /// A record that was read with null is written with null.
    pub null: bool,
    /// A record that was read with 0 is written with 0; true of what is no number.
    zero: bool,
}

impl Presence {
    /// As the type column has it.
    pub fn words(self) -> &'static str {
        match (self.null, self.absent) {
            (true, true) => ", null, or absent",
            (true, false) => " or null",
            (false, true) => ", or absent",
            (false, false) => "",
        }
    }
}

/// The presences of all fields, by type and field.
pub struct Presences(pub BTreeMap<(String, String), Presence>);

impl Presences {
    /// Tries every field of every record type of the schema.
    pub fn new(document: &Value) -> Self {
        let mut all = Self(BTreeMap::new());
        for record in schema::types() {
            let record = Tried { document, rewrite: record.rewrite, name: record.name, example: example(record.name) };
            all.fields(&record, record.name, &mut Vec::new());
        }
        all
    }

    /// The presence of a field; `None` for a record's `type` and `v`.
    pub fn of(&self, name: &str, field: &str) -> Option<Presence> {
        self.0.get(&(name.to_owned(), field.to_owned())).copied()
    }

    fn fields(&mut self, record: &Tried, name: &str, path: &mut Vec<Step>) {
        let Some(fields) = record.document["$defs"][name]["properties"].as_object() else { return };
        for (field, def) in fields {
            let key = (name.to_owned(), field.clone());
            if self.0.contains_key(&key) || (path.is_empty() && ["type", "v"].contains(&field.as_str())) {
                continue;
            }
            path.push(Step::Field(field.clone()));
            self.0.insert(key, record.presence(def, path));
            self.inside(record, def, path);
            path.pop();
        }
    }

    fn inside(&mut self, record: &Tried, def: &Value, path: &mut Vec<Step>) {
        let def = not_null(def);
        if let Some(name) = reference(def) {
            return self.fields(record, name, path);
        }
        for (key, step) in [("items", Step::Item), ("additionalProperties", Step::Entry)] {
            if def[key].is_object() {
                path.push(step);
                self.inside(record, &def[key], path);
                path.pop();
            }
        }
    }
}

/// A step into a record.
enum Step {
    Field(String),
    Item,
    Entry,
}

/// A record type, of whose example one field after the other is changed.
struct Tried<'a> {
    document: &'a Value,
    rewrite: fn(&str) -> Result<String, serde_json::Error>,
    name: &'static str,
    example: Value,
}

impl Tried<'_> {
    fn presence(&self, def: &Value, path: &[Step]) -> Presence {
        let absent = self.rewritten(path, None);
        let null = self.rewritten(path, Some(Value::Null));
        let number = matches!(type_of(not_null(def)), Some("number" | "integer"));
        let zero = || get(&self.rewritten(path, Some(json!(0)))?, path)?.as_f64();
        Presence {
            required: absent.is_none(),
            absent: absent.is_some_and(|record| get(&record, path).is_none()),
            null: null.is_some_and(|record| get(&record, path) == Some(&Value::Null)),
            zero: !number || zero() == Some(0.0),
        }
    }

    /// The example with another value in one place, read and written again; `None` where it is refused.
    fn rewritten(&self, path: &[Step], leaf: Option<Value>) -> Option<Value> {
        let def = &self.document["$defs"][self.name];
        let record = self.with(def, &self.example, path, leaf);
        (self.rewrite)(&record.to_string()).ok().map(|line| serde_json::from_str(&line).unwrap())
    }

    fn with(&self, def: &Value, value: &Value, path: &[Step], leaf: Option<Value>) -> Value {
        let Some((step, rest)) = path.split_first() else { return leaf.unwrap() };
        let def = self.resolved(def);
        match step {
            Step::Field(field) => {
                let mut fields = value.as_object().cloned().unwrap_or_else(|| self.required(def));
                if rest.is_empty() && leaf.is_none() {
                    fields.remove(field);
                } else {
                    let inner = fields.get(field).cloned().unwrap_or_default();
                    fields.insert(field.clone(), self.with(&def["properties"][field], &inner, rest, leaf));
                }
                Value::Object(fields)
            }
            Step::Item => json!([self.with(&def["items"], &value[0], rest, leaf)]),
            Step::Entry => {
                let first = value.as_object().and_then(|map| map.values().next()).cloned().unwrap_or_default();
                json!({ "key": self.with(&def["additionalProperties"], &first, rest, leaf) })
            }
        }
    }

    fn resolved<'b>(&'b self, def: &'b Value) -> &'b Value {
        let def = not_null(def);
        reference(def).map_or(def, |name| &self.document["$defs"][name])
    }

    /// The fields that an object of that type must have.
    fn required(&self, def: &Value) -> Map<String, Value> {
        let names = def["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(|name| (name.to_owned(), self.any(&def["properties"][name]))).collect()
    }

    /// A value of that type.
    fn any(&self, def: &Value) -> Value {
        let def = self.resolved(def);
        if let Some(values) = def["oneOf"].as_array() {
            return values[0]["const"].clone();
        }
        match type_of(def) {
            Some("object") => Value::Object(self.required(def)),
            Some("array") => json!([]),
            Some("string") => json!(""),
            Some("boolean") => json!(true),
            _ => json!(1),
        }
    }
}

/// The JSON type of a value that is not null.
pub fn type_of(def: &Value) -> Option<&str> {
    match &def["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        kind => kind.as_str(),
    }
}

/// Of a type or null, the type.
pub fn not_null(def: &Value) -> &Value {
    def["anyOf"].as_array().and_then(|any| any.iter().find(|def| def["type"] != "null")).unwrap_or(def)
}

/// The name of the type that a schema refers to.
pub fn reference(def: &Value) -> Option<&str> {
    def["$ref"].as_str()?.rsplit('/').next()
}

fn get<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(field) => value.get(field),
        Step::Item => value.get(0),
        Step::Entry => value.as_object()?.values().next(),
    })
}

/// The fields in which null means that a measurement was tried and failed, and whether they are absent where it was not tried.
const NULLS: [(&str, bool); 34] = [
    ("Errors.generation", false),
    ("Errors.load", false),
    ("JoinedPower.energy_joules", false),
    ("PhaseEnergy.energy_joules", false),
    ("RunPower.energy_joules", false),
    ("SearchPoint.passes", false),
    ("SearchQueue.grows", false),
    ("SearchValue.passes", false),
    ("SearchValue.value", false),
    ("accuracy.accurate_up_to", false),
    ("join_summary.memory", true),
    ("join_summary.power", true),
    ("load.error", false),
    ("load.load_time_seconds", false),
    ("memory.anon_bytes", true),
    ("memory.file_bytes", true),
    ("memory.footprint_bytes", true),
    ("memory.peak_bytes", true),
    ("memory.pss_bytes", true),
    ("memory.rss_bytes", true),
    ("result.error", false),
    ("result.finish_reason", false),
    ("result.generation_time_seconds", false),
    ("result.inter_chunk_latency_seconds", false),
    ("result.load_time_seconds", true),
    ("result.memory", true),
    ("result.power", true),
    ("result.time_to_first_output_token_seconds", false),
    ("result.tpot_corrected_seconds", false),
    ("result.tpot_seconds", false),
    ("result.ttft_scheduled_seconds", true),
    ("result.ttft_seconds", false),
    ("search.highest_passing", false),
    ("search.lowest_failing", false),
];

#[test]
fn null_differs_from_absent_and_from_zero() {
    let all = Presences::new(&schema::document()).0;
    let named = |(of, field): &(String, String)| format!("{of}.{field}");
    let nulls: Vec<(String, bool)> =
        all.iter().filter(|(_, presence)| presence.null).map(|(key, presence)| (named(key), presence.absent)).collect();
    assert_eq!(nulls, NULLS.map(|(name, absent)| (name.to_owned(), absent)));
    let lost: Vec<String> = all.iter().filter(|(_, presence)| !presence.zero).map(|(key, _)| named(key)).collect();
    assert_eq!(lost, Vec::<String>::new(), "fields that do not keep 0");
}
