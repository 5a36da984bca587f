//! `battery`: what a laptop draws from its battery, or, on Apple's, what it draws at all.
//!
//! Linux: `/sys/class/power_supply/BAT*` (<https://docs.kernel.org/power/power_supply_class.html>): microwatts, or
//! microamperes times microvolts, and only while it discharges: on the mains it is the charger's business. The figure is
//! renewed every few seconds only. macOS: `PowerTelemetryData` of `ioreg -rn AppleSmartBattery`, milliwatts; the two
//! accumulators give the true mean between two readings.

use super::child::answer;
use super::honest::refuse;
use super::reading;
use crate::clock::Stamp;
use crate::record::{Power, PowerKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The batteries, or Apple's telemetry.
pub enum Battery {
    /// Linux's.
    Supplies(Vec<PathBuf>),
    /// Apple's: what it said last, and when it was read.
    Telemetry {
        /// Sum and count of the load, at the last reading.
        last: Option<(u64, u64)>,
        /// When that was.
        seen_ns: Option<u64>,
    },
}

impl Battery {
    /// The batteries under `sysfs` (`/sys`), or Apple's.
    ///
    /// # Errors
    /// Why there is nothing to read.
    pub fn open(sysfs: &Path) -> Result<Self, String> {
        if cfg!(target_os = "macos") {
            return match telemetry(&ioreg()?) {
                Some(_) => Ok(Battery::Telemetry { last: None, seen_ns: None }),
                None => {
                    Err("no battery with telemetry: a desktop Mac, or an Intel one: macmon tells of the machine".into())
                }
            };
        }
        let folder = sysfs.join("class/power_supply");
        let mut found: Vec<PathBuf> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| text(path, "type").as_deref() == Some("Battery"))
            // The batteries of mice and phones have a scope.
            .filter(|path| text(path, "scope").is_none_or(|scope| scope == "System"))
            .collect();
        found.sort();
        if found.is_empty() {
            return Err(format!(
                "{} has no battery: no laptop: read a meter at the plug by --meter command",
                folder.display()
            ));
        }
        Ok(Battery::Supplies(found))
    }

    /// Whether it tells anything at this moment: on the mains, Linux's does not.
    pub fn speaks(&self) -> bool {
        match self {
            Battery::Supplies(folders) => supplied(folders).is_ok(),
            Battery::Telemetry { .. } => true,
        }
    }

    /// Reads it.
    pub fn read(&mut self, at: Stamp) -> Power {
        let mut power = reading("battery", PowerKind::Instant, at.ts, Some(at.mono()));
        let watts = match self {
            Battery::Supplies(folders) => supplied(folders),
            Battery::Telemetry { last, seen_ns } => ioreg().and_then(|text| {
                let now = telemetry(&text).ok_or("ioreg shows no telemetry")?;
                let window = super::since(seen_ns, at.mono_ns);
                let mean = last.replace(now.load).and_then(|then| mean_watts(then, now.load));
                if let Some((mean, window)) = mean.zip(window) {
                    power.kind = Some(PowerKind::Window);
                    power.window_seconds = Some(window);
                    return Ok(mean);
                }
                Ok(now.watts)
            }),
        };
        match watts {
            Ok(watts) => {
                let watts = super::milliwatts(watts);
                power.watts.insert("system".into(), Some(watts));
                if let Some(window) = power.window_seconds {
                    power.joules = Some([("system".to_owned(), Some(super::microjoules(watts * window)))].into());
                }
            }
            Err(why) => refuse(&mut power, "system", &why),
        }
        power
    }
}

/// The sum over all batteries that discharge.
fn supplied(folders: &[PathBuf]) -> Result<f64, String> {
    let mut watts = None;
    let mut status = "gone".to_owned();
    for folder in folders {
        status = text(folder, "status").unwrap_or_else(|| "gone".into());
        if status == "Discharging" {
            let number = |name: &str| text(folder, name).and_then(|text| text.parse::<f64>().ok()).map(f64::abs);
            let drawn = number("power_now")
                .map(|microwatts| microwatts / 1e6)
                .or_else(|| Some(number("current_now")? * number("voltage_now")? / 1e12))
                .ok_or_else(|| format!("{} tells no power", folder.display()))?;
            watts = Some(watts.unwrap_or(0.0) + drawn);
        }
    }
    watts.ok_or_else(|| format!("the battery is not discharging ({status}): unplug the machine"))
}

fn text(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok().map(|text| text.trim().to_owned())
}

fn ioreg() -> Result<String, String> {
    let mut command = Command::new("ioreg");
    command.args(["-rn", "AppleSmartBattery", "-w0"]);
    answer(&command).ok_or_else(|| "ioreg does not answer".to_owned())
}

#[derive(Debug, PartialEq)]
struct Telemetry {
    watts: f64,
    /// The sum of the load in milliwatts, and of how many readings.
    load: (u64, u64),
}

/// Apple's telemetry, out of a property list in its old notation.
fn telemetry(text: &str) -> Option<Telemetry> {
    let (_, inside) = text.split_once("\"PowerTelemetryData\" = {")?;
    let inside = inside.split_once('}')?.0;
    let number = |name: &str| {
        let (_, value) = inside.split_once(&format!("\"{name}\"="))?;
        value.split(',').next()?.trim().parse::<u64>().ok()
    };
    Some(Telemetry {
        watts: number("SystemLoad")? as f64 / 1e3,
        load: (number("AccumulatedSystemLoad")?, number("SystemLoadAccumulatorCount")?),
    })
}

/// The mean between two readings of the accumulators; `None` while they stand still.
fn mean_watts(then: (u64, u64), now: (u64, u64)) -> Option<f64> {
    let count = now.1.checked_sub(then.1).filter(|count| *count > 0)?;
    Some(now.0.checked_sub(then.0)? as f64 / count as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supply(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("class/power_supply/BAT0");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("type"), "Battery\n").unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), format!("{text}\n")).unwrap());
        root
    }

    #[test]
    fn a_battery_tells_the_machines_power_only_while_it_discharges() {
        let at = Stamp { mono_ns: 0, ts: 0.0 };
        for (files, watts) in [
            (&[("status", "Discharging"), ("power_now", "12500000")][..], Some(12.5)),
            (&[("status", "Discharging"), ("current_now", "-1000000"), ("voltage_now", "12000000")], Some(12.0)),
            (&[("status", "Charging"), ("power_now", "12500000")], None),
            (&[("status", "Full"), ("power_now", "0")], None),
            (&[("status", "Discharging")], None),
        ] {
            let root = supply(files);
            let mut battery = Battery::open(root.path()).unwrap();
            let power = battery.read(at);
            assert_eq!(power.watts["system"], watts, "{files:?}");
            assert_eq!(power.unavailable.is_some(), watts.is_none());
            assert_eq!(battery.speaks(), watts.is_some());
        }
    }

    #[test]
    fn a_mouse_is_no_machine() {
        assert!(Battery::open(supply(&[("scope", "Device")]).path()).is_err());
        assert!(Battery::open(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn apples_accumulators_give_the_mean_between_two_readings() {
        let text = |load: u64, sum: u64, count: u64| {
            format!(
                "  | \"x\" = 1\n  \"PowerTelemetryData\" = {{\"SystemPowerIn\"=9,\"SystemLoad\"={load},\"AccumulatedSystemLoad\"={sum},\"SystemLoadAccumulatorCount\"={count},\"BatteryPower\"=18446744073709551615}}\n"
            )
        };
        let then = telemetry(&text(13_000, 2_000_000, 100)).unwrap();
        let now = telemetry(&text(20_000, 2_150_000, 110)).unwrap();
        assert_eq!(then.watts, 13.0);
        assert_eq!(mean_watts(then.load, now.load), Some(15.0));
        assert_eq!(mean_watts(now.load, now.load), None);
        assert_eq!(telemetry("\"BatteryInstalled\" = No"), None);
    }
}
