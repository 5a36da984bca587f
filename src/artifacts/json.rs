//! MODEL.json: one joined result as a file for people, under the names that the scripts before us used.

use super::{Names, write_atomic};
use crate::record::Object;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Writes results into a run folder, each as a file of its own, with the text of its prompt.
///
/// The file is named like the page or the text that was taken from the same answer; where there is none, like the
/// model. A name that is taken gets the number of the result behind it: `MODEL.17.json`; a warm-up is `MODEL.warmup-3.json`.
#[derive(Debug)]
pub struct JsonFiles {
    folder: PathBuf,
    names: Names,
    taken: HashSet<String>,
    /// By id: the text, and of a conversation what the user says after it.
    prompts: HashMap<String, Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
struct Prompt {
    id: String,
    text: Box<RawValue>,
    #[serde(default)]
    turns: Vec<Box<RawValue>>,
}

impl JsonFiles {
    /// Files in `folder`, which is made when the first is written.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), names: Names::default(), taken: HashSet::new(), prompts: HashMap::new() }
    }

    /// Remembers the text of a `prompt` record.
    ///
    /// # Errors
    /// When the line is no such record.
    pub fn prompt(&mut self, line: &str) -> Result<(), serde_json::Error> {
        let Prompt { id, text, turns } = serde_json::from_str(line)?;
        self.prompts.insert(id, std::iter::once(text).chain(turns).collect());
        Ok(())
    }

    /// Writes a `result` line as a file, and returns the line with the file's name in `files.json`.
    ///
    /// # Errors
    /// When the line is no result, or the file cannot be written.
    pub fn result(&mut self, line: &str) -> io::Result<String> {
        let mut object = Object::parse(line)?;
        // Only the model must be what it should be; the rest may be missing or strange.
        let value = |key: &str| object.get(key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        let model: String = serde_json::from_str(object.get("model").unwrap_or("null"))?;
        let turn = value("turn").as_u64().and_then(|turn| usize::try_from(turn).ok()).unwrap_or(1);
        let asked = value("prompt")["id"].as_str().and_then(|id| self.prompts.get(id));
        let said = asked.and_then(|turns| turns.get(turn.saturating_sub(1))).cloned();
        let name = self.name(&model, value("id").as_u64().unwrap_or(0), value("phase") == "warmup", &value("files"));
        let mut files = match object.get("files") {
            Some(files) if files.starts_with('{') => Object::parse(files)?,
            _ => Object::default(),
        };
        files.set("json", &name)?;
        object.set("files", &files)?;
        let line = object.line()?;
        if let Some(text) = said {
            let mut prompt = Object::parse(object.get("prompt").unwrap_or("{}"))?;
            prompt.set("text", &text)?;
            object.set("prompt", &prompt)?;
        }
        write_atomic(&self.folder.join(&name), pretty(&object.line()?).as_bytes())?;
        Ok(line)
    }

    fn name(&mut self, model: &str, id: u64, warmup: bool, files: &Value) -> String {
        // Whatever else stands there, only a name that a file can have is one.
        let file = |kind: &str| files.get(kind)?.as_str().filter(|name| name.len() <= 240);
        let beside = ["html", "text"].into_iter().filter_map(file).filter_map(stem).find(|stem| self.stays(stem));
        let stem = beside.unwrap_or_else(|| self.names.stem(model));
        let mut name = if warmup { format!("{stem}.warmup-{id}") } else { stem.clone() };
        for again in 1_u64.. {
            if self.taken.insert(name.to_lowercase()) {
                break;
            }
            name = if again == 1 { format!("{stem}.{id}") } else { format!("{stem}.{id}-{again}") };
        }
        name + ".json"
    }
}

impl JsonFiles {
    /// Whether the folders of a path are folders below ours, or are not there yet: a link may lead anywhere.
    fn stays(&self, path: &str) -> bool {
        let mut at = self.folder.clone();
        Path::new(path).parent().into_iter().flat_map(Path::components).all(|part| {
            at.push(part);
            at.symlink_metadata().map_or(true, |meta| meta.is_dir())
        })
    }
}

/// The path without its extension, where it leads nowhere but down.
fn stem(path: &str) -> Option<String> {
    let path = Path::new(path);
    let down = path.components().all(|part| matches!(part, Component::Normal(_)));
    let harmless = !path.as_os_str().as_encoded_bytes().iter().any(|b| *b < 0x20 || *b == b'\\');
    let stem = path.with_extension("");
    (down && harmless && path.file_stem().is_some_and(|stem| !stem.as_encoded_bytes().starts_with(b".")))
        .then(|| stem.to_str().map(str::to_owned))
        .flatten()
}

/// JSON text laid out for reading, every number and string exactly as it stood.
fn pretty(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if quoted {
            out.push(c);
            quoted = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match rest.next_if(|&c| c == '}' || c == ']') {
                    Some(close) => out.push(close),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Phase, fixture};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn names(results: &[Value]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut files = JsonFiles::new(folder.path());
        results
            .iter()
            .map(|result| {
                let line: Value = serde_json::from_str(&files.result(&result.to_string()).unwrap()).unwrap();
                let name = line["files"]["json"].as_str().unwrap().to_owned();
                assert!(folder.path().join(&name).is_file());
                name
            })
            .collect()
    }

    #[test]
    fn a_turn_of_a_conversation_has_the_text_of_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = JsonFiles::new(folder.path());
        files.prompt(r#"{"type":"prompt","v":1,"id":"p","text":"One","turns":["Two"],"sha256":"x"}"#).unwrap();
        for (turn, text) in [(None, Some("One")), (Some(2), Some("Two")), (Some(3), None)] {
            let line = fixture::result(1, "m").prompt("p").set(|o| o.turn = turn).to_string();
            let out: Value = serde_json::from_str(&files.result(&line).unwrap()).unwrap();
            let path = folder.path().join(out["files"]["json"].as_str().unwrap());
            let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            assert_eq!(file["prompt"]["text"].as_str(), text, "{turn:?}");
        }
    }

    /// `files` may be null, or what no contract allows.
    fn with_files(id: u64, model: &str, files: Value) -> Value {
        let mut result = fixture::result(id, model).value();
        result["files"] = files;
        result
    }

    #[test]
    fn every_result_has_a_file_of_its_own_and_its_name_says_which() {
        let r = |id: u64, model: &str| fixture::result(id, model).value();
        let with = |id: u64, files: Value| with_files(id, "m", files);
        for (results, expect) in [
            (vec![r(1, "a/b"), r(2, "a/b"), r(3, "c")], vec!["a_b.json", "a_b.2.json", "c.json"]),
            (vec![r(1, "m"), r(1, "m"), r(1, "m")], vec!["m.json", "m.1.json", "m.1-2.json"]),
            (
                vec![with(4, json!({"html": "m-4.html"})), with(5, json!({"text": "m-5.txt"}))],
                vec!["m-4.json", "m-5.json"],
            ),
            (vec![with(4, json!({"html": "sub/m.html"}))], vec!["sub/m.json"]),
            (vec![with(1, json!({"html": "../../evil.html"}))], vec!["m.json"]),
            (vec![with(1, json!({"html": "/etc/evil.html"}))], vec!["m.json"]),
            (vec![with(1, json!({"html": ".bashrc"})), with(2, json!(null))], vec!["m.json", "m.2.json"]),
            (vec![fixture::result(1, "m").phase(Phase::Warmup).value(), r(2, "m")], vec!["m.warmup-1.json", "m.json"]),
        ] {
            assert_eq!(names(&results), expect, "{results:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn no_name_leads_out_of_the_folder_not_even_through_a_link() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), folder.path().join("sub")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("target"), folder.path().join("m.json")).unwrap();
        let mut files = JsonFiles::new(folder.path());
        for (model, file) in [
            ("m", json!("sub/x.html")),
            ("m", json!("sub/deep/er/x.html")),
            ("sub/x", json!(null)),
            ("../../x", json!("../x.html")),
            ("sub/../../x", json!("sub/../x.html")),
            ("/etc/passwd", json!("/tmp/x.html")),
            ("\u{0}\u{1b}[2J\\..\\x", json!("a\u{0}b.html")),
            ("..", json!("..")),
        ] {
            let line = with_files(1, model, json!({ "html": file })).to_string();
            let out: Value = serde_json::from_str(&files.result(&line).unwrap()).unwrap();
            let written = folder.path().join(out["files"]["json"].as_str().unwrap());
            assert!(written.symlink_metadata().unwrap().is_file(), "{line}");
            assert_eq!(written.parent(), Some(folder.path()), "{line}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn strange_fields_end_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = JsonFiles::new(folder.path());
        for strange in [
            r#""phase":3,"prompt":"x","files":7,"id":-1"#,
            r#""prompt":{"id":4},"files":{"html":[]},"id":null"#,
            r#""files":{},"files":{"html":"a.html"},"prompt":{},"prompt":{}"#,
        ] {
            files.result(&format!(r#"{{"type":"result","model":"m",{strange}}}"#)).unwrap();
        }
        assert!(folder.path().join("a.json").is_file(), "of a key that stands twice, the last counts");
        assert!(files.result(r#"{"type":"result","model":3}"#).is_err());
    }

    #[test]
    fn the_prompt_is_inlined_in_the_file_and_not_in_the_stream() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = JsonFiles::new(folder.path());
        files.prompt(r#"{"type":"prompt","v":1,"id":"p","text":"say \"{hi}\"","sha256":"x"}"#).unwrap();
        let line =
            r#"{"type":"result","v":1,"id":1,"model":"m","big":123456789012345678901234567890,"prompt":{"id":"p"}}"#;
        let out = files.result(line).unwrap();
        assert!(out.ends_with(r#""prompt":{"id":"p"},"files":{"json":"m.json"}}"#), "{out}");
        let text = std::fs::read_to_string(folder.path().join("m.json")).unwrap();
        assert!(text.contains("\"big\": 123456789012345678901234567890,\n"), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["prompt"], json!({"id": "p", "text": "say \"{hi}\""}));
    }

    #[test]
    fn json_is_laid_out_for_reading() {
        let text = r#"{"a":[1,{"b":"x,\"{\\"},[]],"c":{ },"d":-1.50e3}"#;
        let expect = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x,\\\"{\\\\\"\n    },\n    []\n  ],\n  \"c\": {},\n  \"d\": -1.50e3\n}\n";
        assert_eq!(pretty(text), expect);
    }

    proptest! {
        #[test]
        fn laying_out_changes_no_string(keys in proptest::collection::vec(".{0,12}", 0..6)) {
            let value = json!({"list": keys, "in": {"them": keys}});
            prop_assert_eq!(serde_json::from_str::<Value>(&pretty(&value.to_string())).unwrap(), value);
        }
    }
}
