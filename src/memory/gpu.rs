//! Memory of graphics processors: NVIDIA's by their library, AMD's and Intel's by what the kernel shows.
//!
//! AMD: `mem_info_vram_used` of the card. Per process: the `drm-memory-vram` (or `drm-resident-vram`) lines of
//! `/proc/PID/fdinfo/*` (<https://docs.kernel.org/gpu/drm-usage-stats.html>), once per client, because a client that is
//! open twice shows twice. Apple's chips have no memory of their own for graphics: it is in the footprint, and not added.

use crate::nvml::Cards;
use crate::record::GpuMemory;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The cards of this machine.
pub struct Gpus {
    nvidia: Option<Cards>,
    /// Cards with a file that says what is in use, and their address on the bus.
    cards: Vec<Card>,
    proc: PathBuf,
}

struct Card {
    used: Option<PathBuf>,
    address: String,
}

impl Gpus {
    /// The cards that tell their memory; `None` when none does.
    pub fn open(sysfs: &Path, proc: &Path) -> Option<Self> {
        let nvidia = Cards::open().ok();
        let cards = cards(&sysfs.join("class/drm"));
        (nvidia.is_some() || !cards.is_empty()).then(|| Self { nvidia, cards, proc: proc.to_owned() })
    }

    /// Names of what is read, for the opening record.
    pub fn meters(&self) -> Vec<String> {
        let nvidia = self.nvidia.as_ref().map(|_| "nvml".to_owned());
        nvidia.into_iter().chain((!self.cards.is_empty()).then(|| "drm".to_owned())).collect()
    }

    /// What each card holds, in all and of these processes; NVIDIA's are numbered first.
    pub fn read(&self, pids: Option<&[u32]>) -> BTreeMap<String, GpuMemory> {
        let mut all = BTreeMap::new();
        let nvidia = self.nvidia.as_ref().map_or(0, Cards::count);
        for index in 0..nvidia {
            let memory = self.nvidia.as_ref().and_then(|cards| cards.memory(index).ok());
            let there = |pid: u32| self.proc.join(pid.to_string()).exists();
            let of_processes = memory.as_ref().and_then(|memory| sum_of(memory.processes.as_ref()?, pids?, there));
            all.insert(
                format!("gpu{index}"),
                GpuMemory { used_bytes: memory.and_then(|memory| memory.used), process_bytes: of_processes },
            );
        }
        let clients = pids.map(|pids| self.clients(pids));
        for (card, index) in self.cards.iter().zip(nvidia..) {
            let used_bytes = card.used.as_ref().and_then(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
            let process_bytes = clients.as_ref().map(|clients| clients.get(&card.address).copied().unwrap_or(0));
            all.insert(format!("gpu{index}"), GpuMemory { used_bytes, process_bytes });
        }
        all
    }

    /// Bytes in the memory of each card, by its address, of all these processes' clients.
    fn clients(&self, pids: &[u32]) -> HashMap<String, u64> {
        let mut seen: HashMap<(String, u64), u64> = HashMap::new();
        for pid in pids {
            let folder = self.proc.join(pid.to_string()).join("fdinfo");
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let text = fs::read_to_string(entry.path()).unwrap_or_default();
                if let Some((address, client, bytes)) = client(&text) {
                    seen.insert((address, client), bytes);
                }
            }
        }
        let mut sums = HashMap::new();
        for ((address, _), bytes) in seen {
            *sums.entry(address).or_insert(0) += bytes;
        }
        sums
    }
}

/// The sum over those processes that are meant; `None` when the driver does not tell of one of them, or when it tells of
/// processes that are not `there`: inside a container it counts by the numbers of the host.
fn sum_of(processes: &[(u32, Option<u64>)], pids: &[u32], there: impl Fn(u32) -> bool) -> Option<u64> {
    if processes.iter().any(|(pid, _)| !there(*pid)) {
        return None;
    }
    processes.iter().filter(|(pid, _)| pids.contains(pid)).map(|(_, bytes)| *bytes).sum()
}

fn cards(folder: &Path) -> Vec<Card> {
    let mut names: Vec<(u32, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        // `card0`, but not `card0-DP-1`, which is a socket of it.
        .filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix("card")?.parse().ok()?, entry.path())))
        .collect();
    names.sort();
    names
        .into_iter()
        .filter_map(|(_, path)| {
            let device = path.join("device");
            let uevent = fs::read_to_string(device.join("uevent")).unwrap_or_default();
            let field = |name: &str| uevent.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            let driver = field("DRIVER")?.to_owned();
            let used = Some(device.join("mem_info_vram_used")).filter(|file| file.is_file());
            // Intel's cards show their use per process only.
            (used.is_some() || ["xe", "i915"].contains(&driver.as_str()))
                .then(|| Card { used, address: field("PCI_SLOT_NAME").unwrap_or_default().to_owned() })
        })
        .collect()
}

/// Address, client and bytes in the card's own memory, from the description of an open file; `None` when it is no card.
fn client(text: &str) -> Option<(String, u64, u64)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let bytes = |name: &str| {
        let (number, unit) = field(name)?.split_once(' ').unwrap_or((field(name)?, ""));
        let factor = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor)
    };
    let held = ["drm-resident-vram", "drm-memory-vram", "drm-resident-vram0", "drm-resident-local0"];
    Some((
        field("drm-pdev")?.to_owned(),
        field("drm-client-id")?.parse().ok()?,
        held.iter().find_map(|name| bytes(name))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, name: &str, text: &str) {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn each_card_tells_what_it_holds_and_what_of_it_is_meant() {
        let (sys, proc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(sys.path(), "class/drm/card1/device/uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n");
        write(sys.path(), "class/drm/card1/device/mem_info_vram_used", "8589934592\n");
        write(sys.path(), "class/drm/card1-DP-1/device/uevent", "DRIVER=amdgpu\n");
        write(sys.path(), "class/drm/card0/device/uevent", "DRIVER=ast\nPCI_SLOT_NAME=0000:01:00.0\n");
        let of = |client: u32, kib: u32| {
            format!(
                "pos:\t0\ndrm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\ndrm-client-id:\t{client}\ndrm-memory-vram:\t{kib} KiB\n"
            )
        };
        write(proc.path(), "7/fdinfo/3", &of(1, 1024));
        write(proc.path(), "7/fdinfo/4", &of(1, 1024));
        write(proc.path(), "8/fdinfo/3", &of(2, 512));
        write(proc.path(), "9/fdinfo/3", &of(3, 4096));
        write(proc.path(), "7/fdinfo/5", "pos:\t0\nflags:\t02\n");
        let gpus = Gpus { nvidia: None, cards: cards(&sys.path().join("class/drm")), proc: proc.path().to_owned() };
        let read = gpus.read(Some(&[7, 8]));
        assert_eq!(read.len(), 1);
        assert_eq!(read["gpu0"], GpuMemory { used_bytes: Some(8 << 30), process_bytes: Some(1536 << 10) });
        assert_eq!(gpus.read(None)["gpu0"].process_bytes, None);
    }

    #[test]
    fn what_the_driver_does_not_tell_of_one_process_it_does_not_tell_of_all() {
        let there = |pid| pid < 100;
        assert_eq!(sum_of(&[(1, Some(5)), (2, Some(7)), (3, None)], &[1, 2], there), Some(12));
        assert_eq!(sum_of(&[(1, Some(5)), (3, None)], &[1, 3], there), None);
        assert_eq!(sum_of(&[(1, Some(5))], &[], there), Some(0));
        assert_eq!(sum_of(&[(1, Some(5)), (40_000, Some(7))], &[1], there), None, "another's numbers");
    }
}
