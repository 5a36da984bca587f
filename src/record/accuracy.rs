//! `accuracy`: the accuracy of the client at each load.

use super::{Body, Host, Quantiles, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Accuracy of the client at each load, against llm-sim's log. `bench-report --format accuracy` writes it, and
/// `bench-report --accuracy` reads it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accuracy {
    /// Time of the first request: Unix seconds.
    pub ts: Option<f64>,
    /// Program that measured.
    pub tool: Option<Tool>,
    /// Machine on which it measured.
    #[serde(default)]
    pub host: Host,
    /// Limit of accuracy: a load is accurate when the 99th percentile of both errors is below it.
    pub limit_seconds: f64,
    /// Highest load up to which all loads are accurate; null when the lowest is not.
    #[serialize_always]
    pub accurate_up_to: Option<u64>,
    /// Loads, from the lowest.
    pub levels: Vec<AccuracyLevel>,
    /// Loads that could not be measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_measured: Vec<NotMeasured>,
}

impl Body for Accuracy {
    const TYPE: &'static str = "accuracy";
}

/// Accuracy at one load.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccuracyLevel {
    /// Concurrent requests.
    pub concurrency: u64,
    /// Successful requests with ground truth.
    pub requests: u64,
    /// Failed requests.
    #[serde(default)]
    pub failed: u64,
    /// Measured − logged TTFT; the mean is signed, the others are of absolute errors.
    pub ttft_error_seconds: Option<Quantiles>,
    /// Measured − logged 99th percentile of the gaps of a request, likewise.
    pub gap_p99_error_seconds: Option<Quantiles>,
    /// Whether the 99th percentile of both errors is below the limit; absent where one is missing.
    pub accurate: Option<bool>,
    /// Whether there are fewer than 100 requests, too few for a 99th percentile.
    pub uncertain: Option<bool>,
    /// Chunks with text.
    pub chunks: Option<u64>,
    /// CPU time of the client per chunk, user and system.
    pub cpu_seconds_per_chunk: Option<f64>,
    /// Peak memory of the client.
    pub peak_bytes: Option<u64>,
    /// Mean number of requests in flight.
    pub in_flight_mean: Option<f64>,
    /// 99th percentile of the lag of the client's event loop.
    pub loop_lag_p99_seconds: Option<f64>,
    /// Mean delay of llm-sim's writes after their deadlines. It is not part of the errors.
    pub simulator_late_mean_seconds: Option<f64>,
    /// Longest delay of llm-sim's writes after their deadlines.
    pub simulator_late_max_seconds: Option<f64>,
}

impl AccuracyLevel {
    /// The fewest requests of which a 99th percentile is more than the worst of them.
    pub const FEWEST: u64 = 100;

    /// Whether too few requests stand behind its errors to say that it is right. It is counted, not read, because records of
    /// before do not say it.
    pub fn is_uncertain(&self) -> bool {
        let told =
            [&self.ttft_error_seconds, &self.gap_p99_error_seconds].into_iter().flatten().map(|error| error.count);
        told.min().unwrap_or(self.requests).min(self.requests) < Self::FEWEST
    }
}

/// A load that could not be measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NotMeasured {
    /// Concurrent requests.
    pub concurrency: u64,
    /// Why it could not be measured.
    pub reason: String,
}
