//! Rows that are embedded packed: what a download of them holds, and what a browser shows that cannot unpack them.

use super::browser::browser;
use super::input;
use super::page::saved;
use crate::common::run;
use serde_json::{Value, json};
use std::fs;

/// Results that are more than a page holds unpacked.
fn many() -> String {
    let line = fs::read_to_string(input("one.ndjson")).unwrap();
    let one: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let row = |i: u64| {
        let mut row = one.clone();
        row["id"] = i.into();
        row["start_ts"] = (1_795_278_202.5 + i as f64 * 0.7).into();
        row["ttft_seconds"] = (0.2 + (i * 7919 % 1000) as f64 / 1000.0).into();
        row["generation_time_seconds"] = (2.0 + (i * 104_729 % 1000) as f64 / 500.0).into();
        row["model"] = format!("lab/model-{}, \"q{}\"", i % 7, i % 7).into();
        row["prompt"]["id"] = format!("p{}", i % 32).into();
        format!("{row}\n")
    };
    (0..3000).map(row).collect()
}

#[test]
fn in_a_browser_the_download_of_packed_rows_is_the_rows_that_came_in() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    let text = many();
    run("bench-report", ["-o", file.to_str().unwrap()], &text).exits(0);
    assert!(fs::read_to_string(&file).unwrap().contains("data-packed=\"gzip\""));
    browser.open(&file, "");
    let place = browser.forget_saved();
    browser.eval("document.querySelector('header .menu').open = true");
    browser.click("#get-ndjson");
    let (ndjson, _) = saved(&place, "ndjson");
    let came: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let went: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(went.len(), came.len());
    let near = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= b.as_f64().unwrap() * 1e-5;
    for (a, b) in went.iter().zip(&came) {
        assert_eq!((&a["model"], &a["id"], &a["source"]), (&b["model"], &b["id"], &b["source"]));
        assert_eq!((&a["prompt"], &a["run"]), (&b["prompt"]["id"], &b["run"]));
        assert_eq!(&a["finish_reason"], &b["finish_reason"]);
        for key in ["ttft_seconds", "generation_time_seconds"] {
            assert!(near(&a[key], &b[key]), "{key}: {a}");
        }
        assert!((a["start_ts"].as_f64().unwrap() - b["start_ts"].as_f64().unwrap()).abs() < 1e-3, "{a}");
        assert_eq!(a["output_tokens"], b["tokens"]["output"]);
    }
    // As CSV the same, and what stands in a name does not end its cell.
    browser.eval("document.querySelector('header .menu').open = true");
    browser.click("#get-requests");
    let (csv, _) = saved(&place, "csv");
    let table: Vec<Vec<String>> = csv.lines().map(cells).collect();
    assert_eq!(table.len(), came.len() + 1);
    let at =
        |name: &str| table[0].iter().position(|head| head == name).unwrap_or_else(|| panic!("{name}: {:?}", table[0]));
    for (row, b) in table[1..].iter().zip(&came) {
        assert_eq!(row.len(), table[0].len());
        assert_eq!(row[at("model")], b["model"].as_str().unwrap());
        assert_eq!(row[at("id")], b["id"].to_string());
        assert!(near(&json!(row[at("ttft_seconds")].parse::<f64>().unwrap()), &b["ttft_seconds"]), "{row:?}");
    }
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

/// The cells of a line of CSV.
fn cells(line: &str) -> Vec<String> {
    let (mut all, mut quoted) = (vec![String::new()], false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => all.last_mut().unwrap().extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            c => all.last_mut().unwrap().push(c),
        }
    }
    all
}

#[test]
fn in_a_browser_that_cannot_unpack_the_page_says_so_and_the_table_can_be_read() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    run("bench-report", ["-o", file.to_str().unwrap()], many()).exits(0);
    let source = json!({ "source": "delete window.DecompressionStream;" });
    let script = browser.devtools("Page.addScriptToEvaluateOnNewDocument", source);
    browser.devtools("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
    browser.wait("document.querySelector('#no-data')?.hidden === false");
    let shown = |css: &str| format!("document.querySelector({css:?}).checkVisibility()");
    assert_eq!(browser.eval(&shown("#no-data")), true);
    assert_eq!(browser.eval(&shown("tr.group .name")), true);
    assert_eq!(browser.eval("document.querySelectorAll('tr.group').length"), 7);
    // What would do nothing is not there.
    for css in ["#filter", "#theme", "#charts", "tr.group .open"] {
        assert_eq!(browser.eval(&shown(css)), false, "{css}");
    }
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", script);
}
