//! A streamed answer: its text, its chunks with their times, and the server's metadata. Every protocol writes into one of these.
//!
//! It keeps raw facts only. What they mean (rates, percentiles, tokens of the first chunk) is [`crate::metrics`]'s business.

use super::chunk_cache::ChunkCache;
use super::reasoning::{self, ReasoningTagParser, Segment};
use crate::http::Secret;
use crate::record::{Failure, FailureKind};
use serde_json::Value;
use std::collections::BTreeSet;
use strum::Display;

/// When something arrived: the stamp of the read that brought it, and that read's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// Nanoseconds of the monotonic clock.
    pub ns: u64,
    /// The number of the read on its connection.
    pub read: u64,
}

/// What a chunk's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum ChunkKind {
    /// Thinking.
    Reasoning,
    /// The answer.
    Answer,
    /// Arguments of a tool call.
    Tool,
}

/// One event that carried text.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// When it came.
    pub at: Arrival,
    /// How many bytes of text it held.
    pub bytes: u32,
    /// What the text is.
    pub kind: ChunkKind,
}

/// The longest field that is kept though nothing reads it, in bytes, and how many there may be.
const LONGEST_FIELD: usize = 16 << 10;
const MOST_FIELDS: usize = 64;

/// What is known of an answer.
#[derive(Debug, Default)]
pub struct StreamedAnswer {
    /// The answer's text.
    pub text: String,
    /// The reasoning, from its own field or from inline tags.
    pub reasoning: String,
    /// The events that carried text, in order.
    pub chunks: Vec<Chunk>,
    /// The first event of any kind.
    pub first_event: Option<Arrival>,
    /// Something came that only comes at the end, other than the protocol's own end: a finish reason, or usage alone.
    pub ending: bool,
    /// The protocol's own end was seen: `[DONE]`, `chat.end`, `done:true`.
    pub ended: bool,
    /// The answer came as one body, not as a stream.
    pub whole: bool,
    /// Number of progress events without text: loading, prompt processing.
    pub progress: u64,
    /// The last chunk, without its text.
    pub chunk_cache: ChunkCache,
    /// What the server reports besides text.
    pub metadata: Box<ServerMetadata>,
    tag_parser: ReasoningTagParser,
    undecided: usize,
    in_event: bool,
    tool_bytes: usize,
    other_bytes: usize,
}

/// What a server reports about its answer. It is apart from what grows with every chunk, because most of it comes once.
#[derive(Debug, Default)]
pub struct ServerMetadata {
    /// The server's usage: the last one that is not all zeros.
    pub usage: Option<Value>,
    /// The server's statistics.
    pub rest_stats: Option<Value>,
    /// LM Studio's information on the model.
    pub model_info: Option<Value>,
    /// LM Studio's information on the engine.
    pub runtime: Option<Value>,
    /// llama.cpp's or vLLM's timings.
    pub timings: Option<Value>,
    /// All other fields by name, each as raw JSON: the last value that was not null.
    pub server_fields: Vec<(String, String)>,
    /// OpenRouter's information on its routing.
    pub openrouter_metadata: Option<Value>,
    /// The model that answered, as the server names it.
    pub served_model: Option<String>,
    /// The provider behind a router.
    pub provider: Option<String>,
    /// The server's id of the answer.
    pub generation_id: Option<String>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// The finish reason in the provider's own word.
    pub native_finish_reason: Option<String>,
    /// Tokens of the first chunk, where the server reports them.
    pub first_chunk_tokens: Option<u64>,
    /// Tokens that the server reported up to and including the first text.
    pub tokens_until_text: u64,
    /// An error that came inside the answer.
    pub error: Option<Failure>,
    /// Warnings.
    pub warnings: BTreeSet<&'static str>,
}

impl StreamedAnswer {
    /// Begins an event: all its text is one chunk.
    pub fn event(&mut self, at: Arrival) {
        self.first_event.get_or_insert(at);
        self.in_event = false;
    }

    /// Adds content, which may hold inline reasoning.
    pub fn content(&mut self, at: Arrival, text: &str) {
        if text.is_empty() {
            return;
        }
        let seen = self.text.len();
        let (reasoning, answer) = (&mut self.reasoning, &mut self.text);
        let mut kind = None;
        self.tag_parser.push(text, |part, piece| match part {
            Segment::Reasoning => {
                kind.get_or_insert(ChunkKind::Reasoning);
                reasoning.push_str(piece);
            }
            Segment::Answer => {
                kind = Some(ChunkKind::Answer);
                answer.push_str(piece);
            }
        });
        if self.tag_parser.undecided() {
            self.undecided += 1;
        } else if self.undecided > 0 {
            // The first pieces turned out to be no tag: they were the answer all along.
            let decided = if kind == Some(ChunkKind::Answer) && self.reasoning.is_empty() {
                ChunkKind::Answer
            } else {
                ChunkKind::Reasoning
            };
            let last = self.chunks.len();
            self.chunks[last.saturating_sub(self.undecided)..].iter_mut().for_each(|chunk| chunk.kind = decided);
            self.undecided = 0;
        }
        if reasoning::may_close(text)
            && self.reasoning.is_empty()
            && let Some((thought, rest)) = reasoning::unopened(&self.text, seen)
        {
            // The prompt's template had opened the reasoning: all until now was that.
            kind = Some(if rest.is_empty() { ChunkKind::Reasoning } else { ChunkKind::Answer });
            (self.reasoning, self.text) = (thought.to_owned(), rest.to_owned());
            self.chunks
                .iter_mut()
                .filter(|chunk| chunk.kind == ChunkKind::Answer)
                .for_each(|c| c.kind = ChunkKind::Reasoning);
        }
        self.chunk(at, text.len(), kind.unwrap_or(ChunkKind::Reasoning));
    }

    /// Adds reasoning from a field of its own.
    pub fn think(&mut self, at: Arrival, text: &str) {
        if !text.is_empty() {
            self.reasoning.push_str(text);
            self.chunk(at, text.len(), ChunkKind::Reasoning);
        }
    }

    /// Adds arguments of a tool call.
    pub fn tool(&mut self, at: Arrival, text: &str) {
        if !text.is_empty() {
            self.tool_bytes += text.len();
            self.chunk(at, text.len(), ChunkKind::Tool);
        }
    }

    /// Adds text of another choice than the first: it is timed, and not kept.
    pub fn extra_choice(&mut self, at: Arrival, text: &str, kind: ChunkKind) {
        if !text.is_empty() {
            self.metadata.warnings.insert("several_choices");
            self.chunk(at, text.len(), kind);
        }
    }

    /// Keeps a field that nothing reads, unless it is long or one of many.
    pub fn server_field(&mut self, name: &str, raw: &str) {
        if raw == "null" || raw.len() > LONGEST_FIELD || name.len() > 100 {
            return;
        }
        let room = self.metadata.server_fields.len() < MOST_FIELDS;
        match self.metadata.server_fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, last)) if last == raw => {}
            Some((_, last)) => raw.clone_into(last),
            None if room => self.metadata.server_fields.push((name.to_owned(), raw.to_owned())),
            None => {}
        }
    }

    fn chunk(&mut self, at: Arrival, bytes: usize, kind: ChunkKind) {
        let bytes = bytes as u32;
        match self.chunks.last_mut().filter(|_| self.in_event) {
            Some(last) => {
                last.bytes += bytes;
                if last.kind == ChunkKind::Reasoning {
                    last.kind = kind;
                }
            }
            None => self.chunks.push(Chunk { at, bytes, kind }),
        }
        self.in_event = true;
    }

    /// Sets the usage, unless it is all zeros.
    pub fn usage(&mut self, usage: Value) {
        let says = |value: &Value| match value {
            Value::Number(number) => number.as_f64() != Some(0.0),
            _ => false,
        };
        let anything = usage.as_object().is_some_and(|fields| fields.values().any(says));
        if anything {
            self.metadata.usage = Some(usage);
        }
    }

    /// A reason to end; the empty string is none, and the first real one counts unless it was only `stop`.
    pub fn finish(&mut self, reason: &str) {
        if reason.is_empty() {
            return;
        }
        match &self.metadata.finish_reason {
            Some(first) if first != reason => {
                self.metadata.warnings.insert("two_finish_reasons");
            }
            _ => self.metadata.finish_reason = Some(reason.to_owned()),
        }
    }

    /// The model that answered.
    pub fn set_served_model(&mut self, model: &str) {
        if self.metadata.served_model.as_deref() != Some(model) && !model.is_empty() {
            self.metadata.served_model = Some(model.to_owned());
        }
    }

    /// Sets the error of the answer; the first one counts.
    pub fn set_error(&mut self, failure: Failure) {
        self.metadata.error.get_or_insert(failure);
    }

    /// Sets an error: the response violates the protocol.
    pub fn protocol_error(&mut self, what: &str) {
        self.set_error(Failure {
            kind: FailureKind::Protocol,
            status: Some(200),
            message: what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect(),
            retryable: false,
            ..Failure::default()
        });
    }

    /// The stream ended: what was held back belongs to the answer now, and a reason to end that is a failure is one.
    pub fn close(&mut self) {
        let ended = |kind, what: &str| Failure {
            kind,
            status: Some(200),
            message: what.into(),
            retryable: true,
            ..Failure::default()
        };
        match self.metadata.finish_reason.as_deref() {
            Some("error") => self.set_error(ended(FailureKind::Server, "the server ended the answer with an error")),
            Some("abort") => self.set_error(ended(FailureKind::Truncated, "the server broke the answer off (abort)")),
            _ => {}
        }
        let (reasoning, answer) = (&mut self.reasoning, &mut self.text);
        self.tag_parser.finish(|part, piece| match part {
            Segment::Reasoning => reasoning.push_str(piece),
            Segment::Answer => answer.push_str(piece),
        });
        if self.undecided > 0 && !self.text.is_empty() {
            let last = self.chunks.len();
            self.chunks[last.saturating_sub(self.undecided)..]
                .iter_mut()
                .for_each(|chunk| chunk.kind = ChunkKind::Answer);
        }
    }

    /// Counts bytes that are no text.
    pub fn add_other_bytes(&mut self, bytes: usize) {
        self.other_bytes += bytes;
    }

    /// Removes a key that a server echoed from everything that is recorded.
    pub fn redact(&mut self, key: &Secret) {
        for text in [&mut self.text, &mut self.reasoning] {
            *text = key.redact(text);
        }
        let words = [
            &mut self.metadata.served_model,
            &mut self.metadata.provider,
            &mut self.metadata.generation_id,
            &mut self.metadata.finish_reason,
        ];
        for word in words.into_iter().chain([&mut self.metadata.native_finish_reason]).flatten() {
            *word = key.redact(word);
        }
        let raw = [
            &mut self.metadata.usage,
            &mut self.metadata.rest_stats,
            &mut self.metadata.model_info,
            &mut self.metadata.runtime,
            &mut self.metadata.timings,
        ];
        for value in raw.into_iter().chain([&mut self.metadata.openrouter_metadata]).flatten() {
            if let Ok(clean) = serde_json::from_str(&key.redact(&value.to_string())) {
                *value = clean;
            }
        }
        for (name, raw) in &mut self.metadata.server_fields {
            (*name, *raw) = (key.redact(name), key.redact(raw));
        }
        if let Some(error) = &mut self.metadata.error {
            error.message = key.redact_message(&error.message);
        }
    }

    /// Bytes that the answer holds, the stamps of its chunks included.
    pub fn bytes(&self) -> usize {
        let text = self.text.len() + self.reasoning.len() + self.tool_bytes;
        text + self.other_bytes + self.chunks.len() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests;
