//! What may be tried again, how long is waited before, and what is never sent twice.

use super::openrouter::FINCH;
use super::tls::{Front, front};
use super::{ask, asking, one, spawned};
use crate::common::golden::{case, golden, time};
use crate::common::sim::Sim;
use crate::common::{Ran, run_with, signal, testdata};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// An OpenRouter that refuses the model: a fault of the simulated one, or a recorded exchange.
fn refusing(fault: &str) -> (Sim, String) {
    let recorded = testdata("servers/openrouter").join(fault).with_extension("http");
    if recorded.exists() {
        let sim = Sim::start("openrouter", &["--replay", recorded.to_str().unwrap()]);
        return (sim, format!("{FINCH}-{fault}"));
    }
    (Sim::start("openrouter", &["--fault", fault]), FINCH.to_owned())
}

#[test]
fn only_what_may_help_is_tried_again_and_as_the_server_asks() {
    let mut messages = String::new();
    for (fault, kind, status, attempts) in [
        ("no-credit", "refused", 402, 0),
        ("moderation", "refused", 403, 0),
        ("no-endpoints", "refused", 404, 0),
        ("http-500", "server", 500, 1),
        ("html-error", "server", 502, 1),
        ("unavailable", "server", 503, 1),
        ("own-rate-limit", "rate_limit", 429, 1),
        ("rate-limit", "rate_limit", 429, 1),
        ("error-before-token", "server", 200, 1),
        ("error-in-stream", "server", 200, 0),
        ("truncate", "truncated", 200, 0),
        ("close", "protocol", 0, 0),
    ] {
        let (sim, model) = refusing(fault);
        let ran = ask(&sim, "openrouter", &model, &["--retries", "1"]).exits(1);
        let result = one(&ran);
        assert_eq!(result["error"]["kind"], kind, "{fault}: {result}");
        assert_eq!(result["error"]["status"].as_u64().unwrap_or(0), status, "{fault}: {result}");
        messages += &case(fault, result["error"]["message"].as_str().unwrap());
        assert_eq!(result["attempts"].as_array().map_or(0, Vec::len), attempts, "{fault}: {result}");
        assert_eq!(ran.of_type("start").len(), 1 + attempts, "{fault}: every sending is told");
        if status >= 402 && !["http-500", "html-error", "rate-limit"].contains(&fault) {
            assert_eq!(result["openrouter_metadata"]["attempts"][0]["status"], status, "{fault}: of an error, too");
        }
    }
    golden!("errors-of-openrouter", messages);
}

/// A server that gives the first request this answer, and every later one a good one.
fn once(status: u16, headers: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let good = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    let said = |status: u16, headers: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    let answers = [said(status, headers, body), said(200, "content-type: text/event-stream\r\n", good)];
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answers[n.min(1)].as_bytes());
        }
    });
    url
}

#[test]
fn every_status_and_every_word_for_it_is_taken_as_it_is_meant() {
    let json = "content-type: application/json\r\n";
    let events = "content-type: text/event-stream\r\n";
    let dated = "retry-after: Sat, 21 Nov 2020 16:00:10 GMT\r\n";
    let typed = r#"{"error":{"code":"x","message":"m","metadata":{"error_type":"rate_limit_exceeded"}}}"#;
    let rows = [
        (408, json, "{}", true),
        (429, dated, "{}", true),
        (500, json, r#"{"error":{"code":500,"message":"m"}}"#, true),
        (502, json, "", true),
        (503, json, r#"{"error":{"code":"503","message":"m"}}"#, true),
        (503, json, r#"{"error":{"message":"m","availability":{"retryable":true,"retry_after":0}}}"#, true),
        (503, json, r#"{"error":{"message":"m","availability":{"retryable":false}}}"#, false),
        (504, json, "{}", true),
        (524, "content-type: text/html\r\n", "<html>a timeout occurred</html>", true),
        (529, json, "{}", true),
        (400, json, r#"{"error":{"code":400,"message":"no such model","metadata":{"error_type":"not_found"}}}"#, false),
        (401, json, "{}", false),
        (402, json, r#"{"error":{"code":402,"message":"requires more credits"}}"#, false),
        (403, json, "{}", false),
        (404, json, "{}", false),
        (412, json, "{}", false),
        (413, json, "{}", false),
        (422, json, "{}", false),
        (429, json, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, false),
        (429, json, r#"{"error":{"code":429,"message":"m","metadata":{"error_type":"payment_required"}}}"#, false),
        (200, json, typed, true),
        (200, json, r#"{"error":{"message":"m","error_type":"provider_overloaded"}}"#, true),
        (200, json, r#"{"error":{"message":"m","error_type":"timeout"}}"#, true),
        (200, json, r#"{"error":{"message":"m","error_type":"payment_required"}}"#, false),
        (200, json, r#"{"error":{"message":"m","error_type":"content_policy_violation"}}"#, false),
        (200, json, r#"{"choices":[{"message":{"content":""},"error":{"code":502,"message":"m"}}]}"#, true),
        (200, events, "data: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n", true),
        (200, events, "data: {\"error\":{\"code\":\"402\",\"message\":\"m\"}}\n\n", false),
        (
            200,
            events,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n",
            false,
        ),
    ];
    let asked = rows.map(|(status, headers, body, again)| {
        let asked = std::thread::spawn(move || {
            let url = once(status, headers, body);
            run_with(asking(&url, "openrouter", &["--retries", "1"]), "a/b\n")
        });
        (status, body, again, asked)
    });
    for (status, body, again, asked) in asked {
        let result = one(&asked.join().unwrap());
        assert_eq!(result["error"].is_null(), again, "{status} {body}: {result}");
        assert_eq!(result["attempts"].as_array().map_or(0, Vec::len), usize::from(again), "{status} {body}: {result}");
        if again {
            assert_eq!(result["attempts"][0]["status"], status, "{status} {body}");
        }
    }
}

#[test]
fn a_wait_is_what_the_server_asks_and_never_less() {
    let unavailable = r#"{"error":{"message":"moment","availability":{"retryable":true,"retry_after":1}}}"#;
    let recovering = once(503, "content-type: application/json\r\n", unavailable);
    let limits = ["own-rate-limit:1x", "rate-limit:1x"].map(|fault| Sim::start("openrouter", &["--fault", fault]));
    for (fault, least, url) in [
        ("unavailable", 1.0, &recovering),
        ("own-rate-limit", 0.5, &limits[0].url),
        ("rate-limit", 1.0, &limits[1].url),
    ] {
        let result = one(&run_with(asking(url, "openrouter", &[]), format!("{FINCH}\n")).exits(0));
        let attempt = &result["attempts"][0];
        let wait = attempt["wait_seconds"].as_f64().unwrap();
        assert!((least..=1.2).contains(&wait), "{fault}: waited {wait}");
        assert!(attempt["error"].as_str().unwrap().len() > 5, "{attempt}");
        assert!(
            result["timing_seconds"]["end"].as_f64().unwrap() < 0.9,
            "{fault}: the times are those of the last try"
        );
    }
}

#[test]
fn an_error_before_the_first_token_of_a_plain_answer_is_tried_again_too() {
    let failed = r#"{"choices":[{"message":{"content":""},"finish_reason":"error","error":{"code":502,"message":"Provider disconnected"}}]}"#;
    let url = once(200, "content-type: application/json\r\n", failed);
    let result = one(&run_with(asking(&url, "openrouter", &["--no-stream"]), format!("{FINCH}\n")).exits(0));
    assert_eq!(result["attempts"][0]["error"], "Provider disconnected", "{result}");
}

#[test]
fn a_load_test_tries_nothing_again_and_a_limit_of_an_hour_is_not_waited_for() {
    let sim = Sim::start("openrouter", &["--fault", "own-rate-limit"]);
    let result = one(&ask(&sim, "openrouter", FINCH, &["--retries", "0"]).exits(1));
    assert!(result.get("attempts").is_none());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        let _ = stream
            .write_all(b"HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
    });
    let result = one(&run_with(asking(&url, "openrouter", &[]), "a/b\n").exits(1));
    server.join().unwrap();
    assert_eq!((&result["error"]["kind"], result.get("attempts")), (&"rate_limit".into(), None));
}

#[test]
fn no_connection_is_tried_again() {
    let mut ask = asking("http://127.0.0.1:1", "openrouter", &["--retries", "1"]);
    ask.env("OPENROUTER_API_KEY", "sk-or-v1-k");
    let ran = run_with(ask, "a/b\n").exits(2);
    golden!("key-not-checked-no-connection", ran.stderr, time());
    let result = one(&ran);
    assert_eq!((&result["error"]["kind"], result["attempts"].as_array().unwrap().len()), (&"connect".into(), 1));
}

/// A server that closes idle connections, behind TLS that is spoken on the first connection alone: the handshake of the next try
/// never ends. Says when that try has connected.
fn tls_once(sim: &Sim) -> (Front, Receiver<()>) {
    let (sender, came_again) = channel();
    let serves = move |number| {
        if number > 0 {
            let _ = sender.send(());
        }
        number == 0
    };
    (front(sim, &["http/1.1"], serves), came_again)
}

#[test]
fn a_signal_ends_a_try_that_still_connects_and_keeps_the_first() {
    for (fault, tries, kind, status) in
        [("unavailable", "2", "server", Some(503)), ("own-rate-limit", "1", "rate_limit", Some(429))]
    {
        // The next try is a second away.
        let (sim, model) = refusing(fault);
        let (front, came_again) = tls_once(&sim);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let flags = ["--retries", tries, "--connect-timeout", "100s", "--grace", "100s", "-o", path.to_str().unwrap()];
        let mut command = asking(&front.url, "openrouter", &flags);
        command.env("SSL_CERT_FILE", &front.certificate);
        let child = spawned(command, &model);
        came_again.recv_timeout(Duration::from_secs(20)).unwrap();
        let began = Instant::now();
        signal(&child, "INT");
        let told = child.wait_with_output().unwrap();
        assert!(began.elapsed() < Duration::from_secs(20), "{fault}: nothing of this try was sent");
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        let ran = Ran { status: told.status.code(), stdout: std::fs::read_to_string(&path).unwrap(), stderr: said };
        let result = one(&ran);
        assert_eq!((&result["error"]["kind"], result["error"]["status"].as_u64()), (&kind.into(), status), "{result}");
        assert_eq!(ran.of_type("start").len(), 1, "{}", ran.stdout);
        assert_eq!(
            result["start_mono"],
            ran.of_type("start")[0]["start_mono"],
            "its times are of the try that was sent"
        );
        assert_eq!(result.get("attempts"), None, "the try before is the result, and no other was made: {result}");
        let end = &ran.of_type("run_end")[0];
        assert_eq!((&end["ok"], &end["failed"]), (&0.into(), &1.into()), "{}", ran.stderr);
    }
}
