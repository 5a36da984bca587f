//! A server that is not there, that wants a key, or an input that is no list of models: told once, with what to mend.

use super::{ask, asking};
use crate::common::sim::Sim;
use crate::common::{Ran, command, run, run_with};
use serde_json::Value;
use std::net::TcpListener;

/// A port of this machine on which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn at_nobody(source: &str, flags: &[&str]) -> (String, Ran) {
    let url = nobody();
    let ran = run_with(asking(&url, source, &[&["--retries", "0"], flags].concat()), "tiny\n");
    (url, ran)
}

#[test]
fn a_server_that_is_not_there_is_told_with_why_and_is_exit_2() {
    let (url, ran) = at_nobody("openai", &[]);
    let ran = ran.exits(2);
    let said: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with(&format!("llm-run: tiny: request 1: connect: cannot connect to {url}")), "{said:?}");
    assert!(said[0].contains("refused") && said[1].starts_with("llm-run: 0 ok, 1 failed"), "{said:?}");
    assert_eq!(ran.of_type("result")[0]["error"]["kind"], "connect");
    assert_eq!(ran.of_type("run_end")[0]["failed"], 1);

    let quiet = at_nobody("openai", &["--quiet"]).1.exits(2);
    assert_eq!(quiet.stderr, "llm-run: no request reached a server: see the records\n");
}

#[test]
fn the_same_failure_is_told_once_and_then_counted() {
    let (url, ran) = at_nobody("openai", &["--requests", "7", "--concurrency", "2"]);
    let ran = ran.exits(2);
    assert_eq!(ran.stderr.matches("request ").count(), 1, "{}", ran.stderr);
    let again = ran.stderr.lines().find(|line| line.contains("7 requests failed so: ")).unwrap();
    assert!(again.contains(&url) && again.contains("refused"), "{again}");

    // What a server answers is no server that was not reached.
    let sim = Sim::start("openai", &["--fault", "http-500:0.5", "--tokens", "2"]);
    let ran = ask(&sim, "openai", "finch-4b", &["--requests", "20", "--retries", "0"]).exits(1);
    let failed = ran.of_type("result").iter().filter(|result| !result["error"].is_null()).count();
    assert!(failed > 2, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches(": server: ").count(), 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{failed} requests failed so: ")), "{}", ran.stderr);
}

#[test]
fn a_search_where_every_request_fails_says_what_they_fail_of() {
    let flags = ["--concurrency", "1..8", "--requests", "100", "--search", "ttft_p95<500ms"];
    let (url, ran) = at_nobody("openai", &flags);
    let ran = ran.exits(2);
    assert!(!ran.stderr.contains("begin lower"), "{}", ran.stderr);
    let found = ran.stderr.lines().find(|line| line.contains("nothing was found at 1 at once")).unwrap();
    assert!(found.contains("every request failed: ") && found.contains(&url) && found.contains("refused"), "{found}");
    let point = &ran.of_type("search")[0]["points"][0];
    assert_eq!((&point["passes"], &point["failed"]), (&false.into(), &100.into()));
    assert!(point["reason"].as_str().unwrap().starts_with("every request failed: "), "{point}");

    let sim = Sim::start("openai", &["--fault", "http-500", "--tokens", "2"]);
    let ran = ask(&sim, "openai", "finch-4b", &[&flags[..], &["--retries", "0"]].concat()).exits(1);
    assert!(ran.stderr.contains("nothing was found at 1 at once: every request failed: "), "{}", ran.stderr);
}

#[test]
fn a_server_that_would_have_to_load_and_is_not_there_is_one_line() {
    for source in ["lmstudio", "ollama"] {
        let (url, ran) = at_nobody(source, &[]);
        let ran = ran.exits(2);
        let said: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with(&format!("llm-run: tiny: not loaded: {url}")), "{said:?}");
        assert!(said[0].contains("refused") && said[0].ends_with("is --base-url right?"), "{said:?}");
        assert!(said[1].starts_with("llm-run: 0 ok, 1 failed"), "{said:?}");
        let result = &ran.of_type("result")[0];
        assert_eq!((&result["error"]["kind"], &result["load_time_seconds"]), (&"load".into(), &Value::Null));
        assert!(ran.of_type("load")[0]["error"].as_str().unwrap().contains("refused"));
    }
}

#[test]
fn a_server_that_wants_a_key_and_got_none_is_told_how_to_give_one() {
    let sim = Sim::start("openai", &["--api-key", "right"]);
    let hint = "no key was sent: set OPENAI_API_KEY, or give --api-key-file FILE";
    let none = ask(&sim, "openai", "finch-4b", &[]).exits(1);
    assert!(none.stderr.contains(hint), "{}", none.stderr);
    assert!(none.of_type("result")[0]["error"]["message"].as_str().unwrap().ends_with(hint));
    let mut wrong = asking(&sim.url, "openai", &[]);
    wrong.env("OPENAI_API_KEY", "wrong");
    let wrong = run_with(wrong, "finch-4b\n").exits(1);
    assert!(
        wrong.stderr.contains("request 1: refused: ") && !wrong.stderr.contains("no key was sent"),
        "{}",
        wrong.stderr
    );
    let list = |key: Option<&str>| {
        let mut list = command("llm-models");
        list.args(["openai", "--base-url", &sim.url]).envs(key.map(|key| ("OPENAI_API_KEY", key)));
        run_with(list, "")
    };
    assert!(list(None).exits(2).stderr.contains(hint));
    let refused = list(Some("wrong")).exits(2).stderr;
    assert!(refused.contains("check the key") && !refused.contains("no key was sent"), "{refused}");
}

#[test]
fn an_input_that_is_plainly_something_else_is_one_line() {
    let page = "<!DOCTYPE html>\n<html>\n<head>\n<title>x</title>\n".to_owned() + &"<p>\n".repeat(50);
    for (input, what) in [
        (page.as_str(), "HTML"),
        ("\n<html><body>\n</body>\n", "HTML"),
        ("<?xml version=\"1.0\"?>\n<a/>\n", "XML"),
        ("[\n{\"type\":\"model\"}\n]\n", "a JSON list"),
        ("{\n\"type\":\"model\"\n}\n", "JSON over several lines"),
    ] {
        let ran = run("llm-run", ["--prompt", "x"], input).exits(2);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("llm-run: -: this is {what}")), "{}", ran.stderr);
        let listed = run("llm-models", ["file", "-"], input).exits(2);
        assert_eq!(listed.stderr.lines().count(), 1, "{}", listed.stderr);
        assert!(listed.stderr.starts_with(&format!("llm-models: -: this is {what}")), "{}", listed.stderr);
    }
}

#[test]
fn an_ollama_is_not_listed_as_lm_studio() {
    let sim = Sim::start("ollama", &[]);
    let ran = run("llm-models", ["lmstudio", "--base-url", &sim.url], "").exits(2);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains(&format!("`llm-models ollama --base-url {}`", sim.url)), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}
