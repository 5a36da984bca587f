//! Prompts that are made to a length, and the text that they share: what was wanted against what the server counted.

use super::prompts::{Server, said, words};
use crate::common::golden::{golden, time};
use crate::common::{Ran, command, run_with};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

#[test]
fn synthetic_prompts_have_the_length_that_was_wanted_by_the_server_s_own_count() {
    let server = Server::start("openai", &[]);
    let flags =
        ["--synthetic", "in=40±8,out=6,n=5", "--system", "Be very brief.", "--requests", "10", "--shared-prefix", "7"];
    let ran = server.ask("finch-4b", &flags).exits(0);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 10);
    let mut lengths = BTreeSet::new();
    for result in &results {
        let (wanted, got) = (&result["prompt"]["wanted_input_tokens"], &result["tokens"]["input"]);
        assert_eq!(wanted, got, "{result}");
        assert_eq!(result["prompt"]["shared_prefix_tokens"], 7);
        assert_eq!((&result["prompt"]["wanted_output_tokens"], &result["tokens"]["output"]), (&6.into(), &6.into()));
        assert_eq!(words(&result["warnings"]), [""; 0], "{result}");
        lengths.insert(wanted.as_u64().unwrap());
    }
    assert!(lengths.len() > 2 && lengths.iter().all(|n| (7 + 8..7 + 72).contains(n)), "{lengths:?}");
    let prompts = ran.of_type("prompt");
    assert_eq!(prompts.len(), 6, "each text once, and the one they share");
    for prompt in &prompts[1..] {
        assert_eq!(prompt["synthetic"]["counted"], "server_chat");
        let with_prefix = prompt["synthetic"]["input_tokens"].as_u64().unwrap() + 7;
        assert_eq!(prompt["synthetic"]["counted_tokens"], with_prefix);
    }
    // Each text is told before its first use.
    let mut told = BTreeSet::new();
    for record in ran.records() {
        match record["type"].as_str().unwrap() {
            "prompt" => assert!(told.insert(record["id"].to_string()), "told twice: {record}"),
            "result" => assert!(told.contains(&record["prompt"]["id"].to_string()), "{record}"),
            _ => {}
        }
    }
    // The same seed gives the same texts; what is sent differs by its nonce.
    let again = server.ask("finch-4b", &flags).exits(0);
    assert_eq!(again.of_type("prompt"), prompts);
    let sent: BTreeSet<_> = server.chats().iter().map(|body| said(body)[1].1.clone()).collect();
    assert_eq!(sent.len(), 20);
}

#[test]
fn where_only_texts_or_nothing_can_be_counted_the_record_says_so_and_a_difference_is_seen() {
    for (profile, model, flags, counted, differs) in [
        ("openai", "finch-4b", &["--count", "text"][..], "server_text", true),
        ("openai", "finch-4b", &["--count", "none"], "words", true),
        ("ollama", "finch:4b", &[], "words", true),
        ("lmstudio", "aviary/finch-4b", &[], "words", true),
    ] {
        let server = Server::start(profile, flags);
        let ask = |more: &[&str]| server.ask(model, &[&["--synthetic", "in=30,n=2"], more].concat()).exits(0);
        let plain = ask(&[]);
        for prompt in plain.of_type("prompt") {
            assert_eq!(prompt["synthetic"]["counted"], counted, "{profile}");
            assert_eq!(prompt["synthetic"]["counted_tokens"].is_null(), counted == "words");
        }
        for result in plain.of_type("result") {
            assert_eq!(result["tokens"]["input"], 30, "{profile}: here a word is a token");
            assert!(!words(&result["warnings"]).contains(&"input_length_differs".into()), "{profile}: {result}");
        }
        // The system message comes on top of a text; nobody counted it before.
        for result in ask(&["--system", "Be very brief."]).of_type("result") {
            assert_eq!(result["tokens"]["input"], 33, "{profile}");
            assert_eq!(words(&result["warnings"]).contains(&"input_length_differs".into()), differs, "{profile}");
        }
    }
}

#[test]
fn an_answer_is_as_long_as_wanted_where_the_server_can_be_told_to_go_on() {
    let server = Server::start("openai", &["--tokens", "12"]);
    let short = server.ask("finch-4b", &["--synthetic", "in=10,out=40,n=1"]).exits(0).of_type("result");
    assert_eq!((&short[0]["tokens"]["output"], &short[0]["finish_reason"]), (&12.into(), &"stop".into()));
    assert_eq!(words(&short[0]["warnings"]), ["output_length_differs"]);
    let flags = ["--synthetic", "in=10,out=40,n=1", "--extra-body", r#"{"ignore_eos":true}"#];
    let full = server.ask("finch-4b", &flags).exits(0).of_type("result");
    assert_eq!((&full[0]["tokens"]["output"], &full[0]["finish_reason"]), (&40.into(), &"length".into()));
    assert_eq!(words(&full[0]["warnings"]), [""; 0], "it was to end there");
    assert_eq!(server.chats()[1]["ignore_eos"], true);
}

#[test]
fn what_is_shared_stands_first_and_the_nonce_behind_it() {
    let server = Server::start("ollama", &[]);
    let ran =
        server.ask("finch:4b", &["--prompt", "A", "--prompt", "B", "--shared-prefix", "25", "--nonce", "on"]).exits(0);
    let prompts = ran.of_type("prompt");
    let prefix = prompts.iter().find(|prompt| prompt["shared_prefix"] == true).unwrap();
    let text = prefix["text"].as_str().unwrap();
    assert_eq!((text.split(' ').count(), &prefix["synthetic"]["counted"]), (25, &"words".into()));
    for (body, (asked, result)) in server.chats().iter().zip(["A", "B"].iter().zip(ran.of_type("result"))) {
        let nonce = result["prompt"]["nonce"].as_str().unwrap();
        assert_eq!(said(body)[0].1, format!("{text}\n{nonce}\n{asked}"));
        assert_eq!(result["prompt"]["shared_prefix_tokens"], 25);
    }
    assert_eq!(ran.of_type("run")[0]["settings"]["shared_prefix_tokens"], 25);
    let without = server.ask("finch:4b", &["--prompt", "A"]).exits(0);
    let key = |ran: &Ran| ran.of_type("result")[0]["key"].clone();
    assert_ne!(key(&ran), key(&without), "another question");
}

#[test]
fn a_server_that_stops_counting_is_told_and_asked_all_the_same() {
    // It counts whatever it is asked first, and never again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut counts = 0;
        for stream in listener.incoming().map(Result::unwrap) {
            let mut stream = BufReader::new(stream);
            let (mut head, mut line) = (String::new(), String::new());
            while stream.read_line(&mut line).unwrap_or(0) > 2 {
                head.push_str(&std::mem::take(&mut line).to_lowercase());
            }
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
            let body = match head.split(' ').nth(1).unwrap_or_default() {
                "/v1/chat/completions" => {
                    r#"{"model":"m","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":1}}"#
                }
                "/v1/chat/completions/input_tokens" if counts < 2 => {
                    counts += 1;
                    r#"{"input_tokens":7}"#
                }
                _ => r#"{"error":"no more"}"#,
            };
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
            let _ = write!(stream.get_mut(), "{head}: {length}\r\n\r\n{body}");
        }
    });
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", &url, "--synthetic", "in=20,n=2", "--no-stream"]);
    let ran = run_with(ask, "m\n").exits(0);
    golden!("token-count-stopped", ran.stderr, time());
    assert_eq!(ran.of_type("result").len(), 2);
    assert!(ran.of_type("prompt").iter().all(|prompt| prompt["synthetic"]["counted"] == "words"));
}
