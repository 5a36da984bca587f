//! The page in a real browser.

use super::browser::Browser;
use super::{INPUTS, input};
use crate::common::run;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A page in a file of its own, as a reader has it.
fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = input(name);
    let place = folder.path().join("run");
    fs::create_dir_all(&place).unwrap();
    if source.is_dir() {
        for entry in fs::read_dir(&source).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, place.join(path.file_name().unwrap())).unwrap();
        }
        run("bench-report", [place.as_os_str(), "-o".as_ref(), place.join("index.html").as_os_str()], "").exits(0);
    } else {
        run("bench-report", [source.as_os_str(), "-o".as_ref(), place.join("index.html").as_os_str()], "").exits(0);
    }
    (folder, place.join("index.html"))
}

#[test]
fn in_a_browser_every_page_opens_without_a_complaint_and_without_a_request() {
    let Some(mut browser) = Browser::start() else { return };
    for name in INPUTS {
        let (_folder, file) = written(name);
        browser.open(&file, "");
        let (asked, said) = browser.requests_and_complaints();
        assert_eq!(said, Vec::<String>::new(), "{name}");
        assert_eq!(asked, [format!("file://{}", file.display())], "{name}");
        // Every row opened, every detail unfolded: what the script writes is as harmless as what the template wrote.
        browser.eval("document.querySelectorAll('tr.group .open').forEach((e) => e.click())");
        browser.eval("document.querySelectorAll('details').forEach((e) => { e.open = true; })");
        let (asked_more, said_more) = browser.requests_and_complaints();
        assert_eq!((asked_more.len(), said_more), (1, Vec::new()), "{name}");
        assert_eq!(browser.eval("window.pwned === undefined"), true, "{name}");
        let charts = browser.eval("document.querySelectorAll('figure svg').length").as_u64().unwrap();
        assert!(charts > 0 || matches!(name, "empty.ndjson" | "missing.ndjson"), "{name} has no chart");
        // Nothing is wider than the screen, not even on a phone.
        let phone = json!({ "width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": true });
        browser.call("Emulation.setDeviceMetricsOverride", phone);
        browser.open(&file, "");
        let wide = browser.eval("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(wide <= 390, "{name} is {wide} wide on a phone");
        browser.call("Emulation.clearDeviceMetricsOverride", json!({}));
    }
}

#[test]
fn in_a_browser_the_table_sorts_filters_opens_and_remembers_it_in_the_hash() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    let names =
        "[...document.querySelectorAll('tr.group:not([hidden]) .name')].map((e) => e.textContent.split('/')[0]).join()";
    assert_eq!(browser.eval(names), "deepseek,google,meta,mistralai,openai,qwen");
    browser.point("document.querySelector('th[data-key=tok_s] button')", true);
    // Best first; what failed has no rate and comes last, also the other way around.
    assert_eq!(browser.eval(names), "meta,qwen,openai,google,deepseek,mistralai");
    assert_eq!(browser.eval("location.hash"), "#sort=-tok_s");
    browser.point("document.querySelector('th[data-key=tok_s] button')", true);
    assert_eq!(browser.eval(names), "deepseek,google,openai,qwen,meta,mistralai");
    browser.eval("(() => { const f = document.querySelector('#filter'); f.value = 'tok_s>50 e'; f.dispatchEvent(new Event('input')); })()");
    assert_eq!(browser.eval(names), "openai,qwen,meta");
    assert_eq!(browser.eval("document.querySelector('#count').textContent"), "3 of 6 rows");
    browser.eval("(() => { const f = document.querySelector('#filter'); f.value = 'speeed>50'; f.dispatchEvent(new Event('input')); })()");
    assert_eq!(browser.eval("document.querySelector('#count').textContent"), "no column speeed");
    browser.eval(
        "(() => { const f = document.querySelector('#filter'); f.value = ''; f.dispatchEvent(new Event('input')); })()",
    );

    browser.point("document.querySelectorAll('tr.group .open')[0]", true);
    assert_eq!(browser.eval("document.querySelectorAll('tr.detail').length"), 1);
    assert!(
        browser
            .eval("document.querySelector('tr.detail').textContent")
            .as_str()
            .unwrap()
            .contains("truncated_by_length")
    );
    let shown = "[...document.querySelectorAll('thead th[data-set=energy]:not(.hidden)')].length";
    assert!(browser.eval(shown).as_u64().unwrap() > 0);
    browser.point("document.querySelector('input[name=set][value=energy]').parentElement", true);
    assert_eq!(browser.eval(shown), 0);
    browser.point("document.querySelector('#theme')", true);
    browser.wait("document.documentElement.dataset.theme === 'dark'");
    let hash = browser.eval("location.hash").as_str().unwrap().to_owned();

    browser.open(&file, &hash);
    assert_eq!(browser.eval(names), "deepseek,google,openai,qwen,meta,mistralai");
    assert_eq!(browser.eval("document.querySelectorAll('tr.detail').length"), 1);
    assert_eq!(browser.eval(shown), 0);
    assert_eq!(browser.eval("document.documentElement.dataset.theme"), "dark");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_charts_tell_their_values_to_the_pointer_and_to_the_keyboard() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    browser.point("document.querySelector('#charts svg [data-tip]')", false);
    browser.wait("!document.querySelector('#tip').hidden");
    assert!(browser.eval("document.querySelector('#tip').textContent").as_str().unwrap().contains("first token"));
    browser.eval("document.querySelector('#charts svg').focus()");
    for kind in ["keyDown", "keyUp"] {
        browser.call("Input.dispatchKeyEvent", json!({ "type": kind, "key": "ArrowRight", "code": "ArrowRight" }));
    }
    assert_eq!(browser.eval("document.querySelectorAll('#charts svg .on').length"), 1);
    // On the time axis a moment tells the watts.
    browser.eval("document.querySelector('#run').scrollIntoView({ behavior: 'instant' })");
    let glass = "[...document.querySelectorAll('#run svg rect[fill=transparent]')].at(-1)";
    browser.point(glass, false);
    browser.wait("/ W$/m.test(document.querySelector('#tip').textContent)");
}

#[test]
fn in_a_browser_a_produced_page_loads_when_asked_for_and_runs_when_asked_for() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    assert_eq!(browser.eval("document.querySelectorAll('iframe').length"), 0);
    browser.point("document.querySelector('.frame [data-mode=still]')", true);
    browser.wait("document.querySelectorAll('iframe').length === 1");
    assert_eq!(browser.eval("document.querySelector('iframe').getAttribute('sandbox')"), "");
    browser.point("document.querySelector('.over button')", true);
    browser.wait("document.querySelector('iframe').getAttribute('sandbox') === 'allow-scripts'");
    // It is loaded, and it is a stranger: the page around it cannot look inside, nor it out.
    browser.wait("document.querySelector('iframe').contentDocument === null");
    let (asked, said) = browser.requests_and_complaints();
    assert!(asked.iter().any(|url| url.ends_with("openai_gpt-oss-20b.html")), "{asked:?}");
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_what_is_downloaded_is_what_is_shown() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, file) = written("hostile.ndjson");
    browser.open(&file, "");
    browser.eval(
        "window.saved = []; URL.createObjectURL = (blob) => { window.saved.push(blob); return 'about:blank#'; }; \
         HTMLAnchorElement.prototype.click = () => {}; document.querySelector('#get-csv').click(); \
         document.querySelector('#get-ndjson').click();",
    );
    let csv = browser.eval("saved[0].text()").as_str().unwrap().to_owned();
    assert!(csv.starts_with("model,ok,failed,"), "{csv}");
    assert!(csv.contains("\n'=cmd|"), "a formula is defused: {csv}");
    let ndjson = browser.eval("saved[1].text()").as_str().unwrap().to_owned();
    let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 35);
    assert!(rows.iter().all(|row| row["type"] == "row"));
}

#[test]
fn in_a_browser_five_thousand_requests_are_no_burden() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let line = fs::read_to_string(input("one.ndjson")).unwrap();
    let one: Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let many: String = (0..5000)
        .map(|i| {
            let mut row = one.clone();
            row["id"] = i.into();
            row["start_ts"] = (1_795_278_202.5 + f64::from(i) * 0.7).into();
            row["ttft_seconds"] = (0.2 + f64::from(i % 97) / 100.0).into();
            row["model"] = format!("model-{}", i % 60).into();
            format!("{row}\n")
        })
        .collect();
    let file = folder.path().join("index.html");
    run("bench-report", ["-o", file.to_str().unwrap()], many).exits(0);
    browser.open(&file, "#sort=ttft_p50");
    assert_eq!(browser.eval("document.querySelectorAll('tr.group').length"), 60);
    browser.point("document.querySelector('tr.group .open')", true);
    assert_eq!(browser.eval("document.querySelectorAll('tr.detail .plain tbody tr').length > 80"), true);
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_sliders_count_goodput_anew() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, file) = written("token-rate.ndjson");
    browser.open(&file, "#slo=ttft=9,itl=9,e2e=9");
    let shares = "[...document.querySelector('.limits').parentElement.querySelectorAll('svg [data-tip]')].map((e) => e.dataset.tip).join()";
    assert!(browser.eval(shares).as_str().unwrap().contains("32 of 32 good"));
    browser.eval("(() => { const s = document.querySelector('.limits input'); s.value = 0; s.dispatchEvent(new Event('input')); })()");
    assert!(browser.eval(shares).as_str().unwrap().contains("0 of 32 good"));
    assert!(browser.eval("location.hash").as_str().unwrap().contains("slo="));
}

#[test]
fn in_a_browser_two_answers_stand_side_by_side() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    let shown = "[...document.querySelectorAll('.answer:not([hidden])')].length";
    assert_eq!(browser.eval(shown), 2);
    browser.point("document.querySelectorAll('.pair input')[0]", true);
    browser.point("document.querySelectorAll('.pair input')[1]", true);
    browser.wait("document.querySelector('.gallery').classList.contains('pairs')");
    let tops =
        browser.eval("[...document.querySelectorAll('.answer')].map((e) => Math.round(e.getBoundingClientRect().top))");
    assert_eq!(tops[0], tops[1], "they stand beside each other");
    // The answer's Markdown is text of this page, and safe: what was bold is bold, what was code is code.
    assert_eq!(browser.eval("document.querySelector('.prose strong').textContent"), "the board");
    assert!(
        browser.eval("document.querySelector('.prose pre').textContent").as_str().unwrap().contains("<!doctype html>")
    );
}
