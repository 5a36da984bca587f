//! The formats of input files: one file per format, and one arm of [`InputFormat::format`].

mod jsonl;
mod sharegpt;
mod text_lines;

use crate::record::Prompt;
use clap::ValueEnum;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::io::Read;

/// The format of an input file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// One prompt per line, as plain text.
    Text,
    /// JSON: `prompt` records, {"prompt": …}, {"messages": […]} or strings.
    Jsonl,
    /// Conversations of the ShareGPT data set.
    Sharegpt,
}

/// How the entries of a format are read.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Reads an entry, with the id and the system message for one that has none.
    pub read: fn(entry: &str, id: &str, system: Option<&str>) -> Result<Entry, String>,
    /// Whether entries are JSON values, one per line or in one array; else they are lines.
    pub json: bool,
    /// The most turns of a conversation that are sent by default.
    pub turns: usize,
    /// Whether a limited number of prompts is drawn at random; else the first are taken.
    pub sampled: bool,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A prompt, or a conversation.
    Prompt(Box<Prompt>),
    /// A conversation without a user message.
    NoUserMessage,
    /// A record of another type, as the results of a run hold them.
    OtherRecord,
}

impl InputFormat {
    /// The format of a file that begins with these bytes.
    pub fn detect(start: &[u8]) -> Self {
        match start.trim_ascii_start().first() {
            Some(b'{' | b'[') if holds_conversations(start) => Self::Sharegpt,
            Some(b'{' | b'[' | b'"') => Self::Jsonl,
            _ => Self::Text,
        }
    }

    /// How it is read.
    pub fn format(self) -> Format {
        match self {
            Self::Text => text_lines::FORMAT,
            Self::Jsonl => jsonl::FORMAT,
            Self::Sharegpt => sharegpt::FORMAT,
        }
    }
}

impl fmt::Display for InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
    }
}

/// Whether a list `conversations` begins somewhere in the bytes. Inside a JSON string its quotes would be escaped.
fn holds_conversations(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    ["\"conversations\"", "\"conversation\""].iter().any(|name| {
        let mut after = text.split(name).skip(1).map(str::trim_start);
        after.any(|rest| rest.strip_prefix(':').is_some_and(|value| value.trim_start().starts_with('[')))
    })
}

/// Whether the bytes begin a JSON array.
pub fn is_array(start: &[u8]) -> bool {
    start.trim_ascii_start().first() == Some(&b'[')
}

/// Reads a JSON array entry by entry; passes each to `take` with its number, from 1. Holds one entry at a time.
///
/// # Errors
/// When the array is truncated or no JSON: earlier entries have been passed. When `take` fails, with its message.
pub fn array(reader: impl Read, take: &mut dyn FnMut(u64, &str) -> Result<(), String>) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_reader(reader);
    let read = Array(take).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|error| error.to_string())
}

struct Array<'a>(&'a mut dyn FnMut(u64, &str) -> Result<(), String>);

impl<'de> DeserializeSeed<'de> for Array<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of prompts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(entry) = entries.next_element::<Box<RawValue>>()? {
            number += 1;
            (self.0)(number, entry.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_format_follows_from_the_first_bytes() {
        for (start, expect) in [
            ("Write a poem.\nAnother line.\n", InputFormat::Text),
            ("", InputFormat::Text),
            ("{\"prompt\":\"x\"}\n", InputFormat::Jsonl),
            ("\n  \"a text in quotes\"", InputFormat::Jsonl),
            (r#"[{"prompt":"x"}]"#, InputFormat::Jsonl),
            (r#"{"prompt":"what is \"conversations\": [1]?"}"#, InputFormat::Jsonl),
            (r#"{"category":"conversations","prompt":"x"}"#, InputFormat::Jsonl),
            (r#"{"type":"result","v":1,"conversation":7}"#, InputFormat::Jsonl),
            (r#"{"id":"x","conversations":[]}"#, InputFormat::Sharegpt),
            ("[{\"id\":1,\"conversation\" : [{\"from\"", InputFormat::Sharegpt),
        ] {
            assert_eq!(InputFormat::detect(start.as_bytes()), expect, "{start}");
        }
        assert!(is_array(b" [1"));
        assert!(!is_array(b"{}"));
    }

    #[test]
    fn truncated_arrays_pass_their_complete_entries() {
        let mut seen = Vec::new();
        let truncated = r#"[{"a":1}, "two", {"conversations":[{"from":"human","va"#;
        let error = array(truncated.as_bytes(), &mut |number, entry| {
            seen.push((number, entry.to_owned()));
            Ok(())
        });
        assert!(error.unwrap_err().contains("EOF"));
        assert_eq!(seen, [(1, r#"{"a":1}"#.to_owned()), (2, r#""two""#.to_owned())]);
        assert_eq!(array(&b"[]"[..], &mut |_, _| Ok(())), Ok(()));
        assert!(array(&b"{}"[..], &mut |_, _| Ok(())).unwrap_err().contains("an array of prompts"));
        assert!(array(&b"[1,2]"[..], &mut |_, _| Err("enough".into())).unwrap_err().contains("enough"));
        assert!(array(&b"[] x"[..], &mut |_, _| Ok(())).is_err());
    }
}
