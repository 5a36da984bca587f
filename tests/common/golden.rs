//! Golden files of what programs say: `tests/snapshots/NAME.snap`, compared by insta, written by `make bless`.
//!
//! NAME is the stable id of a message. Its words stand in `src` and in its golden file, and in no test.

use super::{Ran, bin_dir, root};
use std::fmt::{Debug, Display};

/// A pattern, and what stands in its place in the golden file.
pub type Redaction = (String, &'static str);

/// Compares a text with the golden file of this name; what a run measures is redacted as the test asks.
macro_rules! golden {
    ($name:literal, $text:expr $(, $redaction:expr)* $(,)?) => {
        $crate::common::golden::settings(&[$($redaction),*]).bind(|| insta::assert_snapshot!($name, $text))
    };
}
pub(crate) use golden;

/// How each golden file is kept, and without which places of this machine.
pub fn settings(more: &[Redaction]) -> insta::Settings {
    let place = |path: &std::path::Path| regex::escape(path.to_str().unwrap());
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(root().join("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    more.iter().for_each(|(pattern, name)| settings.add_filter(pattern, *name));
    settings.add_filter(&format!(r"{}/\.tmp\w{{6}}", place(&std::env::temp_dir())), "[tmp]");
    settings.add_filter(&place(bin_dir()), "[bin]");
    settings.add_filter(&place(root()), "[root]");
    settings.add_filter(r"\(os error \d+\)", "(os error)");
    settings.add_filter(r"(127\.0\.0\.1|localhost|\[::1\]):\d{5}\b", "$1:[port]");
    settings
}

/// A measured time: our programs put a space before its unit, and nobody does in the value of a flag.
pub fn time() -> Redaction {
    (r"\b\d+(\.\d+)? (µs|ms|s|min|h)\b".into(), "[time]")
}

/// A measured rate.
pub fn rate() -> Redaction {
    (r"\b\d+(\.\d+)?/s\b".into(), "[rate]/s")
}

/// Every number of a line in which all are measured.
pub fn numbers() -> Redaction {
    (r"\b\d+(\.\d+)?".into(), "[n]")
}

/// A number that the test has read from a record, where a golden file cannot foresee it.
pub fn known(number: impl Display, name: &'static str) -> Redaction {
    (format!(r"\b{}\b", regex::escape(&number.to_string())), name)
}

/// A text whose golden file takes these redactions in one part only.
pub fn redacted(text: &str, redactions: &[Redaction]) -> String {
    redactions.iter().fold(text.to_owned(), |text, (pattern, name)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned()
    })
}

/// What was kept of a load, in its line: all that is measured is redacted, how many were sent is not.
pub fn level_line(line: &str, sent: impl Display) -> String {
    let (load, kept) = line.rsplit_once(": ").unwrap();
    let redactions = [time(), rate(), known(sent, "[sent]"), numbers()];
    format!("{load}: {}\n", redacted(kept, &redactions))
}

/// The numbers of a line, in order.
pub fn numbers_in(line: &str) -> Vec<f64> {
    let pattern = regex::Regex::new(&numbers().0).unwrap();
    pattern.find_iter(line).map(|found| found.as_str().parse().unwrap()).collect()
}

/// One of several cases of one golden file.
pub fn case(of: impl Debug, text: &str) -> String {
    format!("--- {of:?}\n{}\n", text.trim_end())
}

/// What a page shows in the first element that has this in its opening tag: a title or a text on each line.
#[track_caller]
pub fn shown(page: &str, within: &str) -> String {
    let at = page.find(within).unwrap_or_else(|| panic!("no {within}"));
    let element = &page[page[..=at].rfind('<').unwrap()..];
    let name = element[1..].split([' ', '>']).next().unwrap();
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut end = 0;
    let mut depth = 0;
    while depth > 0 || end == 0 {
        let next = element[end..].find('<').unwrap() + end;
        depth += i32::from(element[next..].starts_with(&open)) - i32::from(element[next..].starts_with(&close));
        end = next + 1;
    }
    let mut texts = Vec::new();
    for (tag, text) in element[..end].split('<').filter_map(|part| part.split_once('>')) {
        let title = tag.split(" title=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        texts.extend(Some(format!("title: {title}")).filter(|_| !title.is_empty()));
        texts.extend(Some(text.trim().to_owned()).filter(|text| !text.is_empty()));
    }
    texts.join("\n")
}

impl Ran {
    /// The lines of standard error that hold a flag, a number or a name; there must be one.
    #[track_caller]
    pub fn lines_with(&self, key: &str) -> String {
        let lines: Vec<&str> = self.stderr.lines().filter(|line| line.contains(key)).collect();
        assert!(!lines.is_empty(), "no line with {key}:\n{}", self.stderr);
        lines.join("\n")
    }
}
