//! Conversations of people, in the form of the ShareGPT data set: `{"id", "conversations": [{"from": "human", "value"}, …]}`,
//! as one JSON array or one object per line.
//!
//! The array is read entry by entry; of an entry only the human's turns and the system message are kept. The length of the
//! answers that stand there is not taken for anything: the model answers as long as it will.

use serde::de::{DeserializeSeed, Error, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::io::Read;

/// What of an entry is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's own id.
    pub id: Option<String>,
    /// The system message.
    pub system: Option<String>,
    /// What the human said, turn by turn; nothing where only others spoke.
    pub turns: Vec<String>,
}

/// Reads one entry.
///
/// # Errors
/// When it has another form, in a sentence.
pub fn entry(value: &Value) -> Result<Entry, String> {
    let list = ["conversations", "conversation"].into_iter().find_map(|name| value.get(name));
    let list = list.ok_or("no `conversations`")?.as_array().ok_or("`conversations` is not a list")?;
    let id = match value.get("id") {
        Some(Value::String(id)) if !id.is_empty() => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    let (mut system, mut turns) = (None, Vec::new());
    for (n, said) in list.iter().enumerate() {
        let text = |name: &str| said.get(name).and_then(Value::as_str);
        let (Some(from), Some(value)) = (text("from"), text("value")) else {
            return Err(format!("turn {}: no `from` and `value`", n + 1));
        };
        match from {
            "human" | "user" if value.trim().is_empty() => {}
            "human" | "user" => turns.push(value.to_owned()),
            "system" if turns.is_empty() => system = Some(value.to_owned()),
            // Whoever answered there (gpt, chatgpt, bard …) does not answer here.
            _ => {}
        }
    }
    Ok(Entry { id, system, turns })
}

/// Reads a JSON array entry by entry; hands each to `take` with its number, from 1. Holds one entry at a time.
///
/// # Errors
/// When the array is torn or no JSON: what came before has been handed over. When `take` says to stop, with what it said.
pub fn array(reader: impl Read, take: &mut dyn FnMut(u64, Value) -> Result<(), String>) -> Result<(), String> {
    let mut json = serde_json::Deserializer::from_reader(reader);
    let read = Array(take).deserialize(&mut json).and_then(|()| json.end());
    read.map_err(|why| why.to_string())
}

struct Array<'a>(&'a mut dyn FnMut(u64, Value) -> Result<(), String>);

impl<'de> DeserializeSeed<'de> for Array<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of conversations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(entry) = entries.next_element::<Value>()? {
            number += 1;
            (self.0)(number, entry).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_human_s_turns_are_what_is_asked() {
        let value = json!({"id": "QWJhYvA_0", "conversations": [
            {"from": "system", "value": "Be brief."}, {"from": "gpt", "value": "Hello!"},
            {"from": "human", "value": "One"}, {"from": "gpt", "value": "1"}, {"from": "human", "value": "Two"}]});
        let found = entry(&value).unwrap();
        assert_eq!((found.id.as_deref(), found.system.as_deref()), (Some("QWJhYvA_0"), Some("Be brief.")));
        assert_eq!(found.turns, ["One", "Two"]);
        assert_eq!(entry(&json!({"id": 5, "conversations": []})).unwrap().turns, Vec::<String>::new());
    }

    #[test]
    fn another_form_says_what_is_wrong() {
        for (value, word) in [
            (json!({"id": "x"}), "no `conversations`"),
            (json!({"conversations": "x"}), "not a list"),
            (json!({"conversations": [{"from": "human"}]}), "turn 1"),
            (json!({"conversations": [{"from": "human", "value": 5}]}), "turn 1"),
            (json!("text"), "no `conversations`"),
        ] {
            assert!(entry(&value).unwrap_err().contains(word), "{value}");
        }
    }

    #[test]
    fn an_array_is_read_entry_by_entry_up_to_where_it_is_torn() {
        let mut seen = Vec::new();
        let torn = r#"[{"a":1}, "two", {"conversations":[{"from":"human","va"#;
        let why = array(torn.as_bytes(), &mut |n, value| {
            seen.push((n, value));
            Ok(())
        });
        assert!(why.unwrap_err().contains("EOF"));
        assert_eq!(seen, [(1, json!({"a": 1})), (2, json!("two"))]);
        assert_eq!(array(&b"[]"[..], &mut |_, _| Ok(())), Ok(()));
        assert!(array(&b"{}"[..], &mut |_, _| Ok(())).unwrap_err().contains("array of conversations"));
        assert!(array(&b"[1,2]"[..], &mut |_, _| Err("enough".into())).unwrap_err().contains("enough"));
        assert!(array(&b"[] x"[..], &mut |_, _| Ok(())).is_err());
    }
}
