use super::*;
use crate::record::fixture::{self, Fixture};
use crate::record::{FailureKind, Phase, Source};
use crate::summary::Summary;
use serde_json::json;

/// The summary of results, which are numbered from 0.
fn summary(results: impl IntoIterator<Item = Fixture<Outcome>>) -> Summary {
    let mut collector = Collector::default();
    for (id, result) in (0..).zip(results) {
        collector.add(result.set(|o| o.id = id).into(), None);
    }
    collector.finish()
}

fn result(model: &str) -> Fixture<Outcome> {
    fixture::result(0, model)
}

fn served_by(provider: &str, model: &str) -> Fixture<Outcome> {
    result(model).source(Source::Openrouter).set(|o| o.provider = Some(provider.into()))
}

#[test]
fn requests_are_one_group_when_model_source_provider_and_load_agree() {
    let summary = summary([
        result("b").source(Source::Openai).concurrency(4).run("one"),
        result("b").source(Source::Openai).concurrency(4).run("two"),
        result("b").source(Source::Openai).concurrency(8),
        result("b").source(Source::Openai).rate(2.5),
        served_by("X", "a"),
        served_by("Y", "a"),
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
    let ok = |provider| served_by(provider, "m").ttft(1.0);
    let lost = result("m").source(Source::Openrouter).failed(FailureKind::RateLimit);
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
        result("m").ttft(9.0).phase(Phase::Warmup),
        result("m").ttft(1.0).phase(Phase::Measure),
        result("m").ttft(5.0).set(|o| o.errors.generation = Some("stopped".into())),
    ]);
    let group = &summary.groups[0];
    assert_eq!((group.ok, group.failed, summary.warmups), (1, 1, 1));
    assert_eq!(group.stat(Metric::TTFT).unwrap().quantiles.max, Some(1.0));
    assert_eq!((summary.totals.requests, summary.totals.failed), (2, 1));
}

#[test]
fn a_load_counts_once_per_run_and_not_when_it_failed() {
    let loaded = |run, seconds| result("m").run(run).set(|o| o.load_time_seconds = Some(Some(seconds)));
    let failed = result("n").run("a").merge(json!({"load_time_seconds": 0.1, "errors": {"load": "no memory"}}));
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
        result("m").tokens(None, tokens).merge(json!({ "power": power }))
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
    let summary = summary((0..n).map(|i| result("m").ttft(i as f64 + 1.0).sent(i as f64)));
    assert!(summary.sampled());
    assert_eq!((summary.rows.len(), summary.groups[0].ok), (ROWS, n));
    let early = summary.rows.iter().filter(|row| row.id < n / 2).count();
    assert!((ROWS * 47 / 100..ROWS * 53 / 100).contains(&early), "{early}");
    let median = summary.groups[0].stat(Metric::TTFT).unwrap().quantiles.p50.unwrap();
    assert!((median - n as f64 / 2.0).abs() < n as f64 * 2e-3, "{median}");
}

#[test]
fn what_a_run_says_later_counts_for_results_that_are_like_earlier_ones() {
    let result = || result("m").ttft(1.0).into();
    let run = |context: u64| fixture::run("r").merge(json!({"settings": {"context_length": context}})).into();
    let mut collector = Collector::default();
    for record in [result(), run(1), result(), result(), run(2), result()] {
        collector.add(record, None);
    }
    let summary = collector.finish();
    let groups: Vec<_> =
        summary.groups.iter().map(|g| (g.settings.get("context_length").map(String::as_str), g.ok)).collect();
    assert_eq!(groups, [(None, 1), (Some("1"), 2), (Some("2"), 1)]);
}
