//! Recorded answers, byte for byte and at their times.

use super::client::{Answer, Sim, chat, write};
use crate::common::testdata;
use llm_bench::record::fixture;
use serde_json::{Value, json};
use std::io::Read;
use std::time::Duration;

/// A server of `testdata/servers`.
fn server(name: &str) -> Sim {
    Sim::with_truth(&["--replay", testdata("servers").join(name).to_str().unwrap()])
}

/// A server of files with these contents.
fn files(files: &[&str]) -> Sim {
    let folder = tempfile::tempdir().unwrap();
    for (n, text) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{n}.http")), text).unwrap();
    }
    Sim::with_truth(&["--replay", folder.path().to_str().unwrap()])
}

#[test]
fn replayed_stream_has_the_recorded_bytes_and_times() {
    let sim = server("vllm");
    let body = chat("finch-4b-thinking", "hi", true).to_string();
    let answer = sim.request("POST", "/v1/chat/completions", &["x-request-id: run-7"], &body).ok();
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!((answer.header("server"), answer.writes.len()), (Some("uvicorn"), 8), "{}", answer.head);
    let file = std::fs::read_to_string(testdata("servers/vllm/reasoning.http")).unwrap();
    let recorded = file.split_once("\n\n").unwrap().1.split_once("\n\n").unwrap().1;
    let bytes: String = recorded.split_inclusive('\n').filter(|line| !line.starts_with('@')).collect();
    assert_eq!(answer.str(), bytes);

    let truth = &sim.truth(1)[0];
    assert_eq!((&truth["request"], &truth["model"]), (&json!("run-7"), &json!("finch-4b-thinking")));
    assert_eq!((&truth["outcome"], &truth["stream"]), (&json!("done"), &json!(true)));
    assert_eq!(truth["tokens"], json!({"output": 8, "reasoning": 3}), "the tokens of a prompt are not known");
    let number = |value: &Value| value.as_f64().unwrap();
    let arrival = number(&truth["arrival_mono"]);
    let chunks = truth["chunks"].as_array().unwrap();
    for (n, chunk) in chunks.iter().enumerate() {
        let (written, late) = (number(&chunk[0]), number(&chunk[1]));
        let due = 0.060 + n as f64 * 0.020;
        assert!((written - late - arrival - due).abs() < 5e-6 && late >= 0.0, "{n}: {written} {late} {due}");
    }
    assert_eq!((chunks.len(), &truth["chunk_count"]), (8, &json!(8)));
}

#[test]
fn replayed_connection_ends_as_recorded() {
    let ask = |sim: &Sim, stream: bool| {
        let mut connection = sim.connect();
        write(&mut connection, "POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", stream).to_string());
        (Answer::read(&mut connection), connection)
    };
    let sim = server("llama-cpp");
    for stream in [false, true] {
        let (answer, mut connection) = ask(&sim, stream);
        let answer = answer.ok();
        assert_eq!(answer.header("keep-alive"), Some("timeout=5, max=100"));
        assert_eq!(answer.header("content-length").is_some(), !stream);
        connection.set_read_timeout(Some(Duration::from_millis(if stream { 5000 } else { 200 }))).unwrap();
        assert_eq!(connection.read(&mut [0]).is_ok_and(|n| n == 0), stream, "closed");
    }
    let sim = server("mlx-lm");
    let mut connection = sim.connect();
    write(&mut connection, "POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    let mut all = String::new();
    connection.read_to_string(&mut all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    assert!(body.starts_with(": keepalive 2048/6016\n") && body.ends_with("data: [DONE]\n\n"), "{body}");

    let sim = files(&["{\"about\": \"\", \"request\": \"POST /v1/chat/completions\"}\n\
        HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n@5ms 1 token\ndata: x\n\n@10ms abort\n"]);
    let (answer, _) = ask(&sim, true);
    assert_eq!((answer.status, answer.whole, answer.str()), (200, false, "data: x\n\n"));
    assert_eq!(sim.truth(1)[0]["outcome"], "interrupted");
}

#[test]
fn request_decides_which_exchange_is_replayed() {
    let sim = server("litellm");
    let status = |kind: &str, model: &str| {
        let mut connection = sim.connect();
        let body = chat(model, "hi", true).to_string();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        std::io::Write::write_all(&mut connection, request.as_bytes()).unwrap();
        Answer::read(&mut connection).status
    };
    assert_eq!(status("application/json", "finch-4b"), 200);
    assert_eq!(status("application/json; charset=utf-8", "busy"), 429);
    assert_eq!(status("text/plain", "finch-4b"), 400, "a body without its type is read as none");
    assert_eq!(sim.get("/v1/models").ok().json()["data"][0]["id"], "finch-4b");
    let unknown = sim.get("/props");
    assert!(unknown.status == 404 && unknown.str().contains("no recorded exchange answers GET /props"));
    assert_eq!(sim.truth(3).len(), 3, "the ground truth has what was posted");
}

#[test]
fn exchanges_of_equal_demands_take_turns() {
    let head = r#"{"about": "", "request": "POST /v1/chat/completions"}"#;
    let first = format!("{head}\nHTTP/1.1 503 Service Unavailable\n\n");
    let second = format!("{head}\nHTTP/1.1 200 OK\n\nyes");
    let sim = files(&[&first, &second]);
    let statuses: Vec<u16> = (0..3).map(|_| sim.post("/v1/chat/completions", chat("m", "hi", false)).status).collect();
    assert_eq!(statuses, [503, 200, 503]);
}

#[test]
fn replayed_results_keep_sizes_and_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.ndjson");
    let stream = json!({"stream": [[0.03, 10, "answer"], [0.05, 4, "answer"]]});
    let result = fixture::result(1, "m").sent(1.0).tokens(None, 6).merge(stream);
    std::fs::write(&file, result.line()).unwrap();
    let sim = Sim::with_truth(&["--profile", "openai", "--replay", file.to_str().unwrap()]);
    let said = sim.post("/v1/chat/completions", chat("finch-4b", "hi", true));
    assert_eq!(said.text().len(), 14);
    let truth = &sim.truth(1)[0];
    assert_eq!(truth["chunks"].as_array().unwrap().len(), 2);
    assert_eq!(truth["tokens"]["output"], 6);
    assert!(truth["ttft_seconds"].as_f64().unwrap() >= 0.03);
}
