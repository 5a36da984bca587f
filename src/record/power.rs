//! `power`: what a power meter read. Written by power-sample, read by bench-join.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// One reading. Domains: `cpu gpu ane dram soc` (Apple), `package-0 dram-0 psys` (RAPL), `gpu0` … (discrete GPUs),
/// `system` (the whole machine), `wall` (the plug). Domains may contain each other: only the sampler's `total_domain`
/// is a total.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Power {
    /// The end of the window, or the moment of the reading: Unix seconds.
    pub ts: f64,
    /// The same on the host's monotonic clock, in seconds; absent where the reading is not of this boot.
    pub mono: Option<f64>,
    /// The reading's number, from 1.
    pub seq: u64,
    /// The meter: `powermetrics`, `rapl` …
    pub meter: String,
    /// What kind of reading it is, and so how energy follows from it.
    pub kind: PowerKind,
    /// The length of the window that `watts` is the mean over, in seconds; for a counter, the time since the reading before.
    pub window_seconds: Option<f64>,
    /// Watts per domain. A domain that could not be read is null.
    pub watts: BTreeMap<String, Option<f64>>,
    /// Joules per domain: of the window, for `window`; the counter itself, wrap-around undone, for `counter`.
    pub joules: Option<BTreeMap<String, Option<f64>>>,
    /// Why domains could not be read.
    pub unavailable: Option<BTreeMap<String, String>>,
    /// Whether the meter estimates rather than measures, where that was asked for.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub estimated: bool,
}

impl Body for Power {
    const TYPE: &'static str = "power";
}

/// What a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PowerKind {
    /// The mean over the window that ends at `ts`.
    Window,
    /// A counter of joules, read at `ts`.
    Counter,
    /// The power at `ts`.
    Instant,
}
