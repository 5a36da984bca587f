//! `load`: a model load.

use super::{Body, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A model load, or a failed one. llm-run writes one for each model that it loads.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Id of the run.
    pub run: String,
    /// Kind of server.
    pub source: Source,
    /// Id of the model.
    pub model: String,
    /// Start and end of the idle time before the load, with no model loaded: Unix seconds.
    pub baseline_ts: Option<[f64; 2]>,
    /// Start and end of that time on the host's monotonic clock, in seconds.
    pub baseline_mono: Option<[f64; 2]>,
    /// Start of the load request: Unix seconds.
    pub started_ts: f64,
    /// Start of the load request on the host's monotonic clock, in seconds.
    pub started_mono: f64,
    /// End of the load, or its failure: Unix seconds.
    pub ended_ts: f64,
    /// End of the load on the host's monotonic clock, in seconds.
    pub ended_mono: f64,
    /// Duration of the load; null when it failed, or when the model was loaded before and could not be unloaded.
    #[serialize_always]
    pub load_time_seconds: Option<f64>,
    /// Who measured `load_time_seconds`.
    pub load_time_method: Option<LoadTimeMethod>,
    /// What loaded the model.
    pub loader: Loader,
    /// Requested GPU offload: `max`, `off` or a ratio.
    pub gpu_setting: Option<String>,
    /// Context length of the loaded instance, in tokens.
    pub context_length: Option<u64>,
    /// Id of the loaded instance, where it differs from the id of the model.
    pub instance: Option<String>,
    /// Why the load failed; null when it succeeded.
    #[serialize_always]
    pub error: Option<String>,
}

impl Body for Load {
    const TYPE: &'static str = "load";
}

/// Who measured a load time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LoadTimeMethod {
    /// The server reported it.
    Server,
    /// The client measured it, from the load request to its response; with `lms`, without the start of `lms`.
    Wall,
}

/// What loaded a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loader {
    /// LM Studio's REST API.
    Rest,
    /// The `lms` program.
    Lms,
    /// Ollama's API.
    Ollama,
    /// The server, at the first request that named the model.
    Jit,
}
