//! Of what part of a load rates are, and that they are right however it is cut.

use crate::common::run;
use llm_bench::record::fixture::{self, Fixture};
use llm_bench::record::{Outcome, Phase, Source};
use serde_json::Value;

/// A result of model `m`: when it was sent, how long it took; 20 tokens, the first after a third of its time.
fn result(id: usize, start: f64, length: f64) -> Fixture<Outcome> {
    let result = fixture::result(id as u64, "m").source(Source::Openai).sent(start);
    result.ttft(length / 3.0).e2e(length).tokens(None, 20)
}

/// Sixteen at once for eleven waves of 0.3 s, whose starts lie a tenth of a millisecond apart.
fn waves() -> String {
    let one = |wave: usize, worker: usize| {
        let start = wave as f64 * 0.301 + worker as f64 * 1e-4;
        result(wave * 16 + worker + 1, start, 0.3).concurrency(16).line()
    };
    (0..11).flat_map(|wave| (0..16).map(move |worker| one(wave, worker))).collect()
}

fn columns(args: &[&str], lines: &str) -> Value {
    let all = [&["-f", "json"], args].concat();
    let summary: Value = serde_json::from_str(&run("bench-report", all, lines).exits(0).stdout).unwrap();
    summary["groups"][0].clone()
}

fn near(value: &Value, expect: f64, what: &str) {
    let value = value.as_f64().unwrap_or_else(|| panic!("{what}: {value}"));
    assert!((value / expect - 1.0).abs() < 0.01, "{what}: {value}, and {expect} is right");
}

#[test]
fn answers_that_come_in_waves_have_the_same_rate_over_the_steady_part_and_over_all_and_it_fits_their_tokens() {
    let right = 16.0 / 0.301;
    for window in ["steady", "all"] {
        let group = columns(&["--window", window, "--slo", "e2e=10s"], &waves());
        let c = &group["columns"];
        for rate in ["requests_s", "sent_rate", "completed_rate"] {
            near(&c[rate], right, &format!("{window} {rate}"));
        }
        near(&group["goodput"]["requests_per_second"], right, window);
        near(&c["throughput"], 20.0 * c["requests_s"].as_f64().unwrap(), window);
        assert_eq!(group["throughput"]["part"]["steady"], window == "steady");
    }
}

#[test]
fn a_rate_that_was_kept_for_too_short_a_time_is_told_of_the_whole_and_marked() {
    // Twenty in five seconds, most of them early: what is left after the first request is no rate of four a second.
    let starts = |n: usize| (0..n).map(|i| if i < 12 { i as f64 * 0.1 } else { 1.2 + (i - 12) as f64 * 0.45 });
    let lines = |n: usize| -> String {
        starts(n).enumerate().map(|(at, start)| result(at + 1, start, 0.6).rate(4.0).line()).collect()
    };
    let few = columns(&[], &lines(20));
    assert_eq!(few["throughput"]["part"]["steady"], false);
    assert!(few["doubtful"]["sent_rate"].as_str().unwrap().contains("of 25 that it takes"), "{}", few["doubtful"]);
    // What was sent per second is counted from send to send, as llm-run tells it.
    near(&few["columns"]["sent_rate"], 19.0 / starts(20).next_back().unwrap(), "sent");
    let even: String = (0..60).map(|i| result(i + 1, i as f64 * 0.45, 0.6).rate(4.0).line()).collect();
    let many = columns(&[], &even);
    assert_eq!(many["throughput"]["part"]["steady"], true);
    assert_eq!((&many["doubtful"]["sent_rate"], &many["doubtful"]["requests_s"]), (&Value::Null, &Value::Null));
    near(&many["columns"]["sent_rate"], 1.0 / 0.45, "sent");
    near(&many["columns"]["requests_s"], 1.0 / 0.45, "requests");
}

#[test]
fn what_of_a_ramp_still_runs_is_load_in_whatever_part_is_told() {
    // Four workers begin half a second apart, each request of one second: the first two seconds are the ramp.
    let one = |worker: usize, i: usize| {
        let start = worker as f64 * 0.5 + i as f64;
        let phase = if start < 2.0 { Phase::Warmup } else { Phase::Measure };
        result(worker * 12 + i + 1, start, 1.0).concurrency(4).phase(phase).line()
    };
    let lines: String = (0..12).flat_map(|i| (0..4).map(move |worker| one(worker, i))).collect();
    for (window, in_flight) in [("steady", 4.0), ("all", 43.0 / 11.5)] {
        let group = columns(&["--window", window], &lines);
        near(&group["columns"]["achieved_concurrency"], in_flight, window);
        near(&group["columns"]["requests_s"], in_flight, window);
        near(&group["columns"]["throughput"], 20.0 * in_flight, window);
        assert_eq!(group["ok"], 42, "{window}: the ramp is no measurement of a request");
    }
}
