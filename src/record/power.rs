//! `power`: a reading of a power meter.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// A reading of a power meter, written by power-sample. Domains are `cpu`, `gpu`, `ane`, `dram`, `soc` (Apple),
/// `package-0`, `dram-0`, `psys` (RAPL), `gpu0` … (discrete GPUs), `system` (the whole machine) and `wall` (the
/// plug). A domain may contain others: only the `total_domain` of the sampler is a total.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Power {
    /// End of the window, or time of the reading: Unix seconds.
    pub ts: f64,
    /// That time on the host's monotonic clock, in seconds; absent for a reading of another boot.
    pub mono: Option<f64>,
    /// Number of the reading, from 1.
    #[serde(default)]
    pub seq: u64,
    /// Name of the meter: `powermetrics`, `rapl` …
    #[serde(default)]
    pub meter: String,
    /// Kind of the reading, which decides how energy is computed. Readers take a reading without it for a `window`
    /// if it has `window_seconds`, else for a `counter` if it has `joules`, else for an `instant`.
    pub kind: Option<PowerKind>,
    /// Length of the window over which `watts` are the mean, in seconds; for a counter, the time since the previous
    /// reading. Readers use the interval of the `sampler` for a window without it.
    pub window_seconds: Option<f64>,
    /// Power of each domain; null for a domain that could not be read. Readers accept a counter or a window with
    /// `joules` alone.
    #[serde(default)]
    pub watts: BTreeMap<String, Option<f64>>,
    /// Energy of each domain: of the window, or the value of the counter without its wrap-arounds. Readers require
    /// it of a counter.
    pub joules: Option<BTreeMap<String, Option<f64>>>,
    /// Why a domain could not be read.
    pub unavailable: Option<BTreeMap<String, String>>,
    /// Whether the power is estimated, which has to be requested.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub estimated: bool,
}

impl Body for Power {
    const TYPE: &'static str = "power";
}

impl Power {
    /// What kind of reading it is, by what it has where it does not say.
    pub fn kind(&self) -> PowerKind {
        self.kind.unwrap_or(match (self.window_seconds, &self.joules) {
            (Some(_), _) => PowerKind::Window,
            (None, Some(_)) => PowerKind::Counter,
            (None, None) => PowerKind::Instant,
        })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no reading, or lacks what its energy follows from.
    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        let power: Self = serde_json::from_str(line)?;
        let missing = match power.kind() {
            PowerKind::Counter if power.joules.is_none() => "a counter without `joules`",
            PowerKind::Window if power.watts.is_empty() && power.joules.is_none() => "neither `watts` nor `joules`",
            PowerKind::Instant if power.watts.is_empty() => "no `watts`",
            _ => return Ok(power),
        };
        Err(serde::de::Error::custom(missing))
    }
}

/// Kind of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PowerKind {
    /// Mean over the window that ends at `ts`.
    Window,
    /// Energy counter, read at `ts`.
    Counter,
    /// Power at `ts`.
    Instant,
}
