//! What machine this is, for the head of a run.

use crate::record::Host;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The machine, as far as the system tells.
pub fn host() -> Host {
    let kinds =
        RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(kinds).ok();
    let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Host {
        cpu: system.as_ref().and_then(|system| said(system.cpus().first()?.brand())),
        cores: std::thread::available_parallelism().ok().map(|n| n.get() as u64),
        gpu: None,
        ram_bytes: system.map(|system| system.total_memory()).filter(|bytes| *bytes > 0),
        os: System::long_os_version().ok().and_then(|name| said(&name)),
    }
}
