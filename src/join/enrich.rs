//! Fields put into a line that otherwise leaves byte for byte as it came.

use crate::record::Object;
use serde::Serialize;

/// The line with `fields` in it: in the place of the old values where `has_some` of them, else at its end.
///
/// # Errors
/// When the line is not a JSON object, or a value cannot be written.
pub fn enrich(mut line: String, fields: &Fields, has_some: bool) -> Result<String, serde_json::Error> {
    if fields.text.is_empty() {
        return Ok(line);
    }
    if !has_some && line.ends_with('}') {
        line.pop();
        // An object that was read as a result has a model, so a comma is due.
        for (key, value) in &fields.text {
            line.push_str(",\"");
            line.push_str(key);
            line.push_str("\":");
            line.push_str(value);
        }
        line.push('}');
        return Ok(line);
    }
    let mut object = Object::parse(&line)?;
    for (key, value) in &fields.text {
        object.set(key, &serde_json::value::RawValue::from_string(value.clone())?)?;
    }
    object.line()
}

/// Fields as JSON text, in the order in which they are to stand.
#[derive(Debug, Default)]
pub struct Fields {
    text: Vec<(&'static str, String)>,
}

impl Fields {
    /// Adds a field.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), serde_json::Error> {
        self.text.push((key, serde_json::to_string(value)?));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_fields_stand_at_the_end_and_old_ones_in_their_place() {
        let mut fields = Fields::default();
        fields.set("power", &1).unwrap();
        fields.set("memory", "x").unwrap();
        for (line, has_some, expect) in [
            (r#"{"a": 1e2}"#, false, r#"{"a": 1e2,"power":1,"memory":"x"}"#),
            (r#"{"power":0,"a":1}"#, true, r#"{"power":1,"a":1,"memory":"x"}"#),
            (r#"{"a":1} "#, false, r#"{"a":1,"power":1,"memory":"x"}"#),
        ] {
            assert_eq!(enrich(line.to_owned(), &fields, has_some).unwrap(), expect);
        }
        assert_eq!(enrich("{} ".to_owned(), &Fields::default(), false).unwrap(), "{} ");
    }
}
