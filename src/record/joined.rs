//! What bench-join adds to a `result`: watts and joules, bytes, and the simulator's truth.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// What llm-sim really did, joined by `x-request-id`; the difference to what was measured is the tool's own error.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroundTruth {
    /// From the arrival of the request to the first token's write.
    pub ttft_seconds: Option<f64>,
    /// The mean gap between writes.
    pub gap_seconds: Option<f64>,
    /// The 99th percentile of the gaps between writes, where the log has every chunk.
    pub gap_p99_seconds: Option<f64>,
    /// From the arrival to the end.
    pub end_seconds: Option<f64>,
    /// Measured less true time to first token.
    pub ttft_error_seconds: Option<f64>,
    /// Measured less true mean gap.
    pub gap_error_seconds: Option<f64>,
    /// Measured less true 99th percentile of the gaps.
    pub gap_p99_error_seconds: Option<f64>,
    /// Measured less true end.
    pub end_error_seconds: Option<f64>,
    /// How late the server wrote its chunks after its own deadlines, on average: no part of the errors.
    pub late_mean_seconds: Option<f64>,
    /// The same at its worst.
    pub late_max_seconds: Option<f64>,
}

/// What the machine drew while a request ran.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinedPower {
    /// The processor.
    pub cpu_watts: Option<Watts>,
    /// The graphics processor, or all of them.
    pub gpu_watts: Option<Watts>,
    /// The neural engine.
    pub ane_watts: Option<Watts>,
    /// The total, as the meter defines it.
    pub total_watts: Option<Watts>,
    /// Every domain, by its own name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub domains: BTreeMap<String, Watts>,
    /// Energy of the total over the covered part of the request; null when nothing was covered.
    #[serialize_always]
    pub energy_joules: Option<f64>,
    /// It is at least this: windows that lie wholly inside.
    pub energy_lower_joules: Option<f64>,
    /// It is at most this: every window that is touched.
    pub energy_upper_joules: Option<f64>,
    /// What the machine draws when idle.
    pub idle_watts: Option<f64>,
    /// How `idle_watts` is known.
    pub idle: Option<Idle>,
    /// Energy less what idling would have taken in the request's share of the covered time. May be negative.
    pub net_energy_joules: Option<f64>,
    /// Energy ÷ output tokens.
    pub joules_per_output_token: Option<f64>,
    /// Energy ÷ (input + output tokens).
    pub joules_per_total_token: Option<f64>,
    /// Output tokens ÷ energy.
    pub output_tokens_per_joule: Option<f64>,
    /// Watt-hours per thousand output tokens, which is kilowatt-hours per million.
    pub wh_per_1k_output_tokens: Option<f64>,
    /// The covered part of the request, 0 to 1.
    pub coverage: f64,
    /// How far to trust the energy.
    pub quality: Quality,
    /// How energy was shared among concurrent requests: `time`, `tokens`, `exclusive`.
    pub attribution: Option<String>,
    /// The most requests that were in flight at once while it ran, itself included.
    pub in_flight_max: Option<u64>,
    /// How many readings of the total touch the request; of the best-read domain where there is no total.
    pub samples: u64,
    /// Which clock joined them: `mono` or `wall`.
    pub clock: String,
    /// The meters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<String>,
    /// The domain that `energy_joules` is of.
    pub total_domain: Option<String>,
    /// Whether a meter estimates.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub estimated: bool,
    /// Whether a meter is simulated.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub simulated: bool,
    /// Why something is missing.
    pub reason: Option<String>,
    /// Doubts, in short words: `phase_mixed`, `clock_step`, `idle_short`, `idle_unsteady`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The load of the model.
    pub load: Option<PhaseEnergy>,
    /// From the start to the first token.
    pub prefill: Option<PhaseEnergy>,
    /// From the first to the last token.
    pub decode: Option<PhaseEnergy>,
    /// What the energy cost.
    pub cost: Option<EnergyCost>,
    /// What the energy emitted.
    pub carbon: Option<EnergyCost>,
}

/// Watts of one domain over a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Watts {
    /// Energy ÷ covered time.
    pub avg: f64,
    /// The lowest reading that touches the request.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// How many readings touch the request.
    pub samples: u64,
}

/// Energy of a part of a request.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseEnergy {
    /// Energy of the total over the covered part.
    #[serialize_always]
    pub energy_joules: Option<f64>,
    /// At least.
    pub energy_lower_joules: Option<f64>,
    /// At most.
    pub energy_upper_joules: Option<f64>,
    /// Mean power over the covered part.
    pub avg_watts: Option<f64>,
    /// The covered part, 0 to 1.
    pub coverage: f64,
    /// How far to trust it.
    pub quality: Quality,
}

/// How an idle power is known.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// From where: `baseline` (of the load), `gaps` (without requests), `file` or `given`.
    pub source: String,
    /// How long was idled, in seconds.
    pub seconds: Option<f64>,
    /// How many readings it is the median of.
    pub samples: Option<u64>,
    /// The distance of their upper from their lower quartile.
    pub spread_watts: Option<f64>,
}

/// Money or carbon of the energy, with what it was computed from.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnergyCost {
    /// The amount: of money for `cost`, of grams of CO₂ equivalent for `carbon`.
    pub amount: f64,
    /// The price or the grams per kWh that it was computed with.
    pub per_kwh: f64,
    /// The power usage effectiveness it was multiplied by.
    pub pue: Option<f64>,
}

/// How far to trust an energy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// The bounds are equal: the request ends on the edges of windows.
    Exact,
    /// Both bounds are within 10 % of the energy.
    Good,
    /// They are not.
    Coarse,
    /// It is shorter than two windows, and ends on no edges.
    SubInterval,
    /// Less than 95 % of it is covered.
    Partial,
    /// There is no energy: nothing is covered, or what was drawn is not shared.
    #[default]
    None,
}

/// What the machine held before, after and while a request ran. Every point is the nearest reading, never an interpolation.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinedMemory {
    /// Before the model was loaded; before the request where nothing was loaded.
    pub baseline: Option<MemoryPoint>,
    /// After the model was loaded.
    pub after_load: Option<MemoryPoint>,
    /// After the answer.
    pub after_generation: Option<MemoryPoint>,
    /// The highest of each figure while the model was loading and while the request ran, the points included.
    pub high_water: Option<MemoryFigures>,
    /// After the load less the baseline.
    pub delta_load: Option<MemoryFigures>,
    /// After the answer less after the load, or less the baseline where nothing was loaded.
    pub delta_generation: Option<MemoryFigures>,
    /// While the model was loading.
    pub load: Option<MemoryPhase>,
    /// Which figure says best what the model takes here: `footprint`, `pss`, `rss`, `gpu` or `system_used`.
    pub primary: Option<String>,
    /// How many readings fall into the request.
    pub samples: u64,
    /// Which clock joined them: `mono` or `wall`.
    #[serde(default)]
    pub clock: String,
    /// Why something is missing.
    pub reason: Option<String>,
}

/// Memory during a phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPhase {
    /// The highest of each figure, the readings nearest to both ends included.
    pub high_water: MemoryFigures,
    /// How many readings fall into the phase.
    pub samples: u64,
}

/// A reading, and how far from the wanted moment it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryPoint {
    /// When it was read: Unix seconds.
    pub ts: f64,
    /// How long after (before, if negative) the wanted moment it was read.
    pub distance_seconds: f64,
    /// The figures.
    #[serde(flatten)]
    pub figures: MemoryFigures,
}

/// Memory figures; differences of them may be negative.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryFigures {
    /// The whole machine: total less available.
    pub system_used_bytes: Option<i64>,
    /// The processes: resident.
    pub rss_bytes: Option<i64>,
    /// The processes: anonymous.
    pub anon_bytes: Option<i64>,
    /// The processes: mapped files.
    pub file_bytes: Option<i64>,
    /// The processes: proportional.
    pub pss_bytes: Option<i64>,
    /// The processes: physical footprint.
    pub footprint_bytes: Option<i64>,
    /// The processes: the kernel's own high-water mark.
    pub peak_bytes: Option<i64>,
    /// All graphics processors together.
    pub gpu_used_bytes: Option<i64>,
    /// The processes' part of it.
    pub gpu_process_bytes: Option<i64>,
}
