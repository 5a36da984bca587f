//! The exchanges of `testdata/servers`: llm-sim replays each of them to llm-run or llm-models, and what these report must be the facts
//! that stand in the file. A new file is a new case.

use crate::common::sim::Sim;
use crate::common::{Ran, command, run_with, testdata};
use llm_bench::record::Source;
use llm_bench::sim::exchange::{End, Exchange, Part};
use llm_bench::sim::replay;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// How late a client may notice something on a loaded machine, in seconds.
const LATE: f64 = 2.0;
/// What the marks of the file and the stamps of the client may differ by, in seconds.
const EARLY: f64 = 0.001;
/// Warnings about the machine, not about the server.
const OF_THE_MACHINE: [&str; 2] = ["client_lag", "buffered_stream"];

#[test]
fn recorded_exchanges_give_their_facts() {
    let folders = entries(&testdata("servers")).into_iter().filter(|path| path.is_dir());
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = folders.map(|folder| scope.spawn(move || check_folder(&folder))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The differences in a folder, each with its file.
fn check_folder(folder: &Path) -> Vec<String> {
    let (mut wrong, mut facts) = (Vec::new(), 0);
    for file in entries(folder).iter().filter(|path| path.extension().is_some_and(|end| end == "http")) {
        let exchange = replay::read(file).unwrap_or_else(|error| panic!("{error:#}"));
        let mut found = Differences::default();
        if exchange.header.result.is_some() {
            check_result(file, &exchange, &mut found);
        }
        if exchange.header.model.is_some() {
            check_listing(folder, &exchange, &mut found);
        }
        facts += usize::from(exchange.header.result.is_some() || exchange.header.model.is_some());
        let name = file.strip_prefix(testdata("servers")).unwrap().display().to_string();
        wrong.extend(found.0.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    if facts == 0 {
        wrong.push(format!("{}: no file has a `result` or a `model`", folder.display()));
    }
    wrong
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }

    /// All of `expected` is in `found`; null is also what is absent; of a message a part is enough.
    fn contains(&mut self, found: &Value, expected: &Value, path: &str) {
        let same = match expected {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| *name != "warnings") {
                    self.contains(&found[name], value, &format!("{path}/{name}"));
                }
                return;
            }
            Value::String(part) if path.ends_with("/message") => found.as_str().is_some_and(|text| text.contains(part)),
            other => found == other,
        };
        self.check(same, || format!("{path}: expected {expected}, found {found}"));
    }
}

fn source(exchange: &Exchange) -> Source {
    exchange.header.source.unwrap_or(Source::Openai)
}

/// Sends the request that the file answers: with the model and the fields that it demands.
fn send(file: &Path, exchange: &Exchange, repeat: &str) -> Ran {
    let sim = Sim::start("openai", &["--replay", file.to_str().unwrap()]);
    let mut body = exchange.header.body.clone();
    let mut run = command("llm-run");
    run.args(["--source", &source(exchange).to_string(), "--base-url", &sim.url, "--prompt", "Tell me a story"]);
    run.args(["--retries", "0", "--repeat", repeat, "--settle", "10ms", "--save-text", "--save-stream"]);
    if source(exchange) != Source::Openai {
        run.arg("--no-load");
    }
    if body.remove("stream") == Some(Value::Bool(false)) {
        run.arg("--no-stream");
    }
    if let Some(limit) = body.remove("max_tokens") {
        run.args(["--max-tokens", &limit.to_string()]);
    }
    let model = body.remove("model").unwrap_or_else(|| "finch-4b".into());
    run.args(["--extra-body", &Value::Object(body).to_string()]);
    run_with(run, format!("{}\n", model.as_str().unwrap()))
}

fn check_result(file: &Path, exchange: &Exchange, wrong: &mut Differences) {
    let expected = exchange.header.result.as_ref().unwrap();
    let failed = expected["error"].is_object();
    // The second of two shows whether the connection was kept.
    let ran = send(file, exchange, if failed { "1" } else { "2" });
    let results = ran.of_type("result");
    let counts = (ran.status, results.len());
    wrong.check(counts == if failed { (Some(1), 1) } else { (Some(0), 2) }, || {
        format!("(exit status, results) {counts:?}: {} {}", ran.stdout, ran.stderr)
    });
    for result in &results {
        wrong.contains(result, expected, "");
        wrong.check(failed || result["error"].is_null(), || format!("/error: {}", result["error"]));
        check_warnings(result, expected, exchange, wrong);
        let (counted, rate) = (result["tokens"]["method"] != "chunks", &result["derived"]["tokens_per_second"]);
        wrong.check(failed || rate.is_f64() == counted, || format!("/derived/tokens_per_second: {rate}"));
        check_times(result, exchange, wrong);
    }
    for (n, result) in results.iter().enumerate().filter(|_| !failed) {
        let opened = result["timing_seconds"]["connect"].is_f64();
        let kept = exchange.end == End::Keep && exchange.version == axum::http::Version::HTTP_11;
        wrong.check(opened == (n == 0 || !kept), || format!("connection {n}: opened {opened}, and kept is {kept}"));
    }
}

fn check_warnings(result: &Value, expected: &Value, exchange: &Exchange, wrong: &mut Differences) {
    let words = |of: &Value| -> Vec<String> {
        let mut words: Vec<String> =
            of["warnings"].as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect();
        words.sort();
        words
    };
    let mut found = words(result);
    found.retain(|word| !OF_THE_MACHINE.contains(&word.as_str()));
    // The request that found out that a server closes what it promised to keep.
    found.retain(|word| exchange.end != End::Close || word != "reused_connection_died");
    wrong.check(found == words(expected), || format!("/warnings: expected {:?}, found {found:?}", words(expected)));
}

/// Nothing is earlier than its mark, and the tokens are of the kind that the marks say.
fn check_times(result: &Value, exchange: &Exchange, wrong: &mut Differences) {
    let marked: Vec<&Part> = exchange.parts.iter().filter(|part| part.tokens > 0).collect();
    let seconds = |part: &Part| part.at_ns as f64 / 1e9;
    let mut near = |what: &str, measured: &Value, due: Option<f64>| {
        let (Some(due), Some(measured)) = (due, measured.as_f64()) else { return };
        wrong.check((due - EARLY..due + LATE).contains(&measured), || format!("{what}: {measured} for {due}"));
    };
    let answer = marked.iter().find(|part| !part.reasoning);
    near("/ttft_seconds", &result["ttft_seconds"], marked.first().map(|part| seconds(part)));
    near(
        "/time_to_first_output_token_seconds",
        &result["time_to_first_output_token_seconds"],
        answer.map(|part| seconds(part)),
    );
    let last = marked.last().copied().or(exchange.parts.last());
    near("/generation_time_seconds", &result["generation_time_seconds"], last.map(seconds));
    if marked.is_empty() {
        return;
    }
    let chunks = result["stream"].as_array().cloned().unwrap_or_default();
    for (n, (chunk, part)) in chunks.iter().zip(&marked).enumerate() {
        near(&format!("/stream/{n}"), &chunk[0], Some(seconds(part)));
    }
    let kinds: Vec<&Value> = chunks.iter().map(|chunk| &chunk[2]).collect();
    let expected: Vec<&str> = marked.iter().map(|part| if part.reasoning { "reasoning" } else { "answer" }).collect();
    wrong.check(kinds == expected, || format!("/stream: expected {expected:?}, found {kinds:?}"));

    let number = |path: &str| result.pointer(path).and_then(Value::as_f64);
    if let Some(tpot) = number("/tpot_corrected_seconds") {
        let span = number("/timing_seconds/last_token").unwrap() - number("/timing_seconds/first_token").unwrap();
        let rest = number("/tokens/output").unwrap() - number("/chunks/first_tokens/tokens").unwrap();
        wrong.check((tpot - span / rest).abs() < 1e-9, || {
            format!("/tpot_corrected_seconds: {tpot} for {span} / {rest}")
        });
    }
}

/// Lists the models of the whole folder: llm-models sends more requests than the one for the listing.
fn check_listing(folder: &Path, exchange: &Exchange, wrong: &mut Differences) {
    let expected = exchange.header.model.as_ref().unwrap();
    let sim = Sim::start("openai", &["--replay", folder.to_str().unwrap()]);
    let list = |url: &str| {
        let mut list = command("llm-models");
        list.args([&source(exchange).to_string(), "--base-url", url]);
        run_with(list, "")
    };
    let ran = list(&sim.url);
    let Some(mut model) = ran.of_type("model").into_iter().next() else {
        wrong.check(false, || format!("no model: {}", ran.stderr));
        return;
    };
    for name in ["type", "v", "source", "base_url"] {
        model.as_object_mut().unwrap().remove(name);
    }
    wrong.check(&model == expected, || format!("/model: expected {expected}, found {model}"));
    if source(exchange) == Source::Openai {
        let again = list(&format!("{}/v1", sim.url)).of_type("model").into_iter().next().unwrap_or(json!({}));
        wrong.check(again.get("server") == expected.get("server"), || format!("under /v1: {again}"));
    }
}
