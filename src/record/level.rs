//! `level`: what one load level came to, in the client's own eyes. `run_end`: the last line of a run.

use super::{Body, is_false};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// One load level of a run: what was asked, what was kept of it, and what it took. Written when its last request has ended.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadLevel {
    /// The run's id.
    #[serde(default)]
    pub run: String,
    /// The models that were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// How many requests were to run at once (closed loop).
    pub concurrency: Option<u64>,
    /// How many requests per second were to be sent (open loop).
    pub rate: Option<f64>,
    /// Why the level was not run at all.
    pub skipped: Option<String>,
    /// When the first request that counts was sent: Unix seconds.
    pub started_ts: Option<f64>,
    /// When the last request had ended: Unix seconds.
    pub ended_ts: Option<f64>,
    /// Requests that count and were sent.
    #[serde(default)]
    pub sent: u64,
    /// Requests that count and failed: of those that were sent, and those that found no connection.
    #[serde(default)]
    pub failed: u64,
    /// Requests that were due, or planned by their number, and not sent.
    #[serde(default)]
    pub not_sent: u64,
    /// How many of these were due when the level ended, or before (open loop); the others had been planned and never came due.
    pub due_not_sent: Option<u64>,
    /// Requests per second as they were sent: their gaps counted, from the first to the last; absent under two of them.
    pub sent_per_second: Option<f64>,
    /// Requests that ended well per second, from the first start to the last end.
    pub requests_per_second: Option<f64>,
    /// How many requests ran at once on average, from the first to the last sending; absent where a closed loop sent fewer
    /// than twice as many as were to run at once.
    pub in_flight_mean: Option<f64>,
    /// The most that ran at once.
    pub in_flight_max: Option<u64>,
    /// Chunks with text that arrived, those of its ramp included.
    pub chunks: Option<u64>,
    /// Processor time, user and system, that the whole client used meanwhile, its ramp included.
    pub cpu_seconds: Option<f64>,
    /// The most memory that the client has held until then, by the system's own high-water mark: resident on Linux,
    /// footprint on macOS.
    pub peak_bytes: Option<u64>,
    /// How late requests were sent after the moments they were due (open loop).
    pub schedule_lag_seconds: Option<Lateness>,
    /// How late the client's event loop was, asked a hundred times a second: its own part in every stamp.
    pub loop_lag_seconds: Option<Lateness>,
}

impl Body for LoadLevel {
    const TYPE: &'static str = "level";
}

/// How late something was, over many times, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lateness {
    /// How many times.
    pub count: u64,
    /// The mean.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The worst.
    pub max: f64,
    /// All of them as an HdrHistogram of microseconds, format V2, base64, as in `inter_chunk_latency_seconds`.
    pub histogram: String,
}

/// The end of a run, written last: its absence says that the run was cut off.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnd {
    /// The run's id.
    #[serde(default)]
    pub run: String,
    /// When it ended: Unix seconds.
    pub ended_ts: Option<f64>,
    /// Requests that ended well, warm-up included.
    #[serde(default)]
    pub ok: u64,
    /// Requests that failed, and models that did not load.
    #[serde(default)]
    pub failed: u64,
    /// Requests that were due, or planned by their number, and not sent.
    #[serde(default)]
    pub not_sent: u64,
    /// Whether a level that was to last for a time was stopped before it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub interrupted: bool,
    /// Processor time, user and system, of the whole client.
    pub cpu_seconds: Option<f64>,
    /// The most memory it has held, by the system's own high-water mark: resident on Linux, footprint on macOS.
    pub peak_bytes: Option<u64>,
}

impl Body for RunEnd {
    const TYPE: &'static str = "run_end";
}
