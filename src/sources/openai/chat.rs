//! The body of a chat for a server with an OpenAI-compatible API.

use crate::protocol::ChatRequest;
use crate::protocol::chat_completions::{self, NEWER_LIMIT, OLDER_LIMIT};
use serde_json::{Map, Value};

/// The body of a request. OpenAI's own newer models refuse `max_tokens`, which other servers only know.
pub fn body(request: &ChatRequest<'_>) -> Map<String, Value> {
    let own = request.base_url.contains("//api.openai.com");
    chat_completions::body(request, if own { NEWER_LIMIT } else { OLDER_LIMIT })
}
