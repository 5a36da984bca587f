//! Errors of a request and its failed attempts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::{Display, IntoStaticStr};

/// A failed attempt before the one that the result describes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// HTTP status, where a response came.
    pub status: Option<u16>,
    /// Why the attempt failed.
    #[serde(default)]
    pub error: String,
    /// Delay before the next attempt.
    pub wait_seconds: Option<f64>,
}

/// Errors as sentences.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Why the model load failed; null when it succeeded, or llm-run did not load the model.
    #[serialize_always]
    pub load: Option<String>,
    /// Why the request failed; null when it succeeded.
    #[serialize_always]
    pub generation: Option<String>,
}

/// Why a request failed.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Kind of failure.
    #[serde(default)]
    pub kind: FailureKind,
    /// HTTP status, where a response came.
    pub status: Option<u16>,
    /// Message of the server or the operating system, without secrets.
    #[serde(default)]
    pub message: String,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
}

/// Kind of failure.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    Display,
    IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FailureKind {
    /// No connection: refused, unreachable, unknown host, TLS error.
    Connect,
    /// Timeout of the whole request.
    Timeout,
    /// Timeout before the first chunk or between chunks.
    IdleTimeout,
    /// HTTP error status that no other kind covers.
    Http,
    /// Rate limit.
    RateLimit,
    /// Response that violates the protocol: no stream, no JSON, or empty.
    Protocol,
    /// Response that ended too early.
    Truncated,
    /// Server error: 5xx, or an error in the stream.
    Server,
    /// Refusal: invalid key, no credit, moderation, unknown model, context too long.
    Refused,
    /// Cancelled by llm-run.
    Cancelled,
    /// Response over the size limit.
    TooLarge,
    /// Failed model load.
    Load,
    /// Any other failure. Readers map unknown kinds to it.
    #[default]
    #[serde(other)]
    Other,
}
