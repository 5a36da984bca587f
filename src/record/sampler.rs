//! `sampler`: the first and the last line of a stream of readings.

use super::{Body, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The first and the last line of power-sample and mem-sample: what they measure, and how it went.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampler {
    /// Start or end of the stream.
    #[serde(default)]
    pub event: SamplerEvent,
    /// Program that samples.
    pub tool: Option<Tool>,
    /// Time of the event: Unix seconds.
    pub ts: Option<f64>,
    /// That time on the host's monotonic clock, in seconds.
    pub mono: Option<f64>,
    /// Id of the host's current boot; absent for readings of another host or boot.
    pub boot: Option<String>,
    /// Names of the power meters, or `process table`.
    #[serde(default)]
    pub meters: Vec<String>,
    /// Power domains, or the selected processes.
    pub measures: Option<Vec<String>>,
    /// Domain of the total; with several meters, the domains of its sum, joined by `+`.
    pub total_domain: Option<String>,
    /// Name that the meter gives the total: `Combined Power (CPU + GPU + ANE)`.
    pub total_label: Option<String>,
    /// Machine that the meter reports.
    pub machine: Option<String>,
    /// Requested time between readings.
    pub interval_seconds: Option<f64>,
    /// Whether the meter estimates power.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub estimated: bool,
    /// Whether the meter is simulated.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub simulated: bool,
    /// Number of readings (end).
    pub samples: Option<u64>,
    /// Number of due readings that did not come (end).
    pub gaps: Option<u64>,
    /// Number of readings that were dropped because they were truncated (end).
    pub truncated_samples: Option<u64>,
    /// CPU time of the sampler (end).
    pub cpu_seconds: Option<f64>,
    /// Why the stream ended, if not by request (end).
    pub reason: Option<String>,
}

impl Body for Sampler {
    const TYPE: &'static str = "sampler";
}

/// Start or end of a stream of readings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SamplerEvent {
    /// Start. Readers assume it where `event` is missing.
    #[default]
    Start,
    /// End.
    End,
}
