//! The meters that are read when a reading is due, as one.

use super::battery::Battery;
use super::estimate::Estimate;
use super::hwmon::Hwmon;
use super::nvml::Nvml;
use super::rapl::Rapl;
use crate::clock::Stamp;
use crate::record::Power;

/// A meter that is read when a reading is due.
pub enum Polled {
    /// The processors' counters.
    Rapl(Rapl),
    /// NVIDIA's cards.
    Nvml(Box<Nvml>),
    /// The kernel's sensors.
    Hwmon(Hwmon),
    /// The battery.
    Battery(Battery),
    /// A guess.
    Estimate(Estimate),
}

impl Polled {
    /// Its name in records.
    pub fn meter(&self) -> &'static str {
        match self {
            Polled::Rapl(_) => "rapl",
            Polled::Nvml(_) => "nvml",
            Polled::Hwmon(_) => "hwmon",
            Polled::Battery(_) => "battery",
            Polled::Estimate(_) => "estimate",
        }
    }

    /// What it measures.
    pub fn domains(&self) -> Vec<String> {
        match self {
            Polled::Rapl(rapl) => rapl.domains(),
            Polled::Nvml(nvml) => nvml.domains(),
            Polled::Hwmon(hwmon) => hwmon.domains(),
            Polled::Battery(_) => vec!["system".into()],
            Polled::Estimate(_) => vec!["cpu".into()],
        }
    }

    /// Looks at counters that wrap around.
    pub fn look(&mut self, at: Stamp) {
        match self {
            Polled::Rapl(rapl) => rapl.look(at),
            Polled::Hwmon(hwmon) => hwmon.look(at),
            Polled::Nvml(_) | Polled::Battery(_) | Polled::Estimate(_) => {}
        }
    }

    /// Reads it.
    pub fn read(&mut self, at: Stamp) -> Vec<Power> {
        match self {
            Polled::Rapl(rapl) => vec![rapl.read(at)],
            Polled::Nvml(nvml) => nvml.read(at),
            Polled::Hwmon(hwmon) => hwmon.read(at),
            Polled::Battery(battery) => vec![battery.read(at)],
            Polled::Estimate(estimate) => estimate.read(at).into_iter().collect(),
        }
    }
}
