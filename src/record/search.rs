//! `search`: what `llm-run --search` found.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// The highest load that meets every SLO, and how it was found. Its points are ordinary results and `level` records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Search {
    /// The run's id.
    #[serde(default)]
    pub run: String,
    /// The models that were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// What was to hold, as it was asked.
    pub slos: Vec<String>,
    /// What was searched over.
    pub over: SearchOver,
    /// The lowest load that was to be tried.
    pub minimum: f64,
    /// The highest.
    pub maximum: f64,
    /// How far apart the two ends of what was found may be, as a share of the lower one.
    pub tolerance: f64,
    /// How it ended.
    pub outcome: SearchOutcome,
    /// The highest load that was seen to hold; null when none was.
    pub highest_passing: Option<f64>,
    /// The lowest load above it that was seen not to; null when none was.
    pub lowest_failing: Option<f64>,
    /// The loads that were tried, in order.
    pub points: Vec<SearchPoint>,
}

impl Body for Search {
    const TYPE: &'static str = "search";
}

/// What a search raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchOver {
    /// Requests at once.
    Concurrency,
    /// Requests per second.
    Rate,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchOutcome {
    /// A load that passes and one that fails are as near to each other as was asked.
    Found,
    /// The lowest load fails.
    NonePassed,
    /// The highest load holds.
    AllPassed,
    /// Too few requests ended at a load to tell, however often it was run, or its points are shorter than the answers.
    Unclear,
    /// It was stopped before.
    Stopped,
}

/// One load that was tried.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchPoint {
    /// The load: requests at once, or per second.
    pub load: f64,
    /// Whether all conditions held and the server kept up; null when too few requests ended to tell.
    #[serialize_always]
    pub passes: Option<bool>,
    /// How many requests it is judged by.
    pub requests: u64,
    /// How many of them failed or were not sent: each breaks its conditions.
    pub failed: u64,
    /// How often it was run before there were enough of them.
    pub parts: u64,
    /// What each condition came to, in their order.
    pub values: Vec<SearchValue>,
    /// Whether the server kept up with a rate; absent where requests did not come by the clock.
    pub queue: Option<SearchQueue>,
    /// Why the load fails, or cannot be told, where that is no matter of the values: the queue grows, every request failed.
    pub reason: Option<String>,
}

/// Whether a server kept up with requests that came by the clock.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchQueue {
    /// Whether the queue still grows, so that the load fails however the values are; null where that is unclear.
    #[serialize_always]
    pub grows: Option<bool>,
    /// Requests per second as they were due, from the first to the last.
    pub sent_per_second: Option<f64>,
    /// Requests that ended per second, from when the first answers could have come to when the last request was due.
    pub ended_per_second: Option<f64>,
    /// The same of that half of the time in which most were in flight, until they were worked off: what the server can do. A queue
    /// grows where that is below the rate that was asked for.
    pub busy_ended_per_second: Option<f64>,
    /// Mean time to the first token of the first third of the requests, from the moments they were due.
    pub ttft_first_third_seconds: Option<f64>,
    /// The same of the last third.
    pub ttft_last_third_seconds: Option<f64>,
}

/// What one condition came to at one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchValue {
    /// The value, in the base unit of the condition; null when failures leave none.
    pub value: Option<f64>,
    /// How many numbers it is of.
    pub n: u64,
    /// Whether it held; null when `n` is too small to tell.
    pub passes: Option<bool>,
}
