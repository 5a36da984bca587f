//! The fields of a chunk, parsed one by one when they are needed.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The raw fields of a JSON object. Every value is checked before it is used, so all are raw; of a repeated key the last one counts.
pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The field, as it came.
    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The field as text; `None` for anything else.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(text)
    }

    /// The field, unless it is null, empty or an empty object.
    pub fn filled(&self, key: &str) -> Option<Value> {
        self.get(key).filter(|raw| has_value(raw) && raw.get() != "{}").and_then(value)
    }

    /// The one field among `names` that is a text without escapes, and that text, if every other field is `harmless` or empty.
    pub fn only(&self, names: &[&'static str], harmless: &[&str]) -> Option<(&'static str, &'a str)> {
        let mut only = None;
        for (name, value) in &self.0 {
            let json = value.get();
            if harmless.contains(&&**name) || !has_value(value) || json == "[]" {
                continue;
            }
            let (None, Some(names)) = (only, names.iter().find(|names| **names == name)) else { return None };
            only = Some((*names, json.strip_prefix('"')?.strip_suffix('"').filter(|text| !text.contains('\\'))?));
        }
        only
    }

    /// The fields that are not `known`, each with its raw value.
    pub fn others(&self, known: &[&str]) -> impl Iterator<Item = (&str, &'a str)> {
        let others = self.0.iter().filter(|(name, _)| !known.contains(&&**name));
        others.map(|(name, value)| (&**name, value.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some((Key(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Whether a value is neither null nor an empty string.
pub fn has_value(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "\"\"")
}

/// The value, parsed.
pub fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

/// A JSON string, borrowed where it has no escapes; `None` for anything else.
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(json)
        .ok()
        .or_else(|| serde_json::from_str(&without_half_characters(json)).ok())
        .map(Cow::Owned)
}

/// A JSON string in which every half of a surrogate pair without its other half became U+FFFD: servers that cut tokens inside a
/// character send such halves.
fn without_half_characters(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find("\\") {
        whole.push_str(&rest[..at]);
        let unit = |from: usize| {
            let digits = rest.get(from..from + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(digits, 16).ok()
        };
        let length = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                whole.push_str("\\ufffd");
                rest = &rest[at + 6..];
                continue;
            }
            (Some(_), _) => 6,
            // An escape of one letter; a string that ends inside one is no JSON, and stays none.
            (None, _) => rest[at + 1..].chars().next().map_or(1, |c| 1 + c.len_utf8()),
        };
        whole.push_str(&rest[at..at + length]);
        rest = &rest[at + length..];
    }
    whole + rest
}
