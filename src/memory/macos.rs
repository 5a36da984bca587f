//! What only macOS tells: the footprint of a process and its peak, by `proc_pid_rusage`, and the machine's wired and
//! compressed memory, by `vm_stat`.
//!
//! The footprint is what Activity Monitor shows as "Memory": dirty, compressed, and wired for graphics; clean mapped
//! files, such as the weights of a GGUF, are not in it. Other users' processes are told to root only.

use crate::record::SystemMemory;

/// Footprint and its highest, in bytes; `None` where the system does not tell.
#[cfg(target_os = "macos")]
pub fn footprint(pid: u32) -> Option<(u64, u64)> {
    use libproc::libproc::pid_rusage::{RUsageInfoV4, pidrusage};
    let usage: RUsageInfoV4 = pidrusage(i32::try_from(pid).ok()?).ok()?;
    Some((usage.ri_phys_footprint, usage.ri_lifetime_max_phys_footprint))
}

/// Footprint and its highest, in bytes; `None` where the system does not tell.
#[cfg(not(target_os = "macos"))]
pub fn footprint(_: u32) -> Option<(u64, u64)> {
    None
}

/// Adds what `vm_stat` tells to the machine's figures, on macOS.
pub fn add_pages(system: &mut SystemMemory) {
    if cfg!(target_os = "macos") {
        let output = std::process::Command::new("vm_stat").stdin(std::process::Stdio::null()).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        (system.wired_bytes, system.compressed_bytes) = pages(&text);
    }
}

/// Wired and compressed bytes, from the text of `vm_stat`.
fn pages(text: &str) -> (Option<u64>, Option<u64>) {
    let size =
        text.lines().next().and_then(|line| line.split_once("page size of ")?.1.split(' ').next()?.parse::<u64>().ok());
    let bytes = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.trim().trim_end_matches('.').parse::<u64>().ok()?.checked_mul(size?)
    };
    (bytes("Pages wired down"), bytes("Pages occupied by compressor"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_in_their_size() {
        let text = "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n\
                    Pages free:                               10.\n\
                    Pages wired down:                        200.\n\
                    Pages stored in compressor:              900.\n\
                    Pages occupied by compressor:            300.\n";
        assert_eq!(pages(text), (Some(200 << 14), Some(300 << 14)));
        assert_eq!(pages(""), (None, None));
        assert_eq!(pages("Pages wired down: 200."), (None, None));
    }
}
