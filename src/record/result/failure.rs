//! Why a request failed, and the tries before the one that counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A try before the one that counts.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why it did not count.
    pub error: String,
    /// How long was waited after it.
    pub wait_seconds: f64,
}

/// Errors as sentences.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Why the model did not load; null when it did, or was not loaded by us.
    pub load: Option<String>,
    /// Why the request failed; null when it did not.
    pub generation: Option<String>,
}

/// Why a request failed.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// What the server, or the system, said. Secrets are never in it.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection: refused, unreachable, no such host, TLS.
    Connect,
    /// The whole request took too long.
    Timeout,
    /// Nothing came for too long.
    IdleTimeout,
    /// An HTTP status that is an error and none of the others.
    Http,
    /// Too many requests.
    RateLimit,
    /// The answer is not what the protocol says: no stream, no JSON, nothing at all.
    Protocol,
    /// The answer stopped before its end.
    Truncated,
    /// The server failed: 5xx, or an error inside the stream.
    Server,
    /// The server would not: bad key, no credit, moderation, unknown model, context too long.
    Refused,
    /// We stopped it.
    Cancelled,
    /// The answer outgrew what we are ready to hold.
    TooLarge,
    /// The model did not load.
    Load,
}

impl FailureKind {
    /// Its word in the records.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Connect => "connect",
            FailureKind::Timeout => "timeout",
            FailureKind::IdleTimeout => "idle_timeout",
            FailureKind::Http => "http",
            FailureKind::RateLimit => "rate_limit",
            FailureKind::Protocol => "protocol",
            FailureKind::Truncated => "truncated",
            FailureKind::Server => "server",
            FailureKind::Refused => "refused",
            FailureKind::Cancelled => "cancelled",
            FailureKind::TooLarge => "too_large",
            FailureKind::Load => "load",
        }
    }
}
