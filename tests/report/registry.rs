//! The registry of metrics as its users meet it: every row is in every output, and every name leads to it.

use super::golden::hold;
use crate::common::golden::{case, golden};
use crate::common::{root, run};
use llm_bench::record::{Source, fixture};
use llm_bench::report;
use llm_bench::summary::{COLUMNS, Figure, Metric, metrics};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Results that have everything that is measured without a browser: of two runs, each with two requests.
fn everything() -> String {
    let watts = |avg: f64| json!({"avg": avg, "min": avg - 1.0, "max": avg + 2.0, "samples": 9});
    let phase = |joules: f64| json!({"energy_joules": joules, "energy_lower_joules": joules - 1.0, "energy_upper_joules": joules + 1.0, "coverage": 1.0, "quality": "good"});
    let memory = |gigabytes: u64| json!({"rss_bytes": gigabytes * 1_000_000_000_u64});
    let mut gaps = llm_bench::stats::Histogram::new();
    (1..=40u32).for_each(|gap| gaps.add_ns(u64::from(gap) * 1_000_000));
    let model = json!({
        "type": "model", "v": 1, "id": "m", "source": "openrouter", "quantization": "q4", "parameters": "7B", "size_bytes": 4_000_000_000_u64,
        "context_length": 8192, "pricing": {"prompt_usd_per_token": "0.000001", "completion_usd_per_token": "0.000002"},
    });
    let mut lines = format!("{model}\n");
    for id in 0..8u32 {
        let n = f64::from(id);
        let mut more = json!({
            "provider": "P", "rate": 2.0, "ttft_seconds": 0.2 + n / 100.0,
            "ttft_scheduled_seconds": 0.3 + n / 100.0, "time_to_first_output_token_seconds": 0.25,
            "generation_time_seconds": 1.0 + n / 100.0, "tpot_seconds": 0.02, "tpot_corrected_seconds": 0.021,
            "timing_seconds": {"scheduled": -0.1}, "load_time_seconds": 3.0 + f64::from(id % 2),
            "derived": {"tokens_per_second": 40.0, "decode_tokens_per_second": 47.6, "prompt_tokens_per_second": 90.0},
            "client": {"lag_seconds": {"p50": 0.0001, "p99": 0.0002, "max": 0.0004}},
            "tokens": {"input": 20, "output": 40, "reasoning": 5, "cached": 3, "method": "usage"}, "finish_reason": "stop",
            "cost": {"usd": 0.001, "method": "usage"},
        });
        more["inter_chunk_latency_seconds"] = json!({"count": 40, "mean": 0.0205, "min": 0.001, "p50": 0.02, "p99": 0.04, "max": 0.04, "histogram": gaps.encode()});
        more["attempts"] = json!([{"error": "x", "wait_seconds": 1.0}]);
        more["ground_truth"] =
            json!({"ttft_error_seconds": 0.0001, "gap_error_seconds": 0.0002, "end_error_seconds": 0.0003});
        more["power"] = json!({
            "cpu_watts": watts(10.0), "gpu_watts": watts(20.0), "ane_watts": watts(3.0), "total_watts": watts(33.0),
            "energy_joules": 100.0 + n, "energy_lower_joules": 80.0, "energy_upper_joules": 140.0, "idle_watts": 8.0,
            "idle": {"method": "gaps", "spread_watts": 1.0}, "net_energy_joules": 60.0, "joules_per_output_token": 2.5,
            "prefill": phase(20.0), "decode": phase(70.0), "load": phase(300.0), "cost": {"amount": 0.01, "per_kwh": 0.3},
            "carbon": {"amount": 5.0, "per_kwh": 400}, "coverage": 1, "quality": "good", "samples": 9, "clock": "mono",
        });
        more["memory"] = json!({
            "primary": "rss", "delta_load": memory(4), "delta_generation": memory(1), "high_water": memory(9),
            "samples": 3, "clock": "mono",
        });
        let result =
            fixture::result(id.into(), "m").source(Source::Openrouter).run(&format!("r{}", id % 2)).sent(n * 0.5);
        lines.push_str(&result.merge(more).line());
    }
    lines
}

/// What only a browser, a failure or another group fills.
const NOT_FILLED: [&str; 9] =
    ["settings", "artifacts", "rendered", "console_errors", "hosts", "errors", "warnings", "outliers", "no_power"];

fn said(args: &[&str]) -> String {
    run("bench-report", [&["--slo", "ttft=1s,e2e=5s"], args].concat(), everything()).exits(0).stdout
}

#[test]
fn every_metric_is_in_every_output() {
    let csv = said(&["-f", "csv"]);
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let head = csv.headers().unwrap().clone();
    let line = csv.records().next().unwrap().unwrap();
    let json: Value = serde_json::from_str(&said(&["-f", "json"])).unwrap();
    let group = &json["groups"][0];
    let requests = said(&["-f", "csv-requests"]);
    let exposition = said(&["-f", "openmetrics"]);
    let page = said(&["-f", "html"]);
    let (list, glossary) = (said(&["--list-metrics"]), report::glossary());
    let mut refusals = [BTreeSet::new(), BTreeSet::new()];
    for row in metrics() {
        let key = row.key;
        let columns: Vec<_> = COLUMNS.iter().filter(|column| column.row.key == key).collect();
        assert!(!columns.is_empty(), "{key} has a column");
        for column in columns {
            let key = &column.key;
            let at = head.iter().position(|name| name == key).unwrap_or_else(|| panic!("{key} is in the CSV"));
            let filled = !NOT_FILLED.contains(&column.row.key);
            assert_eq!(!line[at].is_empty(), filled, "{key}: {:?}", &line[at]);
            assert_eq!(!group["columns"][key].is_null(), filled, "{key} is in the JSON");
            assert!(page.contains(&format!("<code>{key}</code>")), "{key} is explained on the page");
            assert!(list.lines().any(|line| line.starts_with(&format!("{key} "))), "{key} is listed");
            let text = said(&["-f", "text", "--columns", key]);
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(&column.label), "{key} is in the text: {text}");
            assert_eq!(text.contains(&format!("\n{key}: ")), !filled, "{key}: an empty column says why: {text}");
            let gated = run("bench-report", ["--fail-if", &format!("{} < 0.5 * baseline", column.key)], "");
            let refused = gated.exits(2).stderr;
            refusals[usize::from(column.unit().is_some())].insert(refused.replace(&column.key, "[column]"));
        }
        if let Some(metric) = Metric::of_row(row) {
            assert!(!group["metrics"][metric.name()]["p999"].is_null(), "{key} has statistics in the JSON");
            assert!(
                requests.lines().next().unwrap().split(',').any(|name| name == metric.name()),
                "{key} in csv-requests"
            );
            assert!(!json["results"][0][metric.name()].is_null(), "{key} is in the results of the JSON");
            let quantile = format!("\nllm_bench_{}{{", metric.name());
            assert!(exposition.contains(&quantile), "{key} is in OpenMetrics");
        } else if row.unit.is_some() || matches!(row.figure, Figure::Tally { .. }) {
            let family = format!("\nllm_bench_{}{{", row.name);
            assert_eq!(exposition.contains(&family), !NOT_FILLED.contains(&key), "{key} is in OpenMetrics");
        }
        assert!(glossary.contains(&format!("`{key}`")), "{key} is in the glossary");
    }
    let refusals = refusals.map(|all| Vec::from_iter(all).concat());
    golden!("gate-refused", case("no numbers", &refusals[0]) + &case("no baseline", &refusals[1]));
}

#[test]
fn names_of_other_tools_are_accepted_everywhere() {
    for (name, key) in [
        ("TTFT p95", "ttft_p95"),
        ("p99_ttft_ms", "ttft_p99"),
        ("time_to_first_token", "ttft_p50"),
        ("itl_p95", "icl_p95"),
        ("request_latency", "e2e_p50"),
        ("output_token_throughput", "throughput"),
        ("decode_tok_s_p95", "decode_tok_s_p95"),
        ("ttft_p99.9", "ttft_p999"),
        ("error rate", "error_rate"),
    ] {
        let csv = said(&["-f", "csv", "--columns", name, "--sort", name]);
        assert!(csv.starts_with(&format!("{key},doubtful\n")), "{name}: {csv}");
        let gate = format!("{name} < 0.000001 * baseline");
        let why = run("bench-report", ["--fail-if", &gate], "").exits(2).stderr;
        assert_eq!(why.lines().count(), 1, "{name}: {why}");
    }
    let mut told = String::new();
    for (flag, value) in [
        ("--columns", "tfft_p95"),
        ("--sort", "-e2e_latncy"),
        ("--fail-if", "throughputt > 5"),
        ("--fail-if", "ttft_p42 > 5ms"),
        ("--slo", "tfft=5ms"),
    ] {
        let why = run("bench-report", [flag, value], "").exits(2).stderr;
        told += &case((flag, value), why.lines().next().unwrap());
    }
    golden!("metric-unknown", told);
}

#[test]
fn percentiles_beyond_a_sample_say_why_they_are_empty() {
    let one = everything().lines().take(2).collect::<Vec<_>>().join("\n");
    let text = run("bench-report", ["-f", "text", "--columns", "model,ttft_p50,ttft_p999"], &one).exits(0).stdout;
    let line = text.lines().find(|line| line.starts_with("ttft_p999: ")).unwrap().to_owned();
    let gate = run("bench-report", ["-f", "text", "--fail-if", "ttft_p999 > 5s"], &one).exits(3).stderr;
    golden!("percentile-of-one-measurement", line + "\n" + &gate);
}

#[test]
fn the_documents_are_those_of_the_registry() {
    const BEGIN: &str = "<!-- The tables of columns: written by `make bless` from the registry of metrics. -->\n";
    const END: &str = "<!-- End of the tables of columns. -->\n";
    hold(&root().join("docs/glossary.md"), &report::glossary());
    let path = root().join("docs/reporting.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/reporting.md has the mark where its tables begin");
    let (_, after) = rest.split_once(END).expect("and the mark where they end");
    hold(&path, &format!("{before}{BEGIN}\n{}{END}{after}", report::columns_table()));
}
