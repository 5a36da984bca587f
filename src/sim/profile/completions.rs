//! OpenAI's chat completions, streamed and plain, as the servers have it in common; where they differ is a [`Manner`].

use super::{Sim, answer, describe};
use crate::record::Source;
use crate::sim::ask::{Ask, Refusal};
use crate::sim::chat;
use crate::sim::faults::Kind;
use crate::sim::serve::Call;
use crate::sim::turn::{Sent, Turn};
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub use super::manner::{Manner, PLAIN, Reasoning, Role, TooLong, UsagePlace};

impl Manner {
    /// Comments, and the chunk that only says the role.
    pub fn opening(&self, turn: &Turn) -> Vec<(u64, Vec<u8>)> {
        let mut frames = Vec::new();
        if let Some(comment) = self.comment {
            let third = turn.plan.first_ns / 3;
            let line = if comment.is_empty() { ":\n\n".to_owned() } else { format!(": {comment}\n\n") };
            frames.extend((0..3).map(|n| (n * third, line.clone().into_bytes())));
        }
        for (offset_ns, chunk) in (self.prelude)(turn) {
            frames.push((offset_ns, format!("data: {chunk}\n\n").into_bytes()));
        }
        let role = match self.role {
            Role::Before => Some((turn.plan.first_ns / 2, Some("\"\""))),
            Role::JustBefore(content) => Some((turn.plan.first_ns, content)),
            Role::WithFirst | Role::Every => None,
        };
        if let Some((offset_ns, content)) = role {
            let mut delta = Map::new();
            delta.insert("role".into(), "assistant".into());
            if let Some(content) = content {
                delta.insert("content".into(), if content == "null" { Value::Null } else { "".into() });
            }
            (self.delta)(&mut delta);
            for index in 0..turn.ask.choices {
                frames.push((offset_ns, self.frame(turn, Some((index, delta.clone(), None)), |_| ())));
            }
        }
        frames.sort_by_key(|(offset_ns, _)| *offset_ns);
        frames
    }

    /// The chunk `n`, once for each choice.
    pub fn chunk(&self, turn: &Turn, n: usize) -> Vec<u8> {
        let mut delta = Map::new();
        if self.role == Role::Every || (self.role == Role::WithFirst && n == 0) {
            delta.insert("role".into(), "assistant".into());
        }
        self.say(turn, n, &mut delta);
        (self.delta)(&mut delta);
        let finish = (self.finishes_with_text(turn) && turn.is_last(n)).then(|| turn.finish());
        let mut frames = Vec::new();
        for index in 0..turn.ask.choices {
            let finish = finish.filter(|_| index == 0 || self.choices.2);
            frames.extend(self.frame(turn, Some((index, delta.clone(), finish)), |chunk| {
                (self.each)(turn, n, chunk);
                if turn.has(Kind::CumulativeUsage) {
                    chunk.insert("usage".into(), (self.usage)(turn, turn.sent(n + 1)));
                }
                if finish.is_some() && index + 1 == turn.ask.choices {
                    self.with_finish(turn, chunk);
                }
            }));
        }
        frames
    }

    fn finishes_with_text(&self, turn: &Turn) -> bool {
        self.finish_with_text || turn.has(Kind::FinishWithToken)
    }

    /// What else stands in the chunk of the finish reason.
    fn with_finish(&self, turn: &Turn, chunk: &mut Map<String, Value>) {
        if self.usage_place == UsagePlace::WithFinish && !turn.has(Kind::NoUsage) {
            chunk.insert("usage".into(), self.counted(turn));
            (self.last)(turn, chunk);
        }
        if !self.has_usage_chunk(turn) {
            (self.end)(turn, chunk);
        }
    }

    /// Whether usage has a chunk of its own.
    fn has_usage_chunk(&self, turn: &Turn) -> bool {
        let asked = self.usage_always || turn.ask.include_usage;
        let place = matches!(self.usage_place, UsagePlace::Alone | UsagePlace::WithChoice);
        asked && place && !turn.has(Kind::NoUsage)
    }

    /// The usage of the whole answer, with the faults of servers that miscount.
    fn counted(&self, turn: &Turn) -> Value {
        let mut sent = turn.all();
        let factor = if self.choices.1 { u64::from(turn.ask.choices) } else { 1 };
        (sent.output, sent.reasoning) = (sent.output * factor, sent.reasoning * factor);
        if turn.has(Kind::ZeroUsage) {
            (sent.output, sent.reasoning) = (0, 0);
        }
        (self.usage)(turn, sent)
    }

    fn say(&self, turn: &Turn, n: usize, delta: &mut Map<String, Value>) {
        let text = turn.text(n);
        let place = turn.ask.reasoning_in.unwrap_or(self.reasoning);
        if place == Reasoning::Inline && !turn.ask.reasoning_split {
            let mut content = String::with_capacity(text.len() + 16);
            if n == 0 && turn.plan.chunks[n].reasoning {
                content.push_str("<think>\n");
            }
            if n > 0 && turn.begins_answer(n) {
                content.push_str("\n</think>\n\n");
            }
            content.push_str(text);
            delta.insert("content".into(), content.into());
            return;
        }
        if !turn.plan.chunks[n].reasoning {
            delta.insert("content".into(), text.into());
            return;
        }
        match turn.ask.reasoning_in.unwrap_or(self.reasoning) {
            Reasoning::Field(name) => {
                delta.insert(name.into(), text.into());
            }
            Reasoning::Both => {
                delta.insert("reasoning".into(), text.into());
                delta.insert("reasoning_content".into(), text.into());
            }
            Reasoning::Details => {
                delta.insert("reasoning_details".into(), details("unknown", text));
            }
            Reasoning::Twice => {
                delta.insert("content".into(), "".into());
                delta.insert("reasoning".into(), text.into());
                delta.insert("reasoning_details".into(), details("unknown", text));
            }
            Reasoning::Inline => {
                delta.insert("content".into(), "".into());
                delta.insert("reasoning_content".into(), text.into());
                delta.insert("reasoning_details".into(), details("MiniMax-response-v1", text));
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
            let last = if self.choices.2 { turn.ask.choices } else { 1 };
            for index in 0..last {
                let choice = Some((index, delta.clone(), Some(turn.finish())));
                frames.push(self.frame(turn, choice, |chunk| {
                    if index + 1 == last {
                        self.with_finish(turn, chunk);
                    }
                }));
            }
        }
        if self.has_usage_chunk(turn) {
            let choice = if turn.has(Kind::UsageWithChoice) {
                let delta = json!({"role": "assistant", "content": ""});
                Some((0, delta.as_object().cloned().unwrap_or_default(), Some(turn.finish())))
            } else {
                (self.usage_place == UsagePlace::WithChoice).then(|| (0, Map::new(), None))
            };
            frames.push(self.frame(turn, choice, |chunk| {
                chunk.insert("usage".into(), self.counted(turn));
                (self.last)(turn, chunk);
                (self.end)(turn, chunk);
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
        choice: Option<(u32, Map<String, Value>, Option<&str>)>,
        more: impl FnOnce(&mut Map<String, Value>),
    ) -> Vec<u8> {
        let mut chunk = self.head_of(turn, "chat.completion.chunk");
        let choices = choice.map_or_else(Vec::new, |(index, delta, finish)| {
            let mut choice = Map::new();
            choice.insert("index".into(), index.into());
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

    /// The whole answer.
    pub fn plain(&self, turn: &Turn) -> Value {
        let (reasoning, answer) = turn.parts();
        let mut message = Map::new();
        message.insert("role".into(), "assistant".into());
        let place = turn.ask.reasoning_in.unwrap_or(self.reasoning);
        if place == Reasoning::Inline && !turn.ask.reasoning_split && !reasoning.is_empty() {
            let close = if answer.is_empty() { "" } else { "\n</think>\n\n" };
            message.insert("content".into(), format!("<think>\n{reasoning}{close}{answer}").into());
        } else {
            message.insert("content".into(), answer.into());
            if !reasoning.is_empty() {
                let field = match place {
                    Reasoning::Field(name) => name,
                    Reasoning::Twice | Reasoning::Both | Reasoning::Details => "reasoning",
                    Reasoning::Inline => "reasoning_content",
                };
                message.insert(field.into(), reasoning.into());
                if place == Reasoning::Twice {
                    message.insert("reasoning_details".into(), details("unknown", reasoning));
                }
            }
        }
        (self.delta)(&mut message);
        let mut choice = Map::new();
        choice.insert("index".into(), 0.into());
        choice.insert("message".into(), message.into());
        choice.insert("logprobs".into(), Value::Null);
        choice.insert("finish_reason".into(), turn.finish().into());
        (self.choice)(Some(turn.finish()), &mut choice);
        let mut body = self.head_of(turn, "chat.completion");
        body.insert("choices".into(), Value::Array(vec![choice.into()]));
        if !turn.has(Kind::NoUsage) {
            body.insert("usage".into(), self.counted(turn));
        }
        (self.last)(turn, &mut body);
        (self.end)(turn, &mut body);
        (self.body)(turn, &mut body);
        body.into()
    }
}

fn details(format: &str, text: &str) -> Value {
    json!([{"type": "reasoning.text", "text": text, "format": format, "index": 0}])
}

/// The usage that every server has.
pub fn usage(sent: Sent) -> Value {
    let mut usage = json!({
        "prompt_tokens": sent.input, "completion_tokens": sent.output, "total_tokens": sent.input + sent.output,
        "prompt_tokens_details": {"cached_tokens": 0},
    });
    usage["completion_tokens_details"] = json!({"reasoning_tokens": sent.reasoning});
    usage
}

/// `POST /v1/chat/completions` in this manner.
pub async fn handle(sim: Arc<Sim>, call: Call, body: Bytes, manner: &'static Manner) -> Response {
    let mut ask = Ask::completion(&body);
    if let Ok(ask) = &mut ask {
        ask.metadata = call.metadata;
        ask.reasoning_in = sim.settings.reasoning_in.map(Reasoning::from);
        if manner.choices.0 {
            ask.choices = ask.body["n"].as_u64().map_or(1, |n| n.clamp(1, 16) as u32);
        }
        if manner.old_limit_only {
            ask.limit = ask.body["max_tokens"].as_u64().map(|n| n as usize);
        }
    }
    if manner.needs_json_type && !call.json {
        ask = Err(Refusal::Parameter("messages", "Missing required parameter: 'messages'.".into()));
    }
    if let (Source::Ollama, Ok(ask)) = (sim.settings.profile, &mut ask) {
        ask.keep_alive = Some(super::ollama::KEEP_ALIVE_SECONDS);
    }
    if let (false, Ok(ask)) = (sim.settings.profile == Source::Openai, &mut ask) {
        // A vendor's fields mean nothing to the others.
        ask.least = 0;
    }
    chat::answer(sim, call, ask, super::Dialect::Completions(manner)).await
}

/// A refusal as api.openai.com and vLLM say it.
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
        Refusal::TooLong { .. } => (StatusCode::BAD_REQUEST, "BadRequestError", 400.into(), Some("input_tokens")),
        Refusal::Loading => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", Value::Null, None),
        Refusal::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded".into(), None),
        Refusal::Load(_) | Refusal::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", Value::Null, None),
    };
    let error = json!({"message": describe(refusal), "type": kind, "param": param, "code": code});
    answer(status, &json!({"error": error}))
}
