//! How bench-report reads: on several threads, in blocks, and as if it read line by line.

use super::input;
use crate::common::{command, run};
use llm_bench::record::{self, Source, fixture};
use llm_bench::report::{self, Format, Options};
use llm_bench::summary::{self, Collector, Prepared, Summary};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Results of some models with a few words more than the least, and what makes reading hard in between.
fn results(from: u64, n: u64) -> String {
    let mut text = String::new();
    for id in from..from + n {
        let (model, ttft) = (id % 7, 0.1 + (id * 7919 % 1000) as f64 / 1000.0);
        let result = fixture::result(id, format!("m{model}")).source(Source::Openai).sent(id as f64 / 8.0).ttft(ttft);
        let usage = json!({ "completion_tokens": [1, { "a": null }] });
        text.push_str(&result.e2e(ttft + 1.0).tokens(None, id % 100).set(|o| o.usage = Some(usage)).line());
    }
    text
}

#[test]
fn the_report_and_what_is_said_are_the_same_whatever_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("results.ndjson");
    // Several blocks of a quarter of a mebibyte, and lines that cannot be read all over them.
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    for part in 0..12 {
        bytes.extend_from_slice(
            results(part * 500, 500).replace('\n', if part % 2 == 0 { "\n" } else { "\r\n" }).as_bytes(),
        );
        bytes.extend_from_slice(b"\n{\"type\":\"result\",\"model\":3}\n\xff\xfe\n{\"type\":\"start\",\"v\":2}\nno json\n{\"type\":\"weather\"}\n");
    }
    bytes.extend_from_slice(results(9000, 1).trim_end().as_bytes());
    std::fs::write(&file, bytes).unwrap();
    let name = file.to_str().unwrap();
    for format in ["json", "html", "csv-requests"] {
        let of = |threads: &str| {
            let ran = run("bench-report", ["--format", format, "--threads", threads, name], "").exits(1);
            (ran.stdout, ran.stderr)
        };
        let one = of("1");
        assert!(one.0.len() > 100_000, "{format}");
        let said: Vec<&str> = one.1.lines().collect();
        // Ten one by one, a newer contract once, and how many there were beyond the ten.
        assert_eq!(said.len(), 12, "{}", one.1);
        assert!(said[11].contains(" 26 more lines could not be read (2021 to 6071): 36 in all"), "{}", one.1);
        for (what, at) in [
            (":502: invalid type: integer `3`, expected a string at line 1 column 26", 0),
            (":503: not UTF-8: invalid utf-8 sequence of 1 bytes from index 0", 1),
            (":504: record of contract version 2, newer than 1: passed on unread", 2),
            (":505: not a JSON object", 3),
            (":1008: invalid type", 4),
        ] {
            assert!(said[at].contains(what), "{at}: {}", said[at]);
        }
        for threads in ["2", "5"] {
            assert!(of(threads) == one, "{format} with {threads} threads");
        }
    }
    for threads in ["1", "3"] {
        let ran = run("bench-report", ["--strict", "--threads", threads, name], "").exits(2);
        assert!(ran.stdout.is_empty() && ran.stderr.lines().count() == 1, "{}", ran.stderr);
        assert!(ran.stderr.contains("results.ndjson:502: invalid type"), "{}", ran.stderr);
    }
    run("bench-report", ["--threads", "0"], "").exits(2);
}

/// What a summary keeps of a file when every field of it is read, and when only what it needs is.
fn summaries(file: &Path) -> [Summary; 2] {
    let text = std::fs::read_to_string(file).unwrap();
    let of = |read: fn(&str) -> Result<Prepared, serde_json::Error>| {
        let mut collector = Collector::default();
        text.lines().filter_map(|line| read(line).ok()).for_each(|record| drop(collector.fold(record, None)));
        collector.finish()
    };
    [of(|line| record::read(line).map(Prepared::from)), of(|line| summary::read(line, None))]
}

#[test]
fn what_a_summary_does_not_read_it_does_not_need() {
    let files = ["openrouter", "token-rate", "levels", "only-failures", "one", "missing", "hostile"];
    let mut files: Vec<PathBuf> = files.iter().map(|name| input(&format!("{name}.ndjson"))).collect();
    files.push(input("run-folder/results.ndjson"));
    for file in files {
        let [whole, lean] = summaries(&file);
        assert!(whole.results > 0, "{}", file.display());
        for format in [Format::Html, Format::Json, Format::Csv, Format::CsvRequests, Format::Text, Format::Openmetrics]
        {
            let written = |summary: &Summary| {
                let mut bytes = Vec::new();
                report::write(format, summary, &Options::default(), &mut bytes).unwrap();
                String::from_utf8(bytes).unwrap()
            };
            assert!(written(&whole) == written(&lean), "{} as {format:?}", file.display());
        }
    }
}

/// The most memory that a process has held, in KiB.
#[cfg(target_os = "linux")]
fn high_water(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_input_once_the_sample_of_requests_is_full() {
    let mut child = command("bench-report")
        .args(["--format", "json", "--threads", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut held = Vec::new();
    for part in 0..5 {
        // Two threads and the pipe hold less than a mebibyte of what was written.
        to.write_all(results(part * 15_000, 15_000).as_bytes()).unwrap();
        held.push(high_water(child.id()));
    }
    drop(to);
    assert!(child.wait().unwrap().success());
    // 15,000 requests one by one, then 20,000, then counts of classes.
    assert!(held[4] < held[1] + 6 * 1024, "{held:?} KiB after 15,000 results each");
    assert!(held[4] < 96 * 1024, "{held:?} KiB");
}

#[test]
fn that_lines_could_not_be_read_is_said_in_the_report_too() {
    let refused = "no json\n{\"type\":\"result\",\"model\":3}\n";
    for (lines, said) in [
        (refused.to_owned(), "2 lines of the input could not be read, and no other is of type result"),
        ("no json\n".to_owned(), "a line of the input could not be read, and no other is of type result"),
        (refused.to_owned() + &results(0, 3), "2 lines of the input could not be read, and are not counted"),
    ] {
        for format in ["text", "markdown", "html"] {
            let ran = run("bench-report", ["-f", format], &lines).exits(1);
            assert!(ran.stdout.contains(said), "{format}: {}", ran.stdout);
        }
        let ran = run("bench-report", ["-f", "json"], &lines).exits(1);
        assert!(ran.stdout.contains("\"unreadable_lines\": "), "{}", ran.stdout);
    }
    let ran = run("bench-report", ["-f", "text"], "").exits(0);
    assert!(ran.stdout.contains("no results: no line of the input is of type result"), "{}", ran.stdout);
}

#[test]
fn a_load_whose_only_request_has_an_impossible_length_took_no_known_time() {
    let line = &fixture::result(1, "m").sent(0.0).e2e(1e15).line();
    let document: serde_json::Value =
        serde_json::from_str(&run("bench-report", ["-f", "json"], line).exits(0).stdout).unwrap();
    assert_eq!(document["total_time_ms"], serde_json::Value::Null);
    let text = run("bench-report", ["-f", "text"], line).exits(0).stdout;
    assert!(text.starts_with("1 request · 2026-"), "{text}");
}
