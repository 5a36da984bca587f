//! `memory`: a reading of memory.

use super::Body;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::rust::double_option;
use serde_with::skip_serializing_none;
use std::collections::BTreeMap;

/// Memory of the machine and of the selected processes with their descendants, written by mem-sample. Sums over
/// processes are null when no process is found. `rss_bytes` counts a shared page once per process, `pss_bytes` once
/// in total.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Time of the reading: Unix seconds.
    pub ts: f64,
    /// That time on the host's monotonic clock, in seconds.
    pub mono: Option<f64>,
    /// Number of the reading, from 1.
    #[serde(default)]
    pub seq: u64,
    /// Memory of the machine.
    pub system: Option<SystemMemory>,
    /// Number of processes in the sums; absent when none were selected.
    pub processes: Option<u64>,
    /// Resident set size; null when no process is found.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub rss_bytes: Option<Option<u64>>,
    /// Anonymous part of it (Linux).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub anon_bytes: Option<Option<u64>>,
    /// Mapped files in it, such as the weights of a GGUF (Linux).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub file_bytes: Option<Option<u64>>,
    /// Proportional set size: shared pages divided among their users (Linux, on request).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub pss_bytes: Option<Option<u64>>,
    /// Physical footprint, as Activity Monitor shows it (macOS).
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub footprint_bytes: Option<Option<u64>>,
    /// Sum of the kernel's high-water marks of the running processes.
    #[serde(default, deserialize_with = "double_option::deserialize")]
    pub peak_bytes: Option<Option<u64>>,
    /// Memory of each GPU: `gpu0`, `gpu1` …
    pub gpu: Option<BTreeMap<String, GpuMemory>>,
    /// Each process, on request.
    pub process_list: Option<Vec<ProcessMemory>>,
}

impl Body for Memory {
    const TYPE: &'static str = "memory";
}

/// Memory of the machine.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemMemory {
    /// Total − available memory.
    pub used_bytes: u64,
    /// Memory that is available without swapping.
    pub available_bytes: Option<u64>,
    /// Installed memory.
    pub total_bytes: Option<u64>,
    /// Swap in use.
    pub swap_used_bytes: Option<u64>,
    /// Page cache (Linux).
    pub cached_bytes: Option<u64>,
    /// Wired pages (macOS).
    pub wired_bytes: Option<u64>,
    /// Compressed pages (macOS).
    pub compressed_bytes: Option<u64>,
}

/// Memory of a GPU.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuMemory {
    /// Memory in use by all processes.
    pub used_bytes: Option<u64>,
    /// Memory in use by the selected processes.
    pub process_bytes: Option<u64>,
}

/// Memory of a process. A figure that could not be read is absent.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessMemory {
    /// Process id.
    pub pid: Option<u64>,
    /// Process id of the parent.
    pub parent: Option<u64>,
    /// Name of the executable.
    pub name: Option<String>,
    /// Resident set size.
    pub rss_bytes: Option<u64>,
    /// Anonymous part of it (Linux).
    pub anon_bytes: Option<u64>,
    /// Mapped files in it (Linux).
    pub file_bytes: Option<u64>,
    /// Proportional set size (Linux, on request).
    pub pss_bytes: Option<u64>,
    /// Physical footprint (macOS).
    pub footprint_bytes: Option<u64>,
    /// The kernel's high-water mark.
    pub peak_bytes: Option<u64>,
}
