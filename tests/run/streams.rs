//! Streams as servers and proxies really send them, byte for byte: each form, each quirk, each way to fail.

use super::one;
use crate::common::golden::{case, golden};
use crate::common::{Ran, command, run_with};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

const SSE: &str = "text/event-stream";

/// A server that gives one answer: a head, then the pieces of the body, each in a write of its own. The end of the connection is
/// the end of the answer, unless it is `held` open.
fn answering(status: &str, kind: &str, pieces: &[&[u8]], held: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1 << 16]);
        let _ = stream.write_all(head.as_bytes());
        for piece in pieces {
            std::thread::sleep(Duration::from_millis(3));
            let _ = stream.write_all(&piece);
        }
        if held {
            std::thread::sleep(Duration::from_secs(20));
        }
    });
    url
}

fn ask(url: &str) -> Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", url, "--prompt", "x", "--retries", "0", "--save-text"]);
    run_with(ask, "m\n")
}

/// What came of a stream of these pieces.
fn read(pieces: &[&str]) -> Value {
    let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
    one(&ask(&answering("200 OK", SSE, &pieces, false)))
}

const A: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hé"}}]}"#;
const B: &str = r#"{"choices":[{"index":0,"delta":{"content":"llo"},"finish_reason":null}]}"#;
const END: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

#[test]
fn events_are_framed_in_every_way_that_the_standard_and_its_neighbours_know() {
    let plain = format!("data: {A}\n\ndata: {B}\n\ndata: {END}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n");
    let bytes = plain.as_bytes();
    let inside = plain.find('é').unwrap() + 1;
    let crlf = plain.replace('\n', "\r\n");
    let (crlf, cut) = (crlf.as_bytes(), crlf.find("\r\n").unwrap() + 1);
    let multi = A.replace(r#""choices""#, "\ndata: \"choices\"");
    let forms: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("as it should be", vec![bytes.to_vec()]),
        ("byte by byte", bytes.iter().map(|byte| vec![*byte]).collect()),
        ("a character in two reads", vec![bytes[..inside].to_vec(), bytes[inside..].to_vec()]),
        ("CR LF", vec![crlf.to_vec()]),
        ("CR and LF in two reads", vec![crlf[..cut].to_vec(), crlf[cut..].to_vec()]),
        ("CR", vec![plain.replace('\n', "\r").into_bytes()]),
        ("a byte order mark", vec![format!("\u{feff}{plain}").into_bytes()]),
        ("a byte order mark in two reads", vec![vec![0xef], [&[0xbb, 0xbf], bytes].concat()]),
        ("no blank after the colon", vec![plain.replace("data: ", "data:").into_bytes()]),
        ("several data lines", vec![plain.replace(A, &multi).into_bytes()]),
        (
            "an empty data line first",
            vec![plain.replace("data: ", "data:\ndata: ").replace("data:\ndata: [", "data: [").into_bytes()],
        ),
        ("event, id and retry", vec![format!("retry: 5\nid: 1\nevent: message\n{plain}").into_bytes()]),
        (
            "comments",
            vec![format!(":\n\n: OPENROUTER PROCESSING\n\n{}", plain.replace("\n\n", "\n\n: x\n\n")).into_bytes()],
        ),
        ("blank lines", vec![plain.replace("\n\n", "\n\n\n\n").into_bytes()]),
        ("no end mark", vec![plain.replace("data: [DONE]\n\n", "").into_bytes()]),
        ("no blank line at the end", vec![plain.replace("\n\ndata: [DONE]\n\n", "").into_bytes()]),
        ("words after the end", vec![format!("{plain}data: {A}\n\n").into_bytes()]),
        ("empty events", vec![plain.replace("\n\n", "\n\ndata:\n\n").into_bytes()]),
    ];
    for (name, pieces) in forms {
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        for kind in [SSE, "text/event-stream; charset=utf-8", "application/json", "text/plain"] {
            let result = one(&ask(&answering("200 OK", kind, &pieces, false)));
            assert_eq!(
                (&result["error"], &result["text"]),
                (&Value::Null, &json!("Héllo")),
                "{name}, {kind}: {result}"
            );
            assert_eq!((&result["tokens"]["output"], &result["chunks"]["count"]), (&json!(2), &json!(2)), "{name}");
            assert_eq!(result["finish_reason"], "stop", "{name}");
            if pieces.len() > 100 {
                break;
            }
        }
    }
}

#[test]
fn a_server_that_keeps_the_connection_open_after_the_end_is_not_waited_for() {
    let stream = format!("data: {A}\n\ndata: {B}\n\ndata: {END}\n\ndata: [DONE]\n\n");
    let result = one(&ask(&answering("200 OK", SSE, &[stream.as_bytes()], true)).exits(0));
    assert!(result["generation_time_seconds"].as_f64().unwrap() < 5.0, "{result}");
}

#[test]
fn every_field_of_a_chunk_is_read_for_what_it_is() {
    let delta = |delta: &str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n");
    let finish = |reason: &str| format!("data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\n");
    let usage = |usage: &str| format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    let words = |chunk: &str| delta(r#"{"content":"a"}"#) + chunk + &finish("\"stop\"") + "data: [DONE]\n\n";
    let text = |chunk: &str| (words(chunk), json!({"text": "a", "finish_reason": "stop", "chunks": {"count": 1}}));
    let cases: Vec<(String, Value)> = vec![
        // What is no text.
        text(&delta("{}")),
        text(&delta("null")),
        text(&delta(r#"{"role":"assistant","content":null}"#)),
        text(&delta(r#"{"role":"","content":"","reasoning_content":null,"tool_calls":null}"#)),
        text("data: {\"choices\":[]}\n\ndata: {\"choices\":null}\n\ndata: {}\n\n"),
        text("data: {\"choices\":[],\"prompt_filter_results\":[{}],\"error\":null}\n\n"),
        text(&finish("\"\"")),
        text("data: {\"error\":{},\"choices\":[]}\n\n"),
        // Text, in other places.
        (words(&delta(r#"{"content":[{"type":"text","text":"b"}]}"#)), json!({"text": "ab"})),
        (
            words(&delta(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]}]}"#)),
            json!({"text": "a", "chunks": {"count": 2}}),
        ),
        (
            words(&delta(r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#)),
            json!({"text": "a", "chunks": {"count": 2}}),
        ),
        (words(&delta(r#"{"function_call":{"name":"f","arguments":"{}"}}"#)), json!({"chunks": {"count": 2}})),
        (words("data: {\"choices\":[{\"text\":\"b\"}]}\n\n"), json!({"text": "ab"})),
        (words(&delta(r#"{"content":"\ud83d"}"#)), json!({"text": "a\u{fffd}"})),
        (words(&delta(r#"{"content":"b\u0000\n\ud83d\ude00"}"#)), json!({"text": "ab\u{0}\n😀"})),
        // Reasoning that the template opened.
        (
            delta(r#"{"content":"hm\n"}"#) + &delta(r#"{"content":"</think>\n\nHi"}"#) + &finish("\"stop\""),
            json!({"text": "Hi"}),
        ),
        // Ends.
        (
            delta(r#"{"content":"a"}"#) + &finish("\"length\"") + &finish("\"length\""),
            json!({"finish_reason": "length"}),
        ),
        (delta(r#"{"content":"a"}"#) + &finish("\"eos_token\""), json!({"finish_reason": "eos_token", "text": "a"})),
        (delta(r#"{"content":"a"}"#) + &finish("\"stop\"") + &finish("\"length\""), json!({"finish_reason": "stop"})),
        (delta(r#"{"content":"a"}"#) + "data: [DONE]\n\n", json!({"finish_reason": null, "text": "a"})),
        // Usage, before and after, repeated, empty, wrong.
        (
            usage(r#"{"completion_tokens":1,"prompt_tokens":2}"#) + &words(""),
            json!({"tokens": {"output": 1, "method": "usage"}}),
        ),
        (words(&usage("null")), json!({"tokens": {"output": 1, "method": "chunks"}})),
        (words(&usage(r#"{"total_tokens":0,"total_characters":0}"#)), json!({"usage": null})),
        (
            words(&(usage(r#"{"completion_tokens":7}"#) + &usage(r#"{"completion_tokens":0}"#))),
            json!({"tokens": {"output": 7}}),
        ),
        (
            words(&usage(r#"{"completion_tokens":0,"prompt_tokens":5}"#)),
            json!({"tokens": {"output": 1, "input": 5, "method": "chunks"}}),
        ),
        (
            words(&usage(r#"{"completion_tokens":"9","prompt_tokens":-1}"#)),
            json!({"tokens": {"output": 1, "method": "chunks"}}),
        ),
        (
            words("data: {\"choices\":[{\"index\":0,\"delta\":{},\"usage\":{\"completion_tokens\":4}}]}\n\n"),
            json!({"tokens": {"output": 4}}),
        ),
        (
            words("data: {\"choices\":[],\"x_groq\":{\"usage\":{\"completion_tokens\":4}}}\n\n"),
            json!({"tokens": {"output": 4}}),
        ),
        (
            words(&usage(
                r#"{"completion_tokens":9,"prompt_tokens":8,"reasoning_tokens":5,"prompt_tokens_details":{"cached_tokens":6}}"#,
            )),
            json!({"tokens": {"output": 9, "input": 8, "reasoning": 5, "cached": 6}}),
        ),
        // llama.cpp without usage: its timings count.
        (
            words("data: {\"choices\":[],\"timings\":{\"prompt_n\":3,\"cache_n\":4,\"predicted_n\":5}}\n\n"),
            json!({"tokens": {"output": 5, "input": 7, "cached": 4, "method": "server_stats"}}),
        ),
        // What nobody reads is kept.
        (
            words(
                "data: {\"choices\":[{\"delta\":{\"name\":\"n\"},\"stop_reason\":7}],\"service_tier\":\"default\",\"obfuscation\":\"x\"}\n\n",
            ),
            json!({"server_fields": {"name": "n", "stop_reason": 7, "service_tier": "default"}}),
        ),
    ];
    for (stream, expected) in cases {
        let result = read(&[&stream]);
        assert_eq!(result["error"], Value::Null, "{stream}");
        holds(&result, &expected, &stream);
        assert!(result["server_fields"].get("obfuscation").is_none());
    }
}

/// Whether all of `expected` is in `found`; null is also what is absent.
#[track_caller]
fn holds(found: &Value, expected: &Value, of: &str) {
    match expected.as_object() {
        Some(fields) => fields.iter().for_each(|(name, value)| holds(&found[name], value, of)),
        None => assert_eq!(found, expected, "{of}"),
    }
}

#[test]
fn a_head_is_read_for_what_it_tells() {
    let stream = format!("data: {A}\n\ndata: {END}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n");
    let from = |status: &str, more: &str| {
        one(&ask(&answering(status, &format!("{SSE}\r\n{more}"), &[stream.as_bytes()], false)))
    };
    let told = from("200 OK", "x-inference-time: 120\r\nopenai-processing-ms: soon");
    assert_eq!(told["server_fields"], json!({"x-inference-time": 120, "openai-processing-ms": "soon"}));
    let packed = &from("200 OK", "content-encoding: gzip")["error"];
    assert_eq!(packed["kind"], "protocol");
    let messages = case("gzip", packed["message"].as_str().unwrap());
    assert_eq!(from("200 OK", "content-encoding: identity")["error"], Value::Null);
    let moved = &from("308 Permanent Redirect", "location: https://me:pw@far.test/v1/chat?key=k")["error"];
    assert_eq!(moved["kind"], "http");
    let said = moved["message"].as_str().unwrap();
    assert!(!said.contains("pw") && !said.contains("key=k"), "{said}");
    golden!("errors-of-heads", messages + &case("redirect", said));
}

#[test]
fn two_reasons_to_end_are_doubted() {
    let stream = format!("data: {A}\n\ndata: {END}\n\ndata: {}\n\n", END.replace("stop", "length"));
    let warnings = &read(&[&stream])["warnings"];
    assert!(warnings.as_array().unwrap().contains(&"two_finish_reasons".into()), "{warnings}");
}

#[test]
fn what_is_no_answer_is_a_failure_that_says_why() {
    let begun = format!("data: {A}\n\n");
    let with = |tail: &str| format!("{begun}{tail}\n\n");
    let mut messages = String::new();
    for (status, kind, body, failure) in [
        ("200 OK", SSE, String::new(), "protocol"),
        ("200 OK", "application/json", "\n  \n".into(), "protocol"),
        ("200 OK", SSE, "data: The model is busy.\n\ndata: [DONE]\n\n".into(), "protocol"),
        ("200 OK", "text/plain", "The model is busy.".into(), "protocol"),
        ("200 OK", "text/html", "<html><title>Sign in</title></html>".into(), "protocol"),
        ("200 OK", SSE, "<!doctype html>".into(), "protocol"),
        ("502 Bad Gateway", "text/html", "<html>502</html>".into(), "server"),
        ("200 OK", "application/json", r#"{"error":{"message":"no","code":"bad"}}"#.into(), "server"),
        ("200 OK", SSE, r#"  {"error":"no"}"#.into(), "server"),
        ("200 OK", "application/json", r#"{"detail":"Not here"}"#.into(), "protocol"),
        ("200 OK", "application/json", r#"{"choices":[]}"#.into(), "protocol"),
        ("200 OK", SSE, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n".into(), "protocol"),
        ("200 OK", SSE, "data: \"words\"\n\n".into(), "protocol"),
        ("200 OK", SSE, "data: {\"choices\":7}\n\n".into(), "protocol"),
        ("200 OK", SSE, begun.clone(), "truncated"),
        ("200 OK", SSE, with(r#"data: {"error":{"message":"down","code":502}}"#), "server"),
        ("200 OK", SSE, with(r#"data: {"error":{"object":"error","message":"down","code":500}}"#), "server"),
        ("200 OK", SSE, with(r#"data: {"object":"error","message":"down","type":"X"}"#), "server"),
        ("200 OK", SSE, with(r#"data: {"error":"down"}"#), "server"),
        ("200 OK", SSE, with(r#"data: {"error":{"message":"slow","code":"429"}}"#), "rate_limit"),
        (
            "200 OK",
            SSE,
            with(r#"data: {"choices":null,"base_resp":{"status_code":1002,"status_msg":"slow"}}"#),
            "server",
        ),
        ("200 OK", SSE, with(r#"data: {"choices":[{"delta":{},"finish_reason":"error"}]}"#), "server"),
        ("200 OK", SSE, with(r#"data: {"choices":[{"delta":{},"finish_reason":"abort"}]}"#), "truncated"),
        (
            "400 Bad Request",
            "application/json",
            r#"{"object":"error","message":"no","type":"T","code":400}"#.into(),
            "refused",
        ),
        ("422 No", "application/json", r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#.into(), "refused"),
        (
            "429 Slow",
            "application/json",
            r#"{"error":{"type":"insufficient_balance_error","message":"empty"}}"#.into(),
            "refused",
        ),
        ("503 Busy", "application/json", r#"{"message":"later"}"#.into(), "server"),
        ("500 No", "text/plain", "\u{1b}[2Jboom".into(), "server"),
        ("404 No", "text/plain", "Not Found".into(), "refused"),
    ] {
        let result = one(&ask(&answering(status, kind, &[body.as_bytes()], false)).exits(1));
        let error = &result["error"];
        assert_eq!(error["kind"], failure, "{status} {body}: {error}");
        let said = error["message"].as_str().unwrap();
        assert!(!said.contains('\u{1b}'), "{status} {body}: {said}");
        messages += &case((status, kind, &body), said);
        assert_eq!(result["ttft_seconds"].is_f64(), body.starts_with(&begun), "{body}: what came is kept");
    }
    golden!("errors-of-answers", messages);
}

#[test]
fn a_whole_answer_is_read_whatever_stands_before_it_and_however_it_is_called() {
    let body = r#"{"id":"x","model":"m","choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"Hi"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    for (before, kind) in [
        ("", "application/json"),
        ("\n\n   \n", "application/json"),
        ("", SSE),
        ("\u{feff}", "text/plain"),
        ("  ", SSE),
    ] {
        let pieces = [before.as_bytes(), body.as_bytes()];
        let result = one(&ask(&answering("200 OK", kind, &pieces, false)).exits(0));
        assert_eq!((&result["text"], &result["tokens"]["output"]), (&json!("Hi"), &json!(2)), "{before:?} {kind}");
        assert_eq!((&result["ttft_seconds"], &result["warnings"]), (&Value::Null, &json!(["not_streamed"])));
    }
}
