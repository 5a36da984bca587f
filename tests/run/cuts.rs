//! Answers that are cut, that stall and that cannot be read, on HTTP/1.1: what had been said by then counts, and who is at fault is
//! told. The server here writes bytes.

use super::one;
use crate::common::golden::{case, golden};
use crate::common::{Ran, command, run_with};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const TEXT: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// A server that answers each request by itself, with its number: from 1, as llm-run counts them, twice where it comes twice.
pub(super) fn serving(answer: impl Fn(usize, &mut TcpStream) + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || {
                let mut asked = vec![0; 1 << 16];
                let n = stream.read(&mut asked).unwrap_or(0);
                let asked = String::from_utf8_lossy(&asked[..n]).to_lowercase();
                let id = asked.lines().find_map(|line| line.strip_prefix("x-request-id: "));
                if let Some(number) = id.and_then(|id| id.rsplit('-').next()?.trim().parse().ok()) {
                    answer(number, &mut stream);
                }
            });
        }
    });
    url
}

pub(super) fn ask(url: &str, flags: &[&str]) -> Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", url, "--prompt", "x", "--timeout", "60s"]);
    ask.args(flags);
    run_with(ask, "m\n")
}

fn is_cut_after_the_end(result: &Value) -> bool {
    result["warnings"].as_array().is_some_and(|words| words.contains(&"cut_after_the_end".into()))
}

#[test]
fn a_status_is_what_was_answered_though_its_body_stalls_and_is_tried_again_as_it_says() {
    let tries = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let url = serving(move |_, stream| {
        if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 50\r\n\r\n";
            let _ = stream.write_all(format!("{head}slow down").as_bytes());
            std::thread::sleep(Duration::from_secs(40));
        } else {
            let body = format!("{TEXT}{END}{USAGE}{DONE}");
            let _ =
                stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        }
    });
    let result = one(&ask(&url, &["--retries", "1"]).exits(0));
    let attempt = &result["attempts"][0];
    assert_eq!((&attempt["status"], &attempt["error"]), (&json!(429), &json!("slow down")), "{result}");
    assert!(attempt["wait_seconds"].as_f64().unwrap() >= 1.0 && result["tokens"]["output"] == 2, "{result}");
}

#[test]
fn an_error_whose_body_stalls_never_ends_or_is_cut_keeps_its_status_and_its_kind() {
    // How it goes on after the head, and when it may be given up at the earliest.
    type Cut = fn(&mut TcpStream);
    let ways: [(&str, Cut, f64); 3] = [
        ("stalls", |_| std::thread::sleep(Duration::from_secs(40)), 4.9),
        ("never ends", |stream| while stream.write_all(&[b'x'; 4096]).is_ok() {}, 0.0),
        ("is cut", |_| {}, 0.0),
    ];
    for (what, rest, earliest) in ways {
        let url = serving(move |_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9000000000\r\n\r\nbusy ");
            rest(stream);
        });
        let result = one(&ask(&url, &["--retries", "0"]).exits(1));
        let error = &result["error"];
        assert_eq!((&error["kind"], &error["status"]), (&json!("server"), &json!(503)), "{what}: {result}");
        assert!(error["message"].as_str().unwrap().starts_with("busy"), "{what}: {error}");
        let end = result["timing_seconds"]["end"].as_f64().unwrap();
        assert!((earliest..40.0).contains(&end), "{what}: given up after {end} s");
    }
}

#[test]
fn an_answer_whose_finish_reason_came_is_whole_wherever_the_transfer_is_cut_after_it() {
    let body = format!("{TEXT}{END}{USAGE}{DONE}");
    let finished = TEXT.len() + END.len();
    for chunked in [true, false] {
        let whole = body.clone();
        // The n-th request gets one byte less than n.
        let url = serving(move |number, stream| {
            let form = if chunked { "transfer-encoding: chunked" } else { "connection: close" };
            let size = if chunked { format!("{:x}\r\n", whole.len()) } else { String::new() };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{form}\r\n\r\n{size}");
            let _ = stream.write_all(&[head.as_bytes(), &whole.as_bytes()[..number - 1]].concat());
        });
        let requests = (body.len() + 1).to_string();
        let ran = ask(&url, &["--retries", "0", "--concurrency", "4", "--requests", &requests]).exits(1);
        let results = ran.of_type("result");
        assert_eq!(results.len(), body.len() + 1);
        for result in results {
            let at = result["id"].as_u64().unwrap() as usize - 1;
            let told = format!("cut at {at} of {}, chunked: {chunked}: {result}", body.len());
            if at >= finished {
                assert_eq!((&result["error"], &result["finish_reason"]), (&Value::Null, &json!("stop")), "{told}");
                assert!(result["generation_time_seconds"].is_f64(), "{told}");
            } else if at <= TEXT.len() || chunked {
                assert!(result["error"].is_object() && !is_cut_after_the_end(&result), "{told}");
            }
            if ("data: {".len()..finished - "\n\n".len()).contains(&at) {
                assert_eq!(
                    (&result["error"]["kind"], &result["error"]["retryable"]),
                    (&json!("truncated"), &json!(true)),
                    "{told}"
                );
            }
            if chunked {
                let between = (finished..body.len()).contains(&at);
                assert_eq!(is_cut_after_the_end(&result), between, "{told}");
                assert!(between || at == body.len() || result["error"]["kind"] == "truncated", "{told}");
            }
            let counted = at >= finished + USAGE.len();
            assert!(!counted || result["tokens"]["output"] == 2, "{told}");
        }
    }
}

#[test]
fn what_this_program_cannot_read_is_not_blamed_on_the_connection() {
    let long = "x".repeat(80 << 10);
    let chunk = format!("{:x}", TEXT.len());
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}\r\n{TEXT}\r\n");
    let mut told = String::new();
    for (what, answer) in [
        ("long head", format!("HTTP/1.1 200 OK\r\nx-long: {long}\r\n\r\n")),
        ("content-length", "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n".to_owned()),
        ("ssh", "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned()),
        ("101", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".to_owned()),
        ("long extension", format!("{chunked}{chunk};{long}\r\n{TEXT}\r\n")),
        ("chunk length", format!("{chunked}zz\r\n")),
    ] {
        let url = serving(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
            std::thread::sleep(Duration::from_secs(3));
        });
        let error = one(&ask(&url, &["--retries", "0"]).exits(1))["error"].clone();
        assert_eq!(error["kind"], "protocol", "{what}: {error}");
        told += &case(what, error["message"].as_str().unwrap());
    }
    golden!("answer-not-http", told);
}
