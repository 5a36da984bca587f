//! Power meters: one file per meter, and the rules that hold for all of them.
//!
//! Two kinds of meter. A *polled* one is read when a reading is due: counters and files of the kernel. A *fed* one is a
//! text that comes by itself, from a spawned program, a pipe or a recorded file, and is a pure parser of lines. What
//! both must obey is in `honest`: a missing reading never becomes 0 W.

mod asitop;
mod battery;
mod child;
mod counter;
mod dating;
mod estimate;
mod feed;
mod follow;
mod honest;
#[cfg(test)]
mod hostile;
mod hwmon;
mod macmon;
mod meters;
mod nvml;
mod plist;
mod polled;
mod powermetrics;
mod printed;
mod prometheus;
mod rapl;
mod repeated;
mod root;
mod run;
mod smi;
mod table;
mod text;
mod total;

pub use meters::{MeterKind, Meters, Setup, format, open, probe};
pub use printed::Unit;
pub use run::{Ended, Event, Settings, sample};
pub use text::Text;

use crate::record::{Power, PowerKind};
use std::collections::BTreeMap;

/// An empty reading.
fn reading(meter: &str, kind: PowerKind, ts: f64, mono: Option<f64>) -> Power {
    Power {
        ts,
        mono,
        seq: 0,
        meter: meter.to_owned(),
        kind: Some(kind),
        window_seconds: None,
        watts: BTreeMap::new(),
        joules: None,
        unavailable: None,
        estimated: false,
        ..Power::default()
    }
}

/// The seconds since the reading before, which `seen_ns` remembers; `None` for the first, and for one that came with it.
fn since(seen_ns: &mut Option<u64>, now_ns: u64) -> Option<f64> {
    let then = seen_ns.replace(now_ns)?;
    Some(crate::clock::micros(crate::clock::between(then, now_ns))).filter(|seconds| *seconds > 0.0)
}

/// Watts to the milliwatt: more than any meter knows.
fn milliwatts(watts: f64) -> f64 {
    (watts * 1e3).round() / 1e3
}

/// Joules to the microjoule: the step of the finest counter.
fn microjoules(joules: f64) -> f64 {
    (joules * 1e6).round() / 1e6
}
