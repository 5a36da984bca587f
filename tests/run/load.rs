//! The load: closed and open loops, time, ramps, and when enough has failed.

use super::{ask, asked, asking};
use crate::common::golden::{case, golden, known, level_line, numbers_in, time};
use crate::common::sim::Sim;
use crate::common::{Ran, run_with, signal, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;

const MODEL: &str = "finch-4b";

fn load(sim: &Sim, flags: &[&str]) -> Ran {
    ask(sim, "openai", MODEL, flags)
}

fn number(record: &Value, path: &str) -> f64 {
    record.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} of {record}"))
}

/// When each request was due: its start, less what it was late by.
fn due(results: &[Value]) -> Vec<f64> {
    let mut due: Vec<f64> =
        results.iter().map(|r| number(r, "/start_mono") + number(r, "/timing_seconds/scheduled")).collect();
    due.sort_by(f64::total_cmp);
    due
}

#[test]
fn an_open_loop_sends_by_the_clock_whatever_the_server_does() {
    // One slot and 50 ms for each answer: a closed loop of one would send 20 a second.
    let sim = Sim::start("openai", &["--slots", "1", "--ttft", "40ms", "--tokens", "10"]);
    let ran = load(&sim, &["--rate", "100", "--arrival", "constant", "--requests", "20"]).exits(0);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 20);
    for result in &results {
        assert_eq!((result["rate"].as_f64(), &result["concurrency"]), (Some(100.0), &Value::Null));
        let late = -number(result, "/timing_seconds/scheduled");
        assert!((0.0..5.0).contains(&late), "{late}");
        let waited = number(result, "/ttft_scheduled_seconds") - number(result, "/ttft_seconds");
        assert!((waited - late).abs() < 1e-6, "{waited} {late}");
    }
    for gap in due(&results).windows(2) {
        assert!((gap[1] - gap[0] - 0.01).abs() < 1e-5, "{gap:?}");
    }
    let most = results.iter().map(|r| r["in_flight"].as_u64().unwrap()).max().unwrap();
    assert!(most > 3, "requests do not wait for each other: {most}");
}

#[test]
fn random_arrivals_are_the_same_for_the_same_seed_only() {
    let sim = Sim::start("openai", &["--tokens", "2"]);
    let gaps = |flags: &[&str]| {
        let flags = [&["--rate", "200", "--requests", "15"], flags].concat();
        let due = due(&load(&sim, &flags).exits(0).of_type("result"));
        due.windows(2).map(|pair| ((pair[1] - pair[0]) * 1e4).round() as i64).collect::<Vec<_>>()
    };
    let close = |a: &[i64], b: &[i64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1);
    let first = gaps(&[]);
    assert!(close(&first, &gaps(&["--load-seed", "1"])));
    assert!(!close(&first, &gaps(&["--load-seed", "2"])));
    assert!(close(&gaps(&["--seed", "7"]), &gaps(&["--load-seed", "7"])), "the sampling seed stands in for it");
    assert!(first.iter().collect::<std::collections::BTreeSet<_>>().len() > 5, "{first:?}");
}

#[test]
fn what_finds_no_room_waits_and_shows_it_and_is_not_forgotten_when_the_time_is_over() {
    let sim = Sim::start("openai", &["--ttft", "150ms", "--tokens", "2"]);
    let flags = ["--rate", "50", "--arrival", "constant", "--concurrency", "1"];
    let ran = load(&sim, &[&flags[..], &["--requests", "5"]].concat()).exits(0);
    let results = ran.of_type("result");
    assert!(results.iter().all(|r| r["in_flight"] == 1));
    assert!(number(results.last().unwrap(), "/timing_seconds/scheduled") < -0.3);
    assert!(number(results.last().unwrap(), "/ttft_scheduled_seconds") > 0.45);

    let ran = load(&sim, &[&flags[..], &["--duration", "1s"]].concat()).exits(1);
    let results = ran.of_type("result");
    let (not_sent, was_sent): (Vec<&Value>, Vec<&Value>) = results.iter().partition(|r| r["start_ts"].is_null());
    let (sent, unsent) = (was_sent.len(), not_sent.len());
    assert_eq!(sent + unsent, 50, "every arrival has its record");
    let mut messages = BTreeSet::new();
    for result in not_sent {
        assert_eq!((&result["error"]["kind"], &result["rate"]), (&"cancelled".into(), &50.0.into()));
        messages.insert(result["error"]["message"].as_str().unwrap());
        assert_eq!(result["prompt"]["id"], "prompt-1");
    }
    assert!(sent < 10, "{sent}");
    let told = Vec::from_iter(messages).join("\n") + "\n" + &ran.lines_with("--concurrency");
    golden!("arrivals-found-no-room", told, known(unsent, "[not sent]"));
    let counts = numbers_in(ran.stderr.lines().last().unwrap());
    assert_eq!(counts[..3], [sent as f64, 0.0, unsent as f64], "{}", ran.stderr);
}

#[test]
fn a_time_takes_prompts_in_turn_at_every_level_and_warms_up_in_the_ramp() {
    let sim = Sim::start("openai", &["--ttft", "20ms", "--tokens", "2"]);
    for level in [["--concurrency", "1,2"], ["--rate", "20,40"]] {
        let flags = [&level[..], &["--prompt", "another", "--duration", "500ms", "--ramp", "500ms"]].concat();
        let results = load(&sim, &flags).exits(0).of_type("result");
        let field = if level[0] == "--rate" { "rate" } else { "concurrency" };
        for (n, wanted) in level[1].split(',').map(|n| n.parse::<f64>().unwrap()).enumerate() {
            let of = |phase: &str| -> Vec<&Value> {
                results.iter().filter(|r| r[field].as_f64() == Some(wanted) && r["phase"] == phase).collect()
            };
            let (rising, counted) = (of("warmup"), of("measure"));
            assert!(rising.len() > 1 && counted.len() > 3, "{level:?} {n}: {} {}", rising.len(), counted.len());
            let mut asked: Vec<_> = counted
                .iter()
                .map(|r| (r["repetition"].as_u64().unwrap(), r["prompt"]["id"].as_str().unwrap().to_owned()))
                .collect();
            asked.sort();
            let expect = (1..).flat_map(|turn| ["prompt-1", "prompt-2"].map(|id| (turn, id.to_owned())));
            assert_eq!(asked, expect.take(counted.len()).collect::<Vec<_>>(), "{level:?}");
            let begin = |r: &&Value| number(r, "/start_mono");
            let from = rising.iter().map(begin).fold(f64::INFINITY, f64::min);
            let to = counted.iter().map(begin).fold(f64::NEG_INFINITY, f64::max);
            assert!(to - from < 3.0, "{level:?}: one second is asked, and a loaded machine is late: {}", to - from);
        }
    }
}

#[test]
fn a_ramp_does_not_take_from_the_requests_that_were_asked_for() {
    let sim = Sim::start("openai", &["--ttft", "20ms", "--tokens", "2"]);
    for level in [["--concurrency", "3"], ["--rate", "30"]] {
        let ran = load(&sim, &[&level[..], &["--requests", "6", "--ramp", "300ms"]].concat()).exits(0);
        let measured = ran.of_type("result").iter().filter(|r| r["phase"] == "measure").count();
        assert_eq!(measured, 6, "{level:?}");
        assert!(ran.of_type("result").len() > 6, "{level:?}");
    }
}

#[test]
fn enough_failures_end_the_run_and_the_rest_is_told() {
    let sim = Sim::start("openai", &["--fault", "http-500"]);
    for level in [["--concurrency", "1"], ["--rate", "100"]] {
        let flags = [&level[..], &["--requests", "40", "--retries", "0", "--max-errors", "3"]].concat();
        let ran = load(&sim, &flags).exits(1);
        let failed = ran.of_type("result").iter().filter(|result| result["start_ts"].is_f64()).count();
        assert!((3..40).contains(&failed), "{level:?}: {failed}");
        golden!("max-errors", ran.lines_with("--max-errors"));
        let counts = numbers_in(ran.stderr.lines().last().unwrap());
        assert_eq!(counts[..3], [0.0, failed as f64, (40 - failed) as f64], "{}", ran.stderr);
    }
}

#[test]
fn a_signal_ends_an_open_loop_and_what_runs_may_finish() {
    let sim = Sim::start("openai", &["--ttft", "300ms", "--tokens", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results");
    let flags = ["--rate", "20", "--duration", "60s", "-o", file.to_str().unwrap()];
    let child = asked(&sim.url, "openai", MODEL, &flags);
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("three requests to be sent", || read().matches("\"type\":\"start\"").count() >= 3);
    signal(&child, "INT");
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    let text = read();
    let end: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&end["failed"], &end["interrupted"]), (&0.into(), &true.into()), "{end}");
    let unnumbered = told.lines().last().unwrap().split(", ").filter(|part| numbers_in(part).is_empty());
    golden!("run-interrupted", unnumbered.collect::<Vec<_>>().join("\n"));
    // One that was due then, and had no connection yet, has a result and was not sent.
    let sent = text.lines().filter(|line| line.starts_with("{\"type\":\"result\"") && line.contains("\"start_ts\":"));
    assert_eq!(text.matches("\"type\":\"start\"").count(), sent.count(), "{text}");
}

/// Starts a run whose records go to a file, and interrupts it when as many lines as asked hold the text.
#[track_caller]
fn interrupted(sim: &Sim, flags: &[&str], text: &str, times: usize) -> (Vec<Value>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results");
    let output = ["--retries", "0", "-o", file.to_str().unwrap()];
    let child = asked(&sim.url, "openai", MODEL, &[&output, flags].concat());
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until(text, || read().matches(text).count() >= times);
    signal(&child, "INT");
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    (read().lines().map(|line| serde_json::from_str(line).unwrap()).collect(), told)
}

fn of<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

#[test]
fn arrivals_that_were_due_when_a_run_was_stopped_are_told_and_those_to_come_are_counted() {
    let sim = Sim::start("openai", &["--ttft", "400ms", "--tokens", "2"]);
    let flags = ["--rate", "50", "--arrival", "constant", "--concurrency", "2"];
    for planned in [["--duration", "60s"], ["--requests", "3000"]] {
        let (records, told) = interrupted(&sim, &[&flags[..], &planned].concat(), "\"type\":\"result\"", 4);
        let results = of(&records, "result");
        let (not_sent, sent): (Vec<&Value>, Vec<&Value>) = results.iter().partition(|r| r["start_ts"].is_null());
        // Two at once, and the first pair took 400 ms: twenty arrivals were due by then.
        assert!(sent.len() <= 8 && not_sent.len() >= 20, "{} {}: {told}", sent.len(), not_sent.len());
        for result in &not_sent {
            assert_eq!((&result["error"]["kind"], &result["rate"]), (&"cancelled".into(), &50.0.into()), "{result}");
        }
        let (levels, ends) = (of(&records, "level"), of(&records, "run_end"));
        let (level, end) = (levels[0], ends[0]);
        assert_eq!((&level["not_sent"], &level["sent"]), (&end["not_sent"], &sent.len().into()), "{level} {end}");
        let unsent = level["not_sent"].as_u64().unwrap();
        if planned[0] == "--requests" {
            assert_eq!(unsent as usize + sent.len(), 3000, "{level}");
            assert_eq!(end.get("interrupted"), None);
        } else {
            assert_eq!(unsent as usize, not_sent.len(), "{level}");
            assert_eq!(end["interrupted"], true);
        }
        // What was due has a result; what was only planned is counted beside it.
        assert_eq!(level["due_not_sent"], not_sent.len(), "{level}");
        let due: Vec<&str> = told.lines().filter(|line| line.starts_with("llm-run: 50 ")).collect();
        golden!("arrivals-due-not-sent", due.join("\n"), known(not_sent.len(), "[not sent]"));
    }
}

#[test]
fn an_arrival_that_is_made_ready_ahead_of_its_time_is_owed_only_where_it_was_planned_by_its_number() {
    // Connections are opened 10 ms ahead: of 400 a second, some always wait for their time.
    let sim = Sim::start("openai", &["--ttft", "50ms", "--tokens", "2"]);
    let flags = ["--rate", "400", "--arrival", "constant", "--concurrency", "1000"];
    for planned in [["--duration", "60s"], ["--requests", "9000"]] {
        let (records, told) = interrupted(&sim, &[&flags[..], &planned].concat(), "\"type\":\"result\"", 40);
        let not_sent = of(&records, "result").iter().filter(|result| result["start_ts"].is_null()).count() as u64;
        let (level, end) = (of(&records, "level")[0], of(&records, "run_end")[0]);
        let sent = level["sent"].as_u64().unwrap();
        let unsent = if planned[0] == "--requests" { 9000 - sent } else { not_sent };
        let expect = (unsent.into(), not_sent.into(), unsent.into());
        assert_eq!(
            (level["not_sent"].clone(), level["due_not_sent"].clone(), end["not_sent"].clone()),
            expect,
            "{level} {told}"
        );
    }
}

#[test]
fn a_level_that_was_stopped_says_what_it_did_not_send_and_so_do_those_after_it() {
    let sim = Sim::start("openai", &["--ttft", "300ms", "--tokens", "2"]);
    let (records, told) = interrupted(&sim, &["--requests", "4", "--concurrency", "1,2,4"], "\"type\":\"result\"", 1);
    let levels = of(&records, "level");
    let counts = |level: &&Value| {
        (level["concurrency"].as_u64().unwrap(), level["sent"].as_u64().unwrap() + level["not_sent"].as_u64().unwrap())
    };
    assert_eq!(levels.iter().map(counts).collect::<Vec<_>>(), [(1, 4), (2, 4), (4, 4)], "{levels:?} {told}");
    let unsent: u64 = levels.iter().map(|level| level["not_sent"].as_u64().unwrap()).sum();
    assert_eq!(of(&records, "run_end")[0]["not_sent"], unsent);
    assert!(levels[0]["not_sent"].as_u64() > Some(0), "{levels:?}");
}

#[test]
fn what_found_no_connection_failed_in_the_level_as_in_the_run() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let flags = ["--retries", "0", "--requests", "20", "--concurrency", "4"];
    let ran = run_with(asking(&nobody, "openai", &flags), "m\n").exits(2);
    let (level, end) = (&ran.of_type("level")[0], &ran.of_type("run_end")[0]);
    for of in [level, end] {
        assert_eq!((&of["failed"], &of["not_sent"]), (&20.into(), &0.into()), "{of}");
    }
    assert_eq!(level["sent"], 0);
}

#[test]
fn a_single_level_says_what_it_kept_and_a_load_that_was_not_reached_is_told() {
    let sim = Sim::start("openai", &["--ttft", "200ms", "--tokens", "2"]);
    let ran = load(&sim, &["--concurrency", "4", "--requests", "8"]).exits(0);
    golden!("level-concurrency", level_line(ran.stderr.lines().next().unwrap(), 8));
    assert!(!ran.stderr.contains("--duration"), "{}", ran.stderr);
    // The answers are over long before the last of so many is sent.
    let sim = Sim::start("openai", &["--ttft", "0ms", "--itl", "0ms", "--tokens", "1"]);
    let ran = load(&sim, &["--concurrency", "1000", "--requests", "1000", "--threads", "1"]).exits(0);
    let most = ran.of_type("level")[0]["in_flight_max"].as_u64().unwrap();
    assert!(most < 1000, "{most}");
    golden!("level-not-reached", ran.lines_with("--duration"), known(most, "[most]"));
}

#[test]
fn a_client_that_was_late_itself_says_so() {
    let sim = Sim::start("openai", &["--ttft", "1s", "--tokens", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results");
    let flags = ["--concurrency", "2", "--requests", "2", "-o", file.to_str().unwrap()];
    let child = asked(&sim.url, "openai", MODEL, &flags);
    wait_until("both to be sent", || {
        std::fs::read_to_string(&file).unwrap_or_default().matches("\"type\":\"start\"").count() == 2
    });
    signal(&child, "STOP");
    std::thread::sleep(std::time::Duration::from_millis(700));
    signal(&child, "CONT");
    let ended = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    let late: Vec<&str> = told.lines().filter(|line| line.contains("--threads")).collect();
    golden!("client-late", late.join("\n"), time());
}

#[test]
fn a_rate_that_brings_no_request_lasts_its_time_and_says_so() {
    let sim = Sim::start("openai", &["--tokens", "2"]);
    // The first arrival of this seed is later than that.
    let began = std::time::Instant::now();
    let ran = load(&sim, &["--rate", "0.01", "--duration", "1s"]).exits(0);
    assert!(began.elapsed() >= std::time::Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(ran.of_type("result").len(), 0);
    let level = &ran.of_type("level")[0];
    assert_eq!((&level["sent"], &level["failed"], &level["not_sent"]), (&0.into(), &0.into(), &0.into()), "{level}");
    golden!("level-without-requests", ran.lines_with("--load-seed"));
}

#[test]
fn loads_that_make_no_sense_are_refused_with_the_reason() {
    let mut told = String::new();
    for flags in [
        &["--rate", "0"][..],
        &["--rate", "-3"],
        &["--rate", "fast"],
        &["--rate", "nan"],
        &["--arrival", "constant"],
        &["--rate", "2", "--concurrency", "1,5"],
        &["--rate", "2", "--resume", "old.ndjson"],
        &["--duration", "10s", "--resume", "old.ndjson"],
        &["--duration", "10s", "--repeat", "3"],
        &["--duration", "10"],
        &["--duration", "0s"],
        &["--max-errors", "0"],
        &["--concurrency", "0"],
        &["--api-key-file", "/no/such/key"],
    ] {
        let ran = run_with(asking("http://127.0.0.1:9", "openai", flags), "m\n").exits(2);
        told += &case(flags, &ran.stderr);
        assert_eq!(ran.of_type("start").len(), 0);
    }
    golden!("load-flags-refused", told);
}
