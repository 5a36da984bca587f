//! A server that is not there, that wants a key, or an input that is no list of models: told once, with what to mend.

use super::{ask, asking};
use crate::common::golden::{case, golden, known, time};
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
    let ran = at_nobody("openai", &[]).1.exits(2);
    let told = case([""; 0], &ran.stderr);
    assert_eq!(ran.of_type("result")[0]["error"]["kind"], "connect");
    assert_eq!(ran.of_type("run_end")[0]["failed"], 1);

    let quiet = at_nobody("openai", &["--quiet"]).1.exits(2);
    golden!("server-not-there", told + &case(["--quiet"], &quiet.stderr), time());
}

#[test]
fn the_same_failure_is_told_once_and_then_counted() {
    let (url, ran) = at_nobody("openai", &["--requests", "7", "--concurrency", "2"]);
    let ran = ran.exits(2);
    golden!("same-failure-counted", ran.lines_with(&url));

    // What a server answers is no server that was not reached.
    let sim = Sim::start("openai", &["--fault", "http-500:0.5", "--tokens", "2"]);
    let ran = ask(&sim, "openai", "finch-4b", &["--requests", "20", "--retries", "0"]).exits(1);
    let failed = ran.of_type("result").iter().filter(|result| !result["error"].is_null()).count();
    assert!(failed > 2, "{}", ran.stderr);
    golden!("same-failure-of-a-server-counted", ran.lines_with(": server: "), known(failed, "[failed]"));
}

#[test]
fn a_search_where_every_request_fails_says_what_they_fail_of() {
    let flags = ["--concurrency", "1..8", "--requests", "100", "--search", "ttft_p95<500ms"];
    let ran = at_nobody("openai", &flags).1.exits(2);
    let told = case("no server", &ran.lines_with("llm-run: tiny: ttft_p95<500ms"));
    let point = &ran.of_type("search")[0]["points"][0];
    assert_eq!((&point["passes"], &point["failed"]), (&false.into(), &100.into()));
    let told = told + &case("reason", point["reason"].as_str().unwrap());

    let sim = Sim::start("openai", &["--fault", "http-500", "--tokens", "2"]);
    let ran = ask(&sim, "openai", "finch-4b", &[&flags[..], &["--retries", "0"]].concat()).exits(1);
    golden!("search-every-request-failed", told + &case("500", &ran.lines_with("finch-4b: ttft_p95<500ms")));
}

#[test]
fn a_server_that_would_have_to_load_and_is_not_there_is_one_line() {
    let mut told = String::new();
    for source in ["lmstudio", "ollama"] {
        let ran = at_nobody(source, &[]).1.exits(2);
        told += &case(source, &ran.stderr);
        let result = &ran.of_type("result")[0];
        assert_eq!((&result["error"]["kind"], &result["load_time_seconds"]), (&"load".into(), &Value::Null));
        told += &case("load", ran.of_type("load")[0]["error"].as_str().unwrap());
    }
    golden!("server-to-load-on-not-there", told, time());
}

#[test]
fn a_server_that_wants_a_key_and_got_none_is_told_how_to_give_one() {
    let sim = Sim::start("openai", &["--api-key", "right"]);
    let none = ask(&sim, "openai", "finch-4b", &[]).exits(1);
    assert!(none.stderr.contains(none.of_type("result")[0]["error"]["message"].as_str().unwrap()), "{}", none.stderr);
    let mut wrong = asking(&sim.url, "openai", &[]);
    wrong.env("OPENAI_API_KEY", "wrong");
    let wrong = run_with(wrong, "finch-4b\n").exits(1);
    let list = |key: Option<&str>| {
        let mut list = command("llm-models");
        list.args(["openai", "--base-url", &sim.url]).envs(key.map(|key| ("OPENAI_API_KEY", key)));
        run_with(list, "")
    };
    let mut told = case("run, no key", &none.stderr) + &case("run, wrong key", &wrong.stderr);
    told += &case("list, no key", &list(None).exits(2).stderr);
    told += &case("list, wrong key", &list(Some("wrong")).exits(2).stderr);
    golden!("key-missing-or-wrong", told, time());
}

#[test]
fn an_input_that_is_plainly_something_else_is_one_line() {
    let page = "<!DOCTYPE html>\n<html>\n<head>\n<title>x</title>\n".to_owned() + &"<p>\n".repeat(50);
    let mut told = String::new();
    for input in [
        page.as_str(),
        "\n<html><body>\n</body>\n",
        "<?xml version=\"1.0\"?>\n<a/>\n",
        "[\n{\"type\":\"model\"}\n]\n",
        "{\n\"type\":\"model\"\n}\n",
    ] {
        told += &case(&input[..input.len().min(40)], &run("llm-run", ["--prompt", "x"], input).exits(2).stderr);
        told += &run("llm-models", ["file", "-"], input).exits(2).stderr;
    }
    golden!("input-plainly-something-else", told);
}

#[test]
fn an_ollama_is_not_listed_as_lm_studio() {
    let sim = Sim::start("ollama", &[]);
    let ran = run("llm-models", ["lmstudio", "--base-url", &sim.url], "").exits(2);
    assert_eq!(ran.stdout, "");
    golden!("ollama-is-not-lm-studio", ran.stderr);
}
