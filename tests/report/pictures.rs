//! The pictures of the page in README.md, made by the program from a run folder: `make screenshot` writes them into `docs/`
//! from a demo. Without that, the same views of a small run are taken, so that each is known to be there.

use super::browser::browser;
use super::input;
use crate::common::{root, run};
use std::fs;
use std::path::PathBuf;

/// Name, window, state of the page, what to do before the picture is taken.
const VIEWS: [(&str, (u32, u32), &str, &str); 5] = [
    ("demo", (1400, 1150), "", "scrollTo(0, 0)"),
    ("demo-charts", (1400, 1000), "", "document.querySelector('#charts').scrollIntoView({ behavior: 'instant' })"),
    ("demo-dark", (1400, 900), "#theme=dark", "document.querySelector('#run').scrollIntoView({ behavior: 'instant' })"),
    ("demo-answers", (1400, 820), "#look=0,1", RUNNING),
    ("demo-phone", (390, 844), "", "scrollTo(0, 0)"),
];

/// Two pages side by side that run, where there are two.
const RUNNING: &str = "Promise.all([...document.querySelectorAll('#viewer [data-mode=alive]')].map((button) => { button.click(); \
                       const frame = button.closest('.pane').querySelector('iframe'); return new Promise((done) => { frame.onload = done; }); }))";

#[test]
fn in_a_browser_the_pictures_of_the_readme_are_taken_from_the_page() {
    let Some(mut browser) = browser() else { return };
    // Set by `make screenshot`.
    let demo = std::env::var_os("SCREENSHOTS_OF").map(PathBuf::from);
    let from = demo.clone().unwrap_or_else(|| input("run-folder"));
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let page = folder.path().join("index.html");
    let mut args = vec![folder.path().as_os_str(), "-o".as_ref(), page.as_os_str()];
    if demo.is_some() {
        args.push("--screenshots".as_ref());
    }
    run("bench-report", args, "").exits(0);
    for (name, size, hash, before) in VIEWS {
        browser.size(Some(size));
        browser.open(&page, hash);
        browser.settle();
        browser.eval(before);
        browser
            .wait("[...document.querySelectorAll('#viewer .still iframe')].every((frame) => 'ready' in frame.dataset)");
        browser.settle();
        let picture = browser.picture();
        // IHDR: the picture is as large as the window was.
        let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        assert_eq!((number(16), number(20)), size, "{name}");
        assert!(picture.len() > 10_000, "{name} shows nothing: {} bytes", picture.len());
        let file = root().join("docs").join(format!("{name}.png"));
        if demo.is_some() {
            fs::write(&file, &picture).unwrap();
        }
        assert!(fs::read_to_string(root().join("README.md")).unwrap().contains(&format!("docs/{name}.png")), "{name}");
        assert!(file.is_file(), "make screenshot writes {}", file.display());
    }
    browser.size(None);
    let all = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let bytes: u64 = all
        .filter(|path| path.extension().is_some_and(|end| end == "png"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes < 1_500_000, "{bytes} bytes of pictures");
}
