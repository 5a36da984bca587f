//! The page where there is little room, and where there is much to show: on a phone, with hundreds of answers, at the edge of a wide
//! table, and in an opened row.

use super::browser::{Browser, browser};
use super::page::written;
use crate::common::run;
use llm_bench::record::{Phase, Source, Timing, fixture};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn page_of(records: &[Value]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    let text: String = records.iter().map(|record| format!("{record}\n")).collect();
    run("bench-report", ["-o", file.to_str().unwrap()], text).exits(0);
    (folder, file)
}

fn result(id: u64, model: &str, more: Value) -> Value {
    let timing = Timing { first_token: Some(0.5), end: Some(1.5), ..Timing::default() };
    let result = fixture::result(id, model)
        .source(Source::Openai)
        .concurrency(1)
        .sent(202.0 + id as f64 * 2.0)
        .ttft(0.5)
        .e2e(1.5);
    let rates = json!({ "derived": { "tokens_per_second": 33.0, "decode_tokens_per_second": 50.0 } });
    result.timing(timing).tokens(10, 400).phase(Phase::Measure).merge(rates).merge(more).value()
}

fn texts(browser: &mut Browser, css: &str) -> Vec<String> {
    let list = browser.eval(&format!("[...document.querySelectorAll({css:?})].map((e) => e.textContent)"));
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn in_a_browser_on_a_phone_names_keep_what_tells_rows_apart_and_numbers_have_the_room() {
    let Some(mut browser) = browser() else { return };
    let model = "a-publisher/MiniMax-Text-01-Instruct";
    let rows: Vec<Value> = [1, 8, 64]
        .iter()
        .flat_map(|n| (0..3).map(move |i| result(n * 10 + i, model, json!({ "concurrency": n }))))
        .collect();
    let (_folder, file) = page_of(&rows);
    browser.size(Some((380, 800)));
    browser.open(&file, "");
    for chart in ["time", "spread", "goodput"] {
        let mut names = texts(&mut browser, &format!("[data-chart={chart}] svg .label"));
        names.sort();
        let whole = |n: u64| format!("MiniMax-Text-01-Instruct · {n} at once");
        let expect: Vec<String> = [whole(1), whole(64), whole(8)].into();
        assert!(names == expect || names.iter().all(|name| name.starts_with("a-publisher/")), "{chart}: {names:?}");
        // None hangs out of its chart.
        let out = format!(
            "[...document.querySelectorAll('[data-chart={chart}] svg .label')].filter((e) => {{ const [a, b] = [e.getBoundingClientRect(), \
             e.closest('figure').getBoundingClientRect()]; return a.left < b.left || a.right > b.right; }}).length"
        );
        assert_eq!(browser.eval(&out), 0, "{chart}");
    }
    // What stays while the table is pushed aside takes less than half of the screen.
    let sticky = browser.eval("document.querySelector('tr.group > th').getBoundingClientRect().width");
    assert!(sticky.as_f64() < Some(150.0), "{sticky}");
    assert_eq!(
        browser.eval("getComputedStyle(document.querySelector('th[data-key=ok]')).display"),
        "none",
        "how many there were stands with the name"
    );
    assert!(texts(&mut browser, "tr.group .tally").iter().all(|words| words == "3 ok"));
    // A table of a few rows is no window in the page.
    assert_eq!(
        browser
            .eval("(() => { const s = document.querySelector('.scroll'); return s.scrollHeight - s.clientHeight; })()"),
        0
    );
    browser.size(None);
}

#[test]
fn in_a_browser_an_edge_with_columns_beyond_it_has_a_shadow_and_a_sentence() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    browser.size(Some((900, 800)));
    browser.open(&file, "");
    let beyond = "document.querySelector('.framed').classList.contains('beyond')";
    browser.wait(beyond);
    let said = texts(&mut browser, "#beyond").concat();
    assert!(said.ends_with(" to the right: scroll the table sideways."), "{said}");
    assert_eq!(browser.eval("document.querySelector('.scroll').getAttribute('aria-describedby')"), "beyond");
    browser.eval("document.querySelector('.scroll').scrollTo({ left: 1e5, behavior: 'instant' })");
    browser.wait(&format!("!{beyond}"));
    assert_eq!(texts(&mut browser, "#beyond").concat(), "");
    browser.size(None);
}

#[test]
fn in_a_browser_hundreds_of_answers_are_folded_behind_a_button_that_says_how_many() {
    let Some(mut browser) = browser() else { return };
    let rows: Vec<Value> = (0..60).map(|i| result(i, &format!("m-{i}"), json!({ "text": "An answer." }))).collect();
    let (_folder, file) = page_of(&rows);
    let seen = "[...document.querySelectorAll('.answer')].filter((e) => e.checkVisibility()).length";
    browser.open(&file, "");
    let all = browser.eval("document.querySelectorAll('.answer').length");
    assert_eq!((browser.eval(seen), all), (json!(24), json!(60)));
    assert_eq!(texts(&mut browser, "#all-answers"), ["Show all 60 answers"]);
    browser.click("#all-answers");
    assert_eq!(browser.eval(seen), 60);
    let hash = browser.eval("location.hash").as_str().unwrap().to_owned();
    browser.open(&file, &hash);
    assert_eq!(browser.eval(seen), 60);
}

#[test]
fn in_a_browser_numbers_of_one_column_of_an_opened_row_have_one_format() {
    let Some(mut browser) = browser() else { return };
    let times = [0.3, 0.299, 0.017, 9.6e-4];
    let rows: Vec<Value> =
        times.iter().enumerate().map(|(i, t)| result(i as u64, "m", json!({ "ttft_seconds": t }))).collect();
    let (_folder, file) = page_of(&rows);
    browser.open(&file, "#open=0");
    let column = "(() => { const t = document.querySelector('.requests table'); const at = [...t.tHead.rows[0].cells].findIndex((c) => c.textContent.startsWith('TTFT')); \
                  return [...t.tBodies[0].rows].map((r) => r.cells[at].textContent).join(' '); })()";
    assert_eq!(browser.eval(column), "0.300 0.299 0.017 0.001");
    let heads = texts(&mut browser, ".detail .inside > div:first-child thead th");
    assert_eq!(&heads[..3], ["spread", "unit", "n"]);
    let units = texts(&mut browser, ".detail .inside > div:first-child tbody td:nth-child(2)");
    assert!(!units.is_empty() && units.contains(&"s".to_owned()), "{units:?}");
}

#[test]
fn in_a_browser_idling_is_hatched_and_nothing_else_is() {
    let Some(mut browser) = browser() else { return };
    let power = |idle: f64| {
        let part = |joules: f64| json!({ "energy_joules": joules, "coverage": 1, "quality": "good" });
        json!({ "power": {
            "energy_joules": 10.0, "energy_lower_joules": 9.0, "energy_upper_joules": 11.0, "net_energy_joules": 10.0 - idle,
            "idle_watts": 2.0, "coverage": 1, "quality": "good", "samples": 9, "clock": "mono", "prefill": part(2.0), "decode": part(7.0),
        } })
    };
    let (_folder, file) = page_of(&[result(1, "m", power(3.0)), result(2, "m", power(4.0))]);
    let levels = written("levels.ndjson");
    let hatched = "[...document.querySelectorAll('svg [fill=\"url(#hatch)\"]')]";
    for (page, marks, chart) in [
        (&file, format!("{hatched}.filter((e) => e.dataset.tip.includes('idling would have taken')).length"), "energy"),
        (&levels.1, "document.querySelectorAll('[data-chart=run] svg rect.idle').length".to_owned(), "run"),
    ] {
        browser.open(page, "");
        let n = browser.eval(&marks).as_u64().unwrap();
        assert!(n > 0, "{chart}");
        // Bands beneath the phases are of the same.
        let all = format!("{hatched}.filter((e) => e.dataset.tip || e.dataset.phase).length");
        assert_eq!(browser.eval(&all), n, "{chart}");
        // What is not displayed has no pattern to give.
        assert_eq!(browser.eval("document.querySelector('#hatch').closest('svg').checkVisibility()"), true);
        assert_eq!(
            browser.eval(&format!("document.querySelectorAll('[data-chart={chart}] .legend .hatch').length")),
            1
        );
    }
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn a_run_that_is_there_twice_has_a_badge_and_names_are_in_their_natural_order() {
    let rows: Vec<Value> = [105, 14, 0, 9].iter().map(|n| result(*n, &format!("m-{n}"), json!({}))).collect();
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let csv = run("bench-report", ["--format", "csv"], text.clone()).exits(0);
    let names: Vec<&str> = csv.stdout.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(names, ["m-0", "m-9", "m-14", "m-105"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    let of = |input: String| {
        run("bench-report", ["-o", file.to_str().unwrap()], input).exits(0);
        fs::read_to_string(&file).unwrap()
    };
    let line = |n: u64| format!("{}\n", result(n, "m", json!({})));
    let once = line(1) + &line(2) + &line(3);
    assert!(!of(once.clone()).contains(">a run twice<"));
    let twice = of(once.clone() + &once);
    assert!(twice.contains(">a run twice<") && twice.contains("6 results with 3 numbers"), "{twice:.200}");
}
