//! The body of a chat for MiniMax.

use crate::protocol::Question;
use crate::protocol::chat_completions::{self, NEWER_LIMIT};
use serde_json::{Map, Value};

/// The body of a request.
pub fn body(request: &Question<'_>) -> Map<String, Value> {
    chat_completions::body(request, NEWER_LIMIT)
}
