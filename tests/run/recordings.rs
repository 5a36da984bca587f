//! What real servers answered, byte for byte: recordings that are not part of the package. Where they are not, the tests say so; the
//! exchanges of `testdata/servers`, which are, have the same shapes and are always tested.

use super::one;
use crate::common::sim::Sim;
use crate::common::{Ran, command, root, run_with, testdata};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn recordings() -> Option<PathBuf> {
    let folder = root().join("../shared/captures/http");
    if !folder.is_dir() {
        eprintln!("no recordings of real servers at {}: skipped", folder.display());
        return None;
    }
    Some(folder)
}

/// A server that answers with the recordings of a folder, and chats with the one called `chat`.
fn replay(folder: &Path, chat: &str) -> Sim {
    let made = tempfile::tempdir().unwrap();
    for (name, request) in [
        ("models", "GET /v1/models"),
        ("props", "GET /props"),
        ("health", "GET /health"),
        (chat, "POST /v1/chat/completions"),
    ] {
        let mut exchange = json!({"about": name, "request": request}).to_string().into_bytes();
        exchange.push(b'\n');
        exchange.extend(std::fs::read(folder.join(name).with_extension("http")).unwrap());
        std::fs::write(made.path().join(name).with_extension("http"), exchange).unwrap();
    }
    Sim::start("openai", &["--replay", made.path().to_str().unwrap()])
}

fn ask(sim: &Sim) -> Ran {
    let mut command = command("llm-run");
    command.args(["--source", "openai", "--base-url", &sim.url, "--prompt", "hi", "--retries", "0", "--save-text"]);
    run_with(command, "tiny\n")
}

/// The recordings, the exchanges of ours of the same server, and what it is recognised as.
const SERVERS: [(&str, &str, Option<&str>); 4] = [
    ("llama-server-0.7.0-debian", "llama-cpp", Some("llama.cpp")),
    ("vllm-0.32.0-cpu", "vllm", Some("vllm")),
    ("mlx-lm-0.32.2", "mlx-lm", Some("mlx-lm")),
    ("litellm-1.106.2-gateway", "litellm", None),
];

#[test]
fn real_answers_are_counted_as_the_servers_count() {
    let Some(folder) = recordings() else { return };
    for (server, _, _) in SERVERS {
        for (chat, tokens, source) in [
            ("chat_stream_usage", 12, "usage"),
            ("chat_stream_one_token", 1, "usage"),
            ("chat_stream_logprobs", 0, ""),
            ("chat_n2", 0, ""),
            ("chat", 12, "usage"),
            ("chat_stream", 0, ""),
        ] {
            let result = one(&ask(&replay(&folder.join(server), chat)).exits(0));
            let whole = std::fs::read_to_string(folder.join(server).join(chat).with_extension("http")).unwrap();
            let named = format!("{server} {chat}: {result}");
            assert_eq!(result["error"], Value::Null, "{named}");
            assert!(!result["text"].as_str().unwrap().is_empty(), "{named}");
            if !source.is_empty() {
                let counted = (&result["tokens"]["output"], &result["tokens"]["method"]);
                assert_eq!(counted, (&json!(tokens), &json!(source)), "{named}");
                assert!(whole.contains(&result["usage"]["total_tokens"].to_string()), "{named}");
            }
            assert_eq!(result["finish_reason"], "length", "{named}");
            if chat == "chat_stream_usage" {
                let counts = (&result["chunks"]["count"], &result["tokens"]["input"]);
                assert_eq!(counts, (&json!(12), &json!(18)), "{named}");
                assert_eq!(result["timings"].is_object(), server.starts_with("llama"), "{named}");
            }
            if chat == "chat_stream_logprobs" {
                let exact = &result["chunks"]["first_tokens"]["exact"];
                assert_eq!(exact, whole.contains(r#""logprobs":{"content""#), "{named}");
            }
            let two = result["warnings"].as_array().unwrap().contains(&"several_choices".into());
            assert_eq!(two, chat == "chat_n2" && !server.starts_with("mlx"), "{named}");
        }
        for (chat, word) in [("err_bad_json", "JSON"), ("err_no_messages", "messages"), ("err_404", "ound")] {
            let word = if (server, chat) == ("llama-server-0.7.0-debian", "err_bad_json") { "json" } else { word };
            let error = &one(&ask(&replay(&folder.join(server), chat)).exits(1))["error"];
            assert_eq!(error["kind"], "refused", "{server} {chat}");
            assert!(error["message"].as_str().unwrap().contains(word), "{server} {chat}: {error}");
        }
    }
}

#[test]
fn real_servers_are_recognised_by_what_they_list() {
    let Some(folder) = recordings() else { return };
    for (server, _, name) in SERVERS {
        let mut list = command("llm-models");
        let sim = replay(&folder.join(server), "chat");
        list.args(["openai", "--base-url", &sim.url]);
        let models = run_with(list, "").exits(0).of_type("model");
        assert_eq!(models[0].get("server").and_then(Value::as_str), name, "{server}: {models:?}");
        if server.starts_with("llama") {
            let fields = ["parameters", "quantization", "context_length", "loaded_context_length", "size_bytes"];
            let values: Vec<&Value> = fields.iter().map(|field| &models[0][field]).collect();
            assert_eq!(values, [&json!("598K"), &json!("F32"), &json!(8192), &json!(2048), &json!(2_393_344)]);
            assert_eq!(models[0]["server_version"], "b11669-Debian");
        }
    }
}

/// The events of a stream: what each has of role, text, finish, usage and the rest; what is repeated once.
fn shape(stream: &str) -> Vec<String> {
    let event = |data: &str| {
        let Ok(event) = serde_json::from_str::<Value>(data) else { return data.to_owned() };
        let choice = &event["choices"][0];
        let delta = &choice["delta"];
        let has = [
            ("no-choice", choice.is_null()),
            ("role", delta["role"].is_string()),
            ("null", delta.get("content").is_some_and(Value::is_null)),
            ("text", delta["content"].as_str().is_some_and(|text| !text.is_empty())),
            ("finish", choice["finish_reason"].is_string()),
            ("usage", event["usage"].is_object()),
            ("timings", event["timings"].is_object()),
            ("fingerprint", event["system_fingerprint"].is_string()),
            ("whole", event["object"] == "chat.completion"),
        ];
        has.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join("+")
    };
    let mut shape: Vec<String> = stream.lines().filter_map(|line| line.strip_prefix("data: ")).map(event).collect();
    shape.dedup();
    shape
}

#[test]
fn own_exchanges_have_the_shape_of_real_ones() {
    let Some(folder) = recordings() else { return };
    for (real, own, _) in SERVERS {
        let real = std::fs::read_to_string(folder.join(real).join("chat_stream_usage.http")).unwrap();
        let own = std::fs::read_to_string(testdata("servers").join(own).join("stream.http")).unwrap();
        assert_eq!(shape(&own), shape(&real), "{own}");
    }
}
