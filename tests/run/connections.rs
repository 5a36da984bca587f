//! Connections that die, that idle, that go through a proxy: what the sockets of llm-run do between requests.

use super::tls::front;
use super::{ask, one};
use crate::common::golden::golden;
use crate::common::sim::Sim;
use crate::common::{Ran, command, run_with, testdata};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

#[test]
fn a_kept_connection_that_dies_before_the_answer_is_no_failure_and_its_server_gets_fresh_ones() {
    for (profile, model) in [("openai", "finch-4b"), ("lmstudio", "aviary/finch-4b"), ("ollama", "finch:4b")] {
        let sim = Sim::start(profile, &["--fault", "close-reused", "--ttft", "80ms"]);
        let flags = ["--repeat", "8", "--retries", "0", "--no-load"];
        let ran = ask(&sim, profile, model, &flags).exits(0);
        let results = ran.of_type("result");
        let died = |result: &Value| {
            let warnings = result["warnings"].as_array();
            warnings.is_some_and(|words| words.contains(&"reused_connection_died".into()))
        };
        let found: Vec<usize> = (0..8).filter(|&n| died(&results[n])).collect();
        assert_eq!(found.len(), 1, "{profile}: one finds out, and nobody after it: {results:?}");
        let found = &results[found[0]];
        // Every request has a fresh connection, be it the second.
        assert!(results.iter().all(|r| r["timing_seconds"]["connect"].is_f64()), "{profile}: {results:?}");
        assert!(results.iter().all(|r| r.get("attempts").is_none() && r["error"].is_null()), "{profile}");
        // Timed from the second sending: the `start` that counts is the later one.
        let starts = ran.of_type("start");
        let starts: Vec<f64> = starts
            .iter()
            .filter(|start| start["id"] == found["id"])
            .map(|start| start["start_mono"].as_f64().unwrap())
            .collect();
        assert_eq!(starts.len(), 2, "{profile}: both sendings are told");
        assert_eq!(found["start_mono"].as_f64().unwrap(), starts[0].max(starts[1]), "{profile}");
    }
}

#[test]
fn two_hundred_streams_of_a_server_that_closes_after_each_lose_none() {
    let quick = ["--ttft", "1ms", "--itl", "0ms", "--tokens", "4"];
    let sim = Sim::start("openai", &[&["--fault", "close-after-stream"], &quick[..]].concat());
    let flags = ["--requests", "200", "--concurrency", "4", "--retries", "0"];
    let results = ask(&sim, "openai", "finch-4b", &flags).exits(0).of_type("result");
    assert_eq!(results.iter().filter(|r| r["error"].is_null() && r["tokens"]["output"] == 4).count(), 200);
}

#[test]
fn a_connection_that_was_idle_too_long_is_noticed_before_the_request_is_written() {
    let quick = Sim::start("openai", &["--idle-close", "150ms"]);
    let slow = Sim::start("openai", &["--ttft", "1s"]);
    let line = |sim: &Sim, id: &str| {
        json!({"type": "model", "v": 1, "source": "openai", "id": id, "base_url": sim.url}).to_string() + "\n"
    };
    // Local models are asked one after another: the first server's connection idles while the second answers.
    let models = line(&quick, "finch-4b") + &line(&slow, "finch-4b") + &line(&quick, "heron-12b");
    let mut command = command("llm-run");
    command.args(["--prompt", "Hello", "--retries", "0"]);
    let ran = run_with(command, models).exits(0);
    let results = ran.of_type("result");
    assert!(results[2]["timing_seconds"]["connect"].is_f64(), "{}", results[2]);
    assert_eq!(ran.of_type("start").len(), 3, "nothing was written into a dead connection");
}

#[test]
fn a_model_loads_though_the_machine_settled_for_as_long_as_the_server_keeps_connections() {
    // LM Studio keeps them for five seconds, and five seconds are what `--settle` takes unless told otherwise.
    let sim = Sim::start("lmstudio", &["--idle-close", "250ms", "--load-bytes", "1MB"]);
    let models = ["aviary/finch-4b", "aviary/heron-12b", "nocturne/owl-20b"].join("\n");
    let mut command = command("llm-run");
    command.args(["--source", "lmstudio", "--base-url", &sim.url, "--prompt", "x", "--settle", "250ms"]);
    let ran = run_with(command, models).exits(0);
    assert!(ran.of_type("load").iter().all(|load| load["error"].is_null()), "{}", ran.stdout);
}

/// A proxy that says what it was asked, and forwards or tunnels to `to`; without `to` it answers a CONNECT and says the first bytes
/// that come through.
fn proxy(to: Option<String>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (say, said) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, to, say) = (stream.unwrap(), to.clone(), say.clone());
            std::thread::spawn(move || serve(&mut stream, to, |text| say.send(text).unwrap_or_default()));
        }
    });
    (address, said)
}

fn serve(stream: &mut TcpStream, to: Option<String>, say: impl Fn(String)) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    say(head.clone());
    match to {
        None => {
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            let mut first = [0; 512];
            let n = stream.read(&mut first).unwrap_or(0);
            say(String::from_utf8_lossy(&first[..n]).into_owned());
        }
        Some(to) => {
            let mut server = TcpStream::connect(to).unwrap();
            if head.starts_with("CONNECT ") {
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                return relay(stream, server);
            }
            // What a forwarding proxy does: the address becomes a path, and what was for the proxy stays here.
            let lines: Vec<&str> =
                head.trim_end().lines().filter(|line| !line.to_lowercase().starts_with("proxy-")).collect();
            let head = lines.join("\r\n").replace("http://llm.test:8000/", "/") + "\r\n\r\n";
            server.write_all(head.as_bytes()).unwrap();
            relay(stream, server);
        }
    }
}

fn relay(client: &mut TcpStream, mut server: TcpStream) {
    let (mut from, mut into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut into));
    let _ = std::io::copy(&mut server, client);
}

fn through(base: &str, variables: &[(&str, &str)]) -> Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", base, "--prompt", "x", "--retries", "0", "--connect-timeout", "5s"]);
    ask.envs(variables.iter().copied());
    run_with(ask, "finch-4b\n")
}

#[test]
fn a_request_to_another_machine_is_forwarded_by_the_proxy_of_the_environment() {
    let sim = Sim::start("openai", &[]);
    let (address, asked) = proxy(Some(sim.url.trim_start_matches("http://").to_owned()));
    let proxy = format!("http://me:word@{address}");
    let ran = through("http://llm.test:8000", &[("HTTP_PROXY", &proxy)]).exits(0);
    let result = one(&ran);
    assert_eq!((&result["error"], &result["tokens"]["output"]), (&Value::Null, &json!(12)));
    let head = asked.recv().unwrap();
    assert!(head.starts_with("POST http://llm.test:8000/v1/chat/completions HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\nhost: llm.test:8000\r\n"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: basic bwu6d29yza==\r\n"), "{head}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("me:word"));
}

#[test]
fn a_listing_goes_the_same_way() {
    let sim = Sim::start("openai", &["--replay", testdata("servers/vllm").to_str().unwrap()]);
    let (address, asked) = proxy(Some(sim.url.trim_start_matches("http://").to_owned()));
    let mut list = command("llm-models");
    list.args(["openai", "--base-url", "http://llm.test:8000"]).env("HTTP_PROXY", format!("http://{address}"));
    let models = run_with(list, "").exits(0).of_type("model");
    assert_eq!((&models[0]["server"], &models[0]["id"]), (&json!("vllm"), &json!("finch-4b")));
    assert!(asked.recv().unwrap().starts_with("GET http://llm.test:8000/v1/models HTTP/1.1\r\n"));
}

#[test]
fn a_request_to_an_https_server_goes_through_a_tunnel() {
    let (address, asked) = proxy(None);
    let proxy = format!("http://me:word@{address}");
    let ran = through("https://llm.test/v1", &[("HTTPS_PROXY", &proxy)]).exits(2);
    let head = asked.recv().unwrap();
    assert!(head.starts_with("CONNECT llm.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6d29yZA=="), "{head}");
    // Then TLS, to the server and not to the proxy: its greeting names the server.
    let greeting = asked.recv().unwrap();
    assert!(greeting.starts_with('\u{16}') && greeting.contains("llm.test"), "{greeting:?}");
    let error = &one(&ran)["error"];
    assert_eq!(error["kind"], "connect");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&address.to_string()) && !message.contains("word"), "{message}");
    golden!("tls-through-a-proxy-failed", message);
}

#[test]
fn a_tunnel_carries_the_whole_exchange() {
    let sim = Sim::start("openai", &[]);
    let front = front(&sim, &["http/1.1"], |_| true);
    let (address, asked) = proxy(Some(front.url.replace("https://localhost", "127.0.0.1")));
    let proxy = format!("http://{address}");
    let certificate = front.certificate.to_str().unwrap();
    let ran = through("https://llm.test/v1", &[("HTTPS_PROXY", &proxy), ("SSL_CERT_FILE", certificate)]).exits(0);
    let result = one(&ran);
    assert_eq!((&result["error"], &result["tokens"]["output"]), (&Value::Null, &json!(12)));
    assert!(asked.recv().unwrap().starts_with("CONNECT llm.test:443 HTTP/1.1\r\n"));
}

#[test]
fn what_no_proxy_names_and_this_machine_are_asked_directly() {
    let (address, asked) = proxy(None);
    let all = format!("http://{address}");
    let sim = Sim::start("openai", &[]);
    let here = through(&sim.url, &[("ALL_PROXY", &all), ("HTTP_PROXY", &all)]).exits(0);
    assert_eq!(one(&here)["error"], Value::Null);
    let named = through("http://no-such-host.invalid", &[("http_proxy", &all), ("NO_PROXY", "other.test,.invalid")]);
    assert_eq!(one(&named.exits(2))["error"]["kind"], "connect");
    assert!(asked.try_recv().is_err(), "the proxy was asked");
    let other = through("http://far.test", &[("all_proxy", "socks5://127.0.0.1:1")]).exits(2);
    golden!("proxy-not-http", one(&other)["error"]["message"].as_str().unwrap());
}
