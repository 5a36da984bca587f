//! `docs/records.md` and `docs/records.schema.json`, generated from the types.
//!
//! Whether a field is required, absent or null is not derived from attributes but tried: each field of a real record is left out, or set to
//! null, and the record is read and written again.

mod presence;

use super::schema;
use presence::{Presences, not_null, reference, type_of};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;

/// Rules and order of the records; the sections follow it.
const TEMPLATE: &str = include_str!("docs/template.md");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A record as a run against llm-sim wrote it.
fn example(kind: &str) -> Value {
    let path = root().join(format!("testdata/records/{kind}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page: a section per record type, with its nested types after it, at their first use.
fn markdown() -> String {
    let document = schema::document();
    let defs = document["$defs"].as_object().unwrap();
    let presences = Presences::new(&document);
    let mut page = Page { defs, presences, text: TEMPLATE.to_owned(), seen: HashSet::new() };
    for record in schema::types() {
        page.record(record.name);
    }
    page.text
}

struct Page<'a> {
    defs: &'a Map<String, Value>,
    presences: Presences,
    text: String,
    seen: HashSet<String>,
}

impl Page<'_> {
    fn record(&mut self, name: &str) {
        let def = &self.defs[name];
        self.head("##", name, def);
        let fields = def["properties"].as_object().unwrap().keys();
        let required: Vec<&str> = fields
            .map(String::as_str)
            .filter(|field| self.presences.of(name, field).is_some_and(|presence| presence.required))
            .collect();
        if !required.is_empty() {
            writeln!(self.text, "\nReaders require `{}`.", required.join("`, `")).unwrap();
        }
        self.fields(name, def);
        write!(self.text, "\n```json\n{:#}\n```\n\n", example(name)).unwrap();
        self.nested(def);
    }

    fn head(&mut self, level: &str, name: &str, def: &Value) {
        writeln!(self.text, "{level} `{name}`\n\n{}", flowed(def)).unwrap();
    }

    /// The types that a type refers to, and theirs, each once.
    fn nested(&mut self, def: &Value) {
        for name in references(def) {
            if !self.seen.insert(name.clone()) {
                continue;
            }
            let def = &self.defs[&name];
            self.head("###", &name, def);
            match def["oneOf"].as_array() {
                Some(values) => self.values(values),
                None => self.fields(&name, def),
            }
            self.text.push('\n');
            self.nested(def);
        }
    }

    fn fields(&mut self, name: &str, def: &Value) {
        self.text.push_str("\n| field | type | meaning |\n|---|---|---|\n");
        for (field, def) in def["properties"].as_object().unwrap() {
            if let Some(presence) = self.presences.of(name, field) {
                let kind = format!("{}{}", kind(def), presence.words());
                writeln!(self.text, "| `{field}` | {kind} | {} |", flowed(def)).unwrap();
            }
        }
    }

    fn values(&mut self, values: &[Value]) {
        self.text.push_str("\n| value | meaning |\n|---|---|\n");
        for value in values {
            writeln!(self.text, "| `{}` | {} |", value["const"], flowed(value)).unwrap();
        }
    }
}

/// A description in one line, as a cell of a table has it.
fn flowed(def: &Value) -> String {
    def["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// The type of a value that is not null.
fn kind(def: &Value) -> String {
    let def = not_null(def);
    if let Some(name) = reference(def) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let many = |def: &Value| if nullable(def) { format!("{} or null", kind(def)) } else { kind(def) };
    match type_of(def) {
        Some("array") => match (def["prefixItems"].as_array(), def["minItems"].as_u64()) {
            (Some(items), _) => format!("[{}]", items.iter().map(kind).collect::<Vec<_>>().join(", ")),
            (None, Some(n)) => format!("list of {n} × {}", many(&def["items"])),
            (None, None) => format!("list of {}", many(&def["items"])),
        },
        Some("object") if def["additionalProperties"].is_object() => {
            format!("map to {}", many(&def["additionalProperties"]))
        }
        Some(plain) => plain.to_owned(),
        None => "any".to_owned(),
    }
}

fn nullable(def: &Value) -> bool {
    let null = |kind: &Value| kind == "null";
    def["type"].as_array().is_some_and(|kinds| kinds.iter().any(null))
        || def["anyOf"].as_array().is_some_and(|any| any.iter().any(|def| null(&def["type"])))
}

/// The names of the types that a type refers to, in order.
fn references(def: &Value) -> Vec<String> {
    match def {
        Value::Object(fields) => {
            fields.iter().flat_map(|(_, value)| references(value)).chain(reference(def).map(str::to_owned)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Compares a generated file with what it should be; with `BLESS=1`, writes it.
fn check(path: &str, made: &str) {
    let file = root().join(path);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).is_ok_and(|text| text == made),
        "{path} is stale: run `make bless` and look at the difference"
    );
}

#[test]
fn the_page_and_the_schema_are_generated() {
    check("docs/records.schema.json", &format!("{:#}\n", schema::document()));
    check("docs/records.md", &markdown());
}
