//! An answer as it grows: what came, when, and what the server said about it. Every dialect writes into one of these.
//!
//! It keeps raw facts only. What they mean (rates, percentiles, tokens of the first chunk) is [`super::metrics`]'s business.

use super::repeated::Repeated;
use super::think::{self, Part, Splitter};
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
pub enum Kind {
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
    pub kind: Kind,
}

/// The longest field that is kept though nothing reads it, in bytes, and how many there may be.
const LONGEST_FIELD: usize = 16 << 10;
const MOST_FIELDS: usize = 64;

/// What is known of an answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// The answer's text.
    pub text: String,
    /// The reasoning, from its own field or from inline tags.
    pub reasoning: String,
    /// The events that carried text, in order.
    pub chunks: Vec<Chunk>,
    /// The first event of any kind.
    pub first_event: Option<Arrival>,
    /// Something was said that is only said at the end, be it not the protocol's own end: a finish reason, the usage alone.
    pub ending: bool,
    /// The protocol's own end was seen: `[DONE]`, `chat.end`, `done:true`.
    pub ended: bool,
    /// The answer came as one body, not as a stream.
    pub whole: bool,
    /// How often the server told that it goes on, without text: loading, reading the prompt.
    pub progress: u64,
    /// What the last chunk was but for its text.
    pub repeated: Repeated,
    /// What the server said besides.
    pub said: Box<Said>,
    splitter: Splitter,
    undecided: usize,
    in_event: bool,
    tool_bytes: usize,
    other_bytes: usize,
}

/// What a server says about its answer, most of it once: it lies apart from what grows with every piece.
#[derive(Debug, Default)]
pub struct Said {
    /// The server's usage: the last one that says anything.
    pub usage: Option<Value>,
    /// The server's statistics.
    pub rest_stats: Option<Value>,
    /// LM Studio's words on the model.
    pub model_info: Option<Value>,
    /// LM Studio's words on the engine.
    pub runtime: Option<Value>,
    /// llama.cpp's or vLLM's timings.
    pub timings: Option<Value>,
    /// What else the server said, by name, each as raw JSON: the last that was not null.
    pub server_fields: Vec<(String, String)>,
    /// OpenRouter's word on its routing.
    pub openrouter_metadata: Option<Value>,
    /// The model that answered, as the server names it.
    pub served_model: Option<String>,
    /// The provider behind a router.
    pub provider: Option<String>,
    /// The server's id of the answer.
    pub generation_id: Option<String>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// The same in the provider's own word.
    pub native_finish_reason: Option<String>,
    /// The tokens of the first chunk, where the server said so.
    pub first_chunk_tokens: Option<u64>,
    /// The tokens that the server told of before and with the first text.
    pub tokens_until_text: u64,
    /// An error that came inside the answer.
    pub error: Option<Failure>,
    /// Doubts.
    pub warnings: BTreeSet<&'static str>,
}

impl Answer {
    /// An event begins: its text, of whatever kinds, is one chunk.
    pub fn event(&mut self, at: Arrival) {
        self.first_event.get_or_insert(at);
        self.in_event = false;
    }

    /// Content that may hold inline reasoning.
    pub fn content(&mut self, at: Arrival, text: &str) {
        if text.is_empty() {
            return;
        }
        let seen = self.text.len();
        let (reasoning, answer) = (&mut self.reasoning, &mut self.text);
        let mut kind = None;
        self.splitter.push(text, |part, piece| match part {
            Part::Reasoning => {
                kind.get_or_insert(Kind::Reasoning);
                reasoning.push_str(piece);
            }
            Part::Answer => {
                kind = Some(Kind::Answer);
                answer.push_str(piece);
            }
        });
        if self.splitter.undecided() {
            self.undecided += 1;
        } else if self.undecided > 0 {
            // The first pieces turned out to be no tag: they were the answer all along.
            let decided =
                if kind == Some(Kind::Answer) && self.reasoning.is_empty() { Kind::Answer } else { Kind::Reasoning };
            let last = self.chunks.len();
            self.chunks[last.saturating_sub(self.undecided)..].iter_mut().for_each(|chunk| chunk.kind = decided);
            self.undecided = 0;
        }
        if think::may_close(text)
            && self.reasoning.is_empty()
            && let Some((thought, rest)) = think::unopened(&self.text, seen)
        {
            // The prompt's template had opened the reasoning: all until now was that.
            kind = Some(if rest.is_empty() { Kind::Reasoning } else { Kind::Answer });
            (self.reasoning, self.text) = (thought.to_owned(), rest.to_owned());
            self.chunks.iter_mut().filter(|chunk| chunk.kind == Kind::Answer).for_each(|c| c.kind = Kind::Reasoning);
        }
        self.chunk(at, text.len(), kind.unwrap_or(Kind::Reasoning));
    }

    /// Reasoning from a field of its own.
    pub fn think(&mut self, at: Arrival, text: &str) {
        if !text.is_empty() {
            self.reasoning.push_str(text);
            self.chunk(at, text.len(), Kind::Reasoning);
        }
    }

    /// Arguments of a tool call.
    pub fn tool(&mut self, at: Arrival, text: &str) {
        if !text.is_empty() {
            self.tool_bytes += text.len();
            self.chunk(at, text.len(), Kind::Tool);
        }
    }

    /// Text of another choice than the first: it took its time, and is not kept.
    pub fn aside(&mut self, at: Arrival, text: &str, kind: Kind) {
        if !text.is_empty() {
            self.said.warnings.insert("several_choices");
            self.chunk(at, text.len(), kind);
        }
    }

    /// A field that nothing here reads. Many, or long ones, are not kept.
    pub fn server_field(&mut self, name: &str, raw: &str) {
        if raw == "null" || raw.len() > LONGEST_FIELD || name.len() > 100 {
            return;
        }
        let room = self.said.server_fields.len() < MOST_FIELDS;
        match self.said.server_fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, last)) if last == raw => {}
            Some((_, last)) => raw.clone_into(last),
            None if room => self.said.server_fields.push((name.to_owned(), raw.to_owned())),
            None => {}
        }
    }

    fn chunk(&mut self, at: Arrival, bytes: usize, kind: Kind) {
        let bytes = bytes as u32;
        match self.chunks.last_mut().filter(|_| self.in_event) {
            Some(last) => {
                last.bytes += bytes;
                if last.kind == Kind::Reasoning {
                    last.kind = kind;
                }
            }
            None => self.chunks.push(Chunk { at, bytes, kind }),
        }
        self.in_event = true;
    }

    /// Usage, wherever it stands; one that is all zeros says nothing.
    pub fn usage(&mut self, usage: Value) {
        let says = |value: &Value| match value {
            Value::Number(number) => number.as_f64() != Some(0.0),
            _ => false,
        };
        let anything = usage.as_object().is_some_and(|fields| fields.values().any(says));
        if anything {
            self.said.usage = Some(usage);
        }
    }

    /// A reason to end; the empty string is none, and the first real one counts unless it was only `stop`.
    pub fn finish(&mut self, reason: &str) {
        if reason.is_empty() {
            return;
        }
        match &self.said.finish_reason {
            Some(first) if first != reason => {
                self.said.warnings.insert("two_finish_reasons");
            }
            _ => self.said.finish_reason = Some(reason.to_owned()),
        }
    }

    /// The model that answered.
    pub fn served(&mut self, model: &str) {
        if self.said.served_model.as_deref() != Some(model) && !model.is_empty() {
            self.said.served_model = Some(model.to_owned());
        }
    }

    /// An error inside the answer; the first counts.
    pub fn fail(&mut self, failure: Failure) {
        self.said.error.get_or_insert(failure);
    }

    /// Something that is not what the protocol says.
    pub fn nonsense(&mut self, what: &str) {
        self.fail(Failure {
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
        match self.said.finish_reason.as_deref() {
            Some("error") => self.fail(ended(FailureKind::Server, "the server ended the answer with an error")),
            Some("abort") => self.fail(ended(FailureKind::Truncated, "the server broke the answer off (abort)")),
            _ => {}
        }
        let (reasoning, answer) = (&mut self.reasoning, &mut self.text);
        self.splitter.finish(|part, piece| match part {
            Part::Reasoning => reasoning.push_str(piece),
            Part::Answer => answer.push_str(piece),
        });
        if self.undecided > 0 && !self.text.is_empty() {
            let last = self.chunks.len();
            self.chunks[last.saturating_sub(self.undecided)..].iter_mut().for_each(|chunk| chunk.kind = Kind::Answer);
        }
    }

    /// So many bytes came that are no text.
    pub fn besides(&mut self, bytes: usize) {
        self.other_bytes += bytes;
    }

    /// Takes a key that a server echoed out of everything that is recorded.
    pub fn redact(&mut self, key: &Secret) {
        for text in [&mut self.text, &mut self.reasoning] {
            *text = key.redact(text);
        }
        let words = [
            &mut self.said.served_model,
            &mut self.said.provider,
            &mut self.said.generation_id,
            &mut self.said.finish_reason,
        ];
        for word in words.into_iter().chain([&mut self.said.native_finish_reason]).flatten() {
            *word = key.redact(word);
        }
        let raw = [
            &mut self.said.usage,
            &mut self.said.rest_stats,
            &mut self.said.model_info,
            &mut self.said.runtime,
            &mut self.said.timings,
        ];
        for value in raw.into_iter().chain([&mut self.said.openrouter_metadata]).flatten() {
            if let Ok(clean) = serde_json::from_str(&key.redact(&value.to_string())) {
                *value = clean;
            }
        }
        for (name, raw) in &mut self.said.server_fields {
            (*name, *raw) = (key.redact(name), key.redact(raw));
        }
        if let Some(error) = &mut self.said.error {
            error.message = key.redact_message(&error.message);
        }
    }

    /// How many bytes came as text, or besides it, and are held of it: the stamp of a chunk is as large as a short word.
    pub fn bytes(&self) -> usize {
        let text = self.text.len() + self.reasoning.len() + self.tool_bytes;
        text + self.other_bytes + self.chunks.len() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests;
