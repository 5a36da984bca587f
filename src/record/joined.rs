//! Fields that bench-join adds to a `result`: energy, memory and ground truth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;
use strum::Display;

/// What llm-sim logged of a request, joined by `x-request-id`, and the measurement error against it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroundTruth {
    /// From the arrival of the request to the write of the first token.
    pub ttft_seconds: Option<f64>,
    /// Mean gap between writes.
    pub gap_seconds: Option<f64>,
    /// 99th percentile of the gaps between writes, where the log has every chunk.
    pub gap_p99_seconds: Option<f64>,
    /// From the arrival of the request to the last byte.
    pub end_seconds: Option<f64>,
    /// Measured − logged TTFT.
    pub ttft_error_seconds: Option<f64>,
    /// Measured − logged mean gap.
    pub gap_error_seconds: Option<f64>,
    /// Measured − logged 99th percentile of the gaps.
    pub gap_p99_error_seconds: Option<f64>,
    /// Measured − logged end.
    pub end_error_seconds: Option<f64>,
    /// Mean delay of the server's writes after their deadlines. It is not part of the errors.
    pub late_mean_seconds: Option<f64>,
    /// Longest delay of the server's writes after their deadlines.
    pub late_max_seconds: Option<f64>,
}

/// Power and energy of a request.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinedPower {
    /// Power of the processor.
    pub cpu_watts: Option<Watts>,
    /// Power of all GPUs.
    pub gpu_watts: Option<Watts>,
    /// Power of the neural engine.
    pub ane_watts: Option<Watts>,
    /// Total power, as the meter defines it.
    pub total_watts: Option<Watts>,
    /// Power of each domain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domains: BTreeMap<String, Watts>,
    /// Energy of the total over the covered part of the request; null when nothing is covered, or the energy of
    /// concurrent requests is not shared.
    #[serialize_always]
    pub energy_joules: Option<f64>,
    /// Lower bound of the energy: windows that lie inside the request.
    pub energy_lower_joules: Option<f64>,
    /// Upper bound of the energy: windows that overlap the request.
    pub energy_upper_joules: Option<f64>,
    /// Idle power of the machine.
    pub idle_watts: Option<f64>,
    /// Where `idle_watts` comes from.
    pub idle: Option<Idle>,
    /// Energy − idle energy of the covered time, at the share of the request. It may be negative.
    pub net_energy_joules: Option<f64>,
    /// Energy ÷ output tokens.
    pub joules_per_output_token: Option<f64>,
    /// Energy ÷ (input + output tokens).
    pub joules_per_total_token: Option<f64>,
    /// Output tokens ÷ energy.
    pub output_tokens_per_joule: Option<f64>,
    /// Watt-hours per 1,000 output tokens: kilowatt-hours per million.
    pub wh_per_1k_output_tokens: Option<f64>,
    /// Covered part of the request, 0 to 1.
    pub coverage: Option<f64>,
    /// Quality of the energy.
    pub quality: Option<Quality>,
    /// How concurrent requests share energy: `time`, `tokens`, `exclusive`.
    pub attribution: Option<String>,
    /// Most requests in flight during the request, itself included.
    pub in_flight_max: Option<u64>,
    /// Readings of the total that overlap the request; without a total, readings of the domain that has most.
    pub samples: Option<u64>,
    /// Clock of the join: `mono` or `wall`.
    pub clock: Option<String>,
    /// Names of the meters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<String>,
    /// Domain of `energy_joules`.
    pub total_domain: Option<String>,
    /// Whether a meter estimates power.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub estimated: bool,
    /// Whether a meter is simulated.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub simulated: bool,
    /// Why a value is missing.
    pub reason: Option<String>,
    /// Reasons for doubt: `phase_mixed`, `clock_step`, `idle_short`, `idle_unsteady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Energy of the model load.
    pub load: Option<PhaseEnergy>,
    /// Energy from the start of the request to the first token.
    pub prefill: Option<PhaseEnergy>,
    /// Energy from the first to the last token.
    pub decode: Option<PhaseEnergy>,
    /// Price of the energy.
    pub cost: Option<EnergyCost>,
    /// Emissions of the energy.
    pub carbon: Option<EnergyCost>,
}

/// Power of a domain during a request, in watts.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watts {
    /// Energy ÷ covered time.
    pub avg: f64,
    /// Lowest reading that overlaps the request.
    pub min: f64,
    /// Highest reading that overlaps the request.
    pub max: f64,
    /// Readings that overlap the request.
    pub samples: Option<u64>,
}

/// Energy of a phase of a request.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseEnergy {
    /// Energy of the total over the covered part; null when nothing is covered, or the energy of concurrent
    /// requests is not shared.
    #[serialize_always]
    pub energy_joules: Option<f64>,
    /// Lower bound of the energy.
    pub energy_lower_joules: Option<f64>,
    /// Upper bound of the energy.
    pub energy_upper_joules: Option<f64>,
    /// Mean power over the covered part.
    pub avg_watts: Option<f64>,
    /// Covered part of the phase, 0 to 1.
    pub coverage: Option<f64>,
    /// Quality of the energy.
    pub quality: Option<Quality>,
}

/// Where an idle power comes from.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// `baseline` (before the model load), `gaps` (between requests), `file` or `given`.
    pub method: Option<String>,
    /// Length of the idle time, in seconds.
    pub seconds: Option<f64>,
    /// Number of readings; the idle power is their median.
    pub samples: Option<u64>,
    /// Interquartile range of the readings.
    pub spread_watts: Option<f64>,
}

/// Price or emissions of an energy.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnergyCost {
    /// Amount: money in `cost`, grams of CO₂ equivalent in `carbon`.
    pub amount: f64,
    /// Price or grams per kilowatt-hour.
    pub per_kwh: f64,
    /// Power usage effectiveness by which the energy was multiplied.
    pub pue: Option<f64>,
}

/// Quality of an energy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Quality {
    /// Both bounds are equal: the request starts and ends at edges of windows.
    Exact,
    /// Both bounds lie within 10 % of the energy.
    Good,
    /// A bound lies further than 10 % from the energy.
    Coarse,
    /// The request is shorter than two windows and does not end at their edges.
    SubInterval,
    /// Less than 95 % of the request is covered.
    Partial,
    /// No energy: nothing is covered, or the energy of concurrent requests is not shared.
    #[default]
    None,
}

/// Memory before, after and during a request. Each point is the nearest reading, without interpolation.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinedMemory {
    /// Before the model load; without one, before the request.
    pub baseline: Option<MemoryPoint>,
    /// After the model load.
    pub after_load: Option<MemoryPoint>,
    /// After the request.
    pub after_generation: Option<MemoryPoint>,
    /// Peak of each figure during the model load and the request, the points included.
    pub high_water: Option<MemoryFigures>,
    /// After the model load − baseline.
    pub delta_load: Option<MemoryFigures>,
    /// After the request − after the model load; without one, − baseline.
    pub delta_generation: Option<MemoryFigures>,
    /// Memory during the model load.
    pub load: Option<MemoryPhase>,
    /// Figure that best describes the memory of the model on this machine: `footprint`, `pss`, `rss`, `gpu` or
    /// `system_used`.
    pub primary: Option<String>,
    /// Readings during the request.
    pub samples: Option<u64>,
    /// Clock of the join: `mono` or `wall`.
    pub clock: Option<String>,
    /// Why a value is missing.
    pub reason: Option<String>,
}

/// Memory during a phase.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPhase {
    /// Peak of each figure, the readings nearest to both ends included.
    pub high_water: MemoryFigures,
    /// Readings during the phase.
    pub samples: Option<u64>,
}

/// The reading that is nearest to a point in time.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPoint {
    /// Time of the reading: Unix seconds.
    pub ts: Option<f64>,
    /// Time of the reading − requested time. Negative: the reading came before.
    pub distance_seconds: Option<f64>,
    /// Memory figures.
    #[serde(flatten)]
    pub figures: MemoryFigures,
}

/// Memory figures. Differences of them may be negative.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryFigures {
    /// Machine: total − available memory.
    pub system_used_bytes: Option<i64>,
    /// Processes: resident set size.
    pub rss_bytes: Option<i64>,
    /// Processes: anonymous memory.
    pub anon_bytes: Option<i64>,
    /// Processes: mapped files.
    pub file_bytes: Option<i64>,
    /// Processes: proportional set size.
    pub pss_bytes: Option<i64>,
    /// Processes: physical footprint.
    pub footprint_bytes: Option<i64>,
    /// Processes: the kernel's high-water mark.
    pub peak_bytes: Option<i64>,
    /// All GPUs: memory in use.
    pub gpu_used_bytes: Option<i64>,
    /// All GPUs: the processes' part of it.
    pub gpu_process_bytes: Option<i64>,
}
