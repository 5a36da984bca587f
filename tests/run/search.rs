//! `--search`: the highest load that passes, against servers whose knee is known; and what each level says of itself.

use super::{ask, asked};
use crate::common::golden::{case, golden, known, level_line, rate, time};
use crate::common::sim::Sim;
use crate::common::{Ran, signal, wait_until};
use llm_bench::load::{Arrival, Arrivals};
use serde_json::{Value, json};
use std::time::Duration;

const MODEL: &str = "finch-4b";

fn seek(sim: &Sim, flags: &[&str]) -> Ran {
    ask(sim, "openai", MODEL, flags)
}

fn found(ran: &Ran) -> Value {
    let mut found = ran.of_type("search");
    assert_eq!(found.len(), 1, "{}", ran.stderr);
    found.remove(0)
}

/// Four at once, 450 ms each: with a fifth, a quarter of all requests waits for 450 ms.
fn four_slots() -> Sim {
    Sim::start("openai", &["--slots", "4", "--ttft", "50ms", "--itl", "200ms", "--tokens", "3"])
}

const FOUR: [&str; 6] = ["--concurrency", "2..16", "--requests", "16", "--search", "ttft_mean<105ms"];

#[test]
fn the_most_at_once_that_a_server_with_four_slots_holds_is_four() {
    let sim = four_slots();
    let ran = seek(&sim, &FOUR).exits(0);
    let search = found(&ran);
    assert_eq!((&search["outcome"], &search["over"]), (&"found".into(), &"concurrency".into()), "{search}");
    assert_eq!((&search["highest_passing"], &search["lowest_failing"]), (&json!(4.0), &json!(5.0)), "{search}");
    let tried: Vec<f64> = search["points"].as_array().unwrap().iter().map(|p| p["load"].as_f64().unwrap()).collect();
    assert_eq!(tried, [2.0, 4.0, 8.0, 6.0, 5.0]);
    golden!("search-found", ran.lines_with(MODEL));
    // The points are ordinary results and levels.
    let results = ran.of_type("result");
    assert_eq!(results.len(), 16 * 5);
    assert!(results.iter().all(|result| result["error"].is_null()));
    let levels: Vec<u64> = ran.of_type("level").iter().map(|level| level["concurrency"].as_u64().unwrap()).collect();
    assert_eq!(levels, [2, 4, 8, 6, 5]);
    assert_eq!(ran.records().last().unwrap()["type"], "run_end");
}

#[test]
fn the_highest_rate_is_found_that_a_server_can_work_off() {
    // Ten requests a second go through: two slots of 200 ms. At eight nobody waits; at sixteen the middle one waits 0.9 s.
    let sim = Sim::start("openai", &["--slots", "2", "--ttft", "100ms", "--itl", "100ms", "--tokens", "2"]);
    let flags = ["--rate", "4..64", "--arrival", "constant", "--duration", "3s", "--search-tolerance", "100%"];
    let ran = seek(&sim, &[&flags[..], &["--search", "ttft_p50<400ms, error_rate<50%"]].concat()).exits(0);
    let search = found(&ran);
    assert_eq!((&search["highest_passing"], &search["lowest_failing"]), (&json!(8.0), &json!(16.0)), "{search}");
    assert!(ran.of_type("result").iter().all(|result| result["concurrency"].is_null()));
    golden!("search-point-passes", ran.lines_with("llm-run: 8/s: ttft_p50<400ms"), time());
}

#[test]
fn a_part_without_a_request_lasts_its_time_and_the_search_goes_on() {
    let sim = Sim::start("openai", &["--tokens", "2"]);
    // A fifth of a request in each part: the first brings none, and ten are needed.
    let first = |seed: &u64| Arrivals::new(1.0, Arrival::Poisson, Duration::ZERO, *seed).next();
    let seed = (1..).find(|seed| first(seed) > Some(Duration::from_millis(300))).unwrap().to_string();
    let flags = ["--rate", "1..2", "--duration", "200ms", "--load-seed", &seed, "--search", "ttft_mean<10s"];
    let ran = seek(&sim, &flags);
    let search = found(&ran);
    let point = &search["points"][0];
    let parts = point["parts"].as_u64().unwrap();
    // The last part says whether the point passes; those before it, that another is needed.
    let told = ran.lines_with("llm-run: 1/s: ttft_mean<10s");
    assert!(parts > 2 && told.lines().count() as u64 == parts, "{search} {}", ran.stderr);
    golden!("search-part-without-requests", told.lines().next().unwrap());
    let end = &ran.of_type("run_end")[0];
    let took = end["ended_ts"].as_f64().unwrap() - ran.of_type("run")[0]["started_ts"].as_f64().unwrap();
    assert!(took >= 0.2 * 2.0, "{took}");
}

#[test]
fn a_server_that_never_or_always_holds_is_told_so() {
    let sim = Sim::start("openai", &["--ttft", "60ms", "--tokens", "2"]);
    let flags = ["--concurrency", "1..4", "--requests", "10"];
    let never = seek(&sim, &[&flags[..], &["--search", "ttft_p50<10ms"]].concat()).exits(1);
    assert_eq!((&found(&never)["outcome"], &found(&never)["highest_passing"]), (&"none_passed".into(), &Value::Null));
    let told = case("never", &never.lines_with(MODEL));
    let always = seek(&sim, &[&flags[..], &["--search", "ttft_p50<20s"]].concat()).exits(0);
    assert_eq!((&found(&always)["outcome"], &found(&always)["highest_passing"]), (&"all_passed".into(), &json!(4.0)));
    golden!("search-found-at-an-end", told + &case("always", &always.lines_with(MODEL)));
}

#[test]
fn failures_break_what_is_searched_and_are_no_failure_of_the_search() {
    let sim = Sim::start("openai", &["--fault", "http-500:0.5", "--tokens", "2"]);
    let flags = ["--concurrency", "1..8", "--requests", "20", "--retries", "0"];
    let ran = seek(&sim, &[&flags[..], &["--search", "error_rate<=25%"]].concat()).exits(1);
    let search = found(&ran);
    let point = &search["points"][0];
    assert_eq!(
        (&search["outcome"], &point["passes"], &point["requests"]),
        (&"none_passed".into(), &false.into(), &20.into())
    );
    assert!(point["failed"].as_u64().unwrap() > 5, "{point}");
    let ran = seek(&sim, &[&flags[..], &["--search", "error_rate<=99%"]].concat());
    assert!(found(&ran)["points"][0]["failed"].as_u64().unwrap() > 0);
}

#[test]
fn too_few_to_tell_is_refused_or_run_longer_and_told_with_their_number() {
    let sim = Sim::start("openai", &["--ttft", "10ms", "--tokens", "2"]);
    let refused = seek(&sim, &["--concurrency", "1..4", "--requests", "50", "--search", "ttft_p95<1s"]).exits(2);
    golden!("search-requests-too-few", refused.stderr);
    // Ten a second for half a second are about five: ten are needed.
    let flags = ["--rate", "10..10", "--arrival", "constant", "--duration", "500ms"];
    let longer = seek(&sim, &[&flags[..], &["--search", "ttft_p50<5s"]].concat()).exits(0);
    let point = &found(&longer)["points"][0];
    assert_eq!(
        (&point["parts"], &point["requests"], &point["passes"]),
        (&2.into(), &10.into(), &true.into()),
        "{point}"
    );
    golden!("search-once-more", longer.lines_with("n=5"), time());
    // No number of parts would do.
    let unclear = seek(&sim, &[&flags[..], &["--search", "ttft_p99<5s"]].concat()).exits(1);
    assert_eq!(found(&unclear)["outcome"], "unclear");
    golden!("search-unclear", unclear.lines_with(MODEL));
}

#[test]
fn what_does_not_go_together_is_told() {
    let sim = Sim::start("openai", &[]);
    let mut told = String::new();
    for flags in [
        &["--rate", "1..5"][..],
        &["--search", "ttft_p50<1s"],
        &["--search", "ttft_p50<1s", "--requests", "10", "--rate", "5"],
        &["--search", "ttft_p50<1s", "--requests", "10", "--rate", "1..5", "--concurrency", "1..5"],
        &["--search", "ttft_p50<1s", "--requests", "10", "--concurrency", "9..5"],
        &["--search", "ttfb_p50<1s", "--requests", "10"],
        &["--search-tolerance", "5%"],
        &["--search", "ttft_p50<1s", "--requests", "10", "--search-tolerance", "0%"],
    ] {
        let ran = seek(&sim, flags).exits(2);
        told += &case(flags, &ran.stderr);
        assert_eq!(ran.of_type("result").len(), 0);
    }
    golden!("search-flags-refused", told);
    let plan =
        seek(&sim, &["--search", "ttft_p50<1s", "--requests", "10", "--concurrency", "1..8", "--dry-run"]).exits(0);
    golden!("search-dry-run", plan.stderr);
    assert_eq!((plan.of_type("request").len(), plan.of_type("result").len()), (1, 0));
}

#[test]
fn a_search_that_is_interrupted_tells_what_it_knows_and_is_taken_up_again() {
    let sim = four_slots();
    let out = sim.path("out");
    let mut child = asked(&sim.url, "openai", MODEL, &[&FOUR[..], &["--output", &out]].concat());
    let text = || std::fs::read_to_string(&out).unwrap_or_default();
    wait_until("the first level", || text().contains(r#"{"type":"level""#));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let stopped: Value = text()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|r| r["type"] == "search")
        .unwrap();
    assert_eq!(stopped["outcome"], "stopped");
    let done = text().lines().filter(|line| line.contains(r#""type":"result""#)).count();

    let ran = seek(&sim, &[&FOUR[..], &["--resume", &out]].concat()).exits(0);
    let search = found(&ran);
    assert_eq!(search["highest_passing"], 4.0, "{search}");
    assert_eq!((&search["points"][0]["requests"], &search["points"][0]["parts"]), (&16.into(), &0.into()));
    assert_eq!(done + ran.of_type("result").len(), 16 * 5, "nothing is asked twice");
}

#[test]
fn a_level_says_what_was_asked_and_what_was_kept_and_the_run_what_it_took() {
    let sim = Sim::start("openai", &["--ttft", "30ms", "--tokens", "4"]);
    let ran = seek(&sim, &["--rate", "40,80", "--arrival", "constant", "--requests", "20"]).exits(0);
    let levels = ran.of_type("level");
    assert_eq!(levels.len(), 2);
    let mut told = String::new();
    for (level, rate) in levels.iter().zip([40.0, 80.0]) {
        assert_eq!(
            (level["rate"].as_f64(), level["sent"].as_u64(), level["failed"].as_u64()),
            (Some(rate), Some(20), Some(0))
        );
        let lag = &level["schedule_lag_seconds"];
        assert_eq!(lag["count"], 20);
        // The histogram says the same as the results, which are of this level alone.
        let histogram = llm_bench::stats::Histogram::decode(lag["histogram"].as_str().unwrap()).unwrap();
        let of_level = |r: &&Value| r["rate"].as_f64() == Some(rate);
        let worst = ran
            .of_type("result")
            .iter()
            .filter(of_level)
            .map(|r| -r["timing_seconds"]["scheduled"].as_f64().unwrap())
            .fold(0.0, f64::max);
        assert_eq!(histogram.count(), 20);
        assert!((histogram.quantile(1.0).unwrap() - worst).abs() < worst * 0.01 + 2e-6, "{level} {worst}");
        assert!(level["loop_lag_seconds"]["count"].as_u64().unwrap() > 3, "{level}");
        assert!(level["sent_per_second"].as_f64().unwrap() > 1.0 && level["cpu_seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(level["chunks"], 80);
        told += &level_line(&ran.lines_with(&format!("llm-run: {rate}/s ")), 20);
    }
    golden!("level-rates", told);
    let end = &ran.of_type("run_end")[0];
    assert_eq!((&end["ok"], &end["failed"], &end["not_sent"]), (&40.into(), &0.into(), &0.into()));
    assert!(end["cpu_seconds"].as_f64().unwrap() > 0.0);
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    assert!(end["peak_bytes"].as_u64().unwrap() > 1 << 20, "{end}");
    let one = seek(&sim, &["--concurrency", "4"]).exits(0);
    let level = &one.of_type("level")[0];
    assert!(level["in_flight_mean"].is_null() && level["schedule_lag_seconds"].is_null(), "{level}");
    assert!(!one.stderr.contains("llm-run: 4 "), "one level of one request is no news: {}", one.stderr);
}

/// Twenty requests a second go through: four slots of 200 ms. Each limit that is asked for would be kept by far.
#[test]
fn a_rate_that_the_server_does_not_keep_up_with_does_not_hold_however_the_condition_is() {
    let sim = Sim::start("ollama", &["--slots", "4", "--ttft", "100ms", "--itl", "5ms", "--tokens", "21"]);
    let flags =
        |rate: &str| ["--no-load", "--rate", rate, "--duration", "6s", "--search", "ttft_p90<60s"].map(str::to_owned);
    let at = |rate: &str| {
        let flags = flags(rate);
        ask(&sim, "ollama", "finch:4b", &flags.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let ran = at("36..36").exits(1);
    let search = found(&ran);
    assert_eq!((&search["outcome"], &search["lowest_failing"]), (&"none_passed".into(), &json!(36.0)), "{search}");
    let point = &search["points"][0];
    assert_eq!((&point["passes"], &point["values"][0]["passes"]), (&false.into(), &true.into()), "{point}");
    let queue = &point["queue"];
    assert_eq!(queue["grows"], true, "{point}");
    let number = |name: &str| queue[name].as_f64().unwrap();
    // A machine that is busy makes it fewer, never more.
    assert!(number("ended_per_second") < 24.0 && number("sent_per_second") > 25.0, "{queue}");
    assert!(number("ttft_last_third_seconds") > 1.5 * number("ttft_first_third_seconds"), "{queue}");
    let reason = point["reason"].as_str().unwrap();
    let line = ran.lines_with(reason);
    let judged = line.strip_prefix("llm-run: 36/s: ").unwrap();
    assert!(judged.starts_with(reason), "{line}\n{reason}");
    golden!("search-queue-grows", judged, time(), rate(), known(&point["requests"], "[requests]"));

    let ran = at("8..8").exits(0);
    let point = &found(&ran)["points"][0];
    assert_eq!(
        (&point["passes"], &point["queue"]["grows"], &point["reason"]),
        (&true.into(), &false.into(), &Value::Null)
    );
    golden!(
        "search-queue-does-not-grow",
        ran.stderr.lines().rfind(|line| line.starts_with("llm-run: 8/s: ttft_p90<60s")).unwrap(),
        time(),
        known(&point["requests"], "[requests]")
    );
    // Where so many are kept running, nobody waits for a moment: there is no such queue.
    let closed = ["--no-load", "--concurrency", "8..8", "--requests", "24", "--search", "ttft_mean<60s"];
    let closed = ask(&sim, "ollama", "finch:4b", &closed).exits(0);
    assert_eq!(found(&closed)["points"][0]["queue"], Value::Null);
}
