//! `result`: one request. Its names include those of the earlier scripts' per-model JSON, so that their `jq` filters work.

mod failure;
mod fields;
mod measured;

pub use failure::{Attempt, Errors, Failure, FailureKind};
pub use fields::{
    ClientFields, ErrorFields, FileFields, LatencyFields, PromptFields, ResultFields, Text, TimingFields,
};
pub use measured::{Chunks, Client, Derived, FirstTokens, Timing, TokenMethod, Tokens};

use super::{Body, GroundTruth, JoinedMemory, JoinedPower, Quantiles, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::rust::double_option;
use serde_with::skip_serializing_none;
use strum::Display;

/// One request, successful or failed. llm-run writes it, bench-join adds `power` and `memory`, bench-report reads
/// it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// Id of the run.
    #[serde(default)]
    pub run: String,
    /// Number of the request in its run, from 1.
    #[serde(default)]
    pub id: u64,
    /// Hash of server, model, prompt, settings and repetition. Requests of different runs with the same key are
    /// repetitions of each other.
    #[serde(default)]
    pub key: String,
    /// Kind of server.
    pub source: Option<Source>,
    /// Requested model.
    pub model: String,
    /// Model that the response names.
    pub served_model: Option<String>,
    /// Provider that served the request, behind a router.
    pub provider: Option<String>,
    /// Tag of the provider to which the request was pinned (OpenRouter).
    pub pinned_provider: Option<String>,
    /// URL of the request, without secrets.
    pub endpoint: Option<String>,
    /// API of the request: `chat`, `lmstudio-v1`, `lmstudio-v0`, `ollama`.
    pub api: Option<String>,
    /// Id that the server gave the response.
    pub generation_id: Option<String>,
    /// Start of the request in RFC 3339, UTC.
    pub timestamp: Option<String>,
    /// Time at which the request was written to the connection: Unix seconds.
    pub start_ts: Option<f64>,
    /// That time on the host's monotonic clock, in seconds.
    pub start_mono: Option<f64>,
    /// Times of events, from the start of the request.
    pub timing_seconds: Option<Timing>,
    /// Time to first token (TTFT): from the start of the request to the first non-empty content, reasoning or tool
    /// argument. Headers, comments, role-only chunks and usage chunks do not count. Null when no token came.
    #[serialize_always]
    pub ttft_seconds: Option<f64>,
    /// TTFT from the scheduled time of the request (open loop), so that a late start cannot hide queueing; null
    /// when no token came.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub ttft_scheduled_seconds: Option<Option<f64>>,
    /// Time to the first token that is not reasoning; null when none came.
    #[serialize_always]
    pub time_to_first_output_token_seconds: Option<f64>,
    /// End-to-end latency: from the start of the request to the end of the response; null when the request failed.
    #[serialize_always]
    pub generation_time_seconds: Option<f64>,
    /// Time per output token after the first chunk: (last token − first token) ÷ (output tokens − tokens of the
    /// first chunk). Null for fewer than two tokens, for one chunk, and where the number of tokens is unknown.
    #[serialize_always]
    pub tpot_corrected_seconds: Option<f64>,
    /// Time per output token (TPOT): (last token − first token) ÷ (output tokens − 1); null where it cannot be
    /// computed.
    #[serialize_always]
    pub tpot_seconds: Option<f64>,
    /// Distribution of the gaps between chunks with text; null for fewer than two chunks.
    #[serialize_always]
    pub inter_chunk_latency_seconds: Option<Quantiles>,
    /// Token counts.
    pub tokens: Option<Tokens>,
    /// Chunks of the stream.
    pub chunks: Option<Chunks>,
    /// Each chunk with `--save-stream`: time from the start of the request in seconds, bytes of text, kind
    /// (`reasoning`, `answer`, `tool`).
    pub stream: Option<Vec<(f64, u64, String)>>,
    /// The server's usage, as received.
    pub usage: Option<Value>,
    /// The server's statistics, as received: LM Studio's `stats` with its load and prompt events, Ollama's
    /// durations.
    pub rest_stats: Option<Value>,
    /// LM Studio's `model_info`, as received.
    pub model_info: Option<Value>,
    /// LM Studio's `runtime`, as received.
    pub runtime: Option<Value>,
    /// llama.cpp's `timings` or vLLM's `metrics`, as received.
    pub timings: Option<Value>,
    /// Other fields of the response, its choices and its deltas (`system_fingerprint`, `stop_reason` …), as last
    /// received: at most 64, each up to 16 KiB.
    pub server_fields: Option<Map<String, Value>>,
    /// OpenRouter's routing metadata, as received: providers, `attempt`, `attempts`.
    pub openrouter_metadata: Option<Value>,
    /// OpenRouter's record of the generation, as received (`--verify-cost`).
    pub generation: Option<Value>,
    /// Token rates computed from times and counts.
    pub derived: Option<Derived>,
    /// Cost of the request.
    pub cost: Option<Cost>,
    /// Duration of the model's load, as in its `load` record; null when the load failed.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub load_time_seconds: Option<Option<f64>>,
    /// Target of concurrent requests (closed loop).
    pub concurrency: Option<u64>,
    /// Target of requests per second (open loop).
    pub rate: Option<f64>,
    /// Whether the request is a warm-up.
    pub phase: Option<Phase>,
    /// Number of the repetition of this request, from 1.
    pub repetition: Option<u64>,
    /// Number of the conversation: that of its first request.
    pub conversation: Option<u64>,
    /// Turn of the conversation, from 1.
    pub turn: Option<u64>,
    /// Requests of this run in flight when it was sent, itself included.
    pub in_flight: Option<u64>,
    /// Why the response ended, in OpenAI's values: `stop`, `length` …; null when the server gave no reason.
    #[serialize_always]
    pub finish_reason: Option<String>,
    /// Why the response ended, in the provider's own values.
    pub native_finish_reason: Option<String>,
    /// Prompt and sampling parameters that were sent.
    pub prompt: Option<PromptUsed>,
    /// Paths of the files that the run wrote for this request, relative to the run folder.
    pub files: Option<Files>,
    /// Text of the answer (`--save-text`).
    pub text: Option<String>,
    /// Failed attempts before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Errors as sentences, in the form of the earlier scripts.
    #[serde(default)]
    pub errors: Errors,
    /// Error for programs; null when the request succeeded.
    #[serialize_always]
    pub error: Option<Failure>,
    /// Reasons for doubt about the result: `cached_prompt`, `truncated_by_length`, `served_other_model`,
    /// `buffered_stream` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Delays that the client itself caused.
    pub client: Option<Client>,
    /// What llm-sim logged of the request, and the measurement error against it.
    pub ground_truth: Option<GroundTruth>,
    /// Energy of the request, added by bench-join; null when a meter was given and no reading covers the request.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub power: Option<Option<Box<JoinedPower>>>,
    /// Why `power` is null.
    pub power_reason: Option<String>,
    /// Memory during the request, added by bench-join; null when a sampler was given and no reading covers the
    /// request.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub memory: Option<Option<Box<JoinedMemory>>>,
    /// Why `memory` is null.
    pub memory_reason: Option<String>,
}

impl Body for Outcome {
    const TYPE: &'static str = "result";
}

/// Cost of a request.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// US dollars.
    pub usd: f64,
    /// Where the cost comes from.
    pub method: Option<CostMethod>,
    /// US dollars in OpenRouter's record of the generation (`--verify-cost`).
    pub verified_usd: Option<f64>,
}

/// Where a cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum CostMethod {
    /// The usage of the response.
    Usage,
    /// Token counts times the model's prices.
    Pricing,
    /// OpenRouter's record of the generation, where the response has no cost.
    Generation,
}

/// Whether a request is a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Warm-up: left out of all statistics.
    Warmup,
    /// Measured.
    Measure,
}

/// Prompt and sampling parameters of a request. A parameter that was not sent is absent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptUsed {
    /// Id of the `prompt` record.
    #[serde(default)]
    pub id: String,
    /// Text of the prompt, inlined by `bench-join --json-dir`.
    pub text: Option<String>,
    /// Unique text before the prompt, which defeats prompt caches; of a synthetic prompt, the seed of its word
    /// order.
    pub nonce: Option<String>,
    /// Length of the shared prefix in tokens (`--shared-prefix`).
    pub shared_prefix_tokens: Option<u64>,
    /// Target of input tokens of a synthetic prompt, the shared prefix included. `tokens.input` is the actual
    /// number.
    pub wanted_input_tokens: Option<u64>,
    /// Target of output tokens. `tokens.output` is the actual number.
    pub wanted_output_tokens: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling probability.
    pub top_p: Option<f64>,
    /// Limit of output tokens.
    pub max_tokens: Option<u64>,
    /// Requested context length, in tokens.
    pub num_ctx: Option<u64>,
    /// Sampling seed.
    pub seed: Option<i64>,
    /// Reasoning effort.
    pub reasoning_effort: Option<String>,
    /// GPU offload with which the model was loaded.
    pub gpu_setting: Option<String>,
}

/// Files of a request; paths are relative to the run folder.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Files {
    /// Page extracted from the answer.
    pub html: Option<String>,
    /// Answer as text.
    pub text: Option<String>,
    /// Joined result, written by `bench-join --json-dir`.
    pub json: Option<String>,
    /// The power meter's log.
    pub power_log: Option<String>,
}
