//! bench-report as a user meets it: every format over every kind of input, and the page in a real browser.

mod again;
mod attack;
mod browser;
mod columns;
mod drawing;
mod following;
mod gallery;
mod golden;
mod groups;
mod growth;
mod html;
mod narrow;
mod packed;
mod page;
mod pictures;
mod reading;
mod registry;
mod screens;
mod scripts;
mod settings;
mod telling;
mod text;
mod using;
mod window;

use crate::common::{Ran, bash, run, testdata};
use llm_bench::record::{Files, Source, fixture};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// What reports are made from in these tests: a run folder with power and memory, and files of results.
const INPUTS: [&str; 9] = [
    "run-folder",
    "openrouter.ndjson",
    "token-rate.ndjson",
    "levels.ndjson",
    "only-failures.ndjson",
    "one.ndjson",
    "missing.ndjson",
    "empty.ndjson",
    "hostile.ndjson",
];

fn input(name: &str) -> PathBuf {
    testdata("report").join(name)
}

/// A run folder of these pages, one model each.
fn folder_of_pages(pages: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = |(at, (name, html)): (usize, &(&str, &str))| {
        fs::write(folder.path().join(format!("{name}.html")), html).unwrap();
        let result = fixture::result(at as u64 + 1, *name).source(Source::Openai).sent(202.5 + at as f64).e2e(1.0);
        let files = Files { html: Some(format!("{name}.html")), ..Files::default() };
        result.tokens(None, 9).prompt("website").set(|o| o.files = Some(files)).line()
    };
    let results: String = pages.iter().enumerate().map(line).collect();
    fs::write(folder.path().join("results.ndjson"), results).unwrap();
    folder
}

#[track_caller]
fn report(args: &[&str], name: &str) -> Ran {
    let mut all: Vec<&std::ffi::OsStr> = args.iter().map(std::ffi::OsStr::new).collect();
    let path = input(name);
    all.push(path.as_os_str());
    run("bench-report", all, "")
}

fn page(name: &str) -> String {
    report(&[], name).exits(0).stdout
}

#[test]
fn every_format_of_every_input_is_as_it_was_looked_at() {
    for name in INPUTS {
        // Of the long ones only what the others do not show.
        let formats: &[(&str, &str)] = match name {
            "hostile.ndjson" => &[("text", "txt"), ("csv", "csv"), ("markdown", "md")],
            "levels.ndjson" | "token-rate.ndjson" => &[("text", "txt"), ("markdown", "md")],
            _ => &[
                ("text", "txt"),
                ("json", "json"),
                ("csv", "csv"),
                ("csv-requests", "requests.csv"),
                ("markdown", "md"),
                ("openmetrics", "prom"),
            ],
        };
        for (format, ending) in formats {
            let got = report(&["--format", format], name).exits(0).stdout;
            let stem = name.trim_end_matches(".ndjson");
            golden::hold(&input("golden").join(format!("{stem}.{ending}")), &got);
        }
    }
}

#[test]
fn the_json_summary_has_the_fields_of_the_token_rate_harness() {
    let summary: Value = serde_json::from_str(&report(&["-f", "json"], "token-rate.ndjson").exits(0).stdout).unwrap();
    assert_eq!(summary["mode"], "minimax");
    assert_eq!(summary["concurrency"], 4);
    // Of 34 results two were warm-up.
    assert_eq!(summary["num_prompts"], 32);
    assert_eq!(summary["successful_runs"], 32);
    assert_eq!(summary["failed_runs"], 0);
    let results = summary["results"].as_array().unwrap();
    assert_eq!(results.len(), 32);
    let mean = |field: &str| results.iter().map(|r| r[field].as_f64().unwrap()).sum::<f64>() / 32.0;
    for (field, of) in [
        ("avg_latency_ms", "latency_ms"),
        ("avg_input_tokens", "input_tokens"),
        ("avg_output_tokens", "output_tokens"),
        ("avg_total_tokens", "total_tokens"),
        ("avg_tokens_per_second", "tokens_per_second"),
    ] {
        assert!((summary[field].as_f64().unwrap() - mean(of)).abs() < 1e-6, "{field}");
    }
    let mut latencies: Vec<f64> = results.iter().map(|r| r["latency_ms"].as_f64().unwrap()).collect();
    latencies.sort_by(f64::total_cmp);
    let near = |field: &str, expect: f64| assert!((summary[field].as_f64().unwrap() - expect).abs() < 1e-6, "{field}");
    near("min_latency_ms", latencies[0]);
    near("max_latency_ms", latencies[31]);
    near("p50_latency_ms", (latencies[15] + latencies[16]) / 2.0);
    near("p95_latency_ms", latencies[29] + (latencies[30] - latencies[29]) * 0.45);
    assert!(summary["total_time_ms"].as_f64().unwrap() > latencies[31]);
    assert!(summary["timestamp"].as_str().unwrap().starts_with("2026-11-21T"));
}

#[test]
fn standard_input_a_file_and_several_files_say_the_same() {
    let path = input("token-rate.ndjson");
    let whole = fs::read_to_string(&path).unwrap();
    let file = report(&["-f", "json"], "token-rate.ndjson").exits(0).stdout;
    assert_eq!(run("bench-report", ["-f", "json"], &whole).exits(0).stdout, file);
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(&a, lines[..40].join("\n")).unwrap();
    fs::write(&b, lines[40..].join("\r\n")).unwrap();
    let two = run("bench-report", ["-f".as_ref(), "json".as_ref(), a.as_os_str(), b.as_os_str()], "").exits(0).stdout;
    assert_eq!(two, file);
}

#[test]
fn the_same_input_gives_the_same_page() {
    for name in ["run-folder", "openrouter.ndjson"] {
        assert_eq!(page(name), page(name));
    }
}

#[test]
fn a_line_that_cannot_be_read_is_reported_and_the_rest_counts() {
    let good = fs::read_to_string(input("one.ndjson")).unwrap();
    let text = format!("not json\n{good}{{\"type\":\"weather\"}}\n");
    let ran = run("bench-report", ["-f", "text"], &text).exits(1);
    assert!(ran.stderr.contains("bench-report: -:1: "), "{}", ran.stderr);
    assert!(ran.stdout.contains("llama3:8b"));
    run("bench-report", ["-f", "text", "--strict"], &text).exits(2);
}

#[test]
fn what_cannot_be_done_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expect) in [
        (vec!["/no/such/file"], "/no/such/file: "),
        (vec![folder.path().to_str().unwrap()], "no results.ndjson"),
        (vec!["--out", "a", "--output", "b"], "cannot be used multiple times"),
        (vec!["--format", "pdf"], "pdf"),
    ] {
        let ran = run("bench-report", &args, "").exits(2);
        assert!(ran.stderr.starts_with("bench-report: ") && ran.stderr.contains(expect), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_file_is_written_whole_by_either_name_of_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    for flag in ["-o", "--output", "--out"] {
        let to = folder.path().join(format!("new{flag}/index.html"));
        let ran = report(&[flag, to.to_str().unwrap()], "one.ndjson").exits(0);
        assert_eq!(ran.stdout, "");
        // Seen from there, the file that it was made of lies elsewhere.
        let rest = |page: &str| {
            let (before, after) = page.split_once("id=\"streams\"").unwrap();
            format!("{before}{}", after.split_once("</p>").unwrap().1)
        };
        assert_eq!(rest(&fs::read_to_string(&to).unwrap()), rest(&page("one.ndjson")), "{flag}");
        assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure_and_a_full_disk_is_one() {
    let name = input("openrouter.ndjson");
    let mut command = bash("bench-report \"$INPUT\" | head -c 10 > /dev/null");
    command.env("INPUT", &name);
    crate::common::run_with(command, "").exits(0);
    if Path::new("/dev/full").exists() {
        let mut command = bash("bench-report \"$INPUT\" > /dev/full");
        command.env("INPUT", &name);
        let ran = crate::common::run_with(command, "").exits(2);
        assert!(ran.stderr.contains("standard output"), "{}", ran.stderr);
    }
}

#[test]
fn a_page_is_small_and_asks_for_nothing() {
    for name in INPUTS {
        let page = page(name);
        let of_data = page.find(r#"id="data">"#).map_or(0, |at| page[at..].find("</script>").unwrap());
        assert!(page.starts_with("<!doctype html>"));
        assert_eq!(page.contains("No results"), name == "empty.ndjson");
        // The page itself; the rows, texts and prompts in it are data too.
        if name == "empty.ndjson" {
            assert!(page.len() - of_data < 200_000, "{} bytes before data", page.len() - of_data);
        }
        // Only its own style and script, by their hashes; no address that a browser would load by itself.
        assert_eq!(page.matches("<script").count(), 2, "{name}");
        assert_eq!(page.matches("<style").count(), 1, "{name}");
        // What the script says of such things is not markup.
        let markup = &page[..page.rfind("<script>").unwrap()];
        for loads in ["<link", "<img", "<iframe", "<object", "<embed", "<base", "<form", "@import", "url("] {
            assert!(!markup.contains(loads), "{name}: {loads}");
        }
        let policy = page.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(policy.contains("default-src &#39;none&#39;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn what_servers_say_is_never_markup() {
    let page = page("hostile.ndjson");
    for attack in [
        "<script>window",
        "<img src",
        "<svg onload",
        "</style><style>*",
        "<iframe src",
        "href=\"javascript",
        "src=\"http",
    ] {
        assert!(!page.contains(attack), "{attack}");
    }
    for c in ['\u{202e}', '\u{2028}', '\u{2029}', '\u{1b}', '\u{7}', '\0'] {
        assert!(!page.contains(c), "{c:?}");
    }
    let data = html::data(&page);
    assert!(data["groups"].as_array().unwrap().iter().any(|group| group["model"] == "<script>window.pwned=1</script>"));
    assert!(data["rows"]["columns"].get("page").is_none(), "no artifact has a link");
}

#[test]
fn artifacts_are_linked_from_wherever_the_page_is() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports/x");
    fs::create_dir_all(&reports).unwrap();
    for entry in fs::read_dir(input("run-folder")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, reports.join(path.file_name().unwrap())).unwrap();
    }
    for (output, expect) in [
        ("reports/x/index.html", "href=\"openai_gpt-oss-20b.html\""),
        ("report.html", "href=\"reports/x/openai_gpt-oss-20b.html\""),
        ("elsewhere/report.html", "href=\"../reports/x/openai_gpt-oss-20b.html\""),
    ] {
        let to = folder.path().join(output);
        run("bench-report", [reports.as_os_str(), "-o".as_ref(), to.as_os_str()], "").exits(0);
        let page = fs::read_to_string(&to).unwrap();
        assert!(page.contains(expect), "{output}");
        assert!(!page.contains("google_gemma-4-27b-it.html\""), "a file that is not there has no link");
    }
}

/// The token-rate results with every ttft 18 % longer.
fn slower() -> String {
    let text = fs::read_to_string(input("token-rate.ndjson")).unwrap();
    text.lines()
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            if let Some(ttft) = record["ttft_seconds"].as_f64() {
                record["ttft_seconds"] = (ttft * 1.18).into();
            }
            format!("{record}\n")
        })
        .collect()
}

#[test]
fn a_baseline_tells_what_changed_in_every_format_that_has_room() {
    let baseline = input("token-rate.ndjson");
    let args =
        |format: &'static str| ["-f".into(), format.into(), "--baseline".into(), baseline.clone().into_os_string()];
    for format in ["text", "markdown", "html"] {
        let ran = run("bench-report", args(format), slower()).exits(0);
        assert!(ran.stdout.contains("+18.0 %") && ran.stdout.contains("worse"), "{format}: {}", ran.stdout);
    }
    let summary: Value = serde_json::from_str(&run("bench-report", args("json"), slower()).exits(0).stdout).unwrap();
    let changes = summary["comparison"]["changes"].as_array().unwrap();
    let of = |metric: &str| changes.iter().find(|change| change["metric"] == metric).unwrap();
    assert_eq!(of("ttft_seconds")["verdict"], "worse");
    assert_eq!(of("ttft_seconds")["paired"], true);
    assert_eq!(of("generation_time_seconds")["verdict"], "same");
}

#[test]
fn a_gate_that_fails_is_told_and_exits_with_3_and_the_report_is_there() {
    let old = input("token-rate.ndjson");
    let old = old.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.txt");
    let out = out.to_str().unwrap();
    let base = ["-f", "text", "-o", out, "--baseline", old];
    let gated = |gates: &[&str]| {
        let mut args: Vec<&str> = base.to_vec();
        gates.iter().for_each(|gate| args.extend(["--fail-if", gate]));
        run("bench-report", args, slower())
    };
    gated(&["ttft_p95 > 5s", "failed > 0", "tok_s < 0.95 * baseline"]).exits(0);
    let ran = gated(&["ttft_p50 > 1.1 * baseline", "ttft_p95 > 300ms", "failed > 0", "j_tok > 3"]).exits(3);
    assert_eq!(ran.stderr.lines().count(), 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("bench-report: ttft_p50 > 1.1 * baseline: MiniMax-M3 · 4 at once: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("j_tok > 3: MiniMax-M3 · 4 at once: not joined with readings"), "{}", ran.stderr);
    assert!(fs::read_to_string(out).unwrap().contains("MiniMax-M3"));
    // Of one request a number is told as such; that it is one is no doubt of the count.
    let one = |gate: &str| report(&["-f", "text", "--fail-if", gate], "one.ndjson").exits(0).stderr;
    assert_eq!(one("ok < 1"), "");
    let said = one("ttft_p50 > 1h");
    assert!(said.lines().count() == 1 && said.ends_with(" s (of one request)\n"), "{said}");
    let ran = gated(&["tttf > 3s"]).exits(2);
    assert!(ran.stderr.contains("ttft_p95"), "a typo is told with what there is: {}", ran.stderr);
    let ran = run("bench-report", ["--fail-if", "tok_s < baseline"], "").exits(2);
    assert!(ran.stderr.contains("--baseline"), "{}", ran.stderr);
}

#[test]
fn limits_are_counted_over_all_requests_that_were_tried() {
    let summary = report(&["-f", "json", "--slo", "ttft=1s,e2e=1m"], "openrouter.ndjson").exits(0).stdout;
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let grok = summary["groups"].as_array().unwrap().iter().find(|g| g["model"] == "x-ai/grok-5").unwrap();
    assert_eq!(grok["goodput"]["good"], 2, "{grok}");
    assert_eq!(grok["goodput"]["tried"], 3);
    assert_eq!(summary["slo"]["e2e"].as_f64(), Some(60.0));
    let ran = report(&["--slo", "ttft=500"], "openrouter.ndjson").exits(2);
    assert!(ran.stderr.contains("unit"), "{}", ran.stderr);
}

#[test]
fn groups_and_columns_come_as_they_are_asked_for() {
    let ran = report(&["-f", "csv", "--columns", "model,tok_s", "--sort", "-tok_s"], "run-folder").exits(0);
    let models: Vec<&str> = ran.stdout.lines().map(|line| line.split(['/', ',']).next().unwrap()).collect();
    assert_eq!(models, ["model", "meta", "qwen", "openai", "google", "deepseek", "mistralai"]);
    assert!(ran.stdout.starts_with("model,tok_s,doubtful\n"));
    for bad in [["--columns", "model,speed"], ["--sort", "speed"]] {
        assert!(report(&bad, "run-folder").exits(2).stderr.contains("tok_s"));
    }
}

#[test]
fn the_folders_of_the_scripts_before_us_are_read() {
    let ran = report(&["-f", "json"], "python-folder").exits(0);
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    let groups = summary["groups"].as_array().unwrap();
    let of = |model: &str| groups.iter().find(|g| g["model"] == model).unwrap();
    assert_eq!(of("lab/local-7b@q4")["metrics"]["load_time_seconds"]["p50"], 4.25);
    assert_eq!(of("lab/local-7b@q4")["metrics"]["memory_high_water_bytes"]["max"], 6_400_000_000u64);
    assert_eq!(of("lab/local-7b@q4")["warnings"]["server_timing"], 1);
    assert_eq!(of("lab/hosted")["source"], "openrouter");
    assert_eq!(of("lab/hosted")["cost"]["usd"], 0.0125);
    assert_eq!(of("lab/broken")["failed"], 1);
    assert!(page("python-folder").contains("href=\"lab_local-7b_q4.html\""));
}

#[test]
fn a_report_that_follows_is_written_anew_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (growing, out) = (folder.path().join("results.ndjson"), folder.path().join("index.html"));
    let text = fs::read_to_string(input("token-rate.ndjson")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&growing, format!("{}\n", lines[..36].join("\n"))).unwrap();
    let mut command = crate::common::command("bench-report");
    command.args(["--follow", "--interval", "100ms", "-o"]).args([&out, &growing]);
    let mut child = command.spawn().unwrap();
    let page = || fs::read_to_string(&out).unwrap_or_default();
    crate::common::wait_until("the first report", || page().contains("refresh-seconds"));
    assert!(page().contains("1 request"));
    fs::write(&growing, &text).unwrap();
    crate::common::wait_until("the second report", || page().contains("32 requests"));
    let asked = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success() && child.wait().unwrap().success());
    assert!(!page().contains("<meta name=\"refresh-seconds\""), "the last report is done");
    let ran = run("bench-report", ["--follow", "-o", "x.html"], "").exits(2);
    assert!(ran.stderr.contains("standard input"), "{}", ran.stderr);
}
