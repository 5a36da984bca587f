//! What real servers answered, word for word, through a socket: recordings that are not part of the package. Where they are
//! not, the test says so; the same servers as llm-sim speaks them are always tested.

use super::one;
use crate::common::{Ran, command, root, run_with};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

fn recordings() -> Option<PathBuf> {
    let folder = root().join("../shared/captures/http");
    if !folder.is_dir() {
        eprintln!("no recordings of real servers at {}: skipped", folder.display());
        return None;
    }
    Some(folder)
}

/// A server that answers `GET /PATH` with the recording of that name, and chats with the one called `chat`. A recording holds the
/// body without its framing: the end of the connection is the end of the answer.
fn speak(folder: PathBuf, chat: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![0; 1 << 16];
            let Ok(n) = stream.read(&mut request) else { continue };
            let line = String::from_utf8_lossy(&request[..n]).lines().next().unwrap_or_default().to_owned();
            let name = match line.split(' ').nth(1).unwrap_or_default() {
                "/v1/models" => "models",
                "/props" => "props",
                "/health" => "health",
                "/v1/chat/completions" => chat,
                _ => "err_404",
            };
            let _ = stream.write_all(&unframed(&folder.join(name).with_extension("http")));
        }
    });
    url
}

/// The recording without the headers of a framing that it does not have any more.
fn unframed(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let split = |mark: &[u8]| bytes.windows(mark.len()).position(|at| at == mark).map(|at| (at, mark.len()));
    let (end, mark) = split(b"\r\n\r\n").or_else(|| split(b"\n\n")).unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]);
    let framing = ["transfer-encoding", "content-length", "keep-alive", "connection"];
    let kept = head
        .lines()
        .filter(|line| !framing.contains(&line.split(':').next().unwrap_or_default().to_lowercase().as_str()));
    let head: String = kept.map(|line| format!("{}\r\n", line.trim_end())).collect();
    let mut out = format!("{head}connection: close\r\n\r\n").into_bytes();
    out.extend_from_slice(&bytes[end + mark..]);
    out
}

fn ask(url: &str, flags: &[&str]) -> Ran {
    let mut command = command("llm-run");
    command.args(["--source", "openai", "--base-url", url, "--prompt", "hi", "--retries", "0", "--save-text"]);
    command.args(flags);
    run_with(command, "tiny\n")
}

const SERVERS: [(&str, Option<&str>); 4] = [
    ("llama-server-0.7.0-debian", Some("llama.cpp")),
    ("vllm-0.32.0-cpu", Some("vllm")),
    ("mlx-lm-0.32.2", Some("mlx-lm")),
    ("litellm-1.106.2-gateway", None),
];

#[test]
fn what_real_servers_said_is_counted_as_they_counted_it() {
    let Some(folder) = recordings() else { return };
    for (server, _) in SERVERS {
        for (chat, tokens, source) in [
            ("chat_stream_usage", 12, "usage"),
            ("chat_stream_one_token", 1, "usage"),
            ("chat_stream_logprobs", 0, ""),
            ("chat_n2", 0, ""),
            ("chat", 12, "usage"),
            ("chat_stream", 0, ""),
        ] {
            let result = one(&ask(&speak(folder.join(server), chat), &[]).exits(0));
            let whole = std::fs::read_to_string(folder.join(server).join(chat).with_extension("http")).unwrap();
            assert_eq!(result["error"], Value::Null, "{server} {chat}");
            assert!(!result["text"].as_str().unwrap().is_empty(), "{server} {chat}");
            if !source.is_empty() {
                assert_eq!(
                    (&result["tokens"]["output"], &result["tokens"]["source"]),
                    (&json!(tokens), &json!(source)),
                    "{server} {chat}"
                );
                assert!(whole.contains(&result["usage"]["total_tokens"].to_string()), "{server} {chat}");
            }
            assert_eq!(result["finish_reason"], "length", "{server} {chat}: {result}");
            if chat == "chat_stream_usage" {
                assert_eq!(
                    (&result["chunks"]["count"], &result["tokens"]["input"]),
                    (&json!(12), &json!(18)),
                    "{server}"
                );
                assert_eq!(result["timings"].is_object(), server.starts_with("llama"), "{server}");
            }
            if chat == "chat_stream_logprobs" {
                let exact = &result["chunks"]["first_tokens"];
                assert_eq!(exact["exact"], whole.contains(r#""logprobs":{"content""#), "{server}: {exact}");
            }
            let two = result["warnings"].as_array().unwrap().contains(&"several_choices".into());
            assert_eq!(two, chat == "chat_n2" && !server.starts_with("mlx"), "{server} {chat}: {}", result["warnings"]);
        }
        for (chat, word) in [("err_bad_json", "JSON"), ("err_no_messages", "messages"), ("err_404", "ound")] {
            let word = if (server, chat) == ("llama-server-0.7.0-debian", "err_bad_json") { "json" } else { word };
            let result = one(&ask(&speak(folder.join(server), chat), &[]).exits(1));
            assert_eq!(result["error"]["kind"], "refused", "{server} {chat}");
            assert!(
                result["error"]["message"].as_str().unwrap().contains(word),
                "{server} {chat}: {}",
                result["error"]
            );
        }
    }
}

#[test]
fn real_servers_are_recognised_by_what_they_list() {
    let Some(folder) = recordings() else { return };
    for (server, name) in SERVERS {
        let mut list = command("llm-models");
        list.args(["openai", "--base-url", &speak(folder.join(server), "chat")]);
        let models = run_with(list, "").exits(0).of_type("model");
        assert_eq!(models[0].get("server").and_then(Value::as_str), name, "{server}: {models:?}");
        if server.starts_with("llama") {
            let told = ["parameters", "quantization", "context_length", "loaded_context_length", "size_bytes"];
            let told: Vec<&Value> = told.iter().map(|field| &models[0][field]).collect();
            assert_eq!(told, [&json!("598K"), &json!("F32"), &json!(8192), &json!(2048), &json!(2_393_344)]);
            assert_eq!(models[0]["server_version"], "b11669-Debian");
        }
    }
}
