//! `search`: the outcome of `llm-run --search`.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The highest load that meets every SLO, found by `llm-run --search`. Its points are ordinary `result` and `level`
/// records.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Search {
    /// Id of the run.
    #[serde(default)]
    pub run: String,
    /// Requested models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// SLOs, as given.
    pub slos: Vec<String>,
    /// What the search varies.
    pub over: SearchOver,
    /// Lowest load of the search.
    pub minimum: f64,
    /// Highest load of the search.
    pub maximum: f64,
    /// Largest distance between `highest_passing` and `lowest_failing`, as a fraction of the former.
    pub tolerance: f64,
    /// How the search ended.
    pub outcome: SearchOutcome,
    /// Highest load that passed; null when none did.
    #[serialize_always]
    pub highest_passing: Option<f64>,
    /// Lowest load above it that failed; null when none did.
    #[serialize_always]
    pub lowest_failing: Option<f64>,
    /// Loads that were tried, in order.
    pub points: Vec<SearchPoint>,
}

impl Body for Search {
    const TYPE: &'static str = "search";
}

/// What a search varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchOver {
    /// Concurrent requests.
    Concurrency,
    /// Requests per second.
    Rate,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchOutcome {
    /// A passing and a failing load lie within the tolerance.
    Found,
    /// The lowest load failed.
    NonePassed,
    /// The highest load passed.
    AllPassed,
    /// Too few requests ended at a load, in spite of repetitions, or its points were shorter than the responses.
    Unclear,
    /// The search was stopped.
    Stopped,
}

/// A load that was tried.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchPoint {
    /// Concurrent requests, or requests per second.
    pub load: f64,
    /// Whether the SLOs were met and the server kept up; null when too few requests ended.
    #[serialize_always]
    pub passes: Option<bool>,
    /// Requests that the decision is based on.
    pub requests: u64,
    /// Requests among them that failed or were not sent: each violates every SLO.
    pub failed: u64,
    /// How often the load was run to collect enough requests.
    pub parts: u64,
    /// Value of each SLO, in their order.
    pub values: Vec<SearchValue>,
    /// Whether the server kept up with the rate; absent for a search over concurrency.
    pub queue: Option<SearchQueue>,
    /// Why the load failed or is undecided, where the values do not show it: a growing queue, only failed requests.
    pub reason: Option<String>,
}

/// Whether a server kept up with a request rate.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchQueue {
    /// Whether the queue grows, so that the load fails whatever its values are; null when that is unclear.
    #[serialize_always]
    pub grows: Option<bool>,
    /// Scheduled requests per second, from the first to the last.
    pub sent_per_second: Option<f64>,
    /// Completed requests per second, from the first possible response to the last scheduled request.
    pub ended_per_second: Option<f64>,
    /// Completed requests per second over the busiest half of the time, until its requests were done: the capacity
    /// of the server. The queue grows where it is below the rate.
    pub busy_ended_per_second: Option<f64>,
    /// Mean TTFT of the first third of the requests, from their scheduled times.
    pub ttft_first_third_seconds: Option<f64>,
    /// Mean TTFT of the last third of the requests, from their scheduled times.
    pub ttft_last_third_seconds: Option<f64>,
}

/// Value of an SLO at a load.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchValue {
    /// Value in the base unit of the SLO; null when failed requests leave none.
    #[serialize_always]
    pub value: Option<f64>,
    /// Number of measurements.
    pub n: u64,
    /// Whether the SLO was met; null when `n` is too small.
    #[serialize_always]
    pub passes: Option<bool>,
}
