//! LM Studio's own chat, `/api/v1/chat`: named events from the load of the model to the statistics at the end.

use super::lmstudio;
use crate::sim::ask::{Ask, Refusal, limit};
use crate::sim::faults::Kind;
use crate::sim::turn::Turn;
use serde_json::{Map, Value, json};

/// One event: its type is said twice, as the name and in the data.
pub fn event(kind: &str, fields: &Value) -> Vec<u8> {
    let mut data = Map::new();
    data.insert("type".into(), kind.into());
    data.extend(fields.as_object().cloned().unwrap_or_default());
    format!("event: {kind}\ndata: {}\n\n", Value::Object(data)).into_bytes()
}

/// Reads the body.
///
/// # Errors
/// When it is no JSON object, or a needed field is missing or wrong.
pub fn ask(body: &[u8]) -> Result<Ask, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|why| Refusal::NotJson(why.to_string()))?;
    let missing = |name: &'static str| Refusal::Parameter(name, format!("you must provide a {name} parameter"));
    let model = body["model"].as_str().ok_or_else(|| missing("model"))?.to_owned();
    let mut prompt = body["system_prompt"].as_str().unwrap_or_default().to_owned();
    let mut say = |text: &str| {
        if !prompt.is_empty() {
            prompt.push('\n');
        }
        prompt.push_str(text);
    };
    match &body["input"] {
        Value::String(input) => say(input),
        Value::Array(items) => items.iter().filter_map(|item| item["content"].as_str()).for_each(&mut say),
        _ => return Err(missing("input")),
    }
    let temperature = &body["temperature"];
    if !temperature.is_null() && !temperature.as_f64().is_some_and(|t| (0.0..=1.0).contains(&t)) {
        return Err(Refusal::Parameter("temperature", "temperature must be between 0 and 1".into()));
    }
    Ok(Ask {
        model,
        prompt,
        stream: body["stream"] == Value::Bool(true),
        limit: limit("max_output_tokens", &body["max_output_tokens"])?,
        reasoning: body["reasoning"] != "off",
        context: body["context_length"].as_u64(),
        fallbacks: true,
        messages: 1,
        ..Ask::default()
    })
}

/// The processing of the prompt.
pub fn opening(turn: &Turn) -> Vec<(u64, Vec<u8>)> {
    let first_ns = turn.plan.first_ns;
    let progress = |part: f64| event("prompt_processing.progress", &json!({"progress": part}));
    vec![
        (0, event("prompt_processing.start", &json!({}))),
        (first_ns / 2, progress(0.5)),
        (first_ns, progress(1.0)),
        (first_ns, event("prompt_processing.end", &json!({}))),
    ]
}

/// The delta of chunk `n`, and what begins or ends before it.
pub fn chunk(turn: &Turn, n: usize) -> Vec<u8> {
    let reasoning = turn.plan.chunks[n].reasoning;
    let mut frame = Vec::new();
    if reasoning && n == 0 {
        frame.extend(event("reasoning.start", &json!({})));
    }
    if turn.begins_answer(n) {
        if n > 0 {
            frame.extend(event("reasoning.end", &json!({})));
        }
        frame.extend(event("message.start", &json!({})));
    }
    let kind = if reasoning { "reasoning.delta" } else { "message.delta" };
    frame.extend(event(kind, &json!({"content": turn.text(n)})));
    frame
}

/// The end of what was said, and the whole of it.
pub fn closing(turn: &Turn) -> Vec<Vec<u8>> {
    let last_reasons = turn.plan.chunks.last().is_some_and(|chunk| chunk.reasoning);
    let mut frames = vec![event(if last_reasons { "reasoning.end" } else { "message.end" }, &json!({}))];
    if !turn.has(Kind::NoDone) {
        frames.push(event("chat.end", &json!({"result": result(turn, turn.plan.chunks.len())})));
    }
    frames
}

/// An error, after which the end tells what there is.
pub fn failing(turn: &Turn, sent: usize) -> Vec<u8> {
    let mut frame = event("error", &json!({"error": lmstudio::error(&Refusal::Internal)}));
    frame.extend(event("chat.end", &json!({"result": result(turn, sent)})));
    frame
}

/// A refusal in a stream that has begun.
pub fn refused(refusal: &Refusal) -> Vec<u8> {
    event("error", &json!({"error": lmstudio::error(refusal)}))
}

/// What was said in the first `chunks` chunks, with its statistics.
pub fn result(turn: &Turn, chunks: usize) -> Value {
    let said = |reasoning: bool| -> String {
        let mine = (0..chunks).filter(|n| turn.plan.chunks[*n].reasoning == reasoning);
        mine.map(|n| turn.text(n)).collect()
    };
    let (reasoning, message) = (said(true), said(false));
    let mut output = Vec::new();
    if !reasoning.is_empty() {
        output.push(json!({"type": "reasoning", "content": reasoning}));
    }
    if !message.is_empty() {
        output.push(json!({"type": "message", "content": message}));
    }
    let sent = turn.sent(chunks);
    let mut result = json!({
        "model_instance_id": turn.served, "output": output,
    });
    if !turn.has(Kind::NoUsage) {
        result["stats"] = json!({
            "input_tokens": sent.input, "total_output_tokens": sent.output,
            "reasoning_output_tokens": sent.reasoning, "tokens_per_second": turn.tokens_per_second(),
            "time_to_first_token_seconds": turn.ttft_seconds(),
        });
        if let Some(seconds) = turn.load_seconds {
            result["stats"]["model_load_time_seconds"] = json!(seconds);
        }
    }
    result
}
