//! `memory`: what the process table read. Written by mem-sample, read by bench-join.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// One reading: the whole machine, and the processes that were asked for with all their descendants.
///
/// The sums over processes are null while none is found. Shared pages are counted once per process in `rss_bytes`, once
/// in all in `pss_bytes`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// When it was read: Unix seconds.
    pub ts: f64,
    /// The same on the host's monotonic clock, in seconds.
    pub mono: Option<f64>,
    /// The reading's number, from 1.
    pub seq: u64,
    /// The whole machine.
    pub system: Option<SystemMemory>,
    /// How many processes the sums are over; absent when none were asked for.
    pub processes: Option<u64>,
    /// Resident memory.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub rss_bytes: Option<Option<u64>>,
    /// The anonymous part of it (Linux).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub anon_bytes: Option<Option<u64>>,
    /// The part of it that is mapped files, such as the weights of a GGUF (Linux).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub file_bytes: Option<Option<u64>>,
    /// Proportional set size: shared pages divided among their users (Linux, on request).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub pss_bytes: Option<Option<u64>>,
    /// Physical footprint, as Activity Monitor shows it (macOS).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub footprint_bytes: Option<Option<u64>>,
    /// The highest that the kernel has seen, summed over the processes that are alive.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub peak_bytes: Option<Option<u64>>,
    /// Memory of graphics processors, by `gpu0`, `gpu1` …
    pub gpu: Option<BTreeMap<String, GpuMemory>>,
    /// The processes one by one, on request.
    pub process_list: Option<Vec<ProcessMemory>>,
}

impl Body for Memory {
    const TYPE: &'static str = "memory";
}

/// Memory of the whole machine.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemMemory {
    /// Total less available.
    pub used_bytes: u64,
    /// What could be had without swapping.
    pub available_bytes: u64,
    /// Installed.
    pub total_bytes: u64,
    /// Swap in use.
    pub swap_used_bytes: Option<u64>,
    /// Page cache (Linux).
    pub cached_bytes: Option<u64>,
    /// Pinned pages (macOS).
    pub wired_bytes: Option<u64>,
    /// Compressed pages (macOS).
    pub compressed_bytes: Option<u64>,
}

/// Memory of one graphics processor.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuMemory {
    /// In use by everyone.
    pub used_bytes: Option<u64>,
    /// In use by the processes that were asked for.
    pub process_bytes: Option<u64>,
}

/// Memory of one process; what could not be read is absent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessMemory {
    /// Its number.
    pub pid: u64,
    /// Its parent's number.
    pub parent: u64,
    /// The name of its executable.
    pub name: String,
    /// Resident memory.
    pub rss_bytes: Option<u64>,
    /// The anonymous part of it (Linux).
    pub anon_bytes: Option<u64>,
    /// The part of it that is mapped files (Linux).
    pub file_bytes: Option<u64>,
    /// Proportional set size (Linux, on request).
    pub pss_bytes: Option<u64>,
    /// Physical footprint (macOS).
    pub footprint_bytes: Option<u64>,
    /// The highest that the kernel has seen.
    pub peak_bytes: Option<u64>,
}
