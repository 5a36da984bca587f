//! What reports say in words: who is best, of what a page was made, what a search found, why a load has no steady part, what is
//! far out, and how small times, counts and typos are told.

use super::browser::browser;
use super::html::data;
use crate::common::golden::{case, golden, numbers_in, shown};
use crate::common::run;
use llm_bench::record::{Source, fixture};
use serde_json::{Value, json};
use std::fs;

/// A result of a model that ran alone, at its place in the run: 20 tokens.
fn result(model: &str, at: usize, more: Value) -> Value {
    let result = fixture::result(at as u64, model).source(Source::Openai).concurrency(1).sent(at as f64).prompt("p");
    result.ttft(0.2).e2e(1.0).tokens(None, 20).merge(more).value()
}

fn lines(all: impl IntoIterator<Item = Value>) -> String {
    all.into_iter().map(|line| format!("{line}\n")).collect()
}

fn page(text: &str) -> String {
    run("bench-report", [] as [&str; 0], text).exits(0).stdout
}

#[test]
fn nobody_is_best_where_one_that_is_doubted_is_better() {
    // Twelve requests of a and b each, and five of c: its median is better, and marked.
    let of = |model: &'static str, from: usize, n: usize, seconds: f64| {
        (0..n).map(move |i| result(model, from + i, json!({ "generation_time_seconds": seconds })))
    };
    let both = || of("a", 1, 12, 1.0).chain(of("b", 20, 12, 1.5));
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (text, best) in [
        (lines(both()), 1),
        (lines(both().chain(of("c", 40, 5, 2.0))), 1),
        (lines(both().chain(of("c", 40, 5, 0.9))), 0),
    ] {
        let file = folder.path().join("page.html");
        fs::write(&file, page(&text)).unwrap();
        browser.open(&file, "");
        let marked = "[...document.querySelectorAll('table.models tr.group')].map((row) => row.children[[...document.querySelectorAll(\
                      'table.models thead th')].findIndex((head) => head.dataset.key === 'e2e_p50')]).filter((cell) => \
                      cell.classList.contains('best') || cell.classList.contains('tied')).length";
        assert_eq!(browser.eval(marked), best, "{text}");
    }
}

#[test]
fn a_headline_says_of_how_many_rows_it_is_where_not_all_have_the_number() {
    let of = |model: &'static str, from: usize, usd: Option<f64>| {
        let cost = usd.map_or(json!({}), |usd| json!({ "cost": { "usd": usd, "method": "usage" } }));
        (0..10).map(move |i| result(model, from + i, cost.clone()))
    };
    let all = of("a", 1, Some(0.01)).chain(of("b", 20, Some(0.02))).chain(of("c", 40, None));
    let page = page(&lines(all));
    golden!("standout-of-some-rows", shown(&page, "class=\"standouts\""));
}

#[test]
fn a_page_names_the_files_that_it_was_made_of_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["results.ndjson", "power.ndjson", "memory.ndjson", "summary.json"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let mine = folder.path().join("mine.ndjson");
    fs::write(&mine, lines([result("a", 1, json!({}))])).unwrap();
    let page = run("bench-report", [&mine], "").exits(0).stdout;
    let head = page.split("id=\"streams\"").nth(1).unwrap().split("</p>").next().unwrap();
    assert!(head.contains("href=\"mine.ndjson\""), "{head}");
    golden!("page-made-from", shown(&page, "id=\"streams\""));
    assert!(!head.contains("results.ndjson") && !head.contains("power.ndjson"), "{head}");
    // Of standard input there is no file to name.
    assert!(!self::page(&lines([result("a", 1, json!({}))])).contains("id=\"streams\""));
}

#[test]
fn what_a_search_found_is_told_everywhere_and_its_loads_are_no_rivals() {
    let at = |rate: f64, from: usize, ttft: f64| {
        (0..10).map(move |i| {
            result("m", from + i, json!({ "rate": rate, "concurrency": null, "ttft_seconds": ttft, "start_ts": fixture::EPOCH + from as f64 + i as f64 / rate }))
        })
    };
    let asked = json!({ "slos": ["ttft_p95<1s"], "over": "rate", "minimum": 8, "maximum": 32, "tolerance": 0.05 });
    let head = fixture::run("r").merge(json!({ "settings": { "search": asked }, "argv": ["llm-run"] })).value();
    let point = |load: f64, passes: bool| json!({ "load": load, "passes": passes, "requests": 10, "failed": 0, "parts": 1, "values": [] });
    let found = json!({
        "type": "search", "v": 1, "run": "r", "models": ["m"], "slos": ["ttft_p95<1s"], "over": "rate", "minimum": 8.0,
        "maximum": 32.0, "tolerance": 0.05, "outcome": "found", "highest_passing": 26.0, "lowest_failing": 27.0,
        "points": [point(26.0, true), point(27.0, false)],
    });
    let text = lines([head].into_iter().chain(at(26.0, 1, 0.2)).chain(at(27.0, 100, 1.4)).chain([found]));
    let mut told = String::new();
    for format in ["text", "markdown"] {
        let report = run("bench-report", ["-f", format], &text).exits(0).stdout;
        let lines: Vec<&str> = report.lines().filter(|line| line.contains("26/s")).collect();
        told += &case(format, &lines.join("\n"));
    }
    let page = page(&text);
    let top = page.split("<main>").next().unwrap();
    assert!(!top.contains("slos") && top.contains("ttft_p95&#60;1s"), "{top}");
    told += &case("settings", &shown(&page, "class=\"facts settings\""));
    // Steps of one question are no rivals.
    told += &case("standouts", &shown(&page, "class=\"standouts\""));
    golden!("search-in-reports", told);
    let groups = data(&page)["groups"].clone();
    assert_ne!(groups[0]["work"], groups[1]["work"]);
}

#[test]
fn why_a_load_has_no_steady_part_is_said_of_the_loads_that_it_is_true_of() {
    let burst = |level: usize, from: usize| {
        (0..3).map(move |i| {
            result("m", from + i, json!({ "concurrency": level, "start_ts": fixture::EPOCH + from as f64 }))
        })
    };
    let said = |text: &str| run("bench-report", ["-f", "text"], text).exits(0).stdout;
    let one = case("two loads", &said(&lines(burst(4, 1).chain(burst(8, 10)))));
    let two = case("three loads", &said(&lines(burst(4, 1).chain(burst(8, 10)).chain(burst(2, 20)))));
    golden!("no-steady-part", one + &two);
}

#[test]
fn answers_without_a_card_are_said_to_be_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results.ndjson");
    let answered = |at: usize| result("a", at, json!({ "text": "hello" }));
    fs::write(&file, lines((1..=9).map(answered))).unwrap();
    let page = run("bench-report", [&file], "").exits(0).stdout;
    let told = case("texts", &shown(&page, "id=\"answers-left-out\""));
    fs::write(folder.path().join("a.txt"), "hello").unwrap();
    let filed = |at: usize| result("a", at, json!({ "text": "hello", "files": { "text": "a.txt" } }));
    fs::write(&file, lines((1..=9).map(filed))).unwrap();
    let page = run("bench-report", [&file], "").exits(0).stdout;
    golden!("answers-left-out", told + &case("files", &shown(&page, "id=\"answers-left-out\"")));
}

#[test]
fn what_hardly_differs_or_is_a_large_part_of_a_group_is_not_far_out() {
    let said = |ttfts: &[f64]| {
        let one = |(at, ttft): (usize, &f64)| result("m", at + 1, json!({ "ttft_seconds": ttft }));
        let report = run("bench-report", ["-f", "json"], lines(ttfts.iter().enumerate().map(one))).exits(0).stdout;
        serde_json::from_str::<Value>(&report).unwrap()["groups"][0]["outliers"]["ttft_seconds"].clone()
    };
    let near: Vec<f64> =
        (0..25).map(|i| 0.0726 + if i % 2 == 0 { 0.0 } else { 1e-5 * f64::from(i) }).chain([0.0784]).collect();
    let heap: Vec<f64> = (0..25).map(|i| if i < 14 { 0.0726 + 1e-5 * f64::from(i) } else { 0.0984 }).collect();
    let one: Vec<f64> = (0..24).map(|i| 0.0726 + 1e-5 * f64::from(i)).chain([0.0984]).collect();
    for (ttfts, far) in [(&near, false), (&heap, false), (&one, true)] {
        assert_eq!(said(ttfts).is_object(), far, "{}", said(ttfts));
    }
}

#[test]
fn gaps_and_times_per_token_are_milliseconds_for_people_and_seconds_for_programs() {
    let text = lines((1..=12).map(|at| result("m", at, json!({ "tpot_seconds": 0.0201 }))));
    let of = |format: &str| {
        let args = ["-f", format, "--columns", "model,tpot_p50"];
        run("bench-report", args, &text).exits(0).stdout
    };
    golden!("time-per-token-in-milliseconds", of("text") + &of("markdown"));
    assert!(of("csv").lines().nth(1).unwrap().starts_with("m,0.0201"), "{}", of("csv"));
    let summary: Value = serde_json::from_str(&of("json")).unwrap();
    assert_eq!(summary["groups"][0]["columns"]["tpot_p50"], 0.0201);
    run("bench-report", ["-f", "text", "--fail-if", "tpot_p50 > 20ms"], &text).exits(3);
    run("bench-report", ["-f", "text", "--fail-if", "tpot_p50 > 0.03s"], &text).exits(0);
    if let Some(mut browser) = browser() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        fs::write(&file, page(&text)).unwrap();
        for (filter, rows) in [("tpot>20ms", &[1.0][..]), ("tpot>0.03s", &[0.0, 1.0]), ("tpot>20", &[1.0])] {
            browser.open(&file, &format!("#q={}", filter.replace('>', "%3E")));
            let count = browser.eval("document.querySelector('#count').textContent");
            assert_eq!(numbers_in(count.as_str().unwrap()), rows, "{filter}: {count}");
        }
    }
}

#[test]
fn the_files_of_an_opened_row_have_the_signs_that_its_head_has() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = json!({ "html": "a.html", "text": "a.txt", "json": "a.json" });
    for name in ["a.html", "a.txt", "a.json"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    let results = folder.path().join("results.ndjson");
    fs::write(&results, lines([result("a", 1, json!({ "files": files })), result("a", 2, json!({ "files": files }))]))
        .unwrap();
    let file = folder.path().join("index.html");
    run("bench-report", [results.as_os_str(), "--out".as_ref(), file.as_os_str()], "").exits(0);
    browser.open(&file, "#open=0");
    let signs = "[...document.querySelectorAll('tr.detail .requests tbody tr:first-child .links a')].map((a) => \
                 getComputedStyle(a, '::before').content).join(' ')";
    assert_eq!(browser.eval(signs), "\"▤\" \"¶\" \"{ }\"");
}

#[test]
fn a_column_that_is_none_is_told_the_nearest_first_and_the_others_in_lines() {
    let mut told = String::new();
    for flag in ["--sort", "--columns"] {
        let ran = run("bench-report", ["-f", "text", flag, "tfft_p50"], "").exits(2);
        told += &case(flag, ran.stderr.lines().next().unwrap());
        assert!(ran.stderr.lines().all(|line| line.len() < 700), "{}", ran.stderr);
    }
    golden!("column-unknown", told);
}
