//! What machine this is, for the head of a run.

use super::{macos, procfs};
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
        ..Host::default()
    }
}

/// The most memory that this process has held, in bytes, by the system's own high-water mark: footprint on macOS, resident
/// elsewhere; `None` where the system does not tell.
pub fn peak() -> Option<u64> {
    let footprint = macos::footprint(std::process::id()).map(|(_, highest)| highest);
    footprint.or_else(|| procfs::kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM"))
}

#[cfg(test)]
mod tests {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn a_process_knows_the_most_that_it_has_held() {
        let before = super::peak().unwrap();
        let held = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = super::peak().unwrap();
        assert!(held.len() > 1 && after >= before.max(64 << 20), "{before} {after}");
    }
}
