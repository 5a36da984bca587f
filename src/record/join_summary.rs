//! `join_summary`: energy and memory of a stream of results.

use super::{Body, EnergyCost, Idle, MemoryFigures, Quality};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use serde_with::skip_serializing_none;

/// Energy and memory of a whole stream of results, where concurrent requests share time that counts once. The last
/// line that bench-join writes.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinSummary {
    /// Ids of the runs.
    pub runs: Vec<String>,
    /// Number of results.
    pub results: u64,
    /// Requests that started and have no result.
    pub unfinished: u64,
    /// First start: Unix seconds.
    pub started_ts: Option<f64>,
    /// Last end: Unix seconds.
    pub ended_ts: Option<f64>,
    /// Time from the first start to the last end.
    pub span_seconds: Option<f64>,
    /// Time in it with a request in flight.
    pub busy_seconds: Option<f64>,
    /// Input tokens of the results that report them.
    pub input_tokens: Option<u64>,
    /// Output tokens of the results that report them.
    pub output_tokens: Option<u64>,
    /// Energy of the stream; null when a meter was given and measured nothing.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub power: Option<Option<RunPower>>,
    /// Memory of the stream; null when a sampler was given and measured nothing.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub memory: Option<Option<RunMemory>>,
    /// Results that llm-sim's log has.
    pub ground_truths: Option<u64>,
    /// Reasons for doubt, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Body for JoinSummary {
    const TYPE: &'static str = "join_summary";
}

/// Energy of a stream of results.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPower {
    /// Energy while a request was in flight: over the union of the requests; null when nothing is covered.
    #[serialize_always]
    pub energy_joules: Option<f64>,
    /// Lower bound of the energy.
    pub energy_lower_joules: Option<f64>,
    /// Upper bound of the energy.
    pub energy_upper_joules: Option<f64>,
    /// Mean power over the covered part of that time.
    pub avg_watts: Option<f64>,
    /// Highest reading in that time.
    pub max_watts: Option<f64>,
    /// Covered part of that time, 0 to 1.
    pub coverage: f64,
    /// Quality of the energy.
    pub quality: Quality,
    /// Energy from the first start to the last end.
    pub span_energy_joules: Option<f64>,
    /// Sum of the energies of the results.
    pub attributed_joules: Option<f64>,
    /// Energy that no result carries: span − attributed.
    pub unattributed_joules: Option<f64>,
    /// Part of it without a request in flight.
    pub between_joules: Option<f64>,
    /// Sum of the energies of the model loads.
    pub load_joules: Option<f64>,
    /// Idle power of the machine.
    pub idle_watts: Option<f64>,
    /// Where `idle_watts` comes from.
    pub idle: Option<Idle>,
    /// Energy − idle energy of the covered time.
    pub net_energy_joules: Option<f64>,
    /// Energy ÷ output tokens.
    pub joules_per_output_token: Option<f64>,
    /// Energy ÷ (input + output tokens).
    pub joules_per_total_token: Option<f64>,
    /// Output tokens ÷ energy.
    pub output_tokens_per_joule: Option<f64>,
    /// Watt-hours per 1,000 output tokens.
    pub wh_per_1k_output_tokens: Option<f64>,
    /// Price of the energy.
    pub cost: Option<EnergyCost>,
    /// Emissions of the energy.
    pub carbon: Option<EnergyCost>,
    /// How concurrent requests share energy: `time`, `tokens`, `exclusive`.
    pub attribution: String,
    /// Domain of the energies.
    pub total_domain: Option<String>,
    /// Readings that overlap the time with a request in flight.
    pub samples: u64,
}

/// Memory of a stream of results.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunMemory {
    /// Peak of each figure during model loads and requests.
    pub high_water: MemoryFigures,
    /// Figure that best describes the memory of a model on this machine.
    pub primary: Option<String>,
    /// Peak of that figure.
    pub peak_bytes: Option<i64>,
}
