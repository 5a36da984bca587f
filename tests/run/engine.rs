//! The engine: many streams at once, none lost, each measured by itself.

use super::{ask, asked, one};
use crate::common::golden::{case, golden};
use crate::common::sim::Sim;
use crate::common::{Ran, bash, run_with, signal};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

const MODEL: &str = "finch-4b";

/// What the server wrote of each request, by the client's name for it.
fn truth(path: &str, count: usize) -> HashMap<String, Value> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    crate::common::wait_until("the truth", || read().lines().count() >= count);
    let lines = read();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["request"].as_str().unwrap().to_owned(), line)).collect()
}

/// Asserts that every result is whole, and that its first token was seen when it was written.
#[track_caller]
fn all_agree(ran: &Ran, truth: &HashMap<String, Value>, tokens: u64) {
    for result in ran.of_type("result") {
        assert_eq!((&result["error"], &result["tokens"]["output"]), (&Value::Null, &json!(tokens)), "{result}");
        let name = format!("{}-{}", result["run"].as_str().unwrap(), result["id"]);
        let sent = &truth[&name];
        assert_eq!((&sent["outcome"], &sent["tokens"]["output"]), (&json!("done"), &json!(tokens)), "{sent}");
        let seen = result["start_mono"].as_f64().unwrap() + result["ttft_seconds"].as_f64().unwrap();
        let late = seen - sent["first_token_mono"].as_f64().unwrap();
        // The server's stamp is taken when its write has returned: on a machine with more to do that may be after the read, and
        // the server says how late it was.
        let busy = sent["lateness_seconds"]["max"].as_f64().unwrap_or(0.0);
        assert!(late > -0.2 - busy && late < 5.0, "{late} {result} {sent}");
    }
}

#[test]
fn two_thousand_streams_at_once_lose_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ground_truth").to_str().unwrap().to_owned();
    // So long that the last begins before the first ends, on a machine that does other things too.
    let flags = [
        "--ttft",
        "15s",
        "--itl",
        "20ms",
        "--tokens",
        "20",
        "--ground-truth",
        &path,
        "--ground-truth-level",
        "request",
    ];
    let sim = Sim::start("openai", &flags);
    let ran = ask(&sim, "openai", MODEL, &["--concurrency", "2000", "--requests", "2000", "--retries", "0"]).exits(0);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 2000);
    assert_eq!(results.iter().map(|r| r["in_flight"].as_u64().unwrap()).max(), Some(2000));
    all_agree(&ran, &truth(&path, 2000), 20);
}

#[test]
fn concurrent_streams_keep_their_own_gaps_and_connections() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ground_truth").to_str().unwrap().to_owned();
    let flags = ["--ttft", "uniform:300ms,900ms", "--itl", "5ms", "--tokens", "30", "--ground-truth", &path];
    let sim = Sim::start("openai", &flags);
    let flags = ["--threads", "1", "--concurrency", "8", "--requests", "24", "--retries", "0"];
    let ran = ask(&sim, "openai", MODEL, &flags).exits(0);
    let results = ran.of_type("result");
    let opened = results.iter().filter(|result| result["timing_seconds"]["connect"].is_f64()).count();
    assert_eq!(opened, 8, "eight at once, a connection for each, and all of them kept");
    let truth = truth(&path, 24);
    all_agree(&ran, &truth, 30);
    for result in &results {
        let gaps = &result["inter_chunk_latency_seconds"];
        let sent = &truth[&format!("{}-{}", result["run"].as_str().unwrap(), result["id"])];
        let (seen, real) = (gaps["mean"].as_f64().unwrap(), sent["gap_seconds"].as_f64().unwrap());
        assert!((seen - real).abs() < 0.05, "{gaps} {sent}");
    }
    let first: HashSet<u64> = results.iter().map(|r| (r["ttft_seconds"].as_f64().unwrap() * 200.0) as u64).collect();
    assert!(first.len() > 5, "{first:?}");
}

#[test]
fn a_run_goes_on_after_broken_responses() {
    let sim = Sim::start("openai", &["--fault", "abort:0.3", "--fault", "http-500:0.2", "--seed", "3"]);
    let flags = ["--concurrency", "4", "--requests", "40", "--retries", "0"];
    let results = ask(&sim, "openai", MODEL, &flags).exits(1).of_type("result");
    let kinds: HashSet<&str> = results.iter().filter_map(|r| r["error"]["kind"].as_str()).collect();
    assert_eq!((results.len(), kinds), (40, HashSet::from(["truncated", "server"])), "{results:?}");
    assert!(results.iter().any(|r| r["error"].is_null()));
}

#[test]
fn event_loops_share_the_load_and_one_is_enough() {
    let sim = Sim::start("openai", &["--tokens", "5"]);
    for threads in ["1", "3"] {
        let flags = ["--threads", threads, "--concurrency", "7", "--requests", "70", "--retries", "0"];
        let ran = ask(&sim, "openai", MODEL, &flags).exits(0);
        let results = ran.of_type("result");
        assert_eq!(results.iter().filter(|r| r["error"].is_null()).count(), 70);
        let opened = results.iter().filter(|r| r["timing_seconds"]["connect"].is_f64()).count();
        assert!((1..=7).contains(&opened), "connections are opened before the first requests, and kept: {opened}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn event_loops_with_a_crowd_of_streams_give_way_to_others_and_those_with_few_do_not() {
    /// `SCHED_OTHER` and `SCHED_BATCH` of sched(7), as the 41st field of proc_pid_stat(5) has them.
    const POLICIES: [(&str, &str); 2] = [("8", "0"), ("256", "3")];
    let sim = Sim::start("openai", &["--ttft", "20s"]);
    for (streams, policy) in POLICIES {
        let flags = ["--threads", "2", "--concurrency", streams, "--requests", streams, "--retries", "0"];
        let mut child = asked(&sim.url, "openai", MODEL, &flags);
        let of_loops = || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
            let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
            let loops = stats.filter(|stat| stat.contains("(loop-"));
            loops
                .map(|stat| stat.rsplit(") ").next().unwrap().split(' ').nth(38).unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        crate::common::wait_until("both event loops to run so", || of_loops() == [policy, policy]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn more_streams_than_there_may_be_connections_are_told_before_they_fail() {
    let sim = Sim::start("openai", &["--tokens", "2"]);
    let run = "ulimit -n 64; exec llm-run --source openai --base-url $0 --prompt x --retries 0 --concurrency $1 --requests $1";
    let with = |n: &str| {
        let mut command = bash(run);
        command.args([&sim.url, n]);
        run_with(command, format!("{MODEL}\n"))
    };
    assert!(!with("8").exits(0).stderr.contains("ulimit"));
    let told = with("100");
    let told = case("100", &told.lines_with("ulimit"));
    // What this machine cannot open must not be taken for what the server cannot hold.
    let mut search =
        bash(&run.replace("--concurrency $1 --requests $1", "--requests 50 --search 'ttft_p50<1s' --concurrency $1"));
    search.args([&sim.url, "1..100"]);
    let refused = run_with(search, "finch-4b\n").exits(2);
    golden!("too-few-open-files", told + &case("1..100", &refused.stderr));
}

#[test]
fn a_client_that_did_not_run_says_so_and_vouches_for_no_first_token() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (log, out) = (path("ground_truth"), path("out"));
    // With the second the answer is over before the client runs again: all that is known of its lateness comes after it.
    for (tokens, itl) in [("200", "10ms"), ("3", "1ms")] {
        let _ = (std::fs::remove_file(&log), std::fs::remove_file(&out));
        let sim = Sim::start("openai", &["--ttft", "200ms", "--itl", itl, "--tokens", tokens, "--ground-truth", &log]);
        let mut child = asked(&sim.url, "openai", MODEL, &["--retries", "0", "-o", &out]);
        let text = || std::fs::read_to_string(&out).unwrap_or_default();
        crate::common::wait_until("the request to be sent", || text().contains(r#""type":"start""#));
        signal(&child, "STOP");
        std::thread::sleep(Duration::from_millis(700));
        signal(&child, "CONT");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let ran = Ran { status: Some(0), stdout: text(), stderr: String::new() };
        let result = one(&ran);
        let sent = &truth(&log, 1)[&format!("{}-1", result["run"].as_str().unwrap())];
        let really = sent["first_token_mono"].as_f64().unwrap() - result["start_mono"].as_f64().unwrap();
        let measured = result["ttft_seconds"].as_f64().unwrap();
        assert!(measured > really + 0.15, "{tokens}: {measured} {really}: it was stopped when the first token came");
        let lag = &result["client"]["lag_seconds"];
        assert!(lag["max"].as_f64().is_some_and(|max| max >= 0.15), "{tokens}: {result}");
        assert!(result["warnings"].as_array().unwrap().contains(&"client_lag".into()), "{tokens}: {result}");
    }
}
