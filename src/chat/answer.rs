//! An answer as it grows: what came, when, and what the server said about it. Every dialect writes into one of these.
//!
//! It keeps raw facts only. What they mean (rates, percentiles, tokens of the first chunk) is [`super::metrics`]'s business.

use super::think::{Part, Splitter};
use crate::http::Secret;
use crate::record::{Failure, FailureKind};
use serde_json::Value;
use std::collections::BTreeSet;

/// When something arrived: the stamp of the read that brought it, and that read's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// Nanoseconds of the monotonic clock.
    pub ns: u64,
    /// The number of the read on its connection.
    pub read: u64,
}

/// What a chunk's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Thinking.
    Reasoning,
    /// The answer.
    Answer,
    /// Arguments of a tool call.
    Tool,
}

impl Kind {
    /// The word of the record.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Reasoning => "reasoning",
            Kind::Answer => "answer",
            Kind::Tool => "tool",
        }
    }
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
    /// The protocol's own end was seen: `[DONE]`, `chat.end`, `done:true`.
    pub ended: bool,
    /// An error that came inside the answer.
    pub error: Option<Failure>,
    /// Doubts.
    pub warnings: BTreeSet<&'static str>,
    /// The answer came as one body, not as a stream.
    pub whole: bool,
    splitter: Splitter,
    undecided: usize,
    in_event: bool,
    tool_bytes: usize,
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
            self.usage = Some(usage);
        }
    }

    /// A reason to end; the empty string is none, and the first real one counts unless it was only `stop`.
    pub fn finish(&mut self, reason: &str) {
        if reason.is_empty() {
            return;
        }
        match &self.finish_reason {
            Some(first) if first != reason => {
                self.warnings.insert("two_finish_reasons");
            }
            _ => self.finish_reason = Some(reason.to_owned()),
        }
    }

    /// The model that answered.
    pub fn served(&mut self, model: &str) {
        if self.served_model.as_deref() != Some(model) && !model.is_empty() {
            self.served_model = Some(model.to_owned());
        }
    }

    /// An error inside the answer; the first counts.
    pub fn fail(&mut self, failure: Failure) {
        self.error.get_or_insert(failure);
    }

    /// Something that is not what the protocol says.
    pub fn nonsense(&mut self, what: &str) {
        self.fail(Failure {
            kind: FailureKind::Protocol,
            status: Some(200),
            message: what.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect(),
            retryable: false,
        });
    }

    /// The stream ended: what was held back belongs to the answer now.
    pub fn close(&mut self) {
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

    /// Takes a key that a server echoed out of everything that is recorded.
    pub fn redact(&mut self, key: &Secret) {
        for text in [&mut self.text, &mut self.reasoning] {
            *text = key.redact(text);
        }
        let words = [&mut self.served_model, &mut self.provider, &mut self.generation_id, &mut self.finish_reason];
        for word in words.into_iter().chain([&mut self.native_finish_reason]).flatten() {
            *word = key.redact(word);
        }
        let raw = [&mut self.usage, &mut self.rest_stats, &mut self.model_info, &mut self.runtime, &mut self.timings];
        for value in raw.into_iter().chain([&mut self.openrouter_metadata]).flatten() {
            if let Ok(clean) = serde_json::from_str(&key.redact(&value.to_string())) {
                *value = clean;
            }
        }
        if let Some(error) = &mut self.error {
            error.message = key.redact(&error.message);
        }
    }

    /// How many bytes came as text, and are held of it: the stamp of a chunk is as large as a short word.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.tool_bytes + self.chunks.len() * size_of::<Chunk>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(ns: u64) -> Arrival {
        Arrival { ns, read: ns }
    }

    #[test]
    fn the_kind_of_undecided_content_is_settled_when_it_is_known() {
        for (pieces, kinds) in [
            (vec!["<th", "ink>", "hm", "</think>", "Hi"], "RRRRA"),
            (vec!["<", "b>", "Hi"], "AAA"),
            (vec!["\n", "Hi"], "AA"),
            (vec!["<thi"], "A"),
            (vec!["Hi", " <think>"], "AA"),
            (vec!["<think>a</think>b"], "A"),
        ] {
            let mut answer = Answer::default();
            for (n, piece) in pieces.iter().enumerate() {
                answer.event(at(n as u64));
                answer.content(at(n as u64), piece);
            }
            answer.close();
            let got: String = answer.chunks.iter().map(|c| if c.kind == Kind::Answer { 'A' } else { 'R' }).collect();
            assert_eq!(got, kinds, "{pieces:?}");
        }
    }

    #[test]
    fn one_event_is_one_chunk_whatever_it_holds() {
        let mut answer = Answer::default();
        answer.event(at(1));
        answer.think(at(1), "hm");
        answer.content(at(1), "Hi");
        answer.event(at(2));
        answer.content(at(2), "");
        assert_eq!(answer.chunks.len(), 1);
        assert_eq!((answer.chunks[0].bytes, answer.chunks[0].kind), (4, Kind::Answer));
        assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), ("Hi", "hm"));
    }

    #[test]
    fn usage_that_says_nothing_is_not_usage() {
        let mut answer = Answer::default();
        answer.usage(json!({"total_tokens": 0, "total_characters": 0}));
        assert_eq!(answer.usage, None);
        answer.usage(json!({"completion_tokens": 5}));
        answer.usage(json!({"completion_tokens": 0}));
        answer.usage(Value::Null);
        assert_eq!(answer.usage, Some(json!({"completion_tokens": 5})));
    }
}
