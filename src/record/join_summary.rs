//! `join_summary`: what a whole stream of results drew and held. The last line that bench-join writes.

use super::{Body, EnergyCost, Idle, MemoryFigures, Quality};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use serde_with::skip_serializing_none;

/// The run as a whole: every moment counted once, however many requests shared it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinSummary {
    /// The runs whose results were joined.
    pub runs: Vec<String>,
    /// How many results there were.
    pub results: u64,
    /// How many requests were started and never heard of again.
    pub unfinished: u64,
    /// The first start: Unix seconds.
    pub started_ts: Option<f64>,
    /// The last end: Unix seconds.
    pub ended_ts: Option<f64>,
    /// From the first start to the last end.
    pub span_seconds: Option<f64>,
    /// How much of it any request was in flight.
    pub busy_seconds: Option<f64>,
    /// Tokens of all prompts, where they are known.
    pub input_tokens: Option<u64>,
    /// Tokens of all answers, where they are known.
    pub output_tokens: Option<u64>,
    /// What was drawn; null when a meter was given and measured nothing.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub power: Option<Option<RunPower>>,
    /// What was held; null when a sampler was given and measured nothing.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub memory: Option<Option<RunMemory>>,
    /// How many results llm-sim's log tells the truth of.
    pub ground_truths: Option<u64>,
    /// What is doubtful, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Body for JoinSummary {
    const TYPE: &'static str = "join_summary";
}

/// What a run drew.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPower {
    /// Energy while any request was in flight (the union of their intervals).
    #[serialize_always]
    pub energy_joules: Option<f64>,
    /// It is at least this.
    pub energy_lower_joules: Option<f64>,
    /// It is at most this.
    pub energy_upper_joules: Option<f64>,
    /// Mean power over the covered part of that time.
    pub avg_watts: Option<f64>,
    /// The highest reading in that time.
    pub max_watts: Option<f64>,
    /// The covered part of that time, 0 to 1.
    pub coverage: f64,
    /// How far to trust it.
    pub quality: Quality,
    /// Energy from the first start to the last end, whether anyone was in flight or not.
    pub span_energy_joules: Option<f64>,
    /// The sum of the results' energies.
    pub attributed_joules: Option<f64>,
    /// What no result carries: span less attributed.
    pub unattributed_joules: Option<f64>,
    /// The part of it that was drawn while nobody was in flight.
    pub between_joules: Option<f64>,
    /// The sum of the loads' energies.
    pub load_joules: Option<f64>,
    /// What the machine draws when idle.
    pub idle_watts: Option<f64>,
    /// How `idle_watts` is known.
    pub idle: Option<Idle>,
    /// Energy less what idling would have taken in the covered time.
    pub net_energy_joules: Option<f64>,
    /// Energy ÷ output tokens of the run.
    pub joules_per_output_token: Option<f64>,
    /// Energy ÷ (input + output tokens) of the run.
    pub joules_per_total_token: Option<f64>,
    /// Output tokens ÷ energy.
    pub output_tokens_per_joule: Option<f64>,
    /// Watt-hours per thousand output tokens.
    pub wh_per_1k_output_tokens: Option<f64>,
    /// What the energy cost.
    pub cost: Option<EnergyCost>,
    /// What the energy emitted.
    pub carbon: Option<EnergyCost>,
    /// How energy was shared among concurrent requests: `time`, `tokens`, `exclusive`.
    pub attribution: String,
    /// The domain that the energies are of.
    pub total_domain: Option<String>,
    /// How many readings touch the time in which any request was in flight.
    pub samples: u64,
}

/// What a run held.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunMemory {
    /// The highest of each figure while a model was loading or a request ran.
    pub high_water: MemoryFigures,
    /// Which figure says best what a model takes here.
    pub primary: Option<String>,
    /// The highest of that figure.
    pub peak_bytes: Option<i64>,
}
