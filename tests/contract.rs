//! The contract: what the documents say, what the types say and what the programs write are the same.

use crate::common::sim::Sim;
use crate::common::{bash, root, run, run_with};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn schema() -> Value {
    serde_json::from_str(&run("llm-run", ["--generate", "schema"], "").exits(0).stdout).unwrap()
}

/// Of each section of docs/records.md, the fields or values that its table names.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/records.md")).unwrap();
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = None;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ").or_else(|| line.strip_prefix("### ")) {
            section = title.strip_prefix('`').and_then(|t| t.strip_suffix('`')).map(str::to_owned);
        }
        let (Some(section), Some(row)) = (&section, line.strip_prefix("| `")) else { continue };
        let name = row.split('`').next().unwrap().trim_matches('"').to_owned();
        sections.entry(section.clone()).or_default().insert(name);
    }
    sections
}

/// Of each type of the schema, its fields, or the values of an enumeration.
fn known(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut types = BTreeMap::new();
    for (name, def) in schema["$defs"].as_object().unwrap() {
        let mut names = BTreeSet::new();
        if let Some(fields) = def["properties"].as_object() {
            names.extend(fields.keys().cloned());
        }
        for value in def["oneOf"].as_array().into_iter().flatten() {
            names.extend(value["const"].as_str().map(str::to_owned));
            names.extend(value["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        }
        if schema["oneOf"].as_array().unwrap().iter().any(|one| one["$ref"] == format!("#/$defs/{name}")) {
            names.remove("type");
            names.remove("v");
        }
        types.insert(name.clone(), names);
    }
    types
}

#[test]
fn every_field_of_the_types_is_documented_and_every_documented_field_is_of_the_types() {
    let (documented, known) = (documented(), known(&schema()));
    let names = |map: &BTreeMap<String, BTreeSet<String>>| map.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&known), "sections of docs/records.md and types");
    for (name, fields) in &known {
        assert_eq!(&documented[name], fields, "docs/records.md, section `{name}`, and the type");
    }
}

#[test]
fn the_schema_in_docs_is_the_schema_of_the_programs() {
    let path = root().join("docs/records.schema.json");
    let made = run("llm-run", ["--generate", "schema"], "").exits(0).stdout;
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), made, "run `make bless` and look at the difference");
}

/// The fields in `value` that `def` does not have, by path. What a server said raw is not ours to know.
fn unknown(schema: &Value, def: &Value, value: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = def["$ref"].as_str() {
        return unknown(schema, &schema["$defs"][name.rsplit('/').next().unwrap()], value, path, found);
    }
    if let Some(any) = def["anyOf"].as_array() {
        for def in any.iter().filter(|def| def["type"] != "null") {
            unknown(schema, def, value, path, found);
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            let Some(known) = def["properties"].as_object() else {
                if let Some(def) = def.get("additionalProperties") {
                    fields.iter().for_each(|(key, value)| unknown(schema, def, value, &format!("{path}.{key}"), found));
                }
                return;
            };
            for (key, value) in fields {
                let path = format!("{path}.{key}");
                match known.get(key) {
                    Some(def) => unknown(schema, def, value, &path, found),
                    None => {
                        found.insert(path);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(def) = def.get("items") {
                items.iter().for_each(|item| unknown(schema, def, item, path, found));
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_that_the_programs_write_is_documented() {
    let schema = schema();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for (profile, flags) in
        [("lmstudio", ""), ("openrouter", ""), ("ollama", ""), ("openai", "--save-text --save-stream")]
    {
        let sim = Sim::start(profile, &["--power-log", "/dev/null"]);
        let folder = tempfile::tempdir().unwrap();
        let mut script = bash(
            r#"cd "$DIR"
            power-sample --meter powermetrics --from "$METER" > power.ndjson || [ $? -eq 1 ]
            mem-sample --pid "$PID" --interval 100ms --count 5 > mem.ndjson & sleep 0.3
            llm-models "$PROFILE" --base-url "$URL" |
                llm-run --prompt hello --settle 100ms --artifacts . --max-tokens 9 --temperature 0.5 $FLAGS |
                bench-join --power power.ndjson --mem mem.ndjson --json-dir . > results.ndjson
            cat power.ndjson mem.ndjson results.ndjson"#,
        );
        let meter = root().join("testdata/powermetrics");
        let meter = std::fs::read_dir(meter)
            .unwrap()
            .filter_map(Result::ok)
            .map(|e| e.path())
            .find(|p| p.extension().is_some_and(|e| e == "log" || e == "txt"))
            .unwrap();
        script.envs([("PROFILE", profile), ("URL", &sim.url), ("FLAGS", flags)]);
        script.env("DIR", folder.path()).env("METER", meter).env("PID", sim.pid().to_string());
        for record in run_with(script, "").exits(0).records() {
            let kind = record["type"].as_str().unwrap().to_owned();
            unknown(&schema, &schema["$defs"][&kind], &record, &kind, &mut found);
            *seen.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(found, BTreeSet::new(), "fields that no document knows");
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["join_summary", "level", "load", "memory", "model", "power", "prompt", "result", "run", "run_end", "sampler"]
    );
}

/// The words that the sources put among the warnings of a result.
fn warning_words() -> BTreeSet<String> {
    let forms = [
        r#"warn\([^;]*?,\s*"([a-z_]+)",?\s*\);"#,
        r#"warnings\s*\.(?:insert|push)\("([a-z_]+)""#,
        r#"doubts\.push\("([a-z_]+)"\)"#,
        r#"\("?[a-z]+, "([a-z]+_length_differs)"\)"#,
    ];
    let mut words = BTreeSet::new();
    for folder in ["src/chat", "src/runner", "src/bin/llm-run"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for form in forms {
                    let form = regex::Regex::new(form).unwrap();
                    words.extend(form.captures_iter(code).map(|found| found[1].to_owned()));
                }
            }
        }
    }
    words
}

#[test]
fn every_warning_of_a_result_is_explained() {
    let words = warning_words();
    assert!(words.len() >= 14, "the sources are read: {words:?}");
    let page = std::fs::read_to_string(root().join("docs/benchmarking.md")).unwrap();
    let unexplained: Vec<&String> = words.iter().filter(|word| !page.contains(&format!("`{word}`"))).collect();
    assert_eq!(unexplained, Vec::<&String>::new());
}
