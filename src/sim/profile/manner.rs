//! What OpenAI-compatible servers do differently from each other: the switches that [`super::completions`] obeys.

use super::completions::{refuse, usage};
use super::{Sim, describe};
use crate::sim::ask::Refusal;
use crate::sim::turn::{Sent, Turn};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

/// Where the role is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In a chunk of its own with empty content, half way to the first token: it is no token.
    Before,
    /// In a chunk of its own right before the first token, with this for content (`""`, `null`, or nothing at all).
    JustBefore(Option<&'static str>),
    /// In the chunk of the first token.
    WithFirst,
    /// In every chunk.
    Every,
}

/// Where reasoning is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasoning {
    /// In a field of this name.
    Field(&'static str),
    /// In `reasoning` and, the same text again, in `reasoning_details`.
    Twice,
    /// In `reasoning` and, the same text again, in `reasoning_content`: vLLM between two versions.
    Both,
    /// In `reasoning_details` only.
    Details,
    /// Between `<think>` and `</think>` in the content, unless the request asks to split it off.
    Inline,
}

/// Where the usage of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsagePlace {
    /// In a chunk of its own, without choices.
    Alone,
    /// In a chunk of its own with a choice that says nothing.
    WithChoice,
    /// In the chunk of the finish reason.
    WithFinish,
    /// Nowhere.
    Never,
}

/// What becomes of a prompt that is longer than the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLong {
    /// It is answered all the same.
    Answered,
    /// An error status says so.
    Refused,
    /// Status 200 and nothing.
    Empty,
    /// Status 200 and a line of English in the stream.
    Line,
}

/// What a server does differently.
#[derive(Debug)]
pub struct Manner {
    /// The content type of a stream.
    pub mime: &'static str,
    /// The id of an answer.
    pub id: fn(&str, u64) -> String,
    /// Where the role is.
    pub role: Role,
    /// Where reasoning is.
    pub reasoning: Reasoning,
    /// Whether usage comes unasked.
    pub usage_always: bool,
    /// Whether the chunks before it then say `usage: null`.
    pub usage_null: bool,
    /// Where usage is.
    pub usage_place: UsagePlace,
    /// Whether the stream ends with `[DONE]`.
    pub done: bool,
    /// Whether the chunk of the last token has the finish reason.
    pub finish_with_text: bool,
    /// Whether a plain answer is padded while it is made.
    pub pads: bool,
    /// What three comments before the first token say; a bare colon for nothing.
    pub comment: Option<&'static str>,
    /// Adds to every chunk and to the plain body.
    pub envelope: fn(&Turn, &mut Map<String, Value>),
    /// Adds to the chunk of token `n`.
    pub each: fn(&Turn, usize, &mut Map<String, Value>),
    /// Adds to a choice, with its finish reason.
    pub choice: fn(Option<&str>, &mut Map<String, Value>),
    /// Adds to a delta or a message.
    pub delta: fn(&mut Map<String, Value>),
    /// The usage.
    pub usage: fn(&Turn, Sent) -> Value,
    /// Adds to the chunk of the usage and to the plain body.
    pub last: fn(&Turn, &mut Map<String, Value>),
    /// Adds to the last chunk, whatever that holds, and to the plain body.
    pub end: fn(&Turn, &mut Map<String, Value>),
    /// Chunks before the first token that are none, each with its offset.
    pub prelude: fn(&Turn) -> Vec<(u64, Value)>,
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
    /// Keeps what will be asked later.
    pub remember: fn(&Turn, &Sim),
    /// Whether any model's name gets an answer, under the name of the one there is.
    pub any_model: bool,
    /// Whether `max_completion_tokens` is not looked at.
    pub old_limit_only: bool,
    /// Whether `n` makes that many choices; whether usage counts them all; whether each has its finish.
    pub choices: (bool, bool, bool),
    /// What becomes of a prompt that is too long.
    pub too_long: TooLong,
    /// Whether the answer is HTTP/1.0 and ends with its connection.
    pub http_1_0: bool,
    /// Whether the connection is closed after a stream that promised to keep it.
    pub closes: bool,
    /// Whether a body without `content-type: application/json` is read as none.
    pub needs_json_type: bool,
}

/// A manner of nothing in particular, to begin from.
pub const PLAIN: Manner = Manner {
    mime: "text/event-stream",
    id: |id, _| format!("chatcmpl-{id}"),
    role: Role::Before,
    reasoning: Reasoning::Field("reasoning_content"),
    usage_always: false,
    usage_null: false,
    usage_place: UsagePlace::Alone,
    done: true,
    finish_with_text: false,
    pads: false,
    comment: None,
    envelope: |_, _| (),
    each: |_, _, _| (),
    choice: |_, _| (),
    delta: |_| (),
    usage: |_, sent| usage(sent),
    last: |_, _| (),
    end: |_, _| (),
    prelude: |_| Vec::new(),
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
    any_model: false,
    old_limit_only: false,
    choices: (false, true, true),
    too_long: TooLong::Answered,
    http_1_0: false,
    closes: false,
    needs_json_type: false,
};
