//! Conversations in the form of the ShareGPT data set: `{"id", "conversations": [{"from": "human", "value"}, …]}`.
//!
//! Only the user messages and the system message are taken. The answers in the file set no limit: a model answers at the length
//! that it chooses.

use super::{Entry, Format};
use crate::prompts::conversation;
use serde_json::Value;

/// Conversations in the form of the ShareGPT data set.
pub const FORMAT: Format = Format { read, json: true, turns: 1, sampled: true };

fn read(entry: &str, id: &str, system: Option<&str>) -> Result<Entry, String> {
    let value: Value = serde_json::from_str(entry).map_err(|error| format!("not JSON: {error}"))?;
    let list = ["conversations", "conversation"].into_iter().find_map(|name| value.get(name));
    let list = list.ok_or("no `conversations`")?.as_array().ok_or("`conversations` is not a list")?;
    let id = match value.get("id") {
        Some(Value::String(own)) if !own.is_empty() => format!("sharegpt-{own}"),
        Some(Value::Number(own)) => format!("sharegpt-{own}"),
        _ => id.to_owned(),
    };
    let (mut own_system, mut turns) = (None, Vec::new());
    for (n, message) in list.iter().enumerate() {
        let text = |name: &str| message.get(name).and_then(Value::as_str);
        let (Some(from), Some(value)) = (text("from"), text("value")) else {
            return Err(format!("turn {}: no `from` and `value`", n + 1));
        };
        match from {
            "human" | "user" if value.trim().is_empty() => {}
            "human" | "user" => turns.push(value.to_owned()),
            "system" if turns.is_empty() => own_system = Some(value),
            // Other names are those of the model that answered: gpt, chatgpt, bard …
            _ => {}
        }
    }
    let found = conversation(&id, own_system.or(system), turns);
    Ok(found.map_or(Entry::NoUserMessage, |prompt| Entry::Prompt(Box::new(prompt))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharegpt_user_messages_are_the_turns() {
        let text = r#"{"id": "QWJhYvA_0", "conversations": [
            {"from": "system", "value": "Be brief."}, {"from": "gpt", "value": "Hello!"},
            {"from": "human", "value": "One"}, {"from": "gpt", "value": "1"}, {"from": "human", "value": "Two"}]}"#;
        let Ok(Entry::Prompt(found)) = read(text, "mine-1", Some("Be kind.")) else { panic!() };
        assert_eq!((found.id.as_str(), found.system.as_deref()), ("sharegpt-QWJhYvA_0", Some("Be brief.")));
        assert_eq!((found.text.as_str(), &found.turns[..]), ("One", &["Two".to_owned()][..]));
        let Ok(Entry::Prompt(found)) =
            read(r#"{"conversation":[{"from":"user","value":"x"}]}"#, "mine-1", Some("Be kind."))
        else {
            panic!()
        };
        assert_eq!((found.id.as_str(), found.system.as_deref()), ("mine-1", Some("Be kind.")));
        assert_eq!(read(r#"{"id": 5, "conversations": []}"#, "mine-1", None), Ok(Entry::NoUserMessage));
    }

    #[test]
    fn other_sharegpt_forms_are_refused_with_the_reason() {
        for (text, word) in [
            (r#"{"id": "x"}"#, "no `conversations`"),
            (r#"{"conversations": "x"}"#, "not a list"),
            (r#"{"conversations": [{"from": "human"}]}"#, "turn 1"),
            (r#"{"conversations": [{"from": "human", "value": 5}]}"#, "turn 1"),
            ("\"text\"", "no `conversations`"),
            ("{torn", "not JSON"),
        ] {
            assert!(read(text, "mine-1", None).unwrap_err().contains(word), "{text}");
        }
    }
}
