//! `memory`: what the process table read. Written by mem-sample, read by bench-join.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One reading: the whole machine, and the processes that were asked for with all their descendants.
///
/// The sums over processes are null while none is found. Shared pages are counted once per process in `rss_bytes`, once
/// in all in `pss_bytes`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// When it was read: Unix seconds.
    pub ts: f64,
    /// The same on the host's monotonic clock, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mono: Option<f64>,
    /// The reading's number, from 1.
    pub seq: u64,
    /// The whole machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemMemory>,
    /// How many processes the sums are over; absent when none were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Resident memory.
    #[serde(default, deserialize_with = "super::tried", skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<Option<u64>>,
    /// The anonymous part of it (Linux).
    #[serde(default, deserialize_with = "super::tried", skip_serializing_if = "Option::is_none")]
    pub anon_bytes: Option<Option<u64>>,
    /// The part of it that is mapped files, such as the weights of a GGUF (Linux).
    #[serde(default, deserialize_with = "super::tried", skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<Option<u64>>,
    /// Proportional set size: shared pages divided among their users (Linux, on request).
    #[serde(default, deserialize_with = "super::tried", skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<Option<u64>>,
    /// Physical footprint, as Activity Monitor shows it (macOS).
    #[serde(default, deserialize_with = "super::tried", skip_serializing_if = "Option::is_none")]
    pub footprint_bytes: Option<Option<u64>>,
    /// The highest that the kernel has seen, summed over the processes that are alive.
    #[serde(default, deserialize_with = "super::tried", skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<Option<u64>>,
    /// Memory of graphics processors, by `gpu0`, `gpu1` …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<BTreeMap<String, GpuMemory>>,
    /// The processes one by one, on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_list: Option<Vec<ProcessMemory>>,
}

impl Body for Memory {
    const TYPE: &'static str = "memory";
}

/// Memory of the whole machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemMemory {
    /// Total less available.
    pub used_bytes: u64,
    /// What could be had without swapping.
    pub available_bytes: u64,
    /// Installed.
    pub total_bytes: u64,
    /// Swap in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_used_bytes: Option<u64>,
    /// Page cache (Linux).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_bytes: Option<u64>,
    /// Pinned pages (macOS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wired_bytes: Option<u64>,
    /// Compressed pages (macOS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed_bytes: Option<u64>,
}

/// Memory of one graphics processor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuMemory {
    /// In use by everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
    /// In use by the processes that were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_bytes: Option<u64>,
}

/// Memory of one process; what could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessMemory {
    /// Its number.
    pub pid: u64,
    /// Its parent's number.
    pub parent: u64,
    /// The name of its executable.
    pub name: String,
    /// Resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_bytes: Option<u64>,
    /// The anonymous part of it (Linux).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anon_bytes: Option<u64>,
    /// The part of it that is mapped files (Linux).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Proportional set size (Linux, on request).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pss_bytes: Option<u64>,
    /// Physical footprint (macOS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub footprint_bytes: Option<u64>,
    /// The highest that the kernel has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
}
