//! A record, read without the fields that its reader has no use for.
//!
//! There is one definition of a `result`, and this is not a second one: the fields to pass over are kept from the struct's own
//! reader, which takes them for absent. Of their values it is only seen whether they are JSON, or the text they should be.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt;

/// What is to be done about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// It is read.
    Read,
    /// Whatever JSON it is, it is passed over.
    PassOver,
    /// It is passed over where it is text, or null; anything else is refused as its reader refuses it, and so is the second of
    /// two. The number is its place among such fields, below 32.
    PassOverText(&'static str, u8),
}

/// Reads a struct from JSON text, all but the fields that are to be passed over, into the room of another.
///
/// # Errors
/// When the text is no JSON of such a struct; then the room is as it was.
pub fn into<'de, T: Deserialize<'de>>(
    room: &mut T,
    line: &'de str,
    field: impl Fn(&str) -> Field + Copy,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(line);
    let value = T::deserialize(Without { inner: &mut json, field, seen: 0 })?;
    json.end()?;
    *room = value;
    Ok(())
}

/// Something to read a struct from, or, once it has begun, the fields of one.
struct Without<F, I> {
    inner: I,
    field: F,
    /// A bit for each text that was passed over.
    seen: u32,
}

impl<'de, F: Fn(&str) -> Field, D: Deserializer<'de>> Deserializer<'de> for Without<F, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Without { inner: visitor, field: self.field, seen: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, F: Fn(&str) -> Field, V: Visitor<'de>> Visitor<'de> for Without<F, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Without { inner: map, field: self.field, seen: 0 })
    }
}

/// A key, borrowed unless it is written with escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text that nobody keeps.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

impl Visitor<'_> for Text {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, _: &str) -> Result<Text, E> {
        Ok(Text)
    }
}

impl<'de, F: Fn(&str) -> Field, A: MapAccess<'de>> MapAccess<'de> for Without<F, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Name(name)) = self.inner.next_key()? {
            match (self.field)(&name) {
                Field::Read => {
                    return match name {
                        Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
                        Cow::Owned(name) => seed.deserialize(name.into_deserializer()),
                    }
                    .map(Some);
                }
                Field::PassOver => drop(self.inner.next_value::<IgnoredAny>()?),
                Field::PassOverText(name, at) => {
                    if self.seen & (1 << at) != 0 {
                        return Err(A::Error::duplicate_field(name));
                    }
                    self.seen |= 1 << at;
                    self.inner.next_value::<Option<Text>>()?;
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn what_is_not_named_is_read_as_ever_and_what_is_named_is_absent() {
        let field = |name: &str| match name {
            "usage" | "stream" => Field::PassOver,
            "api" => Field::PassOverText("api", 0),
            "provider" => Field::PassOverText("provider", 1),
            _ => Field::Read,
        };
        for (line, error) in [
            (r#"{"model":"m","usage":{"a":[1,{"b":null}]},"ttft_seconds":0.5,"stream":"no such thing"}"#, None),
            (r#"{"us\u0061ge":1,"mod\u0065l":"m","ttft_seconds":0.5,"new":{"usage":1}}"#, None),
            (r#"{"usage":1}"#, Some("missing field `model` at line 1 column 11")),
            (
                r#"{"model":"m","ttft_seconds":"soon"}"#,
                Some(r#"invalid type: string "soon", expected f64 at line 1 column 34"#),
            ),
            (r#"{"model":"m","usage":{"a"}}"#, Some("expected `:` at line 1 column 26")),
            (r#"{"model":"m","usage":1"#, Some("EOF while parsing an object at line 1 column 22")),
            (r#"{"model":"m"} x"#, Some("trailing characters at line 1 column 15")),
            (r#"{"model":"m","model":"n"}"#, Some("duplicate field `model` at line 1 column 20")),
            (r#"{"api":"a\n","model":"m","ttft_seconds":0.5,"provider":null}"#, None),
            (r#"{"api":3,"model":"m"}"#, Some("invalid type: integer `3`, expected a string at line 1 column 8")),
            (r#"{"api":{},"model":"m"}"#, Some("invalid type: map, expected a string at line 1 column 7")),
            (
                r#"{"api":"a","model":"m","provider":null,"api":null}"#,
                Some("duplicate field `api` at line 1 column 44"),
            ),
            (r#"{"api":"\x","model":"m"}"#, Some("invalid escape at line 1 column 10")),
        ] {
            let mut room = Outcome::default();
            let read = into(&mut room, line, field).map(|()| room);
            match (&read, error) {
                (Ok(o), None) => {
                    assert_eq!((o.model.as_str(), o.ttft_seconds, &o.usage), ("m", Some(0.5), &None), "{line}");
                }
                (Err(why), Some(error)) => assert_eq!(why.to_string(), error, "{line}"),
                _ => panic!("{line}: {read:?}"),
            }
            // Where the fields that are passed over are well-formed, the whole reader says the same.
            if !line.contains("no such thing") {
                let whole = serde_json::from_str::<Outcome>(line);
                assert_eq!(whole.as_ref().err().map(ToString::to_string), read.as_ref().err().map(ToString::to_string));
                assert_eq!(whole.ok().map(|o| Outcome { usage: None, api: None, ..o }), read.ok(), "{line}");
            }
        }
    }
}
