//! The chat completions of OpenAI and of everyone who copied them: LM Studio's `/v1` and `/api/v0`, OpenRouter, MiniMax,
//! llama.cpp, vLLM, SGLang, TGI, Ollama's `/v1`, gateways. The quirks are those of real streams, not of the specification.

use super::answer::{Answer, Arrival};
use super::{Parameters, Question};
use crate::http::Refusal;
use crate::record::Source;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The body of a request.
pub fn body(question: &Question) -> Map<String, Value> {
    let Parameters { temperature, top_p, max_tokens, seed, reasoning_effort, stream, .. } = question.parameters;
    let mut messages = Vec::new();
    if let Some(system) = question.system {
        messages.push(json!({ "role": "system", "content": system }));
    }
    messages.push(json!({ "role": "user", "content": question.text }));
    let mut body = Map::new();
    body.insert("model".into(), question.model.id.clone().into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), (*stream).into());
    if *stream {
        body.insert("stream_options".into(), json!({ "include_usage": true }));
    }
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.into(), value);
        }
    };
    put("temperature", temperature.map(Into::into));
    put("top_p", top_p.map(Into::into));
    put(limit_name(question), max_tokens.map(Into::into));
    put("seed", seed.map(Into::into));
    put("reasoning_effort", reasoning_effort.clone().map(Into::into));
    if let Some(tag) = &question.model.provider
        && question.source == Source::Openrouter
    {
        put("provider", Some(json!({ "only": [tag], "allow_fallbacks": false })));
    }
    body
}

/// OpenAI's newer models refuse `max_tokens`, and Ollama knows nothing else: the name follows the server.
fn limit_name(question: &Question) -> &'static str {
    let newer = match question.source {
        Source::Openrouter | Source::Minimax => true,
        Source::Openai => question.base_url.contains("//api.openai.com"),
        Source::Lmstudio | Source::Ollama => false,
    };
    if newer { "max_completion_tokens" } else { "max_tokens" }
}

/// A chunk of a stream. Every value is looked at before it is believed, so all are raw.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Frame<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    provider: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    timings: Option<&'a RawValue>,
    #[serde(borrow)]
    metrics: Option<&'a RawValue>,
    #[serde(borrow)]
    stats: Option<&'a RawValue>,
    #[serde(borrow)]
    model_info: Option<&'a RawValue>,
    #[serde(borrow)]
    runtime: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    base_resp: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    openrouter_metadata: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    message: Option<Delta<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    native_finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

/// Takes one `data:` of a stream.
pub fn event(answer: &mut Answer, at: Arrival, data: &str) {
    let data = data.trim();
    if data == "[DONE]" {
        answer.ended = true;
        return;
    }
    if data.is_empty() {
        return;
    }
    answer.event(at);
    match serde_json::from_str::<Frame>(data) {
        Ok(frame) => take(answer, at, frame, data),
        Err(_) => match serde_json::from_str::<Value>(data) {
            Ok(json) => match Refusal::find(&json) {
                Some(refusal) => answer.fail(refusal.failure(200)),
                // A key that stands twice is what a lenient reader takes the last of; as a value it stands once.
                None => match serde_json::from_str::<Frame>(&json.to_string()) {
                    Ok(frame) if json.is_object() => take(answer, at, frame, data),
                    _ => answer.nonsense(&format!("a chunk of an unknown shape: {data}")),
                },
            },
            Err(_) => answer.nonsense(&format!("a chunk that is not JSON: {data}")),
        },
    }
}

/// Takes a whole answer, of a request without streaming or of a server that does not stream.
pub fn whole(answer: &mut Answer, at: Arrival, body: &str) {
    answer.whole = true;
    answer.ended = true;
    event(answer, at, body);
}

fn take(answer: &mut Answer, at: Arrival, frame: Frame, data: &str) {
    if (frame.error.is_some_and(said) || frame.base_resp.is_some() || is(frame.object, "error"))
        && let Some(refusal) = serde_json::from_str(data).ok().and_then(|json| Refusal::find(&json))
    {
        answer.fail(refusal.failure(200));
    }
    if answer.served_model.is_none()
        && let Some(model) = frame.model.and_then(text)
    {
        answer.served(&model);
    }
    if answer.generation_id.is_none() {
        answer.generation_id = frame.id.and_then(text).map(Cow::into_owned).filter(|id| !id.is_empty());
    }
    if answer.provider.is_none() {
        answer.provider = frame.provider.and_then(text).map(Cow::into_owned);
    }
    let had = answer.chunks.len();
    for choice in frame.choices.into_iter().flatten() {
        take_choice(answer, at, choice);
    }
    if let Some(usage) = frame.usage.filter(|usage| said(usage)).and_then(value) {
        if had == 0 && answer.chunks.len() == 1 && !answer.whole {
            // Usage with the first text (vLLM's continuous_usage_stats) says how many tokens that text was.
            answer.first_chunk_tokens = usage.get("completion_tokens").and_then(Value::as_u64).filter(|&n| n > 0);
        }
        answer.usage(usage);
    }
    let filled = |raw: &&RawValue| said(raw) && raw.get() != "{}";
    if let Some(timings) = frame.timings.or(frame.metrics).filter(filled).and_then(value) {
        answer.timings = Some(timings);
    }
    if let Some(stats) = frame.stats.filter(filled).and_then(value) {
        answer.rest_stats = Some(stats);
    }
    if let Some(info) = frame.model_info.filter(filled).and_then(value) {
        answer.model_info = Some(info);
    }
    if let Some(metadata) = frame.openrouter_metadata.filter(filled).and_then(value) {
        answer.openrouter_metadata = Some(metadata);
    }
    if let Some(runtime) = frame.runtime.filter(filled).and_then(value) {
        answer.runtime = Some(runtime);
    }
}

fn take_choice(answer: &mut Answer, at: Arrival, choice: Choice) {
    if let Some(error) = choice.error.filter(|error| said(error)).and_then(value)
        && let Some(refusal) = Refusal::find(&json!({ "error": error }))
    {
        answer.fail(refusal.failure(200));
    }
    if let Some(delta) = choice.delta.or(choice.message) {
        // Servers that send several of these send the same words in each: one counts.
        let thought =
            [delta.reasoning, delta.reasoning_content].into_iter().flatten().filter_map(text).find(|t| !t.is_empty());
        match thought {
            Some(thought) => answer.think(at, &thought),
            None => details(delta.reasoning_details, |thought| answer.think(at, thought)),
        }
        if let Some(content) = delta.content {
            match text(content) {
                Some(content) => answer.content(at, &content),
                None => parts(content, |part| answer.content(at, part)),
            }
        }
        if let Some(calls) = delta.tool_calls.and_then(value) {
            for call in calls.as_array().into_iter().flatten() {
                if let Some(arguments) = call.pointer("/function/arguments").and_then(Value::as_str) {
                    answer.tool(at, arguments);
                }
            }
        }
    } else if let Some(text) = choice.text.and_then(text) {
        answer.content(at, &text);
    }
    if let Some(native) = choice.native_finish_reason.and_then(text) {
        answer.native_finish_reason = Some(native.into_owned());
    }
    if let Some(reason) = choice.finish_reason.and_then(text) {
        answer.finish(&reason);
    }
}

/// The texts of OpenRouter's `reasoning_details`.
fn details(raw: Option<&RawValue>, mut each: impl FnMut(&str)) {
    let Some(Value::Array(items)) = raw.and_then(value) else { return };
    for item in &items {
        if let Some(text) = item.get("text").or_else(|| item.get("summary")).and_then(Value::as_str) {
            each(text);
        }
    }
}

/// The texts of content that is a list of parts.
fn parts(raw: &RawValue, mut each: impl FnMut(&str)) {
    let Some(Value::Array(items)) = value(raw) else { return };
    items.iter().filter_map(|item| item.get("text")?.as_str()).for_each(&mut each);
}

fn said(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "\"\"")
}

fn is(raw: Option<&RawValue>, word: &str) -> bool {
    raw.and_then(text).is_some_and(|text| text == word)
}

fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

/// A JSON string, borrowed where it has no escapes; `None` for anything else.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
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

#[cfg(test)]
mod tests {
    use super::super::answer::Kind;
    use super::*;
    use crate::record::FailureKind;

    fn stream(events: &[&str]) -> Answer {
        let mut answer = Answer::default();
        for (n, data) in events.iter().enumerate() {
            event(&mut answer, Arrival { ns: n as u64, read: n as u64 }, data);
        }
        answer.close();
        answer
    }

    #[test]
    fn text_is_found_wherever_servers_put_it() {
        for (events, text, reasoning, chunks) in [
            (&[r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#][..], "", "", 0),
            (&[r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#], "", "", 0),
            (&[r#"{"choices":[{"delta":{"content":"a\"ä"}}]}"#], "a\"ä", "", 1),
            (&[r#"{"choices":[{"delta":{"reasoning":"h","reasoning_content":"h","content":""}}]}"#], "", "h", 1),
            (&[r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.text","text":"h"}]}}]}"#], "", "h", 1),
            (&[r#"{"choices":[{"delta":{"reasoning":"h","reasoning_details":[{"text":"h"}]}}]}"#], "", "h", 1),
            (&[r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"}]}}]}"#], "a", "", 1),
            (&[r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\"x\""}}]}}]}"#], "", "", 1),
            (&[r#"{"choices":[]}"#, r#"{"choices":null}"#, r#"{"x":1}"#, "", "[DONE]"], "", "", 0),
            (
                &[
                    r#"{"choices":[{"delta":{"content":"<think>h</think>"}}]}"#,
                    r#"{"choices":[{"delta":{"content":"a"}}]}"#,
                ],
                "a",
                "h",
                2,
            ),
            (&[r#"{"choices":[{"text":"a","finish_reason":"length"}]}"#], "a", "", 1),
            (&[r#"{"choices":[{"delta":{"content":"a"},"message":{"content":"all"}}]}"#], "a", "", 1),
            (&[r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#], "b", "", 1),
            (
                &[
                    r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#,
                    r#"{"choices":[{"delta":{"content":"\ude00 \ud83d\ude00\n"}}]}"#,
                ],
                "\u{fffd}\u{fffd} 😀\n",
                "",
                2,
            ),
        ] {
            let answer = stream(events);
            assert_eq!(answer.error, None, "{events:?}");
            assert_eq!(
                (answer.text.as_str(), answer.reasoning.as_str(), answer.chunks.len()),
                (text, reasoning, chunks),
                "{events:?}"
            );
        }
    }

    #[test]
    fn errors_inside_a_200_are_errors() {
        for (data, kind, message) in [
            (
                r#"{"error":{"code":502,"message":"down"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
                FailureKind::Server,
                "down",
            ),
            (r#"{"error":{"code":"server_error","message":"down"}}"#, FailureKind::Server, "down (server_error)"),
            (
                r#"{"choices":[{"error":{"code":429,"message":"slow"},"finish_reason":"error"}]}"#,
                FailureKind::RateLimit,
                "slow",
            ),
            (r#"{"object":"error","message":"no","type":"X"}"#, FailureKind::Server, "no (X)"),
            (
                r#"{"choices":null,"base_resp":{"status_code":1004,"status_msg":"auth"}}"#,
                FailureKind::Server,
                "auth (1004)",
            ),
            (r#""just a string""#, FailureKind::Protocol, "a chunk of an unknown shape: \"just a string\""),
            ("The model is overloaded", FailureKind::Protocol, "a chunk that is not JSON: The model is overloaded"),
            (
                r#"{"choices":[{"delta":{"content":"a"#,
                FailureKind::Protocol,
                r#"a chunk that is not JSON: {"choices":[{"delta":{"content":"a"#,
            ),
        ] {
            let error = stream(&[data]).error.unwrap_or_else(|| panic!("{data}"));
            assert_eq!((error.kind, error.message.as_str()), (kind, message), "{data}");
        }
        assert_eq!(stream(&[r#"{"error":null,"choices":[]}"#]).error, None);
    }

    #[test]
    fn usage_is_found_in_every_place() {
        for events in [
            &[r#"{"choices":[],"usage":{"completion_tokens":2}}"#][..],
            &[r#"{"choices":[{"delta":{"content":""},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}"#],
            &[
                r#"{"choices":[],"usage":{"completion_tokens":1}}"#,
                r#"{"choices":[],"usage":{"completion_tokens":2}}"#,
                r#"{"usage":null}"#,
            ],
        ] {
            assert_eq!(stream(events).usage.unwrap()["completion_tokens"], 2, "{events:?}");
        }
        let first = stream(&[r#"{"choices":[{"delta":{"content":"abc"}}],"usage":{"completion_tokens":3}}"#]);
        assert_eq!(first.first_chunk_tokens, Some(3));
    }

    #[test]
    fn an_empty_finish_reason_is_no_end_and_the_last_text_may_come_with_the_real_one() {
        let answer = stream(&[
            r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#,
            r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"length","native_finish_reason":"MAX"}]}"#,
        ]);
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_deref()), ("ab", Some("length")));
        assert_eq!(answer.native_finish_reason.as_deref(), Some("MAX"));
        assert_eq!(answer.chunks[1].kind, Kind::Answer);
    }

    #[test]
    fn a_whole_answer_is_read_like_one_chunk() {
        let mut answer = Answer::default();
        whole(
            &mut answer,
            Arrival::default(),
            "\n\n  {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":1},\"stats\":{}}",
        );
        assert_eq!((answer.text.as_str(), answer.ended, answer.whole), ("a", true, true));
        assert_eq!((answer.rest_stats, answer.served_model.as_deref()), (None, Some("m")));
    }
}
