//! The body of a chat for MiniMax.

use crate::protocol::ChatRequest;
use crate::protocol::chat_completions::{self, NEWER_LIMIT};
use serde_json::{Map, Value};

/// The body of a request.
pub fn body(request: &ChatRequest<'_>) -> Map<String, Value> {
    chat_completions::body(request, NEWER_LIMIT)
}
