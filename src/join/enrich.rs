//! Fields put into a line that otherwise leaves byte for byte as it came.

use super::fields;
use crate::record::Object;
use serde::Serialize;

/// A line whose fields are being set: in the place of the old values where it has some of them, else at its end.
#[derive(Debug)]
pub enum Patch {
    /// The line, and what is to stand before its last brace.
    Added(String, Vec<u8>),
    /// Its fields one by one.
    Fields(Object),
}

impl Patch {
    /// A line that was read as a result. `has_some` says whether it has fields of the names that will be set; what is added
    /// is put into `room`.
    ///
    /// # Errors
    /// When the line is not a JSON object.
    pub fn new(line: String, has_some: bool, mut room: Vec<u8>) -> Result<Self, serde_json::Error> {
        if has_some || !line.ends_with('}') {
            return Ok(Patch::Fields(Object::parse(&line)?));
        }
        room.clear();
        Ok(Patch::Added(line, room))
    }

    /// Sets a field; each at most once.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), serde_json::Error> {
        match self {
            // A result has a model, so a comma is due.
            Patch::Added(_, added) => {
                added.extend_from_slice(b",\"");
                added.extend_from_slice(key.as_bytes());
                added.extend_from_slice(b"\":");
                fields::write(added, value)
            }
            Patch::Fields(object) => object.set(key, value),
        }
    }

    /// The line, and what is to stand before its last brace.
    ///
    /// # Errors
    /// Never for an object that was read; the signature is serde's.
    pub fn parts(self) -> Result<(String, String), serde_json::Error> {
        match self {
            Patch::Added(line, added) => {
                String::from_utf8(added).map(|added| (line, added)).map_err(serde::ser::Error::custom)
            }
            Patch::Fields(object) => object.line().map(|line| (line, String::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::{Emission, Kind};

    fn text(patch: Patch) -> String {
        let (line, added) = patch.parts().unwrap();
        Emission { kind: Kind::Result, line, added }.parts().concat()
    }

    #[test]
    fn new_fields_stand_at_the_end_and_old_ones_in_their_place() {
        for (line, has_some, expect) in [
            (r#"{"a": 1e2}"#, false, r#"{"a": 1e2,"power":1,"memory":"x"}"#),
            (r#"{"power":0,"a":1}"#, true, r#"{"power":1,"a":1,"memory":"x"}"#),
            (r#"{"a":1} "#, false, r#"{"a":1,"power":1,"memory":"x"}"#),
        ] {
            let mut patch = Patch::new(line.to_owned(), has_some, b"what was there before".to_vec()).unwrap();
            patch.set("power", &1).unwrap();
            patch.set("memory", "x").unwrap();
            assert_eq!(text(patch), expect);
        }
        assert_eq!(text(Patch::new("{\"a\": 1}".to_owned(), false, Vec::new()).unwrap()), "{\"a\": 1}");
    }
}
