//! `accuracy`: how right this client measures on a machine, load by load, held against llm-sim's own log.

use super::{Body, Host, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The accuracy of the client against load. Written by `bench-report --format accuracy` of a run that was joined with
/// llm-sim's truth; read by `bench-report --accuracy`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accuracy {
    /// When it was measured: Unix seconds of its first request.
    pub ts: Option<f64>,
    /// The program that measured.
    pub tool: Option<Tool>,
    /// The machine.
    #[serde(default)]
    pub host: Host,
    /// A load is measured right when the 99th percentile of both errors is below this.
    pub limit_seconds: f64,
    /// The highest load up to which every load was measured right; null when the lowest was not.
    #[serialize_always]
    pub accurate_up_to: Option<u64>,
    /// The loads, from the lowest.
    pub levels: Vec<AccuracyLevel>,
    /// Loads that were to be measured and could not be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_measured: Vec<NotMeasured>,
}

impl Body for Accuracy {
    const TYPE: &'static str = "accuracy";
}

/// One load of an accuracy curve.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccuracyLevel {
    /// Requests at once.
    pub concurrency: u64,
    /// Requests that ended well and whose truth is known.
    pub requests: u64,
    /// Requests that failed.
    #[serde(default)]
    pub failed: u64,
    /// Measured less true time to first token.
    pub ttft_error_seconds: Option<ErrorSpread>,
    /// Measured less true 99th percentile of the gaps, request by request.
    pub gap_p99_error_seconds: Option<ErrorSpread>,
    /// Whether the 99th percentiles of both are below the limit; absent where one was not measured.
    pub accurate: Option<bool>,
    /// Whether fewer than 100 requests stand behind it: too few to tell a 99th percentile.
    pub uncertain: Option<bool>,
    /// Chunks with text that arrived.
    pub chunks: Option<u64>,
    /// Processor time of the whole client, user and system, for each of them.
    pub cpu_seconds_per_chunk: Option<f64>,
    /// The most memory that the client held.
    pub peak_bytes: Option<u64>,
    /// How many requests ran at once on average.
    pub in_flight_mean: Option<f64>,
    /// The 99th percentile of how late the client's event loop was.
    pub loop_lag_p99_seconds: Option<f64>,
    /// How late the simulator wrote after its own deadlines, on average: no part of the errors.
    pub simulator_late_mean_seconds: Option<f64>,
    /// The same at its worst.
    pub simulator_late_max_seconds: Option<f64>,
}

impl AccuracyLevel {
    /// The fewest requests of which a 99th percentile is more than the worst of them.
    pub const FEWEST: u64 = 100;

    /// Whether too few requests stand behind its errors to say that it is right. It is counted, not read, because records of
    /// before do not say it.
    pub fn is_uncertain(&self) -> bool {
        let told = [&self.ttft_error_seconds, &self.gap_p99_error_seconds].into_iter().flatten().map(|error| error.n);
        told.min().unwrap_or(self.requests).min(self.requests) < Self::FEWEST
    }
}

/// Errors of many requests: the mean keeps its sign, the others are of their sizes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorSpread {
    /// How many.
    pub n: u64,
    /// The mean, with its sign.
    pub mean: f64,
    /// The median size.
    pub p50: f64,
    /// The 99th percentile of the sizes.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// A load that could not be measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NotMeasured {
    /// Requests at once.
    pub concurrency: u64,
    /// Why not.
    pub reason: String,
}
