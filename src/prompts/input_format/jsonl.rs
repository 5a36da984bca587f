//! JSON, one value per line or in one array: our `prompt` records, looser objects, strings.
//!
//! Of a conversation only the system and user messages are taken: the assistant messages would not be those of the model that
//! is measured.

use super::{Entry, Format};
use crate::prompts::{conversation, prompt};
use crate::record::{Prompt, Record, V, read as read_record};
use serde_json::{Map, Value};

/// JSON, one value per line or in one array.
pub const FORMAT: Format = Format { read, json: true, turns: usize::MAX, sampled: false };

fn read(line: &str, id: &str, system: Option<&str>) -> Result<Entry, String> {
    let value: Value =
        serde_json::from_str(line).map_err(|why| format!("not JSON (an object, or a text in quotes): {why}"))?;
    let mut fields = match value {
        Value::String(text) => return plain(prompt(id, None, system, &text)),
        Value::Object(fields) => fields,
        _ => return Err("neither an object nor a string".into()),
    };
    if let Some(kind) = fields.get("type").and_then(Value::as_str) {
        return record(kind, line, system);
    }
    let word = |fields: &Map<String, Value>, name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) if name == "id" => Ok(Some(number.to_string())),
        Some(_) => Err(format!("`{name}` is not a text")),
    };
    let own_id = word(&fields, "id")?;
    let id = own_id.as_deref().unwrap_or(id);
    let own_system = word(&fields, "system")?;
    let mut found = match (fields.remove("prompt").or_else(|| fields.remove("text")), fields.remove("messages")) {
        (Some(Value::String(text)), None) => prompt(id, None, own_system.as_deref().or(system), &text),
        (None, Some(messages)) => {
            let (said, turns) = turns(&messages)?;
            let system = said.as_deref().or(own_system.as_deref()).or(system);
            conversation(id, system, turns).ok_or("`messages` has no message of the user")?
        }
        (Some(_), Some(_)) => return Err("both a text and `messages`: which of them?".into()),
        (Some(_), None) => return Err("the prompt is not a text".into()),
        (None, None) => return Err("no `prompt`, `text` or `messages`".into()),
    };
    found.category = word(&fields, "category")?;
    found.max_tokens = match fields.get("max_tokens") {
        None | Some(Value::Null) => None,
        Some(limit) => Some(limit.as_u64().filter(|n| *n > 0).ok_or("`max_tokens` is not a whole number above zero")?),
    };
    plain(found)
}

fn plain(prompt: Prompt) -> Result<Entry, String> {
    if prompt.text.trim().is_empty() || prompt.turns.iter().any(|turn| turn.trim().is_empty()) {
        return Err("an empty text".into());
    }
    Ok(Entry::Prompt(Box::new(prompt)))
}

fn record(kind: &str, line: &str, system: Option<&str>) -> Result<Entry, String> {
    match read_record(line).map_err(|why| format!("not a `{kind}` record: {why}"))? {
        Record::Prompt(found) if found.shared_prefix => Ok(Entry::OtherRecord),
        Record::Prompt(found) => {
            let system = found.system.as_deref().or(system);
            let turns = std::iter::once(found.text.clone()).chain(found.turns.iter().cloned()).collect();
            // The hash is computed, not believed.
            let again = conversation(&found.id, system, turns).ok_or("a prompt without a text")?;
            let Prompt { category, max_tokens, synthetic, .. } = *found;
            plain(Prompt { category, max_tokens, synthetic, ..again })
        }
        Record::Newer(v) => Err(format!("a record of contract version {v}, newer than {V}")),
        _ => Ok(Entry::OtherRecord),
    }
}

/// The system message and the user's messages of a conversation.
fn turns(messages: &Value) -> Result<(Option<String>, Vec<String>), String> {
    let list = messages.as_array().ok_or("`messages` is not a list")?;
    let (mut system, mut turns): (Vec<String>, _) = (Vec::new(), Vec::new());
    for (n, message) in list.iter().enumerate() {
        let wrong = |why: &str| format!("message {}: {why}", n + 1);
        let role = message.get("role").and_then(Value::as_str).ok_or_else(|| wrong("no `role`"))?;
        let text = || text_of(message.get("content")).map_err(|why| wrong(&why));
        match role {
            "system" | "developer" if turns.is_empty() => system.push(text()?),
            "system" | "developer" => return Err(wrong("a system message after the user's first")),
            "user" => turns.push(text()?),
            "assistant" => {}
            other => return Err(wrong(&format!("role `{other}`: only system, user and assistant can be asked again"))),
        }
    }
    Ok(((!system.is_empty()).then(|| system.join("\n\n")), turns))
}

/// The text of a message: a string, or a list of text parts.
fn text_of(content: Option<&Value>) -> Result<String, String> {
    match content {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| part.get("text").and_then(Value::as_str).ok_or("a part that is not text"))
            .collect::<Result<Vec<_>, _>>()
            .map(|parts| parts.join("\n"))
            .map_err(str::to_owned),
        _ => Err("`content` is not a text".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::{Suite, suite};
    use crate::record;

    fn asked(line: &str) -> Prompt {
        match read(line, "file-3", Some("house")).unwrap() {
            Entry::Prompt(prompt) => *prompt,
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn what_print_suite_prints_is_read_back() {
        for prompt in suite(Suite::TokenRate, Some("Be brief.")) {
            assert_eq!(asked(&record::line(&prompt).unwrap()), prompt);
        }
    }

    #[test]
    fn looser_lines_are_prompts_too() {
        for (line, id, system, text, turns) in [
            (r#""Hello""#, "file-3", "house", "Hello", 1),
            (r#"{"prompt":"Hello"}"#, "file-3", "house", "Hello", 1),
            (r#"{"text":"Hello","id":"x","system":"own","other":[1]}"#, "x", "own", "Hello", 1),
            (r#"{"text":"Hello","id":7}"#, "7", "house", "Hello", 1),
            (r#"{"messages":[{"role":"user","content":"Hello"}]}"#, "file-3", "house", "Hello", 1),
            (
                r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]},{"role":"assistant","content":null},{"role":"user","content":"C"}]}"#,
                "file-3",
                "S",
                "A\nB",
                2,
            ),
        ] {
            let prompt = asked(line);
            let found = (prompt.id.as_str(), prompt.system.as_deref(), prompt.text.as_str(), prompt.turns.len() + 1);
            assert_eq!(found, (id, Some(system), text, turns), "{line}");
        }
        let limited = asked(r#"{"prompt":"Hello","max_tokens":9,"category":"creative"}"#);
        assert_eq!((limited.max_tokens, limited.category.as_deref()), (Some(9), Some("creative")));
    }

    #[test]
    fn records_that_are_no_prompts_are_not_asked() {
        for line in [
            r#"{"type":"start","v":1,"id":1,"start_ts":1.0,"start_mono":1.0}"#,
            r#"{"type":"model","v":1,"id":"m"}"#,
            r#"{"type":"note","text":"not a prompt"}"#,
            r#"{"type":"prompt","v":1,"id":"shared-prefix","text":"x","sha256":"","shared_prefix":true}"#,
        ] {
            assert_eq!(read(line, "f", None), Ok(Entry::OtherRecord), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_no_prompt_says_why() {
        for (line, word) in [
            ("Hello", "not JSON"),
            ("[1]", "neither"),
            ("{}", "no `prompt`"),
            (r#"{"prompt":5}"#, "not a text"),
            (r#"{"prompt":""}"#, "empty"),
            (r#"{"prompt":"x","messages":[]}"#, "which"),
            (r#"{"prompt":"x","max_tokens":0}"#, "max_tokens"),
            (r#"{"prompt":"x","max_tokens":1.5}"#, "max_tokens"),
            (r#"{"prompt":"x","id":[]}"#, "`id`"),
            (r#"{"messages":5}"#, "not a list"),
            (r#"{"messages":[]}"#, "no message of the user"),
            (r#"{"messages":[{"content":"x"}]}"#, "message 1: no `role`"),
            (r#"{"messages":[{"role":"tool","content":"x"}]}"#, "role `tool`"),
            (r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, "not text"),
            (r#"{"messages":[{"role":"user","content":" "}]}"#, "empty"),
            (r#"{"messages":[{"role":"user","content":"x"},{"role":"system","content":"y"}]}"#, "message 2"),
            (r#"{"type":"prompt","v":1,"id":"p"}"#, "not a `prompt` record"),
            (r#"{"type":"prompt","v":9,"id":"p"}"#, "version 9"),
        ] {
            let why = read(line, "f", None).unwrap_err();
            assert!(why.contains(word), "{line}: {why}");
        }
    }
}
