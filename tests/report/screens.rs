//! `--screenshots`: what a browser without a network sees of produced pages.

use super::browser::{browser, found};
use super::{folder_of_pages, input};
use crate::common::golden::{case, golden};
use crate::common::{command, program, run, run_with, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

/// The answers of the JSON summary, by model.
fn answers(text: &str) -> BTreeMap<String, Value> {
    let summary: Value = serde_json::from_str(text).unwrap();
    let results = summary["results"].as_array().unwrap().clone();
    results.into_iter().map(|result| (result["model"].as_str().unwrap().to_owned(), result)).collect()
}

#[test]
fn pages_are_seen_as_they_are_and_reach_nobody() {
    if !found() {
        return eprintln!("skipped: no Chromium on PATH");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    let hostile = format!(
        "<h1>words</h1><img src='http://{local}/img'><script src='https://cdn.example/x.js'></script>\
         <link rel=stylesheet href='http://font.example/css'><iframe src='http://frame.example/'></iframe>\
         <img src='file:///etc/hostname'><script>fetch('http://{local}/fetch').catch(() => {{}}); new WebSocket('ws://{local}/ws');\
         navigator.sendBeacon('http://beacon.example/'); alert(1); setTimeout(() => {{ location = 'http://{local}/go' }}, 100);\
         new Worker(URL.createObjectURL(new Blob([\"fetch('http://{local}/worker').catch(() => 0); fetch('http://worker.example/').catch(() => 0)\"])));\
         console.error('one'); setTimeout(() => {{ throw new Error('two') }}, 10)</script>"
    );
    let late = "<body style='background:#fff'><script>setTimeout(() => { document.body.style.background = 'linear-gradient(red, blue)' }, 2500)</script>";
    let folder = folder_of_pages(&[
        ("hostile", &hostile),
        ("late", late),
        ("blank", "<!doctype html><title>nothing to see</title><style>body { background: #123 }</style>"),
        ("endless", "<h1>round</h1><script>for (;;) {}</script>"),
        ("after", "<h1>It goes on after a page that does not end</h1>"),
    ]);
    let temporary = tempfile::tempdir().unwrap();
    let seen = |format: &str| {
        let mut command = command("bench-report");
        command.env("TMPDIR", temporary.path()).args(["--screenshots", "-v", "-f", format]).arg(folder.path());
        run_with(command, "")
    };
    // One page did not end: that is one item that failed.
    let ran = seen("json").exits(1);
    golden!("screenshot-not-in-time", ran.lines_with("endless.html: "));
    let answers = answers(&ran.stdout);
    let told = |model: &str| (&answers[model]["rendered"], &answers[model]["console_errors"]);
    assert_eq!(told("late"), (&json!(true), &json!(0)));
    assert_eq!(told("blank"), (&json!(false), &json!(0)));
    assert_eq!(told("after"), (&json!(true), &json!(0)));
    assert_eq!(told("endless"), (&Value::Null, &Value::Null));
    assert_eq!(answers["hostile"]["rendered"], true);
    assert!(answers["hostile"]["console_errors"].as_u64() >= Some(2), "{}", answers["hostile"]);
    let hosts: Vec<&str> = answers["hostile"]["hosts"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut expect = vec!["beacon.example", "cdn.example", "font.example", "frame.example", "worker.example"];
    let local = local.to_string();
    expect.insert(0, &local);
    assert_eq!(hosts, expect);
    // Whatever it tried, nobody came.
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    // Nothing is left: no profile, no process.
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    let place = temporary.path().to_str().unwrap().to_owned();
    wait_until("the browser's processes to be gone", || {
        let lines = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&place)).count() == 0
    });
    // The pictures lie beside the pages.
    for model in ["hostile", "late", "blank", "after"] {
        let picture = fs::read(folder.path().join(format!("screenshots/{model}.png"))).unwrap();
        assert!(picture.starts_with(b"\x89PNG"), "{model}");
        assert_eq!(answers[model]["screenshot"], format!("screenshots/{model}.png"));
    }

    // What is known is not looked at again; what changed is.
    fs::write(folder.path().join("blank.html"), "<h1>now there is something</h1>").unwrap();
    let again = seen("csv-requests").exits(1);
    golden!("screenshots-again", again.lines_with(".html"));
    let mut csv = again.stdout.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = csv.next().unwrap();
    let at = |name: &str| head.iter().position(|word| *word == name).unwrap();
    let rows: Vec<(String, String, String)> = csv
        .map(|row| (row[at("model")].to_owned(), row[at("rendered")].to_owned(), row[at("console_errors")].to_owned()))
        .collect();
    assert!(rows.contains(&("blank".into(), "true".into(), "0".into())), "{rows:?}");
    assert!(rows.contains(&("endless".into(), String::new(), String::new())), "{rows:?}");
}

#[test]
fn in_a_browser_a_picture_is_on_the_card_and_beside_the_link_under_the_pointer_or_the_focus() {
    let Some(mut browser) = browser() else { return };
    let folder = folder_of_pages(&[
        ("a-seen", "<h1>seen</h1><script>undefined()</script><img src=http://cdn.example/x>"),
        ("other", "<p>x"),
    ]);
    let page = folder.path().join("index.html");
    let args = ["--screenshots".as_ref(), folder.path().as_os_str(), "-o".as_ref(), page.as_os_str()];
    run("bench-report", args, "").exits(0);
    browser.open(&page, "");
    assert_eq!(
        browser.eval("[...document.querySelectorAll('.answer img.shot')].map((e) => e.src.slice(0, 22)).join()"),
        "data:image/png;base64,,data:image/png;base64,"
    );
    let seen = browser
        .eval("[...document.querySelectorAll('.seen:first-of-type span')].map((e) => e.textContent).join('\\n')");
    golden!("answer-as-seen", seen.as_str().unwrap());
    let cells = "(() => { const heads = [...document.querySelectorAll('.models thead th')].map((e) => e.dataset.key); return ['rendered', 'console_errors', \
                 'hosts'].map((key) => document.querySelector('tr.group').children[heads.indexOf(key)].textContent).join(); })()";
    assert_eq!(browser.eval(cells), "yes,1,cdn.example");
    browser.hover("tr.group .links a");
    browser.wait("!document.querySelector('#shot').hidden && document.querySelector('#shot img').naturalWidth === 480");
    browser.hover("h1");
    browser.wait("document.querySelector('#shot').hidden");
    browser.eval("document.querySelector('tr.group .links a').focus()");
    browser.wait("!document.querySelector('#shot').hidden");
    browser.press('\u{e00c}');
    browser.wait("document.querySelector('#shot').hidden");
    let (asked, said) = browser.requests_and_complaints();
    assert_eq!((asked.len(), said), (1, Vec::new()), "{asked:?}");
}

#[test]
fn folders_of_the_scripts_before_us_have_pictures_too() {
    if !found() {
        return eprintln!("skipped: no Chromium on PATH");
    }
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(input("python-folder")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    // As a machine with another kind of paths wrote it.
    let hosted = folder.path().join("lab_hosted.json");
    let mut document: Value = serde_json::from_str(&fs::read_to_string(&hosted).unwrap()).unwrap();
    document["files"]["html"] = json!("C:\\bench\\reports\\lab_hosted.html");
    fs::write(&hosted, document.to_string()).unwrap();
    fs::write(folder.path().join("lab_hosted.html"), "<h1>hosted</h1>").unwrap();
    let ran =
        run("bench-report", ["--screenshots".as_ref(), "-f".as_ref(), "json".as_ref(), folder.path().as_os_str()], "");
    let answers = answers(&ran.exits(0).stdout);
    assert_eq!(answers["lab/hosted"]["rendered"], true);
    assert_eq!(answers["lab/local-7b@q4"]["rendered"], false, "its page has a title and nothing else");
    assert!(folder.path().join("screenshots/lab_hosted.png").is_file());
}

#[test]
fn without_a_browser_the_report_is_written_and_says_so() {
    let folder = folder_of_pages(&[("page", "<h1>x</h1>")]);
    let nothing = tempfile::tempdir().unwrap();
    let page = folder.path().join("index.html");
    let ran = |named: Option<&Path>| {
        let mut command = command("bench-report");
        command.arg("--screenshots").arg(folder.path()).arg("-o").arg(&page);
        match named {
            Some(program) => command.arg("--chromium").arg(program),
            None => command.env("PATH", nothing.path()),
        };
        run_with(command, "")
    };
    let none = ran(None).exits(1);
    let told = case("none", &none.stderr);
    assert!(fs::read_to_string(&page).unwrap().contains("class=\"answer\""));

    // One that is named and is not there is a mistake, told before anything is read.
    fs::remove_file(&page).unwrap();
    let missing = ran(Some(Path::new("/no/such/chromium"))).exits(2);
    let told = told + &case("missing", &missing.stderr);
    assert!(!page.exists());

    // One that does not start is told with its last words; the report is there.
    let dead = ran(Some(Path::new(program("llm-models")))).exits(1);
    golden!("screenshots-without-a-browser", told + &case("dead", &dead.lines_with("page.html")));
    assert!(page.exists());
}
