//! `start`: a request was sent.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// A request was sent. llm-run writes it at that moment, in the order of sending, so that a reader knows how many
/// requests are in flight before they end. bench-join consumes it. A request that is sent again has a `start` for
/// each attempt; the last one counts.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Number of the request in its run.
    pub id: u64,
    /// Id of the run.
    pub run: Option<String>,
    /// Time at which the request was written to the connection: Unix seconds.
    pub start_ts: f64,
    /// That time on the host's monotonic clock, in seconds.
    pub start_mono: Option<f64>,
}

impl Body for Start {
    const TYPE: &'static str = "start";
}
