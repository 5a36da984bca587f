//! The lines that go out: each as it came, byte for byte, but for the fields that are put into a result.

use crate::record::Object;
use serde::Serialize;

/// A line that goes out.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputLine {
    /// Its kind.
    pub kind: LineKind,
    /// The line, without its newline.
    pub line: String,
}

/// The kind of a line that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// A result, joined.
    Result,
    /// A prompt, as it came.
    Prompt,
    /// The summary of the join.
    Summary,
    /// Anything else, as it came.
    Other,
}

/// Room for the fields that a join adds, in bytes.
const ROOM: usize = 2048;

/// A line whose fields are being set: in the place of the old values where it has some of them, else at its end.
#[derive(Debug)]
pub enum LinePatch {
    /// The line without its last brace.
    Open(Vec<u8>),
    /// Its fields one by one.
    Fields(Object),
}

impl LinePatch {
    /// A line that was read as a result. `has_some` says whether it has fields of the names that will be set.
    ///
    /// # Errors
    /// When the line is not a JSON object.
    pub fn new(line: &str, has_some: bool) -> Result<Self, serde_json::Error> {
        match line.strip_suffix('}') {
            Some(open) if !has_some => {
                let mut bytes = Vec::with_capacity(open.len() + ROOM);
                bytes.extend_from_slice(open.as_bytes());
                Ok(LinePatch::Open(bytes))
            }
            _ => Object::parse(line).map(LinePatch::Fields),
        }
    }

    /// Sets a field; each at most once.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), serde_json::Error> {
        match self {
            // A result has a model, so a comma is due.
            LinePatch::Open(bytes) => {
                bytes.extend_from_slice(b",\"");
                bytes.extend_from_slice(key.as_bytes());
                bytes.extend_from_slice(b"\":");
                serde_json::to_writer(bytes, value)
            }
            LinePatch::Fields(object) => object.set(key, value),
        }
    }

    /// Sets a field, or null and its reason. What an earlier join measured stays where this one has nothing to tell.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set_known<T: Serialize>(
        &mut self,
        [key, reason_key]: [&str; 2],
        value: Result<T, String>,
        had: bool,
    ) -> Result<(), serde_json::Error> {
        match value {
            Ok(value) => self.set(key, &value),
            Err(_) if had => Ok(()),
            Err(reason) => {
                self.set(key, &())?;
                self.set(reason_key, &reason)
            }
        }
    }

    /// The line with its new fields.
    ///
    /// # Errors
    /// Never for an object that was read; the signature is serde's.
    pub fn line(self) -> Result<String, serde_json::Error> {
        match self {
            LinePatch::Open(mut bytes) => {
                bytes.push(b'}');
                String::from_utf8(bytes).map_err(serde::ser::Error::custom)
            }
            LinePatch::Fields(object) => object.line(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_fields_stand_last_and_old_ones_in_their_place() {
        for (line, has_some, expect) in [
            (r#"{"a": 1e2}"#, false, r#"{"a": 1e2,"power":1,"memory":"x"}"#),
            (r#"{"power":0,"a":1}"#, true, r#"{"power":1,"a":1,"memory":"x"}"#),
            (r#"{"a":1} "#, false, r#"{"a":1,"power":1,"memory":"x"}"#),
        ] {
            let mut patch = LinePatch::new(line, has_some).unwrap();
            patch.set("power", &1).unwrap();
            patch.set("memory", "x").unwrap();
            assert_eq!(patch.line().unwrap(), expect);
        }
        assert_eq!(LinePatch::new("{\"a\": 1}", false).unwrap().line().unwrap(), "{\"a\": 1}");
    }
}
