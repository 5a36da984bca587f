//! `hwmon`: power sensors that Linux shows under `/sys/class/hwmon`, without root and without anyone's library.
//!
//! Format: <https://docs.kernel.org/hwmon/sysfs-interface.html>: `powerN_average` and `powerN_input` are microwatts,
//! `energyN_input` microjoules since some start. Only drivers are read whose sensors mean a domain: AMD's and Intel's
//! graphics, ACPI's meters (Grace: with the name in `device/powerN_oem_info`), AMD's energy counters, and the rails of
//! Jetson boards, as voltage times current.

use super::counter::Counter;
use super::honest::refuse;
use super::reading;
use crate::clock::Stamp;
use crate::record::{Power, PowerKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The sensors of this machine.
pub struct Hwmon {
    instants: Vec<(String, Instant)>,
    counters: Vec<(String, PathBuf, Counter)>,
    seen_ns: Option<u64>,
}

enum Instant {
    /// A file of microwatts.
    Microwatts(PathBuf),
    /// Files of millivolts and milliamperes.
    Rail(PathBuf, PathBuf),
}

impl Hwmon {
    /// The sensors under `sysfs` (`/sys`); graphics processors are numbered from `first_gpu` on.
    ///
    /// # Errors
    /// Why there is nothing to read.
    pub fn open(sysfs: &Path, first_gpu: usize) -> Result<Self, String> {
        let folder = sysfs.join("class/hwmon");
        let mut chips: Vec<(u32, PathBuf)> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix("hwmon")?.parse().ok()?, entry.path())))
            .collect();
        chips.sort();
        let mut hwmon = Self { instants: Vec::new(), counters: Vec::new(), seen_ns: None };
        let mut gpu = first_gpu;
        for (_, chip) in chips {
            match text(&chip.join("name")).as_deref() {
                Some("amdgpu" | "i915" | "xe") => {
                    // The board's energy where it is counted, else its power.
                    let domain = format!("gpu{gpu}");
                    let counted = hwmon.counter(&domain, chip.join("energy1_input"));
                    if counted || hwmon.power(&domain, &chip, 1) {
                        gpu += 1;
                    }
                }
                Some("power_meter") => (1..=8).for_each(|n| {
                    let info = text(&chip.join(format!("device/power{n}_oem_info")));
                    if let Some(domain) = acpi(info.as_deref(), n) {
                        hwmon.power(&domain, &chip, n);
                    }
                }),
                Some("amd_energy") => (1..=512).for_each(|n| {
                    let label = text(&chip.join(format!("energy{n}_label"))).unwrap_or_default();
                    // Sockets; the cores are inside.
                    if let Some(socket) = label.strip_prefix("Esocket").filter(|s| s.parse::<u32>().is_ok()) {
                        hwmon.counter(&format!("package-{socket}"), chip.join(format!("energy{n}_input")));
                    }
                }),
                Some("ina3221") => (1..=3).for_each(|n| hwmon.rail(&chip, n)),
                _ => {}
            }
        }
        if hwmon.instants.is_empty() && hwmon.counters.is_empty() {
            return Err(format!(
                "{} has no sensor of power that is known (amdgpu, i915, xe, power_meter, amd_energy, ina3221): a virtual \
                 machine, or a driver that is not loaded: load it, or read another meter by --meter command",
                folder.display()
            ));
        }
        Ok(hwmon)
    }

    /// The domains.
    pub fn domains(&self) -> Vec<String> {
        let instants = self.instants.iter().map(|(domain, _)| domain.clone());
        instants.chain(self.counters.iter().map(|(domain, ..)| domain.clone())).collect()
    }

    /// Leaves domains to others who measure them.
    pub fn leave_out(&mut self, taken: &[String]) {
        self.instants.retain(|(domain, _)| !taken.contains(domain));
        self.counters.retain(|(domain, ..)| !taken.contains(domain));
    }

    /// Looks at the counters without reading them out.
    pub fn look(&mut self, at: Stamp) {
        for (_, file, counter) in &mut self.counters {
            match number(file) {
                Ok(raw) => counter.look(raw, at.mono_ns),
                Err(_) => counter.lost(),
            }
        }
    }

    /// Reads the sensors: one record for those that tell the moment, one for those that count.
    pub fn read(&mut self, at: Stamp) -> Vec<Power> {
        let mut powers = Vec::new();
        if !self.instants.is_empty() {
            let mut power = reading("hwmon", PowerKind::Instant, at.ts, Some(at.mono()));
            for (domain, sensor) in &self.instants {
                match sensor.watts() {
                    Ok(watts) => {
                        power.watts.insert(domain.clone(), Some(super::milliwatts(watts)));
                    }
                    Err(why) => refuse(&mut power, domain, &why),
                }
            }
            powers.push(power);
        }
        if !self.counters.is_empty() {
            let mut power = reading("hwmon", PowerKind::Counter, at.ts, Some(at.mono()));
            power.window_seconds = super::since(&mut self.seen_ns, at.mono_ns);
            let mut joules = BTreeMap::new();
            for (domain, file, counter) in &mut self.counters {
                let step = number(file).inspect_err(|_| counter.lost()).and_then(|raw| {
                    counter.look(raw, at.mono_ns);
                    counter.read(at.mono_ns).map_err(str::to_owned)
                });
                joules.insert(domain.clone(), step.as_ref().ok().map(|step| super::microjoules(step.joules)));
                match step {
                    Ok(step) => {
                        if let Some(watts) = step.watts {
                            power.watts.insert(domain.clone(), Some(super::milliwatts(watts)));
                        }
                    }
                    Err(why) => refuse(&mut power, domain, &why),
                }
            }
            power.joules = Some(joules);
            powers.push(power);
        }
        powers
    }

    fn taken(&self, domain: &str) -> bool {
        self.domains().iter().any(|taken| taken == domain)
    }

    fn counter(&mut self, domain: &str, file: PathBuf) -> bool {
        let there = number(&file).is_ok() && !self.taken(domain);
        if there {
            self.counters.push((domain.to_owned(), file, Counter::new(1e-6, None)));
        }
        there
    }

    fn power(&mut self, domain: &str, chip: &Path, n: u32) -> bool {
        // The mean steadies what one moment misses.
        let files = [format!("power{n}_average"), format!("power{n}_input")].map(|name| chip.join(name));
        let file = files.into_iter().find(|file| number(file).is_ok()).filter(|_| !self.taken(domain));
        let there = file.is_some();
        self.instants.extend(file.map(|file| (domain.to_owned(), Instant::Microwatts(file))));
        there
    }

    fn rail(&mut self, chip: &Path, n: u32) {
        let Some(label) = text(&chip.join(format!("in{n}_label"))) else { return };
        let domain = if label == "VDD_IN" { "system".to_owned() } else { label.to_ascii_lowercase() };
        let plain = domain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let (volts, amperes) = (chip.join(format!("in{n}_input")), chip.join(format!("curr{n}_input")));
        if plain && !self.taken(&domain) && number(&volts).is_ok() && number(&amperes).is_ok() {
            self.instants.push((domain, Instant::Rail(volts, amperes)));
        }
    }
}

impl Instant {
    fn watts(&self) -> Result<f64, String> {
        Ok(match self {
            Instant::Microwatts(file) => number(file)? as f64 / 1e6,
            Instant::Rail(volts, amperes) => number(volts)? as f64 * number(amperes)? as f64 / 1e6,
        })
    }
}

/// The domain of one of ACPI's meters. Grace's module holds its processor and its graphics; its processor's rail and the
/// rest of the chip are parts of the chip.
fn acpi(info: Option<&str>, n: u32) -> Option<String> {
    let Some(info) = info.filter(|info| !info.is_empty()) else { return (n == 1).then(|| "system".to_owned()) };
    let (name, socket) = info.trim().rsplit_once(" Power Socket ")?;
    let socket: u32 = socket.trim().parse().ok()?;
    let stem = match name.trim() {
        "Module" => "module",
        "Grace" => "package",
        "CPU" => "core",
        "SysIO" => "sysio",
        _ => return None,
    };
    Some(format!("{stem}-{socket}"))
}

fn text(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
}

fn number(file: &Path) -> Result<u64, String> {
    let text = fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
    text.trim().parse().map_err(|_| format!("{}: not a number", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let file = root.path().join("class/hwmon").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("{content}\n")).unwrap();
        }
        root
    }

    fn at(second: u64) -> Stamp {
        Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 }
    }

    #[test]
    fn graphics_are_numbered_and_read_by_their_best_sensor() {
        let root = tree(&[
            ("hwmon0/name", "nvme"),
            ("hwmon0/power1_input", "1"),
            ("hwmon10/name", "xe"),
            ("hwmon10/energy1_input", "5000000"),
            ("hwmon2/name", "amdgpu"),
            ("hwmon2/power1_average", "35000000"),
            ("hwmon2/power1_input", "99000000"),
        ]);
        let mut hwmon = Hwmon::open(root.path(), 1).unwrap();
        assert_eq!(hwmon.domains(), ["gpu1", "gpu2"]);
        hwmon.read(at(1));
        fs::write(root.path().join("class/hwmon/hwmon10/energy1_input"), "25000000").unwrap();
        let powers = hwmon.read(at(3));
        assert_eq!((powers[0].kind(), powers[0].watts["gpu1"]), (PowerKind::Instant, Some(35.0)));
        assert_eq!((powers[1].kind(), powers[1].watts["gpu2"]), (PowerKind::Counter, Some(10.0)));
        fs::remove_file(root.path().join("class/hwmon/hwmon2/power1_average")).unwrap();
        assert_eq!(hwmon.read(at(4))[0].watts["gpu1"], None, "a file that vanished is no 0 W");
    }

    #[test]
    fn boards_name_their_own_rails() {
        let root = tree(&[
            ("hwmon0/name", "power_meter"),
            ("hwmon0/power1_average", "300000000"),
            ("hwmon0/device/power1_oem_info", "Module Power Socket 0"),
            ("hwmon1/name", "power_meter"),
            ("hwmon1/power1_average", "120000000"),
            ("hwmon1/device/power1_oem_info", "Grace Power Socket 0"),
            ("hwmon2/name", "ina3221"),
            ("hwmon2/in1_label", "VDD_GPU_SOC"),
            ("hwmon2/in1_input", "5000"),
            ("hwmon2/curr1_input", "2000"),
            ("hwmon2/in2_label", "VDD_IN"),
            ("hwmon2/in2_input", "20000"),
            ("hwmon2/curr2_input", "1500"),
            ("hwmon3/name", "amd_energy"),
            ("hwmon3/energy1_label", "Ecore000"),
            ("hwmon3/energy1_input", "1"),
            ("hwmon3/energy2_label", "Esocket1"),
            ("hwmon3/energy2_input", "1"),
        ]);
        let mut hwmon = Hwmon::open(root.path(), 0).unwrap();
        assert_eq!(hwmon.domains(), ["module-0", "package-0", "vdd_gpu_soc", "system", "package-1"]);
        let power = &hwmon.read(at(1))[0];
        assert_eq!((power.watts["vdd_gpu_soc"], power.watts["system"]), (Some(10.0), Some(30.0)));
    }

    #[test]
    fn a_machine_without_sensors_says_so() {
        assert!(Hwmon::open(tree(&[]).path(), 0).is_err());
        assert!(Hwmon::open(tree(&[("hwmon0/name", "amdgpu")]).path(), 0).is_err());
        assert_eq!(acpi(None, 1).as_deref(), Some("system"));
        assert_eq!(acpi(Some("Fan Power Socket 0"), 1), None);
    }
}
