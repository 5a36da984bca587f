//! `rapl`: the energy counters of Intel's and AMD's processors, as Linux shows them under `/sys/class/powercap`.
//!
//! Format: <https://docs.kernel.org/power/powercap/powercap.html>: a zone is a folder with `name`, `energy_uj`
//! (microjoules) and `max_energy_range_uj`; a zone inside another is a part of it, and `psys` is a zone of its own that
//! contains the packages. `intel-rapl-mmio` is the same package read another way, and is used only where it is the only way.

use super::counter::Counter;
use super::honest::refuse;
use super::reading;
use crate::clock::Stamp;
use crate::record::{Power, PowerKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How to be allowed to read the counters, which Linux keeps from everyone but root since 2020 (CVE-2020-8694).
pub const ALLOW: &str = "run power-sample with sudo, or let everyone read them: sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj /sys/class/powercap/intel-rapl*:*/energy_uj";

/// The counters of all packages.
pub struct Rapl {
    zones: Vec<Zone>,
    seen_ns: Option<u64>,
}

struct Zone {
    domain: String,
    file: PathBuf,
    counter: Counter,
    failed: Option<String>,
}

impl Rapl {
    /// The zones under `sysfs` (`/sys`).
    ///
    /// # Errors
    /// Why there is nothing to read, and what to do about it.
    pub fn open(sysfs: &Path) -> Result<Self, String> {
        let folder = sysfs.join("class/powercap");
        let found = find(&folder);
        if found.is_empty() {
            return Err(format!(
                "{} has no counters: a virtual machine, or a kernel without powercap (modprobe intel_rapl_msr)",
                folder.display()
            ));
        }
        let mut zones = Vec::new();
        for (domain, zone) in found {
            let file = zone.join("energy_uj");
            let range = number(&zone.join("max_energy_range_uj")).ok().filter(|range| *range > 0);
            let failed = number(&file).err();
            zones.push(Zone { domain, file, counter: Counter::new(1e-6, range), failed });
        }
        // One that cannot be read while others can stays, and is null: a total that lacks a package is none.
        match zones.iter().all(|zone| zone.failed.is_some()) {
            true => Err(zones.into_iter().find_map(|zone| zone.failed).unwrap_or_default()),
            false => Ok(Self { zones, seen_ns: None }),
        }
    }

    /// The domains.
    pub fn domains(&self) -> Vec<String> {
        self.zones.iter().map(|zone| zone.domain.clone()).collect()
    }

    /// Looks at the counters without reading them out, so that none wraps around twice between two readings.
    pub fn look(&mut self, at: Stamp) {
        for zone in &mut self.zones {
            match number(&zone.file) {
                Ok(raw) => {
                    zone.failed = None;
                    zone.counter.look(raw, at.mono_ns);
                }
                Err(why) => {
                    zone.failed = Some(why);
                    zone.counter.lost();
                }
            }
        }
    }

    /// Reads the counters.
    pub fn read(&mut self, at: Stamp) -> Power {
        self.look(at);
        let mut power = reading("rapl", PowerKind::Counter, at.ts, Some(at.mono()));
        power.window_seconds = super::since(&mut self.seen_ns, at.mono_ns);
        let mut joules = BTreeMap::new();
        for zone in &mut self.zones {
            let step = match &zone.failed {
                Some(why) => Err(why.as_str()),
                None => zone.counter.read(at.mono_ns),
            };
            match step {
                Ok(step) => {
                    joules.insert(zone.domain.clone(), Some(super::microjoules(step.joules)));
                    if let Some(watts) = step.watts {
                        power.watts.insert(zone.domain.clone(), Some(super::milliwatts(watts)));
                    }
                }
                Err(why) => {
                    joules.insert(zone.domain.clone(), None);
                    refuse(&mut power, &zone.domain, why);
                }
            }
        }
        power.joules = Some(joules);
        power
    }
}

/// The zones by domain; of a domain that is there twice, the first: the model-specific register before its mirror.
fn find(folder: &Path) -> BTreeMap<String, PathBuf> {
    let names =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    // `intel-rapl:0` before `intel-rapl:0:0` before `intel-rapl-mmio:0`.
    let sorted: BTreeSet<(bool, String)> = names
        .filter(|name| name.starts_with("intel-rapl") && name.contains(':'))
        .map(|name| (name.starts_with("intel-rapl-mmio"), name))
        .collect();
    let label = |zone: &str| fs::read_to_string(folder.join(zone).join("name")).ok();
    let mut zones = BTreeMap::new();
    for (_, zone) in sorted {
        let Some(name) = label(&zone) else { continue };
        let parent = zone.match_indices(':').nth(1).and_then(|(end, _)| label(&zone[..end]));
        if let Some(domain) = domain(name.trim(), parent.as_deref().map(str::trim)) {
            zones.entry(domain).or_insert_with(|| folder.join(&zone));
        }
    }
    zones
}

/// The domain of a zone: its own name, with the package's number where it is a part of one.
fn domain(name: &str, parent: Option<&str>) -> Option<String> {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let package = parent.and_then(|parent| parent.strip_prefix("package-"));
    match (name, package) {
        _ if !plain => None,
        ("psys", _) => Some("psys".into()),
        (name, _) if name.starts_with("package-") => Some(name.to_owned()),
        (name, Some(package)) => Some(format!("{name}-{package}")),
        // A part whose package is not named: the first.
        (name, None) => Some(format!("{name}-0")),
    }
}

/// The number in a file of the kernel, or why it is not to be had.
fn number(file: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|why| match why.kind() {
        ErrorKind::PermissionDenied => format!("{}: permission denied: {ALLOW}", file.display()),
        ErrorKind::NotFound => format!("{} has vanished", file.display()),
        _ => format!("{}: {why}", file.display()),
    })?;
    text.trim().parse().map_err(|_| format!("{}: not a number", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(zones: &[(&str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (zone, name, energy) in zones {
            let folder = root.path().join("class/powercap").join(zone);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("name"), format!("{name}\n")).unwrap();
            fs::write(folder.join("max_energy_range_uj"), "262143328850\n").unwrap();
            if !energy.is_empty() {
                fs::write(folder.join("energy_uj"), format!("{energy}\n")).unwrap();
            }
        }
        root
    }

    fn set(root: &tempfile::TempDir, zone: &str, energy: &str) {
        fs::write(root.path().join("class/powercap").join(zone).join("energy_uj"), energy).unwrap();
    }

    fn at(second: u64) -> Stamp {
        Stamp { mono_ns: second * 1_000_000_000, ts: 1_000.0 + second as f64 }
    }

    #[test]
    fn every_zone_is_one_domain_and_the_mirror_of_a_package_is_none() {
        let root = tree(&[
            ("intel-rapl:0", "package-0", "1"),
            ("intel-rapl:0:0", "core", "1"),
            ("intel-rapl:0:1", "uncore", "1"),
            ("intel-rapl:0:2", "dram", "1"),
            ("intel-rapl:1", "psys", "1"),
            ("intel-rapl:2", "package-1", "1"),
            ("intel-rapl:2:0", "dram", "1"),
            ("intel-rapl-mmio:0", "package-0", "1"),
            ("dtpm", "x", "1"),
        ]);
        let rapl = Rapl::open(root.path()).unwrap();
        assert_eq!(rapl.domains(), ["core-0", "dram-0", "dram-1", "package-0", "package-1", "psys", "uncore-0"]);
        let first = &rapl.zones.iter().find(|zone| zone.domain == "package-0").unwrap().file;
        assert!(first.ends_with("intel-rapl:0/energy_uj"), "{first:?}");
    }

    #[test]
    fn the_mirror_is_read_where_it_is_the_only_way() {
        let root = tree(&[("intel-rapl-mmio:0", "package-0", "1")]);
        assert_eq!(Rapl::open(root.path()).unwrap().domains(), ["package-0"]);
    }

    #[test]
    fn watts_follow_from_the_counters_over_the_wrap_around() {
        let root = tree(&[("intel-rapl:0", "package-0", "262100000000"), ("intel-rapl:0:0", "dram", "7000000")]);
        let mut rapl = Rapl::open(root.path()).unwrap();
        let first = rapl.read(at(1));
        assert!(first.watts.is_empty() && first.window_seconds.is_none());
        set(&root, "intel-rapl:0", "262140000000");
        set(&root, "intel-rapl:0:0", "10100000");
        let second = rapl.read(at(2));
        assert_eq!((second.watts["package-0"], second.watts["dram-0"]), (Some(40.0), Some(3.1)));
        assert_eq!(second.window_seconds, Some(1.0));
        set(&root, "intel-rapl:0", "16671150");
        let third = rapl.read(at(3));
        assert_eq!(third.watts["package-0"], Some(20.0));
        assert_eq!(third.joules.unwrap()["package-0"], Some(262160.0));
        assert_eq!(third.watts["dram-0"], Some(0.0), "memory may be still for one window");
    }

    #[test]
    fn what_cannot_be_read_is_null_with_its_reason() {
        let root = tree(&[("intel-rapl:0", "package-0", "1000000"), ("intel-rapl:1", "package-1", "1000000")]);
        let mut rapl = Rapl::open(root.path()).unwrap();
        rapl.read(at(1));
        fs::remove_file(root.path().join("class/powercap/intel-rapl:0/energy_uj")).unwrap();
        set(&root, "intel-rapl:1", "soon");
        let power = rapl.read(at(2));
        assert_eq!((power.watts["package-0"], power.watts["package-1"]), (None, None));
        let why = power.unavailable.unwrap();
        assert!(why["package-0"].contains("vanished") && why["package-1"].contains("not a number"), "{why:?}");
        assert_eq!(power.joules.unwrap()["package-0"], None);
    }

    #[test]
    fn no_counters_is_an_error_that_says_so() {
        let root = tree(&[]);
        assert!(Rapl::open(root.path()).err().unwrap().contains("virtual machine"));
        let root = tree(&[("intel-rapl:0", "package-0", "")]);
        assert!(Rapl::open(root.path()).err().unwrap().contains("vanished"));
    }

    #[test]
    fn a_package_that_cannot_be_read_beside_one_that_can_is_null_and_not_left_out() {
        let root = tree(&[("intel-rapl:0", "package-0", "1000000"), ("intel-rapl:1", "package-1", "soon")]);
        let mut rapl = Rapl::open(root.path()).unwrap();
        assert_eq!(rapl.domains(), ["package-0", "package-1"]);
        let power = rapl.read(at(1));
        assert_eq!(power.watts["package-1"], None);
        assert!(power.unavailable.unwrap()["package-1"].contains("not a number"));
    }

    #[test]
    fn a_zone_with_a_hostile_name_is_no_domain() {
        assert_eq!(domain("pack\u{1b}age", None), None);
        assert_eq!(domain("", None), None);
        assert_eq!(domain("core", Some("package-0-die-1")).as_deref(), Some("core-0-die-1"));
    }
}
