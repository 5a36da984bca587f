//! A chat request, before a protocol writes it.

use crate::record::Model;
use serde_json::{Map, Value, json};

/// The parameters of a request. `None` is not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// The most tokens to answer with.
    pub max_tokens: Option<u64>,
    /// The context length, in tokens, where a request can ask for one.
    pub num_ctx: Option<u64>,
    /// The sampling seed.
    pub seed: Option<i64>,
    /// How hard to think.
    pub reasoning_effort: Option<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Fields that are merged into the body as they are.
    pub extra: Map<String, Value>,
}

/// A chat request to a model.
#[derive(Debug, Clone, Copy)]
pub struct ChatRequest<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its server.
    pub base_url: &'a str,
    /// The system message.
    pub system: Option<&'a str>,
    /// The earlier turns of the conversation.
    pub history: &'a [PastTurn],
    /// The user message.
    pub text: &'a str,
    /// The parameters.
    pub parameters: &'a Parameters,
}

impl ChatRequest<'_> {
    /// The messages, for protocols with such a list: system, earlier turns, user.
    pub fn messages(&self) -> Vec<Value> {
        let message = |role: &str, content: &str| json!({ "role": role, "content": content });
        let mut messages = Vec::with_capacity(2 * self.history.len() + 2);
        messages.extend(self.system.map(|system| message("system", system)));
        for PastTurn { user, assistant } in self.history {
            messages.extend([message("user", user), message("assistant", assistant)]);
        }
        messages.push(message("user", self.text));
        messages
    }
}

/// An earlier turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastTurn {
    /// The user message, as it was sent.
    pub user: String,
    /// The answer of the model, without its reasoning.
    pub assistant: String,
}
