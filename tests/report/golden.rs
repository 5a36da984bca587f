//! Pages of next to nothing, as they were looked at: no input, one result, only failures, missing fields.
//!
//! A golden page is the markup without what says nothing to a reader of a difference: style, script, embedded numbers and
//! their hashes are elided to a mark, and each element has a line of its own. A change of the style changes no golden.

use super::{input, page};
use std::fs;
use std::path::Path;

/// Compares with a golden file, or writes it where it is asked to. What differs is shown by its first lines.
#[track_caller]
pub fn hold(golden: &Path, got: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        fs::write(golden, got).unwrap();
    }
    let expect = fs::read_to_string(golden).unwrap_or_default();
    if let Some(words) = difference(&expect, got) {
        let name = golden.display();
        panic!("{name} is another now:\n{words}\nIf it is better so, `make bless` writes it, and git diff shows it.");
    }
}

/// The first lines in which two texts differ, a few before them for orientation; nothing where they are the same.
fn difference(expect: &str, got: &str) -> Option<String> {
    const BEFORE: usize = 2;
    const SHOWN: usize = 8;
    if expect == got {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (expect.split('\n').collect(), got.split('\n').collect());
    let first = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    // What is the same at the end is no difference, so that one line more is shown as one line.
    let rest = old.len().min(new.len()) - first;
    let last = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut words = format!("from line {} on:\n", first + 1);
    old[first.saturating_sub(BEFORE)..first].iter().for_each(|line| words += &format!("  {line}\n"));
    for (sign, lines) in [('-', &old), ('+', &new)] {
        let other = &lines[first..lines.len() - last];
        other.iter().take(SHOWN).for_each(|line| words += &format!("{sign} {line}\n"));
        if other.len() > SHOWN {
            words += &format!("{sign} … and {} lines more\n", other.len() - SHOWN);
        }
    }
    Some(words)
}

/// The markup of a page, an element per line. It must be well nested: what is opened is closed, in order.
#[track_caller]
fn markup(page: &str) -> String {
    const VOID: [&str; 4] = ["meta", "input", "br", "!doctype"];
    let page = page.replace(concat!("bench-report ", env!("CARGO_PKG_VERSION")), "bench-report (version)");
    // Words in another type stay where they are in their sentence.
    let mut page = page.replace("<code>", "‹code›").replace("</code>", "‹/code›");
    page = page.replace("<small>", "‹small›").replace("</small>", "‹/small›");
    let mut lines: Vec<String> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.as_str();
    // Whether the last line is an opening tag and at most its text: what closes it then stands beside it.
    let mut leaf = false;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        let (tag, after) = rest[at..].split_once('>').expect("a tag is closed");
        rest = after;
        let words = match open.last() {
            Some(&"style" | &"script") => String::new(),
            Some(&"pre") => text.replace('\n', "⏎"),
            _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let indent = "  ".repeat(open.len());
        if !words.is_empty() {
            match lines.last_mut().filter(|_| leaf) {
                Some(line) => *line += &words,
                None => lines.push(format!("{indent}{words}")),
            }
        }
        if let Some(name) = tag.strip_prefix("</") {
            assert_eq!(open.pop(), Some(name), "what is closed was opened last, near {text:?}");
            match lines.last_mut().filter(|_| leaf) {
                Some(line) => *line += &format!("{tag}>"),
                None => lines.push(format!("{}{tag}>", "  ".repeat(open.len()))),
            }
            leaf = false;
        } else {
            lines.push(format!("{indent}{}>", without_hashes(tag)));
            let name = tag[1..].split_whitespace().next().unwrap();
            leaf = !VOID.contains(&name);
            if leaf {
                open.push(name);
            }
            // Neither style nor script is markup: the next tag is the one that closes it.
            if matches!(name, "style" | "script") {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
                *lines.last_mut().unwrap() += "(elided)";
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "all that is opened is closed");
    lines.into_iter().map(|line| line.replace('‹', "<").replace('›', ">") + "\n").collect()
}

/// A tag without the hashes in it.
fn without_hashes(tag: &str) -> String {
    let mut parts = tag.split("sha256-");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |so_far, part| {
        let end = part.find('&').unwrap();
        so_far + "sha256-(elided)" + &part[end..]
    })
}

#[test]
fn pages_of_nothing_of_one_result_of_failures_and_of_missing_fields_are_as_they_were_looked_at() {
    for name in ["empty", "one", "only-failures", "missing"] {
        let got = markup(&page(&format!("{name}.ndjson")));
        hold(&input("golden").join(format!("{name}.html")), &got);
    }
}

#[test]
fn what_is_opened_in_the_markup_of_any_page_is_closed_in_order() {
    for name in super::INPUTS {
        assert!(markup(&page(name)).lines().count() > 30, "{name}");
    }
}

#[test]
fn a_golden_page_does_not_change_with_the_style_and_shows_what_did_change() {
    let page = page("one.ndjson");
    let at = page.find("<style>").unwrap() + "<style>".len();
    let restyled = format!("{}p {{ color: red; }}{}", &page[..at], &page[at..]).replacen("sha256-", "sha256-other", 1);
    assert_eq!(markup(&page), markup(&restyled));
    let (old, new) = ("a\nb\nc\nd\ne\n", "a\nb\nc\nx\ny\ne\n");
    assert_eq!(difference(old, old), None);
    assert_eq!(difference(old, new).unwrap(), "from line 4 on:\n  b\n  c\n- d\n+ x\n+ y\n");
    assert_eq!(difference("a\n", "a\nb\n").unwrap(), "from line 2 on:\n  a\n+ b\n");
}
