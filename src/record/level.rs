//! `level` and `run_end`: summaries of a load level and of a run.

use super::{Body, Quantiles, is_false};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Summary of a load level, as the client saw it. llm-run writes it after the last request of the level.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadLevel {
    /// Id of the run.
    #[serde(default)]
    pub run: String,
    /// Requested models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Target of concurrent requests (closed loop).
    pub concurrency: Option<u64>,
    /// Target of requests per second (open loop).
    pub rate: Option<f64>,
    /// Why the level was skipped.
    pub skipped: Option<String>,
    /// Start of the first measured request: Unix seconds.
    pub started_ts: Option<f64>,
    /// End of the last request: Unix seconds.
    pub ended_ts: Option<f64>,
    /// Measured requests that were sent.
    #[serde(default)]
    pub sent: u64,
    /// Measured requests that failed, failed connections included.
    #[serde(default)]
    pub failed: u64,
    /// Due or planned requests that were not sent.
    #[serde(default)]
    pub not_sent: u64,
    /// Requests among them that were due before the end of the level (open loop); the others were not due yet.
    pub due_not_sent: Option<u64>,
    /// Rate of sending, from the first to the last request; absent for fewer than two requests.
    pub sent_per_second: Option<f64>,
    /// Successful requests per second, from the first start to the last end.
    pub requests_per_second: Option<f64>,
    /// Mean number of requests in flight, from the first to the last sending; absent where a closed loop sent fewer
    /// than twice its target of concurrent requests.
    pub in_flight_mean: Option<f64>,
    /// Most requests in flight.
    pub in_flight_max: Option<u64>,
    /// Chunks with text, those of the ramp included.
    pub chunks: Option<u64>,
    /// CPU time of the client, user and system, the ramp included.
    pub cpu_seconds: Option<f64>,
    /// Peak memory of the client so far, by the kernel's high-water mark: resident set size on Linux, footprint on
    /// macOS.
    pub peak_bytes: Option<u64>,
    /// Delay of requests after their scheduled times (open loop).
    pub schedule_lag_seconds: Option<Quantiles>,
    /// Lag of the client's event loop, sampled 100 times per second: the client's part in each timestamp.
    pub loop_lag_seconds: Option<Quantiles>,
}

impl Body for LoadLevel {
    const TYPE: &'static str = "level";
}

/// The end of a run: the last line that llm-run writes. A run without it was interrupted.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnd {
    /// Id of the run.
    #[serde(default)]
    pub run: String,
    /// End of the run: Unix seconds.
    pub ended_ts: Option<f64>,
    /// Successful requests, warm-up included.
    #[serde(default)]
    pub ok: u64,
    /// Failed requests and failed model loads.
    #[serde(default)]
    pub failed: u64,
    /// Due or planned requests that were not sent.
    #[serde(default)]
    pub not_sent: u64,
    /// Whether a level with a duration was stopped before its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub interrupted: bool,
    /// CPU time of the client, user and system.
    pub cpu_seconds: Option<f64>,
    /// Peak memory of the client, by the kernel's high-water mark: resident set size on Linux, footprint on macOS.
    pub peak_bytes: Option<u64>,
}

impl Body for RunEnd {
    const TYPE: &'static str = "run_end";
}
