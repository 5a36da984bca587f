//! Times, tokens, chunks and rates of a request, and the client's own delays.

use crate::record::Quantiles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use strum::IntoStaticStr;

/// Times of events, in seconds from the start of the request.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Scheduled start (open loop): zero or negative.
    pub scheduled: Option<f64>,
    /// Duration of connecting, before the start; absent for a reused connection.
    pub connect: Option<f64>,
    /// Response headers.
    pub headers: Option<f64>,
    /// First event of any kind, comments excluded.
    pub first_event: Option<f64>,
    /// First token, reasoning included.
    pub first_token: Option<f64>,
    /// First token that is not reasoning.
    pub first_output_token: Option<f64>,
    /// Last token.
    pub last_token: Option<f64>,
    /// End of the response, or failure of the request.
    pub end: Option<f64>,
}

/// Token counts. An unknown count is absent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Input tokens, cached tokens included.
    pub input: Option<u64>,
    /// Output tokens, reasoning included.
    pub output: Option<u64>,
    /// Reasoning tokens among the output tokens.
    pub reasoning: Option<u64>,
    /// Input tokens from a prompt cache.
    pub cached: Option<u64>,
    /// Where the counts come from.
    pub method: Option<TokenMethod>,
}

/// Where token counts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TokenMethod {
    /// The usage of the response.
    Usage,
    /// The server's statistics: llama.cpp's timings, Ollama's counts, LM Studio's stats.
    ServerStats,
    /// A count of chunks with text: an estimate, because a chunk may hold several tokens.
    Chunks,
}

/// Chunks of a stream.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chunks {
    /// Chunks with text.
    pub count: u64,
    /// Reads of body bytes from the connection.
    pub reads: Option<u64>,
    /// Most chunks with text in one read.
    pub max_per_read: Option<u64>,
    /// Tokens in the first chunk.
    pub first_tokens: Option<FirstTokens>,
}

/// Number of tokens in the first chunk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FirstTokens {
    /// Number of tokens.
    pub tokens: f64,
    /// Whether the server reported the number. Otherwise it is estimated from the chunk's share of the bytes.
    #[serde(default)]
    pub exact: bool,
}

/// Token rates, in tokens per second.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Derived {
    /// Output tokens ÷ end-to-end latency.
    pub tokens_per_second: Option<f64>,
    /// 1 ÷ `tpot_corrected_seconds`.
    pub decode_tokens_per_second: Option<f64>,
    /// (Input tokens − cached tokens) ÷ TTFT, queueing and network included.
    pub prompt_tokens_per_second: Option<f64>,
    /// Output tokens ÷ end-to-end latency, where the server reports no rate.
    pub tokens_per_second_fallback: Option<f64>,
}

/// Delays that the client itself caused.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    /// Lag of the client's event loop during the request, which may have delayed a timestamp. Time before the
    /// operating system woke the loop is not included.
    pub lag_seconds: Option<Quantiles>,
}
