//! A record as an enricher holds it: its keys in order, its values as the text they came in.

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt;

/// A JSON object that keeps the order of its keys and the exact text of its values, numbers of any length included.
///
/// A program that adds fields to a record adds them here; everything else leaves as it came.
#[derive(Debug, Default)]
pub struct Object {
    fields: Vec<(String, Box<RawValue>)>,
}

impl Object {
    /// Reads one line.
    ///
    /// # Errors
    /// When the line is not one JSON object.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// The value of `key`, as JSON text. Of a key that stands twice, the last counts, as in every JSON reader.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// Puts `value` at `key`: in the place of the old value, or at the end.
    ///
    /// # Errors
    /// When the value cannot be written as JSON.
    pub fn set<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), serde_json::Error> {
        let value = to_raw_value(value)?;
        match self.fields.iter_mut().rev().find(|(name, _)| name == key) {
            Some(field) => field.1 = value,
            None => self.fields.push((key.to_owned(), value)),
        }
        Ok(())
    }

    /// Takes `key` out, wherever it stands.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(name, _)| name != key);
    }

    /// The line of the object, without its newline.
    ///
    /// # Errors
    /// Never for an object that was read; the signature is serde's.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, value) in &self.fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(32));
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_it_does_not_know_leaves_as_it_came() {
        let line = r#"{"z":123456789012345678901234567890,"a":1.10,"n":{"b":[1, 2],"a":null},"a":1e-7}"#;
        assert_eq!(Object::parse(line).unwrap().line().unwrap(), line);
    }

    #[test]
    fn a_field_is_replaced_in_its_place_or_added_at_the_end() {
        let mut object = Object::parse(r#"{"a":1,"b":2}"#).unwrap();
        object.set("a", "x").unwrap();
        object.set("c", &3).unwrap();
        object.remove("b");
        assert_eq!(object.line().unwrap(), r#"{"a":"x","c":3}"#);
        assert_eq!(object.get("c"), Some("3"));
        assert_eq!(object.get("b"), None);
    }

    proptest! {
        #[test]
        fn any_keys_and_integers_survive(fields in proptest::collection::vec((".{0,8}", any::<i64>()), 0..12)) {
            let text: Vec<String> =
                fields.iter().map(|(k, v)| format!("{}:{v}", serde_json::to_string(k).unwrap())).collect();
            let line = format!("{{{}}}", text.join(","));
            prop_assert_eq!(Object::parse(&line).unwrap().line().unwrap(), line);
        }
    }
}
