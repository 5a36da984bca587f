//! OpenAI's chat completions, streamed and plain. What a profile does differently is a field of [`Completions`]; what other
//! servers do differently is recorded in `testdata/servers`.

use super::{Sim, answer, describe};
use crate::record::Source;
use crate::sim::ask::{Ask, Refusal};
use crate::sim::chat;
use crate::sim::faults::Kind;
use crate::sim::serve::Call;
use crate::sim::turn::{Sent, Turn};
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Which chunks have the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A chunk of its own with empty content, half way to the first token.
    Alone,
    /// The chunk of the first token.
    First,
    /// Every chunk.
    Every,
}

/// Which fields have the reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    /// The field of this name.
    Field(&'static str),
    /// `reasoning` and, with the same text, `reasoning_details`.
    Details,
    /// The content, between `<think>` and `</think>`, unless the request asks to split it off.
    Inline,
}

/// The chat completions of one profile.
#[derive(Debug)]
pub struct Completions {
    /// The id of an answer.
    pub id: fn(&str, u64) -> String,
    /// Which chunks have the role.
    pub role: Role,
    /// Which fields have the reasoning.
    pub reasoning: Reasoning,
    /// Whether usage is sent to requests that did not ask for it.
    pub usage_always: bool,
    /// Whether the chunks before the usage have `usage: null`.
    pub usage_null: bool,
    /// Whether the stream ends with `[DONE]`.
    pub done: bool,
    /// Whether the chunk of the last token has the finish reason.
    pub finish_with_text: bool,
    /// Whether a plain answer is padded with blanks until it is complete.
    pub pads: bool,
    /// The text of three comments before the first token.
    pub comment: Option<&'static str>,
    /// Adds to every chunk and to the plain body.
    pub envelope: fn(&Turn, &mut Map<String, Value>),
    /// Adds to a choice, with its finish reason.
    pub choice: fn(Option<&str>, &mut Map<String, Value>),
    /// Adds to a delta or a message.
    pub delta: fn(&mut Map<String, Value>),
    /// The usage.
    pub usage: fn(&Turn, Sent) -> Value,
    /// Adds to the chunk of the usage and to the plain body.
    pub last: fn(&Turn, &mut Map<String, Value>),
    /// Adds to the plain body only.
    pub body: fn(&Turn, &mut Map<String, Value>),
    /// Headers of an answer.
    pub head: fn(&str, u64, &mut HeaderMap),
    /// An error in a stream, and its end.
    pub failing: fn(&Turn) -> Vec<u8>,
    /// The answer of a fault that only this server has.
    pub at_once: fn(&crate::sim::chat::Request) -> Option<Response>,
    /// A refusal.
    pub refuse: fn(&Refusal) -> Response,
    /// Keeps what will be requested later.
    pub remember: fn(&Turn, &Sim),
}

/// What most profiles have in common.
pub const BASE: Completions = Completions {
    id: |id, _| format!("chatcmpl-{id}"),
    role: Role::Alone,
    reasoning: Reasoning::Field("reasoning_content"),
    usage_always: false,
    usage_null: false,
    done: true,
    finish_with_text: false,
    pads: false,
    comment: None,
    envelope: |_, _| (),
    choice: |_, _| (),
    delta: |_| (),
    usage: |_, sent| usage(sent),
    last: |_, _| (),
    body: |_, _| (),
    head: |_, _, _| (),
    failing: |_| {
        let error = json!({"error": {
            "message": describe(&Refusal::Internal), "type": "server_error", "param": null, "code": 500,
        }});
        format!("data: {error}\n\ndata: [DONE]\n\n").into_bytes()
    },
    at_once: |_| None,
    refuse,
    remember: |_, _| (),
};

impl Completions {
    /// Comments, and the chunk that has only the role.
    pub fn opening(&self, turn: &Turn) -> Vec<(u64, Vec<u8>)> {
        let mut frames = Vec::new();
        if let Some(comment) = self.comment {
            let third = turn.plan.first_ns / 3;
            frames.extend((0..3).map(|n| (n * third, format!(": {comment}\n\n").into_bytes())));
        }
        if self.role == Role::Alone {
            let mut delta = Map::new();
            delta.insert("role".into(), "assistant".into());
            delta.insert("content".into(), "".into());
            (self.delta)(&mut delta);
            frames.push((turn.plan.first_ns / 2, self.frame(turn, Some((delta, None)), |_| ())));
        }
        frames.sort_by_key(|(offset_ns, _)| *offset_ns);
        frames
    }

    /// The chunk `n`.
    pub fn chunk(&self, turn: &Turn, n: usize) -> Vec<u8> {
        let mut delta = Map::new();
        if self.role == Role::Every || (self.role == Role::First && n == 0) {
            delta.insert("role".into(), "assistant".into());
        }
        self.add_text(turn, n, &mut delta);
        (self.delta)(&mut delta);
        let finish = (self.finishes_with_text(turn) && turn.is_last(n)).then(|| turn.finish());
        self.frame(turn, Some((delta, finish)), |chunk| {
            if turn.has(Kind::CumulativeUsage) {
                chunk.insert("usage".into(), (self.usage)(turn, turn.sent(n + 1)));
            }
        })
    }

    fn finishes_with_text(&self, turn: &Turn) -> bool {
        self.finish_with_text || turn.has(Kind::FinishWithToken)
    }

    /// The usage of the whole answer; a fault makes it zero.
    fn counted(&self, turn: &Turn) -> Value {
        let mut sent = turn.all();
        if turn.has(Kind::ZeroUsage) {
            (sent.output, sent.reasoning) = (0, 0);
        }
        (self.usage)(turn, sent)
    }

    /// Where the reasoning of this answer goes: a request can ask to split it off the content.
    fn reasoning_field(&self, turn: &Turn) -> Reasoning {
        match self.reasoning {
            Reasoning::Inline if turn.ask.reasoning_split => Reasoning::Field("reasoning_content"),
            other => other,
        }
    }

    fn add_text(&self, turn: &Turn, n: usize, delta: &mut Map<String, Value>) {
        let text = turn.text(n);
        let reasoning = turn.plan.chunks[n].reasoning;
        match self.reasoning_field(turn) {
            Reasoning::Inline => {
                let mut content = String::with_capacity(text.len() + 16);
                if n == 0 && reasoning {
                    content.push_str("<think>\n");
                }
                if n > 0 && turn.begins_answer(n) {
                    content.push_str("\n</think>\n\n");
                }
                content.push_str(text);
                delta.insert("content".into(), content.into());
            }
            _ if !reasoning => {
                delta.insert("content".into(), text.into());
            }
            Reasoning::Field(name) if self.reasoning == Reasoning::Inline => {
                delta.insert("content".into(), "".into());
                delta.insert(name.into(), text.into());
                delta.insert("reasoning_details".into(), details("MiniMax-response-v1", text));
            }
            Reasoning::Field(name) => {
                delta.insert(name.into(), text.into());
            }
            Reasoning::Details => {
                delta.insert("content".into(), "".into());
                delta.insert("reasoning".into(), text.into());
                delta.insert("reasoning_details".into(), details("unknown", text));
            }
        }
    }

    /// The finish, the usage, the end mark.
    pub fn closing(&self, turn: &Turn) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        if !self.finishes_with_text(turn) && !turn.has(Kind::NoFinish) {
            let mut delta = Map::new();
            if self.role == Role::Every {
                delta.insert("role".into(), "assistant".into());
                delta.insert("content".into(), "".into());
            }
            frames.push(self.frame(turn, Some((delta, Some(turn.finish()))), |_| ()));
        }
        if (self.usage_always || turn.ask.include_usage) && !turn.has(Kind::NoUsage) {
            let choice = turn.has(Kind::UsageWithChoice).then(|| {
                let delta = json!({"role": "assistant", "content": ""});
                (delta.as_object().cloned().unwrap_or_default(), Some(turn.finish()))
            });
            frames.push(self.frame(turn, choice, |chunk| {
                chunk.insert("usage".into(), self.counted(turn));
                (self.last)(turn, chunk);
            }));
        }
        if self.done && !turn.has(Kind::NoDone) {
            frames.push(b"data: [DONE]\n\n".to_vec());
        }
        frames
    }

    fn frame(
        &self,
        turn: &Turn,
        choice: Option<(Map<String, Value>, Option<&str>)>,
        more: impl FnOnce(&mut Map<String, Value>),
    ) -> Vec<u8> {
        let mut chunk = self.head_of(turn, "chat.completion.chunk");
        let choices = choice.map_or_else(Vec::new, |(delta, finish)| {
            let mut choice = Map::new();
            choice.insert("index".into(), 0.into());
            choice.insert("delta".into(), delta.into());
            choice.insert("logprobs".into(), Value::Null);
            choice.insert("finish_reason".into(), finish.into());
            (self.choice)(finish, &mut choice);
            vec![choice.into()]
        });
        chunk.insert("choices".into(), Value::Array(choices));
        if self.usage_null && (self.usage_always || turn.ask.include_usage) {
            chunk.insert("usage".into(), Value::Null);
        }
        more(&mut chunk);
        let mut frame = b"data: ".to_vec();
        // A map of strings and numbers is always JSON, and memory always takes it.
        let _ = serde_json::to_writer(&mut frame, &chunk);
        frame.extend_from_slice(b"\n\n");
        frame
    }

    fn head_of(&self, turn: &Turn, object: &str) -> Map<String, Value> {
        let mut chunk = Map::new();
        chunk.insert("id".into(), (self.id)(&turn.id, turn.created).into());
        chunk.insert("object".into(), object.into());
        chunk.insert("created".into(), turn.created.into());
        chunk.insert("model".into(), turn.served.as_str().into());
        (self.envelope)(turn, &mut chunk);
        chunk
    }

    fn message(&self, turn: &Turn) -> Map<String, Value> {
        let (reasoning, answer) = turn.parts();
        let mut message = Map::new();
        message.insert("role".into(), "assistant".into());
        message.insert("content".into(), answer.into());
        match self.reasoning_field(turn) {
            _ if reasoning.is_empty() => {}
            Reasoning::Inline => {
                let close = if answer.is_empty() { "" } else { "\n</think>\n\n" };
                message.insert("content".into(), format!("<think>\n{reasoning}{close}{answer}").into());
            }
            Reasoning::Field(name) => {
                message.insert(name.into(), reasoning.into());
            }
            Reasoning::Details => {
                message.insert("reasoning".into(), reasoning.into());
                message.insert("reasoning_details".into(), details("unknown", reasoning));
            }
        }
        (self.delta)(&mut message);
        message
    }

    /// The whole answer.
    pub fn plain(&self, turn: &Turn) -> Value {
        let mut choice = Map::new();
        choice.insert("index".into(), 0.into());
        choice.insert("message".into(), self.message(turn).into());
        choice.insert("logprobs".into(), Value::Null);
        choice.insert("finish_reason".into(), turn.finish().into());
        (self.choice)(Some(turn.finish()), &mut choice);
        let mut body = self.head_of(turn, "chat.completion");
        body.insert("choices".into(), Value::Array(vec![choice.into()]));
        if !turn.has(Kind::NoUsage) {
            body.insert("usage".into(), self.counted(turn));
        }
        (self.last)(turn, &mut body);
        (self.body)(turn, &mut body);
        body.into()
    }
}

fn details(format: &str, text: &str) -> Value {
    json!([{"type": "reasoning.text", "text": text, "format": format, "index": 0}])
}

/// The usage that every server has.
pub fn usage(sent: Sent) -> Value {
    json!({
        "prompt_tokens": sent.input, "completion_tokens": sent.output, "total_tokens": sent.input + sent.output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": sent.reasoning},
    })
}

/// `POST /v1/chat/completions` of a profile.
pub async fn handle(sim: Arc<Sim>, call: Call, body: Bytes, completions: &'static Completions) -> Response {
    let mut ask = Ask::completion(&body);
    if let Ok(ask) = &mut ask {
        ask.metadata = call.metadata;
        if sim.settings.profile == Source::Ollama {
            ask.keep_alive = Some(super::ollama::KEEP_ALIVE_SECONDS);
        }
        if sim.settings.profile != Source::Openai {
            // A vendor's fields mean nothing to the others.
            ask.least = 0;
        }
    }
    chat::answer(sim, call, ask, super::Dialect::Completions(completions)).await
}

/// A refusal as api.openai.com sends it.
pub fn refuse(refusal: &Refusal) -> Response {
    let (status, kind, code, param) = match refusal {
        Refusal::NotJson(_) => (StatusCode::BAD_REQUEST, "invalid_request_error", Value::Null, None),
        Refusal::Parameter(name, why) if why.starts_with("Unsupported") => {
            (StatusCode::BAD_REQUEST, "invalid_request_error", "unsupported_parameter".into(), Some(*name))
        }
        Refusal::Parameter(name, _) => (StatusCode::BAD_REQUEST, "invalid_request_error", Value::Null, Some(*name)),
        Refusal::UnknownKeys(_) => (StatusCode::BAD_REQUEST, "invalid_request_error", Value::Null, None),
        Refusal::Key => (StatusCode::UNAUTHORIZED, "invalid_request_error", "invalid_api_key".into(), None),
        Refusal::Model(_) | Refusal::NoEndpoint(_) => {
            (StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found".into(), Some("model"))
        }
        Refusal::NotChat(_) => (StatusCode::BAD_REQUEST, "invalid_request_error", Value::Null, Some("model")),
        Refusal::Loading => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", Value::Null, None),
        Refusal::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded".into(), None),
        Refusal::Load(_) | Refusal::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", Value::Null, None),
    };
    let error = json!({"message": describe(refusal), "type": kind, "param": param, "code": code});
    answer(status, &json!({"error": error}))
}
