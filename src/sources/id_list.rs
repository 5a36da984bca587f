//! A list of models: one id per line.

use std::collections::HashSet;

/// The id on a line; `None` where there is none. `#` begins a comment, and white space around an id is nothing.
///
/// # Errors
/// For a line of JSON, which is some record or list and no id.
pub fn id(line: &str) -> Result<Option<String>, String> {
    let line = line.trim_start_matches('\u{feff}').trim();
    // Only after white space, because an id may hold the sign.
    let line = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
    let id = line.split("\t#").next().unwrap_or_default().trim();
    match id.chars().next() {
        None => Ok(None),
        Some('[' | '{' | '"') => Err("JSON, and not the id of a model: write one id per line".into()),
        Some(_) => Ok(Some(id.to_owned())),
    }
}

/// What an input is that begins with this line, where it is plainly neither a list of ids nor records; `None` for those.
pub fn not_a_list(first: &str) -> Option<&'static str> {
    let line = first.trim_start_matches('\u{feff}').trim();
    let begins = |word: &str| line.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|word| begins(word)) {
        return Some("HTML");
    }
    // A list that is whole is one bad line among others.
    let goes_on = || serde_json::from_str::<serde::de::IgnoredAny>(line).is_err_and(|error| error.is_eof());
    match line.chars().next()? {
        '<' => Some("XML"),
        '[' if goes_on() => Some("a JSON list"),
        '{' if goes_on() => Some("JSON over several lines, or a torn record"),
        '#' if line.starts_with("#!") => Some("a script"),
        _ => None,
    }
}

/// The ids of a list, each once, and the lines that are none, by number and with why.
pub fn ids(text: &str) -> (Vec<String>, Vec<(usize, String)>) {
    let (mut ids, mut bad, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (n, line) in text.lines().enumerate() {
        match id(line) {
            Ok(Some(id)) => {
                if known.insert(id.clone()) {
                    ids.push(id);
                }
            }
            Ok(None) => {}
            Err(error) => bad.push((n + 1, error)),
        }
    }
    (ids, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_comments_blanks_and_repeated_ids() {
        let list = "\u{feff}# the cheap ones\nopenai/gpt-oss-20b   # free\r\n\n  a/b:free\t# x\na/b:free\n#c\nodd#id\n";
        assert_eq!(ids(list), (vec!["openai/gpt-oss-20b".into(), "a/b:free".into(), "odd#id".into()], vec![]));
        assert_eq!(ids(""), (vec![], vec![]));
    }

    #[test]
    fn long_list_takes_linear_time() {
        // Compared each with each, so many would take minutes.
        let list: String = (0..200_000).map(|n| format!("lab/model-{}\n", n % 150_000)).collect();
        let began = std::time::Instant::now();
        assert_eq!(ids(&list).0.len(), 150_000);
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    #[test]
    fn recognizes_other_files_by_their_first_line() {
        for (line, expect) in [
            ("<!DOCTYPE html>", Some("HTML")),
            ("\u{feff}<html lang=\"en\">", Some("HTML")),
            ("<?xml version=\"1.0\"?>", Some("XML")),
            ("[{\"id\":\"a\"},", Some("a JSON list")),
            ("{", Some("JSON over several lines, or a torn record")),
            ("#!/bin/sh", Some("a script")),
            ("{\"type\":\"model\",\"id\":\"a\"}", None),
            ("{nonsense}", None),
            ("[\"a\"]", None),
            ("# a comment", None),
            ("openai/gpt-oss-20b", None),
            ("", None),
        ] {
            assert_eq!(not_a_list(line), expect, "{line}");
        }
    }

    #[test]
    fn refuses_a_line_of_json() {
        let (ids, bad) = ids("a\n[\"b\"]\n\"c\"\n{\"id\":\"d\"}\ne\n");
        assert_eq!(ids, ["a", "e"]);
        assert_eq!(bad.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3, 4]);
    }
}
