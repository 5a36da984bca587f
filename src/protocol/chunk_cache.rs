//! Fast path for a chunk that equals the previous one but for its text.
//!
//! Most servers repeat the same two hundred bytes around every token. Once such a chunk was parsed, the text of the next one that
//! begins and ends with the same bytes is cut out of it: 0.1 µs instead of 0.9 µs per chunk. Any other chunk is parsed.

use foldhash::quality::RandomState;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// The key of this process.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// The bytes around the text of a chunk in which nothing else has an effect when it is repeated.
///
/// It is kept as a keyed hash of 64 bits: bytes to compare would have to be fetched from memory that is cold by the time the next
/// chunk comes, where there are many streams. Two different chunks in 10¹⁹ would be taken for one.
#[derive(Debug, Default)]
pub struct ChunkCache {
    around: u64,
    before: usize,
    after: usize,
    reasoning: bool,
}

impl ChunkCache {
    /// Remembers a chunk whose only text is `text`, which lies in `data`.
    pub fn learn(&mut self, data: &str, text: &str, reasoning: bool) {
        let at = (text.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
        let (Some(before), Some(after)) = (data.get(..at), data.get(at.wrapping_add(text.len())..)) else { return };
        *self = Self { around: KEY.hash_one((before, after)), before: at, after: after.len(), reasoning };
    }

    /// The text of a chunk that is that one over again, and whether it is reasoning.
    pub fn text<'a>(&self, data: &'a str) -> Option<(Cow<'a, str>, bool)> {
        if self.before == 0 {
            return None;
        }
        let end = data.len().checked_sub(self.after)?;
        let (raw, before, after) = (data.get(self.before..end)?, data.get(..self.before)?, data.get(end..)?);
        if KEY.hash_one((before, after)) != self.around {
            return None;
        }
        if raw.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
            return Some((Cow::Borrowed(raw), self.reasoning));
        }
        // With the quotes, which stand at the ends of what is around it: a string of its own, or something else altogether.
        let quoted = &data[self.before - 1..end + 1];
        let text: &RawValue = serde_json::from_str(quoted).ok()?;
        super::json_fields::text(text).map(|text| (text, self.reasoning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_chunk_with_another_text_is_recognized() {
        let data = r#"{"id":"1","choices":[{"delta":{"content":"one"},"finish_reason":null}]}"#;
        let mut chunk_cache = ChunkCache::default();
        assert_eq!(chunk_cache.text(data), None);
        let at = data.find("one").unwrap();
        chunk_cache.learn(data, &data[at..at + 3], false);
        let with = |text: &str| data.replace("one", text);
        for (text, expect) in [
            ("two", Some("two")),
            ("", Some("")),
            ("ä€", Some("ä€")),
            (r#"a \"b\"\n"#, Some("a \"b\"\n")),
            (r"\u00e9", Some("é")),
            (r"\ud83d", Some("\u{fffd}")),
            (r#"two","role":"assistant"#, None),
            (r#"two"},"x":{"y":"z"#, None),
            (r"\x", None),
            ("a\nb", None),
            ("\\", None),
        ] {
            assert_eq!(chunk_cache.text(&with(text)).map(|(text, _)| text.into_owned()).as_deref(), expect, "{text}");
        }
        for other in
            [data.replace("\"1\"", "\"2\""), data.replace("null", "\"stop\""), data[..data.len() - 1].to_owned()]
        {
            assert_eq!(chunk_cache.text(&other), None, "{other}");
        }
        chunk_cache.learn("x", "somewhere else", false);
        assert!(chunk_cache.text(data).is_some(), "a text that is not in the chunk teaches nothing");
    }
}
