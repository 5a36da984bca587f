//! `load`: a model was brought into memory, or failed to be.

use super::{Body, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// One per model that llm-run loaded.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// The run's id.
    pub run: String,
    /// The kind of server.
    pub source: Source,
    /// The model's id.
    pub model: String,
    /// From when to when the machine idled with nothing loaded, before the load: Unix seconds.
    pub baseline_ts: Option<[f64; 2]>,
    /// The same on the host's monotonic clock, in seconds.
    pub baseline_mono: Option<[f64; 2]>,
    /// When the load was asked for: Unix seconds.
    pub started_ts: f64,
    /// The same on the host's monotonic clock, in seconds.
    pub started_mono: f64,
    /// When the load was done, or had failed: Unix seconds.
    pub ended_ts: f64,
    /// The same on the host's monotonic clock, in seconds.
    pub ended_mono: f64,
    /// How long the load took; null when it failed, or when the model was loaded already and could not be unloaded.
    #[serialize_always]
    pub load_time_seconds: Option<f64>,
    /// Whose clock `load_time_seconds` is.
    pub load_time_source: Option<LoadTimeSource>,
    /// Who loaded it.
    pub loader: Loader,
    /// The GPU offload that was asked for: `max`, `off` or a ratio.
    pub gpu_setting: Option<String>,
    /// The context length, in tokens, with which it is loaded.
    pub context_length: Option<u64>,
    /// The name under which the loaded instance answers, where that is not the model's id.
    pub instance: Option<String>,
    /// Why it failed; null when it did not.
    #[serialize_always]
    pub error: Option<String>,
}

impl Body for Load {
    const TYPE: &'static str = "load";
}

/// Whose clock a load time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadTimeSource {
    /// The server said how long it took.
    Server,
    /// Measured here, from the request to the answer, or by `lms`, which leaves its own start out.
    Wall,
}

/// Who brought the model into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loader {
    /// LM Studio's REST API.
    Rest,
    /// The `lms` program.
    Lms,
    /// Ollama's API.
    Ollama,
    /// The server itself, on the first request that named the model.
    Jit,
}
