use super::*;
use crate::record;
use crate::summary::Summary;
use serde_json::{Value, json};

/// The summary of results that are given by the fields that matter.
fn summary(results: impl IntoIterator<Item = Value>) -> Summary {
    let mut collector = Collector::default();
    for mut result in results {
        result["type"] = json!("result");
        result["v"] = json!(1);
        collector.add(record::read(&result.to_string()).unwrap(), None);
    }
    collector.finish()
}

fn failure() -> Value {
    json!({"kind": "rate_limit", "status": 429, "message": "slow down", "retryable": true})
}

#[test]
fn requests_are_one_group_when_model_source_provider_and_load_agree() {
    let summary = summary([
        json!({"model": "b", "source": "openai", "concurrency": 4, "run": "one"}),
        json!({"model": "b", "source": "openai", "concurrency": 4, "run": "two"}),
        json!({"model": "b", "source": "openai", "concurrency": 8}),
        json!({"model": "b", "source": "openai", "rate": 2.5}),
        json!({"model": "a", "source": "openrouter", "provider": "X"}),
        json!({"model": "a", "source": "openrouter", "provider": "Y"}),
    ]);
    let groups: Vec<String> =
        summary.groups.iter().map(|g| format!("{} {:?} {:?} {}", g.model, g.provider, g.key().load(), g.ok)).collect();
    assert_eq!(
        groups,
        [
            "a Some(\"X\") None 1",
            "a Some(\"Y\") None 1",
            "b None Some(\"2.5/s\") 1",
            "b None Some(\"4 at once\") 2",
            "b None Some(\"8 at once\") 1"
        ]
    );
}

#[test]
fn a_failure_without_a_provider_is_counted_with_the_only_one_there_is() {
    let ok = |provider: &str| json!({"model": "m", "source": "openrouter", "provider": provider, "ttft_seconds": 1.0});
    let lost = json!({"model": "m", "source": "openrouter", "error": failure()});
    let one = summary([ok("X"), lost.clone(), ok("X")]);
    assert_eq!(one.groups.iter().map(|g| (g.ok, g.failed)).collect::<Vec<_>>(), [(2, 1)]);
    assert_eq!(one.groups[0].errors["rate_limit"], 1);
    assert!(one.rows.iter().all(|row| row.group == 0));
    let two = summary([ok("X"), lost, ok("Y")]);
    assert_eq!(two.groups.len(), 3, "of two nobody knows whose it was");
}

#[test]
fn warm_up_and_failures_do_not_count_in_any_spread() {
    let summary = summary([
        json!({"model": "m", "ttft_seconds": 9.0, "phase": "warmup"}),
        json!({"model": "m", "ttft_seconds": 1.0, "phase": "measure"}),
        json!({"model": "m", "ttft_seconds": 5.0, "errors": {"generation": "stopped"}}),
    ]);
    let group = &summary.groups[0];
    assert_eq!((group.ok, group.failed, summary.warmups), (1, 1, 1));
    assert_eq!(group.stat(Metric::TTFT).unwrap().quantiles.max, Some(1.0));
    assert_eq!((summary.totals.requests, summary.totals.failed), (2, 1));
}

#[test]
fn a_load_counts_once_per_run_and_not_when_it_failed() {
    let loaded = |run: &str, seconds: f64| json!({"model": "m", "run": run, "load_time_seconds": seconds});
    let failed = json!({"model": "n", "run": "a", "load_time_seconds": 0.1, "errors": {"load": "no memory"}});
    let summary = summary([loaded("a", 4.0), loaded("a", 4.0), loaded("b", 6.0), failed]);
    let stat = summary.groups[0].stat(Metric::LOAD_TIME).unwrap();
    assert_eq!((stat.quantiles.count, stat.quantiles.mean), (2, Some(5.0)));
    assert_eq!(summary.groups[1].stat(Metric::LOAD_TIME), None);
    assert_eq!(summary.groups[1].errors["load"], 1);
}

#[test]
fn energy_per_token_is_a_quotient_of_sums_and_bounds_need_every_request() {
    let joined = |joules: f64, tokens: u64, bounds: bool| {
        let mut power =
            json!({"energy_joules": joules, "coverage": 1.0, "quality": "good", "samples": 9, "clock": "mono"});
        if bounds {
            power["energy_lower_joules"] = json!(joules * 0.9);
            power["energy_upper_joules"] = json!(joules * 1.1);
        }
        json!({"model": "m", "tokens": {"output": tokens, "source": "usage"}, "power": power})
    };
    let both = summary([joined(10.0, 10, true), joined(300.0, 100, true)]);
    let energy = both.groups[0].energy.as_ref().unwrap();
    assert_eq!(energy.joules_per_output_token, Some(310.0 / 110.0));
    assert!((energy.joules_per_output_token_upper.unwrap() - 341.0 / 110.0).abs() < 1e-12);
    assert_eq!(energy.net_joules, None);
    let one = summary([joined(10.0, 10, true), joined(300.0, 100, false), joined(5.0, 0, true)]);
    let energy = one.groups[0].energy.as_ref().unwrap();
    assert_eq!((energy.requests, energy.lower_joules), (2, None));
}

#[test]
fn of_very_many_requests_an_even_sample_is_kept_and_all_are_counted() {
    let n = ROWS as u64 + 10_000;
    let summary =
        summary((0..n).map(|i| json!({"model": "m", "id": i, "ttft_seconds": i as f64 + 1.0, "start_ts": i})));
    assert!(summary.sampled());
    assert_eq!((summary.rows.len(), summary.groups[0].ok), (ROWS, n));
    let early = summary.rows.iter().filter(|row| row.id < n / 2).count();
    assert!((ROWS * 47 / 100..ROWS * 53 / 100).contains(&early), "{early}");
    let median = summary.groups[0].stat(Metric::TTFT).unwrap().quantiles.p50.unwrap();
    assert!((median - n as f64 / 2.0).abs() < n as f64 * 2e-3, "{median}");
}

#[test]
fn what_a_run_says_later_counts_for_results_that_are_like_earlier_ones() {
    let result = r#"{"type":"result","v":1,"run":"r","model":"m","ttft_seconds":1.0}"#;
    let run = |context: u64| {
        format!(
            r#"{{"type":"run","v":1,"run":"r","started_ts":1,"tool":{{"name":"t","version":"1"}},"host":{{}},"argv":[],"settings":{{"context_length":{context}}}}}"#
        )
    };
    let mut collector = Collector::default();
    for line in [result, &run(1), result, result, &run(2), result] {
        collector.add(record::read(line).unwrap(), None);
    }
    let summary = collector.finish();
    let groups: Vec<_> =
        summary.groups.iter().map(|g| (g.settings.get("context_length").map(String::as_str), g.ok)).collect();
    assert_eq!(groups, [(None, 1), (Some("1"), 2), (Some("2"), 1)]);
}
