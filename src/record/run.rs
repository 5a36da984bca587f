//! `run`: the head of a run. The first line that llm-run writes.

use super::{Body, RunSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What was run, when, by what, on what and with which settings: enough to do it again.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The run's id: `lmstudio-bench-20261121-155300`.
    pub run: String,
    /// When the run began: Unix seconds.
    pub started_ts: f64,
    /// The id of the host's present boot, under which monotonic stamps of different programs can be compared.
    pub boot: Option<String>,
    /// The program.
    pub tool: Tool,
    /// The machine that the client ran on.
    pub host: Host,
    /// The settings of the run.
    #[serde(default)]
    pub settings: RunSettings,
    /// The command line, secrets removed.
    #[serde(default)]
    pub argv: Vec<String>,
}

impl Body for Run {
    const TYPE: &'static str = "run";
}

/// A program and its version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// The program's name.
    pub name: String,
    /// The program's version.
    pub version: String,
}

/// The machine.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// The processor's name.
    pub cpu: Option<String>,
    /// The number of logical processors this process may use.
    pub cores: Option<u64>,
    /// The graphics processor's name.
    pub gpu: Option<String>,
    /// Installed memory.
    pub ram_bytes: Option<u64>,
    /// The operating system and its version.
    pub os: Option<String>,
}
