//! Servers that stall, flood, echo keys and hang up, on HTTP/1.1: no limit is passed unseen, no answer is lost, no key is shown.

use super::cuts::{ask, serving};
use super::one;
use crate::common::golden::{case, golden};
use crate::common::sim::Sim;
use crate::common::{command, run_with};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
/// What should have ended after two seconds, or after five.
const LATE: Duration = Duration::from_secs(30);
const KEY: &str = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn event(json: &str) -> String {
    chunk(&format!("data: {json}\n\n"))
}

fn said(text: &str) -> String {
    event(&format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#))
}

#[test]
fn a_limit_holds_however_the_pieces_before_a_silence_came() {
    // With the head, right behind it, or later; `None` is where nothing comes but the head.
    for (pause_ms, text) in [(0, Some("Hi")), (1, Some("Hi")), (300, Some("Hi")), (0, None)] {
        let url = serving(move |_, stream| {
            let piece = text.map(said).unwrap_or_default();
            if pause_ms == 0 {
                let _ = stream.write_all(format!("{HEAD}{piece}").as_bytes());
            } else {
                let _ = stream.write_all(HEAD.as_bytes());
                std::thread::sleep(Duration::from_millis(pause_ms));
                let _ = stream.write_all(piece.as_bytes());
            }
            std::thread::sleep(Duration::from_secs(40));
        });
        let flags = ["--retries", "0", "--requests", "8", "--concurrency", "8"];
        for (limit, kind) in [(["--idle-timeout", "1s"], "idle_timeout"), (["--timeout", "2s"], "timeout")] {
            let mut all = flags.to_vec();
            all.extend(limit);
            let began = Instant::now();
            let ran = ask_as_told(&url, &all).exits(1);
            assert!(began.elapsed() < LATE, "{pause_ms} ms, {text:?}, {limit:?}");
            for result in ran.of_type("result") {
                let what = format!("{pause_ms} ms, {text:?}, {limit:?}: {result}");
                assert_eq!(result["error"]["kind"], kind, "{what}");
                assert_eq!(result["chunks"]["count"], u64::from(text.is_some()), "{what}");
            }
        }
    }
}

/// As [`ask`], without a time limit of the test's own.
fn ask_as_told(url: &str, flags: &[&str]) -> crate::common::Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", url, "--prompt", "x"]).args(flags);
    run_with(ask, "finch-4b\n")
}

#[test]
fn streams_that_stall_after_their_first_token_time_out() {
    let sim = Sim::start("openai", &["--ttft", "0ms", "--itl", "5ms", "--tokens", "20", "--fault", "stall"]);
    let flags = ["--retries", "0", "--requests", "8", "--concurrency", "8", "--idle-timeout", "1s"];
    let began = Instant::now();
    let ran = ask_as_told(&sim.url, &flags).exits(1);
    assert!(began.elapsed() < LATE);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 8);
    assert!(results.iter().all(|result| result["error"]["kind"] == "idle_timeout"), "{results:?}");
}

#[test]
fn a_flood_that_is_no_answer_does_not_hold_off_a_limit() {
    let flood = |first: String, piece: String| {
        serving(move |_, stream| {
            let _ = stream.write_all(first.as_bytes());
            let many = piece.repeat(1000);
            while stream.write_all(many.as_bytes()).is_ok() {}
        })
    };
    let comments = flood(format!("{HEAD}{}", said("Hi")), chunk(": keep-alive\n\n"));
    for (limit, kind) in [("--idle-timeout", "idle_timeout"), ("--timeout", "timeout")] {
        let began = Instant::now();
        let result = one(&ask_as_told(&comments, &["--retries", "0", limit, "2s"]).exits(1));
        assert!(began.elapsed() < LATE, "{limit}");
        assert_eq!(result["error"]["kind"], kind, "{result}");
    }
    let busy = "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n".to_owned();
    let began = Instant::now();
    let result = one(&ask_as_told(&flood(busy, "x-trailer: y\r\n".into()), &["--retries", "0"]).exits(1));
    assert!(began.elapsed() < LATE);
    assert_eq!((&result["error"]["kind"], &result["error"]["message"]), (&json!("server"), &json!("busy")));
}

#[test]
fn no_piece_of_a_key_is_shown_wherever_a_server_puts_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, KEY).unwrap();
    let escaped: String = KEY.chars().map(|letter| format!("\\u{:04X}", letter as u32)).collect();
    let half_escaped = format!("\\u0073{}", &KEY[1..]);
    for filler in [0, 200, 255, 270, 285, 450, 470, 485] {
        let filler = "x".repeat(filler);
        for key in [KEY, &escaped, &half_escaped] {
            for body in [
                event(&format!(r#"{{"error":{{"message":"{filler}{key}"}}}}"#)),
                event(&format!("{filler}{key}")),
                event(&format!(r#"{{"choices":7,"x":"{filler}{key}"}}"#)),
                said("Hi")
                    + &event(&format!(r#"{{"choices":[],"x_{key}":"{filler}{key}","usage":{{"{key}":"{key}"}}}}"#)),
                said(key),
                chunk(&format!("{filler}{key}")),
            ] {
                let told = format!("{} {body}", filler.len());
                let url = serving(move |_, stream| {
                    let _ = stream.write_all(format!("{HEAD}{body}0\r\n\r\n").as_bytes());
                });
                let key_file = file.to_str().unwrap();
                let ran = ask_as_told(&url, &["--retries", "0", "--api-key-file", key_file, "--verbose"]);
                let all = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
                for piece in [&KEY[8..16], &KEY[20..28], &escaped[..48].to_lowercase()] {
                    assert!(!all.contains(piece), "{told}\n{all}");
                }
            }
        }
    }
}

#[test]
fn what_a_server_says_before_it_hangs_up_on_a_large_request_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = folder.path().join("prompt");
    fs::write(&prompt, "word ".repeat(1 << 20)).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let refuse = |mut stream: TcpStream| {
                let mut some = [0; 4096];
                let _ = stream.read(&mut some);
                let _ = stream
                    .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 8\r\nconnection: close\r\n\r\ntoo long");
            };
            std::thread::spawn(move || refuse(stream.unwrap()));
        }
    });
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", &url, "--retries", "0", "--requests", "30", "--concurrency", "2"]);
    ask.arg("--prompt-file").arg(&prompt);
    let results = run_with(ask, "m\n").exits(1).of_type("result");
    assert_eq!(results.len(), 30);
    for result in results {
        assert_eq!(
            (&result["error"]["kind"], &result["error"]["message"]),
            (&json!("refused"), &json!("too long")),
            "{result}"
        );
    }
}

#[test]
fn a_status_says_what_it_says_though_its_body_is_compressed() {
    let mut messages = String::new();
    for (status, kind, tries) in
        [("429 Too Many", "rate_limit", 2), ("503 Busy", "server", 2), ("401 No", "refused", 1)]
    {
        let url = serving(move |_, stream| {
            let head = format!("HTTP/1.1 {status}\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n");
            let _ = stream.write_all(&[head.as_bytes(), &[0x1f, 0x8b, 8, 0]].concat());
        });
        let result = one(&ask(&url, &["--retries", "1"]).exits(1));
        assert_eq!(result["error"]["kind"], kind, "{result}");
        messages += &case(status, result["error"]["message"].as_str().unwrap());
        assert_eq!(result["attempts"].as_array().map_or(1, |before| before.len() + 1), tries, "{result}");
    }
    golden!("error-body-compressed", messages);
    for (coding, ok) in [("", true), ("identity", true), ("br", false)] {
        let url = serving(move |_, stream| {
            let head = HEAD.replace("transfer-", &format!("content-encoding: {coding}\r\ntransfer-"));
            let end = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
            let _ = stream.write_all(format!("{head}{}{}0\r\n\r\n", said("Hi"), event(end)).as_bytes());
        });
        let result = one(&ask(&url, &["--retries", "0"]));
        assert_eq!(result["error"].is_null(), ok, "{coding:?}: {result}");
    }
}

#[test]
fn whatever_an_answer_consists_of_counts_towards_the_most_that_it_may_hold() {
    let long = "x".repeat(400 << 10);
    for field in ["id", "model", "provider", "system_fingerprint"] {
        let piece = event(&format!(r#"{{"choices":[],"{field}":"{long}"}}"#));
        let url = serving(move |_, stream| {
            let _ = stream.write_all(HEAD.as_bytes());
            for _ in 0..8 {
                let _ = stream.write_all(piece.as_bytes());
            }
            let _ = stream.write_all(b"0\r\n\r\n");
        });
        let result = one(&ask(&url, &["--retries", "0", "--max-answer-bytes", "1000000"]).exits(1));
        assert_eq!(result["error"]["kind"], "too_large", "{field}: {}", result["error"]);
    }
}
