//! The contract: what the types, the schema, the examples and the programs say is the same, and foreign records are read.

use crate::common::golden::{case, golden};
use crate::common::sim::Sim;
use crate::common::{bash, command, root, run, run_with, testdata};
use llm_bench::record::schema;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A validator of lines for which an unknown field is an error. What a server sent raw has no fields of ours.
struct Validator {
    schemas: boon::Schemas,
    types: BTreeMap<&'static str, boon::SchemaIndex>,
}

impl Validator {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("records.json", closed(schema::document())).unwrap();
        let mut compile = |name| compiler.compile(&format!("records.json#/$defs/{name}"), &mut schemas).unwrap();
        let types = schema::types().iter().map(|record| (record.name, compile(record.name))).collect();
        Self { schemas, types }
    }

    fn refuses(&self, record: &Value) -> bool {
        let kind = record["type"].as_str().unwrap_or_default();
        self.types.get(kind).is_none_or(|schema| self.schemas.validate(record, *schema).is_err())
    }

    /// Asserts that a record is of the contract; its type.
    #[track_caller]
    fn check(&self, record: &Value) -> &'static str {
        let kind = record["type"].as_str().unwrap_or_default();
        let (name, schema) = self.types.get_key_value(kind).unwrap_or_else(|| panic!("unknown type: {record}"));
        self.schemas.validate(record, *schema).unwrap_or_else(|error| panic!("{error:#}\n{record:#}"));
        name
    }
}

/// A schema in which no object has another field than its type names.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        Value::Object(keys) => {
            keys.values_mut().for_each(|value| *value = closed(value.take()));
            if keys.get("properties").is_some_and(|fields| fields.is_object() && fields.get("$ref").is_none()) {
                keys.insert("additionalProperties".into(), false.into());
            }
        }
        _ => {}
    }
    schema
}

#[test]
fn the_programs_print_the_schema_of_the_types() {
    let printed = run("llm-run", ["--generate", "schema"], "").exits(0).stdout;
    assert_eq!(printed, std::fs::read_to_string(root().join("docs/records.schema.json")).unwrap());
}

#[test]
fn every_record_type_has_a_real_example() {
    let validator = Validator::new();
    for record in schema::types() {
        let path = testdata(&format!("records/{}.json", record.name));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let example: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(validator.check(&example), record.name);
        let mut unknown = example.clone();
        unknown["surprise"] = json!(1);
        assert!(validator.refuses(&unknown), "{}: a field that no type names", record.name);
        let written: Value = serde_json::from_str(&(record.rewrite)(&example.to_string()).unwrap()).unwrap();
        assert_eq!(written, example, "read and written again: testdata/records/make.sh makes the examples");
    }
}

#[test]
fn every_field_that_the_programs_write_is_documented() {
    let validator = Validator::new();
    let mut seen = BTreeSet::new();
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
            seen.insert(validator.check(&record));
        }
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        ["join_summary", "level", "load", "memory", "model", "power", "prompt", "result", "run", "run_end", "sampler"]
    );
}

/// The start of the one request in the tests of foreign records; it takes two seconds.
const T: f64 = 1_700_000_000.0;

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// The smallest records of another program: a start and a result.
fn foreign_results() -> String {
    lines(&[
        json!({"type": "start", "v": 1, "id": 1, "start_ts": T}),
        json!({"type": "result", "v": 1, "id": 1, "model": "m", "start_ts": T, "generation_time_seconds": 2}),
    ])
}

/// Joins the request with readings; the result, and what bench-report makes of it.
fn joined(readings: &str, status: i32) -> (Value, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("results.ndjson", &foreign_results());
    write("power.ndjson", readings);
    let memory = [0, 1, 2].map(|at| json!({"type": "memory", "v": 1, "ts": T + f64::from(at), "rss_bytes": 1000 + at}));
    write("memory.ndjson", &lines(&memory));
    let mut join = command("bench-join");
    join.current_dir(&folder).args(["--power", "power.ndjson", "--mem", "memory.ndjson", "results.ndjson"]);
    let ran = run_with(join, "").exits(status);
    let summary = run("bench-report", ["--format", "json"], &ran.stdout).exits(0).stdout;
    (ran.of_type("result")[0].clone(), serde_json::from_str(&summary).unwrap(), ran.stderr)
}

#[test]
fn minimal_foreign_records_give_the_right_joules() {
    let at = |seconds: i32, fields: Value| {
        let mut record = json!({"type": "power", "v": 1, "ts": T + f64::from(seconds)});
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        record
    };
    let sampler = |event: Value| json!({"type": "sampler", "v": 1, "event": event});
    let every = |fields: &dyn Fn(i32) -> Value| lines(&(0..=3).map(|s| at(s, fields(s))).collect::<Vec<_>>());
    let watts = |watts: i32| json!({"watts": {"wall": watts}});
    let bare = json!({"type": "sampler", "v": 1});
    for (name, readings, joules) in [
        ("instants: 30 W for 2 s", every(&|_| watts(30)), 60.0),
        ("instants: from 10 to 50 W in 2 s, 30 W on average", every(&|s| watts(10 + 20 * s)), 60.0),
        (
            "windows: 20 W, then 50 W, 1 s each",
            every(&|s| json!({"window_seconds": 1, "watts": {"wall": 30 * s - 10}})),
            70.0,
        ),
        ("windows of joules alone", every(&|s| json!({"window_seconds": 1, "joules": {"wall": 10 * s}})), 30.0),
        ("a counter: 7 J per second", every(&|s| json!({"joules": {"wall": 1000 + 7 * s}})), 14.0),
        ("a kind that is named", every(&|s| json!({"kind": "counter", "watts": {}, "joules": {"wall": 4 * s}})), 8.0),
        ("samplers", lines(&[bare.clone(), at(0, watts(5)), at(2, watts(5)), sampler(json!("end"))]), 10.0),
    ] {
        let (result, summary, _) = joined(&readings, 0);
        assert_eq!(result["power"]["energy_joules"], joules, "{name}: {result:#}");
        assert_eq!(result["power"]["coverage"], 1.0, "{name}");
        assert_eq!(result["memory"]["high_water"]["rss_bytes"], 1002, "{name}");
        assert_eq!(summary["groups"][0]["metrics"]["energy_joules"]["mean"], joules, "{name}: {summary:#}");
    }
}

#[test]
fn readings_without_an_energy_are_refused_by_line() {
    let mut told = String::new();
    for bad in [
        r#"{"type":"power","v":1,"watts":{"wall":30}}"#,
        r#"{"type":"power","v":1,"ts":"now","watts":{"wall":30}}"#,
        r#"{"type":"power","v":1,"ts":1,"watts":30}"#,
        r#"{"type":"power","v":1,"ts":1,"watts":{"wall":"30"}}"#,
        r#"{"type":"power","v":1,"ts":1}"#,
        r#"{"type":"power","v":1,"ts":1,"window_seconds":1}"#,
        r#"{"type":"power","v":1,"ts":1,"kind":"counter","watts":{"wall":30}}"#,
        r#"{"type":"power","v":1,"ts":1,"kind":"average","watts":{"wall":30}}"#,
        r#"{"type":"sampler","v":1,"event":"middle"}"#,
    ] {
        let good = [0.0, 2.0].map(|at| json!({"type": "power", "v": 1, "ts": T + at, "watts": {"wall": 30}}));
        let (result, _, stderr) = joined(&format!("{}\n{bad}\n{}\n", good[0], good[1]), 1);
        let line = stderr.lines().find(|line| line.starts_with("bench-join: power.ndjson:2: ")).unwrap_or_default();
        told += &case(bad, line);
        assert_eq!(result["power"]["energy_joules"], 60.0, "{bad}");
    }
    golden!("power-record-refused", told);
}

#[test]
fn a_foreign_result_needs_no_more_than_a_model() {
    for fields in [
        json!({}),
        json!({"tokens": {"input": 3, "output": 4}, "chunks": {"count": 2}, "cost": {"usd": 0.5}, "prompt": {}}),
        json!({"error": {}, "attempts": [{}]}),
        json!({"error": {"kind": "out_of_memory", "message": "x"}}),
        json!({"power": {"energy_joules": 60}, "memory": {"high_water": {"rss_bytes": 5}, "baseline": {}}}),
    ] {
        let mut result = json!({"type": "result", "v": 1, "model": "m"});
        result.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let ran = run("bench-report", ["--format", "json"], format!("{result}\n")).exits(0);
        let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(summary["groups"][0]["model"], "m", "{result}");
    }
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
    for folder in ["src/protocol", "src/sources/openrouter", "src/run", "src/bin/llm-run", "src"] {
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
