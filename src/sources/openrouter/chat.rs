//! OpenRouter's chat completions: pinned providers, and headers that ask for the attempts.

use crate::http::root_of;
use crate::protocol::ChatRequest;
use crate::protocol::chat_completions::{self, NEWER_LIMIT};
use serde_json::{Map, Value, json};

/// Headers of every request. The metadata lists the providers that were tried.
pub const HEADERS: &[(&str, &str)] = &[("x-openrouter-title", "llm-bench"), ("x-openrouter-metadata", "enabled")];

/// The URL of a chat.
pub fn url(base: &str) -> String {
    format!("{}/api/v1/chat/completions", root_of(base))
}

/// The body of a request, pinned to the model's provider if there is one.
pub fn body(request: &ChatRequest<'_>) -> Map<String, Value> {
    let mut body = chat_completions::body(request, NEWER_LIMIT);
    if let Some(tag) = &request.model.provider {
        body.insert("provider".into(), json!({ "only": [tag], "allow_fallbacks": false }));
    }
    body
}
