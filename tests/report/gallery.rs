//! The gallery in a real browser: what it shows, what it holds back, and how two answers stand side by side.

use super::browser::browser;
use super::{folder_of_pages, input};
use crate::common::{run, wait_until};
use llm_bench::record::{Source, fixture};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// A run folder of pages, one model each, and its report.
fn folder_of(pages: &[(&str, &str)], args: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = folder_of_pages(pages);
    let page = folder.path().join("index.html");
    let mut all: Vec<&str> = args.to_vec();
    all.extend([folder.path().to_str().unwrap(), "-o", page.to_str().unwrap()]);
    run("bench-report", all, "").exits(0);
    (folder, page)
}

fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(input(name)).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let page = folder.path().join("index.html");
    run("bench-report", [folder.path().as_os_str(), "-o".as_ref(), page.as_os_str()], "").exits(0);
    (folder, page)
}

/// A page that tries everything that a page can try.
const HOSTILE: &str = r##"<!doctype html><html style="background:url(http://a.example/1)"><head><base href="http://base.example/">
<meta http-equiv="refresh" content="0;url=http://refresh.example/"><title>x</title>
<style>@import "http://import.example/x.css"; body { background: #123456 url("http://css.example/b.png"); color: rgb(1, 2, 3) }
@font-face { font-family: f; src: url(http://font.example/f.woff) } h1 { font-family: f; background: u\72l(http://escape.example/) }
p { background-image: image-set("http://set.example/1.png" 1x) }</style>
<link rel="stylesheet" href="http://link.example/x.css"><link rel="preconnect" href="http://connect.example"><link rel="prefetch" href="http://prefetch.example/">
<link rel="modulepreload" href="http://module.example/x.js"><link rel="icon" href="http://icon.example/"><script src="http://script.example/x.js"></script></head>
<body onload="parent.pwned = 1" style='width: 1280px; background: url("http://attr.example/")'>
<h1 style="color: rgb(7, 8, 9)">Hello</h1><p>words &lt;b&gt;</p><img src="http://img.example/1.png" srcset="http://srcset.example/2.png 2x" onerror="parent.pwned = 2">
<svg><image href="http://svg.example/1.svg"/><use xlink:href="http://use.example/#x"/><style>a { fill: url(http://fill.example/) }</style><script>parent.pwned = 3</script></svg>
<iframe src="http://frame.example/"></iframe><object data="http://object.example/"></object><embed src="http://embed.example/">
<video poster="http://poster.example/" src="http://video.example/"><source src="http://source.example/"></video><audio src="http://audio.example/" autoplay></audio>
<form action="http://form.example/"><input type="image" src="http://input.example/" autofocus><button>go</button></form>
<a href="javascript:parent.pwned=4" target="_top">a</a><div><template shadowrootmode="open"><link rel="preconnect" href="http://hint.example/"><style>b{background:url(http://shadow.example/)}</style></template></div>
<noscript><link rel="preconnect" href="http://noscript.example/"><img src="http://still.example/"></noscript>
<img id="own" src="data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">
<script>parent.pwned = 5; fetch("http://fetch.example/"); top.location = "http://top.example/"; console.error("no")</script>
<p title='"><img src=http://quote.example/>' style=color:red;background:url(http://bare.example/)>end</p></body></html>"##;

#[test]
fn in_a_browser_still_pages_run_nothing_and_load_nothing() {
    let Some(mut browser) = browser() else { return };
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    let hostile = HOSTILE.replace("http://", &format!("http://{address}/"));
    let (_folder, page) = folder_of(
        &[("a-hostile", &hostile), ("empty", ""), ("interrupted", "<h1>Half a page<style>h1 { color: red")],
        &[],
    );
    browser.open(&page, "");
    // None is made before it comes near.
    browser.eval("document.querySelector('.gallery').scrollIntoView({ behavior: 'instant' })");
    browser.wait("document.querySelectorAll('.thumb iframe[data-ready]').length === 3");
    assert_eq!(browser.eval("[...document.querySelectorAll('iframe')].every((f) => f.getAttribute('sandbox') === 'allow-same-origin' && f.inert)"), true);
    // It is the page: its words, its colours, whether they were in a sheet or at an element.
    let inside = "document.querySelector('.thumb iframe').contentDocument";
    assert_eq!(browser.eval(&format!("{inside}.querySelector('h1').textContent")), "Hello");
    assert_eq!(browser.eval(&format!("{inside}.querySelector('p').textContent")), "words <b>");
    let style = |what: &str, name: &str| {
        format!("{inside}.defaultView.getComputedStyle({inside}.querySelector('{what}')).{name}")
    };
    assert_eq!(browser.eval(&style("h1", "color")), "rgb(7, 8, 9)");
    assert_eq!(browser.eval(&style("body", "color")), "rgb(1, 2, 3)");
    browser.wait(&format!("{inside}.querySelector('#own').naturalWidth === 1"));
    let fits = "(() => { const [f, b] = ['.thumb iframe', '.thumb'].map((s) => document.querySelector(s).getBoundingClientRect()); return Math.abs(f.width - b.width) < 3; })()";
    assert_eq!(browser.eval(fits), true, "a thumbnail is as wide as its room");
    // Looked at closely it is the same still page, and its links lead nowhere.
    browser.click(".answer .look");
    let look = "document.querySelector('#viewer iframe[data-ready]')";
    browser.wait(&format!("{look} !== null"));
    assert_eq!(browser.eval(&format!("{look}.contentDocument.querySelector('h1').textContent")), "Hello");
    browser.eval(&format!("{look}.contentDocument.querySelectorAll('a, button').forEach((e) => e.click())"));
    browser.settle();
    assert!(server.accept().is_err(), "nothing connects");
    assert_eq!(browser.eval("window.pwned === undefined && location.protocol === 'file:'"), true);
    // The address can be reached: the page that runs reaches it.
    browser.click("#viewer [data-mode=alive]");
    wait_until("the running page to connect", || server.accept().is_ok());
}

#[test]
fn in_a_browser_a_page_runs_when_it_is_asked_to_and_is_a_stranger_then() {
    let Some(mut browser) = browser() else { return };
    let alive = "<h1>still</h1><script>document.querySelector('h1').textContent = 'alive'; try { parent.pwned = 1 } catch {} \
                 try { parent.document.title = 'pwned' } catch {}; document.title = String(origin)</script>";
    let (_folder, page) = folder_of(&[("alive", alive), ("other", "<h1>other</h1>")], &[]);
    browser.open(&page, "");
    browser.click(".answer .live");
    browser.wait("document.querySelector('#viewer iframe') !== null");
    assert_eq!(browser.eval("document.querySelector('#viewer iframe').getAttribute('sandbox')"), "allow-scripts");
    // It is loaded, and it is a stranger: the page around it cannot look inside, nor it out.
    browser.wait("document.querySelector('#viewer iframe').contentDocument === null");
    assert_eq!(browser.eval("window.pwned === undefined && document.title !== 'pwned'"), true);
    let mut asked = Vec::new();
    wait_until("its file to be asked for", || {
        asked.extend(browser.requests_and_complaints().0);
        asked.iter().any(|url| url.ends_with("/alive.html"))
    });
    // Closed, it is gone.
    browser.press('\u{e00c}');
    browser.wait("!document.querySelector('#viewer').open && document.querySelector('#viewer iframe') === null");
}

#[test]
fn in_a_browser_two_answers_stand_side_by_side_by_mouse_by_keyboard_and_by_address() {
    let Some(mut browser) = browser() else { return };
    let (_folder, page) = copy("run-folder");
    browser.open(&page, "");
    assert_eq!(browser.eval("document.querySelectorAll('.answer').length"), 2);
    browser.click(".answer .beside");
    browser.wait("document.querySelectorAll('#viewer .pane').length === 2");
    let tops = browser
        .eval("[...document.querySelectorAll('#viewer .pane')].map((e) => Math.round(e.getBoundingClientRect().top))");
    assert_eq!(tops[0], tops[1], "they stand beside each other");
    assert_eq!(
        browser.eval(
            "document.querySelectorAll('.pane select')[0].value !== document.querySelectorAll('.pane select')[1].value"
        ),
        true
    );
    let hash = browser.eval("location.hash").as_str().unwrap().to_owned();
    assert!(hash.contains("look=0%2C1"), "{hash}");
    // The answer's Markdown is text of this page, and safe: what was bold is bold, what was code is code.
    assert_eq!(browser.eval("document.querySelector('.prose strong').textContent"), "the board");
    assert!(
        browser.eval("document.querySelector('.prose pre').textContent").as_str().unwrap().contains("<!doctype html>")
    );
    // On a phone one stands below the other.
    browser.size(Some((390, 800)));
    browser.open(&page, &hash);
    browser.wait("document.querySelectorAll('#viewer[open] .pane').length === 2");
    let tops = browser
        .eval("[...document.querySelectorAll('#viewer .pane')].map((e) => Math.round(e.getBoundingClientRect().top))");
    assert!(tops[1].as_f64() > tops[0].as_f64(), "{tops}");
    browser.size(None);
    // The keyboard closes it, and the focus is where it was.
    browser.open(&page, "");
    browser.eval("document.querySelector('.answer .look').focus()");
    browser.press('\u{e007}');
    browser.wait("document.querySelector('#viewer')?.open === true");
    browser.press('\u{e00c}');
    browser.wait("!document.querySelector('#viewer').open");
    assert_eq!(browser.eval("document.activeElement.className"), "look");
    // The event of the closing comes after it.
    browser.wait("location.hash === ''");
    let unnamed = "[...document.querySelectorAll('#answers button, #answers img, #answers iframe:not([aria-hidden])')].filter((e) => !(e.getAttribute('aria-label') || e.textContent || e.alt || e.title)).length";
    assert_eq!(browser.eval(unnamed), 0, "everything has a name");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn in_a_browser_a_page_that_was_sent_alone_still_shows_what_was_produced() {
    let Some(mut browser) = browser() else { return };
    let (_folder, page) = folder_of(&[("sent", "<h1>was sent</h1>")], &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    let alone = elsewhere.path().join("sent.html");
    fs::copy(page, &alone).unwrap();
    browser.open(&alone, "#look=0");
    browser.wait("document.querySelector('#viewer iframe[data-ready]') !== null");
    assert_eq!(browser.eval("document.querySelector('#viewer iframe').contentDocument.body.textContent"), "was sent");
}

#[test]
fn many_answers_to_short_prompts_are_few_cards_and_the_page_says_so() {
    let lines: String = (0..64)
        .map(|at| {
            let result =
                fixture::result(at + 1, "m").source(Source::Openai).concurrency(1).sent(202.5 + at as f64).e2e(1.0);
            let result = result.tokens(None, 9).prompt(format!("token-rate-{}", at / 2));
            result.set(|o| o.text = Some(format!("answer {at}"))).line()
        })
        .collect();
    let page = run("bench-report", [] as [&str; 0], lines).exits(0).stdout;
    assert_eq!(page.matches("<article class=\"answer\"").count(), 6);
    assert!(page.contains("6 of 64 answers"));
    // Of different prompts, not twice the first.
    for at in [0, 2, 4, 6, 8, 10] {
        assert!(page.contains(&format!("<p>answer {at}</p>")), "{at}");
    }
}

#[test]
fn a_page_is_held_up_to_a_size_and_only_what_is_a_page_of_the_folder() {
    let large = format!("<p>{}", "x".repeat(300_000));
    let (folder, page) = folder_of(&[("small", "<p>small"), ("large", &large)], &[]);
    let text = fs::read_to_string(&page).unwrap();
    let held = |text: &str| text.split("data-page=\"").skip(1).filter(|rest| !rest.starts_with('"')).count();
    assert_eq!((held(&text), text.matches("data-page=").count()), (1, 2));
    assert!(text.len() < 400_000, "{} bytes", text.len());
    // A link out of the folder, and a file that is no page, are not read into what is sent around.
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("secret.html"), "<p>secret").unwrap();
    fs::remove_file(folder.path().join("small.html")).unwrap();
    std::os::unix::fs::symlink(secret.path().join("secret.html"), folder.path().join("small.html")).unwrap();
    fs::write(folder.path().join("id_rsa"), "key").unwrap();
    let results = fs::read_to_string(folder.path().join("results.ndjson")).unwrap().replace("large.html", "id_rsa");
    fs::write(folder.path().join("results.ndjson"), results).unwrap();
    run("bench-report", [folder.path().as_os_str(), "-o".as_ref(), page.as_os_str()], "").exits(0);
    assert!(!fs::read_to_string(&page).unwrap().contains("data-page="));
}

#[test]
fn in_a_browser_the_pages_of_the_scripts_before_us_are_in_the_gallery() {
    let Some(mut browser) = browser() else { return };
    let (folder, page) = copy("python-folder");
    let named: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("lab_local-7b_q4.json")).unwrap()).unwrap();
    assert!(Path::new(named["files"]["html"].as_str().unwrap()).is_absolute(), "it names another machine's path");
    browser.open(&page, "#look=0");
    browser.wait("document.querySelector('#viewer iframe[data-ready]') !== null");
    assert_eq!(browser.eval("document.querySelector('.answer .links a').getAttribute('href')"), "lab_local-7b_q4.html");
    let (_, said) = browser.requests_and_complaints();
    assert_eq!(said, Vec::<String>::new());
}
