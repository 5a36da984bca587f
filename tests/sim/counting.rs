//! What a server counts before it is asked, what it can be told about the length of an answer, and what it writes down.

use super::client::{Sim, chat};
use serde_json::{Value, json};

#[test]
fn what_is_counted_before_is_what_the_usage_says_after() {
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one two three"}]);
    let ask = json!({"model": "finch-4b", "messages": messages});
    for (count, chats, by_tokenize, texts) in [
        ("chat", true, false, true),
        ("tokenize", false, true, true),
        ("text", false, false, true),
        ("none", false, false, false),
    ] {
        let sim =
            Sim::start(&["--profile", "openai", "--count", count, "--ttft", "1ms", "--itl", "1ms", "--tokens", "3"]);
        let used = sim.post("/v1/chat/completions", ask.clone()).ok().json()["usage"]["prompt_tokens"].clone();
        assert_eq!(used, 5);
        let counted = sim.post("/v1/chat/completions/input_tokens", ask.clone());
        assert_eq!(counted.status, if chats { 200 } else { 404 }, "{count}");
        if chats {
            assert_eq!(counted.json()["input_tokens"], used);
        }
        let tokens = |body: Value| sim.post("/tokenize", body).json()["tokens"].as_array().map_or(0, Vec::len);
        assert_eq!(tokens(ask.clone()), if by_tokenize { 5 } else { 0 }, "{count}");
        for field in ["content", "prompt"] {
            assert_eq!(
                tokens(json!({"model": "finch-4b", field: "one two three"})),
                if texts { 3 } else { 0 },
                "{count}"
            );
        }
    }
}

#[test]
fn an_answer_that_may_not_stop_is_as_long_as_its_limit() {
    for (profile, model, fields, tokens, finish) in [
        ("openai", "finch-4b", json!({"max_tokens": 20, "ignore_eos": true}), 20, "length"),
        ("openai", "finch-4b", json!({"max_tokens": 20, "min_tokens": 15}), 15, "stop"),
        ("openai", "finch-4b", json!({"max_tokens": 20}), 5, "stop"),
        ("ollama", "finch:4b", json!({"max_tokens": 20, "ignore_eos": true}), 5, "stop"),
    ] {
        let sim =
            Sim::start(&["--profile", profile, "--ttft", "1ms", "--itl", "1ms", "--tokens", "5", "--load-time", "1ms"]);
        let mut body = chat(model, "go on", false);
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = sim.post("/v1/chat/completions", body).ok().json();
        let got = (&answer["usage"]["completion_tokens"], &answer["choices"][0]["finish_reason"]);
        assert_eq!(got, (&tokens.into(), &finish.into()), "{profile} {fields}");
    }
}

#[test]
fn bodies_are_written_down_as_they_came() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bodies");
    let sim = Sim::start(&["--profile", "openai", "--bodies", file.to_str().unwrap()]);
    sim.get("/v1/models");
    sim.request("POST", "/v1/chat/completions", &["x-request-id: run-7"], "no JSON");
    sim.post("/tokenize", json!({"content": "a b"}));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "what has a body");
    let line = |path: &str, request: Value, body: Value| json!({"type": "request", "v": 1, "path": path, "request": request, "body": body});
    assert_eq!(lines[0], line("/v1/chat/completions", "run-7".into(), "no JSON".into()));
    assert_eq!(lines[1], line("/tokenize", Value::Null, json!({"content": "a b"})));
}
