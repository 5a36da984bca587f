//! `powermetrics`, the text form: a log that macOS's meter writes, live or recorded.
//!
//! A log is a preamble and then samples; a sample is a header with the local time and the window's length, and sections
//! under `**** … ****`. The power lines stand in "Processor usage", in milliwatts. "GPU usage" repeats `GPU Power:` from
//! another subscription whose window is shifted by milliseconds: it is read only where it is the only one. The header's
//! time is the *end* of the window, cut to the second. Apple's chips write a total named "Combined" (without memory) or,
//! before macOS 12, "Package" (with it); Intel's one line of watts. Percentages, frequencies and clusters, which change
//! with every chip, are not looked at.

use super::feed::{Clock, Item, Sample};
use super::text::on_path;
use crate::clock::Stamp;
use crate::record::PowerKind;
use jiff::fmt::strtime::BrokenDownTime;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How to be allowed to run it.
const ALLOW: &str = "run power-sample with sudo, or let sudo run the meter: \
                     sudo powermetrics -s cpu_power,gpu_power -i 1000 | power-sample --from -";

/// The command that writes the log, through sudo where this program is not root: without a password or not at all.
pub fn command(interval: Duration) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("powermetrics")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "powermetrics"]);
        sudo
    };
    command.args(["-s", "cpu_power,gpu_power,ane_power", "-b", "1", "-i"]).arg(interval.as_millis().to_string());
    command
}

/// Whether it is there and may be run without asking anyone.
pub fn allowed() -> bool {
    let sudo = || Command::new("sudo").args(["-n", "-l", "powermetrics"]).stdin(Stdio::null()).output();
    on_path("powermetrics")
        && (rustix::process::geteuid().is_root() || sudo().is_ok_and(|output| output.status.success()))
}

/// What its end means to whoever wanted to measure.
pub fn explain(why: &str) -> String {
    if !on_path("powermetrics") {
        return "powermetrics: not on this machine: it is a part of macOS; a log from a Mac is read with --from FILE"
            .into();
    }
    if why.is_empty()
        || why.contains("superuser")
        || why.contains("password is required")
        || why.contains("not allowed")
    {
        return format!("powermetrics needs root: {ALLOW}");
    }
    why.to_owned()
}

/// The state of reading one log, line by line.
#[derive(Debug, Default)]
pub struct Powermetrics {
    machine: Option<String>,
    block: Option<Block>,
    /// The domains of the last whole sample: what a sample without a total must have to be whole at the end of a log.
    usual: Vec<String>,
}

#[derive(Debug)]
struct Block {
    ended: f64,
    window: f64,
    at: Stamp,
    section: Section,
    watts: BTreeMap<String, f64>,
    second_gpu: Option<f64>,
    label: Option<String>,
    done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Processor,
    Graphics,
    Other,
}

impl Powermetrics {
    /// Reads one line, without its end, that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        let line = strip_ansi(line);
        let line = line.trim_end();
        if let Some((ended, window)) = header(line) {
            self.close(out, false);
            self.block = Some(Block {
                ended,
                window,
                at,
                section: Section::Other,
                watts: BTreeMap::new(),
                second_gpu: None,
                label: None,
                done: false,
            });
            return;
        }
        let Some(block) = self.block.as_mut() else {
            if let Some(machine) = line.strip_prefix("Machine model: ") {
                self.machine = Some(machine.trim().to_owned());
                out.push(Item::Machine(machine.trim().to_owned()));
            } else if line.contains("must be invoked as the superuser") {
                out.push(Item::Refused(format!("powermetrics needs root: {ALLOW}")));
            }
            return;
        };
        if block.done {
            return;
        }
        if let Some(section) = line.strip_prefix("**** ").and_then(|rest| rest.strip_suffix(" ****")) {
            if block.label.is_some() {
                self.emit(out);
                return;
            }
            block.section = match section {
                "Processor usage" => Section::Processor,
                "GPU usage" => Section::Graphics,
                _ => Section::Other,
            };
            return;
        }
        if line.is_empty() {
            // The total is the last power line, and a blank line follows it.
            if block.label.is_some() {
                self.emit(out);
            }
            return;
        }
        let Some((domain, label, watts)) = power_line(line) else { return };
        match (domain, block.section) {
            ("gpu", Section::Graphics) => {
                block.second_gpu = Some(watts);
                // The last section, and no total: all that this log has.
                self.emit(out);
            }
            ("soc", _) => {
                block.label = Some(label.to_owned());
                block.watts.insert("soc".into(), watts);
            }
            (domain, _) => {
                block.watts.entry(domain.to_owned()).or_insert(watts);
            }
        }
    }

    /// The log has ended.
    pub fn end(&mut self, out: &mut Vec<Item>) {
        self.close(out, true);
    }

    /// The machine that the preamble names.
    pub fn machine(&self) -> Option<&str> {
        self.machine.as_deref()
    }

    /// The block is over: whole, or torn.
    fn close(&mut self, out: &mut Vec<Item>, at_end: bool) {
        let Some(block) = self.block.as_ref().filter(|block| !block.done) else { return };
        let whole =
            block.label.is_some() || (!block.watts.is_empty() && (!at_end || self.usual.iter().eq(block.watts.keys())));
        if whole {
            self.emit(out);
        } else {
            self.block = None;
            out.push(Item::Torn);
        }
    }

    fn emit(&mut self, out: &mut Vec<Item>) {
        let Some(block) = self.block.as_mut() else { return };
        block.done = true;
        if let Some(watts) = block.second_gpu {
            block.watts.entry("gpu".into()).or_insert(watts);
        }
        self.usual = block.watts.keys().cloned().collect();
        out.push(Item::Sample(Sample {
            source: "powermetrics",
            kind: PowerKind::Window,
            logged: Some(block.ended),
            clock: Clock::Cut,
            window_seconds: Some(block.window),
            at: block.at,
            watts: std::mem::take(&mut block.watts).into_iter().map(|(domain, watts)| (domain, Some(watts))).collect(),
            joules: None,
            unavailable: BTreeMap::new(),
            label: block.label.take(),
        }));
    }
}

/// A line of power: its domain, its words before the colon, its watts.
fn power_line(line: &str) -> Option<(&'static str, &str, f64)> {
    let (label, value) = line.rsplit_once(": ")?;
    let domain = match label {
        "CPU Power" => "cpu",
        "GPU Power" => "gpu",
        "ANE Power" => "ane",
        "DRAM Power" => "dram",
        "Package Power" | "Intel energy model derived package power (CPUs+GT+SA)" => "soc",
        _ if label.starts_with("Combined Power (") => "soc",
        _ => return None,
    };
    Some((domain, label, watts(value.trim())?))
}

/// `33996 mW`, `1.15W`.
fn watts(text: &str) -> Option<f64> {
    let (number, per_watt) = match text.strip_suffix("mW") {
        Some(number) => (number, 1000.0),
        None => (text.strip_suffix('W')?, 1.0),
    };
    let number: f64 = number.trim_end().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number / per_watt)
}

/// `*** Sampled system activity (Thu Sep 18 10:43:03 2025 +0200) (1019.49ms elapsed) ***`: the end of the window in Unix
/// seconds, and its length in seconds.
fn header(line: &str) -> Option<(f64, f64)> {
    let rest = line.strip_prefix("*** Sampled system activity (")?.strip_suffix("ms elapsed) ***")?;
    let (date, elapsed) = rest.split_once(") (")?;
    let at = BrokenDownTime::parse("%a %b %d %H:%M:%S %Y %z", date).ok()?.to_timestamp().ok()?;
    let elapsed: f64 = elapsed.parse().ok()?;
    (elapsed.is_finite() && elapsed > 0.0).then_some((at.as_second() as f64, elapsed / 1000.0))
}

/// The line without what colours a terminal.
fn strip_ansi(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            // ESC [ parameters letter
            if chars.next() == Some('[') {
                chars.by_ref().find(char::is_ascii_alphabetic);
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use indoc::indoc;
    use proptest::prelude::*;

    fn read(log: &str) -> (Vec<Sample>, u64, Option<String>) {
        let mut reader = Powermetrics::default();
        let mut items = Vec::new();
        for line in log.lines() {
            reader.line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items);
        }
        reader.end(&mut items);
        let mut torn = 0;
        let samples = items.into_iter().filter_map(|item| match item {
            Item::Sample(sample) => Some(sample),
            Item::Torn => {
                torn += 1;
                None
            }
            Item::Machine(_) | Item::Refused(_) => None,
        });
        let samples = samples.collect();
        (samples, torn, reader.machine().map(str::to_owned))
    }

    fn watts_of(sample: &Sample) -> Vec<(&str, f64)> {
        sample.watts.iter().map(|(domain, watts)| (domain.as_str(), watts.unwrap())).collect()
    }

    const HEAD: &str = "*** Sampled system activity (Fri Feb  6 23:59:59 2026 -0130) (1000.50ms elapsed) ***\n";

    #[test]
    fn each_generation_of_macs_is_read_by_its_own_lines() {
        let rows = [
            (
                "m4: combined, and the second line of the graphics section is not counted",
                indoc! {"


                    **** Processor usage ****

                    P1-Cluster HW active residency:  1.0% (1020 MHz:  11%)
                    CPU 0 frequency: 1 MHz

                    CPU Power: 900 mW
                    GPU Power: 2500 mW
                    ANE Power: 0 mW
                    Combined Power (CPU + GPU + ANE): 3400 mW

                    **** GPU usage ****

                    GPU idle residency:  11.17%
                    GPU Power: 9999 mW
                "},
                vec![("ane", 0.0), ("cpu", 0.9), ("gpu", 2.5), ("soc", 3.4)],
                Some("Combined Power (CPU + GPU + ANE)"),
            ),
            (
                "m1: package, with memory",
                indoc! {"
                    **** Processor usage ****

                    E-Cluster Power: 27 mW
                    ANE Power: 0 mW
                    DRAM Power: 688 mW
                    CPU Power: 742 mW
                    GPU Power: 26 mW
                    Package Power: 2151 mW
                "},
                vec![("ane", 0.0), ("cpu", 0.742), ("dram", 0.688), ("gpu", 0.026), ("soc", 2.151)],
                Some("Package Power"),
            ),
            (
                "intel: watts without a space",
                indoc! {"
                    **** Processor usage ****

                    Intel energy model derived package power (CPUs+GT+SA): 48.61W

                    LLC flushed residency: 0%
                "},
                vec![("soc", 48.61)],
                Some("Intel energy model derived package power (CPUs+GT+SA)"),
            ),
            (
                "graphics alone",
                indoc! {"
                    **** GPU usage ****

                    GPU Power: 1311 mW
                "},
                vec![("gpu", 1.311)],
                None,
            ),
            (
                "coloured, and a thermal section",
                "**** Thermal pressure ****\n\nCurrent pressure level: Nominal\n\n**** Processor usage ****\n\x1b[1mCPU Power: 5 mW\x1b[0m\r\nCombined Power (CPU + GPU + ANE): 5 mW\n",
                vec![("cpu", 0.005), ("soc", 0.005)],
                Some("Combined Power (CPU + GPU + ANE)"),
            ),
        ];
        for (name, body, expect, label) in rows {
            let (samples, torn, _) = read(&format!("{HEAD}\n{body}"));
            assert_eq!((samples.len(), torn), (1, 0), "{name}");
            assert_eq!(watts_of(&samples[0]), expect, "{name}");
            assert_eq!(samples[0].label.as_deref(), label, "{name}");
            assert_eq!(samples[0].window_seconds, Some(1.0005), "{name}");
        }
    }

    #[test]
    fn a_sample_is_out_as_soon_as_its_total_has_been_read() {
        let mut reader = Powermetrics::default();
        let mut items = Vec::new();
        let lines = format!("{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nCombined Power (x): 9 mW\n\n");
        for line in lines.lines() {
            reader.line(line, Stamp { mono_ns: 7, ts: 1.0 }, &mut items);
        }
        assert!(matches!(items.as_slice(), [Item::Sample(sample)] if sample.at.mono_ns == 7));
    }

    #[test]
    fn a_log_that_was_cut_gives_what_is_whole_and_counts_the_rest() {
        let whole = format!("{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nCombined Power (x): 9 mW\n");
        for (cut, samples, torn) in [
            (String::new(), 0, 0),
            ("Machine model: Mac16,5\nOS version: 24G90\n".into(), 0, 0),
            (HEAD.into(), 0, 1),
            (HEAD[..40].into(), 0, 0),
            (format!("{whole}{HEAD}**** Processor usage ****\nCPU Power: 9 mW\n"), 1, 1),
            (format!("{whole}{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nCombined Power (x): 9 m"), 1, 1),
            (format!("{whole}{HEAD}{whole}"), 2, 1),
            (whole.repeat(3), 3, 0),
            (format!("{HEAD}**** Processor usage ****\nCPU Power: -9 mW\nGPU Power: none mW\n"), 0, 1),
        ] {
            let (got, got_torn, _) = read(&cut);
            assert_eq!((got.len(), got_torn), (samples, torn), "{cut:?}");
        }
    }

    #[test]
    fn samples_without_a_total_are_whole_when_the_next_one_begins() {
        let block = format!("{HEAD}**** Processor usage ****\nCPU Power: 9 mW\nGPU Power: 1 mW\n");
        let (samples, torn, _) = read(&block.repeat(3));
        assert_eq!((samples.len(), torn), (3, 0));
        let (samples, torn, _) =
            read(&format!("{}{HEAD}**** Processor usage ****\nCPU Power: 9 mW\n", block.repeat(2)));
        assert_eq!((samples.len(), torn), (2, 1), "fewer lines than before is a torn one");
    }

    #[test]
    fn the_header_is_the_end_of_the_window_in_its_own_zone() {
        let (ended, window) = header(HEAD.trim()).unwrap();
        assert_eq!(crate::clock::rfc3339(ended).as_deref(), Some("2026-02-07T01:29:59.000Z"));
        assert_eq!(window, 1.0005);
        for bad in [
            "*** Sampled system activity (Fri Feb  6 23:59:59 2026 -0130) (0.00ms elapsed) ***",
            "*** Sampled system activity (Fri Feb 30 23:59:59 2026 -0130) (1.00ms elapsed) ***",
            "*** Sampled system activity (soon) (1.00ms elapsed) ***",
            "*** Sampled system activity (Fri Feb  6 23:59:59 2026 -0130) (NaNms elapsed) ***",
        ] {
            assert_eq!(header(bad), None, "{bad}");
        }
    }

    #[test]
    fn without_root_it_says_so_and_so_do_we() {
        let mut items = Vec::new();
        let line = "powermetrics must be invoked as the superuser";
        Powermetrics::default().line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items);
        assert!(matches!(items.as_slice(), [Item::Refused(why)] if why.contains("sudo")));
    }

    proptest! {
        #[test]
        fn wherever_a_log_is_cut_what_was_read_stands(cut in 0..3_000usize) {
            let block = format!("{HEAD}\n**** Processor usage ****\n\nCPU Power: 900 mW\nGPU Power: 2500 mW\nCombined Power (CPU + GPU + ANE): 3400 mW\n\n**** GPU usage ****\n\nGPU Power: 9999 mW\n\n");
            let log = format!("Machine model: X\n\n{}", block.repeat(9));
            let cut = &log[..cut.min(log.len())];
            let (samples, torn, _) = read(cut);
            prop_assert!(samples.len() <= cut.matches("Combined").count() && torn <= 1);
            for sample in samples {
                prop_assert_eq!(watts_of(&sample), vec![("cpu", 0.9), ("gpu", 2.5), ("soc", 3.4)]);
            }
        }
    }

    #[test]
    fn the_preamble_names_the_machine() {
        assert_eq!(read("Machine model: Mac16,5\nOS version: 24G90\nBoot arguments: \n").2.as_deref(), Some("Mac16,5"));
    }
}
