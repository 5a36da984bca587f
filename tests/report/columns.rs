//! The columns: each is in every format under its name, orders the groups, and says nothing where nothing was measured.

use super::input;
use crate::common::golden::{case, golden};
use crate::common::{Ran, run, run_with};
use llm_bench::record::Outcome;
use llm_bench::record::fixture::{self, Fixture};
use llm_bench::summary::COLUMNS;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The lines of a CSV, by the names of its columns.
fn table(csv: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers().unwrap().clone();
    let line = |record: csv::StringRecord| head.iter().zip(record.iter()).map(|(k, v)| (k.into(), v.into())).collect();
    reader.records().map(|record| line(record.unwrap())).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

#[test]
fn every_number_of_the_table_is_in_csv_json_and_openmetrics() {
    for name in ["run-folder", "openrouter.ndjson", "token-rate.ndjson", "levels.ndjson", "one.ndjson"] {
        let of = |format: &str| {
            let path = input(name);
            let limits = ["--slo", "ttft=1s,e2e=1m", "--price-per-kwh", "0.31", "-f", format];
            run("bench-report", limits.iter().map(AsRef::as_ref).chain([path.as_os_str()]), "").exits(0).stdout
        };
        let (csv, exposition) = (table(&of("csv")), of("openmetrics"));
        let json: Value = serde_json::from_str(&of("json")).unwrap();
        let groups = json["groups"].as_array().unwrap();
        assert_eq!(csv.len(), groups.len(), "{name}");
        for (line, group) in csv.iter().zip(groups) {
            let doubtful: Vec<&str> = line["doubtful"].split_whitespace().collect();
            let told: Vec<&String> = group["doubtful"].as_object().unwrap().keys().collect();
            assert_eq!(told.len(), doubtful.len(), "{name}: {told:?}");
            let label = format!("model=\"{}\"", line["model"]);
            let exposed: Vec<f64> = exposition
                .lines()
                .filter(|sample| sample.contains(&label))
                .map(|sample| sample.rsplit_once(' ').unwrap().1.parse().unwrap())
                .collect();
            for column in COLUMNS.iter() {
                let (cell, value) = (&line[&column.key], &group["columns"][&column.key]);
                match column.unit() {
                    _ if cell.is_empty() => assert!(value.is_null(), "{name} {}: {value}", column.key),
                    None => assert!(value.is_string(), "{name} {}: {value}", column.key),
                    Some(_) => {
                        let number: f64 = cell.parse().unwrap();
                        assert!(near(number, value.as_f64().unwrap()), "{name} {}: {cell}, {value}", column.key);
                        // A scraper sees no mark, so what is marked is not there.
                        let there = exposed.iter().any(|exposed| near(*exposed, number));
                        assert!(
                            there || doubtful.contains(&column.key.as_str()),
                            "{name} {}: {cell} is not exposed",
                            column.key
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_single_measurement_is_the_median_and_no_other_percentile() {
    let path = input("one.ndjson");
    let of = |format: &str| run("bench-report", [path.as_os_str(), "-f".as_ref(), format.as_ref()], "").exits(0).stdout;
    let exposed = of("openmetrics");
    let ttft = exposed.lines().filter(|line| line.starts_with("llm_bench_ttft_seconds{"));
    let quantiles: Vec<&str> = ttft.map(|line| line.split("quantile=").nth(1).unwrap()).collect();
    assert_eq!(quantiles, ["\"0\"} 0.3", "\"0.5\"} 0.3", "\"1\"} 0.3"]);
    let line = &table(&of("csv"))[0];
    assert_eq!((line["ttft_p50"].as_str(), line["ttft_p95"].as_str()), ("0.3", ""));
    // Of a single gap the same.
    let mut histogram = llm_bench::stats::Histogram::new();
    histogram.add_ns(20_000_000);
    let gap = fixture::result(1, "m").merge(json!({
        "inter_chunk_latency_seconds": {
            "count": 1, "mean": 0.02, "min": 0.02, "p50": 0.02, "p90": 0.02, "p95": 0.02, "p99": 0.02, "max": 0.02,
            "histogram": histogram.encode(),
        },
    }));
    let csv = run("bench-report", ["-f", "csv"], gap.line()).exits(0).stdout;
    let line = &table(&csv)[0];
    let gap: f64 = line["icl_p50"].parse().unwrap();
    assert!((gap - 0.02).abs() < 1e-4 && line["icl_p99"].is_empty(), "{csv}");
    assert!(line["doubtful"].contains("icl_p50"), "{csv}");
}

#[test]
fn no_series_of_openmetrics_is_there_twice_whatever_models_are_called() {
    let named = |(id, model)| fixture::result(id, model).ttft(1.0).line();
    let alike: String = (1..).zip(["a", "a\u{202e}", "\u{7}a", "a\\n", "a\n"]).map(named).collect();
    let mut outputs = vec![run("bench-report", ["-f", "openmetrics"], alike).exits(0).stdout];
    assert!(outputs[0].contains("model=\"a<U+202E>\""), "{}", outputs[0]);
    outputs.extend(super::INPUTS.map(|name| {
        let path = input(name);
        run("bench-report", [path.as_os_str(), "-f".as_ref(), "openmetrics".as_ref()], "").exits(0).stdout
    }));
    for output in outputs {
        let mut series = std::collections::HashSet::new();
        for line in output.lines().filter(|line| !line.starts_with('#')) {
            assert!(series.insert(line.rsplit_once(' ').unwrap().0), "twice: {line}");
        }
    }
}

#[test]
fn every_column_orders_the_groups_both_ways_and_what_was_not_measured_is_last() {
    let path = input("run-folder");
    let sorted = |order: &str| {
        let args = ["-f", "csv", "--sort", order].map(std::ffi::OsStr::new);
        table(&run("bench-report", args.into_iter().chain([path.as_os_str()]), "").exits(0).stdout)
    };
    for column in COLUMNS.iter() {
        for down in [false, true] {
            let lines = sorted(&format!("{}{}", if down { "-" } else { "" }, column.key));
            let cells: Vec<&str> = lines.iter().map(|line| line[&column.key].as_str()).collect();
            let known: Vec<&str> = cells.iter().copied().take_while(|cell| !cell.is_empty()).collect();
            assert!(cells[known.len()..].iter().all(|cell| cell.is_empty()), "{}: {cells:?}", column.key);
            let in_order = known.windows(2).all(|pair| {
                let (a, b) = if down { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
                match column.unit() {
                    Some(_) => a.parse::<f64>().unwrap() <= b.parse::<f64>().unwrap(),
                    None => a <= b,
                }
            });
            assert!(in_order, "{}, down {down}: {cells:?}", column.key);
        }
    }
}

/// A joined result with watts of every domain, bounds, and an idle power with a spread.
fn joined(id: u64, model: &str, spread: Option<u32>) -> Fixture<Outcome> {
    let watts = |avg: u32| json!({"avg": avg, "min": avg - 1, "max": avg + 2, "samples": 9});
    let power = json!({
        "cpu_watts": watts(10), "gpu_watts": watts(20), "ane_watts": watts(30), "total_watts": watts(60),
        "energy_joules": 100, "energy_lower_joules": 80, "energy_upper_joules": 140, "idle_watts": 8,
        "idle": {"method": "gaps", "spread_watts": spread}, "net_energy_joules": 60,
        "coverage": 1, "quality": "good", "samples": 9, "clock": "mono",
    });
    fixture::result(id, model).tokens(None, 10).merge(json!({ "power": power }))
}

#[test]
fn every_domain_has_its_mean_peak_and_low_and_energy_per_token_its_bounds_gross_and_net() {
    let lines = [joined(1, "given", None), joined(2, "seen", Some(2)), fixture::result(3, "none")]
        .map(|result| result.line())
        .concat();
    let keys: Vec<String> = ["cpu_w", "gpu_w", "ane_w", "total_w"]
        .iter()
        .flat_map(|domain| ["", "_peak", "_low"].map(|end| format!("{domain}{end}")))
        .chain(
            ["j_tok", "j_tok_lower", "j_tok_upper", "j_tok_net", "j_tok_net_lower", "j_tok_net_upper"].map(Into::into),
        )
        .collect();
    let csv = table(
        &run("bench-report", ["-f", "csv", "--columns", &format!("model,{}", keys.join(","))], &lines).exits(0).stdout,
    );
    let of = |model: &str| {
        let line = csv.iter().find(|line| line["model"] == model).unwrap();
        keys.iter().map(|key| line[key].as_str()).collect::<Vec<_>>().join(" ")
    };
    let watts = "10 12 9 20 22 19 30 32 29 60 62 59";
    // Idling took 40 J of the 100: with a spread of a quarter, 30 to 50.
    assert_eq!(of("given"), format!("{watts} 10 8 14 6 4 10"));
    assert_eq!(of("seen"), format!("{watts} 10 8 14 6 3 11"));
    assert_eq!(of("none").trim(), "", "what was not measured is absent");
    let page = run("bench-report", ["-f", "html"], &lines).exits(0).stdout;
    for key in keys {
        assert!(page.contains(&format!("\"{key}\"")), "the page knows {key}");
    }
}

#[test]
fn bounds_of_net_energy_are_told_only_where_every_request_has_them() {
    let unbounded = |result: &mut Outcome| result.power.as_mut().unwrap().as_mut().unwrap().energy_lower_joules = None;
    let lines = joined(1, "m", None).line() + &joined(2, "m", None).set(unbounded).line();
    let columns = ["-f", "json", "--columns", "j_tok,j_tok_net,j_tok_net_lower,j_tok_net_upper"];
    let json: Value = serde_json::from_str(&run("bench-report", columns, &lines).exits(0).stdout).unwrap();
    assert_eq!(json["groups"][0]["columns"], json!({"j_tok": 10, "j_tok_net": 6}));
    assert_eq!(json["groups"][0]["energy"]["net_lower_joules"], Value::Null);
}

#[test]
fn the_files_of_requests_are_counted_and_listed() {
    let args = ["-f".into(), "csv-requests".into(), input("run-folder").into_os_string()];
    let lines = table(&run("bench-report", &args, "").exits(0).stdout);
    let line = lines.iter().find(|line| line["model"] == "openai/gpt-oss-20b").unwrap();
    assert_eq!((line["html"].as_str(), line["text"].as_str()), ("openai_gpt-oss-20b.html", "openai_gpt-oss-20b.txt"));
}

/// What a report says of a file of results, whatever the format.
fn said(format: &str, lines: &str) -> Ran {
    let mut command = crate::common::command("bench-report");
    command.args(["-f", format]);
    run_with(command, lines)
}

const FORMATS: [&str; 7] = ["text", "markdown", "csv", "csv-requests", "json", "openmetrics", "html"];

#[test]
fn a_typo_in_a_list_of_names_is_exit_2_with_all_of_them_in_every_format() {
    for format in FORMATS {
        let mut told = String::new();
        for (flag, value) in [
            ("--sort", "tok_ss"),
            ("--sort", ""),
            ("--columns", "model,toks"),
            ("--columns", "model,,tok_s"),
            ("--columns", "model,tok_s,model"),
            ("--group-by", "modle"),
        ] {
            let ran = run("bench-report", ["-f", format, flag, value], "").exits(2);
            assert_eq!(ran.stdout, "", "{format} {flag} {value}");
            told += &case((flag, value), ran.stderr.lines().next().unwrap());
        }
        golden!("name-unknown", told);
    }
}

#[test]
fn results_that_only_say_that_they_failed_make_a_report_in_every_format() {
    let lines = "{\"type\":\"result\",\"v\":1,\"model\":\"m\",\"error\":{\"kind\":\"http\",\"status\":500,\"message\":\"no\",\"retryable\":true}}\n\
                 {\"type\":\"result\",\"v\":1,\"model\":\"m\",\"errors\":{\"generation\":\"gone\"}}\n\
                 {\"type\":\"result\",\"v\":1,\"model\":\"m\",\"error\":null}\n";
    for format in FORMATS {
        let ran = said(format, lines).exits(0);
        assert!(
            ran.stdout.contains("500")
                || format == "csv"
                || format == "openmetrics"
                || format == "csv-requests"
                || format == "json",
            "{format}: {}",
            ran.stdout
        );
    }
    let json: Value = serde_json::from_str(&said("json", lines).exits(0).stdout).unwrap();
    assert_eq!((&json["failed_runs"], &json["num_prompts"]), (&2.into(), &3.into()));
}

#[test]
fn what_a_run_has_twice_counts_twice_and_is_told() {
    let result = |run: &str, id| fixture::result(id, "m").run(run).line();
    let once = result("r", 3) + &result("r", 1) + &result("r", 2) + &result("s", 1) + &result("", 0) + &result("", 0);
    let ran = said("json", &once).exits(0);
    assert!(ran.stderr.is_empty() && !ran.stdout.contains("doubled"), "{}", ran.stderr);
    let mut all = String::new();
    for (lines, run, results, numbers) in
        [(format!("{once}{}", result("s", 1)), "s", 2, 1), (once.repeat(2), "r", 6, 3)]
    {
        let ran = said("json", &lines).exits(0);
        let json: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(json["doubled"][0], json!({"run": run, "results": results, "numbers": numbers}));
        all += &case(run, &(ran.stderr + &said("text", &lines).stdout));
    }
    golden!("run-doubled", all);
}
