//! What is asked, through the binary against llm-sim: what the server really got, and what it counted.

use crate::common::golden::{case, golden, shown, time};
use crate::common::sim::Sim;
use crate::common::{Ran, command, run_with};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tempfile::TempDir;

/// A simulated server that writes down what it is asked.
pub struct Server {
    sim: Sim,
    profile: &'static str,
    folder: TempDir,
}

impl Server {
    pub fn start(profile: &'static str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bodies = folder.path().join("bodies").to_str().unwrap().to_owned();
        let sim = Sim::start(profile, &[&["--bodies", bodies.as_str()], flags].concat());
        Self { sim, profile, folder }
    }

    pub fn ask(&self, model: &str, flags: &[&str]) -> Ran {
        let mut ask = command("llm-run");
        ask.args(["--source", self.profile, "--base-url", &self.sim.url, "--settle", "10ms", "--retries", "0"]);
        ask.args(flags);
        run_with(ask, format!("{model}\n"))
    }

    /// The bodies of chats, in the order in which they came; those that only load have no messages.
    pub fn chats(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("bodies")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| {
                line["path"].as_str().is_some_and(|path| path.ends_with("/chat") || path.ends_with("/completions"))
            })
            .map(|line| line["body"].clone())
            .filter(|body| body["messages"].as_array().is_none_or(|messages| !messages.is_empty()))
            .collect()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Roles and contents, for comparison.
pub fn said(body: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    body["messages"].as_array().unwrap().iter().map(|m| (text(&m["role"]), text(&m["content"]))).collect()
}

/// The warnings, but for the one that a loaded test machine causes.
pub fn words(value: &Value) -> Vec<String> {
    let words = value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned());
    words.filter(|word| word != "client_lag").collect()
}

const TALK: &str = r#"{"id":"talk","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"One"},
{"role":"assistant","content":"FROM THE FILE"},{"role":"user","content":"Two"},{"role":"user","content":"Three"}]}"#;

fn talk() -> String {
    TALK.replace('\n', "")
}

#[test]
fn a_file_of_prompts_is_asked_line_by_line_and_what_cannot_be_read_is_told_and_counted() {
    let server = Server::start("openai", &[]);
    let lines = [
        "\"Just a text\"",
        r#"{"prompt":"Loose","id":"loose","category":"creative","max_tokens":3}"#,
        "this is no JSON",
        r#"{"text":"Own system","system":"Mine."}"#,
        r#"{"type":"start","v":1,"id":1,"start_ts":1.0,"start_mono":1.0}"#,
        r#"{"prompt":5}"#,
        r#"{"text":"Again","id":"loose"}"#,
    ];
    let file = server.file("mine.ndjson", &lines.join("\n"));
    let ran = server.ask("finch-4b", &["--input-file", &file, "--system", "House.", "--max-tokens", "9"]).exits(1);
    golden!("prompt-file-bad-lines", ran.lines_with("mine.ndjson:"));
    let prompts = ran.of_type("prompt");
    let ids: Vec<_> = prompts.iter().map(|prompt| prompt["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["mine-1", "loose", "mine-4", "loose-2"], "an id belongs to one text");
    assert_eq!(prompts[1]["category"], "creative");
    let chats = server.chats();
    assert_eq!(said(&chats[0])[0].1, "House.");
    assert_eq!(said(&chats[2]), [("system".into(), "Mine.".into()), ("user".into(), "Own system".into())]);
    let limits: Vec<_> = chats.iter().map(|body| body["max_tokens"].as_u64().unwrap()).collect();
    assert_eq!(limits, [9, 3, 9, 9], "a prompt's own limit stands before the one for all");
    let results = ran.of_type("result");
    assert_eq!((&results[1]["prompt"]["max_tokens"], &results[1]["tokens"]["output"]), (&3.into(), &3.into()));

    let strict = server.ask("finch-4b", &["--input-file", &file, "--strict"]).exits(2);
    assert!(strict.stderr.contains("mine.ndjson:3") && strict.stdout.is_empty(), "{}", strict.stderr);
    assert_eq!(server.chats().len(), 4, "under --strict nothing was sent");
}

#[test]
fn a_printed_suite_and_a_run_s_own_records_are_prompts_again() {
    let server = Server::start("openai", &[]);
    let printed = run_with(
        {
            let mut print = command("llm-run");
            print.args(["--print-suite", "token-rate"]);
            print
        },
        "",
    )
    .exits(0);
    let file = server.file("suite.ndjson", &printed.stdout);
    let first = server.ask("finch-4b", &["--input-file", &file, "--prompts", "3"]).exits(0);
    let hashes = |ran: &Ran| ran.of_type("prompt").iter().map(|p| p["sha256"].clone()).collect::<Vec<_>>();
    let suite: Vec<_> = printed.records().iter().map(|p| p["sha256"].clone()).collect();
    assert_eq!(hashes(&first), suite[..3]);
    assert_eq!(first.of_type("result").len(), 3);
    let run = server.file("run.ndjson", &first.stdout);
    let again = server.ask("finch-4b", &["--input-file", &run]).exits(0);
    assert_eq!(hashes(&again), hashes(&first));
    let keys = |ran: &Ran| ran.of_type("result").iter().map(|r| r["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(&again), keys(&first), "the same questions, by whatever way they came");
}

#[test]
fn every_turn_is_a_result_and_carries_the_model_s_own_answers() {
    for (profile, model, api) in [
        ("openai", "owl-20b", "chat"),
        ("lmstudio", "nocturne/owl-20b", "lmstudio-v0"),
        ("ollama", "owl:20b", "ollama"),
        ("openrouter", "nocturne/owl-20b", "chat"),
        ("minimax", "MiniMax-Owl", "chat"),
    ] {
        let server = Server::start(profile, &[]);
        let file = server.file("talk.ndjson", &talk());
        let ran = server.ask(model, &["--input-file", &file, "--save-text", "--nonce", "on"]).exits(0);
        let results = ran.of_type("result");
        assert_eq!(results.len(), 3, "{profile}: {}", ran.stderr);
        for (n, result) in results.iter().enumerate() {
            assert_eq!((&result["conversation"], &result["turn"]), (&1.into(), &(n + 1).into()), "{profile}");
            assert_eq!((&result["api"], &result["prompt"]["id"]), (&api.into(), &"talk".into()), "{profile}");
            assert!(result["tokens"]["reasoning"].as_u64().is_none_or(|n| n > 0), "{profile}: it reasons");
        }
        let keys: BTreeSet<_> = results.iter().map(|result| result["key"].to_string()).collect();
        assert_eq!(keys.len(), 3);
        let nonce = results[0]["prompt"]["nonce"].as_str().unwrap();
        let answer = |n: usize| results[n]["text"].as_str().unwrap().to_owned();
        let line = |role: &str, text: &str| (role.to_owned(), text.to_owned());
        let mut expected = vec![line("system", "Be kind."), line("user", &format!("{nonce}\nOne"))];
        let chats = server.chats();
        assert_eq!(said(&chats[0]), expected, "{profile}");
        expected.extend([line("assistant", &answer(0)), line("user", "Two")]);
        assert_eq!(said(&chats[1]), expected, "{profile}: neither the file's answer nor the reasoning");
        expected.extend([line("assistant", &answer(1)), line("user", "Three")]);
        assert_eq!(said(&chats[2]), expected, "{profile}");
        let prompt = &ran.of_type("prompt")[0];
        assert_eq!((&prompt["text"], &prompt["turns"]), (&"One".into(), &json!(["Two", "Three"])));
    }
}

#[test]
fn turns_are_in_order_and_conversations_side_by_side() {
    let server = Server::start("openai", &["--itl", "3ms"]);
    let lines: Vec<_> = (0..6).map(|n| talk().replace("\"talk\"", &format!("\"talk-{n}\""))).collect();
    let file = server.file("talks.ndjson", &lines.join("\n"));
    let ran = server.ask("finch-4b", &["--input-file", &file, "--concurrency", "3", "--turns", "2"]).exits(0);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 12, "--turns 2 of 3");
    let mut talks: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for result in &results {
        assert!(result["in_flight"].as_u64().unwrap() <= 3);
        talks.entry(result["conversation"].as_u64().unwrap()).or_default().push(result);
    }
    assert_eq!(talks.len(), 6);
    for turns in talks.values() {
        assert_eq!(turns.iter().map(|turn| turn["turn"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
        let start = |n: usize| turns[n]["start_mono"].as_f64().unwrap();
        assert!(start(0) + turns[0]["timing_seconds"]["end"].as_f64().unwrap() <= start(1) + 0.001);
    }
    assert!(results.iter().any(|result| result["in_flight"] == 3), "concurrency is over conversations");
}

#[test]
fn a_turn_that_fails_ends_its_conversation_and_a_conversation_is_taken_up_as_a_whole() {
    let server = Server::start("openai", &["--fault", "http-500:1x"]);
    let lines = [talk(), talk().replace("\"talk\"", "\"other\"").replace("One", "Uno")];
    let file = server.file("talks.ndjson", &lines.join("\n"));
    let first = server.ask("finch-4b", &["--input-file", &file]).exits(1);
    let ended = |ran: &Ran| -> Vec<(String, u64, bool)> {
        let of =
            |r: &Value| (r["prompt"]["id"].as_str().unwrap().into(), r["turn"].as_u64().unwrap(), r["error"].is_null());
        ran.of_type("result").iter().map(of).collect()
    };
    let expected = [("talk", 1, false), ("other", 1, true), ("other", 2, true), ("other", 3, true)]
        .map(|(id, n, ok)| (id.into(), n, ok));
    assert_eq!(ended(&first), expected);
    golden!("turn-failed", first.stderr, time());

    // The second conversation has lost its middle: it is asked again from its beginning, like the one that failed.
    let torn: Vec<_> =
        first.stdout.lines().filter(|line| !(line.contains("\"turn\":2") && line.contains("\"other\""))).collect();
    assert_eq!(torn.len() + 1, first.stdout.lines().count());
    for (name, text, again) in
        [("whole", first.stdout.clone(), vec!["talk"]), ("torn", torn.join("\n"), vec!["talk", "other"])]
    {
        let earlier = server.file(name, &text);
        let second = server.ask("finch-4b", &["--input-file", &file, "--resume", &earlier]).exits(0);
        let asked: Vec<_> = ended(&second).into_iter().map(|(id, turn, _)| (id, turn)).collect();
        let expected: Vec<_> = again.iter().flat_map(|id| (1..=3).map(|turn| ((*id).to_owned(), turn))).collect();
        assert_eq!(asked, expected, "{name}");
        // What was good before is there once among what counts, however often it was asked.
        let all = [text.lines(), second.stdout.lines()].into_iter().flatten();
        let results = all.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let counted = results.filter(|r| r["type"] == "result" && r["error"].is_null() && r["phase"] == "measure");
        let mut keys: Vec<String> = counted.map(|r| r["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        let number = keys.len();
        keys.dedup();
        assert_eq!((keys.len(), number), (6, 6), "{name}");
        let again: Vec<Value> = second.of_type("result").into_iter().filter(|r| r["phase"] == "warmup").collect();
        assert_eq!(again.len(), if name == "torn" { 2 } else { 0 });
        assert!(again.iter().all(|r| r["warnings"].as_array().unwrap().contains(&"asked_again".into())), "{again:?}");
    }
}

#[test]
fn a_data_set_is_asked_by_its_first_turns_or_as_conversations() {
    let server = Server::start("openai", &[]);
    let entry = |n: usize| {
        json!({"id": format!("e{n}"), "conversations": [
            {"from": "human", "value": format!("First of {n}")}, {"from": "gpt", "value": "FROM THE FILE"},
            {"from": "human", "value": format!("Second of {n}")}, {"from": "gpt", "value": "FROM THE FILE"}]})
    };
    let mut entries: Vec<Value> = (0..20).map(entry).collect();
    let whole = server.file("whole.json", &format!("\u{feff}{}", json!(entries)));
    let jsonl: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
    let lines = server.file("lines.jsonl", &jsonl);
    let asked = |flags: &[&str], status: i32| {
        let before = server.chats().len();
        let ran = server.ask("finch-4b", flags).exits(status);
        let sent: Vec<_> = server.chats()[before..].iter().map(|body| said(body).last().unwrap().1.clone()).collect();
        (ran, sent)
    };
    let firsts: Vec<_> = (0..20).map(|n| format!("First of {n}")).collect();
    let (ran, sent) = asked(&["--input-file", &whole], 0);
    assert_eq!(sent, firsts);
    assert_eq!(ran.of_type("prompt")[3]["id"], "sharegpt-e3");
    assert!(ran.of_type("prompt").iter().all(|prompt| prompt["max_tokens"].is_null()), "its answers set no limit");

    let (_, five) = asked(&["--input-file", &lines, "--prompts", "5"], 0);
    let (_, same) = asked(&["--input-file", &whole, "--prompts", "5"], 0);
    assert_eq!(five, same, "the same seed, the same choice");
    assert!(five != firsts[..5] && five.len() == 5, "not only the first: {five:?}");
    let places: Vec<_> = five.iter().map(|text| firsts.iter().position(|first| first == text).unwrap()).collect();
    assert!(places.is_sorted(), "in the order of the file");

    let (ran, sent) = asked(&["--input-file", &lines, "--prompts", "2", "--turns", "all"], 0);
    assert_eq!(sent.len(), 4);
    assert_eq!(ran.of_type("result").iter().map(|r| r["turn"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 1, 2]);
    let last = server.chats().pop().unwrap();
    assert!(said(&last).len() == 3 && !last.to_string().contains("FROM THE FILE"), "{last}");

    entries.truncate(2);
    entries.extend([json!({"id": "empty", "conversations": []}), json!({"other": 1}), json!("text")]);
    let mixed = server.file("mixed.json", &json!(entries).to_string());
    let (ran, sent) = asked(&["--input-file", &mixed], 1);
    assert_eq!(sent.len(), 2);
    let mixed_told = ran.lines_with("mixed.json");
    asked(&["--input-file", &mixed, "--strict"], 2);
    let torn = server.file("torn.json", &json!(entries).to_string()[..200]);
    let (ran, sent) = asked(&["--input-file", &torn], 1);
    assert_eq!(sent.len(), 1);
    golden!("dataset-bad-entries", case("mixed", &mixed_told) + &case("torn", &ran.lines_with("torn.json")));
}

#[test]
fn parameters_are_sent_only_when_given_and_a_vendor_s_fields_as_they_are() {
    for (profile, model, plain, given) in [
        (
            "openai",
            "finch-4b",
            json!({"model": "finch-4b", "messages": [{"role": "user", "content": "Hi"}], "stream": true, "stream_options": {"include_usage": true}}),
            json!({"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "seed": 3, "reasoning_effort": "low", "top_k": 5}),
        ),
        (
            "ollama",
            "finch:4b",
            json!({"model": "finch:4b", "messages": [{"role": "user", "content": "Hi"}], "stream": true}),
            json!({"options": {"temperature": 0.5, "top_p": 0.9, "num_predict": 7, "seed": 3}, "think": "low", "top_k": 5}),
        ),
        (
            "lmstudio",
            "aviary/finch-4b",
            json!({"model": "aviary/finch-4b", "input": "Hi", "stream": true, "store": false}),
            json!({"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 7, "reasoning": "low", "top_k": 5}),
        ),
    ] {
        let server = Server::start(profile, &[]);
        server.ask(model, &["--prompt", "Hi"]).exits(0);
        let all = ["--temperature=0.5", "--top-p=0.9", "--max-tokens=7", "--seed=3", "--reasoning-effort=low"];
        let ran = server.ask(model, &[&["--prompt", "Hi", "--extra-body", r#"{"top_k":5}"#][..], &all].concat());
        let chats = server.chats();
        assert_eq!(chats[0], plain, "{profile}");
        let mut both = plain.as_object().unwrap().clone();
        both.extend(given.as_object().unwrap().clone());
        assert_eq!(chats[1], Value::Object(both), "{profile}: {}", ran.stderr);
    }
}

#[test]
fn input_formats_are_detected_and_can_be_given() {
    let server = Server::start("openai", &[]);
    let text = server.file("plain.txt", "Write a poem.\n\n  Count to 9.  \n");
    let array =
        server.file("array.json", r#"[{"prompt":"One"},"Two",{"messages":[{"role":"user","content":"Three"}]}]"#);
    let quoted = server.file("quoted.txt", "\"Quoted\" is a word.\n[1] is a list.\n");
    let sent = |flags: &[&str], status: i32| {
        let before = server.chats().len();
        let ran = server.ask("finch-4b", flags).exits(status);
        let sent: Vec<_> = server.chats()[before..].iter().map(|body| said(body)[0].1.clone()).collect();
        (ran, sent)
    };
    let (ran, all) = sent(&["--input-file", &text, "--input-file", &array], 0);
    assert_eq!(all, ["Write a poem.", "Count to 9.", "One", "Two", "Three"]);
    let ids: Vec<Value> = ran.of_type("prompt").iter().map(|prompt| prompt["id"].clone()).collect();
    assert_eq!(ids, ["plain-1", "plain-3", "array-1", "array-2", "array-3"]);
    let settings = &ran.of_type("run")[0]["settings"];
    assert_eq!((&settings["input_file"], &settings["prompts"]), (&json!([text, array]), &5.into()));
    assert!(settings["input_format"].is_null(), "it was not given");

    let (ran, _) = sent(&["--input-file", &quoted], 2);
    golden!("input-file-not-json", ran.lines_with("quoted.txt"));
    let (ran, all) = sent(&["--input-file", &quoted, "--input-format", "text", "--prompts", "1"], 0);
    assert_eq!(all, ["\"Quoted\" is a word."]);
    assert_eq!(ran.of_type("run")[0]["settings"]["input_format"], "text");
}

#[test]
fn a_dry_run_shows_what_would_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.ndjson");
    std::fs::write(&file, talk()).unwrap();
    let dry = |source: &str, flags: &[&str]| {
        let mut ask = command("llm-run");
        ask.args(["--source", source, "--base-url", "http://127.0.0.1:1", "-n"]).args(flags);
        run_with(ask, "m\n").exits(0).records()
    };
    let file = file.to_str().unwrap();
    let mut notes = BTreeSet::new();
    for (source, path) in
        [("openai", "/v1/chat/completions"), ("lmstudio", "/api/v0/chat/completions"), ("ollama", "/api/chat")]
    {
        let records = dry(source, &["--input-file", file]);
        assert_eq!((records.len(), records[0]["url"].as_str().unwrap()), (1, &*format!("http://127.0.0.1:1{path}")));
        assert_eq!(said(&records[0]["body"]).last().unwrap().1, "One", "the first turn");
        notes.insert(records[0]["note"].as_str().unwrap().to_owned());
    }
    let made = dry("openai", &["--synthetic", "in=20,out=5,n=3", "--shared-prefix", "4", "--nonce", "on"]);
    assert_eq!(made.len(), 3);
    for record in &made {
        let text = said(&record["body"])[0].1.clone();
        assert_eq!(text.split_whitespace().count(), 24, "prefix and text, which the nonce does not lengthen: {text}");
        assert_eq!((text.lines().count(), &record["body"]["max_tokens"]), (2, &5.into()));
        notes.insert(record["note"].as_str().unwrap().to_owned());
    }
    golden!("dry-run-notes", Vec::from_iter(notes).join("\n"));
    let first = |record: &Value| said(&record["body"])[0].1.lines().next().unwrap().to_owned();
    assert_eq!(first(&made[0]), first(&made[2]), "the prefix is the same");
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (bad, empty, talks) = (write("bad", "nonsense\n"), write("empty.json", "[]"), write("talk", &talk()));
    let mut told = String::new();
    for flags in [
        &["--input-file", "-"][..],
        &["--prompts", "0"],
        &["--prompts", "5"],
        &["--input-file", "/no/such"],
        &["--input-file", &bad, "--input-format", "jsonl"],
        &["--prompts", "mine.ndjson"],
        &["--prompt", "x", "--input-format", "text"],
        &["--synthetic", "out=5"],
        &["--synthetic", "in=5±9"],
        &["--synthetic", "in=5,out=2", "--max-tokens", "7"],
        &["--dataset", "sharegpt:file"],
        &["--input-file", &empty],
        &["--synthetic", "in=99999999999"],
        &["--prompt", "x", "--turns", "0"],
        &["--prompt", "x", "--shared-prefix", "0"],
        &["--input-file", &talks, "--api", "v1"],
        &["--input-file", &talks, "--output", &talks],
    ] {
        let mut ask = command("llm-run");
        ask.args(["--source", "lmstudio", "--base-url", "http://127.0.0.1:1"]).args(flags);
        told += &case(flags, &run_with(ask, "m\n").exits(2).stderr);
    }
    golden!("prompt-flags-refused", told);
    assert_eq!(std::fs::read_to_string(&talks).unwrap(), talk(), "an input is never an output");
}

#[test]
fn the_report_shows_every_turn_and_does_not_count_what_stands_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("talk.ndjson");
    let talk = json!({"messages": [
        {"role": "user", "content": "First question"}, {"role": "assistant", "content": "Theirs"},
        {"role": "user", "content": "Second question"},
    ]});
    std::fs::write(&file, format!("{talk}\n")).unwrap();
    let server = Server::start("openai", &["--tokens", "3"]);
    let ran = server.ask("finch-4b", &["--input-file", file.to_str().unwrap(), "--shared-prefix", "20"]);
    let page = crate::common::run("bench-report", ["--format", "html"], ran.stdout).exits(0).stdout;
    let prompts = [r#"<details id="prompts""#, r#"<details class="prompt""#].map(|opening| shown(&page, opening));
    golden!("page-of-a-conversation", prompts.join("\n\n"));
}
