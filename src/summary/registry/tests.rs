//! That the registry is whole: rows are unique and documented, and names lead where they should.

use super::*;
use crate::record::{Percentile, fixture};
use std::collections::BTreeSet;

#[test]
fn rows_are_unique_and_documented() {
    let (mut keys, mut names, mut labels) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for row in metrics() {
        let key = row.key;
        assert!(keys.insert(key), "{key} is there twice");
        assert!(row.name.is_empty() || names.insert(row.name), "{key}: {} is there twice", row.name);
        assert!(row.help.ends_with('.') && row.help.len() > 10, "{key}: help is a sentence");
        assert_eq!(row.unit.is_some(), !row.formula.is_empty(), "{key}: a number has a formula");
        assert_eq!(
            row.name.is_empty(),
            matches!(row.figure, Figure::Words(_)),
            "{key}: what is exposed has a long name"
        );
        assert_eq!(row.unit.is_none(), row.better == Better::Neither && row.formula.is_empty(), "{key}");
        assert!(row.headline.is_empty() || row.better != Better::Neither, "{key}: the best of it is known");
        assert!(ROWS[row.set as usize].iter().any(|other| other.key == key), "{key} is among the rows of its set");
        let end = row.unit.map_or("", Unit::base);
        let rate = row.name.ends_with("_per_second") || row.name.contains("_per_");
        assert!(row.name.ends_with(end) || rate, "{key}: {} ends with its unit {end}", row.name);
    }
    for column in COLUMNS.iter().chain(column::ASKED.iter()) {
        assert!(column.help.ends_with('.'), "{}", column.key);
        assert!(labels.insert((&column.label, column.of_requests.is_none())), "{} is there twice", column.label);
        assert_eq!(names::column(&column.key).unwrap().key, column.key);
        assert_eq!(names::column(&column.label).unwrap().key, column.key, "by its head");
    }
}

#[test]
fn every_percentile_of_the_list_is_a_column() {
    for percentile in Percentile::ALL {
        for metric in ["ttft", "icl", "tpot", "e2e"] {
            let key = format!("{metric}_{}", percentile.name);
            assert!(COLUMNS.iter().any(|column| column.key == key), "{key}");
        }
    }
    let shown = COLUMNS.iter().filter(|column| column.show != Show::HIDDEN).count();
    assert!(shown > 30 && shown < COLUMNS.len(), "{shown} of {}", COLUMNS.len());
}

#[test]
fn names_of_other_tools_lead_to_their_metric() {
    for (text, expect) in [
        ("ttft", "ttft_p50"),
        ("TTFT p95", "ttft_p95"),
        ("ttft_p99.9", "ttft_p999"),
        ("ttft_seconds", "ttft_p50"),
        ("time_to_first_token", "ttft_p50"),
        ("p99_ttft_ms", "ttft_p99"),
        ("mean_ttft_ms", "ttft_mean"),
        ("median_itl_ms", "icl_p50"),
        ("itl_p99", "icl_p99"),
        ("inter_chunk_latency p95", "icl_p95"),
        ("inter_token_latency", "tpot_p50"),
        ("p90_tpot_ms", "tpot_p90"),
        ("e2el", "e2e_p50"),
        ("p99_e2el_ms", "e2e_p99"),
        ("request_latency_p95", "e2e_p95"),
        ("output_token_throughput", "throughput"),
        ("output_throughput", "throughput"),
        ("Output token throughput (tok/s)", "throughput"),
        ("request_throughput", "requests_s"),
        ("output_token_throughput_per_user", "decode_tok_s"),
        ("decode tok/s", "decode_tok_s"),
        ("decode_tok_s_p99", "decode_tok_s_p99"),
        ("tok/s", "tok_s"),
        ("goodput", "goodput"),
        ("error rate", "error_rate"),
        ("eval_count", "out_tok"),
        ("prompt_tokens", "in_tok"),
        ("isl", "in_tok"),
        ("peak memory", "mem_peak"),
        ("mem_peak_p50", "mem_peak_p50"),
        ("joules_sum", "joules_sum"),
        ("model load", "load_s"),
        ("time_to_first_output_token", "ttfo_p50"),
    ] {
        assert_eq!(column(text).map(|column| column.key.as_str()), Ok(expect), "{text}");
    }
    for row in metrics() {
        for name in [row.key, row.name, row.label].iter().chain(row.aliases).filter(|name| !name.is_empty()) {
            assert_eq!(metric(name).unwrap().row.key, row.key, "{name}");
        }
    }
}

#[test]
fn a_typo_is_answered_with_the_nearest() {
    for (word, expect) in [
        ("tfft_p50", "ttft_p50"),
        ("tft", "ttft_p50"),
        ("throughputs", "throughput"),
        ("requests", "requests_s"),
        ("e2e latency p98", "e2e_p95"),
        ("memory_peak", "mem_peak"),
        ("time_to_frist_token", "ttft_p50"),
    ] {
        assert!(nearest(word).contains(&expect), "{word}: {:?}", nearest(word));
    }
    assert_eq!(nearest("zzzzzzzz"), Vec::<&str>::new());
    let error = |text: &str| column(text).err().unwrap();
    let unknown = error("tok_ss");
    assert!(unknown.starts_with("no metric is called tok_ss: is it tok_s"), "{unknown}");
    assert!(unknown.lines().count() == 7 && unknown.contains("\n  energy  cpu_w "), "{unknown}");
    assert!(error("ttft_p42").contains("the statistics are p50, p90"), "{}", error("ttft_p42"));
    assert!(error("throughput_p95").contains("has no statistics"), "{}", error("throughput_p95"));
    assert!(error("").starts_with("no metric"), "{}", error(""));
    assert!(metric("tfft").err().unwrap().contains("is it ttft"), "{}", metric("tfft").err().unwrap());
}

#[test]
fn every_request_metric_has_its_own_place() {
    let all: Vec<Metric> = Metric::all().collect();
    assert_eq!(all.len(), Metric::COUNT);
    for (at, metric) in all.iter().enumerate() {
        assert_eq!((metric.at(), Metric::of_row(metric.row())), (at, Some(*metric)));
        // Nothing is invented of a result that says nothing.
        assert_eq!((metric.figure().of)(&ResultFields::default()), None, "{}", metric.name());
    }
    let full = fixture::result(1, "m").merge(serde_json::json!({
        "ttft_seconds": 0.1, "ttft_scheduled_seconds": 0.1,
        "time_to_first_output_token_seconds": 0.1, "generation_time_seconds": 0.1, "tpot_seconds": 0.1,
        "tpot_corrected_seconds": 0.1, "load_time_seconds": 0.1,
        "inter_chunk_latency_seconds": {"count": 1, "mean": 0.1, "p99": 0.1},
        "derived": {"tokens_per_second": 1, "decode_tokens_per_second": 1, "prompt_tokens_per_second": 1},
        "client": {"lag_seconds": {"max": 0.1}}, "cost": {"usd": 1, "method": "usage"},
        "tokens": {"input": 1, "output": 1, "reasoning": 1, "cached": 1, "method": "usage"},
        "power": {"cpu_watts": {"avg": 1, "min": 1, "max": 1, "samples": 1}, "gpu_watts": {"avg": 1, "min": 1, "max": 1, "samples": 1},
            "ane_watts": {"avg": 1, "min": 1, "max": 1, "samples": 1}, "total_watts": {"avg": 1, "min": 1, "max": 1, "samples": 1},
            "energy_joules": 1, "net_energy_joules": 1, "joules_per_output_token": 1, "prefill": {"energy_joules": 1, "coverage": 1, "quality": "good"},
            "decode": {"energy_joules": 1, "coverage": 1, "quality": "good"}, "load": {"energy_joules": 1, "coverage": 1, "quality": "good"}, "cost": {"amount": 1, "per_kwh": 1}, "carbon": {"amount": 1, "per_kwh": 1},
            "coverage": 1, "quality": "good", "samples": 1, "clock": "mono"},
        "memory": {"primary": "rss", "delta_load": {"rss_bytes": 1}, "delta_generation": {"rss_bytes": 1},
            "high_water": {"rss_bytes": 1}, "samples": 1, "clock": "mono"}
    }));
    for metric in all {
        assert!(
            (metric.figure().of)(&ResultFields::from(&*full)).is_some(),
            "{} is taken from a result that has it",
            metric.name()
        );
    }
}
