//! The interface of a chat protocol.

use super::answer::{Arrival, StreamedAnswer};
use super::request::{ChatRequest, Parameters};
use super::sse;
use super::usage::UsageNames;
use serde_json::{Map, Value};
use std::fmt;

/// A chat protocol: how a request is written, and how its response is read.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// Name, as the `api` of a result states it.
    pub name: &'static str,
    /// URL of a chat, from the base URL of the server.
    pub url: fn(&str) -> String,
    /// Body of a request, without the user's own fields.
    pub body: fn(&ChatRequest<'_>) -> Map<String, Value>,
    /// Adds an event of a stream to the answer.
    pub event: fn(&mut StreamedAnswer, Arrival, sse::Event<'_>),
    /// Adds a whole body to the answer.
    pub whole: fn(&mut StreamedAnswer, Arrival, &str),
    /// Whether a stream is a JSON object per line.
    pub json_lines: bool,
    /// Whether a request can carry a conversation.
    pub conversations: bool,
    /// Names of the parameters that a request has no place for.
    pub unsupported: &'static [&'static str],
    /// Where servers report token counts besides `usage`.
    pub usage: &'static [UsageNames],
}

impl Protocol {
    /// URL of a chat, from the base URL of the server.
    pub fn url(&self, base: &str) -> String {
        (self.url)(base)
    }

    /// Body of a request. The user's own fields replace those of the protocol.
    pub fn body(&self, request: &ChatRequest<'_>) -> Map<String, Value> {
        let mut body = (self.body)(request);
        merge(&mut body, &request.parameters.extra);
        body
    }

    /// Names of the parameters that are given and that a request has no place for.
    pub fn unsupported(&self, parameters: &Parameters) -> Vec<&'static str> {
        let given = [("seed", parameters.seed.is_some()), ("num_ctx", parameters.num_ctx.is_some())];
        let missing = given.into_iter().filter(|(name, given)| *given && self.unsupported.contains(name));
        missing.map(|(name, _)| name).collect()
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Merges the user's own fields into a body: they win, and objects (`options`, `stream_options`) are merged in their turn. The limit
/// of tokens has two names, and no server gets both.
fn merge(body: &mut Map<String, Value>, extra: &Map<String, Value>) {
    for (name, value) in extra {
        let other = match name.as_str() {
            "max_tokens" => "max_completion_tokens",
            "max_completion_tokens" => "max_tokens",
            _ => "",
        };
        body.shift_remove(other);
        match (body.get_mut(name), value) {
            (Some(Value::Object(ours)), Value::Object(theirs)) => merge(ours, theirs),
            _ => drop(body.insert(name.clone(), value.clone())),
        }
    }
}
