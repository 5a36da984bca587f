//! `prompt`: the text of a prompt, once, before its first use.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A prompt as it is sent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prompt {
    /// The prompt's id, by which results name it.
    pub id: String,
    /// The category, for suites that have them.
    pub category: Option<String>,
    /// The system message.
    pub system: Option<String>,
    /// The user message; of a conversation, the first.
    pub text: String,
    /// SHA-256 of the system message, a NUL byte and the user message, in hex; of a conversation, with a NUL byte and the
    /// next user message for each further turn.
    pub sha256: String,
    /// The user messages of a conversation after the first; what the model answers stands between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<String>,
    /// The most tokens to answer with, where the prompt has a limit of its own.
    pub max_tokens: Option<u64>,
    /// Of a text that was made to a length: the length, and who counted.
    pub synthetic: Option<Synthetic>,
    /// True for the text that stands before every prompt of the run (`--shared-prefix`) and is not asked by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared_prefix: bool,
}

impl Body for Prompt {
    const TYPE: &'static str = "prompt";
}

/// What a synthetic text was to be.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Synthetic {
    /// The length that was wanted, in tokens; a shared prefix comes on top of it.
    pub input_tokens: u64,
    /// The length of the answer that was wanted, in tokens.
    pub output_tokens: Option<u64>,
    /// Who counted.
    pub counted: Counted,
    /// What the server counted, a shared prefix included.
    pub counted_tokens: Option<u64>,
}

/// Who counted the tokens of a synthetic text before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The server, the whole chat with its template: what its usage says too.
    ServerChat,
    /// The server, the user message alone: its usage says more, by the chat template and the system message.
    ServerText,
    /// Nobody: a word was taken for a token.
    Words,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands a reference
fn is_false(flag: &bool) -> bool {
    !flag
}
