//! `result`: one request, failed ones included. Written by llm-run, enriched by bench-join, read by bench-report.
//!
//! A superset of the per-model JSON of the scripts before us, so that their names still work in `jq`.

mod failure;
mod measured;

pub use failure::{Attempt, Errors, Failure, FailureKind};
pub use measured::{Chunks, Client, Derived, FirstTokens, Itl, LagSeconds, Timing, TokenSource, Tokens};

use super::{Body, GroundTruth, JoinedMemory, JoinedPower, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use serde_with::rust::double_option;
use serde_with::skip_serializing_none;

/// One request and all that is known of it. (The record is called `result`; the type is not, because Rust has one.)
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The run's id.
    #[serde(default)]
    pub run: String,
    /// The request's number in its run, from 1.
    #[serde(default)]
    pub id: u64,
    /// A hash of server, model, prompt, settings and repeat: the same for the same question in another run.
    #[serde(default)]
    pub key: String,
    /// The kind of server.
    pub source: Option<Source>,
    /// The model that was asked for.
    pub model: String,
    /// The model that the server says answered.
    pub served_model: Option<String>,
    /// Who served it, behind a router.
    pub provider: Option<String>,
    /// The provider's tag that the request was pinned to, whoever served it (OpenRouter).
    pub pinned_provider: Option<String>,
    /// The address the request was sent to, without secrets.
    pub endpoint: Option<String>,
    /// The dialect that was spoken: `chat`, `lmstudio-v1`, `lmstudio-v0`, `ollama`.
    pub api: Option<String>,
    /// The server's own id of the answer.
    pub generation_id: Option<String>,
    /// RFC 3339 of the start, UTC, for people.
    pub timestamp: Option<String>,
    /// When the request was written: Unix seconds.
    pub start_ts: Option<f64>,
    /// The same on the host's monotonic clock, in seconds.
    pub start_mono: Option<f64>,
    /// Moments of the request, as offsets from its start.
    pub timing_seconds: Option<Timing>,
    /// Time to first token: from the start to the first non-empty content, reasoning or tool argument. Never headers,
    /// comments, role-only or usage chunks. Null when none came.
    #[serialize_always]
    pub ttft_seconds: Option<f64>,
    /// The same from the scheduled moment of sending (open loop): free of coordinated omission.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub ttft_scheduled_seconds: Option<Option<f64>>,
    /// Time to the first text that is not reasoning; null when none came.
    #[serialize_always]
    pub time_to_first_output_token_seconds: Option<f64>,
    /// The whole request, from its start to the end of the answer; null when it never got that far.
    #[serialize_always]
    pub generation_time_seconds: Option<f64>,
    /// Time per output token after the first chunk: (last token − first token) / (output − tokens of the first chunk).
    /// Null for fewer than two tokens, one chunk, or an unknown number of tokens.
    #[serialize_always]
    pub tpot_corrected_seconds: Option<f64>,
    /// The form other tools use: (last token − first token) / (output − 1).
    #[serialize_always]
    pub tpot_seconds: Option<f64>,
    /// Inter-token latency: the gaps between chunks with text. Null for fewer than two chunks.
    #[serialize_always]
    pub inter_chunk_latency_seconds: Option<Itl>,
    /// Token counts.
    pub tokens: Option<Tokens>,
    /// How the stream was cut.
    pub chunks: Option<Chunks>,
    /// With `--save-stream`, per chunk: offset from the start in seconds, bytes of text, kind (`reasoning`, `answer`, `tool`).
    pub stream: Option<Vec<(f64, u64, String)>>,
    /// The server's usage, raw.
    pub usage: Option<Value>,
    /// The server's statistics, raw: LM Studio's `stats` with its load and prompt events, Ollama's durations.
    pub rest_stats: Option<Value>,
    /// LM Studio's `model_info`, raw.
    pub model_info: Option<Value>,
    /// LM Studio's `runtime`, raw.
    pub runtime: Option<Value>,
    /// llama.cpp's `timings` or vLLM's `metrics`, raw.
    pub timings: Option<Value>,
    /// What else the server said, raw: the fields of the answer, of its choices and of their deltas that no other field here
    /// holds (`system_fingerprint`, `stop_reason` …), each as it was last. At most 64, of 16 KiB.
    pub server_fields: Option<Map<String, Value>>,
    /// OpenRouter's word on its routing, raw: providers, `attempt`, `attempts`.
    pub openrouter_metadata: Option<Value>,
    /// With `--verify-cost`: what OpenRouter's ledger says of the request, raw.
    pub generation: Option<Value>,
    /// Rates that follow from the rest.
    pub derived: Option<Derived>,
    /// What it cost.
    pub cost: Option<Cost>,
    /// How long the model took to load, as in its `load` record.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub load_time_seconds: Option<Option<f64>>,
    /// How many requests were to run at once (closed loop).
    pub concurrency: Option<u64>,
    /// How many requests per second were to be sent (open loop).
    pub rate: Option<f64>,
    /// Whether the request counts.
    pub phase: Option<Phase>,
    /// Which repetition of the same question it is, from 1.
    pub repetition: Option<u64>,
    /// Of a conversation: the number of its first request, the same for all its turns.
    pub conversation: Option<u64>,
    /// Of a conversation: which turn of it, from 1.
    pub turn: Option<u64>,
    /// How many requests of this run were running when it was sent, itself included.
    pub in_flight: Option<u64>,
    /// Why the answer ended, in OpenAI's words: `stop`, `length` …
    #[serialize_always]
    pub finish_reason: Option<String>,
    /// The same in the provider's own words.
    pub native_finish_reason: Option<String>,
    /// The prompt and the parameters that were sent.
    pub prompt: Option<PromptUsed>,
    /// Paths of what was written, relative to the run folder.
    pub files: Option<Files>,
    /// The answer itself, with `--save-text`.
    pub text: Option<String>,
    /// Tries before this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Errors as sentences, as the scripts before us wrote them.
    #[serde(default)]
    pub errors: Errors,
    /// The error, for programs; null when there is none.
    #[serialize_always]
    pub error: Option<Failure>,
    /// Doubts, in short words: `cached_prompt`, `truncated_by_length`, `served_other_model`, `buffered_stream` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// How honest the client could be while this request ran.
    pub client: Option<Client>,
    /// Against llm-sim only: what the server really did.
    pub ground_truth: Option<GroundTruth>,
    /// What the machine drew; null when a meter was given and measured nothing. Added by bench-join.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub power: Option<Option<Box<JoinedPower>>>,
    /// Why `power` is null.
    pub power_reason: Option<String>,
    /// What the machine held; null when a sampler was given and measured nothing. Added by bench-join.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub memory: Option<Option<Box<JoinedMemory>>>,
    /// Why `memory` is null.
    pub memory_reason: Option<String>,
}

impl Body for Outcome {
    const TYPE: &'static str = "result";
}

/// What a request cost.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// US dollars.
    pub usd: f64,
    /// Who says so.
    pub source: CostSource,
    /// With `--verify-cost`: US dollars by OpenRouter's ledger.
    pub verified_usd: Option<f64>,
}

/// Where a cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CostSource {
    /// The server's usage.
    Usage,
    /// Tokens times the model's prices.
    Pricing,
    /// OpenRouter's ledger, where the answer did not say.
    Generation,
}

/// Whether a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It only warmed the server.
    Warmup,
    /// It counts.
    Measure,
}

/// The prompt and the parameters that were sent; what was not sent is absent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PromptUsed {
    /// The id of the `prompt` record.
    pub id: String,
    /// The prompt's text, inlined by `bench-join --json-dir`.
    pub text: Option<String>,
    /// What was put before the prompt's text so that no cache could know it; of a synthetic prompt, what the order of its words
    /// was drawn from.
    pub nonce: Option<String>,
    /// The length of the text that stands before every prompt of the run, in tokens (`--shared-prefix`).
    pub shared_prefix_tokens: Option<u64>,
    /// How many tokens a synthetic prompt was to have, the shared prefix included; `tokens.input` is what it had.
    pub wanted_input_tokens: Option<u64>,
    /// How many tokens its answer was to have; `tokens.output` is what it had.
    pub wanted_output_tokens: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// The most tokens to answer with.
    pub max_tokens: Option<u64>,
    /// The context length that was asked for, in tokens.
    pub num_ctx: Option<u64>,
    /// The sampling seed.
    pub seed: Option<i64>,
    /// How hard to think.
    pub reasoning_effort: Option<String>,
    /// The GPU offload with which the model was loaded.
    pub gpu_setting: Option<String>,
}

/// What was written for a request, relative to the run folder.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Files {
    /// The page taken from the answer.
    pub html: Option<String>,
    /// The answer as text.
    pub text: Option<String>,
    /// The joined result, by `bench-join --json-dir`.
    pub json: Option<String>,
    /// The power meter's log.
    pub power_log: Option<String>,
}
