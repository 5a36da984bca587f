//! The chat completions of OpenAI and of everyone who copied them: LM Studio's `/v1` and `/api/v0`, OpenRouter, MiniMax,
//! llama.cpp, vLLM, SGLang, TGI, Ollama's `/v1`, gateways. The quirks are those of real streams, not of the specification.

use super::answer::{Arrival, ChunkKind, StreamedAnswer};
use super::interface::Protocol;
use super::json_fields::{Fields, has_value, text, value};
use super::request::{ChatRequest, Parameters};
use crate::http::{ApiError, versioned};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The name of the limit of output tokens that older servers know.
pub const OLDER_LIMIT: &str = "max_tokens";

/// The name that OpenAI's newer models demand.
pub const NEWER_LIMIT: &str = "max_completion_tokens";

/// The protocol as most servers implement it.
pub const PROTOCOL: Protocol = Protocol {
    name: "chat",
    url: |base| format!("{}/chat/completions", versioned(base)),
    body: |request| body(request, OLDER_LIMIT),
    event: |answer, at, event| self::event(answer, at, event.data),
    whole,
    json_lines: false,
    conversations: true,
    unsupported: &["num_ctx"],
    usage: &[],
};

/// The body of a request, with the limit of output tokens under `limit_name`.
pub fn body(request: &ChatRequest<'_>, limit_name: &str) -> Map<String, Value> {
    let Parameters { temperature, top_p, max_tokens, seed, reasoning_effort, stream, .. } = request.parameters;
    let mut body = Map::new();
    body.insert("model".into(), request.model.id.clone().into());
    body.insert("messages".into(), request.messages().into());
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
    put(limit_name, max_tokens.map(Into::into));
    put("seed", seed.map(Into::into));
    put("reasoning_effort", reasoning_effort.clone().map(Into::into));
    body
}

/// The fields that are read of a chunk, of its choices and of their deltas. The others are kept raw (except the random letters with which
/// OpenAI hides the lengths of chunks).
const CHUNK_FIELDS: [&str; 16] = [
    "id",
    "object",
    "created",
    "model",
    "provider",
    "choices",
    "usage",
    "timings",
    "metrics",
    "stats",
    "model_info",
    "runtime",
    "openrouter_metadata",
    "error",
    "base_resp",
    "obfuscation",
];
const CHOICE_FIELDS: [&str; 10] = [
    "index",
    "delta",
    "message",
    "text",
    "finish_reason",
    "native_finish_reason",
    "error",
    "logprobs",
    "token_ids",
    "usage",
];
const DELTA_FIELDS: [&str; 7] =
    ["role", "content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call"];

/// Takes one `data:` of a stream.
pub fn event(answer: &mut StreamedAnswer, at: Arrival, data: &str) {
    let data = data.trim();
    if data == "[DONE]" {
        answer.ended = true;
        return;
    }
    if data.is_empty() {
        return;
    }
    answer.event(at);
    if let Some((text, reasoning)) = answer.chunk_cache.text(data) {
        return if reasoning { answer.think(at, &text) } else { answer.content(at, &text) };
    }
    match serde_json::from_str::<Fields>(data) {
        Ok(chunk) => read_chunk(answer, at, &chunk, data),
        Err(_) if serde_json::from_str::<Value>(data).is_ok() => {
            answer.protocol_error(&format!("a chunk of an unknown shape: {data}"));
        }
        Err(_) => answer.protocol_error(&format!("a chunk that is not JSON: {data}")),
    }
}

/// Takes a whole answer, of a request without streaming or of a server that does not stream.
pub fn whole(answer: &mut StreamedAnswer, at: Arrival, body: &str) {
    answer.whole = true;
    answer.ended = true;
    event(answer, at, body);
}

fn read_chunk(answer: &mut StreamedAnswer, at: Arrival, chunk: &Fields, data: &str) {
    let failed = chunk.get("error").is_some_and(has_value) || chunk.get("base_resp").is_some();
    if (failed || chunk.text("object").is_some_and(|object| object == "error"))
        && let Some(error) = serde_json::from_str(data).ok().and_then(|json| ApiError::find(&json))
    {
        answer.set_error(error.failure(200));
    }
    if answer.metadata.served_model.is_none()
        && let Some(model) = chunk.text("model")
    {
        answer.set_served_model(&model);
    }
    if answer.metadata.generation_id.is_none() {
        answer.metadata.generation_id = chunk.text("id").map(Cow::into_owned).filter(|id| !id.is_empty());
    }
    if answer.metadata.provider.is_none() {
        answer.metadata.provider = chunk.text("provider").map(Cow::into_owned);
    }
    let had = answer.chunks.len();
    let choices = match chunk.get("choices").filter(|raw| has_value(raw)) {
        None => Vec::new(),
        Some(raw) => match serde_json::from_str::<Vec<Fields>>(raw.get()) {
            Ok(choices) => choices,
            Err(_) => return answer.protocol_error(&format!("a chunk of an unknown shape: {data}")),
        },
    };
    let (mut tokens, mut only) = (0, None);
    for choice in &choices {
        let (count, text) = read_choice(answer, at, choice);
        tokens += count;
        only = text.filter(|_| choices.len() == 1);
    }
    // Until there is text, a chunk may carry more than its fields.
    if let Some((text, reasoning)) = only.filter(|_| had > 0 && answer.metadata.error.is_none() && !answer.whole) {
        answer.chunk_cache.learn(data, text, reasoning);
    }
    // Most say usage at the top, Kimi in the choice, Groq in a field of its own.
    let usage = chunk
        .filled("usage")
        .or_else(|| choices.iter().find_map(|choice| choice.filled("usage")))
        .or_else(|| chunk.filled("x_groq").and_then(|mut own| own.get_mut("usage").map(Value::take)));
    let timings = chunk.filled("timings");
    if !answer.whole && had == 0 {
        // Tokens until the first text, where the server reports them with each chunk: cumulative usage
        // (vLLM, SGLang), timings per token (llama.cpp), log-probabilities or ids.
        let count = |found: Option<&Value>, key: &str| found?.get(key)?.as_u64().filter(|&n| n > 0);
        answer.metadata.tokens_until_text += tokens;
        if answer.chunks.len() == 1 {
            answer.metadata.first_chunk_tokens = count(usage.as_ref(), "completion_tokens")
                .or_else(|| count(timings.as_ref(), "predicted_n"))
                .or(Some(answer.metadata.tokens_until_text).filter(|&n| n > 0));
        }
    }
    if let Some(usage) = usage {
        // Usage without a choice, after text, is sent when all is over.
        answer.ending |= had > 0 && choices.is_empty();
        answer.usage(usage);
    }
    if let Some(timings) = timings.or_else(|| chunk.filled("metrics")) {
        answer.metadata.timings = Some(timings);
    }
    let raw = [
        ("stats", &mut answer.metadata.rest_stats),
        ("model_info", &mut answer.metadata.model_info),
        ("runtime", &mut answer.metadata.runtime),
        ("openrouter_metadata", &mut answer.metadata.openrouter_metadata),
    ];
    for (name, place) in raw {
        if let Some(found) = chunk.filled(name) {
            *place = Some(found);
        }
    }
    keep_others(answer, chunk, &CHUNK_FIELDS);
}

/// Reads a choice; returns the number of tokens that it reports, and its text as [`read_delta`] does. The answer is the first choice; of
/// others (`n`) only the stamps count.
fn read_choice<'a>(answer: &mut StreamedAnswer, at: Arrival, choice: &Fields<'a>) -> (u64, Option<(&'a str, bool)>) {
    let mut only = None;
    if let Some(error) = choice.filled("error")
        && let Some(error) = ApiError::find(&json!({ "error": error }))
    {
        answer.set_error(error.failure(200));
    }
    let first = choice.get("index").is_none_or(|index| matches!(index.get(), "0" | "null"));
    let object = |key: &str| serde_json::from_str::<Fields>(choice.get(key)?.get()).ok();
    if let Some(delta) = object("delta").or_else(|| object("message")) {
        only = read_delta(answer, at, &delta, first);
    } else if let Some(text) = choice.text("text") {
        add_text(answer, at, &text, first);
    }
    if let Some(reason) = choice.text("finish_reason") {
        if first {
            answer.finish(&reason);
        }
        answer.ending |= !reason.is_empty();
    }
    if first && let Some(native) = choice.text("native_finish_reason") {
        answer.metadata.native_finish_reason = Some(native.into_owned());
    }
    keep_others(answer, choice, &CHOICE_FIELDS);
    let items = |list: Option<&Value>| list.and_then(Value::as_array).map_or(0, |items| items.len() as u64);
    let tokens = match choice.filled("token_ids") {
        Some(ids) => items(Some(&ids)),
        None => items(choice.filled("logprobs").as_ref().and_then(|all| all.get("content"))),
    };
    (tokens, only)
}

/// Reads a delta. Returns its raw text, and whether that is reasoning, if a plain text of the first choice is its only effect.
fn read_delta<'a>(
    answer: &mut StreamedAnswer,
    at: Arrival,
    delta: &Fields<'a>,
    first: bool,
) -> Option<(&'a str, bool)> {
    // Servers that send several of these repeat the text in each: one counts.
    let thought = ["reasoning", "reasoning_content"].iter().find_map(|key| delta.text(key).filter(|t| !t.is_empty()));
    match thought {
        Some(thought) => add_reasoning(answer, at, &thought, first),
        None => reasoning_details(delta.get("reasoning_details"), |thought| add_reasoning(answer, at, thought, first)),
    }
    if let Some(content) = delta.get("content") {
        match text(content) {
            Some(content) => add_text(answer, at, &content, first),
            None => content_parts(content, |part, thought| match thought {
                true => add_reasoning(answer, at, part, first),
                false => add_text(answer, at, part, first),
            }),
        }
    }
    let calls = delta.filled("tool_calls").unwrap_or_default();
    for call in calls.as_array().into_iter().flatten() {
        if let Some(arguments) = call.pointer("/function/arguments").and_then(Value::as_str) {
            answer.tool(at, arguments);
        }
    }
    let called = delta.filled("function_call");
    if let Some(arguments) = called.as_ref().and_then(|call| call.get("arguments")).and_then(Value::as_str) {
        answer.tool(at, arguments);
    }
    keep_others(answer, delta, &DELTA_FIELDS);
    delta
        .only(&["content", "reasoning", "reasoning_content"], &["role"])
        .filter(|_| first)
        .map(|(name, text)| (text, name != "content"))
}

/// Keeps the fields that nothing reads.
fn keep_others(answer: &mut StreamedAnswer, fields: &Fields<'_>, known: &[&str]) {
    for (name, raw) in fields.others(known) {
        answer.server_field(name, raw);
    }
}

fn add_text(answer: &mut StreamedAnswer, at: Arrival, text: &str, first: bool) {
    if first { answer.content(at, text) } else { answer.extra_choice(at, text, ChunkKind::Answer) }
}

fn add_reasoning(answer: &mut StreamedAnswer, at: Arrival, text: &str, first: bool) {
    if first { answer.think(at, text) } else { answer.extra_choice(at, text, ChunkKind::Reasoning) }
}

/// The texts of OpenRouter's `reasoning_details`.
fn reasoning_details(raw: Option<&RawValue>, mut each: impl FnMut(&str)) {
    let Some(Value::Array(items)) = raw.and_then(value) else { return };
    for item in &items {
        if let Some(text) = item.get("text").or_else(|| item.get("summary")).and_then(Value::as_str) {
            each(text);
        }
    }
}

/// The texts of content that is a list of parts, each with whether it is reasoning (Mistral's `thinking`, again a list).
fn content_parts(raw: &RawValue, mut each: impl FnMut(&str, bool)) {
    let Some(Value::Array(items)) = value(raw) else { return };
    for item in &items {
        if let Some(text) = item.get("text").and_then(Value::as_str) {
            each(text, false);
        }
        for thought in item.get("thinking").and_then(Value::as_array).into_iter().flatten() {
            if let Some(text) = thought.get("text").and_then(Value::as_str) {
                each(text, true);
            }
        }
    }
}

#[cfg(test)]
mod tests;
