//! LM Studio's native chat (`/api/v1/chat`, since 0.4.0): named events that also tell of loading and of the prompt.
//!
//! Its statistics and its load and prompt events are kept under `rest_stats`, in LM Studio's own words, with the moments
//! at which the load and the prompt's processing began and ended as this client saw them. It names no reason why an answer ended, so
//! none is recorded.
//! Source: LM Studio's developer documentation, "Streaming events" and "Chat with a model".

use super::usage::STATS;
use crate::http::{ApiError, root_of};
use crate::protocol::{Arrival, ChatRequest, Parameters, Protocol, StreamedAnswer};
use serde_json::{Map, Value};

/// The native chat. It takes no messages: it continues only chats that the server itself keeps, and a benchmark leaves none behind.
pub const V1: Protocol = Protocol {
    name: "lmstudio-v1",
    url: |base| format!("{}/api/v1/chat", root_of(base)),
    body,
    event: |answer, at, event| self::event(answer, at, event.name, event.data),
    whole,
    json_lines: false,
    conversations: false,
    unsupported: &["seed"],
    usage: &[STATS],
};

/// The URL of a chat by the older REST API.
pub fn v0_url(base: &str) -> String {
    format!("{}/api/v0/chat/completions", root_of(base))
}

/// The body of a request. `store` is off: a benchmark leaves no chats behind.
fn body(request: &ChatRequest<'_>) -> Map<String, Value> {
    let Parameters { temperature, top_p, max_tokens, num_ctx, reasoning_effort, stream, .. } = request.parameters;
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.into(), value);
        }
    };
    put("model", Some(request.model.id.clone().into()));
    put("input", Some(request.text.into()));
    put("system_prompt", request.system.map(Into::into));
    put("stream", Some((*stream).into()));
    put("store", Some(false.into()));
    put("temperature", temperature.map(Into::into));
    put("top_p", top_p.map(Into::into));
    put("max_output_tokens", max_tokens.map(Into::into));
    put("context_length", num_ctx.map(Into::into));
    // What others call none is off here.
    let effort = reasoning_effort.as_deref().map(|word| if word == "none" { "off" } else { word });
    put("reasoning", effort.map(Into::into));
    body
}

/// Takes one event.
fn event(answer: &mut StreamedAnswer, at: Arrival, name: &str, data: &str) {
    let data = data.trim();
    if data.is_empty() || data == "[DONE]" {
        return;
    }
    answer.event(at);
    let Ok(json) = serde_json::from_str::<Value>(data) else {
        return answer.protocol_error(&format!("an event that is not JSON: {data}"));
    };
    // The name stands in the event field and, again, in the data: a gateway may have dropped the first.
    let name = if name.is_empty() { json.get("type").and_then(Value::as_str).unwrap_or_default() } else { name };
    let content = || json.get("content").and_then(Value::as_str).unwrap_or_default();
    match name {
        "reasoning.delta" => answer.think(at, content()),
        "message.delta" => answer.content(at, content()),
        "tool_call.arguments" => {
            if let Some(arguments) = json.get("arguments") {
                answer.tool(at, &arguments.to_string());
            }
        }
        "chat.start" => {
            if let Some(instance) = json.get("model_instance_id").and_then(Value::as_str) {
                answer.set_served_model(instance);
            }
        }
        "model_load.start" => set_time(answer, "model_load_start_mono", at),
        "model_load.end" => {
            set_stat(answer, "model_load_time_seconds", json.get("load_time_seconds").cloned());
            set_time(answer, "model_load_end_mono", at);
        }
        "prompt_processing.start" => set_time(answer, "prompt_processing_start_mono", at),
        "prompt_processing.end" => set_time(answer, "prompt_processing_end_mono", at),
        "model_load.progress" | "prompt_processing.progress" => answer.progress += 1,
        "chat.end" => {
            answer.ended = true;
            if let Some(result) = json.get("result") {
                // The last event has the whole output, in case no delta came.
                if answer.chunks.is_empty() {
                    read_output(answer, at, result);
                }
                read_result(answer, result);
            }
        }
        "error" => match ApiError::find(&json) {
            Some(error) => answer.set_error(error.failure(200)),
            None => answer.protocol_error(&format!("an error without a word: {data}")),
        },
        "" => match ApiError::find(&json) {
            Some(error) => answer.set_error(error.failure(200)),
            None => answer.protocol_error(&format!("an event without a name: {data}")),
        },
        // New events come with new versions, and none of them takes anything back.
        _ => {}
    }
}

/// Takes a whole answer, of a request without streaming.
fn whole(answer: &mut StreamedAnswer, at: Arrival, body: &str) {
    answer.whole = true;
    answer.event(at);
    let Ok(json) = serde_json::from_str::<Value>(body.trim()) else {
        return answer.protocol_error(&format!("not JSON: {body}"));
    };
    if let Some(error) = ApiError::find(&json) {
        return answer.set_error(error.failure(200));
    }
    answer.ended = true;
    read_output(answer, at, &json);
    read_result(answer, &json);
}

fn read_output(answer: &mut StreamedAnswer, at: Arrival, result: &Value) {
    for item in result.get("output").and_then(Value::as_array).into_iter().flatten() {
        let content = item.get("content").and_then(Value::as_str).unwrap_or_default();
        match item.get("type").and_then(Value::as_str) {
            Some("reasoning") => answer.think(at, content),
            Some("message") => answer.content(at, content),
            _ => {}
        }
    }
}

fn read_result(answer: &mut StreamedAnswer, result: &Value) {
    if let Some(instance) = result.get("model_instance_id").and_then(Value::as_str) {
        answer.set_served_model(instance);
    }
    answer.metadata.generation_id = result.get("response_id").and_then(Value::as_str).map(str::to_owned);
    for (name, value) in result.get("stats").and_then(Value::as_object).into_iter().flatten() {
        set_stat(answer, name, Some(value.clone()));
    }
}

fn set_stat(answer: &mut StreamedAnswer, name: &str, value: Option<Value>) {
    let stats = answer.metadata.rest_stats.get_or_insert_with(|| Value::Object(Map::new()));
    if let (Some(stats), Some(value)) = (stats.as_object_mut(), value) {
        stats.insert(name.to_owned(), value);
    }
}

fn set_time(answer: &mut StreamedAnswer, name: &str, at: Arrival) {
    answer.progress += 1;
    set_stat(answer, name, Some((at.ns as f64 / 1e9).into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(events: &[(&str, &str)]) -> StreamedAnswer {
        let mut answer = StreamedAnswer::default();
        for (n, (name, data)) in events.iter().enumerate() {
            event(&mut answer, Arrival { ns: n as u64 * 1_000_000_000, read: 0 }, name, data);
        }
        answer.close();
        answer
    }

    #[test]
    fn reads_the_events_of_a_chat() {
        let answer = stream(&[
            ("chat.start", r#"{"type":"chat.start","model_instance_id":"m"}"#),
            ("model_load.end", r#"{"type":"model_load.end","load_time_seconds":2.5}"#),
            ("prompt_processing.start", r#"{"type":"prompt_processing.start"}"#),
            ("prompt_processing.progress", r#"{"type":"prompt_processing.progress","progress":0.5}"#),
            ("prompt_processing.end", r#"{"type":"prompt_processing.end"}"#),
            ("reasoning.delta", r#"{"type":"reasoning.delta","content":"hm"}"#),
            ("", r#"{"type":"message.delta","content":"Hi"}"#),
            ("new.thing", r#"{"type":"new.thing"}"#),
            (
                "chat.end",
                r#"{"type":"chat.end","result":{"model_instance_id":"m","stats":{"input_tokens":3,"total_output_tokens":2}}}"#,
            ),
        ]);
        assert_eq!(answer.metadata.error, None);
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), ("Hi", "hm"));
        let stats = answer.metadata.rest_stats.unwrap();
        assert_eq!(stats["total_output_tokens"], 2);
        assert_eq!(stats["model_load_time_seconds"], 2.5);
        assert_eq!(stats["prompt_processing_end_mono"], 4.0);
        assert!(answer.ended);
    }

    #[test]
    fn reads_the_output_of_the_last_event() {
        let answer = stream(&[
            ("model_load.start", r#"{"type":"model_load.start"}"#),
            ("model_load.end", r#"{"type":"model_load.end","load_time_seconds":1.0}"#),
            (
                "chat.end",
                r#"{"type":"chat.end","result":{"output":[{"type":"reasoning","content":"hm"},{"type":"message","content":"Hi"}],"stats":{}}}"#,
            ),
        ]);
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str(), answer.progress), ("Hi", "hm", 2));
        let stats = answer.metadata.rest_stats.unwrap();
        assert_eq!((&stats["model_load_start_mono"], &stats["model_load_end_mono"]), (&0.0.into(), &1.0.into()));
    }

    #[test]
    fn error_event_fails_a_chat_that_ends() {
        let answer = stream(&[
            ("error", r#"{"type":"error","error":{"type":"internal_error","message":"engine died"}}"#),
            ("chat.end", r#"{"type":"chat.end","result":{"stats":{}}}"#),
        ]);
        assert_eq!(answer.metadata.error.unwrap().message, "engine died (internal_error)");
        assert_eq!(answer.metadata.finish_reason, None);
    }
}
