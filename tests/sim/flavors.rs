//! The OpenAI-compatible servers that the openai profile can be: the order and the shape of what each sends, held against
//! recordings of the real ones where those are at hand.

use super::client::{Answer, Sim, chat, write};
use crate::common::root;
use serde_json::{Value, json};

const QUICK: [&str; 6] = ["--ttft", "4ms", "--itl", "1ms", "--tokens", "12"];

fn server(flavor: &str) -> Sim {
    Sim::start(&[&["--profile", "openai", "--flavor", flavor], &QUICK[..]].concat())
}

/// An event in words: what it holds of role, text, finish, usage and the rest.
fn words(event: &Value) -> String {
    let choice = &event["choices"][0];
    let delta = &choice["delta"];
    let mut words = Vec::new();
    let mut say = |is: bool, word: &'static str| words.extend(is.then_some(word));
    say(choice.is_null(), "no-choice");
    say(delta["role"].is_string(), "role");
    say(delta.get("content").is_some_and(Value::is_null), "null");
    say(delta["content"].as_str().is_some_and(|text| !text.is_empty()), "text");
    say(choice["finish_reason"].is_string(), "finish");
    say(event["usage"].is_object(), "usage");
    say(event["timings"].is_object(), "timings");
    say(event["system_fingerprint"].is_string(), "fingerprint");
    say(event["object"] == "chat.completion", "whole");
    words.join("+")
}

/// A stream in words, what is repeated once.
fn stream_in_words(text: &str) -> Vec<String> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut all: Vec<String> =
        data.map(|data| serde_json::from_str(data).map_or_else(|_| data.to_owned(), |event| words(&event))).collect();
    all.dedup();
    all
}

fn said(sim: &Sim, with: Value) -> Answer {
    let mut body = chat("finch-4b", "hi", true);
    body["stream_options"] = json!({"include_usage": true});
    body.as_object_mut().unwrap().extend(with.as_object().cloned().unwrap());
    sim.post("/v1/chat/completions", body)
}

#[test]
fn each_server_sends_its_own_events_in_its_own_order() {
    for (flavor, recording, events) in [
        ("plain", "", "fingerprint+role text+fingerprint finish+fingerprint no-choice+usage+fingerprint [DONE]"),
        (
            "llama-cpp",
            "llama-server-0.7.0-debian",
            "role+null+fingerprint text+fingerprint finish+fingerprint no-choice+usage+timings+fingerprint [DONE]",
        ),
        ("llama-cpp-python", "", "role text finish [DONE]"),
        ("vllm", "vllm-0.32.0-cpu", "role text text+finish no-choice+usage+fingerprint [DONE]"),
        ("sglang", "", "role text finish no-choice+usage [DONE]"),
        ("tgi", "", "role+text+fingerprint role+finish+fingerprint no-choice+usage+fingerprint [DONE]"),
        (
            "mlx",
            "mlx-lm-0.32.2",
            "role+text+fingerprint role+finish+fingerprint no-choice+usage+fingerprint+whole [DONE]",
        ),
        (
            "litellm",
            "litellm-1.106.2-gateway",
            "role+fingerprint text+fingerprint finish+fingerprint usage+fingerprint [DONE]",
        ),
        ("mistral-rs", "", "role+text role+text+finish+usage [DONE]"),
        ("transformers", "", "role text finish+usage"),
    ] {
        let sorted = |event: &str| {
            let mut words: Vec<&str> = event.split('+').collect();
            words.sort_unstable();
            words.join("+")
        };
        let expected: Vec<String> = events.split(' ').map(sorted).collect();
        let in_words = |text: &str| stream_in_words(text).iter().map(|event| sorted(event)).collect::<Vec<_>>();
        let answer = said(&server(flavor), json!({}));
        let text = String::from_utf8(answer.body.clone()).unwrap();
        if flavor != "mlx" {
            assert_eq!(in_words(&text), expected, "{flavor}");
        }
        let path = root().join("../shared/captures/http").join(recording).join("chat_stream_usage.http");
        match std::fs::read_to_string(&path) {
            _ if recording.is_empty() => {}
            Ok(real) => assert_eq!(in_words(&real), expected, "{flavor}: the real one"),
            Err(_) => eprintln!("no recording of {recording}: {flavor} is not compared with the real one"),
        }
    }
}

#[test]
fn mlx_speaks_http_1_0_and_ends_with_its_connection() {
    let sim = server("mlx");
    let mut connection = sim.connect();
    write(&mut connection, "POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    let mut all = String::new();
    std::io::Read::read_to_string(&mut connection, &mut all).unwrap();
    assert!(all.starts_with("HTTP/1.0 200 OK\r\n"), "{all}");
    let head = all.split("\r\n\r\n").next().unwrap().to_lowercase();
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    assert!(all.contains("\n: keepalive 2048/6016\n") && all.ends_with("data: [DONE]\n\n"), "{all}");
}

#[test]
fn llama_cpp_closes_after_a_stream_that_promised_to_be_kept_and_not_after_a_plain_answer() {
    let sim = server("llama-cpp");
    for stream in [false, true] {
        let mut connection = sim.connect();
        write(&mut connection, "POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", stream).to_string());
        let answer = Answer::read(&mut connection).ok();
        assert_eq!(answer.header("keep-alive"), Some("timeout=5, max=100"));
        assert!(!answer.head.contains("connection: close"));
        let wait = std::time::Duration::from_millis(if stream { 5000 } else { 200 });
        connection.set_read_timeout(Some(wait)).unwrap();
        let closed = std::io::Read::read(&mut connection, &mut [0]).is_ok_and(|n| n == 0);
        assert_eq!(closed, stream);
    }
}

#[test]
fn what_is_asked_for_besides_is_sent_by_who_knows_it() {
    for (flavor, with, path, value) in [
        ("llama-cpp", json!({"timings_per_token": true}), "/timings/predicted_n", json!(1)),
        ("llama-cpp", json!({"logprobs": true}), "/choices/0/logprobs/content/0/token", json!("x")),
        ("vllm", json!({"return_token_ids": true}), "/choices/0/token_ids/0", json!(0)),
        ("vllm", json!({"stream_options": {"continuous_usage_stats": true}}), "/usage/completion_tokens", json!(1)),
        ("sglang", json!({"stream_options": {"continuous_usage_stats": true}}), "/usage/completion_tokens", json!(1)),
    ] {
        let sim = server(flavor);
        let first = |with: &Value| {
            let events = said(&sim, with.clone()).events();
            events.into_iter().find(|event| words(event).contains("text")).unwrap()
        };
        assert_eq!(first(&with).pointer(path), Some(&value), "{flavor} {with}");
        assert_eq!(first(&json!({})).pointer(path), None, "{flavor}: unasked");
    }
    let progress = said(&server("llama-cpp"), json!({"return_progress": true})).events();
    assert!(progress[0]["prompt_progress"].is_object() && words(&progress[0]).starts_with("role+null"));
}

#[test]
fn litellm_wants_its_content_type_and_others_do_not() {
    for (flavor, status) in [("litellm", 400), ("llama-cpp", 200)] {
        let sim = server(flavor);
        let mut connection = sim.connect();
        let body = chat("finch-4b", "hi", true).to_string();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        std::io::Write::write_all(&mut connection, (head + &body).as_bytes()).unwrap();
        let answer = Answer::read(&mut connection);
        assert_eq!(answer.status, status, "{flavor}");
        assert!(status == 200 || answer.str().contains("Missing required parameter: 'messages'"), "{}", answer.str());
    }
}

#[test]
fn a_connection_is_closed_when_it_idled_and_not_while_it_waits_for_an_answer() {
    let sim = Sim::start(&["--profile", "openai", "--idle-close", "200ms", "--ttft", "600ms", "--tokens", "2"]);
    let mut connection = sim.connect();
    write(&mut connection, "POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    assert!(!Answer::read(&mut connection).ok().text().is_empty());
    assert_eq!(std::io::Read::read(&mut connection, &mut [0]).unwrap(), 0, "closed, without a word");
}

#[test]
fn a_flavor_is_for_the_openai_profile() {
    let refused = crate::common::run("llm-sim", ["--profile", "ollama", "--flavor", "vllm"], "").exits(2);
    assert!(refused.stderr.contains("--profile openai"), "{}", refused.stderr);
}
