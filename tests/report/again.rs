//! The command in the head of the page makes the run again: taken out of the page, in an empty folder, by a shell.

use crate::common::sim::Sim;
use crate::common::{Ran, bash, run_with};
use crate::flows::{desk, flow, folder};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The command that the page of a folder shows, as a reader copies it.
#[track_caller]
fn command_of(folder: &Path) -> String {
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    let from = page.split_once("id=\"again\"><pre class=\"text\">").expect("a command in the page").1;
    let shown = from.split_once("</pre>").unwrap().0;
    let entities = [
        ("&#60;", "<"),
        ("&lt;", "<"),
        ("&#62;", ">"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&quot;", "\""),
    ];
    let text = entities.iter().fold(shown.to_owned(), |text, (entity, sign)| text.replace(entity, sign));
    text.replace("&#38;", "&").replace("&amp;", "&")
}

fn first(records: &[Value], kind: &str) -> Value {
    records.iter().find(|record| record["type"] == kind).cloned().unwrap_or_default()
}

/// Who was asked what, where, in an order of its own.
fn asked(records: &[Value]) -> Vec<String> {
    let results = records.iter().filter(|record| record["type"] == "result");
    let mut asked: Vec<String> = results
        .map(|result| {
            let fields = ["source", "model", "endpoint", "concurrency", "rate", "phase", "repeat"];
            let told: Vec<String> = fields.iter().map(|field| result[field].to_string()).collect();
            // Each request of each run has a nonce of its own.
            let mut prompt = result["prompt"].clone();
            prompt.as_object_mut().map(|fields| fields.remove("nonce"));
            format!("{} {prompt}", told.join(" "))
        })
        .collect();
    asked.sort();
    asked
}

/// Runs a flow, then the command of its page in an empty folder; both must have been the same run.
#[track_caller]
fn twice(target: &str, variables: &[(&str, &str)]) -> (String, Ran) {
    let desk = desk();
    let ran = flow(desk.path(), target, variables);
    assert!(ran.status == Some(0), "{target}: {}{}", ran.stdout, ran.stderr);
    let folder = folder(desk.path(), "");
    let text = fs::read_to_string(folder.join("results.ndjson")).unwrap();
    let before: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let command = command_of(&folder);
    let empty = tempfile::tempdir().unwrap();
    let mut shell = bash(&command);
    let keys = variables.iter().copied().filter(|(name, _)| name.ends_with("_KEY") || name.ends_with("_TOKEN"));
    shell.current_dir(empty.path()).envs(keys);
    let again = run_with(shell, "");
    assert_eq!(again.status, Some(0), "{command}\n{}", again.stderr);
    let after = again.records();
    assert_eq!(first(&after, "run")["settings"], first(&before, "run")["settings"], "{command}");
    assert_eq!(asked(&after), asked(&before), "{command}");
    assert_ne!(first(&after, "run")["run"], first(&before, "run")["run"], "another run has another name");
    (command, again)
}

#[test]
fn the_command_of_an_lm_studio_page_makes_the_same_run() {
    let sim = Sim::start("lmstudio", &["--tokens", "20"]);
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("SETTLE", "100ms"),
        ("INTERVAL", "100ms"),
        ("POWER", "no"),
        ("TEMPERATURE", "0.6"),
        ("MAX_TOKENS", "10"),
        ("CONTEXT_LENGTH", "4096"),
        ("MATCH", "finch|heron"),
    ];
    twice("lmstudio-bench", &variables);
}

#[test]
fn the_command_of_an_openrouter_page_makes_the_same_run_with_the_key_of_the_environment_and_shows_no_key() {
    let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-test"]);
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("MATCH", "finch|heron"),
        ("OPENROUTER_API_KEY", "sk-or-v1-test"),
        ("PROVIDER", ""),
    ];
    let (command, _) = twice("openrouter-bench", &variables);
    assert!(!command.contains("sk-or"), "{command}");
}

#[test]
fn the_command_of_a_token_rate_page_makes_the_same_run() {
    let sim = Sim::start("minimax", &[]);
    twice("token-rate", &[("BASE_URL", &sim.url), ("MODE", "minimax"), ("CONCURRENCY", "1,2"), ("PROMPTS", "4")]);
    let sim = Sim::start("openai", &[]);
    let own = [
        ("BASE_URL", sim.url.as_str()),
        ("MODE", "openai"),
        ("RATE", "50"),
        ("PROMPTS", "4"),
        ("RUN_ARGS", "--system 'It'\\''s \"you\" & <me>' --extra-body '{\"user\":\"a b\"}'"),
    ];
    twice("token-rate", &own);
}

#[test]
fn the_command_of_an_ollama_page_makes_the_same_run() {
    let sim = Sim::start("ollama", &[]);
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("POWER", "no"),
        ("INTERVAL", "100ms"),
        ("CONCURRENCY", "1,2"),
        ("PROMPTS", "2"),
        ("SETTLE", "50ms"),
    ];
    twice("ollama-bench", &variables);
}
