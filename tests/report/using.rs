//! The page as it is used in a real browser: what filters understand, where sliders begin, what Tab reaches, what paper
//! shows, and that a page that follows a run stays where its reader is.

use super::browser::{Browser, browser};
use super::html::data;
use super::input;
use super::page::written;
use crate::common::golden::{case, golden, numbers_in};
use crate::common::{run, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Types into the filter as a person would, all at once; says the rows that are left and what is said of it.
fn filtered(browser: &mut Browser, expression: &str) -> (String, String) {
    browser.eval(&format!(
        "(() => {{ const f = document.querySelector('#filter'); f.value = {}; f.dispatchEvent(new Event('input')); }})()",
        json!(expression)
    ));
    let left = "[...document.querySelectorAll('tr.group:not([hidden]) .name')].map((e) => e.textContent.split('/')[0]).join(' ')";
    let text = |value: Value| value.as_str().unwrap().to_owned();
    (text(browser.eval(left)), text(browser.eval("document.querySelector('#count').textContent")))
}

const ALL: &str = "deepseek google meta mistralai openai qwen";

#[test]
fn in_a_browser_filters_mean_what_they_say() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    for (expression, left) in [
        ("", ALL),
        ("   ", ALL),
        ("gemma", "google"),
        ("GEMMA", "google"),
        ("gemma llama", ""),
        ("gemma or llama", "google meta"),
        ("gemma OR llama or qwen3-coder", "google meta qwen"),
        ("not qwen", "google meta mistralai openai"),
        ("not not gemma", "google"),
        ("tok_s>50", "meta openai qwen"),
        ("tok_s > 50", "meta openai qwen"),
        ("TOK_S>50tok/s", "meta openai qwen"),
        ("tok_s>50 and openai", "openai"),
        ("tok_s>50 and not (openai or meta)", "qwen"),
        // `and` binds closer than `or`.
        ("gemma or tok_s>50 and openai", "google openai"),
        ("(gemma or tok_s>50) and (openai or gemma)", "google openai"),
        ("ttft_p50<500ms", "meta openai"),
        ("ttft_p50<0.5", "meta openai"),
        ("ttft_p50<=0.42s", "meta openai"),
        ("ttft_p50>=0.01min", "deepseek google"),
        ("mem_peak<6GB", "meta"),
        ("mem_peak<6000MB", "meta"),
        ("mem_peak>=20GiB", "deepseek qwen"),
        ("ttft_p50=0.42", "openai"),
        ("ttft_p50!=0.42", "deepseek google meta qwen"),
        ("load_s=7.7", "deepseek"),
        ("out_tok>4e3", "qwen"),
        ("finish=length", "deepseek"),
        ("finish!=stop", "deepseek"),
        ("failed=1", "mistralai"),
        // What was not measured keeps no condition, in neither direction; and so `not` finds it.
        ("tok_s>0 or tok_s<=0", "deepseek google meta openai qwen"),
        ("not tok_s>0", "mistralai"),
        ("model=openai/gpt-oss-20b", "openai"),
        ("model=\"openai/gpt-oss-20b\"", "openai"),
        ("\"gpt-oss-20b\"", "openai"),
        ("\"r1 distill\"", ""),
        // A blank before the unit is none, but only where it is a unit of this column.
        ("ttft_p50 < 500 ms", "meta openai"),
        ("ttft_p50<500ms openai", "openai"),
        ("tok_s>50 w", "qwen"),
        ("nothing-has-this-name", ""),
        ("load_level=\"1 at once\"", ALL),
        // A column by its head, by the beginning of its key, and of percentiles the median.
        ("ttft<500ms", "meta openai"),
        ("TTFT < 500 ms", "meta openai"),
        ("ttft_p50<500ms and decode>0", "meta openai"),
        ("mem_pe<6GB", "meta"),
        ("output_tokens>4e3", "qwen"),
        ("peak_memory<6GB", "meta"),
        ("p50_ttft_ms<500ms", "meta openai"),
        ("request_latency>2min", "deepseek"),
        ("itl>=0", "deepseek google meta openai qwen"),
        ("out_t>4e3", "qwen"),
        ("((gemma))", "google"),
    ] {
        let (got, said) = filtered(&mut browser, expression);
        assert_eq!(got, left, "{expression}: {said}");
        assert_eq!(
            browser.eval("document.querySelector('#filter').getAttribute('aria-invalid')"),
            "false",
            "{expression}"
        );
        let n = left.split_whitespace().count() as f64;
        assert_eq!(numbers_in(&said), if n == 6.0 { vec![6.0] } else { vec![n, 6.0] }, "{expression}: {said}");
    }
    // What cannot be read hides nothing, and says in a sentence what is wrong.
    let mut told = String::new();
    for expression in [
        "speed>50",
        "tok_s>",
        "tok_s>>5",
        "tok_s>fast",
        "tok_s>1.2.3",
        "tok_s>50ms",
        "failed>1s",
        "ttft_p5O<1s",
        ">50",
        "! gemma",
        "(gemma",
        "gemma)",
        "gemma or",
        "or gemma",
        "not",
        "(gemma or not) and meta",
        "__proto__>1",
        "constructor=1",
    ] {
        let (left, said) = filtered(&mut browser, expression);
        assert_eq!(left, ALL, "{expression}");
        told += &case(expression, &said);
        assert_eq!(
            browser.eval("document.querySelector('#filter').getAttribute('aria-invalid')"),
            "true",
            "{expression}"
        );
    }
    golden!("filter-refused", told);
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_a_filter_that_leaves_nothing_says_so_and_offers_the_way_back() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "#q=nothing-has-this-name");
    assert_eq!(browser.eval("document.querySelector('#none-left').hidden"), false);
    let count = browser.eval("document.querySelector('#count').textContent");
    assert_eq!(numbers_in(count.as_str().unwrap()), [0.0, 6.0]);
    let charts = "[...document.querySelectorAll('#charts figure')].filter((e) => !e.textContent.includes('nothing of what the filter leaves')).map((e) => e.dataset.chart).join()";
    assert_eq!(browser.eval(charts), "", "these charts draw something of nothing");
    browser.click("#none-left button");
    assert_eq!(browser.eval("document.querySelector('#none-left').hidden"), true);
    assert_eq!(browser.eval("document.querySelectorAll('tr.group:not([hidden])').length"), 6);
    assert_eq!(browser.eval("location.hash"), "");
    assert_eq!(browser.eval("document.activeElement.id"), "filter");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

/// The output beside a slider.
fn limit(browser: &mut Browser, key: &str) -> String {
    let css = format!(
        "document.querySelector('[data-limit={key}]')?.parentElement.querySelector('output').textContent ?? ''"
    );
    browser.eval(&css).as_str().unwrap().to_owned()
}

#[test]
fn in_a_browser_sliders_begin_where_the_data_or_the_flag_say_and_count_anew_when_moved() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.html");
    let source = input("token-rate.ndjson");
    let text = fs::read_to_string(&source).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let measured = rows.iter().filter(|row| row["type"] == "result" && row["phase"] == "measure");
    let mut times: Vec<f64> = measured.filter_map(|row| row["ttft_seconds"].as_f64()).collect();
    times.sort_by(f64::total_cmp);
    let slowest = *times.last().unwrap();
    let shares = "[...document.querySelector('.limits').parentElement.querySelectorAll('svg [data-tip]')].map((e) => e.dataset.tip).join()";
    let seconds = |said: &str| -> f64 {
        let (number, unit) = said.split_once(' ').unwrap();
        number.parse::<f64>().unwrap() * if unit.starts_with("ms") { 1e-3 } else { 1.0 }
    };

    // Nobody named a limit: each is at the slowest request, at its end, and all requests keep it.
    run("bench-report", [source.as_os_str(), "-o".as_ref(), file.as_os_str()], "").exits(0);
    browser.open(&file, "");
    assert_eq!(browser.eval("document.querySelector('[data-slo-origin]').dataset.sloOrigin"), "data");
    let said = limit(&mut browser, "ttft");
    assert!(said.contains('(') && (seconds(&said) / slowest - 1.0).abs() < 0.01, "{said} for {slowest}");
    assert_eq!(browser.eval("document.querySelector('[data-limit=ttft]').value"), "1000");
    let good = |told: &str, n: f64| numbers_in(told).windows(2).any(|pair| pair == [n, 32.0]);
    assert!(good(browser.eval(shares).as_str().unwrap(), 32.0));
    // Moved to the left it is a limit, and the share is counted of the requests themselves.
    browser.eval("(() => { const s = document.querySelector('[data-limit=ttft]'); s.value = 500; s.dispatchEvent(new Event('input')); })()");
    let hash = browser.eval("decodeURIComponent(location.hash)").as_str().unwrap().to_owned();
    let asked: f64 = hash.split("ttft=").nth(1).unwrap().split([',', '&']).next().unwrap().parse().unwrap();
    let kept = times.iter().filter(|t| **t <= asked * (1.0 + 1e-5)).count();
    assert!(0 < kept && kept < 32, "{kept} with {asked}");
    let told = browser.eval(shares).as_str().unwrap().to_owned();
    assert!(good(&told, kept as f64), "{told}, not {kept}");
    assert!((seconds(&limit(&mut browser, "ttft")) / asked - 1.0).abs() < 0.01);
    assert!(!hash.contains("e2e="), "a limit that nobody moved is none: {hash}");
    // The address has it again.
    browser.open(&file, &format!("#slo=ttft={asked}"));
    assert_eq!(browser.eval(shares).as_str(), Some(told.as_str()));

    // Asked for on the command line they begin there, and the share is the one of the table.
    let slo = format!("ttft={:.0}ms,e2e=5s", times[16] * 1e3);
    run("bench-report", [source.as_os_str(), "--slo".as_ref(), slo.as_ref(), "-o".as_ref(), file.as_os_str()], "")
        .exits(0);
    browser.open(&file, "");
    assert_eq!(browser.eval("document.querySelector('[data-slo-origin]').dataset.sloOrigin"), "asked");
    let said = limit(&mut browser, "ttft");
    assert!((seconds(&said) / times[16] - 1.0).abs() < 0.01 && !said.contains('('), "{said} for {}", times[16]);
    assert!(limit(&mut browser, "e2e").starts_with("5.00 s"), "{}", limit(&mut browser, "e2e"));
    assert!(limit(&mut browser, "icl").contains('('));
    let cell = data(&fs::read_to_string(&file).unwrap())["groups"][0]["cells"]["goodput"].as_f64().unwrap();
    let told = browser.eval(shares).as_str().unwrap().to_owned();
    assert!(good(&told, (cell * 32.0).round()), "{told} for {cell}");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_tab_reaches_what_sorts_what_opens_and_every_chart() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("run-folder");
    browser.open(&file, "");
    let here = "(() => { const e = document.activeElement; if (e.closest('thead')) return 'sort ' + e.closest('th').dataset.key; \
                if (e.matches('.open')) return 'open ' + e.closest('tr').dataset.g; \
                if (e.matches('svg')) return 'chart ' + e.closest('figure').dataset.chart; return e.id || e.localName; })()";
    let mut reached = BTreeSet::new();
    for _ in 0..400 {
        browser.press('\u{e004}');
        let at = browser.eval(here).as_str().unwrap().to_owned();
        if at == "body" && !reached.is_empty() {
            break;
        }
        reached.insert(at);
    }
    let has = |what: &str| assert!(reached.contains(what), "Tab does not reach {what}: {reached:?}");
    let list = |expression: &str, browser: &mut Browser| -> Vec<String> {
        browser.eval(expression).as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let shown = list(
        "[...document.querySelectorAll('table.models thead th:not(.hidden)')].map((e) => 'sort ' + e.dataset.key)",
        &mut browser,
    );
    assert!(shown.len() > 8);
    let charts = list(
        "[...document.querySelectorAll('#charts figure, #run figure')].map((e) => 'chart ' + e.dataset.chart)",
        &mut browser,
    );
    assert!(charts.len() > 3, "{charts:?}");
    shown.iter().chain(&charts).for_each(|what| has(what));
    (0..6).for_each(|row| has(&format!("open {row}")));
    ["filter", "theme"].into_iter().for_each(has);
    // There they do by Enter what they do by a click.
    browser.eval("document.querySelector('th[data-key=tok_s] button').focus()");
    browser.press('\u{e007}');
    assert_eq!(browser.eval("document.querySelector('th[data-key=tok_s]').getAttribute('aria-sort')"), "descending");
    browser.eval("document.querySelector('tr.group .open').focus()");
    browser.press('\u{e007}');
    assert_eq!(browser.eval("document.querySelectorAll('tr.detail').length"), 1);
    // The skip link comes first.
    browser.open(&file, "");
    browser.press('\u{e004}');
    assert_eq!(browser.eval("document.activeElement.className"), "skip");
}

#[test]
fn in_a_browser_a_page_that_follows_a_run_stays_where_its_reader_is() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (growing, out) = (folder.path().join("results.ndjson"), folder.path().join("index.html"));
    let text = fs::read_to_string(input("token-rate.ndjson")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&growing, format!("{}\n", lines[..50].join("\n"))).unwrap();
    let mut command = crate::common::command("bench-report");
    command.args(["--follow", "--interval", "100ms", "-o"]).args([&out, &growing]);
    let mut child = command.spawn().unwrap();
    wait_until("the first report", || fs::read_to_string(&out).unwrap_or_default().contains("refresh-seconds"));
    browser.open(&out, "#sort=-tok_s&theme=dark&open=0");
    let few = browser.eval("document.querySelector('.facts').textContent").as_str().unwrap().to_owned();
    browser.eval("document.querySelector('#words details').open = true");
    browser.eval("scrollTo({ top: 700, behavior: 'instant' })");
    let before = browser.eval("scrollY");
    assert!(before.as_f64() > Some(400.0), "{before}");
    browser.eval("window.unread = true");
    fs::write(&growing, &text).unwrap();
    browser.wait("window.unread === undefined && document.documentElement.dataset.ready !== undefined && document.querySelector('.facts').textContent.includes('32 ')");
    assert!(!numbers_in(&few).contains(&32.0), "{few}");
    browser.wait(&format!("Math.abs(scrollY - {before}) < 3"));
    assert_eq!(browser.eval("decodeURIComponent(location.hash)"), "#sort=-tok_s&theme=dark&open=0");
    assert_eq!(browser.eval("document.querySelector('#words details').open"), true);
    assert_eq!(browser.eval("document.querySelectorAll('tr.detail').length"), 1);
    assert_eq!(browser.eval("document.documentElement.dataset.theme"), "dark");
    // Whoever types is not interrupted.
    browser.eval("document.querySelector('#filter').focus(); window.unread = true;");
    let written = fs::metadata(&out).unwrap().modified().unwrap();
    let one_more = lines[50].replace("\"id\":18,", "\"id\":35,");
    assert_ne!(one_more, lines[50]);
    fs::write(&growing, format!("{text}{one_more}\n")).unwrap();
    wait_until("another report", || fs::metadata(&out).unwrap().modified().unwrap() > written);
    browser.eval("new Promise((done) => setTimeout(done, 2500))");
    assert_eq!(browser.eval("window.unread"), true);
    let asked = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(asked.success() && child.wait().unwrap().success());
    // The run is over: the page is read once more, and then stays as it is.
    browser.eval("document.activeElement.blur()");
    browser.wait("window.unread === undefined && !document.querySelector('meta[name=refresh-seconds]')");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_paper_has_the_prompts_the_reasons_and_the_values_that_a_pointer_would_find() {
    let Some(mut browser) = browser() else { return };
    let (_folder, file) = written("token-rate.ndjson");
    browser.open(&file, "");
    let open = "document.querySelectorAll('details[open]').length";
    let before = browser.eval(open);
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    browser.eval("dispatchEvent(new Event('beforeprint'))");
    let seen = |css: &str| format!("[...document.querySelectorAll({css:?})].filter((e) => e.checkVisibility()).length");
    let prompts = browser.eval("document.querySelectorAll('.prompt').length");
    assert!(prompts.as_u64() > Some(3), "{prompts}");
    assert_eq!(browser.eval(&seen(".prompt pre")), prompts, "all prompts are unfolded");
    assert_eq!(browser.eval(&seen(".badge p")), browser.eval("document.querySelectorAll('.badge').length"));
    assert_eq!(browser.eval(&seen("figure .told-values")), browser.eval("document.querySelectorAll('figure').length"));
    let reasons = browser.eval("document.querySelector('.reasons').textContent").as_str().unwrap().to_owned();
    golden!("reasons-on-paper", reasons);
    for css in ["#filter", "#theme", ".told summary", ".copy", ".on-screen"] {
        assert_eq!(browser.eval(&seen(css)), 0, "{css}");
    }
    browser.eval("dispatchEvent(new Event('afterprint'))");
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "" }));
    assert_eq!(browser.eval(open), before, "afterwards the page is as it was");
    assert_eq!(browser.eval("document.querySelectorAll('.on-paper.told-values, .reasons').length"), 0);
    // The printer itself: some sheets, not hundreds.
    let sheets = browser.devtools("Page.printToPDF", json!({}));
    let pdf =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, sheets["data"].as_str().unwrap()).unwrap();
    let pages = pdf.windows(12).filter(|part| part == b"/Type /Page\n").count();
    assert!((2..30).contains(&pages), "{pages} sheets");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}
