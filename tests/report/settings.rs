//! Grouping by the settings of a run: every field of `RunSettings`, versions, and settings that nobody declared.

use crate::common::run;
use llm_bench::record::{Effect, RunSettings, Source, fixture};
use serde_json::{Map, Value, json};

/// A run and one result of it, as lines. `more` is merged into the result.
fn run_of(name: &str, settings: &Value, version: &str, more: &Value) -> String {
    let mut run = fixture::run(name).set(|run| run.tool.version = version.into()).value();
    run["settings"] = settings.clone();
    let result =
        fixture::result(1, "m").run(name).source(Source::Openai).ttft(0.5).e2e(1.0).tokens(None, 9).prompt("p");
    let result = result.set(|o| o.endpoint = Some("http://h/v1/chat/completions".into())).merge(more.clone());
    format!("{run}\n{result}\n")
}

fn groups(args: &[&str], lines: &str) -> Vec<Value> {
    let ran = run("bench-report", [&["-f", "json"], args].concat(), lines).exits(0);
    serde_json::from_str::<Value>(&ran.stdout).unwrap()["groups"].as_array().unwrap().clone()
}

/// Groups of two runs with these settings.
fn groups_of(one: &Value, other: &Value, more: &Value) -> Vec<Value> {
    groups(&[], &(run_of("a", one, "1", more) + &run_of("b", other, "1", more)))
}

/// The two example values of a setting, out of the published schema.
fn examples(schema: &Value, name: &str) -> [Value; 2] {
    let field = &schema["$defs"]["RunSettings"]["properties"][name];
    let examples: Vec<Value> = field["examples"].as_array().unwrap_or_else(|| panic!("{name}: {field}")).clone();
    examples.try_into().unwrap()
}

fn setting(name: &str, value: &Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value.clone())]))
}

#[test]
fn each_setting_separates_groups_as_declared() {
    let schema: Value = serde_json::from_str(&run("llm-run", ["--generate", "schema"], "").exits(0).stdout).unwrap();
    for (name, effect) in RunSettings::FIELDS {
        let [one, other] = examples(&schema, name);
        assert_ne!(one, other, "{name}: the examples must differ");
        for example in [&one, &other] {
            let typed: RunSettings = serde_json::from_value(setting(name, example)).unwrap();
            assert!(typed.other.is_empty(), "{name}: {example} is of another type");
            assert_eq!(typed.values().get(*name), Some(example), "{name}");
        }
        let load = if *effect == Effect::OpenLoop { json!({ "rate": 2.0 }) } else { json!({}) };
        let found = groups_of(&setting(name, &one), &setting(name, &other), &load);
        let subs: Vec<&str> = found.iter().filter_map(|group| group["sub"].as_str()).collect();
        let expect = if effect.separates() { 2 } else { 1 };
        assert_eq!(found.len(), expect, "{name}: {subs:?}");
        if effect.separates() {
            let words = name.replace('_', " ");
            assert!(subs.len() == 2 && subs.iter().all(|sub| sub.starts_with(&words)), "{name}: {subs:?}");
        }
        let same = groups_of(&setting(name, &one), &setting(name, &one), &load);
        assert_eq!(same.len(), 1, "{name}: equal values are one group");
    }
}

#[test]
fn undeclared_settings_and_defaults_do_not_separate() {
    for (one, other) in [
        (json!({}), json!({ "weather": "rain", "timeout": "30m", "stream": "yes" })),
        (json!({}), json!({ "stream": true, "load": true, "api": "auto", "retries": 2, "warmup": 0 })),
        (json!({}), Value::Null),
    ] {
        assert_eq!(groups_of(&one, &other, &json!({})).len(), 1, "{one} {other}");
    }
    let without = run_of("a", &json!({}), "1", &json!({})).replace(",\"settings\":{}", "");
    assert!(!without.contains("settings"));
    assert_eq!(groups(&[], &(without + &run_of("b", &json!({}), "1", &json!({})))).len(), 1);
}

#[test]
fn long_settings_differ_by_their_digest() {
    let prompt = |end: &str| json!({ "system": format!("{}\n{end}", "Be brief. ".repeat(30)) });
    let found = groups_of(&prompt("Please."), &prompt("Now."), &json!({}));
    let said: Vec<&str> = found.iter().map(|group| group["settings"]["system"].as_str().unwrap()).collect();
    assert_eq!(said.len(), 2);
    assert!(
        said.iter().all(|text| text.chars().count() < 100 && text.contains(" #") && !text.contains('\n')),
        "{said:?}"
    );
}

#[test]
fn what_a_result_carries_overrides_its_run() {
    let of = |api: &str, nonce: Value| {
        let mut more = json!({ "api": api, "prompt": { "id": "p", "temperature": 0.5 } });
        more["prompt"]["nonce"] = nonce;
        more
    };
    let (chat, older, cold) = (of("chat", json!(null)), of("lmstudio-v0", json!(null)), of("chat", json!("0a1b")));
    let none = json!({});
    let lines = run_of("a", &none, "1", &chat) + &run_of("b", &none, "1", &older) + &run_of("c", &none, "1", &cold);
    let mut subs: Vec<String> = groups(&[], &lines).iter().map(|group| group["sub"].as_str().unwrap().into()).collect();
    subs.sort();
    assert_eq!(subs, ["api chat, nonce not set", "api chat, nonce on", "api lmstudio-v0, nonce not set"]);
    // The protocol that was requested says nothing beside the one that was spoken.
    let lines =
        run_of("a", &json!({ "api": "auto" }), "1", &chat) + &run_of("b", &json!({ "api": "chat" }), "1", &chat);
    assert_eq!(groups(&[], &lines).len(), 1);
}

#[test]
fn versions_of_tool_and_server_separate_groups() {
    let none = json!({});
    let older = run_of("a", &none, "0.1.0", &none);
    let newer = run_of("b", &none, "0.2.0", &none);
    let found = groups(&[], &(older.clone() + &newer));
    let subs: Vec<&str> = found.iter().map(|group| group["sub"].as_str().unwrap()).collect();
    assert_eq!(subs, ["tool llm-run 0.1.0", "tool llm-run 0.2.0"]);
    let pooled = groups(&["--group-by", "model,source,provider,load,settings,machine"], &(older.clone() + &newer));
    assert_eq!(pooled.len(), 1);

    // llm-run passes the models on after the head of its run.
    let served = |name: &str, base: &str, version: &str| {
        let model = json!({ "type": "model", "v": 1, "id": "m", "source": "openai", "base_url": base, "server": "vllm",
            "server_version": version });
        let lines = run_of(name, &none, "0.1.0", &none);
        let (head, rest) = lines.split_once('\n').unwrap();
        format!("{head}\n{model}\n{rest}")
    };
    let found = groups(
        &[],
        &(served("a", "http://h/v1", "0.9")
            + &served("b", "http://h/v1", "0.10")
            + &older.replace("\"run\":\"a\"", "\"run\":\"c\"")),
    );
    let mut subs: Vec<&str> = found.iter().map(|group| group["sub"].as_str().unwrap()).collect();
    subs.sort_unstable();
    assert_eq!(subs, ["server not set", "server vllm 0.10", "server vllm 0.9"]);
    let other = groups(&[], &(served("a", "http://other/v1", "0.9") + &newer.replace("0.2.0", "0.1.0")));
    assert_eq!(other.len(), 1, "the version of another server is not that of the one that answered");
}

#[test]
fn baselines_of_other_versions_are_still_compared() {
    let folder = tempfile::tempdir().unwrap();
    let baseline = folder.path().join("old.ndjson");
    let pair = |version: &str| {
        run_of("a", &json!({ "temperature": 0.5 }), version, &json!({}))
            + &run_of("b", &json!({ "temperature": 0.7 }), version, &json!({}))
    };
    std::fs::write(&baseline, pair("0.1.0") + &pair("0.2.0").replace("\"run\":\"", "\"run\":\"x")).unwrap();
    let compare = |new: String| {
        let args = ["-f", "json", "--baseline", baseline.to_str().unwrap()];
        serde_json::from_str::<Value>(&run("bench-report", args, new).exits(0).stdout).unwrap()
    };
    let exact = compare(pair("0.2.0"));
    assert!(!exact.to_string().contains("0.1.0 before"), "the same version is preferred: {}", exact["comparison"]);
    std::fs::write(&baseline, pair("0.1.0")).unwrap();
    let text =
        run("bench-report", ["-f", "text", "--baseline", baseline.to_str().unwrap()], pair("0.2.0")).exits(0).stdout;
    for line in
        ["temperature 0.5 (tool llm-run 0.1.0 before, llm-run 0.2.0 now)", "temperature 0.7 (tool llm-run 0.1.0 before"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn every_flag_of_llm_run_is_a_setting_or_named_here() {
    // They say who is measured, what is kept, or how the program talks; none shapes a number.
    const OTHERS: &[&str] = &[
        "source",
        "base-url",
        "artifacts",
        "resume",
        "run-id",
        "dry-run",
        "print-suite",
        "grace",
        "no-key-check",
        "api-key",
        "api-key-file",
        "key-host",
        "plain-http-key",
        "quiet",
        "verbose",
        "output",
        "strict",
        "color",
        "generate",
        "help",
        "version",
        // Part of `search`.
        "search-tolerance",
    ];
    let help = run("llm-run", ["--help"], "").exits(0).stdout;
    let flags: Vec<&str> = help
        .lines()
        .filter(|line| line.starts_with("  ") && line.trim_start().starts_with('-'))
        .filter_map(|line| line.split_once("--")?.1.split([' ', ',', '[', '=']).next())
        .collect();
    assert!(flags.len() > 50, "{flags:?}");
    for flag in flags.iter().filter(|flag| !OTHERS.contains(flag)) {
        let field = flag.trim_start_matches("no-").replace('-', "_");
        let units = ["", "_seconds", "_tokens", "_streams"];
        let known = units.iter().any(|unit| RunSettings::effect(&format!("{field}{unit}")).is_some());
        assert!(known, "--{flag}: give it a row in src/record/settings.rs, or name it here");
    }
}

#[test]
fn reporting_docs_name_every_separating_setting() {
    let docs = std::fs::read_to_string(crate::common::root().join("docs/reporting.md")).unwrap();
    let section = docs.split_once("## What is put together").unwrap().1.split_once("### Spread").unwrap().0;
    let separating = RunSettings::FIELDS.iter().filter(|(_, effect)| effect.separates());
    let missing: Vec<&str> =
        separating.map(|(name, _)| *name).filter(|name| !section.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
