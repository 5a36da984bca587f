//! `prompt`: the text of a prompt.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The text of a prompt. llm-run writes it once, before its first use.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prompt {
    /// Id of the prompt: the value of `prompt.id` in results.
    pub id: String,
    /// Category, in suites that have categories.
    pub category: Option<String>,
    /// System message.
    pub system: Option<String>,
    /// User message; in a conversation, the first one.
    pub text: String,
    /// SHA-256, in hex, of the system message, a NUL byte and the user message; in a conversation, a NUL byte and
    /// the user message of each further turn follow.
    pub sha256: String,
    /// Further user messages of a conversation. The answers of the model stand between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<String>,
    /// Limit of output tokens, where the prompt has one of its own.
    pub max_tokens: Option<u64>,
    /// Target length of a synthetic prompt, and how its tokens were counted.
    pub synthetic: Option<Synthetic>,
    /// Whether this is the text that precedes every prompt of the run (`--shared-prefix`). It is not sent on its
    /// own.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared_prefix: bool,
}

impl Body for Prompt {
    const TYPE: &'static str = "prompt";
}

/// Lengths of a synthetic prompt.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Synthetic {
    /// Target of input tokens, without a shared prefix.
    pub input_tokens: u64,
    /// Target of output tokens.
    pub output_tokens: Option<u64>,
    /// How the tokens were counted.
    pub counted: Counted,
    /// Tokens that the server counted, a shared prefix included.
    pub counted_tokens: Option<u64>,
}

/// How the tokens of a synthetic prompt were counted before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The server counted the chat with its template; its usage agrees.
    ServerChat,
    /// The server counted the user message alone; its usage adds the chat template and the system message.
    ServerText,
    /// One token per word, without a count by the server.
    Words,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands a reference
fn is_false(flag: &bool) -> bool {
    !flag
}
