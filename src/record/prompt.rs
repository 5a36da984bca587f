//! `prompt`: the text of a prompt, once, before its first use.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A prompt as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prompt {
    /// The prompt's id, by which results name it.
    pub id: String,
    /// The category, for suites that have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The system message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user message.
    pub text: String,
    /// SHA-256 of the system message, a NUL byte and the user message, in hex.
    pub sha256: String,
}

impl Body for Prompt {
    const TYPE: &'static str = "prompt";
}
