//! The page in a real browser.

use super::browser::browser;
use super::{INPUTS, input};
use crate::common::golden::{golden, numbers_in};
use crate::common::{run, wait_until};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// A page in a file of its own, as a reader has it.
pub fn written(name: &str) -> (tempfile::TempDir, PathBuf) {
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
    let Some(mut browser) = browser() else { return };
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
        assert_eq!((asked_more, said_more), (Vec::new(), Vec::new()), "{name}");
        assert_eq!(browser.eval("window.pwned === undefined"), true, "{name}");
        let charts = browser.eval("document.querySelectorAll('figure svg').length").as_u64().unwrap();
        assert!(charts > 0 || matches!(name, "empty.ndjson" | "missing.ndjson"), "{name} has no chart");
        // Nothing is wider than the screen, not even on a phone.
        browser.size(Some((390, 800)));
        browser.open(&file, "");
        let wide = browser.eval("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(wide <= 390, "{name} is {wide} wide on a phone");
        browser.size(None);
    }
}

#[test]
fn in_a_browser_the_table_sorts_filters_opens_and_remembers_it_in_the_hash() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    let names =
        "[...document.querySelectorAll('tr.group:not([hidden]) .name')].map((e) => e.textContent.split('/')[0]).join()";
    assert_eq!(browser.eval(names), "deepseek,google,meta,mistralai,openai,qwen");
    browser.click("th[data-key=tok_s] button");
    // Best first; what failed has no rate and comes last, also the other way around.
    assert_eq!(browser.eval(names), "meta,qwen,openai,google,deepseek,mistralai");
    assert_eq!(browser.eval("location.hash"), "#sort=-tok_s");
    browser.click("th[data-key=tok_s] button");
    assert_eq!(browser.eval(names), "deepseek,google,openai,qwen,meta,mistralai");
    browser.write("#filter", "tok_s>50 e");
    assert_eq!(browser.eval(names), "openai,qwen,meta");
    let count = browser.eval("document.querySelector('#count').textContent");
    assert_eq!(numbers_in(count.as_str().unwrap()), [3.0, 6.0]);
    browser.write("#filter", "speeed>50");
    assert_eq!(
        browser.eval("document.querySelector('#count').textContent"),
        "Filter not applied: no column speeed; ? beside the filter lists them."
    );
    browser.write("#filter", "e");
    browser.press('\u{e003}');

    browser.click("tr.group .open");
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
    browser.click("label:has(> input[name=set][value=energy])");
    assert_eq!(browser.eval(shown), 0);
    browser.click("#theme");
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
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    // The widest mark, which no rounding of places can miss.
    browser.eval(
        "[...document.querySelectorAll('#charts figure:first-child svg [data-tip]')] \
         .sort((a, b) => b.getBoundingClientRect().width - a.getBoundingClientRect().width)[0].id = 'widest'",
    );
    browser.hover("#widest");
    browser.wait("!document.querySelector('#tip').hidden");
    assert!(browser.eval("document.querySelector('#tip').textContent").as_str().unwrap().contains("TTFT"));
    browser.eval("document.querySelector('#charts svg').focus()");
    browser.press('\u{e014}');
    assert_eq!(browser.eval("document.querySelectorAll('#charts svg .on').length"), 1);
    // On the time axis a moment tells the watts.
    browser.eval("document.querySelector('#run').scrollIntoView({ behavior: 'instant' })");
    browser.eval("[...document.querySelectorAll('#run svg rect[fill=transparent]')].at(-1).id = 'glass'");
    browser.hover("#glass");
    browser.wait("/ W$/m.test(document.querySelector('#tip').textContent)");
}

#[test]
fn in_a_browser_what_is_downloaded_is_what_is_shown() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("hostile.ndjson");
    browser.open(&file, "");
    let folder = browser.forget_saved();
    browser.click("header .menu summary");
    browser.click("#get-csv");
    let (csv, csv_name) = saved(&folder, "csv");
    assert!(csv.starts_with("model,"), "{csv}");
    assert!(csv.contains("\n'=cmd|"), "a formula is defused: {csv}");
    // What a hostile title makes of the file's name is a plain name.
    assert!(csv_name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{csv_name}");
    browser.eval("document.querySelector('header .menu').open = true");
    browser.click("#get-ndjson");
    let (ndjson, _) = saved(&folder, "ndjson");
    let rows: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 35);
    assert!(rows.iter().all(|row| row["type"] == "row"));
    // What is filtered away is not in the table that is saved.
    browser.forget_saved();
    browser.write("#filter", "cmd");
    browser.eval("document.querySelector('header .menu').open = true");
    browser.click("#get-csv");
    let (fewer, _) = saved(&folder, "csv");
    assert!(fewer.lines().count() < csv.lines().count(), "{fewer}");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

/// The file with this ending that the browser saved, once it is whole, and its name.
#[track_caller]
pub fn saved(folder: &std::path::Path, ending: &str) -> (String, String) {
    let mut found = None;
    wait_until("a file to be saved", || {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found = files.filter(|path| path.extension().is_some_and(|end| end == ending)).find(|path| path.is_file());
        found.is_some()
    });
    let path = found.unwrap();
    (fs::read_to_string(&path).unwrap(), path.file_name().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn in_a_browser_five_thousand_requests_are_no_burden() {
    let Some(mut browser) = browser() else { return };
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
    browser.click("tr.group .open");
    assert_eq!(browser.eval("document.querySelectorAll('tr.detail .plain tbody tr').length > 80"), true);
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_sliders_count_goodput_anew() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("token-rate.ndjson");
    browser.open(&file, "#slo=ttft=9,icl=9,e2e=9");
    let shares = "[...document.querySelector('.limits').parentElement.querySelectorAll('svg [data-tip]')].map((e) => e.dataset.tip).join()";
    let all = browser.eval(shares).as_str().unwrap().to_owned();
    browser.eval("document.querySelector('.limits input').focus()");
    // Home: the lowest that a slider goes.
    browser.press('\u{e011}');
    golden!("goodput-tips", all + "\n" + browser.eval(shares).as_str().unwrap());
    assert!(browser.eval("location.hash").as_str().unwrap().contains("slo="));
}
