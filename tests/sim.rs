//! llm-sim through its socket: its life, its clock, its truth, its memory and its meter. Beside it: the wire forms, the
//! faults, and the plain client that reads them.

mod client;
mod counting;
mod faults;
mod openrouter;
mod profiles;
mod replay;

use crate::common::golden::{case, golden};
use crate::common::{run, wait_until};
use client::{Answer, Sim, chat, user, write};
use serde_json::{Value, json};
use std::io::Read;
use std::time::{Duration, Instant};

#[test]
fn it_says_its_address_once_and_ends_at_once_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let mut sim = Sim::start(&["--profile", "openai", "--itl", "1h", "--port-file", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), sim.url);
    let mut open = sim.send("POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    let mut byte = [0];
    open.read_exact(&mut byte).unwrap();
    let told = Instant::now();
    assert_eq!(sim.signal("TERM"), (Some(0), String::new()));
    assert!(told.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_connection_is_closed_when_it_idled_and_not_while_it_waits_for_an_answer() {
    let sim = Sim::start(&["--profile", "openai", "--idle-close", "200ms", "--ttft", "600ms", "--tokens", "2"]);
    let mut connection = sim.connect();
    write(&mut connection, "POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    assert!(!Answer::read(&mut connection).ok().text().is_empty());
    assert_eq!(connection.read(&mut [0]).unwrap(), 0, "closed, without a word");
}

#[test]
fn a_port_that_is_taken_is_said_with_what_to_do() {
    let sim = Sim::start(&[]);
    let ran = run("llm-sim", ["--listen", sim.url.trim_start_matches("http://")], "").exits(2);
    assert_eq!(ran.stdout, "");
    golden!("port-taken", ran.stderr);
}

#[test]
fn what_it_cannot_do_it_refuses_with_what_it_can() {
    let mut told = String::new();
    for flags in [
        ["--fault", "explode"],
        ["--fault", "stall:2"],
        ["--ttft", "gamma:1ms"],
        ["--ttft", "200"],
        ["--tokens", "0"],
        ["--load-bytes", "2TB"],
        ["--slots", "0"],
        ["--ground-truth", "/no/such/folder/x"],
        ["--power-log", "/no/such/folder/x"],
        ["--replay", "/dev/null"],
        ["--replay", "/no/such/file"],
        ["--replay", env!("CARGO_MANIFEST_DIR")],
        ["--models", ","],
    ] {
        told += &case(flags, &run("llm-sim", flags, "").exits(2).stderr);
    }
    golden!("sim-flags-refused", told);
}

#[test]
fn every_token_is_due_at_its_own_moment_and_never_comes_before_it() {
    let sim = Sim::with_truth(&["--profile", "openai", "--ttft", "60ms", "--itl", "7ms", "--tokens", "40"]);
    sim.post("/v1/chat/completions", chat("finch-4b", "hi", true)).ok();
    let truth = &sim.truth(1)[0];
    assert_eq!(truth["outcome"], "done");
    let chunks = truth["chunks"].as_array().unwrap();
    assert_eq!(chunks.len(), 40);
    let arrival = truth["arrival_mono"].as_f64().unwrap();
    for (k, chunk) in chunks.iter().enumerate() {
        let (at, late) = (chunk[0].as_f64().unwrap(), chunk[1].as_f64().unwrap());
        let due = 0.060 + k as f64 * 0.007;
        assert!((at - late - arrival - due).abs() < 5e-6, "token {k} was due {} and not {due}", at - late - arrival);
        assert!(late >= 0.0, "token {k} came {late} early");
    }
    let first = truth["first_token_mono"].as_f64().unwrap();
    assert!((first - arrival - truth["ttft_seconds"].as_f64().unwrap()).abs() < 5e-6);
    assert!(truth["end_mono"].as_f64() >= truth["last_token_mono"].as_f64());
}

#[test]
fn the_truth_of_a_request_has_the_clients_name_for_it_and_as_much_as_was_asked() {
    let sim =
        Sim::with_truth(&["--profile", "openai", "--ttft", "1ms", "--itl", "1ms", "--ground-truth-level", "request"]);
    let body = chat("finch-4b", "one two three", true).to_string();
    sim.request("POST", "/v1/chat/completions", &["x-request-id: run-7"], &body).ok();
    let truth = &sim.truth(1)[0];
    assert_eq!((&truth["request"], &truth["type"], &truth["v"]), (&json!("run-7"), &json!("ground_truth"), &json!(1)));
    assert_eq!(truth["tokens"], json!({"input": 3, "output": 120, "reasoning": 0}));
    assert_eq!(truth["chunk_count"], 120);
    assert!(truth.get("chunks").is_none());
    assert!(truth["lateness_seconds"]["max"].as_f64() >= truth["lateness_seconds"]["mean"].as_f64());
}

#[test]
fn a_client_that_leaves_is_known_and_frees_its_slot() {
    let sim = Sim::with_truth(&["--profile", "openai", "--itl", "1h", "--ttft", "1ms", "--slots", "1"]);
    let mut gone = sim.send("POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    gone.read_exact(&mut [0]).unwrap();
    drop(gone);
    let mut next = sim.send("POST", "/v1/chat/completions", &[], &chat("finch-4b", "hi", true).to_string());
    next.read_exact(&mut [0]).unwrap();
    assert_eq!(sim.truth(1)[0]["outcome"], "left");
}

#[test]
fn requests_beyond_the_slots_wait_in_the_order_of_their_arrival() {
    let sim =
        Sim::with_truth(&["--profile", "openai", "--slots", "1", "--ttft", "100ms", "--itl", "0s", "--tokens", "2"]);
    let mut waiting = Vec::new();
    for name in ["a", "b", "c"] {
        let header = format!("x-request-id: {name}");
        waiting.push(sim.send("POST", "/v1/chat/completions", &[&header], &chat("finch-4b", "hi", true).to_string()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let truth = sim.truth(3);
    let order: Vec<&str> = truth.iter().filter_map(|t| t["request"].as_str()).collect();
    assert_eq!(order, ["a", "b", "c"]);
    let queued: Vec<f64> = truth.iter().filter_map(|t| t["queue_seconds"].as_f64()).collect();
    assert_eq!(queued[0], 0.0);
    assert!(queued[1] > 0.02 && queued[2] > queued[1], "{queued:?}");
    assert!(truth[2]["ttft_seconds"].as_f64().unwrap() > 0.2);
}

#[test]
fn each_other_request_that_runs_makes_the_gaps_longer() {
    let sim = Sim::with_truth(&[
        "--profile",
        "openai",
        "--slowdown",
        "0.5",
        "--ttft",
        "300ms",
        "--itl",
        "20ms",
        "--tokens",
        "9",
    ]);
    let mut waiting = Vec::new();
    for name in ["alone", "beside one", "beside two"] {
        let header = format!("x-request-id: {name}");
        waiting.push(sim.send("POST", "/v1/chat/completions", &[&header], &chat("finch-4b", "hi", true).to_string()));
        std::thread::sleep(Duration::from_millis(30));
    }
    for truth in sim.truth(3) {
        let due: Vec<f64> = truth["chunks"].as_array().unwrap().iter().map(number_less_lateness).collect();
        let expect = match truth["request"].as_str().unwrap() {
            "alone" => 0.02,
            "beside one" => 0.03,
            _ => 0.04,
        };
        assert!(due.windows(2).all(|pair| (pair[1] - pair[0] - expect).abs() < 5e-6), "{truth}");
    }
}

/// When a chunk of the truth was due.
fn number_less_lateness(chunk: &Value) -> f64 {
    chunk[0].as_f64().unwrap() - chunk[1].as_f64().unwrap()
}

#[test]
fn the_same_seed_says_the_same_and_another_says_something_else() {
    let say = |seed: &str| {
        let sim =
            Sim::start(&["--profile", "openai", "--ttft", "lognormal:5ms,2ms", "--itl", "exp:1ms", "--seed", seed]);
        sim.post("/v1/chat/completions", chat("finch-4b", "Tell me a story", true)).text()
    };
    assert_eq!(say("5"), say("5"));
    assert_ne!(say("5"), say("6"));
}

#[test]
fn a_page_comes_whole_unless_the_limit_cuts_it() {
    let sim = Sim::start(&["--profile", "openai", "--ttft", "1ms", "--itl", "0s", "--tokens", "300"]);
    let mut body = chat("finch-4b", "Build a Kanban website", true);
    let page = sim.post("/v1/chat/completions", body.clone()).text();
    assert!(page.contains("```html\n<!doctype html>") && page.trim_end().ends_with("</html>\n```"), "{page}");
    body["max_tokens"] = json!(50);
    let cut = sim.post("/v1/chat/completions", body);
    assert!(page.starts_with(&cut.text()) && !cut.text().contains("</html>"));
    assert!(cut.events().iter().any(|event| event["choices"][0]["finish_reason"] == "length"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_loaded_model_really_holds_its_memory_and_gives_it_back() {
    let sim = Sim::start(&["--load-bytes", "100MB", "--load-time", "50ms"]);
    let resident = || -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", sim.pid())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let before = resident();
    sim.post("/api/v1/models/load", json!({"model": "aviary/finch-4b"})).ok();
    assert!(resident() > before + 90_000_000, "{before} {}", resident());
    sim.post("/api/v1/models/unload", json!({"instance_id": "aviary/finch-4b"})).ok();
    wait_until("the memory to be given back", || resident() < before + 20_000_000);
}

#[test]
fn the_power_log_is_the_truth_about_the_simulated_watts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("power.log");
    let flags =
        ["--profile", "openai", "--ttft", "200ms", "--itl", "10ms", "--tokens", "31", "--power-interval", "50ms"];
    let sim = Sim::with_truth(&[&flags[..], &["--power-log", file.to_str().unwrap()]].concat());
    sim.post("/v1/chat/completions", chat("finch-4b", "hi", true)).ok();
    let net = sim.truth(1)[0]["net_energy_joules"].as_f64().unwrap();
    // 27 W for the 0.2 s before the first token, 20 W for the 0.3 s after it; a loaded machine makes both longer.
    assert!((11.3..40.0).contains(&net), "{net}");
    let read = || -> (f64, f64) {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("Machine model: llm-sim\n"), "{text}");
        let number = |line: &str, from: &str, to: &str| -> Option<f64> {
            line.split(from).nth(1)?.split(to).next()?.parse().ok()
        };
        let (mut elapsed, mut joules, mut seconds) = (0.0, 0.0, 0.0);
        for line in text.lines() {
            if line.starts_with("*** Sampled") {
                elapsed = number(line, ") (", "ms elapsed").unwrap() / 1e3;
            } else if let Some(milliwatts) = number(line, "Combined Power (CPU + GPU + ANE): ", " mW") {
                joules += milliwatts / 1e3 * elapsed;
                seconds += elapsed;
            }
        }
        (joules, seconds)
    };
    // Two watts are drawn by doing nothing; what is above them is the request's.
    wait_until("the meter to show the energy of the request", || {
        let (joules, seconds) = read();
        (joules - 2.0 * seconds - net).abs() < 0.05
    });
}

#[test]
fn a_model_that_is_bigger_is_slower() {
    let sim = Sim::with_truth(&["--profile", "openai", "--ttft", "50ms", "--itl", "10ms", "--tokens", "10"]);
    for model in ["finch-4b", "heron-12b"] {
        sim.post("/v1/chat/completions", chat(model, "hi", true)).ok();
    }
    let truth: Vec<Value> = sim.truth(2);
    let of = |n: usize, what: &str| truth[n][what].as_f64().unwrap();
    assert!(of(0, "ttft_seconds") >= 0.05 && of(1, "ttft_seconds") >= 0.08);
    assert!(of(1, "end_seconds") >= 0.08 + 9.0 * 0.022);
    assert_eq!(user("hi")[0]["role"], "user");
}

#[test]
fn a_reader_of_the_power_log_may_leave_and_another_may_come() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("power");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let flags = ["--profile", "openai", "--power-interval", "10ms", "--power-log"];
    let mut sim = Sim::start(&[&flags[..], &[fifo.to_str().unwrap()]].concat());
    for _ in 0..2 {
        let mut log = std::fs::File::open(&fifo).unwrap();
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains("Combined Power") {
            let mut part = [0; 4096];
            let n = log.read(&mut part).unwrap();
            assert!(n > 0, "{}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&part[..n]);
        }
        assert!(text.starts_with(b"Machine model: llm-sim\n"));
        drop(log);
        sim.get("/health").ok();
        // The writer notices at its next sample that nobody reads any more.
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(sim.signal("INT").0, Some(0));
}

#[test]
fn every_fault_and_every_field_of_the_truth_is_documented() {
    use clap::ValueEnum;
    let docs = std::fs::read_to_string(crate::common::root().join("docs/sim.md")).unwrap();
    let help = run("llm-sim", ["--help"], "").exits(0).stdout;
    for kind in llm_bench::sim::faults::Kind::value_variants() {
        assert!(docs.contains(&format!("| `{kind}` |")), "{kind}");
        let after = help.split("Faults:\n  before").nth(1).unwrap();
        assert!(after.split_whitespace().any(|word| word == kind.to_string()), "{kind} in --help");
    }
    let sim = Sim::with_truth(&[
        "--profile",
        "lmstudio",
        "--ttft",
        "1ms",
        "--itl",
        "1ms",
        "--load-time",
        "1ms",
        "--slots",
        "1",
    ]);
    let body = chat("aviary/finch-4b", "hi", true).to_string();
    sim.request("POST", "/v1/chat/completions", &["x-request-id: a"], &body).ok();
    let truth = &sim.truth(1)[0];
    for field in truth.as_object().unwrap().keys() {
        assert!(docs.contains(field.trim_start_matches("first_token").trim_start_matches("last_token")), "{field}");
    }
}
