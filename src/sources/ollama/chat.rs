//! Ollama's own chat: one JSON object per line, durations in nanoseconds.
//!
//! Used instead of its OpenAI layer, which reports neither load nor evaluation times and takes no context length.
//! Source: Ollama's `api/types.go`, `ChatRequest` and `ChatResponse`.

use super::usage::STATS;
use crate::http::{ApiError, root_of};
use crate::protocol::{Arrival, ChatRequest, Parameters, Protocol, StreamedAnswer};
use serde_json::{Map, Value};

/// The native chat.
pub const PROTOCOL: Protocol = Protocol {
    name: "ollama",
    url: |base| format!("{}/api/chat", root_of(base)),
    body,
    event: |answer, at, event| line(answer, at, event.data),
    whole,
    json_lines: true,
    conversations: true,
    unsupported: &[],
    usage: &[STATS],
};

/// The body of a request.
fn body(request: &ChatRequest<'_>) -> Map<String, Value> {
    let Parameters { temperature, top_p, max_tokens, num_ctx, seed, reasoning_effort, stream, .. } = request.parameters;
    let mut options = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.into(), value);
        }
    };
    put("temperature", temperature.map(Into::into));
    put("top_p", top_p.map(Into::into));
    put("num_predict", max_tokens.map(Into::into));
    put("num_ctx", num_ctx.map(Into::into));
    put("seed", seed.map(Into::into));
    let mut body = Map::new();
    body.insert("model".into(), request.model.id.clone().into());
    body.insert("messages".into(), request.messages().into());
    body.insert("stream".into(), (*stream).into());
    if !options.is_empty() {
        body.insert("options".into(), options.into());
    }
    if let Some(effort) = reasoning_effort {
        let think = match effort.as_str() {
            "none" | "off" => false.into(),
            "on" => true.into(),
            level => Value::from(level),
        };
        body.insert("think".into(), think);
    }
    body
}

/// Takes one line.
fn line(answer: &mut StreamedAnswer, at: Arrival, line: &str) {
    let line = line.trim();
    if line.is_empty() {
        return;
    }
    answer.event(at);
    let Ok(mut json) = serde_json::from_str::<Value>(line) else {
        return answer.protocol_error(&format!("a line that is not JSON: {line}"));
    };
    if let Some(error) = ApiError::find(&json) {
        return answer.set_error(error.failure(200));
    }
    let Some(fields) = json.as_object_mut() else {
        return answer.protocol_error(&format!("a line of an unknown shape: {line}"));
    };
    if let Some(model) = fields.get("model").and_then(Value::as_str) {
        answer.set_served_model(model);
    }
    let ends = fields.get("done") == Some(&Value::Bool(true));
    if ends && answer.chunks.is_empty() && fields.get("message").and_then(|m| m.get("content")).is_some_and(|c| c != "")
    {
        // The end of a stream brings no text: this is all of an answer that was not streamed.
        answer.whole = true;
    }
    if let Some(message) = fields.get("message") {
        let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
        answer.think(at, text("thinking"));
        answer.content(at, text("content"));
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            if let Some(arguments) = call.pointer("/function/arguments") {
                answer.tool(at, &arguments.to_string());
            }
        }
    }
    if ends {
        answer.ended = true;
        if let Some(reason) = fields.get("done_reason").and_then(Value::as_str) {
            answer.finish(reason);
        }
        fields.remove("message");
        answer.metadata.rest_stats = Some(json);
    }
}

/// Takes a whole answer, of a request without streaming.
fn whole(answer: &mut StreamedAnswer, at: Arrival, body: &str) {
    answer.whole = true;
    line(answer, at, body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::FailureKind;

    fn stream(lines: &[&str]) -> StreamedAnswer {
        let mut answer = StreamedAnswer::default();
        for (n, text) in lines.iter().enumerate() {
            line(&mut answer, Arrival { ns: n as u64, read: 0 }, text);
        }
        answer.close();
        answer
    }

    #[test]
    fn reads_thinking_content_and_final_counts() {
        let answer = stream(&[
            r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
            r#"{"model":"m","message":{"role":"assistant","content":"Hi"},"done":false}"#,
            r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":2,"eval_duration":5}"#,
        ]);
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str(), answer.chunks.len()), ("Hi", "hm", 2));
        assert!(answer.ended);
        assert_eq!(answer.metadata.finish_reason.as_deref(), Some("stop"));
        assert_eq!(answer.metadata.rest_stats.unwrap()["eval_count"], 2);
    }

    #[test]
    fn error_line_is_an_error() {
        assert_eq!(stream(&[r#"{"error":"out of memory"}"#]).metadata.error.unwrap().message, "out of memory");
        assert_eq!(stream(&["<html>"]).metadata.error.unwrap().kind, FailureKind::Protocol);
        assert_eq!(stream(&["[1]"]).metadata.error.unwrap().kind, FailureKind::Protocol);
    }
}
