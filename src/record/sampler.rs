//! `sampler`: opens and closes the stream of power-sample and mem-sample.

use super::{Body, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What a sampler measures, at the start; how it went, at the end.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampler {
    /// Start or end.
    pub event: SamplerEvent,
    /// The program.
    pub tool: Tool,
    /// When: Unix seconds.
    pub ts: f64,
    /// The same on the host's monotonic clock, in seconds.
    pub mono: Option<f64>,
    /// The id of the host's present boot; absent when the readings are of another host or time.
    pub boot: Option<String>,
    /// The meters, or `process table`.
    pub meters: Vec<String>,
    /// What is measured: power domains, or the processes that were asked for.
    pub measures: Option<Vec<String>>,
    /// The domain that is the total; with several meters, the domains whose sum is, joined by `+`.
    pub total_domain: Option<String>,
    /// What the total covers, in the meter's own words: `Combined Power (CPU + GPU + ANE)`.
    pub total_label: Option<String>,
    /// The machine the meter says it is.
    pub machine: Option<String>,
    /// The time between readings that was asked for.
    pub interval_seconds: Option<f64>,
    /// Whether the meter estimates rather than measures.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub estimated: bool,
    /// Whether the meter is a simulation.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub simulated: bool,
    /// End: how many readings were written.
    pub samples: Option<u64>,
    /// End: how many times a reading was due and none came.
    pub gaps: Option<u64>,
    /// End: how many readings were cut off and dropped.
    pub truncated_samples: Option<u64>,
    /// End: the processor time this sampler itself used.
    pub cpu_seconds: Option<f64>,
    /// End: why it ended, where that was not by request.
    pub reason: Option<String>,
}

impl Body for Sampler {
    const TYPE: &'static str = "sampler";
}

/// Which end of the stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SamplerEvent {
    /// The first line.
    Start,
    /// The last line.
    End,
}
