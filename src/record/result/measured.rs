//! What was measured of a request: moments, gaps, tokens, rates, and the client's own lateness.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Moments of a request, in seconds from its start.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// When it should have been sent (open loop): zero or negative.
    pub scheduled: Option<f64>,
    /// How long opening the connection took, before the start; absent for a connection that was open already.
    pub connect: Option<f64>,
    /// The response's headers.
    pub headers: Option<f64>,
    /// The first event of any kind; comments are none.
    pub first_event: Option<f64>,
    /// The first token of any kind.
    pub first_token: Option<f64>,
    /// The first token that is not reasoning.
    pub first_output_token: Option<f64>,
    /// The last token.
    pub last_token: Option<f64>,
    /// The end of the answer, or of the attempt.
    pub end: Option<f64>,
}

/// The gaps between chunks with text, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Itl {
    /// How many gaps.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The shortest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// All of them as an HdrHistogram of microseconds, format V2, base64: histograms of any runs add up exactly.
    pub histogram: String,
}

/// Token counts. An unknown count is absent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub output: Option<u64>,
    /// The part of the output that was reasoning.
    pub reasoning: Option<u64>,
    /// The part of the input that came from a prompt cache.
    pub cached: Option<u64>,
    /// Who counted.
    pub source: TokenSource,
}

/// Who counted the tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// The `usage` of the answer.
    Usage,
    /// The server's statistics: llama.cpp's timings, Ollama's counts, LM Studio's stats.
    ServerStats,
    /// Nobody: chunks with text were counted, and a chunk is not a token.
    #[default]
    Chunks,
}

/// How the stream was cut.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chunks {
    /// Chunks with text.
    pub count: u64,
    /// Reads from the connection that brought body bytes.
    pub reads: u64,
    /// The most chunks with text that one read brought.
    pub max_per_read: u64,
    /// Tokens in the first chunk.
    pub first_tokens: Option<FirstTokens>,
}

/// How many tokens the first chunk held.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FirstTokens {
    /// The number.
    pub tokens: f64,
    /// Whether the server said so; otherwise it is the first chunk's share of the bytes.
    pub exact: bool,
}

/// Rates, in tokens per second.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Derived {
    /// Output tokens ÷ the whole request's time.
    pub tokens_per_second: Option<f64>,
    /// 1 ÷ `tpot_corrected_seconds`.
    pub decode_tokens_per_second: Option<f64>,
    /// (Input − cached tokens) ÷ time to first token: queue and network included.
    pub prompt_tokens_per_second: Option<f64>,
    /// Output tokens ÷ the whole request's time, where the server gave no rate of its own.
    pub tokens_per_second_fallback: Option<f64>,
}

/// The client's own honesty.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Client {
    /// How late the client's event loop was while the request ran: what it may have added to a stamp; what the system took before the loop was woken is not in it.
    pub lag_seconds: Option<LagSeconds>,
}

/// Lateness of the event loop, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagSeconds {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The worst.
    pub max: f64,
}
