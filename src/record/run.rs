//! `run`: the head of a run.

use super::{Body, RunSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The head of a run: the first line that llm-run writes, with what is needed to repeat the run.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Id of the run: `lmstudio-bench-20261121-155300`.
    pub run: String,
    /// Start of the run: Unix seconds.
    pub started_ts: f64,
    /// Id of the host's current boot. Monotonic times of different programs are comparable where their boot ids are
    /// equal.
    pub boot: Option<String>,
    /// Program that wrote the run.
    pub tool: Tool,
    /// Machine on which the client ran.
    pub host: Host,
    /// Settings of the run.
    #[serde(default)]
    pub settings: RunSettings,
    /// Command line, with secrets removed.
    #[serde(default)]
    pub argv: Vec<String>,
}

impl Body for Run {
    const TYPE: &'static str = "run";
}

/// A program and its version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Name of the program.
    pub name: String,
    /// Version of the program.
    pub version: String,
}

/// A machine.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Name of the processor.
    pub cpu: Option<String>,
    /// Number of logical processors that the process may use.
    pub cores: Option<u64>,
    /// Name of the GPU.
    pub gpu: Option<String>,
    /// Installed memory.
    pub ram_bytes: Option<u64>,
    /// Operating system and its version.
    pub os: Option<String>,
}
