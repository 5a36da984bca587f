//! A record, read without the fields that its reader has no use for.
//!
//! There is one definition of a `result`, and this is not a second one: the fields to pass over are kept from the struct's own
//! reader, which takes them for absent. Their values are only seen to be JSON.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt;

/// Reads a struct from JSON text, all but the fields that are named.
pub fn without<'de, T: Deserialize<'de>>(line: &'de str, unread: &[&str]) -> Result<T, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(line);
    let value = T::deserialize(Without { inner: &mut json, unread })?;
    json.end()?;
    Ok(value)
}

/// Something to read a struct from, or, once it has begun, the fields of one.
struct Without<'u, I> {
    inner: I,
    unread: &'u [&'u str],
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Without<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Without { inner: visitor, unread: self.unread })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Without<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Without { inner: map, unread: self.unread })
    }
}

/// A key, borrowed unless it is written with escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Without<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(Name(name)) = self.inner.next_key()? {
            if self.unread.contains(&name.as_ref()) {
                self.inner.next_value::<IgnoredAny>()?;
                continue;
            }
            return match name {
                Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
                Cow::Owned(name) => seed.deserialize(name.into_deserializer()),
            }
            .map(Some);
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
        let unread = ["usage", "stream"];
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
        ] {
            let read = without::<Outcome>(line, &unread);
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
                assert_eq!(whole.ok().map(|o| Outcome { usage: None, ..o }), read.ok(), "{line}");
            }
        }
    }
}
