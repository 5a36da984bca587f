//! What charts draw, by the values that their marks tell in a real browser: of the same requests, under their own names, and where
//! a name can be read.

use super::browser::{Browser, browser};
use super::html::data;
use super::page::written;
use crate::common::run;
use llm_bench::record::{Phase, Source, Timing, fixture};
use llm_bench::stats::Histogram;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A page of these records.
fn page_of(records: &[Value]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    let text: String = records.iter().map(|record| format!("{record}\n")).collect();
    run("bench-report", ["-o", file.to_str().unwrap()], text).exits(0);
    (folder, file)
}

fn result(id: u64, model: &str, more: Value) -> Value {
    let timing = Timing { first_token: Some(0.5), end: Some(1.5), ..Timing::default() };
    let result = fixture::result(id, model).source(Source::Openai).sent(202.0 + id as f64 * 2.0).ttft(0.5).e2e(1.5);
    let rates = json!({ "derived": { "tokens_per_second": 33.0, "decode_tokens_per_second": 50.0 } });
    result.timing(timing).tokens(10, 50).phase(Phase::Measure).merge(rates).merge(more).value()
}

/// What the marks of a chart tell, each once.
fn tips(browser: &mut Browser, chart: &str) -> Vec<String> {
    let marks = format!(
        "[...new Set([...document.querySelectorAll('[data-chart={chart}] svg [data-tip]')].map((e) => e.dataset.tip))]"
    );
    browser.eval(&marks).as_array().unwrap().iter().map(|tip| tip.as_str().unwrap().to_owned()).collect()
}

#[test]
fn in_a_browser_the_parts_of_energy_are_of_the_same_requests_as_their_whole() {
    let power = |joules: f64, parts: Option<(f64, f64)>| {
        let part = |joules: f64| json!({ "energy_joules": joules, "coverage": 1, "quality": "good" });
        let mut power = json!({
            "energy_joules": joules, "energy_lower_joules": joules - 1.0, "energy_upper_joules": joules + 1.0,
            "coverage": 1, "quality": "good", "samples": 9, "clock": "mono",
        });
        if let Some((prefill, decode)) = parts {
            power["prefill"] = part(prefill);
            power["decode"] = part(decode);
        }
        json!({ "power": power, "concurrency": 1 })
    };
    // The third was too short for its parts to be told, and took far more than the others.
    let (_folder, file) = page_of(&[
        result(1, "m", power(10.0, Some((2.0, 7.0)))),
        result(2, "m", power(20.0, Some((4.0, 15.0)))),
        result(3, "m", power(1000.0, None)),
    ]);
    let energy = data(&fs::read_to_string(&file).unwrap())["groups"][0]["energy"].clone();
    assert_eq!(energy["same"]["whole"], json!({ "mean": 15, "low": 14, "high": 16, "n": 2 }));
    assert_eq!((&energy["same"]["prefill"]["mean"], &energy["same"]["decode"]["mean"]), (&json!(3), &json!(11)));
    assert_eq!(energy["n"], 3);
    let Some(mut browser) = browser() else { return };
    browser.open(&file, "");
    let told = tips(&mut browser, "energy");
    assert_eq!(told.len(), 1, "{told:?}");
    for words in [
        "request 15.0 J, certainly between 14.0 and 16.0 J, mean of the 2 of 3 requests that tell all parts",
        "prefill 3.00 J",
        "decode 11.0 J",
        "before and after 1.00 J",
    ] {
        assert!(told[0].contains(words), "{words}: {}", told[0]);
    }
}

/// A level of a load, with how late its requests were sent, in microseconds, and how late the event loop was.
fn level(model: &str, load: Value, sent: &[u64], looked: &[u64]) -> Value {
    let late = |micros: &[u64]| {
        let mut histogram = Histogram::new();
        micros.iter().for_each(|us| histogram.add_ns(us * 1000));
        let mut statistics = json!(histogram.quantiles().unwrap());
        statistics["histogram"] = json!(histogram.encode());
        statistics
    };
    let mut level =
        json!({ "type": "level", "v": 1, "run": "r", "models": [model], "sent": 4, "failed": 0, "not_sent": 0 });
    level.as_object_mut().unwrap().extend(load.as_object().unwrap().clone());
    if !sent.is_empty() {
        level["schedule_lag_seconds"] = late(sent);
    }
    level["loop_lag_seconds"] = late(looked);
    level
}

#[test]
fn in_a_browser_rates_and_levels_are_told_apart_and_the_client_tells_how_late_it_sent() {
    let mut records = Vec::new();
    for (at, load) in
        [json!({"rate": 8.0}), json!({"rate": 20.0}), json!({"concurrency": 1}), json!({"concurrency": 4})]
            .iter()
            .enumerate()
    {
        records.extend((0..4).map(|i| result(at as u64 * 10 + i, "lab/m", load.clone())));
    }
    records.push(level("lab/m", json!({"rate": 8.0, "not_sent": 5}), &[100, 120, 130, 5000], &[50, 60, 70]));
    records.push(level(
        "lab/m",
        json!({"rate": 20.0, "not_sent": 1303, "due_not_sent": 3}),
        &[90, 95, 99, 130, 40_000],
        &[50, 2000],
    ));
    records.push(level("lab/m", json!({"concurrency": 4, "not_sent": 17}), &[], &[55, 65]));
    let (_folder, file) = page_of(&records);
    let Some(mut browser) = browser() else { return };
    browser.open(&file, "");
    let legend = "[...document.querySelectorAll('[data-chart=levels] .legend span')].map((e) => e.textContent.trim()).sort().join()";
    assert_eq!(browser.eval(legend), "lab/m · at once,lab/m · per second");
    assert!(
        browser
            .eval("document.querySelector('[data-chart=levels]').textContent")
            .as_str()
            .unwrap()
            .contains("requests at once, or per second")
    );

    // Where requests were sent at a rate, that is what is shown first.
    assert_eq!(browser.eval("document.querySelector('[data-chart=health] select')?.value ?? 'levels'"), "levels");
    let told = tips(&mut browser, "health");
    let sum = |start: &str| -> u64 {
        let classes =
            told.iter().filter(|tip| tip.starts_with(start)).filter_map(|tip| tip.lines().nth(2)?.rsplit(": ").next());
        classes.map(|n| n.parse::<u64>().unwrap()).sum()
    };
    assert_eq!(sum("8/s: requests sent"), 4, "{told:?}");
    assert_eq!(sum("20/s: requests sent"), 5, "{told:?}");
    assert_eq!(sum("20/s: event loop"), 2, "{told:?}");
    assert_eq!(sum("4 at once: event loop"), 2, "{told:?}");
    assert_eq!(sum("4 at once: requests sent"), 0, "a closed loop has no schedule");
    assert!(
        told.iter()
            .any(|tip| tip.contains("5 sendings: median 99.0 µs") || tip.contains("5 sendings: median 0.099 ms")),
        "{told:?}"
    );
    let notes = browser.eval("document.querySelector('[data-chart=health]').textContent").as_str().unwrap().to_owned();
    assert!(
        notes.contains(
            "9 requests were sent, the latest 40.0 ms after it was due (20/s); 3 that were due were never sent; 1,300 that \
             were planned never came due before the run ended; 5 that were due, or only planned, were never sent."
        ),
        "{notes}"
    );
    assert!(notes.contains("Of the levels at once, 17 planned requests were never sent"), "{notes}");
    // The filter of the table holds here too.
    browser.write("#filter", "load_level=8/s");
    browser.wait("document.querySelector('#count').textContent === '1 of 4 rows'");
    assert!(tips(&mut browser, "health").iter().all(|tip| tip.starts_with("8/s")));
}

#[test]
fn in_a_browser_names_of_dots_stand_beside_the_line_of_the_front() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    let crossed = "(() => { const image = document.querySelector('[data-chart=takes] svg'); const line = image.querySelector('.front'); \
        const of = image.getBoundingClientRect(); const scale = of.width / image.viewBox.baseVal.width; const on = []; \
        for (let at = 0; at <= line.getTotalLength(); at += 2) { const p = line.getPointAtLength(at); \
          for (const name of image.querySelectorAll('.over')) { const b = name.getBBox(); \
            if (p.x > b.x + 1 && p.x < b.x + b.width - 1 && p.y > b.y + 3 && p.y < b.y + b.height - 3) on.push(name.textContent); } } \
        return [image.querySelectorAll('.over').length, [...new Set(on)].join(), scale > 0]; })()";
    for width in [390, 1280, 2000] {
        browser.size(Some((width, 900)));
        browser.open(&file, "");
        let found = browser.eval(crossed);
        assert!(found[0].as_u64() >= Some(4), "{width}: {found}");
        assert_eq!(found[1], "", "{width}: these names lie on the line");
    }
    browser.size(None);
    // Where there is no room beside it a halo keeps them readable.
    assert_eq!(
        browser
            .eval("getComputedStyle(document.querySelector('[data-chart=takes] .over')).paintOrder")
            .as_str()
            .unwrap()
            .split(' ')
            .next(),
        Some("stroke")
    );
}
