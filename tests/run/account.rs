//! What a key may spend before a run, and what a request really cost after it.

use super::openrouter::{FINCH, list, warned};
use super::{ask, one};
use crate::common::golden::{case, golden};
use crate::common::sim::Sim;
use crate::common::{Ran, bash, command, run_with, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// llm-run with a key in its environment.
fn keyed(sim: &Sim, key: &str, flags: &[&str]) -> Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openrouter", "--base-url", &sim.url, "--prompt", "Hello there"]).args(flags);
    ask.env("OPENROUTER_API_KEY", key);
    run_with(ask, format!("{FINCH}\n"))
}

#[test]
fn a_refused_key_ends_the_run_before_anything_is_sent() {
    let truth = tempfile::NamedTempFile::new().unwrap();
    let sim =
        Sim::start("openrouter", &["--api-key", "sk-or-v1-right", "--ground-truth", truth.path().to_str().unwrap()]);
    let ran = keyed(&sim, "sk-or-v1-wrong", &[]).exits(2);
    golden!("key-refused", ran.stderr);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-or-v1-wrong"));
    assert_eq!((ran.of_type("start").len(), ran.of_type("result").len()), (0, 0));
    assert_eq!(std::fs::read_to_string(truth.path()).unwrap(), "", "no chat arrived");

    let asked = keyed(&sim, "sk-or-v1-wrong", &["--no-key-check"]).exits(1);
    assert_eq!(one(&asked)["error"]["status"], 401, "without the check, each request says so itself");
    keyed(&sim, "sk-or-v1-wrong", &["-n"]).exits(0);
    assert_eq!(one(&keyed(&sim, "sk-or-v1-right", &[]).exits(0))["error"], Value::Null);
}

#[test]
fn what_is_left_on_a_key_is_told_and_a_check_that_fails_stops_nothing() {
    // The last line counts the requests; what is left on a key stands before it.
    let before_the_last = |ran: &Ran| ran.stderr.lines().rev().skip(1).collect::<Vec<_>>().join("\n");
    let mut told = String::new();
    for (account, flags) in [
        (r#"{"limit":5,"limit_remaining":4.25}"#, &["-v"][..]),
        (r#"{"limit":5,"limit_remaining":4.25}"#, &[]),
        (r#"{"limit":5,"limit_remaining":0}"#, &[]),
        (r#"{"limit":5,"limit_remaining":-0.5}"#, &[]),
        (r#"{"expires_at":"2020-01-01T00:00:00Z"}"#, &[]),
        (r#"{"expires_at":"2099-01-01T00:00:00Z"}"#, &[]),
        (r#"{"is_free_tier":true}"#, &["-v"]),
        ("null", &[]),
        (r#"{"limit_remaining":0}"#, &["--no-key-check"]),
        (r#"{"limit_remaining":0}"#, &["--quiet"]),
    ] {
        let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-k", "--account", account]);
        let ran = keyed(&sim, "sk-or-v1-k", flags).exits(0);
        told += &case((account, flags), &before_the_last(&ran));
        assert_eq!(one(&ran)["error"], Value::Null);
    }
    golden!("key-checked", told);
    // Without a key there is nothing to check, and nothing is asked.
    let sim = Sim::start("openrouter", &["--account", r#"{"limit_remaining":0}"#]);
    assert_eq!(before_the_last(&ask(&sim, "openrouter", FINCH, &[]).exits(0)), "");
}

#[test]
fn the_most_that_a_run_may_cost_is_told_before_it_and_louder_when_the_key_cannot_pay_it() {
    let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-k", "--account", r#"{"limit_remaining":0.001}"#]);
    let models = list(&sim, &[], "").exits(0).stdout;
    let run = |flags: &[&str]| {
        let mut ask = command("llm-run");
        ask.args(["--prompt", "x"]).args(flags).env("OPENROUTER_API_KEY", "sk-or-v1-k");
        run_with(ask, &models).exits(0).stderr
    };
    // 10 000 tokens of each: 0.004 + 0.010 + 0.015 dollars.
    // Before the line that counts the requests, and without those that time the connections. Without --max-tokens nobody knows.
    let mut told = String::new();
    for flags in [&["--max-tokens", "10000", "-v"][..], &["--max-tokens", "10000"], &["--max-tokens", "10"], &["-v"]] {
        let stderr = run(flags);
        let dollars: Vec<&str> = stderr.lines().rev().skip(1).filter(|line| line.contains('$')).collect();
        told += &case(flags, &dollars.join("\n"));
    }
    golden!("cost-of-a-run-before-it", told);
}

#[test]
fn a_verified_cost_is_the_ledger_s_and_every_doubt_is_a_word() {
    for (faults, doubts, times) in [
        (&[][..], &[][..], Some(1.0)),
        (&["--fault", "generation-differs"], &["cost_differs", "tokens_differ"], Some(2.0)),
        (&["--fault", "provider-failover"], &["provider_retried"], Some(1.0)),
    ] {
        let sim = Sim::start("openrouter", &[&["--generation-delay", "1200ms"], faults].concat());
        let ran = ask(&sim, "openrouter", FINCH, &["--verify-cost", "--save-text"]).exits(0);
        let result = one(&ran);
        assert_eq!(warned(&result), doubts, "{faults:?}");
        let (usd, verified) = (result["cost"]["usd"].as_f64().unwrap(), result["cost"]["verified_usd"].as_f64());
        assert!(verified.zip(times).is_some_and(|(v, times)| (v - usd * times).abs() < 1e-12), "{result}");
        assert_eq!(result["cost"]["method"], "usage");
        assert_eq!(result["generation"]["id"], result["generation_id"]);
        assert!(
            result["generation_time_seconds"].as_f64().unwrap() < 1.0,
            "waiting for the ledger is not the request's time"
        );
        assert!(result["text"].is_string());
    }
    let sim = Sim::start("openrouter", &[]);
    assert!(one(&ask(&sim, "openrouter", FINCH, &[]).exits(0)).get("generation").is_none(), "only when asked");
    let other = Sim::start("openai", &[]);
    let other = one(&ask(&other, "openai", "finch-4b", &["--verify-cost"]).exits(0));
    assert_eq!((other.get("generation"), warned(&other)), (None, vec![]), "only OpenRouter has a ledger");
}

#[test]
fn what_was_cut_is_charged_and_the_ledger_says_how_much() {
    let sim = Sim::start("openrouter", &["--fault", "truncate"]);
    let result = one(&ask(&sim, "openrouter", FINCH, &["--verify-cost"]).exits(1));
    assert_eq!(
        (&result["error"]["kind"], &result["cost"]["method"]),
        (&"truncated".into(), &"generation".into()),
        "{result}"
    );
    assert!(result["cost"]["usd"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_was_refused_is_in_no_book_and_is_not_looked_up() {
    for fault in ["rate-limit", "own-rate-limit", "http-500", "close"] {
        let sim = Sim::start("openrouter", &["--fault", fault]);
        let began = Instant::now();
        let result = one(&ask(&sim, "openrouter", FINCH, &["--verify-cost", "--retries", "0"]).exits(1));
        assert_eq!((warned(&result), result.get("generation")), (vec![], None), "{fault}");
        assert!(began.elapsed() < Duration::from_secs(5), "{fault}: {:?}", began.elapsed());
    }
}

#[test]
fn verification_holds_up_neither_the_load_nor_the_end() {
    let sim = Sim::start("openrouter", &["--generation-delay", "2s"]);
    let began = Instant::now();
    let flags = ["--verify-cost", "--repeat", "30", "--concurrency", "3", "--nonce", "off"];
    let ran = ask(&sim, "openrouter", FINCH, &flags).exits(0);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 30);
    assert!(results.iter().all(|result| result["cost"]["verified_usd"].is_f64()), "{:?}", results[0]);
    // Ten rounds at two seconds each would be twenty.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let starts: Vec<f64> = ran.of_type("start").iter().map(|start| start["start_mono"].as_f64().unwrap()).collect();
    assert!(starts.last().unwrap() - starts[0] < 2.0, "the last was sent before the first was verified: {starts:?}");
}

#[test]
fn more_results_than_may_wait_are_written_unverified_and_none_is_lost() {
    let sim = Sim::start("openrouter", &["--generation-delay", "4s"]);
    let flags = ["--verify-cost", "--requests", "320", "--concurrency", "80", "--nonce", "off", "--quiet"];
    let results = ask(&sim, "openrouter", FINCH, &flags).exits(0).of_type("result");
    assert_eq!(results.len(), 320);
    let verified = results.iter().filter(|result| result["cost"]["verified_usd"].is_f64()).count();
    let unverified = results.iter().filter(|result| warned(result).contains(&"cost_unverified")).count();
    assert_eq!(verified + unverified, 320, "each is one or the other");
    assert!(verified >= 200, "{verified}");
}

#[test]
fn a_second_signal_leaves_what_waits_for_the_ledger_unverified_and_written() {
    let sim = Sim::start("openrouter", &["--fault", "generation-missing"]);
    let mut script = bash(
        r#"echo aviary/finch-4b | llm-run --source openrouter --base-url $SIM --prompt x --repeat 5 --verify-cost > $OUT & run=$!
           sleep 2; kill -TERM $run; sleep 0.3; kill -TERM $run; wait $run"#,
    );
    let out = sim.path("out");
    script.env("SIM", &sim.url).env("OUT", &out);
    let began = Instant::now();
    let ran = run_with(script, "");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?} {}", began.elapsed(), ran.stderr);
    let text = std::fs::read_to_string(out).unwrap();
    let results: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["type"] == "result")
        .collect();
    assert_eq!(results.len(), 5, "{text}");
    for result in results {
        assert_eq!((warned(&result), &result["error"]), (vec!["cost_unverified"], &Value::Null), "{result}");
        assert!(result["cost"].get("verified_usd").is_none());
    }
}

/// A server that keeps what it is sent, and answers everything with 404.
struct Ear {
    url: String,
    heard: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Ear {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let keep = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 8192];
                let n = stream.read(&mut request).unwrap_or(0);
                keep.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..n]));
                let _ = stream.write_all(b"HTTP/1.1 404 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            }
        });
        Self { url, heard }
    }
}

#[test]
fn neither_the_check_nor_the_ledger_takes_a_key_to_a_host_that_only_a_record_names() {
    // This machine may have every key, so the foreign host is one that only looks like another machine.
    let ear = Ear::open();
    let foreign = ear.url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let mut ask = command("llm-run");
    ask.args(["--prompt", "x", "--verify-cost", "--retries", "0", "--connect-timeout", "2s"]);
    ask.env("OPENROUTER_API_KEY", "sk-or-v1-secret-9");
    let line = json!({"type": "model", "v": 1, "source": "openrouter", "id": "a/b", "base_url": foreign}).to_string();
    let ran = run_with(ask, line).exits(1);
    assert!(ran.stderr.contains("--key-host"), "{}", ran.stderr);
    wait_until("the request", || ear.heard.lock().unwrap().contains("POST "));
    let heard = ear.heard.lock().unwrap().clone();
    assert!(!heard.contains("sk-or-v1-secret-9") && !heard.contains("/key"), "{heard}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-or-v1-secret-9"));
}
