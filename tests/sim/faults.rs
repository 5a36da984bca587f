//! Every fault, seen through the socket; a fault without a row here fails the last test.

use super::client::{Answer, Sim, chat, user, write};
use clap::ValueEnum;
use llm_bench::sim::faults::Kind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const QUICK: [&str; 8] = ["--ttft", "40ms", "--itl", "2ms", "--tokens", "20", "--load-time", "5ms"];

fn sim(profile: &str, fault: &str) -> Sim {
    Sim::with_truth(&[&["--profile", profile, "--load-bytes", "0", "--fault", fault], &QUICK[..]].concat())
}

fn stream(sim: &Sim) -> Answer {
    let mut body = chat("finch-4b", "hi", true);
    body["stream_options"] = json!({"include_usage": true});
    sim.post("/v1/chat/completions", body)
}

fn finishes(answer: &Answer) -> Vec<(Value, bool)> {
    let chosen = |event: &Value| event["choices"][0].clone();
    let ended = answer.events().into_iter().map(|event| chosen(&event)).filter(|c| c["finish_reason"].is_string());
    ended.map(|choice| (choice["finish_reason"].clone(), choice["delta"]["content"].is_string())).collect()
}

/// What a stream of the openai profile looks like under a fault.
fn check(kind: Kind, answer: &Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let done = text.ends_with("data: [DONE]\n\n");
    let events = || answer.events();
    let complete = || {
        assert_eq!((answer.status, answer.whole), (200, true), "{text}");
        let usage: Vec<Value> =
            events().iter().map(|e| e["usage"]["completion_tokens"].clone()).filter(|n| !n.is_null()).collect();
        assert_eq!(usage, [json!(20)], "{text}");
        assert!(!answer.text().is_empty());
    };
    match kind {
        Kind::Http500 => {
            assert_eq!((answer.status, events()[0]["error"]["type"].clone()), (500, json!("server_error")))
        }
        Kind::RateLimit => assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1"))),
        Kind::ErrorInStream => {
            assert_eq!((answer.status, finishes(answer).len(), done), (200, 0, true));
            assert!(events().iter().any(|event| event["error"]["message"].is_string()), "{text}");
            assert!(!answer.text().is_empty());
        }
        Kind::Truncate => {
            assert_eq!((answer.status, answer.whole, finishes(answer).len(), done), (200, true, 0, false))
        }
        Kind::Abort => assert_eq!((answer.status, answer.whole, finishes(answer).len(), done), (200, false, 0, false)),
        Kind::Close => assert_eq!((answer.status, answer.head.as_str()), (0, "")),
        Kind::Empty200 => assert_eq!((answer.status, answer.whole, text.as_str()), (200, true, "")),
        Kind::Plain200 => {
            assert!(answer.status == 200 && text.starts_with("data: ") && events().is_empty())
        }
        Kind::HtmlError => {
            assert_eq!((answer.status, answer.header("content-type")), (502, Some("text/html; charset=utf-8")));
        }
        Kind::JsonError200 => {
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
            assert!(events()[0]["error"].is_object());
        }
        Kind::Malformed => {
            let broken =
                |line: &&str| line.starts_with("data: {") && serde_json::from_str::<Value>(&line[6..]).is_err();
            assert_eq!(text.lines().filter(broken).count(), 1, "{text}");
        }
        Kind::NoDone => {
            complete();
            assert!(!done && finishes(answer).len() == 1);
        }
        Kind::NoFinish => {
            complete();
            assert!(done && finishes(answer).is_empty());
        }
        Kind::ZeroUsage => {
            let counts: Vec<Value> = events().iter().map(|event| event["usage"]["completion_tokens"].clone()).collect();
            assert_eq!((counts.last(), answer.text().is_empty()), (Some(&json!(0)), false));
        }
        Kind::CumulativeUsage => {
            let counts: Vec<u64> =
                events().iter().filter_map(|event| event["usage"]["completion_tokens"].as_u64()).collect();
            assert_eq!(counts, (1..=20).chain([20]).collect::<Vec<u64>>());
        }
        Kind::Buffered => {
            complete();
            assert_eq!((answer.writes.len(), done), (1, true));
        }
        Kind::WrongType => {
            complete();
            assert!(done && answer.header("content-type") == Some("application/json"));
        }
        Kind::NotStreamed => {
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
            assert!(answer.json()["choices"][0]["message"]["content"].is_string());
        }
        Kind::CloseReused => complete(),
        Kind::NoUsage => assert!(done && events().iter().all(|event| event["usage"].is_null())),
        Kind::UsageWithChoice => {
            complete();
            assert_eq!(finishes(answer), [(json!("stop"), false), (json!("stop"), true)]);
        }
        Kind::Crlf => {
            complete();
            assert!(text.ends_with("\r\n\r\n") && text.matches('\n').count() == text.matches("\r\n").count());
        }
        Kind::Comments => {
            complete();
            let first = text.find("\"content\":\"").unwrap();
            assert!(text[..first].contains(": keepalive\n\n") && text[first..].contains(": keepalive\n\n"), "{text}");
        }
        Kind::Bom => {
            complete();
            assert!(text.starts_with("\u{feff}data: "), "{text}");
        }
        Kind::ManyPerChunk => {
            complete();
            // A role, three writes of 8, 8 and 4 tokens, the finish, the usage, the end.
            assert_eq!(answer.writes.len(), 7, "{:?}", answer.writes);
        }
        Kind::FinishWithToken => {
            complete();
            assert_eq!(finishes(answer), [(json!("stop"), true)]);
        }
        Kind::WrongModel => assert!(events().iter().all(|event| event["model"] == "heron-12b")),
        Kind::SplitUtf8 => {
            complete();
            let whole = answer.events().len() + 1;
            assert!(answer.writes.len() > 2 * whole - 2, "{:?} of {whole}", answer.writes);
        }
        // These have a test of their own below, or change nothing in such a stream.
        Kind::Stall
        | Kind::SlowHeaders
        | Kind::EarlyHeaders
        | Kind::WhitespacePadding
        | Kind::CloseAfterStream
        | Kind::LoadFails
        | Kind::RejectMaxTokens => {}
        // How late is told by the run's own tests.
        Kind::Cold => complete(),
        // OpenRouter's own, in openrouter.rs.
        Kind::OwnRateLimit
        | Kind::ProviderFailover
        | Kind::IgnorePin
        | Kind::CachedPrompt
        | Kind::GenerationDiffers
        | Kind::GenerationMissing => complete(),
    }
}

#[test]
fn every_fault_is_what_its_name_says() {
    for kind in Kind::value_variants().iter().filter(|kind| **kind != Kind::Stall) {
        let sim = sim("openai", &kind.to_string());
        let answer = stream(&sim);
        check(*kind, &answer);
        let truth = &sim.truth(1)[0];
        assert_eq!(truth["faults"], json!([kind.to_string()]));
    }
}

#[test]
fn a_stalled_stream_says_no_more_and_stays_open() {
    let sim = sim("openai", "stall");
    let mut open = sim.send("POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    open.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let answer = Answer::read(&mut open);
    assert_eq!((answer.status, answer.whole, finishes(&answer).len()), (200, false, 0));
    assert!(!answer.text().is_empty());
    open.set_nonblocking(true).unwrap();
    let still = std::io::Read::read(&mut open, &mut [0]).unwrap_err();
    assert_eq!(still.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_count_of_faults_ends() {
    let sim = sim("openai", "http-500:2x");
    assert_eq!([stream(&sim).status, stream(&sim).status, stream(&sim).status], [500, 500, 200]);
}

/// When the head of an answer came, after the request.
fn head_after(sim: &Sim, model: &str, path: &str) -> Duration {
    let sent = Instant::now();
    let mut open = sim.send("POST", path, &[], &chat(model, "hi", true).to_string());
    std::io::Read::read_exact(&mut open, &mut [0]).unwrap();
    sent.elapsed()
}

#[test]
fn headers_come_with_admission_or_later_or_sooner() {
    let flags = ["--profile", "lmstudio", "--load-time", "1s", "--load-bytes", "0", "--ttft", "300ms", "--fault"];
    let start = |fault: &str| Sim::start(&[&flags[..], &[fault]].concat());
    let wait = |fault: &str| head_after(&start(fault), "aviary/finch-4b", "/v1/chat/completions");
    assert!(wait("early-headers") < Duration::from_millis(990));
    assert!(wait("no-usage") >= Duration::from_millis(990));
    assert!(wait("slow-headers") >= Duration::from_millis(1290));
}

#[test]
fn a_plain_answer_is_padded_while_it_is_made() {
    let sim = sim("openai", "whitespace-padding");
    let answer = sim.post("/v1/chat/completions", chat("finch-4b", "hi", false)).ok();
    assert!(answer.str().starts_with("\n  ") && answer.writes.len() > 1, "{}", answer.str());
    assert_eq!(answer.json()["usage"]["completion_tokens"], 20);
}

#[test]
fn a_plain_answer_breaks_as_a_stream_does() {
    for (fault, status, whole, json) in [
        ("truncate", 200, true, false),
        ("malformed", 200, true, false),
        ("abort", 200, false, false),
        ("error-in-stream", 500, true, true),
        ("empty-200", 200, true, false),
        ("plain-200", 200, true, false),
    ] {
        let answer = sim("openai", fault).post("/v1/chat/completions", chat("finch-4b", "hi", false));
        let is_json = serde_json::from_slice::<Value>(&answer.body).is_ok();
        assert_eq!((answer.status, answer.whole, is_json), (status, whole, json), "{fault}");
    }
}

#[test]
fn a_connection_is_kept_after_a_stream_unless_the_fault_closes_it() {
    for (fault, kept) in [("close-after-stream", false), ("no-usage", true)] {
        let sim = sim("openai", fault);
        let mut connection = sim.connect();
        let body = chat("finch-4b", "hi", true).to_string();
        write(&mut connection, "POST", "/v1/chat/completions", &[], &body);
        let answer = Answer::read(&mut connection).ok();
        assert!(!answer.head.contains("connection: close"));
        assert_eq!(answer.header("keep-alive").is_some(), !kept);
        // On a connection that is closing the second request may still be written, but never answered.
        if kept {
            write(&mut connection, "GET", "/v1/models", &[], "");
            Answer::read(&mut connection).ok();
        } else {
            assert_eq!(std::io::Read::read(&mut connection, &mut [0]).unwrap(), 0);
        }
    }
}

#[test]
fn a_load_that_fails_is_said_wherever_it_was_asked_for() {
    let sim = sim("lmstudio", "load-fails");
    let load = sim.post("/api/v1/models/load", json!({"model": "aviary/finch-4b"}));
    assert_eq!((load.status, &load.json()["error"]["code"]), (400, &json!("model_load_failed")));
    let compat = sim.post("/v1/chat/completions", chat("aviary/finch-4b", "hi", true));
    assert!(compat.status == 400 && compat.str().contains("Failed to load model"), "{}", compat.str());
    let native = sim.post("/api/v1/chat", json!({"model": "aviary/finch-4b", "input": "hi", "stream": true}));
    assert!(native.ok().events().iter().any(|event| event["type"] == "error"));
    let ollama = self::sim("ollama", "load-fails");
    assert_eq!(ollama.post("/api/chat", json!({"model": "finch:4b", "messages": user("hi")})).status, 500);
}

#[test]
fn max_tokens_can_be_refused_by_name() {
    let sim = sim("openai", "reject-max-tokens");
    let mut body = chat("finch-4b", "hi", true);
    body["max_tokens"] = json!(5);
    let refused = sim.post("/v1/chat/completions", body);
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("unsupported_parameter")));
    let mut body = chat("finch-4b", "hi", true);
    body["max_completion_tokens"] = json!(5);
    sim.post("/v1/chat/completions", body).ok();
}

#[test]
fn faults_of_the_other_forms_keep_their_form() {
    let lines = |fault: &str| {
        let sim = sim("ollama", fault);
        sim.post("/api/chat", json!({"model": "finch:4b", "messages": user("hi")}))
    };
    assert!(lines("error-in-stream").events().iter().any(|event| event["error"].is_string()));
    assert!(!lines("no-done").ok().events().iter().any(|event| event["done"] == true));
    assert!(lines("truncate").ok().events().iter().all(|event| event["done"] == false));

    let native = sim("lmstudio", "error-in-stream");
    let answer = native.post("/api/v1/chat", json!({"model": "aviary/finch-4b", "input": "hi", "stream": true})).ok();
    let events = answer.events();
    assert_eq!(events[events.len() - 2]["type"], "error");
    assert_eq!(events[events.len() - 1]["result"]["stats"]["total_output_tokens"], 10);

    let router = sim("openrouter", "error-in-stream");
    let answer = router.post("/api/v1/chat/completions", chat("aviary/finch-4b", "hi", true)).ok();
    let last = answer.events().pop().unwrap();
    assert!(last["error"]["code"] == 502 && last["choices"][0]["finish_reason"] == "error");
    let minimax = sim("minimax", "error-in-stream");
    let answer = minimax.post("/v1/chat/completions", chat("MiniMax-Finch", "hi", true)).ok();
    assert_eq!(answer.events().pop().unwrap()["base_resp"]["status_code"], 1013);
}
