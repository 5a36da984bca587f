//! LM Studio's three ways to chat: which is spoken, what is kept of it, and when another is tried.

use super::{FINCH, HERON, ask, bare, held, lmstudio, one};
use crate::common::golden::golden;
use crate::common::run_with;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[test]
fn the_native_chat_s_load_and_prompt_are_kept_and_a_load_by_request_is_told() {
    let sim = lmstudio(&["--load-time", "200ms"]);
    let ran = ask(bare("llm-run"), &sim, FINCH, &["--no-load", "--repeat", "2", "--nonce", "off"]).exits(0);
    let results = ran.of_type("result");
    let stats = &results[0]["rest_stats"];
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {stats}"));
    let [began, ended] = ["model_load_start_mono", "model_load_end_mono"].map(|name| number(&stats[name]));
    let [prompt, first] =
        ["prompt_processing_start_mono", "prompt_processing_end_mono"].map(|name| number(&stats[name]));
    assert!(began < ended && ended <= prompt && prompt < first, "{stats}");
    assert_eq!(stats["total_output_tokens"], 12);
    let load = one(&ran, "load");
    assert_eq!((&load["loader"], &load["load_time_method"]), (&"jit".into(), &"server".into()));
    assert_eq!(load["load_time_seconds"], stats["model_load_time_seconds"]);
    assert!(load.get("baseline_ts").is_none(), "nobody marked one");
    assert!(number(&load["ended_mono"]) - number(&load["started_mono"]) > 0.15);
    assert_eq!(results[0]["load_time_seconds"], load["load_time_seconds"]);
    assert!(results[0]["warnings"].to_string().contains("loaded_by_request"), "its first token waited for the load");
    assert!(results[1].get("load_time_seconds").is_none() && !results[1]["warnings"].to_string().contains("loaded_by"));
    // The load is told when it is done, before the answer is.
    let kinds: Vec<String> = ran.records().iter().map(|r| r["type"].as_str().unwrap().to_owned()).collect();
    assert!(kinds.iter().position(|k| k == "load") < kinds.iter().position(|k| k == "result"), "{kinds:?}");
}

#[test]
fn a_load_that_tells_of_itself_is_not_idle() {
    let sim = lmstudio(&["--load-time", "1600ms", "--ttft", "100ms"]);
    let ran = ask(bare("llm-run"), &sim, FINCH, &["--no-load", "--idle-timeout", "900ms"]).exits(0);
    assert_eq!(one(&ran, "result")["error"], Value::Null);
    let ran = ask(bare("llm-run"), &sim, HERON, &["--no-load", "--idle-timeout", "900ms", "--api", "chat"]).exits(1);
    assert_eq!(one(&ran, "result")["error"]["kind"], "idle_timeout", "the plain API tells nothing while it loads");
}

#[test]
fn each_api_can_be_asked_for_and_tells_what_it_has() {
    let sim = lmstudio(&[]);
    for (flags, api, path) in [
        (&["--api", "v1"][..], "lmstudio-v1", "/api/v1/chat"),
        (&["--api", "v0"], "lmstudio-v0", "/api/v0/chat/completions"),
        (&["--api", "chat"], "chat", "/v1/chat/completions"),
        (&["--api", "v0", "--no-stream"], "lmstudio-v0", "/api/v0/chat/completions"),
        (&["--api", "v1", "--no-stream"], "lmstudio-v1", "/api/v1/chat"),
    ] {
        let result = one(&ask(bare("llm-run"), &sim, FINCH, flags).exits(0), "result");
        assert_eq!((&result["api"], &result["tokens"]["output"]), (&api.into(), &12.into()), "{flags:?}");
        assert_eq!(result["endpoint"], format!("{}{path}", sim.url));
        let plain = flags.contains(&"--no-stream");
        assert_eq!(result["rest_stats"].is_object(), plain || api == "lmstudio-v1", "{flags:?}: {result}");
        assert_eq!(result["model_info"]["context_length"] == 8192, plain && api == "lmstudio-v0", "{result}");
        assert_eq!(result["tokens"]["method"], if api == "lmstudio-v1" { "server_stats" } else { "usage" });
    }
}

#[test]
fn an_api_that_is_asked_for_and_missing_is_a_failure_and_not_another_api() {
    let sim = lmstudio(&["--lmstudio-api", "openai"]);
    for api in ["v1", "v0"] {
        let result =
            one(&ask(bare("llm-run"), &sim, FINCH, &["--api", api, "--no-load", "--retries", "0"]).exits(1), "result");
        assert!(result["error"]["message"].as_str().unwrap().contains("Unexpected endpoint"), "{result}");
    }
}

/// A server that answers the chats of each path as told, and remembers which were asked.
fn server(native: &'static str, wait: Duration) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, seen) = (stream.unwrap(), Arc::clone(&seen));
            std::thread::spawn(move || {
                let mut head = [0; 8192];
                let n = stream.read(&mut head).unwrap();
                let line = String::from_utf8_lossy(&head[..n]).lines().next().unwrap_or_default().to_owned();
                let native_path = line.contains("/api/v1/chat");
                seen.lock().unwrap().push(line);
                if native_path {
                    std::thread::sleep(wait);
                    let _ = stream.write_all(native.as_bytes());
                } else {
                    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
                    let _ = write!(
                        stream,
                        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}"
                    );
                }
            });
        }
    });
    (url, asked)
}

#[test]
fn another_api_is_tried_only_where_the_endpoint_is_missing() {
    let answer = |status: &str, body: &str| -> &'static str {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").leak()
    };
    let quick = Duration::ZERO;
    for (what, native, wait, falls, kind) in [
        (
            "200 that says so",
            answer("200 OK", r#"{"error":"Unexpected endpoint or method. (POST /api/v1/chat)"}"#),
            quick,
            true,
            "",
        ),
        (
            "404 that says so",
            answer("404 Not Found", r#"{"error":"Unexpected endpoint or method. (POST /x)"}"#),
            quick,
            true,
            "",
        ),
        ("plain 404", answer("404 Not Found", "Cannot POST /api/v1/chat"), quick, true, ""),
        ("405", answer("405 Method Not Allowed", "{}"), quick, true, ""),
        (
            "no such model",
            answer("404 Not Found", r#"{"error":{"type":"model_not_found","message":"Model x not found"}}"#),
            quick,
            false,
            "refused",
        ),
        (
            "401",
            answer("401 Unauthorized", r#"{"error":{"code":"invalid_api_key","message":"token is required"}}"#),
            quick,
            false,
            "refused",
        ),
        ("500", answer("500 Error", r#"{"error":{"message":"engine died"}}"#), quick, false, "server"),
        ("400", answer("400 Bad Request", r#"{"error":{"message":"No models loaded."}}"#), quick, false, "refused"),
        ("a timeout", "", Duration::from_secs(5), false, "idle_timeout"),
        ("a close", "", quick, false, "protocol"),
    ] {
        let (url, asked) = server(native, wait);
        let mut run = bare("llm-run");
        run.args([
            "--source",
            "lmstudio",
            "--base-url",
            &url,
            "--prompt",
            "x",
            "--no-load",
            "--retries",
            "0",
            "--idle-timeout",
            "700ms",
        ]);
        let ran = run_with(run, "m\n").exits(i32::from(!falls));
        let result = one(&ran, "result");
        let paths: Vec<String> = asked.lock().unwrap().clone();
        assert_eq!(paths.iter().any(|line| !line.contains("/api/v1/chat")), falls, "{what}: {paths:?}");
        assert_eq!(result["error"].is_null(), falls, "{what}: {result}");
        if !falls {
            assert_eq!(result["error"]["kind"], kind, "{what}");
        }
    }
}

#[test]
fn what_was_not_asked_for_and_answers_all_the_same_is_doubted() {
    let sim = lmstudio(&["--quirk", "any-name"]);
    ask(bare("llm-run"), &sim, HERON, &["--no-load"]).exits(0);
    for api in ["v1", "v0", "chat"] {
        let ran = ask(bare("llm-run"), &sim, "aviary/fnich-4b", &["--no-load", "--api", api]).exits(0);
        let result = one(&ran, "result");
        assert_eq!(result["served_model"], HERON, "{api}");
        assert!(result["warnings"].to_string().contains("served_other_model"), "{api}: {result}");
    }
    // A load says so before anything is asked.
    let ran = ask(bare("llm-run"), &sim, "aviary/fnich-4b", &[]).exits(1);
    golden!("load-no-such-model", one(&ran, "load")["error"].as_str().unwrap());
}

#[test]
fn a_server_that_loads_nothing_by_itself_refuses_what_is_not_loaded() {
    let sim = lmstudio(&["--quirk", "no-jit"]);
    for api in ["v1", "v0", "chat"] {
        let result = one(&ask(bare("llm-run"), &sim, FINCH, &["--no-load", "--api", api]).exits(1), "result");
        assert!(result["error"]["message"].as_str().unwrap().contains("No models loaded"), "{api}: {result}");
    }
    ask(bare("llm-run"), &sim, FINCH, &[]).exits(0);
}

#[test]
fn a_model_leaves_by_itself_when_its_time_is_over() {
    let sim = lmstudio(&[]);
    ask(bare("llm-run"), &sim, FINCH, &["--no-load", "--api", "chat", "--extra-body", r#"{"ttl":1}"#]).exits(0);
    assert_eq!(held(&sim), [FINCH]);
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(held(&sim), Vec::<String>::new());
}

#[test]
fn reasoning_is_asked_for_in_lm_studio_s_words() {
    for (given, sent) in [("none", "off"), ("low", "low"), ("on", "on")] {
        let mut run = bare("llm-run");
        run.args(["--source", "lmstudio", "--prompt", "x", "-n", "--reasoning-effort", given]);
        assert_eq!(run_with(run, "m\n").exits(0).records()[0]["body"]["reasoning"], sent);
    }
}
