//! `start`: a request is on its way. Written by llm-run, consumed by bench-join, ignored by everyone else.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Written when a request is sent, in the order of sending, so that a reader of the stream knows at every moment how
/// many requests are in flight without waiting for their ends.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// The request's number in its run.
    pub id: u64,
    /// The run's id.
    pub run: Option<String>,
    /// When the request was written: Unix seconds.
    pub start_ts: f64,
    /// The same on the host's monotonic clock, in seconds.
    pub start_mono: f64,
}

impl Body for Start {
    const TYPE: &'static str = "start";
}
