//! Which meters there are, and how each is opened. A new meter is its own file and one arm here.

use super::asitop::Asitop;
use super::battery::Battery;
use super::estimate::Estimate;
use super::feed::Format;
use super::hwmon::Hwmon;
use super::macmon::{self, Macmon};
use super::nvml::Nvml;
use super::polled::Polled;
use super::powermetrics::Powermetrics;
use super::printed::{Printed, Unit};
use super::rapl::Rapl;
use super::root;
use super::smi::{self, Smi};
use super::text::{Text, on_path};
use clap::ValueEnum;
use regex::Regex;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MeterKind {
    /// All that this machine has
    Auto,
    /// macOS powermetrics: the chip's processor, graphics and neural engine; needs root
    Powermetrics,
    /// macmon: the same without root, and the whole machine
    Macmon,
    /// CSV of asitop_csv_logger; only with --from
    Asitop,
    /// Energy counters of Intel's and AMD's processors (Linux powercap); needs root or a rule
    Rapl,
    /// NVIDIA's cards by their driver's library
    Nvml,
    /// NVIDIA's cards by nvidia-smi
    NvidiaSmi,
    /// Linux's sensors: AMD's and Intel's graphics, Grace, Jetson, ACPI's meters
    Hwmon,
    /// The battery of a laptop
    Battery,
    /// Any program that prints watts or joules: --command
    Command,
    /// How busy the processors are, times --tdp-watts: no meter, and marked as estimated
    Estimate,
}

/// What meters are opened with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Time between readings, for meters that are told.
    pub interval: Duration,
    /// How many readings will be taken at most, where that is known.
    pub most: Option<u64>,
    /// Where the kernel shows devices: `/sys`.
    pub sysfs: PathBuf,
    /// Where the kernel shows processes: `/proc`.
    pub proc: PathBuf,
    /// The program that prints numbers, as the shell reads it.
    pub command: Option<String>,
    /// Where in its lines they stand.
    pub pattern: Option<Regex>,
    /// What they are.
    pub unit: Unit,
    /// What they are of.
    pub domain: String,
    /// What the processor draws at most.
    pub tdp_watts: Option<f64>,
}

/// What was opened.
#[derive(Default)]
pub struct Meters {
    /// Meters to be read.
    pub polled: Vec<Polled>,
    /// Meters that speak by themselves.
    pub texts: Vec<Text>,
}

/// Opens a meter, or with [`MeterKind::Auto`] all that there are.
///
/// # Errors
/// `what: why: what to do`, when there is nothing to read.
pub fn open(meter: MeterKind, setup: &Setup) -> Result<Meters, String> {
    let interval = setup.interval;
    let mut meters = Meters::default();
    match meter {
        MeterKind::Auto => return all(setup),
        MeterKind::Powermetrics => {
            let format = Format::Powermetrics(Powermetrics::default());
            meters.texts.push(Text::spawned(&root::command(interval, setup.most), format, root::explain)?);
        }
        MeterKind::Macmon => meters.texts.push(macmon::text(interval)?),
        MeterKind::Asitop => return Err("asitop: it writes a file: name it with --from".into()),
        MeterKind::NvidiaSmi => {
            meters.texts.push(Text::spawned(&smi::command(interval), Format::Smi(Smi::default()), str::to_owned)?);
        }
        MeterKind::Command => {
            let command = setup.command.clone().ok_or("command: no program: name it with --command")?;
            let shell = move || {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(&command);
                shell
            };
            meters.texts.push(Text::repeated(shell, interval, Format::Printed(printed(setup)?)));
        }
        MeterKind::Rapl => meters.polled.push(Polled::Rapl(Rapl::open(&setup.sysfs).map_err(named("rapl"))?)),
        MeterKind::Nvml => meters.polled.push(Polled::Nvml(Box::new(Nvml::open().map_err(named("nvml"))?))),
        MeterKind::Hwmon => meters.polled.push(Polled::Hwmon(Hwmon::open(&setup.sysfs, 0).map_err(named("hwmon"))?)),
        MeterKind::Battery => {
            meters.polled.push(Polled::Battery(Battery::open(&setup.sysfs).map_err(named("battery"))?))
        }
        MeterKind::Estimate => {
            let watts = setup.tdp_watts.ok_or("estimate: how much the processor draws at most: say --tdp-watts")?;
            meters.polled.push(Polled::Estimate(Estimate::open(&setup.proc, watts).map_err(named("estimate"))?));
        }
    }
    Ok(meters)
}

/// All that this machine has, each thing by its best meter: what two would measure alike is measured once.
fn all(setup: &Setup) -> Result<Meters, String> {
    let mut meters = Meters::default();
    if root::allowed() {
        meters.add(open(MeterKind::Powermetrics, setup));
    }
    if meters.texts.is_empty() && (cfg!(target_os = "macos") || on_path("macmon")) {
        meters.add(open(MeterKind::Macmon, setup));
    }
    meters.add(open(MeterKind::Rapl, setup));
    let before = meters.polled.len();
    meters.add(open(MeterKind::Nvml, setup));
    let cards = meters.polled[before..].iter().map(|meter| meter.domains().len()).sum();
    if cards == 0 && smi::answers() {
        meters.add(open(MeterKind::NvidiaSmi, setup));
    }
    if let Ok(mut hwmon) = Hwmon::open(&setup.sysfs, cards) {
        hwmon.leave_out(&meters.domains());
        if !hwmon.domains().is_empty() {
            meters.polled.push(Polled::Hwmon(hwmon));
        }
    }
    // On the mains a battery tells nothing, and must not be the total that everything waits for; and the machine is
    // measured once: macmon tells of it, too, and so may a sensor.
    let whole = meters.domains().iter().any(|domain| domain == "system")
        || meters.texts.iter().any(|text| text.meter() == Some("macmon"));
    if !whole {
        meters.polled.extend(Battery::open(&setup.sysfs).ok().filter(Battery::speaks).map(Polled::Battery));
    }
    if meters.polled.is_empty() && meters.texts.is_empty() {
        return Err(
            "no power meter: none that is known can be read here: power-sample --probe says why and what to do, \
                    --meter command takes any program that prints watts"
                .into(),
        );
    }
    Ok(meters)
}

/// What stands between this machine and a meter: its domains where nothing does.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub fn probe(meter: MeterKind, setup: &Setup) -> Result<String, String> {
    match meter {
        MeterKind::Powermetrics if root::allowed() => Ok("cpu gpu ane soc".into()),
        MeterKind::Powermetrics => Err(root::explain("")),
        MeterKind::NvidiaSmi if smi::answers() => Ok("gpu0 …".into()),
        MeterKind::NvidiaSmi => Err("nvidia-smi is not installed or finds no card: install NVIDIA's driver".into()),
        MeterKind::Macmon if cfg!(target_os = "macos") || on_path("macmon") => Ok("cpu gpu ane dram soc system".into()),
        MeterKind::Macmon => {
            Err("only on Macs with Apple's chips: what it wrote there is read with --from FILE".into())
        }
        MeterKind::Battery => Battery::open(&setup.sysfs).and_then(|battery| match battery.speaks() {
            true => Ok("system".into()),
            false => Err("the battery is not discharging: unplug the machine".into()),
        }),
        MeterKind::Command if setup.command.is_some() => Ok(setup.domain.clone()),
        MeterKind::Command => Err("name a program with --command".into()),
        MeterKind::Auto
        | MeterKind::Asitop
        | MeterKind::Rapl
        | MeterKind::Nvml
        | MeterKind::Hwmon
        | MeterKind::Estimate => Ok(open(meter, setup)?.domains().join(" ")),
    }
}

/// The parser of a text of `meter`; with [`MeterKind::Auto`] the text shows what it is.
///
/// # Errors
/// When this meter has no text.
pub fn format(meter: MeterKind, setup: &Setup) -> Result<Format, String> {
    match meter {
        MeterKind::Auto => Ok(Format::Unknown),
        MeterKind::Powermetrics => Ok(Format::Powermetrics(Powermetrics::default())),
        MeterKind::Macmon => Ok(Format::Macmon(Macmon::default())),
        MeterKind::Asitop => Ok(Format::Asitop(Asitop::new(setup.interval))),
        MeterKind::NvidiaSmi => Ok(Format::Smi(Smi::default())),
        MeterKind::Command => printed(setup).map(Format::Printed),
        MeterKind::Rapl | MeterKind::Nvml | MeterKind::Hwmon | MeterKind::Battery | MeterKind::Estimate => {
            Err("--from: this meter is read from the system, not from a text: leave --from out".into())
        }
    }
}

impl Meters {
    /// What the meters measure that are read when a reading is due.
    fn domains(&self) -> Vec<String> {
        self.polled.iter().flat_map(Polled::domains).collect()
    }

    fn add(&mut self, more: Result<Meters, String>) {
        if let Ok(more) = more {
            self.polled.extend(more.polled);
            self.texts.extend(more.texts);
        }
    }
}

fn printed(setup: &Setup) -> Result<Printed, String> {
    Printed::new(setup.pattern.clone(), setup.unit, &setup.domain)
}

fn named(meter: &'static str) -> impl Fn(String) -> String {
    move |why| format!("{meter}: {why}")
}
