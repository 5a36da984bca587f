//! llm-run against servers with known timing and faults, through sockets: every number compared with what was really sent,
//! every quirk survived, every failure told by its name.

mod account;
mod connections;
mod cuts;
mod engine;
mod hostile;
mod lengths;
mod load;
mod nobody;
mod openrouter;
mod progress;
mod prompts;
mod recordings;
mod resume;
mod retries;
mod search;
mod servers;
mod streams;
mod tls;

use crate::common::golden::{case, golden, time};
use crate::common::sim::Sim;
use crate::common::{Ran, bash, command, run_with, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

fn ask(sim: &Sim, profile: &str, model: &str, flags: &[&str]) -> Ran {
    run_with(asking(&sim.url, profile, flags), format!("{model}\n"))
}

/// llm-run, about to ask a server something; the models are its input.
fn asking(url: &str, profile: &str, flags: &[&str]) -> Command {
    let mut command = command("llm-run");
    command.args(["--source", profile, "--base-url", url, "--prompt", "Tell me a story", "--settle", "10ms"]);
    command.args(flags);
    command
}

/// The same, begun, for what happens to it while it runs.
fn asked(url: &str, profile: &str, model: &str, flags: &[&str]) -> Child {
    spawned(asking(url, profile, flags), model)
}

fn spawned(mut command: Command, model: &str) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{model}").unwrap();
    child
}

fn one(ran: &Ran) -> Value {
    let mut results = ran.of_type("result");
    assert_eq!(results.len(), 1, "stdout:\n{}\nstderr:\n{}", ran.stdout, ran.stderr);
    results.remove(0)
}

/// Asserts that first token and end came when they were sent. A loaded machine delays, also the server's own stamp, which it
/// takes when it has written; the end is there with the end mark, which a server may write before it is done with the connection.
#[track_caller]
fn near(result: &Value, sent: &Value, server: &str) {
    let number = |of: &Value, field: &str| of[field].as_f64().unwrap_or_else(|| panic!("{server} {field}: {of}"));
    let last = number(sent, "last_token_mono") - number(sent, "arrival_mono");
    let first = number(sent, "ttft_seconds");
    for (field, from, to) in
        [("ttft_seconds", first, first), ("generation_time_seconds", last, number(sent, "end_seconds"))]
    {
        let measured = number(result, field);
        assert!(measured > from - 0.05 && measured < to + 0.5, "{server} {field}: {measured}, really {from} to {to}");
    }
}

const MODELS: [(&str, &str, &str); 5] = [
    ("lmstudio", "nocturne/owl-20b", "lmstudio-v1"),
    ("openrouter", "nocturne/owl-20b", "chat"),
    ("ollama", "owl:20b", "ollama"),
    ("openai", "owl-20b", "chat"),
    ("minimax", "MiniMax-Owl", "chat"),
];

#[test]
fn every_number_agrees_with_what_each_server_really_sent() {
    for (profile, model, api) in MODELS {
        let folder = tempfile::tempdir().unwrap();
        let truth = folder.path().join("ground_truth");
        let sim = Sim::start(
            profile,
            &["--tokens", "40", "--itl", "5ms", "--ttft", "60ms", "--ground-truth", truth.to_str().unwrap()],
        );
        let model = sim_model(profile, &sim, model);
        let ran = ask(&sim, profile, &model, &["--save-text", "--save-stream"]).exits(0);
        let result = one(&ran);
        // The server writes what it did when the last byte has left, which may be after we have it.
        wait_until("the truth", || std::fs::read_to_string(&truth).unwrap().ends_with('\n'));
        let text = std::fs::read_to_string(&truth).unwrap();
        let sent: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let sent = sent
            .iter()
            .find(|record| record["request"] == format!("{}-1", result["run"].as_str().unwrap()))
            .unwrap_or_else(|| panic!("{profile}: {text}"));

        assert_eq!(result["api"], api);
        assert_eq!(result["error"], Value::Null);
        assert_eq!(result["tokens"]["output"], 40, "{profile}");
        assert!(result["tokens"]["input"].as_u64().unwrap() > 0, "{profile}");
        assert_eq!(result["served_model"], model.as_str(), "{profile}");
        assert!(
            result["warnings"].as_array().is_none_or(|w| w.iter().all(|w| w == "client_lag")),
            "{profile}: {}",
            result["warnings"]
        );
        let chunks = sent["chunks"].as_array().unwrap().len() as u64;
        assert_eq!(result["chunks"]["count"], chunks, "{profile}");
        assert_eq!(result["stream"].as_array().unwrap().len() as u64, chunks);
        assert_eq!(result["inter_chunk_latency_seconds"]["count"], chunks - 1);
        near(&result, sent, profile);
        let ttft = result["ttft_seconds"].as_f64().unwrap();
        let answer = result["time_to_first_output_token_seconds"].as_f64().unwrap();
        // Later; on a loaded machine both may come in one read.
        assert!(answer >= ttft, "{profile}: a model that reasons first answers later");
        assert!(!result["text"].as_str().unwrap().contains("<think>"), "{profile}");
    }
}

/// The model of the list that reasons, by whatever name the server gives it.
fn sim_model(profile: &str, sim: &Sim, like: &str) -> String {
    let mut list = command("llm-models");
    list.args([profile, "--base-url", &sim.url, "--format", "ids"]);
    let ids = run_with(list, "").exits(0).stdout;
    ids.lines()
        .find(|id| *id == like || id.to_lowercase().contains("owl"))
        .unwrap_or_else(|| panic!("{ids}"))
        .to_owned()
}

#[test]
fn quirks_of_real_servers_change_nothing() {
    let plain = |profile| {
        [
            ("openai", "finch-4b"),
            ("lmstudio", "aviary/finch-4b"),
            ("ollama", "finch:4b"),
            ("openrouter", "aviary/finch-4b"),
        ]
        .into_iter()
        .find(|(name, _)| *name == profile)
        .unwrap()
        .1
    };
    for (profile, fault) in [
        ("openai", "crlf"),
        ("openai", "split-utf8"),
        ("openai", "comments"),
        ("openai", "bom"),
        ("openai", "no-done"),
        ("openai", "usage-with-choice"),
        ("openai", "finish-with-token"),
        ("openai", "early-headers"),
        ("openai", "slow-headers"),
        ("openai", "close-after-stream"),
        ("openrouter", "comments"),
        ("openrouter", "usage-with-choice"),
        ("lmstudio", "crlf"),
        ("lmstudio", "split-utf8"),
        ("lmstudio", "close-after-stream"),
        ("ollama", "split-utf8"),
        ("ollama", "close-after-stream"),
    ] {
        let sim = Sim::start(profile, &["--fault", fault, "--tokens", "20"]);
        let ran = ask(&sim, profile, plain(profile), &["--repeat", "3", "--retries", "0"]).exits(0);
        let results = ran.of_type("result");
        assert_eq!(results.len(), 3, "{profile} {fault}");
        for result in results {
            assert_eq!(result["tokens"]["output"], 20, "{profile} {fault}: {result}");
            assert!(
                result["ttft_seconds"].as_f64().unwrap() > 0.01,
                "{profile} {fault}: a comment or a header is no token"
            );
        }
    }
}

#[test]
fn every_failure_is_a_result_that_says_its_kind() {
    for (profile, model, fault, kind, arrived) in [
        ("openai", "finch-4b", "http-500", "server", false),
        ("openai", "finch-4b", "rate-limit", "rate_limit", false),
        ("openai", "finch-4b", "close", "protocol", false),
        ("openai", "finch-4b", "html-error", "server", false),
        ("openai", "finch-4b", "json-error-200", "server", false),
        ("openai", "finch-4b", "empty-200", "protocol", false),
        ("openai", "finch-4b", "plain-200", "protocol", false),
        ("openai", "finch-4b", "error-in-stream", "server", true),
        ("openai", "finch-4b", "truncate", "truncated", true),
        ("openai", "finch-4b", "abort", "truncated", true),
        ("openai", "finch-4b", "malformed", "protocol", true),
        ("openai", "finch-4b", "stall", "idle_timeout", true),
        ("openrouter", "aviary/finch-4b", "error-in-stream", "server", true),
        ("openrouter", "aviary/finch-4b", "rate-limit", "rate_limit", false),
        ("lmstudio", "aviary/finch-4b", "error-in-stream", "server", true),
        ("lmstudio", "aviary/finch-4b", "truncate", "truncated", true),
        ("ollama", "finch:4b", "error-in-stream", "server", true),
        ("ollama", "finch:4b", "truncate", "truncated", true),
        ("minimax", "MiniMax-Finch", "json-error-200", "server", false),
    ] {
        let sim = Sim::start(profile, &["--fault", fault, "--tokens", "20"]);
        let ran = ask(&sim, profile, model, &["--retries", "0", "--idle-timeout", "1s", "--no-load"]).exits(1);
        let result = one(&ran);
        assert_eq!(result["error"]["kind"], kind, "{profile} {fault}: {result}");
        assert_eq!(result["errors"]["generation"], result["error"]["message"], "{profile} {fault}");
        assert_eq!(result["ttft_seconds"].is_f64(), arrived, "{profile} {fault}: what arrived is kept");
        assert_eq!(result["generation_time_seconds"], Value::Null);
        let end = &ran.of_type("run_end")[0];
        assert_eq!((&end["ok"], &end["failed"]), (&0.into(), &1.into()), "{}", ran.stderr);
    }
}

#[test]
fn a_model_that_does_not_load_is_a_result_and_the_next_one_goes_on() {
    for (profile, models) in
        [("lmstudio", ["aviary/finch-4b", "aviary/heron-12b"]), ("ollama", ["finch:4b", "heron:12b"])]
    {
        let sim = Sim::start(profile, &["--fault", "load-fails:1x"]);
        let ran = ask(&sim, profile, &models.join("\n"), &[]).exits(1);
        let results = ran.of_type("result");
        assert_eq!(results.len(), 2, "{profile}: {}", ran.stdout);
        assert_eq!((&results[0]["model"], &results[0]["error"]["kind"]), (&models[0].into(), &"load".into()));
        assert!(results[0]["errors"]["load"].is_string());
        assert_eq!((&results[1]["model"], &results[1]["error"]), (&models[1].into(), &Value::Null));
        let loads = ran.of_type("load");
        assert!(loads[0]["error"].is_string() && loads[0]["load_time_seconds"].is_null());
        assert!(loads[1]["error"].is_null() && loads[1]["load_time_seconds"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn models_are_unloaded_before_and_after() {
    let sim = Sim::start("lmstudio", &[]);
    ask(&sim, "lmstudio", "aviary/finch-4b\naviary/heron-12b", &["--context-length", "2048"]).exits(0);
    let mut list = command("llm-models");
    list.args(["lmstudio", "--base-url", &sim.url]);
    assert!(run_with(list, "").exits(0).of_type("model").iter().all(|model| model["loaded"] == false));
}

#[test]
fn a_context_length_that_the_model_does_not_allow_is_a_failed_load() {
    let sim = Sim::start("lmstudio", &[]);
    let result = one(&ask(&sim, "lmstudio", "aviary/finch-4b", &["--context-length", "99999999"]).exits(1));
    assert_eq!(result["error"]["kind"], "load", "{result}");
}

#[test]
fn another_model_s_answer_and_missing_usage_are_doubted() {
    for (fault, warning) in [("wrong-model", "served_other_model"), ("no-usage", "usage_missing")] {
        let sim = Sim::start("openai", &["--fault", fault]);
        let result = one(&ask(&sim, "openai", "finch-4b", &[]).exits(0));
        assert!(result["warnings"].as_array().unwrap().contains(&warning.into()), "{fault}: {result}");
    }
}

#[test]
fn what_may_be_repeated_is_repeated_and_every_try_is_kept() {
    let sim = Sim::start("openai", &["--fault", "rate-limit:2x"]);
    let result = one(&ask(&sim, "openai", "finch-4b", &["--retries", "2"]).exits(0));
    let attempts = result["attempts"].as_array().unwrap();
    assert_eq!(attempts.iter().map(|a| &a["status"]).collect::<Vec<_>>(), [429, 429]);
    assert!(attempts.iter().all(|a| a["wait_seconds"].as_f64().unwrap() >= 0.5));
    assert!(result["generation_time_seconds"].as_f64().unwrap() < 0.9, "the times are those of the last try");
}

#[test]
fn a_key_goes_to_its_server_and_nowhere_else_and_never_into_a_record() {
    let sim = Sim::start("openai", &["--api-key", "sk-secret-1"]);
    let mut right = asking(&sim.url, "openai", &[]);
    right.env("OPENAI_API_KEY", "sk-secret-1");
    let ran = run_with(right, "finch-4b\n").exits(0);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-secret-1"));

    let ran = ask(&sim, "openai", "finch-4b", &["--api-key", "sk-wrong-2", "--retries", "0"]).exits(1);
    assert_eq!(one(&ran)["error"]["kind"], "refused");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-wrong-2"));
    golden!("api-key-on-the-command-line", ran.stderr, time());

    // A record that names a foreign host gets no key, and the user is told which flag would send it.
    let mut foreign = command("llm-run");
    foreign.args(["--prompt", "x", "--dry-run"]).env("OPENROUTER_API_KEY", "sk-or-v1-x");
    let ran = run_with(
        foreign,
        r#"{"type":"model","v":1,"source":"openrouter","id":"a/b","base_url":"https://evil.example"}"#,
    )
    .exits(0);
    assert_eq!(ran.records()[0]["key"], false);
    golden!("key-of-a-foreign-host", ran.stderr);
}

#[test]
fn a_server_that_echoes_the_key_does_not_get_it_into_a_record() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        // Long enough that what is shown of it ends inside the key.
        let body = format!(r#"{{"error":{{"message":"bad key: sk-secret-3 {}sk-secret-3"}}}}"#, "x".repeat(475));
        let _ = write!(stream, "HTTP/1.1 401 No\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    });
    let mut ask = asking(&url, "openai", &[]);
    ask.env("OPENAI_API_KEY", "sk-secret-3");
    let ran = run_with(ask, "m\n").exits(1);
    server.join().unwrap();
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-secret-3"), "{}", ran.stderr);
    assert!(one(&ran)["error"]["message"].as_str().unwrap().starts_with("bad key: (redacted) xxx"));
    assert!(!ran.stdout.contains("sk-sec"), "{}", ran.stdout);
}

#[test]
fn levels_run_one_after_another_and_never_above_what_was_asked() {
    let sim = Sim::start("openai", &["--itl", "3ms"]);
    let ran = ask(&sim, "openai", "finch-4b", &["--concurrency", "1,4", "--requests", "8", "--warmup", "2"]).exits(0);
    let results = ran.of_type("result");
    let of =
        |level: u64, phase: &str| results.iter().filter(|r| r["concurrency"] == level && r["phase"] == phase).count();
    assert_eq!([of(1, "warmup"), of(1, "measure"), of(4, "warmup"), of(4, "measure")], [2, 8, 2, 8]);
    for result in &results {
        assert!(result["in_flight"].as_u64().unwrap() <= result["concurrency"].as_u64().unwrap(), "{result}");
    }
    assert!(results.iter().any(|r| r["in_flight"] == 4));
    let nonces: std::collections::BTreeSet<_> =
        results.iter().map(|r| r["prompt"]["nonce"].as_str().unwrap()).collect();
    assert_eq!(nonces.len(), 20, "asked the same more than once, each request has a nonce of its own");
    assert_eq!(ran.of_type("start").len(), 20);
}

#[test]
fn a_cold_server_is_warmed_up_before_it_counts() {
    let sim = Sim::start("openai", &["--ttft", "100ms", "--tokens", "2", "--fault", "cold:2x"]);
    let results = ask(&sim, "openai", "finch-4b", &["--requests", "3", "--warmup", "2"]).exits(0).of_type("result");
    for result in &results {
        let ttft = result["ttft_seconds"].as_f64().unwrap();
        assert_eq!(ttft > 0.9, result["phase"] == "warmup", "{result}");
    }
    let mut report = command("bench-report");
    report.args(["--format", "json"]);
    let lines: String = results.iter().map(|result| format!("{result}\n")).collect();
    let summary: Value = serde_json::from_str(&run_with(report, lines).exits(0).stdout).unwrap();
    assert_eq!(summary["num_prompts"], 3, "warm-up is not counted");
    assert!(summary["max_latency_ms"].as_f64().unwrap() < 900.0, "{summary}");
}

#[test]
fn a_run_is_taken_up_where_it_failed() {
    let sim = Sim::start("openai", &["--fault", "http-500:1x"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("first.ndjson");
    let first = ask(&sim, "openai", "finch-4b", &["--repeat", "4", "--retries", "0", "--nonce", "off"]).exits(1);
    std::fs::write(&file, format!("{}{{\"type\":\"result\",\"v\":1,\"truncated_samples", first.stdout)).unwrap();
    let resume = ["--repeat", "4", "--retries", "0", "--nonce", "off", "--resume", file.to_str().unwrap()];
    let second = ask(&sim, "openai", "finch-4b", &resume).exits(0);
    let results = second.of_type("result");
    assert_eq!(results.len(), 1);
    assert_eq!((&results[0]["id"], &results[0]["repetition"]), (&5.into(), &1.into()));
}

#[test]
fn four_kinds_of_server_run_in_one_stream() {
    let sims: Vec<(&str, Sim)> = ["lmstudio", "openrouter", "ollama", "openai"].map(|p| (p, Sim::start(p, &[]))).into();
    let mut script = bash(
        r#"(llm-models lmstudio --base-url $LMSTUDIO; llm-models openrouter --base-url $OPENROUTER
            llm-models ollama --base-url $OLLAMA; llm-models openai --base-url $OPENAI) |
            llm-run --prompt Hello --settle 10ms"#,
    );
    script.envs(sims.iter().map(|(profile, sim)| (profile.to_uppercase(), sim.url.clone())));
    let results = run_with(script, "").exits(0).of_type("result");
    for (profile, _) in &sims {
        assert_eq!(results.iter().filter(|result| result["source"] == *profile).count(), 3, "{profile}");
    }
}

#[test]
fn answers_are_kept_as_files_whatever_the_model_is_called() {
    let names = ["../../escape", "UPPER", "upper", "a/b", "a_b", "ünï/cödé", &"x".repeat(300)];
    let sim = Sim::start("openai", &["--models", &names.join(",")]);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let mut ask = command("llm-run");
    ask.args([
        "--source",
        "openai",
        "--base-url",
        &sim.url,
        "--suite",
        "website",
        "--artifacts",
        dir.to_str().unwrap(),
    ]);
    let ran = run_with(ask, names.join("\n")).exits(0);
    let files: std::collections::BTreeSet<String> =
        ran.of_type("result").iter().map(|result| result["files"]["html"].as_str().unwrap().to_lowercase()).collect();
    assert_eq!(files.len(), names.len());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2 * names.len());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing escaped");
}

#[test]
fn a_dry_run_prints_the_requests_and_sends_none() {
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", "http://127.0.0.1:1", "--prompt", "x", "--max-tokens", "7", "-n"]);
    let records = run_with(ask, "m\n").exits(0).records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["url"], "http://127.0.0.1:1/v1/chat/completions");
    assert_eq!(records[0]["body"]["max_tokens"], 7);
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_do() {
    let mut told = String::new();
    for (flags, input) in [
        (&["--prompt", "x"][..], "m\n"),
        (&["--source", "openai", "--base-url", "http://127.0.0.1:1"], "m\n"),
        (&["--prompt", "x", "--source", "openai"], "m\n"),
        (&["--prompt", "x"], ""),
        (&["--prompt", "x", "--timeout", "5"], "m\n"),
        (&["--prompt", "x", "--concurrency", "0"], "m\n"),
        (&["--prompt", "x", "--temperature", "9"], "m\n"),
        (&["--prompt", "x", "--gpu", "auto"], "m\n"),
        (&["--prompt", "x", "--extra-body", "[]"], "m\n"),
        (&["--prompt-file", "/no/such"], "m\n"),
        (&["--prompt", "x", "--source", "openrouter"], "a/b\n"),
    ] {
        let mut ask = command("llm-run");
        ask.args(flags);
        told += &case((flags, input), &run_with(ask, input).exits(2).stderr);
    }
    golden!("run-flags-refused", told);
}

#[test]
fn suites_can_be_printed() {
    for (suite, count) in [("website", 1), ("token-rate", 32)] {
        let mut print = command("llm-run");
        print.args(["--print-suite", suite]);
        assert_eq!(run_with(print, "").exits(0).of_type("prompt").len(), count);
    }
}

#[test]
fn llm_models_lists_each_kind_of_server() {
    for (profile, first) in [
        ("lmstudio", "aviary/finch-4b"),
        ("openrouter", "aviary/finch-4b"),
        ("ollama", "finch:4b"),
        ("openai", "finch-4b"),
        ("minimax", "MiniMax-Finch"),
    ] {
        let sim = Sim::start(profile, &[]);
        let mut list = command("llm-models");
        list.args([profile, "--base-url", &sim.url]);
        let models = run_with(list, "").exits(0).of_type("model");
        assert_eq!(
            (models.len(), &models[0]["id"], &models[0]["source"]),
            (3, &first.into(), &profile.into()),
            "{models:?}"
        );
        assert!(models.iter().all(|model| !model["id"].as_str().unwrap().contains("embed")));
    }
}

#[test]
fn an_answer_that_comes_whole_has_no_first_token_on_any_server() {
    for (profile, model, _) in MODELS {
        let sim = Sim::start(profile, &[]);
        let model = sim_model(profile, &sim, model);
        let result = one(&ask(&sim, profile, &model, &["--no-stream"]).exits(0));
        assert_eq!(result["ttft_seconds"], Value::Null, "{profile}");
        assert!(result["generation_time_seconds"].as_f64().unwrap() > 0.0, "{profile}");
    }
    let sim = Sim::start("ollama", &["--fault", "not-streamed"]);
    let result = one(&ask(&sim, "ollama", "finch:4b", &[]).exits(0));
    assert_eq!((&result["ttft_seconds"], &result["warnings"]), (&Value::Null, &serde_json::json!(["not_streamed"])));
}

#[test]
fn a_key_that_is_only_a_word_hides_no_other_words() {
    let sim = Sim::start("openai", &["--api-key", "finch"]);
    let mut list = command("llm-models");
    list.args(["openai", "--base-url", &sim.url, "--format", "ids"]).env("OPENAI_API_KEY", "finch");
    assert!(run_with(list, "").exits(0).stdout.contains("finch-4b"));
    let mut run = command("llm-run");
    run.args(["--source", "openai", "--base-url", &sim.url, "--prompt", "- begin with a hyphen", "--seed", "-1"]);
    run.env("OPENAI_API_KEY", "finch");
    let result = one(&run_with(run, "finch-4b\n").exits(0));
    assert_eq!((&result["served_model"], &result["prompt"]["seed"]), (&"finch-4b".into(), &(-1).into()));
}

#[test]
fn what_asks_nothing_or_loads_nothing_is_told() {
    let sim = Sim::start("openai", &[]);
    let told = case("empty prompt", &ask(&sim, "openai", "finch-4b", &["--prompt", " "]).exits(2).stderr);
    let loading = ask(&sim, "openai", "finch-4b", &["--gpu", "max", "--ttl", "5m"]).exits(0);
    golden!("flags-without-effect", told + &case("nothing is loaded", &loading.lines_with("--ttl")));
}
